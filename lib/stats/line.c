/*
 * Points on a line, from summaries, and sums over intervals of them: see line.h.
 */
#include "stats/line.h"

#include <string.h>

/* ---- From a summary ------------------------------------------------------------------------ */

static nq_status make_arrays(nqi_line *line, size_t n)
{
    void *x, *h;
    NQI_TRY(nqi_alloc(&x, &line->allocator, n, sizeof *line->x));
    const nq_status status = nqi_alloc(&h, &line->allocator, n, sizeof *line->h);
    if (status != NQ_OK) {
        nqi_free(&line->allocator, x, n, sizeof *line->x);
        return status;
    }
    line->x = x;
    line->h = h;
    line->capacity = n;
    return NQ_OK;
}

nq_status nqi_line_from_summary(nqi_line *out, const nqi_summary *s)
{
    nqi_line line = {.allocator = s->allocator};
    *out = line;
    line.is_plain = s->n > 0 && !(nqi_summary_importance(s) > 0);
    NQI_TRY(make_arrays(&line, s->n_bins));
    for (size_t i = 0; i < s->n_bins; i++) {
        const nqi_bin *b = &s->bins[i];
        const double h = line.is_plain ? (double)b->count : b->h;
        if (!(h > 0))
            continue;
        line.x[line.n] = nqi_bin_mean(b);
        line.h[line.n++] = h;
        line.total_h += h;
    }
    nqi_line_normalise(&line);
    *out = line;
    return NQ_OK;
}

void nqi_line_normalise(nqi_line *line)
{
    line->centre = line->n ? nqi_line_value(line, line->n / 2) : 0;
    line->scale = 1;
    const double middle = 0x1p200;
    if (!line->h || line->n == 0 || (line->total_h < middle && line->total_h > 1 / middle))
        return;
    const uint64_t exponent = nqi_f64_bits(line->total_h) >> 52; /* 0..1723 */
    line->scale = nqi_f64_from_bits((2046 - NQI_MAX(exponent, 1)) << 52);
    for (size_t i = 0; i < line->n; i++)
        line->h[i] *= line->scale;
    line->total_h *= line->scale;
}

void nqi_line_free(nqi_line *line)
{
    const nqi_allocator *a = &line->allocator;
    nqi_free(a, line->x, line->capacity, sizeof *line->x);
    nqi_free(a, line->keys, line->capacity, sizeof *line->keys);
    nqi_free(a, line->h, line->capacity, sizeof *line->h);
    nqi_free(a, line->sums, line->n_sums, sizeof *line->sums);
    *line = (nqi_line){.allocator = line->allocator};
}

/* ---- Sums ---------------------------------------------------------------------------------- */

size_t nqi_line_find(const nqi_line *line, double t)
{
    size_t low = 0, high = line->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (nqi_line_value(line, middle) < t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_point(nqi_line_sums *sums, const nqi_line *line, size_t i)
{
    const double h = nqi_line_importance(line, i);
    const double x = nqi_line_value(line, i) - line->centre;
    sums->h = nqi_dd_add_double(sums->h, h);
    sums->h_x = nqi_dd_add(sums->h_x, nqi_dd_product(h, x));
}

static nqi_line_sums sum_of(const nqi_line *line, size_t begin, size_t end)
{
    nqi_line_sums sums = {{0, 0}, {0, 0}};
    for (size_t i = begin; i < end; i++)
        add_point(&sums, line, i);
    return sums;
}

nq_status nqi_line_make_sums(nqi_line *line)
{
    void *memory;
    if (line->sums)
        return NQ_OK;
    const size_t n_blocks = (line->n + NQI_LINE_BLOCK - 1) / NQI_LINE_BLOCK;
    NQI_TRY(nqi_alloc(&memory, &line->allocator, n_blocks + 1, sizeof *line->sums));
    nqi_line_sums *sums = memory;
    const size_t middle = n_blocks / 2;
    sums[middle] = (nqi_line_sums){{0, 0}, {0, 0}};
    for (size_t b = middle; b < n_blocks; b++) {
        const nqi_line_sums s =
            sum_of(line, b * NQI_LINE_BLOCK, NQI_MIN((b + 1) * NQI_LINE_BLOCK, line->n));
        sums[b + 1].h = nqi_dd_add(sums[b].h, s.h);
        sums[b + 1].h_x = nqi_dd_add(sums[b].h_x, s.h_x);
    }
    for (size_t b = middle; b > 0; b--) {
        const nqi_line_sums s = sum_of(line, (b - 1) * NQI_LINE_BLOCK, b * NQI_LINE_BLOCK);
        sums[b - 1].h = nqi_dd_sub(sums[b].h, s.h);
        sums[b - 1].h_x = nqi_dd_sub(sums[b].h_x, s.h_x);
    }
    line->sums = sums;
    line->n_sums = n_blocks + 1;
    return NQ_OK;
}

nqi_line_sums nqi_line_sums_at(const nqi_line *line, size_t i)
{
    const size_t block = i / NQI_LINE_BLOCK;
    nqi_line_sums sums = line->sums[block];
    for (size_t j = block * NQI_LINE_BLOCK; j < i; j++)
        add_point(&sums, line, j);
    return sums;
}

nqi_line_cell nqi_line_cell_between(const nqi_line *line, const nqi_line_sums *begin,
                                    const nqi_line_sums *end)
{
    const double h = nqi_dd_value(nqi_dd_sub(end->h, begin->h));
    const double h_x = nqi_dd_value(nqi_dd_sub(end->h_x, begin->h_x));
    return (nqi_line_cell){.h = h, .mean = h > 0 ? line->centre + h_x / h : line->centre};
}
