/*
 * Tables of bytes that are looked up in registers with AVX2: of sixteen, of 32 and of 256.
 */
#ifndef NQI_LOOKUP_AVX2_H
#define NQI_LOOKUP_AVX2_H

#include "base/common.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>

#define NQI_LOOKUP_TARGET NQI_TARGET("avx2,bmi,bmi2,popcnt")

/* Sixteen bytes in both halves. */
NQI_LOOKUP_TARGET NQI_INLINE __m256i nqi_twice(const uint8_t *table)
{
    return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)table));
}

/* Places in the lower and the upper half of a table of 32; with the high bit set, what a shuffle
 * makes 0 of, where they are in the other. */
typedef struct nqi_places {
    __m256i lower;
    __m256i upper;
} nqi_places;

#define NQI_LOOKUP_LOWER                                                                           \
    0x70 /* in each byte of what makes places in the lower half, by addition                       \
          */
#define NQI_LOOKUP_UPPER 0xf0

NQI_LOOKUP_TARGET NQI_INLINE nqi_places nqi_make_places(__m256i at, __m256i lower, __m256i upper,
                                                        bool is_wide)
{
    if (!is_wide)
        return (nqi_places){at, at};
    return (nqi_places){_mm256_adds_epu8(at, lower), _mm256_add_epi8(at, upper)};
}

/* In a table of 32, or of sixteen. */
NQI_LOOKUP_TARGET NQI_INLINE __m256i nqi_look_up(const uint8_t *table, const nqi_places *p,
                                                 bool is_wide)
{
    const __m256i lower = _mm256_shuffle_epi8(nqi_twice(table), p->lower);
    if (!is_wide)
        return lower;
    return _mm256_or_si256(lower, _mm256_shuffle_epi8(nqi_twice(table + 16), p->upper));
}

/* In 64 of a table: the low four bits of each place, and two more that decide by a highest bit. */
NQI_LOOKUP_TARGET NQI_INLINE __m256i nqi_look_up_64(const uint8_t *table, __m256i low, __m256i bit4,
                                                    __m256i bit5)
{
    const __m256i a = _mm256_shuffle_epi8(nqi_twice(table), low);
    const __m256i b = _mm256_shuffle_epi8(nqi_twice(table + 16), low);
    const __m256i c = _mm256_shuffle_epi8(nqi_twice(table + 32), low);
    const __m256i d = _mm256_shuffle_epi8(nqi_twice(table + 48), low);
    return _mm256_blendv_epi8(_mm256_blendv_epi8(a, b, bit4), _mm256_blendv_epi8(c, d, bit4), bit5);
}

NQI_LOOKUP_TARGET NQI_INLINE __m256i nqi_look_up_256(const uint8_t *table, __m256i at)
{
    const __m256i low = _mm256_and_si256(at, _mm256_set1_epi8(15));
    const __m256i bit4 = _mm256_slli_epi16(at, 3), bit5 = _mm256_slli_epi16(at, 2);
    const __m256i bit6 = _mm256_slli_epi16(at, 1);
    const __m256i a = nqi_look_up_64(table, low, bit4, bit5);
    const __m256i b = nqi_look_up_64(table + 64, low, bit4, bit5);
    const __m256i c = nqi_look_up_64(table + 128, low, bit4, bit5);
    const __m256i d = nqi_look_up_64(table + 192, low, bit4, bit5);
    return _mm256_blendv_epi8(_mm256_blendv_epi8(a, b, bit6), _mm256_blendv_epi8(c, d, bit6), at);
}

#endif

#endif
