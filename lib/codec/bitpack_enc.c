/*
 * Packing numbers of equal width: the steps of bitpack_dec.c backwards.
 */
#include "codec/bitpack_enc.h"

#include "base/bytes.h"
#include "codec/bits_fmt.h"
#include "codec/word.h"

#define GROUP 8u

static uint64_t ones(unsigned bits)
{
    return (UINT64_C(1) << bits) - 1;
}

typedef struct gather16 {
    uint64_t one; /* the number in each lane of 32 bits */
    uint64_t two; /* two numbers */
    unsigned width;
} gather16;

static gather16 make_gather16(unsigned width)
{
    return (gather16){
        .one = ones(width) * UINT64_C(0x0000000100000001), .two = ones(2 * width), .width = width};
}

/* Four numbers become four fields of g->width bits. */
NQI_INLINE uint64_t gather_fields(const uint16_t *numbers, const gather16 *g)
{
    const uint64_t word = (uint64_t)numbers[0] | ((uint64_t)numbers[1] << 16) |
                          ((uint64_t)numbers[2] << 32) | ((uint64_t)numbers[3] << 48);
    const uint64_t pairs = (word & g->one) | ((word >> 16 & g->one) << g->width);
    return (pairs & g->two) | ((pairs >> 32 & g->two) << (2 * g->width));
}

/* Writes 16 bytes, of which the first g->width count. */
NQI_INLINE void pack_group(uint8_t *out, const uint16_t *numbers, const gather16 *g)
{
    const uint64_t lower = gather_fields(numbers, g);
    const uint64_t upper = gather_fields(numbers + 4, g);
    const unsigned half = g->width / 2; /* whole bytes of `lower` */
    nqi_store_word(out, lower);
    /* By 8 * half bits, of which there may be 64. */
    nqi_store_word(out + half,
                   (lower >> (4 * half) >> (4 * half)) | (upper << (4 * (g->width % 2))));
}

static uint32_t largest_of(const uint16_t *numbers, size_t n)
{
    uint16_t largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = NQI_MAX(largest, numbers[i]);
    return largest;
}

uint32_t nqi_pack_u16(uint8_t *out, const uint16_t *numbers, size_t n, unsigned width)
{
    const uint32_t largest = largest_of(numbers, n);
    if (width == 0)
        return largest;
    const gather16 g = make_gather16(width);
    size_t left = (size_t)nqi_packed_bytes(n, width);
    for (; n >= GROUP && left >= 16; n -= GROUP, left -= width) {
        pack_group(out, numbers, &g);
        numbers += GROUP;
        out += width;
    }
    while (n > 0) { /* the last groups: no sixteen bytes may be left to write */
        uint16_t group[GROUP] = {0};
        uint8_t packed[16];
        const size_t now = NQI_MIN(n, GROUP);
        const size_t used = NQI_MIN(left, width);
        memcpy(group, numbers, now * sizeof *group);
        pack_group(packed, group, &g);
        memcpy(out, packed, used);
        numbers += now;
        out += used;
        left -= used;
        n -= now;
    }
    return largest;
}

nqi_pack_fn nqi_pack_for(uint64_t cpu)
{
    const nqi_pack_fn avx512 = nqi_pack_avx512(cpu);
    const nqi_pack_fn avx2 = nqi_pack_avx2(cpu);
    const nqi_pack_fn neon = nqi_pack_neon(cpu);
    return avx512 ? avx512 : avx2 ? avx2 : neon ? neon : nqi_pack_u16;
}
