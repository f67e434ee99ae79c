/*
 * Legal files at random from a seed: stored tensors, quantized ones with levels of all kinds, for
 * the whole tensor or by channel, and patterns. Written from docs/format/nq-v1.md with no code of
 * the library.
 */
#ifndef NQI_TESTS_VALID_FILE_H
#define NQI_TESTS_VALID_FILE_H

#include <math.h>

#include "valid.h"

enum { VALID_MAX_TENSORS = 4 };

typedef struct valid_channel {
    uint32_t first; /* number that codes use for its first level */
    uint32_t count;
} valid_channel;

typedef struct valid_tensor {
    shape s;
    uint32_t codec;
    size_t n;
    bytes raw; /* elements as they lie in files: of stored tensors, and of patterns; others: */
    uint16_t *indices; /* as codes have them */
    float *levels;     /* of all channels */
    size_t n_stored;
    uint32_t n_levels;
    uint32_t axis;
    valid_channel *channels; /* NULL: none */
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
        free(v->t[i].channels);
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

/* The channel of element i. */
static inline uint64_t valid_channel_of(const valid_tensor *t, size_t i)
{
    uint64_t inner = 1;
    for (uint32_t k = t->axis + 1; k < t->s.rank; k++)
        inner *= t->s.dims[k];
    return i / inner % t->s.dims[t->axis];
}

/* ---- Levels -------------------------------------------------------------------------------- */

static inline float valid_half_value(uint32_t half)
{
    const int exponent = (int)(half >> 10 & 31);
    const float size = exponent ? ldexpf((float)(1024 + (half & 1023)), exponent - 25)
                                : ldexpf((float)(half & 1023), -24);
    return half >> 15 ? -size : size;
}

static inline void valid_put_floats(bytes *data, float *levels, size_t n, unsigned kind,
                                    uint64_t *seed)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)unit_random(seed);
        const uint32_t half = bits % 0x7c00 | (uint32_t)(i % 2) << 15;
        if (kind == 1)
            memcpy(&levels[i], &bits, sizeof bits);
        else
            levels[i] = valid_half_value(half);
        put_u(data, kind == 1 ? bits : half, kind == 1 ? 4 : 2);
    }
}

static inline void valid_put_grid(bytes *data, float *levels, uint32_t n, double step,
                                  uint64_t *seed)
{
    int64_t cell = (int64_t)(unit_random(seed) % 40) - 20;
    for (uint32_t i = 0; i < n;) {
        const uint64_t run = 1 + unit_random(seed) % vh_min(n - i, 9);
        const uint64_t gap = unit_random(seed) % 5;
        if (i == 0)
            put_varint(data, cell < 0 ? (uint64_t)(-2 * cell - 1) : (uint64_t)(2 * cell));
        else
            put_varint(data, gap);
        cell += i == 0 ? 0 : (int64_t)gap + 1;
        put_varint(data, run - 1);
        for (uint64_t k = 0; k < run; k++)
            levels[i++] = (float)(step * (double)cell++);
    }
}

static inline double valid_step(uint64_t *seed)
{
    return ldexp(1 + unit_random_real(seed) / 2, -5);
}

/* How levels are numbered: channels in a row that are alike, together or not. */
static inline void valid_put_numbers(bytes *data, const valid_tensor *t, uint64_t *seed)
{
    const uint64_t n = t->s.dims[t->axis];
    for (uint64_t i = 0, more; i < n; i += more + 1) {
        const valid_channel *c = &t->channels[i];
        more = 0;
        while (i + more + 1 < n && c[more + 1].first == c->first && c[more + 1].count == c->count &&
               unit_random(seed) % 8)
            more++;
        put_varint(data, more);
        put_varint(data, c->first);
        put_varint(data, c->count - 1);
    }
}

static inline void valid_put_grids(bytes *data, valid_tensor *t, double step, uint64_t *seed)
{
    float *levels = t->levels;
    for (uint64_t i = 0; i < t->s.dims[t->axis]; levels += t->channels[i++].count) {
        const double own = step != 0 ? step : valid_step(seed);
        if (step == 0)
            put_f64(data, own);
        valid_put_grid(data, levels, t->channels[i].count, own, seed);
    }
}

