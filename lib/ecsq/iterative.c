/*
 * Iterative entropy-constrained quantization: see iterative.h. Each start is run until it rests,
 * and the lowest is kept. Bins of a summary that is not exact, which weights without importance are
 * taken for, are split where cells end, and the way down goes on from there. At last levels are
 * rounded as they are stored, and all weights are looked at once for what they cost then.
 */
#include "ecsq/iterative.h"

#include <string.h>

#include "base/log2.h"
#include "ecsq/interval.h"
#include "ecsq/rdo.h"
#include "ecsq/uniform_cell.h"
#include "nq/types.h"

typedef struct design {
    const nqi_env *env;
    const nqi_summary *summary;
    const nqi_rows *rows; /* as given, or: */
    nqi_rows own_rows;
    const nqi_weights *parts;
    size_t n_parts;
    const nqi_ecsq_options *options;
    nqi_descent_options descent;
    size_t max_k;
    double *start; /* max_k */
    double *start_lengths;
    nqi_descent now;
    nqi_descent before;
    nqi_descent best; /* k 0: none yet */
} design;

nqi_ecsq_options nqi_ecsq_options_default(double lambda)
{
    return (nqi_ecsq_options){.lambda = lambda,
                              .max_levels = NQ_MAX_LEVELS,
                              .starts = NQI_ECSQ_FROM_BOTH,
                              .tolerance = 1e-6,
                              .max_iterations = 2000};
}

/* ---- Starting from a grid ------------------------------------------------------------------ */

static double bin_h(const design *d, const nqi_bin *b)
{
    return d->rows->is_plain ? (double)b->count : b->h;
}

/* The cell of a bin's mean x; beyond what can be numbered each bin has its own. */
static int64_t cell_of(double x, double step, size_t bin)
{
    return nqi_uniform_reaches(x < 0 ? -x : x, step) ? nqi_uniform_cell(x, step)
                                                     : INT64_MAX - (int64_t)bin;
}

/* Means of the cells of a step that have importance, and ideal lengths of codes for the cells;
 * their number, of which max_k are listed. */
static size_t grid_levels(const design *d, double step)
{
    const nqi_summary *s = d->summary;
    const double log_n = nqi_log2((double)s->n);
    size_t k = 0;
    for (size_t i = 0; i < s->n_bins;) {
        const double first = nqi_bin_mean(&s->bins[i]);
        const int64_t cell = cell_of(first, step, i);
        double count = 0, h = 0, h_x = 0;
        for (; i < s->n_bins; i++) {
            const double x = nqi_bin_mean(&s->bins[i]);
            if (cell_of(x, step, i) != cell)
                break;
            count += (double)s->bins[i].count;
            h += bin_h(d, &s->bins[i]);
            h_x += bin_h(d, &s->bins[i]) * (x - first);
        }
        if (!(h > 0))
            continue;
        if (k < d->max_k) {
            d->start[k] = first + h_x / h;
            d->start_lengths[k] = log_n - nqi_log2(count);
        }
        k++;
    }
    return k;
}

/* A cell of width s loses s^2 / 12 a weight, and one of half the width takes a bit more: in balance
 * at s^2 = 6 lambda / (h ln 2). */
static double balanced_step(const design *d)
{
    const nqi_summary *s = d->summary;
    const double mean_h = d->rows->is_plain ? 1 : nqi_summary_importance(s) / (double)s->n;
    const double square = 6 * (d->options->lambda / mean_h) * 0x1.71547652b82fep+0;
    return nqi_sqrt(NQI_MIN(square, 0x1p1000));
}

/* The step grows until its cells are few enough. */
static size_t start_from_grid(design *d, double step)
{
    size_t k;
    step = NQI_MAX(step, 0x1p-160);
    while ((k = grid_levels(d, step)) > d->max_k)
        step *= 1.25;
    return k;
}

/* ---- Descents ------------------------------------------------------------------------------ */

