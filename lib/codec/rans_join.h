/*
 * Putting indices together from symbols and low bits, to be compiled for each kernel: low bits are
 * unpacked a chunk at a time, and compilers make vectors of the rest. Part of the decoder.
 */
#ifndef NQI_RANS_JOIN_H
#define NQI_RANS_JOIN_H

#include "codec/bitpack_dec.h"
#include "codec/rans_run.h"

enum { NQI_RANS_JOIN_CHUNK = 512 }; /* a multiple of eight, so whole bytes of low bits */

NQI_INLINE uint32_t nqi_rans_join_u16_with(const nqi_unpack_kernels *unpack, uint16_t *out,
                                           const uint8_t *symbols, const uint8_t *low, size_t n,
                                           unsigned low_bits, uint32_t base)
{
    uint16_t bits[NQI_RANS_JOIN_CHUNK], largest = 0;
    for (size_t done = 0, now; done < n; done += now) {
        now = NQI_MIN(n - done, (size_t)NQI_RANS_JOIN_CHUNK);
        unpack->u16(bits, low, now, low_bits);
        for (size_t i = 0; i < now; i++) {
            const uint32_t upper = (uint32_t)symbols[done + i] << low_bits;
            const uint16_t index = (uint16_t)(base + upper + bits[i]);
            out[done + i] = index;
            largest = NQI_MAX(largest, index);
        }
        low += NQI_RANS_JOIN_CHUNK / 8 * low_bits;
    }
    return largest;
}

NQI_INLINE uint32_t nqi_rans_join_u8_with(const nqi_unpack_kernels *unpack, uint8_t *out,
                                          const uint8_t *symbols, const uint8_t *low, size_t n,
                                          unsigned low_bits)
{
    uint8_t bits[NQI_RANS_JOIN_CHUNK], largest = 0;
    for (size_t done = 0, now; done < n; done += now) {
        now = NQI_MIN(n - done, (size_t)NQI_RANS_JOIN_CHUNK);
        unpack->u8(bits, low, now, low_bits);
        for (size_t i = 0; i < now; i++) {
            const uint8_t index = (uint8_t)(((unsigned)symbols[done + i] << low_bits) + bits[i]);
            out[done + i] = index;
            largest = NQI_MAX(largest, index);
        }
        low += NQI_RANS_JOIN_CHUNK / 8 * low_bits;
    }
    return largest;
}

#endif
