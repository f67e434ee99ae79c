/*
 * Indices of fixed length: decoding. docs/format/codecs.md has the format. Part of the decoder.
 */
#include <assert.h>

#include "codec/bitpack_dec.h"
#include "codec/bits_fmt.h"
#include "codec/code_ops.h"

typedef struct fixed_code {
    nqi_code head;
    const nqi_unpack_kernels *kernels;
    unsigned width;
    bool is_full; /* every number of so many bits is an index */
} fixed_code;

typedef struct fixed_block {
    nqi_block head;
    const uint8_t *at;
    bool has_padding; /* that is not zero */
} fixed_block;

static nq_status size(size_t *code_bytes, size_t *block_bytes, uint32_t n_levels,
                      const uint8_t *table, size_t table_bytes, uint32_t flags)
{
    (void)n_levels;
    (void)table;
    (void)flags;
    *code_bytes = sizeof(fixed_code);
    *block_bytes = sizeof(fixed_block);
    return table_bytes == 0 ? NQ_OK : NQ_E_CORRUPT;
}

static nq_status init(nqi_code *head, const uint8_t *table, size_t table_bytes, uint32_t flags,
                      uint64_t cpu)
{
    fixed_code *code = (fixed_code *)(void *)head;
    (void)table;
    (void)flags;
    code->kernels = nqi_unpack_kernels_for(cpu);
    code->width = nqi_bits_for(head->n_levels);
    code->is_full = (UINT32_C(1) << code->width) == head->n_levels;
    return table_bytes == 0 ? NQ_OK : NQ_E_CORRUPT;
}

static const fixed_code *code_of(const nqi_block *head)
{
    return (const fixed_code *)(const void *)head->code;
}

static nq_status begin(nqi_block *head, const uint8_t *bytes, size_t n_bytes, size_t n_indices)
{
    fixed_block *block = (fixed_block *)(void *)head;
    const unsigned width = code_of(head)->width;
    const uint64_t wanted = nqi_packed_bytes(n_indices, width);
    if (n_bytes != wanted)
        return n_bytes < wanted ? NQ_E_TRUNCATED : NQ_E_CORRUPT;
    const unsigned last_bits = (unsigned)(n_indices % 8) * width % 8; /* in the last byte; 0: all */
    block->at = bytes;
    block->has_padding = last_bits != 0 && bytes[n_bytes - 1] >> last_bits != 0;
    return NQ_OK;
}

static nq_status next_u16(nqi_block *head, uint16_t *indices, size_t n)
{
    fixed_block *block = (fixed_block *)(void *)head;
    const fixed_code *code = code_of(head);
    code->kernels->u16(indices, block->at, n, code->width);
    block->at += nqi_packed_bytes(n, code->width);
    if (code->is_full)
        return NQ_OK;
    uint16_t largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = NQI_MAX(largest, indices[i]);
    return largest < head->code->n_levels ? NQ_OK : NQ_E_CORRUPT;
}

static nq_status next_u8(nqi_block *head, uint8_t *indices, size_t n)
{
    fixed_block *block = (fixed_block *)(void *)head;
    const fixed_code *code = code_of(head);
    assert(code->width <= 8);
    code->kernels->u8(indices, block->at, n, code->width);
    block->at += nqi_packed_bytes(n, code->width);
    if (code->is_full)
        return NQ_OK;
    uint8_t largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = NQI_MAX(largest, indices[i]);
    return largest < head->code->n_levels ? NQ_OK : NQ_E_CORRUPT;
}

static nq_status end(const nqi_block *head)
{
    return ((const fixed_block *)(const void *)head)->has_padding ? NQ_E_CORRUPT : NQ_OK;
}

const nqi_code_ops nqi_fixed_code_ops = {.size = size,
                                         .init = init,
                                         .begin = begin,
                                         .next_u16 = next_u16,
                                         .next_u8 = next_u8,
                                         .end = end};
