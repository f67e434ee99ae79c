/*
 * Contexts: defaults, limits, pairs of hooks, sizes of older and newer programs; and the names and
 * sizes of statuses and element types.
 */
#include "api/ctx.h"
#include "unit.h"

#include "base/versioned.h"
#include "nq/nq.h"

static void test_defaults(void **state)
{
    (void)state;
    nq_ctx_options o;
    memset(&o, 0xee, sizeof o);
    nq_ctx_options_init(&o);
    assert_int_equal(o.struct_size, sizeof o);
    assert_int_equal(o.max_tensors, 1 << 20);
    assert_int_equal(o.max_levels, NQ_MAX_LEVELS);
    assert_int_equal(o.max_name_bytes, 4096);
    assert_true(o.max_elements == UINT64_C(1) << 48);
    assert_true(o.max_index_bytes == UINT64_C(1) << 30);
    assert_true(o.max_memory_bytes == UINT64_C(1) << 40);
    assert_true(!o.alloc && !o.free && !o.parallel_for && !o.progress && o.cpu_disabled == 0);
    const nq_ctx *standard = nqi_ctx_or_default(NULL);
    assert_memory_equal(&standard->options, &o, sizeof o);
    assert_ptr_equal(nqi_ctx_or_default(NULL), standard);
    assert_true(standard->env.cpu == nq_cpu_features());
    assert_int_equal(standard->env.runner.max_workers, 1);
    nq_ctx *ctx;
    assert_int_equal(nq_ctx_create(&ctx, NULL), NQ_OK);
    assert_memory_equal(&ctx->options, &o, sizeof o);
    assert_ptr_equal(nqi_ctx_or_default(ctx), ctx);
    nq_ctx_destroy(ctx);
    nq_ctx_destroy(NULL);
    assert_int_equal(nq_ctx_create(NULL, NULL), NQ_E_ARG);
}

/* A caller who zeroes the struct himself gets the default limits. */
static void test_zeroed_options(void **state)
{
    (void)state;
    nq_ctx_options zeroed, standard;
    memset(&zeroed, 0, sizeof zeroed);
    zeroed.struct_size = sizeof zeroed;
    nq_ctx_options_init(&standard);
    nq_ctx *ctx;
    assert_int_equal(nq_ctx_create(&ctx, &zeroed), NQ_OK);
    assert_memory_equal(&ctx->options, &standard, sizeof standard);
    nq_ctx_destroy(ctx);
}

static void test_sizes_of_other_releases(void **state)
{
    (void)state;
    union {
        nq_ctx_options o;
        uint8_t bytes[NQI_STRUCT_MAX + 8];
    } given;
    nq_ctx *ctx;
    memset(&given, 0, sizeof given);
    nq_ctx_options_init_sized(&given.o, NQI_STRUCT_MAX);
    assert_int_equal(nq_ctx_create(&ctx, &given.o), NQ_OK);
    nq_ctx_destroy(ctx);
    given.bytes[sizeof given.o] = 1;
    assert_int_equal(nq_ctx_create(&ctx, &given.o), NQ_E_ABI);
    assert_null(ctx);
    nq_ctx_options_init(&given.o);
    const uint32_t wrong[] = {0, 4, sizeof given.o - 1, NQI_STRUCT_MAX + 1};
    for (size_t i = 0; i < NQI_COUNT(wrong); i++) {
        given.o.struct_size = wrong[i];
        assert_int_equal(nq_ctx_create(&ctx, &given.o), NQ_E_ABI);
    }
    memset(given.bytes, 0xee, sizeof given.bytes);
    nq_ctx_options_init_sized(&given.o, 20); /* an older program's smaller struct is not overrun */
    assert_int_equal(given.o.max_levels, NQ_MAX_LEVELS);
    for (size_t i = 20; i < sizeof given.bytes; i++)
        assert_int_equal(given.bytes[i], 0xee);
    nq_ctx_options_init_sized(NULL, sizeof given.o);
}

static void *counted_alloc(void *user, size_t n_bytes, size_t alignment)
{
    const nqi_allocator a = nqi_allocator_default();
    int *left = user;
    if (*left == 0)
        return NULL;
    --*left;
    return a.alloc(NULL, n_bytes, alignment);
}

