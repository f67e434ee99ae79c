/*
 * What the kernel tests share. A kernel is compared with the reference bit for bit, on random
 * input, for all lengths up to a few vectors and all alignments, in memory that ends, and begins,
 * at a page that nobody may touch; then it is timed, for whoever reads it. No test framework, so
 * that the program can be built for other machines and run by an emulator.
 */
#ifndef TESTS_KERNELS_H
#define TESTS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t draw(void);

/* 0 to n - 1. */
static inline size_t draw_below(size_t n)
{
    return (size_t)(draw() % n);
}

void draw_bytes(void *out, size_t n_bytes);

/* Ends the program with what went wrong. */
_Noreturn void fail(const char *file, int line, const char *what);
#define CHECK(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition))

/* Memory between two pages that nobody may touch. */
typedef struct guarded {
    uint8_t *pages;
    size_t n_bytes; /* between the guards */
} guarded;

guarded guarded_make(size_t n_bytes);
void guarded_free(guarded *g);

/* n bytes that end right before the upper guard, or begin right behind the lower one. */
static inline uint8_t *guarded_end(const guarded *g, size_t n_bytes)
{
    return g->pages + g->n_bytes - n_bytes;
}

/* One of the sets of features to test, until there is none: plain C first, then more and more of
 * what this machine has. */
bool next_cpu(uint64_t *cpu, unsigned *at);

/* ---- Times --------------------------------------------------------------------------------- */

enum { TIMED = 8192 }; /* things that a kernel is timed with */

uint64_t nanoseconds(void);

/* What did n things in so many nanoseconds; nothing is decided by it. */
void print_rate(const char *what, uint64_t cpu, size_t n, uint64_t ns);

/* Times a statement that does n things: the fastest of a few runs. A macro as it takes any. */
#define TIME(what, cpu, n, ...)                                                                    \
    do {                                                                                           \
        uint64_t fastest = UINT64_MAX;                                                             \
        for (unsigned timed = 0; timed < 10; timed++) {                                            \
            const uint64_t begun = nanoseconds();                                                  \
            __VA_ARGS__;                                                                           \
            const uint64_t took = nanoseconds() - begun;                                           \
            fastest = took < fastest ? took : fastest;                                             \
        }                                                                                          \
        print_rate(what, cpu, n, fastest);                                                         \
    } while (0)

/* What each file tests; all return after the last check. */
void test_rans_kernels(void);
void test_push_kernels(void);
void test_unpack_kernels(void);
void test_pack_kernels(void);
void test_count_kernels(void);
void test_tally_kernels(void);
void test_crc_kernels(void);
void test_levels_kernels(void);

#endif
