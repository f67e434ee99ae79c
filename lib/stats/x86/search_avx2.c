/*
 * Searching cells with AVX2: eight nodes at a time are looked up by a permutation, and the upper
 * bits of a node's number choose among the outcomes; levels beyond 128 nodes are gathered.
 */
#include "stats/search.h"

#if NQI_X86

#include <immintrin.h>

#define TARGET   NQI_TARGET("avx2")
#define LANES    8u
#define MAX_KEPT 8u

/* Bit `bit` of each lane as the sign, which blends look at. */
TARGET NQI_INLINE __m256 sign_of_bit(__m256i at, const int bit)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(at, 31 - bit));
}

/* Looks up one of 8 * 2^log2 nodes. */
TARGET NQI_INLINE __m256 look_up_8(const float *nodes, __m256i at)
{
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(nodes), at);
}

TARGET NQI_INLINE __m256 look_up_16(const float *nodes, __m256i at)
{
    return _mm256_blendv_ps(look_up_8(nodes, at), look_up_8(nodes + 8, at), sign_of_bit(at, 3));
}

TARGET NQI_INLINE __m256 look_up_32(const float *nodes, __m256i at)
{
    return _mm256_blendv_ps(look_up_16(nodes, at), look_up_16(nodes + 16, at), sign_of_bit(at, 4));
}

TARGET NQI_INLINE __m256 look_up_64(const float *nodes, __m256i at)
{
    return _mm256_blendv_ps(look_up_32(nodes, at), look_up_32(nodes + 32, at), sign_of_bit(at, 5));
}

TARGET NQI_INLINE __m256 look_up_128(const float *nodes, __m256i at)
{
    return _mm256_blendv_ps(look_up_64(nodes, at), look_up_64(nodes + 64, at), sign_of_bit(at, 6));
}

TARGET NQI_INLINE __m256 look_up(const nqi_search *s, __m256i at, const unsigned level)
{
    const float *nodes = nqi_search_level(s, level);
    switch (level) {
    case 4:
        return look_up_16(nodes, at);
    case 5:
        return look_up_32(nodes, at);
    case 6:
        return look_up_64(nodes, at);
    case 7:
        return look_up_128(nodes, at);
    default:
        return look_up_8(nodes, at);
    }
}

TARGET NQI_INLINE __m256i step(__m256i at, __m256 w, __m256 thresholds)
{
    const __m256i up = _mm256_castps_si256(_mm256_cmp_ps(w, thresholds, _CMP_GE_OQ)); /* 0 or -1 */
    return _mm256_sub_epi32(_mm256_add_epi32(at, at), up);
}

/* `kept` levels by permutations, the others from memory; a constant, so that loops come undone. The
 * number of weights that were searched: what is left is less than a vector. */
TARGET NQI_INLINE size_t search(const nqi_search *s, uint16_t *cells, const float *w, size_t n,
                                const unsigned kept)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const __m256 x = _mm256_loadu_ps(w + i);
        __m256i at = _mm256_setzero_si256();
        for (unsigned level = 0; level < kept; level++)
            at = step(at, x, look_up(s, at, level));
        for (unsigned level = kept; level < s->depth && kept == MAX_KEPT; level++)
            at = step(at, x, _mm256_i32gather_ps(nqi_search_level(s, level), at, 4));
        const __m128i packed =
            _mm_packus_epi32(_mm256_castsi256_si128(at), _mm256_extracti128_si256(at, 1));
        _mm_storeu_si128((__m128i *)(void *)(cells + i), packed);
    }
    return i;
}

TARGET void nqi_search_avx2(const nqi_search *s, uint16_t *cells, const float *w, size_t n)
{
    size_t done;
    switch (s->depth) {
    case NQI_SEARCH_MIN_DEPTH:
        done = search(s, cells, w, n, NQI_SEARCH_MIN_DEPTH);
        break;
    case 5:
        done = search(s, cells, w, n, 5);
        break;
    case 6:
        done = search(s, cells, w, n, 6);
        break;
    case 7:
        done = search(s, cells, w, n, 7);
        break;
    default:
        done = search(s, cells, w, n, MAX_KEPT);
    }
    nqi_search_ref(s, cells + done, w + done, n - done);
}

#endif
