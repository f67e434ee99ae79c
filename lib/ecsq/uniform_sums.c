/*
 * Sums over cells: see uniform_sums.h.
 *
 * The sums are over distances to the middle of the cell, at most half a step, so a sum's rounding
 * errors are small beside a step wherever the cell lies, and importance cannot make them larger:
 * the error of sum(h d) is relative to sum(h |d|) <= sum(h) step / 2. In plain double arithmetic a
 * run of n additions may be off by n 2^-54 of that if all of them round the same way, as they do
 * for equal weights. Therefore:
 *
 * - where few cells occur in a chunk, runs are of FLUSH additions, in LANES sums for each cell, so
 *   that an addition need not wait for the one before: FLUSH / LANES 2^-54 < 2^-42 = 2.3e-13;
 * - all other additions keep what rounding took from them (Knuth's two-sum), and lose nothing that
 *   could be seen.
 *
 * Which way a chunk takes depends on its weights alone.
 */
#include "ecsq/uniform_sums.h"

#include <string.h>

#define LANES 4u
#define FLUSH 8192u

/* Most cells that a chunk may touch for the fast way: its sums fit the second-level cache, and
 * emptying them is cheap beside FLUSH weights. */
#define FEW 1024u

/* Weights of a chunk from which on looking for its range costs more than FEW slots do. */
#define MANY_ELEMS (UINT32_C(1) << 15)

typedef struct lane {
    double moment;
    double weight;
    uint64_t n;
} lane;

/* A chunk's sums, in slots first .. end - 1. */
typedef struct partial {
    uint32_t first;
    uint32_t end;
    uint32_t *counts;
    nqi_sum *moments;
    nqi_sum *weights;
    lane *lanes; /* LANES for each of FEW */
} partial;

/* ---- Adding up ----------------------------------------------------------------------------- */

NQI_INLINE void add_to_sum(nqi_sum *sum, double value)
{
    const double high = sum->high + value;
    const double of_value = high - sum->high;
    sum->low += (sum->high - (high - of_value)) + (value - of_value);
    sum->high = high;
}

static void add_sums(nqi_sum *sum, const nqi_sum *more)
{
    add_to_sum(sum, more->high);
    sum->low += more->low;
}

/* Empties the lanes into the chunk's sums. */
static void flush(partial *p, uint32_t what)
{
    const uint32_t n_slots = p->end - p->first;
    for (uint32_t slot = 0; slot < n_slots; slot++) {
        lane *l = &p->lanes[slot * LANES];
        const uint64_t n = l[0].n + l[1].n + l[2].n + l[3].n;
        if (n == 0)
            continue;
        p->counts[p->first + slot] += (uint32_t)n;
        if (what != NQI_SUMS_COUNTS)
            add_to_sum(&p->moments[p->first + slot],
                       (l[0].moment + l[1].moment) + (l[2].moment + l[3].moment));
        if (what == NQI_SUMS_WEIGHTED)
            add_to_sum(&p->weights[p->first + slot],
                       (l[0].weight + l[1].weight) + (l[2].weight + l[3].weight));
        memset(l, 0, LANES * sizeof *l);
    }
}

/* n weights, a multiple of LANES but for the last ones of a chunk, into the lanes. */
NQI_INLINE void add_few(partial *p, const uint32_t *slots, const double *offsets, const double *h,
                        size_t n, uint32_t what)
{
    lane *const lanes = p->lanes;
    const uint32_t first = p->first;
    for (size_t i = 0; i < n; i++) {
        lane *l = &lanes[(slots[i] - first) * LANES + i % LANES];
        l->n++;
        if (what == NQI_SUMS_PLAIN)
            l->moment += offsets[i];
        if (what == NQI_SUMS_WEIGHTED) {
            l->moment += h[i] * offsets[i];
            l->weight += h[i];
        }
    }
}

NQI_INLINE void add_many(partial *p, const uint32_t *slots, const double *offsets, const double *h,
                         size_t n, uint32_t what)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t slot = slots[i];
        p->counts[slot]++;
        if (what == NQI_SUMS_PLAIN)
            add_to_sum(&p->moments[slot], offsets[i]);
        if (what == NQI_SUMS_WEIGHTED) {
            add_to_sum(&p->moments[slot], h[i] * offsets[i]);
            add_to_sum(&p->weights[slot], h[i]);
        }
    }
}

