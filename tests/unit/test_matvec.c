/*
 * Products with the rows of a tensor: against sums in double precision over what is known to be in
 * it, and the very same bits from each set of CPU features, any division into calls, and memory
 * behind a callback.
 */
#include <math.h>

#include "nq/context.h"
#include "nq_model.h"

enum { ROWS = 37 };

typedef struct matrix {
    coded t;
    size_t columns;
    float *x;
} matrix;

static matrix make_matrix(unsigned codec, size_t columns, uint32_t n_levels, unsigned block_log2,
                          uint64_t seed)
{
    matrix m = {.columns = columns};
    m.t = make_coded("w", NQ_F32, codec, ROWS * columns, n_levels, block_log2, seed);
    m.t.s.rank = 3; /* columns of the two inner dimensions */
    m.t.s.dims[0] = ROWS;
    m.t.s.dims[1] = columns % 3 == 0 ? columns / 3 : columns;
    m.t.s.dims[2] = columns % 3 == 0 ? 3 : 1;
    m.x = calloc(columns + 1, sizeof *m.x);
    for (size_t i = 0; i < columns; i++)
        m.x[i] = (float)unit_random_real(&seed);
    for (uint32_t i = 0; i < n_levels; i++)
        m.t.levels[i] = (float)i * 0.25f + (float)unit_random_real(&seed) - 1;
    return m;
}

static void free_matrix(matrix *m)
{
    free_coded(&m->t);
    free(m->x);
}

static void check_close(const matrix *m, size_t row, float found)
{
    double sum = 0, size = 1e-30;
    for (size_t i = 0; i < m->columns; i++) {
        const double product =
            (double)m->t.levels[m->t.indices[row * m->columns + i]] * (double)m->x[i];
        sum += product;
        size += fabs(product);
    }
    assert_true(fabs((double)found - sum) <= 2e-6 * size);
}

/* All rows in calls of `step`, on top of what is in y. */
static void multiply(const nq_reader *r, const matrix *m, uint64_t cpu_disabled, size_t step,
                     float *y)
{
    nq_decoder_options options;
    nq_decoder *d;
    nq_decoder_options_init(&options);
    options.cpu_disabled = cpu_disabled;
    assert_int_equal(nq_decoder_create(&d, NULL, r, 0, &options, NULL), NQ_OK);
    for (size_t row = 0; row < ROWS; row += step)
        assert_int_equal(
            nq_decoder_matvec(d, row, row + step < ROWS ? step : ROWS - row, m->x, y + row), NQ_OK);
    assert_int_equal(nq_decoder_matvec(d, ROWS, 0, m->x, y), NQ_OK);
    assert_int_equal(nq_decoder_matvec(d, ROWS, 1, m->x, y), NQ_E_ARG);
    assert_int_equal(nq_decoder_matvec(d, 1, ROWS, m->x, y), NQ_E_ARG);
    assert_int_equal(nq_decoder_matvec(d, 0, 1, NULL, y), m->columns ? NQ_E_ARG : NQ_OK);
    assert_int_equal(nq_decoder_matvec(d, 0, 1, m->x, NULL), NQ_E_ARG);
    nq_decoder_destroy(d);
}

static void check_matrix(matrix *m)
{
    static const uint64_t disabled[] = {0, NQ_CPU_AVX512VBMI2, NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2,
                                        NQ_CPU_ALL};
    nq_file f = {.size_width = 4};
    float first[ROWS] = {0};
    add_coded(&f, &m->t);
    bytes file = file_build(&f);
    file_free(&f);
    behind b = {.file = &file};
    nq_reader *span = open_span(&file), *callback = open_behind(&b, NULL);
    multiply(span, m, 0, ROWS, first);
    for (size_t i = 0; i < ROWS; i++)
        check_close(m, i, first[i]);
    for (size_t k = 0; k < sizeof disabled / sizeof *disabled; k++)
        for (size_t step = 1; step <= ROWS; step += 9) {
            float y[ROWS] = {0}, more[ROWS];
            multiply(k % 2 ? callback : span, m, disabled[k], step, y);
            assert_memory_equal(y, first, sizeof y);
            for (size_t i = 0; i < ROWS; i++)
                more[i] = 7;
            multiply(span, m, disabled[k], step, more);
            for (size_t i = 0; i < ROWS; i++)
                assert_true(more[i] == (float)(7 + first[i]));
        }
    nq_reader_destroy(span);
    nq_reader_destroy(callback);
    bytes_free(&file);
}

