/*
 * The distortion module's public face: argument checks, and a pass over the elements in parallel.
 */
#include "nq/distortion.h"

#include <string.h>

#include "api/ctx.h"
#include "base/versioned.h"
#include "distortion/distortion.h"
#include "distortion/pass.h"
#include "distortion/view.h"

/* The structs as first released; see versioned.h. */
#define DISTORTION_FIRST_SIZE ((uint32_t)sizeof(nq_distortion))
#define TENSOR_FIRST_SIZE     ((uint32_t)sizeof(nq_tensor))

void nq_distortion_init_sized(nq_distortion *distortion, uint32_t struct_size)
{
    if (distortion && struct_size >= sizeof(uint32_t) && struct_size <= NQI_STRUCT_MAX)
        nqi_versioned_init(distortion, struct_size);
}

/* ---- Arguments ----------------------------------------------------------------------------- */

typedef struct arguments {
    nq_tensor original;
    nq_tensor decoded;
    nq_tensor importance;
    bool is_weighted;
} arguments;

static nq_status read_tensor(nq_tensor *tensor, uint64_t *n, const nq_tensor *given)
{
    NQI_TRY(nqi_versioned_read(tensor, (uint32_t)sizeof *tensor, given, TENSOR_FIRST_SIZE));
    NQI_TRY(nq_tensor_elements(n, tensor));
    return nqi_view_has(tensor->dtype) && (tensor->data || *n == 0) ? NQ_OK : NQ_E_ARG;
}

static nq_status read_arguments(arguments *a, const nq_tensor *original, const nq_tensor *decoded,
                                const nq_tensor *importance)
{
    uint64_t n, n_decoded;
    *a = (arguments){.is_weighted = importance != NULL};
    if (!original || !decoded)
        return NQ_E_ARG;
    NQI_TRY(read_tensor(&a->original, &n, original));
    NQI_TRY(read_tensor(&a->decoded, &n_decoded, decoded));
    if (importance)
        NQI_TRY(nqi_versioned_read(&a->importance, (uint32_t)sizeof a->importance, importance,
                                   TENSOR_FIRST_SIZE));
    return n == n_decoded ? NQ_OK : NQ_E_ARG;
}

/* ---- Evaluation ---------------------------------------------------------------------------- */

typedef struct job {
    nqi_view original;
    nqi_view decoded;
    nqi_importance importance;
    nqi_distortion sum;
    uint64_t cpu;
} job;

static void evaluate_chunk(void *arg, const nqi_chunk *chunk)
{
    const job *j = arg;
    nqi_distortion_lanes *lanes = chunk->slot;
    double w[NQI_SLICE_ELEMS], v[NQI_SLICE_ELEMS], h[NQI_SLICE_ELEMS];
    *lanes = (nqi_distortion_lanes){.cpu = j->cpu};
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const uint64_t first = chunk->first + done;
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        nqi_view_f64(w, &j->original, first, n);
        nqi_view_f64(v, &j->decoded, first, n);
        if (j->importance.data)
            nqi_importance_load(h, &j->importance, first, n);
        nqi_distortion_add(lanes, w, v, j->importance.data ? h : NULL, n);
    }
}

static nq_status fold_chunk(void *arg, const nqi_chunk *chunk)
{
    job *j = arg;
    nqi_distortion_merge(&j->sum, chunk->slot);
    return NQ_OK;
}

static uint64_t count_elements(const void *parts, size_t part)
{
    (void)part;
    return ((const job *)parts)->original.n;
}

static nq_status evaluate(job *j, const nqi_env *env)
{
    nqi_progress_state progress = nqi_progress_start(env, NQ_STAGE_SCAN, j->original.n);
    nqi_pass pass = {.env = env,
                     .progress = &progress,
                     .list = {.n_elems = count_elements, .parts = j, .n = 1},
                     .slot_bytes = sizeof(nqi_distortion_lanes),
                     .work = evaluate_chunk,
                     .fold = fold_chunk,
                     .arg = j};
    void *slots;
    j->cpu = env->cpu;
    pass.n_slots = nqi_pass_slots(env, &pass.list, pass.slot_bytes);
    NQI_TRY(nqi_alloc(&slots, &env->allocator, pass.n_slots, pass.slot_bytes));
    pass.slots = slots;
    const nq_status status = nqi_pass_run(&pass);
    nqi_free(&env->allocator, slots, pass.n_slots, pass.slot_bytes);
    return status;
}

/* Adds the new sums to those that the caller has, and derives the rest. */
static void add_sums(nq_distortion *d, const nqi_distortion *more, bool is_weighted)
{
    nqi_distortion sum = {.n = d->n_elements,
                          .squared = d->squared_error,
                          .weighted = d->weighted_error,
                          .energy = d->energy,
                          .max_abs = d->max_abs_error};
    nqi_distortion_join(&sum, more);
    d->is_weighted |= is_weighted;
    d->n_elements = sum.n;
    d->squared_error = sum.squared;
    d->weighted_error = sum.weighted;
    d->energy = sum.energy;
    d->max_abs_error = sum.max_abs;
    d->mse = nqi_distortion_mse(&sum);
    d->sqnr_db = nqi_distortion_sqnr_db(&sum);
}

nq_status nq_distortion_add(nq_distortion *distortion, const nq_ctx *ctx, const nq_tensor *original,
                            const nq_tensor *decoded, const nq_tensor *importance)
{
    arguments a;
    job j = {.sum = {.n = 0}};
    nq_distortion full;
    if (!distortion)
        return NQ_E_ARG;
    NQI_TRY(nqi_versioned_read(&full, (uint32_t)sizeof full, distortion, DISTORTION_FIRST_SIZE));
    NQI_TRY(read_arguments(&a, original, decoded, importance));
    NQI_TRY(nqi_importance_make(&j.importance, &a.original, importance ? &a.importance : NULL));
    j.original = nqi_view_make(a.original.data, a.original.dtype, j.importance.n);
    j.decoded = nqi_view_make(a.decoded.data, a.decoded.dtype, j.importance.n);
    NQI_TRY(evaluate(&j, &nqi_ctx_or_default(ctx)->env));
    add_sums(&full, &j.sum, a.is_weighted);
    return nqi_versioned_write(distortion, &full, (uint32_t)sizeof full, DISTORTION_FIRST_SIZE);
}
