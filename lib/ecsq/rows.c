/*
 * Rows of a summary's bins, and sums over rows: see rows.h.
 */
#include "ecsq/rows.h"

/* ---- Sums ---------------------------------------------------------------------------------- */

static double importance(const nqi_row *row, size_t i)
{
    return row->h ? (double)row->h[i] : row->counts ? row->counts[i] : 1.0;
}

/* Side by side, so that additions do not wait for each other. */
#define LANES 4u

typedef struct lanes {
    double h[LANES];
    double h_x[LANES];
    double h_x2[LANES];
} lanes;

static inline void add_to_lane(lanes *sum, size_t lane, double h, double x)
{
    const double h_x = h * x;
    sum->h[lane] += h;
    sum->h_x[lane] += h_x;
    sum->h_x2[lane] += h_x * x;
}

static nqi_share add_lanes(const lanes *l)
{
    return (nqi_share){.h = (l->h[0] + l->h[1]) + (l->h[2] + l->h[3]),
                       .h_x = (l->h_x[0] + l->h_x[1]) + (l->h_x[2] + l->h_x[3]),
                       .h_x2 = (l->h_x2[0] + l->h_x2[1]) + (l->h_x2[2] + l->h_x2[3])};
}

/* Of a block's points or fewer, whose importance is nearly the same: no digits are lost. */
static nqi_share sum_points(const nqi_rows *rows, const nqi_row *row, size_t begin, size_t end)
{
    lanes sum = {{0}, {0}, {0}};
    size_t i = begin;
    if (row->h)
        for (; i + LANES <= end; i += LANES)
            for (size_t j = 0; j < LANES; j++)
                add_to_lane(&sum, j, (double)row->h[i + j], (double)row->w[i + j] - rows->centre);
    for (; i < end; i++)
        add_to_lane(&sum, (i - begin) % LANES, importance(row, i),
                    nqi_row_value(row, i) - rows->centre);
    return add_lanes(&sum);
}

static size_t n_blocks(size_t n)
{
    return (n + NQI_ROW_BLOCK - 1) / NQI_ROW_BLOCK;
}

static nqi_row_sums add_share(const nqi_row_sums *to, const nqi_share *s, double sign)
{
    return (nqi_row_sums){.h = nqi_dd_add_double(to->h, sign * s->h),
                          .h_x = nqi_dd_add_double(to->h_x, sign * s->h_x),
                          .h_x2 = nqi_dd_add_double(to->h_x2, sign * s->h_x2)};
}

/* From the middle outwards, so that outliers take no precision from the others: see nqi_line. */
static void sum_row(const nqi_rows *rows, const nqi_row *row)
{
    const size_t n = n_blocks(row->n), middle = n / 2;
    row->sums[middle] = (nqi_row_sums){{0, 0}, {0, 0}, {0, 0}};
    for (size_t b = middle; b < n; b++) {
        const size_t begin = b * NQI_ROW_BLOCK;
        const nqi_share s = sum_points(rows, row, begin, NQI_MIN(begin + NQI_ROW_BLOCK, row->n));
        row->sums[b + 1] = add_share(&row->sums[b], &s, 1);
    }
    for (size_t b = middle; b > 0; b--) {
        const nqi_share s = sum_points(rows, row, (b - 1) * NQI_ROW_BLOCK, b * NQI_ROW_BLOCK);
        row->sums[b - 1] = add_share(&row->sums[b], &s, -1);
    }
}

static nqi_share sum_blocks(const nqi_row *row, size_t begin, size_t end)
{
    const nqi_row_sums *from = &row->sums[begin], *to = &row->sums[end];
    return (nqi_share){.h = nqi_dd_value(nqi_dd_sub(to->h, from->h)),
                       .h_x = nqi_dd_value(nqi_dd_sub(to->h_x, from->h_x)),
                       .h_x2 = nqi_dd_value(nqi_dd_sub(to->h_x2, from->h_x2))};
}

nqi_share nqi_row_between(const nqi_rows *rows, const nqi_row *row, size_t begin, size_t end)
{
    const size_t first = (begin + NQI_ROW_BLOCK - 1) / NQI_ROW_BLOCK, last = end / NQI_ROW_BLOCK;
    nqi_share all = {.count = 0};
    if (first > last) {
        all = sum_points(rows, row, begin, end);
    } else {
        const nqi_share head = sum_points(rows, row, begin, first * NQI_ROW_BLOCK);
        const nqi_share tail = sum_points(rows, row, last * NQI_ROW_BLOCK, end);
        nqi_share_add(&all, &head);
        if (first < last) {
            const nqi_share blocks = sum_blocks(row, first, last);
            nqi_share_add(&all, &blocks);
        }
        nqi_share_add(&all, &tail);
    }
    all.count = row->counts ? (uint64_t)(all.h + 0.5) : end - begin;
    return all;
}

