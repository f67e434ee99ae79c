/*
 * What the benchmarks share: memory, clocks, medians, and random weights.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_RUNS = 64 };

/* Says why on stderr and ends the program. */
_Noreturn void die(const char *what);

/* On large pages where the system has them, and touched, so that no run pays for fresh ones. */
void *must_alloc(size_t n_bytes);

/* The thread's CPU time in seconds. */
double now(void);

/* Of the runs of one thing, slowest first: how fast it was. */
typedef struct rates {
    double low;
    double median;
    double high;
} rates;

/* From what each of n_runs took to do `amount`; sorts the seconds. */
rates make_rates(double *seconds, size_t n_runs, double amount);

/* splitmix64 from a fixed seed, as a number in (0, 1), and what can be made of it. */
double draw_uniform(void);
double draw_gauss(void);
double draw_laplace(void);

/* Which machine, compiler and build this is, on stdout. */
void print_machine(void);

#endif
