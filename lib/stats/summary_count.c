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

/* Weights of a chunk: an eighth of all, within bounds that keep merging cheap and the packed sums
 * whole. */
#define CHUNK_MIN (UINT64_C(1) << 20)
#define CHUNK_MAX (UINT64_C(1) << 23)

/* Without importance an entry's count and sum share one word: count * 2^40 + sum. */
#define PACKED_COUNT (UINT64_C(1) << 40)
static_assert(CHUNK_MAX << NQI_PREFIX_SHIFT <= PACKED_COUNT, "sums stay below the count");
static_assert(CHUNK_MAX < (UINT64_C(1) << 24), "counts fit above them");

/* Entries that are cleared together: those of one sign and exponent. */
#define PAGE_ENTRIES 2048u
static_assert(PAGE_ENTRIES << NQI_PREFIX_SHIFT == UINT32_C(1) << 23, "a page is an exponent");

typedef struct page_span {
    uint32_t begin;
    uint32_t end;
} page_span;

typedef struct table {
    void *entries;     /* uint64_t, or nqi_tally with importance */
    page_span live[2]; /* below zero, and from zero on: pages that hold numbers, here all zero */
    nqi_key_range range;
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

/* Makes the pages from `first` to `last` live, and those between them and the others. */
static void make_live(page_span *span, void *entries, size_t size, uint32_t first, uint32_t last)
{
    if (span->begin == span->end)
        *span = (page_span){first, first};
    if (first < span->begin) {
        clear_pages(entries, size, first, span->begin);
        span->begin = first;
    }
    if (last >= span->end) {
        clear_pages(entries, size, span->end, last + 1);
        span->end = last + 1;
    }
}

/* The pages for keys of the table's range. */
static void make_range_live(table *t, size_t size)
{
    const nqi_key_range *r = &t->range;
    if (r->max_negative >= NQI_KEY_MIN)
        make_live(&t->live[0], t->entries, size, r->min >> 23, r->max_negative >> 23);
    if (r->min_positive <= NQI_KEY_MAX)
        make_live(&t->live[1], t->entries, size, r->min_positive >> 23, r->max >> 23);
}

/* ---- Counting ------------------------------------------------------------------------------ */

static void count_plain(uint64_t *entries, const uint32_t *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        entries[keys[i] >> NQI_PREFIX_SHIFT] += PACKED_COUNT + keys[i] % PREFIX_KEYS;
}

/* Entry of a key whose prefix is split, and what is left of the key. */
NQI_INLINE uint32_t find_entry(uint32_t *low, uint32_t mapped, uint32_t key)
{
    const uint32_t shift = mapped >> 28;
    const uint32_t rest = key % PREFIX_KEYS;
    *low = rest & ((1u << shift) - 1);
    return mapped % MAX_ENTRIES + (rest >> shift);
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
        uint32_t low;
        const uint32_t key = keys[places[i]];
        const uint32_t entry = find_entry(&low, map[key >> NQI_PREFIX_SHIFT], key);
        entries[entry] += PACKED_COUNT + low;
    }
}

static void tally_split(nqi_tally *entries, const uint32_t *map, const uint32_t *keys,
                        const uint32_t *places, const double *h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t low;
        const uint32_t key = keys[places[i]];
        nqi_tally *t = &entries[find_entry(&low, map[key >> NQI_PREFIX_SHIFT], key)];
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
    float w[NQI_SLICE_ELEMS];
    uint32_t keys[NQI_SLICE_ELEMS], places[NQI_SLICE_ELEMS];
    double h[NQI_SLICE_ELEMS];
    t->range = nqi_key_range_empty();
    for (size_t at = 0; at < n_elems; at += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(n_elems - at, NQI_SLICE_ELEMS);
        nqi_weights_load(w, j->weights, begin + at, n);
        j->kernels.keys(keys, &t->range, w, n);
        const size_t n_split = find_split(places, j, keys, n);
        if (!j->is_weighted) {
            count_split(t->entries, j->map, keys, places, n_split);
            continue;
        }
        load_at_places(h, j->weights, begin + at, places, n_split);
        tally_split(t->entries, j->map, keys, places, h, n_split);
    }
}

static void count_slice(const job *j, table *t, const uint32_t *keys, const double *h, size_t n)
{
    if (j->is_weighted)
        j->kernels.tally(t->entries, keys, h, n);
    else
        count_plain(t->entries, keys, n);
}

