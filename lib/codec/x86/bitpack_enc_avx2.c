/*
 * Packing numbers of equal width with AVX2: sixteen of them move together by pairs, then by fours
 * within each quadword; shuffles close the gap between the two quadwords of eight numbers, which
 * take `width` bytes.
 */
#include "codec/bitpack_enc.h"
#include "codec/bits_fmt.h"

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>
#include <stdalign.h>

#define TARGET NQI_TARGET("avx2")

/* In the low bits of each number, pair and four: masks, and by how much what lies above moves. */
typedef struct plan {
    __m256i one;
    __m256i pair;
    __m256i four;
    __m128i pair_shift;
    __m128i four_shift;
    __m256i begin; /* bits: quadwords that begin within a byte of the output */
    __m256i lower; /* bytes of even quadwords, by where they come from */
    __m256i upper; /* of odd ones; where a width is odd, the two share a byte */
} plan;

TARGET static plan make_plan(unsigned width)
{
    enum { NOTHING = 0x80 };
    alignas(32) uint8_t lower[32], upper[32];
    const unsigned middle = width / 2;
    for (unsigned i = 0; i < 32; i++) {
        const unsigned at = i % 16;
        lower[i] = (uint8_t)(at < middle + width % 2 ? at : NOTHING);
        upper[i] = (uint8_t)(at >= middle && at < width ? 8 + at - middle : NOTHING);
    }
    const long long begin = 4 * (width % 2);
    return (plan){.one = _mm256_set1_epi16((short)((1u << width) - 1)),
                  .pair = _mm256_set1_epi32((int)((1u << width) - 1)),
                  .four = _mm256_set1_epi64x((long long)((UINT64_C(1) << 2 * width) - 1)),
                  .pair_shift = _mm_cvtsi32_si128((int)(16 - width)),
                  .four_shift = _mm_cvtsi32_si128((int)(32 - 2 * width)),
                  .begin = _mm256_set_epi64x(begin, 0, begin, 0),
                  .lower = _mm256_load_si256((const __m256i *)(const void *)lower),
                  .upper = _mm256_load_si256((const __m256i *)(const void *)upper)};
}

/* Bits of x where the mask has ones; those of y, which has ones nowhere below them, elsewhere. */
TARGET NQI_INLINE __m256i choose(__m256i mask, __m256i x, __m256i y)
{
    return _mm256_or_si256(_mm256_and_si256(mask, x), _mm256_andnot_si256(mask, y));
}

TARGET NQI_INLINE __m256i pack(const plan *p, __m256i numbers)
{
    const __m256i ones = _mm256_and_si256(numbers, p->one);
    const __m256i pairs = choose(p->pair, ones, _mm256_srl_epi32(ones, p->pair_shift));
    const __m256i fours = choose(p->four, pairs, _mm256_srl_epi64(pairs, p->four_shift));
    const __m256i begun = _mm256_sllv_epi64(fours, p->begin);
    return _mm256_or_si256(_mm256_shuffle_epi8(begun, p->lower),
                           _mm256_shuffle_epi8(begun, p->upper));
}

TARGET static uint32_t pack_avx2(uint8_t *out, const uint16_t *numbers, size_t n, unsigned width)
{
    alignas(32) uint16_t each[16];
    __m256i largest = _mm256_setzero_si256();
    size_t left = (size_t)nqi_packed_bytes(n, width);
    if (width > 0) {
        const plan p = make_plan(width);
        for (; n >= 16 && left >= width + 16; n -= 16, left -= 2 * width) {
            const __m256i now = _mm256_loadu_si256((const __m256i *)(const void *)numbers);
            const __m256i packed = pack(&p, now);
            largest = _mm256_max_epu16(largest, now);
            _mm_storeu_si128((__m128i *)(void *)out, _mm256_castsi256_si128(packed));
            _mm_storeu_si128((__m128i *)(void *)(out + width), _mm256_extracti128_si256(packed, 1));
            numbers += 16;
            out += 2 * width;
        }
    }
    _mm256_store_si256((__m256i *)(void *)each, largest);
    uint32_t most = nqi_pack_u16(out, numbers, n, width);
    for (unsigned i = 0; i < 16; i++)
        most = NQI_MAX(most, each[i]);
    return most;
}

nqi_pack_fn nqi_pack_avx2(uint64_t cpu)
{
    return cpu & NQ_CPU_AVX2 ? pack_avx2 : NULL;
}

#else

nqi_pack_fn nqi_pack_avx2(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
