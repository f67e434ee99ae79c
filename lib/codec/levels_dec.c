/*
 * Indices of a byte to levels, in plain C: see levels_dec.h. Part of the decoder.
 */
#include "codec/levels_dec.h"

#include "base/bytes.h"

static void emit_f32(uint8_t *out, const float *levels, uint32_t n_levels, const uint8_t *indices,
                     size_t n)
{
    (void)n_levels;
    for (size_t i = 0; i < n; i++)
        nqi_store_f32(out + i * sizeof(float), levels[indices[i]]);
}

static void emit_u16(uint8_t *out, const uint16_t *levels, uint32_t n_levels,
                     const uint8_t *indices, size_t n)
{
    (void)n_levels;
    for (size_t i = 0; i < n; i++)
        nqi_store_u16(out + i * sizeof(uint16_t), levels[indices[i]]);
}

static void emit_u8(uint8_t *out, const uint8_t *levels, uint32_t n_levels, const uint8_t *indices,
                    size_t n)
{
    (void)n_levels;
    for (size_t i = 0; i < n; i++)
        out[i] = levels[indices[i]];
}

static void dot(float *sums, const float *levels, uint32_t n_levels, const uint8_t *indices,
                const float *x, size_t first, size_t n)
{
    (void)n_levels;
    for (size_t i = 0; i < n; i++)
        sums[(first + i) % NQI_DOT_LANES] += levels[indices[i]] * x[first + i];
}

const nqi_levels_kernels nqi_levels_kernels_ref = {
    .f32 = emit_f32, .u16 = emit_u16, .u8 = emit_u8, .dot = dot};

const nqi_levels_kernels *nqi_levels_kernels_for(uint64_t cpu)
{
    const nqi_levels_kernels *kernels = nqi_levels_kernels_avx512(cpu);
    if (!kernels)
        kernels = nqi_levels_kernels_avx2(cpu);
    if (!kernels)
        kernels = nqi_levels_kernels_neon(cpu);
    return kernels ? kernels : &nqi_levels_kernels_ref;
}

/* ---- Products ------------------------------------------------------------------------------ */

void nqi_dot_values(float *sums, const float *values, const float *x, size_t first, size_t n)
{
    size_t i = 0;
    for (; i < n && (first + i) % NQI_DOT_LANES != 0; i++)
        sums[(first + i) % NQI_DOT_LANES] += values[i] * x[first + i];
    for (; i + NQI_DOT_LANES <= n; i += NQI_DOT_LANES)
        for (size_t k = 0; k < NQI_DOT_LANES; k++)
            sums[k] += values[i + k] * x[first + i + k];
    for (size_t k = 0; i < n; i++, k++)
        sums[k] += values[i] * x[first + i];
}

float nqi_dot_sum(float *sums)
{
    for (size_t half = NQI_DOT_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sums[0];
}
