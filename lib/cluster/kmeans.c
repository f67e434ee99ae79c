/*
 * k-means: choosing the points to work on, and what becomes of the cells. See kmeans.h.
 */
#include "cluster/kmeans.h"

#include <string.h>

#include "cluster/lloyd.h"
#include "cluster/path.h"
#include "nq/types.h"

/* Passes over the weights that split bins and solve again. */
#define ROUNDS 1u

/* Bins that cells may end in are split if they have at most one in so many of all weights. With
 * more levels than this most bins may. */
#define SPLIT_SHARE      4u
#define MAX_SPLIT_LEVELS 64u

typedef struct design {
    const nqi_env *env;
    const nqi_summary *summary; /* as given, or: */
    nqi_summary split;
    const nqi_weights *parts;
    size_t n_parts;
    const nqi_kmeans_options *options;
    nqi_kmeans_result *result;
} design;

/* ---- Optimal ------------------------------------------------------------------------------- */

/* The best cells of a line, at most k; they are the caller's to free, with room for max_k. */
static nq_status solve_line(nqi_cells *cells, design *d, const nqi_line *line, size_t max_k,
                            double *lambda)
{
    nqi_path *path;
    const nqi_allocator *a = &d->env->allocator;
    NQI_TRY(nqi_path_create(&path, d->env, line));
    nq_status status = nqi_cells_create(cells, a, max_k);
    if (status == NQ_OK) {
        status = nqi_path_find(path, cells, NQI_MIN(d->options->k, nqi_path_points(path)), lambda,
                               &d->result->iterations);
        if (status != NQ_OK)
            nqi_cells_free(cells, a, max_k);
    }
    nqi_path_destroy(path);
    return status;
}

/* The best cells of a line at this lambda, if there are k of them. */
static nq_status solve_line_at(bool *is_solved, nqi_cells *cells, design *d, const nqi_line *line,
                               double lambda)
{
    nqi_path *path;
    const nqi_allocator *a = &d->env->allocator;
    NQI_TRY(nqi_path_create(&path, d->env, line));
    nq_status status = nqi_cells_create(cells, a, d->options->k);
    if (status == NQ_OK) {
        status = nqi_path_find_at(path, is_solved, cells, d->options->k, lambda);
        d->result->iterations++;
        if (status != NQ_OK || !*is_solved)
            nqi_cells_free(cells, a, d->options->k);
    }
    nqi_path_destroy(path);
    return status;
}

/* The cells' means become the levels. */
static void take_means(nqi_kmeans_result *r, const nqi_cells *cells)
{
    r->n_levels = cells->k;
    memcpy(r->levels, cells->means, cells->k * sizeof *r->levels);
}

/* Solves the summary as it is now. *lambda is per unit of importance as it was given. */
static nq_status solve_summary(nqi_cells *cells, design *d, double *lambda)
{
    nqi_line line;
    NQI_TRY(nqi_line_from_summary(&line, d->summary));
    d->result->ignores_importance = line.is_plain;
    double scaled = *lambda * line.scale;
    const nq_status status = solve_line(cells, d, &line, d->options->k, &scaled);
    *lambda = scaled / line.scale;
    nqi_line_free(&line);
    if (status == NQ_OK)
        take_means(d->result, cells);
    return status;
}

/* Splits bins where cells end, halfway between levels; *was_split is false if there was nothing to
 * split. With few bins for so many cells, all of them are split. */
static nq_status split_summary(design *d, bool *was_split)
{
    void *memory;
    size_t n_split;
    const nqi_kmeans_result *r = d->result;
    if (d->summary != &d->split) {
        NQI_TRY(nqi_summary_copy(&d->split, d->summary));
        d->summary = &d->split;
    }
    NQI_TRY(nqi_alloc(&memory, &d->env->allocator, r->n_levels, sizeof(double)));
    double *ends = memory;
    for (size_t j = 0; j + 1 < r->n_levels; j++)
        ends[j] = 0.5 * (r->levels[j] + r->levels[j + 1]);
    const bool is_crowded = d->split.n_bins / 4 < d->options->k;
    const nq_status status = nqi_summary_refine(&d->split, &n_split, d->env, d->parts, d->n_parts,
                                                is_crowded ? NULL : ends, r->n_levels - 1);
    nqi_free(&d->env->allocator, memory, r->n_levels, sizeof(double));
    *was_split = n_split > 0;
    return status;
}

