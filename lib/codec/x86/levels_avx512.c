/*
 * Indices of a byte to levels with AVX-512: all levels stay in registers, and a permutation finds
 * sixteen of them at once. Part of the decoder.
 */
#include "codec/levels_dec.h"

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>

#define TARGET NQI_TARGET("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt")

enum { MAX_VECTORS = 16 };

/* ---- 32 bits ------------------------------------------------------------------------------- */

typedef struct table32 {
    __m512 v[MAX_VECTORS]; /* sixteen levels each */
} table32;

TARGET NQI_INLINE table32 load_table32(const float *levels, uint32_t n_levels, unsigned n_vectors)
{
    table32 t;
    for (unsigned k = 0; k < n_vectors; k++) {
        const uint32_t before = NQI_MIN(16 * k, n_levels), here = NQI_MIN(16, n_levels - before);
        t.v[k] = _mm512_maskz_loadu_ps((__mmask16)((1u << here) - 1), levels + before);
    }
    return t;
}

/* The levels of vectors `first` to first + n - 1. */
TARGET NQI_INLINE __m512 find_two(const table32 *t, __m512i i, unsigned first)
{
    return _mm512_permutex2var_ps(t->v[first], i, t->v[first + 1]);
}

TARGET NQI_INLINE __m512 find_four(const table32 *t, __m512i i, unsigned first)
{
    const __mmask16 upper = _mm512_test_epi32_mask(i, _mm512_set1_epi32(32));
    return _mm512_mask_blend_ps(upper, find_two(t, i, first), find_two(t, i, first + 2));
}

TARGET NQI_INLINE __m512 find_eight(const table32 *t, __m512i i, unsigned first)
{
    const __mmask16 upper = _mm512_test_epi32_mask(i, _mm512_set1_epi32(64));
    return _mm512_mask_blend_ps(upper, find_four(t, i, first), find_four(t, i, first + 4));
}

TARGET NQI_INLINE __m512 find16(const table32 *t, const uint8_t *indices, unsigned n_vectors)
{
    const __m512i i = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)indices));
    if (n_vectors == 1)
        return _mm512_permutexvar_ps(i, t->v[0]);
    if (n_vectors == 2)
        return find_two(t, i, 0);
    if (n_vectors == 4)
        return find_four(t, i, 0);
    if (n_vectors == 8)
        return find_eight(t, i, 0);
    const __mmask16 upper = _mm512_test_epi32_mask(i, _mm512_set1_epi32(128));
    return _mm512_mask_blend_ps(upper, find_eight(t, i, 0), find_eight(t, i, 8));
}

TARGET NQI_INLINE void emit_with(uint8_t *out, const float *levels, uint32_t n_levels,
                                 const uint8_t *indices, size_t n, unsigned n_vectors)
{
    const table32 t = load_table32(levels, n_levels, n_vectors);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(out + i * sizeof(float), find16(&t, indices + i, n_vectors));
    nqi_levels_kernels_ref.f32(out + i * sizeof(float), levels, n_levels, indices + i, n - i);
}

TARGET static void emit_f32(uint8_t *out, const float *levels, uint32_t n_levels,
                            const uint8_t *indices, size_t n)
{
    if (n_levels <= 16)
        emit_with(out, levels, n_levels, indices, n, 1);
    else if (n_levels <= 32)
        emit_with(out, levels, n_levels, indices, n, 2);
    else if (n_levels <= 64)
        emit_with(out, levels, n_levels, indices, n, 4);
    else if (n_levels <= 128)
        emit_with(out, levels, n_levels, indices, n, 8);
    else
        emit_with(out, levels, n_levels, indices, n, 16);
}

/* ---- Products ------------------------------------------------------------------------------ */

