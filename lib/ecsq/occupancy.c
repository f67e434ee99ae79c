/*
 * Where the weights are: see occupancy.h.
 *
 * Proof of (1) and (2). Let m be the larger magnitude of two different f32 x < y, and q = m / s.
 * Two f32 of magnitude up to m that are next to each other near m differ by m 2^-24 at least.
 *
 * The cell is computed as floor(fl(fl(q) + 1/2)), so floor(q + 1/2 + e) with |e| <= 2^-27 for
 * q <= 2^25: each rounding is off by half a unit in the last place of a number below 2^26.
 *
 * (1) y - x <= s means q <= 2^24. For one sign, the numbers under the two floors differ by at most
 * 1 - 2^-20 + 2^-26 < 1, so the cells by at most 1. For x < 0 < y, cells two apart would need both
 * magnitudes over s (1/2 - 2^-27), their sum over s (1 - 2^-26). The sum is y - x.
 *
 * (2) For q <= 2^25 the numbers under the floors differ by at least 1 + 2^-20 - 2^-26 > 1 (with
 * different signs: one of the magnitudes is over s (1/2 + 2^-21), so one cell is not 0, and of its
 * weight's sign). For q > 2^25, the quotients of the two magnitudes differ by q 2^-24 > 2 before
 * and by more than 1 after rounding, which moves either by q 2^-52 at most (or the signs differ).
 */
#include "ecsq/occupancy.h"

#include <string.h>

#include "base/bytes.h"
#include "base/log2.h"

/* Bins in use at most for each cell: see occupancy.h. */
#define BINS_PER_CELL 6u

#define NO_BIN UINT32_MAX

typedef struct bin {
    int64_t number;
    float first;
    float last;
} bin;

/* The bins stand in the order in which they came up; a hash table holds their places. */
struct nqi_occupancy {
    nqi_allocator a;
    bin *bins;       /* limit + 1 */
    uint32_t *table; /* 2^table_log2 places; NO_BIN: free */
    double scale;    /* 1 / u */
    double unit;     /* u */
    uint32_t n;
    uint32_t limit;
    uint32_t table_log2;
};

/* ---- Life ---------------------------------------------------------------------------------- */

static uint32_t limit_for(uint32_t max_cells)
{
    return BINS_PER_CELL * max_cells;
}

/* At most half full, so that searches stay short. */
static uint32_t table_log2_for(uint32_t limit)
{
    uint32_t log2 = 4;
    while (((uint32_t)1 << log2) < 2 * (limit + 1))
        log2++;
    return log2;
}

uint64_t nqi_occupancy_bytes(uint32_t max_cells)
{
    const uint32_t limit = limit_for(max_cells);
    return sizeof(nqi_occupancy) + (uint64_t)(limit + 1) * sizeof(bin) +
           ((uint64_t)sizeof(uint32_t) << table_log2_for(limit));
}

/* Marks all places as free. */
static void clear_table(nqi_occupancy *o)
{
    memset(o->table, 0xff, sizeof *o->table << o->table_log2);
}

/* 2^exponent for a normal double. */
static double power_of_two(int exponent)
{
    return nqi_f64_from_bits((uint64_t)(exponent + 1023) << 52);
}

/* u = 2^(e - 61) for 2^e <= max_abs < 2^(e + 1): bins are numbered below 2^62, cells of 2u and more
 * up to 2^61. */
static void set_first_unit(nqi_occupancy *o, float max_abs)
{
    const double largest = max_abs > 0 ? (double)max_abs : 1.0;
    const int exponent = (int)(nqi_f64_bits(largest) >> 52) - 1023; /* f32 are normal doubles */
    o->unit = power_of_two(exponent - 61);
    o->scale = power_of_two(61 - exponent);
}

nq_status nqi_occupancy_create(nqi_occupancy **out, const nqi_allocator *a, uint32_t max_cells,
                               float max_abs)
{
    void *o_memory, *bins, *table;
    *out = NULL;
    NQI_TRY(nqi_alloc(&o_memory, a, 1, sizeof(nqi_occupancy)));
    nqi_occupancy *o = o_memory;
    *o = (nqi_occupancy){.a = *a, .limit = limit_for(max_cells)};
    o->table_log2 = table_log2_for(o->limit);
    set_first_unit(o, max_abs);
    nq_status status = nqi_alloc(&bins, a, (uint64_t)o->limit + 1, sizeof(bin));
    o->bins = bins;
    if (status == NQ_OK) {
        status = nqi_alloc(&table, a, UINT64_C(1) << o->table_log2, sizeof *o->table);
        o->table = table;
    }
    if (status != NQ_OK) {
        nqi_occupancy_destroy(o);
        return status;
    }
    clear_table(o);
    *out = o;
    return NQ_OK;
}

