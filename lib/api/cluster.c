/*
 * The public face of k-means: argument checks around the cluster room.
 */
#include "nq/cluster.h"

#include <string.h>

#include "api/codebook.h"
#include "api/stats.h"
#include "api/weight_list.h"
#include "base/diag.h"
#include "base/versioned.h"
#include "cluster/kmeans.h"

#define OPTIONS_FIRST_SIZE ((uint32_t)sizeof(nq_kmeans_options))

/* ---- Options ------------------------------------------------------------------------------- */

static nq_kmeans_options default_options(void)
{
    return (nq_kmeans_options){.struct_size = sizeof(nq_kmeans_options), .n_levels = 16};
}

void nq_kmeans_options_init_sized(nq_kmeans_options *options, uint32_t struct_size)
{
    nq_kmeans_options full = default_options();
    if (!options || struct_size < sizeof(uint32_t) || struct_size > NQI_STRUCT_MAX)
        return;
    nqi_versioned_init(options, struct_size);
    full.struct_size = struct_size;
    memcpy(options, &full, NQI_MIN(struct_size, sizeof full));
}

static bool levels_rise(const double *levels, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (levels[i] - levels[i] != 0 || (i > 0 && !(levels[i] > levels[i - 1])))
            return false;
    return true;
}

static nq_status read_options(nqi_kmeans_options *out, const nq_kmeans_options *given,
                              uint32_t max_levels)
{
    nq_kmeans_options full = default_options();
    if (given)
        NQI_TRY(nqi_versioned_read(&full, (uint32_t)sizeof full, given, OPTIONS_FIRST_SIZE));
    if (full.n_levels == 0 || full.n_levels > NQ_MAX_LEVELS || full.method > NQ_KMEANS_LLOYD ||
        full.start > NQ_START_GIVEN || full.skips_measure > 1)
        return NQ_E_ARG;
    if (full.n_levels > max_levels)
        return NQ_E_LIMIT;
    const bool is_given = full.method == NQ_KMEANS_LLOYD && full.start == NQ_START_GIVEN;
    if (is_given && (!full.levels || !levels_rise(full.levels, full.n_levels)))
        return NQ_E_ARG;
    *out = (nqi_kmeans_options){.k = full.n_levels,
                                .method = (nqi_kmeans_method)full.method,
                                .start = (nqi_kmeans_start)full.start,
                                .levels = full.levels,
                                .seed = full.seed,
                                .max_iterations = full.max_iterations,
                                .is_measured = !full.skips_measure};
    return NQ_OK;
}

/* ---- Design -------------------------------------------------------------------------------- */

static nq_status take_result(nq_codebook **out, const nq_ctx *ctx, const nqi_kmeans_result *r,
                             const nqi_weight_list *list)
{
    nq_codebook *c;
    NQI_TRY(nqi_api_codebook_make(&c, ctx, r->levels, r->n_levels));
    c->report.iterations = r->iterations;
    c->report.is_optimal = r->is_optimal;
    c->report.ignores_importance = r->ignores_importance;
    nq_status status = NQ_OK;
    if (r->distortion >= 0) {
        status = nqi_api_codebook_count(c, list->parts, list->n);
        c->report.is_measured = 1;
        c->report.n_weights = list->n_weights;
        c->report.distortion = r->distortion;
        c->report.cost = r->distortion;
    }
    if (status != NQ_OK) {
        nq_codebook_destroy(c);
        return status;
    }
    *out = c;
    return NQ_OK;
}

static nq_status solve(nq_codebook **out, const nq_ctx *ctx, const nqi_summary *s,
                       const nqi_weight_list *list, const nqi_kmeans_options *options)
{
    nqi_kmeans_result r;
    const nqi_env *env = &nqi_ctx_or_default(ctx)->env;
    NQI_TRY(nqi_kmeans(&r, env, s, list->parts, list->n, options));
    const nq_status status = take_result(out, ctx, &r, list);
    nqi_kmeans_free(&r);
    return status;
}

static nq_status solve_list(nq_codebook **out, const nq_ctx *ctx, const nq_stats *stats,
                            const nqi_weight_list *list, const nqi_kmeans_options *options,
                            nq_diag *diag)
{
    nqi_summary own;
    if (stats)
        return solve(out, ctx, &stats->summary, list, options);
    NQI_TRY(nqi_weight_list_summarise(&own, &nqi_ctx_or_default(ctx)->env, list, diag));
    const nq_status status = solve(out, ctx, &own, list, options);
    nqi_summary_free(&own);
    return status;
}

static nq_status run(nq_codebook **out, const nq_ctx *ctx, const nq_stats *stats,
                     const nq_tensor *const *tensors, const nq_tensor *const *importance,
                     size_t n_tensors, const nq_kmeans_options *given, nq_diag *diag)
{
    nqi_kmeans_options options;
    nqi_weight_list list;
    const nq_ctx *used = nqi_ctx_or_default(ctx);
    const nq_status status = read_options(&options, given, used->options.max_levels);
    if (status != NQ_OK)
        return nqi_diag_set(diag, status, "options that are unknown or not possible");
    NQI_TRY(
        nqi_weight_list_make(&list, &used->env.allocator, tensors, importance, n_tensors, diag));
    nq_status solved = solve_list(out, ctx, stats, &list, &options, diag);
    nqi_weight_list_free(&list);
    if (solved != NQ_OK && diag->status == NQ_OK)
        nqi_diag_set(diag, solved, "no codebook for these weights");
    return solved;
}

nq_status nq_kmeans(nq_codebook **out, const nq_ctx *ctx, const nq_stats *stats,
                    const nq_tensor *const *tensors, const nq_tensor *const *importance,
                    size_t n_tensors, const nq_kmeans_options *options, nq_diag *diag)
{
    nq_diag full;
    nqi_diag_set(&full, NQ_OK, "");
    if (!out)
        return NQ_E_ARG;
    *out = NULL;
    full.status = run(out, ctx, stats, tensors, importance, n_tensors, options, &full);
    return nqi_diag_export(diag, &full);
}
