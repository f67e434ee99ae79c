/*
 * Rows of all weights: see rows.h. Weights go straight from where they are to the rows of their
 * importance, which are told by the upper bits of its float, four rows an octave: as one word, the
 * weight's key above and the importance below. Then each row is sorted on its own, from the low
 * digits of the keys to the high ones, and taken apart. Nothing is held twice but what workers
 * sort.
 *
 * For less memory, weights go to buckets: the largest of a row to one, the others to another, each
 * of which may be thinned.
 */
#include <assert.h>
#include <float.h>
#include <string.h>

#include "base/checked.h"
#include "ecsq/rows.h"

static_assert(0x7f7fffff >> NQI_ROW_SHIFT < NQI_N_ROWS, "all finite floats have a row");

/* Weights that one task looks at. */
#define TASK_ELEMS (UINT64_C(1) << 20)

/* Two for each row. */
#define N_BUCKETS (2 * NQI_N_ROWS)

/* Of thinned rows, the part of all points that large weights may be. */
#define LARGE_PART 4

typedef struct piece {
    const nqi_weights *part;
    uint64_t first;
    size_t n;
    uint64_t
        places[N_BUCKETS + 1]; /* how many go to each bucket; then the number of the next one */
    uint64_t n_weightless;
    bool is_bad;
} piece;

typedef struct job {
    const nqi_env *env;
    nqi_rows *rows;
    bool is_weighted;
    float large; /* weights of larger magnitude have rows of their own */
    piece *pieces;
    size_t n_pieces;
    size_t begin[N_BUCKETS + 1];  /* of each bucket's points */
    unsigned thinning[N_BUCKETS]; /* log2 */
    uint32_t used[N_BUCKETS];     /* buckets that have points */
    nq_status statuses[N_BUCKETS];
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

static uint32_t bucket_of(const job *j, float w, float h)
{
    return 2 * nqi_row_number(h) + ((w < 0 ? -w : w) > j->large ? 1 : 0);
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
            p->places[NQI_MIN(bucket_of(j, w[i], h[i]), N_BUCKETS)]++;
    }
    p->n_weightless = p->places[N_BUCKETS];
}

