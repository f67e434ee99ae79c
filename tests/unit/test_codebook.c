/*
 * Codebooks' data: what is written and what is read against runs laid out by hand, levels against
 * arithmetic of their own, and hostile data.
 */
#include <math.h>

#include "container/codebook.h"
#include "container/codebook_enc.h"
#include "nq_file.h"

#define MAX_CELL (INT64_C(1) << 53)

/* ---- Oracle -------------------------------------------------------------------------------- */

static void put_zigzag(bytes *b, int64_t value)
{
    put_varint(b, value < 0 ? (uint64_t)-value * 2 - 1 : (uint64_t)value * 2);
}

/* The runs of strictly rising cells, as docs/format says. */
static bytes runs_of(const int64_t *cells, size_t n)
{
    bytes b = {0};
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && cells[end] == cells[end - 1] + 1; end++)
            continue;
        if (i == 0)
            put_zigzag(&b, cells[0]);
        else
            put_varint(&b, (uint64_t)(cells[i] - cells[i - 1] - 2));
        put_varint(&b, end - i - 1);
    }
    return b;
}

/* Reads into an array that ends where the levels end. */
static nq_status read_levels(float **levels, unsigned kind, double step, uint32_t n_levels,
                             const uint8_t *data, size_t n_bytes)
{
    const nqi_table_record record = {
        .kind = kind, .n_bytes = n_bytes, .n_levels = n_levels, .n_stored = n_levels, .step = step};
    *levels = malloc(n_levels * sizeof(float));
    uint8_t *exact = malloc(n_bytes ? n_bytes : 1);
    if (n_bytes)
        memcpy(exact, data, n_bytes);
    const nq_status status = nqi_codebook_read(*levels, NULL, &record, exact);
    free(exact);
    return status;
}

static void check_read(unsigned kind, double step, uint32_t n_levels, const bytes *data,
                       nq_status expected)
{
    float *levels;
    assert_int_equal(read_levels(&levels, kind, step, n_levels, data->at, data->n), expected);
    free(levels);
}

/* ---- Grids --------------------------------------------------------------------------------- */

static nqi_codebook_desc grid(const int64_t *cells, size_t n, double step)
{
    return (nqi_codebook_desc){
        .storage = NQ_LEVELS_GRID, .n_levels = (uint32_t)n, .step = step, .cells = cells};
}

/* Writing gives the runs, reading gives the cells back: with a step of a power of two, levels are
 * products without any rounding as long as cells have 24 bits. */
static void check_grid(const int64_t *cells, size_t n)
{
    const nqi_codebook_desc desc = grid(cells, n, 0.125);
    bytes expected = runs_of(cells, n);
    uint64_t n_bytes;
    float *levels;
    assert_int_equal(nqi_codebook_bytes(&n_bytes, &desc), NQ_OK);
    assert_true(n_bytes == expected.n);
    uint8_t *written = malloc(expected.n);
    nqi_out o = nqi_out_make(written, expected.n);
    nqi_codebook_put(&o, &desc);
    assert_true(!o.failed && o.at == o.end);
    assert_memory_equal(written, expected.at, expected.n);
    assert_int_equal(read_levels(&levels, 3, 0.125, (uint32_t)n, written, expected.n), NQ_OK);
    for (size_t i = 0; i < n; i++)
        if (cells[i] >= -(1 << 24) && cells[i] <= 1 << 24)
            assert_true(8 * (double)levels[i] == (double)cells[i]);
    free(levels);
    free(written);
    bytes_free(&expected);
}

static void test_runs(void **state)
{
    (void)state;
    check_grid((const int64_t[]){0}, 1);
    check_grid((const int64_t[]){-1}, 1);
    check_grid((const int64_t[]){-3, -2, -1, 0, 1, 2, 3}, 7);
    check_grid((const int64_t[]){-3, -1, 1, 3}, 4);
    check_grid((const int64_t[]){-100, -99, 0, 5, 6, 7, 1 << 24}, 7);
    check_grid((const int64_t[]){-MAX_CELL, MAX_CELL}, 2);
    check_grid((const int64_t[]){-MAX_CELL, 1 - MAX_CELL, MAX_CELL - 1, MAX_CELL}, 4);
    check_grid((const int64_t[]){MAX_CELL}, 1);
    check_grid((const int64_t[]){-MAX_CELL}, 1);
}

