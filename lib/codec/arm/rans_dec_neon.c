/*
 * The rANS decoder for NEON: sixteen lanes at once, their states as two vectors of bytes. A slot's
 * class comes from its row of sixteen places and comparisons with the steps within the row, its
 * rank is computed, and products of bytes are what NEON multiplies anyway. Part of the decoder.
 */
#include "codec/rans_join.h"
#include "codec/rans_run.h"

#include "nq/context.h"

#if NQI_ARM64

#include <arm_neon.h>

enum { LANES = 16, MAX_GROUPS = NQI_RANS_MAX_LANES / LANES };

/* ---- Lookups ------------------------------------------------------------------------------- */

/* By class, up to 32 of them. */
NQI_INLINE uint8x16_t look_up(const uint8_t *table, uint8x16_t classes)
{
    return vqtbl2q_u8(vld1q_u8_x2(table), classes);
}

NQI_INLINE uint8x16_t find_classes(const nqi_rans_lookup *t, uint8x16_t row, uint8x16_t column)
{
    uint8x16_t classes = vqtbl1q_u8(vld1q_u8(t->row_class), row);
    for (unsigned k = 0; k < t->n_row_steps; k++) {
        const uint8x16_t step = vqtbl1q_u8(vld1q_u8(t->row_step[k]), row);
        classes = vsubq_u8(classes, vcgtq_u8(column, step));
    }
    for (unsigned k = 0; k < t->n_crowded; k++) {
        const uint8x16_t here = vceqq_u8(row, vdupq_n_u8((uint8_t)t->crowded_row[k]));
        classes = vbslq_u8(here, vqtbl1q_u8(vld1q_u8(t->crowded_class[k]), column), classes);
    }
    return classes;
}

/* What a rank is besides its product: see nqi_rans_lookup. */
NQI_INLINE uint8x16_t find_rest(const nqi_rans_lookup *t, uint8x16_t classes, uint8x16_t row,
                                uint8x16_t column)
{
    const uint8x16_t behind =
        vqsubq_u8(vaddq_u8(column, vdupq_n_u8(1)), look_up(t->begin_low, classes));
    const uint8x16_t part = vminq_u8(column, look_up(t->end_low, classes));
    const uint8x16_t rows = vsubq_u8(row, look_up(t->begin_high, classes));
    return vaddq_u8(rows, vaddq_u8(behind, part));
}

/* ---- Steps --------------------------------------------------------------------------------- */

/* The states of 16 lanes. */
typedef struct group {
    uint8x16_t low;
    uint8x16_t high;
} group;

/* Takes the next bytes of a stream to where a byte of `where` is all ones rather than 0. */
NQI_INLINE uint8x16_t expand(uint8x16_t kept, uint8x16_t where, const uint8_t **at)
{
    /* Minus the number of places up to each. */
    const uint8x16_t zero = vdupq_n_u8(0);
    uint8x16_t n = vaddq_u8(where, vextq_u8(zero, where, 15));
    n = vaddq_u8(n, vextq_u8(zero, n, 14));
    n = vaddq_u8(n, vextq_u8(zero, n, 12));
    n = vaddq_u8(n, vextq_u8(zero, n, 8));
    const uint8x16_t bytes = vqtbl1q_u8(vld1q_u8(*at), vmvnq_u8(n)); /* -n - 1 */
    *at += (uint8_t)(0 - vgetq_lane_u8(n, 15));
    return vbslq_u8(where, bytes, kept);
}

/* One round's symbols of 16 lanes, escapes in their places. */
NQI_INLINE uint8x16_t decode_group(group *g, const nqi_rans_lookup *t, const uint8_t **at,
                                   const uint8_t **escape, uint8x16_t takes)
{
    const uint8x16_t row = vandq_u8(g->low, vdupq_n_u8(15));
    const uint8x16_t column = vshrq_n_u8(g->low, 4);
    const uint8x16_t classes = find_classes(t, row, column);
    const uint8x16_t symbols = look_up(t->symbol, classes);
    const uint8x16_t frequency = look_up(t->frequency, classes);
    const uint8x16_t run = look_up(t->run, classes);
    const uint8x16_t rank = vmlaq_u8(find_rest(t, classes, row, column), run, column);
    const uint16x8_t a =
        vaddw_u8(vmull_u8(vget_low_u8(g->high), vget_low_u8(frequency)), vget_low_u8(rank));
    const uint16x8_t b = vaddw_high_u8(vmull_high_u8(g->high, frequency), rank);
    const uint8x16_t low = vuzp1q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b));
    const uint8x16_t high = vuzp2q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b));
    const uint8x16_t is_low = vandq_u8(vceqzq_u8(high), takes);
    const uint8x16_t escapes = vceqq_u8(classes, vdupq_n_u8(t->escape));
    g->high = vbslq_u8(is_low, low, high);
    g->low = expand(low, is_low, at);
    if (NQI_LIKELY(vmaxvq_u8(escapes) == 0))
        return symbols;
    return expand(symbols, escapes, escape);
}

/* ---- Rounds -------------------------------------------------------------------------------- */

static group load_group(const uint16_t *states)
{
    const uint8x16_t a = vreinterpretq_u8_u16(vld1q_u16(states));
    const uint8x16_t b = vreinterpretq_u8_u16(vld1q_u16(states + 8));
    return (group){vuzp1q_u8(a, b), vuzp2q_u8(a, b)};
}

static void store_group(uint16_t *states, const group *g)
{
    vst1q_u16(states, vreinterpretq_u16_u8(vzip1q_u8(g->low, g->high)));
    vst1q_u16(states + 8, vreinterpretq_u16_u8(vzip2q_u8(g->low, g->high)));
}

static size_t decode_neon(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n)
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
        for (size_t i = 0; i < lanes; i += LANES) {
            const nqi_rans_lookup *t = &lookups[choices[(first + done + i) >> sub_log2]];
            const uint8x16_t who = takes ? vld1q_u8(takes + i) : vdupq_n_u8(255);
            vst1q_u8(symbols + done + i, t->is_constant
                                             ? vdupq_n_u8(t->symbol[0])
                                             : decode_group(&g[i / LANES], t, &at, &escape, who));
        }
    for (size_t i = 0; i < lanes; i += LANES)
        store_group(run->states + i, &g[i / LANES]);
    run->at = at;
    run->escape = escape;
    return done;
}

/* ---- Indices ------------------------------------------------------------------------------- */

static uint32_t join_u16(uint16_t *out, const uint8_t *symbols, const uint8_t *low, size_t n,
                         unsigned low_bits, uint32_t base)
{
    return nqi_rans_join_u16_with(nqi_unpack_kernels_neon(NQ_CPU_NEON), out, symbols, low, n,
                                  low_bits, base);
}

static uint32_t join_u8(uint8_t *out, const uint8_t *symbols, const uint8_t *low, size_t n,
                        unsigned low_bits)
{
    return nqi_rans_join_u8_with(nqi_unpack_kernels_neon(NQ_CPU_NEON), out, symbols, low, n,
                                 low_bits);
}

static const nqi_rans_kernels kernels = {
    .decode = decode_neon, .min_lanes_log2 = 4, .join_u16 = join_u16, .join_u8 = join_u8};

const nqi_rans_kernels *nqi_rans_kernels_neon(uint64_t cpu)
{
    return cpu & NQ_CPU_NEON ? &kernels : NULL;
}

#else

const nqi_rans_kernels *nqi_rans_kernels_neon(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
