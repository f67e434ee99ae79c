/*
 * One phase of a rANS block after the other: drives the kernels through the stream, keeps escapes
 * at hand for them, and makes indices of the bytes that they write. All that a hostile stream can
 * do is to ask for bytes, escapes or low bits that are not there, or for an index that is too
 * large; each is noticed here at the end of the call in which it happens, whatever the kernel.
 *
 * Part of the decoder.
 */
#include "codec/rans_dec.h"

/* ---- Symbols ------------------------------------------------------------------------------- */

/* Goes on in the tail, where reading past the end does no harm. */
static void enter_tail(nqi_rans_block *block)
{
    const size_t left = (size_t)(block->end - block->at);
    if (left > 0)
        memcpy(block->tail, block->at, left);
    memset(block->tail + left, 0, sizeof block->tail - left);
    block->at = block->tail;
    block->end = block->limit = block->tail + left;
    block->is_tail = true;
}

/* Whether kernels put escapes in the place of symbols. */
static bool replaces(const nqi_rans_phase *phase)
{
    return phase->channel->alphabet.has_escape && !phase->channel->alphabet.is_wide;
}

/* The best kernel that can decode something here. */
static size_t run_kernel(const nqi_rans_code *code, nqi_rans_run *run, uint8_t *symbols,
                         size_t first, size_t n)
{
    size_t done = 0;
    if (code->is_small)
        return nqi_rans_decode_small(run, symbols, first, n);
    if (run->lanes_log2 >= code->kernels->min_lanes_log2 && n >> run->lanes_log2 > 0)
        done = code->kernels->decode(run, symbols, first, n);
    return done > 0 ? done : nqi_rans_kernels_ref.decode(run, symbols, first, n);
}

/* Decodes one symbol at least, as many as the limits allow at once; 0 behind the stream's end. */
static size_t advance(nqi_rans_block *block, nqi_rans_run *run, const nqi_rans_phase *phase,
                      uint8_t *symbols, size_t first, size_t n)
{
    nqi_rans_escapes *escapes = replaces(phase) ? phase->escapes : NULL;
    if (block->at > block->limit) {
        if (block->is_tail)
            return 0;
        enter_tail(block);
    }
    if (escapes && (size_t)(escapes->end - escapes->at) < NQI_RANS_ESCAPES_AHEAD)
        nqi_rans_escapes_top_up(escapes, &phase->channel->alphabet.escapes);
    run->at = block->at;
    run->limit = block->limit;
    run->escape = escapes ? escapes->at : block->value_escapes.buffer;
    run->escape_limit = escapes ? escapes->end - NQI_RANS_ESCAPES_AHEAD : run->escape;
    const size_t done = run_kernel(nqi_rans_code_of(block), run, symbols, first, n);
    block->at = run->at;
    if (escapes)
        escapes->at = run->escape;
    return done;
}

/* Symbols of a phase up to the first round in which states are idle. */
static size_t busy_symbols(const nqi_rans_block *block, const nqi_rans_phase *phase)
{
    if (!phase->is_last)
        return phase->n;
    const size_t mask = ((size_t)1 << block->lanes_log2) - 1;
    const size_t n_rounds = (phase->n + mask) >> block->lanes_log2;
    assert(block->idle_rounds <= n_rounds);
    return NQI_MIN(phase->n, (n_rounds - block->idle_rounds) << block->lanes_log2);
}

nq_status nqi_rans_decode_symbols(nqi_rans_block *block, const nqi_rans_phase *phase,
                                  uint8_t *symbols, size_t first, size_t n)
{
    const size_t busy = busy_symbols(block, phase);
    nqi_rans_run run = {.states = block->states,
                        .lookups = phase->channel->lookups,
                        .tables = phase->channel->tables,
                        .choices = phase->choices,
                        .lanes_log2 = block->lanes_log2,
                        .sub_log2 = phase->sub_log2};
    for (size_t done = 0, now; done < n; done += now) {
        const size_t at = first + done;
        run.takes = at >= busy ? block->takes : NULL;
        const size_t wanted = at >= busy ? n - done : NQI_MIN(n - done, busy - at);
        now = advance(block, &run, phase, symbols + done, at, wanted);
        if (now == 0)
            return NQ_E_CORRUPT;
    }
    if (block->is_tail && block->at > block->end)
        return NQ_E_CORRUPT;
    if (replaces(phase) && nqi_rans_escapes_are_short(phase->escapes))
        return NQ_E_CORRUPT;
    return NQ_OK;
}

nq_status nqi_rans_decode_choices(nqi_rans_block *block, size_t n_subs)
{
    static const uint8_t only_table = 0;
    const nqi_rans_code *code = nqi_rans_code_of(block);
    const nqi_rans_phase phase = {.channel = &code->steps,
                                  .choices = &only_table,
                                  .n = n_subs,
                                  .sub_log2 = NQI_RANS_ONE_SUB_LOG2};
    NQI_TRY(nqi_rans_decode_symbols(block, &phase, block->choices, 0, n_subs));
    unsigned choice = block->last_choice;
    for (size_t i = 0; i < n_subs; i++) {
        choice += block->choices[i];
        choice -= choice >= code->shape.n_tables ? code->shape.n_tables : 0;
        block->choices[i] = (uint8_t)choice;
    }
    block->last_choice = (uint8_t)choice;
    return NQ_OK;
}

