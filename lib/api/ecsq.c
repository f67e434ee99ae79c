/*
 * The public face of entropy-constrained quantization: argument checks around the ecsq room.
 */
#include "nq/ecsq.h"

#include <string.h>

#include "api/codebook.h"
#include "api/stats.h"
#include "api/weight_list.h"
#include "base/diag.h"
#include "base/versioned.h"
#include "ecsq/iterative.h"

#define OPTIONS_FIRST_SIZE ((uint32_t)sizeof(nq_ecsq_options))

/* ---- Options ------------------------------------------------------------------------------- */

static nq_ecsq_options default_options(void)
{
    return (nq_ecsq_options){.struct_size = sizeof(nq_ecsq_options),
                             .max_levels = NQ_MAX_LEVELS,
                             .starts = NQ_ECSQ_FROM_GRID | NQ_ECSQ_FROM_OPTIMUM,
                             .max_iterations = 2000,
                             .tolerance = 1e-6};
}

void nq_ecsq_options_init_sized(nq_ecsq_options *options, uint32_t struct_size)
{
    nq_ecsq_options full = default_options();
    if (!options || struct_size < sizeof(uint32_t) || struct_size > NQI_STRUCT_MAX)
        return;
    nqi_versioned_init(options, struct_size);
    full.struct_size = struct_size;
    memcpy(options, &full, NQI_MIN(struct_size, sizeof full));
}

static bool is_number(double value)
{
    return value >= 0 && value - value == 0;
}

static nq_status read_options(nq_ecsq_options *full, const nq_ecsq_options *given,
                              uint32_t max_levels)
{
    *full = default_options();
    if (given)
        NQI_TRY(nqi_versioned_read(full, (uint32_t)sizeof *full, given, OPTIONS_FIRST_SIZE));
    if (full->max_levels == 0 || full->max_levels > NQ_MAX_LEVELS || full->max_iterations == 0 ||
        full->starts == 0 || full->starts > (NQ_ECSQ_FROM_GRID | NQ_ECSQ_FROM_OPTIMUM))
        return NQ_E_ARG;
    if (!is_number(full->lambda) || !is_number(full->step) || !is_number(full->tolerance))
        return NQ_E_ARG;
    full->max_levels = NQI_MIN(full->max_levels, max_levels);
    return NQ_OK;
}

/* ---- Results ------------------------------------------------------------------------------- */

/* What a design comes to: a codebook with an assignment of its own. */
typedef struct outcome {
    const float *levels;
    const double *lengths;
    const uint64_t *counts;
    size_t k;
    nq_codebook_report report; /* struct_size and n_levels do not matter */
    double lambda;
} outcome;

static nq_status fill_codebook(nq_codebook *c, const outcome *o, const nqi_rows *rows)
{
    if (o->report.is_measured) {
        NQI_TRY(nqi_api_codebook_make_counts(c));
        memcpy(c->counts, o->counts, o->k * sizeof *c->counts);
    }
    NQI_TRY(nqi_api_codebook_make_lengths(c));
    memcpy(c->lengths, o->lengths, o->k * sizeof *c->lengths);
    c->needs_importance = rows != NULL;
    return nqi_rdo_create(&c->rdo, &c->env, rows, o->levels, o->lengths, o->k, o->lambda);
}

static nq_status take_outcome(nq_codebook **out, const nq_ctx *ctx, const outcome *o,
                              const nqi_rows *rows)
{
    nq_codebook *c;
    void *memory;
    const nqi_allocator *a = &nqi_ctx_or_default(ctx)->env.allocator;
    NQI_TRY(nqi_alloc(&memory, a, o->k, sizeof(double)));
    double *levels = memory;
    for (size_t j = 0; j < o->k; j++)
        levels[j] = (double)o->levels[j];
    nq_status status = nqi_api_codebook_make(&c, ctx, levels, o->k);
    nqi_free(a, memory, o->k, sizeof(double));
    NQI_TRY(status);
    const uint32_t struct_size = c->report.struct_size, n_levels = c->report.n_levels;
    c->report = o->report;
    c->report.struct_size = struct_size;
    c->report.n_levels = n_levels;
    status = fill_codebook(c, o, rows);
    if (status != NQ_OK) {
        nq_codebook_destroy(c);
        return status;
    }
    *out = c;
    return NQ_OK;
}

