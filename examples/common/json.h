/*
 * A strict JSON reader (RFC 8259) that is asked for one thing after another and builds no tree: its
 * memory does not grow with its input. Strings must be UTF-8 and are handed out decoded, surrogate
 * pairs joined, "\u0000" included; lone surrogates are errors. Nesting is limited. The order of
 * members is the text's; json_find_twin finds keys that were given twice.
 *
 *     json_enter(&j, '{');
 *     while (json_more(&j)) {
 *         const char *key = json_key(&j, &memory, &n_bytes);
 *         ... json_string, json_u64, json_enter, json_skip: the member's value
 *     }
 *     if (j.error) ... at byte j.at
 *
 * After the first error every function fails.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 64

typedef struct json {
    const char *text; /* borrowed */
    size_t n_bytes;
    size_t at;
    const char *error; /* NULL, or what is wrong at byte `at` */
    uint64_t is_array; /* a bit for each open bracket, the innermost lowest */
    unsigned depth;
    bool is_first; /* no member of the innermost bracket was read yet */
} json;

void json_init(json *j, const void *text, size_t n_bytes);

/* The first character of the next value ('"', '{', '[', 't', '-' ...), 0 at the end. */
char json_peek(json *j);

/* Opens an object '{' or an array '['. */
bool json_enter(json *j, char bracket);

/* Whether the innermost bracket has another member; closes it if not. False after an error. */
bool json_more(json *j);

/*
 * A string, decoded to *out, which must have room for what is left of the text (no string grows by
 * decoding). Returns where it starts, moves *out behind it, and stores its length; NULL after an
 * error. With out NULL it is checked and dropped, and what is returned means nothing.
 */
const char *json_string(json *j, char **out, size_t *n_bytes);

/* The same for the key of a member, and the colon. */
const char *json_key(json *j, char **out, size_t *n_bytes);

/* An integer 0..2^64-1 without sign, fraction or exponent. */
bool json_u64(json *j, uint64_t *value);

/* Any value, checked and dropped. */
bool json_skip(json *j);

/* Whether nothing but space follows; an error if something does. */
bool json_end(json *j);

/* A wrong value that the caller found, at the place last read. Always false. */
bool json_refuse(json *j, const char *error);

/* ---- Keys ---------------------------------------------------------------------------------- */

typedef struct json_name {
    const char *bytes;
    size_t n_bytes;
} json_name;

/* Sorts the names and returns one that is there twice, or NULL. */
const json_name *json_find_twin(json_name *names, size_t n);

/* Whether a string has just the characters of `expected`. */
bool json_is(const char *bytes, size_t n_bytes, const char *expected);

#endif
