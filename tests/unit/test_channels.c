/*
 * Codebooks by channel: a channel's weights become what they become in a tensor of their own, on every
 * axis and by every method; ranges, indices, products and new levels follow; codes and the space that
 * channels take are shared.
 */
#include "unit.h"

#include <math.h>

#include "nq/nq.h"

/* ---- Files in memory ----------------------------------------------------------------------- */

typedef struct file {
    uint8_t *bytes;
    size_t n;
} file;

static nq_status write_file(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    file *f = user;
    const size_t end = (size_t)offset + n_bytes;
    if (end > f->n) {
        f->bytes = realloc(f->bytes, end);
        memset(f->bytes + f->n, 0, end - f->n);
        f->n = end;
    }
    memcpy(f->bytes + offset, bytes, n_bytes);
    return NQ_OK;
}

static nq_tensor make(const char *name, uint32_t rank, const uint64_t *dims, const float *data)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = NQ_F32;
    t.rank = rank;
    for (uint32_t i = 0; i < rank; i++)
        t.dims[i] = dims[i];
    t.name = name;
    t.name_bytes = (uint32_t)strlen(name);
    t.data = data;
    return t;
}

static nq_plan *make_plan(const nq_plan_options *o, const nq_ctx *ctx)
{
    nq_plan *plan;
    assert_int_equal(nq_plan_create(&plan, ctx, o), NQ_OK);
    return plan;
}

static file write_plan(nq_plan *plan)
{
    file f = {NULL, 0};
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = write_file;
    sink.user = &f;
    assert_int_equal(nq_plan_write(plan, &sink), NQ_OK);
    nq_plan_destroy(plan);
    return f;
}

/* One tensor, or more of one shape behind each other, without or with importance of that shape. */
static file pack(const nq_plan_options *o, const nq_ctx *ctx, uint32_t rank, const uint64_t *dims,
                 uint64_t n_tensors, const float *w, const float *h)
{
    nq_plan *plan = make_plan(o, ctx);
    uint64_t n = 1;
    char name[24];
    for (uint32_t i = 0; i < rank; i++)
        n *= dims[i];
    for (uint64_t i = 0; i < n_tensors; i++) {
        (void)snprintf(name, sizeof name, "%u", (unsigned)i);
        const nq_tensor t = make(name, rank, dims, w + i * n);
        const nq_tensor importance = make("h", rank, dims, h ? h + i * n : NULL);
        assert_int_equal(nq_plan_add(plan, &t, h ? &importance : NULL, NULL), NQ_OK);
    }
    return write_plan(plan);
}

static nq_reader *open_file(const file *f)
{
    nq_reader *r;
    assert_int_equal(nq_reader_open(&r, NULL, f->bytes, f->n, NULL), NQ_OK);
    assert_int_equal(nq_reader_verify(r, NULL, NQ_NONE, NULL, NULL, NULL), NQ_OK);
    return r;
}

static nq_tensor_info info_of(const nq_reader *r, uint64_t tensor)
{
    nq_tensor_info info;
    nq_tensor_info_init(&info);
    assert_int_equal(nq_reader_tensor(r, tensor, &info), NQ_OK);
    return info;
}

static nq_decoder *decoder_of(const nq_reader *r, uint64_t tensor)
{
    nq_decoder *d;
    assert_int_equal(nq_decoder_create(&d, NULL, r, tensor, NULL, NULL), NQ_OK);
    return d;
}

/* ---- Weights ------------------------------------------------------------------------------- */

enum { N = 4 * 6 * 150 };
static const uint64_t all_dims[] = {4, 6, 150};
static float weights[N], importance[N];

/* A tensor seen as outer x channels x inner. */
typedef struct axis {
    uint64_t channels;
    uint64_t inner;
} axis;

static axis axis_of(uint32_t number)
{
    axis a = {all_dims[number], 1};
    for (uint32_t i = number + 1; i < 3; i++)
        a.inner *= all_dims[i];
    return a;
}

static size_t channel_of(const axis *a, size_t i)
{
    return (size_t)(i / a->inner % a->channels);
}

