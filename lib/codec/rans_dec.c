/*
 * Decoding rANS blocks: finds a block's parts, and hands out its indices a piece at a time.
 * docs/format/rans.md has the format. Part of the decoder.
 */
#include "codec/rans_dec.h"

#include "base/cursor.h"

/* ---- Begin --------------------------------------------------------------------------------- */

/* Symbols whose choices are coded together. */
static size_t group_symbols(const nqi_rans_code *code)
{
    return (size_t)NQI_RANS_GROUP << code->shape.sub_log2;
}

/* Symbols of the phase that a block ends with. */
static uint64_t last_phase(const nqi_rans_block *block, const nqi_rans_code *code)
{
    if (block->sparse)
        return nqi_rans_last_part(block->sparse->n_pairs, NQI_RANS_PAIRS);
    return code->shape.n_tables == 1 ? block->n_indices
                                     : nqi_rans_last_part(block->n_indices, group_symbols(code));
}

/* What a failed cursor, or a number out of its range, is called. */
static nq_status refuse(const nqi_cursor *c)
{
    return c->failed ? NQ_E_TRUNCATED : NQ_E_CORRUPT;
}

/* Reads how many bytes a part has; 0 if the code has no such part. */
static void read_size(uint64_t *n_bytes, nqi_cursor *c, bool has_part)
{
    *n_bytes = 0;
    if (has_part)
        (void)nqi_cursor_varint(c, n_bytes);
}

static const uint8_t *take_part(nqi_cursor *c, uint64_t n_bytes)
{
    if (n_bytes > nqi_cursor_left(c)) {
        c->failed = true;
        return NULL;
    }
    return nqi_cursor_take(c, (size_t)n_bytes);
}

static void take_escapes(nqi_rans_escapes *e, nqi_cursor *c, uint64_t n_bytes)
{
    const uint8_t *bytes = take_part(c, n_bytes);
    nqi_rans_escapes_begin(e, bytes, bytes ? (size_t)n_bytes : 0);
}

/* Which lanes are not idle in the idle rounds: their number and they, ascending. */
static nq_status take_exceptions(nqi_rans_block *block, nqi_cursor *c)
{
    const unsigned lanes = 1u << block->lanes_log2;
    unsigned next = 0;
    uint8_t raw_n = 0, raw_lane = 0;
    if (block->idle_rounds == 0)
        return NQ_OK;
    (void)nqi_cursor_u8(c, &raw_n);
    memset(block->takes, 0, sizeof block->takes);
    for (unsigned i = 0; i < raw_n; i++) {
        if (!nqi_cursor_u8(c, &raw_lane) || raw_lane < next || raw_lane >= lanes)
            return refuse(c);
        block->takes[raw_lane] = UINT8_MAX;
        next = raw_lane + 1u;
    }
    return c->failed ? NQ_E_TRUNCATED : NQ_OK;
}

/* The parts in front of the states. */
static nq_status take_parts(nqi_rans_block *block, nqi_cursor *c)
{
    const nqi_rans_code *code = nqi_rans_code_of(block);
    const nqi_rans_alphabet *values = &code->values.alphabet;
    const nqi_rans_alphabet *gaps = &code->gaps.alphabet;
    uint8_t raw_lanes = 0;
    uint64_t raw_pairs, raw_low, raw_values, raw_gaps;
    if (!nqi_cursor_u8(c, &raw_lanes))
        return NQ_E_TRUNCATED;
    block->lanes_log2 = raw_lanes & 15;
    block->idle_rounds = raw_lanes >> 4;
    if (block->lanes_log2 > NQI_RANS_MAX_LANES_LOG2)
        return NQ_E_CORRUPT;
    NQI_TRY(take_exceptions(block, c));
    read_size(&raw_pairs, c, block->sparse != NULL);
    read_size(&raw_low, c, values->has_low_bits || gaps->has_low_bits);
    read_size(&raw_values, c, values->has_escape);
    read_size(&raw_gaps, c, gaps->has_escape);
    if (c->failed || raw_pairs > block->n_indices)
        return refuse(c);
    if (block->sparse)
        block->sparse->n_pairs = raw_pairs;
    block->low = take_part(c, raw_low);
    block->low_end = block->low ? block->low + raw_low : NULL;
    take_escapes(&block->value_escapes, c, raw_values);
    take_escapes(&block->gap_escapes, c, raw_gaps);
    return c->failed ? NQ_E_TRUNCATED : NQ_OK;
}

static nq_status take_states(nqi_rans_block *block, nqi_cursor *c)
{
    const size_t lanes = (size_t)1 << block->lanes_log2;
    const uint8_t *bytes = nqi_cursor_take(c, 2 * lanes);
    if (!bytes)
        return NQ_E_TRUNCATED;
    uint16_t least = UINT16_MAX;
    for (size_t i = 0; i < lanes; i++) {
        block->states[i] = nqi_load_le16(bytes + 2 * i);
        least = NQI_MIN(least, block->states[i]);
    }
    return least < NQI_RANS_STATE_MIN ? NQ_E_CORRUPT : NQ_OK;
}

/* What is left is the stream. One without any slack is copied to where it has some. */
static void take_stream(nqi_rans_block *block, nqi_cursor *c)
{
    const size_t left = nqi_cursor_left(c);
    block->at = c->at;
    block->end = c->end;
    block->is_tail = left < NQI_RANS_SLACK;
    if (!block->is_tail) {
        block->limit = block->end - NQI_RANS_SLACK;
        return;
    }
    memcpy(block->tail, block->at, left);
    memset(block->tail + left, 0, sizeof block->tail - left);
    block->at = block->tail;
    block->end = block->limit = block->tail + left;
}

