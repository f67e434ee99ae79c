/*
 * Writing escapes: their words, and bits behind each other.
 */
#include "codec/rans_block_enc.h"

#include "base/bytes.h"

static_assert(NQI_RANS_ESCAPE_MAX_LENGTH <= NQI_RANS_WORD_BITS, "a word holds any escape");

uint32_t nqi_rans_escape_word(const nqi_rans_escape_code *code, uint32_t upper)
{
    const uint32_t kept = upper & ((1u << code->width) - 1);
    uint32_t ones, bits = ((1u << NQI_RANS_ESCAPE_ONES) - 1) | kept << NQI_RANS_ESCAPE_ONES;
    unsigned length = NQI_RANS_ESCAPE_ONES + code->width;
    if (nqi_rans_is_ranked(&ones, code, upper)) {
        const uint32_t rest =
            (nqi_rans_rank(code, upper) - code->offset) & ((1u << code->rice_bits) - 1);
        bits = ((1u << ones) - 1) | rest << (ones + 1);
        length = ones + 1 + code->rice_bits;
    }
    return bits | (uint32_t)length << NQI_RANS_WORD_BITS;
}

/* Up to 56 bits. Writes SINK_SLACK bytes, whatever counts of them. */
static void sink_bits(nqi_rans_sink *sink, uint64_t bits, unsigned n_bits)
{
    sink->bits |= bits << sink->n_bits;
    sink->n_bits += n_bits;
    nqi_store_le64(sink->at, sink->bits);
    sink->at += sink->n_bits / 8;
    sink->bits >>= sink->n_bits / 8 * 8;
    sink->n_bits %= 8;
}

static uint64_t bits_of(uint32_t word)
{
    return word & ((UINT32_C(1) << NQI_RANS_WORD_BITS) - 1);
}

static_assert(2 * NQI_RANS_WORD_BITS <= 56, "two words are written at once");

void nqi_rans_sink_escapes(nqi_rans_sink *sink, const uint32_t words[256],
                           const nqi_rans_escape_code *code, const uint16_t *uppers, size_t n)
{
    nqi_rans_sink s = *sink;
    size_t i = 0;
    for (; code->width <= 8 && i + 2 <= n; i += 2) {
        const uint32_t a = words[uppers[i] & 255], b = words[uppers[i + 1] & 255];
        const unsigned length = a >> NQI_RANS_WORD_BITS;
        sink_bits(&s, bits_of(a) | bits_of(b) << length, length + (b >> NQI_RANS_WORD_BITS));
    }
    for (; i < n; i++) {
        const uint32_t word = nqi_rans_escape_word(code, uppers[i]);
        sink_bits(&s, bits_of(word), word >> NQI_RANS_WORD_BITS);
    }
    *sink = s;
}

void nqi_rans_sink_end(nqi_rans_sink *sink)
{
    if (sink->n_bits > 0)
        *sink->at++ = (uint8_t)sink->bits;
}