/* Channels differ in spread and in place, so that their levels are numbered differently. */
static void fill(uint32_t axis_number, uint64_t seed)
{
    const axis a = axis_of(axis_number);
    for (size_t i = 0; i < N; i++) {
        const double c = (double)channel_of(&a, i);
        const double x = unit_random_real(&seed) + unit_random_real(&seed) +
                         unit_random_real(&seed) - 1.5;
        weights[i] = (float)((0.02 + 0.01 * fmod(c, 5)) * x + 0.01 * fmod(c, 3));
        importance[i] = (float)(0.01 + pow(unit_random_real(&seed), 6));
    }
}

/* The elements of all channels, one channel after another. */
static void split(float *out, const float *in, const axis *a)
{
    size_t at = 0;
    for (size_t c = 0; c < a->channels; c++)
        for (size_t i = 0; i < N; i++)
            if (channel_of(a, i) == c)
                out[at++] = in[i];
}

static nq_plan_options options_of(uint32_t method, uint32_t target, double value, uint32_t scope)
{
    nq_plan_options o;
    nq_plan_options_init(&o);
    o.method = method;
    o.target = target;
    o.target_value = value;
    o.scope = scope;
    o.min_elements = 0;
    o.block_log2 = 10;
    return o;
}

/* ---- Values -------------------------------------------------------------------------------- */

static void decode_all(float *out, const file *f, uint64_t n_tensors)
{
    nq_reader *r = open_file(f);
    for (uint64_t i = 0; i < n_tensors; i++)
        assert_int_equal(nq_reader_decode(r, NULL, i, NQ_F32, 0, N / n_tensors,
                                          out + i * (N / n_tensors), NULL),
                         NQ_OK);
    nq_reader_destroy(r);
}

/* Every channel as if it were a tensor alone. */
static void check_alone(nq_plan_options o, uint32_t axis_number, bool has_importance)
{
    static float w[N], h[N], got[N], expected[N], in_turn[N];
    const axis a = axis_of(axis_number);
    const uint64_t one = N / a.channels;
    o.scope = NQ_SCOPE_CHANNEL;
    o.channel_axis = axis_number;
    file together = pack(&o, NULL, 3, all_dims, 1, weights, has_importance ? importance : NULL);
    split(w, weights, &a);
    split(h, importance, &a);
    o.scope = NQ_SCOPE_TENSOR;
    file alone = pack(&o, NULL, 1, &one, a.channels, w, has_importance ? h : NULL);
    decode_all(got, &together, 1);
    decode_all(expected, &alone, a.channels);
    split(in_turn, got, &a);
    assert_memory_equal(in_turn, expected, sizeof expected);
    free(together.bytes);
    free(alone.bytes);
}

