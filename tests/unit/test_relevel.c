/*
 * New levels for finished files: what decodes is what was set, nothing else has changed, and every
 * checksum is right again; files that cannot be changed stay as they were.
 */
#include "unit.h"

#include <math.h>

#include "base/common.h"
#include "nq/nq.h"

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

#define N 5000u

/* Three tensors; the first and the last share a codebook, the one between them is stored. */
static file make_file(uint32_t method, uint32_t level_rule)
{
    static float weights[2][N];
    file f = {NULL, 0};
    nq_plan *plan;
    nq_plan_options o;
    nq_sink sink;
    uint64_t seed = 7;
    nq_plan_options_init(&o);
    o.method = method;
    o.level_rule = level_rule;
    o.target = NQ_TARGET_LEVELS;
    o.target_value = 12;
    assert_int_equal(nq_plan_create(&plan, NULL, &o), NQ_OK);
    for (size_t i = 0; i < 2 * N; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        weights[i / N][i % N] = (float)((double)(seed >> 40) / 16777216.0 - 0.5);
    }
    const char *names[] = {"a", "stored", "b"};
    assert_int_equal(nq_plan_add_metadata(plan, "key", 3, "value", 5), NQ_OK);
    for (size_t i = 0; i < 3; i++) {
        nq_tensor t;
        nq_tensor_init(&t);
        t.dtype = NQ_F32;
        t.rank = 1;
        t.dims[0] = i == 1 ? 10 : N;
        t.name = names[i];
        t.name_bytes = (uint32_t)strlen(names[i]);
        t.data = weights[i / 2];
        assert_int_equal(nq_plan_add(plan, &t, NULL, NULL), NQ_OK);
    }
    nq_sink_init(&sink);
    sink.write = write_file;
    sink.user = &f;
    assert_int_equal(nq_plan_write(plan, &sink), NQ_OK);
    nq_plan_destroy(plan);
    return f;
}

static void decode(float *out, const file *f, uint64_t tensor)
{
    nq_reader *reader;
    assert_int_equal(nq_reader_open(&reader, NULL, f->bytes, f->n, NULL), NQ_OK);
    assert_int_equal(nq_reader_verify(reader, NULL, NQ_NONE, NULL, NULL, NULL), NQ_OK);
    assert_int_equal(nq_reader_decode(reader, NULL, tensor, NQ_F32, 0, N, out, NULL), NQ_OK);
    nq_reader_destroy(reader);
}

static size_t level_count(const file *f)
{
    nq_reader *reader;
    nq_tensor_info info;
    nq_tensor_info_init(&info);
    assert_int_equal(nq_reader_open(&reader, NULL, f->bytes, f->n, NULL), NQ_OK);
    assert_int_equal(nq_reader_tensor(reader, 0, &info), NQ_OK);
    nq_reader_destroy(reader);
    return info.n_levels;
}

/* Adds what is in `values` to the rising list of different numbers. */
static void collect(float *sorted, size_t *n, const float *values)
{
    for (size_t i = 0; i < N; i++) {
        size_t at = 0;
        while (at < *n && sorted[at] < values[i])
            at++;
        if (at < *n && sorted[at] == values[i])
            continue;
        assert_in_range(*n, 0, 11);
        memmove(sorted + at + 1, sorted + at, ((*n)++ - at) * sizeof *sorted);
        sorted[at] = values[i];
    }
}

static void check_tensor(uint32_t method, uint64_t tensor, const float *levels)
{
    static float before[N], after[N], other[N];
    float sorted[12];
    size_t n = 0;
    file f = make_file(method, NQ_LEVEL_WEIGHTED);
    decode(before, &f, tensor);
    decode(other, &f, 2 - tensor);
    collect(sorted, &n, before);
    collect(sorted, &n, other);
    assert_int_equal(n, level_count(&f));
    assert_int_equal(nq_file_set_levels(f.bytes, f.n, NULL, 2 - tensor, levels, n, NULL), NQ_OK);
    decode(after, &f, tensor);
    for (size_t i = 0; i < N; i++) {
        size_t at = 0;
        while (sorted[at] != before[i])
            at++;
        assert_true(after[i] == levels[at]);
    }
    free(f.bytes);
}