static nq_status solve_and_split(design *d, double *lambda)
{
    nqi_cells cells;
    bool goes_on = true;
    for (unsigned round = 0; goes_on; round++) {
        NQI_TRY(solve_summary(&cells, d, lambda));
        d->result->is_optimal = nqi_summary_is_exact(d->summary);
        goes_on = !d->result->is_optimal && d->n_parts > 0 && round < ROUNDS;
        nqi_cells_free(&cells, &d->env->allocator, d->options->k);
        if (goes_on)
            NQI_TRY(split_summary(d, &goes_on));
    }
    return NQ_OK;
}

static nq_status solve_optimal(design *d)
{
    double lambda = 0;
    d->split = nqi_summary_empty(&d->env->allocator);
    const nq_status status = solve_and_split(d, &lambda);
    nqi_summary_free(&d->split);
    return status;
}

/* ---- Exact --------------------------------------------------------------------------------- */

static nq_status solve_weights(design *d, double lambda)
{
    nqi_line line;
    nqi_cells cells;
    NQI_TRY(nqi_line_from_weights(&line, d->env, d->parts, d->n_parts));
    lambda *= line.scale;
    const nq_status status = solve_line(&cells, d, &line, d->options->k, &lambda);
    nqi_line_free(&line);
    NQI_TRY(status);
    take_means(d->result, &cells);
    d->result->is_optimal = true;
    nqi_cells_free(&cells, &d->env->allocator, d->options->k);
    return NQ_OK;
}

/* Which bins of the summary cells may end in at this lambda, if that can be told. */
static nq_status find_borders(bool *is_border, bool *known, design *d, double lambda)
{
    nqi_line line;
    void *memory;
    const nqi_allocator *a = &d->env->allocator;
    const size_t n = d->summary->n_bins;
    NQI_TRY(nqi_alloc(&memory, a, n, sizeof(double)));
    nqi_line_above(memory, d->summary);
    nq_status status = nqi_line_from_summary(&line, d->summary);
    if (status == NQ_OK)
        status =
            nqi_path_find_borders(is_border, known, d->env, &line, memory, lambda * line.scale);
    nqi_line_free(&line);
    nqi_free(a, memory, n, sizeof(double));
    return status;
}

/* Solves bins and, in the places of those that cells may end in, weights; *is_solved is false if
 * these are too many, or the number of cells is not what it is to be. */
static nq_status solve_split(bool *is_solved, design *d, const bool *is_border, double lambda)
{
    nqi_line line;
    nqi_cells cells;
    uint64_t n_weights;
    NQI_TRY(nqi_line_split(&line, &n_weights, d->env, d->summary, is_border, d->parts, d->n_parts,
                           d->summary->n / SPLIT_SHARE));
    *is_solved = line.n >= d->options->k;
    nq_status status = NQ_OK;
    if (*is_solved)
        status = solve_line_at(is_solved, &cells, d, &line, lambda * line.scale);
    nqi_line_free(&line);
    if (status != NQ_OK || !*is_solved)
        return status;
    take_means(d->result, &cells);
    d->result->is_optimal = true;
    nqi_cells_free(&cells, &d->env->allocator, d->options->k);
    return NQ_OK;
}

/* Where few bins may have borders, the weights of these are enough. */
static nq_status solve_borders(bool *is_solved, design *d, double lambda)
{
    void *memory;
    bool known;
    const nqi_allocator *a = &d->env->allocator;
    const size_t n = d->summary->n_bins;
    *is_solved = false;
    if (!(lambda > 0) || d->options->k > MAX_SPLIT_LEVELS)
        return NQ_OK;
    NQI_TRY(nqi_alloc(&memory, a, n, sizeof(bool)));
    nq_status status = find_borders(memory, &known, d, lambda);
    if (status == NQ_OK && known)
        status = solve_split(is_solved, d, memory, lambda);
    nqi_free(a, memory, n, sizeof(bool));
    return status;
}

/* The summary tells the lambda, so that mostly one path over all weights is enough. */
static nq_status solve_exact(design *d)
{
    nqi_cells cells;
    double lambda = 0;
    bool is_solved;
    NQI_TRY(solve_summary(&cells, d, &lambda));
    nqi_cells_free(&cells, &d->env->allocator, d->options->k);
    d->result->is_optimal = nqi_summary_is_exact(d->summary);
    if (d->result->is_optimal || d->n_parts == 0)
        return NQ_OK;
    NQI_TRY(solve_borders(&is_solved, d, lambda));
    return is_solved ? NQ_OK : solve_weights(d, lambda);
}

