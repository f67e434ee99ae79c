/*
 * Making and merging summaries: see summary.h.
 */
#include "stats/summary.h"

#include <string.h>

#include "base/diag.h"

#define PREFIX_KEYS (UINT32_C(1) << NQI_PREFIX_SHIFT)

/* More bins between prefixes, neither at the first nor at the last value of one, than this, over
 * all tensors: the summary becomes coarse. A sum over tensors, and so reached or not reached in any
 * order of merging. */
#define MAX_BETWEEN (UINT64_C(1) << 19)

/* A bin with more than this part of all weights, and not a single value, is split. */
#define HEAVY_PART       512u
#define WANTED_PART_LOG2 15u

/* ---- Memory -------------------------------------------------------------------------------- */

void nqi_summary_free(nqi_summary *s)
{
    nqi_free(&s->allocator, s->bins, s->capacity, sizeof *s->bins);
    *s = nqi_summary_empty(&s->allocator);
}

nq_status nqi_summary_reserve(nqi_summary *s, size_t n_bins)
{
    void *memory;
    if (n_bins <= s->capacity)
        return NQ_OK;
    NQI_TRY(nqi_alloc(&memory, &s->allocator, n_bins, sizeof *s->bins));
    if (s->n_bins > 0)
        memcpy(memory, s->bins, s->n_bins * sizeof *s->bins);
    nqi_free(&s->allocator, s->bins, s->capacity, sizeof *s->bins);
    s->bins = memory;
    s->capacity = n_bins;
    return NQ_OK;
}

nq_status nqi_summary_copy(nqi_summary *out, const nqi_summary *s)
{
    *out = nqi_summary_empty(&s->allocator);
    NQI_TRY(nqi_summary_reserve(out, s->n_bins));
    nqi_bin *bins = out->bins;
    const size_t capacity = out->capacity;
    *out = *s;
    out->bins = bins;
    out->capacity = capacity;
    if (s->n_bins > 0)
        memcpy(bins, s->bins, s->n_bins * sizeof *bins);
    return NQ_OK;
}

/* ---- Properties ---------------------------------------------------------------------------- */

bool nqi_summary_is_exact(const nqi_summary *s)
{
    for (size_t i = 0; i < s->n_bins; i++)
        if (s->bins[i].shift != 0)
            return false;
    return true;
}

double nqi_summary_importance(const nqi_summary *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->n_bins; i++)
        sum += s->bins[i].h;
    return sum;
}

/* ---- Merging ------------------------------------------------------------------------------- */

/* Bins of one prefix. */
typedef struct group {
    const nqi_bin *bins;
    size_t n;
} group;

static group next_group(const nqi_summary *s, size_t at)
{
    size_t n = 0;
    const uint32_t prefix = s->bins[at].key >> NQI_PREFIX_SHIFT;
    while (at + n < s->n_bins && s->bins[at + n].key >> NQI_PREFIX_SHIFT == prefix)
        n++;
    return (group){s->bins + at, n};
}

/* Adds b to the bin that begins at or before it. */
static void add_bin(nqi_bin *into, const nqi_bin *b)
{
    const uint32_t offset = b->key - into->key;
    into->count += b->count;
    into->low += b->low + b->count * offset;
    into->h += b->h;
    into->h_low += b->h_low + b->h * offset;
}

/* The width that bins of both groups have in common: the wider one's. A coarse summary has one bin
 * for each prefix, and that is a single value only if all weights agree on it. */
static uint32_t common_shift(const group *a, const group *b, bool is_coarse)
{
    const uint32_t in_a = a->n ? a->bins[0].shift : 0;
    const uint32_t in_b = b->n ? b->bins[0].shift : 0;
    const bool one_value = in_a == 0 && in_b == 0 && a->n <= 1 && b->n <= 1 &&
                           (a->n + b->n < 2 || a->bins[0].key == b->bins[0].key);
    if (is_coarse && !one_value)
        return NQI_PREFIX_SHIFT;
    return NQI_MAX(in_a, in_b);
}

/* Appends b to `out`, adding it to the last bin if it falls into that one, made 2^shift wide. */
static void append(nqi_summary *out, const nqi_bin *b, uint32_t shift, bool begins_group)
{
    const uint32_t key = b->key >> shift << shift;
    if (begins_group || out->bins[out->n_bins - 1].key != key)
        out->bins[out->n_bins++] = (nqi_bin){.key = key, .shift = shift};
    add_bin(&out->bins[out->n_bins - 1], b);
}

