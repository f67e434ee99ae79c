/*
 * Points on a line: values in rising order, each with its importance. What k-means and
 * entropy-constrained design work on: either the means of a summary's bins, or all weights.
 *
 * Points of no importance are left out; without any importance at all, every weight has the same.
 */
#ifndef NQI_STATS_LINE_H
#define NQI_STATS_LINE_H

#include "stats/dd.h"
#include "stats/summary.h"

/* Points whose sums are kept together. */
#define NQI_LINE_BLOCK 128u

/* Sums over the points from the middle of the line up to the first of a block, negative before the
 * middle, of which an outlier at either end takes no precision therefore. */
typedef struct nqi_line_sums {
    nqi_dd h;
    nqi_dd h_x; /* of importance times (value - centre) */
} nqi_line_sums;

typedef struct nqi_line {
    nqi_allocator allocator;
    size_t n;
    size_t capacity;     /* of each array that there is */
    double *x;           /* values, or NULL: */
    uint32_t *keys;      /* their keys */
    double *h;           /* NULL: 1 for each */
    double centre;       /* a value in the middle */
    double total_h;      /* 0 only if there are no points */
    double scale;        /* what normalising multiplied importance by, a power of two */
    bool is_plain;       /* all importance was 0, and counts have taken its place */
    nqi_line_sums *sums; /* one a block, and one after the last; NULL until asked for */
    size_t n_sums;
} nqi_line;

/* The bins of a summary. NQ_E_NOMEM, NQ_E_LIMIT. */
NQI_MUST_CHECK nq_status nqi_line_from_summary(nqi_line *out, const nqi_summary *s);

/* For each point of the line of a summary, how far its bin's last float lies above the bin's mean,
 * or for the first point above the bin's first float; 0 if the bin has a single value. */
void nqi_line_above(double *above, const nqi_summary *s);

/* The bins of a summary again, but in the places of the prefixes of those points i of its line for
 * which is_split[i] the weights that were summarised, equal ones together. *n_weights is how many
 * these are; if they are more than max_weights there is no line. NQ_E_NOMEM, NQ_E_LIMIT. */
NQI_MUST_CHECK nq_status nqi_line_split(nqi_line *out, uint64_t *n_weights, const nqi_env *env,
                                        const nqi_summary *s, const bool *is_split,
                                        const nqi_weights *parts, size_t n_parts,
                                        uint64_t max_weights);

/* All weights, which all have importance or all have none, each by itself; equal ones stay apart.
 * NQ_E_NUMERIC as of nqi_weights_check, NQ_E_NOMEM, NQ_E_LIMIT, NQ_E_CANCELLED. */
NQI_MUST_CHECK nq_status nqi_line_from_weights(nqi_line *out, const nqi_env *env,
                                               const nqi_weights *parts, size_t n_parts);

void nqi_line_free(nqi_line *line);

static inline double nqi_line_value(const nqi_line *line, size_t i)
{
    return line->keys ? (double)nqi_key_weight(line->keys[i]) : line->x[i];
}

static inline double nqi_line_importance(const nqi_line *line, size_t i)
{
    return line->h ? line->h[i] : 1.0;
}

/* The first point whose value is at least t, or n. */
size_t nqi_line_find(const nqi_line *line, double t);

/* Multiplies importance by a power of two where the total is so large or small that sums of
 * products with it could leave the range of doubles. Designs do not depend on a common factor. */
void nqi_line_normalise(nqi_line *line);

/* Makes sums, for what follows. NQ_E_NOMEM. */
NQI_MUST_CHECK nq_status nqi_line_make_sums(nqi_line *line);

/* Sums up to point i, 0..n, in the manner of nqi_line_sums. */
nqi_line_sums nqi_line_sums_at(const nqi_line *line, size_t i);

/* Importance and mean of the points between those that two sums end before; the mean is `centre`
 * where there is no importance. */
typedef struct nqi_line_cell {
    double h;
    double mean;
} nqi_line_cell;

nqi_line_cell nqi_line_cell_between(const nqi_line *line, const nqi_line_sums *begin,
                                    const nqi_line_sums *end);

#endif
