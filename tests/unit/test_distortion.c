/*
 * nq_distortion_add against plain loops in long double: every pair of types, values that are no
 * numbers, importance of several shapes, any number of workers.
 */
#include "unit.h"

#include <math.h>

#include "base/half.h"
#include "cpu/cpu.h"
#include "distortion/distortion.h"
#include "nq/nq.h"

static nq_tensor tensor_of(uint32_t dtype, uint32_t rank, const uint64_t *dims, const void *data)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = dtype;
    t.rank = rank;
    for (uint32_t i = 0; i < rank; i++)
        t.dims[i] = dims[i];
    t.data = data;
    return t;
}

/* Stores values in a type and gives back what was stored. */
static void store(uint8_t *bytes, double *stored, const double *values, size_t n, uint32_t dtype)
{
    for (size_t i = 0; i < n; i++) {
        const float single = (float)values[i];
        switch (dtype) {
        case NQ_F32:
            nqi_store_f32(bytes + 4 * i, single);
            stored[i] = (double)single;
            break;
        case NQ_F16:
            nqi_store_u16(bytes + 2 * i, nqi_f32_to_f16(single));
            stored[i] = (double)nqi_f16_to_f32(nqi_f32_to_f16(single));
            break;
        case NQ_BF16:
            nqi_store_u16(bytes + 2 * i, nqi_f32_to_bf16(single));
            stored[i] = (double)nqi_bf16_to_f32(nqi_f32_to_bf16(single));
            break;
        default:
            memcpy(bytes + 8 * i, &values[i], 8);
            stored[i] = values[i];
        }
    }
}

static bool close_to(double got, long double want)
{
    return fabsl((long double)got - want) <= 1e-12L * fabsl(want);
}

static void every_pair_of_types(void **state)
{
    (void)state;
    enum { N = 777 };
    static double a[N], b[N], h[N], values[N];
    static uint8_t a_bytes[8 * N], b_bytes[8 * N], h_bytes[8 * N];
    const uint64_t dims[] = {7, 111}, row[] = {111}, *h_dims[] = {dims, row};
    uint64_t seed = 3;
    for (uint32_t i = 0; i < 32; i++) {
        const uint32_t types[] = {i % 4, i / 4 % 4, (i + 1) % 4};
        const uint32_t h_rank = i < 16 ? 2 : 1;
        const size_t h_n = i < 16 ? N : 111;
        for (size_t k = 0; k < N; k++)
            values[k] = unit_random_real(&seed);
        store(a_bytes, a, values, N, types[0]);
        for (size_t k = 0; k < N; k++)
            values[k] += 0.01 * unit_random_real(&seed);
        store(b_bytes, b, values, N, types[1]);
        for (size_t k = 0; k < h_n; k++)
            values[k] = fabs(unit_random_real(&seed));
        store(h_bytes, h, values, h_n, types[2]);
        const nq_tensor x = tensor_of(types[0], 2, dims, a_bytes);
        const nq_tensor y = tensor_of(types[1], 2, dims, b_bytes);
        const nq_tensor z = tensor_of(types[2], h_rank, h_dims[2 - h_rank], h_bytes);
        long double squared = 0, weighted = 0, energy = 0, most = 0;
        for (size_t k = 0; k < N; k++) {
            const long double d = (long double)a[k] - b[k];
            squared += d * d;
            weighted += h[k % h_n] * d * d;
            energy += (long double)a[k] * a[k];
            most = fabsl(d) > most ? fabsl(d) : most;
        }
        nq_distortion d;
        nq_distortion_init(&d);
        assert_int_equal(nq_distortion_add(&d, NULL, &x, &y, &z), NQ_OK);
        assert_int_equal(d.is_weighted, 1);
        assert_int_equal(d.n_elements, N);
        assert_true(close_to(d.squared_error, squared));
        assert_true(close_to(d.weighted_error, weighted));
        assert_true(close_to(d.energy, energy));
        assert_true(close_to(d.max_abs_error, most));
        assert_true(close_to(d.mse, squared / N));
        assert_true(fabsl(d.sqnr_db - 10 * log10l(energy / squared)) < 1e-10L);
        /* Again, without importance: the sums go on. */
        assert_int_equal(nq_distortion_add(&d, NULL, &x, &y, NULL), NQ_OK);
        assert_int_equal(d.n_elements, 2 * N);
        assert_true(close_to(d.squared_error, 2 * squared));
        assert_true(close_to(d.weighted_error, weighted + squared));
    }
}