static void test_alone(void **state)
{
    (void)state;
    static const struct {
        uint32_t method, target;
        double value;
        uint32_t rule, rdo;
        double density;
    } cases[] = {{NQ_METHOD_UNIFORM, NQ_TARGET_STEP, 0.004, NQ_LEVEL_WEIGHTED, 0, 1},
                 {NQ_METHOD_UNIFORM, NQ_TARGET_STEP, 0.003, NQ_LEVEL_GRID, 0, 0.5},
                 {NQ_METHOD_UNIFORM, NQ_TARGET_LEVELS, 9, NQ_LEVEL_GRID, 0, 1},
                 {NQ_METHOD_UNIFORM, NQ_TARGET_LEVELS, 300, NQ_LEVEL_MEAN, 0, 1},
                 {NQ_METHOD_UNIFORM, NQ_TARGET_STEP, 0.004, NQ_LEVEL_WEIGHTED, 1, 0.3},
                 {NQ_METHOD_UNIFORM, NQ_TARGET_LAMBDA, 1e-5, NQ_LEVEL_GRID, 1, 1},
                 {NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, 16, NQ_LEVEL_WEIGHTED, 0, 1},
                 {NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, 7, NQ_LEVEL_MEAN, 0, 0.7},
                 {NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, 16, NQ_LEVEL_WEIGHTED, 1, 1},
                 {NQ_METHOD_ECSQ, NQ_TARGET_LAMBDA, 1e-5, NQ_LEVEL_WEIGHTED, 0, 1},
                 {NQ_METHOD_ECSQ, NQ_TARGET_LEVELS, 20, NQ_LEVEL_WEIGHTED, 0, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint32_t k = 0; k < 3; k++) {
            nq_plan_options o =
                options_of(cases[i].method, cases[i].target, cases[i].value, NQ_SCOPE_CHANNEL);
            o.level_rule = cases[i].rule;
            o.rdo = cases[i].rdo;
            o.density = cases[i].density;
            fill(k, 17 * i + k);
            check_alone(o, k, (i + k) % 2 == 0);
        }
}

/* Averages over a channel leave every channel's importance constant: as if there were none. */
static void test_averaged_importance(void **state)
{
    (void)state;
    static float averaged[N], plain[N];
    for (uint32_t mean = NQ_IMPORTANCE_TENSOR_MEAN; mean <= NQ_IMPORTANCE_CHANNEL_MEAN; mean++) {
        nq_plan_options o = options_of(NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, 5, NQ_SCOPE_CHANNEL);
        o.channel_axis = 1;
        fill(1, 5);
        file without = pack(&o, NULL, 3, all_dims, 1, weights, NULL);
        o.importance_mean = mean;
        file with = pack(&o, NULL, 3, all_dims, 1, weights, importance);
        decode_all(plain, &without, 1);
        decode_all(averaged, &with, 1);
        for (size_t i = 0; i < N; i++)
            assert_true(fabs((double)averaged[i] - (double)plain[i]) < 1e-7);
        free(without.bytes);
        free(with.bytes);
    }
}

/* A channel whose importance is all zero is designed as if it had none, and that is told. */
static void test_a_channel_without_importance(void **state)
{
    (void)state;
    static float got[N], plain[N];
    nq_plan_options o = options_of(NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, 5, NQ_SCOPE_CHANNEL);
    nq_plan_tensor_report report = {.struct_size = sizeof report};
    fill(0, 6);
    for (size_t i = N / 4; i < N / 2; i++)
        importance[i] = 0;
    file with = pack(&o, NULL, 3, all_dims, 1, weights, importance);
    file without = pack(&o, NULL, 3, all_dims, 1, weights, NULL);
    decode_all(got, &with, 1);
    decode_all(plain, &without, 1);
    assert_memory_equal(got + N / 4, plain + N / 4, N / 4 * sizeof *got);
    assert_memory_not_equal(got, plain, N / 4 * sizeof *got);
    nq_plan *plan = make_plan(&o, NULL);
    const nq_tensor t = make("t", 3, all_dims, weights), h = make("h", 3, all_dims, importance);
    assert_int_equal(nq_plan_add(plan, &t, &h, NULL), NQ_OK);
    assert_int_equal(nq_plan_solve(plan), NQ_OK);
    assert_int_equal(nq_plan_get_tensor_report(plan, 0, &report), NQ_OK);
    assert_int_equal(report.ignores_importance, 1);
    nq_plan_destroy(plan);
    free(with.bytes);
    free(without.bytes);
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* Ranges, indices and channels' levels give what the whole does; products what those of the values
 * do. */
static void check_reading(const file *f, uint32_t axis_number)
{
    static float whole[N], part[N];
    static uint16_t indices[N], halves[N], half[N];
    const axis a = axis_of(axis_number);
    nq_reader *r = open_file(f);
    nq_decoder *d = decoder_of(r, 0);
    const nq_tensor_info info = info_of(r, 0);
    const float *levels, *all;
    size_t n_levels, n_all, n_stored = 0;
    uint64_t seed = 4;
    assert_int_equal(info.channel_axis, axis_number);
    assert_int_equal(info.n_channels, a.channels);
    assert_int_equal(nq_decoder_read(d, NQ_F32, 0, N, whole), NQ_OK);
    assert_int_equal(nq_decoder_read(d, NQ_F16, 0, N, halves), NQ_OK);
    assert_int_equal(nq_decoder_read_indices(d, 0, N, indices), NQ_OK);
    assert_int_equal(nq_decoder_codebook(d, &all, &n_all), NQ_OK);
    assert_int_equal(n_all, info.n_stored_levels);
    for (size_t c = 0; c < a.channels; c++) {
        uint32_t number;
        assert_int_equal(nq_decoder_channel_codebook(d, c, &levels, &n_levels, &number), NQ_OK);
        assert_ptr_equal(levels, all + n_stored);
        assert_true(number + n_levels <= info.n_levels);
        n_stored += n_levels;
        for (size_t i = 0; i < N; i++)
            if (channel_of(&a, i) == c) {
                assert_true(indices[i] < n_levels);
                assert_memory_equal(&levels[indices[i]], &whole[i], sizeof whole[i]);
            }
    }
    assert_int_equal(n_stored, n_all);
    assert_int_equal(nq_decoder_channel_codebook(d, a.channels, &levels, &n_levels, NULL), NQ_E_ARG);
    for (unsigned i = 0; i < 200; i++) {
        const uint64_t first = unit_random(&seed) % N, n = unit_random(&seed) % (N - first + 1);
        assert_int_equal(nq_decoder_read(d, NQ_F32, first, n, part), NQ_OK);
        assert_memory_equal(part, whole + first, (size_t)n * sizeof *part);
        assert_int_equal(nq_decoder_read(d, NQ_F16, first, n, half), NQ_OK);
        assert_memory_equal(half, halves + first, (size_t)n * sizeof *half);
    }
    nq_decoder_destroy(d);
    nq_reader_destroy(r);
}

/* The same products from a file that stores the values. */
static void check_products(const file *f)
{
    static float values[N], x[N];
    float y[4] = {0}, expected[4] = {0};
    uint64_t seed = 9;
    nq_plan_options o = options_of(NQ_METHOD_UNIFORM, NQ_TARGET_STEP, 1, NQ_SCOPE_MODEL);
    o.min_elements = N + 1;
    decode_all(values, f, 1);
    for (size_t i = 0; i < N / 4; i++)
        x[i] = (float)(unit_random_real(&seed) - 0.5);
    file stored = pack(&o, NULL, 3, all_dims, 1, values, NULL);
    nq_reader *r = open_file(f), *s = open_file(&stored);
    nq_decoder *d = decoder_of(r, 0), *e = decoder_of(s, 0);
    assert_int_equal(nq_decoder_matvec(d, 0, 4, x, y), NQ_OK);
    assert_int_equal(nq_decoder_matvec(e, 0, 4, x, expected), NQ_OK);
    assert_memory_equal(y, expected, sizeof y);
    nq_decoder_destroy(d);
    nq_decoder_destroy(e);
    nq_reader_destroy(r);
    nq_reader_destroy(s);
    free(stored.bytes);
}

static void test_reading(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 3; k++)
        for (unsigned kind = 0; kind < 4; kind++) {
            nq_plan_options o = kind == 0 ? options_of(NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, 8, 2)
                                          : options_of(NQ_METHOD_UNIFORM, NQ_TARGET_STEP,
                                                       kind == 3 ? 1e-5 : 0.003, 2);
            o.channel_axis = k;
            o.level_rule = kind == 2 ? NQ_LEVEL_GRID : NQ_LEVEL_WEIGHTED;
            fill(k, k);
            file f = pack(&o, NULL, 3, all_dims, 1, weights, NULL);
            check_reading(&f, k);
            check_products(&f);
            free(f.bytes);
        }
}

static void test_new_levels(void **state)
{
    (void)state;
    static float before[N], after[N], levels[N];
    nq_plan_options o = options_of(NQ_METHOD_UNIFORM, NQ_TARGET_STEP, 0.003, NQ_SCOPE_CHANNEL);
    fill(0, 3);
    file f = pack(&o, NULL, 3, all_dims, 1, weights, NULL);
    decode_all(before, &f, 1);
    nq_reader *r = open_file(&f);
    nq_decoder *d = decoder_of(r, 0);
    const float *old;
    size_t n;
    assert_int_equal(nq_decoder_codebook(d, &old, &n), NQ_OK);
    for (size_t i = 0; i < n; i++)
        levels[i] = 2 * old[i] + 1;
    nq_decoder_destroy(d);
    nq_reader_destroy(r);
    assert_int_equal(nq_file_set_levels(f.bytes, f.n, NULL, 0, levels, n - 1, NULL), NQ_E_ARG);
    assert_int_equal(nq_file_set_levels(f.bytes, f.n, NULL, 0, levels, n, NULL), NQ_OK);
    decode_all(after, &f, 1);
    for (size_t i = 0; i < N; i++)
        assert_true(after[i] == (float)(2 * before[i] + 1));
    free(f.bytes);
}

/* ---- Space --------------------------------------------------------------------------------- */

/* 512 channels of 16 levels take what the levels take, and little more; grids far less. */
static void test_space(void **state)
{
    (void)state;
    static float w[512 * 64];
    const uint64_t dims[] = {512, 64};
    uint64_t seed = 8;
    for (size_t i = 0; i < 512 * 64; i++)
        w[i] = (float)(unit_random_real(&seed) - 0.5) * (float)(1 + i / 64 % 7);
    for (unsigned is_grid = 0; is_grid < 2; is_grid++) {
        nq_plan_options o = options_of(is_grid ? NQ_METHOD_UNIFORM : NQ_METHOD_KMEANS,
                                       NQ_TARGET_LEVELS, 16, NQ_SCOPE_CHANNEL);
        o.level_rule = is_grid ? NQ_LEVEL_GRID : NQ_LEVEL_WEIGHTED;
        o.codec = NQ_CODEC_HUFFMAN;
        file f = pack(&o, NULL, 2, dims, 1, w, NULL);
        nq_reader *r = open_file(&f);
        const nq_tensor_info info = info_of(r, 0);
        nq_reader_info all;
        nq_reader_info_init(&all);
        assert_int_equal(nq_reader_get_info(r, &all), NQ_OK);
        assert_int_equal(all.n_codebooks, 1);
        assert_int_equal(all.n_code_tables, 1);
        const uint64_t tables = f.n - 64 - all.index_bytes - info.payload_bytes;
        assert_true(info.n_stored_levels <= 512 * 16);
        if (is_grid)
            assert_true(tables <= 512 * 16);
        else
            assert_true(tables <= 4 * info.n_stored_levels + 40);
        assert_true(all.index_bytes <= 100);
        nq_reader_destroy(r);
        free(f.bytes);
    }
}

/* ---- Shapes -------------------------------------------------------------------------------- */

/* A tensor that has no channels is quantized as a whole. */
static void test_without_channels(void **state)
{
    (void)state;
    static const struct {
        uint32_t rank;
        uint64_t dims[3];
        uint32_t axis;
    } cases[] = {{0, {0}, 0}, {1, {300}, 0}, {2, {30, 10}, 2}, {2, {1, 300}, 0},
                 {3, {30, 1, 10}, 1}, {2, {0, 7}, 0}};
    fill(0, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nq_plan_options o = options_of(NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, 4, NQ_SCOPE_CHANNEL);
        o.channel_axis = cases[i].axis;
        file f = pack(&o, NULL, cases[i].rank, cases[i].dims, 1, weights, NULL);
        o.scope = NQ_SCOPE_TENSOR;
        file whole = pack(&o, NULL, cases[i].rank, cases[i].dims, 1, weights, NULL);
        assert_int_equal(f.n, whole.n);
        assert_memory_equal(f.bytes, whole.bytes, f.n);
        nq_reader *r = open_file(&f);
        assert_int_equal(info_of(r, 0).channel_axis, NQ_NO_ID);
        assert_int_equal(info_of(r, 0).n_channels, 0);
        nq_reader_destroy(r);
        free(f.bytes);
        free(whole.bytes);
    }
}

/* A channel of one element has one level. */
static void test_channels_of_one(void **state)
{
    (void)state;
    const uint64_t dims[] = {1, 40};
    float got[40];
    nq_plan_options o = options_of(NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, 4, NQ_SCOPE_CHANNEL);
    o.channel_axis = 1;
    fill(2, 2);
    file f = pack(&o, NULL, 2, dims, 1, weights, NULL);
    nq_reader *r = open_file(&f);
    assert_int_equal(info_of(r, 0).n_stored_levels, 40);
    assert_int_equal(nq_reader_decode(r, NULL, 0, NQ_F32, 0, 40, got, NULL), NQ_OK);
    assert_memory_equal(got, weights, sizeof got);
    nq_reader_destroy(r);
    free(f.bytes);
}

/* One tensor by channels beside one that has its own scope. */
static void test_scopes_side_by_side(void **state)
{
    (void)state;
    nq_plan_options o = options_of(NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, 4, NQ_SCOPE_MODEL);
    nq_plan_tensor_options own;
    nq_plan_tensor_report report = {.struct_size = sizeof report};
    nq_plan_report all = {.struct_size = sizeof all};
    nq_sink *nowhere = NULL;
    const char *names[] = {"a", "b", "c"};
    nq_plan *plan = make_plan(&o, NULL);
    fill(1, 2);
    for (unsigned i = 0; i < 3; i++) {
        const nq_tensor t = make(names[i], 3, all_dims, weights);
        nq_plan_tensor_options_init(&own);
        own.scope = i == 1 ? NQ_SCOPE_CHANNEL : NQ_INHERIT;
        own.channel_axis = i == 1 ? 1 : NQ_INHERIT;
        assert_int_equal(nq_plan_add(plan, &t, NULL, &own), NQ_OK);
    }
    assert_int_equal(nq_plan_write(plan, nowhere), NQ_OK);
    static const uint32_t codebooks[] = {0, 1, 0}, channels[] = {0, 6, 0};
    assert_int_equal(nq_plan_get_report(plan, &all), NQ_OK);
    assert_int_equal(all.n_codebooks, 2);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(nq_plan_get_tensor_report(plan, i, &report), NQ_OK);
        assert_int_equal(report.codebook, codebooks[i]);
        assert_int_equal(report.n_channels, channels[i]);
        assert_int_equal(report.n_levels, 4);
    }
    nq_plan_destroy(plan);
}

