/*
 * The rare codewords: those that are too long for the table, and those behind an escape. Part of
 * the decoder.
 */
#include "codec/huffman_dec.h"
#include "codec/huffman_loop.h"

/* The low 24 bits of a word the other way round. */
static uint32_t reverse24(uint32_t word)
{
    static_assert(NQI_HUFFMAN_MAX_LENGTH == 24, "as wide as the longest codeword");
    word = (word & 0x555555) << 1 | (word >> 1 & 0x555555);
    word = (word & 0x333333) << 2 | (word >> 2 & 0x333333);
    word = (word & 0x0f0f0f) << 4 | (word >> 4 & 0x0f0f0f);
    return (word & 0xff) << 16 | (word & 0xff00) | word >> 16;
}

/* A complete code has a codeword for all bits, so that there is a symbol. */
unsigned nqi_huffman_slow(uint32_t *symbol, const nqi_huffman_code *code, uint64_t bits)
{
    const uint64_t escape_mask = (UINT64_C(1) << code->escape_length) - 1;
    if (code->has_escape && (bits & escape_mask) == code->escape_code) {
        *symbol = (uint32_t)(bits >> code->escape_length & ((UINT64_C(1) << code->raw_bits) - 1));
        return code->escape_length + code->raw_bits;
    }
    const uint32_t word = reverse24((uint32_t)bits & 0xffffff);
    unsigned length = code->table_bits + 1;
    for (unsigned i = code->table_bits + 1; i < code->longest; i++) /* no branch to be guessed */
        length += word >= code->end_code[i];
    const uint32_t nth = (word >> (NQI_HUFFMAN_MAX_LENGTH - length)) - code->first_code[length];
    *symbol = nth < code->n_long[length] ? code->long_symbols[code->long_begin[length] + nth]
                                         : UINT32_MAX;
    return length;
}

bool nqi_huffman_pass_slow(nqi_huffman_lane *lane, const nqi_huffman_code *code)
{
    uint32_t symbol;
    nqi_huffman_refill(lane);
    lane->bits >>= nqi_huffman_slow(&symbol, code, lane->bits);
    if (symbol >= code->n_symbols)
        return false;
    if (code->symbol_log2 == 0)
        *lane->out = (uint8_t)symbol;
    else
        nqi_store_le16(lane->out, (uint16_t)symbol);
    lane->out += (size_t)1 << code->symbol_log2;
    return true;
}
