/*
 * What the files of the methods share: levels for a source, by one method each.
 *
 *     method_uniform.c  cells of one width
 *     method_kmeans.c   the best levels without regard to codes
 *     method_priced.c   levels and weights that are chosen with the lengths of codes in view
 */
#ifndef NQI_MODEL_METHODS_H
#define NQI_MODEL_METHODS_H

#include "model/quantizer.h"

/* As nqi_quantizer_design; fields of *q that they do not need stay zero. */
nq_status nqi_design_uniform(nqi_quantizer *q, double *smallest_step, const nqi_design_job *job);
nq_status nqi_design_kmeans(nqi_quantizer *q, const nqi_design_job *job);

/* ECSQ, and the other methods with rate-distortion optimal assignment. */
nq_status nqi_design_priced(nqi_quantizer *q, double *smallest_step, const nqi_design_job *job);

/* A step and a lambda that trade bits for distortion at the same rate, for uniform quantizers in
 * the limit of small steps. */
nq_status nqi_lambda_for_step(double *lambda, nqi_design_source *source, double step);
nq_status nqi_step_for_lambda(double *step, nqi_design_source *source, double lambda);

/* ---- Sources ------------------------------------------------------------------------------- */

/* Mean importance as it is shaped; 1 without. */
nq_status nqi_source_mean_importance(double *mean, nqi_design_source *source);

/* The same weights, all of the same importance. To be freed, as its parts are. */
nq_status nqi_source_without_importance(nqi_design_source *plain, nqi_weights **parts,
                                        const nqi_design_source *source);

/* The largest magnitude that all types of the weights can hold. */
double nqi_source_most(const nqi_design_source *source);

/* Clamps levels of the outermost weights of a type, when each goes to the nearest, to what the type
 * can hold: weights of another type may have drawn them beyond it. A level between such a weight
 * and the bound would be nearer, so their order stays. */
void nqi_source_clamp(double *levels, size_t n, const nqi_design_source *source);

#endif
