/*
 * Packing numbers of equal width with AVX-512 VBMI: 32 of them move together by pairs, then by
 * fours within each quadword, and a permutation closes the gaps between the quadwords' bytes.
 */
#include "codec/bitpack_enc.h"
#include "base/bytes.h"
#include "codec/bits_fmt.h"

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>

#define TARGET NQI_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")

/* In the low bits of each number, pair and four: masks, and by how much what lies above moves. */
typedef struct plan {
    __m512i one;
    __m512i pair;
    __m512i four;
    __m128i pair_shift;
    __m128i four_shift;
    __m512i begin;      /* bits: quadwords that begin within a byte of the output */
    __m512i lower;      /* bytes of even quadwords, by where they come from */
    __m512i upper;      /* of odd ones; where a width is odd, the two share a byte */
    __mmask64 is_lower; /* bytes that have something of either */
    __mmask64 is_upper;
    __mmask64 there; /* the output */
} plan;

TARGET static plan make_plan(unsigned width)
{
    uint8_t lower[64] = {0}, upper[64] = {0};
    plan p = {.one = _mm512_set1_epi16((short)((1u << width) - 1)),
              .pair = _mm512_set1_epi32((int)((1u << width) - 1)),
              .four = _mm512_set1_epi64((long long)((UINT64_C(1) << 2 * width) - 1)),
              .pair_shift = _mm_cvtsi32_si128((int)(16 - width)),
              .four_shift = _mm_cvtsi32_si128((int)(32 - 2 * width)),
              .begin = _mm512_maskz_set1_epi64(0xaa, 4 * (width % 2))};
    for (unsigned i = 0; i < 4 * width; i++) {
        const unsigned eight = i / width, at = i % width, middle = width / 2;
        const bool is_shared = width % 2 == 1 && at == middle;
        if (at < middle || is_shared) {
            lower[i] = (uint8_t)(16 * eight + at);
            p.is_lower |= UINT64_C(1) << i;
        }
        if (at >= middle) {
            upper[i] = (uint8_t)(16 * eight + 8 + at - middle);
            p.is_upper |= UINT64_C(1) << i;
        }
        p.there |= UINT64_C(1) << i;
    }
    p.lower = _mm512_loadu_si512(lower);
    p.upper = _mm512_loadu_si512(upper);
    return p;
}

/* mask ? x : y */
TARGET NQI_INLINE __m512i choose(__m512i mask, __m512i x, __m512i y)
{
    return _mm512_ternarylogic_epi64(mask, x, y, 0xca);
}

TARGET NQI_INLINE __m512i pack(const plan *p, __m512i numbers)
{
    const __m512i ones = _mm512_and_si512(numbers, p->one);
    const __m512i pairs = choose(p->pair, ones, _mm512_srl_epi32(ones, p->pair_shift));
    const __m512i fours = choose(p->four, pairs, _mm512_srl_epi64(pairs, p->four_shift));
    const __m512i begun = _mm512_sllv_epi64(fours, p->begin);
    return _mm512_or_si512(_mm512_maskz_permutexvar_epi8(p->is_lower, p->lower, begun),
                           _mm512_maskz_permutexvar_epi8(p->is_upper, p->upper, begun));
}

/* What is left to be packed, and where. */
typedef struct rest {
    uint8_t *out;
    const uint16_t *numbers;
    size_t n;
} rest;

/* Single bits are what masks are made of. */
TARGET NQI_INLINE __m512i pack_bits(rest *r)
{
    const __m512i one = _mm512_set1_epi16(1);
    __m512i largest = _mm512_setzero_si512();
    for (; r->n >= 64; r->n -= 64, r->numbers += 64, r->out += 8) {
        const __m512i a = _mm512_loadu_si512(r->numbers), b = _mm512_loadu_si512(r->numbers + 32);
        largest = _mm512_max_epu16(largest, _mm512_max_epu16(a, b));
        nqi_store_le64(r->out, _mm512_test_epi16_mask(a, one) |
                                   (uint64_t)_mm512_test_epi16_mask(b, one) << 32);
    }
    return largest;
}

TARGET NQI_INLINE __m512i pack_vectors(rest *r, unsigned width)
{
    const plan p = make_plan(width);
    size_t left = (size_t)nqi_packed_bytes(r->n, width);
    __m512i largest = _mm512_setzero_si512();
    for (; r->n >= 32; r->n -= 32, left -= 4 * width) {
        const __m512i now = _mm512_loadu_si512(r->numbers);
        const __m512i packed = pack(&p, now);
        largest = _mm512_max_epu16(largest, now);
        if (NQI_LIKELY(left >= 64))
            _mm512_storeu_si512(r->out, packed);
        else
            _mm512_mask_storeu_epi8(r->out, p.there, packed);
        r->numbers += 32;
        r->out += 4 * width;
    }
    return largest;
}

TARGET static uint32_t pack_avx512(uint8_t *out, const uint16_t *numbers, size_t n, unsigned width)
{
    uint16_t each[32];
    rest r = {out, numbers, n};
    __m512i largest = _mm512_setzero_si512();
    if (width == 1)
        largest = pack_bits(&r);
    else if (width > 0)
        largest = pack_vectors(&r, width);
    _mm512_storeu_si512(each, largest);
    uint32_t most = nqi_pack_u16(r.out, r.numbers, r.n, width);
    for (unsigned i = 0; i < 32; i++)
        most = NQI_MAX(most, each[i]);
    return most;
}

nqi_pack_fn nqi_pack_avx512(uint64_t cpu)
{
    const uint64_t wanted = NQ_CPU_AVX2 | NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2;
    return (cpu & wanted) == wanted ? pack_avx512 : NULL;
}

#else

nqi_pack_fn nqi_pack_avx512(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
