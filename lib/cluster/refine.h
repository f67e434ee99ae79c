/*
 * Which bins of a summary to split so that cells can end where they should.
 */
#ifndef NQI_CLUSTER_REFINE_H
#define NQI_CLUSTER_REFINE_H

#include "cluster/path.h"

/*
 * Splits the bins of *s, a summary of the parts, around the borders of cells of its line, or all if
 * `cells` is NULL; *n_split is the number of prefixes that were. NQ_E_NOMEM, NQ_E_LIMIT,
 * NQ_E_CANCELLED.
 */
NQI_MUST_CHECK nq_status nqi_refine(nqi_summary *s, size_t *n_split, const nqi_env *env,
                                    const nqi_weights *parts, size_t n_parts,
                                    const nqi_cells *cells);

#endif
