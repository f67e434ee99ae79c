/*
 * Makes .nq files of every kind through the writer and the encoders, and tells what the library
 * reads in a file, for tests/format/test_format.py to hold against the decoder in Python.
 *
 *     make_file example FILE      the worked example of docs/format/nq-v1.md
 *     make_file cases             the names of the other files that can be made
 *     make_file case NAME FILE
 *     make_file dump FILE FOLDER  what the library decodes: NUMBER.indices, .levels, .f32, .own,
 * ... make_file status            reads files from standard input, each with four bytes of length
 * in front; prints what opening and verifying each tensor return
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/checksum.h"
#include "codec/code_enc.h"
#include "codec/rans_enc.h"
#include "codec/rans_fit.h"
#include "container/writer.h"
#include "nq/nq.h"

static void die(const char *what, nq_status status)
{
    fprintf(stderr, "make_file: %s: %s\n", what, nq_status_name(status));
    exit(2);
}

static void must(const char *what, nq_status status)
{
    if (status != NQ_OK)
        die(what, status);
}

static void *get(size_t n, size_t size)
{
    void *memory = calloc(n ? n : 1, size);
    if (!memory)
        die("memory", NQ_E_NOMEM);
    return memory;
}

static FILE *open_file(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (!file)
        die(path, NQ_E_IO);
    return file;
}

static nq_status write_at(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    FILE *file = user;
    return fseek(file, (long)offset, SEEK_SET) == 0 && fwrite(bytes, 1, n_bytes, file) == n_bytes
               ? NQ_OK
               : NQ_E_IO;
}

static nqi_writer *start(FILE *file, uint64_t original_bytes)
{
    const nqi_allocator a = nqi_allocator_default();
    const nq_sink sink = {.struct_size = sizeof sink, .write = write_at, .user = file};
    nqi_writer *w;
    must("writer", nqi_writer_create(&w, &a, &sink, original_bytes));
    return w;
}

static void finish(nqi_writer *w, FILE *file)
{
    must("finish", nqi_writer_finish(w));
    nqi_writer_destroy(w);
    if (fclose(file) != 0)
        die("closing", NQ_E_IO);
}

/* ---- Quantized tensors --------------------------------------------------------------------- */

/* Encodes all blocks, with raw_bytes of anything behind them for each element; a pass without a
 * writer only adds their sizes up. */
static uint64_t put_blocks(nqi_writer *w, const nqi_encoder *encoder, const uint16_t *indices,
                           size_t n, uint32_t block_log2, size_t raw_bytes)
{
    uint64_t total = 0;
    for (size_t at = 0; at < n; at += (size_t)1 << block_log2) {
        const size_t left = n - at, most = (size_t)1 << block_log2;
        const size_t now = left < most ? left : most;
        const size_t bound = (size_t)nqi_encoder_bound(encoder, now);
        uint8_t *block = get(bound + now * raw_bytes, 1);
        size_t n_bytes;
        must("encode", nqi_encoder_encode(encoder, block, bound, &n_bytes, indices + at, now));
        for (size_t i = 0; i < now * raw_bytes; i++)
            block[n_bytes++] = (uint8_t)((at + i) * 167 >> 3);
        if (w)
            must("block", nqi_writer_block(w, block, n_bytes, nqi_crc32c(0, block, n_bytes)));
        total += n_bytes;
        free(block);
    }
    return total;
}

static nqi_encoder *make_encoder(uint32_t codec, uint32_t n_levels, const uint16_t *indices,
                                 size_t n, uint32_t flags)
{
    const nqi_allocator a = nqi_allocator_default();
    uint64_t *counts = get(n_levels, sizeof *counts);
    nqi_encoder *encoder;
    for (size_t i = 0; i < n; i++)
        counts[indices[i]]++;
    must("encoder", nqi_encoder_create(&encoder, &a, codec, n_levels, 0,
                                       codec == NQ_CODEC_FIXED ? NULL : counts, flags, 0));
    free(counts);
    return encoder;
}

static uint32_t add_table(nqi_writer *w, uint32_t codec, const nqi_encoder *encoder)
{
    size_t n_bytes;
    const uint8_t *table = nqi_encoder_table(encoder, &n_bytes);
    uint32_t id = NQ_NO_ID;
    if (codec != NQ_CODEC_FIXED)
        must("table", nqi_writer_add_table(&id, w, codec, table, n_bytes));
    return id;
}

/* ---- The example --------------------------------------------------------------------------- */