static void keep_if_lower(design *d)
{
    if (d->best.k > 0 && d->best.cost <= d->now.cost)
        return;
    const nqi_descent worse = d->best;
    d->best = d->now;
    d->now = worse;
}

static nq_status descend(design *d, const double *levels, const double *lengths, size_t k)
{
    nqi_assigner *a;
    NQI_TRY(nqi_assigner_create(&a, d->env, d->rows, d->max_k));
    nqi_descent_begin(&d->now, levels, lengths, k);
    const nq_status status =
        nqi_descent_run(&d->now, &d->before, d->env, a, d->rows, &d->descent, false);
    nqi_assigner_destroy(a);
    return status;
}

static nq_status run_start(design *d, size_t k)
{
    NQI_TRY(descend(d, d->start, d->start_lengths, k));
    keep_if_lower(d);
    return NQ_OK;
}

/*
 * Weights of more than average importance want levels closer together than what is in balance for
 * the average, and levels that nobody wants are dropped soon: fine grids lead lowest, and which of
 * them does is a matter of luck.
 */
static nq_status run_grids(design *d)
{
    static const double parts[] = {4, 8, 16};
    if (d->options->step > 0)
        return run_start(d, start_from_grid(d, d->options->step));
    for (size_t i = 0; i < NQI_COUNT(parts); i++)
        NQI_TRY(run_start(d, start_from_grid(d, balanced_step(d) / parts[i])));
    return NQ_OK;
}

/* The optimum may have too many levels for the codebook, and has nothing to say without a price. */
static nq_status run_starts(design *d)
{
    const nqi_ecsq_options *o = d->options;
    size_t k = 0;
    if ((o->starts & NQI_ECSQ_FROM_OPTIMUM) && o->lambda > 0)
        NQI_TRY(nqi_interval_levels(d->start, d->start_lengths, &k, d->max_k, d->env, d->summary,
                                    d->rows->is_plain, o->lambda));
    if (k > 0)
        NQI_TRY(run_start(d, k));
    return k == 0 || (o->starts & NQI_ECSQ_FROM_GRID) ? run_grids(d) : NQ_OK;
}

/* ---- Splitting bins ------------------------------------------------------------------------ */

/* Where cells end, for weights of one importance. */
static nq_status find_ends(nqi_rule *rule, const design *d)
{
    const nqi_priced_levels priced = {d->best.levels, d->best.lengths, d->best.k};
    NQI_TRY(nqi_rule_create(rule, &d->env->allocator, d->best.k));
    nqi_rule_set(rule, &priced, d->descent.lambda, 1, 1);
    return NQ_OK;
}

/* Goes on from the best with the bins of `split` for points. */
static nq_status descend_split(design *d, const nqi_summary *split)
{
    const uint32_t iterations = d->best.iterations;
    nqi_rows_free(&d->own_rows);
    NQI_TRY(nqi_rows_from_summary(&d->own_rows, split));
    NQI_TRY(descend(d, d->best.levels, d->best.lengths, d->best.k));
    d->best.k = 0; /* it was measured on other points */
    keep_if_lower(d);
    d->best.iterations += iterations;
    return NQ_OK;
}

static nq_status split_and_go_on(design *d)
{
    nqi_rule rule;
    nqi_summary split;
    size_t n_split;
    NQI_TRY(nqi_summary_copy(&split, d->summary));
    nq_status status = find_ends(&rule, d);
    if (status == NQ_OK)
        status = nqi_summary_refine(&split, &n_split, d->env, d->parts, d->n_parts,
                                    rule.dear.thresholds, rule.dear.n - 1);
    if (status == NQ_OK && n_split > 0)
        status = descend_split(d, &split);
    nqi_rule_free(&rule, &d->env->allocator);
    nqi_summary_free(&split);
    return status;
}

/* ---- Result -------------------------------------------------------------------------------- */

