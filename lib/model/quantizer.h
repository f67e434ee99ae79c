/*
 * What every design ends in: levels, and which level a weight gets. One type for the quantizers of
 * all methods, so that counting, coding and writing know of none of them.
 */
#ifndef NQI_MODEL_QUANTIZER_H
#define NQI_MODEL_QUANTIZER_H

#include "cluster/kmeans.h"
#include "ecsq/iterative.h"
#include "ecsq/rdo.h"
#include "ecsq/uniform.h"
#include "nq/plan.h"

/* How finely: one of NQ_TARGET_STEP, _LEVELS and _LAMBDA. */
typedef struct nqi_goal {
    uint32_t kind;
    double value;
} nqi_goal;

/* Weights to make levels for, and what is kept from one design of them to the next. */
typedef struct nqi_design_source {
    const nqi_env *env;
    const nqi_weights *parts; /* finite; at least one element in all */
    size_t n_parts;
    nqi_extent extents[NQI_N_WEIGHT_TYPES];
    bool has_importance; /* of all parts, finite and not negative, not all zero */
    nqi_summary summary; /* made when it is asked for first, as rows are */
    bool has_summary;
    nqi_rows rows;
    bool has_rows;
} nqi_design_source;

void nqi_design_source_free(nqi_design_source *source);

/* Make the summary of the weights, and their rows: of the weights where they have importance, of
 * the summary where not. What nqi_summary_add and nqi_rows_from_weights return. */
nq_status nqi_design_source_summarise(nqi_design_source *source);
nq_status nqi_design_source_make_rows(nqi_design_source *source);

/* What a design is to be like. */
typedef struct nqi_design_job {
    nqi_design_source *source;
    nqi_progress_state *progress; /* NULL: not told */
    uint32_t method;              /* NQ_METHOD_* */
    uint32_t level_rule;          /* NQ_LEVEL_* */
    nqi_goal goal;
    uint32_t max_levels;
    bool is_trial;     /* too fine a step is refused without looking for one that works */
    bool is_sample;    /* iterations may stop early */
    bool is_smooth;    /* and begin in one place only */
    bool is_rdo;       /* weights go where J is least, not to the nearest level */
    double rdo_lambda; /* with it; 0: as suits the step or the distortion */
    nqi_kmeans_options kmeans;
    nqi_counts_fn counts; /* told how often each part uses each slot, where the design counts */
    void *user;
} nqi_design_job;

/* How a weight finds its level. */
enum {
    NQI_ASSIGN_CELL,    /* the level of its cell */
    NQI_ASSIGN_NEAREST, /* the nearest */
    NQI_ASSIGN_PRICED   /* that of the least h (w - c)^2 + lambda length */
};

typedef struct nqi_quantizer {
    nqi_allocator allocator;
    uint32_t assignment; /* NQI_ASSIGN_* */
    uint32_t n_levels;
    const float *levels;  /* n_levels, finite, not falling */
    const int64_t *cells; /* of levels that are multiples of the step: is_grid */
    double step;          /* 0: there is none */
    bool is_grid;
    bool has_counts;     /* the design told job.counts */
    bool has_importance; /* assigning looks at importance */
    nqi_uniform uniform; /* of cells */
    nqi_codebook codebook;
    nqi_rdo *rdo;
    float *priced; /* levels of rdo */
    int64_t *priced_cells;
    uint32_t n_allocated;
} nqi_quantizer;

/* How often such a design reads each element. */
uint32_t nqi_quantizer_passes(uint32_t method, const nqi_goal *goal);

/*
 * Makes the quantizer. NQ_OK; NQ_E_LIMIT with *smallest_step, not 0, as in ecsq/uniform.h, for
 * more than max_levels levels; NQ_E_LIMIT with 0 for a limit on memory; NQ_E_NOMEM; NQ_E_CANCELLED;
 * what counts returned. There is nothing to free after a failure.
 */
nq_status nqi_quantizer_design(nqi_quantizer *q, double *smallest_step, const nqi_design_job *job);
void nqi_quantizer_free(nqi_quantizer *q);

/* The level of a slot that counts was told of. */
uint32_t nqi_quantizer_level(const nqi_quantizer *q, uint32_t slot);

/*
 * What levels decode to, for each type of which there are weights: arrays of n_levels, NULL for
 * other types. To be freed in any case. NQ_E_NOMEM.
 */
nq_status nqi_quantizer_decode(double *decoded[NQI_N_WEIGHT_TYPES], const nqi_quantizer *q,
                               const nqi_design_source *source);
void nqi_quantizer_free_decoded(double *decoded[NQI_N_WEIGHT_TYPES], const nqi_quantizer *q,
                                const nqi_design_source *source);

/* Levels' numbers for n of the weights that it was designed for. h is their importance, shaped; it
 * is looked at where q->has_importance. */
void nqi_quantizer_assign(const nqi_quantizer *q, uint16_t *indices, const float *weights,
                          const double *h, size_t n);

#endif
