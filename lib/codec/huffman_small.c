/*
 * Decoding a piece of a Huffman block where memory is short: a symbol at a time, straight to its
 * place. Part of the decoder.
 */
#include "codec/huffman_dec.h"

/* What the longest codeword takes, or the longest escape's with its number. */
#define MOST_BITS (NQI_HUFFMAN_MAX_LENGTH + 16)

NQI_INLINE uint32_t next_symbol(const nqi_huffman_code *code, const nqi_huffman_block *block,
                                nqi_huffman_stream *stream)
{
    if (stream->bits >> MOST_BITS == 0) /* the mark has come down */
        nqi_huffman_refill_carefully(block, stream);
    const uint32_t entry = code->singles[stream->bits & ((UINT32_C(1) << code->table_bits) - 1)];
    uint32_t symbol = entry & 0xffff;
    unsigned length = entry >> 16;
    if (NQI_UNLIKELY(entry == NQI_HUFFMAN_SMALL_NONE))
        length = nqi_huffman_slow(&symbol, code, stream->bits);
    stream->bits >>= length;
    return symbol;
}

/* A stream's share of a piece, to one of the two places. */
static nq_status decode_share(nqi_huffman_block *block, unsigned s, uint16_t *u16, uint8_t *u8,
                              size_t n)
{
    const nqi_huffman_code *code = nqi_huffman_code_of(block);
    nqi_huffman_stream stream = block->streams[s];
    for (size_t i = 0; i < n; i++) {
        const uint32_t symbol = next_symbol(code, block, &stream);
        if (symbol >= code->n_symbols)
            return NQ_E_CORRUPT;
        if (u16)
            u16[i] = (uint16_t)symbol;
        else
            u8[i] = (uint8_t)symbol;
    }
    block->streams[s] = stream;
    return nqi_huffman_position(&stream) > (uint64_t)stream.end * 8 ? NQ_E_TRUNCATED : NQ_OK;
}

nq_status nqi_huffman_decode_small(nqi_huffman_block *block, uint16_t *u16, uint8_t *u8, size_t n)
{
    for (unsigned s = 0; s < block->n_streams; s++) {
        const size_t begin = nqi_huffman_share_begin(n, block->n_streams, s);
        const size_t end = nqi_huffman_share_begin(n, block->n_streams, s + 1);
        NQI_TRY(
            decode_share(block, s, u16 ? u16 + begin : NULL, u8 ? u8 + begin : NULL, end - begin));
    }
    return NQ_OK;
}
