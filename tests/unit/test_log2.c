/*
 * The library's own elementary functions against the platform's in long double. Where long double
 * is no wider than double the oracle itself is off by about half a unit, which the bounds allow.
 */
#include "base/log2.h"
#include "unit.h"

#include <float.h>
#include <math.h>

#include "base/bytes.h"

/* The distance to the oracle's value in units of its last place as a double. */
static double ulps(double got, long double expected)
{
    if (isinf(got) && isinf((double)expected))
        return 0;
    int exponent;
    frexp((double)expected, &exponent);
    const int lowest = DBL_MIN_EXP - DBL_MANT_DIG;
    const long double unit =
        ldexpl(1.0L, exponent - DBL_MANT_DIG < lowest ? lowest : exponent - DBL_MANT_DIG);
    return (double)(fabsl((long double)got - expected) / unit);
}

/* Positive and finite: any pattern, near one, or denormal. */
static double random_positive(uint64_t *seed)
{
    const uint64_t bits = unit_random(seed);
    switch (unit_random(seed) % 4) {
    case 0:
        return nqi_f64_from_bits(UINT64_C(0x3fe0000000000000) + bits % (UINT64_C(1) << 53));
    case 1:
        return nqi_f64_from_bits(bits % (UINT64_C(1) << 52) + 1);
    case 2:
        return 1.0 + unit_random_real(seed) * ldexp(1.0, -(int)(bits % 53) - 1);
    default:
        return nqi_f64_from_bits(bits % UINT64_C(0x7fefffffffffffff) + 1);
    }
}

static void test_log2(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (int e = -1074; e < 1024; e++)
        assert_true(nqi_log2(ldexp(1.0, e)) == (double)e);
    for (int i = 0; i < 3000000; i++) {
        const double value = random_positive(&seed);
        if (!(ulps(nqi_log2(value), log2l((long double)value)) < 1.5))
            fail_msg("log2(%a) = %a", value, nqi_log2(value));
    }
}

static void test_exp2(void **state)
{
    (void)state;
    uint64_t seed = 5;
    for (int e = -1074; e < 1024; e++)
        assert_true(nqi_exp2((double)e) == ldexp(1.0, e));
    for (int i = 0; i < 3000000; i++) {
        const double range = i % 2 ? 1099.0 : 3.0;
        const double value = unit_random_real(&seed) * range;
        if (!(ulps(nqi_exp2(value), exp2l((long double)value)) < 1.5))
            fail_msg("exp2(%a) = %a", value, nqi_exp2(value));
    }
    assert_true(isinf(nqi_exp2(1024.0)) && isinf(nqi_exp2(INFINITY)));
    assert_true(nqi_exp2(0x1.ffffffffffffp+9) < INFINITY);
    assert_true(nqi_exp2(-1100.5) == 0 && nqi_exp2(-1e300) == 0 && nqi_exp2(-INFINITY) == 0);
    assert_true(isnan(nqi_exp2(NAN)));
}

static void test_pow(void **state)
{
    (void)state;
    uint64_t seed = 6;
    for (int i = 0; i < 2000000; i++) {
        const double base =
            ldexp(1.5 + unit_random_real(&seed) / 2, (int)(unit_random(&seed) % 121) - 60);
        const double exponent = unit_random_real(&seed) * 4;
        const long double expected = powl((long double)base, (long double)exponent);
        if (!(ulps(nqi_pow(base, exponent), expected) < 1.5))
            fail_msg("pow(%a, %a) = %a", base, exponent, nqi_pow(base, exponent));
    }
    for (int i = 0; i < 1000; i++) {
        const double value = random_positive(&seed);
        assert_true(nqi_pow(value, 0.0) == 1.0);
        assert_true(nqi_pow(value, 1.0) == value);
        assert_true(nqi_pow(1.0, value) == 1.0);
        assert_true(nqi_pow(0.0, value) == (value == 0.0 ? 1.0 : 0.0));
    }
    assert_true(nqi_pow(0.0, 0.0) == 1.0);
    assert_true(ulps(nqi_pow(2.0, 0.5), sqrtl(2.0L)) < 1.5);
    assert_true(isinf(nqi_pow(2.0, 1e300)) && nqi_pow(2.0, -1e300) == 0.0);
    assert_true(nqi_pow(0.5, 1e300) == 0.0 && isinf(nqi_pow(1e300, 2.0)));
}

/* s is the correctly rounded root of v when v lies between the squares of s's two midpoints with
 * its neighbours; 18 digits of the platform's long double are not needed where sqrt is in hardware,
 * which IEEE 754 obliges to round correctly. */
static void test_sqrt(void **state)
{
    (void)state;
    uint64_t seed = 7;
    assert_true(nqi_sqrt(0.0) == 0.0 && signbit(nqi_sqrt(-0.0)));
    assert_true(nqi_sqrt(0x1p-1074) == 0x1p-537);
    assert_true(isinf(nqi_sqrt(INFINITY)) && isnan(nqi_sqrt(NAN)));
    for (uint64_t i = 1; i < 5000; i++)
        assert_true(nqi_sqrt((double)(i * i)) == (double)i);
    for (int i = 0; i < 2000000; i++) {
        const double value = random_positive(&seed);
        if (nqi_sqrt(value) != sqrt(value))
            fail_msg("sqrt(%a) = %a", value, nqi_sqrt(value));
    }
}

static void test_floor(void **state)
{
    (void)state;
    const double values[] = {0.0,
                             -0.0,
                             0.5,
                             -0.5,
                             1.0,
                             -1.0,
                             1.999,
                             -1.001,
                             0x1p61,
                             -0x1p61,
                             4503599627370495.5,
                             -4503599627370495.5,
                             0x1p-1074,
                             -0x1p-1074};
    for (size_t i = 0; i < NQI_COUNT(values); i++)
        assert_true((double)nqi_floor_i64(values[i]) == floor(values[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log2), cmocka_unit_test(test_exp2),  cmocka_unit_test(test_pow),
        cmocka_unit_test(test_sqrt), cmocka_unit_test(test_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
