/*
 * Plans and what surrounds them: memory that runs out at each allocation, sinks that fail at each
 * write, hooks that stop at each call, any number of workers, any CPU, and wrong arguments.
 */
#include "unit.h"

#include <math.h>

#include "base/half.h"
#include "nq/nq.h"

enum { N = 6000 };

static float weights[3][N];
static uint16_t halves[N];
static double importance[N];
static const uint64_t line[] = {N};

static void fill(void)
{
    uint64_t seed = 1;
    for (size_t i = 0; i < N; i++) {
        double sum = 0;
        for (int k = 0; k < 6; k++)
            sum += unit_random_real(&seed);
        weights[0][i] = (float)sum;
        weights[1][i] = (float)(sum * sum * sum);
        weights[2][i] = (float)(0.01 * sum);
        halves[i] = nqi_f32_to_f16((float)(2 * sum));
        importance[i] = fabs(sum);
    }
}

static nq_tensor make(const char *name, uint32_t dtype, const void *data)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = dtype;
    t.rank = 1;
    t.dims[0] = line[0];
    t.name = name;
    t.name_bytes = (uint32_t)strlen(name);
    t.data = data;
    return t;
}

/* A file, and how many writes it still takes. */
typedef struct file {
    uint8_t *bytes;
    size_t n;
    uint64_t writes_left;
    nq_status failure;
} file;

static nq_status write_file(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    file *f = user;
    const size_t end = (size_t)offset + n_bytes;
    if (f->writes_left-- == 0)
        return f->failure;
    if (end > f->n) {
        f->bytes = realloc(f->bytes, end);
        memset(f->bytes + f->n, 0, end - f->n);
        f->n = end;
    }
    memcpy(f->bytes + offset, bytes, n_bytes);
    return NQ_OK;
}

/* A small model that takes every way: shared and own codebooks, importance, kept tensors. */
static nq_status run_options(file *f, const nq_ctx *ctx, const nq_plan_options *options,
                             bool writes_nowhere)
{
    nq_sink sink;
    nq_plan *plan = NULL;
    nq_sink_init(&sink);
    sink.write = write_file;
    sink.user = f;
    nq_status status = nq_plan_create(&plan, ctx, options);
    const nq_tensor h = make("", NQ_F64, importance);
    const nq_tensor t[] = {make("a", NQ_F32, weights[0]),    make("b", NQ_F32, weights[1]),
                           make("kept", NQ_F32, weights[1]), make("c", NQ_F16, halves),
                           make("d", NQ_F32, weights[2]),    make("ints", NQ_I32, weights[0])};
    for (uint32_t i = 0; i < NQI_COUNT(t) && status == NQ_OK; i++) {
        nq_plan_tensor_options own;
        nq_plan_tensor_options_init(&own);
        own.keep = i == 2 ? NQ_KEEP_ALWAYS : NQ_KEEP_AUTO;
        own.scope = i == 1 ? NQ_SCOPE_TENSOR : NQ_INHERIT;
        if (i == 4) {
            own.target = NQ_TARGET_LEVELS;
            own.target_value = 9;
        }
        status = nq_plan_add(plan, &t[i], i < 5 ? &h : NULL, &own);
    }
    if (status == NQ_OK)
        status = nq_plan_add_metadata(plan, "k", 1, "value", 5);
    if (status == NQ_OK)
        status = nq_plan_write(plan, writes_nowhere ? NULL : &sink);
    if (plan) {
        nq_diag d;
        nq_diag_init(&d);
        assert_int_equal(nq_plan_diag(plan, &d), NQ_OK);
        assert_int_equal(d.status, status);
        assert_true((d.what[0] != 0) == (status != NQ_OK));
    }
    nq_plan_destroy(plan);
    return status;
}

static nq_plan_options options_of(uint32_t kind)
{
    nq_plan_options o;
    nq_plan_options_init(&o);
    o.target = kind % 2 ? NQ_TARGET_LEVELS : NQ_TARGET_STEP;
    o.target_value = kind % 2 ? 33 : 0.05;
    o.importance_mean = kind % 3;
    o.importance_floor = kind % 2 ? 0 : 0.001;
    o.block_log2 = 10;
    o.codec = kind % 2 ? NQ_CODEC_AUTO : NQ_CODEC_HUFFMAN;
    return o;
}

