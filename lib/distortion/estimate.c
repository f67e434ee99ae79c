/*
 * Sums over samples: see estimate.h. Elements are split for workers, samples never.
 */
#include "distortion/estimate.h"

#include <assert.h>
#include <float.h>

#include "base/checked.h"
#include "base/diag.h"

/* ---- Life ---------------------------------------------------------------------------------- */

nq_status nqi_estimate_create(nqi_estimate *out, const nqi_allocator *a, uint64_t n)
{
    void *sums;
    *out = (nqi_estimate){.allocator = *a};
    NQI_TRY(nqi_alloc_zero(&sums, a, n, sizeof *out->sums));
    out->sums = sums;
    out->n = n;
    return NQ_OK;
}

void nqi_estimate_free(nqi_estimate *e)
{
    nqi_free(&e->allocator, e->sums, e->n, sizeof *e->sums);
    *e = (nqi_estimate){.allocator = e->allocator};
}

/* ---- Looking for what is not finite -------------------------------------------------------- */

#define BATCH 64u

typedef struct check_job {
    const nqi_view *view;
    uint64_t first_chunk;
    uint64_t bad[BATCH]; /* NQ_NONE, or the first in the chunk */
} check_job;

static void check_chunk(void *arg, uint64_t index, uint32_t worker)
{
    check_job *j = arg;
    double x[NQI_SLICE_ELEMS];
    (void)worker;
    const uint64_t begin = (j->first_chunk + index) * NQI_CHUNK_ELEMS;
    const uint64_t end = NQI_MIN(begin + NQI_CHUNK_ELEMS, j->view->n);
    j->bad[index] = NQ_NONE;
    for (uint64_t at = begin; at < end; at += NQI_SLICE_ELEMS) {
        const size_t n = (size_t)NQI_MIN(end - at, NQI_SLICE_ELEMS);
        nqi_view_f64(x, j->view, at, n);
        for (size_t i = 0; i < n; i++)
            if (NQI_UNLIKELY(x[i] - x[i] != 0)) {
                j->bad[index] = at + i;
                return;
            }
    }
}

static nq_status check_finite(const nqi_env *env, const nqi_view *view, nq_diag *diag)
{
    check_job j = {.view = view};
    const uint64_t n_chunks = nqi_div_up_u64(view->n, NQI_CHUNK_ELEMS);
    for (uint64_t at = 0; at < n_chunks; at += BATCH) {
        const uint64_t n = NQI_MIN(n_chunks - at, BATCH);
        j.first_chunk = at;
        nqi_run(&env->runner, n, check_chunk, &j);
        for (uint64_t i = 0; i < n; i++)
            if (j.bad[i] != NQ_NONE)
                return nqi_diag_at(diag, NQ_E_NUMERIC, "a value is not finite", NQ_NONE, j.bad[i],
                                   NQ_NONE);
        NQI_TRY(nqi_progress(env, NQ_STAGE_SCAN, NQI_MIN((at + n) * NQI_CHUNK_ELEMS, view->n),
                             view->n));
    }
    return NQ_OK;
}

/* ---- Adding -------------------------------------------------------------------------------- */

/* Elements of a task: few, so that the columns of a layer's input are enough for several. */
#define TASK_ELEMS UINT64_C(1024)
static_assert(TASK_ELEMS <= NQI_SLICE_ELEMS, "a task's elements are loaded at once");

typedef struct add_job {
    nqi_estimate *estimate;
    const nqi_view *values;
    const nqi_view *probes;
    uint64_t n_samples;
} add_job;

static void add_elements(void *arg, uint64_t index, uint32_t worker)
{
    const add_job *j = arg;
    double x[NQI_SLICE_ELEMS], z[NQI_SLICE_ELEMS];
    (void)worker;
    const uint64_t n_all = j->estimate->n, first = index * TASK_ELEMS;
    const size_t n = (size_t)NQI_MIN(n_all - first, TASK_ELEMS);
    double *sums = j->estimate->sums + first;
    for (uint64_t sample = 0; sample < j->n_samples; sample++) {
        nqi_view_f64(x, j->values, sample * n_all + first, n);
        if (j->probes)
            nqi_view_f64(z, j->probes, sample * n_all + first, n);
        const double *factor = j->probes ? z : x;
        for (size_t i = 0; i < n; i++)
            sums[i] += x[i] * factor[i];
    }
}

nq_status nqi_estimate_add(nqi_estimate *e, const nqi_env *env, const nqi_view *values,
                           const nqi_view *probes, nq_diag *diag)
{
    if (e->n == 0 || values->n == 0)
        return NQ_OK;
    NQI_TRY(check_finite(env, values, diag));
    if (probes)
        NQI_TRY(check_finite(env, probes, diag));
    add_job j = {.estimate = e, .values = values, .probes = probes, .n_samples = values->n / e->n};
    nqi_run(&env->runner, nqi_div_up_u64(e->n, TASK_ELEMS), add_elements, &j);
    e->n_samples += j.n_samples;
    return NQ_OK;
}

void nqi_estimate_add_sums(nqi_estimate *e, const double *sums, uint64_t n_samples)
{
    for (uint64_t i = 0; i < e->n; i++)
        e->sums[i] += sums[i];
    e->n_samples += n_samples;
}

/* ---- Means --------------------------------------------------------------------------------- */

nq_status nqi_estimate_mean(float *out, uint64_t *n_negative, const nqi_estimate *e)
{
    const double n = (double)NQI_MAX(e->n_samples, 1);
    *n_negative = 0;
    for (uint64_t i = 0; i < e->n; i++) {
        const double mean = e->sums[i] / n;
        if (!(mean <= (double)FLT_MAX))
            return NQ_E_NUMERIC;
        *n_negative += mean < 0;
        out[i] = mean > 0 ? (float)mean : 0;
    }
    return NQ_OK;
}
