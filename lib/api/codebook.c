/*
 * The codebook's public face: levels, reports, and assignment of whole tensors in parallel.
 */
#include "api/codebook.h"

#include <string.h>

#include "api/weight_list.h"
#include "base/diag.h"
#include "base/log2.h"
#include "base/versioned.h"
#include "distortion/pass.h"
#include "ecsq/uniform_sums.h"

#define REPORT_FIRST_SIZE ((uint32_t)sizeof(nq_codebook_report))

/* ---- Life ---------------------------------------------------------------------------------- */

nq_status nqi_api_codebook_make(nq_codebook **out, const nq_ctx *ctx, const double *levels,
                                size_t n)
{
    void *memory;
    *out = NULL;
    const nqi_env *env = &nqi_ctx_or_default(ctx)->env;
    NQI_TRY(nqi_alloc_zero(&memory, &env->allocator, 1, sizeof(nq_codebook)));
    nq_codebook *c = memory;
    c->env = *env;
    const nq_status status = nqi_codebook_create(&c->nearest, &c->env, levels, n);
    if (status != NQ_OK) {
        nq_codebook_destroy(c);
        return status;
    }
    c->report.struct_size = sizeof c->report;
    c->report.n_levels = (uint32_t)c->nearest.n;
    *out = c;
    return NQ_OK;
}

nq_status nqi_api_codebook_make_counts(nq_codebook *c)
{
    void *memory;
    NQI_TRY(nqi_alloc_zero(&memory, &c->env.allocator, c->nearest.n, sizeof *c->counts));
    c->counts = memory;
    return NQ_OK;
}

nq_status nqi_api_codebook_make_lengths(nq_codebook *c)
{
    void *memory;
    NQI_TRY(nqi_alloc_zero(&memory, &c->env.allocator, c->nearest.n, sizeof *c->lengths));
    c->lengths = memory;
    return NQ_OK;
}

void nq_codebook_destroy(nq_codebook *c)
{
    if (!c)
        return;
    const nqi_allocator a = c->env.allocator;
    nqi_free(&a, c->lengths, c->nearest.n, sizeof *c->lengths);
    nqi_free(&a, c->counts, c->nearest.n, sizeof *c->counts);
    nqi_rdo_destroy(c->rdo);
    nqi_codebook_free(&c->nearest);
    nqi_free(&a, c, 1, sizeof *c);
}

bool nqi_api_levels_are_good(const float *levels, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (levels[i] - levels[i] != 0 || (i > 0 && !(levels[i] > levels[i - 1])))
            return false;
    return true;
}

nq_status nq_codebook_create(nq_codebook **out, const nq_ctx *ctx, const float *levels,
                             size_t n_levels)
{
    void *memory;
    if (!out)
        return NQ_E_ARG;
    *out = NULL;
    if (!levels || n_levels == 0 || n_levels > NQ_MAX_LEVELS ||
        !nqi_api_levels_are_good(levels, n_levels))
        return NQ_E_ARG;
    const nq_ctx *used = nqi_ctx_or_default(ctx);
    if (n_levels > used->options.max_levels)
        return NQ_E_LIMIT;
    NQI_TRY(nqi_alloc(&memory, &used->env.allocator, n_levels, sizeof(double)));
    double *levels_f64 = memory;
    for (size_t i = 0; i < n_levels; i++)
        levels_f64[i] = (double)levels[i];
    const nq_status status = nqi_api_codebook_make(out, ctx, levels_f64, n_levels);
    nqi_free(&used->env.allocator, memory, n_levels, sizeof(double));
    return status;
}

/* ---- Counting ------------------------------------------------------------------------------ */

typedef struct count_job {
    nq_codebook *codebook;
    const nqi_weights *parts;
} count_job;

static void count_chunk(void *arg, const nqi_chunk *chunk)
{
    const count_job *j = arg;
    uint64_t *counts = chunk->slot;
    float w[NQI_SLICE_ELEMS];
    uint16_t indices[NQI_SLICE_ELEMS];
    memset(counts, 0, j->codebook->nearest.n * sizeof *counts);
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        nqi_weights_load(w, &j->parts[chunk->part], chunk->first + done, n);
        nqi_codebook_assign(&j->codebook->nearest, indices, w, n);
        for (size_t i = 0; i < n; i++)
            counts[indices[i]]++;
    }
}

static nq_status fold_counts(void *arg, const nqi_chunk *chunk)
{
    const count_job *j = arg;
    const uint64_t *counts = chunk->slot;
    for (size_t i = 0; i < j->codebook->nearest.n; i++)
        j->codebook->counts[i] += counts[i];
    return NQ_OK;
}

static double ideal_bits(const uint64_t *counts, size_t n)
{
    uint64_t total = 0;
    double bits = 0;
    for (size_t i = 0; i < n; i++)
        total += counts[i];
    const double log_total = total > 0 ? nqi_log2((double)total) : 0;
    for (size_t i = 0; i < n; i++)
        if (counts[i] > 0)
            bits += (double)counts[i] * (log_total - nqi_log2((double)counts[i]));
    return bits;
}

