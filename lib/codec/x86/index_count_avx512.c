/*
 * Counting indices of a byte with AVX-512: bits of 512 indices are sorted into planes, one vector
 * for each bit of an index; ands of planes and of their complements tell where an index occurs, and
 * the ones are counted.
 */
#include "codec/index_count.h"

#include <stdalign.h>

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>

#define TARGET NQI_TARGET("avx512f,avx512bw,avx512vpopcntdq")

/* Indices of a vector of bits, and vectors that are looked through for one index after the other.
 */
enum { BATCH = 512, BATCHES = 16 };

/* The planes of some batches; [7] has the highest bit. */
typedef struct planes {
    __m512i bit[BATCHES][8];
} planes;

/* mask ? x : y */
TARGET NQI_INLINE __m512i choose(__m512i mask, __m512i x, __m512i y)
{
    return _mm512_ternarylogic_epi64(mask, x, y, 0xca);
}

/* The upper bits of each byte of `lower` change places with the lower ones of `upper`, `shift`
 * below them. A macro because shifts are part of instructions. */
#define EXCHANGE(lower, upper, shift, low_places)                                                  \
    do {                                                                                           \
        const __m512i low = _mm512_set1_epi8(low_places);                                          \
        const __m512i a = choose(low, lower, _mm512_slli_epi16(upper, shift));                     \
        upper = choose(low, _mm512_srli_epi16(lower, shift), upper);                               \
        lower = a;                                                                                 \
    } while (0)

/* Bytes become planes, whatever the order within them is. */
TARGET NQI_INLINE void make_planes(__m512i v[8])
{
    for (unsigned i = 0; i < 4; i++)
        EXCHANGE(v[i], v[i + 4], 4, 0x0f);
    for (unsigned i = 0; i < 8; i += i % 4 == 1 ? 3 : 1)
        EXCHANGE(v[i], v[i + 2], 2, 0x33);
    for (unsigned i = 0; i < 8; i += 2)
        EXCHANGE(v[i], v[i + 1], 1, 0x55);
}

/* The planes of a batch; *largest becomes no less than any index. */
TARGET NQI_INLINE void read_batch(__m512i v[8], const uint16_t *indices, __m512i *largest)
{
    for (unsigned i = 0; i < 8; i++) {
        const __m512i a = _mm512_loadu_si512(indices + 64 * i);
        const __m512i b = _mm512_loadu_si512(indices + 64 * i + 32);
        *largest = _mm512_max_epu16(*largest, _mm512_max_epu16(a, b));
        v[i] = _mm512_packus_epi16(a, b);
    }
    make_planes(v);
}

/* The mask of each of the two values that one more bit can have. */
TARGET NQI_INLINE void split(__m512i masks[2], __m512i mask, __m512i bit)
{
    masks[0] = _mm512_andnot_si512(bit, mask);
    masks[1] = _mm512_and_si512(bit, mask);
}

/* All ones where the bit of `row` is one. */
TARGET NQI_INLINE __m512i spread(uint32_t row, unsigned bit)
{
    return _mm512_set1_epi64(-(long long)(row >> bit & 1));
}

/* Finds the batches in which any of the sixteen indices from 16 row on occurs, and where in them;
 * returns their number. No branch depends on it: rows at the edges occur now and then. */
TARGET NQI_INLINE size_t find_row(uint8_t batches[BATCHES], __m512i masks[BATCHES], const planes *p,
                                  size_t n_batches, uint32_t row)
{
    const __m512i is0 = spread(row, 0), is1 = spread(row, 1), is2 = spread(row, 2),
                  is3 = spread(row, 3);
    size_t n_found = 0;
    for (size_t b = 0; b < n_batches; b++) {
        const __m512i *bit = p->bit[b];
        /* of three, where the first two are equal and the third is one: 0x82 */
        const __m512i ones = _mm512_set1_epi64(-1);
        const __m512i upper = _mm512_ternarylogic_epi64(bit[7], is3, ones, 0x82);
        const __m512i three = _mm512_ternarylogic_epi64(bit[6], is2, upper, 0x82);
        const __m512i two = _mm512_ternarylogic_epi64(bit[5], is1, three, 0x82);
        const __m512i all = _mm512_ternarylogic_epi64(bit[4], is0, two, 0x82);
        masks[n_found] = all;
        batches[n_found] = (uint8_t)b;
        n_found += _mm512_test_epi64_mask(all, all) != 0;
    }
    return n_found;
}

