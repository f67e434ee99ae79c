/*
 * A lower bound on the number of used cells for many steps at once: whole intervals of steps, in
 * which weights change their cells millions of times, are known to use too many without looking at
 * them one by one.
 */
#ifndef NQI_ECSQ_UNIFORM_TALLY_H
#define NQI_ECSQ_UNIFORM_TALLY_H

#include "ecsq/occupancy.h"

/* Changes that are worth tallying at a time. */
#define NQI_TALLY_MOST (UINT64_C(1) << 23)

/* Steps are taken together in so many bins at most. */
#define NQI_TALLY_BINS 16384u

/* Changes in one bin, by what they do to the number of used cells. */
typedef struct nqi_tally {
    uint32_t more;
    uint32_t less;
} nqi_tally;

/*
 * Steps are named by their bits; the interval is [begin, end). runs are right for its first step,
 * and their ends change cells n_changes times in it (roughly; NQI_TALLY_MOST at most). Returns
 * where doubt begins: all steps before use more than max_cells cells. `end` if all do.
 */
uint64_t nqi_tally_steps(nqi_tally bins[NQI_TALLY_BINS], const nqi_stretch *runs, size_t n_runs,
                         uint64_t begin, uint64_t end, uint64_t n_changes, uint32_t max_cells);

#endif
