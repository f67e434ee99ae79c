/*
 * The tensors that a design is given, checked and seen as weights with importance.
 */
#ifndef NQI_API_WEIGHT_LIST_H
#define NQI_API_WEIGHT_LIST_H

#include "stats/summary.h"

typedef struct nqi_weight_list {
    nqi_allocator allocator;
    nqi_weights *parts;
    size_t n;
    uint64_t n_weights;
} nqi_weight_list;

/* One tensor and its importance, which may be NULL. NQ_E_ARG, NQ_E_ABI, NQ_E_LIMIT. */
NQI_MUST_CHECK nq_status nqi_weight_list_view(nqi_weights *out, const nq_tensor *tensor,
                                              const nq_tensor *importance);

/* n tensors; `importance` is NULL or has one for each. NQ_E_ARG, NQ_E_ABI, NQ_E_LIMIT, NQ_E_NOMEM;
 * `diag` names the tensor. */
NQI_MUST_CHECK nq_status nqi_weight_list_make(nqi_weight_list *out, const nqi_allocator *a,
                                              const nq_tensor *const *tensors,
                                              const nq_tensor *const *importance, size_t n,
                                              nq_diag *diag);
void nqi_weight_list_free(nqi_weight_list *list);

/* The summary of all of them, in order. As nqi_summary_add; `diag` names the tensor. */
NQI_MUST_CHECK nq_status nqi_weight_list_summarise(nqi_summary *out, const nqi_env *env,
                                                   const nqi_weight_list *list, nq_diag *diag);

#endif
