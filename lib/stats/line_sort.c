/*
 * All weights as points on a line: see line.h. They go to a few hundred buckets, whose order is
 * theirs, straight from where they are; then each bucket is sorted on its own. Nothing is held
 * twice but what one worker sorts.
 */
#include <assert.h>
#include <string.h>

#include "base/checked.h"
#include "stats/line.h"
#include "stats/sort.h"

/* Buckets: sign, exponent, and two bits of mantissa. */
#define BUCKET_SHIFT 21u
#define N_BUCKETS    2048u
static_assert(BUCKET_SHIFT == 32 - 11 && N_BUCKETS == 1u << 11, "buckets are upper bits");

/* Weights that one task looks at. */
#define TASK_ELEMS (UINT64_C(1) << 20)

/* Weights of one part. */
typedef struct piece {
    const nqi_weights *part;
    uint64_t first;
    size_t n;
    uint64_t places[N_BUCKETS]; /* how many go to each bucket; then where the next one goes */
    uint64_t bad;               /* the first weight that no design can be made from, or NQ_NONE */
} piece;

typedef struct job {
    const nqi_env *env;
    nqi_line *line;
    piece *pieces;
    size_t n_pieces;
    bool has_importance; /* there is any that is not 0 */
    bool is_weighted;
    uint64_t bucket_begin[N_BUCKETS + 1];
    nq_status *statuses; /* of sorting, by bucket */
} job;

/* ---- Pieces -------------------------------------------------------------------------------- */

/* Keys of a slice, and importance: given, 1 where there is none, or where all of it is 0. */
static size_t load_slice(uint32_t *keys, double *h, const job *j, const nqi_weights *part,
                         uint64_t first, size_t n)
{
    float w[NQI_SLICE_ELEMS];
    nqi_weights_load(w, part, first, n);
    if (j->is_weighted)
        nqi_weights_load_raw_importance(h, part, first, n);
    const size_t n_good = nqi_weights_find_bad(w, j->is_weighted ? h : NULL, n);
    if (n_good < n)
        return n_good;
    if (j->is_weighted)
        nqi_shaping_apply(h, &part->shaping, n);
    for (size_t i = 0; i < n; i++)
        keys[i] = nqi_key(w[i]);
    return n;
}

static void count_piece(void *arg, uint64_t index, uint32_t worker)
{
    job *j = arg;
    piece *p = &j->pieces[index];
    uint32_t keys[NQI_SLICE_ELEMS];
    double h[NQI_SLICE_ELEMS];
    (void)worker;
    memset(p->places, 0, sizeof p->places);
    p->bad = NQ_NONE;
    for (size_t at = 0; at < p->n; at += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(p->n - at, NQI_SLICE_ELEMS);
        const size_t n_good = load_slice(keys, h, j, p->part, p->first + at, n);
        if (n_good < n) {
            p->bad = p->first + at + n_good;
            return;
        }
        if (!j->has_importance)
            for (size_t i = 0; i < n; i++)
                p->places[keys[i] >> BUCKET_SHIFT]++;
        else
            for (size_t i = 0; i < n; i++)
                p->places[keys[i] >> BUCKET_SHIFT] += h[i] > 0;
    }
}

static void move_piece(void *arg, uint64_t index, uint32_t worker)
{
    job *j = arg;
    piece *p = &j->pieces[index];
    nqi_line *line = j->line;
    uint32_t keys[NQI_SLICE_ELEMS];
    double h[NQI_SLICE_ELEMS];
    (void)worker;
    for (size_t at = 0; at < p->n; at += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(p->n - at, NQI_SLICE_ELEMS);
        load_slice(keys, h, j, p->part, p->first + at, n);
        for (size_t i = 0; i < n; i++) {
            if (j->has_importance && !(h[i] > 0))
                continue;
            const size_t to = (size_t)p->places[keys[i] >> BUCKET_SHIFT]++;
            line->keys[to] = keys[i];
            if (j->has_importance)
                line->h[to] = h[i];
        }
    }
}

static size_t count_pieces(const nqi_weights *parts, size_t n_parts)
{
    size_t n = 0;
    for (size_t i = 0; i < n_parts; i++)
        n += (size_t)nqi_div_up_u64(nqi_weights_count(&parts[i]), TASK_ELEMS);
    return n;
}

static void cut_pieces(job *j, const nqi_weights *parts, size_t n_parts)
{
    size_t n = 0;
    for (size_t i = 0; i < n_parts; i++) {
        const uint64_t count = nqi_weights_count(&parts[i]);
        for (uint64_t first = 0; first < count; first += TASK_ELEMS) {
            piece *p = &j->pieces[n++];
            p->part = &parts[i];
            p->first = first;
            p->n = (size_t)NQI_MIN(count - first, TASK_ELEMS);
        }
    }
}

/* Turns how many into where; the number of points. */
static uint64_t find_places(job *j)
{
    uint64_t at = 0;
    for (uint32_t b = 0; b < N_BUCKETS; b++) {
        j->bucket_begin[b] = at;
        for (size_t i = 0; i < j->n_pieces; i++) {
            const uint64_t n = j->pieces[i].places[b];
            j->pieces[i].places[b] = at;
            at += n;
        }
    }
    j->bucket_begin[N_BUCKETS] = at;
    return at;
}

