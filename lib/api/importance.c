/*
 * The public face of importance: accumulators, pruning, gradients of levels; argument checks around
 * the distortion room.
 */
#include "nq/importance.h"

#include <float.h>
#include <string.h>

#include "api/ctx.h"
#include "base/diag.h"
#include "base/log2.h"
#include "base/versioned.h"
#include "distortion/estimate.h"
#include "distortion/gradients.h"
#include "distortion/prune.h"

#define TENSOR_FIRST_SIZE  ((uint32_t)sizeof(nq_tensor))
#define OPTIONS_FIRST_SIZE ((uint32_t)sizeof(nq_prune_options))
#define REPORT_FIRST_SIZE  ((uint32_t)sizeof(nq_prune_report))

struct nq_importance {
    nqi_env env;
    nqi_estimate estimate;
};

/* ---- Arguments ----------------------------------------------------------------------------- */

/* Any tensor of numbers. */
static nq_status read_tensor(nq_tensor *full, nqi_view *view, const nq_tensor *given)
{
    uint64_t n;
    if (!given)
        return NQ_E_ARG;
    NQI_TRY(nqi_versioned_read(full, (uint32_t)sizeof *full, given, TENSOR_FIRST_SIZE));
    NQI_TRY(nq_tensor_elements(&n, full));
    if (!nqi_view_has(full->dtype) || (!full->data && n > 0))
        return NQ_E_ARG;
    *view = nqi_view_make(full->data, full->dtype, n);
    return NQ_OK;
}

static nq_status refuse_tensor(nq_diag *diag, nq_status status)
{
    return nqi_diag_set(diag, status,
                        "a tensor that is missing, of no numbers, or of a size that "
                        "does not fit");
}

/* Samples of n elements each. */
static nq_status read_samples(nqi_view *view, const nq_tensor *given, uint64_t n)
{
    nq_tensor full = {0};
    NQI_TRY(read_tensor(&full, view, given));
    return (n > 0 ? view->n % n : view->n) == 0 ? NQ_OK : NQ_E_ARG;
}

/* ---- Accumulating -------------------------------------------------------------------------- */

nq_status nq_importance_create(nq_importance **out, const nq_ctx *ctx, uint64_t n_elements)
{
    void *memory;
    if (!out)
        return NQ_E_ARG;
    *out = NULL;
    const nq_ctx *used = nqi_ctx_or_default(ctx);
    if (n_elements > used->options.max_elements)
        return NQ_E_LIMIT;
    NQI_TRY(nqi_alloc_zero(&memory, &used->env.allocator, 1, sizeof(nq_importance)));
    nq_importance *importance = memory;
    importance->env = used->env;
    const nq_status status =
        nqi_estimate_create(&importance->estimate, &used->env.allocator, n_elements);
    if (status != NQ_OK) {
        nq_importance_destroy(importance);
        return status;
    }
    *out = importance;
    return NQ_OK;
}

void nq_importance_destroy(nq_importance *importance)
{
    if (!importance)
        return;
    const nqi_allocator a = importance->env.allocator;
    nqi_estimate_free(&importance->estimate);
    nqi_free(&a, importance, 1, sizeof *importance);
}

static nq_status add(nq_importance *importance, const nq_tensor *values, const nq_tensor *probes,
                     bool has_probes, nq_diag *diag)
{
    nqi_view view, probe_view = {.n = 0};
    nqi_estimate *e = &importance->estimate;
    nq_status status = read_samples(&view, values, e->n);
    if (status == NQ_OK && has_probes)
        status = read_samples(&probe_view, probes, e->n);
    if (status == NQ_OK && has_probes && probe_view.n != view.n)
        status = NQ_E_ARG;
    if (status != NQ_OK)
        return refuse_tensor(diag, status);
    return nqi_estimate_add(e, &importance->env, &view, has_probes ? &probe_view : NULL, diag);
}

nq_status nq_importance_add_squares(nq_importance *importance, const nq_tensor *values,
                                    nq_diag *diag)
{
    nq_diag full;
    nqi_diag_set(&full, NQ_OK, "");
    full.status = importance ? add(importance, values, NULL, false, &full) : NQ_E_ARG;
    return nqi_diag_export(diag, &full);
}

