/*
 * Legal codes of every codec, and legal files, at random from a seed: what random bytes hardly ever
 * form. Written from docs/format with no code of the library; rANS by the oracle of its unit tests.
 */
#ifndef NQI_TESTS_VALID_H
#define NQI_TESTS_VALID_H

#include <math.h>

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
    c->gaps =
        vh_random(2 + (uint32_t)(unit_random(seed) % (unit_random(seed) % 8 ? 30 : 3000)), seed);
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
    const o_style style = {.lanes_log2 = (unsigned)(unit_random(seed) % 9),
                           .idle = (unsigned)(unit_random(seed) % 16),
                           .busy_in = (unsigned)(unit_random(seed) % 5),
                           .long_form = (unsigned)(unit_random(seed) % 5),
                           .wanders = unit_random(seed) % 2,
                           .seed = unit_random(seed)};
    uint32_t *wide = malloc((n + 1) * sizeof *wide);
    uint8_t *out = malloc(O_MAX_BYTES);
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
    return 1 + (uint32_t)(unit_random(seed) % below[unit_random(seed) % 8]);
}

/* A number of indices, around the sizes where pieces and streams change now and then. */
static inline size_t valid_n_indices(uint64_t *seed)
{
    static const size_t near[] = {0, 64, 4096, 8192, 12288};
    const uint64_t kind = unit_random(seed) % 8;
    if (kind < 6)
        return unit_random(seed) % (kind == 0 ? 5000 : 300);
    return near[unit_random(seed) % 5] + unit_random(seed) % 3;
}

/* ---- Files --------------------------------------------------------------------------------- */

enum { VALID_MAX_TENSORS = 4 };

typedef struct valid_tensor {
    uint32_t dtype;
    uint32_t codec; /* NQ_CODEC_STORED: `raw`; others: */
    size_t n;
    uint16_t *indices;
    float *levels; /* owned by the file's codebooks */
    uint32_t n_levels;
    bytes raw;
} valid_tensor;

typedef struct valid_file {
    bytes file;
    uint32_t n_tensors;
    uint32_t n_metadata;
    valid_tensor t[VALID_MAX_TENSORS];
} valid_file;

static inline void valid_file_free(valid_file *v)
{
    for (uint32_t i = 0; i < v->n_tensors; i++) {
        free(v->t[i].indices);
        free(v->t[i].levels);
        bytes_free(&v->t[i].raw);
    }
    bytes_free(&v->file);
}

/* A later writer's fields behind those of a record, now and then. */
static inline void valid_put_later(bytes *body, uint64_t *seed)
{
    for (uint64_t n = unit_random(seed) % 8 == 0 ? unit_random(seed) % 9 : 0; n > 0; n--)
        put_u(body, unit_random(seed) % 256, 1);
}

static inline float valid_half_value(uint32_t half)
{
    const int exponent = (int)(half >> 10 & 31);
    const float size = exponent ? ldexpf((float)(1024 + (half & 1023)), exponent - 25)
                                : ldexpf((float)(half & 1023), -24);
    return half >> 15 ? -size : size;
}

/* Levels in one of the three ways they are stored in, and what they are. */
static inline uint32_t valid_put_codebook(nq_file *f, float *levels, uint32_t n, uint64_t *seed)
{
    const unsigned kind = 1 + (unsigned)(unit_random(seed) % 3);
    const double step = kind == 3 ? ldexp(1 + unit_random_real(seed) / 2, -5) : 0;
    bytes data = {0};
    if (kind == 3) {
        int64_t cell = (int64_t)(unit_random(seed) % 40) - 20;
        for (uint32_t i = 0; i < n;) {
            const uint64_t run = 1 + unit_random(seed) % vh_min(n - i, 9);
            const uint64_t gap = unit_random(seed) % 5;
            if (i == 0)
                put_varint(&data, cell < 0 ? (uint64_t)(-2 * cell - 1) : (uint64_t)(2 * cell));
            else
                put_varint(&data, gap);
            cell += i == 0 ? 0 : (int64_t)gap + 1;
            put_varint(&data, run - 1);
            for (uint64_t k = 0; k < run; k++)
                levels[i++] = (float)(step * (double)cell++);
        }
    }
    for (uint32_t i = 0; kind == 1 && i < n; i++) {
        const uint32_t bits = (uint32_t)unit_random(seed);
        memcpy(&levels[i], &bits, sizeof bits);
        put_u(&data, bits, 4);
    }
    for (uint32_t i = 0; kind == 2 && i < n; i++) {
        const uint32_t half = (uint32_t)(unit_random(seed) % 0x7c00) | (uint32_t)(i % 2) << 15;
        levels[i] = valid_half_value(half);
        put_u(&data, half, 2);
    }
    bytes body = begin_table(f, data.at, data.n, kind);
    put_u(&body, unit_random(seed) % 4, 1); /* methods and rules that are not known are fine */
    put_u(&body, unit_random(seed) % 4, 1);
    put_u(&body, step != 0, 1);
    put_varint(&body, n);
    if (step != 0)
        put_f64(&body, step);
    valid_put_later(&body, seed);
    bytes_free(&data);
    return end_table(f, &body);
}

