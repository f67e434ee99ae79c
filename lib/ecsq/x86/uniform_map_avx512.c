/*
 * Cells of weights with AVX-512, sixteen at a time: see uniform_map.c, which does the same.
 */
#include "ecsq/uniform_map.h"

#if NQI_X86

#include <immintrin.h>

#include "nq/context.h"

#define TARGET NQI_TARGET("avx512f,avx512bw,avx512dq,avx512vl")

/* |w| / step + 1/2, rounded down, of eight weights. */
TARGET NQI_INLINE __m256i count_steps(__m256 magnitude, __m512d step)
{
    const __m512d steps = _mm512_div_pd(_mm512_cvtps_pd(magnitude), step);
    return _mm512_cvttpd_epi32(_mm512_add_pd(steps, _mm512_set1_pd(0.5)));
}

TARGET NQI_INLINE void store_offsets(double *offsets, __m256 w, __m256i cell, __m512d step)
{
    const __m512d middle = _mm512_mul_pd(step, _mm512_cvtepi32_pd(cell));
    _mm512_storeu_pd(offsets, _mm512_sub_pd(_mm512_cvtps_pd(w), middle));
}

TARGET NQI_INLINE void find_eight(uint32_t *slots, double *offsets, __m512d step, __m256i lowest,
                                  __m256 w)
{
    const __m256i bits = _mm256_castps_si256(w), sign = _mm256_srai_epi32(bits, 31);
    const __m256 magnitude =
        _mm256_castsi256_ps(_mm256_and_si256(bits, _mm256_set1_epi32(INT32_MAX)));
    const __m256i steps = count_steps(magnitude, step);
    const __m256i cell = _mm256_sub_epi32(_mm256_xor_si256(steps, sign), sign);
    _mm256_storeu_si256((void *)slots, _mm256_sub_epi32(cell, lowest));
    if (offsets)
        store_offsets(offsets, w, cell, step);
}

/* What is left over is found in a copy. */
TARGET static void find_rest(uint32_t *slots, double *offsets, __m512d step, __m256i lowest,
                             const float *weights, size_t n)
{
    uint32_t some_slots[8];
    double some_offsets[8];
    const __mmask8 some = (__mmask8)((1u << n) - 1);
    find_eight(some_slots, some_offsets, step, lowest, _mm256_maskz_loadu_ps(some, weights));
    for (size_t i = 0; i < n; i++) {
        slots[i] = some_slots[i];
        if (offsets)
            offsets[i] = some_offsets[i];
    }
}

TARGET static void find_offsets(uint32_t *slots, double *offsets, double step, int32_t lowest,
                                const float *weights, size_t n)
{
    const __m512d steps = _mm512_set1_pd(step);
    const __m256i first = _mm256_set1_epi32(lowest);
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        find_eight(slots + i, offsets ? offsets + i : NULL, steps, first,
                   _mm256_loadu_ps(weights + i));
    if (i < n)
        find_rest(slots + i, offsets ? offsets + i : NULL, steps, first, weights + i, n - i);
}

nqi_cell_offsets_fn nqi_cell_offsets_avx512(uint64_t cpu)
{
    return (cpu & NQ_CPU_AVX512) == NQ_CPU_AVX512 ? find_offsets : NULL;
}

#else

nqi_cell_offsets_fn nqi_cell_offsets_avx512(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
