/*
 * Counting indices: what is chosen for each set of features against a loop.
 */
#include "codec/index_count.h"
#include "kernels.h"

enum { MOST = 9000, LEVELS = 1500 };

/* n indices below n_levels that end at a guard, most of them near the middle; then one that is out
 * of range. */
static void check(const guarded *in, uint32_t n_levels, size_t n, uint64_t cpu)
{
    uint64_t counts[LEVELS], expected[LEVELS];
    uint16_t *indices = (uint16_t *)(void *)guarded_end(in, n * sizeof *indices);
    const uint32_t span = 1 + (uint32_t)draw_below(n_levels);
    for (uint32_t i = 0; i < n_levels; i++)
        counts[i] = expected[i] = draw_below(1000);
    for (size_t i = 0; i < n; i++) {
        const size_t near = (n_levels - span) / 2 + draw_below(span);
        indices[i] = (uint16_t)(draw_below(50) == 0 ? draw_below(n_levels) : near);
        expected[indices[i]]++;
    }
    CHECK(nqi_index_count(counts, n_levels, indices, n, cpu));
    CHECK(memcmp(counts, expected, n_levels * sizeof *counts) == 0);
    if (n == 0)
        return;
    indices[draw_below(n)] = (uint16_t)(draw_below(2) ? n_levels : 65535 - draw_below(300));
    CHECK(!nqi_index_count(counts, n_levels, indices, n, cpu));
}

static void time_counting(uint32_t n_levels, uint64_t cpu)
{
    static uint16_t indices[TIMED];
    uint64_t counts[LEVELS] = {0};
    bool counted = true;
    for (size_t i = 0; i < TIMED; i++)
        indices[i] = (uint16_t)draw_below(n_levels);
    TIME(n_levels > 100 ? "counting, 200 levels" : "counting, 20 levels", cpu, TIMED,
         counted &= nqi_index_count(counts, n_levels, indices, TIMED, cpu));
    CHECK(counted);
}

void test_count_kernels(void)
{
    static const uint32_t levels[] = {1, 2, 15, 16, 17, 63, 64, 100, 255, 256, 257, LEVELS};
    uint64_t cpu;
    guarded in = guarded_make(2 * MOST);
    for (unsigned at = 0; next_cpu(&cpu, &at);) {
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
            for (size_t n = 0; n < 1200; n += n < 8 ? 1 : 1 + draw_below(120))
                check(&in, levels[i], n, cpu);
            check(&in, levels[i], MOST, cpu);
        }
        time_counting(20, cpu);
        time_counting(200, cpu);
    }
    guarded_free(&in);
}
