/*
 * The rANS encoder for AVX2: 32 lanes at once, their states as two vectors of bytes. Classes and
 * slots come from tables of 256 bytes by shuffles, quotients from reciprocals; the bytes that
 * states give away are gathered eight lanes at a time.
 */
#include "codec/rans_push.h"

#include "base/bytes.h"
#include "codec/x86/lookup_avx2.h"
#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#define TARGET NQI_LOOKUP_TARGET

enum { LANES = 32, MAX_GROUPS = NQI_RANS_MAX_LANES / LANES };

/* The states of 32 lanes. */
typedef struct group {
    __m256i low;
    __m256i high;
} group;

/* ---- Pushing ------------------------------------------------------------------------------- */

/* Stores the low bytes of lanes where `which` is -1 in front of `at`, the first lane's first;
 * returns where they begin. Up to eight bytes in front of it are written, too. */
TARGET NQI_INLINE uint8_t *store_bytes(uint8_t *at, __m256i bytes, __m256i which)
{
    alignas(32) uint64_t words[4], masks[4];
    const uint32_t mask = (uint32_t)_mm256_movemask_epi8(which);
    _mm256_store_si256((__m256i *)(void *)words, bytes);
    _mm256_store_si256((__m256i *)(void *)masks, which);
    for (unsigned i = 4; i-- > 0;) {
        const unsigned n = (unsigned)_mm_popcnt_u32(mask >> 8 * i & 255);
        /* Their highest one ends at `at`; of none, the word is zero anyway. */
        nqi_store_le64(at - 8, _pext_u64(words[i], masks[i]) << ((64 - 8 * n) & 63));
        at -= n;
    }
    return at;
}

/* States that are too high for what comes give their low byte away. */
TARGET NQI_INLINE uint8_t *give_bytes(group *g, __m256i f, uint8_t *at)
{
    const __m256i is_high = _mm256_cmpeq_epi8(_mm256_max_epu8(g->high, f), g->high);
    at = store_bytes(at, g->low, is_high);
    g->low = _mm256_blendv_epi8(g->low, g->high, is_high);
    g->high = _mm256_andnot_si256(is_high, g->high);
    return at;
}

/* Quotients and rests of sixteen words. */
typedef struct parts {
    __m256i quotient; /* too small by one where is_right is 0 and not -1 */
    __m256i rest;
    __m256i is_right;
} parts;

/* Of words that are below f << 8, by their rounded reciprocals. */
TARGET NQI_INLINE parts divide(__m256i x, __m256i f, __m256i reciprocal)
{
    const __m256i q = _mm256_mulhi_epu16(x, reciprocal);
    const __m256i r = _mm256_sub_epi16(x, _mm256_mullo_epi16(q, f));
    const __m256i rest = _mm256_min_epu16(r, _mm256_sub_epi16(r, f)); /* what wraps is large */
    return (parts){.quotient = q, .rest = rest, .is_right = _mm256_cmpeq_epi16(rest, r)};
}

/* Pushes a symbol into each lane, given their classes. */
TARGET NQI_INLINE uint8_t *push_group(group *g, const nqi_rans_coder *coder, __m256i classes,
                                      uint8_t *at, bool is_wide)
{
    const __m256i zero = _mm256_setzero_si256();
    const nqi_places p = nqi_make_places(classes, _mm256_set1_epi8(NQI_LOOKUP_LOWER),
                                         _mm256_set1_epi8((char)NQI_LOOKUP_UPPER), is_wide);
    const __m256i f = nqi_look_up(coder->frequency, &p, is_wide);
    const __m256i low_reciprocal = nqi_look_up(coder->reciprocal_low, &p, is_wide);
    const __m256i high_reciprocal = nqi_look_up(coder->reciprocal_high, &p, is_wide);
    const __m256i begin = nqi_look_up(coder->begin, &p, is_wide);
    at = give_bytes(g, f, at);
    const parts a = divide(_mm256_unpacklo_epi8(g->low, g->high), _mm256_unpacklo_epi8(f, zero),
                           _mm256_unpacklo_epi8(low_reciprocal, high_reciprocal));
    const parts b = divide(_mm256_unpackhi_epi8(g->low, g->high), _mm256_unpackhi_epi8(f, zero),
                           _mm256_unpackhi_epi8(low_reciprocal, high_reciprocal));
    const __m256i is_right = _mm256_packs_epi16(a.is_right, b.is_right);
    const __m256i more = _mm256_add_epi8(is_right, _mm256_set1_epi8(1));
    const __m256i rank = _mm256_packus_epi16(a.rest, b.rest);
    g->high = _mm256_add_epi8(_mm256_packus_epi16(a.quotient, b.quotient), more);
    g->low = nqi_look_up_256(coder->slot_of, _mm256_add_epi8(rank, begin));
    return at;
}

/* ---- States -------------------------------------------------------------------------------- */

/* The low bytes of words, of `a` first. */
TARGET static __m256i narrow(__m256i a, __m256i b)
{
    const __m256i even = _mm256_set1_epi16(0x00ff);
    const __m256i halves =
        _mm256_packus_epi16(_mm256_and_si256(a, even), _mm256_and_si256(b, even));
    return _mm256_permute4x64_epi64(halves, 0xd8); /* packing goes by halves: quarters 0, 2, 1, 3 */
}

TARGET static group load_group(const uint16_t *states)
{
    const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)states);
    const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(states + 16));
    return (group){narrow(a, b), narrow(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8))};
}

TARGET static void store_group(uint16_t *states, const group *g)
{
    const __m256i low = _mm256_permute4x64_epi64(g->low, 0xd8);
    const __m256i high = _mm256_permute4x64_epi64(g->high, 0xd8);
    _mm256_storeu_si256((__m256i *)(void *)states, _mm256_unpacklo_epi8(low, high));
    _mm256_storeu_si256((__m256i *)(void *)(states + 16), _mm256_unpackhi_epi8(low, high));
}

