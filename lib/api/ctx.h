/*
 * The context's inside, for the api floor: allocator, runner, limits, CPU mask, progress.
 */
#ifndef NQI_CTX_H
#define NQI_CTX_H

#include "base/alloc.h"
#include "nq/context.h"
#include "par/par.h"

struct nq_ctx {
    nqi_allocator allocator;
    nqi_runner runner;
    nqi_pool *pool;         /* NULL unless n_threads > 1 */
    uint64_t cpu;           /* NQ_CPU_* that may be used */
    nq_ctx_options options; /* limits and hooks, defaults filled in */
};

/* The given context, or the static default one for NULL. */
const nq_ctx *nqi_ctx_or_default(const nq_ctx *ctx);

#endif
