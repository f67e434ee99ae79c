/*
 * Plans, there and back: what a file decodes to is the level of each weight's cell, whatever the
 * types, shapes, names and rules; reports tell what an independent count finds.
 */
#include "unit.h"

#include <math.h>

#include "base/half.h"
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

static nq_sink sink_to(file *f)
{
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = write_file;
    sink.user = f;
    return sink;
}

static nq_tensor make(const char *name, uint32_t dtype, uint32_t rank, const uint64_t *dims,
                      const void *data)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = dtype;
    t.rank = rank;
    for (uint32_t i = 0; i < rank && i < NQ_MAX_RANK; i++)
        t.dims[i] = dims[i];
    t.name = name;
    t.name_bytes = (uint32_t)strlen(name);
    t.data = data;
    return t;
}

static nq_plan *plan_for(uint32_t target, double value, uint32_t rule, uint32_t codec)
{
    nq_plan_options o;
    nq_plan_options_init(&o);
    o.target = target;
    o.target_value = value;
    o.level_rule = rule;
    o.codec = codec;
    o.min_elements = 0;
    o.block_log2 = 10;
    nq_plan *plan;
    assert_int_equal(nq_plan_create(&plan, NULL, &o), NQ_OK);
    return plan;
}

static void add(nq_plan *plan, const nq_tensor *t, const nq_tensor *h)
{
    assert_int_equal(nq_plan_add(plan, t, h, NULL), NQ_OK);
}

static file write_plan(nq_plan *plan)
{
    file f = {NULL, 0};
    const nq_sink sink = sink_to(&f);
    assert_int_equal(nq_plan_write(plan, &sink), NQ_OK);
    return f;
}

static nq_plan_tensor_report tensor_report(const nq_plan *plan, uint64_t i)
{
    nq_plan_tensor_report r = {.struct_size = sizeof r};
    assert_int_equal(nq_plan_get_tensor_report(plan, i, &r), NQ_OK);
    return r;
}

static nq_plan_report plan_report(const nq_plan *plan)
{
    nq_plan_report r = {.struct_size = sizeof r};
    assert_int_equal(nq_plan_get_report(plan, &r), NQ_OK);
    return r;
}

static nq_diag plan_diag(const nq_plan *plan)
{
    nq_diag d;
    nq_diag_init(&d);
    assert_int_equal(nq_plan_diag(plan, &d), NQ_OK);
    return d;
}

/* ---- Oracle -------------------------------------------------------------------------------- */

static double value_at(const nq_tensor *t, uint64_t i)
{
    const uint8_t *p = t->data;
    switch (t->dtype) {
    case NQ_F32:
        return (double)nqi_load_f32(p + 4 * i);
    case NQ_F16:
        return (double)nqi_f16_to_f32(nqi_load_u16(p + 2 * i));
    case NQ_BF16:
        return (double)nqi_bf16_to_f32(nqi_load_u16(p + 2 * i));
    default: {
        double value;
        memcpy(&value, p + 8 * i, 8);
        return value;
    }
    }
}

static float round_to(float value, uint32_t dtype)
{
    return dtype == NQ_F16    ? nqi_f16_to_f32(nqi_f32_to_f16(value))
           : dtype == NQ_BF16 ? nqi_bf16_to_f32(nqi_f32_to_bf16(value))
                              : value;
}

static double cell_of(double w, double step)
{
    return (w < 0 ? -1 : 1) * floor(fabs(w) / step + 0.5);
}

static uint64_t count(const nq_tensor *t)
{
    uint64_t n;
    assert_int_equal(nq_tensor_elements(&n, t), NQ_OK);
    return n;
}

typedef struct opened {
    nq_reader *reader;
    nq_decoder *decoder;
    const float *levels;
    size_t n_levels;
    nq_tensor_info info;
} opened;

static opened open_tensor(const file *f, uint64_t i)
{
    opened o;
    nq_diag diag;
    nq_diag_init(&diag);
    nq_tensor_info_init(&o.info);
    assert_int_equal(nq_reader_open(&o.reader, NULL, f->bytes, f->n, &diag), NQ_OK);
    assert_int_equal(nq_reader_tensor(o.reader, i, &o.info), NQ_OK);
    assert_int_equal(nq_decoder_create(&o.decoder, NULL, o.reader, i, NULL, &diag), NQ_OK);
    assert_int_equal(nq_decoder_codebook(o.decoder, &o.levels, &o.n_levels), NQ_OK);
    return o;
}

static void close_tensor(opened *o)
{
    nq_decoder_destroy(o->decoder);
    nq_reader_destroy(o->reader);
}

/* A quantized tensor: two weights have one level exactly if they have one cell, levels rise with
 * cells, each is in its cell (to rounding), and decoding gives the level. */