/* Levels are in rising order in the file; those of the other tensor are set, which shares them. */
static void test_new_levels_decode(void **state)
{
    (void)state;
    const uint32_t methods[] = {NQ_METHOD_UNIFORM, NQ_METHOD_KMEANS, NQ_METHOD_ECSQ};
    float levels[12];
    for (size_t i = 0; i < 12; i++)
        levels[i] = i % 2 ? -100.0f - (float)i : 0x1p-130f * (float)(i + 1);
    for (size_t m = 0; m < NQI_COUNT(methods); m++) {
        check_tensor(methods[m], 0, levels);
        check_tensor(methods[m], 2, levels);
    }
}

/* Bytes that differ are those of the levels and of three checksums. */
static void test_nothing_else_changes(void **state)
{
    (void)state;
    file f = make_file(NQ_METHOD_KMEANS, NQ_LEVEL_WEIGHTED);
    uint8_t *before = malloc(f.n);
    float levels[12];
    size_t n_changed = 0;
    memcpy(before, f.bytes, f.n);
    for (size_t i = 0; i < 12; i++)
        levels[i] = (float)i;
    assert_int_equal(nq_file_set_levels(f.bytes, f.n, NULL, 0, levels, 12, NULL), NQ_OK);
    for (size_t i = 0; i < f.n; i++)
        n_changed += f.bytes[i] != before[i];
    assert_in_range(n_changed, 12, 12 * 4 + 3 * 4);
    free(before);
    free(f.bytes);
}

static void refuse(file *f, uint64_t tensor, const float *levels, size_t n, nq_status status)
{
    nq_diag diag;
    uint8_t *before = malloc(f->n);
    memcpy(before, f->bytes, f->n);
    nq_diag_init(&diag);
    assert_int_equal(nq_file_set_levels(f->bytes, f->n, NULL, tensor, levels, n, &diag), status);
    assert_int_equal(diag.status, status);
    assert_true(diag.what[0] != '\0');
    assert_memory_equal(before, f->bytes, f->n);
    free(before);
}

static void test_refusals(void **state)
{
    (void)state;
    const float levels[13] = {0}, bad[12] = {0, 1, 2, NAN}, far[12] = {0, INFINITY};
    file f = make_file(NQ_METHOD_KMEANS, NQ_LEVEL_WEIGHTED);
    file grid = make_file(NQ_METHOD_UNIFORM, NQ_LEVEL_GRID);
    refuse(&f, 3, levels, 12, NQ_E_ARG);
    refuse(&f, UINT64_MAX, levels, 12, NQ_E_ARG);
    refuse(&f, 1, levels, 12, NQ_E_ARG); /* stored */
    refuse(&f, 0, levels, 11, NQ_E_ARG);
    refuse(&f, 0, levels, 13, NQ_E_ARG);
    refuse(&f, 0, levels, 0, NQ_E_ARG);
    refuse(&f, 0, bad, 12, NQ_E_NUMERIC);
    refuse(&f, 0, far, 12, NQ_E_NUMERIC);
    refuse(&f, 0, NULL, 12, NQ_E_ARG);
    refuse(&grid, 0, levels, level_count(&grid), NQ_E_UNSUPPORTED);
    f.bytes[70] ^= 1; /* the index */
    refuse(&f, 0, levels, 12, NQ_E_CHECKSUM);
    f.bytes[70] ^= 1;
    f.n--;
    refuse(&f, 0, levels, 12, NQ_E_TRUNCATED);
    assert_int_equal(nq_file_set_levels(NULL, 0, NULL, 0, levels, 12, NULL), NQ_E_ARG);
    free(f.bytes);
    free(grid.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_levels_decode),
        cmocka_unit_test(test_nothing_else_changes),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
