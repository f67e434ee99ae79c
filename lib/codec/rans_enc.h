/*
 * What the files of the rANS encoder share: an encoder, what it is made from, and the choice of
 * tables.
 */
#ifndef NQI_RANS_ENC_H
#define NQI_RANS_ENC_H

#include "codec/bitpack_enc.h"
#include "codec/code_ops_enc.h"
#include "codec/rans_push.h"

/* What an encoder is made from. */
typedef struct nqi_rans_plan {
    uint32_t n_levels;
    uint32_t n_tables;
    unsigned sub_log2; /* NQI_RANS_MIN_SUB_LOG2 for one table */
    bool is_sparse;
    uint32_t zero;                /* the index that gaps stand for */
    const nqi_rans_model *values; /* n_tables, with one code of escapes */
    const nqi_rans_model *gaps;   /* n_tables, if sparse */
    uint16_t step_frequency[NQI_RANS_MAX_TABLES];
    uint64_t weights[NQI_RANS_MAX_TABLES]; /* how many indices are of each table */
    /* In 2^-COST_LOG2 bit. */
    uint32_t mean_growth;  /* of a state by a coded symbol, about */
    uint32_t zero_cost;    /* of a sparse code's zero */
    uint32_t nonzero_cost; /* and of what precedes an index that is none */
} nqi_rans_plan;

/* Costs of a symbol in all tables, for choosing: in 1/256 bit, of as many symbols as are worth
 * storing. */
typedef struct nqi_rans_rows {
    uint16_t (*rows)[NQI_RANS_MAX_TABLES];
    uint32_t n;
} nqi_rans_rows;

#define NQI_RANS_MAX_ROWS 4096u

/* Bytes of a block besides what indices cost: the number of lanes, lengths of parts, the fill of
 * their last bytes. States are counted with the indices, one part in LANES_SHARE. */
#define NQI_RANS_BLOCK_OVERHEAD 16u
#define NQI_RANS_LANES_SHARE    400u

typedef struct nqi_rans_encoder {
    nqi_encoder head;
    uint32_t n_tables;
    unsigned sub_log2;
    bool is_sparse;
    bool has_low_bits;
    uint32_t zero;
    unsigned value_escape_bits; /* of the longest escape; 0: there is none */
    unsigned gap_escape_bits;
    unsigned max_value_low_bits;
    unsigned max_gap_low_bits;
    uint32_t mean_growth;
    nqi_rans_coder *values;
    nqi_rans_coder *gaps;
    nqi_rans_coder *steps;
    uint32_t value_words[256]; /* nqi_rans_escape_word, where upper parts are bytes */
    uint32_t gap_words[256];
    nqi_rans_rows value_rows;
    nqi_rans_rows gap_rows;
    uint32_t *costs; /* of indices */
    const nqi_rans_push_kernels *kernels;
    nqi_pack_fn pack;
    uint64_t n_bytes; /* of all memory, this struct's included */
} nqi_rans_encoder;

nq_status nqi_rans_encoder_make(nqi_encoder **out, const nqi_allocator *a,
                                const nqi_rans_plan *plan, uint64_t cpu);

/* The same in memory of the caller's, aligned to 64 bytes, but for the costs of indices. */
uint64_t nqi_rans_encoder_bytes(const nqi_rans_plan *plan);
void nqi_rans_encoder_build(void *memory, const nqi_allocator *a, const nqi_rans_plan *plan,
                            uint64_t cpu);

/* ---- Escapes ------------------------------------------------------------------------------- */

/* An escaped upper part as it is written: up to 24 bits, and their number above them. */
#define NQI_RANS_WORD_BITS 24u

uint32_t nqi_rans_escape_word(const nqi_rans_escape_code *code, uint32_t upper);

/* ---- Choosing tables ----------------------------------------------------------------------- */

/* Rows of what the first symbols cost, rows->n of them; zeros for tables that do not exist. */
void nqi_rans_fill_rows(nqi_rans_rows *rows, const nqi_rans_coder *coders, uint32_t n_tables);

/* Adds what n symbols cost in each table, in 1/256 bit, given their channel's rows and coders. */
void nqi_rans_add_costs(uint32_t *costs, const nqi_rans_encoder *e, const nqi_rans_rows *rows,
                        const nqi_rans_coder *coders, const uint16_t *symbols, size_t n);

/* Ways that begin with table `before`. */
void nqi_rans_ways_begin(nqi_rans_ways *ways, const nqi_rans_coder *steps, uint32_t n_tables,
                         unsigned before);

/* The cheapest way: a table for each of n_subs sub-blocks, and its difference to the one before. */
void nqi_rans_ways_end(const nqi_rans_ways *ways, uint8_t *choices, uint8_t *steps,
                       const uint8_t *from, size_t n_subs);

/* ---- Blocks -------------------------------------------------------------------------------- */

uint64_t nqi_rans_block_bound(const nqi_rans_encoder *encoder, uint64_t n_indices);

/* Encodes n_indices, 1 at least, into block_bound bytes. */
nq_status nqi_rans_encode_block(const nqi_rans_encoder *encoder, uint8_t *out, size_t *n_bytes,
                                const uint16_t *indices, size_t n_indices);

#endif
