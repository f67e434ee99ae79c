/*
 * From elements to the indices of their bit patterns: see patterns_fmt.h.
 */
#ifndef NQI_PATTERNS_ENC_H
#define NQI_PATTERNS_ENC_H

#include "base/common.h"
#include "codec/patterns_fmt.h"

/* Indices of n elements of a type that has some, in host order, at any address. */
void nqi_patterns_load(uint16_t *indices, uint32_t dtype, const uint8_t *elements, size_t n);

/* What the indices lack: nqi_pattern_raw_bytes(dtype) for each element. */
void nqi_patterns_load_raw(uint8_t *raw, uint32_t dtype, const uint8_t *elements, size_t n);

#endif
