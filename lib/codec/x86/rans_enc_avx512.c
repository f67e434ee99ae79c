/*
 * The rANS encoder for AVX-512 with VBMI and VBMI2: up to 64 lanes at once, their states as two
 * vectors of bytes. Frequencies, reciprocals and slots come from registers by permutation; states
 * give their bytes away by one compression.
 */
#include "codec/rans_push.h"

#include <string.h>

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>

#define TARGET                                                                                     \
    NQI_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")

/* The states of 64 lanes. */
typedef struct group {
    __m512i low;
    __m512i high;
} group;

#define MAX_GROUPS (NQI_RANS_MAX_LANES / 64u)
#define ALL_LANES  (~UINT64_C(0))

TARGET NQI_INLINE __m512i look_up_256(const uint8_t *table, __m512i at)
{
    const __m512i lower =
        _mm512_permutex2var_epi8(_mm512_load_si512(table), at, _mm512_load_si512(table + 64));
    const __m512i upper = _mm512_permutex2var_epi8(_mm512_load_si512(table + 128), at,
                                                   _mm512_load_si512(table + 192));
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(at), lower, upper);
}

TARGET NQI_INLINE __m512i look_up_64(const uint8_t *table, __m512i at)
{
    return _mm512_permutexvar_epi8(at, _mm512_load_si512(table));
}

/* ---- Pushing ------------------------------------------------------------------------------- */

/* States that are too high for what comes give their low byte away; returns the stream's begin. */
TARGET NQI_INLINE uint8_t *give_bytes(group *g, __m512i f, uint8_t *at, __mmask64 lanes)
{
    const __mmask64 is_high = _mm512_mask_cmpge_epu8_mask(lanes, g->high, f);
    const unsigned n = (unsigned)_mm_popcnt_u64(is_high);
    at -= n;
    _mm512_mask_storeu_epi8(at, _bzhi_u64(~UINT64_C(0), n),
                            _mm512_maskz_compress_epi8(is_high, g->low));
    g->low = _mm512_mask_mov_epi8(g->low, is_high, g->high);
    g->high = _mm512_maskz_mov_epi8(~is_high, g->high);
    return at;
}

/* Quotient and rest of words that are below f << 8, by their rounded reciprocals: the estimate is
 * too small by one at most. */
TARGET NQI_INLINE void divide(__m512i *quotient, __m512i *rest, __m512i x, __m512i f,
                              __m512i reciprocal)
{
    const __m512i q = _mm512_mulhi_epu16(x, reciprocal);
    const __m512i r = _mm512_sub_epi16(x, _mm512_mullo_epi16(q, f));
    const __mmask32 is_small = _mm512_cmpge_epu16_mask(r, f);
    *quotient = _mm512_mask_sub_epi16(q, is_small, q, _mm512_set1_epi16(-1));
    *rest = _mm512_mask_sub_epi16(r, is_small, r, f);
}

/* Pushes a symbol into each of these lanes, given their classes; what the others have does not
 * matter, before and afterwards. */
TARGET NQI_INLINE uint8_t *push_group(group *g, const nqi_rans_coder *coder, __m512i classes,
                                      uint8_t *at, __mmask64 lanes)
{
    const __m512i even = _mm512_set1_epi16(0x00ff);
    const __m512i f = look_up_64(coder->frequency, classes);
    const __m512i low_reciprocal = look_up_64(coder->reciprocal_low, classes);
    const __m512i high_reciprocal = look_up_64(coder->reciprocal_high, classes);
    __m512i qa, ra, qb, rb;
    at = give_bytes(g, f, at, lanes);
    /* (even & x) | y is 0xea, even ? x : y is 0xca; words of even, then of odd lanes */
    divide(&qa, &ra, _mm512_ternarylogic_epi64(even, g->low, _mm512_slli_epi16(g->high, 8), 0xea),
           _mm512_and_si512(f, even),
           _mm512_ternarylogic_epi64(even, low_reciprocal, _mm512_slli_epi16(high_reciprocal, 8),
                                     0xea));
    divide(&qb, &rb, _mm512_ternarylogic_epi64(even, _mm512_srli_epi16(g->low, 8), g->high, 0xca),
           _mm512_srli_epi16(f, 8),
           _mm512_ternarylogic_epi64(even, _mm512_srli_epi16(low_reciprocal, 8), high_reciprocal,
                                     0xca));
    const __m512i rank = _mm512_or_si512(ra, _mm512_slli_epi16(rb, 8));
    g->high = _mm512_or_si512(qa, _mm512_slli_epi16(qb, 8));
    g->low = look_up_256(coder->slot_of, _mm512_add_epi8(rank, look_up_64(coder->begin, classes)));
    return at;
}

