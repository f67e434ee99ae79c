/*
 * Globs: see glob.h. After a mismatch only the last star is tried again, one character further:
 * an earlier one could not do better. So the time is at most the product of both lengths.
 */
#include "glob.h"

#include <stdint.h>
#include <string.h>

#include "common/utf8.h"

/* A text that is read character by character. */
typedef struct reader {
    const char *text;
    size_t n_bytes;
    size_t at;
} reader;

static bool is_over(const reader *r)
{
    return r->at == r->n_bytes;
}

/* The next character; bytes that are not UTF-8 get numbers past all characters. */
static uint32_t next(reader *r)
{
    const char *at = r->text + r->at;
    const size_t length = utf8_sequence(at, r->n_bytes - r->at);
    r->at += length ? length : 1;
    return length ? utf8_decode(at, length) : UINT32_C(0x110000) + (unsigned char)*at;
}

static bool skip(reader *r, char c)
{
    if (is_over(r) || r->text[r->at] != c)
        return false;
    r->at++;
    return true;
}

static uint32_t next_literal(reader *r)
{
    if (!is_over(r) && r->text[r->at] == '\\' && r->at + 1 < r->n_bytes)
        r->at++;
    return next(r);
}

/* Behind "[": whether `c` is one of the set. False in *is_set if there is no closing bracket. */
static bool match_set(reader *glob, uint32_t c, bool *is_set)
{
    reader r = *glob;
    bool is_in = false;
    const bool is_negated = skip(&r, '!') || skip(&r, '^');
    bool is_first = true;
    *is_set = false;
    while (!is_over(&r)) {
        if (!is_first && skip(&r, ']')) {
            *is_set = true;
            *glob = r;
            return is_in != is_negated;
        }
        is_first = false;
        const uint32_t low = next_literal(&r);
        uint32_t high = low;
        const bool is_range =
            r.at + 1 < r.n_bytes && r.text[r.at] == '-' && r.text[r.at + 1] != ']';
        if (is_range) {
            r.at++;
            high = next_literal(&r);
        }
        is_in = is_in || (low <= c && c <= high);
    }
    return false;
}

/* One character of the name against what the glob says next, no star. */
static bool match_one(reader *glob, uint32_t c)
{
    bool is_set;
    if (skip(glob, '?'))
        return true;
    if (skip(glob, '[')) {
        const bool matches = match_set(glob, c, &is_set);
        return is_set ? matches : c == '[';
    }
    return next_literal(glob) == c;
}

bool glob_match(const char *glob, size_t glob_bytes, const char *name, size_t name_bytes)
{
    reader g = {glob, glob_bytes, 0}, n = {name, name_bytes, 0};
    reader star_g = {0}, star_n = {0};
    bool has_star = false;
    while (!is_over(&n)) {
        if (skip(&g, '*')) {
            has_star = true;
            star_g = g;
            star_n = n;
            continue;
        }
        const uint32_t c = next(&n);
        if (!is_over(&g) && match_one(&g, c))
            continue;
        if (!has_star)
            return false;
        next(&star_n);
        n = star_n;
        g = star_g;
    }
    while (skip(&g, '*'))
        continue;
    return is_over(&g);
}
