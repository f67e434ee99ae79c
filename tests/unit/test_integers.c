/*
 * Quantized tensors as integers: weights that are made as a whole number times a step, and a little
 * besides, come back as these numbers, and numbers of the caller's choice as indices have them.
 */
#include <math.h>

#include "codec/checksum.h"
#include "container/writer.h"
#include "nq_model.h"

enum { N = 20000 };

static const uint64_t masks[] = {0, NQ_CPU_AVX512VBMI2, NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2,
                                 NQ_CPU_ALL};

static nq_status store(void *user, uint64_t offset, const void *at, size_t n)
{
    bytes *file = user;
    if (offset + n > file->capacity) {
        file->capacity = 2 * (size_t)(offset + n);
        file->at = realloc(file->at, file->capacity);
        assert_non_null(file->at);
    }
    file->n = offset + n > file->n ? (size_t)offset + n : file->n;
    memcpy(file->at + offset, at, n);
    return NQ_OK;
}

static nq_sink sink_to(bytes *file)
{
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = store;
    sink.user = file;
    return sink;
}

/* Numbers from least to greatest, both among them, and N weights that they are the cells of. */
static void draw(int32_t *cells, float *weights, int32_t least, int32_t greatest, double step)
{
    uint64_t seed = (uint64_t)(uint32_t)least;
    for (size_t i = 0; i < N; i++) {
        const uint64_t span = (uint64_t)((int64_t)greatest - least) + 1;
        cells[i] = i == 7   ? greatest
                   : i == 8 ? least
                            : least + (int32_t)(unit_random(&seed) % span);
        weights[i] = (float)(step * ((double)cells[i] + 0.3 * unit_random_real(&seed)));
    }
}

static bytes quantize(const float *weights, double step, uint32_t level_rule)
{
    nq_plan_options options;
    nq_plan *plan;
    nq_tensor t;
    bytes file = {0};
    const nq_sink sink = sink_to(&file);
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_STEP;
    options.target_value = step;
    options.level_rule = level_rule;
    options.block_log2 = 13;
    nq_tensor_init(&t);
    t.dtype = NQ_F32;
    t.rank = 2;
    t.dims[0] = 40;
    t.dims[1] = N / 40;
    t.name = "w";
    t.name_bytes = 1;
    t.data = weights;
    assert_int_equal(nq_plan_create(&plan, NULL, &options), NQ_OK);
    assert_int_equal(nq_plan_add(plan, &t, NULL, NULL), NQ_OK);
    assert_int_equal(nq_plan_write(plan, &sink), NQ_OK);
    nq_plan_destroy(plan);
    return file;
}

static nq_decoder *decoder_with(const nq_reader *r, uint64_t cpu_disabled, uint32_t flags)
{
    nq_decoder_options options;
    nq_decoder *d;
    nq_decoder_options_init(&options);
    options.cpu_disabled = cpu_disabled;
    options.flags = flags;
    assert_int_equal(nq_decoder_create(&d, NULL, r, 0, &options, NULL), NQ_OK);
    return d;
}

static int32_t number_at(const void *numbers, uint32_t dtype, size_t i)
{
    return dtype == NQ_I8 ? ((const int8_t *)numbers)[i] : ((const int16_t *)numbers)[i];
}

