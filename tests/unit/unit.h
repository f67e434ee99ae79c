/*
 * What every unit test includes: cmocka with the headers it wants before it, and random numbers
 * that are the same on every machine. With UNIT_ABORTS the assertions end the program instead, for
 * fuzzers and tools that use headers of these tests.
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

#ifdef UNIT_ABORTS
#define assert_true(condition)       unit_demand((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define assert_false(condition)      assert_true(!(condition))
#define assert_int_equal(a, b)       assert_true((a) == (b))
#define assert_non_null(p)           assert_true((p) != NULL)
#define assert_memory_equal(a, b, n) assert_true(memcmp(a, b, n) == 0)

static inline void unit_demand(int holds, const char *what, const char *file, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}
#else
#include <cmocka.h>
#endif

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
