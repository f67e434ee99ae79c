/*
 * Iterative entropy-constrained quantization (section 4.2 of the paper): levels, and the lengths of
 * their codes, that make J = D + lambda R small, where D is the sum of h (w - c)^2 and R the sum of
 * the lengths in bits. From several places to begin with, of which the one that ends lowest is
 * kept.
 */
#ifndef NQI_ECSQ_ITERATIVE_H
#define NQI_ECSQ_ITERATIVE_H

#include "ecsq/descent.h"

/* Where to begin. With a lambda of 0, or if the best intervals are more than max_levels, always
 * from the grid. */
#define NQI_ECSQ_FROM_GRID    1u /* the used cells of a uniform quantizer; of three without a step */
#define NQI_ECSQ_FROM_OPTIMUM 2u /* the best intervals */
#define NQI_ECSQ_FROM_BOTH    3u

typedef struct nqi_ecsq_options {
    double lambda;     /* >= 0, finite: price of a bit in units of h w^2, h as it is shaped */
    double step;       /* of the grid, finite; 0: as lambda suggests, which must be > 0 then */
    size_t max_levels; /* 1..NQ_MAX_LEVELS */
    uint32_t starts;   /* NQI_ECSQ_FROM_* */
    double tolerance;  /* J rests when it falls by no more than this part of itself */
    uint32_t max_iterations; /* from each start, >= 1 */
    bool is_unmeasured;      /* the result is of the points in the rows, with parts at hand, too */
    nqi_lengths_fn lengths;  /* of codes for counts; NULL: ideal ones */
    void *user;
} nqi_ecsq_options;

/* 2,000 iterations at most from each start, to a millionth of J; all starts; ideal lengths. */
nqi_ecsq_options nqi_ecsq_options_default(double lambda);

typedef struct nqi_ecsq_result {
    nqi_allocator allocator;
    size_t k;
    float *levels;    /* k different ones, rising, as they are stored */
    double *lengths;  /* that weights are assigned with: hand them to nqi_rdo_create */
    uint64_t *counts; /* > 0: how often each level is used then */
    size_t capacity;
    double distortion;   /* sum of h (w - c)^2, with rounded levels */
    double bits;         /* what codes made for these counts take: sum of counts times lengths */
    double cost;         /* distortion + lambda bits */
    uint32_t iterations; /* from the start that was kept */
    bool ignores_importance; /* all of it was 0, and weights counted alike */
} nqi_ecsq_result;

/*
 * Levels for the weights of all parts together, of which s is the summary.
 *
 * With importance: `rows` are of the same weights (nqi_rows_from_weights), made once for any number
 * of lambdas; NULL: made here, which sorts all weights. Without importance
 * rows are not needed: the summary's bins are used, and, if it is not exact and parts are at hand,
 * those where cells end are split, which takes one pass over the weights.
 *
 * With parts at hand, distortion and counts come from one last pass over them, and are what
 * nqi_rdo_create with the result's levels and lengths gives. Without (n_parts 0) or if that is not
 * asked for they are of the points in the rows, and distortion is a difference of sums.
 *
 * NQ_E_ARG for no weights, importance without parts and rows, options out of their range, or
 * neither a lambda nor a step; NQ_E_NUMERIC; NQ_E_NOMEM; NQ_E_LIMIT; NQ_E_CANCELLED.
 */
NQI_MUST_CHECK nq_status nqi_ecsq(nqi_ecsq_result *out, const nqi_env *env, const nqi_summary *s,
                                  const nqi_rows *rows, const nqi_weights *parts, size_t n_parts,
                                  const nqi_ecsq_options *options);
void nqi_ecsq_free(nqi_ecsq_result *r);

#endif
