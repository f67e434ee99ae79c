/*
 * Counting indices: what codes are made from.
 */
#ifndef NQI_INDEX_COUNT_H
#define NQI_INDEX_COUNT_H

#include "base/common.h"

/* Adds to counts[i] how often i is among n indices. False, and counts in any state, if one of them
 * is not below n_levels, 1..65,536. cpu is the set of NQ_CPU_* that may be used. */
bool nqi_index_count(uint64_t *counts, uint32_t n_levels, const uint16_t *indices, size_t n,
                     uint64_t cpu);

/* ---- Kernels ------------------------------------------------------------------------------- */

/* nqi_index_count for up to FEW levels. */
typedef bool (*nqi_index_count_fn)(uint64_t *counts, uint32_t n_levels, const uint16_t *indices,
                                   size_t n);

#define NQI_INDEX_COUNT_FEW 256u

/* NULL: this CPU has nothing that is faster. */
nqi_index_count_fn nqi_index_count_avx512(uint64_t cpu);

#endif
