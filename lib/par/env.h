/*
 * What every room above floor 0 is handed: where memory comes from, who runs tasks, which CPU
 * features may be used, who may stop the work. The api floor fills it from the caller's context.
 */
#ifndef NQI_ENV_H
#define NQI_ENV_H

#include "base/alloc.h"
#include "par/par.h"

typedef struct nqi_env {
    nqi_allocator allocator;
    nqi_runner runner;
    uint64_t cpu; /* NQ_CPU_* that may be used */
    nq_progress_fn progress;
    void *progress_user;
} nqi_env;

/* malloc, one worker, plain C kernels, no progress. */
static inline nqi_env nqi_env_default(void)
{
    return (nqi_env){.allocator = nqi_allocator_default(), .runner = nqi_runner_serial()};
}

/* Tells the hook; NQ_E_CANCELLED when it asks to stop. */
static inline nq_status nqi_progress(const nqi_env *env, uint32_t stage, uint64_t done,
                                     uint64_t total)
{
    if (env->progress && env->progress(env->progress_user, stage, done, total) != 0)
        return NQ_E_CANCELLED;
    return NQ_OK;
}

#endif