/* ---- States -------------------------------------------------------------------------------- */

TARGET static __m512i narrow(__m512i first, __m512i second)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(first)),
                              _mm512_cvtepi16_epi8(second), 1);
}

TARGET static group load_group(const uint16_t *states)
{
    const __m512i a = _mm512_loadu_si512(states), b = _mm512_loadu_si512(states + 32);
    return (group){narrow(a, b), narrow(_mm512_srli_epi16(a, 8), _mm512_srli_epi16(b, 8))};
}

TARGET static __m512i widen(__m256i low, __m256i high)
{
    return _mm512_or_si512(_mm512_cvtepu8_epi16(low),
                           _mm512_slli_epi16(_mm512_cvtepu8_epi16(high), 8));
}

TARGET static void store_group(uint16_t *states, const group *g)
{
    _mm512_storeu_si512(states,
                        widen(_mm512_castsi512_si256(g->low), _mm512_castsi512_si256(g->high)));
    _mm512_storeu_si512(states + 32, widen(_mm512_extracti64x4_epi64(g->low, 1),
                                           _mm512_extracti64x4_epi64(g->high, 1)));
}

/* ---- Rounds -------------------------------------------------------------------------------- */

/* Rounds of n_groups * 64 lanes; to be compiled for each number of groups. */
TARGET NQI_INLINE void push_rounds(nqi_rans_push *push, const uint8_t *classes, size_t first,
                                   size_t n, unsigned n_groups)
{
    group g[MAX_GROUPS];
    const nqi_rans_coder *const coders = push->coders;
    const uint8_t *const choices = push->choices;
    const unsigned sub_log2 = push->sub_log2;
    uint8_t *at = push->at;
    for (unsigned i = 0; i < n_groups; i++)
        g[i] = load_group(push->states + 64 * i);
    while (n > 0) {
        for (unsigned i = n_groups; i-- > 0;) {
            n -= 64;
            const nqi_rans_coder *coder = &coders[choices[(first + n) >> sub_log2]];
            if (NQI_LIKELY(!coder->is_constant))
                at = push_group(&g[i], coder, _mm512_loadu_si512(classes + n), at, ALL_LANES);
        }
    }
    for (unsigned i = 0; i < n_groups; i++)
        store_group(push->states + 64 * i, &g[i]);
    push->at = at;
}

/* Rounds of fewer lanes, which leave the rest of a group idle. */
TARGET static void push_narrow(nqi_rans_push *push, const uint8_t *classes, size_t first, size_t n)
{
    const unsigned n_lanes = 1u << push->lanes_log2;
    const __mmask64 lanes = _bzhi_u64(ALL_LANES, n_lanes);
    const nqi_rans_coder *const coders = push->coders;
    uint16_t states[64] = {0};
    memcpy(states, push->states, n_lanes * sizeof *states);
    group g = load_group(states);
    while (n > 0) {
        n -= n_lanes;
        const nqi_rans_coder *coder = &coders[push->choices[(first + n) >> push->sub_log2]];
        if (NQI_LIKELY(!coder->is_constant))
            push->at =
                push_group(&g, coder, _mm512_maskz_loadu_epi8(lanes, classes + n), push->at, lanes);
    }
    store_group(states, &g);
    memcpy(push->states, states, n_lanes * sizeof *states);
}

TARGET static void push_avx512(nqi_rans_push *push, const uint8_t *classes, size_t first, size_t n)
{
    switch (push->lanes_log2) {
    case 4:
    case 5:
        push_narrow(push, classes, first, n);
        break;
    case 6:
        push_rounds(push, classes, first, n, 1);
        break;
    case 7:
        push_rounds(push, classes, first, n, 2);
        break;
    default:
        push_rounds(push, classes, first, n, 4);
        break;
    }
}

/* ---- Classes ------------------------------------------------------------------------------- */

/* What is below `first` becomes large, what is large 255: no class has that place unless all upper
 * parts are below 256. */
TARGET NQI_INLINE __m512i places(__m512i a, __m512i b, __m512i first)
{
    const __m256i at_a = _mm512_cvtusepi16_epi8(_mm512_sub_epi16(a, first));
    const __m256i at_b = _mm512_cvtusepi16_epi8(_mm512_sub_epi16(b, first));
    return _mm512_inserti64x4(_mm512_castsi256_si512(at_a), at_b, 1);
}

