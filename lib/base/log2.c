/*
 * Elementary functions that give the same bits on every machine: see log2.h. The logarithm is
 * carried as an unevaluated sum of two doubles, so that one rounding is nearly all that is lost,
 * and so that powers, which multiply the logarithm's error, stay accurate too.
 *
 * Nothing here relies on a fused multiply-add or on excess precision: the library is built with
 * -ffp-contract=off, and with SSE2 where the alternative is the x87 stack.
 */
#include "base/log2.h"

#include <float.h>

#include "base/bytes.h"

#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 1
#error "floating point must be evaluated in the precision of its type (i386: -msse2 -mfpmath=sse)"
#endif

#define MANTISSA_BITS 52
#define MANTISSA_MASK ((UINT64_C(1) << MANTISSA_BITS) - 1)
#define EXPONENT_BIAS 1023

/* high + low, where low is at most half a unit in the last place of high. */
typedef struct pair {
    double high;
    double low;
} pair;

/* a + b exactly, for |a| >= |b| (Dekker 1971). */
static pair sum_ordered(double a, double b)
{
    const double high = a + b;
    return (pair){high, b - (high - a)};
}

/* a with its lower 27 mantissa bits cleared (Veltkamp 1968), for |a| < 2^995. */
static double upper_half(double a)
{
    const double scaled = a * 134217729.0; /* 2^27 + 1 */
    return scaled - (scaled - a);
}

/* a * b exactly (Dekker 1971): the halves' products are exact. */
static pair product(double a, double b)
{
    const double a1 = upper_half(a), a2 = a - a1;
    const double b1 = upper_half(b), b2 = b - b1;
    const double high = a * b;
    return (pair){high, ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2};
}

/* 2^exponent for -1022..1023. */
static double power_of_two(int exponent)
{
    return nqi_f64_from_bits((uint64_t)(exponent + EXPONENT_BIAS) << MANTISSA_BITS);
}

/* value = mantissa * 2^exponent with 2^52 <= mantissa < 2^53; value finite and > 0. */
static uint64_t split(double value, int *exponent)
{
    const uint64_t bits = nqi_f64_bits(value);
    uint64_t mantissa = bits & MANTISSA_MASK;
    int biased = (int)(bits >> MANTISSA_BITS);
    if (biased != 0) {
        *exponent = biased - EXPONENT_BIAS - MANTISSA_BITS;
        return mantissa | (UINT64_C(1) << MANTISSA_BITS);
    }
    for (biased = 1; mantissa >> MANTISSA_BITS == 0; biased--)
        mantissa <<= 1;
    *exponent = biased - EXPONENT_BIAS - MANTISSA_BITS;
    return mantissa;
}

/*
 * (atanh(s) - s) / s^3 = 1/3 + z/5 + z^2/7 + ... with z = s^2. For |s| <= (sqrt 2 - 1)/(sqrt 2 + 1)
 * the first term left out, z^11 / 25, is below 2^-60, and this whole is less than 2^-6.6 of the sum
 * that it is added to after multiplication by z.
 */
static double atanh_tail(double z)
{
    double sum = 0;
    for (int denominator = 23; denominator >= 3; denominator -= 2)
        sum = sum * z + 1.0 / denominator;
    return sum;
}

/* log2(m) for m in [sqrt(1/2), sqrt(2)]: 2/ln 2 * atanh((m - 1) / (m + 1)). */
static pair log2_near_one(double m)
{
    const pair two_over_ln2 = {0x1.71547652b82fep+1, 0x1.777d0ffda0d24p-55};
    const double numerator = m - 1.0; /* exact (Sterbenz) */
    const pair denominator = m < 1.0 ? sum_ordered(1.0, m) : sum_ordered(m, 1.0);
    const double s = numerator / denominator.high;
    const pair back = product(s, denominator.high);
    const double rest = ((numerator - back.high) - back.low) - s * denominator.low;
    const double z = s * s;
    const double tail = rest / denominator.high + s * z * atanh_tail(z);
    const pair sum = sum_ordered(s, tail);
    const pair scaled = product(sum.high, two_over_ln2.high);
    const double low = scaled.low + (sum.high * two_over_ln2.low + sum.low * two_over_ln2.high);
    return sum_ordered(scaled.high, low);
}