/* The number of good weights before the first bad one. */
static size_t count_chunk(const job *j, table *t, uint64_t begin, size_t n_elems)
{
    float w[NQI_SLICE_ELEMS];
    uint32_t keys[NQI_SLICE_ELEMS];
    double h[NQI_SLICE_ELEMS];
    t->range = nqi_key_range_empty();
    for (size_t at = 0; at < n_elems; at += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(n_elems - at, NQI_SLICE_ELEMS);
        nqi_weights_load(w, j->weights, begin + at, n);
        if (j->is_weighted)
            nqi_weights_load_raw_importance(h, j->weights, begin + at, n);
        j->kernels.keys(keys, &t->range, w, n);
        const bool is_finite = nqi_key_is_finite(t->range.min) && nqi_key_is_finite(t->range.max);
        if (!is_finite || (j->is_weighted && nqi_weights_find_bad(NULL, h, n) < n))
            return at + nqi_weights_find_bad(w, j->is_weighted ? h : NULL, n);
        if (j->is_weighted)
            nqi_shaping_apply(h, &j->weights->shaping, n);
        make_range_live(t, entry_bytes(j));
        count_slice(j, t, keys, h, n);
    }
    return n_elems;
}

/* ---- Taking bins --------------------------------------------------------------------------- */

/* Turns an entry into a bin without key and width, and clears it; false if it is empty. */
static bool take_entry(nqi_bin *bin, const job *j, table *t, uint32_t entry)
{
    if (j->is_weighted) {
        nqi_tally *e = (nqi_tally *)t->entries + entry;
        if (e->count == 0)
            return false;
        *bin = (nqi_bin){
            .count = (uint64_t)e->count, .low = (uint64_t)e->low, .h = e->h, .h_low = e->h_low};
        *e = (nqi_tally){0, 0, 0, 0};
        return true;
    }
    uint64_t *e = (uint64_t *)t->entries + entry;
    if (*e == 0)
        return false;
    *bin = (nqi_bin){.count = *e / PACKED_COUNT, .low = *e % PACKED_COUNT};
    bin->h = (double)bin->count;
    bin->h_low = (double)bin->low;
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
static nqi_bin prefix_bin(nqi_bin bin, uint32_t prefix)
{
    bin.key = prefix << NQI_PREFIX_SHIFT;
    bin.shift = bin.low == 0 ? 0 : NQI_PREFIX_SHIFT;
    if (bin.low != bin.count * (PREFIX_KEYS - 1))
        return bin;
    return (nqi_bin){.key = bin.key + PREFIX_KEYS - 1, .count = bin.count, .h = bin.h};
}

static nq_status take_prefixes(nqi_summary *s, const job *j, table *t)
{
    nqi_bin bin;
    size_t n = 0;
    for (unsigned half = 0; half < 2; half++)
        n += count_used(j, t, t->live[half].begin * PAGE_ENTRIES, t->live[half].end * PAGE_ENTRIES);
    NQI_TRY(nqi_summary_reserve(s, n + n / 8)); /* the next chunk's are hardly more */
    for (unsigned half = 0; half < 2; half++) {
        const uint32_t end = t->live[half].end * PAGE_ENTRIES;
        for (uint32_t i = t->live[half].begin * PAGE_ENTRIES; i < end; i++) {
            if (take_entry(&bin, j, t, i))
                s->bins[s->n_bins++] = prefix_bin(bin, i);
        }
    }
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
            if (!take_entry(&bin, j, t, entry))
                continue;
            bin.key = (split->prefix << NQI_PREFIX_SHIFT) + rest;
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

static nq_status make_tables(job *j, uint64_t n_chunks)
{
    const uint64_t most = NQI_MIN(j->env->runner.max_workers, NQI_MAX_IN_FLIGHT);
    for (uint64_t i = 0; i < NQI_MIN(n_chunks, most); i++) {
        void *memory;
        NQI_TRY(nqi_alloc(&memory, &j->env->allocator, allocated_entries(j), entry_bytes(j)));
        j->tables[j->n_tables++] = (table){.entries = memory};
        if (j->map)
            clear_pages(memory, entry_bytes(j), 0, allocated_entries(j) / PAGE_ENTRIES);
    }
    return NQ_OK;
}

static uint64_t chunk_elems(uint64_t n)
{
    const uint64_t eighth = nqi_div_up_u64(n / 8, NQI_CHUNK_ELEMS) * NQI_CHUNK_ELEMS;
    return NQI_MAX(CHUNK_MIN, NQI_MIN(eighth, CHUNK_MAX));
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
                           .chunk_elems = chunk_elems(n),
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
