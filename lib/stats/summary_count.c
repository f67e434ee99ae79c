/*
 * Counting weights by the upper bits of their keys: see summary.h. Each chunk of weights has a
 * table with an entry for every prefix, or for every bin of the prefixes that are to be split.
 * Tables are large and mostly untouched, so pages of them are cleared only when a weight comes
 * near: what a table costs is what its weights need.
 */
#include <assert.h>
#include <string.h>

#include "base/checked.h"
#include "base/diag.h"
#include "stats/count_kernels.h"
#include "stats/summary.h"

#define PREFIX_KEYS (UINT32_C(1) << NQI_PREFIX_SHIFT)

/* Weights of a chunk: a part of all, within bounds that keep merging cheap. Sums of importance
 * are rounded, so that they depend on the chunks; counts do not, and chunks of weights without
 * importance may be of any size that leaves packed sums whole. */
#define CHUNK_MIN  (UINT64_C(1) << 20)
#define CHUNK_MAX  (UINT64_C(1) << 23)
#define PACKED_MAX ((UINT64_C(1) << 24) - NQI_CHUNK_ELEMS)
static_assert(PACKED_MAX + PACKED_MAX / 256 < UINT64_C(1) << 24, "packed sums do not overflow");
static_assert(PACKED_MAX << NQI_PREFIX_SHIFT <= NQI_PACKED_COUNT / 8, "nor what is left of keys");

/* Entries that are cleared together: those of one sign and exponent. Below the middle they are of
 * negative weights, from it on of positive ones and zero. */
#define PAGE_ENTRIES 2048u
#define MIDDLE_PAGE  256u
#define EXPONENT     (UINT32_C(1) << 23) /* bits of a float, or keys */
static_assert(PAGE_ENTRIES << NQI_PREFIX_SHIFT == EXPONENT, "a page is an exponent");
static_assert(NQI_KEY_ZERO / EXPONENT == MIDDLE_PAGE, "so many are below zero");

/* The first that is live, near that of most weights: of 2^-6. */
#define FIRST_EXPONENT 121u

typedef struct table {
    void *entries; /* uint64_t, or nqi_tally with importance; those that are not live are not set */
    nqi_live live; /* entries of these magnitudes hold numbers, here all zero */
} table;

/* Where the bins of a prefix that is split begin in a table, and how wide they are. */
#define NO_ENTRY    UINT32_MAX
#define MAX_ENTRIES (UINT32_C(1) << 28)

typedef struct job {
    const nqi_env *env;
    const nqi_weights *weights;
    nqi_count_kernels kernels;
    bool is_weighted;
    const nqi_split *splits;
    size_t n_splits;
    uint32_t *map;      /* by prefix that is split: entry | shift * 2^28; NULL: nothing is split */
    uint32_t *is_split; /* a bit for each prefix, which fits a cache that the map does not */
    uint32_t n_entries;
    uint32_t n_tables;
    table tables[NQI_MAX_IN_FLIGHT];
} job;

static size_t entry_bytes(const job *j)
{
    return j->is_weighted ? sizeof(nqi_tally) : sizeof(uint64_t);
}

/* Whole pages. */
static uint32_t allocated_entries(const job *j)
{
    return (j->n_entries + PAGE_ENTRIES - 1) / PAGE_ENTRIES * PAGE_ENTRIES;
}

/* ---- Pages --------------------------------------------------------------------------------- */

static void clear_pages(void *entries, size_t size, uint32_t begin, uint32_t end)
{
    const size_t page = PAGE_ENTRIES * size;
    memset((uint8_t *)entries + begin * page, 0, (end - begin) * page);
}

/* Those of exponents on both sides of zero, which has been cleared before. */
static void clear_exponents(void *entries, size_t size, uint32_t begin, uint32_t end)
{
    clear_pages(entries, size, MIDDLE_PAGE - end, MIDDLE_PAGE - begin);
    clear_pages(entries, size, MIDDLE_PAGE + NQI_MAX(begin, 1), MIDDLE_PAGE + NQI_MAX(end, 1));
}

/* Makes n weights live, and what is between them and those that are; false if they are not all
 * finite. */
