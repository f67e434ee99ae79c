/*
 * What the benchmarks share: see bench.h.
 */
#define _GNU_SOURCE

#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "cpu/cpu.h"
#include "nq/context.h"

void die(const char *what)
{
    fflush(stdout);
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

void *must_alloc(size_t n_bytes)
{
    const size_t large = (size_t)1 << 21;
    const size_t unit = n_bytes >= large ? large : 64;
    void *memory = aligned_alloc(unit, (n_bytes / unit + 1) * unit);
    if (!memory)
        die("out of memory");
#ifdef MADV_HUGEPAGE
    if (n_bytes >= large)
        (void)madvise(memory, (n_bytes / unit + 1) * unit, MADV_HUGEPAGE);
#endif
    memset(memory, 1, n_bytes);
    return memory;
}

double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

rates make_rates(double *seconds, size_t n_runs, double amount)
{
    qsort(seconds, n_runs, sizeof *seconds, compare);
    return (rates){.low = amount / seconds[n_runs - 1],
                   .median = amount / seconds[n_runs / 2],
                   .high = amount / seconds[0]};
}

/* ---- Weights ------------------------------------------------------------------------------- */

static uint64_t seed = 1;

double draw_uniform(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

double draw_gauss(void)
{
    return sqrt(-2 * log(draw_uniform())) * cos(6.283185307179586 * draw_uniform());
}

double draw_laplace(void)
{
    const double size = -log(draw_uniform());
    return draw_uniform() < 0.5 ? -size : size;
}

/* ---- Machine ------------------------------------------------------------------------------- */

/* What /proc/cpuinfo calls the processor, if there is such a file. */
static void print_model(void)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            printf("machine:%s", strchr(line, ':') + 1);
            break;
        }
    if (file)
        fclose(file);
}

void print_machine(void)
{
    static const struct {
        uint64_t feature;
        const char *name;
    } names[] = {{NQ_CPU_SSE42, "SSE4.2"},       {NQ_CPU_AVX2, "AVX2"},
                 {NQ_CPU_AVX512, "AVX-512"},     {NQ_CPU_AVX512VBMI2, "VBMI2"},
                 {NQ_CPU_VPCLMUL, "VPCLMULQDQ"}, {NQ_CPU_NEON, "NEON"},
                 {NQ_CPU_ARM_CRC, "CRC32"}};
    print_model();
    printf("features:");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (nqi_cpu_features() & names[i].feature)
            printf(" %s", names[i].name);
#ifdef __VERSION__
    printf("\ncompiler: %s%s\n",
#ifdef __clang__
           "",
#else
           "gcc ",
#endif
           __VERSION__);
#else
    printf("\n");
#endif
}
