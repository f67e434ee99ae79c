/*
 * Inner loops of counting: weights to keys, and importance to tallies. The tables' layout and the
 * order of additions are the same in all of them, so that all give the same bits.
 */
#ifndef NQI_STATS_COUNT_KERNELS_H
#define NQI_STATS_COUNT_KERNELS_H

#include "stats/key.h"

/*
 * What the table of a chunk knows of the weights of one prefix. All four are doubles so that one
 * vector addition does; the first two are whole numbers far below 2^53 and therefore exact.
 */
typedef struct nqi_tally {
    double count;
    double low; /* sum of the keys' bits below the prefix */
    double h;
    double h_low; /* sum of h times these bits */
} nqi_tally;

/* Extremes of keys, in all and on either side of zero. */
typedef struct nqi_key_range {
    uint32_t min;
    uint32_t max;
    uint32_t max_negative; /* 0: there is none */
    uint32_t min_positive; /* UINT32_MAX: there is none; +0 is positive */
} nqi_key_range;

static inline nqi_key_range nqi_key_range_empty(void)
{
    return (nqi_key_range){
        .min = UINT32_MAX, .max = 0, .max_negative = 0, .min_positive = UINT32_MAX};
}

typedef struct nqi_count_kernels {
    /* Keys of n weights; widens the range. */
    void (*keys)(uint32_t *keys, nqi_key_range *range, const float *w, size_t n);
    /* Adds n weights of importance h to the tallies, which lie at prefixes. */
    void (*tally)(nqi_tally *tallies, const uint32_t *keys, const double *h, size_t n);
} nqi_count_kernels;

nqi_count_kernels nqi_count_kernels_get(uint64_t cpu);

void nqi_keys_ref(uint32_t *keys, nqi_key_range *range, const float *w, size_t n);
void nqi_tally_ref(nqi_tally *tallies, const uint32_t *keys, const double *h, size_t n);

#if NQI_X86
void nqi_keys_avx2(uint32_t *keys, nqi_key_range *range, const float *w, size_t n);
void nqi_tally_avx2(nqi_tally *tallies, const uint32_t *keys, const double *h, size_t n);
#endif

/* The body of every `keys`, compiled for different vectors. Masks instead of choices, and a loop
 * for each of two things, because that is what compilers make vectors of. */
NQI_INLINE void nqi_keys_body(uint32_t *restrict keys, nqi_key_range *range,
                              const float *restrict w, size_t n)
{
    uint32_t min = range->min, max = range->max;
    uint32_t max_negative = range->max_negative, min_positive = range->min_positive;
    for (size_t i = 0; i < n; i++)
        keys[i] = nqi_key(w[i]);
    for (size_t i = 0; i < n; i++) {
        const uint32_t key = keys[i];
        const uint32_t negative = key & ((key >> 31) - 1u);
        const uint32_t positive = key | ((key >> 31) - 1u);
        min = NQI_MIN(min, key);
        max = NQI_MAX(max, key);
        max_negative = NQI_MAX(max_negative, negative);
        min_positive = NQI_MIN(min_positive, positive);
    }
    *range = (nqi_key_range){min, max, max_negative, min_positive};
}

#endif
