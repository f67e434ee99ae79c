/*
 * Tallying changes of cells: see uniform_tally.h.
 *
 * With the first step of the interval, used cells are counted as uniform_step.c does, gaps only
 * where they surely count. From there on every change of a run's end adds one or takes one, and a
 * gap takes one where it is no longer sure. Which change is when is known to a few units in the
 * last place, without looking for the very step: much less than a bin is wide, so that a change
 * belongs to the bin that was computed or to one beside it. So, somewhere in bin i,
 *
 *     used >= first + more(0 .. i - 2) - less(0 .. i + 1)
 *
 * since up to bin i - 2 all has happened, and from i + 2 on nothing. A run of a single weight moves
 * without using more or fewer cells: most weights in the tails cost nothing.
 */
#include "ecsq/uniform_tally.h"

#include <string.h>

#include "base/bytes.h"
#include "ecsq/uniform_cell.h"

/* Few changes in a bin lose little; many bins cost time to clear and look at. */
#define CHANGES_PER_BIN 32u
#define BINS_LEAST      16u

/* Bins are at least so wide, relative to the step: 2^8 units in the last place. */
#define WIDTH_LEAST 0x1p-44

typedef struct tallies {
    nqi_tally *bins;
    uint32_t n_bins;
    double begin;
    double scale; /* bins for a unit of steps */
} tallies;

static nqi_tally *bin_at(const tallies *t, double step)
{
    const double bin = (step - t->begin) * t->scale;
    return &t->bins[bin > 0 ? (uint32_t)NQI_MIN(bin, (double)(t->n_bins - 1)) : 0];
}

/* The changes of one end of a run on the way from step a to step b: towards zero. */
static void tally_end(const tallies *t, float weight, bool is_last, double a, double b)
{
    const double magnitude = weight < 0 ? -(double)weight : (double)weight;
    const bool is_less = is_last == (weight >= 0);
    const int64_t low = nqi_uniform_cell(magnitude, b);
    for (int64_t cell = nqi_uniform_cell(magnitude, a); cell > low; cell--) {
        nqi_tally *bin = bin_at(t, magnitude / ((double)cell - 0.5));
        if (is_less)
            bin->less++;
        else
            bin->more++;
    }
}

/* Fills the bins; returns what is used with step a at least. */
static int64_t tally_all(const tallies *t, const nqi_stretch *runs, size_t n_runs, double a,
                         double b)
{
    int64_t used = 1;
    memset(t->bins, 0, t->n_bins * sizeof *t->bins);
    for (size_t r = 0; r < n_runs; r++) {
        const nqi_stretch run = runs[r];
        if (r > 0) {
            const double gap = (double)run.first - (double)runs[r - 1].last;
            used += gap >= a * (1 + NQI_CELL_SLACK);
            if (gap >= a * (1 + NQI_CELL_SLACK) && gap < b * (1 + NQI_CELL_SLACK))
                bin_at(t, gap * (1 - 2 * NQI_CELL_SLACK))->less++;
        }
        if (run.first == run.last)
            continue;
        used += nqi_uniform_cell((double)run.last, a) - nqi_uniform_cell((double)run.first, a);
        tally_end(t, run.first, false, a, b);
        tally_end(t, run.last, true, a, b);
    }
    return used;
}

/* The first bin in which max_cells may be enough; their number if there is none. */
static uint32_t first_doubtful(const tallies *t, int64_t used, int64_t max_cells)
{
    const uint32_t n = t->n_bins;
    for (uint32_t i = 0; i < n; i++) {
        const int64_t before = i > 0 ? t->bins[i - 1].less : 0;
        const int64_t behind = i + 1 < n ? t->bins[i + 1].less : 0;
        if (used - before - t->bins[i].less - behind <= max_cells)
            return i;
        if (i > 0)
            used += (int64_t)t->bins[i - 1].more - before;
    }
    return n;
}

uint64_t nqi_tally_steps(nqi_tally bins[NQI_TALLY_BINS], const nqi_stretch *runs, size_t n_runs,
                         uint64_t begin, uint64_t end, uint64_t n_changes, uint32_t max_cells)
{
    const double a = nqi_f64_from_bits(begin), b = nqi_f64_from_bits(end - 1);
    const uint64_t wanted = NQI_MAX(n_changes / CHANGES_PER_BIN, BINS_LEAST);
    tallies t = {.bins = bins, .n_bins = (uint32_t)NQI_MIN(wanted, NQI_TALLY_BINS), .begin = a};
    if (b - a < t.n_bins * WIDTH_LEAST * b)
        return begin;
    t.scale = t.n_bins / (b - a);
    const int64_t used = tally_all(&t, runs, n_runs, a, b);
    const uint32_t bin = first_doubtful(&t, used, max_cells);
    if (bin == t.n_bins)
        return end;
    /* One bin earlier: this step is rounded, too. */
    return bin < 2 ? begin : nqi_f64_bits(a + (bin - 1) / t.scale);
}
