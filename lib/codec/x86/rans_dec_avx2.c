/*
 * The rANS decoder for AVX2: 32 lanes at once, their states as two vectors of bytes. There is no
 * permutation of 256 bytes, so that a slot's class comes from its row of sixteen places and
 * comparisons with the steps within the row, and its rank is computed. Part of the decoder.
 */
#include "codec/rans_join.h"
#include "codec/rans_run.h"

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>

#define TARGET NQI_TARGET("avx2,bmi,bmi2,popcnt")

enum { LANES = 32, MAX_GROUPS = NQI_RANS_MAX_LANES / LANES };

/* ---- Lookups ------------------------------------------------------------------------------- */

/* Sixteen bytes in both halves. */
TARGET NQI_INLINE __m256i twice(const uint8_t *table)
{
    return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)table));
}

/* Classes as places in a table's lower and upper half; with the high bit set, what a shuffle makes
 * 0 of, where they are in the other. */
typedef struct places {
    __m256i lower;
    __m256i upper;
} places;

TARGET NQI_INLINE places make_places(__m256i classes, bool is_wide)
{
    if (!is_wide)
        return (places){classes, classes};
    return (places){_mm256_adds_epu8(classes, _mm256_set1_epi8(0x70)),
                    _mm256_sub_epi8(classes, _mm256_set1_epi8(16))};
}

/* By class, of 16 or of 32. */
TARGET NQI_INLINE __m256i look_up(const uint8_t *table, const places *p, bool is_wide)
{
    const __m256i lower = _mm256_shuffle_epi8(twice(table), p->lower);
    if (!is_wide)
        return lower;
    return _mm256_or_si256(lower, _mm256_shuffle_epi8(twice(table + 16), p->upper));
}

/* One, less one where a column is behind step k of its row. */
TARGET NQI_INLINE __m256i pass_step(const nqi_rans_lookup *t, unsigned k, __m256i row,
                                    __m256i column)
{
    return _mm256_cmpgt_epi8(column, _mm256_shuffle_epi8(twice(t->row_step[k]), row));
}

TARGET NQI_INLINE __m256i find_classes(const nqi_rans_lookup *t, __m256i row, __m256i column)
{
    const unsigned n = t->n_row_steps;
    __m256i classes = _mm256_shuffle_epi8(twice(t->row_class), row);
    __m256i steps = pass_step(t, 0, row, column);
    classes = _mm256_sub_epi8(classes, pass_step(t, 1, row, column));
    if (n > 2) {
        steps = _mm256_add_epi8(steps, pass_step(t, 2, row, column));
        classes = _mm256_sub_epi8(classes, pass_step(t, 3, row, column));
    }
    for (unsigned k = 4; k < n; k += 2) {
        steps = _mm256_add_epi8(steps, pass_step(t, k, row, column));
        classes = _mm256_sub_epi8(classes, pass_step(t, k + 1, row, column));
    }
    return _mm256_sub_epi8(classes, steps);
}

/* See nqi_rans_slot_rank: a slot's low bits are the row, the high ones the column. */
TARGET NQI_INLINE __m256i find_ranks(const nqi_rans_lookup *t, const places *p, __m256i row,
                                     __m256i column, bool is_wide)
{
    const __m256i even = _mm256_set1_epi16(0x00ff);
    const __m256i run = look_up(t->run, p, is_wide);
    const __m256i begin_low = look_up(t->begin_low, p, is_wide);
    const __m256i end_low = look_up(t->end_low, p, is_wide);
    const __m256i begin_high = look_up(t->begin_high, p, is_wide);
    const __m256i rows = _mm256_sub_epi8(row, begin_high);
    const __m256i parts =
        _mm256_sub_epi8(_mm256_min_epu8(column, end_low), _mm256_min_epu8(column, begin_low));
    const __m256i less = _mm256_cmpgt_epi8(begin_low, column); /* -1 where it is */
    const __m256i rest = _mm256_add_epi8(_mm256_add_epi8(rows, parts), less);
    /* run * column in each byte: at most 16 * 15 */
    const __m256i a = _mm256_maddubs_epi16(run, _mm256_and_si256(column, even));
    const __m256i b = _mm256_maddubs_epi16(run, _mm256_andnot_si256(even, column));
    return _mm256_add_epi8(rest, _mm256_or_si256(a, _mm256_slli_epi16(b, 8)));
}

