/*
 * The rANS decoder for AVX2: 32 lanes at once, their states as two vectors of bytes. There is no
 * permutation of 256 bytes, so that a slot's class comes from its row of sixteen places and
 * comparisons with the steps within the row, and its rank is computed. Part of the decoder.
 */
#include "codec/rans_join.h"
#include "codec/rans_run.h"
#include "codec/x86/lookup_avx2.h"

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#define TARGET NQI_LOOKUP_TARGET

enum { LANES = 32, MAX_GROUPS = NQI_RANS_MAX_LANES / LANES };

/* ---- Constants ----------------------------------------------------------------------------- */

typedef struct constants {
    __m256i one;
    __m256i nibble; /* 15 */
    __m256i even;   /* all ones in each other byte */
    __m256i lower;  /* what makes places of classes */
    __m256i upper;
    __m256i sums;     /* a multiplication by it adds to each byte of four those below it */
    __m256i of_four;  /* to the upper four of eight bytes, the last of the lower ones */
    __m256i of_eight; /* to the upper eight of sixteen */
    __m256i place;    /* in each half */
} constants;

/* From numbers that are volatile: compilers would otherwise make vectors of constants anew in each
 * step, and shifts of a multiplication. */
TARGET static constants load_constants(void)
{
    static const volatile int words[] = {0x01010101, 0x0f0f0f0f, 0x00ff00ff,
                                         NQI_LOOKUP_LOWER * 0x01010101,
                                         (int)(NQI_LOOKUP_UPPER * 0x01010101u)};
    return (constants){.one = _mm256_set1_epi32(words[0]),
                       .nibble = _mm256_set1_epi32(words[1]),
                       .even = _mm256_set1_epi32(words[2]),
                       .lower = _mm256_set1_epi32(words[3]),
                       .upper = _mm256_set1_epi32(words[4]),
                       .sums = _mm256_set1_epi32(words[0]),
                       .of_four = _mm256_setr_epi32(-1, 0x03030303, -1, 0x0b0b0b0b, -1, 0x03030303,
                                                    -1, 0x0b0b0b0b),
                       .of_eight = _mm256_setr_epi32(-1, -1, 0x07070707, 0x07070707, -1, -1,
                                                     0x07070707, 0x07070707),
                       .place = _mm256_setr_epi32(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c,
                                                  0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c)};
}

/* ---- Lookups ------------------------------------------------------------------------------- */

/* See nqi_rans_lookup: a slot's low bits are the row, the high ones the column. */
TARGET NQI_INLINE __m256i find_classes(const nqi_rans_lookup *t, __m256i row, __m256i column)
{
    __m256i classes = _mm256_shuffle_epi8(nqi_twice(t->row_class), row);
    for (unsigned k = 0; k < t->n_row_steps; k++) {
        const __m256i step = _mm256_shuffle_epi8(nqi_twice(t->row_step[k]), row);
        classes = _mm256_sub_epi8(classes, _mm256_cmpgt_epi8(column, step));
    }
    for (unsigned k = 0; k < t->n_crowded; k++) {
        const __m256i here = _mm256_cmpeq_epi8(row, _mm256_set1_epi32((int)t->crowded_row[k]));
        const __m256i other = _mm256_shuffle_epi8(nqi_twice(t->crowded_class[k]), column);
        classes = _mm256_blendv_epi8(classes, other, here);
    }
    return classes;
}

/* What a rank is besides its product. */
TARGET NQI_INLINE __m256i find_rest(const constants *k, const nqi_rans_lookup *t,
                                    const nqi_places *p, __m256i row, __m256i column, bool is_wide)
{
    const __m256i behind =
        _mm256_subs_epu8(_mm256_add_epi8(column, k->one), nqi_look_up(t->begin_low, p, is_wide));
    const __m256i part = _mm256_min_epu8(column, nqi_look_up(t->end_low, p, is_wide));
    const __m256i rows = _mm256_sub_epi8(row, nqi_look_up(t->begin_high, p, is_wide));
    return _mm256_add_epi8(rows, _mm256_add_epi8(behind, part));
}

/* ---- Steps --------------------------------------------------------------------------------- */

/* The states of 32 lanes. */
typedef struct group {
    __m256i low;
    __m256i high;
} group;

/* Takes the next bytes of a stream to where a byte of `where` is -1 rather than 0. */
TARGET NQI_INLINE __m256i expand(const constants *k, __m256i kept, __m256i where,
                                 const uint8_t **at)
{
    const uint32_t mask = (uint32_t)_mm256_movemask_epi8(where);
    const uint8_t *const middle = *at + _mm_popcnt_u32(mask & 0xffff);
    /* In each half, of the places up to each: those that are kept. */
    __m256i n = _mm256_mullo_epi32(_mm256_add_epi8(where, k->one), k->sums);
    n = _mm256_add_epi8(n, _mm256_shuffle_epi8(n, k->of_four));
    n = _mm256_add_epi8(n, _mm256_shuffle_epi8(n, k->of_eight));
    const __m256i sources = _mm256_sub_epi8(k->place, n);
    const __m128i lower = _mm_loadu_si128((const __m128i *)(const void *)*at);
    const __m128i upper = _mm_loadu_si128((const __m128i *)(const void *)middle);
    const __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(lower), upper, 1);
    *at += _mm_popcnt_u32(mask);
    return _mm256_blendv_epi8(kept, _mm256_shuffle_epi8(bytes, sources), where);
}

/* frequency * high + column * run + rest: lanes 0 to 7 of each half, and lanes 8 to 15. */
typedef struct products {
    __m256i lower;
    __m256i upper;
} products;