static nq_status run(file *f, const nq_ctx *ctx, uint32_t kind)
{
    const nq_plan_options o = options_of(kind);
    return run_options(f, ctx, &o, false);
}

static file empty_file(void)
{
    return (file){.writes_left = UINT64_MAX, .failure = NQ_E_IO};
}

/* ---- Memory -------------------------------------------------------------------------------- */

typedef struct memory {
    uint64_t left;
    uint64_t in_use;
} memory;

static void *limited_alloc(void *user, size_t n_bytes, size_t alignment)
{
    memory *m = user;
    if (m->left-- == 0) {
        m->left = 0;
        return NULL;
    }
    m->in_use += n_bytes;
    return aligned_alloc(alignment, (n_bytes + alignment - 1) / alignment * alignment);
}

static void limited_free(void *user, void *p, size_t n_bytes, size_t alignment)
{
    (void)alignment;
    ((memory *)user)->in_use -= n_bytes;
    free(p);
}

/* Ways through a plan that allocate differently. */
static nq_plan_options way(uint32_t number)
{
    static const struct {
        uint32_t method, target, allocate, rdo, codec;
        double value, density;
    } ways[] = {
        {NQ_METHOD_UNIFORM, NQ_TARGET_STEP, 0, 0, NQ_CODEC_HUFFMAN, 0.05, 1},
        {NQ_METHOD_UNIFORM, NQ_TARGET_LEVELS, 0, 0, NQ_CODEC_HUFFMAN, 33, 1},
        {NQ_METHOD_UNIFORM, NQ_TARGET_STEP, 0, 0, NQ_CODEC_FIXED, 0.05, 0.4},
        {NQ_METHOD_UNIFORM, NQ_TARGET_STEP, 0, 0, NQ_CODEC_AUTO, 0.2, 1},
        {NQ_METHOD_UNIFORM, NQ_TARGET_STEP, 0, 1, NQ_CODEC_HUFFMAN, 0.1, 1},
        {NQ_METHOD_UNIFORM, NQ_TARGET_STEP, NQ_ALLOCATE_SLOPE, 0, NQ_CODEC_HUFFMAN, 0.1, 1},
        {NQ_METHOD_UNIFORM, NQ_TARGET_SQNR_DB, 0, 0, NQ_CODEC_HUFFMAN, 12, 1},
        {NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, 0, 0, NQ_CODEC_HUFFMAN, 12, 1},
        {NQ_METHOD_KMEANS, NQ_TARGET_RATIO, 0, 1, NQ_CODEC_HUFFMAN, 2, 1},
        {NQ_METHOD_ECSQ, NQ_TARGET_LAMBDA, 0, 0, NQ_CODEC_HUFFMAN, 0.001, 1},
    };
    nq_plan_options o = options_of(number);
    if (number >= NQI_COUNT(ways))
        return (nq_plan_options){.struct_size = 0};
    o.method = ways[number].method;
    o.target = ways[number].target;
    o.target_value = ways[number].value;
    o.allocate = ways[number].allocate;
    o.rdo = ways[number].rdo;
    o.codec = ways[number].codec;
    o.density = ways[number].density;
    return o;
}

/* The first hundred allocations fail one by one, of those behind them ever fewer. */
static void fail_in_turn(const nq_ctx *ctx, memory *m, const nq_plan_options *options)
{
    const uint64_t before = m->in_use;
    nq_status status = NQ_E_NOMEM;
    for (uint64_t k = 0; status != NQ_OK; k += k < 100 ? 1 : k / 8) {
        file f = empty_file();
        m->left = k;
        status = run_options(&f, ctx, options, false);
        assert_true(status == NQ_OK || status == NQ_E_NOMEM);
        assert_true(status == NQ_E_NOMEM || k > 40);
        assert_int_equal(m->in_use, before);
        free(f.bytes);
        assert_true(k < 1000000);
    }
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    fill();
    for (uint32_t number = 0; way(number).struct_size > 0; number++) {
        const nq_plan_options options = way(number);
        memory m = {.left = UINT64_MAX};
        nq_ctx_options o;
        nq_ctx_options_init(&o);
        o.alloc = limited_alloc;
        o.free = limited_free;
        o.alloc_user = &m;
        nq_ctx *ctx;
        assert_int_equal(nq_ctx_create(&ctx, &o), NQ_OK);
        fail_in_turn(ctx, &m, &options);
        nq_ctx_destroy(ctx);
        assert_int_equal(m.in_use, 0);
    }
}