static void make_example(const char *path)
{
    static const uint16_t w_indices[32] = {1, 1, 0, 1, 2, 1, 1, 1, 0, 1, 1, 3, 1, 1, 1, 0,
                                           1, 1, 1, 1, 2, 1, 0, 1, 1, 1, 1, 0, 1, 2, 1, 0};
    static const uint16_t b_indices[] = {0, 4, 2, 1, 3};
    static const int64_t cells[] = {-1, 0, 1, 3};
    static const float levels[] = {-1, -0.25f, 0, 0.25f, 1};
    static const uint64_t w_dims[] = {4, 8}, b_dims[] = {5};
    const int64_t steps = 1000;
    FILE *file = open_file(path, "wb");
    nqi_writer *w = start(file, 250);
    nqi_encoder *w_code = make_encoder(NQ_CODEC_HUFFMAN, 4, w_indices, 32, NQI_ENCODER_EXACT);
    nqi_encoder *b_code = make_encoder(NQ_CODEC_FIXED, 5, b_indices, 5, 0);
    const nqi_codebook_desc grid = {.storage = NQ_LEVELS_GRID,
                                    .method = NQ_METHOD_UNIFORM,
                                    .level_rule = NQ_LEVEL_GRID,
                                    .n_levels = 4,
                                    .step = 0.5,
                                    .cells = cells};
    const nqi_codebook_desc halves = {.storage = NQ_LEVELS_F16,
                                      .method = NQ_METHOD_KMEANS,
                                      .level_rule = NQ_LEVEL_WEIGHTED,
                                      .n_levels = 5,
                                      .levels = levels};
    nqi_tensor_desc w_desc = {.name = "w",
                              .name_bytes = 1,
                              .dtype = NQ_F32,
                              .rank = 2,
                              .dims = w_dims,
                              .codec = NQ_CODEC_HUFFMAN,
                              .block_log2 = 18};
    nqi_tensor_desc b_desc = {.name = "b",
                              .name_bytes = 1,
                              .dtype = NQ_F16,
                              .rank = 1,
                              .dims = b_dims,
                              .codec = NQ_CODEC_FIXED,
                              .block_log2 = 18};
    const nqi_tensor_desc s_desc = {.name = "steps",
                                    .name_bytes = 5,
                                    .dtype = NQ_I64,
                                    .codec = NQ_CODEC_STORED,
                                    .block_log2 = NQI_BLOCK_LOG2_STORED,
                                    .codebook = NQ_NO_ID,
                                    .table = NQ_NO_ID};
    must("metadata", nqi_writer_add_metadata(w, "format", 6, "pt", 2));
    must("grid", nqi_writer_add_codebook(&w_desc.codebook, w, &grid));
    w_desc.table = add_table(w, NQ_CODEC_HUFFMAN, w_code);
    must("halves", nqi_writer_add_codebook(&b_desc.codebook, w, &halves));
    b_desc.table = NQ_NO_ID;
    w_desc.max_block_bytes = put_blocks(NULL, w_code, w_indices, 32, 18, 0);
    b_desc.max_block_bytes = put_blocks(NULL, b_code, b_indices, 5, 18, 0);
    must("w", nqi_writer_add_tensor(w, &w_desc));
    must("b", nqi_writer_add_tensor(w, &b_desc));
    must("steps", nqi_writer_add_tensor(w, &s_desc));
    must("begin", nqi_writer_begin(w));
    put_blocks(w, w_code, w_indices, 32, 18, 0);
    put_blocks(w, b_code, b_indices, 5, 18, 0);
    must("stored", nqi_writer_stored(w, &steps));
    nqi_encoder_destroy(w_code);
    nqi_encoder_destroy(b_code);
    finish(w, file);
}

/* ---- Cases --------------------------------------------------------------------------------- */

/* What the indices of a tensor are like. */
enum { EVEN, SKEWED, ONE_VALUE, ESCAPES, NEARLY_ZERO, LONG_CODES, IN_TURN };

typedef struct spec {
    uint32_t dtype;
    uint32_t codec; /* NQ_CODEC_STORED: what follows rank does not count */
    uint32_t block_log2;
    uint32_t rank;
    uint64_t dims[NQ_MAX_RANK];
    uint32_t n_levels;
    uint32_t storage; /* PATTERNS: without a codebook */
    uint32_t kind;    /* plus CHANNELS of an axis */
} spec;

enum { PATTERNS = 0 };

/* Levels by channel, the indices of an axis; without it all elements have the same. */
#define CHANNELS(axis) (8u * (1 + (axis)))

static uint32_t likeness(const spec *s)
{
    return s->kind % 8;
}

/* 1 + the axis that has channels; 0: none. */
static uint32_t channels_end(const spec *s)
{
    return s->kind / 8;
}

typedef struct named_case {
    const char *name;
    const spec *specs;
    size_t n_specs;
} named_case;

#define S NQ_CODEC_STORED
#define F NQ_CODEC_FIXED
#define H NQ_CODEC_HUFFMAN
#define R NQ_CODEC_RANS
#define G NQ_CODEC_HUFFMAN_GAPS

static const spec widths[] = {
    {NQ_F32, F, 10, 1, {3000}, 1, NQ_LEVELS_F32, EVEN},
    {NQ_F32, F, 10, 1, {3000}, 2, NQ_LEVELS_F32, EVEN},
    {NQ_F32, F, 10, 1, {3000}, 3, NQ_LEVELS_F32, EVEN},
    {NQ_F32, F, 10, 1, {3001}, 16, NQ_LEVELS_F16, EVEN},
    {NQ_F32, F, 6, 1, {3001}, 17, NQ_LEVELS_F16, EVEN},
    {NQ_F16, F, 12, 1, {4097}, 255, NQ_LEVELS_F32, EVEN},
    {NQ_BF16, F, 10, 1, {3001}, 257, NQ_LEVELS_F32, EVEN},
    {NQ_F32, F, 16, 1, {70001}, 65536, NQ_LEVELS_F32, EVEN},
};