nq_status nq_importance_add_probes(nq_importance *importance, const nq_tensor *probes,
                                   const nq_tensor *products, nq_diag *diag)
{
    nq_diag full;
    nqi_diag_set(&full, NQ_OK, "");
    full.status = importance ? add(importance, products, probes, true, &full) : NQ_E_ARG;
    return nqi_diag_export(diag, &full);
}

nq_status nq_importance_merge(nq_importance *importance, const nq_importance *other)
{
    if (!importance || !other || importance->estimate.n != other->estimate.n)
        return NQ_E_ARG;
    nqi_estimate_add_sums(&importance->estimate, other->estimate.sums, other->estimate.n_samples);
    return NQ_OK;
}

const double *nq_importance_sums(const nq_importance *importance)
{
    return importance ? importance->estimate.sums : NULL;
}

uint64_t nq_importance_samples(const nq_importance *importance)
{
    return importance ? importance->estimate.n_samples : 0;
}

nq_status nq_importance_add_sums(nq_importance *importance, const double *sums, uint64_t n_samples)
{
    if (!importance || (!sums && importance->estimate.n > 0))
        return NQ_E_ARG;
    for (uint64_t i = 0; i < importance->estimate.n; i++)
        if (sums[i] - sums[i] != 0)
            return NQ_E_NUMERIC;
    nqi_estimate_add_sums(&importance->estimate, sums, n_samples);
    return NQ_OK;
}

nq_status nq_importance_mean(float *out, uint64_t *n_negative, const nq_importance *importance)
{
    uint64_t ignored;
    if (!importance || (!out && importance->estimate.n > 0))
        return NQ_E_ARG;
    if (importance->estimate.n_samples == 0)
        return NQ_E_STATE;
    return nqi_estimate_mean(out, n_negative ? n_negative : &ignored, &importance->estimate);
}

/* ---- Second moments ------------------------------------------------------------------------ */

static nq_status take_roots(float *out, const nq_tensor *moment, nq_diag *diag)
{
    nq_tensor full = {0};
    nqi_view view;
    double v[NQI_SLICE_ELEMS];
    nq_status status = read_tensor(&full, &view, moment);
    if (status == NQ_OK && !out && view.n > 0)
        status = NQ_E_ARG;
    if (status != NQ_OK)
        return refuse_tensor(diag, status);
    for (uint64_t at = 0; at < view.n; at += NQI_SLICE_ELEMS) {
        const size_t n = (size_t)NQI_MIN(view.n - at, NQI_SLICE_ELEMS);
        nqi_view_f64(v, &view, at, n);
        for (size_t i = 0; i < n; i++) {
            if (!(v[i] >= 0 && v[i] <= DBL_MAX) || nqi_sqrt(v[i]) > (double)FLT_MAX)
                return nqi_diag_at(diag, NQ_E_NUMERIC,
                                   "a second moment is negative, too large or "
                                   "no number",
                                   NQ_NONE, at + i, NQ_NONE);
            out[at + i] = (float)nqi_sqrt(v[i]);
        }
    }
    return NQ_OK;
}

nq_status nq_importance_from_second_moment(float *out, const nq_tensor *moment, nq_diag *diag)
{
    nq_diag full;
    nqi_diag_set(&full, NQ_OK, "");
    full.status = take_roots(out, moment, &full);
    return nqi_diag_export(diag, &full);
}

/* ---- Pruning ------------------------------------------------------------------------------- */

void nq_prune_options_init_sized(nq_prune_options *options, uint32_t struct_size)
{
    if (options && struct_size >= sizeof(uint32_t) && struct_size <= NQI_STRUCT_MAX)
        nqi_versioned_init(options, struct_size);
}

static nq_status read_options(nq_prune_options *full, const nq_prune_options *given)
{
    *full = (nq_prune_options){.struct_size = sizeof *full};
    if (!given)
        return NQ_E_ARG;
    NQI_TRY(nqi_versioned_read(full, (uint32_t)sizeof *full, given, OPTIONS_FIRST_SIZE));
    const bool is_part = full->density >= 0 && full->density <= 1;
    return is_part && full->rule <= NQ_PRUNE_SALIENCY ? NQ_OK : NQ_E_ARG;
}