static bool make_live(table *t, size_t size, const uint8_t *w, size_t n)
{
    uint32_t low = UINT32_MAX, high = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t magnitude = nqi_f32_bits(nqi_load_f32(w + 4 * i)) & INT32_MAX;
        low = NQI_MIN(low, magnitude != 0 ? magnitude : low);
        high = NQI_MAX(high, magnitude);
    }
    if (high / EXPONENT >= 255)
        return false;
    const uint32_t first = low / EXPONENT, end = high / EXPONENT + 1;
    const uint32_t live = t->live.begin / EXPONENT, live_end = t->live.end / EXPONENT;
    if (first < live)
        clear_exponents(t->entries, size, first, live);
    if (end > live_end)
        clear_exponents(t->entries, size, live_end, end);
    t->live = (nqi_live){NQI_MIN(first, live) * EXPONENT, NQI_MAX(end, live_end) * EXPONENT};
    return true;
}

/* ---- Counting ------------------------------------------------------------------------------ */

/* Entry of a key whose prefix is split. */
NQI_INLINE uint32_t find_entry(uint32_t mapped, uint32_t key)
{
    return mapped % MAX_ENTRIES + (key % PREFIX_KEYS >> (mapped >> 28));
}

/* The places of the keys whose prefixes are split, without a branch. */
static size_t find_split(uint32_t *places, const job *j, const uint32_t *keys, size_t n)
{
    size_t n_found = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t prefix = keys[i] >> NQI_PREFIX_SHIFT;
        places[n_found] = (uint32_t)i;
        n_found += j->is_split[prefix / 32] >> prefix % 32 & 1;
    }
    return n_found;
}

static void count_split(uint64_t *entries, const uint32_t *map, const uint32_t *keys,
                        const uint32_t *places, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t key = keys[places[i]];
        entries[find_entry(map[key >> NQI_PREFIX_SHIFT], key)] += NQI_PACKED_COUNT + key;
    }
}

static void tally_split(nqi_tally *entries, const uint32_t *map, const uint32_t *keys,
                        const uint32_t *places, const double *h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t key = keys[places[i]];
        const uint32_t mapped = map[key >> NQI_PREFIX_SHIFT];
        const double low = (double)(key % (UINT32_C(1) << (mapped >> 28)));
        nqi_tally *t = &entries[find_entry(mapped, key)];
        t->count += 1;
        t->low += low;
        t->h += h[i];
        t->h_low += h[i] * low;
    }
}

/* Shaped importance of n elements at places from `first` on; mostly there are few. */
static void load_at_places(double *h, const nqi_weights *s, uint64_t first, const uint32_t *places,
                           size_t n)
{
    double all[NQI_SLICE_ELEMS];
    if (n > NQI_SLICE_ELEMS / 16) {
        nqi_weights_load_raw_importance(all, s, first, (size_t)places[n - 1] + 1);
        for (size_t i = 0; i < n; i++)
            h[i] = all[places[i]];
    } else {
        for (size_t i = 0; i < n; i++)
            nqi_weights_load_raw_importance(h + i, s, first + places[i], 1);
    }
    nqi_shaping_apply(h, &s->shaping, n);
}

/* Weights have been looked at before, when all were counted. */
static void count_split_chunk(const job *j, table *t, uint64_t begin, size_t n_elems)
{
    float buffer[NQI_SLICE_ELEMS];
    uint32_t keys[NQI_SLICE_ELEMS], places[NQI_SLICE_ELEMS];
    double h[NQI_SLICE_ELEMS];
    for (size_t at = 0; at < n_elems; at += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(n_elems - at, NQI_SLICE_ELEMS);
        j->kernels.keys(keys, nqi_weights_f32(buffer, j->weights, begin + at, n), n);
        const size_t n_split = find_split(places, j, keys, n);
        if (!j->is_weighted) {
            count_split(t->entries, j->map, keys, places, n_split);
            continue;
        }
        load_at_places(h, j->weights, begin + at, places, n_split);
        tally_split(t->entries, j->map, keys, places, h, n_split);
    }
}

/* Weights of a slice with their shaped importance. */
typedef struct slice {
    const uint8_t *w; /* floats at any alignment */
    const uint8_t *h; /* likewise; NULL: it is in h_loaded, if there is any */
    float w_loaded[NQI_SLICE_ELEMS];
    double h_loaded[NQI_SLICE_ELEMS];
    bool is_good; /* importance that was loaded */
} slice;