static const spec huffman[] = {
    {NQ_F32, H, 10, 1, {3000}, 1, NQ_LEVELS_F32, EVEN},
    {NQ_F32, H, 10, 1, {3000}, 2, NQ_LEVELS_GRID, SKEWED},
    {NQ_F32, H, 6, 1, {3000}, 3, NQ_LEVELS_GRID, SKEWED},
    {NQ_F32, H, 10, 1, {3000}, 300, NQ_LEVELS_F32, ONE_VALUE},
    {NQ_F32, H, 18, 2, {200, 300}, 41, NQ_LEVELS_GRID, SKEWED},
    {NQ_F16, H, 13, 1, {50000}, 256, NQ_LEVELS_F16, SKEWED},
    {NQ_BF16, H, 14, 1, {50001}, 257, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, H, 12, 1, {20000}, 1000, NQ_LEVELS_GRID, EVEN},
    {NQ_F32, H, 16, 1, {70001}, 65536, NQ_LEVELS_F32, EVEN},
    {NQ_F32, H, 16, 1, {70000}, 65536, NQ_LEVELS_GRID, SKEWED},
    {NQ_F32, H, 15, 1, {32768}, 20, NQ_LEVELS_F32, NEARLY_ZERO},
};

static const spec escapes[] = {
    {NQ_F32, H, 10, 1, {3000}, 5, NQ_LEVELS_F32, ESCAPES},
    {NQ_F32, H, 13, 1, {30000}, 200, NQ_LEVELS_F32, ESCAPES},
    {NQ_F32, H, 14, 1, {40000}, 5000, NQ_LEVELS_GRID, ESCAPES},
    {NQ_F32, H, 16, 1, {70000}, 65536, NQ_LEVELS_F32, ESCAPES},
};

/* Codewords of all lengths up to the longest. */
static const spec long_codes[] = {
    {NQ_F32, H, 18, 1, {9000}, 60, NQ_LEVELS_F32, LONG_CODES},
    {NQ_F32, H, 12, 1, {9000}, 300, NQ_LEVELS_GRID, LONG_CODES},
};

/* Of one table and of several, dense and of gaps, with escapes and low bits. */
static const spec rans[] = {
    {NQ_F32, R, 10, 1, {3000}, 1, NQ_LEVELS_F32, EVEN},
    {NQ_F32, R, 10, 1, {3000}, 2, NQ_LEVELS_GRID, SKEWED},
    {NQ_F32, R, 10, 1, {3000}, 300, NQ_LEVELS_F32, ONE_VALUE},
    {NQ_F32, R, 18, 2, {200, 300}, 41, NQ_LEVELS_GRID, SKEWED},
    {NQ_F16, R, 13, 1, {50000}, 256, NQ_LEVELS_F16, SKEWED},
    {NQ_BF16, R, 14, 1, {50001}, 257, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, R, 12, 1, {20000}, 1000, NQ_LEVELS_GRID, EVEN},
    {NQ_F32, R, 16, 1, {70001}, 65536, NQ_LEVELS_F32, EVEN},
    {NQ_F32, R, 15, 1, {40000}, 20, NQ_LEVELS_F32, NEARLY_ZERO},
    {NQ_F32, R, 18, 1, {200000}, 3000, NQ_LEVELS_F32, NEARLY_ZERO},
    {NQ_F32, R, 14, 1, {40000}, 5000, NQ_LEVELS_GRID, ESCAPES},
    {NQ_F32, R, 18, 1, {100000}, 60, NQ_LEVELS_GRID, IN_TURN},
    {NQ_F32, R, 14, 1, {50003}, 200, NQ_LEVELS_F32, IN_TURN},
    {NQ_F32, R, 18, 0, {0}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, R, 18, 1, {4097}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, R, 6, 1, {0}, 9, NQ_LEVELS_F32, SKEWED},
};

static const spec gaps[] = {
    {NQ_F32, G, 10, 1, {3000}, 1, NQ_LEVELS_F32, EVEN},
    {NQ_F32, G, 10, 1, {3000}, 2, NQ_LEVELS_GRID, SKEWED},
    {NQ_F32, G, 10, 1, {3000}, 300, NQ_LEVELS_F32, ONE_VALUE},
    {NQ_F16, G, 18, 2, {200, 300}, 41, NQ_LEVELS_GRID, SKEWED},
    {NQ_BF16, G, 15, 1, {50000}, 20, NQ_LEVELS_F32, NEARLY_ZERO},
    {NQ_F32, G, 18, 1, {200000}, 3000, NQ_LEVELS_F32, NEARLY_ZERO},
    {NQ_F32, G, 14, 1, {40000}, 5000, NQ_LEVELS_GRID, ESCAPES},
    {NQ_F32, G, 18, 0, {0}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, G, 6, 1, {0}, 9, NQ_LEVELS_F32, SKEWED},
};

/* As the next one, for this codec. */
static const spec small_gaps[] = {
    {NQ_F32, G, 9, 1, {512}, 30, NQ_LEVELS_GRID, NEARLY_ZERO},
    {NQ_F32, G, 7, 1, {250}, 12, NQ_LEVELS_GRID, SKEWED},
    {NQ_F32, G, 7, 1, {200}, 3, NQ_LEVELS_GRID, ONE_VALUE},
};