/* ---- Buckets ------------------------------------------------------------------------------- */

static nq_status sort_bucket(job *j, size_t begin, size_t n)
{
    void *keys, *h = NULL;
    nqi_line *line = j->line;
    const nqi_allocator *a = &j->env->allocator;
    nqi_env serial = *j->env; /* buckets are what runs in parallel */
    serial.runner = nqi_runner_serial();
    NQI_TRY(nqi_alloc(&keys, a, n, sizeof *line->keys));
    nq_status status = line->h ? nqi_alloc(&h, a, n, sizeof *line->h) : NQ_OK;
    nqi_sorting s = {.n = n,
                     .load_bytes = line->h ? sizeof *line->h : 0,
                     .keys = line->keys + begin,
                     .keys2 = keys,
                     .load = line->h ? line->h + begin : NULL,
                     .load2 = h};
    if (status == NQ_OK)
        status = nqi_sort_lower_bits(&s, &serial, BUCKET_SHIFT);
    if (status == NQ_OK && s.keys == keys) {
        memcpy(line->keys + begin, keys, n * sizeof *line->keys);
        if (line->h)
            memcpy(line->h + begin, h, n * sizeof *line->h);
    }
    nqi_free(a, h, n, sizeof *line->h);
    nqi_free(a, keys, n, sizeof *line->keys);
    return status;
}

static void run_bucket(void *arg, uint64_t index, uint32_t worker)
{
    job *j = arg;
    (void)worker;
    const size_t begin = (size_t)j->bucket_begin[index];
    const size_t n = (size_t)j->bucket_begin[index + 1] - begin;
    j->statuses[index] = n > 1 ? sort_bucket(j, begin, n) : NQ_OK;
}

/* ---- Line ---------------------------------------------------------------------------------- */

static nq_status make_points(job *j, uint64_t n)
{
    void *keys, *h = NULL;
    nqi_line *line = j->line;
    NQI_TRY(nqi_alloc(&keys, &line->allocator, n, sizeof *line->keys));
    line->keys = keys;
    line->capacity = (size_t)n;
    if (j->has_importance)
        NQI_TRY(nqi_alloc(&h, &line->allocator, n, sizeof *line->h));
    line->h = h;
    line->n = (size_t)n;
    return NQ_OK;
}

static nq_status first_failure(const job *j)
{
    for (size_t b = 0; b < N_BUCKETS; b++)
        NQI_TRY(j->statuses[b]);
    return NQ_OK;
}

static nq_status count_all(job *j)
{
    nqi_run(&j->env->runner, j->n_pieces, count_piece, j);
    for (size_t i = 0; i < j->n_pieces; i++)
        if (j->pieces[i].bad != NQ_NONE)
            return NQ_E_NUMERIC;
    return nqi_progress(j->env, NQ_STAGE_DESIGN, 0, j->n_pieces * TASK_ELEMS);
}

static nq_status sort_all(job *j)
{
    void *statuses;
    uint64_t n;
    NQI_TRY(count_all(j));
    n = find_places(j);
    if (n == 0 && j->is_weighted) { /* there is importance, and all of it is 0 */
        j->has_importance = false;
        j->line->is_plain = true;
        NQI_TRY(count_all(j));
        n = find_places(j);
    }
    NQI_TRY(make_points(j, n));
    nqi_run(&j->env->runner, j->n_pieces, move_piece, j);
    NQI_TRY(nqi_alloc_zero(&statuses, &j->env->allocator, N_BUCKETS, sizeof *j->statuses));
    j->statuses = statuses;
    nqi_run(&j->env->runner, N_BUCKETS, run_bucket, j);
    const nq_status status = first_failure(j);
    nqi_free(&j->env->allocator, j->statuses, N_BUCKETS, sizeof *j->statuses);
    return status;
}

static void add_importance(nqi_line *line)
{
    line->total_h = line->h ? 0 : (double)line->n;
    for (size_t i = 0; i < line->n && line->h; i++)
        line->total_h += line->h[i];
    nqi_line_normalise(line);
}

nq_status nqi_line_from_weights(nqi_line *out, const nqi_env *env, const nqi_weights *parts,
                                size_t n_parts)
{
    void *pieces;
    *out = (nqi_line){.allocator = env->allocator};
    const size_t n_pieces = count_pieces(parts, n_parts);
    if (n_pieces == 0)
        return NQ_OK;
    NQI_TRY(nqi_alloc(&pieces, &env->allocator, n_pieces, sizeof(piece)));
    job j = {.env = env, .line = out, .pieces = pieces, .n_pieces = n_pieces};
    for (size_t i = 0; i < n_parts; i++) /* a part without elements has none of importance either */
        j.is_weighted |= nqi_weights_count(&parts[i]) > 0 && nqi_weights_has_importance(&parts[i]);
    j.has_importance = j.is_weighted;
    cut_pieces(&j, parts, n_parts);
    const nq_status status = sort_all(&j);
    nqi_free(&env->allocator, pieces, n_pieces, sizeof(piece));
    if (status == NQ_OK)
        add_importance(out);
    else
        nqi_line_free(out);
    return status;
}