static void test_random_runs(void **state)
{
    (void)state;
    uint64_t seed = 11;
    int64_t *cells = malloc(NQ_MAX_LEVELS * sizeof *cells);
    for (int round = 0; round < 400; round++) {
        const size_t n = round < 3 ? NQ_MAX_LEVELS : 1 + (size_t)(unit_random(&seed) % 300);
        const unsigned spread = (unsigned)(unit_random(&seed) % 20);
        int64_t cell = -(int64_t)(unit_random(&seed) % 70000);
        for (size_t i = 0; i < n; i++) {
            cells[i] = cell;
            cell +=
                1 + (unit_random(&seed) % 4 ? 0 : (int64_t)(unit_random(&seed) >> (63 - spread)));
        }
        check_grid(cells, n);
    }
    free(cells);
}

/* The worst data there can be have nine bytes a level: no reader may take less for the most. */
static void test_largest_grid(void **state)
{
    (void)state;
    const int64_t far = INT64_C(1) << 51;
    const int64_t cells[] = {-2 * far, -far, 0, far, 2 * far};
    const nqi_codebook_desc desc = grid(cells, 5, 1);
    uint64_t n_bytes;
    assert_int_equal(nqi_codebook_bytes(&n_bytes, &desc), NQ_OK);
    assert_true(n_bytes == 9 * 5);
    assert_true(n_bytes <= NQI_GRID_LEVEL_MAX_BYTES * 5);
}

/* The product is rounded to double first: exactly, these would be 1 + 2^-23. */
static void test_rounded_twice(void **state)
{
    (void)state;
    static const struct {
        double step;
        int64_t cell;
    } cases[] = {{0x1.555556aaaaaabp-2, 3}, {0x1.99999b3333334p-3, 5}, {0x1.24924a4924925p-3, 7}};
    for (size_t i = 0; i < 3; i++) {
        bytes data = runs_of(&cases[i].cell, 1);
        float *levels;
        assert_int_equal(read_levels(&levels, 3, cases[i].step, 1, data.at, data.n), NQ_OK);
        assert_true(levels[0] == 1.0f);
        free(levels);
        bytes_free(&data);
    }
}

static void check_edge(double step, int64_t cell, nq_status expected)
{
    bytes data = runs_of(&cell, 1);
    const nqi_codebook_desc desc = grid(&cell, 1, step);
    uint64_t n_bytes;
    check_read(3, step, 1, &data, expected);
    assert_int_equal(nqi_codebook_bytes(&n_bytes, &desc), expected == NQ_OK ? NQ_OK : NQ_E_ARG);
    bytes_free(&data);
}

/* Around the largest float: from 2^128 - 2^103 on, a double rounds to infinity. */
static void test_levels_are_finite(void **state)
{
    (void)state;
    const double first = 0x1.ffffffp127, last = nextafter(first, 0);
    for (int sign = -1; sign <= 1; sign += 2) {
        check_edge(sign * last, 1, NQ_OK);
        check_edge(sign * first, 1, NQ_E_CORRUPT);
        check_edge(sign * last, -1, NQ_OK);
        check_edge(sign * first, -1, NQ_E_CORRUPT);
        check_edge(sign * 0x1p126, 2, NQ_OK);
        check_edge(sign * 0x1p126, 4, NQ_E_CORRUPT);
        check_edge(sign * 1e308, MAX_CELL, NQ_E_CORRUPT); /* infinite already in double */
        check_edge(sign * 1e308, 0, NQ_OK);
        check_edge(sign * 0x1p-1074, 1, NQ_OK); /* denormal, and zero as a float */
        check_edge(sign * 0x1p74, MAX_CELL, NQ_OK);
        check_edge(sign * 0x1p75, MAX_CELL, NQ_E_CORRUPT);
        check_edge(sign * 0x1p75, -MAX_CELL, NQ_E_CORRUPT);
    }
}

