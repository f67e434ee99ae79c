/*
 * Levels, and weights that go where h (w - c)^2 + lambda times the length of the level's code is
 * least: see methods.h. Levels come from iterative design, or from another method and stay.
 */
#include "model/methods.h"

/* What a priced quantizer is made of. Levels rise and are different. */
typedef struct priced {
    const float *levels;
    const int64_t *cells; /* or NULL */
    const double *lengths;
    size_t k;
    double lambda; /* per unit of h w^2, importance as it is shaped */
} priced;

/* 2 ln 2. */
#define TWO_LN2 1.3862943611198906

/* ---- From levels and lengths to a quantizer ------------------------------------------------ */

/* Copies the levels that are used, and their lengths. */
static void take_used(nqi_quantizer *q, double *lengths, const priced *p)
{
    for (size_t i = 0; i < p->k; i++) {
        if (p->lengths[i] >= NQI_RDO_UNUSED)
            continue;
        q->priced[q->n_levels] = p->levels[i];
        if (p->cells)
            q->priced_cells[q->n_levels] = p->cells[i];
        lengths[q->n_levels++] = p->lengths[i];
    }
}

static bool fits(const nqi_quantizer *q, const nqi_design_source *source)
{
    const double most = nqi_source_most(source);
    return (double)q->priced[0] >= -most && (double)q->priced[q->n_levels - 1] <= most;
}

/* Where a level is beyond what some weights' type can hold, no weight may just go anywhere: each
 * goes to the nearest level. */
static nq_status make_nearest(nqi_quantizer *q, const nqi_design_source *source)
{
    void *memory;
    NQI_TRY(nqi_alloc(&memory, &q->allocator, q->n_levels, sizeof(double)));
    double *levels = memory;
    for (uint32_t i = 0; i < q->n_levels; i++)
        levels[i] = (double)q->priced[i];
    nqi_source_clamp(levels, q->n_levels, source);
    const nq_status status = nqi_codebook_create(&q->codebook, source->env, levels, q->n_levels);
    nqi_free(&q->allocator, levels, q->n_levels, sizeof(double));
    NQI_TRY(status);
    q->assignment = NQI_ASSIGN_NEAREST;
    q->n_levels = (uint32_t)q->codebook.n;
    q->levels = q->codebook.levels;
    return NQ_OK;
}

static nq_status finish(nqi_quantizer *q, nqi_design_source *source, const double *lengths,
                        double lambda)
{
    if (!fits(q, source))
        return make_nearest(q, source);
    NQI_TRY(nqi_rdo_create(&q->rdo, source->env, source->has_importance ? &source->rows : NULL,
                           q->priced, lengths, q->n_levels, lambda));
    q->assignment = NQI_ASSIGN_PRICED;
    q->has_importance = source->has_importance;
    q->levels = q->priced;
    q->cells = q->priced_cells;
    q->is_grid = q->cells != NULL;
    return NQ_OK;
}

/* Its rows must have been made. */
static nq_status make_quantizer(nqi_quantizer *q, nqi_design_source *source, const priced *p)
{
    void *memory;
    q->n_allocated = (uint32_t)p->k;
    NQI_TRY(nqi_alloc(&memory, &q->allocator, p->k, sizeof *q->priced));
    q->priced = memory;
    if (p->cells) {
        NQI_TRY(nqi_alloc(&memory, &q->allocator, p->k, sizeof *q->priced_cells));
        q->priced_cells = memory;
    }
    NQI_TRY(nqi_alloc(&memory, &q->allocator, p->k, sizeof(double)));
    double *lengths = memory;
    q->n_levels = 0;
    take_used(q, lengths, p);
    const nq_status status = finish(q, source, lengths, p->lambda);
    nqi_free(&q->allocator, lengths, p->k, sizeof(double));
    return status;
}

/* ---- Iterative design ---------------------------------------------------------------------- */

/* How many iterations a trial may take, and how near to rest it must come; and on a sample. */
#define TRIAL_ITERATIONS  200u
#define TRIAL_TOLERANCE   0x1p-17
#define SAMPLE_ITERATIONS 30u
#define SAMPLE_TOLERANCE  0x1p-12

