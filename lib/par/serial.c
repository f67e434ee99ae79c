/*
 * Handing tasks to whoever runs them; one after another when there is nobody.
 */
#include "par/par.h"

nqi_runner nqi_runner_serial(void)
{
    return (nqi_runner){.parallel_for = NULL, .user = NULL, .max_workers = 1};
}

void nqi_run(const nqi_runner *runner, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    if (runner->parallel_for && n_tasks > 1) {
        runner->parallel_for(runner->user, n_tasks, task, arg);
        return;
    }
    for (uint64_t i = 0; i < n_tasks; i++)
        task(arg, i, 0);
}