static nq_status make_part(nqi_prune_part *part, uint8_t *mask, const nq_tensor *tensor,
                           const nq_tensor *importance)
{
    nq_tensor full = {0}, full_importance = {0};
    nqi_view ignored;
    NQI_TRY(read_tensor(&full, &part->w, tensor));
    part->h = nqi_importance_ones(part->w.n);
    part->mask = mask;
    if (!mask && part->w.n > 0)
        return NQ_E_ARG;
    if (!importance)
        return NQ_OK;
    NQI_TRY(read_tensor(&full_importance, &ignored, importance));
    return nqi_importance_make(&part->h, &full, &full_importance);
}

/* What nq_prune is given, as the room wants it. */
typedef struct pruning {
    uint8_t *const *masks;
    const nq_tensor *const *tensors;
    const nq_tensor *const *importance;
    size_t n;
    const nqi_env *env;
    nq_prune_options options;
    nqi_prune_part *parts;
    nq_prune_report report;
} pruning;

static nq_status prune_parts(pruning *p, nq_diag *diag)
{
    nqi_prune_result r;
    for (size_t i = 0; i < p->n; i++) {
        const nq_status status = make_part(&p->parts[i], p->masks[i], p->tensors[i],
                                           p->importance ? p->importance[i] : NULL);
        if (status != NQ_OK) {
            refuse_tensor(diag, status);
            diag->tensor = i;
            return status;
        }
        p->report.n_weights += p->parts[i].w.n;
    }
    p->report.n_kept =
        (uint64_t)(p->options.density * (double)p->report.n_weights + 0.5); /* at most all */
    p->report.n_kept = NQI_MIN(p->report.n_kept, p->report.n_weights);
    NQI_TRY(nqi_prune(&r, p->env, p->parts, p->n, p->report.n_kept,
                      p->options.rule == NQ_PRUNE_SALIENCY, diag));
    p->report.threshold = r.threshold;
    p->report.saliency = r.saliency;
    return NQ_OK;
}

static nq_status prune(pruning *p, const nq_prune_options *options, nq_diag *diag)
{
    void *memory;
    nq_status status = read_options(&p->options, options);
    if (status == NQ_OK && p->n > 0 && (!p->masks || !p->tensors))
        status = NQ_E_ARG;
    if (status != NQ_OK)
        return nqi_diag_set(diag, status, "no tensors, no masks, or options that are not possible");
    NQI_TRY(nqi_alloc(&memory, &p->env->allocator, p->n, sizeof *p->parts));
    p->parts = memory;
    status = prune_parts(p, diag);
    nqi_free(&p->env->allocator, memory, p->n, sizeof *p->parts);
    return status;
}

nq_status nq_prune(uint8_t *const *masks, nq_prune_report *report, const nq_ctx *ctx,
                   const nq_tensor *const *tensors, const nq_tensor *const *importance,
                   size_t n_tensors, const nq_prune_options *options, nq_diag *diag)
{
    nq_diag full;
    pruning p = {.masks = masks,
                 .tensors = tensors,
                 .importance = importance,
                 .n = n_tensors,
                 .env = &nqi_ctx_or_default(ctx)->env,
                 .report = {.struct_size = sizeof p.report}};
    nqi_diag_set(&full, NQ_OK, "");
    full.status = prune(&p, options, &full);
    if (full.status == NQ_OK && report)
        full.status =
            nqi_versioned_write(report, &p.report, (uint32_t)sizeof p.report, REPORT_FIRST_SIZE);
    return nqi_diag_export(diag, &full);
}

/* ---- Training codebooks -------------------------------------------------------------------- */

nq_status nq_level_gradients(double *sums, uint64_t *counts, size_t n_levels, const nq_ctx *ctx,
                             const uint16_t *indices, const nq_tensor *gradient)
{
    nq_tensor full = {0};
    nqi_view view;
    if (!sums || !counts || n_levels == 0 || n_levels > NQ_MAX_LEVELS)
        return NQ_E_ARG;
    NQI_TRY(read_tensor(&full, &view, gradient));
    if (!indices && view.n > 0)
        return NQ_E_ARG;
    return nqi_level_gradients(sums, counts, n_levels, &nqi_ctx_or_default(ctx)->env, indices,
                               &view);
}