/* A level that is too large at either end of a run, of the first as of a later one. */
static void test_infinite_end_of_run(void **state)
{
    (void)state;
    static const int64_t cells[] = {-2, -1, 0, 1, 2}, apart[] = {-4, -2, -1, 0};
    static const struct {
        const int64_t *cells;
        uint32_t n;
        nq_status expected;
    } cases[] = {{cells, 5, NQ_E_CORRUPT}, {cells, 3, NQ_E_CORRUPT}, {cells + 2, 3, NQ_E_CORRUPT},
                 {cells + 1, 3, NQ_OK},    {apart, 4, NQ_E_CORRUPT}, {apart + 1, 3, NQ_E_CORRUPT},
                 {apart + 2, 2, NQ_OK}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes data = runs_of(cases[i].cells, cases[i].n);
        check_read(3, 0x1p127, cases[i].n, &data, cases[i].expected);
        bytes_free(&data);
    }
}

/* ---- Hostile grids ------------------------------------------------------------------------- */

/* Data from numbers, in pairs. */
static void check_numbers(uint32_t n_levels, const uint64_t *numbers, size_t n, nq_status expected)
{
    bytes data = {0};
    for (size_t i = 0; i < n; i++)
        put_varint(&data, numbers[i]);
    check_read(3, 0x1p-60, n_levels, &data, expected);
    bytes_free(&data);
}

#define CHECK_NUMBERS(n_levels, expected, ...)                                                     \
    check_numbers(n_levels, (const uint64_t[]){__VA_ARGS__},                                       \
                  sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), expected)

static void test_hostile_grids(void **state)
{
    (void)state;
    const uint64_t top = UINT64_C(1) << 54; /* zigzag of 2^53 */
    CHECK_NUMBERS(1, NQ_OK, top, 0);
    CHECK_NUMBERS(1, NQ_E_CORRUPT, top + 2, 0); /* 2^53 + 1 */
    CHECK_NUMBERS(1, NQ_OK, top - 1, 0);        /* -2^53 */
    CHECK_NUMBERS(1, NQ_E_CORRUPT, top + 1, 0);
    CHECK_NUMBERS(1, NQ_E_CORRUPT, UINT64_MAX, 0);
    CHECK_NUMBERS(1, NQ_E_CORRUPT, UINT64_MAX - 1, 0);
    CHECK_NUMBERS(1, NQ_E_CORRUPT, 0, 1); /* two cells where there is one level */
    CHECK_NUMBERS(2, NQ_OK, 0, 1);
    CHECK_NUMBERS(2, NQ_E_CORRUPT, 0, 2);
    CHECK_NUMBERS(2, NQ_E_CORRUPT, 0, UINT64_MAX);
    CHECK_NUMBERS(2, NQ_E_CORRUPT, 0, UINT64_C(1) << 32);
    CHECK_NUMBERS(2, NQ_E_CORRUPT, top, 1); /* a run that leaves the range */
    CHECK_NUMBERS(2, NQ_OK, top - 2, 1);
    CHECK_NUMBERS(2, NQ_E_CORRUPT, 0, 0); /* a level too few */
    CHECK_NUMBERS(2, NQ_E_CORRUPT, 0, 0, 5);
    CHECK_NUMBERS(2, NQ_OK, 0, 0, 5, 0);
    CHECK_NUMBERS(2, NQ_E_CORRUPT, 0, 0, 5, 1);
    CHECK_NUMBERS(2, NQ_E_CORRUPT, 0, 0, 5, 0, 0); /* bytes that are left over */
    CHECK_NUMBERS(3, NQ_E_CORRUPT, 0, 0, 0, UINT64_MAX);
    CHECK_NUMBERS(2, NQ_OK, top - 1, 0, top - 2, 0); /* from one end to the other */
    CHECK_NUMBERS(2, NQ_E_CORRUPT, top - 1, 0, top - 1, 0);
    CHECK_NUMBERS(2, NQ_E_CORRUPT, 0, 0, UINT64_MAX, 0);
    CHECK_NUMBERS(2, NQ_E_CORRUPT, 0, 0, UINT64_MAX - 1, 0); /* around to the same cell */
    CHECK_NUMBERS(2, NQ_E_CORRUPT, 0, 0, INT64_MAX, 0);
    CHECK_NUMBERS(3, NQ_E_CORRUPT, top - 4, 0, 0, 1); /* the last of a later run is outside */
    CHECK_NUMBERS(3, NQ_OK, top - 6, 0, 0, 1);
}

