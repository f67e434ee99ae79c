/*
 * JSON, strictly: see json.h. Nothing is read past the text, and nothing recurses.
 */
#include "common/json.h"

#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

void json_init(json *j, const void *text, size_t n_bytes)
{
    *j = (json){.text = text, .n_bytes = n_bytes, .is_first = true};
}

bool json_refuse(json *j, const char *error)
{
    if (!j->error)
        j->error = error;
    return false;
}

static char here(const json *j)
{
    return j->at < j->n_bytes ? j->text[j->at] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

char json_peek(json *j)
{
    if (j->error)
        return '\0';
    while (j->at < j->n_bytes &&
           (here(j) == ' ' || here(j) == '\t' || here(j) == '\n' || here(j) == '\r'))
        j->at++;
    return here(j);
}

static bool take(json *j, char c, const char *error)
{
    if (json_peek(j) != c || j->at == j->n_bytes)
        return json_refuse(j, error);
    j->at++;
    return true;
}

/* ---- Brackets ------------------------------------------------------------------------------ */

bool json_enter(json *j, char bracket)
{
    if (json_peek(j) != bracket)
        return json_refuse(j, bracket == '{' ? "an object is expected" : "an array is expected");
    if (j->depth == JSON_MAX_DEPTH)
        return json_refuse(j, "nested too deep");
    j->is_array = j->is_array << 1 | (bracket == '[');
    j->depth++;
    j->at++;
    j->is_first = true;
    return true;
}

static void leave(json *j)
{
    j->is_array >>= 1;
    j->depth--;
    j->at++;
    j->is_first = false;
}

bool json_more(json *j)
{
    if (json_peek(j) == ((j->is_array & 1) ? ']' : '}')) {
        leave(j);
        return false;
    }
    if (!j->is_first && !take(j, ',', "a comma or the closing bracket is expected"))
        return false;
    j->is_first = false;
    return !j->error;
}

/* ---- Strings ------------------------------------------------------------------------------- */

static bool take_hex(json *j, uint32_t *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++, j->at++) {
        const char c = here(j);
        const char lower = (char)(c | 0x20);
        if (is_digit(c))
            *value = *value << 4 | (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *value = *value << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return json_refuse(j, "four hexadecimal digits are expected");
    }
    return true;
}

/* What follows "\u": one code point, of two escapes where it takes a surrogate pair. */
static bool take_code_point(json *j, uint32_t *code_point)
{
    static const char lone[] = "half of a surrogate pair";
    uint32_t low;
    if (!take_hex(j, code_point))
        return false;
    if (*code_point < 0xd800 || *code_point > 0xdfff)
        return true;
    if (*code_point > 0xdbff || here(j) != '\\')
        return json_refuse(j, lone);
    j->at++;
    if (here(j) != 'u')
        return json_refuse(j, lone);
    j->at++;
    if (!take_hex(j, &low))
        return false;
    if (low < 0xdc00 || low > 0xdfff)
        return json_refuse(j, lone);
    *code_point = 0x10000 + ((*code_point - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* What follows a backslash. */
static size_t take_escape(json *j, char out[4])
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char c = here(j);
    const char *found = c ? strchr(letters, c) : NULL;
    uint32_t code_point;
    if (found) {
        j->at++;
        out[0] = meanings[found - letters];
        return 1;
    }
    if (c != 'u') {
        json_refuse(j, "an unknown escape");
        return 0;
    }
    j->at++;
    return take_code_point(j, &code_point) ? utf8_encode(out, code_point) : 0;
}

/* One character, as it is in the text or escaped; 0 after an error. */
static size_t take_character(json *j, char out[4])
{
    const char *at = j->text + j->at;
    if (j->at == j->n_bytes) {
        json_refuse(j, "a string without an end");
        return 0;
    }
    if (*at == '\\') {
        j->at++;
        return take_escape(j, out);
    }
    if ((unsigned char)*at < 0x20) {
        json_refuse(j, "a control character in a string");
        return 0;
    }
    const size_t length = utf8_sequence(at, j->n_bytes - j->at);
    if (length == 0)
        json_refuse(j, "not UTF-8");
    memcpy(out, at, length);
    j->at += length;
    return length;
}

const char *json_string(json *j, char **out, size_t *n_bytes)
{
    char *start = out ? *out : NULL;
    *n_bytes = 0;
    if (!take(j, '"', "a string is expected"))
        return NULL;
    while (here(j) != '"') {
        char character[4];
        const size_t length = take_character(j, character);
        if (length == 0)
            return NULL;
        if (start)
            memcpy(start + *n_bytes, character, length);
        *n_bytes += length;
    }
    j->at++;
    if (!out)
        return j->text;
    *out = start + *n_bytes;
    return start;
}

const char *json_key(json *j, char **out, size_t *n_bytes)
{
    const char *key = json_string(j, out, n_bytes);
    return key && take(j, ':', "a colon is expected") ? key : NULL;
}

/* ---- Numbers and the rest ------------------------------------------------------------------ */

static size_t take_digits(json *j)
{
    const size_t start = j->at;
    while (is_digit(here(j)))
        j->at++;
    return j->at - start;
}

/* A number's integer part: no zero in front of other digits. */
static bool take_integer(json *j)
{
    const bool is_zero = here(j) == '0';
    const size_t n_digits = take_digits(j);
    return (n_digits > 0 && (!is_zero || n_digits == 1)) || json_refuse(j, "not a number");
}

bool json_u64(json *j, uint64_t *value)
{
    static const char wrong[] = "an integer from 0 to 2^64 - 1 is expected";
    if (!is_digit(json_peek(j)))
        return json_refuse(j, wrong);
    const size_t start = j->at;
    if (!take_integer(j) || here(j) == '.' || here(j) == 'e' || here(j) == 'E')
        return json_refuse(j, wrong);
    *value = 0;
    for (size_t i = start; i < j->at; i++) {
        const uint64_t digit = (uint64_t)(j->text[i] - '0');
        if (*value > (UINT64_MAX - digit) / 10)
            return json_refuse(j, wrong);
        *value = *value * 10 + digit;
    }
    return true;
}

static bool skip_number(json *j)
{
    if (here(j) == '-')
        j->at++;
    if (!take_integer(j))
        return false;
    if (here(j) == '.') {
        j->at++;
        if (take_digits(j) == 0)
            return json_refuse(j, "digits are expected after the point");
    }
    if (here(j) == 'e' || here(j) == 'E') {
        j->at++;
        if (here(j) == '+' || here(j) == '-')
            j->at++;
        if (take_digits(j) == 0)
            return json_refuse(j, "digits are expected in the exponent");
    }
    return true;
}

static bool skip_word(json *j)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const size_t length = strlen(words[i]);
        if (j->n_bytes - j->at >= length && memcmp(j->text + j->at, words[i], length) == 0) {
            j->at += length;
            return true;
        }
    }
    return json_refuse(j, "a value is expected");
}

static bool skip_scalar(json *j, char first)
{
    size_t n_bytes;
    if (first == '"')
        return json_string(j, NULL, &n_bytes) != NULL;
    return first == '-' || is_digit(first) ? skip_number(j) : skip_word(j);
}

bool json_skip(json *j)
{
    const unsigned outside = j->depth;
    do {
        const char first = json_peek(j);
        size_t n_bytes;
        if (first == '{' || first == '[' ? !json_enter(j, first) : !skip_scalar(j, first))
            return false;
        while (j->depth > outside && !json_more(j))
            if (j->error)
                return false;
        if (j->depth > outside && !(j->is_array & 1) && !json_key(j, NULL, &n_bytes))
            return false;
    } while (j->depth > outside);
    return true;
}

bool json_end(json *j)
{
    json_peek(j);
    return !j->error && (j->at == j->n_bytes || json_refuse(j, "something follows the value"));
}

/* ---- Keys ---------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const json_name *x = a, *y = b;
    if (x->n_bytes != y->n_bytes)
        return x->n_bytes < y->n_bytes ? -1 : 1;
    return x->n_bytes ? memcmp(x->bytes, y->bytes, x->n_bytes) : 0;
}

const json_name *json_find_twin(json_name *names, size_t n)
{
    if (n > 1)
        qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; i < n; i++)
        if (compare_names(&names[i - 1], &names[i]) == 0)
            return &names[i];
    return NULL;
}

bool json_is(const char *bytes, size_t n_bytes, const char *expected)
{
    return n_bytes == strlen(expected) && memcmp(bytes, expected, n_bytes) == 0;
}
