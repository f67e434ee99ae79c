/*
 * The inside of nq_stats, for the api floor.
 */
#ifndef NQI_API_STATS_H
#define NQI_API_STATS_H

#include "api/ctx.h"
#include "nq/stats.h"
#include "stats/summary.h"

struct nq_stats {
    nqi_env env;
    nqi_summary summary;
};

#endif
