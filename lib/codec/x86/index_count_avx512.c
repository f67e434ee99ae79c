/*
 * Counting indices of few levels with AVX-512: 64 of them are compared with each level, and what is
 * equal is counted in bytes.
 */
#include "codec/index_count.h"

#include <stdalign.h>

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>

#define TARGET NQI_TARGET("avx512f,avx512bw")

/* Levels whose counters stay in registers, and rounds until a counter of a byte is full. */
enum { LEVELS = 12, ROUNDS = 255 };

TARGET NQI_INLINE uint64_t sum_bytes(__m512i v)
{
    return (uint64_t)_mm512_reduce_add_epi64(_mm512_sad_epu8(v, _mm512_setzero_si512()));
}

/* Narrows indices to bytes, in any order; returns the largest, or 256 and more. */
TARGET static uint32_t narrow(uint8_t *bytes, const uint16_t *indices, size_t n_rounds)
{
    __m512i largest = _mm512_setzero_si512();
    for (size_t i = 0; i < n_rounds; i++) {
        const __m512i a = _mm512_loadu_si512(indices + 64 * i);
        const __m512i b = _mm512_loadu_si512(indices + 64 * i + 32);
        largest = _mm512_max_epu16(largest, _mm512_max_epu16(a, b));
        _mm512_store_si512(bytes + 64 * i, _mm512_packus_epi16(a, b));
    }
    const __m256i half =
        _mm256_max_epu16(_mm512_castsi512_si256(largest), _mm512_extracti64x4_epi64(largest, 1));
    const __m128i eight =
        _mm_max_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    const __m128i inverted = _mm_xor_si128(eight, _mm_set1_epi8(-1));
    return 0xffffu - (uint32_t)_mm_cvtsi128_si32(_mm_minpos_epu16(inverted)) % 0x10000u;
}

/* Counts levels from `first` on, LEVELS of them, among n_rounds times 64 bytes. */
TARGET static void count_levels(uint64_t *counts, uint32_t first, uint32_t n_levels,
                                const uint8_t *bytes, size_t n_rounds)
{
    const __m512i one = _mm512_set1_epi8(1);
    __m512i found[LEVELS], level[LEVELS];
    for (unsigned k = 0; k < LEVELS; k++) {
        found[k] = _mm512_setzero_si512();
        level[k] = _mm512_set1_epi8((char)(first + k));
    }
    for (size_t i = 0; i < n_rounds; i++) {
        const __m512i v = _mm512_load_si512(bytes + 64 * i);
        for (unsigned k = 0; k < LEVELS; k++)
            found[k] =
                _mm512_mask_add_epi8(found[k], _mm512_cmpeq_epi8_mask(v, level[k]), found[k], one);
    }
    for (unsigned k = 0; k < LEVELS && first + k < n_levels; k++)
        counts[first + k] += sum_bytes(found[k]);
}

TARGET static bool count_avx512(uint64_t *counts, uint32_t n_levels, const uint16_t *indices,
                                size_t n)
{
    alignas(64) uint8_t bytes[64 * ROUNDS];
    for (size_t n_rounds = n / 64; n_rounds > 0;) {
        const size_t now = NQI_MIN(n_rounds, ROUNDS);
        if (narrow(bytes, indices, now) >= n_levels)
            return false;
        for (uint32_t first = 0; first < n_levels; first += LEVELS)
            count_levels(counts, first, n_levels, bytes, now);
        indices += 64 * now;
        n_rounds -= now;
    }
    for (size_t i = 0; i < n % 64; i++) {
        if (indices[i] >= n_levels)
            return false;
        counts[indices[i]]++;
    }
    return true;
}

nqi_index_count_fn nqi_index_count_avx512(uint64_t cpu)
{
    return (cpu & NQ_CPU_AVX512) == NQ_CPU_AVX512 ? count_avx512 : NULL;
}

#else

nqi_index_count_fn nqi_index_count_avx512(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
