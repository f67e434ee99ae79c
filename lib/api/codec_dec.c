/*
 * Decoding one block of indices in the caller's memory, tables included. Part of the decoder: no
 * allocation, safe on any bytes.
 */
#include "base/checked.h"
#include "codec/code_dec.h"
#include "cpu/cpu.h"
#include "nq/codec.h"

#define ALIGNMENT 64u

/* Offsets from the aligned start of the memory. */
typedef struct parts {
    size_t block;
    size_t total; /* slack for alignment included */
} parts;

static nq_status plan_parts(parts *p, uint32_t codec, uint32_t n_levels, const uint8_t *table,
                            size_t table_bytes)
{
    size_t code_bytes, block_bytes;
    if (!table && table_bytes > 0)
        return NQ_E_ARG;
    NQI_TRY(nqi_code_size(&code_bytes, &block_bytes, codec, n_levels, table, table_bytes, 0));
    const bool fits = nqi_round_up_size(&p->block, code_bytes, ALIGNMENT) &&
                      nqi_add_size(&p->total, p->block, block_bytes) &&
                      nqi_add_size(&p->total, p->total, ALIGNMENT);
    return fits ? NQ_OK : NQ_E_LIMIT;
}

nq_status nq_block_decoder_size(size_t *n_bytes, uint32_t codec, uint32_t n_levels,
                                const uint8_t *table, size_t table_bytes)
{
    parts p;
    if (!n_bytes)
        return NQ_E_ARG;
    *n_bytes = 0;
    NQI_TRY(plan_parts(&p, codec, n_levels, table, table_bytes));
    *n_bytes = p.total;
    return NQ_OK;
}

/* All pieces of a block at once. */
static nq_status decode(uint16_t *indices, size_t n_indices, uint8_t *block_memory,
                        const nqi_code *code, const uint8_t *bytes, size_t n_bytes)
{
    nqi_block *block;
    NQI_TRY(nqi_block_begin(&block, block_memory, code, bytes, n_bytes, n_indices));
    NQI_TRY(nqi_block_next_u16(block, indices, n_indices));
    return nqi_block_end(block);
}

nq_status nq_block_decode(uint16_t *indices, size_t n_indices, void *memory, size_t memory_bytes,
                          uint32_t codec, uint32_t n_levels, const uint8_t *table,
                          size_t table_bytes, const uint8_t *block, size_t block_bytes)
{
    parts p;
    nqi_code *code;
    if ((!indices && n_indices > 0) || (!memory && memory_bytes > 0) || (!block && block_bytes > 0))
        return NQ_E_ARG;
    NQI_TRY(plan_parts(&p, codec, n_levels, table, table_bytes));
    if (memory_bytes < p.total)
        return NQ_E_SPACE;
    uint8_t *base = memory;
    base += (ALIGNMENT - (uintptr_t)memory % ALIGNMENT) % ALIGNMENT;
    NQI_TRY(nqi_code_init(&code, base, codec, n_levels, table, table_bytes, 0, nqi_cpu_features()));
    return decode(indices, n_indices, base + p.block, code, block, block_bytes);
}
