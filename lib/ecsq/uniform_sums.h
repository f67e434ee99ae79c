/*
 * One pass over the weights of a codebook: how many there are in each cell, and the sums that the
 * cells' means are made of.
 */
#ifndef NQI_ECSQ_UNIFORM_SUMS_H
#define NQI_ECSQ_UNIFORM_SUMS_H

#include "distortion/pass.h"
#include "ecsq/uniform_map.h"
#include "stats/weights.h"

/* A sum and what rounding took from it. */
typedef struct nqi_sum {
    double high;
    double low;
} nqi_sum;

/* What is summed besides the number of weights. */
enum {
    NQI_SUMS_COUNTS,  /* nothing */
    NQI_SUMS_PLAIN,   /* w - middle of the cell */
    NQI_SUMS_WEIGHTED /* h (w - middle of the cell), and h */
};

/*
 * Called for each part, in order, from the calling thread: weights of the part in slots first ..
 * first + n_slots - 1; all others have none. A failure stops the pass.
 */
typedef nq_status (*nqi_counts_fn)(void *user, size_t part, uint32_t first, const uint64_t *counts,
                                   uint32_t n_slots);

typedef struct nqi_cell_sums {
    nqi_allocator a;
    uint32_t n_slots;
    uint64_t *counts;
    nqi_sum *moments; /* NULL for counts alone */
    nqi_sum *weights; /* weighted only */
} nqi_cell_sums;

/* The parts as a pass wants them. */
nqi_part_list nqi_weights_list(const nqi_weights *parts, size_t n_parts);

typedef struct nqi_sums_job {
    const nqi_env *env;
    nqi_progress_state *progress;
    const nqi_weights *parts;
    size_t n_parts;
    const nqi_cell_map *map; /* has the cells of all weights */
    uint32_t what;           /* NQI_SUMS_* */
    nqi_counts_fn counts;    /* may be NULL */
    void *user;
} nqi_sums_job;

/*
 * Runs the pass. The mean of a cell comes out within 1e-12 of a step of the exact one whatever the
 * number of weights and however far apart their importance is: see uniform_sums.c. NQ_E_NOMEM,
 * NQ_E_LIMIT, NQ_E_CANCELLED, what counts returned; there is nothing to free then.
 */
nq_status nqi_cell_sums_run(nqi_cell_sums *sums, const nqi_sums_job *job);
void nqi_cell_sums_free(nqi_cell_sums *sums);

#endif