/* One loop for each case, so that none decides anything inside. */
static void add(partial *p, const uint32_t *slots, const double *offsets, const double *h, size_t n,
                uint32_t what, bool is_few)
{
    if (what == NQI_SUMS_COUNTS && is_few)
        add_few(p, slots, offsets, h, n, NQI_SUMS_COUNTS);
    else if (what == NQI_SUMS_COUNTS)
        add_many(p, slots, offsets, h, n, NQI_SUMS_COUNTS);
    else if (what == NQI_SUMS_PLAIN && is_few)
        add_few(p, slots, offsets, h, n, NQI_SUMS_PLAIN);
    else if (what == NQI_SUMS_PLAIN)
        add_many(p, slots, offsets, h, n, NQI_SUMS_PLAIN);
    else if (is_few)
        add_few(p, slots, offsets, h, n, NQI_SUMS_WEIGHTED);
    else
        add_many(p, slots, offsets, h, n, NQI_SUMS_WEIGHTED);
}

/* ---- Chunks -------------------------------------------------------------------------------- */

typedef struct run {
    const nqi_sums_job *job;
    nqi_cell_sums *sums;
    uint64_t *part_counts; /* of the part whose chunks are being folded */
    uint32_t part_first;
    uint32_t part_end;
} run;

static nqi_extent extent_of(const nqi_weights *part, const nqi_chunk *chunk)
{
    nqi_extent extent = nqi_extent_none();
    float w[NQI_SLICE_ELEMS];
    if (part->has_extent && part->extent.low <= part->extent.high)
        return part->extent;
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        nqi_weights_load(w, part, chunk->first + done, n);
        (void)nqi_extent_add(&extent, w, n); /* they are finite */
    }
    return extent;
}

/* The slots that a chunk may touch: those of the smallest and largest weight, of its part where
 * that is known, and what lies between; all, where they are few. */
static void find_range(partial *p, const nqi_sums_job *job, const nqi_chunk *chunk)
{
    if (job->map->n_slots <= FEW && chunk->n >= MANY_ELEMS) {
        p->first = 0;
        p->end = job->map->n_slots;
        return;
    }
    const nqi_extent extent = extent_of(&job->parts[chunk->part], chunk);
    uint32_t last;
    p->first = nqi_cell_map_lower(job->map, extent.low);
    /* The ends themselves may be pruned, or left out of a sample. */
    p->end = nqi_cell_map_find(&last, job->map, extent.high)
                 ? last + 1
                 : nqi_cell_map_lower(job->map, extent.high);
}

static void clear(partial *p, uint32_t what)
{
    const size_t n = p->end - p->first;
    memset(p->counts + p->first, 0, n * sizeof *p->counts);
    if (what != NQI_SUMS_COUNTS)
        memset(p->moments + p->first, 0, n * sizeof *p->moments);
    if (what == NQI_SUMS_WEIGHTED)
        memset(p->weights + p->first, 0, n * sizeof *p->weights);
    if (n <= FEW)
        memset(p->lanes, 0, n * LANES * sizeof *p->lanes);
}

static void sum_chunk(void *arg, const nqi_chunk *chunk)
{
    const nqi_sums_job *job = ((const run *)arg)->job;
    const nqi_weights *part = &job->parts[chunk->part];
    partial *p = chunk->slot;
    float w[NQI_SLICE_ELEMS];
    double offsets[NQI_SLICE_ELEMS], h[NQI_SLICE_ELEMS];
    uint32_t slots[NQI_SLICE_ELEMS];
    find_range(p, job, chunk);
    clear(p, job->what);
    const bool is_few = p->end - p->first <= FEW;
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const uint64_t first = chunk->first + done;
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        nqi_weights_load(w, part, first, n);
        nqi_cell_map_offsets(slots, offsets, job->map, w, n);
        if (job->what == NQI_SUMS_WEIGHTED)
            nqi_weights_load_importance(h, part, first, n);
        add(p, slots, offsets, h, n, job->what, is_few);
        if (is_few && ((done + n) % FLUSH == 0 || done + n == chunk->n))
            flush(p, job->what);
    }
}

static nq_status end_part(run *r, size_t number)
{
    const nqi_sums_job *job = r->job;
    const uint32_t first = r->part_first, end = r->part_end;
    r->part_first = UINT32_MAX;
    r->part_end = 0;
    if (job->counts)
        NQI_TRY(job->counts(job->user, number, first, r->part_counts + first, end - first));
    memset(r->part_counts + first, 0, (end - first) * sizeof *r->part_counts);
    return NQ_OK;
}

static nq_status fold_chunk(void *arg, const nqi_chunk *chunk)
{
    run *r = arg;
    nqi_cell_sums *sums = r->sums;
    const partial *p = chunk->slot;
    for (uint32_t slot = p->first; slot < p->end; slot++) {
        sums->counts[slot] += p->counts[slot];
        r->part_counts[slot] += p->counts[slot];
        if (sums->moments)
            add_sums(&sums->moments[slot], &p->moments[slot]);
        if (sums->weights)
            add_sums(&sums->weights[slot], &p->weights[slot]);
    }
    r->part_first = NQI_MIN(r->part_first, p->first);
    r->part_end = NQI_MAX(r->part_end, p->end);
    return chunk->ends_part ? end_part(r, chunk->part) : NQ_OK;
}

