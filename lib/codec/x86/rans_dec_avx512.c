/*
 * The rANS decoder for AVX-512 with VBMI and VBMI2: 64 lanes at once, their states as two vectors
 * of bytes. A slot is a byte, so that class and rank come from registers with two permutations
 * each; states that ran low take their bytes in by one expansion. Part of the decoder.
 */
#include "codec/rans_join.h"
#include "codec/rans_run.h"

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>

#define TARGET                                                                                     \
    NQI_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")

/* ---- Steps --------------------------------------------------------------------------------- */

/* A load that stays one: compilers would make it part of an expansion, whose form with memory is
 * many times slower on some processors. */
TARGET NQI_INLINE __m512i load_apart(const uint8_t *p)
{
    __m512i v = _mm512_loadu_si512(p);
    NQI_KEEP_VECTOR(v);
    return v;
}

/* The states of 64 lanes. */
typedef struct group {
    __m512i low;
    __m512i high;
} group;

#define MAX_GROUPS (NQI_RANS_MAX_LANES / 64u)

TARGET NQI_INLINE __m512i look_up(const uint8_t *table, __m512i slot, __mmask64 is_upper)
{
    const __m512i lower =
        _mm512_permutex2var_epi8(_mm512_load_si512(table), slot, _mm512_load_si512(table + 64));
    const __m512i upper = _mm512_permutex2var_epi8(_mm512_load_si512(table + 128), slot,
                                                   _mm512_load_si512(table + 192));
    return _mm512_mask_blend_epi8(is_upper, lower, upper);
}

/* Takes a symbol out of each lane; returns their classes. Of the states that are to take a byte in,
 * only those of `takes` do. */
