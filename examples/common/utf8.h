/*
 * UTF-8: which bytes are well-formed (Unicode 15, table 3-7), and code points to bytes.
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed sequence at the start of `text`; 0 if there is none. n_bytes > 0. */
size_t utf8_sequence(const char *text, size_t n_bytes);

bool utf8_is_valid(const char *text, size_t n_bytes);

/* The code point of the well-formed sequence of n_bytes. */
uint32_t utf8_decode(const char *text, size_t n_bytes);

/* Writes a code point (no surrogate) and returns its bytes. */
size_t utf8_encode(char out[4], uint32_t code_point);

#endif