static double one(double w, double v, double *weighted, double *energy)
{
    nqi_distortion_lanes lanes = {.n = 0};
    nqi_distortion sum = {.n = 0};
    const double h = 2;
    nqi_distortion_add(&lanes, &w, &v, &h, 1);
    nqi_distortion_merge(&sum, &lanes);
    assert_int_equal(sum.n, 1);
    assert_true(sum.squared == sum.max_abs * sum.max_abs);
    *weighted = sum.weighted;
    *energy = sum.energy;
    return sum.max_abs;
}

static void what_is_no_number(void **state)
{
    (void)state;
    const double nan = (double)NAN, inf = (double)INFINITY;
    double weighted, energy;
    assert_true(one(nan, nan, &weighted, &energy) == 0 && weighted == 0 && energy == 0);
    assert_true(one(inf, inf, &weighted, &energy) == 0 && weighted == 0 && energy == 0);
    assert_true(one(-inf, -inf, &weighted, &energy) == 0 && weighted == 0 && energy == 0);
    assert_true(one(inf, -inf, &weighted, &energy) == inf && weighted == inf);
    assert_true(one(nan, 1, &weighted, &energy) == inf && weighted == inf);
    assert_true(one(2, nan, &weighted, &energy) == inf && energy == 4);
    assert_true(one(2, inf, &weighted, &energy) == inf && energy == 4);
    assert_true(one(-inf, 3, &weighted, &energy) == inf && energy == 0);
    assert_true(one(-0.0, 0.0, &weighted, &energy) == 0 && energy == 0);
    assert_true(one(3, 1, &weighted, &energy) == 2 && weighted == 8 && energy == 9);
    nqi_distortion_lanes lanes = {.n = 0};
    nqi_distortion sum = {.n = 0};
    nqi_distortion_add(&lanes, &inf, &inf, &inf, 1);
    nqi_distortion_merge(&sum, &lanes);
    assert_true(sum.weighted == 0);
}

static void ratios_at_their_ends(void **state)
{
    (void)state;
    const nqi_distortion none = {.n = 0}, same = {.n = 3, .energy = 2};
    const nqi_distortion zero = {.n = 3, .squared = 2}, far = {.n = 1, .squared = (double)INFINITY};
    const nqi_distortion wide = {.n = 1, .squared = 1e-300, .energy = 1e300};
    assert_true(nqi_distortion_mse(&none) == 0);
    assert_true(nqi_distortion_sqnr_db(&none) == (double)INFINITY);
    assert_true(nqi_distortion_sqnr_db(&same) == (double)INFINITY);
    assert_true(nqi_distortion_sqnr_db(&zero) == -(double)INFINITY);
    assert_true(nqi_distortion_sqnr_db(&far) == -(double)INFINITY);
    assert_true(fabs(nqi_distortion_sqnr_db(&wide) - 6000) < 1e-9);
}

/* Runs tasks backwards with several workers. */
static void run_backwards(void *user, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    for (uint64_t i = n_tasks; i-- > 0;)
        task(arg, i, (uint32_t)(i % *(const uint32_t *)user));
}

static int32_t stop_at(void *user, uint32_t stage, uint64_t done, uint64_t total)
{
    (void)stage;
    assert_true(done <= total);
    return --*(int *)user < 0;
}

