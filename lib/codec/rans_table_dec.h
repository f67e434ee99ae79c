/*
 * The description of a rANS code, as it lies in a file: proving it legal, and the tables as it
 * tells them. Nothing is built from a description before all of it was read. Part of the decoder.
 */
#ifndef NQI_RANS_TABLE_DEC_H
#define NQI_RANS_TABLE_DEC_H

#include "codec/bitreader.h"
#include "codec/rans_fmt.h"
#include "nq/status.h"

/* A table: classes that share the places 0..255, the escape last. */
typedef struct nqi_rans_table {
    uint32_t first;                           /* upper part that symbol 0 stands for */
    uint32_t last_upper;                      /* the largest there is */
    uint16_t begin[NQI_RANS_MAX_CLASSES + 1]; /* place; the last one is 256 */
    uint8_t symbol[NQI_RANS_MAX_CLASSES];     /* upper part less `first` */
    uint8_t n_classes;                        /* the escape included */
    uint8_t low_bits;
    bool has_escape;
    bool is_replaced; /* the escape's symbol, by the next byte of the escapes */
} nqi_rans_table;

/* What tables that are used in turn have in common. */
typedef struct nqi_rans_alphabet {
    uint32_t n_symbols;
    nqi_rans_escape_code escapes;
    bool is_wide; /* escaped upper parts do not fit a byte */
    bool has_escape;
    bool has_low_bits;
} nqi_rans_alphabet;

/* Of an escape that is not replaced, as escapes do not fit a byte. */
#define NQI_RANS_WIDE_ESCAPE 255u

/* What the first fields of a description say. */
typedef struct nqi_rans_shape {
    uint32_t n_tables;
    uint32_t zero; /* the index that a sparse code's gaps stand for */
    unsigned sub_log2;
    bool is_sparse;
} nqi_rans_shape;

/* Starts reading: the shape alone. NQ_E_TRUNCATED, NQ_E_CORRUPT. */
nq_status nqi_rans_read_shape(nqi_rans_shape *shape, nqi_bitreader *r, uint32_t n_levels);

/* The table of steps from a sub-block's choice to the next; only if there are several tables. */
nq_status nqi_rans_read_steps(nqi_rans_table *steps, nqi_bitreader *r, uint32_t n_tables);

/* Tables of numbers below n_symbols that are used in turn, and what they have in common. */
nq_status nqi_rans_read_tables(nqi_rans_alphabet *alphabet, nqi_rans_table *tables,
                               nqi_bitreader *r, uint32_t n_tables, uint32_t n_symbols);

/* Settles what the bytes stand for that kernels write: the upper parts themselves if escaped ones
 * fit a byte, otherwise what is to be added to a table's `first`, or NQI_RANS_WIDE_ESCAPE. */
void nqi_rans_settle(const nqi_rans_alphabet *alphabet, nqi_rans_table *tables, uint32_t n_tables);

#endif