/* ---- Targets ------------------------------------------------------------------------------- */

static void test_targets(void **state)
{
    (void)state;
    static const uint32_t methods[] = {NQ_METHOD_UNIFORM, NQ_METHOD_KMEANS, NQ_METHOD_ECSQ};
    fill(1, 12);
    for (unsigned i = 0; i < 9; i++) {
        nq_plan_options o = options_of(methods[i / 3], NQ_TARGET_FILE_BYTES, 1500,
                                       NQ_SCOPE_CHANNEL);
        o.channel_axis = 1;
        if (i % 3 == 1) {
            o.target = NQ_TARGET_SQNR_DB;
            o.target_value = 20;
        }
        o.allocate = i % 3 == 2 ? NQ_ALLOCATE_SLOPE : NQ_ALLOCATE_SAME;
        nq_plan *plan = make_plan(&o, NULL);
        nq_plan_report report = {.struct_size = sizeof report};
        const nq_tensor t = make("t", 3, all_dims, weights), h = make("h", 3, all_dims, importance);
        assert_int_equal(nq_plan_add(plan, &t, &h, NULL), NQ_OK);
        assert_int_equal(nq_plan_write(plan, NULL), NQ_OK);
        assert_int_equal(nq_plan_get_report(plan, &report), NQ_OK);
        if (i % 3 == 1)
            assert_true(report.sqnr_db >= 20 && report.sqnr_db < 21);
        else
            assert_true(report.compressed_bytes <= 1500 && report.compressed_bytes > 1400);
        nq_plan_destroy(plan);
    }
}