/* ---- Sinks --------------------------------------------------------------------------------- */

static void each_write_may_fail(void **state)
{
    (void)state;
    fill();
    const nq_status failures[] = {NQ_E_IO, NQ_E_LIMIT, 77};
    for (size_t i = 0; i < NQI_COUNT(failures); i++) {
        nq_status status = NQ_E_IO;
        uint64_t k = 0;
        for (; status != NQ_OK; k++) {
            file f = {.writes_left = k, .failure = failures[i]};
            status = run(&f, NULL, 0);
            assert_true(status == NQ_OK || status == failures[i]);
            /* The header comes last: what was cut off is no file. */
            nq_reader *reader;
            assert_int_equal(nq_reader_open(&reader, NULL, f.bytes, f.n, NULL) == NQ_OK,
                             status == NQ_OK);
            nq_reader_destroy(reader);
            free(f.bytes);
            assert_true(k < 1000);
        }
        assert_true(k > 20);
    }
}

/* A plan goes on after a failure, writes as often as asked, and knows sizes without a sink. */
static void a_plan_is_written_again(void **state)
{
    (void)state;
    fill();
    nq_plan_options o = options_of(0);
    o.importance_mean = 0;
    nq_plan *plan;
    nq_plan_report r = {.struct_size = sizeof r}, again = r;
    nq_plan_tensor_report tr = {.struct_size = sizeof tr};
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = write_file;
    assert_int_equal(nq_plan_create(&plan, NULL, &o), NQ_OK);
    const nq_tensor t = make("a", NQ_F32, weights[0]), u = make("b", NQ_F32, weights[1]);
    assert_int_equal(nq_plan_add(plan, &t, NULL, NULL), NQ_OK);
    assert_int_equal(nq_plan_get_report(plan, &r), NQ_E_STATE);
    assert_int_equal(nq_plan_get_tensor_report(plan, 0, &tr), NQ_E_STATE);
    assert_int_equal(nq_plan_solve(plan), NQ_OK);
    assert_int_equal(nq_plan_solve(plan), NQ_E_STATE);
    assert_int_equal(nq_plan_add(plan, &u, NULL, NULL), NQ_E_STATE);
    assert_int_equal(nq_plan_add_metadata(plan, "key", 3, "value", 5), NQ_E_STATE);
    assert_int_equal(nq_plan_get_report(plan, &r), NQ_OK);
    assert_true(r.compressed_bytes == 0 && r.n_codebooks == 1 && r.original_bytes == 4 * N);
    assert_int_equal(nq_plan_get_tensor_report(plan, 1, &tr), NQ_E_ARG);
    assert_int_equal(nq_plan_write(plan, NULL), NQ_OK);
    assert_int_equal(nq_plan_get_report(plan, &r), NQ_OK);
    file f = {.writes_left = 3, .failure = NQ_E_IO}, g = empty_file(), h = empty_file();
    sink.user = &f;
    assert_int_equal(nq_plan_write(plan, &sink), NQ_E_IO);
    sink.user = &g;
    assert_int_equal(nq_plan_write(plan, &sink), NQ_OK);
    sink.user = &h;
    assert_int_equal(nq_plan_write(plan, &sink), NQ_OK);
    assert_int_equal(g.n, r.compressed_bytes);
    assert_int_equal(g.n, h.n);
    assert_memory_equal(g.bytes, h.bytes, g.n);
    assert_int_equal(nq_plan_get_report(plan, &again), NQ_OK);
    assert_memory_equal(&r, &again, sizeof r);
    free(f.bytes);
    free(g.bytes);
    free(h.bytes);
    nq_plan_destroy(plan);
}

