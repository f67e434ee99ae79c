/*
 * Which cell a weight falls into: the number of thresholds that are not above it. A weight that
 * equals a threshold goes up. Thresholds are doubles, weights floats; each threshold is moved up to
 * the next float, which changes no answer, so that floats are all that is compared.
 *
 * Weights are finite, or their cell means nothing.
 */
#ifndef NQI_STATS_SEARCH_H
#define NQI_STATS_SEARCH_H

#include "base/alloc.h"
#include "base/common.h"

#define NQI_SEARCH_MAX_CELLS 65536u
#define NQI_SEARCH_MIN_DEPTH 4u

typedef struct nqi_search nqi_search;
typedef void (*nqi_search_fn)(const nqi_search *s, uint16_t *cells, const float *w, size_t n);

/* Thresholds as a perfect binary tree, level by level, filled up with infinities: from the root,
 * each comparison doubles the number of the node and adds its outcome; below the last level it is
 * the cell. Vector loads of a level may reach sixteen floats beyond the tree. */
struct nqi_search {
    float *tree; /* 2^depth - 1, and the slack */
    unsigned depth;
    nqi_search_fn run;
};

/* For n_cells - 1 thresholds, not falling. NQ_E_NOMEM. */
NQI_MUST_CHECK nq_status nqi_search_create(nqi_search *s, const nqi_allocator *a,
                                           const double *thresholds, size_t n_cells, uint64_t cpu);
void nqi_search_free(nqi_search *s, const nqi_allocator *a);

/* Cells of n weights. */
static inline void nqi_search_run(const nqi_search *s, uint16_t *cells, const float *w, size_t n)
{
    s->run(s, cells, w, n);
}

/* The first node of a level. */
static inline const float *nqi_search_level(const nqi_search *s, unsigned level)
{
    return s->tree + (((size_t)1 << level) - 1);
}

void nqi_search_ref(const nqi_search *s, uint16_t *cells, const float *w, size_t n);
#if NQI_X86
void nqi_search_avx2(const nqi_search *s, uint16_t *cells, const float *w, size_t n);
void nqi_search_avx512(const nqi_search *s, uint16_t *cells, const float *w, size_t n);
#endif

#endif
