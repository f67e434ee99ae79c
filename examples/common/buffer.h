/*
 * A growing run of bytes, for texts that are written out in one piece. Running out of memory
 * sticks: append what there is to append, then ask `failed` once.
 */
#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct buffer {
    char *bytes;
    size_t n_bytes;
    size_t capacity;
    bool failed;
} buffer;

/* Starts as {0}. */
void buffer_free(buffer *b);
void buffer_append(buffer *b, const void *bytes, size_t n_bytes);
void buffer_text(buffer *b, const char *text);
void buffer_printf(buffer *b, const char *format, ...);

/*
 * A JSON string, quotes included. Everything but quotes, backslashes and control characters stands
 * for itself; bytes that are not UTF-8 become U+FFFD.
 */
void buffer_json_string(buffer *b, const char *text, size_t n_bytes);

/* The fewest digits that read back as this number, which is returned in `out`. */
const char *shortest_double(char out[32], double value);

/* A JSON number, as short as that; null if not finite. */
void buffer_json_double(buffer *b, double value);

#endif
