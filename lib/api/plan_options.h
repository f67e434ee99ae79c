/*
 * Reading and checking a plan's options, defaults filled in (given may be NULL).
 */
#ifndef NQI_API_PLAN_OPTIONS_H
#define NQI_API_PLAN_OPTIONS_H

#include "container/format.h"
#include "nq/plan.h"

/* NQ_OK, NQ_E_ARG, NQ_E_ABI, NQ_E_UNSUPPORTED. */
nq_status nqi_plan_options_read(nq_plan_options *full, const nq_plan_options *given);
nq_status nqi_plan_tensor_options_read(nq_plan_tensor_options *full,
                                       const nq_plan_tensor_options *given);

#endif
