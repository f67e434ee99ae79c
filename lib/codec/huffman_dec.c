/*
 * Huffman-coded blocks: where their streams lie, and from decoded symbols to indices.
 * docs/format/codecs.md has the format. Part of the decoder.
 */
#include "codec/huffman_dec.h"

#include <string.h>

#include "base/cursor.h"
#include "codec/bitpack_dec.h"
#include "codec/bits_fmt.h"

#define ALIGNMENT 64u

/* ---- Layout -------------------------------------------------------------------------------- */

/* Takes the streams' lengths, of which the last is what `after` bytes behind it leave. */
static nq_status place_streams(nqi_huffman_block *block, uint64_t after)
{
    nqi_cursor c = nqi_cursor_make(block->bytes, block->n_bytes);
    uint64_t raw_bytes[NQI_HUFFMAN_STREAMS] = {0};
    for (unsigned i = 0; i + 1 < block->n_streams; i++)
        if (!nqi_cursor_varint(&c, &raw_bytes[i]))
            return nqi_cursor_left(&c) == 0 && c.at == c.end ? NQ_E_TRUNCATED : NQ_E_CORRUPT;
    uint64_t left = nqi_cursor_left(&c);
    if (left < after)
        return NQ_E_TRUNCATED;
    left -= after;
    size_t at = block->n_bytes - nqi_cursor_left(&c);
    for (unsigned i = 0; i < block->n_streams; i++) {
        const bool is_last = i + 1 == block->n_streams;
        if (!is_last && raw_bytes[i] > left)
            return NQ_E_TRUNCATED;
        const uint64_t n_bytes = is_last ? left : raw_bytes[i];
        block->streams[i] = (nqi_huffman_stream){.at = at, .bits = NQI_HUFFMAN_MARK};
        at += (size_t)n_bytes;
        left -= n_bytes;
        block->streams[i].end = at;
        nqi_huffman_refill_carefully(block, &block->streams[i]);
    }
    block->low = block->n_bytes ? block->bytes + at : block->bytes;
    return NQ_OK;
}

