/*
 * Weights in rows of nearly the same importance, each row in the order of the weights: what makes
 * exact entropy-constrained design fast.
 *
 * A weight w of importance h goes to the level j that minimises h (w - c_j)^2 + lambda l_j, that is
 * c_j^2 - 2 c_j w + (lambda / h) l_j, which is linear in w and in lambda / h. So the pairs
 * (w, lambda / h) that go to one level form a convex polygon; where the levels at both ends of a
 * row's range of importance agree, all weights of the row in between go there, and sums over them
 * are differences of sums that were made once.
 *
 * Where rows of all weights would take too much memory, the fuller ones have every 2nd, 4th, ... of
 * their weights, each for so many. The largest weights are in rows of their own, which have all:
 * few, and each with a say in where levels end.
 *
 * Without importance there is one row, whose points are either all weights or a summary's bins.
 */
#ifndef NQI_ECSQ_ROWS_H
#define NQI_ECSQ_ROWS_H

#include <float.h>

#include "base/bytes.h"
#include "stats/dd.h"
#include "stats/summary.h"

/* Points whose sums are kept together. */
#define NQI_ROW_BLOCK 64u

/* Sums over the points of a row before the first of a block. x is the value minus the centre. */
typedef struct nqi_row_sums {
    nqi_dd h;
    nqi_dd h_x;
    nqi_dd h_x2;
} nqi_row_sums;

typedef struct nqi_row {
    size_t n;             /* points, > 0 */
    const float *w;       /* values, rising; or NULL: */
    const double *x;      /* the same in double */
    const float *h;       /* importance, or NULL: */
    const double *counts; /* each point stands for so many weights of importance 1; NULL: one */
    double h_min;         /* the range of importance */
    double h_max;
    unsigned thinning;  /* log2 of how many weights a point stands for, but for counts */
    nqi_row_sums *sums; /* one a block, and one after the last */
} nqi_row;

typedef struct nqi_rows {
    nqi_allocator allocator;
    nqi_row *rows;
    size_t n_rows;
    uint64_t n;            /* weights */
    uint64_t n_weightless; /* of them without importance, in no row */
    double min;            /* the least and the largest value in the rows */
    double max;
    double centre;
    double total_h;
    double scale;  /* importance in the rows is what was given times this power of two */
    bool is_plain; /* all importance was 0: as if there were none */

    /* What rows point to. */
    size_t capacity; /* points */
    void *points;    /* of weights: those of a row, then their importance, 8 bytes for both */
    double *x;
    double *counts;
    nqi_row_sums *sums;
    size_t n_sums;
} nqi_rows;

/* For rows of all weights. */
#define NQI_ROWS_ALL UINT64_MAX

/*
 * Rows of the weights of all parts, of which s is the summary; with importance as f32 times a power
 * of two, and below 2^-100 of the mean as none. Of more than max_points weights some stand for
 * others, so that there are no more points, or one for each row. NQ_E_NUMERIC, NQ_E_NOMEM,
 * NQ_E_LIMIT, NQ_E_CANCELLED.
 */
NQI_MUST_CHECK nq_status nqi_rows_from_weights(nqi_rows *out, const nqi_env *env,
                                               const nqi_summary *s, const nqi_weights *parts,
                                               size_t n_parts, uint64_t max_points);

/* One row of the bins of a summary, all of the same importance. NQ_E_NOMEM, NQ_E_LIMIT. */
NQI_MUST_CHECK nq_status nqi_rows_from_summary(nqi_rows *out, const nqi_summary *s);

void nqi_rows_free(nqi_rows *r);

static inline double nqi_row_value(const nqi_row *row, size_t i)
{
    return row->w ? (double)row->w[i] : row->x[i];
}

/* What points add up to. x is the value minus the centre of the rows. */
typedef struct nqi_share {
    uint64_t count; /* weights */
    double h;
    double h_x;
    double h_x2;
} nqi_share;

/* What a share of points that stand for 2^thinning weights each comes to. */
static inline nqi_share nqi_share_of_weights(const nqi_share *s, unsigned thinning)
{
    const double times = (double)(UINT64_C(1) << thinning);
    return (nqi_share){s->count << thinning, times * s->h, times * s->h_x, times * s->h_x2};
}

static inline void nqi_share_add(nqi_share *to, const nqi_share *s)
{
    to->count += s->count;
    to->h += s->h;
    to->h_x += s->h_x;
    to->h_x2 += s->h_x2;
}

/* The points begin..end - 1 of a row, begin < end; no other point has a say in the rounding but
 * those of blocks between, whose sums are precise to twice the digits. */
nqi_share nqi_row_between(const nqi_rows *rows, const nqi_row *row, size_t begin, size_t end);

/* ---- Importance ---------------------------------------------------------------------------- */

/* A row is what floats have in common by sign, exponent and two bits of mantissa: four rows an
 * octave. */
#define NQI_ROW_SHIFT 21u
#define NQI_N_ROWS    1024u

/* Importance below this, where the mean is near 1, is none. */
#define NQI_ROW_LEAST 0x1p-100f

/* Importance as rows have it. */
static inline float nqi_row_importance(double h, double scale)
{
    const double scaled = h * scale;
    return scaled > (double)FLT_MAX ? FLT_MAX : (float)scaled;
}

/* The number of its row, or NQI_N_ROWS for none. */
static inline uint32_t nqi_row_number(float h)
{
    return h >= NQI_ROW_LEAST ? nqi_f32_bits(h) >> NQI_ROW_SHIFT : NQI_N_ROWS;
}

/* ---- Between the files of this room -------------------------------------------------------- */

/* Makes the sums of all rows, and what is known of all points together. NQ_E_NOMEM, NQ_E_LIMIT. */
NQI_MUST_CHECK nq_status nqi_rows_finish(nqi_rows *r, const nqi_env *env);

#endif
