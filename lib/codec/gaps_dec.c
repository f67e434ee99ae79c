/*
 * Decoding of Huffman-coded gaps (docs/format/codecs.md): a code of two Huffman codes, one of the
 * gaps between indices that are not the most frequent one, and one of these indices. Both are those
 * of the Huffman codec, and prove themselves. Part of the decoder.
 */
#include <string.h>

#include "base/cursor.h"
#include "codec/code_ops.h"
#include "codec/gaps_fmt.h"
#include "nq/types.h"

#define ALIGNMENT 64u

typedef struct gaps_code {
    nqi_code head;
    nqi_code *gaps;
    nqi_code *values;
    size_t gaps_block_bytes; /* of a block state */
    uint32_t zero;
} gaps_code;

typedef struct gaps_block {
    nqi_block head;
    nqi_block *gaps;
    nqi_block *values;
    size_t n_left; /* pairs that are not decoded yet */
    size_t n_held; /* of those in the buffers */
    size_t next;
    size_t gap; /* what is left of the next one's */
    uint16_t gap_of[NQI_PIECE];
    uint16_t value_of[NQI_PIECE];
} gaps_block;

static size_t aligned(size_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* What a number that could not be read is called. */
static nq_status refuse(const nqi_cursor *c)
{
    return c->at == c->end ? NQ_E_TRUNCATED : NQ_E_CORRUPT;
}

/* ---- Tables -------------------------------------------------------------------------------- */

/* A table's parts. */
typedef struct table_parts {
    uint32_t zero;
    uint32_t n_gaps;
    const uint8_t *gaps;
    size_t gaps_bytes;
    const uint8_t *values;
    size_t values_bytes;
} table_parts;

static nq_status split_table(table_parts *p, uint32_t n_levels, const uint8_t *table,
                             size_t table_bytes)
{
    nqi_cursor c = nqi_cursor_make(table, table_bytes);
    uint64_t raw_zero, raw_n_gaps, raw_bytes;
    if (!nqi_cursor_varint(&c, &raw_zero) || !nqi_cursor_varint(&c, &raw_n_gaps) ||
        !nqi_cursor_varint(&c, &raw_bytes))
        return refuse(&c);
    if (raw_zero >= n_levels || raw_n_gaps < NQI_GAPS_MIN || raw_n_gaps > NQI_GAPS_MAX)
        return NQ_E_CORRUPT;
    if (raw_bytes > nqi_cursor_left(&c))
        return NQ_E_TRUNCATED;
    p->zero = (uint32_t)raw_zero;
    p->n_gaps = (uint32_t)raw_n_gaps;
    p->gaps_bytes = (size_t)raw_bytes;
    p->gaps = nqi_cursor_take(&c, p->gaps_bytes);
    p->values_bytes = nqi_cursor_left(&c);
    p->values = nqi_cursor_take(&c, p->values_bytes);
    return NQ_OK;
}

/* Bytes of both codes and of both block states. */
typedef struct sizes {
    size_t gaps_code;
    size_t gaps_block;
    size_t values_code;
    size_t values_block;
} sizes;

static nq_status find_sizes(sizes *s, uint32_t n_levels, const table_parts *p, uint32_t flags)
{
    NQI_TRY(nqi_code_size(&s->gaps_code, &s->gaps_block, NQ_CODEC_HUFFMAN, p->n_gaps, p->gaps,
                          p->gaps_bytes, flags));
    return nqi_code_size(&s->values_code, &s->values_block, NQ_CODEC_HUFFMAN, n_levels, p->values,
                         p->values_bytes, flags);
}

static nq_status size(size_t *code_bytes, size_t *block_bytes, uint32_t n_levels,
                      const uint8_t *table, size_t table_bytes, uint32_t flags)
{
    /* What cannot be looked at: no part is longer than all of it. */
    table_parts p = {
        .n_gaps = NQI_GAPS_MAX, .gaps_bytes = table_bytes, .values_bytes = table_bytes};
    sizes s;
    if (table || table_bytes == 0)
        NQI_TRY(split_table(&p, n_levels, table, table_bytes));
    NQI_TRY(find_sizes(&s, n_levels, &p, flags));
    *code_bytes = aligned(sizeof(gaps_code)) + aligned(s.gaps_code) + s.values_code;
    *block_bytes = aligned(sizeof(gaps_block)) + aligned(s.gaps_block) + s.values_block;
    return NQ_OK;
}

static nq_status init(nqi_code *head, const uint8_t *table, size_t table_bytes, uint32_t flags,
                      uint64_t cpu)
{
    gaps_code *code = (gaps_code *)(void *)head;
    uint8_t *memory = (uint8_t *)(void *)head + aligned(sizeof *code);
    table_parts p;
    sizes s;
    NQI_TRY(split_table(&p, head->n_levels, table, table_bytes));
    NQI_TRY(find_sizes(&s, head->n_levels, &p, flags));
    code->zero = p.zero;
    code->gaps_block_bytes = s.gaps_block;
    NQI_TRY(nqi_code_init(&code->gaps, memory, NQ_CODEC_HUFFMAN, p.n_gaps, p.gaps, p.gaps_bytes,
                          flags, cpu));
    return nqi_code_init(&code->values, memory + aligned(s.gaps_code), NQ_CODEC_HUFFMAN,
                         head->n_levels, p.values, p.values_bytes, flags, cpu);
}

/* ---- Blocks -------------------------------------------------------------------------------- */

static const gaps_code *code_of(const gaps_block *block)
{
    return (const gaps_code *)(const void *)block->head.code;
}

static nq_status begin(nqi_block *head, const uint8_t *bytes, size_t n_bytes, size_t n_indices)
{
    gaps_block *block = (gaps_block *)(void *)head;
    const gaps_code *code = code_of(block);
    uint8_t *memory = (uint8_t *)(void *)head + aligned(sizeof *block);
    nqi_cursor c = nqi_cursor_make(bytes, n_bytes);
    uint64_t raw_pairs = 0, raw_bytes = 0;
    block->gaps = block->values = NULL;
    block->n_left = block->n_held = block->next = block->gap = 0;
    if (n_indices > 0 && !nqi_cursor_varint(&c, &raw_pairs))
        return refuse(&c);
    if (raw_pairs > n_indices)
        return NQ_E_CORRUPT;
    if (raw_pairs == 0)
        return nqi_cursor_left(&c) == 0 ? NQ_OK : NQ_E_CORRUPT;
    if (!nqi_cursor_varint(&c, &raw_bytes))
        return refuse(&c);
    if (raw_bytes > nqi_cursor_left(&c))
        return NQ_E_TRUNCATED;
    block->n_left = (size_t)raw_pairs;
    const size_t gaps_bytes = (size_t)raw_bytes;
    const uint8_t *gaps = nqi_cursor_take(&c, gaps_bytes);
    const size_t values_bytes = nqi_cursor_left(&c);
    NQI_TRY(nqi_block_begin(&block->gaps, memory, code->gaps, gaps, gaps_bytes, block->n_left));
    return nqi_block_begin(&block->values, memory + aligned(code->gaps_block_bytes), code->values,
                           nqi_cursor_take(&c, values_bytes), values_bytes, block->n_left);
}

/* The next pairs into the buffers; there are some. */
static nq_status decode_pairs(gaps_block *block)
{
    const size_t n = NQI_MIN(block->n_left, NQI_PIECE);
    NQI_TRY(nqi_block_next_u16(block->gaps, block->gap_of, n));
    NQI_TRY(nqi_block_next_u16(block->values, block->value_of, n));
    block->n_left -= n;
    block->n_held = n;
    block->next = 0;
    block->gap = block->gap_of[0];
    return NQ_OK;
}

/* Puts indices of pairs into out, n of them, where zeros are already; one of the types. */
static nq_status place_pairs(gaps_block *block, uint16_t *u16, uint8_t *u8, size_t n)
{
    size_t at = 0;
    for (;;) {
        while (block->next < block->n_held && block->gap < n - at) {
            at += block->gap;
            const uint16_t value = block->value_of[block->next++];
            if (u16)
                u16[at] = value;
            else
                u8[at] = (uint8_t)value;
            at++;
            block->gap = block->next < block->n_held ? block->gap_of[block->next] : 0;
        }
        if (block->next < block->n_held) {
            block->gap -= n - at;
            return NQ_OK;
        }
        if (at == n || block->n_left == 0)
            return NQ_OK;
        NQI_TRY(decode_pairs(block));
    }
}

static nq_status next_u16(nqi_block *head, uint16_t *indices, size_t n)
{
    gaps_block *block = (gaps_block *)(void *)head;
    const uint16_t zero = (uint16_t)code_of(block)->zero;
    for (size_t i = 0; i < n; i++)
        indices[i] = zero;
    return place_pairs(block, indices, NULL, n);
}

static nq_status next_u8(nqi_block *head, uint8_t *indices, size_t n)
{
    gaps_block *block = (gaps_block *)(void *)head;
    memset(indices, (int)code_of(block)->zero, n);
    return place_pairs(block, NULL, indices, n);
}

static nq_status end(const nqi_block *head)
{
    const gaps_block *block = (const gaps_block *)(const void *)head;
    if (block->n_left > 0 || block->next < block->n_held)
        return NQ_E_CORRUPT; /* pairs beyond the end */
    if (!block->gaps)
        return NQ_OK;
    NQI_TRY(nqi_block_end(block->gaps));
    return nqi_block_end(block->values);
}

const nqi_code_ops nqi_gaps_code_ops = {.size = size,
                                        .init = init,
                                        .begin = begin,
                                        .next_u16 = next_u16,
                                        .next_u8 = next_u8,
                                        .end = end};