void nqi_occupancy_destroy(nqi_occupancy *o)
{
    if (!o)
        return;
    const nqi_allocator a = o->a;
    nqi_free(&a, o->bins, (uint64_t)o->limit + 1, sizeof(bin));
    nqi_free(&a, o->table, UINT64_C(1) << o->table_log2, sizeof *o->table);
    nqi_free(&a, o, 1, sizeof *o);
}

/* ---- Adding -------------------------------------------------------------------------------- */

/* Where the bin of this number stands in the table, or would. */
static uint32_t find_place(const nqi_occupancy *o, int64_t number)
{
    const uint32_t mask = ((uint32_t)1 << o->table_log2) - 1;
    uint32_t at =
        (uint32_t)(((uint64_t)number * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - o->table_log2));
    while (o->table[at] != NO_BIN && o->bins[o->table[at]].number != number)
        at = (at + 1) & mask;
    return at;
}

/* Adds weights from first to last in bin `number`; there is room for one bin more. */
NQI_INLINE void put(nqi_occupancy *o, int64_t number, float first, float last)
{
    const uint32_t place = find_place(o, number);
    if (o->table[place] == NO_BIN) {
        o->table[place] = o->n;
        o->bins[o->n++] = (bin){.number = number, .first = first, .last = last};
        return;
    }
    bin *b = &o->bins[o->table[place]];
    if (NQI_UNLIKELY(first < b->first))
        b->first = first;
    if (NQI_UNLIKELY(last > b->last))
        b->last = last;
}

/* floor(number / 2): the bin of twice the width that holds this one. */
static int64_t half(int64_t number)
{
    return number >= 0 ? number / 2 : -((1 - number) / 2);
}

/* Doubles u. Bins move only to the front, where they have been read already. */
static void coarsen(nqi_occupancy *o)
{
    const uint32_t n = o->n;
    clear_table(o);
    o->unit *= 2;
    o->scale /= 2;
    o->n = 0;
    for (uint32_t i = 0; i < n; i++) {
        const bin b = o->bins[i];
        put(o, half(b.number), b.first, b.last);
    }
}

void nqi_occupancy_add(nqi_occupancy *o, const float *weights, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float w = weights[i] + 0.0f; /* one zero, whatever the order */
        put(o, nqi_floor_i64((double)w * o->scale), w, w);
        while (NQI_UNLIKELY(o->n > o->limit))
            coarsen(o);
    }
}

void nqi_occupancy_merge(nqi_occupancy *o, const nqi_occupancy *other)
{
    while (o->unit < other->unit)
        coarsen(o);
    for (uint32_t i = 0; i < other->n; i++) {
        const bin *b = &other->bins[i];
        put(o, nqi_floor_i64((double)b->first * o->scale), b->first, b->last);
        while (o->n > o->limit)
            coarsen(o);
    }
}

/* ---- Result -------------------------------------------------------------------------------- */

double nqi_occupancy_least_step(const nqi_occupancy *o)
{
    return 2 * o->unit;
}

/* Lets bins[at] sink in the heap of n bins until no child has a larger number. */
static void sink(bin *bins, size_t n, size_t at)
{
    const bin sinking = bins[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n)
            break;
        if (child + 1 < n && bins[child].number < bins[child + 1].number)
            child++;
        if (sinking.number >= bins[child].number)
            break;
        bins[at] = bins[child];
        at = child;
    }
    bins[at] = sinking;
}

static void sort_bins(bin *bins, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sink(bins, n, i);
    for (size_t left = n; left > 1; left--) {
        const bin largest = bins[0];
        bins[0] = bins[left - 1];
        sink(bins, left - 1, 0);
        bins[left - 1] = largest;
    }
}

size_t nqi_occupancy_runs(nqi_stretch *runs, nqi_occupancy *o)
{
    if (!runs)
        return o->n;
    sort_bins(o->bins, o->n);
    for (uint32_t i = 0; i < o->n; i++)
        runs[i] = (nqi_stretch){.first = o->bins[i].first, .last = o->bins[i].last};
    return o->n;
}
