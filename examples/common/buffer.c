/*
 * A growing run of bytes: see buffer.h.
 */
#include "common/buffer.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

void buffer_free(buffer *b)
{
    free(b->bytes);
    *b = (buffer){0};
}

/* Makes room for n_bytes more. */
static bool reserve(buffer *b, size_t n_bytes)
{
    if (b->failed || n_bytes <= b->capacity - b->n_bytes)
        return !b->failed;
    size_t capacity = b->capacity < 256 ? 256 : b->capacity;
    while (capacity - b->n_bytes < n_bytes && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    char *bytes = capacity - b->n_bytes < n_bytes ? NULL : realloc(b->bytes, capacity);
    if (!bytes) {
        b->failed = true;
        return false;
    }
    b->bytes = bytes;
    b->capacity = capacity;
    return true;
}

void buffer_append(buffer *b, const void *bytes, size_t n_bytes)
{
    if (n_bytes == 0 || !reserve(b, n_bytes))
        return;
    memcpy(b->bytes + b->n_bytes, bytes, n_bytes);
    b->n_bytes += n_bytes;
}

void buffer_text(buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text));
}

void buffer_printf(buffer *b, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0)
        b->failed = true;
    else if (reserve(b, (size_t)length + 1)) {
        (void)vsnprintf(b->bytes + b->n_bytes, (size_t)length + 1, format, again);
        b->n_bytes += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

/* What stands for an ASCII character that cannot stand for itself; NULL if it can. */
static const char *escape(char out[8], unsigned char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = c ? strchr(plain, c) : NULL;
    if (found)
        (void)snprintf(out, 8, "\\%c", letters[found - plain]);
    else if (c < 0x20 || c == 0x7f)
        (void)snprintf(out, 8, "\\u%04x", c);
    else
        return NULL;
    return out;
}

void buffer_json_string(buffer *b, const char *text, size_t n_bytes)
{
    buffer_text(b, "\"");
    for (size_t at = 0; at < n_bytes;) {
        char escaped[8];
        const size_t length = utf8_sequence(text + at, n_bytes - at);
        const char *instead = length ? escape(escaped, (unsigned char)text[at]) : "\xef\xbf\xbd";
        if (instead)
            buffer_text(b, instead);
        else
            buffer_append(b, text + at, length);
        at += length ? length : 1;
    }
    buffer_text(b, "\"");
}

/* What has up to DBL_DIG digits survives being a normal double, so fewer need not be tried: zeros
 * at the end are not printed. */
const char *shortest_double(char out[32], double value)
{
    const int least = fabs(value) < DBL_MIN ? 1 : DBL_DIG;
    for (int digits = least; digits <= DBL_DECIMAL_DIG; digits++) {
        (void)snprintf(out, 32, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    return out;
}

void buffer_json_double(buffer *b, double value)
{
    char text[32];
    if (isfinite(value))
        buffer_text(b, shortest_double(text, value));
    else
        buffer_text(b, "null");
}
