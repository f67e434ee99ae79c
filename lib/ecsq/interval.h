/*
 * Entropy-constrained quantization with intervals for cells, at its global optimum: J is a sum over
 * cells then, and dynamic programming over a summary's bins finds the best ends of all cells and
 * their number (Muresan, Effros 2008). Without importance no other cells are better. With
 * importance cells may depend on it, and these are where to begin.
 */
#ifndef NQI_ECSQ_INTERVAL_H
#define NQI_ECSQ_INTERVAL_H

#include "stats/summary.h"

/*
 * Levels of the best intervals at a lambda > 0, rising, at most max_k, and the ideal lengths of
 * their codes; with importance unless `is_plain`. *k is 0 if there would be more of them. Bins are
 * taken together until there are some thousands, which is what time goes with the square of.
 * NQ_E_NOMEM.
 */
NQI_MUST_CHECK nq_status nqi_interval_levels(double *levels, double *lengths, size_t *k,
                                             size_t max_k, const nqi_env *env, const nqi_summary *s,
                                             bool is_plain, double lambda);

#endif