static void counted_free(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    const nqi_allocator a = nqi_allocator_default();
    ++*(int *)user;
    a.free(NULL, memory, n_bytes, alignment);
}

static void backwards(void *user, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    ++*(int *)user;
    for (uint64_t i = n_tasks; i-- > 0;)
        task(arg, i, 2);
}

static int32_t stop_at_seven(void *user, uint32_t stage, uint64_t done, uint64_t total)
{
    *(uint32_t *)user = stage;
    return done == 7 && total == 10;
}

static void test_hooks_come_in_pairs(void **state)
{
    (void)state;
    nq_ctx_options o;
    nq_ctx *ctx;
    nq_ctx_options_init(&o);
    o.alloc = counted_alloc;
    assert_int_equal(nq_ctx_create(&ctx, &o), NQ_E_ARG);
    nq_ctx_options_init(&o);
    o.free = counted_free;
    assert_int_equal(nq_ctx_create(&ctx, &o), NQ_E_ARG);
    nq_ctx_options_init(&o);
    o.parallel_for = backwards;
    assert_int_equal(nq_ctx_create(&ctx, &o), NQ_E_ARG);
    nq_ctx_options_init(&o);
    o.max_workers = 3;
    assert_int_equal(nq_ctx_create(&ctx, &o), NQ_E_ARG);
    nq_ctx_options_init(&o);
    o.max_levels = NQ_MAX_LEVELS + 1;
    assert_int_equal(nq_ctx_create(&ctx, &o), NQ_E_ARG);
    nq_ctx_options_init(&o);
    o.n_threads = NQ_MAX_THREADS + 1;
    assert_int_equal(nq_ctx_create(&ctx, &o), NQ_E_ARG);
    assert_null(ctx);
}

static void add_index(void *arg, uint64_t index, uint32_t worker)
{
    assert_int_equal(worker, 2);
    *(uint64_t *)arg += index;
}

static void test_hooks_are_used(void **state)
{
    (void)state;
    int left = 1, n_runs = 0;
    uint32_t stage = 99;
    nq_ctx_options o;
    nq_ctx *ctx;
    nq_ctx_options_init(&o);
    o.alloc = counted_alloc;
    o.free = counted_free;
    o.alloc_user = &left;
    o.parallel_for = backwards;
    o.parallel_user = &n_runs;
    o.max_workers = 3;
    o.n_threads = 5; /* the hook wins */
    o.progress = stop_at_seven;
    o.progress_user = &stage;
    o.max_memory_bytes = 1;
    o.cpu_disabled = NQ_CPU_ALL;
    assert_int_equal(nq_ctx_create(&ctx, &o), NQ_OK);
    assert_int_equal(left, 0);
    assert_null(ctx->pool);
    assert_true(ctx->env.cpu == 0);
    uint64_t sum = 0;
    nqi_run(&ctx->env.runner, 10, add_index, &sum);
    assert_int_equal(sum, 45);
    assert_int_equal(n_runs, 1);
    assert_int_equal(nqi_progress(&ctx->env, NQ_STAGE_ENCODE, 6, 10), NQ_OK);
    assert_int_equal(nqi_progress(&ctx->env, NQ_STAGE_ENCODE, 7, 10), NQ_E_CANCELLED);
    assert_int_equal(stage, NQ_STAGE_ENCODE);
    void *memory;
    assert_int_equal(nqi_alloc(&memory, &ctx->env.allocator, 2, 1), NQ_E_LIMIT);
    assert_int_equal(nqi_alloc(&memory, &ctx->env.allocator, 1, 1), NQ_E_NOMEM);
    nq_ctx_destroy(ctx);
    assert_int_equal(left, 1);
}

static void test_no_memory(void **state)
{
    (void)state;
    nq_ctx_options o;
    nq_ctx_options_init(&o);
    int left = 0;
    o.alloc = counted_alloc;
    o.free = counted_free;
    o.alloc_user = &left;
    o.n_threads = 3;
    for (int given = 0; given < 10; given++) {
        nq_ctx *ctx;
        left = given;
        const nq_status status = nq_ctx_create(&ctx, &o);
        if (!HAVE_THREADS && status == NQ_E_UNSUPPORTED)
            return;
        if (status == NQ_OK) {
            assert_true(given > 1 && ctx->env.runner.max_workers == 3);
            nq_ctx_destroy(ctx);
            assert_int_equal(left, given);
            return;
        }
        assert_int_equal(status, NQ_E_NOMEM);
        assert_null(ctx);
        assert_int_equal(left, given); /* what was given came back */
    }
    fail();
}

