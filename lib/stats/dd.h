/*
 * Numbers of twice the precision, as unevaluated sums of two doubles. Prefix sums are kept in them:
 * what is lost in a long prefix sum is not the additions' rounding but the sum's own, once the
 * difference of two of them is small beside both. Built on the library's rule that nothing
 * contracts or reorders floating point.
 */
#ifndef NQI_STATS_DD_H
#define NQI_STATS_DD_H

#include "base/common.h"

typedef struct nqi_dd {
    double hi;
    double lo; /* at most half a unit in the last place of hi */
} nqi_dd;

/* a + b exactly (Knuth 1969). */
static inline nqi_dd nqi_dd_sum(double a, double b)
{
    const double hi = a + b;
    const double b_part = hi - a;
    return (nqi_dd){hi, (a - (hi - b_part)) + (b - b_part)};
}

/* a + b exactly for |a| >= |b| (Dekker 1971). */
static inline nqi_dd nqi_dd_sum_ordered(double a, double b)
{
    const double hi = a + b;
    return (nqi_dd){hi, b - (hi - a)};
}

/* a * b exactly, away from overflow and underflow (Dekker 1971, halves after Veltkamp 1968). */
static inline nqi_dd nqi_dd_product(double a, double b)
{
    const double split = 134217729.0; /* 2^27 + 1 */
    const double a_scaled = a * split, b_scaled = b * split;
    const double a1 = a_scaled - (a_scaled - a), b1 = b_scaled - (b_scaled - b);
    const double a2 = a - a1, b2 = b - b1;
    const double hi = a * b;
    return (nqi_dd){hi, ((a1 * b1 - hi) + a1 * b2 + a2 * b1) + a2 * b2};
}

static inline nqi_dd nqi_dd_add(nqi_dd a, nqi_dd b)
{
    const nqi_dd hi = nqi_dd_sum(a.hi, b.hi);
    const nqi_dd lo = nqi_dd_sum(a.lo, b.lo);
    const nqi_dd first = nqi_dd_sum_ordered(hi.hi, hi.lo + lo.hi);
    return nqi_dd_sum_ordered(first.hi, first.lo + lo.lo);
}

static inline nqi_dd nqi_dd_add_double(nqi_dd a, double b)
{
    const nqi_dd hi = nqi_dd_sum(a.hi, b);
    return nqi_dd_sum_ordered(hi.hi, hi.lo + a.lo);
}

static inline nqi_dd nqi_dd_negate(nqi_dd a)
{
    return (nqi_dd){-a.hi, -a.lo};
}

static inline nqi_dd nqi_dd_sub(nqi_dd a, nqi_dd b)
{
    return nqi_dd_add(a, nqi_dd_negate(b));
}

static inline nqi_dd nqi_dd_mul_double(nqi_dd a, double b)
{
    const nqi_dd p = nqi_dd_product(a.hi, b);
    return nqi_dd_sum_ordered(p.hi, p.lo + a.lo * b);
}

static inline double nqi_dd_value(nqi_dd a)
{
    return a.hi + a.lo;
}

#endif