/* A design on a sample begins with the middle one of the grids that others begin with. */
#define FINER 8

static nq_status iterate(nqi_quantizer *q, const nqi_design_job *job, double lambda, double step,
                         uint32_t starts)
{
    nqi_design_source *source = job->source;
    nqi_ecsq_options options = nqi_ecsq_options_default(lambda);
    nqi_ecsq_result result;
    options.step = step;
    options.starts = starts;
    options.max_levels = job->max_levels;
    if (job->goal.kind == NQ_TARGET_LEVELS && job->goal.value < (double)job->max_levels)
        options.max_levels = (size_t)job->goal.value;
    if (job->is_trial || job->is_sample) {
        options.max_iterations = job->is_sample ? SAMPLE_ITERATIONS : TRIAL_ITERATIONS;
        options.tolerance = job->is_sample ? SAMPLE_TOLERANCE : TRIAL_TOLERANCE;
    }
    if ((job->is_sample || job->is_smooth) && lambda > 0)
        options.starts = NQI_ECSQ_FROM_GRID;
    if ((job->is_sample || job->is_smooth) && lambda > 0 && step == 0) {
        NQI_TRY(nqi_step_for_lambda(&options.step, source, lambda));
        options.step /= job->is_smooth ? 1 : FINER;
    }
    options.is_unmeasured = source->has_importance; /* points of rows are weights then */
    NQI_TRY(nqi_design_source_make_rows(source));
    NQI_TRY(nqi_ecsq(&result, source->env, &source->summary,
                     source->has_importance ? &source->rows : NULL, source->parts, source->n_parts,
                     &options));
    const priced p = {
        .levels = result.levels, .lengths = result.lengths, .k = result.k, .lambda = lambda};
    const nq_status status = make_quantizer(q, source, &p);
    nqi_ecsq_free(&result);
    return status;
}

/* ---- Levels that stay ---------------------------------------------------------------------- */

/* Codes for given levels. Equal levels, which uniform cells may have, count as one. */
static nq_status price_levels(nqi_quantizer *q, const nqi_quantizer *from,
                              const nqi_design_job *job, double lambda)
{
    nqi_design_source *source = job->source;
    const nqi_allocator *a = &q->allocator;
    const nqi_rdo_options options = nqi_rdo_options_default(lambda);
    const uint32_t n = from->n_levels;
    void *levels = NULL, *cells = NULL, *lengths = NULL, *counts = NULL;
    double cost;
    size_t k = 0;
    nq_status status = nqi_design_source_make_rows(source);
    if (status == NQ_OK)
        status = nqi_alloc(&levels, a, n, sizeof(float));
    if (status == NQ_OK)
        status = nqi_alloc(&cells, a, n, sizeof(int64_t));
    if (status == NQ_OK)
        status = nqi_alloc(&lengths, a, n, sizeof(double));
    if (status == NQ_OK)
        status = nqi_alloc(&counts, a, n, sizeof(uint64_t));
    if (status == NQ_OK) {
        float *kept = levels;
        for (uint32_t i = 0; i < n; i++)
            if (k == 0 || from->levels[i] > kept[k - 1]) {
                if (from->is_grid)
                    ((int64_t *)cells)[k] = from->cells[i];
                kept[k++] = from->levels[i];
            }
        status =
            nqi_rdo_lengths(lengths, counts, &cost, source->env, &source->rows, kept, k, &options);
    }
    if (status == NQ_OK) {
        const priced p = {.levels = levels,
                          .cells = from->is_grid ? cells : NULL,
                          .lengths = lengths,
                          .k = k,
                          .lambda = lambda};
        status = make_quantizer(q, source, &p);
        q->step = from->step;
    }
    nqi_free(a, levels, n, sizeof(float));
    nqi_free(a, cells, n, sizeof(int64_t));
    nqi_free(a, lengths, n, sizeof(double));
    nqi_free(a, counts, n, sizeof(uint64_t));
    return status;
}

