// The parallel hook on std::thread; `user` points to the number of workers (unsigned):
//
//     options.parallel_for = std_thread_parallel_for;
//     options.parallel_user = &n_workers;
//     options.max_workers = n_workers;
//
// Threads are made for each call, hundreds of microseconds at worst; a program with a pool of its
// own hands the tasks to that instead.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <nq/context.h>

inline void std_thread_parallel_for(void *user, std::uint64_t n_tasks, nq_task_fn task, void *arg)
{
    std::atomic<std::uint64_t> next{0};
    const auto work = [&](std::uint32_t worker) {
        for (std::uint64_t i; (i = next++) < n_tasks;)
            task(arg, i, worker);
    };
    std::vector<std::thread> threads;
    for (unsigned worker = 1; worker < *static_cast<const unsigned *>(user); worker++)
        threads.emplace_back(work, worker);
    work(0);
    for (auto &thread : threads)
        thread.join();
}
