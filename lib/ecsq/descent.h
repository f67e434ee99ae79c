/*
 * Downhill in J = D + lambda R: assigning weights, moving levels to their means and giving codes
 * new lengths in turn (Chou, Lookabaugh, Gray 1989), each of which makes J no larger, until it
 * rests.
 */
#ifndef NQI_ECSQ_DESCENT_H
#define NQI_ECSQ_DESCENT_H

#include "ecsq/assign.h"

/* Lengths in bits for k levels that are used so often (counts > 0, k >= 1); finite, not negative.
 */
typedef void (*nqi_lengths_fn)(void *user, double *lengths, const uint64_t *counts, size_t k);

/* log2 (n / count): what an ideal code takes. `user` is not used. */
void nqi_ideal_lengths(void *user, double *lengths, const uint64_t *counts, size_t k);

typedef struct nqi_descent_options {
    double lambda;    /* >= 0, per unit of the rows' importance */
    double tolerance; /* J rests when it falls by no more than this part of itself */
    uint32_t max_iterations;
    bool keeps_levels;      /* levels stay where they are */
    bool keeps_lengths;     /* lengths stay as they are, and unused levels keep theirs */
    nqi_lengths_fn lengths; /* unless they are kept */
    void *user;
} nqi_descent_options;

/* A lambda in the rows' units, kept where nothing overflows: from 2^300 on it is all that counts.
 */
static inline double nqi_scaled_lambda(double lambda, double scale)
{
    const double scaled = lambda * scale;
    return scaled < 0x1p300 ? scaled : 0x1p300;
}

/* Levels on their way; those that nobody uses are dropped. */
typedef struct nqi_descent {
    double *levels; /* k, rising */
    double *lengths;
    nqi_share *shares;
    uint32_t *numbers; /* of the levels that it began with */
    uint64_t *counts;  /* for whoever finds lengths */
    size_t k;
    size_t capacity;
    uint32_t iterations;
    double distortion; /* sum of h (w - c)^2 in the rows' units */
    double bits;       /* sum of lengths */
    double cost;       /* distortion + lambda bits */
} nqi_descent;

NQI_MUST_CHECK nq_status nqi_descent_create(nqi_descent *d, const nqi_allocator *a, size_t max_k);
void nqi_descent_free(nqi_descent *d, const nqi_allocator *a);

/* Takes rising levels and, unless NULL, the lengths of their codes; without lengths the first
 * assignment is to the nearest level. */
void nqi_descent_begin(nqi_descent *d, const double *levels, const double *lengths, size_t k);

/*
 * Runs until J rests; J never rises. With `starts_nearest` the first assignment is to the nearest
 * level, for the sake of lengths, and does not count as an iteration. `before` has the same
 * capacity and is for the state before. NQ_E_CANCELLED.
 */
NQI_MUST_CHECK nq_status nqi_descent_run(nqi_descent *d, nqi_descent *before, const nqi_env *env,
                                         nqi_assigner *a, const nqi_rows *rows,
                                         const nqi_descent_options *o, bool starts_nearest);

#endif
