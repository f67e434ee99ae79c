/*
 * The plan's inside, for the files of the api floor.
 */
#ifndef NQI_API_PLAN_H
#define NQI_API_PLAN_H

#include "api/ctx.h"
#include "model/model.h"

struct nq_plan {
    nqi_model model;
    nq_diag diag; /* of the last call */
};

#endif