/* ---- Rounds -------------------------------------------------------------------------------- */

TARGET static void push_avx2(nqi_rans_push *push, const uint8_t *classes, size_t first, size_t n)
{
    group g[MAX_GROUPS];
    const size_t n_groups = ((size_t)1 << push->lanes_log2) / LANES;
    const nqi_rans_coder *const coders = push->coders;
    const uint8_t *const choices = push->choices;
    const unsigned sub_log2 = push->sub_log2;
    uint8_t *at = push->at;
    for (size_t i = 0; i < n_groups; i++)
        g[i] = load_group(push->states + LANES * i);
    while (n > 0) {
        for (size_t i = n_groups; i-- > 0;) {
            n -= LANES;
            const nqi_rans_coder *coder = &coders[choices[(first + n) >> sub_log2]];
            const __m256i c = _mm256_loadu_si256((const __m256i *)(const void *)(classes + n));
            if (NQI_UNLIKELY(coder->is_constant))
                continue;
            at = coder->n_classes > 16 ? push_group(&g[i], coder, c, at, true)
                                       : push_group(&g[i], coder, c, at, false);
        }
    }
    for (size_t i = 0; i < n_groups; i++)
        store_group(push->states + LANES * i, &g[i]);
    push->at = at;
}

/* ---- Classes ------------------------------------------------------------------------------- */

/* What is below `first` becomes large, what is large 255: no class has that place unless all upper
 * parts are below 256. */
TARGET NQI_INLINE __m256i places_of(__m256i upper, __m256i first)
{
    return _mm256_min_epu16(_mm256_sub_epi16(upper, first), _mm256_set1_epi16(255));
}

/* Of 16-bit numbers. */
TARGET NQI_INLINE uint16_t largest_of(__m256i v)
{
    const __m128i x = _mm_max_epu16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const __m128i least = _mm_minpos_epu16(_mm_xor_si128(x, _mm_set1_epi16(-1)));
    return (uint16_t) ~(uint32_t)_mm_cvtsi128_si32(least);
}

TARGET static size_t classify_avx2(uint8_t *classes, uint16_t *escaped, uint16_t *largest,
                                   const uint16_t *indices, size_t n, const nqi_rans_coder *coder)
{
    const __m128i shift = _mm_cvtsi32_si128((int)coder->low_bits);
    const __m256i first = _mm256_set1_epi16((short)coder->first);
    const __m256i escape = _mm256_set1_epi8((char)coder->escape);
    __m256i most = _mm256_set1_epi16((short)*largest);
    size_t n_escaped = 0, i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(indices + i));
        const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(indices + i + 16));
        most = _mm256_max_epu16(most, _mm256_max_epu16(a, b));
        const __m256i at = narrow(places_of(_mm256_srl_epi16(a, shift), first),
                                  places_of(_mm256_srl_epi16(b, shift), first));
        const __m256i c = nqi_look_up_256(coder->class_of, at);
        uint32_t found = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(c, escape));
        _mm256_storeu_si256((__m256i *)(void *)(classes + i), c);
        for (; found != 0; found &= found - 1)
            escaped[n_escaped++] = (uint16_t)(indices[i + _tzcnt_u32(found)] >> coder->low_bits);
    }
    *largest = largest_of(most); /* which has begun with *largest */
    return n_escaped + nqi_rans_push_kernels_ref.classify(classes + i, escaped + n_escaped, largest,
                                                          indices + i, n - i, coder);
}

/* ---- Choosing tables ----------------------------------------------------------------------- */

static_assert(NQI_RANS_MAX_TABLES == 16, "two vectors of costs");

TARGET static size_t add_rows_avx2(uint32_t *costs, const uint16_t *rows, uint32_t n_rows,
                                   const uint16_t *symbols, size_t n)
{
    __m256i *const out = (__m256i *)(void *)costs;
    __m256i lower = _mm256_loadu_si256(out), upper = _mm256_loadu_si256(out + 1);
    size_t n_others = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t symbol = symbols[i];
        if (NQI_UNLIKELY(symbol >= n_rows)) {
            n_others++;
            continue;
        }
        const __m128i *row = (const __m128i *)(const void *)(rows + symbol * NQI_RANS_MAX_TABLES);
        lower = _mm256_add_epi32(lower, _mm256_cvtepu16_epi32(_mm_loadu_si128(row)));
        upper = _mm256_add_epi32(upper, _mm256_cvtepu16_epi32(_mm_loadu_si128(row + 1)));
    }
    _mm256_storeu_si256(out, lower);
    _mm256_storeu_si256(out + 1, upper);
    return n_others;
}

/* What other kernels than the reference are not faster at. */
static uint32_t step_ways(nqi_rans_ways *ways, uint8_t *from, const uint32_t *costs)
{
    return nqi_rans_push_kernels_ref.step_ways(ways, from, costs);
}

static size_t find_pairs(nqi_rans_pairs *pairs, const uint16_t *indices, size_t n)
{
    return nqi_rans_push_kernels_ref.find_pairs(pairs, indices, n);
}

static const nqi_rans_push_kernels kernels = {.push = push_avx2,
                                              .min_lanes_log2 = 5,
                                              .classify = classify_avx2,
                                              .add_rows = add_rows_avx2,
                                              .step_ways = step_ways,
                                              .find_pairs = find_pairs};

const nqi_rans_push_kernels *nqi_rans_push_kernels_avx2(uint64_t cpu)
{
    return cpu & NQ_CPU_AVX2 ? &kernels : NULL;
}

#else

const nqi_rans_push_kernels *nqi_rans_push_kernels_avx2(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
