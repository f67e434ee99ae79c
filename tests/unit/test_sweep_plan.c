/*
 * Every allocation of compressing, failing in turn: plans of every method, scope, code, target and
 * way of rounding. A file that was not finished cannot be opened.
 *
 *     test_sweep_plan          the first allocations and some of the others
 *     test_sweep_plan whole    all of them
 */
#include "nq_hooks.h"
#include "nq_sweep.h"

enum { N = 600, N_TENSORS = 5 };

typedef struct plan_way {
    uint32_t method, target, scope, codec, allocate, rdo, lossless, kmeans, mean;
    double value, density;
    bool has_importance;
} plan_way;

#define STEP(v)   .target = NQ_TARGET_STEP, .value = (v)
#define LEVELS(v) .target = NQ_TARGET_LEVELS, .value = (v)

static const plan_way ways[] = {
    {STEP(0.05), .codec = NQ_CODEC_FIXED, .density = 1},
    {STEP(0.05), .codec = NQ_CODEC_HUFFMAN, .density = 1, .has_importance = true},
    {STEP(0.05), .codec = NQ_CODEC_RANS, .density = 0.3, .has_importance = true},
    {STEP(0.3), .codec = NQ_CODEC_HUFFMAN_GAPS, .density = 0.1},
    {STEP(0.2), .codec = NQ_CODEC_AUTO, .density = 1, .mean = NQ_IMPORTANCE_TENSOR_MEAN,
     .has_importance = true},
    {STEP(0.1), .codec = NQ_CODEC_HUFFMAN, .rdo = 1, .density = 1, .has_importance = true},
    {STEP(0.1), .codec = NQ_CODEC_AUTO, .allocate = NQ_ALLOCATE_SLOPE, .density = 1,
     .scope = NQ_SCOPE_TENSOR},
    {LEVELS(20), .codec = NQ_CODEC_HUFFMAN, .density = 1, .mean = NQ_IMPORTANCE_CHANNEL_MEAN,
     .has_importance = true},
    {LEVELS(6), .codec = NQ_CODEC_FIXED, .scope = NQ_SCOPE_CHANNEL, .density = 1},
    {.target = NQ_TARGET_SQNR_DB, .value = 12, .codec = NQ_CODEC_HUFFMAN, .density = 1},
    {.target = NQ_TARGET_BITS_PER_WEIGHT, .value = 20, .codec = NQ_CODEC_RANS, .density = 1},
    {LEVELS(8), .method = NQ_METHOD_KMEANS, .codec = NQ_CODEC_HUFFMAN, .density = 1},
    {LEVELS(8), .method = NQ_METHOD_KMEANS, .kmeans = NQ_KMEANS_EXACT, .codec = NQ_CODEC_FIXED,
     .density = 1, .has_importance = true},
    {LEVELS(8), .method = NQ_METHOD_KMEANS, .kmeans = NQ_KMEANS_LLOYD, .codec = NQ_CODEC_FIXED,
     .scope = NQ_SCOPE_TENSOR, .density = 0.5},
    {LEVELS(4), .method = NQ_METHOD_KMEANS, .codec = NQ_CODEC_RANS, .scope = NQ_SCOPE_CHANNEL,
     .density = 1, .has_importance = true},
    {.target = NQ_TARGET_RATIO,
     .value = 1.2,
     .method = NQ_METHOD_KMEANS,
     .rdo = 1,
     .codec = NQ_CODEC_HUFFMAN,
     .density = 1},
    {.target = NQ_TARGET_LAMBDA,
     .value = 0.001,
     .method = NQ_METHOD_ECSQ,
     .codec = NQ_CODEC_HUFFMAN,
     .density = 1,
     .has_importance = true},
    {.target = NQ_TARGET_LAMBDA,
     .value = 0.001,
     .method = NQ_METHOD_ECSQ,
     .codec = NQ_CODEC_AUTO,
     .scope = NQ_SCOPE_TENSOR,
     .density = 1},
    {STEP(1), .lossless = NQ_LOSSLESS_YES, .codec = NQ_CODEC_AUTO, .density = 1},
};

static float weights[2][N];
static double importance[N];
static uint16_t halves[N];
static int8_t bytes_of[N];

static void fill(void)
{
    uint64_t seed = 1;
    for (size_t i = 0; i < N; i++) {
        weights[0][i] = (float)(unit_random_real(&seed) * unit_random_real(&seed));
        weights[1][i] = (float)unit_random_real(&seed) / 3;
        importance[i] = unit_random_real(&seed) + 1.01;
        halves[i] = (uint16_t)(0x3800 + unit_random(&seed) % 0x300);
        bytes_of[i] = (int8_t)(unit_random(&seed) % 9);
    }
}

static nq_tensor make(const char *name, uint32_t dtype, const void *data)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = dtype;
    t.rank = 2;
    t.dims[0] = 3;
    t.dims[1] = N / 3;
    t.name = name;
    t.name_bytes = (uint32_t)strlen(name);
    t.data = data;
    return t;
}

