/*
 * Inner loops of counting: weights to keys, weights and importance to entries of tables. The
 * tables' layout and the order of additions are the same in all of them, so that all give the same
 * bits.
 *
 * Weights are floats at any alignment, and so is importance where it is not double: they are read
 * where they lie in a tensor, and asked for some time before, so that they come from memory while
 * the table is waited for.
 */
#ifndef NQI_STATS_COUNT_KERNELS_H
#define NQI_STATS_COUNT_KERNELS_H

#include "stats/key.h"

/*
 * Without importance an entry is the sum of this and the key over its weights. Where no two keys
 * differ by more than 2^12 and weights are fewer than 2^24, that tells their number and the sum of
 * their keys.
 */
#define NQI_PACKED_COUNT (UINT64_C(1) << 40)

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

/* Magnitudes whose entries may be touched, as bits of floats: from `begin` to before `end`, both
 * the first of an exponent, and zero. None that is not finite. */
typedef struct nqi_live {
    uint32_t begin;
    uint32_t end;
} nqi_live;

static inline bool nqi_is_live(const nqi_live *live, uint32_t magnitude)
{
    return magnitude == 0 || magnitude - live->begin < live->end - live->begin;
}

/*
 * Entries and tallies lie at prefixes. Those who fill them return how many weights they took: all,
 * or those before a step in which there is one that is not live.
 */
typedef struct nqi_count_kernels {
    void (*keys)(uint32_t *keys, const void *w, size_t n);
    size_t (*count)(uint64_t *entries, const nqi_live *live, const void *w, size_t n);
    size_t (*tally)(nqi_tally *tallies, const nqi_live *live, const void *w, const double *h,
                    size_t n);
    size_t (*tally_f32)(nqi_tally *tallies, const nqi_live *live, const void *w, const void *h,
                        size_t n);
} nqi_count_kernels;

nqi_count_kernels nqi_count_kernels_get(uint64_t cpu);

#if NQI_X86
extern const nqi_count_kernels nqi_count_kernels_avx2;
#endif

/* ---- What all have in common --------------------------------------------------------------- */

/* Bytes ahead of which weights and importance are asked for. */
#define NQI_COUNT_AHEAD 2048u

/* Weights that are taken together. */
#define NQI_COUNT_STEP 16u

NQI_INLINE void nqi_keys_body(uint32_t *restrict keys, const void *w, size_t n)
{
    const uint8_t *from = w;
    for (size_t i = 0; i < n; i++)
        keys[i] = nqi_key(nqi_load_f32(from + 4 * i));
}

NQI_INLINE bool nqi_are_live(const nqi_live *live, const uint8_t *w, size_t n)
{
    bool all = true;
    for (size_t i = 0; i < n; i++)
        all &= nqi_is_live(live, nqi_f32_bits(nqi_load_f32(w + 4 * i)) & INT32_MAX);
    return all;
}

NQI_INLINE void nqi_count_key(uint64_t *entries, uint32_t key)
{
    entries[key >> NQI_PREFIX_SHIFT] += NQI_PACKED_COUNT + key;
}

NQI_INLINE void nqi_tally_key(nqi_tally *tallies, uint32_t key, double h)
{
    nqi_tally *t = &tallies[key >> NQI_PREFIX_SHIFT];
    const double low = (double)(key % (1u << NQI_PREFIX_SHIFT));
    t->count += 1;
    t->low += low;
    t->h += h;
    t->h_low += h * low;
}

#endif