/* As the next one, for this codec. */
static const spec small_rans[] = {
    {NQ_F32, R, 7, 1, {250}, 12, NQ_LEVELS_GRID, SKEWED},
    {NQ_F32, R, 7, 1, {200}, 60, NQ_LEVELS_GRID, ESCAPES},
    {NQ_F32, R, 9, 1, {512}, 30, NQ_LEVELS_GRID, NEARLY_ZERO},
    {NQ_F32, R, 9, 1, {900}, 60, NQ_LEVELS_GRID, IN_TURN},
    {NQ_BF16, R, 7, 1, {100}, 3000, NQ_LEVELS_GRID, SKEWED},
};

/* So small that very many damaged ones can be tried. */
static const spec small[] = {
    {NQ_F32, H, 6, 1, {150}, 12, NQ_LEVELS_GRID, SKEWED},
    {NQ_F16, F, 6, 1, {100}, 5, NQ_LEVELS_F16, EVEN},
    {NQ_F32, H, 6, 1, {100}, 60, NQ_LEVELS_GRID, ESCAPES},
    {NQ_BF16, H, 6, 1, {65}, 3000, NQ_LEVELS_GRID, SKEWED},
    {NQ_F32, H, 7, 1, {90}, 40, NQ_LEVELS_F16, LONG_CODES},
    {NQ_F32, S, 6, 1, {17}, 0, 0, 0},
    {NQ_F32, F, 7, 1, {30}, 1, NQ_LEVELS_F32, EVEN},
    {NQ_F16, H, 7, 1, {30}, 2, NQ_LEVELS_F16, ONE_VALUE},
};

/* Around the sizes at which pieces and streams change. */
static const spec lengths[] = {
    {NQ_F32, H, 18, 0, {0}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, H, 18, 1, {2}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, H, 18, 1, {4095}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, H, 18, 1, {4096}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, H, 18, 1, {4097}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, H, 18, 1, {8191}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, H, 18, 1, {8192}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, H, 18, 1, {8193}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, H, 18, 1, {12289}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, H, 13, 1, {16384}, 9, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, H, 18, 1, {12290}, 600, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, H, 18, 1, {12291}, 600, NQ_LEVELS_F32, SKEWED},
};

static const spec shapes[] = {
    {NQ_F32, F, 18, 0, {0}, 3, NQ_LEVELS_F32, EVEN},
    {NQ_F32, F, 6, 1, {0}, 3, NQ_LEVELS_GRID, EVEN},
    {NQ_F32, H, 6, 3, {4, 0, 9}, 3, NQ_LEVELS_F16, EVEN},
    {NQ_BF16, H, 6, 8, {2, 1, 3, 1, 2, 5, 1, 4}, 30, NQ_LEVELS_F32, SKEWED},
    {NQ_F32, S, 18, 0, {0}, 0, 0, 0},
    {NQ_F32, S, 6, 1, {0}, 0, 0, 0},
    {NQ_U16, S, 7, 8, {2, 2, 2, 2, 2, 2, 2, 2}, 0, 0, 0},
    {NQ_F32, S, 24, 2, {0, 1000}, 0, 0, 0},
};

/* Of every type that can be coded without loss, by every codec. */
static const spec patterns[] = {
    {NQ_F32, R, 13, 1, {20000}, 65536, PATTERNS, SKEWED},
    {NQ_F32, H, 6, 1, {200}, 65536, PATTERNS, SKEWED},
    {NQ_F32, F, 8, 2, {30, 30}, 65536, PATTERNS, EVEN},
    {NQ_F16, R, 14, 2, {300, 100}, 65536, PATTERNS, SKEWED},
    {NQ_F16, H, 18, 1, {70000}, 65536, PATTERNS, EVEN},
    {NQ_BF16, R, 13, 1, {60000}, 65536, PATTERNS, IN_TURN},
    {NQ_BF16, G, 12, 1, {30000}, 65536, PATTERNS, NEARLY_ZERO},
    {NQ_BF16, R, 12, 0, {0}, 65536, PATTERNS, ONE_VALUE},
    {NQ_I16, H, 14, 1, {40000}, 65536, PATTERNS, SKEWED},
    {NQ_U16, F, 9, 1, {5000}, 65536, PATTERNS, EVEN},
    {NQ_U16, R, 9, 2, {3, 0}, 65536, PATTERNS, SKEWED},
    {NQ_I8, R, 13, 1, {30000}, 256, PATTERNS, SKEWED},
    {NQ_U8, H, 18, 1, {30000}, 256, PATTERNS, SKEWED},
    {NQ_BOOL, G, 18, 1, {30000}, 256, PATTERNS, NEARLY_ZERO},
    {NQ_F8_E5M2, R, 18, 1, {20000}, 256, PATTERNS, SKEWED},
    {NQ_F8_E4M3, H, 18, 1, {20000}, 256, PATTERNS, EVEN},
    {NQ_F8_E8M0, F, 18, 1, {1000}, 256, PATTERNS, EVEN},
};

/* As small_rans, without codebooks. */
static const spec small_patterns[] = {
    {NQ_F32, H, 6, 1, {100}, 65536, PATTERNS, SKEWED},
    {NQ_F16, R, 7, 1, {300}, 65536, PATTERNS, NEARLY_ZERO},
    {NQ_I8, H, 7, 1, {200}, 256, PATTERNS, ESCAPES},
    {NQ_U8, F, 6, 1, {70}, 256, PATTERNS, EVEN},
};