/* ---- Progress ------------------------------------------------------------------------------ */

typedef struct listener {
    uint64_t calls_left;
    uint64_t calls[4];
    uint64_t done[4];
    uint64_t total[4];
} listener;

static int32_t listen(void *user, uint32_t stage, uint64_t done, uint64_t total)
{
    listener *l = user;
    assert_true(stage < 3 && done <= total && done >= l->done[stage]);
    l->calls[stage]++;
    l->done[stage] = done;
    l->total[stage] = total;
    return l->calls_left-- == 0;
}

static void each_call_may_stop(void **state)
{
    (void)state;
    fill();
    for (uint32_t kind = 0; kind < 2; kind++) {
        nq_status status = NQ_E_CANCELLED;
        for (uint64_t k = 0; status != NQ_OK; k++) {
            listener l = {.calls_left = k};
            nq_ctx_options o;
            nq_ctx_options_init(&o);
            o.progress = listen;
            o.progress_user = &l;
            nq_ctx *ctx;
            file f = empty_file();
            assert_int_equal(nq_ctx_create(&ctx, &o), NQ_OK);
            status = run(&f, ctx, kind);
            assert_true(status == NQ_OK || status == NQ_E_CANCELLED);
            for (uint32_t stage = 0; status == NQ_OK && stage < 3; stage++) {
                assert_int_equal(l.done[stage], l.total[stage]);
                assert_true(l.calls[stage] > 0 && l.calls[stage] < 400);
            }
            free(f.bytes);
            nq_ctx_destroy(ctx);
            assert_true(k < 1000);
        }
    }
}

/* ---- The same bytes ------------------------------------------------------------------------ */

static void run_backwards(void *user, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    for (uint64_t i = n_tasks; i-- > 0;)
        task(arg, i, (uint32_t)(i % *(const uint32_t *)user));
}

static void check_same(const file *want, const nq_ctx_options *options, uint32_t kind)
{
    nq_ctx *ctx;
    file f = empty_file();
    assert_int_equal(nq_ctx_create(&ctx, options), NQ_OK);
    assert_int_equal(run(&f, ctx, kind), NQ_OK);
    assert_int_equal(f.n, want->n);
    assert_memory_equal(f.bytes, want->bytes, f.n);
    free(f.bytes);
    nq_ctx_destroy(ctx);
}

static void workers_and_cpus_change_nothing(void **state)
{
    (void)state;
    fill();
    const uint32_t counts[] = {1, 2, 3, 7};
    const uint64_t cpus[] = {NQ_CPU_ALL,
                             NQ_CPU_AVX512VBMI2,
                             NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2,
                             NQ_CPU_AVX2 | NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2,
                             NQ_CPU_SSE42,
                             NQ_CPU_NEON | NQ_CPU_ARM_CRC};
    for (uint32_t kind = 0; kind < 6; kind++) {
        file want = empty_file();
        assert_int_equal(run(&want, NULL, kind), NQ_OK);
        nq_ctx_options o;
        for (size_t i = 0; i < NQI_COUNT(counts); i++) {
            uint32_t workers = counts[i];
            nq_ctx_options_init(&o);
            o.parallel_for = run_backwards;
            o.parallel_user = &workers;
            o.max_workers = workers;
            check_same(&want, &o, kind);
            nq_ctx_options_init(&o);
            o.n_threads = HAVE_THREADS ? workers : 0;
            check_same(&want, &o, kind);
        }
        for (size_t i = 0; i < NQI_COUNT(cpus); i++) {
            nq_ctx_options_init(&o);
            o.cpu_disabled = cpus[i];
            check_same(&want, &o, kind);
        }
        free(want.bytes);
    }
}

/* ---- Arguments ----------------------------------------------------------------------------- */

