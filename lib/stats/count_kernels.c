/*
 * Inner loops of counting in plain C, and the choice among those there are.
 */
#include "stats/count_kernels.h"

#include "nq/context.h"

void nqi_keys_ref(uint32_t *keys, nqi_key_range *range, const float *w, size_t n)
{
    nqi_keys_body(keys, range, w, n);
}

void nqi_tally_ref(nqi_tally *tallies, const uint32_t *keys, const double *h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        nqi_tally *t = &tallies[keys[i] >> NQI_PREFIX_SHIFT];
        const double low = (double)(keys[i] & ((1u << NQI_PREFIX_SHIFT) - 1));
        t->count += 1;
        t->low += low;
        t->h += h[i];
        t->h_low += h[i] * low;
    }
}

nqi_count_kernels nqi_count_kernels_get(uint64_t cpu)
{
    nqi_count_kernels k = {.keys = nqi_keys_ref, .tally = nqi_tally_ref};
#if NQI_X86
    if (cpu & NQ_CPU_AVX2)
        k = (nqi_count_kernels){.keys = nqi_keys_avx2, .tally = nqi_tally_avx2};
#else
    (void)cpu;
#endif
    return k;
}