static const spec stored[] = {
    {NQ_F32, S, 6, 1, {100}, 0, 0, 0},    {NQ_F16, S, 6, 1, {101}, 0, 0, 0},
    {NQ_BF16, S, 7, 1, {102}, 0, 0, 0},   {NQ_F64, S, 6, 1, {99}, 0, 0, 0},
    {NQ_BOOL, S, 6, 1, {98}, 0, 0, 0},    {NQ_U8, S, 6, 1, {97}, 0, 0, 0},
    {NQ_I8, S, 6, 1, {96}, 0, 0, 0},      {NQ_U16, S, 6, 1, {95}, 0, 0, 0},
    {NQ_I16, S, 6, 1, {94}, 0, 0, 0},     {NQ_U32, S, 6, 1, {93}, 0, 0, 0},
    {NQ_I32, S, 6, 1, {92}, 0, 0, 0},     {NQ_U64, S, 6, 1, {91}, 0, 0, 0},
    {NQ_I64, S, 6, 1, {90}, 0, 0, 0},     {NQ_F8_E5M2, S, 6, 1, {89}, 0, 0, 0},
    {NQ_F8_E4M3, S, 6, 1, {88}, 0, 0, 0}, {NQ_F8_E8M0, S, 6, 1, {87}, 0, 0, 0},
    {NQ_F6_E2M3, S, 6, 1, {88}, 0, 0, 0}, {NQ_F6_E3M2, S, 6, 1, {92}, 0, 0, 0},
    {NQ_F4, S, 6, 1, {130}, 0, 0, 0},     {NQ_C64, S, 6, 1, {33}, 0, 0, 0},
};

/* Levels by channel: on every axis, all numbered alike (EVEN) or not, of few elements and many. */
static const spec channels[] = {
    {NQ_F32, F, 10, 2, {50, 60}, 16, NQ_LEVELS_F32, EVEN + CHANNELS(0)},
    {NQ_F32, H, 10, 2, {50, 60}, 16, NQ_LEVELS_F32, SKEWED + CHANNELS(0)},
    {NQ_F16, F, 10, 2, {50, 60}, 17, NQ_LEVELS_F16, EVEN + CHANNELS(1)},
    {NQ_BF16, R, 10, 2, {50, 61}, 17, NQ_LEVELS_F16, SKEWED + CHANNELS(1)},
    {NQ_F32, H, 10, 2, {2, 3000}, 300, NQ_LEVELS_GRID, SKEWED + CHANNELS(0)},
    {NQ_F32, H, 10, 2, {3000, 2}, 300, NQ_LEVELS_GRID, SKEWED + CHANNELS(1)},
    {NQ_F32, H, 12, 4, {7, 5, 4, 30}, 40, NQ_LEVELS_GRID, SKEWED + CHANNELS(1)},
    {NQ_F32, R, 18, 4, {7, 5, 30, 4}, 40, NQ_LEVELS_F32, NEARLY_ZERO + CHANNELS(2)},
    {NQ_F32, G, 14, 3, {1, 100, 200}, 30, NQ_LEVELS_F32, NEARLY_ZERO + CHANNELS(1)},
    {NQ_F32, F, 6, 1, {100}, 1, NQ_LEVELS_F32, EVEN + CHANNELS(0)},
};

static const spec small_channels[] = {
    {NQ_F32, F, 6, 2, {4, 20}, 6, NQ_LEVELS_F32, SKEWED + CHANNELS(0)},
    {NQ_F16, H, 6, 2, {20, 5}, 6, NQ_LEVELS_F16, SKEWED + CHANNELS(1)},
    {NQ_F32, H, 7, 3, {3, 4, 9}, 9, NQ_LEVELS_GRID, SKEWED + CHANNELS(1)},
    {NQ_F32, F, 6, 2, {2, 400}, 300, NQ_LEVELS_GRID, SKEWED + CHANNELS(0)},
    {NQ_F32, F, 6, 1, {30}, 1, NQ_LEVELS_F32, EVEN + CHANNELS(0)},
};

#undef S
#undef F
#undef H
#undef R
#undef G

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name, sizeof name / sizeof *name                                                    \
    }
static const named_case cases[] = {
    CASE(widths),   CASE(huffman),        CASE(escapes),  CASE(long_codes),    CASE(lengths),
    CASE(shapes),   CASE(stored),         CASE(small),    CASE(rans),          CASE(small_rans),
    CASE(gaps),     CASE(small_gaps),     CASE(patterns), CASE(small_patterns),
    CASE(channels), CASE(small_channels)};

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Tables of a tensor whose distribution changes as often. */
enum { N_TABLES = 3, TURN = 300 };

static unsigned count_ones(uint64_t x)
{
    unsigned n = 0;
    for (; x; x &= x - 1)
        n++;
    return n;
}

/* Indices that the tables of a tensor in turns do not know, so that they become escapes. */
static bool is_stray(size_t i)
{
    return i % 64 == 63;
}

