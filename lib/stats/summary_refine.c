/*
 * Splitting bins around given values: see summary.h.
 */
#include <string.h>

#include "stats/summary.h"

/* Bins on either side of a value that are split with it. Where the ends of optimal cells may move
 * once bins are split, they hardly ever do so by more than two bins: with real and with normally
 * distributed weights and up to 256 cells, the distortion comes within a millionth of the optimum
 * over all weights, most often to the last digit. */
#define REACH 3u

/* New bins, in all or for each value at most: what they cost is a table for each chunk. */
#define MAX_BINS         (UINT32_C(1) << 17)
#define MAX_BINS_A_VALUE 32u

/* Marks the bins next to values, which rise; all of them without values. */
static void mark_bins(uint8_t *is_near, const nqi_summary *s, const double *values, size_t n)
{
    size_t at = 0;
    memset(is_near, values ? 0 : 1, s->n_bins);
    for (size_t i = 0; values && i < n; i++) {
        while (at < s->n_bins && nqi_bin_mean(&s->bins[at]) < values[i])
            at++;
        const size_t begin = at > REACH ? at - REACH : 0, end = NQI_MIN(at + REACH, s->n_bins);
        memset(is_near + begin, 1, end - begin);
    }
}

/* Prefixes of marked bins that are no single values, each once. */
static size_t list_splits(nqi_split *splits, const nqi_summary *s, const uint8_t *is_near)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_bins; i++) {
        const nqi_bin *b = &s->bins[i];
        const uint32_t prefix = b->key >> NQI_PREFIX_SHIFT;
        if (is_near[i] && b->shift > 0 && (n == 0 || splits[n - 1].prefix != prefix))
            splits[n++] = (nqi_split){.prefix = prefix, .shift = b->shift};
    }
    return n;
}

/* Gives all the same width, the narrowest that makes no more than max_bins; keeps those that become
 * narrower by that. */
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

nq_status nqi_summary_refine(nqi_summary *s, size_t *n_split, const nqi_env *env,
                             const nqi_weights *parts, size_t n_parts, const double *values,
                             size_t n_values)
{
    void *is_near, *splits;
    const nqi_allocator *a = &env->allocator;
    *n_split = 0;
    NQI_TRY(nqi_alloc(&is_near, a, s->n_bins, 1));
    nq_status status = nqi_alloc(&splits, a, s->n_bins, sizeof(nqi_split));
    if (status == NQ_OK) {
        mark_bins(is_near, s, values, n_values);
        *n_split = list_splits(splits, s, is_near);
        *n_split = choose_width(splits, *n_split, NQI_MAX(MAX_BINS, n_values * MAX_BINS_A_VALUE));
        status = nqi_summary_split(s, env, parts, n_parts, splits, *n_split);
    }
    nqi_free(a, splits, s->n_bins, sizeof(nqi_split));
    nqi_free(a, is_near, s->n_bins, 1);
    return status;
}
