/*
 * What every unit test includes: cmocka with the headers it wants before it, and random numbers
 * that are the same on every machine.
 */
#ifndef NQI_TESTS_UNIT_H
#define NQI_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* splitmix64 (Steele, Lea, Flood 2014). */
static inline uint64_t unit_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in [-1, 1). */
static inline double unit_random_real(uint64_t *state)
{
    return (double)(unit_random(state) >> 11) * 0x1p-52 - 1.0;
}

#endif
