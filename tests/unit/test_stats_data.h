/*
 * What the tests of summaries and designs have in common: weights to work on, workers that come in
 * any order, and memory that runs out.
 */
#ifndef NQI_TESTS_STATS_DATA_H
#define NQI_TESTS_STATS_DATA_H

#include "unit.h"

#include <math.h>

#include "base/bytes.h"
#include "cpu/cpu.h"
#include "par/env.h"
#include "stats/summary.h"

/* ---- Numbers ------------------------------------------------------------------------------- */

/* Normally distributed (Box and Muller 1958). */
static inline double data_normal(uint64_t *state)
{
    const double u = (unit_random_real(state) + 1) / 2 + 0x1p-60;
    const double v = unit_random_real(state);
    return sqrt(-2 * log(u)) * cos(3.14159265358979323846 * v);
}

static inline float *data_weights(size_t n, double scale, double shift, uint64_t seed)
{
    float *w = malloc((n + 1) * sizeof *w);
    assert_non_null(w);
    for (size_t i = 0; i < n; i++)
        w[i] = (float)(shift + scale * data_normal(&seed));
    return w;
}

/* Lognormal: sigma 4 spans some twelve orders of magnitude. */
static inline float *data_importance(size_t n, double sigma, uint64_t seed)
{
    float *h = malloc((n + 1) * sizeof *h);
    assert_non_null(h);
    for (size_t i = 0; i < n; i++)
        h[i] = (float)exp(sigma * data_normal(&seed));
    return h;
}

/* All of them; h may be NULL. */
static inline nqi_weights data_view(const void *w, uint32_t dtype, const float *h, size_t n)
{
    const nqi_view view = nqi_view_make(w, dtype, n);
    const nqi_shaping none = nqi_shaping_none();
    nqi_importance importance = nqi_importance_ones(n);
    if (h && n > 0) {
        importance.data = (const uint8_t *)h;
        importance.dtype = NQ_F32;
        importance.rank = 1;
        importance.n_stored = n;
        importance.dims[0] = n;
        importance.strides[0] = 1;
    }
    return nqi_weights_all(&view, &importance, &none);
}

/* ---- Workers ------------------------------------------------------------------------------- */

/* Runs tasks from the last to the first, as if by so many workers. */
static inline void data_run_backwards(void *user, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    const uint32_t n_workers = *(const uint32_t *)user;
    for (uint64_t i = n_tasks; i-- > 0;)
        task(arg, i, (uint32_t)(i % n_workers));
}

static inline nqi_env data_env(const uint32_t *n_workers, uint64_t cpu)
{
    nqi_env env = nqi_env_default();
    env.cpu = nqi_cpu_features() & cpu;
    if (*n_workers > 1)
        env.runner = (nqi_runner){.parallel_for = data_run_backwards,
                                  .user = (void *)(uintptr_t)n_workers,
                                  .max_workers = *n_workers};
    return env;
}

static const uint32_t data_workers[] = {1, 2, 3, 7};
static const uint64_t data_masks[] = {0, NQ_CPU_SSE42, NQ_CPU_SSE42 | NQ_CPU_AVX2,
                                      NQ_CPU_SSE42 | NQ_CPU_AVX2 | NQ_CPU_AVX512, NQ_CPU_ALL};

/* ---- Memory -------------------------------------------------------------------------------- */

/* Blocks that are out, and how many more there will be. */
typedef struct data_memory {
    uint64_t n_out;
    uint64_t n_left;
    bool has_failed;
} data_memory;

static inline void *data_alloc(void *user, size_t n_bytes, size_t alignment)
{
    data_memory *m = user;
    const nqi_allocator a = nqi_allocator_default();
    if (m->n_left == 0) {
        m->has_failed = true;
        return NULL;
    }
    m->n_left--;
    m->n_out++;
    return a.alloc(NULL, n_bytes, alignment);
}

static inline void data_free(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    data_memory *m = user;
    const nqi_allocator a = nqi_allocator_default();
    m->n_out--;
    a.free(NULL, memory, n_bytes, alignment);
}

static inline nqi_env data_env_failing(data_memory *m, uint64_t n_left)
{
    nqi_env env = nqi_env_default();
    *m = (data_memory){.n_left = n_left};
    env.allocator.alloc = data_alloc;
    env.allocator.free = data_free;
    env.allocator.user = m;
    return env;
}

/* ---- Summaries ----------------------------------------------------------------------------- */

static inline nqi_summary data_summarise(const nqi_env *env, const nqi_weights *w)
{
    nqi_summary s = nqi_summary_empty(&env->allocator);
    assert_int_equal(nqi_summary_add(&s, env, w, NULL), NQ_OK);
    return s;
}

/* Equal to the bit, as stored. */
static inline void data_assert_same(const nqi_summary *a, const nqi_summary *b)
{
    const size_t n = nqi_summary_bytes(a);
    assert_int_equal(nqi_summary_bytes(b), n);
    uint8_t *in_a = malloc(n), *in_b = malloc(n);
    assert_non_null(in_a);
    assert_non_null(in_b);
    nqi_summary_store(in_a, n, a);
    nqi_summary_store(in_b, n, b);
    assert_memory_equal(in_a, in_b, n);
    free(in_a);
    free(in_b);
}

#endif