static nq_status create(const nq_plan_options *o)
{
    nq_plan *plan;
    const nq_status status = nq_plan_create(&plan, NULL, o);
    assert_int_equal(plan != NULL, status == NQ_OK);
    nq_plan_destroy(plan);
    return status;
}

static void plan_options_are_checked(void **state)
{
    (void)state;
    const double values[] = {0, -1, (double)NAN, (double)INFINITY};
    nq_plan_options o;
    assert_int_equal(nq_plan_create(NULL, NULL, NULL), NQ_E_ARG);
    assert_int_equal(create(NULL), NQ_OK);
    nq_plan_options_init(&o);
    assert_int_equal(create(&o), NQ_OK);
    assert_true(o.min_elements == 1024 && o.importance_power == 1 && o.importance_floor == 0.001);
    for (uint32_t target = NQ_TARGET_STEP; target <= NQ_TARGET_LEVELS; target++)
        for (size_t i = 0; i < NQI_COUNT(values); i++) {
            o.target = target;
            o.target_value = values[i];
            assert_int_equal(create(&o), NQ_E_ARG);
        }
    o.target = NQ_TARGET_LEVELS;
    o.target_value = 2.5;
    assert_int_equal(create(&o), NQ_E_ARG);
    o.target_value = 65537;
    assert_int_equal(create(&o), NQ_E_ARG);
    o.target_value = 65536;
    assert_int_equal(create(&o), NQ_OK);
    o.target = NQ_TARGET_SQNR_DB + 1;
    assert_int_equal(create(&o), NQ_E_ARG);
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        nq_plan_options_init(&o);                                                                  \
        o.field = value;                                                                           \
        assert_int_equal(create(&o), NQ_E_ARG);                                                    \
    } while (0)
    REFUSED(method, 3);
    REFUSED(scope, 3);
    REFUSED(level_rule, 3);
    REFUSED(codec, NQ_CODEC_STORED);
    REFUSED(codec, 5);
    REFUSED(channel_axis, 8);
    REFUSED(max_code_length, 25);
    REFUSED(block_log2, 9);
    REFUSED(block_log2, 25);
    REFUSED(importance_mean, 3);
    REFUSED(importance_power, -1);
    REFUSED(importance_power, (double)NAN);
    REFUSED(importance_floor, -1);
    REFUSED(importance_floor, (double)INFINITY);
#undef REFUSED
    nq_plan_options_init(&o);
    o.struct_size = 12;
    assert_int_equal(create(&o), NQ_E_ABI);
}

static nq_status add(nq_plan *plan, const nq_tensor *t, const nq_tensor *h)
{
    return nq_plan_add(plan, t, h, NULL);
}