static void test_version(void **state)
{
    (void)state;
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", NQ_VERSION_MAJOR, NQ_VERSION_MINOR, NQ_VERSION_PATCH);
    assert_string_equal(nq_version_string(), text);
    assert_string_equal(nq_version_string(), NQ_VERSION_STRING);
    assert_string_equal(nq_version_string(), PROJECT_VERSION);
    assert_int_equal(nq_version(), NQ_VERSION);
    assert_true(NQ_VERSION < NQ_VERSION_NUMBER(NQ_VERSION_MAJOR, NQ_VERSION_MINOR + 1, 0));
}

static void test_status_names(void **state)
{
    (void)state;
    for (nq_status s = NQ_OK; s >= NQ_E_TARGET; s--) {
        assert_int_equal(strncmp(nq_status_name(s), s ? "NQ_E_" : "NQ_OK", 5), 0);
        assert_true(strlen(nq_status_text(s)) > 3);
        for (nq_status other = NQ_OK; other > s; other--)
            assert_string_not_equal(nq_status_name(s), nq_status_name(other));
    }
    assert_string_equal(nq_status_name(NQ_E_CORRUPT), "NQ_E_CORRUPT");
    const nq_status unknown[] = {1, NQ_E_TARGET - 1, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < NQI_COUNT(unknown); i++) {
        assert_string_equal(nq_status_name(unknown[i]), "unknown status");
        assert_string_equal(nq_status_text(unknown[i]), "unknown status");
    }
}

static void test_dtypes(void **state)
{
    (void)state;
    for (uint32_t d = 0; d < NQ_DTYPE_COUNT; d++) {
        assert_non_null(nq_dtype_name(d));
        assert_in_range(nq_dtype_bits(d), 4, 64);
    }
    assert_int_equal(nq_dtype_bits(NQ_F32), 32);
    assert_int_equal(nq_dtype_bits(NQ_BF16), 16);
    assert_int_equal(nq_dtype_bits(NQ_F6_E2M3), 6);
    assert_string_equal(nq_dtype_name(NQ_F8_E4M3), "F8_E4M3");
    assert_null(nq_dtype_name(NQ_DTYPE_COUNT));
    assert_int_equal(nq_dtype_bits(UINT32_MAX), 0);
}

static nq_status count_elements(uint64_t *n, uint32_t rank, const uint64_t *dims)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.rank = rank;
    memcpy(t.dims, dims, NQI_MIN(rank, NQ_MAX_RANK) * sizeof *dims);
    return nq_tensor_elements(n, &t);
}

static void test_elements(void **state)
{
    (void)state;
    uint64_t n = 42;
    const uint64_t eight[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    assert_int_equal(count_elements(&n, 0, eight), NQ_OK);
    assert_int_equal(n, 1);
    assert_int_equal(count_elements(&n, 8, eight), NQ_OK);
    assert_int_equal(n, 40320);
    assert_int_equal(count_elements(&n, 9, eight), NQ_E_ARG);
    const uint64_t zero[] = {UINT64_MAX, UINT64_MAX, 0};
    assert_int_equal(count_elements(&n, 3, zero), NQ_OK);
    assert_int_equal(n, 0);
    assert_int_equal(count_elements(&n, 2, zero), NQ_E_LIMIT);
    assert_int_equal(count_elements(&n, 1, zero), NQ_E_LIMIT);
    const uint64_t wraps[] = {UINT64_C(1) << 32, UINT64_C(1) << 32};
    assert_int_equal(count_elements(&n, 2, wraps), NQ_E_LIMIT);
    assert_int_equal(nq_tensor_elements(NULL, NULL), NQ_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_zeroed_options),
        cmocka_unit_test(test_sizes_of_other_releases),
        cmocka_unit_test(test_hooks_come_in_pairs),
        cmocka_unit_test(test_hooks_are_used),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_status_names),
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
