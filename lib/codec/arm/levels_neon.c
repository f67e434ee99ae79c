/*
 * Indices of a byte to levels with NEON: the levels' bytes lie in registers, a table for each byte
 * of a level, as many as 64 of them; more are looked up in memory. Part of the decoder.
 */
#include "codec/levels_dec.h"

#include "nq/context.h"

#if NQI_ARM64

#include <arm_neon.h>
#include <string.h>

enum { FEW = 16, MANY = 64 };

/* Byte k of all levels, in up to four registers. */
typedef struct plane {
    uint8x16x4_t part;
} plane;

/* Of levels of n_bytes each, in host order. */
NQI_INLINE void load_planes(plane planes[], const void *levels, uint32_t n_levels, size_t n_bytes)
{
    uint8_t bytes[sizeof(float)][MANY] = {{0}};
    const uint8_t *from = levels;
    for (uint32_t i = 0; i < n_levels; i++)
        for (size_t k = 0; k < n_bytes; k++)
            bytes[k][i] = from[i * n_bytes + k];
    for (size_t k = 0; k < n_bytes; k++)
        for (unsigned i = 0; i < MANY / 16; i++)
            planes[k].part.val[i] = vld1q_u8(bytes[k] + 16 * i);
}

NQI_INLINE uint8x16_t find(const plane *p, uint8x16_t indices, bool are_few)
{
    return are_few ? vqtbl1q_u8(p->part.val[0], indices) : vqtbl4q_u8(p->part, indices);
}

/* ---- Values -------------------------------------------------------------------------------- */

NQI_INLINE void emit_f32_with(uint8_t *out, const float *levels, uint32_t n_levels,
                              const uint8_t *indices, size_t n, bool are_few)
{
    plane p[4];
    size_t i = 0;
    load_planes(p, levels, n_levels, sizeof *levels);
    for (; i + 16 <= n; i += 16) {
        const uint8x16_t at = vld1q_u8(indices + i);
        const uint8x16x4_t bytes = {{find(&p[0], at, are_few), find(&p[1], at, are_few),
                                     find(&p[2], at, are_few), find(&p[3], at, are_few)}};
        vst4q_u8(out + i * sizeof(float), bytes);
    }
    nqi_levels_kernels_ref.f32(out + i * sizeof(float), levels, n_levels, indices + i, n - i);
}

static void emit_f32(uint8_t *out, const float *levels, uint32_t n_levels, const uint8_t *indices,
                     size_t n)
{
    if (n_levels <= FEW)
        emit_f32_with(out, levels, n_levels, indices, n, true);
    else if (n_levels <= MANY)
        emit_f32_with(out, levels, n_levels, indices, n, false);
    else
        nqi_levels_kernels_ref.f32(out, levels, n_levels, indices, n);
}

NQI_INLINE void emit_u16_with(uint8_t *out, const uint16_t *levels, uint32_t n_levels,
                              const uint8_t *indices, size_t n, bool are_few)
{
    plane p[2];
    size_t i = 0;
    load_planes(p, levels, n_levels, sizeof *levels);
    for (; i + 16 <= n; i += 16) {
        const uint8x16_t at = vld1q_u8(indices + i);
        const uint8x16x2_t bytes = {{find(&p[0], at, are_few), find(&p[1], at, are_few)}};
        vst2q_u8(out + i * sizeof(uint16_t), bytes);
    }
    nqi_levels_kernels_ref.u16(out + i * sizeof(uint16_t), levels, n_levels, indices + i, n - i);
}

static void emit_u16(uint8_t *out, const uint16_t *levels, uint32_t n_levels,
                     const uint8_t *indices, size_t n)
{
    if (n_levels <= FEW)
        emit_u16_with(out, levels, n_levels, indices, n, true);
    else if (n_levels <= MANY)
        emit_u16_with(out, levels, n_levels, indices, n, false);
    else
        nqi_levels_kernels_ref.u16(out, levels, n_levels, indices, n);
}

NQI_INLINE void emit_u8_with(uint8_t *out, const uint8_t *levels, uint32_t n_levels,
                             const uint8_t *indices, size_t n, bool are_few)
{
    plane p;
    size_t i = 0;
    load_planes(&p, levels, n_levels, sizeof *levels);
    for (; i + 16 <= n; i += 16)
        vst1q_u8(out + i, find(&p, vld1q_u8(indices + i), are_few));
    nqi_levels_kernels_ref.u8(out + i, levels, n_levels, indices + i, n - i);
}

