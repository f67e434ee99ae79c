/*
 * Lines of bins and of the weights of some bins, side by side: see line.h. The weights are picked
 * from all in their order and sorted; they are few, or a line of all would do as well.
 */
#include <string.h>

#include "base/checked.h"
#include "stats/count_kernels.h"
#include "stats/line.h"
#include "stats/sort.h"

/* Weights of the prefixes that are split. */
typedef struct picked {
    uint32_t *is_split; /* a bit for each prefix */
    nqi_sorting sorting;
    void *memory; /* both arrays of keys and of importance */
    size_t capacity;
} picked;

/* Whether a bin is a point of the summary's line. */
static bool is_point(const nqi_bin *b, bool is_plain)
{
    return is_plain || b->h > 0;
}

static bool has_no_importance(const nqi_summary *s)
{
    return s->n > 0 && !(nqi_summary_importance(s) > 0);
}

void nqi_line_above(double *above, const nqi_summary *s)
{
    size_t n = 0;
    const bool is_plain = has_no_importance(s);
    for (size_t i = 0; i < s->n_bins; i++) {
        const nqi_bin *b = &s->bins[i];
        if (!is_point(b, is_plain))
            continue;
        const double top = (double)nqi_key_weight(b->key + (UINT32_C(1) << b->shift) - 1);
        const bool is_single = b->shift == 0 || b->count == 1;
        above[n] = is_single ? 0 : n == 0 ? nqi_bin_width(b) : top - nqi_bin_mean(b);
        n++;
    }
}

/* ---- Picking ------------------------------------------------------------------------------- */

static bool has_prefix(const picked *p, uint32_t key)
{
    const uint32_t prefix = key >> NQI_PREFIX_SHIFT;
    return p->is_split[prefix / 32] >> prefix % 32 & 1;
}

/* Marks the prefixes; the number of weights there. */
static uint64_t mark(picked *p, const nqi_summary *s, const bool *is_split)
{
    uint64_t n_weights = 0;
    size_t n = 0;
    const bool is_plain = has_no_importance(s);
    for (size_t i = 0; i < s->n_bins; i++) {
        const uint32_t prefix = s->bins[i].key >> NQI_PREFIX_SHIFT;
        if (is_point(&s->bins[i], is_plain) && is_split[n++])
            p->is_split[prefix / 32] |= 1u << prefix % 32;
    }
    for (size_t i = 0; i < s->n_bins; i++)
        n_weights += has_prefix(p, s->bins[i].key) ? s->bins[i].count : 0;
    return n_weights;
}

static nq_status make_arrays(picked *p, const nqi_allocator *a, size_t n)
{
    NQI_TRY(nqi_alloc(&p->memory, a, n, 2 * (sizeof(double) + sizeof(uint32_t))));
    double *h = p->memory;
    uint32_t *keys = (uint32_t *)(void *)(h + 2 * n);
    p->capacity = n;
    p->sorting = (nqi_sorting){
        .load_bytes = sizeof *h, .keys = keys, .keys2 = keys + n, .load = h, .load2 = h + n};
    return NQ_OK;
}

/* The places of the keys whose prefixes are split, without a branch. */
static size_t find_places(uint32_t *places, const picked *p, const uint32_t *keys, size_t n)
{
    size_t n_found = 0;
    for (size_t i = 0; i < n; i++) {
        places[n_found] = (uint32_t)i;
        n_found += has_prefix(p, keys[i]);
    }
    return n_found;
}

/* Weights without importance have no say, unless all are. */
static void pick_slice(picked *p, const nqi_count_kernels *kernels, const nqi_weights *part,
                       uint64_t first, size_t n, bool is_plain)
{
    float w[NQI_SLICE_ELEMS];
    uint32_t keys[NQI_SLICE_ELEMS], places[NQI_SLICE_ELEMS];
    nqi_sorting *s = &p->sorting;
    double *h = s->load;
    kernels->keys(keys, nqi_weights_f32(w, part, first, n), n);
    const size_t n_found = find_places(places, p, keys, n);
    for (size_t i = 0; i < n_found; i++) {
        double importance = 1;
        if (!is_plain && nqi_weights_has_importance(part))
            nqi_weights_load_importance(&importance, part, first + places[i], 1);
        if (!(importance > 0))
            continue;
        s->keys[s->n] = keys[places[i]];
        h[s->n++] = importance;
    }
}

