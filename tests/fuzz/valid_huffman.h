/*
 * Legal Huffman codes at random, their tables, and blocks of them: written from
 * docs/format/codecs.md, with no code of the library. What libnq's encoder never makes is made too:
 * codewords of all lengths for any symbol, escapes of symbols that have a codeword.
 */
#ifndef NQI_TESTS_VALID_HUFFMAN_H
#define NQI_TESTS_VALID_HUFFMAN_H

#include "nq_file.h"

enum { VH_NONE = 255, VH_LONGEST = 24 };

typedef struct vh_code {
    uint32_t n_levels;
    uint32_t n_symbols;
    unsigned low_bits;
    unsigned raw_bits;
    unsigned escape;  /* length, or VH_NONE */
    uint8_t *lengths; /* of n_symbols, or VH_NONE */
    uint32_t *codes;
    uint32_t escape_code;
} vh_code;

static inline void vh_free(vh_code *c)
{
    free(c->lengths);
    free(c->codes);
    *c = (vh_code){0};
}

/* ---- Bits ---------------------------------------------------------------------------------- */

typedef struct vh_bits {
    bytes out;
    unsigned used; /* bits of the last byte; 0: it is full */
} vh_bits;

static inline void vh_put(vh_bits *b, uint32_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++) {
        if (b->used == 0)
            put_u(&b->out, 0, 1);
        b->out.at[b->out.n - 1] |= (uint8_t)((value >> i & 1) << b->used);
        b->used = (b->used + 1) % 8;
    }
}

/* A codeword, its first bit being the highest. */
static inline void vh_put_code(vh_bits *b, uint32_t code, unsigned length)
{
    for (unsigned i = length; i-- > 0;)
        vh_put(b, code >> i & 1, 1);
}

/* ---- Codes --------------------------------------------------------------------------------- */

/* Lengths of n codewords of a complete code: leaves of a tree, split at random. */
static inline void vh_random_lengths(uint8_t *lengths, uint32_t n, uint64_t *seed)
{
    const unsigned deep = (unsigned)(unit_random(seed) % 3);
    lengths[0] = 0;
    for (uint32_t have = 1; have < n;) {
        /* Splitting the newest leaf makes long codewords, splitting any makes even ones. */
        uint32_t leaf =
            deep && unit_random(seed) % 4 < deep ? have - 1 : (uint32_t)(unit_random(seed) % have);
        while (lengths[leaf] == VH_LONGEST)
            leaf = (uint32_t)(unit_random(seed) % have);
        lengths[have] = ++lengths[leaf];
        have++;
    }
    for (uint32_t i = n; i-- > 1;) {
        const uint32_t k = (uint32_t)(unit_random(seed) % (i + 1));
        const uint8_t kept = lengths[i];
        lengths[i] = lengths[k];
        lengths[k] = kept;
    }
}

static inline void vh_assign_codes(vh_code *c)
{
    uint32_t code = 0;
    for (unsigned length = 0; length <= VH_LONGEST; length++, code *= 2) {
        for (uint32_t i = 0; i < c->n_symbols; i++)
            if (c->lengths[i] == length)
                c->codes[i] = code++;
        if (c->escape == length)
            c->escape_code = code++;
    }
}

static inline vh_code vh_random(uint32_t n_levels, uint64_t *seed)
{
    vh_code c = {.n_levels = n_levels, .escape = VH_NONE};
    while (unit_random(seed) % 3 == 0 && c.low_bits < 15 && (2u << c.low_bits) < n_levels)
        c.low_bits++;
    c.n_symbols = (n_levels - 1) / (1u << c.low_bits) + 1;
    while ((1u << c.raw_bits) < c.n_symbols)
        c.raw_bits++;
    const bool escapes = unit_random(seed) % 2 == 0;
    const bool is_whole = unit_random(seed) % 2 == 0;
    uint32_t n_coded = is_whole ? c.n_symbols : (uint32_t)(unit_random(seed) % (c.n_symbols + 1));
    if (n_coded == 0 && !escapes)
        n_coded = 1;
    uint8_t *lengths = malloc((size_t)n_coded + 1);
    c.lengths = malloc(c.n_symbols);
    c.codes = calloc(c.n_symbols, sizeof *c.codes);
    vh_random_lengths(lengths, n_coded + escapes, seed);
    if (escapes)
        c.escape = lengths[n_coded];
    /* Which symbols: each with the chance that is left. */
    for (uint32_t i = 0, left = n_coded; i < c.n_symbols; i++) {
        const bool has_code = unit_random(seed) % (c.n_symbols - i) < left;
        c.lengths[i] = has_code ? lengths[--left] : VH_NONE;
    }
    free(lengths);
    vh_assign_codes(&c);
    return c;
}

