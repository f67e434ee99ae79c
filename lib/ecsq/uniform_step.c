/*
 * The smallest step that leaves at most K cells in use: see uniform_step.h.
 *
 * Branch and bound over intervals [a, b] of steps, smallest first. For runs r with first and last
 * weight f_r and l_r, the number of used cells is
 *
 *     used(s) = 1 + sum over r of (cell(l_r) - cell(f_r)) + number of gaps, cell(f_r+1) !=
 * cell(l_r)
 *
 * Each term has a lower bound over [a, b]: cells move towards zero as the step grows, a run of
 * length L has no fewer than L / b - 2^-20 borders of cells in it, and a gap longer than b (1 +
 * 2^-20) always counts. When the sum of the bounds is over K the interval is dropped; when used(a)
 * <= K, a is the answer, since everything below has been dropped; else the interval is halved. An
 * interval in which weights change their cells only a few thousand times is swept from change to
 * change instead, which leaves nothing in doubt. One with a few million changes is tallied
 * (uniform_tally.h), which is coarser, but much quicker: its begin is dropped as far as that shows
 * that it may be.
 *
 * As the steps grow, runs whose gap has become short are merged: where weights are dense, one run
 * is left, and the work goes into the tails.
 */
#include "ecsq/uniform_step.h"

#include "base/bytes.h"
#include "ecsq/uniform_cell.h"
#include "ecsq/uniform_tally.h"

/* Intervals with fewer changes than this many times the runs are swept: about what finding their
 * bound costs. Within limits, so that short lists are not split to the last, nor memory spent. */
#define SWEEP_PER_RUN 8u
#define SWEEP_LEAST   256u
#define SWEEP_MOST    65536u

/* A change swept costs as much as so many runs looked at; so many tallied as one. */
#define CHANGE_WORK      8u
#define TALLIED_FOR_WORK 8u

/* Steps are named by their bits, which rise with them. An interval holds those in [begin, end). */
typedef struct interval {
    uint64_t begin;
    uint64_t end;
} interval;

/* Halving a range of 64-bit numbers, smaller half first, keeps no more than this many waiting. */
#define STACK_SIZE 65

/* A weight changes its cell at the step with these bits. */
typedef struct change {
    uint64_t step;
    uint64_t place; /* 2 run: its first, 2 run + 1: its last weight */
} change;

typedef struct search {
    nqi_stretch *runs;
    size_t n_runs;
    uint32_t max_cells;
    uint64_t work;
    uint64_t max_work;
    change *changes; /* SWEEP_MOST, and as many to sort with */
    int64_t *cells;  /* two for each run */
    nqi_tally *bins; /* NQI_TALLY_BINS */
    size_t n_changes;
    bool is_exact; /* the work was not too much */
} search;

/* ---- Counting ------------------------------------------------------------------------------ */

uint64_t nqi_uniform_used_cells(int64_t *cells, uint64_t max_cells, const nqi_stretch *runs,
                                size_t n_runs, double step)
{
    uint64_t used = 0;
    int64_t next = INT64_MIN; /* lowest cell that has not been counted */
    for (size_t r = 0; r < n_runs; r++) {
        const int64_t from = nqi_uniform_cell((double)runs[r].first, step);
        const int64_t to = nqi_uniform_cell((double)runs[r].last, step);
        next = NQI_MAX(next, from);
        if (cells)
            for (int64_t cell = next; cell <= to && used + (uint64_t)(cell - next) < max_cells;
                 cell++)
                cells[used + (uint64_t)(cell - next)] = cell;
        used += (uint64_t)(to + 1 - next);
        next = to + 1;
    }
    return used;
}

/* Merges runs with gaps that are short beside this step. */
static void merge_runs(search *s, double step)
{
    const double bridged = step * (1 - NQI_CELL_SLACK);
    size_t n = 0;
    for (size_t r = 0; r < s->n_runs; r++) {
        const nqi_stretch run = s->runs[r];
        if (n > 0 && (double)run.first - (double)s->runs[n - 1].last <= bridged)
            s->runs[n - 1].last = run.last;
        else
            s->runs[n++] = run;
    }
    s->n_runs = n;
}

/* What is known about an interval [a, b] of steps. */
typedef struct estimate {
    uint64_t used;    /* with step a, exactly */
    uint64_t least;   /* with any of them, at least */
    uint64_t changes; /* of cells, over all weights at the ends of runs; or some number too many */
} estimate;

/* A weight's cells at both ends of the interval. */
typedef struct travel {
    int64_t at_a;
    int64_t low;
    int64_t high;
    uint64_t changes; /* no more than NQI_TALLY_MOST + 1, so that sums do not overflow */
} travel;

static travel travel_of(float weight, double a, double b)
{
    const int64_t at_a = nqi_uniform_cell((double)weight, a);
    const int64_t at_b = nqi_uniform_cell((double)weight, b);
    const int64_t low = NQI_MIN(at_a, at_b), high = NQI_MAX(at_a, at_b);
    const uint64_t changes = NQI_MIN((uint64_t)(high - low), NQI_TALLY_MOST + 1);
    return (travel){.at_a = at_a, .low = low, .high = high, .changes = changes};
}