/* ---- Lloyd --------------------------------------------------------------------------------- */

static nq_status start(design *d, const nqi_line *points, size_t *k)
{
    const nqi_kmeans_options *o = d->options;
    nqi_line bins;
    *k = o->k;
    switch (o->start) {
    case NQI_START_GIVEN:
        memcpy(d->result->levels, o->levels, o->k * sizeof *o->levels);
        return NQ_OK;
    case NQI_START_PLUS_PLUS: {
        NQI_TRY(nqi_line_from_summary(&bins, d->summary));
        const nq_status status =
            nqi_lloyd_start_plus_plus(d->result->levels, k, o->k, d->env, &bins, o->seed);
        nqi_line_free(&bins);
        return status;
    }
    default:
        nqi_lloyd_start_linear(d->result->levels, o->k, points);
        return NQ_OK;
    }
}

static nq_status run_lloyd(design *d, nqi_line *line)
{
    size_t k;
    nqi_kmeans_result *r = d->result;
    NQI_TRY(nqi_line_make_sums(line));
    NQI_TRY(start(d, line, &k));
    NQI_TRY(nqi_lloyd(r->levels, &k, &r->iterations, d->env, line, d->options->max_iterations));
    r->n_levels = k;
    r->ignores_importance = line->is_plain;
    return NQ_OK;
}

static nq_status solve_lloyd(design *d)
{
    nqi_line line;
    const bool uses_bins = d->n_parts == 0 || nqi_summary_is_exact(d->summary);
    NQI_TRY(uses_bins ? nqi_line_from_summary(&line, d->summary)
                      : nqi_line_from_weights(&line, d->env, d->parts, d->n_parts));
    const nq_status status = run_lloyd(d, &line);
    nqi_line_free(&line);
    return status;
}

/* Whether every value can have a level of its own. */
static bool has_level_for_each(const design *d)
{
    size_t n = 0;
    const nqi_summary *s = d->summary;
    const bool is_plain = !(nqi_summary_importance(s) > 0);
    for (size_t i = 0; i < s->n_bins && n <= d->options->k; i++)
        n += is_plain || s->bins[i].h > 0 ? 1 : 0;
    return n <= d->options->k && nqi_summary_is_exact(s);
}

/* ---- Result -------------------------------------------------------------------------------- */

static nq_status solve(design *d)
{
    switch (d->options->method) {
    case NQI_KMEANS_EXACT:
        return solve_exact(d);
    case NQI_KMEANS_LLOYD:
        return has_level_for_each(d) ? solve_optimal(d) : solve_lloyd(d);
    default:
        return solve_optimal(d);
    }
}

static nq_status finish(design *d)
{
    nqi_kmeans_result *r = d->result;
    nqi_fit fit;
    NQI_TRY(nqi_codebook_create(&r->codebook, d->env, r->levels, r->n_levels));
    r->distortion = -1;
    if (!d->options->is_measured || d->n_parts == 0)
        return NQ_OK;
    NQI_TRY(nqi_codebook_measure(&fit, d->env, &r->codebook, d->parts, d->n_parts));
    r->distortion = r->ignores_importance ? fit.squared : fit.weighted;
    return NQ_OK;
}

nq_status nqi_kmeans(nqi_kmeans_result *out, const nqi_env *env, const nqi_summary *s,
                     const nqi_weights *parts, size_t n_parts, const nqi_kmeans_options *options)
{
    void *levels;
    nqi_kmeans_result r = {.codebook.allocator = env->allocator, .capacity = options->k};
    *out = r;
    out->capacity = 0;
    if (s->n == 0 || options->k == 0 || options->k > NQ_MAX_LEVELS)
        return NQ_E_ARG;
    NQI_TRY(nqi_alloc(&levels, &env->allocator, options->k, sizeof *r.levels));
    r.levels = levels;
    design d = {.env = env,
                .summary = s,
                .parts = parts,
                .n_parts = n_parts,
                .options = options,
                .result = &r};
    nq_status status = solve(&d);
    if (status == NQ_OK)
        status = finish(&d);
    if (status == NQ_OK)
        *out = r;
    else
        nqi_kmeans_free(&r);
    return status;
}

void nqi_kmeans_free(nqi_kmeans_result *r)
{
    nqi_free(&r->codebook.allocator, r->levels, r->capacity, sizeof *r->levels);
    r->levels = NULL;
    nqi_codebook_free(&r->codebook);
}