nq_status nqi_rans_block_begin(nqi_block *head, const uint8_t *bytes, size_t n_bytes,
                               size_t n_indices)
{
    nqi_rans_block *block = (nqi_rans_block *)(void *)head;
    const nqi_rans_code *code = nqi_rans_code_of(block);
    nqi_cursor c = nqi_cursor_make(bytes, n_bytes);
    block->sparse = NULL;
    if (code->shape.is_sparse) {
        block->sparse = (nqi_rans_sparse *)(void *)(block + 1);
        block->sparse->n_pairs = block->sparse->n_begun = 0;
        block->sparse->n_held = block->sparse->next = block->sparse->gap = 0;
    }
    block->n_indices = n_indices;
    block->n_decoded = 0;
    block->has_low_padding = false;
    block->last_choice = 0;
    block->choices[0] = 0;
    if (n_indices == 0)
        return n_bytes == 0 ? NQ_OK : NQ_E_CORRUPT;
    NQI_TRY(take_parts(block, &c));
    const size_t lanes_mask = ((size_t)1 << block->lanes_log2) - 1;
    if (block->idle_rounds > (last_phase(block, code) + lanes_mask) >> block->lanes_log2)
        return NQ_E_CORRUPT;
    NQI_TRY(take_states(block, &c));
    take_stream(block, &c);
    return NQ_OK;
}

/* ---- Next ---------------------------------------------------------------------------------- */

/* The phase that the next indices lie in, with *first of its symbols decoded already. */
static nq_status open_phase(nqi_rans_phase *phase, size_t *first, nqi_rans_block *block)
{
    const nqi_rans_code *code = nqi_rans_code_of(block);
    *phase = (nqi_rans_phase){.channel = &code->values,
                              .escapes = &block->value_escapes,
                              .choices = block->choices,
                              .n = block->n_indices,
                              .sub_log2 = NQI_RANS_ONE_SUB_LOG2,
                              .is_last = true};
    *first = block->n_decoded;
    if (code->shape.n_tables == 1)
        return NQ_OK;
    const size_t unit = group_symbols(code);
    const size_t last = (size_t)nqi_rans_parts(block->n_indices, unit) - 1;
    const size_t group = NQI_MIN(block->n_decoded / unit, last);
    const size_t sub = (size_t)1 << code->shape.sub_log2;
    *first -= group * unit;
    phase->is_last = group == last;
    phase->n = phase->is_last ? block->n_indices - last * unit : unit;
    phase->sub_log2 = code->shape.sub_log2;
    return *first == 0 ? nqi_rans_decode_choices(block, (phase->n + sub - 1) / sub) : NQ_OK;
}

static nq_status next_u16(nqi_block *head, uint16_t *indices, size_t n)
{
    nqi_rans_block *block = (nqi_rans_block *)(void *)head;
    nqi_rans_phase phase;
    size_t first;
    if (block->sparse)
        return nqi_rans_sparse_next_u16(block, indices, n);
    NQI_TRY(open_phase(&phase, &first, block));
    NQI_TRY(nqi_rans_decode_symbols(block, &phase, block->symbols, first, n));
    NQI_TRY(nqi_rans_join(block, &phase, indices, NULL, block->symbols, first, n));
    block->n_decoded += n;
    return NQ_OK;
}

static nq_status next_u8(nqi_block *head, uint8_t *indices, size_t n)
{
    nqi_rans_block *block = (nqi_rans_block *)(void *)head;
    nqi_rans_phase phase;
    size_t first;
    if (block->sparse)
        return nqi_rans_sparse_next_u8(block, indices, n);
    NQI_TRY(open_phase(&phase, &first, block));
    NQI_TRY(nqi_rans_decode_symbols(block, &phase, indices, first, n));
    if (phase.channel->alphabet.has_low_bits)
        NQI_TRY(nqi_rans_join(block, &phase, NULL, indices, indices, first, n));
    block->n_decoded += n;
    return NQ_OK;
}

/* ---- End ----------------------------------------------------------------------------------- */

static nq_status end(const nqi_block *head)
{
    const nqi_rans_block *block = (const nqi_rans_block *)(const void *)head;
    if (block->n_indices == 0)
        return NQ_OK;
    const nqi_rans_sparse *sparse = block->sparse;
    if (sparse && (sparse->n_begun < sparse->n_pairs || sparse->next < sparse->n_held))
        return NQ_E_CORRUPT;
    uint16_t largest = 0;
    for (size_t i = 0; i < (size_t)1 << block->lanes_log2; i++)
        largest = NQI_MAX(largest, block->states[i]);
    const bool is_whole = largest <= NQI_RANS_STATE_MIN && block->at == block->end &&
                          block->low == block->low_end && !block->has_low_padding &&
                          nqi_rans_escapes_at_end(&block->value_escapes) &&
                          nqi_rans_escapes_at_end(&block->gap_escapes);
    return is_whole ? NQ_OK : NQ_E_CORRUPT;
}

const nqi_code_ops nqi_rans_code_ops = {.size = nqi_rans_code_size,
                                        .init = nqi_rans_code_init,
                                        .begin = nqi_rans_block_begin,
                                        .next_u16 = next_u16,
                                        .next_u8 = next_u8,
                                        .end = end};
