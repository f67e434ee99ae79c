/*
 * The rANS decoder's kernels in plain C: the truth that all others equal bit for bit. Part of the
 * decoder.
 */
#include "base/bytes.h"
#include "codec/rans_join.h"
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

/*
 * What a stretch does in steps, each of one kind for all its symbols: two with what only a scalar
 * processor does, looking up and taking bytes in, between two that compilers make vectors of. No
 * branch depends on what is decoded.
 */
typedef struct workings {
    uint16_t entry[NQI_RANS_MAX_LANES];
    uint16_t next[NQI_RANS_MAX_LANES];
    uint16_t is_low[NQI_RANS_MAX_LANES]; /* 1 where a byte is to be taken in */
    uint16_t byte[NQI_RANS_MAX_LANES];   /* that byte, or the one that another takes */
} workings;

NQI_INLINE void look_up(workings *w, uint8_t *symbols, const uint16_t *states, size_t n,
                        const nqi_rans_lookup *lookup)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t k = i; k < i + 4; k++) {
            const unsigned slot = states[k] & (NQI_RANS_SLOTS - 1);
            w->entry[k] = lookup->entry[slot];
            symbols[k] = lookup->symbol_of[slot];
        }
    for (; i < n; i++) {
        const unsigned slot = states[i] & (NQI_RANS_SLOTS - 1);
        w->entry[i] = lookup->entry[slot];
        symbols[i] = lookup->symbol_of[slot];
    }
}

NQI_INLINE void multiply(workings *w, const uint16_t *states, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint16_t entry = w->entry[i];
        const uint16_t next = (uint16_t)((entry & 255) * (states[i] >> 8) + (entry >> 8));
        w->next[i] = next;
        w->is_low[i] = next < NQI_RANS_STATE_MIN;
    }
}

NQI_INLINE const uint8_t *take_bytes(workings *w, size_t n, const uint8_t *at)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t k = i; k < i + 4; k++) {
            w->byte[k] = *at;
            at += w->is_low[k];
        }
    for (; i < n; i++) {
        w->byte[i] = *at;
        at += w->is_low[i];
    }
    return at;
}

NQI_INLINE void renew(uint16_t *states, const workings *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint16_t is_low = (uint16_t)(0u - w->is_low[i]), next = w->next[i];
        const uint16_t longer = (uint16_t)(next << 8 | w->byte[i]);
        states[i] = (uint16_t)((longer & is_low) | (next & ~is_low));
    }
}

/* The highest bit of each byte that is `mark`, of eight. */
static uint64_t find_marks(uint64_t word, unsigned mark)
{
    const uint64_t low_bits = UINT64_C(0x7f7f7f7f7f7f7f7f);
    const uint64_t other = word ^ UINT64_C(0x0101010101010101) * mark;
    return ~(((other & low_bits) + low_bits) | other | low_bits);
}

/* Puts the next escapes where symbols are `mark`; returns the first that was not used. */
static const uint8_t *place_escapes(uint8_t *symbols, size_t n, unsigned mark,
                                    const uint8_t *escape)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (uint64_t found = find_marks(nqi_load_le64(symbols + i), mark);
             NQI_UNLIKELY(found != 0); found &= found - 1)
            symbols[i + NQI_CTZ64(found) / 8] = *escape++;
    for (; i < n; i++)
        if (symbols[i] == mark)
            symbols[i] = *escape++;
    return escape;
}

/* A stretch of at most NQI_RANS_MAX_LANES symbols. */
static void decode_stretch(nqi_rans_run *run, uint16_t *states, uint8_t *symbols, size_t n,
                           const nqi_rans_lookup *lookup, const uint8_t *takes)
{
    workings w;
    look_up(&w, symbols, states, n, lookup);
    multiply(&w, states, n);
    for (size_t i = 0; takes && i < n; i++)
        w.is_low[i] &= takes[i];
    run->at = take_bytes(&w, n, run->at);
    renew(states, &w, n);
    if (lookup->escape != NQI_RANS_NO_CLASS)
        run->escape = place_escapes(symbols, n, lookup->symbol[lookup->escape], run->escape);
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
        else
            decode_stretch(run, states, symbols + done, now, lookup,
                           run->takes ? run->takes + lane : NULL);
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

static const nqi_unpack_kernels unpack = {.u16 = nqi_unpack_u16, .u8 = nqi_unpack_u8};

static uint32_t join_u16_ref(uint16_t *out, const uint8_t *symbols, const uint8_t *low, size_t n,
                             unsigned low_bits, uint32_t base)
{
    return nqi_rans_join_u16_with(&unpack, out, symbols, low, n, low_bits, base);
}

static uint32_t join_u8_ref(uint8_t *out, const uint8_t *symbols, const uint8_t *low, size_t n,
                            unsigned low_bits)
{
    return nqi_rans_join_u8_with(&unpack, out, symbols, low, n, low_bits);
}

const nqi_rans_kernels nqi_rans_kernels_ref = {
    .decode = decode_ref, .min_lanes_log2 = 0, .join_u16 = join_u16_ref, .join_u8 = join_u8_ref};
