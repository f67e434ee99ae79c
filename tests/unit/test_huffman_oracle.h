/*
 * Huffman codes as docs/format/codecs.md tells them: a decoder bit by bit, without any table.
 */
#ifndef TEST_HUFFMAN_ORACLE_H
#define TEST_HUFFMAN_ORACLE_H

#include "unit.h"

typedef struct oracle_bits {
    const uint8_t *bytes;
    uint64_t at;
    uint64_t end; /* in bits */
    bool ended;
} oracle_bits;

static inline unsigned oracle_bit(oracle_bits *b)
{
    if (b->at >= b->end) {
        b->ended = true;
        return 0;
    }
    const unsigned value = b->bytes[b->at / 8] >> (b->at % 8) & 1;
    b->at++;
    return value;
}

static inline uint32_t oracle_number(oracle_bits *b, unsigned width)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value |= (uint32_t)oracle_bit(b) << i;
    return value;
}

static inline bool oracle_at_end(oracle_bits *b)
{
    if (b->ended || b->end - b->at >= 8)
        return false;
    while (b->at < b->end)
        if (oracle_bit(b))
            return false;
    return true;
}

enum { ORACLE_NONE = 99 };

typedef struct oracle {
    uint32_t n_levels;
    uint32_t n_symbols;
    unsigned low_bits;
    unsigned raw_bits;
    unsigned escape;        /* length, or ORACLE_NONE */
    uint8_t lengths[65536]; /* or ORACLE_NONE */
    uint32_t codes[65536];  /* first bit highest */
    uint32_t escape_code;
    uint32_t by_code[65537]; /* symbols by length, then symbol; n_symbols: the escape */
    uint32_t n_codes;
} oracle;

static inline bool oracle_lengths(oracle *o, oracle_bits *b)
{
    unsigned p;
    bool is_first = true, was_run = false;
    o->low_bits = oracle_number(b, 4);
    o->escape = oracle_bit(b) ? oracle_number(b, 5) : ORACLE_NONE;
    p = oracle_number(b, 5);
    if (b->ended || (o->low_bits && (1u << o->low_bits) >= o->n_levels) || p > 24 ||
        (o->escape != ORACLE_NONE && o->escape > 24))
        return false;
    o->n_symbols = (o->n_levels - 1) / (1u << o->low_bits) + 1;
    for (o->raw_bits = 0; (1u << o->raw_bits) < o->n_symbols;)
        o->raw_bits++;
    for (uint32_t i = 0; i < o->n_symbols;) {
        int length = (int)p;
        if (oracle_bit(b)) {
            if (!oracle_bit(b)) {
                length += oracle_bit(b) ? -1 : 1;
            } else if (!oracle_bit(b)) {
                unsigned width = 0;
                while (oracle_bit(b))
                    if (++width > 16)
                        return false;
                const uint32_t run = (1u << width) + oracle_number(b, width);
                if (b->ended || was_run || run > o->n_symbols - i)
                    return false;
                memset(o->lengths + i, ORACLE_NONE, run);
                i += run;
                was_run = true;
                continue;
            } else if (!oracle_bit(b)) {
                length += oracle_bit(b) ? -2 : 2;
            } else {
                length = (int)oracle_number(b, 5);
                if (abs(length - (int)p) <= 2)
                    return false;
            }
        }
        if (b->ended || length < 0 || length > 24 || (is_first && length != (int)p))
            return false;
        o->lengths[i++] = (uint8_t)length;
        p = (unsigned)length;
        is_first = was_run = false;
    }
    return oracle_at_end(b) && !(is_first && p != 0);
}