static void check_numbers(const nq_reader *r, uint32_t dtype, const int32_t *cells, size_t n)
{
    int16_t *found = malloc(n * sizeof *found);
    for (size_t k = 0; k < sizeof masks / sizeof *masks; k++)
        for (uint64_t first = 0; first < n; first += 1 + n / 3) {
            nq_decoder *d = decoder_with(r, masks[k], k == 1 ? NQ_DECODER_SMALL_TABLES : 0);
            assert_int_equal(nq_decoder_read(d, dtype, first, n - first, found), NQ_OK);
            for (size_t i = 0; i < n - first; i++)
                assert_int_equal(number_at(found, dtype, i), cells[first + i]);
            nq_decoder_destroy(d);
        }
    assert_int_equal(nq_reader_decode(r, NULL, 0, dtype, 0, n, found, NULL), NQ_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(number_at(found, dtype, i), cells[i]);
    free(found);
}

static void grids(void **state)
{
    static const struct {
        int32_t least, greatest;
        double step;
        bool fits_i8, fits_i16;
    } cases[] = {
        {-3, 3, 0.05, true, true},         {-8, 7, 0.1, true, true},
        {-16, 15, 1.0 / 3, true, true},    {-31, 32, 1e-3, true, true},
        {-60, 60, 7e10, true, true},       {-128, 127, 0.7, true, true},
        {-129, 100, 0.7, false, true},     {0, 128, 0.7, false, true},
        {-300, 400, 0.011, false, true},   {-32768, 32767, 0.013, false, true},
        {-10, 32768, 0.013, false, false}, {-32769, 10, 0.013, false, false},
        {5, 5, 0.25, true, true},
    };
    int32_t *cells = malloc(N * sizeof *cells);
    float *weights = malloc(N * sizeof *weights), *values = malloc(N * sizeof *values);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        draw(cells, weights, cases[i].least, cases[i].greatest, cases[i].step);
        bytes file = quantize(weights, cases[i].step, NQ_LEVEL_GRID);
        nq_reader *r = open_span(&file);
        nq_decoder *d = make_decoder(r, 0, 0);
        double step = 0;
        assert_int_equal(nq_decoder_step(d, 0, &step), NQ_OK);
        assert_true(step == cases[i].step);
        assert_int_equal(nq_decoder_step(d, 1, &step), NQ_E_ARG);
        assert_int_equal(nq_decoder_read(d, NQ_I8, 3, 0, NULL),
                         cases[i].fits_i8 ? NQ_OK : NQ_E_ARG);
        assert_int_equal(nq_decoder_read(d, NQ_I16, 3, 0, NULL),
                         cases[i].fits_i16 ? NQ_OK : NQ_E_ARG);
        assert_int_equal(nq_decoder_read(d, NQ_U8, 0, 0, NULL), NQ_E_ARG);
        assert_int_equal(nq_decoder_read(d, NQ_I32, 0, 0, NULL), NQ_E_ARG);
        if (cases[i].fits_i8)
            check_numbers(r, NQ_I8, cells, N);
        if (cases[i].fits_i16)
            check_numbers(r, NQ_I16, cells, N);
        /* Other types before and after are not disturbed. */
        assert_int_equal(nq_decoder_read(d, NQ_F32, 0, N, values), NQ_OK);
        for (size_t k = 0; k < N; k++)
            assert_true(values[k] == (float)(cases[i].step * (double)cells[k]));
        nq_decoder_destroy(d);
        nq_reader_destroy(r);
        bytes_free(&file);
    }
    free(cells);
    free(weights);
    free(values);
}

