/*
 * From indices back to the elements that were coded without loss, or to their values. Part of the
 * decoder.
 */
#ifndef NQI_PATTERNS_DEC_H
#define NQI_PATTERNS_DEC_H

#include "base/common.h"

/* n elements of a type in host order, at any address, from their indices (of a byte where there are
 * 256 of them, else u16) and their raw bytes. */
void nqi_patterns_emit(uint8_t *out, uint32_t dtype, const void *indices, const uint8_t *raw,
                       size_t n);

/* The values of n elements of NQ_F32, NQ_F16 or NQ_BF16 as f32, in the same way. */
void nqi_patterns_f32(uint8_t *out, uint32_t dtype, const uint16_t *indices, const uint8_t *raw,
                      size_t n);

#endif