static void check_quantized(const file *f, uint64_t i, const nq_tensor *t)
{
    opened o = open_tensor(f, i);
    const uint64_t n = count(t);
    uint16_t *indices = malloc(n * sizeof *indices + 1);
    float *values = malloc(n * sizeof *values + 1);
    double *cells = malloc(o.n_levels * sizeof *cells);
    assert_true(o.info.codec != NQ_CODEC_STORED && o.info.step > 0);
    assert_int_equal(nq_decoder_read_indices(o.decoder, 0, n, indices), NQ_OK);
    assert_int_equal(nq_decoder_read(o.decoder, NQ_F32, 0, n, values), NQ_OK);
    for (size_t k = 0; k < o.n_levels; k++) {
        cells[k] = (double)NAN;
        assert_true(k == 0 || o.levels[k] >= o.levels[k - 1]);
    }
    for (uint64_t e = 0; e < n; e++) {
        const double cell = cell_of(value_at(t, e), o.info.step);
        const uint16_t k = indices[e];
        assert_true(k < o.n_levels);
        assert_true(isnan(cells[k]) || cells[k] == cell);
        cells[k] = cell;
        assert_true(values[e] == o.levels[k]);
        const double level = (double)o.levels[k];
        assert_true(fabs(level - cell * o.info.step) <=
                    0.5 * o.info.step * (1 + 1e-9) + fabs(level) * 1e-7);
    }
    double last = -(double)INFINITY;
    for (size_t k = 0; k < o.n_levels; k++)
        if (!isnan(cells[k])) {
            assert_true(cells[k] > last);
            last = cells[k];
        }
    free(cells);
    free(values);
    free(indices);
    close_tensor(&o);
}

static void check_stored(const file *f, uint64_t i, const nq_tensor *t)
{
    opened o = open_tensor(f, i);
    const uint64_t n = count(t);
    const size_t n_bytes = (size_t)(n * nq_dtype_bits(t->dtype) / 8);
    uint8_t *bytes = malloc(n_bytes + 1);
    assert_int_equal(o.info.codec, NQ_CODEC_STORED);
    assert_int_equal(nq_decoder_read(o.decoder, t->dtype, 0, n, bytes), NQ_OK);
    if (n_bytes)
        assert_memory_equal(bytes, t->data, n_bytes);
    free(bytes);
    close_tensor(&o);
}

static bool near(double got, long double want)
{
    return fabsl((long double)got - want) <= 1e-9L * fabsl(want) + 1e-300L;
}

/* The tensor's report against its elements; h: one importance for each, or NULL. */
static void check_report(const nq_plan *plan, const file *f, uint64_t i, const nq_tensor *t,
                         const double *h)
{
    const nq_plan_tensor_report r = tensor_report(plan, i);
    opened o = open_tensor(f, i);
    const uint64_t n = count(t);
    float *values = malloc(n * sizeof *values + 1);
    long double squared = 0, weighted = 0, energy = 0, most = 0;
    assert_int_equal(nq_decoder_read(o.decoder, NQ_F32, 0, n, values), NQ_OK);
    for (uint64_t e = 0; e < n; e++) {
        const long double w = value_at(t, e), d = w - round_to(values[e], t->dtype);
        squared += d * d;
        weighted += (h ? h[e] : 1) * d * d;
        energy += w * w;
        most = fabsl(d) > most ? fabsl(d) : most;
    }
    assert_int_equal(r.n_elements, n);
    assert_int_equal(r.bytes, o.info.payload_bytes);
    assert_true(near(r.mse, n ? squared / (long double)n : 0));
    assert_true(near(r.weighted_distortion, weighted));
    assert_true(near(r.max_abs_error, most));
    assert_true(squared == 0  ? r.sqnr_db == (double)INFINITY
                : energy == 0 ? r.sqnr_db == -(double)INFINITY
                              : fabsl(r.sqnr_db - 10 * log10l(energy / squared)) < 1e-6L);
    free(values);
    close_tensor(&o);
}

/* Order-0 entropy of the decoded indices. */
static void check_entropy(const nq_plan *plan, const file *f, uint64_t i)
{
    opened o = open_tensor(f, i);
    uint16_t *indices = malloc(o.info.n_elements * sizeof *indices);
    uint64_t *counts = calloc(o.n_levels, sizeof *counts);
    long double bits = 0;
    assert_int_equal(nq_decoder_read_indices(o.decoder, 0, o.info.n_elements, indices), NQ_OK);
    for (uint64_t e = 0; e < o.info.n_elements; e++)
        counts[indices[e]]++;
    for (size_t k = 0; k < o.n_levels; k++)
        if (counts[k])
            bits -= (long double)counts[k] *
                    log2l((long double)counts[k] / (long double)o.info.n_elements);
    assert_true(fabsl(tensor_report(plan, i).entropy_bits - bits / (long double)o.info.n_elements) <
                1e-9L);
    free(counts);
    free(indices);
    close_tensor(&o);
}

static float gauss(uint64_t *seed)
{
    double sum = 0;
    for (int i = 0; i < 6; i++)
        sum += unit_random_real(seed);
    return (float)(sum / 1.4142);
}

/* ---- There and back ------------------------------------------------------------------------ */

enum { N = 5000 };

static float weights[N], other[N];
static uint16_t halves[N], brains[N];
static double importance[N];