/* Borders of cells that a run of this length has in it at least. */
static uint64_t borders(double length, double b)
{
    const double n = length / b - NQI_CELL_SLACK;
    return n > 0 ? (uint64_t)n : 0;
}

static estimate look_at(search *s, double a, double b)
{
    estimate e = {.used = 1, .least = 1};
    const double sure_gap = b * (1 + NQI_CELL_SLACK);
    travel previous = {.at_a = 0};
    for (size_t r = 0; r < s->n_runs; r++) {
        const nqi_stretch run = s->runs[r];
        const travel first = travel_of(run.first, a, b);
        const travel last = travel_of(run.last, a, b);
        const uint64_t apart = last.low > first.high ? (uint64_t)(last.low - first.high) : 0;
        e.used += (uint64_t)(last.at_a - first.at_a);
        e.least += NQI_MAX(apart, borders((double)run.last - (double)run.first, b));
        e.changes += first.changes + last.changes;
        if (r > 0) {
            const double gap = (double)run.first - (double)s->runs[r - 1].last;
            e.used += first.at_a != previous.at_a;
            e.least += gap >= sure_gap || first.low > previous.high;
        }
        previous = last;
    }
    s->work += s->n_runs;
    return e;
}

/* ---- Sweeping ------------------------------------------------------------------------------ */

/* The bits of the smallest step with which a weight of this magnitude has a cell of magnitude below
 * `cell`. The quotient is right to a few units in the last place. */
static uint64_t leaving_step(double magnitude, int64_t cell)
{
    uint64_t bits = nqi_f64_bits(magnitude / ((double)cell - 0.5));
    while (nqi_uniform_cell(magnitude, nqi_f64_from_bits(bits)) >= cell)
        bits++;
    while (nqi_uniform_cell(magnitude, nqi_f64_from_bits(bits - 1)) < cell)
        bits--;
    return bits;
}

/* Notes the changes of one weight on the way from step a to step b. */
static void note_changes(search *s, uint64_t place, float weight, double a, double b)
{
    const double magnitude = weight < 0 ? -(double)weight : (double)weight;
    const int64_t low = nqi_uniform_cell(magnitude, b);
    for (int64_t cell = nqi_uniform_cell(magnitude, a); cell > low; cell--)
        s->changes[s->n_changes++] =
            (change){.step = leaving_step(magnitude, cell), .place = place};
}

/* Merge sort by steps; changes at one step may stand in any order. */
static const change *sort_changes(change *changes, change *other, size_t n)
{
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t begin = 0; begin < n; begin += 2 * width) {
            const size_t middle = NQI_MIN(begin + width, n), end = NQI_MIN(middle + width, n);
            size_t left = begin, right = middle;
            for (size_t i = begin; i < end; i++) {
                const bool takes_left =
                    left < middle && (right == end || changes[left].step <= changes[right].step);
                other[i] = changes[takes_left ? left++ : right++];
            }
        }
        change *swapped = changes;
        changes = other;
        other = swapped;
    }
    return changes;
}

/* Whether the end of a run at `place` and the beginning of the next one are in different cells. */
static uint64_t gap_counts(const search *s, size_t place)
{
    return place % 2 == 1 && place + 1 < 2 * s->n_runs && s->cells[place] != s->cells[place + 1];
}

/* Moves one weight by one cell towards zero; returns by how much more cells are in use. */
static int64_t apply_change(search *s, size_t place)
{
    const size_t gap =
        place % 2 == 1 ? place : place - 1; /* of a first run: none, place - 1 wraps */
    const int64_t step = s->cells[place] > 0 ? -1 : 1;
    const uint64_t before = gap < 2 * s->n_runs ? gap_counts(s, gap) : 0;
    s->cells[place] += step;
    const uint64_t after = gap < 2 * s->n_runs ? gap_counts(s, gap) : 0;
    return (place % 2 == 1 ? step : -step) + (int64_t)after - (int64_t)before;
}

/* Goes through all steps of the interval, from change to change; `used` is with its first one.
 * True, with the step's bits, when one is found that leaves at most max_cells in use. */
static bool sweep(uint64_t *found, search *s, interval steps, uint64_t used)
{
    const double a = nqi_f64_from_bits(steps.begin), b = nqi_f64_from_bits(steps.end - 1);
    s->n_changes = 0;
    for (size_t r = 0; r < s->n_runs; r++) {
        s->cells[2 * r] = nqi_uniform_cell((double)s->runs[r].first, a);
        s->cells[2 * r + 1] = nqi_uniform_cell((double)s->runs[r].last, a);
        note_changes(s, 2 * r, s->runs[r].first, a, b);
        note_changes(s, 2 * r + 1, s->runs[r].last, a, b);
    }
    const change *changes = sort_changes(s->changes, s->changes + SWEEP_MOST, s->n_changes);
    s->work += s->n_runs + CHANGE_WORK * (uint64_t)s->n_changes;
    for (size_t i = 0; i < s->n_changes; i++) {
        used += (uint64_t)apply_change(s, (size_t)changes[i].place); /* may wrap, and back */
        const bool is_last = i + 1 == s->n_changes || changes[i + 1].step != changes[i].step;
        if (is_last && used <= s->max_cells) {
            *found = changes[i].step;
            return true;
        }
    }
    return false;
}

