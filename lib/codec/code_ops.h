/*
 * What a codec offers to the dispatcher in code_dec.c: one table of functions, and the common heads
 * of codes and block states. A codec's own struct begins with the head; its functions get back what
 * they were given as the head and convert it.
 *
 * The dispatcher has checked before a codec is called: n_levels is 1..NQ_MAX_LEVELS, memory is
 * present and aligned to 64 bytes, `table` holds table_bytes (or is NULL where there are none, or
 * in `size` where it cannot be looked at), pieces are of legal length. It fills the heads in.
 *
 * Part of the decoder.
 */
#ifndef NQI_CODE_OPS_H
#define NQI_CODE_OPS_H

#include "codec/code_dec.h"

typedef struct nqi_code_ops {
    /* See nqi_code_size; both sizes are at least those of the codec's structs. */
    nq_status (*size)(size_t *code_bytes, size_t *block_bytes, uint32_t n_levels,
                      const uint8_t *table, size_t table_bytes, uint32_t flags);
    /* See nqi_code_init; code->ops and code->n_levels are set already. Never writes beyond what
     * `size` says for this very table. */
    nq_status (*init)(nqi_code *code, const uint8_t *table, size_t table_bytes, uint32_t flags,
                      uint64_t cpu);
    /* See nqi_block_begin; block->code and block->n_left are set already. */
    nq_status (*begin)(nqi_block *block, const uint8_t *bytes, size_t n_bytes, size_t n_indices);
    /* The next n indices, 1..NQI_PIECE; block->n_left counts them still. Only the last call of a
     * block has another n than NQI_PIECE. next_u8 is called for n_levels <= 256 only. */
    nq_status (*next_u16)(nqi_block *block, uint16_t *indices, size_t n);
    nq_status (*next_u8)(nqi_block *block, uint8_t *indices, size_t n);
    /* Called when no index is left. */
    nq_status (*end)(const nqi_block *block);
} nqi_code_ops;

struct nqi_code {
    const nqi_code_ops *ops;
    uint32_t n_levels;
};

struct nqi_block {
    const nqi_code *code;
    size_t n_left; /* indices that have not been decoded yet */
};

/* The codecs; a pointer in the dispatcher's list makes one known. */
extern const nqi_code_ops nqi_fixed_code_ops;
extern const nqi_code_ops nqi_huffman_code_ops;
extern const nqi_code_ops nqi_rans_code_ops;
extern const nqi_code_ops nqi_gaps_code_ops;

#endif
