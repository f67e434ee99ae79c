/*
 * Numbers of equal width behind each other, low bit first, without gaps: reading them. Part of the
 * decoder.
 */
#ifndef NQI_BITPACK_DEC_H
#define NQI_BITPACK_DEC_H

#include "base/common.h"

/* The first n numbers of `width` bits, 0..16, in `bytes`, of which nqi_packed_bytes(n, width) are
 * read and no others. */
void nqi_unpack_u16(uint16_t *out, const uint8_t *bytes, size_t n, unsigned width);

/* The same for widths up to 8. */
void nqi_unpack_u8(uint8_t *out, const uint8_t *bytes, size_t n, unsigned width);

/* The same two, by what there is of the CPU's NQ_CPU_* features. */
typedef struct nqi_unpack_kernels {
    void (*u16)(uint16_t *out, const uint8_t *bytes, size_t n, unsigned width);
    void (*u8)(uint8_t *out, const uint8_t *bytes, size_t n, unsigned width);
    /* Puts numbers, of 1..8 bits, below the low bits of the bytes of `upper`: of the first ones, a
     * multiple of eight, and returns how many. *largest becomes no less than any. out may be
     * upper. NULL: unpacking first is as fast. */
    size_t (*join_u8)(uint8_t *out, uint8_t *largest, const uint8_t *upper, const uint8_t *bytes,
                      size_t n, unsigned width);
} nqi_unpack_kernels;

const nqi_unpack_kernels *nqi_unpack_kernels_for(uint64_t cpu);

/* NULL where the CPU does not have it. */
const nqi_unpack_kernels *nqi_unpack_kernels_avx512(uint64_t cpu);
const nqi_unpack_kernels *nqi_unpack_kernels_avx2(uint64_t cpu);
const nqi_unpack_kernels *nqi_unpack_kernels_neon(uint64_t cpu);

#endif
