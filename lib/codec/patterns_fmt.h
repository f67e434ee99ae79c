/*
 * Elements that are coded without loss: their bit patterns become indices, one to one, and what an
 * index has no room for lies in the block as it is. docs/format/nq-v1.md, "Patterns". Part of the
 * decoder.
 */
#ifndef NQI_PATTERNS_FMT_H
#define NQI_PATTERNS_FMT_H

#include "base/common.h"
#include "nq/types.h"

/* How patterns are turned, so that those of numbers that are alike lie together and what cannot be
 * foretold lies in the low bits. */
enum {
    NQI_PATTERN_SAME,
    NQI_PATTERN_BIASED, /* the sign bit inverted: signed integers in their order */
    NQI_PATTERN_TURNED  /* to the left by one: exponent, mantissa, sign */
};

static inline uint32_t nqi_pattern_turn(uint32_t dtype)
{
    switch (dtype) {
    case NQ_I8:
    case NQ_I16:
        return NQI_PATTERN_BIASED;
    case NQ_F32:
    case NQ_F16:
    case NQ_BF16:
    case NQ_F8_E5M2:
    case NQ_F8_E4M3:
        return NQI_PATTERN_TURNED;
    default:
        return NQI_PATTERN_SAME;
    }
}

/* Indices that there are for patterns of a type; 0 if they cannot be coded. */
static inline uint32_t nqi_pattern_indices(uint32_t dtype)
{
    const uint32_t bits = nq_dtype_bits(dtype);
    return bits == 8 ? 256 : bits == 16 || dtype == NQ_F32 ? 65536 : 0;
}

/* Bytes of an element that follow the coded indices in a block. */
static inline unsigned nqi_pattern_raw_bytes(uint32_t dtype)
{
    return dtype == NQ_F32 ? 2 : 0;
}

#endif