static inline bool oracle_codes(oracle *o)
{
    uint64_t code = 0; /* of the length at hand; more than fits where the code is impossible */
    uint64_t kraft = 0;
    o->n_codes = 0;
    for (unsigned length = 0; length <= 24; length++, code *= 2) {
        for (uint32_t i = 0; i < o->n_symbols; i++)
            if (o->lengths[i] == length) {
                kraft += 1u << (24 - length);
                o->codes[i] = (uint32_t)code++;
                o->by_code[o->n_codes++] = i;
            }
        if (o->escape == length) {
            kraft += 1u << (24 - length);
            o->escape_code = (uint32_t)code++;
            o->by_code[o->n_codes++] = o->n_symbols;
        }
    }
    return kraft == 1u << 24;
}

static inline bool oracle_make(oracle *o, uint32_t n_levels, const uint8_t *table,
                               size_t table_bytes)
{
    oracle_bits b = {.bytes = table, .end = 8 * (uint64_t)table_bytes};
    o->n_levels = n_levels;
    return oracle_lengths(o, &b) && oracle_codes(o);
}

static inline bool oracle_symbol(uint32_t *symbol, const oracle *o, oracle_bits *b)
{
    uint32_t code = 0;
    unsigned length = 0;
    for (uint32_t i = 0; i < o->n_codes; i++) {
        const uint32_t s = o->by_code[i];
        const unsigned wanted = s == o->n_symbols ? o->escape : o->lengths[s];
        for (; length < wanted; length++)
            code = 2 * code + oracle_bit(b);
        if (b->ended)
            return false;
        if (code != (s == o->n_symbols ? o->escape_code : o->codes[s]))
            continue;
        *symbol = s == o->n_symbols ? oracle_number(b, o->raw_bits) : s;
        return !b->ended && *symbol < o->n_symbols;
    }
    return false;
}

static inline bool oracle_varint(uint64_t *value, oracle_bits *b)
{
    *value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        const uint64_t byte = oracle_number(b, 8);
        *value |= (byte & 127) << shift;
        if (b->ended || (shift > 0 && byte == 0))
            return false;
        if (byte < 128)
            return true;
    }
    return false;
}

static inline size_t oracle_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline bool oracle_stream(uint16_t *out, const oracle *o, oracle_bits *b, size_t n,
                                 unsigned n_streams, unsigned stream)
{
    for (size_t piece = 0; piece < n; piece += 4096) {
        const size_t m = oracle_min(4096, n - piece);
        const size_t q = (m + n_streams - 1) / n_streams;
        for (size_t i = oracle_min(m, stream * q); i < oracle_min(m, (stream + 1) * q); i++) {
            uint32_t symbol;
            if (!oracle_symbol(&symbol, o, b))
                return false;
            out[piece + i] = (uint16_t)symbol;
        }
    }
    return oracle_at_end(b);
}

static inline bool oracle_block(uint16_t *out, const oracle *o, const uint8_t *block,
                                size_t n_bytes, size_t n)
{
    const unsigned n_streams = n < 8192 ? 1 : 4;
    const uint64_t low_bytes = ((uint64_t)n * o->low_bits + 7) / 8;
    uint64_t lengths[4] = {0};
    oracle_bits b = {.bytes = block, .end = 8 * (uint64_t)n_bytes};
    for (unsigned s = 0; s + 1 < n_streams; s++)
        if (!oracle_varint(&lengths[s], &b))
            return false;
    uint64_t left = n_bytes - b.at / 8;
    if (left < low_bytes)
        return false;
    left -= low_bytes;
    for (unsigned s = 0; s < n_streams; s++) {
        const uint64_t length = s + 1 < n_streams ? lengths[s] : left;
        if (length > left)
            return false;
        left -= length;
        oracle_bits stream = {.bytes = block, .at = b.at, .end = b.at + 8 * length};
        if (!oracle_stream(out, o, &stream, n, n_streams, s))
            return false;
        b.at += 8 * length;
    }
    for (size_t i = 0; i < n; i++) {
        const uint32_t index = (uint32_t)out[i] << o->low_bits | oracle_number(&b, o->low_bits);
        if (index >= o->n_levels)
            return false;
        out[i] = (uint16_t)index;
    }
    return oracle_at_end(&b);
}

#endif
