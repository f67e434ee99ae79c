/*
 * Weights of examples/lenet in files: what is written comes back, what is no LeNet-5 is refused,
 * and trained networks are as good as they are said to be.
 */
#include "eval.h"
#include "idx.h"
#include "network.h"
#include "unit.h"
#include "weights.h"

#include <math.h>
#include <nq/nq.h>
#include <unistd.h>

#define STEP 0.25

static float weights[LENET_PARAMETERS];
static float back[LENET_PARAMETERS];

typedef struct folder {
    char path[64];
    char file[128];
} folder;

static int make_folder(void **state)
{
    static folder f;
    uint64_t random = 1;
    snprintf(f.path, sizeof f.path, "test_lenet_XXXXXX");
    if (!mkdtemp(f.path))
        return -1;
    snprintf(f.file, sizeof f.file, "%s/weights", f.path);
    for (size_t i = 0; i < LENET_PARAMETERS; i++)
        weights[i] = (float)unit_random_real(&random);
    memset(back, 0, sizeof back);
    *state = &f;
    return 0;
}

static int remove_folder(void **state)
{
    const folder *f = *state;
    remove(f->file);
    return rmdir(f->path);
}

/* The network as tensors that a test may change. */
static void describe_network(nq_tensor tensors[LENET_TENSORS])
{
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *t = &lenet_tensors[i];
        nq_tensor_init(&tensors[i]);
        tensors[i].dtype = NQ_F32;
        tensors[i].rank = (uint32_t)t->rank;
        for (size_t j = 0; j < t->rank; j++)
            tensors[i].dims[j] = t->dims[j];
        tensors[i].name = t->name;
        tensors[i].name_bytes = (uint32_t)strlen(t->name);
        tensors[i].data = weights + t->first;
    }
}

/* ---- safetensors ----------------------------------------------------------------------------- */

static void test_weights_come_back(void **state)
{
    const folder *f = *state;
    fault why;
    const st_pair pair = {"key", 3, "a value", 7};
    assert_true(weights_write(f->file, weights, &pair, 1, &why));
    assert_true(weights_read(back, f->file, &why));
    assert_memory_equal(back, weights, sizeof weights);
    st_file file;
    assert_true(st_open(&file, f->file, &why));
    assert_int_equal(file.n_metadata, 1);
    assert_memory_equal(file.metadata[0].value, "a value", 7);
    st_close(&file);
}

static void check_tensors(const folder *f, const nq_tensor *tensors, size_t n_tensors, int kind)
{
    fault why = {0};
    assert_true(st_save(f->file, tensors, n_tensors, NULL, 0, &why));
    assert_int_equal(weights_read(back, f->file, &why), kind == FAULT_NONE);
    assert_int_equal(why.kind, kind);
}

static void test_tensors_may_stand_in_any_order(void **state)
{
    nq_tensor tensors[LENET_TENSORS], turned[LENET_TENSORS];
    describe_network(tensors);
    for (size_t i = 0; i < LENET_TENSORS; i++)
        turned[i] = tensors[LENET_TENSORS - 1 - i];
    check_tensors(*state, turned, LENET_TENSORS, FAULT_NONE);
    assert_memory_equal(back, weights, sizeof weights);
}

static void test_other_networks_are_refused(void **state)
{
    nq_tensor tensors[LENET_TENSORS + 1];
    describe_network(tensors);
    check_tensors(*state, tensors, LENET_TENSORS - 1, FAULT_FORMAT);

    nq_tensor_init(&tensors[LENET_TENSORS]);
    tensors[LENET_TENSORS].name = "more";
    tensors[LENET_TENSORS].name_bytes = 4;
    tensors[LENET_TENSORS].data = weights;
    check_tensors(*state, tensors, LENET_TENSORS + 1, FAULT_FORMAT);

    tensors[LENET_IP2_BIAS].name = "ip3.bias";
    check_tensors(*state, tensors, LENET_TENSORS, FAULT_FORMAT);

    describe_network(tensors);
    tensors[LENET_IP1_WEIGHT].dims[0] = 800;
    tensors[LENET_IP1_WEIGHT].dims[1] = 500;
    check_tensors(*state, tensors, LENET_TENSORS, FAULT_FORMAT);

    describe_network(tensors);
    tensors[LENET_CONV2_BIAS].dtype = NQ_I32;
    check_tensors(*state, tensors, LENET_TENSORS, FAULT_FORMAT);

    describe_network(tensors);
    tensors[LENET_CONV1_WEIGHT].rank = 5;
    tensors[LENET_CONV1_WEIGHT].dims[4] = 1;
    check_tensors(*state, tensors, LENET_TENSORS, FAULT_FORMAT);
}

static void test_no_file_and_no_network(void **state)
{
    const folder *f = *state;
    fault why;
    assert_false(weights_read(back, f->file, &why));
    assert_int_equal(why.kind, FAULT_IO);
    static const char *const contents[] = {"", "\x89N", "\x89NQ\r\n\x1a\n and then nothing", "{}"};
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        FILE *file = fopen(f->file, "wb");
        assert_non_null(file);
        fputs(contents[i], file);
        assert_int_equal(fclose(file), 0);
        assert_false(weights_read(back, f->file, &why));
        assert_int_equal(why.kind, FAULT_FORMAT);
    }
}

/* ---- .nq ------------------------------------------------------------------------------------- */

static nq_status write_at(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    FILE *file = user;
    const bool is_written =
        fseek(file, (long)offset, SEEK_SET) == 0 && fwrite(bytes, 1, n_bytes, file) == n_bytes;
    return is_written ? NQ_OK : NQ_E_IO;
}

