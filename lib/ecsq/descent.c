/*
 * Downhill in J: see descent.h.
 */
#include "ecsq/descent.h"

#include <assert.h>
#include <string.h>

#include "base/log2.h"

/* ---- Life ---------------------------------------------------------------------------------- */

nq_status nqi_descent_create(nqi_descent *d, const nqi_allocator *a, size_t max_k)
{
    void *memory;
    *d = (nqi_descent){.capacity = max_k};
    nq_status status = nqi_alloc(&memory, a, max_k, sizeof *d->levels);
    d->levels = memory;
    if (status == NQ_OK)
        status = nqi_alloc(&memory, a, max_k, sizeof *d->lengths);
    d->lengths = status == NQ_OK ? memory : NULL;
    if (status == NQ_OK)
        status = nqi_alloc(&memory, a, max_k, sizeof *d->shares);
    d->shares = status == NQ_OK ? memory : NULL;
    if (status == NQ_OK)
        status = nqi_alloc(&memory, a, max_k, sizeof *d->numbers);
    d->numbers = status == NQ_OK ? memory : NULL;
    if (status == NQ_OK)
        status = nqi_alloc(&memory, a, max_k, sizeof *d->counts);
    d->counts = status == NQ_OK ? memory : NULL;
    if (status != NQ_OK)
        nqi_descent_free(d, a);
    return status;
}

void nqi_descent_free(nqi_descent *d, const nqi_allocator *a)
{
    nqi_free(a, d->counts, d->capacity, sizeof *d->counts);
    nqi_free(a, d->numbers, d->capacity, sizeof *d->numbers);
    nqi_free(a, d->shares, d->capacity, sizeof *d->shares);
    nqi_free(a, d->lengths, d->capacity, sizeof *d->lengths);
    nqi_free(a, d->levels, d->capacity, sizeof *d->levels);
    *d = (nqi_descent){.capacity = 0};
}

void nqi_descent_begin(nqi_descent *d, const double *levels, const double *lengths, size_t k)
{
    assert(k >= 1 && k <= d->capacity);
    d->k = k;
    d->iterations = 0;
    for (size_t j = 0; j < k; j++) {
        d->levels[j] = levels[j];
        d->lengths[j] = lengths ? lengths[j] : 0;
        d->numbers[j] = (uint32_t)j;
    }
}

/* ---- Lengths ------------------------------------------------------------------------------- */

void nqi_ideal_lengths(void *user, double *lengths, const uint64_t *counts, size_t k)
{
    uint64_t n = 0;
    (void)user;
    for (size_t j = 0; j < k; j++)
        n += counts[j];
    const double log_n = nqi_log2((double)n);
    for (size_t j = 0; j < k; j++) {
        const double length = log_n - nqi_log2((double)counts[j]);
        lengths[j] = length > 0 ? length : 0;
    }
}

static void new_lengths(nqi_descent *d, const nqi_descent_options *o)
{
    for (size_t j = 0; j < d->k; j++)
        d->counts[j] = d->shares[j].count;
    o->lengths(o->user, d->lengths, d->counts, d->k);
}

/* ---- Levels -------------------------------------------------------------------------------- */

static void move_level(nqi_descent *d, size_t to, size_t from)
{
    d->levels[to] = d->levels[from];
    d->lengths[to] = d->lengths[from];
    d->shares[to] = d->shares[from];
    d->numbers[to] = d->numbers[from];
}

static void drop_unused(nqi_descent *d)
{
    size_t k = 0;
    for (size_t j = 0; j < d->k; j++)
        if (d->shares[j].count > 0)
            move_level(d, k++, j);
    d->k = k;
}

/* A level whose weights have no importance stays where it is. */
static void move_to_means(nqi_descent *d, const nqi_rows *rows)
{
    for (size_t j = 0; j < d->k; j++)
        if (d->shares[j].h > 0)
            d->levels[j] = rows->centre + d->shares[j].h_x / d->shares[j].h;
}

/* Means of weights that are shared out by importance, too, may overtake one another: sorts them
 * again by insertion, since few do. */
