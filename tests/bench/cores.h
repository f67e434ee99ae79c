/*
 * Decoding blocks on two cores at once.
 */
#ifndef BENCH_CORES_H
#define BENCH_CORES_H

#include <stddef.h>

/* Encodes n Gaussian indices of three bits, and measures; adds its line to the goals. */
void measure_cores(size_t n, unsigned n_runs);

#endif
