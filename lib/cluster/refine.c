/*
 * Splitting bins around borders: see refine.h.
 */
#include "cluster/refine.h"

#include <string.h>

/* Bins on either side of a border that are split with it. Where borders may move, they hardly ever
 * do by more than two: with real and with normally distributed weights, and up to 256 levels, the
 * distortion comes within a millionth of the optimum over all weights, most often to the last
 * digit. */
#define REACH 3u

/* New bins, in all and for each cell at most: what they cost is a table for each chunk. */
#define MAX_BINS        (UINT32_C(1) << 17)
#define MAX_BINS_A_CELL 32u

/* Marks the points next to borders. */
static void mark_points(uint8_t *is_near, size_t n_points, const nqi_cells *cells)
{
    memset(is_near, cells ? 0 : 1, n_points);
    for (size_t j = 1; cells && j < cells->k; j++) {
        const size_t at = cells->borders[j];
        const size_t begin = at > REACH ? at - REACH : 0, end = NQI_MIN(at + REACH, n_points);
        memset(is_near + begin, 1, end - begin);
    }
}

/* Prefixes of marked bins that are no single values, each once. */
static size_t list_splits(nqi_split *splits, const nqi_summary *s, const uint8_t *is_near,
                          bool is_plain)
{
    size_t n = 0, point = 0;
    for (size_t i = 0; i < s->n_bins; i++) {
        const nqi_bin *b = &s->bins[i];
        if (!is_plain && !(b->h > 0)) /* no point of the line, which has the order of the bins */
            continue;
        const bool is_marked = is_near[point++] != 0 && b->shift > 0;
        const uint32_t prefix = b->key >> NQI_PREFIX_SHIFT;
        if (is_marked && (n == 0 || splits[n - 1].prefix != prefix))
            splits[n++] = (nqi_split){.prefix = prefix, .shift = b->shift};
    }
    return n;
}

/* Gives all the same width, the narrowest that leaves no more than max_bins; keeps those that
 * become narrower by that. */
static size_t choose_width(nqi_split *splits, size_t n, uint64_t max_bins)
{
    uint32_t shift = NQI_PREFIX_SHIFT - 1;
    while (shift > 0 && (uint64_t)n << (NQI_PREFIX_SHIFT - (shift - 1)) <= max_bins)
        shift--;
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++)
        if (splits[i].shift > shift)
            splits[n_kept++] = (nqi_split){.prefix = splits[i].prefix, .shift = shift};
    return n_kept;
}

nq_status nqi_refine(nqi_summary *s, size_t *n_split, const nqi_env *env, const nqi_weights *parts,
                     size_t n_parts, const nqi_cells *cells)
{
    void *is_near, *splits = NULL;
    const nqi_allocator *a = &env->allocator;
    const bool is_plain = !(nqi_summary_importance(s) > 0);
    *n_split = 0;
    NQI_TRY(nqi_alloc(&is_near, a, s->n_bins, 1));
    nq_status status = nqi_alloc(&splits, a, s->n_bins, sizeof(nqi_split));
    if (status == NQ_OK) {
        const uint64_t k = cells ? cells->k : 0;
        mark_points(is_near, s->n_bins, cells);
        *n_split = list_splits(splits, s, is_near, is_plain);
        *n_split = choose_width(splits, *n_split, NQI_MAX(MAX_BINS, k * MAX_BINS_A_CELL));
        status = nqi_summary_split(s, env, parts, n_parts, splits, *n_split);
    }
    nqi_free(a, splits, s->n_bins, sizeof(nqi_split));
    nqi_free(a, is_near, s->n_bins, 1);
    return status;
}
