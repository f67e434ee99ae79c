/*
 * What comes behind the indices: values in the cache and in memory, products of a matrix with a
 * vector.
 */
#ifndef BENCH_USE_H
#define BENCH_USE_H

#include <stddef.h>

/* Compresses n Gaussian weights to three bits, and measures; adds its lines to the goals. */
void measure_use(size_t n, unsigned n_runs);

#endif