static nq_status begin(nqi_block *head, const uint8_t *bytes, size_t n_bytes, size_t n_indices)
{
    nqi_huffman_block *block = (nqi_huffman_block *)(void *)head;
    const nqi_huffman_code *code = nqi_huffman_code_of(block);
    const size_t one = nqi_huffman_is_small(code) ? 1 : (size_t)1 << code->symbol_log2;
    block->bytes = bytes;
    block->n_bytes = n_bytes;
    block->n_indices = n_indices;
    block->n_streams = nqi_huffman_streams(n_indices);
    block->scratch = (uint8_t *)block + (sizeof *block + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    block->stride = (NQI_HUFFMAN_SCRATCH << code->symbol_log2) / block->n_streams;
    NQI_TRY(place_streams(block, nqi_packed_bytes(n_indices, code->low_bits)));
    for (unsigned i = 0; i < block->n_streams; i++)
        block->streams[i].left = nqi_huffman_stream_symbols(n_indices, block->n_streams, i) * one;
    return NQ_OK;
}

/* ---- Symbols ------------------------------------------------------------------------------- */

/* The next n_bytes of a stream, which are decoded, and are handed out with that. */
static const uint8_t *take(nqi_huffman_block *block, unsigned i, size_t n_bytes)
{
    const uint8_t *bytes = block->scratch + i * block->stride + block->streams[i].given;
    block->streams[i].given += n_bytes;
    return bytes;
}

/* Symbols that take no bits are filled in: a file need not have a byte for thousands of them. */
static nq_status symbols_u16(nqi_huffman_block *block, uint16_t *out, size_t n)
{
    const nqi_huffman_code *code = nqi_huffman_code_of(block);
    if (code->is_constant) {
        for (size_t i = 0; i < n; i++)
            out[i] = code->constant;
        return NQ_OK;
    }
    if (nqi_huffman_is_small(code))
        return nqi_huffman_decode_small(block, out, NULL, n);
    NQI_TRY(nqi_huffman_decode_piece(block, n, out));
    for (unsigned s = 0; s < block->n_streams; s++) {
        const size_t first = nqi_huffman_share_begin(n, block->n_streams, s);
        const size_t count = nqi_huffman_share_begin(n, block->n_streams, s + 1) - first;
        const uint8_t *part = take(block, s, count << code->symbol_log2);
        if (code->symbol_log2 == 0)
            for (size_t i = 0; i < count; i++)
                out[first + i] = part[i];
        else
            for (size_t i = 0; i < count; i++)
                out[first + i] = nqi_load_le16(part + 2 * i);
    }
    return NQ_OK;
}

/* Only for codes of at most 256 levels, whose symbols have one byte. */
static nq_status symbols_u8(nqi_huffman_block *block, uint8_t *out, size_t n)
{
    const nqi_huffman_code *code = nqi_huffman_code_of(block);
    if (code->is_constant) {
        memset(out, code->constant, n);
        return NQ_OK;
    }
    if (nqi_huffman_is_small(code))
        return nqi_huffman_decode_small(block, NULL, out, n);
    assert(code->symbol_log2 == 0);
    NQI_TRY(nqi_huffman_decode_piece(block, n, out));
    for (unsigned s = 0; s < block->n_streams; s++) {
        const size_t first = nqi_huffman_share_begin(n, block->n_streams, s);
        const size_t count = nqi_huffman_share_begin(n, block->n_streams, s + 1) - first;
        memcpy(out + first, take(block, s, count), count);
    }
    return NQ_OK;
}

/* ---- Indices ------------------------------------------------------------------------------- */

/* Low bits are unpacked so many at a time: whole bytes, whatever their width. */
#define CHUNK 256u
static_assert(NQI_PIECE % CHUNK == 0 && CHUNK % 8 == 0, "chunks begin at whole bytes");

/* Numbers of one size in n_bytes, host order: each moves up by `shift`, which loses none of its
 * bits, to make room for the other's. `keep` has the bits that stay within their number. */
static void shift_in(uint8_t *numbers, const uint8_t *others, size_t n_bytes, unsigned shift,
                     uint64_t keep)
{
    uint64_t a, b;
    for (; n_bytes >= sizeof a; n_bytes -= sizeof a) {
        memcpy(&a, numbers, sizeof a);
        memcpy(&b, others, sizeof b);
        a = (a & keep) << shift | b;
        memcpy(numbers, &a, sizeof a);
        numbers += sizeof a;
        others += sizeof a;
    }
    a = b = 0;
    memcpy(&a, numbers, n_bytes);
    memcpy(&b, others, n_bytes);
    a = (a & keep) << shift | b;
    memcpy(numbers, &a, n_bytes);
}

static void add_low_u16(uint16_t *out, const uint8_t *low, size_t n, unsigned low_bits)
{
    const uint64_t keep = (UINT16_MAX >> low_bits) * UINT64_C(0x0001000100010001);
    uint16_t bits[CHUNK];
    for (size_t done = 0; done < n; done += CHUNK) {
        const size_t now = NQI_MIN(n - done, CHUNK);
        nqi_unpack_u16(bits, low + nqi_packed_bytes(done, low_bits), now, low_bits);
        shift_in((uint8_t *)(out + done), (const uint8_t *)bits, now * sizeof *out, low_bits, keep);
    }
}

static void add_low_u8(uint8_t *out, const uint8_t *low, size_t n, unsigned low_bits)
{
    const uint64_t keep = (UINT8_MAX >> low_bits) * UINT64_C(0x0101010101010101);
    uint8_t bits[CHUNK];
    for (size_t done = 0; done < n; done += CHUNK) {
        const size_t now = NQI_MIN(n - done, CHUNK);
        nqi_unpack_u8(bits, low + nqi_packed_bytes(done, low_bits), now, low_bits);
        shift_in(out + done, bits, now, low_bits, keep);
    }
}

/* The last symbol may have fewer levels than low bits can tell apart. */
static bool is_full(const nqi_huffman_block *block)
{
    const uint32_t low_mask = (UINT32_C(1) << nqi_huffman_code_of(block)->low_bits) - 1;
    return (block->head.code->n_levels & low_mask) == 0;
}

static nq_status next_u16(nqi_block *head, uint16_t *indices, size_t n)
{
    nqi_huffman_block *block = (nqi_huffman_block *)(void *)head;
    const unsigned low_bits = nqi_huffman_code_of(block)->low_bits;
    NQI_TRY(symbols_u16(block, indices, n));
    if (low_bits == 0)
        return NQ_OK;
    add_low_u16(indices, block->low, n, low_bits);
    block->low += nqi_packed_bytes(n, low_bits);
    uint16_t largest = 0;
    for (size_t i = 0; i < n && !is_full(block); i++)
        largest = NQI_MAX(largest, indices[i]);
    return largest < head->code->n_levels ? NQ_OK : NQ_E_CORRUPT;
}

static nq_status next_u8(nqi_block *head, uint8_t *indices, size_t n)
{
    nqi_huffman_block *block = (nqi_huffman_block *)(void *)head;
    const unsigned low_bits = nqi_huffman_code_of(block)->low_bits;
    NQI_TRY(symbols_u8(block, indices, n));
    if (low_bits == 0)
        return NQ_OK;
    assert(low_bits < 8);
    add_low_u8(indices, block->low, n, low_bits);
    block->low += nqi_packed_bytes(n, low_bits);
    uint8_t largest = 0;
    for (size_t i = 0; i < n && !is_full(block); i++)
        largest = NQI_MAX(largest, indices[i]);
    return largest < head->code->n_levels ? NQ_OK : NQ_E_CORRUPT;
}

/* ---- End ----------------------------------------------------------------------------------- */

/* The stream's bits are used up to fewer than eight, and those are zeros. */
static bool is_used_up(const nqi_huffman_block *block, const nqi_huffman_stream *stream)
{
    const uint64_t position = nqi_huffman_position(stream);
    const uint64_t end = (uint64_t)stream->end * 8;
    if (position > end || end - position >= 8)
        return false;
    return position == end || block->bytes[stream->end - 1] >> (position % 8) == 0;
}

static nq_status end(const nqi_block *head)
{
    const nqi_huffman_block *block = (const nqi_huffman_block *)(const void *)head;
    const unsigned used_bits = /* of the last byte of the low bits; 0: all */
        (unsigned)(block->n_indices % 8) * nqi_huffman_code_of(block)->low_bits % 8;
    for (unsigned i = 0; i < block->n_streams; i++)
        if (!is_used_up(block, &block->streams[i]))
            return NQ_E_CORRUPT;
    if (used_bits != 0 && block->bytes[block->n_bytes - 1] >> used_bits != 0)
        return NQ_E_CORRUPT;
    return NQ_OK;
}

const nqi_code_ops nqi_huffman_code_ops = {.size = nqi_huffman_code_size,
                                           .init = nqi_huffman_code_init,
                                           .begin = begin,
                                           .next_u16 = next_u16,
                                           .next_u8 = next_u8,
                                           .end = end};
