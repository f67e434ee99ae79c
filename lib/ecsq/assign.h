/*
 * One assignment of all weights in rows to levels with prices, and what each level gets.
 */
#ifndef NQI_ECSQ_ASSIGN_H
#define NQI_ECSQ_ASSIGN_H

#include "ecsq/rows.h"
#include "ecsq/rule.h"

/* Memory for assignments to at most max_k levels. */
typedef struct nqi_assigner nqi_assigner;

/* For the rows, which are borrowed as `env` is. NQ_E_NOMEM. */
NQI_MUST_CHECK nq_status nqi_assigner_create(nqi_assigner **out, const nqi_env *env,
                                             const nqi_rows *rows, size_t max_k);
void nqi_assigner_destroy(nqi_assigner *a);

/*
 * Gives each weight to the level with the least h (w - c)^2 + lambda l, and weights without
 * importance to the first of the shortest; fills shares[k]. lambda >= 0 is in units of the rows'
 * importance.
 */
void nqi_assign(nqi_share *shares, nqi_assigner *a, const nqi_priced_levels *priced, double lambda);

#endif