static nq_status make_result(nqi_ecsq_result *r, size_t k)
{
    void *levels, *lengths, *counts;
    r->capacity = k;
    NQI_TRY(nqi_alloc(&levels, &r->allocator, k, sizeof *r->levels));
    r->levels = levels;
    NQI_TRY(nqi_alloc(&lengths, &r->allocator, k, sizeof *r->lengths));
    r->lengths = lengths;
    NQI_TRY(nqi_alloc(&counts, &r->allocator, k, sizeof *r->counts));
    r->counts = counts;
    return NQ_OK;
}

/* Levels as they are stored; those that have become the same are one. */
static void round_levels(nqi_ecsq_result *r, const design *d)
{
    const nqi_descent *best = &d->best;
    for (size_t j = 0; j < best->k; j++) {
        const float level = (float)best->levels[j] + 0.0f;
        if (r->k > 0 && r->levels[r->k - 1] == level) {
            r->counts[r->k - 1] += best->shares[j].count;
            continue;
        }
        r->levels[r->k] = level;
        r->lengths[r->k] = best->lengths[j];
        r->counts[r->k++] = best->shares[j].count;
    }
    if (r->k < best->k)
        d->descent.lengths(d->descent.user, r->lengths, r->counts, r->k);
}

/* From sums over the rows, for want of the weights. */
static nq_status measure_rows(nqi_ecsq_result *r, design *d)
{
    nqi_assigner *a;
    nqi_descent_options once = d->descent;
    once.keeps_levels = true;
    once.keeps_lengths = true;
    once.max_iterations = 1;
    for (size_t j = 0; j < r->k; j++)
        d->start[j] = (double)r->levels[j];
    NQI_TRY(nqi_assigner_create(&a, d->env, d->rows, d->max_k));
    nqi_descent_begin(&d->now, d->start, r->lengths, r->k);
    const nq_status status = nqi_descent_run(&d->now, &d->before, d->env, a, d->rows, &once, false);
    nqi_assigner_destroy(a);
    NQI_TRY(status);
    for (size_t j = 0; j < r->k; j++)
        r->counts[j] = d->now.shares[j].count;
    r->distortion = d->now.distortion / d->rows->scale;
    return NQ_OK;
}

static nq_status measure_weights(nqi_ecsq_result *r, const design *d)
{
    nqi_rdo *rdo;
    nqi_rdo_fit fit;
    NQI_TRY(nqi_rdo_create(&rdo, d->env, d->rows, r->levels, r->lengths, r->k, d->options->lambda));
    const nq_status status = nqi_rdo_measure(&fit, r->counts, rdo, d->env, d->parts, d->n_parts);
    nqi_rdo_destroy(rdo);
    r->distortion = fit.distortion;
    return status;
}

static void drop_unused(nqi_ecsq_result *r)
{
    size_t k = 0;
    for (size_t j = 0; j < r->k; j++)
        if (r->counts[j] > 0) {
            r->levels[k] = r->levels[j];
            r->lengths[k] = r->lengths[j];
            r->counts[k++] = r->counts[j];
        }
    r->k = k;
}

static nq_status finish(nqi_ecsq_result *r, design *d)
{
    NQI_TRY(make_result(r, d->best.k));
    round_levels(r, d);
    const bool is_of_rows = d->n_parts == 0 || d->options->is_unmeasured;
    NQI_TRY(is_of_rows ? measure_rows(r, d) : measure_weights(r, d));
    drop_unused(r);
    r->iterations = d->best.iterations;
    r->ignores_importance = d->rows->is_plain;
    d->descent.lengths(d->descent.user, d->best.lengths, r->counts, r->k);
    for (size_t j = 0; j < r->k; j++)
        r->bits += (double)r->counts[j] * d->best.lengths[j];
    r->cost = r->distortion + d->options->lambda * r->bits;
    return NQ_OK;
}

/* ---- All ----------------------------------------------------------------------------------- */