/* Dimensions whose product is n. */
static inline void valid_shape(shape *s, size_t n, uint64_t *seed)
{
    s->rank = 0;
    if (n == 1 && unit_random(seed) % 2)
        return;
    for (size_t divisor = 2; divisor < 7 && s->rank < 5; divisor++)
        if (n > 0 && n % divisor == 0 && unit_random(seed) % 2) {
            s->dims[s->rank++] = divisor;
            n /= divisor;
        }
    s->dims[s->rank++] = n;
}

static inline void valid_put_quantized(nq_file *f, valid_tensor *t, const char *name,
                                       uint64_t *seed)
{
    shape s = {
        .name = name, .dtype = t->dtype, .block_log2 = 6 + (unsigned)(unit_random(seed) % 19)};
    t->n_levels = valid_n_levels(seed);
    t->n = valid_n_indices(seed);
    t->indices = malloc((t->n + 1) * sizeof *t->indices);
    t->levels = malloc(t->n_levels * sizeof *t->levels);
    valid_code code = valid_code_make(t->codec, t->n_levels, seed);
    const uint32_t book = valid_put_codebook(f, t->levels, t->n_levels, seed);
    const uint32_t table = t->codec == NQ_CODEC_FIXED
                               ? UINT32_MAX
                               : file_code_table(f, t->codec, code.table.at, code.table.n);
    const size_t in_block = (size_t)1 << s.block_log2;
    const size_t n_blocks = (t->n + in_block - 1) / in_block;
    bytes *blocks = calloc(n_blocks + 1, sizeof *blocks);
    for (size_t i = 0; i < n_blocks; i++)
        blocks[i] = valid_block(&code, t->indices + i * in_block,
                                vh_min(in_block, t->n - i * in_block), seed);
    valid_shape(&s, t->n, seed);
    file_quantized(f, &s, t->codec, book, table, blocks, n_blocks);
    for (size_t i = 0; i < n_blocks; i++)
        bytes_free(&blocks[i]);
    free(blocks);
    valid_code_free(&code);
}

static inline void valid_put_stored(nq_file *f, valid_tensor *t, const char *name, uint64_t *seed)
{
    shape s = {
        .name = name, .dtype = t->dtype, .block_log2 = 6 + (unsigned)(unit_random(seed) % 19)};
    t->n = unit_random(seed) % 100 * 4; /* four of any type are whole bytes */
    for (size_t i = t->n * nq_dtype_bits(t->dtype) / 8; i > 0; i--)
        put_u(&t->raw, unit_random(seed) % 256, 1);
    valid_shape(&s, t->n, seed);
    file_stored(f, &s, t->raw.at, t->raw.n);
}

static inline valid_file valid_file_make(uint64_t *seed)
{
    static const char *const names[] = {"a", "layer.weight", "", "\xc3\xa9"};
    nq_file f = {.size_width = 3 + (unsigned)(unit_random(seed) % 6),
                 .original_bytes = unit_random(seed)};
    valid_file v = {.n_tensors = (uint32_t)(unit_random(seed) % (VALID_MAX_TENSORS + 1)),
                    .n_metadata = (uint32_t)(unit_random(seed) % 3)};
    for (uint32_t i = 0; i < v.n_metadata; i++)
        file_metadata(&f, "format", i ? "" : "pt");
    for (uint32_t i = 0; i < v.n_tensors; i++) {
        v.t[i].codec = (uint32_t)(unit_random(seed) % 5);
        v.t[i].dtype = (uint32_t)(unit_random(seed) % (v.t[i].codec ? 3 : NQ_DTYPE_COUNT));
        if (v.t[i].codec == NQ_CODEC_STORED)
            valid_put_stored(&f, &v.t[i], names[i], seed);
        else
            valid_put_quantized(&f, &v.t[i], names[i], seed);
    }
    if (unit_random(seed) % 4 == 0)
        file_code_table(&f, NQ_CODEC_HUFFMAN, "unused", 6);
    v.file = file_build(&f);
    file_free(&f);
    return v;
}

#endif