static void workers_change_nothing(void **state)
{
    (void)state;
    const uint64_t n = (3 << 18) + 5;
    float *w = malloc(n * sizeof *w), *v = malloc(n * sizeof *v);
    uint64_t seed = 9;
    long double squared = 0;
    for (uint64_t i = 0; i < n; i++) {
        w[i] = (float)unit_random_real(&seed);
        v[i] = (float)unit_random_real(&seed);
        squared += ((long double)w[i] - v[i]) * ((long double)w[i] - v[i]);
    }
    const nq_tensor x = tensor_of(NQ_F32, 1, &n, w), y = tensor_of(NQ_F32, 1, &n, v);
    nq_distortion first, other;
    nq_distortion_init(&first);
    assert_int_equal(nq_distortion_add(&first, NULL, &x, &y, NULL), NQ_OK);
    assert_true(close_to(first.squared_error, squared));
    for (uint32_t workers = 1; workers < 5; workers++) {
        nq_ctx_options options;
        nq_ctx_options_init(&options);
        options.parallel_for = run_backwards;
        options.parallel_user = &workers;
        options.max_workers = workers;
        nq_ctx *ctx;
        assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
        nq_distortion_init(&other);
        assert_int_equal(nq_distortion_add(&other, ctx, &x, &y, NULL), NQ_OK);
        assert_memory_equal(&first, &other, sizeof first);
        nq_ctx_destroy(ctx);
    }
    nq_ctx_options options;
    nq_ctx_options_init(&options);
    int calls = 1;
    options.progress = stop_at;
    options.progress_user = &calls;
    nq_ctx *ctx;
    assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
    nq_distortion_init(&other);
    assert_int_equal(nq_distortion_add(&other, ctx, &x, &y, NULL), NQ_E_CANCELLED);
    assert_int_equal(other.n_elements, 0);
    nq_ctx_destroy(ctx);
    free(w);
    free(v);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    const float w[6] = {1, 2, 3, 4, 5, 6};
    const uint64_t six[] = {6}, five[] = {5}, zero[] = {0};
    nq_tensor x = tensor_of(NQ_F32, 1, six, w), y = tensor_of(NQ_F32, 1, five, w);
    nq_distortion d;
    nq_distortion_init(&d);
    assert_int_equal(nq_distortion_add(NULL, NULL, &x, &x, NULL), NQ_E_ARG);
    assert_int_equal(nq_distortion_add(&d, NULL, NULL, &x, NULL), NQ_E_ARG);
    assert_int_equal(nq_distortion_add(&d, NULL, &x, NULL, NULL), NQ_E_ARG);
    assert_int_equal(nq_distortion_add(&d, NULL, &x, &y, NULL), NQ_E_ARG);
    assert_int_equal(nq_distortion_add(&d, NULL, &x, &x, &y), NQ_E_ARG);
    y = tensor_of(NQ_I32, 1, six, w);
    assert_int_equal(nq_distortion_add(&d, NULL, &x, &y, NULL), NQ_E_ARG);
    y = tensor_of(NQ_F32, 1, six, NULL);
    assert_int_equal(nq_distortion_add(&d, NULL, &x, &y, NULL), NQ_E_ARG);
    y = tensor_of(NQ_F32, 1, six, w);
    y.rank = 9;
    assert_int_equal(nq_distortion_add(&d, NULL, &x, &y, NULL), NQ_E_ARG);
    x.struct_size = 4;
    y = tensor_of(NQ_F32, 1, six, w);
    assert_int_equal(nq_distortion_add(&d, NULL, &x, &y, NULL), NQ_E_ABI);
    x.struct_size = (uint32_t)sizeof x;
    d.struct_size = 8;
    assert_int_equal(nq_distortion_add(&d, NULL, &x, &y, NULL), NQ_E_ABI);
    nq_distortion_init(&d);
    x = y = tensor_of(NQ_F16, 1, zero, NULL);
    assert_int_equal(nq_distortion_add(&d, NULL, &x, &y, NULL), NQ_OK);
    assert_true(d.n_elements == 0 && d.mse == 0 && d.sqnr_db == (double)INFINITY);
    /* A different shape of as many elements is fine, and so is a scalar. */
    const uint64_t matrix[] = {2, 3};
    x = tensor_of(NQ_F32, 1, six, w);
    y = tensor_of(NQ_F32, 2, matrix, w);
    assert_int_equal(nq_distortion_add(&d, NULL, &x, &y, NULL), NQ_OK);
    x = y = tensor_of(NQ_F32, 0, NULL, w);
    assert_int_equal(nq_distortion_add(&d, NULL, &x, &y, NULL), NQ_OK);
    assert_int_equal(d.n_elements, 7);
}

