/*
 * Files of quantized tensors with known contents: indices and levels are made up, blocks encoded by
 * the codecs' encoders, the rest built by nq_file.h.
 */
#ifndef NQI_TESTS_NQ_MODEL_H
#define NQI_TESTS_NQ_MODEL_H

#include <math.h>

#include "codec/code_enc.h"
#include "nq_hooks.h"

static inline uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A quantized tensor and what it was made from. */
typedef struct coded {
    shape s;
    unsigned codec;
    size_t n;
    uint32_t n_levels;
    uint16_t *indices;
    float *levels;
} coded;

/* Levels with all kinds of numbers among them. */
static inline float *make_levels(uint32_t n, uint64_t *seed)
{
    static const uint32_t special[] = {0x80000000, 0x7f800000, 0xff800000, 0x7fc12345, 0xff812345,
                                       0x477fefff, 0x477ff000, 0x33000000, 0x33000001, 0x00000001,
                                       0x387fffff, 0x7f7fffff, 0x3f808000, 0x3f818000};
    float *levels = malloc(n * sizeof *levels);
    for (uint32_t i = 0; i < n; i++)
        levels[i] = n > 20 && i < 14 ? bits_float(special[i])
                                     : (float)ldexp(unit_random_real(seed), (int)(i % 40) - 30);
    return levels;
}

/* Indices of which small ones are frequent. */
static inline uint16_t *make_indices(size_t n, uint32_t n_levels, uint64_t *seed)
{
    uint16_t *indices = malloc((n ? n : 1) * sizeof *indices);
    for (size_t i = 0; i < n; i++) {
        const uint32_t below = 1 + (uint32_t)(unit_random(seed) % n_levels);
        indices[i] = (uint16_t)(unit_random(seed) % below);
    }
    return indices;
}

static inline nqi_encoder *make_encoder(const coded *t)
{
    const nqi_allocator a = nqi_allocator_default();
    uint64_t *counts = calloc(t->n_levels, sizeof *counts);
    nqi_encoder *encoder;
    for (size_t i = 0; i < t->n; i++)
        counts[t->indices[i]]++;
    assert_int_equal(nqi_encoder_create(&encoder, &a, t->codec, t->n_levels, 0,
                                        t->codec == NQ_CODEC_FIXED ? NULL : counts, 0, 0),
                     NQ_OK);
    free(counts);
    return encoder;
}

static inline bytes encode_block(const nqi_encoder *encoder, const uint16_t *indices, size_t n)
{
    const uint64_t bound = nqi_encoder_bound(encoder, n);
    bytes block = {.at = malloc((size_t)bound + 1), .capacity = (size_t)bound + 1};
    assert_int_equal(nqi_encoder_encode(encoder, block.at, (size_t)bound, &block.n, indices, n),
                     NQ_OK);
    return block;
}

/* Adds the tensor and tables of its own to the file. */
static inline void add_coded(nq_file *f, const coded *t)
{
    const size_t in_block = (size_t)1 << t->s.block_log2;
    const size_t n_blocks = (t->n + in_block - 1) / in_block;
    bytes *blocks = calloc(n_blocks + 1, sizeof *blocks);
    nqi_encoder *encoder = make_encoder(t);
    size_t table_bytes;
    const uint8_t *table = nqi_encoder_table(encoder, &table_bytes);
    for (size_t i = 0; i < n_blocks; i++)
        blocks[i] = encode_block(encoder, t->indices + i * in_block,
                                 i + 1 < n_blocks ? in_block : t->n - i * in_block);
    const uint32_t book = file_codebook_f32(f, t->levels, t->n_levels);
    const uint32_t code =
        t->codec == NQ_CODEC_FIXED ? UINT32_MAX : file_code_table(f, t->codec, table, table_bytes);
    file_quantized(f, &t->s, t->codec, book, code, blocks, n_blocks);
    for (size_t i = 0; i < n_blocks; i++)
        bytes_free(&blocks[i]);
    free(blocks);
    nqi_encoder_destroy(encoder);
}