/* Levels in one of the three ways they are stored in, and what they are. */
static inline uint32_t valid_put_codebook(nq_file *f, valid_tensor *t, uint64_t *seed)
{
    const unsigned kind = 1 + (unsigned)(unit_random(seed) % 3);
    const double step = kind == 3 && (!t->channels || unit_random(seed) % 2) ? valid_step(seed) : 0;
    bytes data = {0};
    t->levels = malloc(t->n_stored * sizeof *t->levels);
    if (t->channels)
        valid_put_numbers(&data, t, seed);
    if (kind < 3)
        valid_put_floats(&data, t->levels, t->n_stored, kind, seed);
    else if (t->channels)
        valid_put_grids(&data, t, step, seed);
    else
        valid_put_grid(&data, t->levels, t->n_levels, step, seed);
    bytes body = begin_table(f, data.at, data.n, kind);
    put_u(&body, unit_random(seed) % 4, 1); /* methods and rules that are not known are fine */
    put_u(&body, unit_random(seed) % 4, 1);
    put_u(&body, (unsigned)(step != 0) | (t->channels ? 2u : 0), 1);
    put_varint(&body, t->n_levels);
    if (step != 0)
        put_f64(&body, step);
    if (t->channels) {
        put_varint(&body, t->s.dims[t->axis]);
        put_varint(&body, t->n_stored);
    }
    valid_put_later(&body, seed);
    bytes_free(&data);
    return end_table(f, &body);
}

/* ---- Coded tensors ------------------------------------------------------------------------- */

typedef struct valid_blocks {
    bytes *at;
    size_t n;
} valid_blocks;

/* Draws indices and encodes them. */
static inline valid_blocks valid_make_blocks(valid_tensor *t, const valid_code *code,
                                             uint64_t *seed)
{
    const size_t in_block = (size_t)1 << t->s.block_log2;
    valid_blocks b = {.n = (t->n + in_block - 1) / in_block};
    b.at = calloc(b.n + 1, sizeof *b.at);
    t->indices = malloc((t->n + 1) * sizeof *t->indices);
    for (size_t i = 0; i < b.n; i++)
        b.at[i] = valid_block(code, t->indices + i * in_block,
                              vh_min(in_block, t->n - i * in_block), seed);
    return b;
}

/* Puts the tensor into the file, of layout 0, 1 or 2; codebook of 0 and 1. */
static inline void valid_put_coded(nq_file *f, const valid_tensor *t, const valid_code *code,
                                   valid_blocks *b, unsigned layout, uint32_t codebook)
{
    bytes payload = {0};
    uint64_t end = 0;
    for (size_t i = 0; i < b->n; i++)
        put_u(&payload, slow_crc(b->at[i].at, b->at[i].n), 4);
    for (size_t i = 0; i + 1 < b->n; i++)
        put_u(&payload, end += b->at[i].n, 4);
    for (size_t i = 0; i < b->n; i++) {
        bytes_put(&payload, b->at[i].at, b->at[i].n);
        bytes_free(&b->at[i]);
    }
    free(b->at);
    const uint32_t table = t->codec == NQ_CODEC_FIXED
                               ? UINT32_MAX
                               : file_code_table(f, t->codec, code->table.at, code->table.n);
    bytes body = begin_tensor(f, &t->s, payload.n, t->codec);
    put_u(&body, layout, 1);
    if (layout != 2)
        put_varint(&body, codebook);
    put_varint(&body, table == UINT32_MAX ? 0 : (uint64_t)table + 1);
    if (layout == 1)
        put_u(&body, t->axis, 1);
    bytes_put(&f->payloads, payload.at, payload.n);
    bytes_free(&payload);
    end_tensor(f, &body);
}

/* Gives each index of an axis the levels that its elements use, if there are no more of them in
 * all than a file may have. */
static inline void valid_make_channels(valid_tensor *t, uint64_t *seed)
{
    if (t->n == 0 || t->s.rank == 0)
        return;
    t->axis = (uint32_t)(unit_random(seed) % t->s.rank);
    const size_t n = (size_t)t->s.dims[t->axis];
    uint32_t *last = calloc(n, sizeof *last);
    t->channels = malloc(n * sizeof *t->channels);
    for (size_t i = 0; i < n; i++)
        t->channels[i] = (valid_channel){UINT32_MAX, 0};
    for (size_t i = 0; i < t->n; i++) {
        const size_t k = (size_t)valid_channel_of(t, i);
        t->channels[k].first = (uint32_t)vh_min(t->channels[k].first, t->indices[i]);
        last[k] = last[k] > t->indices[i] ? last[k] : t->indices[i];
    }
    size_t n_stored = 0;
    for (size_t i = 0; i < n; i++)
        n_stored += t->channels[i].count = last[i] - t->channels[i].first + 1;
    free(last);
    if (n_stored <= t->n) {
        t->n_stored = n_stored;
        return;
    }
    free(t->channels);
    t->channels = NULL;
}

static inline void valid_put_quantized(nq_file *f, valid_tensor *t, uint64_t *seed)
{
    t->s.dtype = (unsigned)(unit_random(seed) % 3);
    t->n_levels = valid_n_levels(seed);
    t->n = valid_n_indices(seed);
    t->n_stored = t->n_levels;
    valid_shape(&t->s, t->n, seed);
    valid_code code = valid_code_make(t->codec, t->n_levels, seed);
    valid_blocks blocks = valid_make_blocks(t, &code, seed);
    if (unit_random(seed) % 3 == 0)
        valid_make_channels(t, seed);
    const uint32_t book = valid_put_codebook(f, t, seed);
    valid_put_coded(f, t, &code, &blocks, t->channels ? 1 : 0, book);
    valid_code_free(&code);
}