static void test_cut_grids(void **state)
{
    (void)state;
    const int64_t cells[] = {-1000, -999, 5, 6, 70000, 70002};
    bytes data = runs_of(cells, 6);
    for (size_t n = 0; n <= data.n; n++) {
        const bytes cut = {.at = data.at, .n = n};
        check_read(3, 0.5, 6, &cut, n == data.n ? NQ_OK : NQ_E_CORRUPT);
    }
    put_u(&data, 0, 1);
    check_read(3, 0.5, 6, &data, NQ_E_CORRUPT);
    bytes_free(&data);
}

static void test_long_form_in_grid(void **state)
{
    (void)state;
    bytes data = {0};
    put_u(&data, 0x0080, 2);
    put_u(&data, 0, 1);
    check_read(3, 0.5, 1, &data, NQ_E_CORRUPT);
    bytes_free(&data);
}

/* Any bytes: safe, and what is accepted is a grid that would be written with the same bytes. */
static void test_random_bytes(void **state)
{
    (void)state;
    uint64_t seed = 13;
    unsigned n_accepted = 0;
    for (int round = 0; round < 100000; round++) {
        uint8_t raw[12];
        float *levels;
        int64_t cells[64];
        const size_t n_bytes = (size_t)(unit_random(&seed) % 9);
        const uint32_t n_levels = 1 + (uint32_t)(unit_random(&seed) % 6);
        for (size_t i = 0; i < sizeof raw; i++)
            raw[i] = (uint8_t)(unit_random(&seed) % (unit_random(&seed) % 3 ? 6 : 256));
        if (read_levels(&levels, 3, 1, n_levels, raw, n_bytes) == NQ_OK) {
            n_accepted++;
            for (uint32_t i = 0; i < n_levels; i++)
                cells[i] = (int64_t)levels[i];
            bytes again = runs_of(cells, n_levels);
            if (fabsf(levels[0]) < 0x1p24f && fabsf(levels[n_levels - 1]) < 0x1p24f) {
                assert_int_equal(again.n, n_bytes);
                assert_memory_equal(again.at, raw, n_bytes);
            }
            bytes_free(&again);
        }
        free(levels);
    }
    assert_true(n_accepted > 1000);
}

/* ---- Levels as numbers --------------------------------------------------------------------- */

/* binary16 by its definition. */
static double half_value(unsigned bits)
{
    const int exponent = (int)(bits >> 10 & 31);
    const double mantissa = bits & 1023;
    const double magnitude = exponent == 31  ? (mantissa > 0 ? (double)NAN : (double)INFINITY)
                             : exponent == 0 ? ldexp(mantissa, -24)
                                             : ldexp(1024 + mantissa, exponent - 25);
    return bits >> 15 ? -magnitude : magnitude;
}

static void test_all_halves(void **state)
{
    (void)state;
    bytes data = {0};
    float *levels;
    for (unsigned i = 0; i < 65536; i++)
        put_u(&data, i, 2);
    assert_int_equal(read_levels(&levels, 2, 0, 65536, data.at, data.n), NQ_OK);
    for (unsigned i = 0; i < 65536; i++) {
        const double expected = half_value(i);
        if (isnan(expected))
            assert_true(isnan(levels[i]));
        else
            assert_true(levels[i] == (float)expected && !signbit(levels[i]) == !(i >> 15));
    }
    free(levels);
    bytes_free(&data);
}

/* f32 levels keep every bit, those of NaN too. */
static void test_any_floats(void **state)
{
    (void)state;
    static const uint32_t special[] = {0,          0x80000000, 1,          0x7f800000, 0xff800000,
                                       0x7fc00001, 0x7f800001, 0xffffffff, 0x7f7fffff};
    uint64_t seed = 17;
    bytes data = {0};
    float *levels;
    for (size_t i = 0; i < 1000; i++)
        put_u(&data, i < 9 ? special[i] : unit_random(&seed), 4);
    assert_int_equal(read_levels(&levels, 1, 0, 1000, data.at, data.n), NQ_OK);
    for (size_t i = 0; i < 1000; i++) {
        uint32_t got;
        memcpy(&got, &levels[i], 4);
        assert_true(got == peek(data.at + 4 * i, 4));
    }
    free(levels);
    bytes_free(&data);
}

