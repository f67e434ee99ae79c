/*
 * Inner loops of counting for AVX2: the same sums in the same order as the plain ones.
 */
#include "stats/count_kernels.h"

#if NQI_X86

#include <immintrin.h>

NQI_TARGET("avx2")
void nqi_keys_avx2(uint32_t *keys, nqi_key_range *range, const float *w, size_t n)
{
    nqi_keys_body(keys, range, w, n);
}

NQI_TARGET("avx2") NQI_INLINE void add(nqi_tally *tallies, uint32_t key, __m256d what)
{
    double *t = &tallies[key >> NQI_PREFIX_SHIFT].count;
    _mm256_storeu_pd(t, _mm256_add_pd(_mm256_loadu_pd(t), what));
}

/* Four weights at a time: their tallies are the rows of a 4 x 4 matrix, made by transposing. */
NQI_TARGET("avx2")
void nqi_tally_avx2(nqi_tally *tallies, const uint32_t *keys, const double *h, size_t n)
{
    const __m256d one = _mm256_set1_pd(1);
    const __m128i low_bits = _mm_set1_epi32((1 << NQI_PREFIX_SHIFT) - 1);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const __m128i key = _mm_loadu_si128((const __m128i *)(const void *)(keys + i));
        const __m256d low = _mm256_cvtepi32_pd(_mm_and_si128(key, low_bits));
        const __m256d importance = _mm256_loadu_pd(h + i);
        const __m256d h_low = _mm256_mul_pd(importance, low);
        const __m256d a = _mm256_unpacklo_pd(one, low), b = _mm256_unpackhi_pd(one, low);
        const __m256d c = _mm256_unpacklo_pd(importance, h_low);
        const __m256d d = _mm256_unpackhi_pd(importance, h_low);
        add(tallies, keys[i], _mm256_permute2f128_pd(a, c, 0x20));
        add(tallies, keys[i + 1], _mm256_permute2f128_pd(b, d, 0x20));
        add(tallies, keys[i + 2], _mm256_permute2f128_pd(a, c, 0x31));
        add(tallies, keys[i + 3], _mm256_permute2f128_pd(b, d, 0x31));
    }
    nqi_tally_ref(tallies, keys + i, h + i, n - i);
}

#endif