/* ---- Design -------------------------------------------------------------------------------- */

typedef struct design {
    const nq_ctx *ctx;
    const nqi_env *env;
    const nqi_summary *summary;
    const nqi_weight_list *list;
    const nqi_rows *rows; /* NULL: weights have no importance */
    nq_ecsq_options options;
    const float *levels; /* that stay as they are, or NULL */
    size_t n_levels;
} design;

static nq_status find_levels(nq_codebook **out, const design *d)
{
    nqi_ecsq_result r;
    const nqi_ecsq_options options = {.lambda = d->options.lambda,
                                      .step = d->options.step,
                                      .max_levels = d->options.max_levels,
                                      .starts = d->options.starts,
                                      .tolerance = d->options.tolerance,
                                      .max_iterations = d->options.max_iterations,
                                      .lengths = d->options.lengths,
                                      .user = d->options.lengths_user};
    NQI_TRY(nqi_ecsq(&r, d->env, d->summary, d->rows, d->list->parts, d->list->n, &options));
    const outcome o = {.levels = r.levels,
                       .lengths = r.lengths,
                       .counts = r.counts,
                       .k = r.k,
                       .lambda = options.lambda,
                       .report = {.iterations = r.iterations,
                                  .ignores_importance = r.ignores_importance,
                                  .is_measured = d->list->n > 0,
                                  .n_weights = d->summary->n,
                                  .distortion = r.distortion,
                                  .bits = r.bits,
                                  .cost = r.cost}};
    const nq_status status = take_outcome(out, d->ctx, &o, d->rows);
    nqi_ecsq_free(&r);
    return status;
}

/* The counts' own codes, of levels that are used; bits of all. */
static double code_bits(const nq_codebook *c, const nq_ecsq_options *o, double *lengths,
                        uint64_t *counts)
{
    size_t k = 0;
    double bits = 0;
    for (size_t j = 0; j < c->nearest.n; j++)
        if (c->counts[j] > 0)
            counts[k++] = c->counts[j];
    (o->lengths ? o->lengths : nqi_ideal_lengths)(o->lengths_user, lengths, counts, k);
    for (size_t j = 0; j < k; j++)
        bits += (double)counts[j] * lengths[j];
    return bits;
}

/* Looks at the weights; lengths and counts are no longer needed. */
static nq_status measure(nq_codebook *c, const design *d, double *lengths, uint64_t *counts)
{
    nqi_rdo_fit fit;
    NQI_TRY(nqi_rdo_measure(&fit, c->counts, c->rdo, d->env, d->list->parts, d->list->n));
    c->report.distortion = fit.distortion;
    c->report.bits = code_bits(c, &d->options, lengths, counts);
    c->report.cost = fit.distortion + d->options.lambda * c->report.bits;
    return NQ_OK;
}

static nq_status price_levels(nq_codebook **out, const design *d, const nqi_rows *rows,
                              double *lengths, uint64_t *counts)
{
    double cost;
    const nqi_rdo_options options = {.lambda = d->options.lambda,
                                     .lengths = d->options.lengths,
                                     .user = d->options.lengths_user,
                                     .tolerance = d->options.tolerance,
                                     .max_iterations = d->options.max_iterations};
    NQI_TRY(
        nqi_rdo_lengths(lengths, counts, &cost, d->env, rows, d->levels, d->n_levels, &options));
    const outcome o = {.levels = d->levels,
                       .lengths = lengths,
                       .counts = counts,
                       .k = d->n_levels,
                       .lambda = options.lambda,
                       .report = {.is_measured = 1,
                                  .n_weights = d->summary->n,
                                  .ignores_importance = rows->is_plain}};
    NQI_TRY(take_outcome(out, d->ctx, &o, d->rows));
    const nq_status status = measure(*out, d, lengths, counts);
    if (status != NQ_OK) {
        nq_codebook_destroy(*out);
        *out = NULL;
    }
    return status;
}

static nq_status keep_levels(nq_codebook **out, const design *d, const nqi_rows *rows)
{
    void *memory;
    const nqi_allocator *a = &d->env->allocator;
    const size_t size = sizeof(double) + sizeof(uint64_t);
    NQI_TRY(nqi_alloc(&memory, a, d->n_levels, size));
    double *lengths = memory;
    const nq_status status =
        price_levels(out, d, rows, lengths, (uint64_t *)(void *)(lengths + d->n_levels));
    nqi_free(a, memory, d->n_levels, size);
    return status;
}