/* ---- Methods ------------------------------------------------------------------------------- */

/* The step of the uniform quantizer for the goal, and the quantizer. */
static nq_status design_grid(nqi_quantizer *grid, double *smallest_step, const nqi_design_job *job)
{
    nqi_design_job plain = *job;
    plain.counts = NULL;
    *grid = (nqi_quantizer){.allocator = job->source->env->allocator};
    return nqi_design_uniform(grid, smallest_step, &plain);
}

static nq_status given_lambda(double *lambda, const nqi_design_job *job, double step)
{
    *lambda = job->rdo_lambda;
    return *lambda > 0 ? NQ_OK : nqi_lambda_for_step(lambda, job->source, step);
}

/* Uniform cells to begin with. Levels in cells' middles stay there, means move with their weights.
 */
static nq_status price_uniform(nqi_quantizer *q, double *smallest_step, const nqi_design_job *job)
{
    nqi_quantizer grid;
    double lambda;
    NQI_TRY(design_grid(&grid, smallest_step, job));
    nq_status status = given_lambda(&lambda, job, grid.step);
    if (status == NQ_OK && job->level_rule == NQ_LEVEL_GRID)
        status = price_levels(q, &grid, job, lambda);
    else if (status == NQ_OK)
        status = iterate(q, job, lambda, grid.step, NQI_ECSQ_FROM_GRID);
    nqi_quantizer_free(&grid);
    return status;
}

/* Without a lambda: what suits the distortion that nearest levels have, in the limit of many. */
static nq_status lambda_for_levels(double *lambda, const nqi_quantizer *means,
                                   const nqi_design_job *job)
{
    const nqi_design_source *source = job->source;
    nqi_fit fit;
    *lambda = job->rdo_lambda;
    if (*lambda > 0)
        return NQ_OK;
    NQI_TRY(
        nqi_codebook_measure(&fit, source->env, &means->codebook, source->parts, source->n_parts));
    *lambda = TWO_LN2 * fit.weighted / (double)fit.n;
    return NQ_OK;
}

static nq_status price_kmeans(nqi_quantizer *q, const nqi_design_job *job)
{
    nqi_quantizer means = {.allocator = q->allocator};
    double lambda;
    NQI_TRY(nqi_design_kmeans(&means, job));
    nq_status status = lambda_for_levels(&lambda, &means, job);
    if (status == NQ_OK)
        status = price_levels(q, &means, job, lambda);
    nqi_quantizer_free(&means);
    return status;
}

/* Iterative design for a lambda, or for what suits a step or the step of so many uniform levels. */
static nq_status design_ecsq(nqi_quantizer *q, double *smallest_step, const nqi_design_job *job)
{
    nqi_quantizer grid;
    double lambda = job->goal.value, step = 0;
    if (job->goal.kind == NQ_TARGET_STEP) {
        NQI_TRY(nqi_lambda_for_step(&lambda, job->source, job->goal.value));
    } else if (job->goal.kind == NQ_TARGET_LEVELS || lambda == 0) {
        nqi_design_job levels = *job;
        if (job->goal.kind != NQ_TARGET_LEVELS)
            levels.goal = (nqi_goal){NQ_TARGET_LEVELS, job->max_levels};
        NQI_TRY(design_grid(&grid, smallest_step, &levels));
        step = grid.step;
        nqi_quantizer_free(&grid);
        if (job->goal.kind == NQ_TARGET_LEVELS)
            NQI_TRY(nqi_lambda_for_step(&lambda, job->source, step));
    }
    return iterate(q, job, lambda, step, NQI_ECSQ_FROM_BOTH);
}

nq_status nqi_design_priced(nqi_quantizer *q, double *smallest_step, const nqi_design_job *job)
{
    if (job->method == NQ_METHOD_ECSQ)
        return design_ecsq(q, smallest_step, job);
    if (job->method == NQ_METHOD_KMEANS)
        return price_kmeans(q, job);
    return price_uniform(q, smallest_step, job);
}