static void load_slice(slice *s, const job *j, uint64_t first, size_t n)
{
    const nqi_weights *w = j->weights;
    s->w = nqi_weights_f32(s->w_loaded, w, first, n);
    s->h = j->is_weighted ? nqi_weights_importance_f32(w, first, n) : NULL;
    if (!j->is_weighted || s->h)
        return;
    nqi_weights_load_raw_importance(s->h_loaded, w, first, n);
    s->is_good = nqi_weights_find_bad(NULL, s->h_loaded, n) == n;
    nqi_shaping_apply(s->h_loaded, &w->shaping, n);
}

/* Whether it is certain that importance is good; of that in the tensor cheap once it is in the
 * cache. */
static bool has_good_importance(const slice *s, size_t n)
{
    return s->h ? nqi_weights_is_good_importance_f32(s->h, n) : s->is_good;
}

/* From element `at` of n on; the number of elements before the first that is not live. */
static size_t count_live(const job *j, table *t, const slice *s, size_t at, size_t n)
{
    const uint8_t *w = s->w + at * sizeof(float);
    if (!j->is_weighted)
        return j->kernels.count(t->entries, &t->live, w, n - at);
    if (s->h)
        return j->kernels.tally_f32(t->entries, &t->live, w, s->h + at * sizeof(float), n - at);
    return j->kernels.tally(t->entries, &t->live, w, s->h_loaded + at, n - at);
}

/* False if a weight is not finite. */
static bool count_slice(const job *j, table *t, const slice *s, size_t n)
{
    for (size_t at = 0;;) {
        at += count_live(j, t, s, at, n);
        if (NQI_LIKELY(at == n))
            return true;
        if (!make_live(t, entry_bytes(j), s->w + at * sizeof(float), n - at))
            return false;
    }
}

/* The first of n elements that is bad, or n. */
static size_t find_bad(const nqi_weights *s, uint64_t first, size_t n)
{
    float w[NQI_SLICE_ELEMS];
    double h[NQI_SLICE_ELEMS];
    nqi_weights_load(w, s, first, n);
    nqi_weights_load_raw_importance(h, s, first, n);
    return nqi_weights_find_bad(w, h, n);
}

/* The number of good weights before the first bad one. */
static size_t count_chunk(const job *j, table *t, uint64_t begin, size_t n_elems)
{
    slice s;
    s.is_good = true;
    for (size_t at = 0; at < n_elems; at += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(n_elems - at, NQI_SLICE_ELEMS);
        load_slice(&s, j, begin + at, n);
        if (NQI_UNLIKELY(!count_slice(j, t, &s, n) || !has_good_importance(&s, n))) {
            const size_t n_good = find_bad(j->weights, begin + at, n);
            if (n_good < n)
                return at + n_good;
        }
    }
    return n_elems;
}

/* ---- Taking bins --------------------------------------------------------------------------- */

/* The bin from `key` on, which is not empty. What is left of the keys is a small part of
 * NQI_PACKED_COUNT, so that rounding does not matter. */
static nqi_bin unpack(uint64_t entry, uint32_t key)
{
    const uint64_t each = NQI_PACKED_COUNT + key;
    nqi_bin bin = {.key = key, .count = (uint64_t)((double)entry / (double)each + 0.25)};
    bin.low = entry - bin.count * each;
    bin.h = (double)bin.count;
    bin.h_low = (double)bin.low;
    return bin;
}

/* Turns an entry into the bin from `key` on, without its width, and clears it; false if it is
 * empty. */
static bool take_entry(nqi_bin *bin, const job *j, table *t, uint32_t entry, uint32_t key)
{
    if (j->is_weighted) {
        nqi_tally *e = (nqi_tally *)t->entries + entry;
        if (e->count == 0)
            return false;
        *bin = (nqi_bin){.key = key,
                         .count = (uint64_t)e->count,
                         .low = (uint64_t)e->low,
                         .h = e->h,
                         .h_low = e->h_low};
        *e = (nqi_tally){0, 0, 0, 0};
        return true;
    }
    uint64_t *e = (uint64_t *)t->entries + entry;
    if (*e == 0)
        return false;
    *bin = unpack(*e, key);
    *e = 0;
    return true;
}