nq_status nqi_api_codebook_count(nq_codebook *c, const nqi_weights *parts, size_t n_parts)
{
    void *slots;
    count_job j = {.codebook = c, .parts = parts};
    NQI_TRY(nqi_api_codebook_make_counts(c));
    nqi_pass pass = {.env = &c->env,
                     .list = nqi_weights_list(parts, n_parts),
                     .slot_bytes = c->nearest.n * sizeof *c->counts,
                     .work = count_chunk,
                     .fold = fold_counts,
                     .arg = &j};
    nqi_progress_state progress =
        nqi_progress_start(&c->env, NQ_STAGE_DESIGN, nqi_part_list_elems(&pass.list));
    pass.progress = &progress;
    pass.n_slots = nqi_pass_slots(&c->env, &pass.list, pass.slot_bytes);
    NQI_TRY(nqi_alloc(&slots, &c->env.allocator, pass.n_slots, pass.slot_bytes));
    pass.slots = slots;
    const nq_status status = nqi_pass_run(&pass);
    nqi_free(&c->env.allocator, slots, pass.n_slots, pass.slot_bytes);
    c->report.bits = ideal_bits(c->counts, c->nearest.n);
    return status;
}

/* ---- Asking -------------------------------------------------------------------------------- */

nq_status nq_codebook_get_report(const nq_codebook *codebook, nq_codebook_report *report)
{
    if (!codebook || !report)
        return NQ_E_ARG;
    return nqi_versioned_write(report, &codebook->report, (uint32_t)sizeof codebook->report,
                               REPORT_FIRST_SIZE);
}

const float *nq_codebook_levels(const nq_codebook *codebook)
{
    return codebook ? codebook->nearest.levels : NULL;
}

const uint64_t *nq_codebook_counts(const nq_codebook *codebook)
{
    return codebook ? codebook->counts : NULL;
}

/* ---- Assigning ----------------------------------------------------------------------------- */

typedef struct assign_job {
    const nq_codebook *codebook;
    const nqi_weights *weights;
    uint16_t *indices;
} assign_job;

static void assign_chunk(void *arg, const nqi_chunk *chunk)
{
    const assign_job *j = arg;
    const nq_codebook *c = j->codebook;
    float w[NQI_SLICE_ELEMS];
    double h[NQI_SLICE_ELEMS];
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const uint64_t first = chunk->first + done;
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        nqi_weights_load(w, j->weights, first, n);
        if (c->needs_importance)
            nqi_weights_load_importance(h, j->weights, first, n);
        if (c->rdo)
            nqi_rdo_assign(c->rdo, j->indices + first, w, c->needs_importance ? h : NULL, n);
        else
            nqi_codebook_assign(&c->nearest, j->indices + first, w, n);
    }
}

static nq_status assign(assign_job *j, nq_diag *diag)
{
    const nqi_env *env = &j->codebook->env;
    uint8_t nothing;
    NQI_TRY(nqi_weights_check(env, j->weights, diag));
    nqi_pass pass = {.env = env,
                     .list = nqi_weights_list(j->weights, 1),
                     .slots = &nothing,
                     .slot_bytes = 0,
                     .work = assign_chunk,
                     .arg = j};
    nqi_progress_state progress =
        nqi_progress_start(env, NQ_STAGE_ENCODE, nqi_part_list_elems(&pass.list));
    pass.progress = &progress;
    pass.n_slots = nqi_pass_slots(env, &pass.list, 1);
    return nqi_pass_run(&pass);
}

static nq_status check_and_assign(uint16_t *indices, const nq_codebook *codebook,
                                  const nq_tensor *tensor, const nq_tensor *importance,
                                  nq_diag *diag)
{
    nqi_weights w;
    const nq_status status = nqi_weight_list_view(&w, tensor, importance);
    if (status != NQ_OK)
        return nqi_diag_set(diag, status,
                            "a tensor that cannot be quantized, or importance that "
                            "does not fit it");
    if (codebook->needs_importance && !importance)
        return nqi_diag_set(diag, NQ_E_ARG, "the codebook goes by importance");
    if (nqi_weights_count(&w) == 0)
        return NQ_OK;
    assign_job j = {.codebook = codebook, .weights = &w, .indices = indices};
    return assign(&j, diag);
}

nq_status nq_codebook_assign(uint16_t *indices, const nq_codebook *codebook,
                             const nq_tensor *tensor, const nq_tensor *importance, nq_diag *diag)
{
    nq_diag full;
    nqi_diag_set(&full, NQ_OK, "");
    if (!indices || !codebook)
        full.status = NQ_E_ARG;
    else
        full.status = check_and_assign(indices, codebook, tensor, importance, &full);
    return nqi_diag_export(diag, &full);
}
