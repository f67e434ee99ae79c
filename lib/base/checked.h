/*
 * Arithmetic on sizes that tells when the result does not fit. Every product or sum in which a
 * number from a file or a caller takes part goes through here. Each function returns true when it
 * has stored the exact result, and false, storing nothing, when there is none.
 */
#ifndef NQI_CHECKED_H
#define NQI_CHECKED_H

#include "base/common.h"

NQI_MUST_CHECK static inline bool nqi_add_u64(uint64_t *sum, uint64_t a, uint64_t b)
{
    if (a > UINT64_MAX - b)
        return false;
    *sum = a + b;
    return true;
}

NQI_MUST_CHECK static inline bool nqi_mul_u64(uint64_t *product, uint64_t a, uint64_t b)
{
    if (b != 0 && a > UINT64_MAX / b)
        return false;
    *product = a * b;
    return true;
}

NQI_MUST_CHECK static inline bool nqi_add_size(size_t *sum, size_t a, size_t b)
{
    if (a > SIZE_MAX - b)
        return false;
    *sum = a + b;
    return true;
}

NQI_MUST_CHECK static inline bool nqi_mul_size(size_t *product, size_t a, size_t b)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *product = a * b;
    return true;
}

/* A 64-bit size in the machine's own size type. */
NQI_MUST_CHECK static inline bool nqi_to_size(size_t *size, uint64_t value)
{
    if (value > SIZE_MAX)
        return false;
    *size = (size_t)value;
    return true;
}

/* value rounded up to a multiple of alignment, a power of two. */
NQI_MUST_CHECK static inline bool nqi_round_up_size(size_t *rounded, size_t value, size_t alignment)
{
    if (!nqi_add_size(&value, value, alignment - 1))
        return false;
    *rounded = value & ~(alignment - 1);
    return true;
}

/* ceil(a / b) for b > 0, without overflow. */
static inline uint64_t nqi_div_up_u64(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

#endif
