/*
 * Gradients of shared levels: the sum over the weights of a level of their gradients (section 3.3
 * of the paper, with the mean).
 */
#ifndef NQI_DISTORTION_GRADIENTS_H
#define NQI_DISTORTION_GRADIENTS_H

#include "distortion/view.h"
#include "par/env.h"

/*
 * Adds to sums[k] and counts[k] the gradients of the weights with these indices. NQ_E_ARG for an
 * index that is no level's; NQ_E_NOMEM, NQ_E_LIMIT, NQ_E_CANCELLED. Nothing is added after a
 * failure.
 */
NQI_MUST_CHECK nq_status nqi_level_gradients(double *sums, uint64_t *counts, size_t k,
                                             const nqi_env *env, const uint16_t *indices,
                                             const nqi_view *gradient);

#endif