/* ---- Search -------------------------------------------------------------------------------- */

/* When the work has become too much: a step in the interval, whose last one is known to do. */
static uint64_t bisect(search *s, interval steps)
{
    uint64_t low = steps.begin, high = steps.end - 1;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        const double step = nqi_f64_from_bits(middle);
        if (nqi_uniform_used_cells(NULL, 0, s->runs, s->n_runs, step) <= s->max_cells)
            high = middle;
        else
            low = middle + 1;
    }
    return high;
}

static uint64_t sweep_limit(const search *s)
{
    const uint64_t limit = SWEEP_PER_RUN * (uint64_t)s->n_runs;
    return NQI_MIN(NQI_MAX(limit, SWEEP_LEAST), SWEEP_MOST);
}

/* The interval without what a tally shows to be of no use. */
static interval shorten(search *s, interval steps, uint64_t n_changes)
{
    s->work += s->n_runs + n_changes / TALLIED_FOR_WORK;
    steps.begin = nqi_tally_steps(s->bins, s->runs, s->n_runs, steps.begin, steps.end, n_changes,
                                  s->max_cells);
    return steps;
}

/* The bits of the smallest step in the interval that will do; its last one does. */
static uint64_t find(search *s, interval steps)
{
    interval waiting[STACK_SIZE] = {steps};
    size_t n_waiting = 1;
    uint64_t found = steps.end - 1;
    while (n_waiting > 0) {
        interval at = waiting[--n_waiting];
        const double a = nqi_f64_from_bits(at.begin), b = nqi_f64_from_bits(at.end - 1);
        s->is_exact = s->work <= s->max_work;
        if (!s->is_exact)
            return bisect(s, (interval){at.begin, steps.end});
        merge_runs(s, a);
        const estimate e = look_at(s, a, b);
        if (e.used <= s->max_cells)
            return at.begin;
        if (e.least > s->max_cells || at.end - at.begin == 1)
            continue;
        if (e.changes <= sweep_limit(s)) {
            if (sweep(&found, s, at, e.used))
                return found;
            continue;
        }
        if (e.changes <= NQI_TALLY_MOST)
            at = shorten(s, at, e.changes);
        const uint64_t middle = at.begin + (at.end - at.begin) / 2;
        if (middle < at.end)
            waiting[n_waiting++] = (interval){middle, at.end};
        if (at.begin < middle)
            waiting[n_waiting++] = (interval){at.begin, middle};
    }
    return found;
}

/* A step with which all weights are in cell 0: over twice the largest magnitude. */
static double largest_step(const nqi_stretch *runs, size_t n_runs)
{
    double largest = 0;
    if (n_runs > 0) {
        const double low = (double)runs[0].first, high = (double)runs[n_runs - 1].last;
        largest = -low > high ? -low : high;
    }
    return 4 * largest;
}

static nq_status make_room(search *s, const nqi_allocator *a)
{
    void *memory;
    NQI_TRY(nqi_alloc(&memory, a, 2 * SWEEP_MOST, sizeof *s->changes));
    s->changes = memory;
    NQI_TRY(nqi_alloc(&memory, a, 2 * (uint64_t)s->n_runs, sizeof *s->cells));
    s->cells = memory;
    NQI_TRY(nqi_alloc(&memory, a, NQI_TALLY_BINS, sizeof *s->bins));
    s->bins = memory;
    return NQ_OK;
}

nq_status nqi_uniform_find_step(double *step, bool *is_exact, const nqi_allocator *a,
                                nqi_stretch *runs, size_t *n_runs, double least, uint32_t max_cells,
                                uint64_t max_work)
{
    const double most = largest_step(runs, *n_runs);
    const size_t n_given = *n_runs;
    search s = {.runs = runs, .n_runs = n_given, .max_cells = max_cells, .max_work = max_work};
    *step = least;
    *is_exact = true;
    if (most <= least)
        return NQ_OK;
    const nq_status status = make_room(&s, a);
    if (status == NQ_OK) {
        const interval steps = {nqi_f64_bits(least), nqi_f64_bits(most) + 1};
        *step = nqi_f64_from_bits(find(&s, steps));
        *is_exact = s.is_exact;
        merge_runs(&s, *step);
        *n_runs = s.n_runs;
    }
    nqi_free(a, s.bins, NQI_TALLY_BINS, sizeof *s.bins);
    nqi_free(a, s.cells, 2 * (uint64_t)n_given, sizeof *s.cells);
    nqi_free(a, s.changes, 2 * SWEEP_MOST, sizeof *s.changes);
    return status;
}
