/*
 * Runners: every task exactly once, workers within bounds and never two calls of one at a time,
 * runs inside runs, and threads that share a pool.
 */
#include "par/par.h"
#include "unit.h"

#include <stdatomic.h>

#define MAX_TASKS 2000u

typedef struct record {
    atomic_uint times[MAX_TASKS];
    atomic_uint inside[8]; /* calls at work, by worker */
    atomic_uint errors;
    uint32_t max_workers;
} record;

static void note(void *arg, uint64_t index, uint32_t worker)
{
    record *r = arg;
    if (worker >= r->max_workers || atomic_fetch_add(&r->inside[worker], 1) != 0)
        atomic_fetch_add(&r->errors, 1);
    atomic_fetch_add(&r->times[index], 1);
    for (volatile unsigned i = 0; i < index % 64; i++)
        continue;
    if (worker < r->max_workers)
        atomic_fetch_sub(&r->inside[worker], 1);
}

static void check_runs(const nqi_runner *runner)
{
    record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->max_workers = runner->max_workers;
    const uint64_t counts[] = {0, 1, 2, 3, 7, 8, 100, MAX_TASKS};
    unsigned n_runs[MAX_TASKS] = {0};
    for (int again = 0; again < 20; again++)
        for (size_t i = 0; i < NQI_COUNT(counts); i++) {
            nqi_run(runner, counts[i], note, r);
            for (uint64_t j = 0; j < counts[i]; j++)
                n_runs[j]++;
            for (uint64_t j = 0; j < MAX_TASKS; j++)
                assert_int_equal(atomic_load(&r->times[j]), n_runs[j]);
        }
    assert_int_equal(atomic_load(&r->errors), 0);
    free(r);
}

static void test_serial(void **state)
{
    (void)state;
    const nqi_runner serial = nqi_runner_serial();
    assert_int_equal(serial.max_workers, 1);
    check_runs(&serial);
}

/* Plain memory, written by the tasks and read by the caller: the run's end orders them. */
typedef struct sums {
    uint64_t by_task[MAX_TASKS];
    const nqi_runner *runner;
    atomic_uint n_inner;
} sums;

static void square(void *arg, uint64_t index, uint32_t worker)
{
    (void)worker;
    sums *s = arg;
    s->by_task[index] = index * index;
}

static void check_memory_is_seen(const nqi_runner *runner)
{
    sums *s = calloc(1, sizeof *s);
    assert_non_null(s);
    for (int again = 0; again < 50; again++) {
        memset(s->by_task, 0, sizeof s->by_task);
        nqi_run(runner, MAX_TASKS, square, s);
        for (uint64_t i = 0; i < MAX_TASKS; i++)
            assert_true(s->by_task[i] == i * i);
    }
    free(s);
}

static void count_inner(void *arg, uint64_t index, uint32_t worker)
{
    (void)index;
    sums *s = arg;
    if (worker == 0)
        atomic_fetch_add(&s->n_inner, 1);
}

static void run_inside(void *arg, uint64_t index, uint32_t worker)
{
    (void)index;
    (void)worker;
    const sums *s = arg;
    nqi_run(s->runner, 5, count_inner, arg);
}

/* The pool is busy with the outer run, so the inner ones run serially instead of waiting. */
static void check_nested(const nqi_runner *runner)
{
    sums *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->runner = runner;
    nqi_run(runner, 10, run_inside, s);
    assert_int_equal(atomic_load(&s->n_inner), 50);
    free(s);
}

static void test_pool(void **state)
{
    (void)state;
    const nqi_allocator a = nqi_allocator_default();
    const uint32_t n_threads[] = {1, 2, 3, 7};
    for (size_t i = 0; i < NQI_COUNT(n_threads); i++) {
        nqi_pool *pool;
        const nq_status status = nqi_pool_create(&pool, &a, n_threads[i]);
        if (!HAVE_THREADS) {
            assert_int_equal(status, NQ_E_UNSUPPORTED);
            return;
        }
        assert_int_equal(status, NQ_OK);
        const nqi_runner runner = nqi_pool_runner(pool);
        assert_int_equal(runner.max_workers, n_threads[i]);
        check_runs(&runner);
        check_memory_is_seen(&runner);
        check_nested(&runner);
        nqi_pool_destroy(pool);
    }
    nqi_pool_destroy(NULL);
}

static void use_pool(void *arg, uint64_t index, uint32_t worker)
{
    (void)index;
    (void)worker;
    check_memory_is_seen(arg);
}

/* Threads of one pool all use another one at the same time. */
static void test_shared_pool(void **state)
{
    (void)state;
    const nqi_allocator a = nqi_allocator_default();
    nqi_pool *users, *shared;
    if (!HAVE_THREADS)
        return;
    assert_int_equal(nqi_pool_create(&users, &a, 4), NQ_OK);
    assert_int_equal(nqi_pool_create(&shared, &a, 3), NQ_OK);
    const nqi_runner from = nqi_pool_runner(users);
    nqi_runner to = nqi_pool_runner(shared);
    nqi_run(&from, 8, use_pool, &to);
    nqi_pool_destroy(shared);
    nqi_pool_destroy(users);
}

static void *fail_after(void *user, size_t n_bytes, size_t alignment)
{
    uint32_t *left = user;
    const nqi_allocator a = nqi_allocator_default();
    if (*left == 0)
        return NULL;
    --*left;
    return a.alloc(NULL, n_bytes, alignment);
}

static void give_back(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    (void)user;
    const nqi_allocator a = nqi_allocator_default();
    a.free(NULL, memory, n_bytes, alignment);
}

static void test_pool_without_memory(void **state)
{
    (void)state;
    uint32_t left = 0;
    const nqi_allocator a = {fail_after, give_back, &left, UINT64_MAX};
    nqi_pool *pool = NULL;
    if (!HAVE_THREADS)
        return;
    for (uint32_t given = 0; given < 2; given++) {
        left = given;
        assert_int_equal(nqi_pool_create(&pool, &a, 3), NQ_E_NOMEM);
        assert_null(pool);
    }
    left = 2;
    assert_int_equal(nqi_pool_create(&pool, &a, 3), NQ_OK);
    nqi_pool_destroy(pool);
    assert_int_equal(nqi_pool_create(&pool, &a, 0), NQ_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serial),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_shared_pool),
        cmocka_unit_test(test_pool_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