/* In the order of the keys; at equal ones a's come first. */
static void merge_groups(nqi_summary *out, const group *a, const group *b)
{
    const uint32_t shift = common_shift(a, b, out->is_coarse);
    for (size_t i = 0, j = 0; i < a->n || j < b->n;) {
        const bool begins = i == 0 && j == 0;
        if (j == b->n || (i < a->n && a->bins[i].key >> shift <= b->bins[j].key >> shift))
            append(out, &a->bins[i++], shift, begins);
        else
            append(out, &b->bins[j++], shift, begins);
    }
}

/* Whether the bin at `at` is the only one of its prefix, because it is as wide. */
static bool is_whole_prefix(const nqi_summary *s, size_t at)
{
    return at < s->n_bins && s->bins[at].shift == NQI_PREFIX_SHIFT;
}

/* The prefix at `at`, or one past the last prefix at the end. */
static uint32_t prefix_at(const nqi_summary *s, size_t at)
{
    return at < s->n_bins ? s->bins[at].key >> NQI_PREFIX_SHIFT : NQI_N_PREFIXES;
}

/* Merges into `out`, which has room and its flags set. */
static void merge_bins(nqi_summary *out, const nqi_summary *a, const nqi_summary *b)
{
    for (size_t i = 0, j = 0; i < a->n_bins || j < b->n_bins;) {
        const uint32_t in_a = prefix_at(a, i), in_b = prefix_at(b, j);
        if (in_a == in_b && is_whole_prefix(a, i) && is_whole_prefix(b, j)) { /* most are */
            out->bins[out->n_bins] = a->bins[i++];
            add_bin(&out->bins[out->n_bins++], &b->bins[j++]);
            continue;
        }
        group from_a = {NULL, 0}, from_b = {NULL, 0};
        if (in_a <= in_b)
            from_a = next_group(a, i);
        if (in_b <= in_a)
            from_b = next_group(b, j);
        merge_groups(out, &from_a, &from_b);
        i += from_a.n;
        j += from_b.n;
    }
}

nq_status nqi_summary_merge_reusing(nqi_summary *s, const nqi_summary *other, nqi_summary *spare)
{
    if (s->n > 0 && other->n > 0 && s->is_weighted != other->is_weighted)
        return NQ_E_ARG;
    spare->n_bins = 0;
    NQI_TRY(nqi_summary_reserve(spare, s->n_bins + other->n_bins));
    spare->n = s->n + other->n;
    spare->n_between = s->n_between + other->n_between;
    spare->is_weighted = s->n > 0 ? s->is_weighted : other->is_weighted;
    spare->is_coarse = s->is_coarse || other->is_coarse || spare->n_between > MAX_BETWEEN;
    merge_bins(spare, s, other);
    if (!(nqi_summary_importance(spare) <= NQI_IMPORTANCE_MAX))
        return NQ_E_NUMERIC;
    const nqi_summary old = *s;
    *s = *spare;
    *spare = old;
    return NQ_OK;
}

nq_status nqi_summary_merge(nqi_summary *s, const nqi_summary *other)
{
    nqi_summary spare = nqi_summary_empty(&s->allocator);
    const nq_status status = nqi_summary_merge_reusing(s, other, &spare);
    nqi_summary_free(&spare);
    return status;
}

/* ---- Splitting ----------------------------------------------------------------------------- */

/* The bins of s with those of `fine` in the places of their prefixes. */
static nq_status put_splits(nqi_summary *s, const nqi_summary *fine, const nqi_split *splits,
                            size_t n_splits)
{
    nqi_summary out = nqi_summary_empty(&s->allocator);
    NQI_TRY(nqi_summary_reserve(&out, s->n_bins + fine->n_bins));
    nqi_bin *bins = out.bins;
    const size_t capacity = out.capacity;
    size_t split = 0, from = 0;
    for (size_t i = 0, n; i < s->n_bins; i += n) {
        group use = next_group(s, i);
        n = use.n;
        const uint32_t prefix = use.bins[0].key >> NQI_PREFIX_SHIFT;
        while (split < n_splits && splits[split].prefix < prefix)
            split++;
        if (split < n_splits && splits[split].prefix == prefix) {
            use = next_group(fine, from);
            from += use.n;
        }
        memcpy(bins + out.n_bins, use.bins, use.n * sizeof *bins);
        out.n_bins += use.n;
    }
    const size_t n_bins = out.n_bins;
    nqi_free(&s->allocator, s->bins, s->capacity, sizeof *s->bins);
    s->bins = bins;
    s->capacity = capacity;
    s->n_bins = n_bins;
    return NQ_OK;
}