static void test_products(void **state)
{
    (void)state;
    static const size_t columns[] = {0, 1, 3, 63, 64, 65, 128, 300, 1500};
    static const uint32_t levels[] = {1, 7, 16, 20, 40, 100, 256, 257, 3000};
    static const unsigned codecs[] = {NQ_CODEC_FIXED, NQ_CODEC_HUFFMAN, NQ_CODEC_RANS};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        for (size_t k = 0; k < sizeof codecs / sizeof *codecs; k++) {
            matrix m = make_matrix(codecs[k], columns[i], levels[(i + 4 * k) % 9],
                                   6 + (unsigned)(i + k) % 9, 100 * i + k);
            check_matrix(&m);
            free_matrix(&m);
        }
}

/* A tensor of one dimension is one row. */
static void test_vector(void **state)
{
    (void)state;
    matrix m = make_matrix(NQ_CODEC_FIXED, 128, 16, 10, 5);
    nq_file f = {.size_width = 4};
    float sum = 0;
    m.t.s.rank = 1;
    m.t.s.dims[0] = m.t.n = m.columns = 64;
    add_coded(&f, &m.t);
    bytes file = file_build(&f);
    nq_reader *r = open_span(&file);
    nq_decoder *d = make_decoder(r, 0, 0);
    assert_int_equal(nq_decoder_matvec(d, 0, 2, m.x, &sum), NQ_E_ARG);
    assert_int_equal(nq_decoder_matvec(d, 0, 1, m.x, &sum), NQ_OK);
    check_close(&m, 0, sum);
    nq_decoder_destroy(d);
    nq_reader_destroy(r);
    bytes_free(&file);
    file_free(&f);
    free_matrix(&m);
}

/* Stored tensors are multiplied as well, if they are of numbers. */
static void test_stored(void **state)
{
    (void)state;
    enum { COLUMNS = 300 };
    float weights[3 * COLUMNS], x[COLUMNS], y[3] = {0};
    uint8_t stored[sizeof weights];
    uint64_t seed = 8;
    for (size_t i = 0; i < 3 * COLUMNS; i++) {
        uint32_t bits;
        weights[i] = (float)unit_random_real(&seed);
        memcpy(&bits, &weights[i], sizeof bits);
        poke(stored + 4 * i, bits, 4);
    }
    for (size_t i = 0; i < COLUMNS; i++)
        x[i] = (float)unit_random_real(&seed);
    nq_file f = {.size_width = 4};
    const shape s = {"w", NQ_F32, 2, {3, COLUMNS}, 9}, bytes_shape = {"b", NQ_U8, 2, {3, 4}, 9};
    file_stored(&f, &s, stored, sizeof stored);
    file_stored(&f, &bytes_shape, stored, 12);
    bytes file = file_build(&f);
    nq_reader *r = open_span(&file);
    nq_decoder *d = make_decoder(r, 0, 0), *other = make_decoder(r, 1, 0);
    assert_int_equal(nq_decoder_matvec(d, 0, 3, x, y), NQ_OK);
    assert_int_equal(nq_decoder_matvec(other, 0, 3, x, y), NQ_E_ARG);
    for (size_t row = 0; row < 3; row++) {
        double sum = 0;
        for (size_t i = 0; i < COLUMNS; i++)
            sum += (double)weights[row * COLUMNS + i] * (double)x[i];
        assert_true(fabs((double)y[row] - sum) < 1e-4);
    }
    nq_decoder_destroy(d);
    nq_decoder_destroy(other);
    nq_reader_destroy(r);
    bytes_free(&file);
    file_free(&f);
}

/* Of damaged blocks, the rows in front of the first are added and no others. */
static void test_damage(void **state)
{
    (void)state;
    matrix m = make_matrix(NQ_CODEC_FIXED, 64, 16, 7, 5);
    nq_file f = {.size_width = 4};
    float y[ROWS] = {0}, intact[ROWS] = {0};
    add_coded(&f, &m.t);
    bytes file = file_build(&f);
    nq_reader *r = open_span(&file);
    nq_decoder *d = make_decoder(r, 0, 0);
    assert_int_equal(nq_decoder_matvec(d, 0, ROWS, m.x, intact), NQ_OK);
    file.at[file.n - 1] ^= 1; /* in the last block: that of the last row alone */
    nq_decoder *again = make_decoder(r, 0, 0);
    assert_int_equal(nq_decoder_matvec(again, 0, ROWS, m.x, y), NQ_E_CHECKSUM);
    assert_memory_equal(y, intact, (ROWS - 1) * sizeof *y);
    assert_true(y[ROWS - 1] == 0);
    nq_decoder_destroy(d);
    nq_decoder_destroy(again);
    nq_reader_destroy(r);
    bytes_free(&file);
    file_free(&f);
    free_matrix(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_vector),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
