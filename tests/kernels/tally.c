/*
 * Counting weights by the upper bits of their keys: what is chosen for each set of features against
 * sums by the definition of a key, and where counting stops.
 */
#include <math.h>

#include "kernels.h"
#include "stats/count_kernels.h"

enum { MOST = 300, ENTRIES = 1 << 20 };

static uint64_t entries[ENTRIES];
static nqi_tally tallies[ENTRIES], expected_tallies[ENTRIES];

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Floats by their order: from the middle on those that are not negative. */
static uint32_t key_of(float x)
{
    const uint32_t magnitude = bits_of(fabsf(x));
    return x < 0 ? 0x7fffffff - magnitude : 0x80000000 + magnitude;
}

/* Mostly of magnitudes from 2^-4 to 2^4, which are live, and zeros of either sign. */
static float draw_weight(bool may_be_dead)
{
    static const float dead[] = {0x1p-5f, 16, 0x1p-149f, 0x1p120f, INFINITY, NAN, 1e-30f};
    const float sign = draw_below(2) ? 1.0f : -1.0f;
    if (may_be_dead && draw_below(100) == 0)
        return sign * dead[draw_below(sizeof dead / sizeof *dead)];
    if (draw_below(10) == 0)
        return sign * 0.0f;
    return sign * ldexpf(1 + (float)draw_below(1 << 23) * 0x1p-23f, (int)draw_below(8) - 4);
}

static bool is_live(float x)
{
    return x == 0 || (fabsf(x) >= 0x1p-4f && fabsf(x) < 16);
}

/* The weights that were taken: all, or fewer before one that is not live, of which none was not. */
static void check_taken(size_t taken, const float *w, size_t n)
{
    size_t first_dead = 0;
    while (first_dead < n && is_live(w[first_dead]))
        first_dead++;
    CHECK(taken <= first_dead);
    CHECK(taken == n || first_dead < n);
    CHECK(taken == n || first_dead - taken < NQI_COUNT_STEP);
}

/* Takes the first n weights off the tables, which leaves nothing if they have been added. */
static void check_entries(const float *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        entries[key_of(w[i]) / 4096] -= (UINT64_C(1) << 40) + key_of(w[i]);
    for (size_t i = 0; i < n; i++)
        CHECK(entries[key_of(w[i]) / 4096] == 0);
}

static void check_tallies(const float *w, const double *h, size_t n)
{
    static const nqi_tally zero;
    for (size_t i = 0; i < n; i++) {
        const uint32_t key = key_of(w[i]);
        nqi_tally *t = &expected_tallies[key / 4096];
        t->count += 1;
        t->low += key % 4096;
        t->h += h[i];
        t->h_low += h[i] * (key % 4096);
    }
    for (size_t i = 0; i < n; i++) {
        const uint32_t prefix = key_of(w[i]) / 4096;
        CHECK(memcmp(&tallies[prefix], &expected_tallies[prefix], sizeof zero) == 0);
    }
    for (size_t i = 0; i < n; i++)
        tallies[key_of(w[i]) / 4096] = expected_tallies[key_of(w[i]) / 4096] = zero;
}

/* Nothing was written elsewhere. */
static void check_empty(void)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        const nqi_tally *t = &tallies[i];
        CHECK(entries[i] == 0 && t->count == 0 && t->low == 0 && t->h == 0 && t->h_low == 0);
    }
}

static void check(const guarded *memory, size_t n, bool may_be_dead, uint64_t cpu)
{
    const nqi_count_kernels k = nqi_count_kernels_get(cpu);
    const nqi_live live = {bits_of(0x1p-4f), bits_of(16)};
    float w[MOST], h_f32[MOST];
    double h[MOST];
    uint32_t keys[MOST];
    for (size_t i = 0; i < n; i++) {
        w[i] = draw_weight(may_be_dead);
        h_f32[i] = (float)draw_below(1000) * 0.3f;
        h[i] = (double)h_f32[i];
    }
    uint8_t *w_at = guarded_end(&memory[0], n * sizeof *w),
            *h_at = guarded_end(&memory[1], n * sizeof *h_f32);
    memcpy(w_at, w, n * sizeof *w);
    memcpy(h_at, h_f32, n * sizeof *h_f32);
    k.keys(keys, w_at, n);
    for (size_t i = 0; i < n; i++)
        CHECK(isnan(w[i]) || keys[i] == key_of(w[i]));

    size_t taken = k.count(entries, &live, w_at, n);
    check_taken(taken, w, n);
    check_entries(w, taken);
    taken = k.tally(tallies, &live, w_at, h, n);
    check_taken(taken, w, n);
    check_tallies(w, h, taken);
    taken = k.tally_f32(tallies, &live, w_at, h_at, n);
    check_taken(taken, w, n);
    check_tallies(w, h, taken);
}

static void time_kernels(uint64_t cpu)
{
    const nqi_count_kernels k = nqi_count_kernels_get(cpu);
    const nqi_live live = {bits_of(0x1p-4f), bits_of(16)};
    static float w[TIMED], h_f32[TIMED];
    static double h[TIMED];
    static uint32_t keys[TIMED];
    const uint8_t *at = (const uint8_t *)w;
    for (size_t i = 0; i < TIMED; i++)
        w[i] = draw_weight(false);
    TIME("keys of weights", cpu, TIMED, k.keys(keys, at, TIMED));
    TIME("counting weights", cpu, TIMED, (void)k.count(entries, &live, at, TIMED));
    TIME("tallying weights", cpu, TIMED, (void)k.tally(tallies, &live, at, h, TIMED));
    TIME("tallying weights, f32", cpu, TIMED,
         (void)k.tally_f32(tallies, &live, at, (const uint8_t *)h_f32, TIMED));
    memset(entries, 0, sizeof entries);
    memset(tallies, 0, sizeof tallies);
}

void test_tally_kernels(void)
{
    uint64_t cpu;
    guarded memory[2] = {guarded_make(MOST * sizeof(float)), guarded_make(MOST * sizeof(float))};
    for (unsigned at = 0; next_cpu(&cpu, &at);) {
        for (size_t n = 0; n < MOST; n += n < 40 ? 1 : 1 + draw_below(100))
            for (int may_be_dead = 0; may_be_dead < 2; may_be_dead++)
                check(memory, n, may_be_dead, cpu);
        check_empty();
        time_kernels(cpu);
    }
    guarded_free(&memory[0]);
    guarded_free(&memory[1]);
}
