/*
 * Numbers of bits that several codecs' formats speak of. Part of the decoder.
 */
#ifndef NQI_BITS_FMT_H
#define NQI_BITS_FMT_H

#include "base/common.h"

/* Bits that tell n things apart: ceil(log2 n), 0 for one. n is 1..2^31. */
static inline unsigned nqi_bits_for(uint32_t n)
{
    unsigned bits = 0;
    while ((UINT32_C(1) << bits) < n)
        bits++;
    return bits;
}

/* Bytes of n numbers of `width` bits, 0..16, packed. */
static inline uint64_t nqi_packed_bytes(uint64_t n, unsigned width)
{
    return n / 8 * width + (n % 8 * width + 7) / 8;
}

#endif
