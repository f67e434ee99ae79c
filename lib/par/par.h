/*
 * Running tasks: the caller's hook, the library's own pool, or one after another. What a task
 * computes depends on its index alone, never on the worker.
 */
#ifndef NQI_PAR_H
#define NQI_PAR_H

#include "base/alloc.h"
#include "base/common.h"
#include "nq/context.h"

typedef struct nqi_runner {
    nq_parallel_for_fn parallel_for; /* NULL: one after another */
    void *user;
    uint32_t max_workers; /* at least 1 */
} nqi_runner;

nqi_runner nqi_runner_serial(void);

/* Runs task(arg, index, worker) for each index below n_tasks and returns when all are done. */
void nqi_run(const nqi_runner *runner, uint64_t n_tasks, nq_task_fn task, void *arg);

/* The library's own small pool; n_threads counts the calling thread. NQ_E_UNSUPPORTED in builds
 * without threads. One nqi_run at a time uses it; a second one runs serially instead of waiting. */
typedef struct nqi_pool nqi_pool;
nq_status nqi_pool_create(nqi_pool **out, const nqi_allocator *a, uint32_t n_threads);
void nqi_pool_destroy(nqi_pool *pool);
nqi_runner nqi_pool_runner(nqi_pool *pool);

/* Elements per chunk when a tensor is split for workers: fixed, so that sums over chunks, combined
 * in chunk order, do not depend on who computed them. */
#define NQI_CHUNK_ELEMS (UINT64_C(1) << 18)

#endif