/* Of frequencies up to 127, which fit the signed bytes of the multiplication. */
TARGET NQI_INLINE products multiply(__m256i high, __m256i frequency, __m256i column, __m256i run,
                                    __m256i rest)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i lower = _mm256_maddubs_epi16(_mm256_unpacklo_epi8(high, column),
                                               _mm256_unpacklo_epi8(frequency, run));
    const __m256i upper = _mm256_maddubs_epi16(_mm256_unpackhi_epi8(high, column),
                                               _mm256_unpackhi_epi8(frequency, run));
    return (products){_mm256_add_epi16(lower, _mm256_unpacklo_epi8(rest, zero)),
                      _mm256_add_epi16(upper, _mm256_unpackhi_epi8(rest, zero))};
}

TARGET NQI_INLINE products multiply_large(const constants *k, __m256i high, __m256i frequency,
                                          __m256i column, __m256i run, __m256i rest)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i lower =
        _mm256_maddubs_epi16(_mm256_unpacklo_epi8(column, k->one), _mm256_unpacklo_epi8(run, rest));
    const __m256i upper =
        _mm256_maddubs_epi16(_mm256_unpackhi_epi8(column, k->one), _mm256_unpackhi_epi8(run, rest));
    return (products){
        _mm256_add_epi16(lower, _mm256_mullo_epi16(_mm256_unpacklo_epi8(high, zero),
                                                   _mm256_unpacklo_epi8(frequency, zero))),
        _mm256_add_epi16(upper, _mm256_mullo_epi16(_mm256_unpackhi_epi8(high, zero),
                                                   _mm256_unpackhi_epi8(frequency, zero)))};
}

/* New states, each with a byte taken in where it is low and `takes` is -1. */
TARGET NQI_INLINE void renew(const constants *k, group *g, const products *next, const uint8_t **at,
                             __m256i takes)
{
    const __m256i low = _mm256_packus_epi16(_mm256_and_si256(next->lower, k->even),
                                            _mm256_and_si256(next->upper, k->even));
    const __m256i high =
        _mm256_packus_epi16(_mm256_srli_epi16(next->lower, 8), _mm256_srli_epi16(next->upper, 8));
    const __m256i is_low = _mm256_and_si256(_mm256_cmpeq_epi8(high, _mm256_setzero_si256()), takes);
    g->high = _mm256_blendv_epi8(high, low, is_low);
    g->low = expand(k, low, is_low, at);
}

/* Stores 32 symbols, escapes in their places: mostly none or one, which no branch tells apart. */
TARGET NQI_INLINE void store_symbols(const constants *k, uint8_t *out, __m256i symbols,
                                     __m256i escapes, const uint8_t **escape)
{
    const uint32_t mask = (uint32_t)_mm256_movemask_epi8(escapes);
    if (NQI_UNLIKELY((mask & (mask - 1)) != 0)) {
        _mm256_storeu_si256((__m256i *)(void *)out, expand(k, symbols, escapes, escape));
        return;
    }
    const uint32_t has_one = mask != 0, is_one = 0 - has_one;
    const uint32_t first = (uint32_t)_mm256_cvtsi256_si32(symbols);
    _mm256_storeu_si256((__m256i *)(void *)out, symbols);
    out[_tzcnt_u32(mask) & 31] = (uint8_t)((**escape & is_one) | (first & ~is_one));
    *escape += has_one;
}

/* One round's symbols of 32 lanes. */
TARGET NQI_INLINE void decode_group(const constants *k, group *g, const nqi_rans_lookup *t,
                                    uint8_t *out, const uint8_t **at, const uint8_t **escape,
                                    __m256i takes, bool is_wide)
{
    const __m256i row = _mm256_and_si256(g->low, k->nibble);
    const __m256i column = _mm256_and_si256(_mm256_srli_epi16(g->low, 4), k->nibble);
    const __m256i classes = find_classes(t, row, column);
    const nqi_places p = nqi_make_places(classes, k->lower, k->upper, is_wide);
    const __m256i symbols = is_wide && t->is_consecutive
                                ? _mm256_add_epi8(classes, _mm256_set1_epi8((char)t->symbol[0]))
                                : nqi_look_up(t->symbol, &p, is_wide);
    const __m256i frequency = nqi_look_up(t->frequency, &p, is_wide);
    const __m256i run = nqi_look_up(t->run, &p, is_wide);
    const __m256i rest = find_rest(k, t, &p, row, column, is_wide);
    const products next = t->has_large ? multiply_large(k, g->high, frequency, column, run, rest)
                                       : multiply(g->high, frequency, column, run, rest);
    renew(k, g, &next, at, takes);
    store_symbols(k, out, symbols, _mm256_cmpeq_epi8(classes, _mm256_set1_epi8((char)t->escape)),
                  escape);
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
TARGET NQI_INLINE void decode_32(const constants *k, group *g, const nqi_rans_lookup *t,
                                 uint8_t *symbols, const uint8_t **at, const uint8_t **escape,
                                 const uint8_t *takes)
{
    const __m256i who =
        takes ? _mm256_loadu_si256((const __m256i *)(const void *)takes) : _mm256_set1_epi8(-1);
    if (NQI_UNLIKELY(t->is_constant))
        memset(symbols, t->symbol[0], LANES);
    else if (t->n_classes > 16)
        decode_group(k, g, t, symbols, at, escape, who, true);
    else
        decode_group(k, g, t, symbols, at, escape, who, false);
}

TARGET NQI_INLINE size_t decode_rounds(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n,
                                       bool masks)
{
    group g[MAX_GROUPS];
    const constants k = load_constants();
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
            decode_32(&k, &g[i / LANES], &lookups[choices[(first + done + i) >> sub_log2]],
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