/* Adds how often each of the sixteen indices from 16 row on occurs. */
TARGET static void count_row(uint64_t counts[16], const planes *p, size_t n_batches, uint32_t row)
{
    __m512i masks[BATCHES], found[16];
    uint8_t batches[BATCHES];
    const size_t n_found = find_row(batches, masks, p, n_batches, row);
    for (unsigned i = 0; i < 16; i++)
        found[i] = _mm512_setzero_si512();
    for (size_t k = 0; k < n_found; k++) {
        const __m512i *bit = p->bit[batches[k]];
        __m512i m[2], mm[4], mmm[8], each[16];
        split(m, masks[k], bit[3]);
        for (unsigned i = 0; i < 2; i++)
            split(mm + 2 * i, m[i], bit[2]);
        for (unsigned i = 0; i < 4; i++)
            split(mmm + 2 * i, mm[i], bit[1]);
        for (unsigned i = 0; i < 8; i++)
            split(each + 2 * i, mmm[i], bit[0]);
        for (unsigned i = 0; i < 16; i++)
            found[i] = _mm512_add_epi64(found[i], _mm512_popcnt_epi64(each[i]));
    }
    for (unsigned i = 0; i < 16 && n_found > 0; i++)
        counts[i] += (uint64_t)_mm512_reduce_add_epi64(found[i]);
}

TARGET static uint32_t largest_of(__m512i v)
{
    uint16_t each[32], largest = 0;
    _mm512_storeu_si512(each, v);
    for (unsigned i = 0; i < 32; i++)
        largest = NQI_MAX(largest, each[i]);
    return largest;
}

/* Memory would have nothing to do while rows are counted: one of n shares of the indices that come
 * next. Beyond the last ones, prefetching does nothing. */
TARGET static void prefetch_share(const uint16_t *indices, uint32_t share, uint32_t n)
{
    const size_t step = (BATCHES * BATCH * sizeof *indices / 64 + n - 1) / n * 64;
    const uint8_t *from = (const uint8_t *)indices + share * step;
    for (size_t i = 0; i < step; i += 64)
        NQI_PREFETCH(from + i);
}

TARGET static bool count_avx512(uint64_t *counts, uint32_t n_levels, const uint16_t *indices,
                                size_t n)
{
    planes p;
    uint64_t all[256] = {0};
    __m512i largest = _mm512_setzero_si512();
    const uint32_t n_rows = (n_levels + 15) / 16;
    for (size_t n_batches = n / BATCH, now; n_batches > 0; n_batches -= now) {
        now = NQI_MIN(n_batches, (size_t)BATCHES);
        for (size_t b = 0; b < now; b++, indices += BATCH)
            read_batch(p.bit[b], indices, &largest);
        for (uint32_t row = 0; row < n_rows; row++) {
            prefetch_share(indices, row, n_rows);
            count_row(all + 16 * row, &p, now, row);
        }
    }
    if (largest_of(largest) >= n_levels)
        return false;
    for (uint32_t i = 0; i < n_levels; i++)
        counts[i] += all[i];
    for (size_t i = 0; i < n % BATCH; i++) {
        if (indices[i] >= n_levels)
            return false;
        counts[indices[i]]++;
    }
    return true;
}

nqi_index_count_fn nqi_index_count_avx512(uint64_t cpu)
{
    const uint64_t wanted = NQ_CPU_AVX2 | NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2;
    return (cpu & wanted) == wanted ? count_avx512 : NULL;
}

#else

nqi_index_count_fn nqi_index_count_avx512(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
