/*
 * Decoding a piece of a Huffman block into the block's scratch: rounds of the fast loop for as long
 * as no stream can leave its input or its part of the scratch, then one stream at a time,
 * carefully. A stream may run ahead into the next pieces, but never beyond its own last symbol. Part
 * of the decoder.
 */
#include "codec/huffman_dec.h"

#include <string.h>

#if !NQI_IS_SMALLEST

/* A group of streams that the fast loop takes at once: all of them, or one. */
typedef struct group {
    unsigned first;
    unsigned n;
    size_t wanted[NQI_HUFFMAN_STREAMS]; /* that each stream of the block must have filled */
} group;

static uint8_t *part_of(const nqi_huffman_block *block, unsigned stream)
{
    return block->scratch + stream * block->stride;
}

/* ---- Fast ---------------------------------------------------------------------------------- */

static bool is_lacking(const nqi_huffman_block *block, const group *g)
{
    for (unsigned i = g->first; i < g->first + g->n; i++)
        if (block->streams[i].fill < g->wanted[i])
            return true;
    return false;
}

/* Rounds that no stream of the group can do harm in. */
static size_t safe_rounds(const nqi_huffman_block *block, const group *g)
{
    const size_t round_out = nqi_huffman_code_of(block)->round_out;
    size_t rounds = SIZE_MAX;
    for (unsigned i = g->first; i < g->first + g->n; i++) {
        const nqi_huffman_stream *stream = &block->streams[i];
        const size_t room = block->stride - NQI_HUFFMAN_STORE - stream->fill;
        if (stream->at + 8 > block->n_bytes)
            return 0;
        const size_t input = block->n_bytes - 8 - stream->at;
        rounds = NQI_MIN(rounds, NQI_MIN(room, stream->left) / round_out);
        rounds = NQI_MIN(rounds, input / NQI_HUFFMAN_ROUND_IN);
    }
    return rounds;
}

/* Runs rounds, and sees what came of them. */
static nq_status run(nqi_huffman_block *block, const group *g, size_t rounds)
{
    const nqi_huffman_code *code = nqi_huffman_code_of(block);
    const nqi_huffman_run_fn kernel = g->n == 1 ? code->kernels->run1 : code->kernels->run4;
    nqi_huffman_lane lanes[NQI_HUFFMAN_STREAMS];
    for (unsigned i = 0; i < g->n; i++) {
        const nqi_huffman_stream *stream = &block->streams[g->first + i];
        lanes[i] = (nqi_huffman_lane){.at = block->bytes + stream->at,
                                      .bits = stream->bits,
                                      .out = part_of(block, g->first + i) + stream->fill};
    }
    if (!kernel(lanes, code, rounds, block->place))
        return NQ_E_CORRUPT;
    block->place += g->n == 1 ? 0 : NQI_HUFFMAN_FETCH * rounds;
    for (unsigned i = 0; i < g->n; i++) {
        nqi_huffman_stream *stream = &block->streams[g->first + i];
        const size_t fill = (size_t)(lanes[i].out - part_of(block, g->first + i));
        stream->at = (size_t)(lanes[i].at - block->bytes);
        stream->bits = lanes[i].bits;
        stream->left -= fill - stream->fill;
        stream->fill = fill;
    }
    return NQ_OK;
}

/* ---- Careful ------------------------------------------------------------------------------- */

/* Decodes the codeword at hand, which the table does not have. */
static nq_status decode_slow(nqi_huffman_block *block, unsigned i)
{
    const nqi_huffman_code *code = nqi_huffman_code_of(block);
    nqi_huffman_stream *stream = &block->streams[i];
    uint8_t *out = part_of(block, i) + stream->fill;
    uint32_t symbol;
    stream->bits >>= nqi_huffman_slow(&symbol, code, stream->bits);
    if (symbol >= code->n_symbols)
        return NQ_E_CORRUPT;
    if (code->symbol_log2 == 0)
        *out = (uint8_t)symbol;
    else
        nqi_store_le16(out, (uint16_t)symbol);
    stream->fill += (size_t)1 << code->symbol_log2;
    stream->left -= (size_t)1 << code->symbol_log2;
    return NQ_OK;
}

/* Has a stream decode `wanted` bytes and, at the block's end, not a symbol more. */
static nq_status finish(nqi_huffman_block *block, unsigned i, size_t wanted)
{
    nqi_huffman_stream *stream = &block->streams[i];
    const nqi_huffman_large *large = nqi_huffman_code_of(block)->large;
    const size_t one = (size_t)1 << nqi_huffman_code_of(block)->symbol_log2;
    while (stream->fill < wanted) {
        nqi_huffman_refill_carefully(block, stream);
        const size_t index = stream->bits & NQI_HUFFMAN_INDEX;
        const uint64_t entry = large->entries[index];
        if (entry == 0) {
            NQI_TRY(decode_slow(block, i));
            continue;
        }
        const bool fits = entry >> 61 <= stream->left;
        const size_t n_bytes = fits ? (size_t)(entry >> 61) : one;
        nqi_store_word(part_of(block, i) + stream->fill, entry);
        stream->bits >>= fits ? large->used[index] : entry >> 56 & 31;
        stream->fill += n_bytes;
        stream->left -= n_bytes;
    }
    return NQ_OK;
}

/* ---- Pieces -------------------------------------------------------------------------------- */

static nq_status run_group(nqi_huffman_block *block, const group *g)
{
    while (is_lacking(block, g)) {
        const size_t rounds = safe_rounds(block, g);
        if (rounds == 0)
            break;
        NQI_TRY(run(block, g, rounds));
    }
    return NQ_OK;
}

/* Moves what was not handed out to the front of its parts. */
static void make_room(nqi_huffman_block *block)
{
    for (unsigned i = 0; i < block->n_streams; i++) {
        nqi_huffman_stream *stream = &block->streams[i];
        stream->fill -= stream->given;
        memmove(part_of(block, i), part_of(block, i) + stream->given, stream->fill);
        stream->given = 0;
    }
}

/* Has all streams run ahead; those that are kept from it by others, or by the end of their bytes,
 * go on alone. */
static nq_status fill_parts(nqi_huffman_block *block, group *g)
{
    NQI_TRY(run_group(block, g));
    g->n = 1;
    for (g->first = 0; g->first < block->n_streams; g->first++) {
        NQI_TRY(run_group(block, g));
        NQI_TRY(finish(block, g->first, g->wanted[g->first]));
        const nqi_huffman_stream *stream = &block->streams[g->first];
        if (nqi_huffman_position(stream) > (uint64_t)stream->end * 8)
            return NQ_E_TRUNCATED;
    }
    return NQ_OK;
}

nq_status nqi_huffman_decode_piece(nqi_huffman_block *block, size_t n, const void *place)
{
    const unsigned symbol_log2 = nqi_huffman_code_of(block)->symbol_log2;
    group g = {.n = block->n_streams};
    bool is_there = true;
    for (unsigned i = 0; i < block->n_streams; i++) {
        g.wanted[i] = (nqi_huffman_share_begin(n, block->n_streams, i + 1) -
                       nqi_huffman_share_begin(n, block->n_streams, i))
                      << symbol_log2;
        is_there &= block->streams[i].fill - block->streams[i].given >= g.wanted[i];
    }
    if (is_there)
        return NQ_OK;
    block->place = (uintptr_t)place;
    make_room(block);
    return fill_parts(block, &g);
}

#endif
