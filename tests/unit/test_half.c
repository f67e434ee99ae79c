/*
 * Half precision. The oracle knows only what a format is: sign, and magnitudes in rising order of
 * their bit patterns. Every value is compared, and every place between two neighbours where
 * rounding changes its mind.
 */
#include "base/half.h"
#include "unit.h"

#include <math.h>

typedef struct format {
    unsigned mantissa_bits;
    int bias;
    uint16_t infinity;
    uint16_t (*from_f32)(float);
    float (*to_f32)(uint16_t);
} format;

static const format f16 = {10, 15, 0x7c00, nqi_f32_to_f16, nqi_f16_to_f32};
static const format bf16 = {7, 127, 0x7f80, nqi_f32_to_bf16, nqi_bf16_to_f32};

/* What a pattern without sign, up to infinity, stands for; infinity as if it were finite. */
static double value_of(const format *f, unsigned magnitude)
{
    const int exponent = (int)(magnitude >> f->mantissa_bits);
    const unsigned mantissa = magnitude & ((1u << f->mantissa_bits) - 1);
    const unsigned leading = exponent != 0 ? 1u << f->mantissa_bits : 0u;
    const int scale = (exponent != 0 ? exponent : 1) - f->bias - (int)f->mantissa_bits;
    return ldexp((double)(leading + mantissa), scale);
}

static void check_all_values(const format *f)
{
    for (unsigned bits = 0; bits < 65536; bits++) {
        const unsigned magnitude = bits & 0x7fff;
        const float got = f->to_f32((uint16_t)bits);
        assert_int_equal(signbit(got) != 0, bits >> 15);
        if (magnitude > f->infinity) {
            assert_true(isnan(got));
            assert_true((f->from_f32(got) & 0x7fff) > f->infinity);
            continue;
        }
        if (magnitude == f->infinity)
            assert_true(isinf(got));
        else
            assert_true(fabs((double)got) == value_of(f, magnitude));
        assert_int_equal(f->from_f32(got), bits);
    }
}

static void check_rounding(const format *f, float value, unsigned expected)
{
    if (f->from_f32(value) != expected || f->from_f32(-value) != (expected | 0x8000))
        fail_msg("%a rounds to %04x, not %04x", (double)value, f->from_f32(value), expected);
}

/* Between each two neighbours: the middle goes to the even one, its f32 neighbours to the nearest.
 * The middle of the last finite value and infinity, were it finite, is where overflow begins. */
static void check_all_middles(const format *f)
{
    for (unsigned low = 0; low < f->infinity; low++) {
        const double middle = (value_of(f, low) + value_of(f, low + 1)) / 2;
        const float m = (float)middle;
        assert_true((double)m == middle);
        check_rounding(f, m, low % 2 == 0 ? low : low + 1);
        check_rounding(f, nextafterf(m, 0), low);
        check_rounding(f, nextafterf(m, INFINITY), low + 1);
        check_rounding(f, nextafterf((float)value_of(f, low), INFINITY), low);
    }
    check_rounding(f, 0x1.fffffep+127f, f->infinity);
    check_rounding(f, INFINITY, f->infinity);
    check_rounding(f, 0x1p-149f, 0);
}

static void test_f16(void **state)
{
    (void)state;
    check_all_values(&f16);
    check_all_middles(&f16);
    assert_int_equal(nqi_f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(nqi_f32_to_f16(65520.0f), 0x7c00);
}

/* bf16 keeps f32's exponents, so the middle of its two smallest values is a denormal of f32. */
static void test_bf16(void **state)
{
    (void)state;
    check_all_values(&bf16);
    check_all_middles(&bf16);
}

static void test_nan_payloads(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int i = 0; i < 100000; i++) {
        const uint32_t bits = 0x7f800001u + (uint32_t)(unit_random(&seed) % 0x7fffffu);
        const uint32_t sign = (uint32_t)(unit_random(&seed) << 31);
        const uint16_t half = nqi_f32_to_f16(nqi_f32_from_bits(bits | sign));
        const uint16_t brain = nqi_f32_to_bf16(nqi_f32_from_bits(bits | sign));
        assert_int_equal(half, (sign >> 16) | 0x7e00 | ((bits >> 13) & 0x3ff));
        assert_int_equal(brain, (sign >> 16) | 0x40 | (bits >> 16));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_nan_payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