static void sort_levels(nqi_descent *d)
{
    for (size_t j = 1; j < d->k; j++) {
        const double level = d->levels[j], length = d->lengths[j];
        const nqi_share share = d->shares[j];
        const uint32_t number = d->numbers[j];
        size_t i = j;
        for (; i > 0 && d->levels[i - 1] > level; i--)
            move_level(d, i, i - 1);
        d->levels[i] = level;
        d->lengths[i] = length;
        d->shares[i] = share;
        d->numbers[i] = number;
    }
}

/* Levels that have become the same are one, whose code is shorter than both. */
static void merge_twins(nqi_descent *d)
{
    size_t k = 0;
    for (size_t j = 0; j < d->k; j++) {
        if (k > 0 && d->levels[k - 1] == d->levels[j]) {
            d->shares[k - 1].count += d->shares[j].count;
            d->shares[k - 1].h += d->shares[j].h;
            d->shares[k - 1].h_x += d->shares[j].h_x;
            d->shares[k - 1].h_x2 += d->shares[j].h_x2;
            continue;
        }
        move_level(d, k++, j);
    }
    d->k = k;
}

/* ---- Cost ---------------------------------------------------------------------------------- */

/*
 * Distortion of a share around its level. Sums are taken from the middle of each row, so that what
 * cancels here is of the share's own size; what is left below their rounding is nothing.
 */
static double distortion_of(const nqi_share *s, double level)
{
    const double d = s->h_x2 - level * (2 * s->h_x - level * s->h);
    return d > 0x1p-48 * s->h_x2 ? d : 0;
}

static void measure(nqi_descent *d, const nqi_rows *rows, double lambda)
{
    d->distortion = 0;
    d->bits = 0;
    for (size_t j = 0; j < d->k; j++) {
        d->distortion += distortion_of(&d->shares[j], d->levels[j] - rows->centre);
        d->bits += (double)d->shares[j].count * d->lengths[j];
    }
    d->cost = d->distortion + lambda * d->bits;
}

/* ---- Iterations ---------------------------------------------------------------------------- */

static void iterate(nqi_descent *d, nqi_assigner *a, const nqi_rows *rows,
                    const nqi_descent_options *o, double lambda)
{
    const nqi_priced_levels priced = {d->levels, d->lengths, d->k};
    nqi_assign(d->shares, a, &priced, lambda);
    if (!o->keeps_lengths)
        drop_unused(d);
    if (!o->keeps_levels) {
        move_to_means(d, rows);
        sort_levels(d);
        if (!o->keeps_lengths)
            merge_twins(d);
    }
    if (!o->keeps_lengths)
        new_lengths(d, o);
    measure(d, rows, o->lambda);
}

static void copy_state(nqi_descent *to, const nqi_descent *from)
{
    to->k = from->k;
    to->iterations = from->iterations;
    to->distortion = from->distortion;
    to->bits = from->bits;
    to->cost = from->cost;
    memcpy(to->levels, from->levels, from->k * sizeof *to->levels);
    memcpy(to->lengths, from->lengths, from->k * sizeof *to->lengths);
    memcpy(to->shares, from->shares, from->k * sizeof *to->shares);
    memcpy(to->numbers, from->numbers, from->k * sizeof *to->numbers);
}

nq_status nqi_descent_run(nqi_descent *d, nqi_descent *before, const nqi_env *env, nqi_assigner *a,
                          const nqi_rows *rows, const nqi_descent_options *o, bool starts_nearest)
{
    bool has_cost = starts_nearest;
    if (starts_nearest)
        iterate(d, a, rows, o, 0);
    for (bool falls = true; falls && d->iterations < o->max_iterations;) {
        NQI_TRY(nqi_progress(env, NQ_STAGE_DESIGN, 0, rows->n));
        copy_state(before, d);
        iterate(d, a, rows, o, o->lambda);
        d->iterations++;
        falls = !has_cost || before->cost - d->cost > o->tolerance * before->cost;
        if (has_cost && d->cost > before->cost) { /* rounding, at rest */
            before->iterations = d->iterations;
            copy_state(d, before);
        }
        has_cost = true;
    }
    return NQ_OK;
}
