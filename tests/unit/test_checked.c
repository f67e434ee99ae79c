/*
 * Checked arithmetic against 32-bit factors, whose products 64 bits hold, and around the edges.
 */
#include "base/checked.h"
#include "unit.h"

static const uint64_t edges[] = {0,
                                 1,
                                 2,
                                 3,
                                 UINT32_MAX,
                                 UINT64_C(1) << 32,
                                 (UINT64_C(1) << 32) + 1,
                                 INT64_MAX,
                                 UINT64_C(1) << 63,
                                 UINT64_MAX - 1,
                                 UINT64_MAX};

/* The high word of a 64 x 64 bit product, from four partial products: not zero means overflow. */
static uint64_t product_high(uint64_t a, uint64_t b)
{
    const uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    const uint64_t middle = ah * bl + ((al * bl) >> 32);
    return ah * bh + (middle >> 32) + ((al * bh + (uint32_t)middle) >> 32);
}

static void check_pair(uint64_t a, uint64_t b)
{
    uint64_t got = 42;
    const bool adds = a + b >= a;
    assert_int_equal(nqi_add_u64(&got, a, b), adds);
    assert_true(got == (adds ? a + b : 42));
    got = 42;
    const bool multiplies = product_high(a, b) == 0;
    assert_int_equal(nqi_mul_u64(&got, a, b), multiplies);
    assert_true(got == (multiplies ? a * b : 42));
}

static void test_add_and_multiply(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (size_t i = 0; i < NQI_COUNT(edges); i++)
        for (size_t j = 0; j < NQI_COUNT(edges); j++)
            check_pair(edges[i], edges[j]);
    for (int i = 0; i < 100000; i++) {
        const unsigned shift_a = unit_random(&seed) % 64, shift_b = unit_random(&seed) % 64;
        check_pair(unit_random(&seed) >> shift_a, unit_random(&seed) >> shift_b);
    }
}

static void test_size_variants(void **state)
{
    (void)state;
    size_t got = 42;
    assert_false(nqi_add_size(&got, SIZE_MAX, 1));
    assert_false(nqi_mul_size(&got, SIZE_MAX / 2 + 1, 2));
    assert_int_equal(got, 42);
    assert_true(nqi_add_size(&got, SIZE_MAX - 1, 1));
    assert_true(got == SIZE_MAX);
    assert_true(nqi_mul_size(&got, SIZE_MAX / 3, 3));
    assert_true(got == SIZE_MAX / 3 * 3);
    assert_true(nqi_mul_size(&got, SIZE_MAX, 0));
    assert_int_equal(got, 0);
    assert_true(nqi_to_size(&got, 7));
    assert_int_equal(got, 7);
    assert_int_equal(nqi_to_size(&got, UINT64_MAX), SIZE_MAX == UINT64_MAX);
}

static void test_rounding(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 64; alignment *= 2)
        for (size_t value = 0; value < 200; value++) {
            size_t expected = value, got;
            while (expected % alignment != 0)
                expected++;
            assert_true(nqi_round_up_size(&got, value, alignment));
            assert_int_equal(got, expected);
        }
    size_t got = 42;
    assert_false(nqi_round_up_size(&got, SIZE_MAX - 62, 64));
    assert_int_equal(got, 42);
    assert_true(nqi_round_up_size(&got, SIZE_MAX - 63, 64));
    for (uint64_t a = 0; a < 50; a++)
        for (uint64_t b = 1; b < 50; b++)
            assert_int_equal(nqi_div_up_u64(a, b), (a + b - 1) / b);
    assert_true(nqi_div_up_u64(UINT64_MAX, 2) == UINT64_C(1) << 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_multiply),
        cmocka_unit_test(test_size_variants),
        cmocka_unit_test(test_rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
