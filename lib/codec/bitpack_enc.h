/*
 * Numbers of equal width behind each other, low bit first, without gaps: writing them.
 */
#ifndef NQI_BITPACK_ENC_H
#define NQI_BITPACK_ENC_H

#include "base/common.h"

/* Writes the low `width` bits, 0..16, of n numbers: exactly nqi_packed_bytes(n, width) bytes, the
 * last one filled up with zeros. Returns the largest number, 0 of none. */
uint32_t nqi_pack_u16(uint8_t *out, const uint16_t *numbers, size_t n, unsigned width);

/* The same, by what there is of the CPU's NQ_CPU_* features. */
typedef uint32_t (*nqi_pack_fn)(uint8_t *out, const uint16_t *numbers, size_t n, unsigned width);

nqi_pack_fn nqi_pack_for(uint64_t cpu);

/* NULL where the CPU does not have it. */
nqi_pack_fn nqi_pack_avx512(uint64_t cpu);
nqi_pack_fn nqi_pack_avx2(uint64_t cpu);
nqi_pack_fn nqi_pack_neon(uint64_t cpu);

#endif
