/*
 * What the rest of the library sees of decoding indices: one interface over all codecs. A code is
 * the read-only tables of one tensor, built in memory that the caller provides; a block state walks
 * through one block in order, a piece at a time, so that nobody needs a buffer for a whole block.
 *
 * Part of the decoder: no allocation, no libm, safe on any bytes, bounded time.
 */
#ifndef NQI_CODE_DEC_H
#define NQI_CODE_DEC_H

#include "base/common.h"
#include "nq/codec.h"

typedef struct nqi_code nqi_code;
typedef struct nqi_block nqi_block;

/* A piece other than a block's last must be a multiple of this many indices. */
#define NQI_PIECE 4096u

/* nqi_code_init: small tables, slower decoding. */
#define NQI_CODE_SMALL 1u

/* Bytes for nqi_code_init and for one nqi_block; validates the table's description only as far as
 * the sizes need. n_levels is 1..NQ_MAX_LEVELS. With `table` NULL and table_bytes not 0, the table
 * lies where it cannot be looked at yet: enough for any table of so many bytes. */
nq_status nqi_code_size(size_t *code_bytes, size_t *block_state_bytes, uint32_t codec,
                        uint32_t n_levels, const uint8_t *table, size_t table_bytes,
                        uint32_t flags);

/* Validates the table, then builds the code in `memory` (64-byte aligned, code_bytes of it).
 * cpu is the set of NQ_CPU_* that may be used. `table` is not referenced afterwards. */
nq_status nqi_code_init(nqi_code **out, void *memory, uint32_t codec, uint32_t n_levels,
                        const uint8_t *table, size_t table_bytes, uint32_t flags, uint64_t cpu);

/* Starts a block of n_indices in `memory` (64-byte aligned, block_state_bytes of it). The bytes are
 * borrowed until the last nqi_block_next. */
nq_status nqi_block_begin(nqi_block **out, void *memory, const nqi_code *code, const uint8_t *bytes,
                          size_t n_bytes, size_t n_indices);

/* The next n indices, each below n_levels; n is a multiple of NQI_PIECE, or all that are left. */
nq_status nqi_block_next_u16(nqi_block *block, uint16_t *indices, size_t n);

/* The same into bytes, for n_levels <= 256. */
nq_status nqi_block_next_u8(nqi_block *block, uint8_t *indices, size_t n);

/* After the last index: that the block holds nothing else, padding included. */
nq_status nqi_block_end(const nqi_block *block);

#endif