/* ---- Memory -------------------------------------------------------------------------------- */

/* Where the arrays of a partial begin, after the struct; all sizes are multiples of eight. */
typedef struct layout {
    size_t counts;
    size_t moments;
    size_t weights;
    size_t lanes;
    size_t end;
} layout;

/* n_slots is at most NQI_CELL_MAP_DENSE, or NQ_MAX_LEVELS: nothing here overflows. */
static layout lay_out(uint32_t n_slots, uint32_t what)
{
    layout l = {.counts = (sizeof(partial) + 63) & ~(size_t)63};
    l.moments = l.counts + ((n_slots * sizeof(uint32_t) + 7) & ~(size_t)7);
    l.weights = l.moments + (what != NQI_SUMS_COUNTS ? n_slots * sizeof(nqi_sum) : 0);
    l.lanes = l.weights + (what == NQI_SUMS_WEIGHTED ? n_slots * sizeof(nqi_sum) : 0);
    l.end = l.lanes + NQI_MIN(n_slots, FEW) * LANES * sizeof(lane);
    l.end = (l.end + 63) & ~(size_t)63;
    return l;
}

static void place_partial(uint8_t *slot, const layout *l)
{
    *(partial *)(void *)slot = (partial){.counts = (void *)(slot + l->counts),
                                         .moments = (void *)(slot + l->moments),
                                         .weights = (void *)(slot + l->weights),
                                         .lanes = (void *)(slot + l->lanes)};
}

static uint64_t count_elements(const void *parts, size_t part)
{
    return nqi_weights_count((const nqi_weights *)parts + part);
}

nqi_part_list nqi_weights_list(const nqi_weights *parts, size_t n_parts)
{
    return (nqi_part_list){.n_elems = count_elements, .parts = parts, .n = n_parts};
}

static nq_status run_pass(run *r, const layout *l)
{
    const nqi_sums_job *job = r->job;
    nqi_pass pass = {.env = job->env,
                     .progress = job->progress,
                     .list = nqi_weights_list(job->parts, job->n_parts),
                     .slot_bytes = l->end,
                     .work = sum_chunk,
                     .fold = fold_chunk,
                     .arg = r};
    void *slots;
    pass.n_slots = nqi_pass_slots(job->env, &pass.list, pass.slot_bytes);
    NQI_TRY(nqi_alloc(&slots, &job->env->allocator, pass.n_slots, pass.slot_bytes));
    pass.slots = slots;
    for (size_t i = 0; i < pass.n_slots; i++)
        place_partial(pass.slots + i * pass.slot_bytes, l);
    const nq_status status = nqi_pass_run(&pass);
    nqi_free(&job->env->allocator, slots, pass.n_slots, pass.slot_bytes);
    return status;
}

static nq_status make_sums(nqi_cell_sums *sums, const nqi_sums_job *job)
{
    void *memory;
    *sums = (nqi_cell_sums){.a = job->env->allocator, .n_slots = job->map->n_slots};
    NQI_TRY(nqi_alloc_zero(&memory, &sums->a, sums->n_slots, sizeof *sums->counts));
    sums->counts = memory;
    if (job->what != NQI_SUMS_COUNTS) {
        NQI_TRY(nqi_alloc_zero(&memory, &sums->a, sums->n_slots, sizeof *sums->moments));
        sums->moments = memory;
    }
    if (job->what == NQI_SUMS_WEIGHTED) {
        NQI_TRY(nqi_alloc_zero(&memory, &sums->a, sums->n_slots, sizeof *sums->weights));
        sums->weights = memory;
    }
    return NQ_OK;
}

void nqi_cell_sums_free(nqi_cell_sums *sums)
{
    nqi_free(&sums->a, sums->counts, sums->n_slots, sizeof *sums->counts);
    nqi_free(&sums->a, sums->moments, sums->n_slots, sizeof *sums->moments);
    nqi_free(&sums->a, sums->weights, sums->n_slots, sizeof *sums->weights);
    *sums = (nqi_cell_sums){.a = sums->a};
}

nq_status nqi_cell_sums_run(nqi_cell_sums *sums, const nqi_sums_job *job)
{
    const layout l = lay_out(job->map->n_slots, job->what);
    run r = {.job = job, .sums = sums, .part_first = UINT32_MAX};
    nq_status status = make_sums(sums, job);
    if (status == NQ_OK) {
        void *memory;
        status = nqi_alloc_zero(&memory, &sums->a, sums->n_slots, sizeof *r.part_counts);
        r.part_counts = memory;
    }
    if (status == NQ_OK)
        status = run_pass(&r, &l);
    nqi_free(&sums->a, r.part_counts, sums->n_slots, sizeof *r.part_counts);
    if (status != NQ_OK)
        nqi_cell_sums_free(sums);
    return status;
}