/* ---- Steps --------------------------------------------------------------------------------- */

/* The states of 32 lanes. */
typedef struct group {
    __m256i low;
    __m256i high;
} group;

/* Takes the next bytes of a stream to where a byte of `where` is -1 rather than 0. */
TARGET NQI_INLINE __m256i expand(__m256i kept, __m256i where, const uint8_t **at)
{
    const uint32_t mask = (uint32_t)_mm256_movemask_epi8(where);
    const uint8_t *const middle = *at + _mm_popcnt_u32(mask & 0xffff);
    /* Minus the number of places up to each, in each half. */
    __m256i n = _mm256_add_epi8(where, _mm256_slli_epi64(where, 8));
    n = _mm256_add_epi8(n, _mm256_slli_epi64(n, 16));
    n = _mm256_add_epi8(n, _mm256_slli_epi64(n, 32));
    n = _mm256_add_epi8(n, _mm256_unpacklo_epi64(_mm256_setzero_si256(),
                                                 _mm256_shuffle_epi8(n, _mm256_set1_epi8(7))));
    const __m128i lower = _mm_loadu_si128((const __m128i *)(const void *)*at);
    const __m128i upper = _mm_loadu_si128((const __m128i *)(const void *)middle);
    const __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(lower), upper, 1);
    const __m256i sources = _mm256_xor_si256(n, _mm256_set1_epi8(-1)); /* -n - 1 */
    *at += _mm_popcnt_u32(mask);
    return _mm256_blendv_epi8(kept, _mm256_shuffle_epi8(bytes, sources), where);
}

/* frequency * high + rank, and a byte taken in where that is low and `takes` is -1. */
TARGET NQI_INLINE void advance(group *g, __m256i frequency, __m256i rank, const uint8_t **at,
                               __m256i takes)
{
    const __m256i even = _mm256_set1_epi16(0x00ff);
    const __m256i a = _mm256_add_epi16(
        _mm256_mullo_epi16(_mm256_and_si256(g->high, even), _mm256_and_si256(frequency, even)),
        _mm256_and_si256(rank, even));
    const __m256i b = _mm256_add_epi16(
        _mm256_mullo_epi16(_mm256_srli_epi16(g->high, 8), _mm256_srli_epi16(frequency, 8)),
        _mm256_srli_epi16(rank, 8));
    const __m256i low = _mm256_or_si256(_mm256_and_si256(a, even), _mm256_slli_epi16(b, 8));
    const __m256i high = _mm256_or_si256(_mm256_srli_epi16(a, 8), _mm256_andnot_si256(even, b));
    const __m256i is_low = _mm256_and_si256(_mm256_cmpeq_epi8(high, _mm256_setzero_si256()), takes);
    g->high = _mm256_blendv_epi8(high, low, is_low);
    g->low = expand(low, is_low, at);
}

/* One round's symbols of 32 lanes, escapes in their places. */
TARGET NQI_INLINE __m256i decode_group(group *g, const nqi_rans_lookup *t, const uint8_t **at,
                                       const uint8_t **escape, __m256i takes, bool is_wide)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i row = _mm256_and_si256(g->low, nibble);
    const __m256i column = _mm256_and_si256(_mm256_srli_epi16(g->low, 4), nibble);
    const __m256i classes = find_classes(t, row, column);
    const places p = make_places(classes, is_wide);
    const __m256i symbols = look_up(t->symbol, &p, is_wide);
    const __m256i frequency = look_up(t->frequency, &p, is_wide);
    const __m256i rank = find_ranks(t, &p, row, column, is_wide);
    const __m256i escapes = _mm256_cmpeq_epi8(classes, _mm256_set1_epi8((char)t->escape));
    advance(g, frequency, rank, at, takes);
    if (NQI_LIKELY(_mm256_testz_si256(escapes, escapes)))
        return symbols;
    return expand(symbols, escapes, escape);
}

/* ---- States -------------------------------------------------------------------------------- */

