/*
 * Putting indices together from symbols and low bits, to be compiled for each kernel: low bits are
 * unpacked a chunk at a time, and compilers make vectors of the rest. Part of the decoder.
 */
#ifndef NQI_RANS_JOIN_H
#define NQI_RANS_JOIN_H

#include <string.h>

#include "codec/bitpack_dec.h"
#include "codec/code_dec.h"
#include "codec/rans_run.h"

enum { NQI_RANS_JOIN_CHUNK = NQI_PIECE }; /* a multiple of eight, so whole bytes of low bits */

NQI_INLINE uint32_t nqi_rans_join_u16_with(const nqi_unpack_kernels *unpack, uint16_t *out,
                                           const uint8_t *symbols, const uint8_t *low, size_t n,
                                           unsigned low_bits, uint32_t base)
{
    uint16_t bits[NQI_RANS_JOIN_CHUNK], largest = 0;
    const uint16_t factor = (uint16_t)(1u << low_bits), first = (uint16_t)base;
    for (size_t done = 0, now; done < n; done += now) {
        now = NQI_MIN(n - done, (size_t)NQI_RANS_JOIN_CHUNK);
        unpack->u16(bits, low, now, low_bits);
        for (size_t i = 0; i < now; i++) {
            const uint16_t index = (uint16_t)(symbols[done + i] * factor + first + bits[i]);
            out[done + i] = index;
            largest = NQI_MAX(largest, index);
        }
        low += NQI_RANS_JOIN_CHUNK / 8 * low_bits;
    }
    return largest;
}

/* Eight at a time: what moves up leaves its byte on no side. */
NQI_INLINE void nqi_rans_shift_in(uint8_t *out, const uint8_t *symbols, const uint8_t *bits,
                                  size_t n, unsigned low_bits)
{
    const uint64_t keep = (UINT8_MAX >> low_bits) * UINT64_C(0x0101010101010101);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t upper, lower;
        memcpy(&upper, symbols + i, sizeof upper);
        memcpy(&lower, bits + i, sizeof lower);
        upper = (upper & keep) << low_bits | lower;
        memcpy(out + i, &upper, sizeof upper);
    }
    for (; i < n; i++)
        out[i] = (uint8_t)(((unsigned)symbols[i] << low_bits) | bits[i]);
}

NQI_INLINE uint32_t nqi_rans_join_u8_with(const nqi_unpack_kernels *unpack, uint8_t *out,
                                          const uint8_t *symbols, const uint8_t *low, size_t n,
                                          unsigned low_bits)
{
    uint8_t bits[NQI_RANS_JOIN_CHUNK], largest = 0;
    size_t begin = 0;
    if (unpack->join_u8 && low_bits > 0)
        begin = unpack->join_u8(out, &largest, symbols, low, n, low_bits);
    low += begin / 8 * low_bits;
    for (size_t done = begin, now; done < n; done += now) {
        now = NQI_MIN(n - done, (size_t)NQI_RANS_JOIN_CHUNK);
        unpack->u8(bits, low, now, low_bits);
        nqi_rans_shift_in(out + done, symbols + done, bits, now, low_bits);
        for (size_t i = 0; i < now; i++)
            largest = NQI_MAX(largest, out[done + i]);
        low += NQI_RANS_JOIN_CHUNK / 8 * low_bits;
    }
    return largest;
}

#endif