static uint16_t random_index(const spec *s, size_t i, uint64_t *seed)
{
    const uint64_t n = s->n_levels, r = next_random(seed);
    switch (likeness(s)) {
    case SKEWED: { /* about twice as many of each as of the next, up and down from the middle */
        unsigned steps = 0;
        while (steps < 60 && (r >> steps & 1))
            steps++;
        const uint64_t far = steps * (1 + n / 40) + (n > 80 ? next_random(seed) % (n / 40) : 0);
        return (uint16_t)((n / 2 + (r >> 63 ? n - far % n : far)) % n);
    }
    case IN_TURN: { /* around three places, more and more narrowly; now and then anywhere */
        const unsigned turn = (unsigned)(i / TURN % N_TABLES);
        const uint64_t nearby = n / 4 * (turn + 1) + count_ones(r % (512u >> 2 * turn));
        return (uint16_t)(is_stray(i) ? r % n : nearby % n);
    }
    case ONE_VALUE:
        return (uint16_t)(n - 1);
    case NEARLY_ZERO:
        return (uint16_t)(r % 500 == 0 ? r / 500 % n : n / 2);
    default:
        return (uint16_t)(r % n);
    }
}

/* A tensor on its way. */
typedef struct prepared {
    uint16_t *indices;
    nqi_encoder *encoder;
    uint8_t *data;
    size_t n;
    char name[32];
} prepared;

static size_t element_count(const spec *s)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < s->rank; i++)
        n *= s->dims[i];
    return (size_t)n;
}

/* Each index half as often as the one before, as far as numbers go. */
static nqi_encoder *encoder_of_long_codes(const spec *s)
{
    const nqi_allocator a = nqi_allocator_default();
    uint64_t *counts = get(s->n_levels, sizeof *counts);
    nqi_encoder *encoder;
    for (uint32_t i = 0; i < s->n_levels; i++)
        counts[i] = i < 40 ? UINT64_C(1) << (40 - i) : 1;
    must("encoder", nqi_encoder_create(&encoder, &a, s->codec, s->n_levels, 24, counts, 0, 0));
    free(counts);
    return encoder;
}

/* A code of three tables, each for what is coded in its turns. */
static nqi_encoder *encoder_of_turns(const spec *s, const uint16_t *indices, size_t n)
{
    const nqi_allocator a = nqi_allocator_default();
    uint64_t *counts = get(s->n_levels * (N_TABLES + (size_t)1), sizeof *counts);
    uint64_t *all = counts + (size_t)s->n_levels * N_TABLES;
    nqi_rans_model *models = get(N_TABLES, sizeof *models);
    nqi_rans_escape_code escapes;
    nqi_encoder *encoder;
    nqi_rans_plan plan = {.n_levels = s->n_levels,
                          .n_tables = N_TABLES,
                          .sub_log2 = NQI_RANS_MIN_SUB_LOG2,
                          .values = models,
                          .step_frequency = {200, 30, 26},
                          .mean_growth = 3 << NQI_RANS_COST_LOG2};
    for (size_t i = 0; i < n; i++) {
        const size_t turn = i / TURN % N_TABLES;
        plan.weights[turn]++;
        all[indices[i]]++;
        if (!is_stray(i))
            counts[turn * s->n_levels + indices[i]]++;
    }
    for (size_t t = 0; t < N_TABLES; t++) {
        must("fit", nqi_rans_fit(&models[t], &a, counts + t * s->n_levels, s->n_levels, false));
        if (models[t].low_bits != 0)
            die("low bits where none were expected", NQ_E_INTERNAL);
    }
    uint64_t *scratch = get((size_t)nqi_rans_fit_scratch(s->n_levels), sizeof *scratch);
    nqi_rans_fit_escapes(&escapes, scratch, all, s->n_levels - 1, s->n_levels / 2);
    free(scratch);
    for (size_t t = 0; t < N_TABLES; t++)
        models[t].escapes = escapes;
    must("encoder", nqi_rans_encoder_make(&encoder, &a, &plan, 0));
    free(models);
    free(counts);
    return encoder;
}

/* For escapes the encoder is told of every sixteenth index alone. */
static nqi_encoder *encoder_for(const spec *s, const uint16_t *indices, size_t n)
{
    if (likeness(s) == LONG_CODES)
        return encoder_of_long_codes(s);
    if (likeness(s) == IN_TURN)
        return encoder_of_turns(s, indices, n);
    if (likeness(s) != ESCAPES)
        return make_encoder(s->codec, s->n_levels, indices, n, n > 0 ? NQI_ENCODER_EXACT : 0);
    uint16_t *seen = get(n, sizeof *seen);
    for (size_t i = 0; i < n; i++)
        seen[i] = (uint16_t)(indices[i] / 16 * 16 % s->n_levels);
    nqi_encoder *encoder = make_encoder(s->codec, s->n_levels, seen, n, 0);
    free(seen);
    return encoder;
}

static uint32_t channel_count(const spec *s)
{
    return channels_end(s) ? (uint32_t)s->dims[channels_end(s) - 1] : 0;
}

/* How the levels of channels are numbered; every second one as its neighbour. */
static nqi_channel_desc *make_channels(const spec *s, uint64_t *seed)
{
    const uint32_t n = channel_count(s);
    nqi_channel_desc *made = get(n, sizeof *made);
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t r = next_random(seed);
        const uint32_t first = (uint32_t)(r % (s->n_levels / 2 + 1));
        made[i] = (nqi_channel_desc){
            .first = first,
            .n_levels = 1 + (uint32_t)((r >> 32) % (s->n_levels - first)),
            .step = s->n_levels % 2 ? 0.001 + (double)(r >> 40) * 0x1p-24 : 0};
        if (likeness(s) == EVEN)
            made[i].first = 0, made[i].n_levels = s->n_levels;
        else if (i % 2 == 1)
            made[i].first = made[i - 1].first, made[i].n_levels = made[i - 1].n_levels;
    }
    return made;
}

