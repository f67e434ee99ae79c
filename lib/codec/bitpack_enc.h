/*
 * Numbers of equal width behind each other, low bit first, without gaps: writing them.
 */
#ifndef NQI_BITPACK_ENC_H
#define NQI_BITPACK_ENC_H

#include "base/common.h"

/* Writes the low `width` bits, 0..16, of n numbers: exactly nqi_packed_bytes(n, width) bytes, the
 * last one filled up with zeros. */
void nqi_pack_u16(uint8_t *out, const uint16_t *numbers, size_t n, unsigned width);

#endif