static void emit_u8(uint8_t *out, const uint8_t *levels, uint32_t n_levels, const uint8_t *indices,
                    size_t n)
{
    if (n_levels <= FEW)
        emit_u8_with(out, levels, n_levels, indices, n, true);
    else if (n_levels <= MANY)
        emit_u8_with(out, levels, n_levels, indices, n, false);
    else
        nqi_levels_kernels_ref.u8(out, levels, n_levels, indices, n);
}

/* ---- Products ------------------------------------------------------------------------------ */

/* The levels of sixteen indices, by their four bytes. */
NQI_INLINE void join_bytes(float32x4_t out[4], const uint8x16_t b[4])
{
    const uint16x8_t lower[2] = {vreinterpretq_u16_u8(vzip1q_u8(b[0], b[1])),
                                 vreinterpretq_u16_u8(vzip2q_u8(b[0], b[1]))};
    const uint16x8_t upper[2] = {vreinterpretq_u16_u8(vzip1q_u8(b[2], b[3])),
                                 vreinterpretq_u16_u8(vzip2q_u8(b[2], b[3]))};
    for (unsigned k = 0; k < 2; k++) {
        out[2 * k] = vreinterpretq_f32_u16(vzip1q_u16(lower[k], upper[k]));
        out[2 * k + 1] = vreinterpretq_f32_u16(vzip2q_u16(lower[k], upper[k]));
    }
}

/* n is a multiple of the lanes, the first product one of lane 0. */
NQI_INLINE void dot_whole(float *sums, const float *levels, uint32_t n_levels,
                          const uint8_t *indices, const float *x, size_t n, bool are_few)
{
    plane p[4];
    float32x4_t s[NQI_DOT_LANES / 4];
    load_planes(p, levels, n_levels, sizeof *levels);
    for (unsigned k = 0; k < NQI_DOT_LANES / 4; k++)
        s[k] = vld1q_f32(sums + 4 * k);
    for (size_t i = 0; i < n; i += NQI_DOT_LANES)
        for (unsigned k = 0; k < NQI_DOT_LANES; k += 16) {
            const uint8x16_t at = vld1q_u8(indices + i + k);
            const uint8x16_t bytes[4] = {find(&p[0], at, are_few), find(&p[1], at, are_few),
                                         find(&p[2], at, are_few), find(&p[3], at, are_few)};
            float32x4_t weights[4];
            join_bytes(weights, bytes);
            for (unsigned m = 0; m < 4; m++)
                s[k / 4 + m] =
                    vaddq_f32(s[k / 4 + m], vmulq_f32(weights[m], vld1q_f32(x + i + k + 4 * m)));
        }
    for (unsigned k = 0; k < NQI_DOT_LANES / 4; k++)
        vst1q_f32(sums + 4 * k, s[k]);
}

static void dot(float *sums, const float *levels, uint32_t n_levels, const uint8_t *indices,
                const float *x, size_t first, size_t n)
{
    const size_t head = NQI_MIN(n, (NQI_DOT_LANES - first % NQI_DOT_LANES) % NQI_DOT_LANES);
    const size_t whole = n_levels <= MANY ? (n - head) / NQI_DOT_LANES * NQI_DOT_LANES : 0;
    nqi_levels_kernels_ref.dot(sums, levels, n_levels, indices, x, first, head);
    if (n_levels <= FEW)
        dot_whole(sums, levels, n_levels, indices + head, x + first + head, whole, true);
    else if (n_levels <= MANY)
        dot_whole(sums, levels, n_levels, indices + head, x + first + head, whole, false);
    nqi_levels_kernels_ref.dot(sums, levels, n_levels, indices + head + whole, x,
                               first + head + whole, n - head - whole);
}

const nqi_levels_kernels *nqi_levels_kernels_neon(uint64_t cpu)
{
    static const nqi_levels_kernels kernels = {
        .f32 = emit_f32, .u16 = emit_u16, .u8 = emit_u8, .dot = dot};
    return cpu & NQ_CPU_NEON ? &kernels : NULL;
}

#else

const nqi_levels_kernels *nqi_levels_kernels_neon(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
