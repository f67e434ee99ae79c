/*
 * What quantizing comes to, without coding: how often each part of some weights uses each level,
 * and how far its weights are from what they decode to.
 */
#ifndef NQI_MODEL_MEASURE_H
#define NQI_MODEL_MEASURE_H

#include "distortion/distortion.h"
#include "model/quantizer.h"

/* Called for each part, in order, from the calling thread, with its counts of all levels. A failure
 * stops the pass. */
typedef nq_status (*nqi_measured_fn)(void *user, size_t part, const uint64_t *counts,
                                     const nqi_distortion *distortion);

typedef struct nqi_measure_job {
    const nqi_env *env;
    nqi_progress_state *progress; /* NULL: not told */
    const nqi_quantizer *quantizer;
    const double *const *decoded; /* by type: what levels decode to */
    const nqi_weights *parts;
    size_t n_parts;
    bool weighs; /* with shaped importance for the weighted distortion, otherwise maybe without */
    nqi_measured_fn measured;
    void *user;
} nqi_measure_job;

/* One pass. NQ_E_NOMEM, NQ_E_LIMIT,
 * NQ_E_CANCELLED, what measured returned. */
nq_status nqi_measure(const nqi_measure_job *job);

#endif