/* Upper parts of 64 indices, of those that the mask tells. */
TARGET NQI_INLINE void store_wide(uint16_t *escaped, __m512i a, __m512i b, __mmask64 which)
{
    const __mmask32 in_a = (__mmask32)which, in_b = (__mmask32)(which >> 32);
    _mm512_storeu_si512(escaped, _mm512_maskz_compress_epi16(in_a, a));
    _mm512_storeu_si512(escaped + _mm_popcnt_u32(in_a), _mm512_maskz_compress_epi16(in_b, b));
}

/* The same where they are bytes. */
TARGET NQI_INLINE void store_narrow(uint16_t *escaped, __m512i upper, __mmask64 which)
{
    const __m512i found = _mm512_maskz_compress_epi8(which, upper);
    _mm512_storeu_si512(escaped, _mm512_cvtepu8_epi16(_mm512_castsi512_si256(found)));
    if (NQI_UNLIKELY(_mm_popcnt_u64(which) > 32))
        _mm512_storeu_si512(escaped + 32,
                            _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(found, 1)));
}

/* How many indices ahead memory is asked for: far enough for it to deliver while what else is done
 * with a few thousand indices is done. Beyond the last one, prefetching does nothing. */
enum { AHEAD = 8192 };

/* Of 16-bit numbers; in registers, as gcc 12 misplaces vectors on the stacks of its sanitizers. */
TARGET NQI_INLINE uint16_t largest_of(__m512i v)
{
    const __m256i w = _mm256_max_epu16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    const __m128i x = _mm_max_epu16(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
    const __m128i least = _mm_minpos_epu16(_mm_xor_si128(x, _mm_set1_epi16(-1)));
    return (uint16_t) ~(uint32_t)_mm_cvtsi128_si32(least);
}

/* To be compiled for upper parts that are bytes, and for any. */
TARGET NQI_INLINE size_t classify_as(uint8_t *classes, uint16_t *escaped, uint16_t *largest,
                                     const uint16_t *indices, size_t n, const nqi_rans_coder *coder,
                                     bool is_wide)
{
    const __m128i shift = _mm_cvtsi32_si128((int)coder->low_bits);
    const __m512i first = _mm512_set1_epi16((short)coder->first);
    const __m512i escape = _mm512_set1_epi8((char)coder->escape);
    __m512i most = _mm512_set1_epi16((short)*largest);
    size_t n_escaped = 0, i = 0;
    for (; i + 64 <= n; i += 64) {
        NQI_PREFETCH(indices + i + AHEAD);
        NQI_PREFETCH(indices + i + AHEAD + 32);
        const __m512i whole_a = _mm512_loadu_si512(indices + i);
        const __m512i whole_b = _mm512_loadu_si512(indices + i + 32);
        const __m512i a = _mm512_srl_epi16(whole_a, shift), b = _mm512_srl_epi16(whole_b, shift);
        most = _mm512_max_epu16(most, _mm512_max_epu16(whole_a, whole_b));
        const __m512i at = places(a, b, first);
        const __m512i c = look_up_256(coder->class_of, at);
        const __mmask64 is_escape = _mm512_cmpeq_epi8_mask(c, escape);
        _mm512_storeu_si512(classes + i, c);
        if (is_wide)
            store_wide(escaped + n_escaped, a, b, is_escape);
        else
            store_narrow(escaped + n_escaped, at, is_escape);
        n_escaped += (size_t)_mm_popcnt_u64(is_escape);
    }
    *largest = largest_of(most); /* which has begun with *largest */
    return n_escaped + nqi_rans_push_kernels_ref.classify(classes + i, escaped + n_escaped, largest,
                                                          indices + i, n - i, coder);
}

TARGET static size_t classify_avx512(uint8_t *classes, uint16_t *escaped, uint16_t *largest,
                                     const uint16_t *indices, size_t n, const nqi_rans_coder *coder)
{
    if (coder->escapes.width > 8)
        return classify_as(classes, escaped, largest, indices, n, coder, true);
    return classify_as(classes, escaped, largest, indices, n, coder, false);
}

/* ---- Choosing tables ----------------------------------------------------------------------- */

static_assert(NQI_RANS_MAX_TABLES == 16, "a vector of costs");

TARGET static size_t add_rows_avx512(uint32_t *costs, const uint16_t *rows, uint32_t n_rows,
                                     const uint16_t *symbols, size_t n)
{
    __m512i sum = _mm512_loadu_si512(costs);
    size_t n_others = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t symbol = symbols[i];
        if (NQI_LIKELY(symbol < n_rows))
            sum = _mm512_add_epi32(sum, _mm512_cvtepu16_epi32(_mm256_loadu_si256(
                                            (const void *)(rows + symbol * NQI_RANS_MAX_TABLES))));
        else
            n_others++;
    }
    _mm512_storeu_si512(costs, sum);
    return n_others;
}