static void check_put(const nqi_codebook_desc *desc, const uint8_t *expected, size_t n)
{
    uint8_t written[64];
    uint64_t n_bytes;
    assert_int_equal(nqi_codebook_bytes(&n_bytes, desc), NQ_OK);
    assert_int_equal(n_bytes, n);
    nqi_out o = nqi_out_make(written, (size_t)n_bytes);
    nqi_codebook_put(&o, desc);
    assert_true(!o.failed && o.at == o.end);
    assert_memory_equal(written, expected, n);
}

static void test_written_levels(void **state)
{
    (void)state;
    /* 2049 and 65520 lie between halves: to even, and to infinity. */
    static const float levels[] = {1, -0.0f, 2049, 65520};
    static const uint8_t as_f32[] = {0, 0,    0x80, 0x3f, 0, 0,    0,    0x80,
                                     0, 0x10, 0,    0x45, 0, 0xf0, 0x7f, 0x47};
    static const uint8_t as_f16[] = {0, 0x3c, 0, 0x80, 0, 0x68, 0, 0x7c};
    nqi_codebook_desc desc = {.storage = NQ_LEVELS_F32, .n_levels = 4, .levels = levels};
    check_put(&desc, as_f32, sizeof as_f32);
    desc.storage = NQ_LEVELS_F16;
    check_put(&desc, as_f16, sizeof as_f16);
}

static void check_wrong(const nqi_codebook_desc *desc)
{
    uint64_t n_bytes;
    assert_int_equal(nqi_codebook_check(desc), NQ_E_ARG);
    assert_int_equal(nqi_codebook_bytes(&n_bytes, desc), NQ_E_ARG);
}

static void test_wrong_descriptions(void **state)
{
    (void)state;
    static const float levels[2] = {0};
    const nqi_codebook_desc good = {.storage = NQ_LEVELS_F32, .n_levels = 2, .levels = levels};
    assert_int_equal(nqi_codebook_check(&good), NQ_OK);
    nqi_codebook_desc d[] = {good, good, good, good, good, good, good, good};
    d[0].n_levels = 0;
    d[1].n_levels = NQ_MAX_LEVELS + 1;
    d[2].levels = NULL;
    d[3].storage = 0;
    d[4].storage = 4;
    d[5].method = 256;
    d[6].level_rule = 256;
    d[7].step = (double)INFINITY;
    for (size_t i = 0; i < 8; i++)
        check_wrong(&d[i]);
}

static void test_wrong_grids(void **state)
{
    (void)state;
    static const int64_t same[] = {1, 1}, falling[] = {2, 1};
    static const int64_t high[] = {0, MAX_CELL + 1}, low[] = {-MAX_CELL - 1, 0};
    static const int64_t extreme[] = {INT64_MIN, INT64_MAX};
    const nqi_codebook_desc d[] = {
        grid(same, 2, 1),      grid(falling, 2, 1),     grid(high, 2, 0x1p-60),
        grid(low, 2, 0x1p-60), grid(extreme, 2, 1e-30), grid(NULL, 2, 1),
        grid(high, 1, 0),      grid(high, 1, -0.0),     grid(high, 1, (double)NAN),
    };
    for (size_t i = 0; i < sizeof d / sizeof *d; i++)
        check_wrong(&d[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_random_runs),
        cmocka_unit_test(test_largest_grid),
        cmocka_unit_test(test_rounded_twice),
        cmocka_unit_test(test_levels_are_finite),
        cmocka_unit_test(test_infinite_end_of_run),
        cmocka_unit_test(test_hostile_grids),
        cmocka_unit_test(test_cut_grids),
        cmocka_unit_test(test_long_form_in_grid),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_all_halves),
        cmocka_unit_test(test_any_floats),
        cmocka_unit_test(test_written_levels),
        cmocka_unit_test(test_wrong_descriptions),
        cmocka_unit_test(test_wrong_grids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
