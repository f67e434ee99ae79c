/*
 * Contexts: the caller's hooks and limits, checked once and filled up with defaults, in the shape
 * that the rooms below are handed.
 */
#include "api/ctx.h"

#include <stdatomic.h>

#include "base/versioned.h"
#include "cpu/cpu.h"
#include "nq/types.h"

/* The options as first released; see versioned.h. */
#define OPTIONS_FIRST_SIZE ((uint32_t)sizeof(nq_ctx_options))

static nq_ctx_options default_options(void)
{
    return (nq_ctx_options){.struct_size = sizeof(nq_ctx_options),
                            .max_tensors = UINT32_C(1) << 20,
                            .max_levels = NQ_MAX_LEVELS,
                            .max_name_bytes = 4096,
                            .max_elements = UINT64_C(1) << 48,
                            .max_index_bytes = UINT64_C(1) << 30,
                            .max_memory_bytes = UINT64_C(1) << 40};
}

void nq_ctx_options_init_sized(nq_ctx_options *options, uint32_t struct_size)
{
    nq_ctx_options full = default_options();
    if (!options || struct_size < sizeof full.struct_size || struct_size > NQI_STRUCT_MAX)
        return;
    full.struct_size = struct_size;
    nqi_versioned_init(options, struct_size);
    memcpy(options, &full, NQI_MIN(struct_size, sizeof full));
}

/* A limit of 0 was not set by a caller who zeroed the struct himself. */
static void fill_limits(nq_ctx_options *o)
{
    const nq_ctx_options d = default_options();
    o->max_tensors = o->max_tensors ? o->max_tensors : d.max_tensors;
    o->max_levels = o->max_levels ? o->max_levels : d.max_levels;
    o->max_name_bytes = o->max_name_bytes ? o->max_name_bytes : d.max_name_bytes;
    o->max_elements = o->max_elements ? o->max_elements : d.max_elements;
    o->max_index_bytes = o->max_index_bytes ? o->max_index_bytes : d.max_index_bytes;
    o->max_memory_bytes = o->max_memory_bytes ? o->max_memory_bytes : d.max_memory_bytes;
}

static nq_status check_options(const nq_ctx_options *o)
{
    if ((o->alloc == NULL) != (o->free == NULL))
        return NQ_E_ARG;
    if ((o->parallel_for == NULL) != (o->max_workers == 0))
        return NQ_E_ARG;
    if (o->max_levels > NQ_MAX_LEVELS || o->n_threads > NQ_MAX_THREADS)
        return NQ_E_ARG;
    return NQ_OK;
}

static nqi_env make_env(const nq_ctx_options *o)
{
    nqi_env env = nqi_env_default();
    if (o->alloc) {
        env.allocator.alloc = o->alloc;
        env.allocator.free = o->free;
        env.allocator.user = o->alloc_user;
    }
    env.allocator.max_bytes = o->max_memory_bytes;
    if (o->parallel_for)
        env.runner = (nqi_runner){.parallel_for = o->parallel_for,
                                  .user = o->parallel_user,
                                  .max_workers = o->max_workers};
    env.cpu = nqi_cpu_features() & ~o->cpu_disabled;
    env.progress = o->progress;
    env.progress_user = o->progress_user;
    return env;
}

/* For the context itself and its threads: the limit on memory is not about them. */
static nqi_allocator unlimited(const nqi_env *env)
{
    nqi_allocator a = env->allocator;
    a.max_bytes = UINT64_MAX;
    return a;
}

static nq_status start_pool(nq_ctx *ctx, const nqi_allocator *a)
{
    if (ctx->options.parallel_for || ctx->options.n_threads <= 1)
        return NQ_OK;
    NQI_TRY(nqi_pool_create(&ctx->pool, a, ctx->options.n_threads));
    ctx->env.runner = nqi_pool_runner(ctx->pool);
    return NQ_OK;
}

nq_status nq_ctx_create(nq_ctx **out, const nq_ctx_options *options)
{
    nq_ctx_options full = default_options();
    void *memory;
    if (!out)
        return NQ_E_ARG;
    *out = NULL;
    if (options)
        NQI_TRY(nqi_versioned_read(&full, sizeof full, options, OPTIONS_FIRST_SIZE));
    fill_limits(&full);
    NQI_TRY(check_options(&full));
    const nqi_env env = make_env(&full);
    const nqi_allocator a = unlimited(&env);
    NQI_TRY(nqi_alloc(&memory, &a, 1, sizeof(nq_ctx)));
    nq_ctx *ctx = memory;
    *ctx = (nq_ctx){.env = env, .pool = NULL, .options = full};
    const nq_status status = start_pool(ctx, &a);
    if (status != NQ_OK) {
        nqi_free(&a, ctx, 1, sizeof *ctx);
        return status;
    }
    *out = ctx;
    return NQ_OK;
}

void nq_ctx_destroy(nq_ctx *ctx)
{
    if (!ctx)
        return;
    const nqi_allocator a = unlimited(&ctx->env);
    nqi_pool_destroy(ctx->pool);
    nqi_free(&a, ctx, 1, sizeof *ctx);
}

/*
 * The default context is filled at its first use. Threads that come while another one fills it wait
 * the few microseconds that this takes: there is no portable once-only call in a library that links
 * no thread library.
 */
const nq_ctx *nqi_ctx_or_default(const nq_ctx *ctx)
{
    enum { EMPTY, BEING_FILLED, READY };
    static nq_ctx standard;
    static atomic_int state;
    if (ctx)
        return ctx;
    int expected = EMPTY;
    if (atomic_load_explicit(&state, memory_order_acquire) == READY)
        return &standard;
    if (atomic_compare_exchange_strong(&state, &expected, BEING_FILLED)) {
        standard.options = default_options();
        standard.env = make_env(&standard.options);
        atomic_store_explicit(&state, READY, memory_order_release);
    }
    while (atomic_load_explicit(&state, memory_order_acquire) != READY)
        continue;
    return &standard;
}

uint64_t nq_cpu_features(void)
{
    return nqi_cpu_features();
}