/* Each index becomes one that its channel has. */
static void fit_channels(uint16_t *indices, size_t n, const spec *s,
                         const nqi_channel_desc *of_channel)
{
    size_t inner = 1;
    for (uint32_t i = channels_end(s); i < s->rank; i++)
        inner *= (size_t)s->dims[i];
    for (size_t i = 0; i < n; i++) {
        const nqi_channel_desc *c = &of_channel[i / inner % channel_count(s)];
        indices[i] = (uint16_t)(c->first + indices[i] % c->n_levels);
    }
}

static uint32_t add_levels(nqi_writer *w, const spec *s, const nqi_channel_desc *of_channel,
                           uint64_t *seed)
{
    uint32_t n_stored = channels_end(s) ? 0 : s->n_levels, id;
    for (uint32_t i = 0; i < channel_count(s); i++)
        n_stored += of_channel[i].n_levels;
    float *levels = get(n_stored, sizeof *levels);
    int64_t *cells = get(n_stored, sizeof *cells);
    int64_t cell = -(int64_t)(s->n_levels / 2);
    uint32_t left = 0, channel = 0;
    for (uint32_t i = 0; i < n_stored; i++) {
        if (channels_end(s) && left-- == 0) {
            cell = -(int64_t)channel;
            left = of_channel[channel++].n_levels - 1;
        }
        const uint64_t r = next_random(seed);
        const uint32_t bits = (uint32_t)r; /* any float, NaN and infinity among them */
        memcpy(&levels[i], &bits, sizeof bits);
        if (r >> 62)
            levels[i] = (float)((double)(int64_t)r * 0x1p-63);
        cells[i] = cell;
        cell += r >> 60 ? 1 : 1 + (int64_t)(r >> 40 & 0xfff);
    }
    const nqi_codebook_desc desc = {.storage = s->storage,
                                    .method = NQ_METHOD_KMEANS,
                                    .level_rule = NQ_LEVEL_MEAN,
                                    .n_levels = s->n_levels,
                                    .step = s->storage == NQ_LEVELS_GRID &&
                                                    (!channels_end(s) || s->n_levels % 2 == 0)
                                                ? 0.0123
                                                : 0,
                                    .levels = levels,
                                    .cells = cells,
                                    .n_channels = channel_count(s),
                                    .channels = of_channel};
    must("codebook", nqi_writer_add_codebook(&id, w, &desc));
    free(levels);
    free(cells);
    return id;
}

static size_t raw_bytes_of(const spec *s)
{
    return s->storage == PATTERNS && s->dtype == NQ_F32 ? 2 : 0;
}

static void prepare(prepared *p, nqi_writer *w, const spec *s, uint64_t *seed)
{
    nqi_tensor_desc desc = {.name = p->name,
                            .name_bytes = strlen(p->name),
                            .dtype = s->dtype,
                            .rank = s->rank,
                            .dims = s->dims,
                            .codec = s->codec,
                            .block_log2 = s->block_log2,
                            .codebook = NQ_NO_ID,
                            .table = NQ_NO_ID,
                            .axis = channels_end(s) ? channels_end(s) - 1 : 0};
    p->n = element_count(s);
    if (s->codec == NQ_CODEC_STORED) {
        p->data = get(p->n, 8);
        for (size_t i = 0; i < 8 * p->n; i++)
            p->data[i] = (uint8_t)next_random(seed);
    } else {
        p->indices = get(p->n, sizeof *p->indices);
        for (size_t i = 0; i < p->n; i++)
            p->indices[i] = random_index(s, i, seed);
        nqi_channel_desc *of_channel = make_channels(s, seed);
        if (channels_end(s))
            fit_channels(p->indices, p->n, s, of_channel);
        p->encoder = encoder_for(s, p->indices, p->n);
        if (s->storage != PATTERNS)
            desc.codebook = add_levels(w, s, of_channel, seed);
        free(of_channel);
        desc.table = add_table(w, s->codec, p->encoder);
        desc.max_block_bytes =
            put_blocks(NULL, p->encoder, p->indices, p->n, s->block_log2, raw_bytes_of(s));
    }
    must("tensor", nqi_writer_add_tensor(w, &desc));
}

static void make_case(const named_case *c, const char *path)
{
    uint64_t seed = 2024;
    FILE *file = open_file(path, "wb");
    nqi_writer *w = start(file, 123456789);
    prepared *p = get(c->n_specs, sizeof *p);
    must("metadata", nqi_writer_add_metadata(w, "case", 4, c->name, strlen(c->name)));
    for (size_t i = 0; i < c->n_specs; i++) {
        snprintf(p[i].name, sizeof p[i].name, "%s.%u", c->name, (unsigned)i);
        prepare(&p[i], w, &c->specs[i], &seed);
    }
    must("begin", nqi_writer_begin(w));
    for (size_t i = 0; i < c->n_specs; i++) {
        if (p[i].encoder)
            put_blocks(w, p[i].encoder, p[i].indices, p[i].n, c->specs[i].block_log2,
                       raw_bytes_of(&c->specs[i]));
        else if (p[i].n > 0)
            must("stored", nqi_writer_stored(w, p[i].data));
        nqi_encoder_destroy(p[i].encoder);
        free(p[i].indices);
        free(p[i].data);
    }
    free(p);
    finish(w, file);
}

