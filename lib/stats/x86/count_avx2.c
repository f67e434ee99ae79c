/*
 * Inner loops of counting for AVX2: the same sums in the same order as the plain ones.
 */
#include "stats/count_kernels.h"

#if NQI_X86

#include <immintrin.h>

#define TARGET NQI_TARGET("avx2")

TARGET static void keys(uint32_t *keys, const void *w, size_t n)
{
    nqi_keys_body(keys, w, n);
}

/* Keys of weights and, in the lanes of *beyond, how far their magnitudes are beyond the first one
 * that is live; zeros are not. */
TARGET NQI_INLINE __m256i load_keys(__m256i *beyond, const uint8_t *w, __m256i begin)
{
    const __m256 weights = _mm256_loadu_ps((const float *)(const void *)w);
    const __m256i bits = _mm256_castps_si256(_mm256_add_ps(weights, _mm256_setzero_ps()));
    const __m256i sign = _mm256_set1_epi32(INT32_MIN);
    const __m256i magnitude = _mm256_andnot_si256(sign, bits);
    const __m256i is_zero = _mm256_cmpeq_epi32(magnitude, _mm256_setzero_si256());
    *beyond = _mm256_andnot_si256(is_zero, _mm256_sub_epi32(magnitude, begin));
    return _mm256_xor_si256(bits, _mm256_or_si256(_mm256_srai_epi32(bits, 31), sign));
}

/* Keys of NQI_COUNT_STEP weights; false if one is not live. */
TARGET NQI_INLINE bool load_step(uint32_t keys[NQI_COUNT_STEP], const uint8_t *w,
                                 const nqi_live *live)
{
    const __m256i begin = _mm256_set1_epi32((int32_t)live->begin);
    const __m256i last = _mm256_set1_epi32((int32_t)(live->end - live->begin - 1));
    __m256i a, b;
    NQI_PREFETCH(w + NQI_COUNT_AHEAD);
    _mm256_storeu_si256((__m256i *)(void *)keys, load_keys(&a, w, begin));
    _mm256_storeu_si256((__m256i *)(void *)(keys + 8), load_keys(&b, w + 32, begin));
    const __m256i most = _mm256_max_epu32(_mm256_max_epu32(a, b), last);
    return _mm256_movemask_epi8(_mm256_cmpeq_epi32(most, last)) == -1;
}

TARGET static size_t count(uint64_t *entries, const nqi_live *live, const void *w, size_t n)
{
    const uint8_t *from = w;
    size_t i = 0;
    for (; i + NQI_COUNT_STEP <= n; i += NQI_COUNT_STEP) {
        uint32_t keys[NQI_COUNT_STEP];
        if (NQI_UNLIKELY(!load_step(keys, from + 4 * i, live)))
            return i;
        for (size_t j = 0; j < NQI_COUNT_STEP; j++)
            nqi_count_key(entries, keys[j]);
    }
    for (; i < n && nqi_are_live(live, from + 4 * i, 1); i++)
        nqi_count_key(entries, nqi_key(nqi_load_f32(from + 4 * i)));
    return i;
}

TARGET NQI_INLINE void add(nqi_tally *tallies, uint32_t key, __m256d what)
{
    double *t = &tallies[key >> NQI_PREFIX_SHIFT].count;
    _mm256_storeu_pd(t, _mm256_add_pd(_mm256_loadu_pd(t), what));
}

/* Of four weights: their tallies are the rows of a 4 x 4 matrix, made by transposing. */
TARGET NQI_INLINE void tally_4(nqi_tally *tallies, const uint32_t *keys, __m256d h)
{
    const __m256d one = _mm256_set1_pd(1);
    const __m128i low_bits = _mm_set1_epi32((1 << NQI_PREFIX_SHIFT) - 1);
    const __m128i key = _mm_loadu_si128((const __m128i *)(const void *)keys);
    const __m256d low = _mm256_cvtepi32_pd(_mm_and_si128(key, low_bits));
    const __m256d h_low = _mm256_mul_pd(h, low);
    const __m256d a = _mm256_unpacklo_pd(one, low), b = _mm256_unpackhi_pd(one, low);
    const __m256d c = _mm256_unpacklo_pd(h, h_low), d = _mm256_unpackhi_pd(h, h_low);
    add(tallies, keys[0], _mm256_permute2f128_pd(a, c, 0x20));
    add(tallies, keys[1], _mm256_permute2f128_pd(b, d, 0x20));
    add(tallies, keys[2], _mm256_permute2f128_pd(a, c, 0x31));
    add(tallies, keys[3], _mm256_permute2f128_pd(b, d, 0x31));
}

TARGET NQI_INLINE __m256d load_4(const uint8_t *h, bool is_f32)
{
    return is_f32 ? _mm256_cvtps_pd(_mm_loadu_ps((const float *)(const void *)h))
                  : _mm256_loadu_pd((const double *)(const void *)h);
}

NQI_INLINE double load_1(const uint8_t *h, bool is_f32)
{
    return is_f32 ? (double)nqi_load_f32(h) : *(const double *)(const void *)h;
}

/* Importance is float or double, which is known when this is compiled. */
TARGET NQI_INLINE size_t tally_all(nqi_tally *tallies, const nqi_live *live, const uint8_t *w,
                                   const uint8_t *h, size_t n, bool is_f32)
{
    const size_t size = is_f32 ? sizeof(float) : sizeof(double);
    size_t i = 0;
    for (; i + NQI_COUNT_STEP <= n; i += NQI_COUNT_STEP) {
        uint32_t keys[NQI_COUNT_STEP];
        if (is_f32)
            NQI_PREFETCH(h + 4 * i + NQI_COUNT_AHEAD);
        if (NQI_UNLIKELY(!load_step(keys, w + 4 * i, live)))
            return i;
        for (size_t j = 0; j < NQI_COUNT_STEP; j += 4)
            tally_4(tallies, keys + j, load_4(h + size * (i + j), is_f32));
    }
    for (; i < n && nqi_are_live(live, w + 4 * i, 1); i++)
        nqi_tally_key(tallies, nqi_key(nqi_load_f32(w + 4 * i)), load_1(h + size * i, is_f32));
    return i;
}

TARGET static size_t tally(nqi_tally *tallies, const nqi_live *live, const void *w, const double *h,
                           size_t n)
{
    return tally_all(tallies, live, w, (const uint8_t *)h, n, false);
}

TARGET static size_t tally_f32(nqi_tally *tallies, const nqi_live *live, const void *w,
                               const void *h, size_t n)
{
    return tally_all(tallies, live, w, h, n, true);
}

const nqi_count_kernels nqi_count_kernels_avx2 = {
    .keys = keys, .count = count, .tally = tally, .tally_f32 = tally_f32};

#endif
