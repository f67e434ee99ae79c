/*
 * Pruning before a design: thresholds below which weights count as zero. Tensors with a density of
 * their own are pruned by themselves, all others of the group together.
 */
#include "distortion/prune.h"

#include "base/diag.h"
#include "model/model.h"

/* density times n, rounded to nearest. */
static uint64_t count_kept(double density, uint64_t n)
{
    const double kept = density * (double)n + 0.5;
    return kept < (double)n ? (uint64_t)kept : n;
}

static double own_density(const nqi_model *m, const nqi_model_group *g, uint32_t i)
{
    return m->tensors[g->tensors[i]].options.density;
}

/* The threshold for parts that are whole tensors. */
static nq_status find_threshold(nqi_prune_result *result, const nqi_model *m,
                                const nqi_model_group *g, const uint32_t *numbers, uint32_t n,
                                uint64_t n_keep, nqi_prune_part *parts)
{
    for (uint32_t i = 0; i < n; i++) {
        const nqi_weights *w = &g->parts[numbers[i]];
        parts[i] = (nqi_prune_part){.w = w->w, .h = w->h};
    }
    return nqi_prune(result, &m->env, parts, n, n_keep, g->source.has_importance, NULL);
}

/* The same for a channel, whose elements need not lie behind each other. */
static nq_status find_channel_threshold(nqi_prune_result *result, const nqi_model *m,
                                        const nqi_weights *channel, uint64_t n_keep,
                                        bool by_saliency)
{
    const nqi_allocator *a = &m->env.allocator;
    const uint64_t n = nqi_weights_count(channel);
    void *w = NULL, *h = NULL;
    nq_status status = nqi_alloc(&w, a, n, sizeof(float));
    if (status == NQ_OK)
        status = nqi_alloc(&h, a, n, sizeof(double));
    if (status == NQ_OK) {
        nqi_prune_part part = {.w = nqi_view_make(w, NQ_F32, n), .h = nqi_importance_ones(n)};
        nqi_weights_load(w, channel, 0, (size_t)n);
        nqi_weights_load_raw_importance(h, channel, 0, (size_t)n);
        if (by_saliency)
            part.h = (nqi_importance){.data = h,
                                      .dtype = NQ_F64,
                                      .rank = n > 1,
                                      .n = n,
                                      .n_stored = n,
                                      .dims = {n},
                                      .strides = {1}};
        status = nqi_prune(result, &m->env, &part, 1, n_keep, by_saliency, NULL);
    }
    nqi_free(a, w, n, sizeof(float));
    nqi_free(a, h, n, sizeof(double));
    return status;
}

/* One threshold for n parts. */
static nq_status prune(nqi_model *m, nqi_model_group *g, const uint32_t *numbers, uint32_t n,
                       double density, nqi_prune_part *parts)
{
    const bool by_saliency = g->source.has_importance;
    uint64_t n_elements = 0;
    nqi_prune_result result;
    for (uint32_t i = 0; i < n; i++)
        n_elements += nqi_weights_count(&g->parts[numbers[i]]);
    const uint64_t n_keep = NQI_MAX(count_kept(density, n_elements), 1);
    if (n_keep == n_elements)
        return NQ_OK;
    if (nqi_group_is_channel(g))
        NQI_TRY(find_channel_threshold(&result, m, &g->parts[0], n_keep, by_saliency));
    else
        NQI_TRY(find_threshold(&result, m, g, numbers, n, n_keep, parts));
    for (uint32_t i = 0; i < n; i++) {
        nqi_weights *w = &g->parts[numbers[i]];
        const nqi_extent zero = {0, 0};
        w->least_score = result.threshold;
        if (by_saliency)
            w->saliency = w->h;
        nqi_extent_join(&g->source.extents[w->w.dtype], &zero);
        nqi_extent_join(&w->extent, &zero);
    }
    return NQ_OK;
}

static nq_status prune_parts(nqi_model *m, nqi_model_group *g, uint32_t *numbers,
                             nqi_prune_part *parts)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        if (own_density(m, g, i) > 0)
            NQI_TRY(prune(m, g, &i, 1, own_density(m, g, i), parts));
        else
            numbers[n++] = i;
    }
    return n > 0 ? prune(m, g, numbers, n, m->options.density, parts) : NQ_OK;
}

nq_status nqi_group_prune(nqi_model *m, nqi_model_group *g, nq_diag *diag)
{
    const nqi_allocator *a = &m->env.allocator;
    void *numbers = NULL, *parts = NULL;
    nq_status status = nqi_alloc(&numbers, a, g->n, sizeof(uint32_t));
    if (status == NQ_OK)
        status = nqi_alloc(&parts, a, g->n, sizeof(nqi_prune_part));
    if (status == NQ_OK)
        status = prune_parts(m, g, numbers, parts);
    nqi_free(a, numbers, g->n, sizeof(uint32_t));
    nqi_free(a, parts, g->n, sizeof(nqi_prune_part));
    return status == NQ_OK
               ? NQ_OK
               : nqi_diag_set(diag, status,
                              status == NQ_E_CANCELLED ? "cancelled" : "out of memory for pruning");
}