/* ---- Reading ------------------------------------------------------------------------------- */

static uint8_t *load(const char *path, size_t *n_bytes)
{
    FILE *file = open_file(path, "rb");
    uint8_t *bytes = NULL;
    *n_bytes = 0;
    for (size_t n = 1; n > 0; *n_bytes += n) {
        bytes = realloc(bytes, *n_bytes + 65536);
        if (!bytes)
            die("memory", NQ_E_NOMEM);
        n = fread(bytes + *n_bytes, 1, 65536, file);
    }
    fclose(file);
    return bytes;
}

static void store(const char *folder, uint64_t tensor, const char *ending, const void *bytes,
                  size_t n_bytes)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%u.%s", folder, (unsigned)tensor, ending);
    FILE *file = open_file(path, "wb");
    if (fwrite(bytes, 1, n_bytes, file) != n_bytes || fclose(file) != 0)
        die(path, NQ_E_IO);
}

static void dump_tensor(const nq_reader *r, uint64_t tensor, const char *folder)
{
    static const char *const endings[] = {"f32", "f16", "bf16"};
    nq_tensor_info info;
    nq_decoder *d;
    const float *levels;
    size_t n_levels;
    nq_tensor_info_init(&info);
    must("info", nq_reader_tensor(r, tensor, &info));
    must("decoder", nq_decoder_create(&d, NULL, r, tensor, NULL, NULL));
    void *out = get((size_t)info.n_elements, 8);
    for (uint32_t dtype = NQ_F32; dtype <= NQ_BF16 && info.dtype <= NQ_BF16; dtype++) {
        must("read", nq_decoder_read(d, dtype, 0, info.n_elements, out));
        store(folder, tensor, endings[dtype], out,
              (size_t)info.n_elements * nq_dtype_bits(dtype) / 8);
    }
    must("read", nq_decoder_read(d, info.dtype, 0, info.n_elements, out));
    store(folder, tensor, "own", out, (size_t)(info.n_elements * nq_dtype_bits(info.dtype) / 8));
    must("codebook", nq_decoder_codebook(d, &levels, &n_levels));
    if (levels) {
        must("indices", nq_decoder_read_indices(d, 0, info.n_elements, out));
        store(folder, tensor, "indices", out, (size_t)info.n_elements * sizeof(uint16_t));
        store(folder, tensor, "levels", levels, n_levels * sizeof *levels);
    }
    free(out);
    nq_decoder_destroy(d);
}

static void dump(const char *path, const char *folder)
{
    size_t n_bytes;
    uint8_t *bytes = load(path, &n_bytes);
    nq_reader *r;
    nq_reader_info info;
    nq_reader_info_init(&info);
    must("open", nq_reader_open(&r, NULL, bytes, n_bytes, NULL));
    must("info", nq_reader_get_info(r, &info));
    for (uint64_t i = 0; i < info.n_tensors; i++)
        dump_tensor(r, i, folder);
    nq_reader_destroy(r);
    free(bytes);
}

/* One line: what opening returns, and then what verifying each tensor does. */
static void tell_status(const uint8_t *bytes, size_t n_bytes)
{
    nq_reader *r;
    nq_reader_info info;
    const nq_status status = nq_reader_open(&r, NULL, bytes, n_bytes, NULL);
    printf("%s", nq_status_name(status));
    nq_reader_info_init(&info);
    if (status == NQ_OK)
        must("info", nq_reader_get_info(r, &info));
    for (uint64_t i = 0; status == NQ_OK && i < info.n_tensors; i++)
        printf(" %s", nq_status_name(nq_reader_verify(r, NULL, i, NULL, NULL, NULL)));
    printf("\n");
    nq_reader_destroy(r);
}

static void tell_all(void)
{
    uint8_t raw[4];
    while (fread(raw, 1, 4, stdin) == 4) {
        const size_t n = raw[0] | (size_t)raw[1] << 8 | (size_t)raw[2] << 16 | (size_t)raw[3] << 24;
        uint8_t *bytes = get(n, 1);
        if (fread(bytes, 1, n, stdin) != n)
            die("standard input", NQ_E_TRUNCATED);
        tell_status(bytes, n);
        free(bytes);
    }
}

static const named_case *find_case(const char *name)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    die(name, NQ_E_ARG);
    return NULL;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "example") == 0 && argc == 3) {
        make_example(argv[2]);
    } else if (strcmp(verb, "cases") == 0) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            printf("%s\n", cases[i].name);
    } else if (strcmp(verb, "case") == 0 && argc == 4) {
        make_case(find_case(argv[2]), argv[3]);
    } else if (strcmp(verb, "dump") == 0 && argc == 4) {
        dump(argv[2], argv[3]);
    } else if (strcmp(verb, "status") == 0) {
        tell_all();
    } else {
        die("usage", NQ_E_ARG);
    }
    return 0;
}
