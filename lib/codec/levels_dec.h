/*
 * From indices of a byte to what they stand for: levels of 32, 16 or 8 bits, or the product of a
 * row of weights with a vector. All kernels give the same bits.
 *
 * Part of the decoder.
 */
#ifndef NQI_LEVELS_DEC_H
#define NQI_LEVELS_DEC_H

#include "base/common.h"

/* Partial sums of a product. Product i of a row is added to sum i mod LANES, one after another. */
#define NQI_DOT_LANES 64u

/* n_levels is 1..256, and every index below it. `out` is in host order, at any address. */
typedef struct nqi_levels_kernels {
    void (*f32)(uint8_t *out, const float *levels, uint32_t n_levels, const uint8_t *indices,
                size_t n);
    void (*u16)(uint8_t *out, const uint16_t *levels, uint32_t n_levels, const uint8_t *indices,
                size_t n);
    void (*u8)(uint8_t *out, const uint8_t *levels, uint32_t n_levels, const uint8_t *indices,
               size_t n);
    /* Adds levels[indices[i]] * x[first + i] to sums[(first + i) mod LANES]. */
    void (*dot)(float *sums, const float *levels, uint32_t n_levels, const uint8_t *indices,
                const float *x, size_t first, size_t n);
} nqi_levels_kernels;

extern const nqi_levels_kernels nqi_levels_kernels_ref;

/* NULL where the CPU, as described by its NQ_CPU_* features, does not have it. */
const nqi_levels_kernels *nqi_levels_kernels_avx512(uint64_t cpu);
const nqi_levels_kernels *nqi_levels_kernels_avx2(uint64_t cpu);
const nqi_levels_kernels *nqi_levels_kernels_neon(uint64_t cpu);

const nqi_levels_kernels *nqi_levels_kernels_for(uint64_t cpu);

/* Adds values[i] * x[first + i] in the same way. */
void nqi_dot_values(float *sums, const float *values, const float *x, size_t first, size_t n);

/* The sum of all partial sums, in a fixed order: halves are added until one is left. */
float nqi_dot_sum(float *sums);

#endif
