/*
 * Legal codes of every codec and blocks of them, at random from a seed: what random bytes hardly
 * ever form. Written from docs/format with no code of the library; rANS by the oracle of its unit
 * tests.
 */
#ifndef NQI_TESTS_VALID_H
#define NQI_TESTS_VALID_H

#include "nq_file.h"
#include "test_rans_oracle.h"
#include "valid_huffman.h"

#include "nq/nq.h"

/* ---- Codes --------------------------------------------------------------------------------- */

typedef struct valid_code {
    uint32_t codec; /* NQ_CODEC_* other than stored */
    uint32_t n_levels;
    bytes table;
    vh_code huffman; /* of indices, or of the values behind gaps */
    vh_code gaps;
    uint32_t zero;
    o_code *rans;
} valid_code;

static inline void valid_code_free(valid_code *c)
{
    bytes_free(&c->table);
    vh_free(&c->huffman);
    vh_free(&c->gaps);
    free(c->rans);
}

static inline void valid_make_gaps(valid_code *c, uint64_t *seed)
{
    c->zero = (uint32_t)(unit_random(seed) % c->n_levels);
    const uint64_t drawn = unit_random(seed);
    c->gaps = vh_random(2 + (uint32_t)(drawn % (unit_random(seed) % 8 ? 30 : 3000)), seed);
    /* Long runs of zeros need the largest gap with the value zero. */
    if (!vh_has(&c->gaps, c->gaps.n_levels - 1) || !vh_has(&c->huffman, c->zero)) {
        vh_free(&c->gaps);
        vh_free(&c->huffman);
        c->huffman = vh_random(c->n_levels, seed);
        valid_make_gaps(c, seed);
        return;
    }
    bytes gaps = vh_table(&c->gaps), values = vh_table(&c->huffman);
    put_varint(&c->table, c->zero);
    put_varint(&c->table, c->gaps.n_levels);
    put_text(&c->table, (const char *)gaps.at, gaps.n);
    bytes_put(&c->table, values.at, values.n);
    bytes_free(&gaps);
    bytes_free(&values);
}

static inline void valid_make_rans(valid_code *c, uint64_t *seed)
{
    const unsigned n_tables = unit_random(seed) % 2 ? 1 : 1 + (unsigned)(unit_random(seed) % 16);
    uint8_t *table = malloc(O_MAX_BYTES);
    c->rans = malloc(sizeof *c->rans);
    o_random_code(c->rans, c->n_levels, n_tables, unit_random(seed) % 3 == 0, seed);
    bytes_put(&c->table, table, o_write_table(table, c->rans));
    free(table);
}

static inline valid_code valid_code_make(uint32_t codec, uint32_t n_levels, uint64_t *seed)
{
    valid_code c = {.codec = codec, .n_levels = n_levels};
    if (codec == NQ_CODEC_RANS) {
        valid_make_rans(&c, seed);
    } else if (codec != NQ_CODEC_FIXED) {
        c.huffman = vh_random(n_levels, seed);
        if (codec == NQ_CODEC_HUFFMAN)
            c.table = vh_table(&c.huffman);
        else
            valid_make_gaps(&c, seed);
    }
    return c;
}

/* ---- Blocks -------------------------------------------------------------------------------- */

static inline bytes valid_fixed_block(const valid_code *c, const uint16_t *indices, size_t n)
{
    vh_bits b = {{0}, 0};
    for (size_t i = 0; i < n; i++)
        vh_put(&b, indices[i], o_log2(c->n_levels));
    return b.out;
}

/* Pairs of at most n indices, drawn; the indices they mean. */
static inline bytes valid_gaps_block(const valid_code *c, uint16_t *indices, size_t n,
                                     uint64_t *seed)
{
    const unsigned escapes_in = (unsigned)(unit_random(seed) % 5);
    uint16_t *gaps = malloc((n + 1) * sizeof *gaps), *values = malloc((n + 1) * sizeof *values);
    bytes block = {0};
    size_t n_pairs = 0, done = 0;
    for (size_t i = 0; i < n; i++)
        indices[i] = (uint16_t)c->zero;
    while (done < n && unit_random(seed) % 50) {
        gaps[n_pairs] = vh_random_index(&c->gaps, seed);
        if (gaps[n_pairs] >= n - done)
            break;
        values[n_pairs] = vh_random_index(&c->huffman, seed);
        done += gaps[n_pairs];
        indices[done++] = values[n_pairs++];
    }
    if (n > 0)
        put_varint(&block, n_pairs);
    if (n_pairs > 0) {
        bytes gap_bytes = vh_block(&c->gaps, gaps, n_pairs, escapes_in, seed);
        bytes value_bytes = vh_block(&c->huffman, values, n_pairs, escapes_in, seed);
        put_text(&block, (const char *)gap_bytes.at, gap_bytes.n);
        bytes_put(&block, value_bytes.at, value_bytes.n);
        bytes_free(&gap_bytes);
        bytes_free(&value_bytes);
    }
    free(gaps);
    free(values);
    return block;
}

static inline bytes valid_rans_block(const valid_code *c, uint16_t *indices, size_t n,
                                     uint64_t *seed)
{
    o_style style = {.lanes_log2 = (unsigned)(unit_random(seed) % 9)};
    style.idle = (unsigned)(unit_random(seed) % 16);
    style.busy_in = (unsigned)(unit_random(seed) % 5);
    style.long_form = (unsigned)(unit_random(seed) % 5);
    style.wanders = unit_random(seed) % 2;
    style.seed = unit_random(seed);
    uint32_t *wide = calloc(n + 1, sizeof *wide);
    uint8_t *out = calloc(O_MAX_BYTES, 1);
    bytes block = {0};
    o_random_indices(wide, n, c->rans, seed);
    bytes_put(&block, out, o_encode_block(out, c->rans, wide, n, &style));
    for (size_t i = 0; i < n; i++)
        indices[i] = (uint16_t)wide[i];
    free(wide);
    free(out);
    return block;
}

/* Draws n indices (at most 40,000) and encodes them as a block. */
static inline bytes valid_block(const valid_code *c, uint16_t *indices, size_t n, uint64_t *seed)
{
    switch (c->codec) {
    case NQ_CODEC_FIXED:
        for (size_t i = 0; i < n; i++)
            indices[i] = (uint16_t)(unit_random(seed) % c->n_levels);
        return valid_fixed_block(c, indices, n);
    case NQ_CODEC_HUFFMAN:
        for (size_t i = 0; i < n; i++)
            indices[i] = vh_random_index(&c->huffman, seed);
        return vh_block(&c->huffman, indices, n, (unsigned)(unit_random(seed) % 5), seed);
    case NQ_CODEC_RANS:
        return valid_rans_block(c, indices, n, seed);
    default:
        return valid_gaps_block(c, indices, n, seed);
    }
}

/* A number of levels, small ones mostly. */
static inline uint32_t valid_n_levels(uint64_t *seed)
{
    static const uint32_t below[] = {3, 20, 20, 40, 300, 300, 3000, 65536};
    const uint64_t drawn = unit_random(seed);
    return 1 + (uint32_t)(drawn % below[unit_random(seed) % 8]);
}

/* A number of indices, around the sizes where pieces and streams change now and then. */
static inline size_t valid_n_indices(uint64_t *seed)
{
    static const size_t near[] = {0, 64, 4096, 8192, 12288};
    const uint64_t kind = unit_random(seed) % 8;
    if (kind < 6)
        return unit_random(seed) % (kind == 0 ? 5000 : 300);
    const size_t place = near[unit_random(seed) % 5];
    return place + unit_random(seed) % 3;
}

#endif
