/*
 * Gradients of levels: see gradients.h. Neighbouring weights often have the same level, so elements
 * go to one of several tables in turn, that additions need not wait for each other.
 */
#include "distortion/gradients.h"

#include <string.h>

#include "base/checked.h"
#include "distortion/pass.h"

#define MAX_LANES 4u

/* From so many levels on tables outgrow the caches, and equal neighbours are rare. */
#define MANY_LEVELS 8192u

/* Of a level in a lane. The number is whole and far below 2^53. */
typedef struct tally {
    double sum;
    double count;
} tally;

typedef struct slot {
    uint64_t has_bad_index;
    tally tallies[]; /* by lane and level */
} slot;

typedef struct job {
    const uint16_t *indices;
    const nqi_view *gradient;
    size_t k;
    size_t n_lanes;
    tally *total;
} job;

static void add_slice(tally *tallies, const job *j, const uint16_t *indices, const float *g,
                      size_t n)
{
    const size_t last_lane = j->n_lanes - 1, k = j->k; /* one lane, or a power of two */
    for (size_t i = 0; i < n; i++) {
        tally *t = &tallies[(i & last_lane) * k + indices[i]];
        t->sum += (double)g[i];
        t->count += 1;
    }
}

static void sum_chunk(void *arg, const nqi_chunk *chunk)
{
    const job *j = arg;
    slot *s = chunk->slot;
    float g[NQI_SLICE_ELEMS];
    uint32_t largest = 0;
    memset(s->tallies, 0, j->n_lanes * j->k * sizeof *s->tallies);
    for (size_t done = 0; done < chunk->n && largest < j->k; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        const uint16_t *indices = j->indices + chunk->first + done;
        for (size_t i = 0; i < n; i++)
            largest = NQI_MAX(largest, indices[i]);
        if (largest >= j->k)
            break;
        nqi_view_f32(g, j->gradient, chunk->first + done, n);
        add_slice(s->tallies, j, indices, g, n);
    }
    s->has_bad_index = largest >= j->k;
}

static nq_status fold_chunk(void *arg, const nqi_chunk *chunk)
{
    const job *j = arg;
    const slot *s = chunk->slot;
    if (s->has_bad_index)
        return NQ_E_ARG;
    for (size_t lane = 0; lane < j->n_lanes; lane++)
        for (size_t level = 0; level < j->k; level++) {
            j->total[level].sum += s->tallies[lane * j->k + level].sum;
            j->total[level].count += s->tallies[lane * j->k + level].count;
        }
    return NQ_OK;
}

static uint64_t count_elements(const void *parts, size_t part)
{
    (void)part;
    return ((const job *)parts)->gradient->n;
}

static nq_status run(job *j, const nqi_env *env)
{
    void *slots;
    nqi_pass pass = {.env = env,
                     .list = {.n_elems = count_elements, .parts = j, .n = 1},
                     .slot_bytes = sizeof(slot) + j->n_lanes * j->k * sizeof(tally),
                     .work = sum_chunk,
                     .fold = fold_chunk,
                     .arg = j};
    nqi_progress_state progress = nqi_progress_start(env, NQ_STAGE_SCAN, j->gradient->n);
    pass.progress = &progress;
    pass.n_slots = nqi_pass_slots(env, &pass.list, pass.slot_bytes);
    NQI_TRY(nqi_alloc(&slots, &env->allocator, pass.n_slots, pass.slot_bytes));
    pass.slots = slots;
    const nq_status status = nqi_pass_run(&pass);
    nqi_free(&env->allocator, slots, pass.n_slots, pass.slot_bytes);
    return status;
}

nq_status nqi_level_gradients(double *sums, uint64_t *counts, size_t k, const nqi_env *env,
                              const uint16_t *indices, const nqi_view *gradient)
{
    void *total;
    job j = {.indices = indices,
             .gradient = gradient,
             .k = k,
             .n_lanes = k < MANY_LEVELS ? MAX_LANES : 1};
    if (gradient->n == 0)
        return NQ_OK;
    NQI_TRY(nqi_alloc_zero(&total, &env->allocator, k, sizeof *j.total));
    j.total = total;
    const nq_status status = run(&j, env);
    for (size_t level = 0; level < k && status == NQ_OK; level++) {
        sums[level] += j.total[level].sum;
        counts[level] += (uint64_t)j.total[level].count;
    }
    nqi_free(&env->allocator, total, k, sizeof *j.total);
    return status;
}