/* ---- Failures ------------------------------------------------------------------------------ */

/* The first bad weight in the tensor's order, not in that of channels. */
static void test_first_bad_weight(void **state)
{
    (void)state;
    nq_plan_options o = options_of(NQ_METHOD_UNIFORM, NQ_TARGET_STEP, 0.01, NQ_SCOPE_CHANNEL);
    nq_diag diag;
    o.channel_axis = 2;
    fill(0, 1);
    weights[5] = (float)NAN;
    weights[150 + 1] = (float)INFINITY; /* of a channel in front of it */
    nq_plan *plan = make_plan(&o, NULL);
    const nq_tensor t = make("t", 3, all_dims, weights);
    assert_int_equal(nq_plan_add(plan, &t, NULL, NULL), NQ_OK);
    assert_int_equal(nq_plan_solve(plan), NQ_E_NUMERIC);
    nq_diag_init(&diag);
    assert_int_equal(nq_plan_diag(plan, &diag), NQ_OK);
    assert_int_equal(diag.tensor, 0);
    assert_int_equal(diag.element, 5);
    nq_plan_destroy(plan);
}

/* ---- Memory -------------------------------------------------------------------------------- */

typedef struct memory {
    uint64_t left;
    uint64_t in_use;
} memory;

static void *limited_alloc(void *user, size_t n_bytes, size_t alignment)
{
    memory *m = user;
    if (m->left == 0)
        return NULL;
    m->left--;
    m->in_use += n_bytes;
    return aligned_alloc(alignment, (n_bytes + alignment - 1) / alignment * alignment);
}