/* Means of cells are no multiples, and stored tensors have no levels. */
static void no_grid(void **state)
{
    int32_t *cells = malloc(N * sizeof *cells);
    float *weights = malloc(N * sizeof *weights);
    int8_t found[8], values[8] = {0};
    double step;
    (void)state;
    draw(cells, weights, -20, 20, 0.1);
    bytes file = quantize(weights, 0.1, NQ_LEVEL_MEAN);
    nq_reader *r = open_span(&file);
    nq_decoder *d = make_decoder(r, 0, 0);
    assert_int_equal(nq_decoder_step(d, 0, &step), NQ_E_ARG);
    assert_int_equal(nq_decoder_step(NULL, 0, &step), NQ_E_ARG);
    assert_int_equal(nq_decoder_step(d, 0, NULL), NQ_E_ARG);
    assert_int_equal(nq_decoder_read(d, NQ_I8, 0, 8, found), NQ_E_ARG);
    assert_int_equal(nq_reader_decode(r, NULL, 0, NQ_I16, 0, 1, found, NULL), NQ_E_ARG);
    assert_int_equal(nq_decoder_read_mapped(d, NULL, 1, 0, 8, found), NQ_E_ARG);
    assert_int_equal(nq_decoder_read_mapped(d, values, 3, 0, 8, found), NQ_E_ARG);
    assert_int_equal(nq_decoder_read_mapped(d, values, 0, 0, 8, found), NQ_E_ARG);
    assert_int_equal(nq_decoder_read_mapped(d, values, 1, N - 7, 8, found), NQ_E_ARG);
    nq_decoder_destroy(d);
    nq_reader_destroy(r);
    bytes_free(&file);

    nq_file f = {.size_width = 2};
    const shape s = {"a", NQ_F32, 1, {8}, 6};
    file_stored(&f, &s, weights, 32);
    file = file_build(&f);
    file_free(&f);
    r = open_span(&file);
    d = make_decoder(r, 0, 0);
    assert_int_equal(nq_decoder_step(d, 0, &step), NQ_E_ARG);
    assert_int_equal(nq_decoder_read(d, NQ_I8, 0, 8, found), NQ_E_ARG);
    assert_int_equal(nq_decoder_read_mapped(d, values, 1, 0, 8, found), NQ_E_ARG);
    nq_decoder_destroy(d);
    nq_reader_destroy(r);
    bytes_free(&file);
    free(cells);
    free(weights);
}

/* Numbers of the caller's for indices that are known. */
static void mapped(void **state)
{
    static const uint32_t sizes[] = {1, 2, 16, 17, 32, 33, 64, 65, 128, 129, 256, 300, 4000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        coded t = make_coded("a", NQ_F16, NQ_CODEC_HUFFMAN, N, sizes[i], 13, i);
        uint16_t *shorts = malloc(sizes[i] * sizeof *shorts), *found = malloc(N * sizeof *found);
        uint8_t *octets = malloc(sizes[i]);
        uint64_t seed = i;
        nq_file f = {.size_width = 4};
        add_coded(&f, &t);
        bytes file = file_build(&f);
        file_free(&f);
        for (uint32_t k = 0; k < sizes[i]; k++) {
            shorts[k] = (uint16_t)unit_random(&seed);
            octets[k] = (uint8_t)unit_random(&seed);
        }
        nq_reader *r = open_span(&file);
        for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
            nq_decoder *d = decoder_with(r, masks[m], 0);
            assert_int_equal(nq_decoder_read_mapped(d, shorts, 2, 5, N - 5, found), NQ_OK);
            for (size_t k = 0; k < N - 5; k++)
                assert_int_equal(found[k], shorts[t.indices[5 + k]]);
            assert_int_equal(nq_decoder_read_mapped(d, octets, 1, 9, N - 9, found), NQ_OK);
            for (size_t k = 0; k < N - 9; k++)
                assert_int_equal(((uint8_t *)found)[k], octets[t.indices[9 + k]]);
            nq_decoder_destroy(d);
        }
        nq_reader_destroy(r);
        bytes_free(&file);
        free_coded(&t);
        free(shorts);
        free(octets);
        free(found);
    }
}

/* ---- Channels ------------------------------------------------------------------------------ */

enum { ROWS = 3, COLUMNS = 500 };