/* ---- Patterns and stored tensors ----------------------------------------------------------- */

/* Turns an index, or for F32 an index and the raw bits below it, back into the bit pattern. */
static inline uint32_t valid_pattern(uint32_t dtype, uint32_t turned)
{
    const unsigned top = nq_dtype_bits(dtype) - 1;
    switch (dtype) {
    case NQ_I8:
    case NQ_I16:
        return turned ^ UINT32_C(1) << top;
    case NQ_F8_E5M2:
    case NQ_F8_E4M3:
    case NQ_F32:
    case NQ_F16:
    case NQ_BF16:
        return turned >> 1 | (turned & 1) << top;
    default:
        return turned;
    }
}

/* Elements of the indices; those of F32 have further bits, which go behind the blocks. */
static inline void valid_put_raw(valid_tensor *t, const valid_blocks *b, uint64_t *seed)
{
    const unsigned width = nq_dtype_bits(t->s.dtype) / 8;
    for (size_t i = 0; i < t->n; i++) {
        uint32_t turned = t->indices[i];
        if (width == 4) {
            const uint32_t low = (uint32_t)(unit_random(seed) % 65536);
            put_u(&b->at[i >> t->s.block_log2], low, 2);
            turned = turned << 16 | low;
        }
        put_u(&t->raw, valid_pattern(t->s.dtype, turned), width);
    }
}

static inline void valid_put_patterns(nq_file *f, valid_tensor *t, uint64_t *seed)
{
    /* Mostly of a byte, whose tables are made faster. */
    static const uint32_t narrow[] = {NQ_BOOL, NQ_U8, NQ_I8, NQ_F8_E5M2, NQ_F8_E4M3, NQ_F8_E8M0};
    static const uint32_t wide[] = {NQ_F32, NQ_F16, NQ_BF16, NQ_U16, NQ_I16};
    const uint64_t drawn = unit_random(seed);
    t->s.dtype = drawn % 5 ? narrow[drawn / 5 % 6] : wide[drawn / 5 % 5];
    t->n = valid_n_indices(seed);
    valid_shape(&t->s, t->n, seed);
    valid_code code = valid_code_make(t->codec, nq_dtype_bits(t->s.dtype) == 8 ? 256 : 65536, seed);
    valid_blocks blocks = valid_make_blocks(t, &code, seed);
    valid_put_raw(t, &blocks, seed);
    valid_put_coded(f, t, &code, &blocks, 2, 0);
    valid_code_free(&code);
}

static inline void valid_put_stored(nq_file *f, valid_tensor *t, uint64_t *seed)
{
    t->s.dtype = (unsigned)(unit_random(seed) % NQ_DTYPE_COUNT);
    t->n = unit_random(seed) % 100 * 4; /* four of any type are whole bytes */
    for (size_t i = t->n * nq_dtype_bits(t->s.dtype) / 8; i > 0; i--)
        put_u(&t->raw, unit_random(seed) % 256, 1);
    valid_shape(&t->s, t->n, seed);
    file_stored(f, &t->s, t->raw.at, t->raw.n);
}

/* ---- Files --------------------------------------------------------------------------------- */

static inline valid_file valid_file_make(uint64_t *seed)
{
    static const char *const names[] = {"a", "layer.weight", "", "\xc3\xa9"};
    nq_file f = {.size_width = 3 + (unsigned)(unit_random(seed) % 6)};
    f.original_bytes = unit_random(seed);
    valid_file v = {.n_tensors = (uint32_t)(unit_random(seed) % (VALID_MAX_TENSORS + 1))};
    v.n_metadata = (uint32_t)(unit_random(seed) % 3);
    for (uint32_t i = 0; i < v.n_metadata; i++)
        file_metadata(&f, "format", i ? "" : "pt");
    for (uint32_t i = 0; i < v.n_tensors; i++) {
        valid_tensor *t = &v.t[i];
        t->codec = (uint32_t)(unit_random(seed) % 5);
        t->s.name = names[i];
        t->s.block_log2 = 6 + (unsigned)(unit_random(seed) % 19);
        if (t->codec == NQ_CODEC_STORED)
            valid_put_stored(&f, t, seed);
        else if (unit_random(seed) % 4 == 0)
            valid_put_patterns(&f, t, seed);
        else
            valid_put_quantized(&f, t, seed);
    }
    if (unit_random(seed) % 4 == 0)
        file_code_table(&f, NQ_CODEC_HUFFMAN, "unused", 6);
    v.file = file_build(&f);
    file_free(&f);
    return v;
}

#endif