static inline coded make_coded(const char *name, unsigned dtype, unsigned codec, size_t n,
                               uint32_t n_levels, unsigned block_log2, uint64_t seed)
{
    return (coded){.s = {name, dtype, 1, {n}, block_log2},
                   .codec = codec,
                   .n = n,
                   .n_levels = n_levels,
                   .indices = make_indices(n, n_levels, &seed),
                   .levels = make_levels(n_levels, &seed)};
}

static inline void free_coded(coded *t)
{
    free(t->indices);
    free(t->levels);
}

/* Many blocks, blocks of several pieces, a block that is not full, levels of one to all bits. */
enum { N_CODED = 10, N_LARGEST = 70000 };

static inline void make_all_coded(coded t[N_CODED])
{
    t[0] = make_coded("a", NQ_F32, NQ_CODEC_FIXED, 1000, 5, 6, 1);
    t[1] = make_coded("b", NQ_F16, NQ_CODEC_HUFFMAN, 40000, 30, 14, 2);
    t[2] = make_coded("c", NQ_BF16, NQ_CODEC_FIXED, 777, 1, 8, 3);
    t[3] = make_coded("d", NQ_F32, NQ_CODEC_HUFFMAN, 12345, 300, 12, 4);
    t[4] = make_coded("e", NQ_F32, NQ_CODEC_FIXED, 70000, 65536, 16, 5);
    t[5] = make_coded("f", NQ_F32, NQ_CODEC_HUFFMAN, 1, 2, 24, 6);
    t[6] = make_coded("g", NQ_F16, NQ_CODEC_FIXED, 0, 3, 6, 7);
    t[7] = make_coded("h", NQ_F32, NQ_CODEC_HUFFMAN, 20000, 1, 13, 8);
    t[8] = make_coded("i", NQ_F32, NQ_CODEC_HUFFMAN, 9000, 65536, 13, 9);
    t[9] = make_coded("j", NQ_BF16, NQ_CODEC_HUFFMAN, 5000, 30, 18, 10);
}

typedef struct model {
    coded t[N_CODED];
    bytes file;
} model;

static inline model make_model(void)
{
    model m;
    nq_file f = {.size_width = 4};
    make_all_coded(m.t);
    for (unsigned i = 0; i < N_CODED; i++)
        add_coded(&f, &m.t[i]);
    m.file = file_build(&f);
    file_free(&f);
    return m;
}

static inline void free_model(model *m)
{
    for (unsigned i = 0; i < N_CODED; i++)
        free_coded(&m->t[i]);
    bytes_free(&m->file);
}

static inline nq_reader *open_behind(behind *b, const nq_ctx *ctx)
{
    const nq_source source = source_behind(b);
    nq_reader *r;
    assert_int_equal(nq_reader_open_source(&r, ctx, &source, NULL), NQ_OK);
    return r;
}

static inline nq_reader *open_span(const bytes *file)
{
    nq_reader *r;
    assert_int_equal(nq_reader_open(&r, NULL, file->at, file->n, NULL), NQ_OK);
    return r;
}

static inline nq_decoder *make_decoder(const nq_reader *r, uint64_t tensor, uint32_t flags)
{
    nq_decoder_options options;
    nq_decoder *d;
    nq_decoder_options_init(&options);
    options.flags = flags;
    assert_int_equal(nq_decoder_create(&d, NULL, r, tensor, &options, NULL), NQ_OK);
    return d;
}

static inline nq_ctx *make_ctx(uint32_t n_threads, bool backwards)
{
    static uint32_t n_workers;
    nq_ctx_options options;
    nq_ctx *ctx;
    nq_ctx_options_init(&options);
    n_workers = n_threads;
    if (backwards) {
        options.parallel_for = run_backwards;
        options.parallel_user = &n_workers;
        options.max_workers = n_threads;
    } else {
        options.n_threads = HAVE_THREADS ? n_threads : 1;
    }
    assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
    return ctx;
}

static inline nq_ctx *make_counting_ctx(counting *c, uint32_t *n_workers)
{
    nq_ctx_options options;
    nq_ctx *ctx;
    nq_ctx_options_init(&options);
    options.alloc = count_alloc;
    options.free = count_free;
    options.alloc_user = c;
    options.parallel_for = run_backwards;
    options.parallel_user = n_workers;
    options.max_workers = *n_workers;
    assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
    return ctx;
}

#endif
