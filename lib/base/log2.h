/*
 * Own elementary functions: results that reach a file must not depend on the platform's libm. All
 * use only +, -, *, / on doubles in a fixed order, so every conforming machine gives the same bits.
 */
#ifndef NQI_LOG2_H
#define NQI_LOG2_H

#include "base/common.h"

/* log2 of a finite value > 0 (denormals too), within 2 ulp or 2^-52 absolute. */
double nqi_log2(double value);

/* 2^value, within 2 ulp; 0 below -1100, infinity from 1024. */
double nqi_exp2(double value);

/* base^exponent for finite base >= 0: exactly 1 for exponent 0, the base for 1, 0 for base 0. */
double nqi_pow(double base, double exponent);

/* Correctly rounded square root of a finite value >= 0. */
double nqi_sqrt(double value);

/* The largest integer <= value, for |value| < 2^62. */
static inline int64_t nqi_floor_i64(double value)
{
    const int64_t truncated = (int64_t)value;
    return truncated - ((double)truncated > value);
}

#endif