static void limited_free(void *user, void *p, size_t n_bytes, size_t alignment)
{
    (void)alignment;
    ((memory *)user)->in_use -= n_bytes;
    free(p);
}

static nq_status write_nowhere(const nq_plan_options *o, const nq_ctx *ctx)
{
    const uint64_t dims[] = {3, 60};
    const nq_tensor t = make("t", 2, dims, weights), h = make("h", 2, dims, importance);
    nq_plan *plan = NULL;
    nq_status status = nq_plan_create(&plan, ctx, o);
    if (status == NQ_OK)
        status = nq_plan_add(plan, &t, &h, NULL);
    if (status == NQ_OK)
        status = nq_plan_write(plan, NULL);
    nq_plan_destroy(plan);
    return status;
}

/* Allocations fail one by one, behind the hundredth ever fewer; what was taken is given back. */
static void test_failing_memory(void **state)
{
    (void)state;
    fill(0, 14);
    for (uint32_t kind = 0; kind < 5; kind++) {
        nq_plan_options o =
            kind < 2   ? options_of(NQ_METHOD_UNIFORM, NQ_TARGET_STEP, 0.01, NQ_SCOPE_CHANNEL)
            : kind < 4 ? options_of(NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, 5, NQ_SCOPE_CHANNEL)
                       : options_of(NQ_METHOD_ECSQ, NQ_TARGET_FILE_BYTES, 300, NQ_SCOPE_CHANNEL);
        memory m = {.left = UINT64_MAX};
        nq_ctx_options options;
        nq_ctx *ctx;
        nq_status status = NQ_E_NOMEM;
        o.level_rule = kind == 1 ? NQ_LEVEL_GRID : NQ_LEVEL_WEIGHTED;
        o.density = kind % 2 ? 0.5 : 1;
        o.importance_mean = kind == 3 ? NQ_IMPORTANCE_CHANNEL_MEAN : NQ_IMPORTANCE_EACH;
        nq_ctx_options_init(&options);
        options.alloc = limited_alloc;
        options.free = limited_free;
        options.alloc_user = &m;
        assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
        const uint64_t before = m.in_use;
        for (uint64_t k = 0; status != NQ_OK; k += k < 100 ? 1 : k / 16) {
            m.left = k;
            status = write_nowhere(&o, ctx);
            assert_true(status == NQ_OK || status == NQ_E_NOMEM);
            assert_int_equal(m.in_use, before);
        }
        m.left = UINT64_MAX;
        nq_ctx_destroy(ctx);
        assert_int_equal(m.in_use, 0);
    }
}

