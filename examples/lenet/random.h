/*
 * Random numbers that are the same on every machine: splitmix64 (Steele, Lea, Flood 2014).
 */
#ifndef LENET_RANDOM_H
#define LENET_RANDOM_H

#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 .. n - 1; off uniform by less than n / 2^32. */
static inline uint32_t random_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)((random_next(state) >> 32) * n >> 32);
}

/* Uniform in [-1, 1), with all 24 bits of a float. */
static inline float random_real(uint64_t *state)
{
    return (float)(random_next(state) >> 40) * 0x1p-23f - 1;
}

#endif
