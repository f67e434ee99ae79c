/*
 * A codebook as it is stored: different f32 levels in rising order. Cells end halfway between
 * neighbours, in double; a weight there belongs to the upper level.
 */
#ifndef NQI_CLUSTER_CODEBOOK_H
#define NQI_CLUSTER_CODEBOOK_H

#include "stats/search.h"
#include "stats/weights.h"

typedef struct nqi_codebook {
    nqi_allocator allocator;
    float *levels;
    size_t n; /* 1..NQ_MAX_LEVELS; 0 before it is made */
    size_t capacity;
    nqi_search search; /* weights to indices */
} nqi_codebook;

/* Rounds n levels in rising order to nearest even, each once, 0 without a sign. Finite levels whose
 * rounding is finite. NQ_E_NOMEM; NQ_E_ARG for none or more than NQ_MAX_LEVELS. */
NQI_MUST_CHECK nq_status nqi_codebook_create(nqi_codebook *out, const nqi_env *env,
                                             const double *levels, size_t n);
void nqi_codebook_free(nqi_codebook *c);

/* The index of the nearest level for each of n weights. */
static inline void nqi_codebook_assign(const nqi_codebook *c, uint16_t *indices, const float *w,
                                       size_t n)
{
    nqi_search_run(&c->search, indices, w, n);
}

/* What is left of weights when each is replaced by its nearest level. */
typedef struct nqi_fit {
    uint64_t n;
    double squared;  /* sum of (w - c)^2 */
    double weighted; /* sum of h (w - c)^2 with shaped importance */
} nqi_fit;

/* Adds up differences, not differences of sums, with the levels as they are stored.
 * NQ_E_CANCELLED. */
NQI_MUST_CHECK nq_status nqi_codebook_measure(nqi_fit *fit, const nqi_env *env,
                                              const nqi_codebook *c, const nqi_weights *parts,
                                              size_t n_parts);

#endif