static void old_and_new_programs_call(void **state)
{
    (void)state;
    const float w[2] = {1, 2}, v[2] = {1, 3};
    const uint64_t two[] = {2};
    const nq_tensor x = tensor_of(NQ_F32, 1, two, w), y = tensor_of(NQ_F32, 1, two, v);
    struct {
        nq_distortion d;
        uint64_t more;
    } longer;
    nq_distortion_init_sized(&longer.d, (uint32_t)sizeof longer);
    assert_int_equal(longer.more, 0);
    assert_int_equal(nq_distortion_add(&longer.d, NULL, &x, &y, NULL), NQ_OK);
    assert_int_equal(longer.d.struct_size, sizeof longer);
    assert_true(longer.d.squared_error == 1);
    longer.more = 1;
    assert_int_equal(nq_distortion_add(&longer.d, NULL, &x, &y, NULL), NQ_E_ABI);
    nq_distortion_init_sized(NULL, 100);
}

/* The sums of every kernel, lane by lane, of any number of elements, with what is no number. */
static void lanes_are_the_same_in_vectors(void **state)
{
    (void)state;
    enum { MOST = 1100 };
    static double w[MOST], v[MOST], h[MOST];
    static const double odd[] = {INFINITY, -INFINITY, NAN, 1e308, 0x1p-1074, -0.0};
    uint64_t seed = 5;
    for (unsigned round = 0; round < 400; round++) {
        nqi_distortion_lanes plain = {.cpu = 0}, fast = {.cpu = nqi_cpu_features()};
        for (size_t i = 0; i < MOST; i++) {
            w[i] = unit_random_real(&seed);
            v[i] = w[i] + 0.1 * unit_random_real(&seed);
            h[i] = fabs(unit_random_real(&seed));
        }
        for (unsigned k = 0; k < round % 3; k++) {
            double *where = k == 0 ? w : round % 2 ? v : h;
            where[unit_random(&seed) % MOST] = odd[unit_random(&seed) % 6];
        }
        const size_t n = round < 30 ? round : (size_t)(unit_random(&seed) % MOST);
        const double *importance = round % 5 == 0 ? NULL : h;
        for (unsigned k = 0; k < 2; k++) {
            nqi_distortion_add(&plain, w, v, importance, n & ~(size_t)7);
            nqi_distortion_add(&fast, w, v, importance, n & ~(size_t)7);
        }
        nqi_distortion_add(&plain, w, v, importance, n);
        nqi_distortion_add(&fast, w, v, importance, n);
        assert_int_equal(plain.n, fast.n);
        assert_memory_equal(plain.squared, fast.squared, sizeof plain.squared);
        assert_memory_equal(plain.weighted, fast.weighted, sizeof plain.weighted);
        assert_memory_equal(plain.energy, fast.energy, sizeof plain.energy);
        assert_memory_equal(plain.max_abs, fast.max_abs, sizeof plain.max_abs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_types),
        cmocka_unit_test(what_is_no_number),
        cmocka_unit_test(ratios_at_their_ends),
        cmocka_unit_test(workers_change_nothing),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(old_and_new_programs_call),
        cmocka_unit_test(lanes_are_the_same_in_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
