/*
 * Keys and sorting: keys against the order of floats, sorting against a comparison of every
 * neighbour and of what travelled.
 */
#include "test_stats_data.h"

#include "stats/key.h"
#include "stats/sort.h"

static void keys_have_the_order_of_floats(void **state)
{
    (void)state;
    const float rising[] = {-3.402823466e38f, -1.5f, -1.0f,     -1e-20f,
                            -0x1p-149f,       0.0f,  0x1p-149f, 1e-38f,
                            0x1p-126f,        0.5f,  1.0f,      3.402823466e38f};
    for (size_t i = 0; i < NQI_COUNT(rising); i++) {
        assert_true(nqi_key_is_finite(nqi_key(rising[i])));
        assert_true(nqi_key_weight(nqi_key(rising[i])) == rising[i]);
        if (i > 0)
            assert_true(nqi_key(rising[i]) > nqi_key(rising[i - 1]));
    }
    assert_int_equal(nqi_key(-0.0f), nqi_key(0.0f));
    assert_int_equal(nqi_key(0.0f), NQI_KEY_ZERO);
    assert_int_equal(nqi_key(-3.402823466e38f), NQI_KEY_MIN);
    assert_int_equal(nqi_key(3.402823466e38f), NQI_KEY_MAX);
    assert_false(nqi_key_is_finite(nqi_key(INFINITY)));
    assert_false(nqi_key_is_finite(nqi_key(-INFINITY)));
    assert_false(nqi_key_is_finite(nqi_key(NAN)));
    assert_false(nqi_key_is_finite(nqi_key(-NAN)));
}

/* A key's neighbour is a spacing away, on both sides of zero and of a power of two. */
static void spacing_is_the_distance_of_neighbours(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 100000; i++) {
        const uint32_t key = (uint32_t)unit_random(&seed);
        if (!nqi_key_is_finite(key) || !nqi_key_is_finite(key + 1) || key == NQI_KEY_ZERO - 1 ||
            key + 1 == NQI_KEY_ZERO - 1)
            continue;
        const double here = (double)nqi_key_weight(key), next = (double)nqi_key_weight(key + 1);
        const uint32_t inner = here < 0 ? key + 1 : key; /* whose exponent the interval has */
        assert_true(next - here == nqi_key_spacing(inner) || next - here == nqi_key_spacing(key));
    }
    assert_true(nqi_key_spacing(nqi_key(1.0f)) == 0x1p-23);
    assert_true(nqi_key_spacing(nqi_key(-1.5f)) == 0x1p-23);
    assert_true(nqi_key_spacing(nqi_key(0.0f)) == 0x1p-149);
}

static void check_sort(const nqi_env *env, size_t n, size_t load_bytes, uint32_t mask)
{
    uint32_t *keys = malloc((2 * n + 1) * sizeof *keys);
    uint64_t *load = malloc((2 * n + 1) * sizeof *load);
    uint32_t *original = malloc((n + 1) * sizeof *original);
    assert_non_null(keys);
    assert_non_null(load);
    assert_non_null(original);
    nqi_sorting s = {.n = n,
                     .load_bytes = load_bytes,
                     .keys = keys,
                     .keys2 = keys + n,
                     .load = load,
                     .load2 = load + n};
    uint64_t seed = n;
    for (size_t i = 0; i < n; i++) {
        original[i] = keys[i] = (uint32_t)unit_random(&seed) & mask;
        if (load_bytes == 8)
            load[i] = i;
        else if (load_bytes == 4)
            ((uint32_t *)load)[i] = (uint32_t)i;
    }
    assert_int_equal(nqi_sort_by_key(&s, env), NQ_OK);
    uint64_t before = 0;
    for (size_t i = 0; i < n; i++) {
        const uint64_t from = load_bytes == 8   ? ((const uint64_t *)s.load)[i]
                              : load_bytes == 4 ? ((const uint32_t *)s.load)[i]
                                                : 0;
        if (i > 0)
            assert_true(s.keys[i - 1] <= s.keys[i]);
        if (load_bytes > 0) {
            assert_true(from < n && original[from] == s.keys[i]);
            if (i > 0 && s.keys[i - 1] == s.keys[i])
                assert_true(before < from); /* stable, and so nobody came twice */
        }
        before = from;
    }
    free(keys);
    free(load);
    free(original);
}

static void sorting_is_stable(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 2, 3, 100, 4096, 300000, 1100000};
    for (size_t w = 0; w < NQI_COUNT(data_workers); w++) {
        const nqi_env env = data_env(&data_workers[w], 0);
        for (size_t i = 0; i < NQI_COUNT(sizes); i++)
            for (size_t load = 0; load <= 8; load += 4) {
                check_sort(&env, sizes[i], load, UINT32_MAX);
                check_sort(&env, sizes[i], load, 0x00ff00f0);
            }
        check_sort(&env, 5000, 8, 0);
    }
}

static void sorting_by_load(void **state)
{
    (void)state;
    enum { N = 5000 };
    static uint32_t keys[2 * N], load[2 * N];
    const nqi_env env = nqi_env_default();
    uint64_t seed = 3;
    for (uint32_t i = 0; i < N; i++) {
        keys[i] = i;
        load[i] = (uint32_t)unit_random(&seed);
    }
    nqi_sorting s = {
        .n = N, .load_bytes = 4, .keys = keys, .keys2 = keys + N, .load = load, .load2 = load + N};
    assert_int_equal(nqi_sort_by_load(&s, &env, 11), NQ_OK);
    const uint32_t *sorted = s.load;
    for (uint32_t i = 1; i < N; i++) {
        assert_true(sorted[i - 1] >> 21 <= sorted[i] >> 21);
        if (sorted[i - 1] >> 21 == sorted[i] >> 21)
            assert_true(s.keys[i - 1] < s.keys[i]);
    }
}

static void sorting_without_memory(void **state)
{
    (void)state;
    uint32_t keys[4] = {2, 1};
    data_memory memory;
    const nqi_env env = data_env_failing(&memory, 0);
    nqi_sorting s = {.n = 2, .keys = keys, .keys2 = keys + 2};
    assert_int_equal(nqi_sort_by_key(&s, &env), NQ_E_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_the_order_of_floats),
        cmocka_unit_test(spacing_is_the_distance_of_neighbours),
        cmocka_unit_test(sorting_is_stable),
        cmocka_unit_test(sorting_by_load),
        cmocka_unit_test(sorting_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
