/*
 * The description of a Huffman code, as it lies in a file: proving it legal, and walking through
 * its codewords' lengths. Nothing is built from a description before it was measured. Part of the
 * decoder.
 */
#ifndef NQI_HUFFMAN_TABLE_DEC_H
#define NQI_HUFFMAN_TABLE_DEC_H

#include "codec/bitreader.h"
#include "codec/huffman_fmt.h"

/* What a legal description adds up to. */
typedef struct nqi_huffman_shape {
    uint32_t n_of_length[NQI_HUFFMAN_MAX_LENGTH + 1]; /* codewords, the escape's among them */
    uint32_t n_symbols;
    uint32_t largest; /* symbol with a codeword; 0 without one */
    unsigned low_bits;
    unsigned raw_bits; /* of a symbol behind the escape */
    unsigned longest;  /* codeword */
    bool has_escape;
    unsigned escape_length;
} nqi_huffman_shape;

/* Reads all of a table for n_levels and checks it: each token, that nothing is left, and that the
 * lengths are those of a complete code. NQ_E_TRUNCATED, NQ_E_CORRUPT. */
nq_status nqi_huffman_measure(nqi_huffman_shape *shape, uint32_t n_levels, const uint8_t *table,
                              size_t table_bytes);

/* A walk through the symbols that have codewords, in ascending order. */
typedef struct nqi_huffman_walk {
    nqi_bitreader bits;
    nq_status status;
    uint32_t n_symbols;
    uint32_t next; /* the first symbol that was not described yet */
    unsigned length;
    bool is_first; /* no codeword's length was read yet */
    bool was_run;  /* the last token was a run */
} nqi_huffman_walk;

/* Starts a walk, and fills in what the head of a table says. */
nqi_huffman_walk nqi_huffman_walk_make(nqi_huffman_shape *shape, uint32_t n_levels,
                                       const uint8_t *table, size_t table_bytes);

/* The next symbol that has a codeword, and its length; false at the end, or at the first error,
 * which walk->status tells. */
bool nqi_huffman_walk_next(nqi_huffman_walk *walk, uint32_t *symbol, unsigned *length);

#endif
