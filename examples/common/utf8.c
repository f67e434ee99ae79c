/*
 * UTF-8: see utf8.h.
 */
#include "common/utf8.h"

#include <string.h>

/* Overlong forms, surrogates and what lies past U+10FFFF differ from the rest in the second byte.
 */
static bool is_second(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

static size_t length_of(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

size_t utf8_sequence(const char *text, size_t n_bytes)
{
    unsigned char bytes[4];
    const size_t length = length_of((unsigned char)text[0]);
    if (length == 0 || length > n_bytes)
        return 0;
    memcpy(bytes, text, length);
    if (length > 1 && !is_second(bytes[0], bytes[1]))
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

bool utf8_is_valid(const char *text, size_t n_bytes)
{
    size_t at = 0;
    while (at < n_bytes) {
        const size_t length = utf8_sequence(text + at, n_bytes - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

uint32_t utf8_decode(const char *text, size_t n_bytes)
{
    static const unsigned char first_bits[] = {0x7f, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code_point = (unsigned char)text[0] & first_bits[n_bytes];
    for (size_t i = 1; i < n_bytes; i++)
        code_point = code_point << 6 | ((unsigned char)text[i] & 0x3f);
    return code_point;
}

size_t utf8_encode(char out[4], uint32_t code_point)
{
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    const size_t length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; code_point >>= 6)
        out[i] = (char)(0x80 | (code_point & 0x3f));
    out[0] = (char)(marks[length] | code_point);
    return length;
}
