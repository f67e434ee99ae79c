/*
 * Rows of all weights: see rows.h. Weights go straight from where they are to the rows of their
 * importance, which are told by the upper bits of its float, four rows an octave; then each row is
 * sorted on its own. Nothing is held twice but what workers sort.
 */
#include <assert.h>
#include <float.h>
#include <string.h>

#include "base/checked.h"
#include "ecsq/rows.h"
#include "stats/sort.h"

static_assert(0x7f7fffff >> NQI_ROW_SHIFT < NQI_N_ROWS, "all finite floats have a row");

/* Weights that one task looks at. */
#define TASK_ELEMS (UINT64_C(1) << 20)

typedef struct piece {
    const nqi_weights *part;
    uint64_t first;
    size_t n;
    uint64_t places[NQI_N_ROWS + 1]; /* how many go to each row; then where the next one goes */
    uint64_t n_weightless;
    bool is_bad;
} piece;

typedef struct job {
    const nqi_env *env;
    nqi_rows *rows;
    bool is_weighted;
    piece *pieces;
    size_t n_pieces;
    size_t begin[NQI_N_ROWS + 1]; /* of each row's points */
    uint32_t used[NQI_N_ROWS];    /* rows that have points */
    nq_status statuses[NQI_N_ROWS];
} job;

/* ---- Pieces -------------------------------------------------------------------------------- */

/* Importance as rows have it; 1 where there is none. False for weights that no design can be made
 * from. */
static bool load_slice(float *w, float *h, const job *j, const nqi_weights *part, uint64_t first,
                       size_t n)
{
    double given[NQI_SLICE_ELEMS];
    nqi_weights_load(w, part, first, n);
    if (!j->is_weighted) {
        for (size_t i = 0; i < n; i++)
            h[i] = 1;
        return nqi_weights_find_bad(w, NULL, n) == n;
    }
    nqi_weights_load_raw_importance(given, part, first, n);
    if (nqi_weights_find_bad(w, given, n) < n)
        return false;
    nqi_shaping_apply(given, &part->shaping, n);
    for (size_t i = 0; i < n; i++)
        h[i] = nqi_row_importance(given[i], j->rows->scale);
    return true;
}

static void count_piece(void *arg, uint64_t index, uint32_t worker)
{
    const job *j = arg;
    piece *p = &j->pieces[index];
    float w[NQI_SLICE_ELEMS], h[NQI_SLICE_ELEMS];
    (void)worker;
    memset(p->places, 0, sizeof p->places);
    p->is_bad = false;
    for (size_t at = 0; at < p->n && !p->is_bad; at += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(p->n - at, NQI_SLICE_ELEMS);
        p->is_bad = !load_slice(w, h, j, p->part, p->first + at, n);
        for (size_t i = 0; i < n && !p->is_bad; i++)
            p->places[nqi_row_number(h[i])]++;
    }
    p->n_weightless = p->places[NQI_N_ROWS];
}

