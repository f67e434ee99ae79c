/*
 * The constants of the Huffman format, and the arithmetic that both sides do with them:
 * docs/format/codecs.md is their meaning. Part of the decoder.
 */
#ifndef NQI_HUFFMAN_FMT_H
#define NQI_HUFFMAN_FMT_H

#include "base/common.h"
#include "codec/code_dec.h"

/* The longest codeword. Longer ones would gain nothing: 2^-24 of a code's room is what a symbol
 * pays for at least, and 65,536 such symbols take 1/256 of it. */
#define NQI_HUFFMAN_MAX_LENGTH 24u

/* Low bits of an index that go into the block as they are; the rest is the coded symbol. */
#define NQI_HUFFMAN_MAX_LOW_BITS 15u

/* Blocks from this size on have several streams, smaller ones have one. */
#define NQI_HUFFMAN_STREAMS  4u
#define NQI_HUFFMAN_STREAMED (2 * NQI_PIECE)

/* Bits of the fields of a table. */
enum { NQI_HUFFMAN_LOW_BITS_WIDTH = 4, NQI_HUFFMAN_LENGTH_WIDTH = 5 };

static inline unsigned nqi_huffman_streams(uint64_t n_indices)
{
    return n_indices < NQI_HUFFMAN_STREAMED ? 1 : NQI_HUFFMAN_STREAMS;
}

/* Symbols of a piece of n that the first streams carry; the last ones may have fewer. */
static inline size_t nqi_huffman_share(size_t n, unsigned n_streams)
{
    return (n + n_streams - 1) / n_streams;
}

/* Where in a piece of n the share of a stream begins: that of stream n_streams is its end. */
static inline size_t nqi_huffman_share_begin(size_t n, unsigned n_streams, unsigned stream)
{
    return NQI_MIN(n, stream * nqi_huffman_share(n, n_streams));
}

/* Symbols that a stream carries in a block of n_indices. */
static inline size_t nqi_huffman_stream_symbols(size_t n_indices, unsigned n_streams,
                                                unsigned stream)
{
    const size_t rest = n_indices % NQI_PIECE;
    return n_indices / NQI_PIECE * (NQI_PIECE / n_streams) +
           nqi_huffman_share_begin(rest, n_streams, stream + 1) -
           nqi_huffman_share_begin(rest, n_streams, stream);
}

/* A codeword's bits in the order in which they are written, the first one lowest. */
static inline uint32_t nqi_huffman_reverse(uint32_t code, unsigned length)
{
    uint32_t reversed = 0;
    for (unsigned i = 0; i < length; i++)
        reversed |= ((code >> i) & 1) << (length - 1 - i);
    return reversed;
}

/* The first codeword of each length of a canonical code with n[length] codewords. */
static inline void nqi_huffman_first_codes(uint32_t first[NQI_HUFFMAN_MAX_LENGTH + 1],
                                           const uint32_t n[NQI_HUFFMAN_MAX_LENGTH + 1])
{
    uint32_t code = 0;
    for (unsigned length = 0; length <= NQI_HUFFMAN_MAX_LENGTH; length++) {
        first[length] = code;
        code = (code + n[length]) << 1;
    }
}

#endif