static void fill(uint64_t seed)
{
    for (size_t i = 0; i < N; i++) {
        weights[i] = gauss(&seed);
        other[i] = 0.1f * gauss(&seed);
        halves[i] = nqi_f32_to_f16(gauss(&seed));
        brains[i] = nqi_f32_to_bf16(3 * gauss(&seed));
        importance[i] = exp(4 * (double)gauss(&seed));
    }
    weights[7] = -0.0f;
    weights[8] = 0x1p-149f;
    halves[5] = 0x7bff;
    halves[6] = 0xfbff;
    halves[7] = 1;
}

static void all_types_rules_and_codecs(void **state)
{
    (void)state;
    const uint64_t line[] = {N}, matrix[] = {50, 100};
    const uint32_t codecs[] = {NQ_CODEC_FIXED, NQ_CODEC_HUFFMAN, NQ_CODEC_RANS, NQ_CODEC_AUTO};
    fill(1);
    const nq_tensor t[] = {
        make("a", NQ_F32, 1, line, weights), make("b", NQ_F16, 2, matrix, halves),
        make("c", NQ_BF16, 1, line, brains), make("d", NQ_F32, 2, matrix, other)};
    const nq_tensor h = make("", NQ_F64, 1, line, importance);
    const nq_tensor h2 = make("", NQ_F64, 2, matrix, importance);
    for (uint32_t codec = 0; codec < NQI_COUNT(codecs); codec++)
        for (uint32_t rule = 0; rule < 3; rule++)
            for (uint32_t way = 0; way < 4; way++) {
                nq_plan *plan = plan_for(way % 2 ? NQ_TARGET_LEVELS : NQ_TARGET_STEP,
                                         way % 2 ? 40 : 0.05, rule, codecs[codec]);
                for (uint32_t i = 0; i < 4; i++)
                    add(plan, &t[i], way < 2 ? NULL : t[i].rank == 2 ? &h2 : &h);
                file f = write_plan(plan);
                nq_distortion sum;
                nq_distortion_init(&sum);
                uint64_t n_bytes = 0;
                for (uint32_t i = 0; i < 4; i++) {
                    check_quantized(&f, i, &t[i]);
                    check_report(plan, &f, i, &t[i], way < 2 ? NULL : importance);
                    check_entropy(plan, &f, i);
                    const nq_plan_tensor_report r = tensor_report(plan, i);
                    assert_int_equal(r.is_quantized, 1);
                    assert_true(codecs[codec] == NQ_CODEC_AUTO || r.codec == codecs[codec]);
                    assert_true(way % 2 == 0 || r.n_levels <= 40);
                    n_bytes += r.bytes;
                }
                const nq_plan_report r = plan_report(plan);
                assert_int_equal(r.compressed_bytes, f.n);
                assert_true(n_bytes < f.n);
                assert_int_equal(r.n_codebooks, 1);
                assert_int_equal(r.n_elements, 4 * N);
                assert_int_equal(r.n_quantized_elements, 4 * N);
                assert_int_equal(r.original_bytes, 12 * N);
                assert_true(near(r.ratio, 12.0L * N / (long double)f.n));
                assert_true(near(r.bits_per_weight, 8.0L * (long double)f.n / (4 * N)));
                free(f.bytes);
                nq_plan_destroy(plan);
            }
}

/* The code that AUTO takes is never worse than the best of the others. */
static void auto_takes_the_smallest(void **state)
{
    (void)state;
    const uint64_t line[] = {N};
    fill(2);
    const nq_tensor t[] = {make("a", NQ_F32, 1, line, weights), make("b", NQ_F32, 1, line, other)};
    for (double step = 2; step > 1e-3; step /= 3) {
        size_t sizes[4];
        const uint32_t codecs[] = {NQ_CODEC_AUTO, NQ_CODEC_FIXED, NQ_CODEC_HUFFMAN, NQ_CODEC_RANS};
        for (uint32_t i = 0; i < 4; i++) {
            nq_plan *plan = plan_for(NQ_TARGET_STEP, step, NQ_LEVEL_MEAN, codecs[i]);
            add(plan, &t[0], NULL);
            add(plan, &t[1], NULL);
            file f = write_plan(plan);
            sizes[i] = f.n;
            free(f.bytes);
            nq_plan_destroy(plan);
        }
        /* What a block's padding is estimated at: 16 bytes, five blocks in each tensor. */
        for (uint32_t i = 1; i < 4; i++)
            assert_true(sizes[0] <= sizes[i] + 160);
    }
}

