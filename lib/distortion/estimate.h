/*
 * Importance from what training leaves behind: sums over samples, of squared gradients, of squared
 * activations, or of probes times Hessian-vector products, with the number of samples. Every
 * element's sum is taken in the order of the samples, whoever adds.
 */
#ifndef NQI_DISTORTION_ESTIMATE_H
#define NQI_DISTORTION_ESTIMATE_H

#include "distortion/view.h"
#include "par/env.h"

typedef struct nqi_estimate {
    nqi_allocator allocator;
    uint64_t n;         /* elements */
    uint64_t n_samples; /* that were added */
    double *sums;
} nqi_estimate;

/* NQ_E_NOMEM, NQ_E_LIMIT. */
NQI_MUST_CHECK nq_status nqi_estimate_create(nqi_estimate *out, const nqi_allocator *a, uint64_t n);
void nqi_estimate_free(nqi_estimate *e);

/*
 * Adds samples of n elements each, one behind the other in `values`: their squares, or their
 * products with `probes` of the same size. NQ_E_NUMERIC for the first value that is not finite, in
 * `diag`; NQ_E_CANCELLED. Nothing is added after a failure.
 */
NQI_MUST_CHECK nq_status nqi_estimate_add(nqi_estimate *e, const nqi_env *env,
                                          const nqi_view *values, const nqi_view *probes,
                                          nq_diag *diag);

/* Adds n sums over so many samples. */
void nqi_estimate_add_sums(nqi_estimate *e, const double *sums, uint64_t n_samples);

/* Sums over number of samples, 0 for negative ones, of which there are *n_negative. NQ_E_NUMERIC
 * where one is not finite as f32. */
NQI_MUST_CHECK nq_status nqi_estimate_mean(float *out, uint64_t *n_negative, const nqi_estimate *e);

#endif