static pair log2_pair(double value)
{
    const double sqrt2 = 0x1.6a09e667f3bcdp+0;
    int exponent;
    const uint64_t mantissa = split(value, &exponent);
    double m = (double)mantissa * 0x1p-52;
    exponent += MANTISSA_BITS;
    if (m > sqrt2) {
        m *= 0.5;
        exponent++;
    }
    const pair fraction = log2_near_one(m);
    if (exponent == 0)
        return fraction;
    const pair sum = sum_ordered((double)exponent, fraction.high);
    return sum_ordered(sum.high, sum.low + fraction.low);
}

double nqi_log2(double value)
{
    const pair result = log2_pair(value);
    return result.high + result.low;
}

/*
 * exp(t) for |t| <= ln(2)/2, t = high + low: the Taylor series to t^14 / 14!, whose first term left
 * out is below 2^-63.
 */
static double exp_small(pair t)
{
    double sum = 0;
    for (int k = 14; k >= 2; k--)
        sum = (sum + 1.0) * (t.high / k);
    const pair one_plus = sum_ordered(1.0, t.high);
    return one_plus.high + (one_plus.low + (t.low + t.high * sum));
}

/* 2^(whole + fraction) for |fraction.high| <= 1/2 and whole in -1101..1024. */
static double exp2_parts(int whole, pair fraction)
{
    const pair ln2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
    const pair scaled = product(fraction.high, ln2.high);
    const double low = scaled.low + (fraction.high * ln2.low + fraction.low * ln2.high);
    const double m = exp_small(sum_ordered(scaled.high, low));
    if (whole > 1000)
        return m * power_of_two(whole - 1000) * 0x1p1000;
    if (whole < -1000) /* the last product is the only one that rounds, if the result is denormal */
        return m * power_of_two(whole + 200) * 0x1p-200;
    return m * power_of_two(whole);
}

/* 2^(high + low), for any high. */
static double exp2_pair(double high, double low)
{
    if (high != high)
        return high;
    if (high >= 1024.0)
        return nqi_f64_from_bits(UINT64_C(0x7ff) << MANTISSA_BITS);
    if (high < -1100.0)
        return 0.0;
    const int64_t whole = nqi_floor_i64(high + 0.5);
    return exp2_parts((int)whole, (pair){high - (double)whole, low});
}

double nqi_exp2(double value)
{
    return exp2_pair(value, 0.0);
}

double nqi_pow(double base, double exponent)
{
    if (exponent == 0.0)
        return 1.0;
    if (exponent == 1.0 || base == 0.0 || base == 1.0)
        return base;
    const pair log = log2_pair(base);
    const double estimate = log.high * exponent;
    if (!(estimate > -1200.0 && estimate < 1200.0) || exponent > 0x1p900 || exponent < -0x1p900)
        return exp2_pair(estimate, 0.0);
    const pair exact = product(log.high, exponent);
    return exp2_pair(exact.high, exact.low + log.low * exponent);
}

/*
 * Digit by digit, as with pencil and paper, in base 2: invariant, root^2 + rest = the digits of the
 * radicand that were taken down so far, and rest <= 2 root. With the mantissa m in [2^52, 2^54) the
 * radicand m * 2^54 has 108 bits and its root 54: one more than a double has. A tie is impossible,
 * since an odd root has an odd square, so adding one half and cutting rounds to nearest.
 */
double nqi_sqrt(double value)
{
    int exponent;
    if (!(value > 0.0) || nqi_f64_bits(value) >> MANTISSA_BITS == 0x7ff)
        return value;
    uint64_t radicand = split(value, &exponent);
    if (exponent % 2 != 0) {
        radicand <<= 1;
        exponent--;
    }
    uint64_t root = 0, rest = 0;
    radicand <<= 10; /* its 54 bits to the top */
    for (int digit = 0; digit < 54; digit++) {
        rest = (rest << 2) | (radicand >> 62);
        radicand <<= 2;
        const uint64_t trial = (root << 2) | 1;
        root <<= 1;
        if (rest >= trial) {
            rest -= trial;
            root |= 1;
        }
    }
    return (double)((root + 1) >> 1) * power_of_two((exponent - 54) / 2 + 1);
}