static void move_piece(void *arg, uint64_t index, uint32_t worker)
{
    const job *j = arg;
    piece *p = &j->pieces[index];
    uint64_t *points = j->rows->points;
    float w[NQI_SLICE_ELEMS], h[NQI_SLICE_ELEMS];
    (void)worker;
    for (size_t at = 0; at < p->n; at += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(p->n - at, NQI_SLICE_ELEMS);
        load_slice(w, h, j, p->part, p->first + at, n);
        for (size_t i = 0; i < n; i++) {
            const uint32_t bucket = bucket_of(j, w[i], h[i]);
            if (bucket >= N_BUCKETS)
                continue;
            const uint64_t number = p->places[bucket]++;
            const unsigned thinning = j->thinning[bucket];
            if ((number & ((UINT64_C(1) << thinning) - 1)) != 0)
                continue;
            points[j->begin[bucket] + (number >> thinning)] =
                (uint64_t)nqi_key(w[i]) << 32 | nqi_f32_bits(h[i]);
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

/* Turns how many each piece has into the number of its first one; how many there are in all. */
static uint64_t number_weights(job *j, uint32_t bucket)
{
    uint64_t n = 0;
    for (size_t i = 0; i < j->n_pieces; i++) {
        const uint64_t here = j->pieces[i].places[bucket];
        j->pieces[i].places[bucket] = n;
        n += here;
    }
    return n;
}

/* Points of n weights where no bucket is to have more than `most`. */
static uint64_t thinned(unsigned *thinning, uint64_t n, uint64_t most)
{
    for (*thinning = 0; nqi_div_up_u64(n, UINT64_C(1) << *thinning) > most; ++*thinning)
        ;
    return nqi_div_up_u64(n, UINT64_C(1) << *thinning);
}

/* The fullest buckets are thinned, so that there are at most max_points, or one for each. */
static void thin_buckets(job *j, const uint64_t *n, uint64_t max_points)
{
    uint64_t most = NQI_MAX(max_points, 1), all;
    do {
        all = 0;
        for (uint32_t i = 0; i < N_BUCKETS; i++)
            all += thinned(&j->thinning[i], n[i], most);
        most -= most / 8 + 1;
    } while (all > max_points && most > 0);
}

/* Gives buckets their places; the number of points. */
static size_t find_places(job *j, uint64_t max_points)
{
    uint64_t n[N_BUCKETS];
    size_t at = 0;
    for (uint32_t i = 0; i < N_BUCKETS; i++)
        n[i] = number_weights(j, i);
    thin_buckets(j, n, max_points);
    for (uint32_t i = 0; i < N_BUCKETS; i++) {
        j->begin[i] = at;
        if (n[i] > 0)
            j->used[j->rows->n_rows++] = i;
        at += (size_t)nqi_div_up_u64(n[i], UINT64_C(1) << j->thinning[i]);
    }
    j->begin[N_BUCKETS] = at;
    return at;
}

/* ---- Sorting ------------------------------------------------------------------------------- */

#define DIGIT_BITS 11u
#define DIGITS     (1u << DIGIT_BITS)
#define N_PASSES   3u
static_assert(N_PASSES * DIGIT_BITS >= 32, "digits cover a key");

/* What a row is sorted with. */
typedef struct desk {
    size_t places[N_PASSES][DIGITS];
    uint64_t points[];
} desk;

static uint32_t digit_of(uint64_t point, unsigned pass)
{
    return (uint32_t)(point >> (32 + pass * DIGIT_BITS)) % DIGITS;
}

static void count_digits(desk *d, const uint64_t *points, size_t n)
{
    memset(d->places, 0, sizeof d->places);
    for (size_t i = 0; i < n; i++)
        for (unsigned pass = 0; pass < N_PASSES; pass++)
            d->places[pass][digit_of(points[i], pass)]++;
}

/* Turns numbers into places; false when one digit has all points, so that nothing would move. */
static bool find_digits(size_t *places, size_t n)
{
    size_t at = 0;
    for (uint32_t digit = 0; digit < DIGITS; digit++) {
        const size_t count = places[digit];
        if (count == n)
            return false;
        places[digit] = at;
        at += count;
    }
    return true;
}

static void move_points(uint64_t *to, const uint64_t *from, size_t n, size_t *places, unsigned pass)
{
    for (size_t i = 0; i < n; i++)
        to[places[digit_of(from[i], pass)]++] = from[i];
}

/* The points in order, at one of the two places; equal keys stay in the order they had. */
static uint64_t *sort_points(desk *d, uint64_t *points, size_t n)
{
    uint64_t *from = points, *to = d->points;
    count_digits(d, points, n);
    for (unsigned pass = 0; pass < N_PASSES; pass++) {
        if (!find_digits(d->places[pass], n))
            continue;
        move_points(to, from, n, d->places[pass], pass);
        uint64_t *const moved = to;
        to = from;
        from = moved;
    }
    return from;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

/* Weights first, then importance, where the points were. */
static void take_apart(nqi_row *row, uint64_t *points, const uint64_t *sorted, size_t n)
{
    float *w = (float *)(void *)points, *h = w + n;
    float least = FLT_MAX, most = 0;
    for (size_t i = 0; i < n; i++) {
        const float importance = nqi_f32_from_bits((uint32_t)sorted[i]);
        w[i] = nqi_key_weight((uint32_t)(sorted[i] >> 32));
        h[i] = importance;
        least = NQI_MIN(least, importance);
        most = NQI_MAX(most, importance);
    }
    *row = (nqi_row){.n = n, .w = w, .h = h, .h_min = (double)least, .h_max = (double)most};
}

static nq_status make_row(nqi_row *row, const nqi_allocator *a, uint64_t *points, size_t n)
{
    void *memory;
    const size_t desk_points = sizeof(desk) / sizeof(uint64_t) + n;
    NQI_TRY(nqi_alloc(&memory, a, desk_points, sizeof(uint64_t)));
    desk *d = memory;
    const uint64_t *sorted = sort_points(d, points, n);
    if (sorted == points) {
        memcpy(d->points, points, n * sizeof *points);
        sorted = d->points;
    }
    take_apart(row, points, sorted, n);
    nqi_free(a, memory, desk_points, sizeof(uint64_t));
    return NQ_OK;
}

static void run_row(void *arg, uint64_t index, uint32_t worker)
{
    job *j = arg;
    (void)worker;
    const size_t begin = j->begin[j->used[index]];
    const size_t n = j->begin[j->used[index] + 1] - begin;
    uint64_t *points = j->rows->points;
    j->statuses[index] = make_row(&j->rows->rows[index], &j->env->allocator, points + begin, n);
    j->rows->rows[index].thinning = j->thinning[j->used[index]];
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
    void *points, *rows;
    r->capacity = n;
    NQI_TRY(nqi_alloc(&points, &r->allocator, n, sizeof(uint64_t)));
    r->points = points;
    NQI_TRY(nqi_alloc_zero(&rows, &r->allocator, r->n_rows, sizeof *r->rows));
    r->rows = rows;
    return NQ_OK;
}

static nq_status make_rows(job *j, uint64_t max_points)
{
    NQI_TRY(count_all(j));
    NQI_TRY(make_points(j->rows, find_places(j, max_points)));
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

/* The largest magnitude that a bin may have. */
static float magnitude(const nqi_bin *b)
{
    const float first = nqi_key_weight(b->key);
    const float last = nqi_key_weight(b->key + ((UINT32_C(1) << b->shift) - 1));
    return NQI_MAX(-first, last);
}

/* Above which magnitude there are no more than `most` weights. */
static float find_large(const nqi_summary *s, uint64_t most)
{
    size_t first = 0, last = s->n_bins - 1;
    uint64_t n = 0;
    for (;;) {
        const nqi_bin *low = &s->bins[first], *high = &s->bins[last];
        const bool is_low = magnitude(low) > magnitude(high);
        const nqi_bin *b = is_low ? low : high;
        n += b->count;
        if (n > most || first == last)
            return magnitude(b);
        first += is_low ? 1 : 0;
        last -= is_low ? 0 : 1;
    }
}

nq_status nqi_rows_from_weights(nqi_rows *out, const nqi_env *env, const nqi_summary *s,
                                const nqi_weights *parts, size_t n_parts, uint64_t max_points)
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
        j->large = s->n > max_points ? find_large(s, max_points / LARGE_PART) : FLT_MAX;
        cut_pieces(j, parts, n_parts);
        status = make_rows(j, max_points);
    }
    nqi_free(&env->allocator, memory, 1, sizeof(job));
    nqi_free(&env->allocator, pieces, n_pieces, sizeof(piece));
    if (status != NQ_OK)
        nqi_rows_free(out);
    return status;
}