TARGET NQI_INLINE void dot_with(float *sums, const float *levels, uint32_t n_levels,
                                const uint8_t *indices, const float *x, size_t n,
                                unsigned n_vectors)
{
    const table32 t = load_table32(levels, n_levels, n_vectors);
    __m512 s[NQI_DOT_LANES / 16];
    for (unsigned k = 0; k < NQI_DOT_LANES / 16; k++)
        s[k] = _mm512_loadu_ps(sums + 16 * k);
    for (size_t i = 0; i < n; i += NQI_DOT_LANES)
        for (unsigned k = 0; k < NQI_DOT_LANES / 16; k++) {
            const __m512 weights = find16(&t, indices + i + 16 * k, n_vectors);
            s[k] = _mm512_add_ps(s[k], _mm512_mul_ps(weights, _mm512_loadu_ps(x + i + 16 * k)));
        }
    for (unsigned k = 0; k < NQI_DOT_LANES / 16; k++)
        _mm512_storeu_ps(sums + 16 * k, s[k]);
}

/* n is a multiple of the lanes, the first product one of lane 0. */
TARGET static void dot_whole(float *sums, const float *levels, uint32_t n_levels,
                             const uint8_t *indices, const float *x, size_t n)
{
    if (n_levels <= 16)
        dot_with(sums, levels, n_levels, indices, x, n, 1);
    else if (n_levels <= 32)
        dot_with(sums, levels, n_levels, indices, x, n, 2);
    else if (n_levels <= 64)
        dot_with(sums, levels, n_levels, indices, x, n, 4);
    else if (n_levels <= 128)
        dot_with(sums, levels, n_levels, indices, x, n, 8);
    else
        dot_with(sums, levels, n_levels, indices, x, n, 16);
}

static void dot(float *sums, const float *levels, uint32_t n_levels, const uint8_t *indices,
                const float *x, size_t first, size_t n)
{
    const size_t head = NQI_MIN(n, (NQI_DOT_LANES - first % NQI_DOT_LANES) % NQI_DOT_LANES);
    const size_t whole = (n - head) / NQI_DOT_LANES * NQI_DOT_LANES;
    nqi_levels_kernels_ref.dot(sums, levels, n_levels, indices, x, first, head);
    if (whole > 0)
        dot_whole(sums, levels, n_levels, indices + head, x + first + head, whole);
    nqi_levels_kernels_ref.dot(sums, levels, n_levels, indices + head + whole, x,
                               first + head + whole, n - head - whole);
}

/* ---- 16 bits ------------------------------------------------------------------------------- */

typedef struct table16 {
    __m512i v[MAX_VECTORS / 2]; /* 32 levels each */
} table16;

TARGET NQI_INLINE __m512i find_two_u16(const table16 *t, __m512i i, unsigned first)
{
    return _mm512_permutex2var_epi16(t->v[first], i, t->v[first + 1]);
}

TARGET NQI_INLINE __m512i find_four_u16(const table16 *t, __m512i i, unsigned first)
{
    const __mmask32 upper = _mm512_test_epi16_mask(i, _mm512_set1_epi16(64));
    return _mm512_mask_blend_epi16(upper, find_two_u16(t, i, first), find_two_u16(t, i, first + 2));
}

TARGET NQI_INLINE __m512i find32(const table16 *t, const uint8_t *indices, unsigned n_vectors)
{
    const __m512i i =
        _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)indices));
    if (n_vectors == 1)
        return _mm512_permutexvar_epi16(i, t->v[0]);
    if (n_vectors == 2)
        return find_two_u16(t, i, 0);
    if (n_vectors == 4)
        return find_four_u16(t, i, 0);
    const __mmask32 upper = _mm512_test_epi16_mask(i, _mm512_set1_epi16(128));
    return _mm512_mask_blend_epi16(upper, find_four_u16(t, i, 0), find_four_u16(t, i, 4));
}

TARGET NQI_INLINE void emit_u16_with(uint8_t *out, const uint16_t *levels, uint32_t n_levels,
                                     const uint8_t *indices, size_t n, unsigned n_vectors)
{
    table16 t;
    for (unsigned k = 0; k < n_vectors; k++) {
        const uint32_t before = NQI_MIN(32 * k, n_levels), here = NQI_MIN(32, n_levels - before);
        const __mmask32 there = (__mmask32)((UINT64_C(1) << here) - 1);
        t.v[k] = _mm512_maskz_loadu_epi16(there, levels + before);
    }
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        _mm512_storeu_si512(out + i * sizeof(uint16_t), find32(&t, indices + i, n_vectors));
    nqi_levels_kernels_ref.u16(out + i * sizeof(uint16_t), levels, n_levels, indices + i, n - i);
}