/* Three rows of cells -2 to 2, 0 to 3, and 100 to 199; steps of their own, or one. */
static bytes write_channels(int32_t *cells, double common)
{
    static const struct {
        int64_t first;
        uint32_t n;
    } grids_of[ROWS] = {{-2, 5}, {0, 4}, {100, 100}};
    const nqi_allocator a = nqi_allocator_default();
    int64_t all[109];
    nqi_channel_desc channels[ROWS];
    uint16_t indices[ROWS * COLUMNS];
    uint8_t block[4 * ROWS * COLUMNS];
    uint64_t seed = 5;
    size_t at = 0, n_bytes;
    for (unsigned i = 0; i < ROWS; i++) {
        channels[i] = (nqi_channel_desc){
            .first = i, .n_levels = grids_of[i].n, .step = common != 0 ? 0 : 0.1 * (i + 1)};
        for (uint32_t k = 0; k < grids_of[i].n; k++)
            all[at++] = grids_of[i].first + k;
        for (unsigned k = 0; k < COLUMNS; k++) {
            const uint32_t index = (uint32_t)(unit_random(&seed) % grids_of[i].n);
            indices[i * COLUMNS + k] = (uint16_t)(i + index);
            cells[i * COLUMNS + k] = (int32_t)(grids_of[i].first + index);
        }
    }
    const nqi_codebook_desc book = {.storage = NQ_LEVELS_GRID,
                                    .n_levels = 102,
                                    .step = common,
                                    .cells = all,
                                    .n_channels = ROWS,
                                    .channels = channels};
    static const uint64_t dims[] = {ROWS, COLUMNS};
    nqi_tensor_desc desc = {.name = "w",
                            .name_bytes = 1,
                            .dtype = NQ_F32,
                            .rank = 2,
                            .dims = dims,
                            .codec = NQ_CODEC_FIXED,
                            .block_log2 = 11,
                            .table = NQ_NO_ID,
                            .max_block_bytes = sizeof block};
    bytes file = {0};
    const nq_sink sink = sink_to(&file);
    nqi_writer *w;
    nqi_encoder *encoder;
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_FIXED, 102, 0, NULL, 0, 0), NQ_OK);
    assert_int_equal(
        nqi_encoder_encode(encoder, block, sizeof block, &n_bytes, indices, ROWS * COLUMNS), NQ_OK);
    assert_int_equal(nqi_writer_create(&w, &a, &sink, 0), NQ_OK);
    assert_int_equal(nqi_writer_add_codebook(&desc.codebook, w, &book), NQ_OK);
    assert_int_equal(nqi_writer_add_tensor(w, &desc), NQ_OK);
    assert_int_equal(nqi_writer_begin(w), NQ_OK);
    assert_int_equal(nqi_writer_block(w, block, n_bytes, nqi_crc32c(0, block, n_bytes)), NQ_OK);
    assert_int_equal(nqi_writer_finish(w), NQ_OK);
    nqi_writer_destroy(w);
    nqi_encoder_destroy(encoder);
    return file;
}

static void by_channel(void **state)
{
    int32_t cells[ROWS * COLUMNS];
    (void)state;
    for (int is_common = 0; is_common < 2; is_common++) {
        bytes file = write_channels(cells, is_common ? 0.5 : 0);
        nq_reader *r = open_span(&file);
        nq_decoder *d = make_decoder(r, 0, 0);
        float value;
        for (unsigned i = 0; i < ROWS; i++) {
            double step = 0;
            assert_int_equal(nq_decoder_step(d, i, &step), NQ_OK);
            assert_true(step == (is_common ? 0.5 : 0.1 * (i + 1)));
            assert_int_equal(nq_decoder_read(d, NQ_F32, i * COLUMNS + 7, 1, &value), NQ_OK);
            assert_true(value == (float)(step * cells[i * COLUMNS + 7]));
        }
        double none;
        assert_int_equal(nq_decoder_step(d, ROWS, &none), NQ_E_ARG);
        assert_int_equal(nq_decoder_read(d, NQ_I8, 0, 0, NULL), NQ_E_ARG); /* 199 */
        nq_decoder_destroy(d);
        check_numbers(r, NQ_I16, cells, ROWS * COLUMNS);
        nq_reader_destroy(r);
        bytes_free(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(grids), cmocka_unit_test(no_grid),
                                       cmocka_unit_test(mapped), cmocka_unit_test(by_channel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