static void odd_tensors(void **state)
{
    (void)state;
    static const float zeros[600];
    static const float one[1] = {-2.5f};
    float same[100];
    const int32_t ints[] = {1, -2, 3};
    const double doubles[] = {1, (double)NAN};
    for (size_t i = 0; i < 100; i++)
        same[i] = 0.3f;
    fill(3);
    const uint64_t six[] = {600}, hundred[] = {100}, none[] = {3, 0, 2}, three[] = {3}, two[] = {2};
    const uint64_t eight[] = {2, 1, 3, 1, 5, 2, 1, 7};
    const nq_tensor t[] = {
        make("zeros", NQ_F32, 1, six, zeros),   make("one", NQ_F32, 0, NULL, one),
        make("same", NQ_F32, 1, hundred, same), make("none", NQ_F16, 3, none, NULL),
        make("", NQ_F32, 8, eight, weights),    make("a/b.c \xc3\xa9\n\"", NQ_F16, 1, six, halves),
        make("ints", NQ_I32, 1, three, ints),   make("doubles", NQ_F64, 1, two, doubles)};
    for (uint32_t way = 0; way < 4; way++) {
        nq_plan *plan = plan_for(way % 2 ? NQ_TARGET_LEVELS : NQ_TARGET_STEP, way % 2 ? 1 : 0.01,
                                 way < 2 ? NQ_LEVEL_WEIGHTED : NQ_LEVEL_GRID, NQ_CODEC_AUTO);
        for (size_t i = 0; i < NQI_COUNT(t); i++)
            add(plan, &t[i], NULL);
        file f = write_plan(plan);
        for (size_t i = 0; i < NQI_COUNT(t); i++) {
            const bool is_quantized = t[i].dtype <= NQ_BF16 && count(&t[i]) > 0;
            assert_int_equal(tensor_report(plan, i).is_quantized, is_quantized);
            if (is_quantized)
                check_quantized(&f, i, &t[i]);
            else
                check_stored(&f, i, &t[i]);
            opened o = open_tensor(&f, i);
            assert_int_equal(o.info.name_bytes, t[i].name_bytes);
            assert_memory_equal(o.info.name, t[i].name, t[i].name_bytes);
            assert_int_equal(o.info.rank, t[i].rank);
            for (uint32_t k = 0; k < t[i].rank; k++)
                assert_int_equal(o.info.dims[k], t[i].dims[k]);
            close_tensor(&o);
        }
        free(f.bytes);
        nq_plan_destroy(plan);
    }
    /* Each alone, with a codebook of its own. */
    for (size_t i = 0; i < 6; i++)
        for (uint32_t way = 0; way < 2; way++) {
            nq_plan *plan = plan_for(way ? NQ_TARGET_LEVELS : NQ_TARGET_STEP, way ? 65536 : 0.5,
                                     NQ_LEVEL_WEIGHTED, NQ_CODEC_AUTO);
            add(plan, &t[i], NULL);
            file f = write_plan(plan);
            if (count(&t[i]) > 0)
                check_quantized(&f, 0, &t[i]);
            /* Enough levels for every value, but that 2^-149 and -0 are in cell 0 together: cells
             * are numbered to 2^61 only. */
            if (count(&t[i]) > 0 && way)
                assert_true(tensor_report(plan, 0).mse < 1e-80);
            free(f.bytes);
            nq_plan_destroy(plan);
        }
}

static void an_empty_plan(void **state)
{
    (void)state;
    nq_plan *plan = plan_for(NQ_TARGET_STEP, 1, NQ_LEVEL_MEAN, NQ_CODEC_AUTO);
    assert_int_equal(nq_plan_add_metadata(plan, "key", 3, "value", 5), NQ_OK);
    assert_int_equal(nq_plan_add_metadata(plan, NULL, 0, NULL, 0), NQ_OK);
    file f = write_plan(plan);
    nq_reader *reader;
    assert_int_equal(nq_reader_open(&reader, NULL, f.bytes, f.n, NULL), NQ_OK);
    const char *key, *value;
    size_t key_bytes, value_bytes;
    assert_int_equal(nq_reader_metadata(reader, 0, &key, &key_bytes, &value, &value_bytes), NQ_OK);
    assert_true(key_bytes == 3 && memcmp(key, "key", 3) == 0);
    assert_true(value_bytes == 5 && memcmp(value, "value", 5) == 0);
    assert_int_equal(nq_reader_metadata(reader, 2, &key, &key_bytes, &value, &value_bytes),
                     NQ_E_ARG);
    nq_reader_destroy(reader);
    const nq_plan_report r = plan_report(plan);
    assert_true(r.compressed_bytes == f.n && r.bits_per_weight == 0 && r.mse == 0);
    free(f.bytes);
    nq_plan_destroy(plan);
}

/* ---- Who shares ---------------------------------------------------------------------------- */

