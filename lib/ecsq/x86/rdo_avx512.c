/*
 * Choosing levels with AVX-512, eight weights at a time: see rdo.c, whose choice is the same to the
 * bit.
 */
#include "ecsq/rdo_impl.h"

#if NQI_X86

#include <assert.h>
#include <float.h>
#include <immintrin.h>

#include "nq/context.h"

#define TARGET NQI_TARGET("avx512f,avx512bw,avx512dq,avx512vl")
#define LANES  8u

static_assert(sizeof(nqi_span) == 4, "spans are gathered as words, whose lower half is `first`");

typedef struct points {
    __m512d w;
    __m512d h;
} points;

/* In two halves: gcc's macro for all eight at once converts its mask with a warning at -O0. */
TARGET NQI_INLINE __m512d gather(const double *from, __m256i at)
{
    const __m256d low = _mm256_i32gather_pd(from, _mm256_castsi256_si128(at), 8);
    const __m256d high = _mm256_i32gather_pd(from, _mm256_extracti128_si256(at, 1), 8);
    return _mm512_insertf64x4(_mm512_castpd256_pd512(low), high, 1);
}

TARGET NQI_INLINE __m512d cost_of(const nqi_rdo *r, const points *p, __m256i level)
{
    const __m512d away = _mm512_sub_pd(p->w, gather(r->used_levels, level));
    return _mm512_add_pd(_mm512_mul_pd(p->h, _mm512_mul_pd(away, away)), gather(r->prices, level));
}

TARGET NQI_INLINE __m256i cheapest(const nqi_rdo *r, const points *p, __m256i first, __m256i n_more)
{
    const __m256i one = _mm256_set1_epi32(1);
    __mmask8 left = _mm256_cmpgt_epi32_mask(n_more, _mm256_setzero_si256());
    if (left == 0)
        return first;
    __m512d least = cost_of(r, p, first);
    __m256i best = first, level = first;
    while (left != 0) {
        level = _mm256_mask_add_epi32(level, left, level, one);
        n_more = _mm256_sub_epi32(n_more, one);
        const __m512d cost = cost_of(r, p, level);
        const __mmask8 is_less = _mm512_mask_cmp_pd_mask(left, cost, least, _CMP_LT_OQ);
        best = _mm256_mask_mov_epi32(best, is_less, level);
        least = _mm512_mask_mov_pd(least, is_less, cost);
        left = _mm256_cmpgt_epi32_mask(n_more, _mm256_setzero_si256());
    }
    return best;
}

/* Importance as rows have it. */
TARGET NQI_INLINE __m256 importance(const double *h, double scale)
{
    const __m512d scaled = _mm512_mul_pd(_mm512_loadu_pd(h), _mm512_set1_pd(scale));
    return _mm512_cvtpd_ps(_mm512_min_pd(scaled, _mm512_set1_pd((double)FLT_MAX)));
}

TARGET void nqi_rdo_choose_avx512(const nqi_rdo *r, uint16_t *cells, const float *w,
                                  const double *h, size_t n)
{
    const __m256i none = _mm256_set1_epi32((int)NQI_N_ROWS);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const __m256 h_f32 = importance(h + i, r->scale);
        const __mmask8 has_row =
            _mm256_cmp_ps_mask(h_f32, _mm256_set1_ps(NQI_ROW_LEAST), _CMP_GE_OQ);
        const __m256i row =
            _mm256_mask_srli_epi32(none, has_row, _mm256_castps_si256(h_f32), NQI_ROW_SHIFT);
        const __m256i table = _mm256_i32gather_epi32((const int *)r->spans_of_row, row, 4);
        const __m256i cell =
            _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(cells + i)));
        const __m256i span = _mm256_i32gather_epi32((const int *)(const void *)r->spans,
                                                    _mm256_add_epi32(table, cell), 4);
        const points p = {_mm512_cvtps_pd(_mm256_loadu_ps(w + i)), _mm512_cvtps_pd(h_f32)};
        const __m256i best = cheapest(r, &p, _mm256_and_si256(span, _mm256_set1_epi32(0xffff)),
                                      _mm256_srli_epi32(span, 16));
        const __m256i number = _mm256_i32gather_epi32((const int *)r->numbers, best, 4);
        _mm_storeu_si128((__m128i *)(void *)(cells + i), _mm256_cvtepi32_epi16(number));
    }
    nqi_rdo_choose_ref(r, cells + i, w + i, h + i, n - i);
}

#endif
