/*
 * Meeting a target: the size of the file, or the distortion, as a function of one number that makes
 * all quantizers coarser at once. See search.c.
 */
#ifndef NQI_MODEL_SEARCH_H
#define NQI_MODEL_SEARCH_H

#include "model/model.h"

/* Whether this NQ_TARGET_* is a promise about the outcome, and not a step, a number of levels or a
 * lambda. */
static inline bool nqi_target_is_outcome(uint32_t target)
{
    return target >= NQ_TARGET_BITS_PER_WEIGHT && target <= NQ_TARGET_SQNR_DB;
}

/*
 * Designs the groups, which were scanned, and chooses codes so that the plan's target is met.
 * NQ_E_TARGET with the nearest value that can be had in the record; what designs return.
 */
nq_status nqi_model_search(nqi_model *m, nqi_progress_state *progress, nq_diag *diag);

/* Goals of equal slopes for groups without one of their own, from the plan's step or lambda. */
nq_status nqi_model_allocate(nqi_model *m);

/* ---- Trials (trial.c) ---------------------------------------------------------------------- */

/* What the target is about: the file's size, as log2 of its bytes, or the SQNR in dB. Both fall
 * as quantizers grow coarser. */
typedef struct nqi_aim {
    bool is_size;
    double value;
} nqi_aim;

nqi_aim nqi_model_aim(const nqi_model *m);

/* A value of an aim in terms of the target. */
double nqi_model_target_value(const nqi_model *m, double value);

/* What comes out at one coarseness. */
typedef struct nqi_trial {
    double coarseness;
    double value;
    bool is_known;  /* false: there was no such trial */
    bool works;     /* false: too fine, more levels than there can be */
    bool is_smooth; /* of smooth designs */
    bool is_guess;  /* sizes are what codes take about */
} nqi_trial;

/* A sample of all groups' weights: see sample.h. */
typedef struct nqi_sample nqi_sample;

nq_status nqi_sample_create(nqi_sample **out, nqi_model *m, const nqi_aim *aim);
void nqi_sample_destroy(nqi_sample *s);

/* From now on iterative designs begin in one place only, and equal slopes are those of lambdas
 * around the one that is asked for. What they end in is no better, but changes smoothly with the
 * coarseness, where of several places now one leads farthest and now another. */
void nqi_sample_be_smooth(nqi_sample *s, bool is_smooth);

/* Elements of all groups, of which the sample is one. */
double nqi_sample_elements(const nqi_sample *s);

/* Coarseness is log2 of a step: it is sensible from `finest` to `coarsest`. */
void nqi_sample_range(double *finest, double *coarsest, const nqi_sample *s);

/* Whether no design lies between two coarsenesses, since levels are whole numbers. */
bool nqi_sample_is_gap(nqi_sample *s, double fine, double coarse);

nq_status nqi_sample_try(nqi_trial *trial, nqi_sample *s, double coarseness);

/* The same with all weights and real codes, which stay designed and chosen. A size that is farther
 * from the aim than `near` need not be exact. */
nq_status nqi_sample_try_whole(nqi_trial *trial, nqi_sample *s, double coarseness, double near,
                               nqi_progress_state *progress, nq_diag *diag);

#endif