static void keep_and_own_targets(void **state)
{
    (void)state;
    const uint64_t line[] = {N}, few[] = {10};
    const float unfit[10] = {1, NAN, INFINITY};
    fill(4);
    const nq_tensor t[] = {
        make("shared 1", NQ_F32, 1, line, weights), make("own step", NQ_F32, 1, line, weights),
        make("kept", NQ_F32, 1, line, weights),     make("few", NQ_F32, 1, few, unfit),
        make("few too", NQ_F32, 1, few, weights),   make("own levels", NQ_F32, 1, line, weights),
        make("shared 2", NQ_F32, 1, line, other),   make("alone", NQ_F32, 1, line, other),
        make("grid", NQ_F32, 1, line, other)};
    nq_plan_options o;
    nq_plan_options_init(&o);
    o.target = NQ_TARGET_STEP;
    o.target_value = 0.1;
    nq_plan *plan;
    assert_int_equal(nq_plan_create(&plan, NULL, &o), NQ_OK);
    for (size_t i = 0; i < NQI_COUNT(t); i++) {
        nq_plan_tensor_options own;
        nq_plan_tensor_options_init(&own);
        if (i == 1 || i == 5) {
            own.target = i == 1 ? NQ_TARGET_STEP : NQ_TARGET_LEVELS;
            own.target_value = i == 1 ? 0.3 : 5;
        }
        own.keep = i == 2 ? NQ_KEEP_ALWAYS : i == 4 ? NQ_KEEP_NEVER : NQ_KEEP_AUTO;
        own.scope = i == 7 ? NQ_SCOPE_TENSOR : NQ_INHERIT;
        own.level_rule = i == 8 ? NQ_LEVEL_GRID : NQ_INHERIT;
        assert_int_equal(nq_plan_add(plan, &t[i], NULL, &own), NQ_OK);
    }
    file f = write_plan(plan);
    const uint32_t codebook = tensor_report(plan, 0).codebook;
    for (size_t i = 0; i < NQI_COUNT(t); i++) {
        const nq_plan_tensor_report r = tensor_report(plan, i);
        opened opened_tensor = open_tensor(&f, i);
        assert_int_equal(r.codebook, opened_tensor.info.codebook);
        assert_true(r.step == opened_tensor.info.step);
        assert_int_equal(r.n_levels, opened_tensor.info.n_levels);
        assert_int_equal(r.level_rule, opened_tensor.info.level_rule);
        assert_int_equal(r.codec, opened_tensor.info.codec);
        close_tensor(&opened_tensor);
        assert_int_equal(r.codebook == codebook, i == 0 || i == 4 || i == 6);
        if (i == 2 || i == 3)
            check_stored(&f, i, &t[i]);
        else
            check_quantized(&f, i, &t[i]);
    }
    assert_true(tensor_report(plan, 1).step == 0.3 && tensor_report(plan, 7).step == 0.1);
    assert_true(tensor_report(plan, 5).n_levels <= 5);
    assert_int_equal(plan_report(plan).n_codebooks, 5);
    assert_int_equal(plan_report(plan).n_quantized_elements, 6 * N + 10);
    free(f.bytes);
    nq_plan_destroy(plan);
}

/* ---- Importance ---------------------------------------------------------------------------- */

static void importance_broadcasts(void **state)
{
    (void)state;
    const uint64_t dims[] = {10, 20, 25};
    const struct {
        uint32_t rank;
        uint64_t dims[3];
    } shapes[] = {{3, {10, 20, 25}}, {0, {0}},         {1, {25}},       {3, {10, 1, 1}},
                  {2, {20, 1}},      {3, {10, 1, 25}}, {3, {1, 20, 1}}, {2, {20, 25}}};
    fill(5);
    const nq_tensor t = make("t", NQ_F32, 3, dims, weights);
    double expanded[N];
    for (size_t s = 0; s < NQI_COUNT(shapes); s++) {
        const nq_tensor h = make("", NQ_F64, shapes[s].rank, shapes[s].dims, importance);
        for (uint64_t i = 0; i < N; i++) {
            const uint64_t at[] = {i / 500, i / 25 % 20, i % 25};
            uint64_t index = 0;
            for (uint32_t k = 0; k < h.rank; k++)
                index = index * h.dims[k] + (h.dims[k] == 1 ? 0 : at[3 - h.rank + k]);
            expanded[i] = importance[index];
        }
        const nq_tensor whole = make("", NQ_F64, 3, dims, expanded);
        nq_plan *a = plan_for(NQ_TARGET_STEP, 0.2, NQ_LEVEL_WEIGHTED, NQ_CODEC_AUTO);
        nq_plan *b = plan_for(NQ_TARGET_STEP, 0.2, NQ_LEVEL_WEIGHTED, NQ_CODEC_AUTO);
        add(a, &t, &h);
        add(b, &t, &whole);
        file x = write_plan(a), y = write_plan(b);
        assert_int_equal(x.n, y.n);
        assert_memory_equal(x.bytes, y.bytes, x.n);
        check_report(a, &x, 0, &t, expanded);
        free(x.bytes);
        free(y.bytes);
        nq_plan_destroy(a);
        nq_plan_destroy(b);
    }
}

