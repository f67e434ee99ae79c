/*
 * Which weights to keep: so many of several tensors together, by magnitude or by saliency
 * h w^2 / 2, the loss that taking a weight away is expected to cost (LeCun, Denker, Solla 1990).
 */
#ifndef NQI_DISTORTION_PRUNE_H
#define NQI_DISTORTION_PRUNE_H

#include "distortion/view.h"
#include "par/env.h"

typedef struct nqi_prune_part {
    nqi_view w;
    nqi_importance h;
    uint8_t *mask; /* by element: 1 to keep, 0 to take away; NULL in all: only the threshold is told */
} nqi_prune_part;

typedef struct nqi_prune_result {
    double threshold; /* least magnitude or saliency that is kept; 0 if nothing is */
    double saliency;  /* sum of h w^2 / 2 over what is taken away */
} nqi_prune_result;

/*
 * Keeps the n_keep weights of all parts that are largest; of equal ones the first. NQ_E_NUMERIC
 * with part and element in `diag` for NaN, infinite weights, and importance that is no number >= 0;
 * NQ_E_NOMEM; NQ_E_CANCELLED. Masks are undefined after a failure.
 */
NQI_MUST_CHECK nq_status nqi_prune(nqi_prune_result *out, const nqi_env *env,
                                   const nqi_prune_part *parts, size_t n_parts, uint64_t n_keep,
                                   bool by_saliency, nq_diag *diag);

#endif
