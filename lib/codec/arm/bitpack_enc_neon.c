/*
 * Packing numbers of equal width with NEON: eight of them move together by pairs, then by fours
 * within each quadword; table lookups close the gap between the two quadwords, which take `width`
 * bytes.
 */
#include "codec/bitpack_enc.h"
#include "codec/bits_fmt.h"

#include "nq/context.h"

#if NQI_ARM64

#include <arm_neon.h>

/* In the low bits of each number, pair and four: masks, and by how much what lies above moves
 * (shifts to the left). */
typedef struct plan {
    uint16x8_t one;
    uint32x4_t pair;
    uint64x2_t four;
    int32x4_t pair_shift;
    int64x2_t four_shift;
    int64x2_t begin;  /* bits: quadwords that begin within a byte of the output */
    uint8x16_t lower; /* bytes of the even quadword, by where they come from */
    uint8x16_t upper; /* of the odd one; where a width is odd, the two share a byte */
} plan;

static plan make_plan(unsigned width)
{
    enum { NOTHING = 0xff };
    uint8_t lower[16], upper[16];
    const int64_t begin[2] = {0, 4 * (int64_t)(width % 2)};
    const unsigned middle = width / 2;
    for (unsigned i = 0; i < 16; i++) {
        lower[i] = (uint8_t)(i < middle + width % 2 ? i : NOTHING);
        upper[i] = (uint8_t)(i >= middle && i < width ? 8 + i - middle : NOTHING);
    }
    return (plan){.one = vdupq_n_u16((uint16_t)((1u << width) - 1)),
                  .pair = vdupq_n_u32((1u << width) - 1),
                  .four = vdupq_n_u64((UINT64_C(1) << 2 * width) - 1),
                  .pair_shift = vdupq_n_s32((int32_t)width - 16),
                  .four_shift = vdupq_n_s64(2 * (int64_t)width - 32),
                  .begin = vld1q_s64(begin),
                  .lower = vld1q_u8(lower),
                  .upper = vld1q_u8(upper)};
}

NQI_INLINE uint8x16_t pack(const plan *p, uint16x8_t numbers)
{
    const uint32x4_t ones = vreinterpretq_u32_u16(vandq_u16(numbers, p->one));
    const uint64x2_t pairs =
        vreinterpretq_u64_u32(vbslq_u32(p->pair, ones, vshlq_u32(ones, p->pair_shift)));
    const uint64x2_t fours = vbslq_u64(p->four, pairs, vshlq_u64(pairs, p->four_shift));
    const uint8x16_t begun = vreinterpretq_u8_u64(vshlq_u64(fours, p->begin));
    return vorrq_u8(vqtbl1q_u8(begun, p->lower), vqtbl1q_u8(begun, p->upper));
}

static uint32_t pack_neon(uint8_t *out, const uint16_t *numbers, size_t n, unsigned width)
{
    uint16x8_t largest = vdupq_n_u16(0);
    size_t left = (size_t)nqi_packed_bytes(n, width);
    if (width > 0) {
        const plan p = make_plan(width);
        for (; n >= 8 && left >= 16; n -= 8, left -= width) {
            const uint16x8_t now = vld1q_u16(numbers);
            vst1q_u8(out, pack(&p, now));
            largest = vmaxq_u16(largest, now);
            numbers += 8;
            out += width;
        }
    }
    const uint32_t most = nqi_pack_u16(out, numbers, n, width), of_whole = vmaxvq_u16(largest);
    return NQI_MAX(most, of_whole);
}

nqi_pack_fn nqi_pack_neon(uint64_t cpu)
{
    return cpu & NQ_CPU_NEON ? pack_neon : NULL;
}

#else

nqi_pack_fn nqi_pack_neon(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