/* Levels of one cell against max(h, F mean h)^P, averaged as asked for. */
static void importance_is_shaped(void **state)
{
    (void)state;
    const float w[] = {0.1f, 0.2f, 0.3f, 0.4f, 0.15f, 0.25f};
    const double huge = 1e300, tiny = 1e-300;
    const double h[] = {1, 2, 50, 3, 0, 4};
    const uint64_t dims[] = {2, 3};
    const double powers[] = {1, 0.5, 2, 0}, floors[] = {0, 0.001, 1};
    for (uint32_t mean = 0; mean < 3; mean++)
        for (uint32_t axis = 0; axis < 2; axis++)
            for (uint32_t k = 0; k < 36; k++) {
                const double scale = k / 12 == 0 ? 1 : k / 12 == 1 ? huge : tiny;
                double given[6], used[6], sum = 0;
                for (size_t i = 0; i < 6; i++)
                    given[i] = h[i] * scale;
                for (size_t i = 0; i < 6; i++) {
                    double total = 0;
                    uint32_t n = 0;
                    for (size_t j = 0; j < 6; j++) {
                        const bool same = mean == 0   ? i == j
                                          : mean == 1 ? true
                                          : axis == 0 ? i / 3 == j / 3
                                                      : i % 3 == j % 3;
                        total += same ? h[j] : 0;
                        n += same;
                    }
                    used[i] = total / n;
                    sum += h[i];
                }
                long double moments = 0, all = 0;
                for (size_t i = 0; i < 6; i++) {
                    const double least = floors[k % 3] * sum / 6;
                    const double shaped = pow(used[i] < least ? least : used[i], powers[k / 3 % 4]);
                    moments += (long double)shaped * w[i];
                    all += shaped;
                }
                nq_plan_options o;
                nq_plan_options_init(&o);
                o.target = NQ_TARGET_STEP;
                o.target_value = 1;
                o.min_elements = 0;
                o.importance_mean = mean;
                o.channel_axis = axis;
                o.importance_power = powers[k / 3 % 4];
                o.importance_floor = floors[k % 3];
                const nq_tensor t = make("t", NQ_F32, 2, dims, w);
                const nq_tensor x = make("", NQ_F64, 2, dims, given);
                nq_plan *plan;
                assert_int_equal(nq_plan_create(&plan, NULL, &o), NQ_OK);
                add(plan, &t, &x);
                file f = write_plan(plan);
                opened opened_tensor = open_tensor(&f, 0);
                assert_int_equal(opened_tensor.n_levels, 1);
                assert_true(fabsl((long double)opened_tensor.levels[0] - moments / all) < 1e-7L);
                close_tensor(&opened_tensor);
                free(f.bytes);
                nq_plan_destroy(plan);
            }
}

/* Averages of tensors of several chunks, whose channels do not end where chunks do. */
static void importance_is_averaged_over_chunks(void **state)
{
    (void)state;
    enum { ROWS = 7, COLUMNS = 100003, ALL = ROWS * COLUMNS };
    float *w = malloc(ALL * sizeof *w);
    double *h = malloc(ALL * sizeof *h);
    const uint64_t shapes[][3] = {{ROWS, COLUMNS, 1}, {COLUMNS, ROWS, 1}, {ALL, 1, 1}};
    uint64_t seed = 11;
    for (size_t i = 0; i < ALL; i++) {
        w[i] = (float)(0.3 * unit_random_real(&seed));
        h[i] = 2 + unit_random_real(&seed) + (i % COLUMNS < 500 ? 40 : 0);
    }
    for (uint32_t k = 0; k < 3 * 3; k++) {
        const uint64_t *dims = shapes[k / 3];
        const uint32_t axis = k % 3;
        uint64_t inner = 1;
        for (uint32_t i = axis + 1; i < 3; i++)
            inner *= dims[i];
        double *means = calloc(dims[axis], sizeof *means);
        for (size_t i = 0; i < ALL; i++)
            means[i / inner % dims[axis]] += h[i] * (double)dims[axis] / ALL;
        long double moments = 0, all = 0;
        for (size_t i = 0; i < ALL; i++) {
            moments += (long double)means[i / inner % dims[axis]] * w[i];
            all += means[i / inner % dims[axis]];
        }
        nq_plan_options o;
        nq_plan_options_init(&o);
        o.target = NQ_TARGET_STEP;
        o.target_value = 1;
        o.importance_mean = NQ_IMPORTANCE_CHANNEL_MEAN;
        o.channel_axis = axis;
        const nq_tensor t = make("t", NQ_F32, 3, dims, w);
        const nq_tensor x = make("", NQ_F64, 3, dims, h);
        nq_plan *plan;
        assert_int_equal(nq_plan_create(&plan, NULL, &o), NQ_OK);
        add(plan, &t, &x);
        file f = write_plan(plan);
        opened opened_tensor = open_tensor(&f, 0);
        assert_int_equal(opened_tensor.n_levels, 1);
        assert_true(fabsl((long double)opened_tensor.levels[0] - moments / all) < 1e-9L);
        close_tensor(&opened_tensor);
        free(f.bytes);
        free(means);
        nq_plan_destroy(plan);
    }
    free(w);
    free(h);
}

static void importance_that_is_all_zero(void **state)
{
    (void)state;
    static const double zeros[N];
    const uint64_t line[] = {N};
    fill(6);
    const nq_tensor t = make("t", NQ_F32, 1, line, weights);
    const nq_tensor none = make("", NQ_F64, 1, line, zeros);
    const nq_tensor some = make("", NQ_F64, 1, line, importance);
    nq_plan *a = plan_for(NQ_TARGET_STEP, 0.1, NQ_LEVEL_WEIGHTED, NQ_CODEC_AUTO);
    nq_plan *b = plan_for(NQ_TARGET_STEP, 0.1, NQ_LEVEL_WEIGHTED, NQ_CODEC_AUTO);
    nq_plan *c = plan_for(NQ_TARGET_STEP, 0.1, NQ_LEVEL_WEIGHTED, NQ_CODEC_AUTO);
    add(a, &t, &none);
    add(b, &t, NULL);
    add(c, &t, &some);
    file x = write_plan(a), y = write_plan(b), z = write_plan(c);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.bytes, y.bytes, x.n);
    assert_true(z.n != y.n || memcmp(z.bytes, y.bytes, z.n) != 0);
    assert_int_equal(tensor_report(a, 0).ignores_importance, 1);
    assert_int_equal(tensor_report(b, 0).ignores_importance, 0);
    assert_int_equal(tensor_report(c, 0).ignores_importance, 0);
    assert_true(tensor_report(a, 0).weighted_distortion == 0);
    free(x.bytes);
    free(y.bytes);
    free(z.bytes);
    nq_plan_destroy(a);
    nq_plan_destroy(b);
    nq_plan_destroy(c);
}

