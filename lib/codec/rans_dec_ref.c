/*
 * The rANS decoder's kernels in plain C: the truth that all others equal bit for bit. Part of the
 * decoder.
 */
#include "codec/bitpack_dec.h"
#include "codec/rans_run.h"

/* ---- Symbols ------------------------------------------------------------------------------- */

/* Symbols from `symbol` on, of n, that are of one round and one sub-block. */
static size_t stretch(const nqi_rans_run *run, size_t symbol, size_t n)
{
    const size_t lanes = (size_t)1 << run->lanes_log2;
    const size_t sub = (size_t)1 << run->sub_log2;
    n = NQI_MIN(n, lanes - (symbol & (lanes - 1)));
    return NQI_MIN(n, sub - (symbol & (sub - 1)));
}

/* A stretch of at most NQI_RANS_MAX_LANES symbols. Branches depend on nothing but escapes: a state
 * that needs no byte loads it all the same. `takes` is NULL, or that of the first symbol's lane. */
NQI_INLINE void decode_stretch(nqi_rans_run *run, uint16_t *states, uint8_t *symbols, size_t n,
                               const uint32_t *entries, const uint8_t *takes)
{
    const uint8_t *at = run->at;
    for (size_t i = 0; i < n; i++) {
        const uint32_t state = states[i];
        const uint32_t entry = entries[state & (NQI_RANS_SLOTS - 1)];
        const uint32_t next = (entry & 255) * (state >> 8) + (entry >> 8 & 255);
        uint32_t is_low = next < NQI_RANS_STATE_MIN;
        if (takes)
            is_low &= takes[i];
        states[i] = (uint16_t)(next << (8 * is_low) | (*at & (0u - is_low)));
        at += is_low;
        symbols[i] = (uint8_t)(entry >> 16);
        if (NQI_UNLIKELY(entry >> 24))
            symbols[i] = *run->escape++;
    }
    run->at = at;
}

static size_t decode_ref(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n)
{
    const size_t lane_mask = ((size_t)1 << run->lanes_log2) - 1;
    size_t done = 0;
    while (done < n && run->at <= run->limit && run->escape <= run->escape_limit) {
        const size_t symbol = first + done;
        const size_t now = stretch(run, symbol, n - done);
        const nqi_rans_lookup *lookup = &run->lookups[run->choices[symbol >> run->sub_log2]];
        const size_t lane = symbol & lane_mask;
        uint16_t *states = run->states + lane;
        if (lookup->is_constant)
            memset(symbols + done, lookup->symbol[0], now);
        else if (run->takes)
            decode_stretch(run, states, symbols + done, now, lookup->entry, run->takes + lane);
        else
            decode_stretch(run, states, symbols + done, now, lookup->entry, NULL);
        done += now;
    }
    return done;
}

/* ---- Without lookups ----------------------------------------------------------------------- */

static unsigned find_class(const nqi_rans_table *table, unsigned place)
{
    unsigned low = 0, high = table->n_classes; /* begin[low] <= place < begin[high] */
    while (high - low > 1) {
        const unsigned middle = (low + high) / 2;
        if (place < table->begin[middle])
            high = middle;
        else
            low = middle;
    }
    return low;
}

size_t nqi_rans_decode_small(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n)
{
    const size_t lane_mask = ((size_t)1 << run->lanes_log2) - 1;
    size_t i = 0;
    for (; i < n && run->at <= run->limit && run->escape <= run->escape_limit; i++) {
        const nqi_rans_table *table = &run->tables[run->choices[(first + i) >> run->sub_log2]];
        const size_t lane = (first + i) & lane_mask;
        uint16_t *state = &run->states[lane];
        const unsigned slot = *state & (NQI_RANS_SLOTS - 1);
        const unsigned c = find_class(table, nqi_rans_place_of_slot(slot));
        const unsigned begin = table->begin[c], end = table->begin[c + 1];
        const bool is_replaced = table->is_replaced && c == table->n_classes - 1u;
        symbols[i] = is_replaced ? *run->escape++ : table->symbol[c];
        if (table->n_classes == 1)
            continue;
        unsigned next =
            (end - begin) * (unsigned)(*state >> 8) + nqi_rans_slot_rank(slot, begin, end);
        if (next < NQI_RANS_STATE_MIN && (!run->takes || run->takes[lane]))
            next = next << 8 | *run->at++;
        *state = (uint16_t)next;
    }
    return i;
}

/* ---- Indices ------------------------------------------------------------------------------- */

enum { JOIN_AT_ONCE = 512 }; /* low bits, unpacked: a multiple of eight, so whole bytes */

uint32_t nqi_rans_join_u16_ref(uint16_t *out, const uint8_t *symbols, const uint8_t *low, size_t n,
                               unsigned low_bits, uint32_t base)
{
    uint16_t bits[JOIN_AT_ONCE];
    uint32_t largest = 0;
    for (size_t done = 0; done < n;) {
        const size_t now = NQI_MIN(n - done, JOIN_AT_ONCE);
        nqi_unpack_u16(bits, low, now, low_bits);
        for (size_t i = 0; i < now; i++) {
            const uint32_t index = base + ((uint32_t)symbols[done + i] << low_bits) + bits[i];
            out[done + i] = (uint16_t)index;
            largest = NQI_MAX(largest, index);
        }
        low += JOIN_AT_ONCE / 8 * low_bits;
        done += now;
    }
    return largest;
}

uint32_t nqi_rans_join_u8_ref(uint8_t *out, const uint8_t *symbols, const uint8_t *low, size_t n,
                              unsigned low_bits)
{
    uint8_t bits[JOIN_AT_ONCE];
    uint32_t largest = 0;
    for (size_t done = 0; done < n;) {
        const size_t now = NQI_MIN(n - done, JOIN_AT_ONCE);
        nqi_unpack_u8(bits, low, now, low_bits);
        for (size_t i = 0; i < now; i++) {
            const uint32_t index = ((uint32_t)symbols[done + i] << low_bits) + bits[i];
            out[done + i] = (uint8_t)index;
            largest = NQI_MAX(largest, index);
        }
        low += JOIN_AT_ONCE / 8 * low_bits;
        done += now;
    }
    return largest;
}

const nqi_rans_kernels nqi_rans_kernels_ref = {.decode = decode_ref,
                                               .min_lanes_log2 = 0,
                                               .join_u16 = nqi_rans_join_u16_ref,
                                               .join_u8 = nqi_rans_join_u8_ref};
