/*
 * Sums over differences with AVX-512, all lanes at once: see distortion.c, which does the same.
 */
#include "distortion/distortion.h"

#if NQI_X86

#include <assert.h>
#include <immintrin.h>

#include "nq/context.h"

#define TARGET NQI_TARGET("avx512f,avx512bw,avx512dq,avx512vl")

static_assert(NQI_DISTORTION_LANES == 8, "a vector of lanes");

typedef struct sums {
    __m512d squared;
    __m512d weighted;
    __m512d energy;
    __m512d max_abs;
    __mmask8 not_finite;
} sums;

/* NaN of both kinds and infinities of both signs. */
#define NOT_FINITE 0x99

/* Where there are no elements, all numbers are 0. */
TARGET NQI_INLINE void add_vector(sums *s, __m512d w, __m512d v, __m512d h)
{
    const __m512d difference = _mm512_sub_pd(w, v);
    const __m512d square = _mm512_mul_pd(difference, difference);
    s->not_finite = (__mmask8)(s->not_finite | _mm512_fpclass_pd_mask(difference, NOT_FINITE) |
                               _mm512_fpclass_pd_mask(h, NOT_FINITE));
    s->squared = _mm512_add_pd(s->squared, square);
    s->weighted = _mm512_add_pd(s->weighted, _mm512_mul_pd(h, square));
    s->energy = _mm512_add_pd(s->energy, _mm512_mul_pd(w, w));
    s->max_abs = _mm512_max_pd(s->max_abs, _mm512_abs_pd(difference));
}

TARGET static bool add_if_finite(nqi_distortion_lanes *lanes, const double *w, const double *v,
                                 const double *h, size_t n)
{
    sums s = {.squared = _mm512_loadu_pd(lanes->squared),
              .weighted = _mm512_loadu_pd(lanes->weighted),
              .energy = _mm512_loadu_pd(lanes->energy),
              .max_abs = _mm512_loadu_pd(lanes->max_abs)};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        add_vector(&s, _mm512_loadu_pd(w + i), _mm512_loadu_pd(v + i), _mm512_loadu_pd(h + i));
    if (i < n) {
        const __mmask8 left = (__mmask8)((1u << (n - i)) - 1);
        add_vector(&s, _mm512_maskz_loadu_pd(left, w + i), _mm512_maskz_loadu_pd(left, v + i),
                   _mm512_maskz_loadu_pd(left, h + i));
    }
    if (s.not_finite)
        return false;
    _mm512_storeu_pd(lanes->squared, s.squared);
    _mm512_storeu_pd(lanes->weighted, s.weighted);
    _mm512_storeu_pd(lanes->energy, s.energy);
    _mm512_storeu_pd(lanes->max_abs, s.max_abs);
    return true;
}

nqi_distortion_add_fn nqi_distortion_add_avx512(uint64_t cpu)
{
    return (cpu & NQ_CPU_AVX512) == NQ_CPU_AVX512 ? add_if_finite : NULL;
}

#else

nqi_distortion_add_fn nqi_distortion_add_avx512(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
