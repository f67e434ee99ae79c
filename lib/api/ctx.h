/*
 * The context's inside, for the api floor: allocator, runner, limits, CPU mask, progress.
 */
#ifndef NQI_CTX_H
#define NQI_CTX_H

#include "base/alloc.h"
#include "nq/context.h"
#include "par/env.h"

struct nq_ctx {
    nqi_env env;
    nqi_pool *pool;         /* NULL unless n_threads > 1 */
    nq_ctx_options options; /* limits and hooks, defaults filled in */
};

/* The given context, or the static default one for NULL. */
const nq_ctx *nqi_ctx_or_default(const nq_ctx *ctx);

#endif
