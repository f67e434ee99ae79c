/*
 * Indices of a byte to levels with AVX2: up to sixteen levels stay in registers, more are gathered
 * from memory. Part of the decoder.
 */
#include "codec/levels_dec.h"

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define TARGET NQI_TARGET("avx2")

/* ---- 32 bits ------------------------------------------------------------------------------- */

/* Up to sixteen levels. */
typedef struct table32 {
    __m256 lower;
    __m256 upper;
} table32;

TARGET static table32 load_table32(const float *levels, uint32_t n_levels)
{
    float padded[16] = {0};
    memcpy(padded, levels, NQI_MIN(n_levels, 16) * sizeof(float));
    return (table32){_mm256_loadu_ps(padded), _mm256_loadu_ps(padded + 8)};
}

TARGET NQI_INLINE __m256 find8(const table32 *t, const float *levels, const uint8_t *indices,
                               bool is_small)
{
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)indices);
    const __m256i i = _mm256_cvtepu8_epi32(bytes);
    if (!is_small)
        return _mm256_i32gather_ps(levels, i, 4);
    const __m256 is_upper = _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)); /* by its sign */
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(t->lower, i),
                            _mm256_permutevar8x32_ps(t->upper, i), is_upper);
}

TARGET NQI_INLINE void emit_with(uint8_t *out, const float *levels, uint32_t n_levels,
                                 const uint8_t *indices, size_t n, bool is_small)
{
    const table32 t = load_table32(levels, n_levels);
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps((float *)(void *)(out + i * sizeof(float)),
                         find8(&t, levels, indices + i, is_small));
    nqi_levels_kernels_ref.f32(out + i * sizeof(float), levels, n_levels, indices + i, n - i);
}

TARGET static void emit_f32(uint8_t *out, const float *levels, uint32_t n_levels,
                            const uint8_t *indices, size_t n)
{
    if (n_levels <= 16)
        emit_with(out, levels, n_levels, indices, n, true);
    else
        emit_with(out, levels, n_levels, indices, n, false);
}

/* ---- Products ------------------------------------------------------------------------------ */

/* n is a multiple of the lanes, the first product one of lane 0. */
TARGET NQI_INLINE void dot_whole(float *sums, const float *levels, uint32_t n_levels,
                                 const uint8_t *indices, const float *x, size_t n, bool is_small)
{
    const table32 t = load_table32(levels, n_levels);
    __m256 s[NQI_DOT_LANES / 8];
    for (unsigned k = 0; k < NQI_DOT_LANES / 8; k++)
        s[k] = _mm256_loadu_ps(sums + 8 * k);
    for (size_t i = 0; i < n; i += NQI_DOT_LANES)
        for (unsigned k = 0; k < NQI_DOT_LANES / 8; k++) {
            const __m256 weights = find8(&t, levels, indices + i + 8 * k, is_small);
            s[k] = _mm256_add_ps(s[k], _mm256_mul_ps(weights, _mm256_loadu_ps(x + i + 8 * k)));
        }
    for (unsigned k = 0; k < NQI_DOT_LANES / 8; k++)
        _mm256_storeu_ps(sums + 8 * k, s[k]);
}

TARGET static void dot(float *sums, const float *levels, uint32_t n_levels, const uint8_t *indices,
                       const float *x, size_t first, size_t n)
{
    const size_t head = NQI_MIN(n, (NQI_DOT_LANES - first % NQI_DOT_LANES) % NQI_DOT_LANES);
    const size_t whole = (n - head) / NQI_DOT_LANES * NQI_DOT_LANES;
    nqi_levels_kernels_ref.dot(sums, levels, n_levels, indices, x, first, head);
    if (n_levels <= 16)
        dot_whole(sums, levels, n_levels, indices + head, x + first + head, whole, true);
    else
        dot_whole(sums, levels, n_levels, indices + head, x + first + head, whole, false);
    nqi_levels_kernels_ref.dot(sums, levels, n_levels, indices + head + whole, x,
                               first + head + whole, n - head - whole);
}

/* ---- 16 bits ------------------------------------------------------------------------------- */

/* Up to sixteen levels: their lower and their upper bytes. */
TARGET static void emit_u16_small(uint8_t *out, const uint16_t *levels, uint32_t n_levels,
                                  const uint8_t *indices, size_t n)
{
    uint8_t bytes[2][16] = {{0}};
    for (uint32_t k = 0; k < n_levels; k++) {
        bytes[0][k] = (uint8_t)levels[k];
        bytes[1][k] = (uint8_t)(levels[k] >> 8);
    }
    const __m256i low =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)bytes[0]));
    const __m256i high =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)bytes[1]));
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        /* Quarters in the order 0, 2, 1, 3, because the halves are unpacked on their own. */
        const __m256i quarters = _mm256_permute4x64_epi64(
            _mm256_loadu_si256((const __m256i *)(const void *)(indices + i)), 0xd8);
        const __m256i a = _mm256_shuffle_epi8(low, quarters);
        const __m256i b = _mm256_shuffle_epi8(high, quarters);
        __m256i *const place = (__m256i *)(void *)(out + i * sizeof(uint16_t));
        _mm256_storeu_si256(place, _mm256_unpacklo_epi8(a, b));
        _mm256_storeu_si256(place + 1, _mm256_unpackhi_epi8(a, b));
    }
    nqi_levels_kernels_ref.u16(out + i * sizeof(uint16_t), levels, n_levels, indices + i, n - i);
}

static void emit_u16(uint8_t *out, const uint16_t *levels, uint32_t n_levels,
                     const uint8_t *indices, size_t n)
{
    if (n_levels <= 16)
        emit_u16_small(out, levels, n_levels, indices, n);
    else
        nqi_levels_kernels_ref.u16(out, levels, n_levels, indices, n);
}

/* ---- 8 bits -------------------------------------------------------------------------------- */

/* Up to 32 levels, in two halves. */
TARGET static void emit_u8_small(uint8_t *out, const uint8_t *levels, uint32_t n_levels,
                                 const uint8_t *indices, size_t n)
{
    uint8_t padded[32] = {0};
    memcpy(padded, levels, n_levels);
    const __m256i lower =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)padded));
    const __m256i upper =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(padded + 16)));
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m256i at = _mm256_loadu_si256((const __m256i *)(const void *)(indices + i));
        const __m256i is_upper = _mm256_slli_epi16(at, 3); /* by its sign */
        _mm256_storeu_si256((__m256i *)(void *)(out + i),
                            _mm256_blendv_epi8(_mm256_shuffle_epi8(lower, at),
                                               _mm256_shuffle_epi8(upper, at), is_upper));
    }
    nqi_levels_kernels_ref.u8(out + i, levels, n_levels, indices + i, n - i);
}

static void emit_u8(uint8_t *out, const uint8_t *levels, uint32_t n_levels, const uint8_t *indices,
                    size_t n)
{
    if (n_levels <= 32)
        emit_u8_small(out, levels, n_levels, indices, n);
    else
        nqi_levels_kernels_ref.u8(out, levels, n_levels, indices, n);
}

const nqi_levels_kernels *nqi_levels_kernels_avx2(uint64_t cpu)
{
    static const nqi_levels_kernels kernels = {
        .f32 = emit_f32, .u16 = emit_u16, .u8 = emit_u8, .dot = dot};
    return cpu & NQ_CPU_AVX2 ? &kernels : NULL;
}

#else

const nqi_levels_kernels *nqi_levels_kernels_avx2(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
