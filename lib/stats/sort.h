/*
 * Sorting by key: stable, from the low digits to the high ones, in time that depends on the number
 * of items alone. The outcome of a stable sort is unique, so workers may share the passes at will.
 */
#ifndef NQI_STATS_SORT_H
#define NQI_STATS_SORT_H

#include "base/common.h"
#include "par/env.h"

/* n keys and what travels with them; the second arrays are of the same size, contents undefined.
 * After a pass the pointers have changed places, so that the outcome is in the first arrays. */
typedef struct nqi_sorting {
    size_t n;
    size_t load_bytes; /* of what travels with a key: 0, 4 or 8 */
    uint32_t *keys;
    uint32_t *keys2;
    void *load; /* aligned for its size */
    void *load2;
} nqi_sorting;

/* Into the order of the keys; equal ones stay in the order they had. NQ_E_NOMEM. */
NQI_MUST_CHECK nq_status nqi_sort_by_key(nqi_sorting *s, const nqi_env *env);

/* The same for keys that agree in all but their lower `bits` bits (1..21). NQ_E_NOMEM. */
NQI_MUST_CHECK nq_status nqi_sort_lower_bits(nqi_sorting *s, const nqi_env *env, unsigned bits);

/* Into the order of the upper `bits` (1..11) bits of what travels with the keys, load_bytes being
 * 4; equal ones stay in the order they had. NQ_E_NOMEM. */
NQI_MUST_CHECK nq_status nqi_sort_by_load(nqi_sorting *s, const nqi_env *env, unsigned bits);

#endif