static void sum_row_task(void *arg, uint64_t index, uint32_t worker)
{
    const nqi_rows *r = arg;
    (void)worker;
    sum_row(r, &r->rows[index]);
}

/* The value in the middle of the largest row: near most of them. */
static void look_around(nqi_rows *r)
{
    const nqi_row *largest = &r->rows[0];
    r->min = nqi_row_value(largest, 0);
    r->max = r->min;
    for (size_t i = 0; i < r->n_rows; i++) {
        const nqi_row *row = &r->rows[i];
        const double first = nqi_row_value(row, 0), last = nqi_row_value(row, row->n - 1);
        r->min = NQI_MIN(r->min, first);
        r->max = NQI_MAX(r->max, last);
        if (row->n > largest->n)
            largest = row;
    }
    r->centre = nqi_row_value(largest, largest->n / 2);
}

nq_status nqi_rows_finish(nqi_rows *r, const nqi_env *env)
{
    void *sums;
    r->n_sums = 0;
    for (size_t i = 0; i < r->n_rows; i++)
        r->n_sums += n_blocks(r->rows[i].n) + 1;
    NQI_TRY(nqi_alloc(&sums, &r->allocator, r->n_sums, sizeof *r->sums));
    r->sums = sums;
    size_t at = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        r->rows[i].sums = r->sums + at;
        at += n_blocks(r->rows[i].n) + 1;
    }
    if (r->n_rows == 0)
        return NQ_OK;
    look_around(r);
    nqi_run(&env->runner, r->n_rows, sum_row_task, r);
    r->total_h = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const nqi_row *row = &r->rows[i];
        const nqi_dd total = nqi_dd_sub(row->sums[n_blocks(row->n)].h, row->sums[0].h);
        r->total_h += nqi_dd_value(total) * (double)(UINT64_C(1) << row->thinning);
    }
    return NQ_OK;
}

/* ---- From a summary ------------------------------------------------------------------------ */

void nqi_rows_free(nqi_rows *r)
{
    const nqi_allocator *a = &r->allocator;
    nqi_free(a, r->sums, r->n_sums, sizeof *r->sums);
    nqi_free(a, r->counts, r->capacity, sizeof *r->counts);
    nqi_free(a, r->x, r->capacity, sizeof *r->x);
    nqi_free(a, r->points, r->capacity, sizeof(uint64_t));
    nqi_free(a, r->rows, r->n_rows, sizeof *r->rows);
    *r = (nqi_rows){.allocator = r->allocator};
}

static nq_status make_row(nqi_rows *r, const nqi_summary *s)
{
    void *rows, *x, *counts;
    const nqi_allocator *a = &r->allocator;
    NQI_TRY(nqi_alloc_zero(&rows, a, 1, sizeof *r->rows));
    r->rows = rows;
    r->n_rows = 1;
    r->capacity = s->n_bins;
    NQI_TRY(nqi_alloc(&x, a, s->n_bins, sizeof *r->x));
    r->x = x;
    NQI_TRY(nqi_alloc(&counts, a, s->n_bins, sizeof *r->counts));
    r->counts = counts;
    for (size_t i = 0; i < s->n_bins; i++) {
        r->x[i] = nqi_bin_plain_mean(&s->bins[i]);
        r->counts[i] = (double)s->bins[i].count;
    }
    r->rows[0] = (nqi_row){.n = s->n_bins, .x = r->x, .counts = r->counts, .h_min = 1, .h_max = 1};
    return NQ_OK;
}

nq_status nqi_rows_from_summary(nqi_rows *out, const nqi_summary *s)
{
    nqi_env env = nqi_env_default();
    env.allocator = s->allocator;
    *out = (nqi_rows){.allocator = s->allocator};
    if (s->n_bins == 0)
        return NQ_OK;
    nq_status status = make_row(out, s);
    out->n = s->n;
    out->scale = 1;
    out->is_plain = s->is_weighted;
    if (status == NQ_OK)
        status = nqi_rows_finish(out, &env);
    if (status != NQ_OK)
        nqi_rows_free(out);
    return status;
}
