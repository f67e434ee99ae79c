/*
 * A program outside the tree that lends the library OpenMP's threads: as many bytes as with one
 * thread, the same ones, and more than one thread has worked.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nq/nq.h>

#include "openmp.h"

#define N_WEIGHTS 2000000
#define N_WORKERS 3
#define CAPACITY  (1 << 22)

#define DO(call)                                                                                   \
    do {                                                                                           \
        const nq_status status_ = (call);                                                          \
        if (status_ != NQ_OK) {                                                                    \
            fprintf(stderr, "%s: %s\n", #call, nq_status_text(status_));                           \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static float weights[N_WEIGHTS], decoded[N_WEIGHTS];
static unsigned char files[2][CAPACITY];
static atomic_uint workers_seen;

static nq_status store(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    if (offset > CAPACITY || n_bytes > CAPACITY - offset)
        return NQ_E_SPACE;
    memcpy((unsigned char *)user + offset, bytes, n_bytes);
    return NQ_OK;
}

typedef struct watched {
    nq_task_fn task;
    void *arg;
} watched;

static void run_watched(void *arg, uint64_t index, uint32_t worker)
{
    const watched *w = arg;
    atomic_fetch_or(&workers_seen, 1u << worker);
    w->task(w->arg, index, worker);
}

static void watched_parallel_for(void *user, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    watched w = {task, arg};
    openmp_parallel_for(user, n_tasks, run_watched, &w);
}

static size_t compress(const nq_ctx *ctx, unsigned char *file)
{
    nq_tensor tensor;
    nq_tensor_init(&tensor);
    tensor.dtype = NQ_F32;
    tensor.rank = 1;
    tensor.dims[0] = N_WEIGHTS;
    tensor.name = "w";
    tensor.name_bytes = 1;
    tensor.data = weights;

    nq_plan_options options;
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_STEP;
    options.target_value = 0.05;
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = store;
    sink.user = file;

    nq_plan *plan;
    nq_plan_report report = {.struct_size = sizeof report};
    DO(nq_plan_create(&plan, ctx, &options));
    DO(nq_plan_add(plan, &tensor, NULL, NULL));
    DO(nq_plan_write(plan, &sink));
    DO(nq_plan_get_report(plan, &report));
    nq_plan_destroy(plan);
    return (size_t)report.compressed_bytes;
}

int main(void)
{
    nq_ctx *ctx;
    nq_ctx_options options;
    nq_reader *model;
    omp_set_num_threads(N_WORKERS);
    nq_ctx_options_init(&options);
    options.parallel_for = watched_parallel_for;
    options.max_workers = N_WORKERS;
    DO(nq_ctx_create(&ctx, &options));
    for (int i = 0; i < N_WEIGHTS; i++)
        weights[i] = (float)sin(0.37 * i);

    const size_t n_bytes = compress(ctx, files[0]);
    if (compress(NULL, files[1]) != n_bytes || memcmp(files[0], files[1], n_bytes) != 0)
        return 1;
    DO(nq_reader_open(&model, ctx, files[0], n_bytes, NULL));
    DO(nq_reader_decode(model, ctx, 0, NQ_F32, 0, N_WEIGHTS, decoded, NULL));
    nq_reader_destroy(model);
    nq_ctx_destroy(ctx);
    for (int i = 0; i < N_WEIGHTS; i++)
        if (!(fabs((double)weights[i] - (double)decoded[i]) <= 0.05))
            return 1;
    const unsigned seen = atomic_load(&workers_seen);
    printf("%zu bytes, workers %#x\n", n_bytes, seen);
    return (seen & (seen - 1)) != 0 && seen < 1u << N_WORKERS ? 0 : 2;
}
