/*
 * Every kernel against the reference: see kernels.h.
 */
#define _GNU_SOURCE

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cpu/cpu.h"
#include "kernels.h"
#include "nq/context.h"

static uint64_t seed = 1;

uint64_t draw(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void draw_bytes(void *out, size_t n_bytes)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (uint8_t)draw();
}

void fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    exit(1);
}

/* ---- Guards -------------------------------------------------------------------------------- */

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

guarded guarded_make(size_t n_bytes)
{
    const size_t page = page_bytes();
    const size_t between = (n_bytes + page - 1) / page * page;
    uint8_t *all =
        mmap(NULL, between + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(all != MAP_FAILED);
    CHECK(mprotect(all, page, PROT_NONE) == 0);
    CHECK(mprotect(all + page + between, page, PROT_NONE) == 0);
    return (guarded){.pages = all + page, .n_bytes = between};
}

void guarded_free(guarded *g)
{
    const size_t page = page_bytes();
    CHECK(munmap(g->pages - page, g->n_bytes + 2 * page) == 0);
}

/* ---- Features ------------------------------------------------------------------------------ */

bool next_cpu(uint64_t *cpu, unsigned *at)
{
    const uint64_t sets[] = {0,
                             NQ_CPU_SSE42,
                             NQ_CPU_SSE42 | NQ_CPU_AVX2,
                             NQ_CPU_SSE42 | NQ_CPU_AVX2 | NQ_CPU_AVX512,
                             NQ_CPU_NEON,
                             NQ_CPU_NEON | NQ_CPU_ARM_CRC,
                             NQ_CPU_ALL};
    for (; *at < sizeof sets / sizeof *sets; (*at)++) {
        const uint64_t known = sets[*at] == NQ_CPU_ALL ? nqi_cpu_features() : sets[*at];
        if ((known & ~nqi_cpu_features()) == 0) {
            *cpu = known;
            (*at)++;
            return true;
        }
    }
    return false;
}

/* ---- Times --------------------------------------------------------------------------------- */

uint64_t nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void print_rate(const char *what, uint64_t cpu, size_t n, uint64_t ns)
{
    printf("%-32s features 0x%05llx: %8.2f in a nanosecond\n", what, (unsigned long long)cpu,
           (double)n / (double)(ns > 0 ? ns : 1));
}

int main(void)
{
    printf("features: 0x%llx\n", (unsigned long long)nqi_cpu_features());
    test_crc_kernels();
    test_levels_kernels();
    test_unpack_kernels();
    test_pack_kernels();
    test_count_kernels();
    test_tally_kernels();
    test_rans_kernels();
    test_push_kernels();
    return 0;
}
