/*
 * The uniform quantizer (section 4.1 of the paper): cells of one width, centred on zero; the cells
 * that are used become levels, and each level is the mean of its cell's weights, weighted by their
 * importance or not, or the middle of the cell.
 */
#ifndef NQI_ECSQ_UNIFORM_H
#define NQI_ECSQ_UNIFORM_H

#include "ecsq/uniform_map.h"
#include "ecsq/uniform_sums.h"

/* Types that can be quantized, to index extents and tables with: NQ_F32, NQ_F16, NQ_BF16. */
#define NQI_N_WEIGHT_TYPES 3u

typedef struct nqi_uniform_job {
    const nqi_env *env;
    /* NULL: not told. Its total covers nqi_uniform_passes times the elements; it grows where the
     * weights are so far apart that it takes more. */
    nqi_progress_state *progress;
    const nqi_weights *parts; /* finite weights; at least one in all */
    size_t n_parts;
    nqi_extent extents[NQI_N_WEIGHT_TYPES];
    double step;         /* finite, > 0; or 0: the smallest that leaves at most max_levels levels */
    uint32_t max_levels; /* 1..NQ_MAX_LEVELS */
    uint32_t level_rule; /* NQ_LEVEL_* */
    bool is_trial; /* a step that does not work is refused without looking for one that does */
    bool has_importance;  /* of all parts, finite and not negative, not all zero after shaping */
    nqi_counts_fn counts; /* told the slots' counts of each part; may be NULL */
    void *user;
} nqi_uniform_job;

typedef struct nqi_uniform {
    nqi_allocator a;
    double step;
    uint32_t n_levels;
    bool is_grid;   /* level i is f32(step * cells[i]) */
    int64_t *cells; /* n_levels, rising */
    float *levels;  /* n_levels, finite, not falling */
    nqi_cell_map map;
    uint16_t *level_of_slot; /* map.n_slots; 0 for slots that are not used */
} nqi_uniform;

/* How often the design reads each element. */
uint32_t nqi_uniform_passes(double step);

/*
 * Designs the quantizer. A level is clamped where rounding it to a type of its cell's weights would
 * overflow. NQ_OK; NQ_E_LIMIT with *smallest_step, the smallest step that works, when the given one
 * leaves more than max_levels levels or numbers cells past 2^61 (2^53 for levels in the cells'
 * middles, which are stored by number); NQ_E_LIMIT with *smallest_step 0 for a limit on memory;
 * NQ_E_NOMEM; NQ_E_CANCELLED; what counts returned. In a trial *smallest_step is just DBL_MAX. A
 * negative *smallest_step stands for its magnitude, which works, but finding the smallest would
 * have taken too long (uniform_step.h). There is nothing to free after a failure.
 */
nq_status nqi_uniform_design(nqi_uniform *u, double *smallest_step, const nqi_uniform_job *job);
void nqi_uniform_free(nqi_uniform *u);

/* Levels' numbers for n weights of those that it was designed for. */
void nqi_uniform_assign(uint16_t *indices, const nqi_uniform *u, const float *weights, size_t n);

#endif
