/*
 * The distortion module's public face: argument checks, and a pass over the elements in parallel.
 */
#include "nq/distortion.h"

#include <string.h>

#include "api/ctx.h"
#include "base/versioned.h"
#include "distortion/distortion.h"
#include "distortion/pass.h"

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
    nqi_view decoded;
    nqi_distortion sum;
} job;

static void evaluate_chunk(void *arg, const nqi_chunk *chunk)
{
    const job *j = arg;
    const nqi_part *part = chunk->part;
    nqi_distortion_lanes *lanes = chunk->slot;
    double w[NQI_SLICE_ELEMS], v[NQI_SLICE_ELEMS], h[NQI_SLICE_ELEMS];
    *lanes = (nqi_distortion_lanes){.n = 0};
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const uint64_t first = chunk->first + done;
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        nqi_view_f64(w, &part->weights, first, n);
        nqi_view_f64(v, &j->decoded, first, n);
        if (part->importance.data)
            nqi_importance_load(h, &part->importance, first, n);
        nqi_distortion_add(lanes, w, v, part->importance.data ? h : NULL, n);
    }
}

static nq_status fold_chunk(void *arg, const nqi_chunk *chunk)
{
    job *j = arg;
    nqi_distortion_merge(&j->sum, chunk->slot);
    return NQ_OK;
}

static nq_status evaluate(nqi_distortion *sum, const nqi_env *env, const arguments *a,
                          const nqi_part *part)
{
    job j = {.decoded = nqi_view_make(a->decoded.data, a->decoded.dtype, part->weights.n)};
    nqi_progress_state progress = nqi_progress_start(env, NQ_STAGE_SCAN, part->weights.n);
    nqi_pass pass = {.env = env,
                     .progress = &progress,
                     .parts = part,
                     .n_parts = 1,
                     .n_slots = nqi_pass_slots(env, part, 1, sizeof(nqi_distortion_lanes)),
                     .slot_bytes = sizeof(nqi_distortion_lanes),
                     .work = evaluate_chunk,
                     .fold = fold_chunk,
                     .arg = &j};
    void *slots;
    NQI_TRY(nqi_alloc(&slots, &env->allocator, pass.n_slots, pass.slot_bytes));
    pass.slots = slots;
    const nq_status status = nqi_pass_run(&pass);
    nqi_free(&env->allocator, slots, pass.n_slots, pass.slot_bytes);
    *sum = j.sum;
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
    nqi_part part;
    nqi_distortion more;
    nq_distortion full;
    if (!distortion)
        return NQ_E_ARG;
    NQI_TRY(nqi_versioned_read(&full, (uint32_t)sizeof full, distortion, DISTORTION_FIRST_SIZE));
    NQI_TRY(read_arguments(&a, original, decoded, importance));
    NQI_TRY(nqi_importance_make(&part.importance, &a.original, importance ? &a.importance : NULL));
    part.weights = nqi_view_make(a.original.data, a.original.dtype, part.importance.n);
    NQI_TRY(evaluate(&more, &nqi_ctx_or_default(ctx)->env, &a, &part));
    add_sums(&full, &more, a.is_weighted);
    return nqi_versioned_write(distortion, &full, (uint32_t)sizeof full, DISTORTION_FIRST_SIZE);
}
