/*
 * The library's own small pool on POSIX threads: opt-in, for programs that have no pool of their
 * own. Workers sleep between runs; in a run, everyone including the caller takes the next task from
 * one atomic counter until none is left. The mutex orders the start and the end of a run, so that
 * what the caller wrote before is seen by the tasks, and what they wrote is seen after.
 */
#if defined(NQI_THREADS) && !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L /* NOLINT: signal masks of threads */
#endif

#include "par/par.h"

#ifdef NQI_THREADS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

typedef struct worker {
    nqi_pool *pool;
    pthread_t thread;
    uint32_t number; /* 1 and up; 0 is whoever calls */
} worker;

struct nqi_pool {
    nqi_allocator allocator;
    uint32_t n_threads; /* the caller included */
    worker *workers;    /* n_threads - 1 */

    pthread_mutex_t mutex; /* guards what follows, up to the counter */
    pthread_cond_t start;  /* a new run, or the end */
    pthread_cond_t rest;   /* n_busy fell to 0 */
    uint64_t run;          /* counts runs: how a sleeper knows a new one */
    uint32_t n_busy;       /* workers that have not yet finished this run */
    bool is_used;
    bool is_ending;

    uint64_t n_tasks; /* constant during a run */
    nq_task_fn task;
    void *arg;
    atomic_uint_least64_t next;
};

static void take_tasks(nqi_pool *pool, uint32_t number)
{
    for (;;) {
        const uint64_t i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (i >= pool->n_tasks)
            return;
        pool->task(pool->arg, i, number);
    }
}

/* Sleeps until there is a run after *seen, and notes it; false when the pool ends. */
static bool await_run(nqi_pool *pool, uint64_t *seen)
{
    pthread_mutex_lock(&pool->mutex);
    while (pool->run == *seen && !pool->is_ending)
        pthread_cond_wait(&pool->start, &pool->mutex);
    const bool is_ending = pool->is_ending;
    *seen = pool->run;
    pthread_mutex_unlock(&pool->mutex);
    return !is_ending;
}

static void report_rest(nqi_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    if (--pool->n_busy == 0)
        pthread_cond_signal(&pool->rest);
    pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *arg)
{
    const worker *self = arg;
    uint64_t seen = 0;
    while (await_run(self->pool, &seen)) {
        take_tasks(self->pool, self->number);
        report_rest(self->pool);
    }
    return NULL;
}

static bool begin_run(nqi_pool *pool, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    pthread_mutex_lock(&pool->mutex);
    const bool is_free = !pool->is_used;
    if (is_free) {
        pool->is_used = true;
        pool->n_tasks = n_tasks;
        pool->task = task;
        pool->arg = arg;
        atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
        pool->n_busy = pool->n_threads - 1;
        pool->run++;
        pthread_cond_broadcast(&pool->start);
    }
    pthread_mutex_unlock(&pool->mutex);
    return is_free;
}

static void end_run(nqi_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    while (pool->n_busy != 0)
        pthread_cond_wait(&pool->rest, &pool->mutex);
    pool->is_used = false;
    pthread_mutex_unlock(&pool->mutex);
}

static void pool_parallel_for(void *user, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    nqi_pool *pool = user;
    if (!begin_run(pool, n_tasks, task, arg)) {
        const nqi_runner serial = nqi_runner_serial();
        nqi_run(&serial, n_tasks, task, arg);
        return;
    }
    take_tasks(pool, 0);
    end_run(pool);
}

nqi_runner nqi_pool_runner(nqi_pool *pool)
{
    return (nqi_runner){
        .parallel_for = pool_parallel_for, .user = pool, .max_workers = pool->n_threads};
}

/* Ends the first n_started workers. */
static void join_workers(nqi_pool *pool, uint32_t n_started)
{
    pthread_mutex_lock(&pool->mutex);
    pool->is_ending = true;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->mutex);
    for (uint32_t i = 0; i < n_started; i++)
        pthread_join(pool->workers[i].thread, NULL);
}

/* Starts all workers, or none. Signals stay with the program's own threads, but for those that a
 * worker brings about itself: blocked, these would end the program whatever it has a handler for. */
static nq_status start_workers(nqi_pool *pool)
{
    static const int faults[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    sigset_t all, before;
    uint32_t n_started = 0;
    sigfillset(&all);
    for (size_t i = 0; i < NQI_COUNT(faults); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; n_started < pool->n_threads - 1; n_started++) {
        worker *w = &pool->workers[n_started];
        *w = (worker){.pool = pool, .number = n_started + 1};
        if (pthread_create(&w->thread, NULL, work, w) != 0)
            break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (n_started == pool->n_threads - 1)
        return NQ_OK;
    join_workers(pool, n_started);
    return NQ_E_NOMEM;
}

static nq_status init_locks(nqi_pool *pool)
{
    if (pthread_mutex_init(&pool->mutex, NULL) != 0)
        return NQ_E_NOMEM;
    if (pthread_cond_init(&pool->start, NULL) != 0)
        goto no_start;
    if (pthread_cond_init(&pool->rest, NULL) != 0)
        goto no_rest;
    return NQ_OK;
no_rest:
    pthread_cond_destroy(&pool->start);
no_start:
    pthread_mutex_destroy(&pool->mutex);
    return NQ_E_NOMEM;
}

static void destroy_locks(nqi_pool *pool)
{
    pthread_cond_destroy(&pool->rest);
    pthread_cond_destroy(&pool->start);
    pthread_mutex_destroy(&pool->mutex);
}

static void free_pool(nqi_pool *pool)
{
    const nqi_allocator a = pool->allocator;
    nqi_free(&a, pool->workers, pool->n_threads - 1, sizeof(worker));
    nqi_free(&a, pool, 1, sizeof *pool);
}

nq_status nqi_pool_create(nqi_pool **out, const nqi_allocator *a, uint32_t n_threads)
{
    void *memory, *workers;
    nq_status status;
    *out = NULL;
    if (n_threads == 0)
        return NQ_E_ARG;
    NQI_TRY(nqi_alloc_zero(&memory, a, 1, sizeof(nqi_pool)));
    nqi_pool *pool = memory;
    pool->allocator = *a;
    pool->n_threads = n_threads;
    atomic_init(&pool->next, 0);
    if ((status = nqi_alloc_zero(&workers, a, n_threads - 1, sizeof(worker))) != NQ_OK)
        goto fail_memory;
    pool->workers = workers;
    if ((status = init_locks(pool)) != NQ_OK)
        goto fail_memory;
    if ((status = start_workers(pool)) != NQ_OK)
        goto fail_locks;
    *out = pool;
    return NQ_OK;
fail_locks:
    destroy_locks(pool);
fail_memory:
    free_pool(pool);
    return status;
}

void nqi_pool_destroy(nqi_pool *pool)
{
    if (!pool)
        return;
    join_workers(pool, pool->n_threads - 1);
    destroy_locks(pool);
    free_pool(pool);
}

#else

nq_status nqi_pool_create(nqi_pool **out, const nqi_allocator *a, uint32_t n_threads)
{
    (void)a;
    (void)n_threads;
    *out = NULL;
    return NQ_E_UNSUPPORTED;
}

void nqi_pool_destroy(nqi_pool *pool)
{
    (void)pool;
}

nqi_runner nqi_pool_runner(nqi_pool *pool)
{
    (void)pool;
    return nqi_runner_serial();
}

#endif