TARGET NQI_INLINE __m512i step(group *g, const nqi_rans_lookup *t, const uint8_t **at,
                               __mmask64 takes)
{
    const __m512i even = _mm512_set1_epi16(0x00ff);
    const __mmask64 is_upper = _mm512_movepi8_mask(g->low);
    const __m512i classes = look_up(t->class_of, g->low, is_upper);
    const __m512i rank = look_up(t->rank_of, g->low, is_upper);
    const __m512i f = _mm512_permutexvar_epi8(classes, _mm512_load_si512(t->frequency));
    /* frequency * high + rank, in words of even and of odd lanes */
    const __m512i a = _mm512_add_epi16(
        _mm512_mullo_epi16(_mm512_and_si512(g->high, even), _mm512_and_si512(f, even)),
        _mm512_and_si512(rank, even));
    const __m512i b =
        _mm512_add_epi16(_mm512_mullo_epi16(_mm512_srli_epi16(g->high, 8), _mm512_srli_epi16(f, 8)),
                         _mm512_srli_epi16(rank, 8));
    /* even ? x : y is 0xca, (even & x) | y is 0xea */
    const __m512i low = _mm512_ternarylogic_epi64(even, a, _mm512_slli_epi16(b, 8), 0xea);
    const __m512i high = _mm512_ternarylogic_epi64(even, _mm512_srli_epi16(a, 8), b, 0xca);
    const __mmask64 is_low = _mm512_testn_epi8_mask(high, high) & takes;
    g->high = _mm512_mask_mov_epi8(high, is_low, low);
    g->low = _mm512_mask_expand_epi8(low, is_low, load_apart(*at));
    *at += _mm_popcnt_u64(is_low);
    return classes;
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

/* One round's symbols of 64 lanes, escapes in their places; returns how many these are. */
TARGET NQI_INLINE size_t decode_group(group *g, const nqi_rans_lookup *t, uint8_t *symbols,
                                      const uint8_t **at, const uint8_t *escape, __mmask64 takes)
{
    if (NQI_UNLIKELY(t->is_constant)) {
        _mm512_storeu_si512(symbols, _mm512_set1_epi8((char)t->symbol[0]));
        return 0;
    }
    const __m512i classes = step(g, t, at, takes);
    const __mmask64 escapes = _mm512_cmpeq_epi8_mask(classes, _mm512_set1_epi8((char)t->escape));
    const __m512i plain = _mm512_permutexvar_epi8(classes, _mm512_load_si512(t->symbol));
    _mm512_storeu_si512(symbols, _mm512_mask_expand_epi8(plain, escapes, load_apart(escape)));
    return (size_t)_mm_popcnt_u64(escapes);
}

/* Rounds of n_groups * 64 lanes; to be compiled for each number of groups. */
TARGET NQI_INLINE size_t decode_rounds(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n,
                                       unsigned n_groups, bool masks)
{
    group g[MAX_GROUPS];
    const size_t lanes = 64 * n_groups;
    const nqi_rans_lookup *const lookups = run->lookups;
    const uint8_t *const choices = run->choices;
    const unsigned sub_log2 = run->sub_log2;
    const uint8_t *at = run->at, *escape = run->escape;
    const uint8_t *const limit = run->limit, *const escape_limit = run->escape_limit;
    size_t done = 0;
    for (unsigned i = 0; i < n_groups; i++)
        g[i] = load_group(run->states + 64 * i);
    for (; done + lanes <= n && at <= limit && escape <= escape_limit; done += lanes) {
        for (unsigned i = 0; i < n_groups; i++) {
            const __mmask64 takes =
                masks ? _mm512_movepi8_mask(_mm512_loadu_si512(run->takes + 64 * i))
                      : ~(__mmask64)0;
            const nqi_rans_lookup *t = &lookups[choices[(first + done + 64 * i) >> sub_log2]];
            escape += decode_group(&g[i], t, symbols + done + 64 * i, &at, escape, takes);
        }
    }
    for (unsigned i = 0; i < n_groups; i++)
        store_group(run->states + 64 * i, &g[i]);
    run->at = at;
    run->escape = escape;
    return done;
}

TARGET static size_t decode_64(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n)
{
    return decode_rounds(run, symbols, first, n, 1, false);
}

TARGET static size_t decode_128(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n)
{
    return decode_rounds(run, symbols, first, n, 2, false);
}

TARGET static size_t decode_256(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n)
{
    return decode_rounds(run, symbols, first, n, 4, false);
}

TARGET static size_t decode_masked(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n)
{
    return decode_rounds(run, symbols, first, n, 1u << (run->lanes_log2 - 6), true);
}

TARGET static size_t decode_avx512(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n)
{
    if (run->takes)
        return decode_masked(run, symbols, first, n);
    switch (run->lanes_log2) {
    case 6:
        return decode_64(run, symbols, first, n);
    case 7:
        return decode_128(run, symbols, first, n);
    default:
        return decode_256(run, symbols, first, n);
    }
}

/* ---- Indices ------------------------------------------------------------------------------- */

#define UNPACK_CPU (NQ_CPU_AVX2 | NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2)

TARGET static uint32_t join_u16(uint16_t *out, const uint8_t *symbols, const uint8_t *low, size_t n,
                                unsigned low_bits, uint32_t base)
{
    return nqi_rans_join_u16_with(nqi_unpack_kernels_avx512(UNPACK_CPU), out, symbols, low, n,
                                  low_bits, base);
}

TARGET static uint32_t join_u8(uint8_t *out, const uint8_t *symbols, const uint8_t *low, size_t n,
                               unsigned low_bits)
{
    return nqi_rans_join_u8_with(nqi_unpack_kernels_avx512(UNPACK_CPU), out, symbols, low, n,
                                 low_bits);
}

static const nqi_rans_kernels kernels = {
    .decode = decode_avx512, .min_lanes_log2 = 6, .join_u16 = join_u16, .join_u8 = join_u8};

const nqi_rans_kernels *nqi_rans_kernels_avx512(uint64_t cpu)
{
    const uint64_t wanted = NQ_CPU_AVX2 | NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2;
    return (cpu & wanted) == wanted ? &kernels : NULL;
}

#else

const nqi_rans_kernels *nqi_rans_kernels_avx512(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