nq_status nqi_summary_split(nqi_summary *s, const nqi_env *env, const nqi_weights *parts,
                            size_t n_parts, const nqi_split *splits, size_t n_splits)
{
    nqi_summary fine = nqi_summary_empty(&s->allocator);
    nq_status status = NQ_OK;
    if (n_splits == 0)
        return NQ_OK;
    for (size_t i = 0; i < n_parts && status == NQ_OK; i++) {
        nqi_summary part = nqi_summary_empty(&s->allocator);
        status = nqi_summary_count(&part, env, &parts[i], splits, n_splits, NULL);
        part.n_between = 0; /* asked for; not to be taken back */
        if (status == NQ_OK)
            status = nqi_summary_merge(&fine, &part);
        nqi_summary_free(&part);
    }
    if (status == NQ_OK)
        status = put_splits(s, &fine, splits, n_splits);
    nqi_summary_free(&fine);
    return status;
}

/* The width that leaves at most the wanted part of the weights in a bin, if they spread evenly. */
static uint32_t wanted_shift(const nqi_summary *s, uint64_t count)
{
    uint32_t shift = NQI_PREFIX_SHIFT;
    const double wanted = (double)s->n / (double)(1u << WANTED_PART_LOG2);
    for (double part = (double)count; part > wanted && shift > 0; part *= 0.5)
        shift--;
    return shift;
}

/*
 * Weights that all lie near a value other than zero, as the scales of a normalisation do near one,
 * fill a few bins only. The fullest bins become narrower. Near zero bins are narrow anyway.
 */
static nq_status split_heavy(nqi_summary *s, const nqi_env *env, const nqi_weights *w)
{
    nqi_split splits[HEAVY_PART];
    size_t n = 0;
    for (size_t i = 0; i < s->n_bins; i++) {
        const nqi_bin *b = &s->bins[i];
        const uint32_t prefix = b->key >> NQI_PREFIX_SHIFT;
        if (b->shift == 0 || prefix - (NQI_KEY_ZERO >> NQI_PREFIX_SHIFT) + 1 <= 1)
            continue;
        if (b->count > s->n / HEAVY_PART && n < HEAVY_PART)
            splits[n++] = (nqi_split){.prefix = prefix, .shift = wanted_shift(s, b->count)};
    }
    return nqi_summary_split(s, env, w, 1, splits, n);
}

/* ---- Adding -------------------------------------------------------------------------------- */

static uint64_t count_between(const nqi_summary *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n_bins; i++)
        n += (s->bins[i].key + 1) % PREFIX_KEYS > 1;
    return n;
}

static nq_status summarise(nqi_summary *s, const nqi_env *env, const nqi_weights *w, nq_diag *diag)
{
    bool few = nqi_weights_count(w) <= NQI_MAX_DISTINCT, fits = false;
    if (!few && w->w.dtype == NQ_F32)
        NQI_TRY(nqi_summary_looks_few(&few, env, w));
    if (few)
        NQI_TRY(nqi_summary_list(s, &fits, env, w, diag));
    if (fits)
        return NQ_OK;
    NQI_TRY(nqi_summary_count(s, env, w, NULL, 0, diag));
    return split_heavy(s, env, w);
}

nq_status nqi_summary_add(nqi_summary *s, const nqi_env *env, const nqi_weights *w, nq_diag *diag)
{
    nqi_summary part = nqi_summary_empty(&s->allocator);
    if (nqi_weights_count(w) == 0)
        return NQ_OK;
    nqi_diag_set(diag, NQ_OK, "");
    nq_status status = summarise(&part, env, w, diag);
    part.n_between = count_between(&part);
    if (status == NQ_OK && s->n == 0 && nqi_summary_importance(&part) <= NQI_IMPORTANCE_MAX) {
        nqi_summary_free(s);
        *s = part;
        return NQ_OK;
    }
    if (status == NQ_OK)
        status = nqi_summary_merge(s, &part);
    nqi_summary_free(&part);
    if (status == NQ_E_NUMERIC && (!diag || diag->status == NQ_OK))
        return nqi_diag_set(diag, status, "the sum of importance overflows");
    if (diag && diag->status == NQ_OK && status != NQ_OK)
        nqi_diag_set(diag, status, "no summary of weights");
    return status;
}