/* Tensors up to 500 elements are stored as they are, the others put on the grid. */
static void compress(const char *path, const nq_tensor *tensors, size_t n_tensors)
{
    nq_plan *plan;
    nq_plan_options options;
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_STEP;
    options.target_value = STEP;
    options.level_rule = NQ_LEVEL_GRID;
    options.min_elements = 501;
    assert_int_equal(nq_plan_create(&plan, NULL, &options), NQ_OK);
    for (size_t i = 0; i < n_tensors; i++)
        assert_int_equal(nq_plan_add(plan, &tensors[i], NULL, NULL), NQ_OK);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = write_at;
    sink.user = file;
    assert_int_equal(nq_plan_write(plan, &sink), NQ_OK);
    assert_int_equal(fclose(file), 0);
    nq_plan_destroy(plan);
}

static void test_compressed_weights_are_read(void **state)
{
    const folder *f = *state;
    nq_tensor tensors[LENET_TENSORS];
    fault why = {0};
    describe_network(tensors);
    compress(f->file, tensors, LENET_TENSORS);
    assert_true(weights_read(back, f->file, &why));
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *t = &lenet_tensors[i];
        for (size_t j = t->first; j < t->first + t->count; j++) {
            const float cell = roundf(weights[j] / (float)STEP) * (float)STEP; /* exact */
            assert_true(back[j] == (t->count > 500 ? cell : weights[j]));
        }
    }
}

static void check_compressed_is_refused(const folder *f, const nq_tensor *tensors, size_t n_tensors)
{
    fault why = {0};
    compress(f->file, tensors, n_tensors);
    assert_false(weights_read(back, f->file, &why));
    assert_int_equal(why.kind, FAULT_FORMAT);
}

static void test_other_compressed_networks_are_refused(void **state)
{
    nq_tensor tensors[LENET_TENSORS + 1];
    describe_network(tensors);
    check_compressed_is_refused(*state, tensors, LENET_TENSORS - 1);

    tensors[LENET_TENSORS] = tensors[LENET_IP2_BIAS];
    tensors[LENET_TENSORS].name = "more";
    tensors[LENET_TENSORS].name_bytes = 4;
    check_compressed_is_refused(*state, tensors, LENET_TENSORS + 1);

    tensors[LENET_CONV2_WEIGHT].rank = 2;
    tensors[LENET_CONV2_WEIGHT].dims[1] = 500;
    check_compressed_is_refused(*state, tensors, LENET_TENSORS);
}

static void test_damaged_compressed_weights_are_refused(void **state)
{
    const folder *f = *state;
    nq_tensor tensors[LENET_TENSORS];
    fault why = {0};
    describe_network(tensors);
    compress(f->file, tensors, LENET_TENSORS);
    FILE *file = fopen(f->file, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 50000, SEEK_SET), 0); /* in a payload */
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, 50000, SEEK_SET), 0);
    fputc(byte ^ 4, file);
    assert_int_equal(fclose(file), 0);
    assert_false(weights_read(back, f->file, &why));
    assert_int_equal(why.kind, FAULT_FORMAT);
}

/* ---- Trained networks ------------------------------------------------------------------------ */

static void data_path(char path[1024], const char *name)
{
    const char *data = getenv("NQ_DATA");
    if (data && *data)
        snprintf(path, 1024, "%s/%s", data, name);
    else
        snprintf(path, 1024, "%s/../shared/data/%s", PROJECT_ROOT, name);
}

/* Right answers in 10,000, which is what 0.01 % is. */
static size_t count_right(const char *path, const idx_set *test)
{
    fault why;
    size_t n_right;
    if (!weights_read(back, path, &why))
        fail_msg("%s", why.text);
    assert_int_equal(eval_count(&n_right, back, test, 0, test->count), 0);
    return n_right;
}

/* Where the file says so itself, "99.25 %". */
static size_t stated_right(const char *path)
{
    st_file file;
    fault why;
    size_t right = 0;
    if (!st_open(&file, path, &why))
        fail_msg("%s", why.text);
    for (size_t i = 0; i < file.n_metadata; i++) {
        const st_pair *pair = &file.metadata[i];
        if (pair->key_bytes == 13 && memcmp(pair->key, "test_accuracy", 13) == 0 &&
            pair->value_bytes == 7 && pair->value[2] == '.')
            right = (size_t)(atoi(pair->value) * 100 + atoi(pair->value + 3));
    }
    st_close(&file);
    return right;
}

static void test_trained_networks(void **state)
{
    (void)state;
    char path[1024];
    idx_set test;
    fault why;
    data_path(path, "mnist");
    if (!idx_read(&test, path, "t10k", &why))
        skip();
    assert_int_equal(test.count, 10000);
    const char *ours = PROJECT_ROOT "/examples/lenet/lenet5.safetensors";
    const size_t stated = stated_right(ours);
    assert_in_range(stated, 9900, 10000);
    assert_int_equal(count_right(ours, &test), stated);

    /* Trained by another program, which found these figures. */
    data_path(path, "models/lenet5_dense.safetensors");
    if (access(path, R_OK) == 0)
        assert_int_equal(count_right(path, &test), 9909);
    data_path(path, "models/lenet5_pruned.safetensors");
    if (access(path, R_OK) == 0)
        assert_int_equal(count_right(path, &test), 9918);
    idx_free(&test);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_weights_come_back),
        IN_FOLDER(test_tensors_may_stand_in_any_order),
        IN_FOLDER(test_other_networks_are_refused),
        IN_FOLDER(test_no_file_and_no_network),
        IN_FOLDER(test_compressed_weights_are_read),
        IN_FOLDER(test_other_compressed_networks_are_refused),
        IN_FOLDER(test_damaged_compressed_weights_are_refused),
        cmocka_unit_test(test_trained_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