TARGET static group load_group(const uint16_t *states)
{
    const __m256i even = _mm256_set1_epi16(0x00ff);
    const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)states);
    const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(states + 16));
    const __m256i low = _mm256_packus_epi16(_mm256_and_si256(a, even), _mm256_and_si256(b, even));
    const __m256i high = _mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8));
    /* Packing goes by halves: quarters 0, 2, 1, 3. */
    return (group){_mm256_permute4x64_epi64(low, 0xd8), _mm256_permute4x64_epi64(high, 0xd8)};
}

TARGET static void store_group(uint16_t *states, const group *g)
{
    const __m256i low = _mm256_permute4x64_epi64(g->low, 0xd8);
    const __m256i high = _mm256_permute4x64_epi64(g->high, 0xd8);
    _mm256_storeu_si256((__m256i *)(void *)states, _mm256_unpacklo_epi8(low, high));
    _mm256_storeu_si256((__m256i *)(void *)(states + 16), _mm256_unpackhi_epi8(low, high));
}

/* ---- Rounds -------------------------------------------------------------------------------- */

/* 32 symbols from symbols[done] on, with the table of their sub-block. */
TARGET NQI_INLINE void decode_32(group *g, const nqi_rans_lookup *t, uint8_t *symbols,
                                 const uint8_t **at, const uint8_t **escape, const uint8_t *takes)
{
    __m256i *const out = (__m256i *)(void *)symbols;
    const __m256i who =
        takes ? _mm256_loadu_si256((const __m256i *)(const void *)takes) : _mm256_set1_epi8(-1);
    if (NQI_UNLIKELY(t->is_constant))
        _mm256_storeu_si256(out, _mm256_set1_epi8((char)t->symbol[0]));
    else if (t->n_classes > 16)
        _mm256_storeu_si256(out, decode_group(g, t, at, escape, who, true));
    else
        _mm256_storeu_si256(out, decode_group(g, t, at, escape, who, false));
}

TARGET NQI_INLINE size_t decode_rounds(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n,
                                       bool masks)
{
    group g[MAX_GROUPS];
    const size_t lanes = (size_t)1 << run->lanes_log2;
    const nqi_rans_lookup *const lookups = run->lookups;
    const uint8_t *const choices = run->choices, *const takes = run->takes;
    const uint8_t *const limit = run->limit, *const escape_limit = run->escape_limit;
    const unsigned sub_log2 = run->sub_log2;
    const uint8_t *at = run->at, *escape = run->escape;
    size_t done = 0;
    for (size_t i = 0; i < lanes; i += LANES)
        g[i / LANES] = load_group(run->states + i);
    for (; done + lanes <= n && at <= limit && escape <= escape_limit; done += lanes)
        for (size_t i = 0; i < lanes; i += LANES)
            decode_32(&g[i / LANES], &lookups[choices[(first + done + i) >> sub_log2]],
                      symbols + done + i, &at, &escape, masks ? takes + i : NULL);
    for (size_t i = 0; i < lanes; i += LANES)
        store_group(run->states + i, &g[i / LANES]);
    run->at = at;
    run->escape = escape;
    return done;
}

TARGET static size_t decode_avx2(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n)
{
    return run->takes ? decode_rounds(run, symbols, first, n, true)
                      : decode_rounds(run, symbols, first, n, false);
}

/* ---- Indices ------------------------------------------------------------------------------- */

TARGET static uint32_t join_u16(uint16_t *out, const uint8_t *symbols, const uint8_t *low, size_t n,
                                unsigned low_bits, uint32_t base)
{
    return nqi_rans_join_u16_with(nqi_unpack_kernels_avx2(NQ_CPU_AVX2), out, symbols, low, n,
                                  low_bits, base);
}

TARGET static uint32_t join_u8(uint8_t *out, const uint8_t *symbols, const uint8_t *low, size_t n,
                               unsigned low_bits)
{
    return nqi_rans_join_u8_with(nqi_unpack_kernels_avx2(NQ_CPU_AVX2), out, symbols, low, n,
                                 low_bits);
}

static const nqi_rans_kernels kernels = {
    .decode = decode_avx2, .min_lanes_log2 = 5, .join_u16 = join_u16, .join_u8 = join_u8};

const nqi_rans_kernels *nqi_rans_kernels_avx2(uint64_t cpu)
{
    return cpu & NQ_CPU_AVX2 ? &kernels : NULL;
}

#else

const nqi_rans_kernels *nqi_rans_kernels_avx2(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