static void pick(picked *p, const nqi_env *env, const nqi_weights *parts, size_t n_parts,
                 bool is_plain)
{
    const nqi_count_kernels kernels = nqi_count_kernels_get(env->cpu);
    for (size_t i = 0; i < n_parts; i++) {
        const uint64_t count = nqi_weights_count(&parts[i]);
        for (uint64_t at = 0; at < count; at += NQI_SLICE_ELEMS)
            pick_slice(p, &kernels, &parts[i], at, (size_t)NQI_MIN(count - at, NQI_SLICE_ELEMS),
                       is_plain);
    }
}

/* ---- Putting together ---------------------------------------------------------------------- */

static void add_point(nqi_line *line, double x, double h)
{
    line->total_h += h;
    if (line->n > 0 && line->x[line->n - 1] >= x) { /* never above */
        line->h[line->n - 1] += h;
        return;
    }
    line->x[line->n] = x;
    line->h[line->n++] = h;
}

static void put_together(nqi_line *line, const nqi_summary *s, const picked *p, bool is_plain)
{
    size_t at = 0;
    const nqi_sorting *sorted = &p->sorting;
    const double *h = sorted->load;
    for (size_t i = 0; i < s->n_bins; i++) {
        const nqi_bin *b = &s->bins[i];
        const uint32_t end = b->key + (UINT32_C(1) << b->shift) - 1;
        if (!has_prefix(p, b->key) && is_point(b, is_plain))
            add_point(line, nqi_bin_mean(b), is_plain ? (double)b->count : b->h);
        for (; at < sorted->n && sorted->keys[at] <= end; at++)
            add_point(line, (double)nqi_key_weight(sorted->keys[at]), h[at]);
    }
}

static nq_status make_line(nqi_line *line, const nqi_summary *s, const picked *p)
{
    void *x, *h;
    const size_t n = s->n_bins + p->sorting.n;
    NQI_TRY(nqi_alloc(&x, &line->allocator, n, sizeof *line->x));
    line->x = x;
    line->capacity = n;
    NQI_TRY(nqi_alloc(&h, &line->allocator, n, sizeof *line->h));
    line->h = h;
    put_together(line, s, p, line->is_plain);
    nqi_line_normalise(line);
    return NQ_OK;
}

static nq_status split(nqi_line *line, picked *p, const nqi_env *env, const nqi_summary *s,
                       const nqi_weights *parts, size_t n_parts, size_t n_weights)
{
    NQI_TRY(make_arrays(p, &env->allocator, n_weights));
    pick(p, env, parts, n_parts, line->is_plain);
    NQI_TRY(nqi_sort_by_key(&p->sorting, env));
    return make_line(line, s, p);
}

nq_status nqi_line_split(nqi_line *out, uint64_t *n_weights, const nqi_env *env,
                         const nqi_summary *s, const bool *is_split, const nqi_weights *parts,
                         size_t n_parts, uint64_t max_weights)
{
    void *bits;
    const nqi_allocator *a = &env->allocator;
    *out = (nqi_line){.allocator = *a, .is_plain = has_no_importance(s)};
    NQI_TRY(nqi_alloc_zero(&bits, a, NQI_N_PREFIXES / 32, sizeof(uint32_t)));
    picked p = {.is_split = bits};
    *n_weights = mark(&p, s, is_split);
    nq_status status = NQ_OK;
    if (*n_weights <= max_weights && *n_weights <= SIZE_MAX / 2)
        status = split(out, &p, env, s, parts, n_parts, (size_t)*n_weights);
    nqi_free(a, p.memory, p.capacity, 2 * (sizeof(double) + sizeof(uint32_t)));
    nqi_free(a, bits, NQI_N_PREFIXES / 32, sizeof(uint32_t));
    if (status != NQ_OK)
        nqi_line_free(out);
    return status;
}
