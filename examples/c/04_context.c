/*
 * 4. A context: the program's own allocator, its own workers, limits, and a hook that is told about
 * progress and may stop. The file's bytes do not depend on any of them.
 *
 *     cc 04_context.c $(pkg-config --cflags --libs nq) -lm -o 04_context
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nq/nq.h>

#define N_WEIGHTS 300000

/* Counts what is in use. C11's aligned_alloc wants a multiple of the alignment. */
static void *counting_alloc(void *user, size_t n_bytes, size_t alignment)
{
    *(size_t *)user += n_bytes;
    return aligned_alloc(alignment, (n_bytes + alignment - 1) / alignment * alignment);
}

static void counting_free(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    (void)alignment;
    *(size_t *)user -= n_bytes;
    free(memory);
}

/* Stands in for the host's thread pool: any order, any worker below max_workers. */
static void run_backwards(void *user, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    (void)user;
    for (uint64_t i = n_tasks; i-- > 0;)
        task(arg, i, (uint32_t)(i % 4));
}

static int32_t stop_when_asked(void *user, uint32_t stage, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    return stage == NQ_STAGE_ENCODE && *(const int *)user;
}

typedef struct memory_file {
    unsigned char bytes[4 * N_WEIGHTS];
    uint64_t n_bytes;
} memory_file;

static nq_status write_memory(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    memory_file *file = user;
    if (offset + n_bytes > sizeof file->bytes)
        return NQ_E_IO;
    memcpy(file->bytes + offset, bytes, n_bytes);
    file->n_bytes = file->n_bytes > offset + n_bytes ? file->n_bytes : offset + n_bytes;
    return NQ_OK;
}

static nq_status compress(memory_file *file, const nq_ctx *ctx, const float *weights)
{
    nq_tensor tensor;
    nq_tensor_init(&tensor);
    tensor.dtype = NQ_F32;
    tensor.rank = 1;
    tensor.dims[0] = N_WEIGHTS;
    tensor.name = "weights";
    tensor.name_bytes = (uint32_t)strlen(tensor.name);
    tensor.data = weights;
    nq_plan_options options;
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_LEVELS;
    options.target_value = 15;
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = write_memory;
    sink.user = file;
    nq_plan *plan;
    nq_status status = nq_plan_create(&plan, ctx, &options);
    if (status == NQ_OK)
        status = nq_plan_add(plan, &tensor, NULL, NULL);
    if (status == NQ_OK)
        status = nq_plan_write(plan, &sink);
    nq_plan_destroy(plan);
    return status;
}

int main(void)
{
    static float weights[N_WEIGHTS];
    static memory_file plain, hooked;
    size_t n_in_use = 0;
    int must_stop = 0;
    for (size_t i = 0; i < N_WEIGHTS; i++)
        weights[i] = (float)(sin(0.7 * (double)i) * exp(-1e-5 * (double)i));

    nq_ctx_options options;
    nq_ctx_options_init(&options);
    options.alloc = counting_alloc;
    options.free = counting_free;
    options.alloc_user = &n_in_use;
    options.parallel_for = run_backwards;
    options.max_workers = 4;
    options.max_memory_bytes = 64 << 20; /* of one allocation */
    options.progress = stop_when_asked;
    options.progress_user = &must_stop;
    nq_ctx *ctx;
    if (nq_ctx_create(&ctx, &options) != NQ_OK || compress(&plain, NULL, weights) != NQ_OK ||
        compress(&hooked, ctx, weights) != NQ_OK)
        return 1;
    const int is_same =
        plain.n_bytes == hooked.n_bytes && memcmp(plain.bytes, hooked.bytes, plain.n_bytes) == 0;
    must_stop = 1;
    const nq_status stopped = compress(&hooked, ctx, weights);
    nq_ctx_destroy(ctx);
    printf("%d weights in %llu bytes, %s; stopped: %s; %zu bytes of memory left in use\n",
           N_WEIGHTS, (unsigned long long)plain.n_bytes,
           is_same ? "the same with hooks" : "which is wrong", nq_status_name(stopped), n_in_use);
    return is_same && stopped == NQ_E_CANCELLED && n_in_use == 0 ? 0 : 1;
}
