/*
 * Unpacking numbers of equal width with AVX2: a shuffle brings the bytes that a number lies in to
 * its place, a multiplication or a shift of each place by its own distance does the rest. Eight
 * numbers take `width` bytes, so groups of eight begin at whole bytes. Part of the decoder.
 */
#include "codec/bitpack_dec.h"
#include "codec/bits_fmt.h"

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>
#include <stdalign.h>

#define TARGET NQI_TARGET("avx2")

/* Sixteen bytes from each of two places. */
TARGET NQI_INLINE __m256i load_two(const uint8_t *lower, const uint8_t *upper)
{
    const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)lower);
    const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)upper);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
}

/* ---- Widths up to 8 ------------------------------------------------------------------------ */

/* Eight numbers in each half, in words of 16 bits: a number lies in two bytes at most. */
typedef struct narrow {
    __m256i sources;
    __m256i factors; /* move a number to the upper end of its word */
    __m128i shift;   /* and back */
} narrow;

TARGET static narrow make_narrow(unsigned width)
{
    alignas(32) uint8_t sources[32];
    alignas(32) uint16_t factors[16];
    for (unsigned i = 0; i < 16; i++) {
        const unsigned bit = i % 8 * width;
        sources[2 * i] = (uint8_t)(bit / 8);
        sources[2 * i + 1] = (uint8_t)(bit / 8 + 1);
        factors[i] = (uint16_t)(1u << (16 - width - bit % 8));
    }
    return (narrow){_mm256_load_si256((const __m256i *)(const void *)sources),
                    _mm256_load_si256((const __m256i *)(const void *)factors),
                    _mm_cvtsi32_si128((int)(16 - width))};
}

TARGET NQI_INLINE __m256i unpack_narrow(const narrow *p, const uint8_t *lower, const uint8_t *upper)
{
    const __m256i words = _mm256_shuffle_epi8(load_two(lower, upper), p->sources);
    return _mm256_srl_epi16(_mm256_mullo_epi16(words, p->factors), p->shift);
}

TARGET static void unpack_u8(uint8_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    size_t left = (size_t)nqi_packed_bytes(n, width);
    if (width > 0) {
        const narrow p = make_narrow(width);
        for (; n >= 32 && left >= 3 * width + 16; n -= 32, left -= 4 * width) {
            /* Packing takes turns between its operands' halves. */
            const __m256i a = unpack_narrow(&p, bytes, bytes + 2 * width);
            const __m256i b = unpack_narrow(&p, bytes + width, bytes + 3 * width);
            _mm256_storeu_si256((__m256i *)(void *)out, _mm256_packus_epi16(a, b));
            out += 32;
            bytes += 4 * width;
        }
    }
    nqi_unpack_u8(out, bytes, n, width);
}

TARGET static size_t join_u8(uint8_t *out, uint8_t *largest, const uint8_t *upper,
                             const uint8_t *bytes, size_t n, unsigned width)
{
    const narrow p = make_narrow(width);
    const __m128i shift = _mm_cvtsi32_si128((int)width);
    const __m256i above = _mm256_set1_epi8((char)(0xff << width));
    const size_t n_bytes = (size_t)nqi_packed_bytes(n, width);
    __m256i most = _mm256_setzero_si256();
    alignas(32) uint8_t each[32];
    size_t i = 0;
    for (size_t at = 0; i + 32 <= n && at + 3 * width + 16 <= n_bytes; at += 4 * width, i += 32) {
        const __m256i a = unpack_narrow(&p, bytes + at, bytes + at + 2 * width);
        const __m256i b = unpack_narrow(&p, bytes + at + width, bytes + at + 3 * width);
        const __m256i kept = _mm256_loadu_si256((const __m256i *)(const void *)(upper + i));
        const __m256i moved = _mm256_and_si256(_mm256_sll_epi16(kept, shift), above);
        const __m256i now = _mm256_or_si256(moved, _mm256_packus_epi16(a, b));
        _mm256_storeu_si256((__m256i *)(void *)(out + i), now);
        most = _mm256_max_epu8(most, now);
    }
    _mm256_store_si256((__m256i *)(void *)each, most);
    for (unsigned k = 0; k < 32; k++)
        *largest = NQI_MAX(*largest, each[k]);
    return i;
}

TARGET static void unpack_narrow_u16(uint16_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    size_t left = (size_t)nqi_packed_bytes(n, width);
    if (width > 0) {
        const narrow p = make_narrow(width);
        for (; n >= 16 && left >= width + 16; n -= 16, left -= 2 * width) {
            _mm256_storeu_si256((__m256i *)(void *)out, unpack_narrow(&p, bytes, bytes + width));
            out += 16;
            bytes += 2 * width;
        }
    }
    nqi_unpack_u16(out, bytes, n, width);
}

/* ---- Widths from 9 on ---------------------------------------------------------------------- */

/* Four numbers in each half, in words of 32 bits. Of a group, the upper four begin within a byte
 * where the width is odd. */
typedef struct wide {
    __m256i sources;
    __m256i shifts;
    __m256i mask;
} wide;

TARGET static wide make_wide(unsigned width, unsigned first_bit)
{
    alignas(32) uint8_t sources[32];
    alignas(32) uint32_t shifts[8];
    for (unsigned i = 0; i < 8; i++) {
        const unsigned bit = first_bit + i % 4 * width;
        for (unsigned k = 0; k < 4; k++)
            sources[4 * i + k] = (uint8_t)(bit / 8 + k);
        shifts[i] = bit % 8;
    }
    return (wide){_mm256_load_si256((const __m256i *)(const void *)sources),
                  _mm256_load_si256((const __m256i *)(const void *)shifts),
                  _mm256_set1_epi32((1 << width) - 1)};
}

TARGET NQI_INLINE __m256i unpack_wide(const wide *p, const uint8_t *lower, const uint8_t *upper)
{
    const __m256i words = _mm256_shuffle_epi8(load_two(lower, upper), p->sources);
    return _mm256_and_si256(_mm256_srlv_epi32(words, p->shifts), p->mask);
}

TARGET static void unpack_u16(uint16_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    if (width <= 8) {
        unpack_narrow_u16(out, bytes, n, width);
        return;
    }
    const wide first = make_wide(width, 0), second = make_wide(width, width % 2 * 4);
    size_t left = (size_t)nqi_packed_bytes(n, width);
    for (; n >= 16 && left >= width + width / 2 + 16; n -= 16, left -= 2 * width) {
        const uint8_t *const middle = bytes + width / 2;
        const __m256i a = unpack_wide(&first, bytes, bytes + width);
        const __m256i b = unpack_wide(&second, middle, middle + width);
        _mm256_storeu_si256((__m256i *)(void *)out, _mm256_packus_epi32(a, b));
        out += 16;
        bytes += 2 * width;
    }
    nqi_unpack_u16(out, bytes, n, width);
}

const nqi_unpack_kernels *nqi_unpack_kernels_avx2(uint64_t cpu)
{
    static const nqi_unpack_kernels kernels = {
        .u16 = unpack_u16, .u8 = unpack_u8, .join_u8 = join_u8};
    return cpu & NQ_CPU_AVX2 ? &kernels : NULL;
}

#else

const nqi_unpack_kernels *nqi_unpack_kernels_avx2(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