/* ---- Numbers that are none ----------------------------------------------------------------- */

static void unfit_numbers_are_found_first_to_last(void **state)
{
    (void)state;
    const uint64_t line[] = {N};
    const float unfit[] = {NAN, INFINITY, -INFINITY};
    const double bad[] = {(double)NAN, (double)INFINITY, -1, -1e-300};
    const size_t places[] = {0, 1, 1023, 1024, N - 1};
    float *w[3];
    double *h[3];
    for (size_t i = 0; i < 3; i++) {
        w[i] = malloc(N * sizeof(float));
        h[i] = malloc(N * sizeof(double));
    }
    for (uint32_t round = 0; round < 3 * 5 * 4 * 2; round++) {
        const bool is_importance = round % 2;
        const size_t which = round / 2 % 3, place = places[round / 6 % 5];
        fill(7);
        for (size_t i = 0; i < 3; i++) {
            memcpy(w[i], weights, sizeof weights);
            memcpy(h[i], importance, sizeof importance);
        }
        /* The first; others behind it, in other codebooks too. */
        if (is_importance)
            h[which][place] = bad[round % 4];
        else
            w[which][place] = unfit[round % 3];
        if (place + 1 < N)
            w[which][N - 1] = NAN;
        if (which < 2)
            h[2][0] = -1;
        nq_plan *plan = plan_for(NQ_TARGET_STEP, 0.1, NQ_LEVEL_WEIGHTED, NQ_CODEC_AUTO);
        for (size_t i = 0; i < 3; i++) {
            const char *names[] = {"a", "b", "c"};
            const nq_tensor t = make(names[i], NQ_F32, 1, line, w[i]);
            const nq_tensor x = make("", NQ_F64, 1, line, h[i]);
            nq_plan_tensor_options own;
            nq_plan_tensor_options_init(&own);
            own.scope = i == 1 && round % 3 ? NQ_SCOPE_TENSOR : NQ_INHERIT;
            assert_int_equal(nq_plan_add(plan, &t, &x, &own), NQ_OK);
        }
        assert_int_equal(nq_plan_solve(plan), NQ_E_NUMERIC);
        const nq_diag d = plan_diag(plan);
        assert_int_equal(d.status, NQ_E_NUMERIC);
        assert_int_equal(d.tensor, which);
        assert_int_equal(d.element, place);
        assert_true(d.what[0] != 0);
        nq_plan_destroy(plan);
    }
    for (size_t i = 0; i < 3; i++) {
        free(w[i]);
        free(h[i]);
    }
}

/* Too many levels: the record names the smallest step that works, and it works. */
static void too_many_levels(void **state)
{
    (void)state;
    const uint64_t n = NQ_MAX_LEVELS + 1, all[] = {n}, most[] = {n - 1};
    float *w = malloc(n * sizeof *w);
    for (uint64_t i = 0; i < n; i++)
        w[i] = (float)i;
    const nq_tensor fits = make("t", NQ_F32, 1, most, w), t = make("t", NQ_F32, 1, all, w);
    nq_plan *plan = plan_for(NQ_TARGET_STEP, 1, NQ_LEVEL_MEAN, NQ_CODEC_AUTO);
    add(plan, &fits, NULL);
    file f = write_plan(plan);
    assert_int_equal(tensor_report(plan, 0).n_levels, NQ_MAX_LEVELS);
    check_quantized(&f, 0, &fits);
    free(f.bytes);
    nq_plan_destroy(plan);
    plan = plan_for(NQ_TARGET_STEP, 1, NQ_LEVEL_MEAN, NQ_CODEC_AUTO);
    add(plan, &t, NULL);
    assert_int_equal(nq_plan_solve(plan), NQ_E_LIMIT);
    const double works = plan_diag(plan).value;
    assert_true(works > 1 && works < 1.001);
    nq_plan_destroy(plan);
    plan = plan_for(NQ_TARGET_STEP, works, NQ_LEVEL_MEAN, NQ_CODEC_AUTO);
    add(plan, &t, NULL);
    assert_int_equal(nq_plan_solve(plan), NQ_OK);
    nq_plan_destroy(plan);
    plan = plan_for(NQ_TARGET_STEP, nextafter(works, 0), NQ_LEVEL_MEAN, NQ_CODEC_AUTO);
    add(plan, &t, NULL);
    assert_int_equal(nq_plan_solve(plan), NQ_E_LIMIT);
    nq_plan_destroy(plan);
    free(w);
}