TARGET static uint32_t step_ways_avx512(nqi_rans_ways *ways, uint8_t *from, const uint32_t *costs)
{
    const unsigned n = ways->n_tables;
    const __mmask16 used = (__mmask16)_bzhi_u32(0xffff, n);
    __m512i next = _mm512_set1_epi32(-1), before = _mm512_setzero_si512();
    for (unsigned t = 0; t < n; t++) {
        const __m512i cost = _mm512_add_epi32(_mm512_set1_epi32((int)ways->costs[t]),
                                              _mm512_loadu_si512(ways->step_costs + n - t));
        const __mmask16 is_less = _mm512_cmplt_epu32_mask(cost, next);
        next = _mm512_min_epu32(next, cost);
        before = _mm512_mask_mov_epi32(before, is_less, _mm512_set1_epi32((int)t));
    }
    next = _mm512_add_epi32(next, _mm512_loadu_si512(costs));
    const uint32_t least = _mm512_mask_reduce_min_epu32(used, next);
    _mm_storeu_si128((void *)from, _mm512_cvtepi32_epi8(before));
    _mm512_storeu_si512(ways->costs, _mm512_sub_epi32(next, _mm512_set1_epi32((int)least)));
    return least;
}

/* ---- Pairs --------------------------------------------------------------------------------- */

/* Pairs of the indices of a vector, where `ends` has the bits of those that are not zero, one at
 * least, and the gap in front stays below the longest. */
TARGET NQI_INLINE void add_vector(nqi_rans_pairs *p, __m512i indices, __m512i numbers,
                                  __mmask32 ends)
{
    const __m512i at = _mm512_maskz_compress_epi16(ends, numbers);
    /* In front of the first: as if the last pair had ended so far before this vector. */
    const __m512i before = _mm512_mask_mov_epi16(
        _mm512_permutexvar_epi16(_mm512_sub_epi16(numbers, _mm512_set1_epi16(1)), at), 1,
        _mm512_set1_epi16((short)~p->gap));
    const __m512i gaps = _mm512_sub_epi16(_mm512_sub_epi16(at, before), _mm512_set1_epi16(1));
    _mm512_storeu_si512(p->gaps + p->n, gaps);
    _mm512_storeu_si512(p->values + p->n, _mm512_maskz_compress_epi16(ends, indices));
}

TARGET static size_t find_pairs_avx512(nqi_rans_pairs *pairs, const uint16_t *indices, size_t n)
{
    enum { AT_ONCE = 32 };
    static const uint16_t numbers[AT_ONCE] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                              11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                              22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    const __m512i all = _mm512_loadu_si512(numbers);
    const __m512i zero = _mm512_set1_epi16((short)pairs->zero);
    nqi_rans_pairs p = *pairs;
    size_t i = 0;
    for (; i + AT_ONCE <= n && p.n + AT_ONCE <= p.most; i += AT_ONCE) {
        const __m512i v = _mm512_loadu_si512(indices + i);
        const __mmask32 ends = _mm512_cmpneq_epi16_mask(v, zero);
        if (NQI_UNLIKELY(p.gap + AT_ONCE >= NQI_RANS_GAPS)) {
            for (size_t k = 0; k < AT_ONCE; k++)
                nqi_rans_add_index(&p, indices[i + k]);
        } else if (ends == 0) {
            p.gap += AT_ONCE;
        } else {
            if (p.gaps)
                add_vector(&p, v, all, ends);
            p.n += (size_t)_mm_popcnt_u32(ends);
            p.gap = NQI_CLZ64((uint64_t)ends << AT_ONCE);
        }
    }
    *pairs = p;
    return i + nqi_rans_push_kernels_ref.find_pairs(pairs, indices + i, n - i);
}

static const nqi_rans_push_kernels kernels = {.push = push_avx512,
                                              .min_lanes_log2 = 4,
                                              .classify = classify_avx512,
                                              .add_rows = add_rows_avx512,
                                              .step_ways = step_ways_avx512,
                                              .find_pairs = find_pairs_avx512};

const nqi_rans_push_kernels *nqi_rans_push_kernels_avx512(uint64_t cpu)
{
    const uint64_t wanted = NQ_CPU_AVX2 | NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2;
    return (cpu & wanted) == wanted ? &kernels : NULL;
}

#else

const nqi_rans_push_kernels *nqi_rans_push_kernels_avx512(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
