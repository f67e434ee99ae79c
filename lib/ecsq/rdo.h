/*
 * Rate-distortion optimal assignment: each weight goes to the level that minimises
 * h (w - c)^2 + lambda l, l being the length of the level's code in bits, the lowest of several;
 * and for levels that stay where they are, lengths and assignment in turn until J rests.
 */
#ifndef NQI_ECSQ_RDO_H
#define NQI_ECSQ_RDO_H

#include "ecsq/descent.h"
#include "stats/search.h"

/* ---- Assignment ---------------------------------------------------------------------------- */

/* Immutable once made; any number of threads may use it. */
typedef struct nqi_rdo nqi_rdo;

/* The length of a level that is not used: however cheap bits are, no weight goes there. */
#define NQI_RDO_UNUSED 1e6

/*
 * For weights without importance: rows NULL. For weights with importance: their rows, which tell
 * its range and scale and may be freed afterwards; weights of importance that is in no row are
 * assigned as well, only slowly. Rows that ignore importance, all of it being 0, or have a single
 * one make an assignment that ignores it.
 *
 * k levels, 1..NQ_MAX_LEVELS, rise and are different. Lengths are finite and not negative; at least
 * one is below NQI_RDO_UNUSED. lambda >= 0 is in units of h w^2, importance as it is given and
 * shaped. Nothing is borrowed. NQ_E_NOMEM, NQ_E_LIMIT.
 */
NQI_MUST_CHECK nq_status nqi_rdo_create(nqi_rdo **out, const nqi_env *env, const nqi_rows *rows,
                                        const float *levels, const double *lengths, size_t k,
                                        double lambda);
void nqi_rdo_destroy(nqi_rdo *rdo);

/* Indices for n weights, which are finite; h is their importance, shaped. It is not looked at, and
 * may be NULL, where rows are NULL, ignore importance, or have a single one. */
void nqi_rdo_assign(const nqi_rdo *rdo, uint16_t *indices, const float *w, const double *h,
                    size_t n);

/* What an assignment of all weights of some parts comes to. */
typedef struct nqi_rdo_fit {
    double distortion; /* sum of h (w - c)^2, of (w - c)^2 where the rows had no importance */
    double bits;       /* sum of the lengths that it was made with */
} nqi_rdo_fit;

/* One pass over all weights of the parts: counts[k] is how often each level is used. NQ_E_NOMEM,
 * NQ_E_CANCELLED. */
NQI_MUST_CHECK nq_status nqi_rdo_measure(nqi_rdo_fit *fit, uint64_t *counts, const nqi_rdo *rdo,
                                         const nqi_env *env, const nqi_weights *parts,
                                         size_t n_parts);

/* ---- Lengths for given levels -------------------------------------------------------------- */

typedef struct nqi_rdo_options {
    double lambda;          /* >= 0, finite, as of nqi_rdo_create */
    const double *table;    /* k lengths that stay as they are; NULL: */
    nqi_lengths_fn lengths; /* lengths follow from counts; NULL: ideal ones */
    void *user;
    double tolerance;        /* J rests when it falls by no more than this part of itself */
    uint32_t max_iterations; /* from each start, >= 1 */
} nqi_rdo_options;

/* 1,000 iterations at most, to a millionth of J; ideal lengths. */
nqi_rdo_options nqi_rdo_options_default(double lambda);

/*
 * Lengths for k given levels, which rise and are different, from two starts: nearest levels, and
 * where four times the price of a bit leads; the one that ends lower is kept. Works on rows: of all
 * weights, or, without importance, of a summary, whose bins are points then
 * (nqi_rows_from_summary).
 *
 * lengths[k] are for nqi_rdo_create, NQI_RDO_UNUSED for levels that nobody should use. counts[k] is
 * how often each level is used by the weights in the rows, and *cost is their J, both at the last
 * step, whose lengths were those of the step before: at rest there is no difference. *cost is taken
 * from sums of squares and good for comparing; nqi_rdo_measure looks at the weights. NQ_E_NOMEM,
 * NQ_E_LIMIT, NQ_E_CANCELLED.
 */
NQI_MUST_CHECK nq_status nqi_rdo_lengths(double *lengths, uint64_t *counts, double *cost,
                                         const nqi_env *env, const nqi_rows *rows,
                                         const float *levels, size_t k,
                                         const nqi_rdo_options *options);

#endif
