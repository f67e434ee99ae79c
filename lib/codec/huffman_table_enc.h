/*
 * Writing the description of a Huffman code: what huffman_table_dec.c reads.
 */
#ifndef NQI_HUFFMAN_TABLE_ENC_H
#define NQI_HUFFMAN_TABLE_ENC_H

#include "codec/huffman_fmt.h"

/* The length of a symbol without a codeword. */
#define NQI_HUFFMAN_NO_CODE 255u

typedef struct nqi_huffman_lengths_view {
    const uint8_t *lengths; /* of n_symbols */
    uint32_t n_symbols;
    unsigned low_bits;
    bool has_escape;
    unsigned escape_length;
} nqi_huffman_lengths_view;

/* Bits of the description. */
uint64_t nqi_huffman_table_bits(const nqi_huffman_lengths_view *view);

/* Writes it: as many bytes as its bits need, the last one filled up with zeros. */
void nqi_huffman_table_put(uint8_t *out, const nqi_huffman_lengths_view *view);

#endif