static void large_beside_small(void **state)
{
    (void)state;
    const float w[] = {1e8f, -1e-6f, 1e-6f, 2e-6f, 0, -1e8f, 3};
    const uint64_t line[] = {NQI_COUNT(w)};
    const nq_tensor t = make("t", NQ_F32, 1, line, w);
    for (uint32_t way = 0; way < 3; way++) {
        nq_plan *plan = plan_for(way ? NQ_TARGET_LEVELS : NQ_TARGET_STEP, way == 0 ? 1e-7 : 7,
                                 way == 2 ? NQ_LEVEL_GRID : NQ_LEVEL_MEAN, NQ_CODEC_AUTO);
        add(plan, &t, NULL);
        file f = write_plan(plan);
        check_quantized(&f, 0, &t);
        assert_int_equal(tensor_report(plan, 0).n_levels, 7);
        if (way < 2)
            assert_true(tensor_report(plan, 0).mse == 0);
        free(f.bytes);
        nq_plan_destroy(plan);
    }
}

/* ---- k-means ------------------------------------------------------------------------------- */

/* A plan finds the levels that nq_kmeans does, whatever the way. */
static void check_kmeans(uint32_t method, uint32_t start, uint64_t seed, const nq_tensor *t,
                         const nq_tensor *h)
{
    nq_kmeans_options k;
    nq_plan_options o;
    nq_codebook *codebook;
    nq_plan *plan;
    nq_codebook_report report = {.struct_size = sizeof report};
    const float *levels;
    size_t n_levels;
    nq_reader *r;
    nq_decoder *d;
    nq_kmeans_options_init(&k);
    k.n_levels = 13;
    k.method = method;
    k.start = start;
    k.seed = seed;
    assert_int_equal(nq_kmeans(&codebook, NULL, NULL, &t, &h, 1, &k, NULL), NQ_OK);
    nq_plan_options_init(&o);
    o.method = NQ_METHOD_KMEANS;
    o.target = NQ_TARGET_LEVELS;
    o.target_value = 13;
    o.importance_floor = 0;
    o.kmeans = method;
    o.kmeans_start = start;
    o.kmeans_seed = seed;
    assert_int_equal(nq_plan_create(&plan, NULL, &o), NQ_OK);
    add(plan, t, h);
    file f = write_plan(plan);
    nq_plan_destroy(plan);
    assert_int_equal(nq_reader_open(&r, NULL, f.bytes, f.n, NULL), NQ_OK);
    assert_int_equal(nq_decoder_create(&d, NULL, r, 0, NULL, NULL), NQ_OK);
    assert_int_equal(nq_decoder_codebook(d, &levels, &n_levels), NQ_OK);
    assert_int_equal(nq_codebook_get_report(codebook, &report), NQ_OK);
    assert_int_equal(n_levels, report.n_levels);
    assert_memory_equal(levels, nq_codebook_levels(codebook), n_levels * sizeof *levels);
    nq_decoder_destroy(d);
    nq_reader_destroy(r);
    nq_codebook_destroy(codebook);
    free(f.bytes);
}

static void test_ways_of_kmeans(void **state)
{
    (void)state;
    enum { N_KMEANS = 4000 };
    static float w[N_KMEANS], importance[N_KMEANS];
    const uint64_t dims[] = {N_KMEANS};
    uint64_t seed = 3;
    nq_plan_options o;
    nq_plan *plan;
    for (size_t i = 0; i < N_KMEANS; i++) {
        w[i] = (float)(unit_random_real(&seed) * unit_random_real(&seed) - 0.2);
        importance[i] = (float)fabs(unit_random_real(&seed));
    }
    const nq_tensor t = make("t", NQ_F32, 1, dims, w), h = make("h", NQ_F32, 1, dims, importance);
    check_kmeans(NQ_KMEANS_OPTIMAL, NQ_START_LINEAR, 0, &t, &h);
    check_kmeans(NQ_KMEANS_EXACT, NQ_START_LINEAR, 0, &t, &h);
    check_kmeans(NQ_KMEANS_LLOYD, NQ_START_LINEAR, 0, &t, &h);
    for (uint64_t i = 0; i < 3; i++)
        check_kmeans(NQ_KMEANS_LLOYD, NQ_START_PLUS_PLUS, i, &t, &h);
    nq_plan_options_init(&o);
    o.kmeans = NQ_KMEANS_LLOYD + 1;
    assert_int_equal(nq_plan_create(&plan, NULL, &o), NQ_E_ARG);
    nq_plan_options_init(&o);
    o.kmeans_start = NQ_START_GIVEN;
    assert_int_equal(nq_plan_create(&plan, NULL, &o), NQ_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_types_rules_and_codecs),
        cmocka_unit_test(auto_takes_the_smallest),
        cmocka_unit_test(odd_tensors),
        cmocka_unit_test(an_empty_plan),
        cmocka_unit_test(keep_and_own_targets),
        cmocka_unit_test(importance_broadcasts),
        cmocka_unit_test(importance_is_shaped),
        cmocka_unit_test(importance_is_averaged_over_chunks),
        cmocka_unit_test(importance_that_is_all_zero),
        cmocka_unit_test(unfit_numbers_are_found_first_to_last),
        cmocka_unit_test(too_many_levels),
        cmocka_unit_test(large_beside_small),
        cmocka_unit_test(test_ways_of_kmeans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