static nq_status check(const nqi_summary *s, const nqi_rows *rows, size_t n_parts,
                       const nqi_ecsq_options *o)
{
    const bool is_weighted = s->is_weighted && nqi_summary_importance(s) > 0;
    if (s->n == 0 || o->max_levels == 0 || o->max_levels > NQ_MAX_LEVELS || o->max_iterations == 0)
        return NQ_E_ARG;
    if (!(o->lambda >= 0) || o->lambda - o->lambda != 0 || !(o->step >= 0) ||
        o->step - o->step != 0 || (o->lambda == 0 && o->step == 0))
        return NQ_E_ARG;
    return is_weighted && !rows && n_parts == 0 ? NQ_E_ARG : NQ_OK;
}

static nq_status make_rows(design *d)
{
    const nqi_summary *s = d->summary;
    if (d->rows)
        return NQ_OK;
    d->rows = &d->own_rows;
    if (s->is_weighted && nqi_summary_importance(s) > 0)
        return nqi_rows_from_weights(&d->own_rows, d->env, s, d->parts, d->n_parts, NQI_ROWS_ALL);
    return nqi_rows_from_summary(&d->own_rows, s);
}

static nq_status make_room(design *d)
{
    void *start;
    const nqi_allocator *a = &d->env->allocator;
    d->max_k = (size_t)NQI_MIN(d->options->max_levels, d->summary->n);
    NQI_TRY(nqi_alloc(&start, a, d->max_k, 2 * sizeof *d->start));
    d->start = start;
    d->start_lengths = d->start + d->max_k;
    NQI_TRY(nqi_descent_create(&d->now, a, d->max_k));
    NQI_TRY(nqi_descent_create(&d->before, a, d->max_k));
    return nqi_descent_create(&d->best, a, d->max_k);
}

static nq_status solve(nqi_ecsq_result *r, design *d)
{
    const nqi_ecsq_options *o = d->options;
    NQI_TRY(make_rows(d));
    NQI_TRY(make_room(d));
    d->descent = (nqi_descent_options){.lambda = nqi_scaled_lambda(o->lambda, d->rows->scale),
                                       .tolerance = o->tolerance,
                                       .max_iterations = o->max_iterations,
                                       .lengths = o->lengths ? o->lengths : nqi_ideal_lengths,
                                       .user = o->user};
    NQI_TRY(run_starts(d));
    if (d->own_rows.counts && d->n_parts > 0 && !nqi_summary_is_exact(d->summary))
        NQI_TRY(split_and_go_on(d));
    return finish(r, d);
}

nq_status nqi_ecsq(nqi_ecsq_result *out, const nqi_env *env, const nqi_summary *s,
                   const nqi_rows *rows, const nqi_weights *parts, size_t n_parts,
                   const nqi_ecsq_options *options)
{
    nqi_ecsq_result r = {.allocator = env->allocator};
    *out = r;
    NQI_TRY(check(s, rows, n_parts, options));
    design d = {.env = env,
                .summary = s,
                .rows = rows,
                .own_rows.allocator = env->allocator,
                .parts = parts,
                .n_parts = n_parts,
                .options = options};
    const nq_status status = solve(&r, &d);
    nqi_descent_free(&d.best, &env->allocator);
    nqi_descent_free(&d.before, &env->allocator);
    nqi_descent_free(&d.now, &env->allocator);
    nqi_free(&env->allocator, d.start, d.max_k, 2 * sizeof *d.start);
    nqi_rows_free(&d.own_rows);
    if (status == NQ_OK)
        *out = r;
    else
        nqi_ecsq_free(&r);
    return status;
}

void nqi_ecsq_free(nqi_ecsq_result *r)
{
    nqi_free(&r->allocator, r->counts, r->capacity, sizeof *r->counts);
    nqi_free(&r->allocator, r->lengths, r->capacity, sizeof *r->lengths);
    nqi_free(&r->allocator, r->levels, r->capacity, sizeof *r->levels);
    *r = (nqi_ecsq_result){.allocator = r->allocator};
}