/* Keys go where weights will be, until they are sorted. */
static void move_piece(void *arg, uint64_t index, uint32_t worker)
{
    const job *j = arg;
    piece *p = &j->pieces[index];
    float w[NQI_SLICE_ELEMS], h[NQI_SLICE_ELEMS];
    (void)worker;
    for (size_t at = 0; at < p->n; at += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(p->n - at, NQI_SLICE_ELEMS);
        load_slice(w, h, j, p->part, p->first + at, n);
        for (size_t i = 0; i < n; i++) {
            const uint32_t row = nqi_row_number(h[i]);
            if (row == NQI_N_ROWS)
                continue;
            const uint64_t to = p->places[row]++;
            const uint32_t key = nqi_key(w[i]);
            memcpy(&j->rows->w[to], &key, sizeof key);
            j->rows->h[to] = h[i];
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
static size_t find_places(job *j)
{
    size_t at = 0;
    for (uint32_t row = 0; row < NQI_N_ROWS; row++) {
        j->begin[row] = at;
        if (row > 0 && at > j->begin[row - 1])
            j->used[j->rows->n_rows++] = row - 1;
        for (size_t i = 0; i < j->n_pieces; i++) {
            const uint64_t n = j->pieces[i].places[row];
            j->pieces[i].places[row] = at;
            at += (size_t)n;
        }
    }
    j->begin[NQI_N_ROWS] = at;
    if (at > j->begin[NQI_N_ROWS - 1])
        j->used[j->rows->n_rows++] = NQI_N_ROWS - 1;
    return at;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

static nq_status sort_points(const job *j, size_t begin, size_t n)
{
    void *memory;
    const nqi_rows *r = j->rows;
    nqi_env serial = *j->env; /* rows are what runs in parallel */
    serial.runner = nqi_runner_serial();
    NQI_TRY(nqi_alloc(&memory, &serial.allocator, n, 2 * sizeof(uint32_t)));
    uint32_t *scratch = memory;
    nqi_sorting s = {.n = n,
                     .load_bytes = sizeof(float),
                     .keys = (uint32_t *)(void *)(r->w + begin),
                     .keys2 = scratch,
                     .load = r->h + begin,
                     .load2 = scratch + n};
    const nq_status status = nqi_sort_by_key(&s, &serial);
    if (status == NQ_OK && s.keys == scratch) {
        memcpy(r->w + begin, scratch, n * sizeof(float));
        memcpy(r->h + begin, scratch + n, n * sizeof(float));
    }
    nqi_free(&serial.allocator, memory, n, 2 * sizeof(uint32_t));
    return status;
}

static void make_row(nqi_row *row, const nqi_rows *r, size_t begin, size_t n)
{
    float least = FLT_MAX, most = 0;
    for (size_t i = begin; i < begin + n; i++) {
        uint32_t key;
        memcpy(&key, &r->w[i], sizeof key);
        r->w[i] = nqi_key_weight(key);
        least = NQI_MIN(least, r->h[i]);
        most = NQI_MAX(most, r->h[i]);
    }
    *row = (nqi_row){.n = n,
                     .w = r->w + begin,
                     .h = r->h + begin,
                     .h_min = (double)least,
                     .h_max = (double)most};
}

static void run_row(void *arg, uint64_t index, uint32_t worker)
{
    job *j = arg;
    (void)worker;
    const size_t begin = j->begin[j->used[index]];
    const size_t n = j->begin[j->used[index] + 1] - begin;
    j->statuses[index] = sort_points(j, begin, n);
    make_row(&j->rows->rows[index], j->rows, begin, n);
}

/* ---- All ----------------------------------------------------------------------------------- */

static nq_status count_all(job *j)
{
    nqi_run(&j->env->runner, j->n_pieces, count_piece, j);
    for (size_t i = 0; i < j->n_pieces; i++) {
        if (j->pieces[i].is_bad)
            return NQ_E_NUMERIC;
        j->rows->n_weightless += j->pieces[i].n_weightless;
    }
    return nqi_progress(j->env, NQ_STAGE_DESIGN, 0, j->rows->n);
}

static nq_status make_points(nqi_rows *r, size_t n)
{
    void *w, *h, *rows;
    r->capacity = n;
    NQI_TRY(nqi_alloc(&w, &r->allocator, n, sizeof *r->w));
    r->w = w;
    NQI_TRY(nqi_alloc(&h, &r->allocator, n, sizeof *r->h));
    r->h = h;
    NQI_TRY(nqi_alloc_zero(&rows, &r->allocator, r->n_rows, sizeof *r->rows));
    r->rows = rows;
    return NQ_OK;
}

static nq_status make_rows(job *j)
{
    NQI_TRY(count_all(j));
    NQI_TRY(make_points(j->rows, find_places(j)));
    nqi_run(&j->env->runner, j->n_pieces, move_piece, j);
    nqi_run(&j->env->runner, j->rows->n_rows, run_row, j);
    for (size_t i = 0; i < j->rows->n_rows; i++)
        NQI_TRY(j->statuses[i]);
    return nqi_rows_finish(j->rows, j->env);
}

/* The power of two that brings the mean near 1. */
static double scale_for(double total, uint64_t n)
{
    const double mean = total / (double)n;
    const uint64_t exponent = nqi_f64_bits(mean) >> 52;
    return nqi_f64_from_bits((2046 - NQI_MAX(exponent, 1)) << 52);
}

nq_status nqi_rows_from_weights(nqi_rows *out, const nqi_env *env, const nqi_summary *s,
                                const nqi_weights *parts, size_t n_parts)
{
    void *pieces, *memory;
    const double total = nqi_summary_importance(s);
    *out = (nqi_rows){.allocator = env->allocator, .n = s->n, .scale = 1};
    const size_t n_pieces = count_pieces(parts, n_parts);
    if (s->n == 0 || n_pieces == 0)
        return NQ_OK;
    NQI_TRY(nqi_alloc(&pieces, &env->allocator, n_pieces, sizeof(piece)));
    nq_status status = nqi_alloc(&memory, &env->allocator, 1, sizeof(job));
    if (status == NQ_OK) {
        job *j = memory;
        *j = (job){.env = env, .rows = out, .pieces = pieces, .n_pieces = n_pieces};
        j->is_weighted = s->is_weighted && total > 0;
        out->is_plain = s->is_weighted && !(total > 0);
        out->scale = j->is_weighted ? scale_for(total, s->n) : 1;
        cut_pieces(j, parts, n_parts);
        status = make_rows(j);
    }
    nqi_free(&env->allocator, memory, 1, sizeof(job));
    nqi_free(&env->allocator, pieces, n_pieces, sizeof(piece));
    if (status != NQ_OK)
        nqi_rows_free(out);
    return status;
}
