/*
 * The smallest step that leaves at most so many cells in use: exactly, not by bisection, since the
 * number of used cells is no monotone function of the step.
 */
#ifndef NQI_ECSQ_UNIFORM_STEP_H
#define NQI_ECSQ_UNIFORM_STEP_H

#include "base/alloc.h"
#include "ecsq/occupancy.h"

/* A bound on the work: one unit is looking at a run, some ten nanoseconds. */
#define NQI_UNIFORM_STEP_WORK (UINT64_C(1) << 29)

/*
 * The smallest double from `least` on that leaves at most max_cells (at least 1) cells in use. runs
 * are those of an occupancy map made for this max_cells, `least` is that map's least step or
 * larger. They are merged in place into *n_runs longer ones that are right for the step found.
 *
 * The work is bounded. Where the bound is reached (tens of thousands of cells, and weights far
 * apart of which hardly more are different) the step found still leaves at most max_cells cells in
 * use, but a smaller one may do so too, and *is_exact is false; nothing but the runs decides about
 * that. NQ_OK, NQ_E_NOMEM, NQ_E_LIMIT.
 */
nq_status nqi_uniform_find_step(double *step, bool *is_exact, const nqi_allocator *a,
                                nqi_stretch *runs, size_t *n_runs, double least, uint32_t max_cells,
                                uint64_t max_work);

/* Cells in use with this step, for runs that are right for it; their numbers go, rising, into
 * `cells` if that is not NULL, max_cells of them at most. */
uint64_t nqi_uniform_used_cells(int64_t *cells, uint64_t max_cells, const nqi_stretch *runs,
                                size_t n_runs, double step);

#endif