/* ---- Tables -------------------------------------------------------------------------------- */

static inline void vh_put_run(vh_bits *b, uint32_t n)
{
    unsigned width = 0;
    while (n >> width > 1)
        width++;
    vh_put(b, 3, 3);
    for (unsigned i = 0; i < width; i++)
        vh_put(b, 1, 1);
    vh_put(b, 0, 1);
    vh_put(b, n - (1u << width), width);
}

static inline void vh_put_length(vh_bits *b, unsigned before, unsigned length)
{
    const int step = (int)length - (int)before;
    if (step == 0) {
        vh_put(b, 0, 1);
    } else if (abs(step) == 1) {
        vh_put(b, 1, 2); /* 1, 0 */
        vh_put(b, step < 0, 1);
    } else if (abs(step) == 2) {
        vh_put(b, 7, 4); /* 1, 1, 1, 0 */
        vh_put(b, step < 0, 1);
    } else {
        vh_put(b, 15, 4);
        vh_put(b, length, 5);
    }
}

static inline bytes vh_table(const vh_code *c)
{
    vh_bits b = {{0}, 0};
    unsigned before = 0;
    for (uint32_t i = c->n_symbols; i-- > 0;)
        before = c->lengths[i] != VH_NONE ? c->lengths[i] : before;
    vh_put(&b, c->low_bits, 4);
    vh_put(&b, c->escape != VH_NONE, 1);
    if (c->escape != VH_NONE)
        vh_put(&b, c->escape, 5);
    vh_put(&b, before, 5);
    for (uint32_t i = 0; i < c->n_symbols;) {
        uint32_t run = 0;
        while (i + run < c->n_symbols && c->lengths[i + run] == VH_NONE)
            run++;
        if (run > 0) {
            vh_put_run(&b, run);
            i += run;
            continue;
        }
        vh_put_length(&b, before, c->lengths[i]);
        before = c->lengths[i++];
    }
    return b.out;
}

/* ---- Blocks -------------------------------------------------------------------------------- */

/* Whether an index can be written at all. */
static inline bool vh_has(const vh_code *c, uint32_t index)
{
    return c->escape != VH_NONE || c->lengths[index >> c->low_bits] != VH_NONE;
}

/* Any index that can be. */
static inline uint16_t vh_random_index(const vh_code *c, uint64_t *seed)
{
    uint32_t index = (uint32_t)(unit_random(seed) % c->n_levels);
    while (!vh_has(c, index))
        index = (index + 1) % c->n_levels;
    return (uint16_t)index;
}

static inline size_t vh_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline bytes vh_stream(const vh_code *c, const uint16_t *indices, size_t n,
                              unsigned n_streams, unsigned stream, unsigned escapes_in,
                              uint64_t *seed)
{
    vh_bits b = {{0}, 0};
    for (size_t piece = 0; piece < n; piece += 4096) {
        const size_t m = vh_min(4096, n - piece), q = (m + n_streams - 1) / n_streams;
        for (size_t i = vh_min(m, stream * q); i < vh_min(m, (stream + 1) * q); i++) {
            const uint32_t symbol = (uint32_t)indices[piece + i] >> c->low_bits;
            const bool at_will =
                c->escape != VH_NONE && escapes_in && unit_random(seed) % escapes_in == 0;
            if (c->lengths[symbol] != VH_NONE && !at_will) {
                vh_put_code(&b, c->codes[symbol], c->lengths[symbol]);
                continue;
            }
            vh_put_code(&b, c->escape_code, c->escape);
            vh_put(&b, symbol, c->raw_bits);
        }
    }
    return b.out;
}

/* A block of n indices, all of which the code has; one in escapes_in is escaped without need. */
static inline bytes vh_block(const vh_code *c, const uint16_t *indices, size_t n,
                             unsigned escapes_in, uint64_t *seed)
{
    const unsigned n_streams = n < 8192 ? 1 : 4;
    bytes streams[4], block = {0};
    vh_bits low = {{0}, 0};
    for (unsigned s = 0; s < n_streams; s++)
        streams[s] = vh_stream(c, indices, n, n_streams, s, escapes_in, seed);
    for (unsigned s = 0; s + 1 < n_streams; s++)
        put_varint(&block, streams[s].n);
    for (unsigned s = 0; s < n_streams; s++) {
        bytes_put(&block, streams[s].at, streams[s].n);
        bytes_free(&streams[s]);
    }
    for (size_t i = 0; i < n; i++)
        vh_put(&low, indices[i] & ((1u << c->low_bits) - 1), c->low_bits);
    bytes_put(&block, low.out.at, low.out.n);
    bytes_free(&low.out);
    return block;
}

#endif
