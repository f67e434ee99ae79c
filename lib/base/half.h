/*
 * Half precision: IEEE binary16 and bfloat16 to and from binary32, in integer arithmetic, so that
 * every machine rounds alike (to nearest, ties to even; overflow to infinity; NaN stays NaN with
 * its top payload bits and becomes quiet; denormals are kept).
 */
#ifndef NQI_HALF_H
#define NQI_HALF_H

#include "base/bytes.h"
#include "base/common.h"

static inline float nqi_f16_to_f32(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t exponent = (half >> 10) & 0x1fu;
    uint32_t mantissa = half & 0x3ffu;
    if (exponent == 0x1f)
        return nqi_f32_from_bits(sign | 0x7f800000u | (mantissa << 13));
    if (exponent != 0)
        return nqi_f32_from_bits(sign | ((exponent + 112) << 23) | (mantissa << 13));
    /* Zero or denormal: mantissa * 2^-24, exact in binary32. */
    const float magnitude = (float)mantissa * 0x1p-24f;
    return nqi_f32_from_bits(sign | nqi_f32_bits(magnitude));
}

static inline uint16_t nqi_f32_to_f16(float value)
{
    const uint32_t bits = nqi_f32_bits(value);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    if (magnitude >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { /* below 2^-14: denormal in binary16 */
        if (magnitude < 0x33000000u) /* below 2^-25: rounds to zero */
            return (uint16_t)sign;
        const uint32_t shift = 126u - (magnitude >> 23); /* 14..24 */
        const uint32_t full = (magnitude & 0x7fffffu) | 0x800000u;
        const uint32_t kept = full >> shift;
        const uint32_t rest = full & ((1u << shift) - 1);
        const uint32_t middle = 1u << (shift - 1);
        return (uint16_t)(sign | (kept + (rest > middle || (rest == middle && (kept & 1)))));
    }
    /* Normal: rebias, then round on the 13 bits that fall away; a carry moves the exponent. */
    const uint32_t rebiased = magnitude - (112u << 23);
    const uint32_t rounded = rebiased + 0xfffu + ((rebiased >> 13) & 1);
    return (uint16_t)(sign | (rounded >> 13));
}

static inline float nqi_bf16_to_f32(uint16_t brain)
{
    return nqi_f32_from_bits((uint32_t)brain << 16);
}

static inline uint16_t nqi_f32_to_bf16(float value)
{
    const uint32_t bits = nqi_f32_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}

#endif
