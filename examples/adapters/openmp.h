/*
 * The parallel hook on OpenMP. Compile with -fopenmp, and:
 *
 *     options.parallel_for = openmp_parallel_for;
 *     options.max_workers = (uint32_t)omp_get_max_threads();
 */
#ifndef NQ_EXAMPLES_OPENMP_H
#define NQ_EXAMPLES_OPENMP_H

#include <omp.h>

#include <nq/context.h>

static inline void openmp_parallel_for(void *user, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    (void)user;
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < (int64_t)n_tasks; i++)
        task(arg, (uint64_t)i, (uint32_t)omp_get_thread_num());
}

#endif