TARGET static void emit_u16(uint8_t *out, const uint16_t *levels, uint32_t n_levels,
                            const uint8_t *indices, size_t n)
{
    if (n_levels <= 32)
        emit_u16_with(out, levels, n_levels, indices, n, 1);
    else if (n_levels <= 64)
        emit_u16_with(out, levels, n_levels, indices, n, 2);
    else if (n_levels <= 128)
        emit_u16_with(out, levels, n_levels, indices, n, 4);
    else
        emit_u16_with(out, levels, n_levels, indices, n, 8);
}

/* ---- 8 bits -------------------------------------------------------------------------------- */

#define TARGET_BYTES                                                                               \
    NQI_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")

/* 64 levels each. */
typedef struct table8 {
    __m512i v[4];
} table8;

TARGET_BYTES NQI_INLINE __m512i find64(const table8 *t, const uint8_t *indices, unsigned n_vectors)
{
    const __m512i i = _mm512_loadu_si512(indices);
    if (n_vectors == 1)
        return _mm512_permutexvar_epi8(i, t->v[0]);
    const __m512i lower = _mm512_permutex2var_epi8(t->v[0], i, t->v[1]);
    if (n_vectors == 2)
        return lower;
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(i), lower,
                                  _mm512_permutex2var_epi8(t->v[2], i, t->v[3]));
}

TARGET_BYTES NQI_INLINE void emit_u8_with(uint8_t *out, const uint8_t *levels, uint32_t n_levels,
                                          const uint8_t *indices, size_t n, unsigned n_vectors)
{
    table8 t;
    for (unsigned k = 0; k < n_vectors; k++) {
        const uint32_t before = NQI_MIN(64 * k, n_levels), here = NQI_MIN(64, n_levels - before);
        const __mmask64 there = here == 0 ? 0 : UINT64_MAX >> (64 - here);
        t.v[k] = _mm512_maskz_loadu_epi8(there, levels + before);
    }
    size_t i = 0;
    for (; i + 64 <= n; i += 64)
        _mm512_storeu_si512(out + i, find64(&t, indices + i, n_vectors));
    nqi_levels_kernels_ref.u8(out + i, levels, n_levels, indices + i, n - i);
}

TARGET_BYTES static void emit_u8(uint8_t *out, const uint8_t *levels, uint32_t n_levels,
                                 const uint8_t *indices, size_t n)
{
    if (n_levels <= 64)
        emit_u8_with(out, levels, n_levels, indices, n, 1);
    else if (n_levels <= 128)
        emit_u8_with(out, levels, n_levels, indices, n, 2);
    else
        emit_u8_with(out, levels, n_levels, indices, n, 4);
}

/* Without VBMI, which only bytes need. */
static void emit_u8_plainly(uint8_t *out, const uint8_t *levels, uint32_t n_levels,
                            const uint8_t *indices, size_t n)
{
    nqi_levels_kernels_avx2(NQ_CPU_AVX2)->u8(out, levels, n_levels, indices, n);
}

const nqi_levels_kernels *nqi_levels_kernels_avx512(uint64_t cpu)
{
    static const nqi_levels_kernels all = {
        .f32 = emit_f32, .u16 = emit_u16, .u8 = emit_u8, .dot = dot};
    static const nqi_levels_kernels plain = {
        .f32 = emit_f32, .u16 = emit_u16, .u8 = emit_u8_plainly, .dot = dot};
    const uint64_t wanted = NQ_CPU_AVX2 | NQ_CPU_AVX512;
    if ((cpu & wanted) != wanted)
        return NULL;
    return cpu & NQ_CPU_AVX512VBMI2 ? &all : &plain;
}

#else

const nqi_levels_kernels *nqi_levels_kernels_avx512(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