/* ---- Indices ------------------------------------------------------------------------------- */

/* Low bits of n indices, or NULL if there are not so many. */
static const uint8_t *take_low_bits(nqi_rans_block *block, size_t n, unsigned low_bits)
{
    const uint64_t n_bytes = nqi_packed_bytes(n, low_bits);
    const uint8_t *taken = block->low;
    if ((uint64_t)(block->low_end - block->low) < n_bytes)
        return NULL;
    block->low += n_bytes;
    const unsigned last_bits = (unsigned)(n % 8) * low_bits % 8; /* in the last byte; 0: all */
    if (last_bits != 0 && taken[n_bytes - 1] >> last_bits != 0)
        block->has_low_padding = true;
    return taken;
}

static uint32_t largest_u8(const uint8_t *numbers, size_t n)
{
    uint8_t largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = NQI_MAX(largest, numbers[i]);
    return largest;
}

/* Whether any of GROUP symbols is the mark of an escape; without a branch, for compilers to make
 * vectors of. */
enum { GROUP = 32 };

static bool has_mark(const uint8_t *symbols)
{
    uint8_t found = 0;
    for (size_t i = 0; i < GROUP; i++)
        found |= symbols[i] == NQI_RANS_WIDE_ESCAPE;
    return found != 0;
}

static uint32_t largest_u16(const uint16_t *numbers, size_t n)
{
    uint16_t largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = NQI_MAX(largest, numbers[i]);
    return largest;
}

/* Escapes that do not fit a byte take the place of what their marks became. */
static nq_status join_wide(nqi_rans_block *block, const nqi_rans_phase *phase,
                           const nqi_rans_table *table, uint16_t *u16, const uint8_t *symbols,
                           const uint8_t *low, size_t n)
{
    const nqi_rans_alphabet *alphabet = &phase->channel->alphabet;
    const nqi_rans_kernels *kernels = nqi_rans_code_of(block)->kernels;
    const unsigned low_bits = table->low_bits;
    const uint32_t base = table->first << low_bits;
    const uint32_t mark = base + (NQI_RANS_WIDE_ESCAPE << low_bits);
    uint32_t largest = kernels->join_u16(u16, symbols, low, n, low_bits, base);
    if (!table->has_escape)
        return largest < alphabet->n_symbols ? NQ_OK : NQ_E_CORRUPT;
    for (size_t i = 0; i < n; i++) {
        uint32_t raw_upper;
        while (i % GROUP == 0 && n - i >= GROUP && !has_mark(symbols + i))
            i += GROUP;
        if (i == n || symbols[i] != NQI_RANS_WIDE_ESCAPE)
            continue;
        if (!nqi_rans_escapes_take(&raw_upper, phase->escapes, &alphabet->escapes) ||
            raw_upper > table->last_upper)
            return NQ_E_CORRUPT;
        /* Below n_symbols and 2^low_bits at most, so it cannot wrap. */
        u16[i] = (uint16_t)(((u16[i] - mark) & 0xffff) + (raw_upper << low_bits));
    }
    return alphabet->n_symbols > UINT16_MAX || largest_u16(u16, n) < alphabet->n_symbols
               ? NQ_OK
               : NQ_E_CORRUPT;
}

/* Of one table. */
static nq_status join_stretch(nqi_rans_block *block, const nqi_rans_phase *phase,
                              const nqi_rans_table *table, uint16_t *u16, uint8_t *u8,
                              const uint8_t *symbols, size_t n)
{
    const nqi_rans_kernels *kernels = nqi_rans_code_of(block)->kernels;
    const nqi_rans_alphabet *alphabet = &phase->channel->alphabet;
    const uint8_t *low = take_low_bits(block, n, table->low_bits);
    if (!low)
        return NQ_E_CORRUPT;
    if (alphabet->is_wide)
        return join_wide(block, phase, table, u16, symbols, low, n);
    /* An escape may be too large for this table, though not for the alphabet. */
    if (table->has_escape && table->last_upper < alphabet->escapes.last &&
        largest_u8(symbols, n) > table->last_upper)
        return NQ_E_CORRUPT;
    const uint32_t largest = u16 ? kernels->join_u16(u16, symbols, low, n, table->low_bits, 0)
                                 : kernels->join_u8(u8, symbols, low, n, table->low_bits);
    return largest < alphabet->n_symbols ? NQ_OK : NQ_E_CORRUPT;
}

nq_status nqi_rans_join(nqi_rans_block *block, const nqi_rans_phase *phase, uint16_t *u16,
                        uint8_t *u8, const uint8_t *symbols, size_t first, size_t n)
{
    const size_t sub = (size_t)1 << phase->sub_log2;
    for (size_t done = 0, now; done < n; done += now) {
        const size_t at = first + done;
        const nqi_rans_table *table =
            &phase->channel->tables[phase->choices[at >> phase->sub_log2]];
        now = NQI_MIN(n - done, sub - (at & (sub - 1)));
        NQI_TRY(join_stretch(block, phase, table, u16 ? u16 + done : NULL, u8 ? u8 + done : NULL,
                             symbols + done, now));
    }
    return NQ_OK;
}
