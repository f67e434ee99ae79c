/*
 * Weights and importance of whole tensors and of slices: see weights.h. Nothing here allocates, but
 * for the check.
 */
#include "stats/weights.h"

#include <float.h>

#include "base/checked.h"
#include "base/diag.h"
#include "stats/key.h"

/* ---- Which elements ------------------------------------------------------------------------ */

nqi_weights nqi_weights_all(const nqi_view *w, const nqi_importance *h, const nqi_shaping *shaping)
{
    return (nqi_weights){.w = *w,
                         .h = *h,
                         .shaping = *shaping,
                         .first = 0,
                         .run = w->n,
                         .stride = w->n,
                         .n_runs = 1};
}

nqi_weights nqi_weights_channel(const nqi_view *w, const nqi_importance *h,
                                const nqi_shaping *shaping, uint64_t dim, uint64_t inner,
                                uint64_t index)
{
    const uint64_t slab = dim * inner;
    return (nqi_weights){.w = *w,
                         .h = *h,
                         .shaping = *shaping,
                         .first = index * inner,
                         .run = inner,
                         .stride = slab,
                         .n_runs = slab ? w->n / slab : 0};
}

uint64_t nqi_weights_element(const nqi_weights *s, uint64_t i)
{
    return s->first + i / s->run * s->stride + i % s->run;
}

/* The piece of first .. first + n - 1 that lies in one run. */
static size_t next_piece(const nqi_weights *s, uint64_t first, size_t n)
{
    const uint64_t left = s->run - first % s->run;
    return left < n ? (size_t)left : n;
}

void nqi_weights_load_unpruned(float *w, const nqi_weights *s, uint64_t first, size_t n)
{
    for (size_t done = 0; done < n;) {
        const size_t piece = next_piece(s, first + done, n - done);
        nqi_view_f32(w + done, &s->w, nqi_weights_element(s, first + done), piece);
        done += piece;
    }
}

/* Of a rank above 1 it would be turned. */
static bool has_each_f32(const nqi_importance *h)
{
    return h->data && h->dtype == NQ_F32 && h->n_stored == h->n;
}

/* One f32 for each element: the usual importance, in a loop that compilers make vectors of. */
static void load_each_f32(double *h, const nqi_importance *from, uint64_t first, size_t n)
{
    const nqi_view array = nqi_view_make(from->data, from->dtype, from->n_stored);
    float values[NQI_SLICE_ELEMS];
    for (size_t done = 0; done < n;) {
        const size_t count = NQI_MIN(n - done, NQI_SLICE_ELEMS);
        nqi_view_f32(values, &array, first + done, count);
        for (size_t i = 0; i < count; i++)
            h[done + i] = (double)values[i];
        done += count;
    }
}

/* Of these elements of the tensor, whose importance is `from`. */
static void load_importance(double *h, const nqi_weights *s, const nqi_importance *from,
                            uint64_t first, size_t n)
{
    if (has_each_f32(from) && s->n_runs == 1) {
        load_each_f32(h, from, s->first + first, n);
        return;
    }
    for (size_t done = 0; done < n;) {
        const size_t piece = next_piece(s, first + done, n - done);
        nqi_importance_load(h + done, from, nqi_weights_element(s, first + done), piece);
        done += piece;
    }
}

void nqi_weights_load_raw_importance(double *h, const nqi_weights *s, uint64_t first, size_t n)
{
    load_importance(h, s, &s->h, first, n);
}

void nqi_weights_load_importance(double *h, const nqi_weights *s, uint64_t first, size_t n)
{
    nqi_weights_load_raw_importance(h, s, first, n);
    if (s->h.data)
        nqi_shaping_apply(h, &s->shaping, n);
}

/* Weights that score less become 0. */
static void prune(float *w, const double *h, size_t n, const nqi_weights *s)
{
    for (size_t i = 0; i < n; i++) {
        const double x = (double)w[i];
        const double score = h ? 0.5 * h[i] * (x * x) : x < 0 ? -x : x;
        w[i] = score < s->least_score ? 0.0f : w[i];
    }
}

void nqi_weights_load(float *w, const nqi_weights *s, uint64_t first, size_t n)
{
    double h[NQI_SLICE_ELEMS];
    nqi_weights_load_unpruned(w, s, first, n);
    for (size_t done = 0; s->least_score > 0 && done < n; done += NQI_SLICE_ELEMS) {
        const size_t count = NQI_MIN(n - done, NQI_SLICE_ELEMS);
        if (s->saliency.data)
            load_importance(h, s, &s->saliency, first + done, count);
        prune(w + done, s->saliency.data ? h : NULL, count, s);
    }
}

static bool is_f32(const nqi_weights *s, uint64_t first, size_t n)
{
    return n > 0 && s->w.dtype == NQ_F32 && s->least_score <= 0 && next_piece(s, first, n) == n;
}

const void *nqi_weights_f32(float *buffer, const nqi_weights *s, uint64_t first, size_t n)
{
    if (is_f32(s, first, n))
        return s->w.data + (size_t)nqi_weights_element(s, first) * sizeof(float);
    nqi_weights_load(buffer, s, first, n);
    return buffer;
}