static size_t count_used(const job *j, const table *t, uint32_t begin, uint32_t end)
{
    size_t n = 0;
    for (uint32_t i = begin; i < end; i++)
        n += j->is_weighted ? ((const nqi_tally *)t->entries)[i].count != 0
                            : ((const uint64_t *)t->entries)[i] != 0;
    return n;
}

/* A bin of a whole prefix whose weights are all its first value, or all its last one, becomes that
 * value. Of 16 bits all are: the first above zero, the last below. */
static nqi_bin prefix_bin(nqi_bin bin)
{
    bin.shift = bin.low == 0 ? 0 : NQI_PREFIX_SHIFT;
    if (bin.low != bin.count * (PREFIX_KEYS - 1))
        return bin;
    return (nqi_bin){.key = bin.key + PREFIX_KEYS - 1, .count = bin.count, .h = bin.h};
}

/* Entries one behind the other. */
typedef struct span {
    uint32_t begin;
    uint32_t end;
} span;

/* Those that are live, by rising key: n of up to three. */
static size_t live_spans(span spans[3], const table *t)
{
    const uint32_t begin = t->live.begin / EXPONENT, end = t->live.end / EXPONENT;
    size_t n = 0;
    spans[n++] = (span){(MIDDLE_PAGE - end) * PAGE_ENTRIES, (MIDDLE_PAGE - begin) * PAGE_ENTRIES};
    if (begin > 0)
        spans[n++] = (span){MIDDLE_PAGE * PAGE_ENTRIES, MIDDLE_PAGE * PAGE_ENTRIES + 1};
    spans[n++] = (span){(MIDDLE_PAGE + begin) * PAGE_ENTRIES, (MIDDLE_PAGE + end) * PAGE_ENTRIES};
    return n;
}

static nq_status take_prefixes(nqi_summary *s, const job *j, table *t)
{
    nqi_bin bin;
    span spans[3];
    size_t n = 0;
    const size_t n_spans = live_spans(spans, t);
    for (size_t i = 0; i < n_spans; i++)
        n += count_used(j, t, spans[i].begin, spans[i].end);
    NQI_TRY(nqi_summary_reserve(s, n + n / 8)); /* the next chunk's are hardly more */
    for (size_t i = 0; i < n_spans; i++)
        for (uint32_t entry = spans[i].begin; entry < spans[i].end; entry++)
            if (take_entry(&bin, j, t, entry, entry << NQI_PREFIX_SHIFT))
                s->bins[s->n_bins++] = prefix_bin(bin);
    return NQ_OK;
}

/* Bins of the prefixes that are split. */
static nq_status take_splits(nqi_summary *s, const job *j, table *t)
{
    nqi_bin bin;
    uint32_t entry = 0;
    NQI_TRY(nqi_summary_reserve(s, count_used(j, t, 0, j->n_entries)));
    for (size_t i = 0; i < j->n_splits; i++) {
        const nqi_split *split = &j->splits[i];
        for (uint32_t rest = 0; rest < PREFIX_KEYS; rest += 1u << split->shift, entry++) {
            if (!take_entry(&bin, j, t, entry, (split->prefix << NQI_PREFIX_SHIFT) + rest))
                continue;
            bin.shift = split->shift;
            s->bins[s->n_bins++] = bin;
        }
    }
    return NQ_OK;
}

static void work(void *arg, nqi_chunk_summary *out, uint32_t place, uint64_t begin, size_t n)
{
    const job *j = arg;
    table *t = &((job *)arg)->tables[place];
    out->bins.n = n;
    out->bins.is_weighted = j->is_weighted;
    if (j->map) {
        count_split_chunk(j, t, begin, n);
        out->status = take_splits(&out->bins, j, t);
        return;
    }
    const size_t n_good = count_chunk(j, t, begin, n);
    if (n_good < n)
        out->bad = begin + n_good;
    else
        out->status = take_prefixes(&out->bins, j, t);
}

/* ---- Tables -------------------------------------------------------------------------------- */

