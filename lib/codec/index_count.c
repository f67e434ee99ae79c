/*
 * Counting indices in plain C: several counters for each level, so that a run of one index does not
 * wait for its own counter; and the choice of a kernel for few levels.
 */
#include "codec/index_count.h"

/* Levels that have counters of their own on the stack, and counters of each. */
enum { MANY = 1024, TIMES = 4 };

/* Indices that are looked at, then counted, while they are in the cache; counters of 32 bits hold
 * them. */
#define AT_ONCE ((size_t)1 << 14)

static uint32_t largest_of(const uint16_t *indices, size_t n)
{
    uint16_t largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = NQI_MAX(largest, indices[i]);
    return largest;
}

static void count_few(uint64_t *counts, uint32_t n_levels, const uint16_t *indices, size_t n)
{
    uint32_t c[TIMES][MANY] = {{0}};
    size_t i = 0;
    for (; i + TIMES <= n; i += TIMES) {
        c[0][indices[i]]++;
        c[1][indices[i + 1]]++;
        c[2][indices[i + 2]]++;
        c[3][indices[i + 3]]++;
    }
    for (; i < n; i++)
        c[0][indices[i]]++;
    for (uint32_t level = 0; level < n_levels; level++)
        counts[level] += (uint64_t)c[0][level] + c[1][level] + c[2][level] + c[3][level];
}

static void count_many(uint64_t *counts, const uint16_t *indices, size_t n)
{
    for (size_t i = 0; i < n; i++)
        counts[indices[i]]++;
}

bool nqi_index_count(uint64_t *counts, uint32_t n_levels, const uint16_t *indices, size_t n,
                     uint64_t cpu)
{
    const nqi_index_count_fn fast = nqi_index_count_avx512(cpu);
    if (fast && n_levels <= NQI_INDEX_COUNT_FEW)
        return fast(counts, n_levels, indices, n);
    for (size_t done = 0, now; done < n; done += now) {
        now = NQI_MIN(n - done, AT_ONCE);
        if (largest_of(indices + done, now) >= n_levels)
            return false;
        if (n_levels <= MANY)
            count_few(counts, n_levels, indices + done, now);
        else
            count_many(counts, indices + done, now);
    }
    return true;
}
