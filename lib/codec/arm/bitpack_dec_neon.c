/*
 * Unpacking numbers of equal width with NEON: a table lookup brings the bytes that a number lies in
 * to its place, a shift of each place by its own distance does the rest. Eight numbers take `width`
 * bytes, so groups of eight begin at whole bytes. Part of the decoder.
 */
#include "codec/bitpack_dec.h"
#include "codec/bits_fmt.h"

#include "nq/context.h"

#if NQI_ARM64

#include <arm_neon.h>

/* ---- Widths up to 8 ------------------------------------------------------------------------ */

/* Eight numbers in words of 16 bits: a number lies in two bytes at most. */
typedef struct narrow {
    uint8x16_t sources;
    int16x8_t shifts;
    uint16x8_t mask;
} narrow;

static narrow make_narrow(unsigned width)
{
    uint8_t sources[16];
    int16_t shifts[8];
    for (unsigned i = 0; i < 8; i++) {
        const unsigned bit = i * width;
        sources[2 * i] = (uint8_t)(bit / 8);
        sources[2 * i + 1] = (uint8_t)(bit / 8 + 1);
        shifts[i] = (int16_t)(0 - (int)(bit % 8));
    }
    return (narrow){vld1q_u8(sources), vld1q_s16(shifts),
                    vdupq_n_u16((uint16_t)((1u << width) - 1))};
}

NQI_INLINE uint16x8_t unpack_narrow(const narrow *p, const uint8_t *bytes)
{
    const uint16x8_t words = vreinterpretq_u16_u8(vqtbl1q_u8(vld1q_u8(bytes), p->sources));
    return vandq_u16(vshlq_u16(words, p->shifts), p->mask);
}

static void unpack_u8(uint8_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    const narrow p = make_narrow(width);
    size_t left = (size_t)nqi_packed_bytes(n, width);
    for (; n >= 16 && left >= width + 16; n -= 16, left -= 2 * width) {
        const uint16x8_t a = unpack_narrow(&p, bytes), b = unpack_narrow(&p, bytes + width);
        vst1q_u8(out, vcombine_u8(vmovn_u16(a), vmovn_u16(b)));
        out += 16;
        bytes += 2 * width;
    }
    nqi_unpack_u8(out, bytes, n, width);
}

static void unpack_narrow_u16(uint16_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    const narrow p = make_narrow(width);
    size_t left = (size_t)nqi_packed_bytes(n, width);
    for (; n >= 8 && left >= 16; n -= 8, left -= width) {
        vst1q_u16(out, unpack_narrow(&p, bytes));
        out += 8;
        bytes += width;
    }
    nqi_unpack_u16(out, bytes, n, width);
}

/* ---- Widths from 9 on ---------------------------------------------------------------------- */

/* Four numbers in words of 32 bits. Of a group, the upper four begin within a byte where the width
 * is odd. */
typedef struct wide {
    uint8x16_t sources;
    int32x4_t shifts;
    uint32x4_t mask;
} wide;

static wide make_wide(unsigned width, unsigned first_bit)
{
    uint8_t sources[16];
    int32_t shifts[4];
    for (unsigned i = 0; i < 4; i++) {
        const unsigned bit = first_bit + i * width;
        for (unsigned k = 0; k < 4; k++)
            sources[4 * i + k] = (uint8_t)(bit / 8 + k);
        shifts[i] = 0 - (int32_t)(bit % 8);
    }
    return (wide){vld1q_u8(sources), vld1q_s32(shifts), vdupq_n_u32((1u << width) - 1)};
}

NQI_INLINE uint16x4_t unpack_wide(const wide *p, const uint8_t *bytes)
{
    const uint32x4_t words = vreinterpretq_u32_u8(vqtbl1q_u8(vld1q_u8(bytes), p->sources));
    return vmovn_u32(vandq_u32(vshlq_u32(words, p->shifts), p->mask));
}

static void unpack_u16(uint16_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    if (width <= 8) {
        unpack_narrow_u16(out, bytes, n, width);
        return;
    }
    const wide first = make_wide(width, 0), second = make_wide(width, width % 2 * 4);
    size_t left = (size_t)nqi_packed_bytes(n, width);
    for (; n >= 8 && left >= width / 2 + 16; n -= 8, left -= width) {
        vst1q_u16(
            out, vcombine_u16(unpack_wide(&first, bytes), unpack_wide(&second, bytes + width / 2)));
        out += 8;
        bytes += width;
    }
    nqi_unpack_u16(out, bytes, n, width);
}

const nqi_unpack_kernels *nqi_unpack_kernels_neon(uint64_t cpu)
{
    static const nqi_unpack_kernels kernels = {.u16 = unpack_u16, .u8 = unpack_u8};
    return cpu & NQ_CPU_NEON ? &kernels : NULL;
}

#else

const nqi_unpack_kernels *nqi_unpack_kernels_neon(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