const void *nqi_weights_importance_f32(const nqi_weights *s, uint64_t first, size_t n)
{
    const nqi_importance *h = &s->h;
    if (!has_each_f32(h) || !nqi_shaping_is_none(&s->shaping) || next_piece(s, first, n) < n)
        return NULL;
    return h->data + (size_t)nqi_weights_element(s, first) * sizeof(float);
}

/* ---- Check --------------------------------------------------------------------------------- */

typedef struct check_job {
    const nqi_weights *s;
    uint64_t first_chunk; /* of the batch */
    uint64_t bad[64];     /* by chunk of the batch: NQ_NONE, or the first bad element of these */
} check_job;

/* Without a branch, so that compilers make vector loops of them. */
static bool weights_are_good(const float *w, size_t n)
{
    unsigned good = 1;
    for (size_t i = 0; i < n; i++)
        good &= (unsigned)nqi_key_is_finite(nqi_key(w[i]));
    return good;
}

/* Adding one to the exponent of what is not finite carries into the sign. -0 is looked at again. */
static bool importance_is_good(const double *h, size_t n)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        const uint64_t bits = nqi_f64_bits(h[i]);
        seen |= bits | (bits + (UINT64_C(1) << 52));
    }
    if (NQI_LIKELY(seen >> 63 == 0))
        return true;
    unsigned good = 1;
    for (size_t i = 0; i < n; i++)
        good &= (unsigned)(h[i] >= 0) & (unsigned)(h[i] <= DBL_MAX);
    return good;
}

bool nqi_weights_is_good_importance_f32(const void *h, size_t n)
{
    const uint8_t *from = h;
    uint32_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = nqi_f32_bits(nqi_load_f32(from + 4 * i));
        seen |= bits | (bits + (UINT32_C(1) << 23));
    }
    return seen >> 31 == 0;
}

size_t nqi_weights_find_bad(const float *w, const double *h, size_t n)
{
    if (NQI_LIKELY((!w || weights_are_good(w, n)) && (!h || importance_is_good(h, n))))
        return n;
    size_t i = 0;
    while ((!w || weights_are_good(w + i, 1)) && (!h || importance_is_good(h + i, 1)))
        i++;
    return i;
}

static void check_chunk(void *arg, uint64_t index, uint32_t worker)
{
    check_job *job = arg;
    float w[NQI_SLICE_ELEMS];
    double h[NQI_SLICE_ELEMS];
    (void)worker;
    const uint64_t total = nqi_weights_count(job->s);
    const uint64_t begin = (job->first_chunk + index) * NQI_CHUNK_ELEMS;
    const uint64_t end = NQI_MIN(begin + NQI_CHUNK_ELEMS, total);
    job->bad[index] = NQ_NONE;
    for (uint64_t at = begin; at < end; at += NQI_SLICE_ELEMS) {
        const size_t n = (size_t)NQI_MIN(end - at, NQI_SLICE_ELEMS);
        nqi_weights_load(w, job->s, at, n);
        nqi_weights_load_raw_importance(h, job->s, at, n);
        const size_t bad = nqi_weights_find_bad(w, h, n);
        if (bad < n) {
            job->bad[index] = at + bad;
            return;
        }
    }
}

nq_status nqi_weights_report_bad(const nqi_weights *s, uint64_t i, nq_diag *diag)
{
    float w;
    double h;
    nqi_weights_load(&w, s, i, 1);
    nqi_weights_load_raw_importance(&h, s, i, 1);
    const bool is_weight = !nqi_key_is_finite(nqi_key(w));
    const char *what = is_weight ? "a weight is not finite"
                       : h < 0   ? "importance is negative"
                                 : "importance is not finite";
    nqi_diag_at(diag, NQ_E_NUMERIC, what, NQ_NONE, nqi_weights_element(s, i), NQ_NONE);
    if (diag)
        diag->value = is_weight ? (double)w : h;
    return NQ_E_NUMERIC;
}

nq_status nqi_weights_check(const nqi_env *env, const nqi_weights *s, nq_diag *diag)
{
    check_job job = {.s = s};
    const uint64_t n_chunks = nqi_div_up_u64(nqi_weights_count(s), NQI_CHUNK_ELEMS);
    for (uint64_t at = 0; at < n_chunks; at += NQI_COUNT(job.bad)) {
        const uint64_t n = NQI_MIN(n_chunks - at, NQI_COUNT(job.bad));
        job.first_chunk = at;
        nqi_run(&env->runner, n, check_chunk, &job);
        for (uint64_t i = 0; i < n; i++)
            if (job.bad[i] != NQ_NONE)
                return nqi_weights_report_bad(s, job.bad[i], diag);
        if (nqi_progress(env, NQ_STAGE_SCAN,
                         NQI_MIN((at + n) * NQI_CHUNK_ELEMS, nqi_weights_count(s)),
                         nqi_weights_count(s)) != NQ_OK)
            return nqi_diag_set(diag, NQ_E_CANCELLED, "cancelled");
    }
    return NQ_OK;
}
