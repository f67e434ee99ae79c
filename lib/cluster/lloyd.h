/*
 * Lloyd's method on a line, and where it may start.
 */
#ifndef NQI_CLUSTER_LLOYD_H
#define NQI_CLUSTER_LLOYD_H

#include "stats/line.h"

/* levels[j] = min + (j + 1/2) (max - min) / k over the points of the line. */
void nqi_lloyd_start_linear(double *levels, size_t k, const nqi_line *line);

/* Greedy k-means++: each level is the best of a few points drawn with chances that go with
 * importance times squared distance from the levels so far. At most k levels, rising; *n of them,
 * fewer if there are fewer points. NQ_E_NOMEM. */
NQI_MUST_CHECK nq_status nqi_lloyd_start_plus_plus(double *levels, size_t *n, size_t k,
                                                   const nqi_env *env, const nqi_line *line,
                                                   uint64_t seed);

/*
 * Cells of nearest levels, cut halfway between neighbours (a point there goes up), and means of
 * cells in turn, until no cell changes or after max_iterations (0: no limit); cells without points
 * keep their level. Then *k is the number of cells that have points, whose levels come first.
 * The line has sums. NQ_E_NOMEM, NQ_E_CANCELLED.
 */
NQI_MUST_CHECK nq_status nqi_lloyd(double *levels, size_t *k, uint32_t *iterations,
                                   const nqi_env *env, const nqi_line *line,
                                   uint32_t max_iterations);

#endif