static void free_tables(job *j)
{
    const nqi_allocator *a = &j->env->allocator;
    for (uint32_t i = 0; i < j->n_tables; i++)
        nqi_free(a, j->tables[i].entries, allocated_entries(j), entry_bytes(j));
    nqi_free(a, j->map, NQI_N_PREFIXES, sizeof *j->map);
    nqi_free(a, j->is_split, NQI_N_PREFIXES / 32, sizeof *j->is_split);
}

static nq_status make_map(job *j)
{
    void *map, *is_split;
    const nqi_allocator *a = &j->env->allocator;
    NQI_TRY(nqi_alloc(&map, a, NQI_N_PREFIXES, sizeof *j->map));
    j->map = map; /* most of which is never looked at */
    NQI_TRY(nqi_alloc_zero(&is_split, a, NQI_N_PREFIXES / 32, sizeof *j->is_split));
    j->is_split = is_split;
    j->n_entries = 0;
    for (size_t i = 0; i < j->n_splits; i++) {
        if (j->n_entries > MAX_ENTRIES - PREFIX_KEYS)
            return NQ_E_LIMIT;
        const uint32_t prefix = j->splits[i].prefix;
        j->is_split[prefix / 32] |= 1u << prefix % 32;
        j->map[prefix] = j->n_entries | j->splits[i].shift << 28;
        j->n_entries += PREFIX_KEYS >> j->splits[i].shift;
    }
    return NQ_OK;
}

/* One of prefixes. */
static void begin_table(table *t, size_t size)
{
    clear_pages(t->entries, size, MIDDLE_PAGE, MIDDLE_PAGE + 1);
    clear_exponents(t->entries, size, FIRST_EXPONENT, FIRST_EXPONENT + 1);
    t->live = (nqi_live){FIRST_EXPONENT * EXPONENT, (FIRST_EXPONENT + 1) * EXPONENT};
}

static nq_status make_tables(job *j, uint64_t n_chunks)
{
    const uint64_t most = NQI_MIN(j->env->runner.max_workers, NQI_MAX_IN_FLIGHT);
    for (uint64_t i = 0; i < NQI_MIN(n_chunks, most); i++) {
        void *memory;
        NQI_TRY(nqi_alloc(&memory, &j->env->allocator, allocated_entries(j), entry_bytes(j)));
        j->tables[j->n_tables++] = (table){.entries = memory};
        if (j->map)
            clear_pages(memory, entry_bytes(j), 0, allocated_entries(j) / PAGE_ENTRIES);
        else
            begin_table(&j->tables[i], entry_bytes(j));
    }
    return NQ_OK;
}

static uint64_t chunk_elems(const job *j, uint64_t n)
{
    const uint32_t workers = j->env->runner.max_workers;
    const bool is_free = !j->is_weighted && workers <= 1;
    const uint64_t part = is_free ? n / 4 : n / 8;
    const uint64_t whole = nqi_div_up_u64(part, NQI_CHUNK_ELEMS) * NQI_CHUNK_ELEMS;
    return NQI_MAX(CHUNK_MIN, NQI_MIN(whole, is_free ? PACKED_MAX : CHUNK_MAX));
}

nq_status nqi_summary_count(nqi_summary *s, const nqi_env *env, const nqi_weights *w,
                            const nqi_split *splits, size_t n_splits, nq_diag *diag)
{
    const uint64_t n = nqi_weights_count(w);
    job j = {.env = env,
             .weights = w,
             .kernels = nqi_count_kernels_get(env->cpu),
             .is_weighted = nqi_weights_has_importance(w),
             .splits = splits,
             .n_splits = n_splits,
             .n_entries = NQI_N_PREFIXES};
    nqi_chunk_pass pass = {.env = env,
                           .weights = w,
                           .chunk_elems = chunk_elems(&j, n),
                           .max_bins = SIZE_MAX,
                           .work = work,
                           .arg = &j};
    nq_status status = n_splits > 0 ? make_map(&j) : NQ_OK;
    if (status == NQ_OK)
        status = make_tables(&j, nqi_div_up_u64(n, pass.chunk_elems));
    pass.n_in_flight = j.n_tables;
    if (status == NQ_OK)
        status = nqi_chunk_pass_run(s, &pass, diag);
    if (status != NQ_OK)
        nqi_summary_free(s);
    free_tables(&j);
    return status;
}
