/*
 * Blocks of sparse codes: pairs of a gap, the number of zeros, and the index behind it. Pairs are
 * decoded many at a time, gaps before values, and handed out as indices. Part of the decoder.
 */
#include "codec/rans_dec.h"

/* ---- Pairs --------------------------------------------------------------------------------- */

/* One half of the pairs: decodes a phase and makes numbers of its symbols. */
static nq_status decode_half(nqi_rans_block *block, const nqi_rans_phase *phase, uint16_t *numbers)
{
    NQI_TRY(nqi_rans_decode_symbols(block, phase, block->symbols, 0, phase->n));
    return nqi_rans_join(block, phase, numbers, NULL, block->symbols, 0, phase->n);
}

/* The next pairs into the buffer; there are some. */
static nq_status decode_pairs(nqi_rans_block *block)
{
    const nqi_rans_code *code = nqi_rans_code_of(block);
    nqi_rans_sparse *sparse = block->sparse;
    const uint64_t left = sparse->n_pairs - sparse->n_begun;
    const bool is_last = left < 2 * NQI_RANS_PAIRS;
    const size_t n = is_last ? (size_t)left : NQI_RANS_PAIRS;
    const size_t sub = (size_t)1 << code->shape.sub_log2;
    const bool has_choices = code->shape.n_tables > 1;
    nqi_rans_phase phase = {.channel = &code->gaps,
                            .escapes = &block->gap_escapes,
                            .choices = block->choices,
                            .n = n,
                            .sub_log2 = has_choices ? code->shape.sub_log2 : NQI_RANS_ONE_SUB_LOG2};
    if (has_choices)
        NQI_TRY(nqi_rans_decode_choices(block, (n + sub - 1) / sub));
    NQI_TRY(decode_half(block, &phase, sparse->gaps));
    phase.channel = &code->values;
    phase.escapes = &block->value_escapes;
    phase.is_last = is_last;
    NQI_TRY(decode_half(block, &phase, sparse->values));
    sparse->n_begun += n;
    sparse->n_held = n;
    sparse->next = 0;
    sparse->gap = sparse->gaps[0];
    return NQ_OK;
}

/* ---- Indices ------------------------------------------------------------------------------- */

/* Puts the buffer's pairs behind out[at], up to n indices of zeros, one way or the other; returns
 * where the next index belongs. */
static size_t place_pairs_u16(nqi_rans_sparse *sparse, uint16_t *out, size_t at, size_t n)
{
    size_t next = sparse->next, gap = sparse->gap;
    while (next < sparse->n_held && gap < n - at) {
        at += gap;
        out[at++] = sparse->values[next++];
        gap = next < sparse->n_held ? sparse->gaps[next] : 0;
    }
    sparse->next = next;
    sparse->gap = gap;
    return at;
}

static size_t place_pairs_u8(nqi_rans_sparse *sparse, uint8_t *out, size_t at, size_t n)
{
    size_t next = sparse->next, gap = sparse->gap;
    while (next < sparse->n_held && gap < n - at) {
        at += gap;
        out[at++] = (uint8_t)sparse->values[next++];
        gap = next < sparse->n_held ? sparse->gaps[next] : 0;
    }
    sparse->next = next;
    sparse->gap = gap;
    return at;
}

/* Whether the rest of n indices, from `at` on, is zeros; takes them off the next pair's gap. */
static bool is_rest_zeros(nqi_rans_sparse *sparse, size_t at, size_t n)
{
    if (sparse->next < sparse->n_held)
        sparse->gap -= n - at;
    return sparse->next < sparse->n_held || sparse->n_begun == sparse->n_pairs;
}

nq_status nqi_rans_sparse_next_u16(nqi_rans_block *block, uint16_t *indices, size_t n)
{
    nqi_rans_sparse *sparse = block->sparse;
    const uint16_t zero = (uint16_t)nqi_rans_code_of(block)->shape.zero;
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        indices[i] = zero;
    for (;;) {
        at = place_pairs_u16(sparse, indices, at, n);
        if (at == n || is_rest_zeros(sparse, at, n))
            return NQ_OK;
        NQI_TRY(decode_pairs(block));
    }
}

nq_status nqi_rans_sparse_next_u8(nqi_rans_block *block, uint8_t *indices, size_t n)
{
    nqi_rans_sparse *sparse = block->sparse;
    size_t at = 0;
    memset(indices, (int)nqi_rans_code_of(block)->shape.zero, n);
    for (;;) {
        at = place_pairs_u8(sparse, indices, at, n);
        if (at == n || is_rest_zeros(sparse, at, n))
            return NQ_OK;
        NQI_TRY(decode_pairs(block));
    }
}
