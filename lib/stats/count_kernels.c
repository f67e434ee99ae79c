/*
 * Inner loops of counting in plain C, and the choice among those there are.
 */
#include "stats/count_kernels.h"

#include "nq/context.h"

static void keys_ref(uint32_t *keys, const void *w, size_t n)
{
    nqi_keys_body(keys, w, n);
}

static size_t count_ref(uint64_t *entries, const nqi_live *live, const void *w, size_t n)
{
    uint32_t keys[NQI_COUNT_STEP];
    const uint8_t *from = w;
    for (size_t at = 0; at < n; at += NQI_COUNT_STEP) {
        const size_t count = NQI_MIN(n - at, NQI_COUNT_STEP);
        if (NQI_UNLIKELY(!nqi_are_live(live, from + 4 * at, count)))
            return at;
        nqi_keys_body(keys, from + 4 * at, count);
        for (size_t i = 0; i < count; i++)
            nqi_count_key(entries, keys[i]);
    }
    return n;
}

static size_t tally_ref(nqi_tally *tallies, const nqi_live *live, const void *w, const double *h,
                        size_t n)
{
    const uint8_t *from = w;
    for (size_t i = 0; i < n; i++) {
        if (NQI_UNLIKELY(!nqi_are_live(live, from + 4 * i, 1)))
            return i;
        nqi_tally_key(tallies, nqi_key(nqi_load_f32(from + 4 * i)), h[i]);
    }
    return n;
}

static size_t tally_f32_ref(nqi_tally *tallies, const nqi_live *live, const void *w, const void *h,
                            size_t n)
{
    const uint8_t *from = w, *importance = h;
    for (size_t i = 0; i < n; i++) {
        if (NQI_UNLIKELY(!nqi_are_live(live, from + 4 * i, 1)))
            return i;
        nqi_tally_key(tallies, nqi_key(nqi_load_f32(from + 4 * i)),
                      (double)nqi_load_f32(importance + 4 * i));
    }
    return n;
}

nqi_count_kernels nqi_count_kernels_get(uint64_t cpu)
{
#if NQI_X86
    if (cpu & NQ_CPU_AVX2)
        return nqi_count_kernels_avx2;
#endif
    (void)cpu;
    return (nqi_count_kernels){
        .keys = keys_ref, .count = count_ref, .tally = tally_ref, .tally_f32 = tally_f32_ref};
}