static nq_status add_all(nq_plan *plan, bool has_importance)
{
    const nq_tensor h = make("", NQ_F64, importance);
    const nq_tensor t[N_TENSORS] = {make("a", NQ_F32, weights[0]), make("b", NQ_F32, weights[1]),
                                    make("half", NQ_F16, halves), make("kept", NQ_F32, weights[1]),
                                    make("bytes", NQ_I8, bytes_of)};
    nq_status status = NQ_OK;
    for (size_t i = 0; i < N_TENSORS && status == NQ_OK; i++) {
        nq_plan_tensor_options own;
        nq_plan_tensor_options_init(&own);
        own.keep = i == 3 ? NQ_KEEP_ALWAYS : NQ_KEEP_AUTO;
        status = nq_plan_add(plan, &t[i], has_importance && i < 3 ? &h : NULL, &own);
    }
    return status == NQ_OK ? nq_plan_add_metadata(plan, "k", 1, "value", 5) : status;
}

static nq_status write_bytes(void *user, uint64_t offset, const void *data, size_t n_bytes)
{
    bytes *b = user;
    static const uint8_t zeros[4096];
    while (b->n < offset + n_bytes) {
        const size_t left = (size_t)offset + n_bytes - b->n;
        bytes_put(b, zeros, left < sizeof zeros ? left : sizeof zeros);
    }
    memcpy(b->at + offset, data, n_bytes);
    return NQ_OK;
}

static nq_plan_options options_of(const plan_way *w)
{
    nq_plan_options o;
    nq_plan_options_init(&o);
    o.method = w->method;
    o.target = w->target;
    o.target_value = w->value;
    o.scope = w->scope;
    o.codec = w->codec;
    o.allocate = w->allocate;
    o.rdo = w->rdo;
    o.lossless = w->lossless;
    o.kmeans = w->kmeans;
    o.importance_mean = w->mean;
    o.density = w->density;
    o.block_log2 = 10;
    o.min_elements = 0;
    return o;
}

static nq_status compress(sweep *s, uint32_t way)
{
    if (way >= sizeof ways / sizeof *ways)
        return NQ_E_UNSUPPORTED;
    const nq_plan_options o = options_of(&ways[way]);
    bytes file = {0};
    nq_plan *plan;
    nq_sink sink;
    nq_reader *r;
    nq_sink_init(&sink);
    sink.write = write_bytes;
    sink.user = &file;
    sweep_arm(s);
    nq_status status = nq_plan_create(&plan, s->ctx, &o);
    assert_true((status == NQ_OK) == (plan != NULL));
    if (status == NQ_OK)
        status = add_all(plan, ways[way].has_importance);
    if (status == NQ_OK)
        status = nq_plan_write(plan, &sink);
    sweep_disarm(s);
    if (plan) {
        nq_diag d;
        nq_diag_init(&d);
        assert_int_equal(nq_plan_diag(plan, &d), NQ_OK);
        assert_int_equal(d.status, status);
    }
    assert_int_equal(nq_reader_open(&r, NULL, file.at, file.n, NULL) == NQ_OK, status == NQ_OK);
    if (r)
        assert_int_equal(nq_reader_verify(r, NULL, NQ_NONE, NULL, NULL, NULL), NQ_OK);
    nq_reader_destroy(r);
    nq_plan_destroy(plan);
    sweep_put(s, file.at, file.n);
    bytes_free(&file);
    return status;
}

static void test_compressing(void **state)
{
    (void)state;
    fill();
    sweep_all(compress, NULL);
}

static void test_compressing_by_workers(void **state)
{
    uint32_t n_workers = 3;
    const nq_ctx_options workers = {
        .parallel_for = run_backwards, .parallel_user = &n_workers, .max_workers = n_workers};
    (void)state;
    fill();
    sweep_all(compress, &workers);
}

/* A tensor that could not be added is not there; the plan goes on without it. */
static nq_status add_again(sweep *s, uint32_t way)
{
    nq_plan_options o = options_of(&ways[0]);
    nq_plan *plan;
    const nq_tensor t = make("a", NQ_F32, weights[0]), more = make("b", NQ_F32, weights[1]);
    if (way > 1)
        return NQ_E_UNSUPPORTED;
    assert_int_equal(nq_plan_create(&plan, s->ctx, &o), NQ_OK);
    assert_int_equal(nq_plan_add(plan, &t, NULL, NULL), NQ_OK);
    sweep_arm(s);
    const nq_status status = way == 0 ? nq_plan_add(plan, &more, NULL, NULL)
                                      : nq_plan_add_metadata(plan, "key", 3, "value", 5);
    sweep_disarm(s);
    if (status != NQ_OK)
        assert_int_equal(way == 0 ? nq_plan_add(plan, &more, NULL, NULL)
                                  : nq_plan_add_metadata(plan, "key", 3, "value", 5),
                         NQ_OK);
    bytes file = {0};
    nq_sink sink;
    nq_reader *r;
    nq_reader_info info;
    nq_sink_init(&sink);
    nq_reader_info_init(&info);
    sink.write = write_bytes;
    sink.user = &file;
    assert_int_equal(nq_plan_write(plan, &sink), NQ_OK);
    assert_int_equal(nq_reader_open(&r, NULL, file.at, file.n, NULL), NQ_OK);
    assert_int_equal(nq_reader_get_info(r, &info), NQ_OK);
    assert_true(info.n_tensors == 2 - way && info.n_metadata == way);
    sweep_put(s, file.at, file.n);
    nq_reader_destroy(r);
    nq_plan_destroy(plan);
    bytes_free(&file);
    return status;
}

static void test_adding(void **state)
{
    (void)state;
    fill();
    sweep_all(add_again, NULL);
}

static int run_all(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compressing),
        cmocka_unit_test(test_compressing_by_workers),
        cmocka_unit_test(test_adding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return sweep_main("compressing", argc > 1 && strcmp(argv[1], "whole") == 0, run_all);
}
