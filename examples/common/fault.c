/*
 * Messages: see fault.h. Never allocates, so that running out of memory can be told.
 */
#include "common/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

bool fault_set(fault *f, int kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    f->kind = kind;
    (void)vsnprintf(f->text, sizeof f->text, format, arguments);
    va_end(arguments);
    return false;
}

bool fault_errno(fault *f, const char *label, const char *what)
{
    const int kind = errno == ENOMEM ? FAULT_MEMORY : FAULT_IO;
    return fault_set(f, kind, "%s: %s: %s", label, what, strerror(errno));
}

bool fault_memory(fault *f, const char *label)
{
    return fault_set(f, FAULT_MEMORY, "%s: out of memory", label);
}

/* One character of the name as it is shown; `n` receives the bytes it takes in the name. */
static size_t show(char out[8], const char *at, size_t left, size_t *n)
{
    const unsigned char byte = (unsigned char)at[0];
    *n = utf8_sequence(at, left);
    if (*n == 0 || byte < 0x20 || byte == 0x7f) {
        *n = 1;
        return (size_t)snprintf(out, 8, "\\x%02x", byte);
    }
    size_t length = 0;
    if (byte == '"' || byte == '\\')
        out[length++] = '\\';
    memcpy(out + length, at, *n);
    return length + *n;
}

const char *fault_quote(char out[QUOTED_BYTES], const char *name, size_t n_bytes)
{
    static const char more[] = "...\"";
    size_t length = 0;
    out[length++] = '"';
    for (size_t at = 0, n; at < n_bytes; at += n) {
        char shown[8];
        const size_t width = show(shown, name + at, n_bytes - at, &n);
        if (length + width + sizeof more > QUOTED_BYTES) {
            memcpy(out + length, more, sizeof more);
            return out;
        }
        memcpy(out + length, shown, width);
        length += width;
    }
    memcpy(out + length, "\"", 2);
    return out;
}
