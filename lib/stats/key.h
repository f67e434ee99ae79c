/*
 * Floats as unsigned integers of the same order: a larger weight has a larger key, and neighbouring
 * floats have neighbouring keys. A key's upper bits therefore name an interval that holds equally
 * spaced floats, 2^12 of them for the upper twenty bits: bins that need no range, and whose width
 * keeps its proportion to the weight.
 */
#ifndef NQI_STATS_KEY_H
#define NQI_STATS_KEY_H

#include "base/bytes.h"
#include "base/common.h"

/* Lower bits of a key that a bin of a histogram leaves open. Eleven bits of mantissa stay, so that
 * each f16 and each bf16 has a bin of its own. */
#define NQI_PREFIX_SHIFT 12u
#define NQI_N_PREFIXES   (UINT32_C(1) << (32 - NQI_PREFIX_SHIFT))

/* Keys of the finite weights, and of +0. */
#define NQI_KEY_MIN  UINT32_C(0x00800000)
#define NQI_KEY_MAX  UINT32_C(0xff7fffff)
#define NQI_KEY_ZERO UINT32_C(0x80000000)

/* Of a float's bits, which are not those of -0. */
static inline uint32_t nqi_bits_key(uint32_t bits)
{
    return bits ^ ((0u - (bits >> 31)) | UINT32_C(0x80000000));
}

/* -0 has the key of +0: adding +0 turns one into the other, and changes nothing else. */
static inline uint32_t nqi_key(float weight)
{
    return nqi_bits_key(nqi_f32_bits(weight + 0.0f));
}

static inline float nqi_key_weight(uint32_t key)
{
    return nqi_f32_from_bits(key ^ (((key >> 31) - 1u) | UINT32_C(0x80000000)));
}

static inline bool nqi_key_is_finite(uint32_t key)
{
    return key >= NQI_KEY_MIN && key <= NQI_KEY_MAX;
}

/* Distance between the floats around a finite key: 2^(exponent - 23). */
static inline double nqi_key_spacing(uint32_t key)
{
    const uint32_t bits = nqi_f32_bits(nqi_key_weight(key));
    const uint32_t exponent = (bits >> 23) & 0xffu;
    return nqi_f64_from_bits((uint64_t)(1023 - 150 + (exponent ? exponent : 1)) << 52);
}

#endif
