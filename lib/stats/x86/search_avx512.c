/*
 * Searching cells with AVX-512: a level of up to 32 nodes is looked up by one permutation, one of
 * 128 by four, without a load from memory; deeper ones are gathered.
 */
#include "stats/search.h"

#if NQI_X86

#include <immintrin.h>

#include "nq/context.h"

#define TARGET NQI_TARGET("avx512f,avx512bw,avx512dq,avx512vl")
#define LANES  16u

/* Levels that are kept in registers. */
#define MAX_KEPT 8u

/* Levels 0..7 in registers of sixteen nodes; level l begins at register first[l]. */
#define N_REGISTERS 20u
static const unsigned first_register[MAX_KEPT] = {0, 1, 2, 3, 4, 5, 7, 11};

TARGET NQI_INLINE __m512 look_up(const __m512 *nodes, __m512i at, const unsigned level)
{
    const __m512 *t = nodes + first_register[level];
    if (level <= 4)
        return _mm512_permutexvar_ps(at, t[0]);
    const __m512 a = _mm512_permutex2var_ps(t[0], at, t[1]);
    if (level == 5)
        return a;
    const __mmask16 second = _mm512_test_epi32_mask(at, _mm512_set1_epi32(32));
    const __m512 b = _mm512_mask_blend_ps(second, a, _mm512_permutex2var_ps(t[2], at, t[3]));
    if (level == 6)
        return b;
    const __m512 c = _mm512_permutex2var_ps(t[4], at, t[5]);
    const __m512 d = _mm512_mask_blend_ps(second, c, _mm512_permutex2var_ps(t[6], at, t[7]));
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(at, _mm512_set1_epi32(64)), b, d);
}

/* In two halves: gcc's macro for all sixteen at once converts its mask with a warning at -O0. */
TARGET NQI_INLINE __m512 gather(const float *nodes, __m512i at)
{
    const __m256 low = _mm256_i32gather_ps(nodes, _mm512_castsi512_si256(at), 4);
    const __m256 high = _mm256_i32gather_ps(nodes, _mm512_extracti64x4_epi64(at, 1), 4);
    return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}

TARGET NQI_INLINE __m512i step(__m512i at, __m512 w, __m512 thresholds)
{
    const __mmask16 up = _mm512_cmp_ps_mask(w, thresholds, _CMP_GE_OQ);
    const __m512i twice = _mm512_add_epi32(at, at);
    return _mm512_mask_add_epi32(twice, up, twice, _mm512_set1_epi32(1));
}

/* `kept` levels from registers, the others from memory; a constant, so that loops come undone. The
 * number of weights that were searched: what is left is less than a vector. */
TARGET NQI_INLINE size_t search(const nqi_search *s, uint16_t *cells, const float *w, size_t n,
                                const unsigned kept)
{
    __m512 nodes[N_REGISTERS];
    for (unsigned level = 0; level < kept; level++)
        for (unsigned i = 0; i << 4 < 1u << level; i++)
            nodes[first_register[level] + i] =
                _mm512_loadu_ps(nqi_search_level(s, level) + 16 * (size_t)i);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const __m512 x = _mm512_loadu_ps(w + i);
        __m512i at = _mm512_setzero_si512();
        for (unsigned level = 0; level < kept; level++)
            at = step(at, x, look_up(nodes, at, level));
        for (unsigned level = kept; level < s->depth && kept == MAX_KEPT; level++)
            at = step(at, x, gather(nqi_search_level(s, level), at));
        _mm256_storeu_si256((__m256i *)(void *)(cells + i), _mm512_cvtepi32_epi16(at));
    }
    return i;
}

TARGET void nqi_search_avx512(const nqi_search *s, uint16_t *cells, const float *w, size_t n)
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
