/*
 * The stats module's public face: argument checks around summaries.
 */
#include "api/stats.h"

#include "api/weight_list.h"
#include "base/diag.h"
#include "base/versioned.h"

#define INFO_FIRST_SIZE ((uint32_t)sizeof(nq_stats_info))

/* ---- Life ---------------------------------------------------------------------------------- */

nq_status nq_stats_create(nq_stats **out, const nq_ctx *ctx)
{
    void *memory;
    if (!out)
        return NQ_E_ARG;
    *out = NULL;
    const nqi_env *env = &nqi_ctx_or_default(ctx)->env;
    NQI_TRY(nqi_alloc_zero(&memory, &env->allocator, 1, sizeof(nq_stats)));
    nq_stats *stats = memory;
    stats->env = *env;
    stats->summary = nqi_summary_empty(&env->allocator);
    *out = stats;
    return NQ_OK;
}

void nq_stats_destroy(nq_stats *stats)
{
    if (!stats)
        return;
    const nqi_allocator a = stats->env.allocator;
    nqi_summary_free(&stats->summary);
    nqi_free(&a, stats, 1, sizeof *stats);
}

/* ---- Adding -------------------------------------------------------------------------------- */

static nq_status add(nq_stats *stats, const nq_tensor *tensor, const nq_tensor *importance,
                     nq_diag *diag)
{
    nqi_weights w;
    const nq_status status = nqi_weight_list_view(&w, tensor, importance);
    if (status != NQ_OK)
        return nqi_diag_set(diag, status,
                            "a tensor that cannot be quantized, or importance that "
                            "does not fit it");
    if (nqi_weights_count(&w) == 0)
        return NQ_OK;
    return nqi_summary_add(&stats->summary, &stats->env, &w, diag);
}

nq_status nq_stats_add(nq_stats *stats, const nq_tensor *tensor, const nq_tensor *importance,
                       nq_diag *diag)
{
    nq_diag full;
    nqi_diag_set(&full, NQ_OK, "");
    if (!stats)
        return NQ_E_ARG;
    full.status = add(stats, tensor, importance, &full);
    return nqi_diag_export(diag, &full);
}

nq_status nq_stats_merge(nq_stats *stats, const nq_stats *other)
{
    return stats && other ? nqi_summary_merge(&stats->summary, &other->summary) : NQ_E_ARG;
}

/* ---- Asking -------------------------------------------------------------------------------- */

nq_status nq_stats_get_info(const nq_stats *stats, nq_stats_info *info)
{
    if (!stats || !info)
        return NQ_E_ARG;
    const nqi_summary *s = &stats->summary;
    nq_stats_info full = {.struct_size = sizeof full,
                          .has_importance = s->is_weighted,
                          .is_exact = nqi_summary_is_exact(s),
                          .n_weights = s->n,
                          .n_bins = s->n_bins,
                          .importance = nqi_summary_importance(s)};
    if (s->n_bins > 0) {
        const nqi_bin *last = &s->bins[s->n_bins - 1];
        const uint32_t high = last->key + ((UINT32_C(1) << last->shift) - 1);
        full.low = (double)nqi_key_weight(s->bins[0].key);
        full.high = (double)nqi_key_weight(high);
    }
    return nqi_versioned_write(info, &full, (uint32_t)sizeof full, INFO_FIRST_SIZE);
}

/* ---- Serialised ---------------------------------------------------------------------------- */

size_t nq_stats_size(const nq_stats *stats)
{
    return stats ? nqi_summary_bytes(&stats->summary) : 0;
}

nq_status nq_stats_store(void *bytes, size_t n_bytes, const nq_stats *stats)
{
    if (!stats || !bytes)
        return NQ_E_ARG;
    if (n_bytes < nqi_summary_bytes(&stats->summary))
        return NQ_E_SPACE;
    nqi_summary_store(bytes, nqi_summary_bytes(&stats->summary), &stats->summary);
    return NQ_OK;
}

nq_status nq_stats_load(nq_stats **out, const nq_ctx *ctx, const void *bytes, size_t n_bytes)
{
    nq_stats *stats;
    if (!out)
        return NQ_E_ARG;
    *out = NULL;
    if (!bytes && n_bytes > 0)
        return NQ_E_ARG;
    NQI_TRY(nq_stats_create(&stats, ctx));
    const nq_status status =
        nqi_summary_load(&stats->summary, &stats->env.allocator, bytes, n_bytes);
    if (status != NQ_OK) {
        stats->summary = nqi_summary_empty(&stats->env.allocator);
        nq_stats_destroy(stats);
        return status;
    }
    *out = stats;
    return NQ_OK;
}
