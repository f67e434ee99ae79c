/*
 * What the files of the rANS decoder share: a code, and a block's state. Part of the decoder.
 */
#ifndef NQI_RANS_DEC_H
#define NQI_RANS_DEC_H

#include "codec/code_ops.h"
#include "codec/rans_run.h"
#include "codec/rans_table_dec.h"

/* Tables that are used in turn, one for each choice. */
typedef struct nqi_rans_channel {
    nqi_rans_alphabet alphabet;
    const nqi_rans_table *tables;
    const nqi_rans_lookup *lookups; /* NULL where memory is short */
} nqi_rans_channel;

typedef struct nqi_rans_code {
    nqi_code head;
    nqi_rans_shape shape;
    nqi_rans_channel steps;  /* only if there are several tables */
    nqi_rans_channel values; /* of indices, or of those behind gaps */
    nqi_rans_channel gaps;   /* of a sparse code */
    const nqi_rans_kernels *kernels;
    bool is_small;
} nqi_rans_code;

nq_status nqi_rans_code_size(size_t *code_bytes, size_t *block_bytes, uint32_t n_levels,
                             const uint8_t *table, size_t table_bytes, uint32_t flags);
nq_status nqi_rans_code_init(nqi_code *head, const uint8_t *table, size_t table_bytes,
                             uint32_t flags, uint64_t cpu);

/* ---- Escapes ------------------------------------------------------------------------------- */

#define NQI_RANS_ESCAPES_HELD (4 * NQI_RANS_ESCAPES_AHEAD)

/* Escaped upper parts of one channel: in the block, and as bytes some way ahead of the kernels. */
typedef struct nqi_rans_escapes {
    const uint8_t *bytes;
    size_t n_bytes;
    uint64_t bit;             /* the first that was not read */
    bool is_over;             /* nothing valid is left to read */
    bool is_short;            /* more were used than were valid, as the buffer does not tell */
    const uint8_t *at;        /* in the buffer */
    const uint8_t *valid_end; /* from here on they are not there, or out of range */
    const uint8_t *end;
    uint8_t buffer[NQI_RANS_ESCAPES_HELD + NQI_RANS_ESCAPES_SLACK];
    uint8_t lengths[NQI_RANS_ESCAPES_HELD]; /* in bits */
} nqi_rans_escapes;

/* Nothing of n_bytes was read yet. */
void nqi_rans_escapes_begin(nqi_rans_escapes *e, const uint8_t *bytes, size_t n_bytes);

/* Has NQI_RANS_ESCAPES_AHEAD bytes or more in the buffer. */
void nqi_rans_escapes_top_up(nqi_rans_escapes *e, const nqi_rans_escape_code *code);

/* The next one, where they do not fit bytes; false if there is none. */
bool nqi_rans_escapes_take(uint32_t *upper, nqi_rans_escapes *e, const nqi_rans_escape_code *code);

/* Whether symbols have used more than there are. */
static inline bool nqi_rans_escapes_are_short(const nqi_rans_escapes *e)
{
    return e->is_short || e->at > e->valid_end;
}

/* Whether all were used, and the last one's byte holds nothing else. */
bool nqi_rans_escapes_at_end(const nqi_rans_escapes *e);

/* ---- Blocks -------------------------------------------------------------------------------- */

/* What only blocks of sparse codes have. */
typedef struct nqi_rans_sparse {
    uint64_t n_pairs;
    uint64_t n_begun; /* pairs up to the end of the buffer's */
    size_t n_held;    /* pairs in the buffer */
    size_t next;      /* of them */
    size_t gap;       /* of the next pair, what is left of it */
    uint16_t gaps[NQI_PIECE];
    uint16_t values[NQI_PIECE];
} nqi_rans_sparse;

static_assert(2 * NQI_RANS_PAIRS <= NQI_PIECE, "pairs that are coded together fit the buffers");

typedef struct nqi_rans_block {
    nqi_block head;
    nqi_rans_sparse *sparse; /* NULL for other codes */
    size_t n_indices;
    size_t n_decoded;
    const uint8_t *low; /* bits of indices */
    const uint8_t *low_end;
    const uint8_t *at; /* the stream: in the block, or in the tail */
    const uint8_t *limit;
    const uint8_t *end;
    unsigned lanes_log2;
    unsigned idle_rounds;
    bool is_tail;
    bool has_low_padding; /* that is not zero */
    uint8_t last_choice;
    nqi_rans_escapes value_escapes;
    nqi_rans_escapes gap_escapes;
    uint16_t states[NQI_RANS_MAX_LANES];
    uint8_t takes[NQI_RANS_MAX_LANES]; /* in the idle rounds: 255 for lanes that are not idle */
    uint8_t choices[2 * NQI_RANS_GROUP];
    uint8_t symbols[NQI_PIECE];
    /* The stream's last bytes, and zeros behind them. */
    uint8_t tail[2 * NQI_RANS_SLACK];
} nqi_rans_block;

static inline const nqi_rans_code *nqi_rans_code_of(const nqi_rans_block *block)
{
    return (const nqi_rans_code *)(const void *)block->head.code;
}

/* Fills in where a block's parts lie and what its first bytes say. */
nq_status nqi_rans_block_begin(nqi_block *head, const uint8_t *bytes, size_t n_bytes,
                               size_t n_indices);

/* A part of a block: n symbols of one channel. */
typedef struct nqi_rans_phase {
    const nqi_rans_channel *channel;
    nqi_rans_escapes *escapes;
    const uint8_t *choices;
    size_t n;
    unsigned sub_log2;
    bool is_last; /* in its block */
} nqi_rans_phase;

/* sub_log2 where there is one table: no symbol is of another sub-block. */
#define NQI_RANS_ONE_SUB_LOG2 ((unsigned)(sizeof(size_t) * 8 - 1))

/* Decodes symbols first..first+n-1 of a phase, in their order. */
nq_status nqi_rans_decode_symbols(nqi_rans_block *block, const nqi_rans_phase *phase,
                                  uint8_t *symbols, size_t first, size_t n);

/* The tables of the next n_subs sub-blocks, into block->choices. */
nq_status nqi_rans_decode_choices(nqi_rans_block *block, size_t n_subs);

/* Makes indices of symbols first..first+n-1 of a phase: one of the two places is NULL. `u8` may be
 * `symbols`. */
nq_status nqi_rans_join(nqi_rans_block *block, const nqi_rans_phase *phase, uint16_t *u16,
                        uint8_t *u8, const uint8_t *symbols, size_t first, size_t n);

/* The next n indices of a block of a sparse code. */
nq_status nqi_rans_sparse_next_u16(nqi_rans_block *block, uint16_t *indices, size_t n);
nq_status nqi_rans_sparse_next_u8(nqi_rans_block *block, uint8_t *indices, size_t n);

#endif