/* Rows for weights with importance, and for levels that stay. */
static nq_status solve(nq_codebook **out, design *d)
{
    nqi_rows rows;
    const nqi_summary *s = d->summary;
    const bool is_weighted = s->is_weighted && nqi_summary_importance(s) > 0;
    if (s->n == 0 || (is_weighted && d->list->n == 0))
        return NQ_E_ARG;
    if (!is_weighted && !d->levels)
        return find_levels(out, d);
    NQI_TRY(is_weighted
                ? nqi_rows_from_weights(&rows, d->env, s, d->list->parts, d->list->n, NQI_ROWS_ALL)
                : nqi_rows_from_summary(&rows, s));
    d->rows = is_weighted ? &rows : NULL;
    const nq_status status = d->levels ? keep_levels(out, d, &rows) : find_levels(out, d);
    nqi_rows_free(&rows);
    return status;
}

static nq_status solve_list(nq_codebook **out, design *d, const nq_stats *stats, nq_diag *diag)
{
    nqi_summary own;
    if (stats) {
        d->summary = &stats->summary;
        return solve(out, d);
    }
    NQI_TRY(nqi_weight_list_summarise(&own, d->env, d->list, diag));
    d->summary = &own;
    const nq_status status = solve(out, d);
    nqi_summary_free(&own);
    return status;
}

static nq_status run(nq_codebook **out, design *d, const nq_stats *stats,
                     const nq_tensor *const *tensors, const nq_tensor *const *importance,
                     size_t n_tensors, const nq_ecsq_options *given, nq_diag *diag)
{
    nqi_weight_list list;
    const nq_ctx *used = nqi_ctx_or_default(d->ctx);
    d->env = &used->env;
    nq_status status = read_options(&d->options, given, used->options.max_levels);
    if (status == NQ_OK && !d->levels && d->options.lambda == 0 && d->options.step == 0)
        status = NQ_E_ARG;
    if (status != NQ_OK)
        return nqi_diag_set(diag, status, "options that are unknown or not possible");
    NQI_TRY(nqi_weight_list_make(&list, &d->env->allocator, tensors, importance, n_tensors, diag));
    d->list = &list;
    status = solve_list(out, d, stats, diag);
    nqi_weight_list_free(&list);
    if (status != NQ_OK && diag->status == NQ_OK)
        nqi_diag_set(diag, status, "no codebook for these weights");
    return status;
}

/* ---- Exported ------------------------------------------------------------------------------ */

nq_status nq_ecsq(nq_codebook **out, const nq_ctx *ctx, const nq_stats *stats,
                  const nq_tensor *const *tensors, const nq_tensor *const *importance,
                  size_t n_tensors, const nq_ecsq_options *options, nq_diag *diag)
{
    nq_diag full;
    design d = {.ctx = ctx};
    nqi_diag_set(&full, NQ_OK, "");
    if (!out)
        return NQ_E_ARG;
    *out = NULL;
    full.status = run(out, &d, stats, tensors, importance, n_tensors, options, &full);
    return nqi_diag_export(diag, &full);
}

nq_status nq_ecsq_reassign(nq_codebook **out, const nq_ctx *ctx, const float *levels,
                           size_t n_levels, const nq_tensor *const *tensors,
                           const nq_tensor *const *importance, size_t n_tensors,
                           const nq_ecsq_options *options, nq_diag *diag)
{
    nq_diag full;
    design d = {.ctx = ctx, .levels = levels, .n_levels = n_levels};
    nqi_diag_set(&full, NQ_OK, "");
    if (!out)
        return NQ_E_ARG;
    *out = NULL;
    if (!levels || n_levels == 0 || n_levels > NQ_MAX_LEVELS ||
        !nqi_api_levels_are_good(levels, n_levels))
        full.status = nqi_diag_set(&full, NQ_E_ARG, "levels that are not finite, or do not rise");
    else
        full.status = run(out, &d, NULL, tensors, importance, n_tensors, options, &full);
    return nqi_diag_export(diag, &full);
}

const double *nq_codebook_lengths(const nq_codebook *codebook)
{
    return codebook ? codebook->lengths : NULL;
}