/* ---- Workers ------------------------------------------------------------------------------- */

static nq_ctx *make_ctx(uint32_t n_workers, uint64_t cpu_disabled)
{
    nq_ctx_options o;
    nq_ctx *ctx;
    nq_ctx_options_init(&o);
    o.n_threads = HAVE_THREADS ? n_workers : 1;
    o.cpu_disabled = cpu_disabled;
    assert_int_equal(nq_ctx_create(&ctx, &o), NQ_OK);
    return ctx;
}

static void test_workers_and_masks(void **state)
{
    (void)state;
    static const uint32_t n_workers[] = {1, 2, 3, 7};
    nq_plan_options o = options_of(NQ_METHOD_ECSQ, NQ_TARGET_BITS_PER_WEIGHT, 3, NQ_SCOPE_CHANNEL);
    fill(0, 30);
    file first = pack(&o, NULL, 3, all_dims, 1, weights, importance);
    for (size_t i = 0; i < 4; i++) {
        nq_ctx *ctx = make_ctx(n_workers[i], i % 2 ? UINT64_MAX : 0);
        file f = pack(&o, ctx, 3, all_dims, 1, weights, importance);
        assert_int_equal(f.n, first.n);
        assert_memory_equal(f.bytes, first.bytes, f.n);
        free(f.bytes);
        nq_ctx_destroy(ctx);
    }
    free(first.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_averaged_importance),
        cmocka_unit_test(test_a_channel_without_importance),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_new_levels),
        cmocka_unit_test(test_space),
        cmocka_unit_test(test_without_channels),
        cmocka_unit_test(test_channels_of_one),
        cmocka_unit_test(test_scopes_side_by_side),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_first_bad_weight),
        cmocka_unit_test(test_failing_memory),
        cmocka_unit_test(test_workers_and_masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