static void tensors_are_checked(void **state)
{
    (void)state;
    fill();
    nq_ctx_options c;
    nq_ctx_options_init(&c);
    c.max_tensors = 3;
    c.max_name_bytes = 8;
    c.max_elements = N;
    nq_ctx *ctx;
    assert_int_equal(nq_ctx_create(&ctx, &c), NQ_OK);
    nq_plan_options o;
    nq_plan_options_init(&o);
    nq_plan *plan;
    assert_int_equal(nq_plan_create(&plan, ctx, &o), NQ_OK);
    nq_tensor t = make("a", NQ_F32, weights[0]), h = make("", NQ_F64, importance);
    assert_int_equal(nq_plan_add(NULL, &t, NULL, NULL), NQ_E_ARG);
    assert_int_equal(add(plan, NULL, NULL), NQ_E_ARG);
    assert_int_equal(add(plan, &t, NULL), NQ_OK);
    assert_int_equal(add(plan, &t, NULL), NQ_E_ARG); /* the same name */
    nq_diag d;
    nq_diag_init(&d);
    assert_int_equal(nq_plan_diag(plan, &d), NQ_OK);
    assert_int_equal(d.tensor, 1);
    t.name = "b";
    nq_tensor bad = t;
    bad.rank = 9;
    assert_int_equal(add(plan, &bad, NULL), NQ_E_ARG);
    bad = t;
    bad.dtype = NQ_DTYPE_COUNT;
    assert_int_equal(add(plan, &bad, NULL), NQ_E_ARG);
    bad = t;
    bad.data = NULL;
    assert_int_equal(add(plan, &bad, NULL), NQ_E_ARG);
    bad = t;
    bad.dims[0] = N + 1;
    assert_int_equal(add(plan, &bad, NULL), NQ_E_LIMIT);
    bad = t;
    bad.dims[0] = UINT64_MAX;
    assert_int_equal(add(plan, &bad, NULL), NQ_E_LIMIT);
    bad = t;
    bad.name = "ninebytes";
    bad.name_bytes = 9;
    assert_int_equal(add(plan, &bad, NULL), NQ_E_LIMIT);
    bad = t;
    bad.struct_size = 8;
    assert_int_equal(add(plan, &bad, NULL), NQ_E_ABI);
    bad = t;
    bad.dtype = NQ_F4;
    bad.dims[0] = 3;
    assert_int_equal(add(plan, &bad, NULL), NQ_E_ARG);
    h.dims[0] = N - 1;
    assert_int_equal(add(plan, &t, &h), NQ_E_ARG);
    h.dims[0] = N;
    h.dtype = NQ_I32;
    assert_int_equal(add(plan, &t, &h), NQ_E_ARG);
    h.dtype = NQ_F64;
    nq_plan_tensor_options own;
    nq_plan_tensor_options_init(&own);
    own.target = NQ_TARGET_SQNR_DB;
    assert_int_equal(nq_plan_add(plan, &t, NULL, &own), NQ_E_ARG);
    own.target = NQ_TARGET_STEP;
    assert_int_equal(nq_plan_add(plan, &t, NULL, &own), NQ_E_ARG); /* no value */
    /* Nothing of this has changed the plan. */
    assert_int_equal(add(plan, &t, &h), NQ_OK);
    t.name = "c";
    assert_int_equal(add(plan, &t, NULL), NQ_OK);
    t.name = "d";
    assert_int_equal(add(plan, &t, NULL), NQ_E_LIMIT);
    assert_int_equal(nq_plan_solve(plan), NQ_E_ARG); /* importance for one, and no target */
    assert_int_equal(nq_plan_write(plan, NULL), NQ_E_ARG);
    nq_plan_destroy(plan);
    nq_ctx_destroy(ctx);
}

/* Names are the plan's own copies; many of them are told apart. */
static void names_are_copied(void **state)
{
    (void)state;
    fill();
    nq_plan_options o = options_of(0);
    nq_plan *plan;
    assert_int_equal(nq_plan_create(&plan, NULL, &o), NQ_OK);
    char name[16] = "";
    nq_tensor t = make(name, NQ_F32, weights[0]);
    t.dims[0] = 5;
    for (int i = 0; i < 3000; i++) {
        t.name_bytes = (uint32_t)snprintf(name, sizeof name, "%d", i);
        assert_int_equal(add(plan, &t, NULL), NQ_OK);
        assert_int_equal(add(plan, &t, NULL), NQ_E_ARG);
    }
    file f = empty_file();
    nq_sink sink;
    nq_sink_init(&sink);
    assert_int_equal(nq_plan_write(plan, &sink), NQ_E_ARG); /* nothing to write with */
    sink.write = write_file;
    sink.user = &f;
    memset(name, 'x', sizeof name);
    assert_int_equal(nq_plan_write(plan, &sink), NQ_OK);
    nq_plan_destroy(plan);
    nq_reader *reader;
    uint64_t tensor;
    assert_int_equal(nq_reader_open(&reader, NULL, f.bytes, f.n, NULL), NQ_OK);
    assert_int_equal(nq_reader_find(reader, "2047", 4, &tensor), NQ_OK);
    assert_int_equal(tensor, 2047);
    nq_reader_destroy(reader);
    free(f.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(each_write_may_fail),
        cmocka_unit_test(a_plan_is_written_again),
        cmocka_unit_test(each_call_may_stop),
        cmocka_unit_test(workers_and_cpus_change_nothing),
        cmocka_unit_test(plan_options_are_checked),
        cmocka_unit_test(tensors_are_checked),
        cmocka_unit_test(names_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
