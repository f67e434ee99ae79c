/*
 * How fast indices are encoded and decoded, and how many bits they take, beside zstd's huff0 and
 * FSE where the build found them.
 *
 * usage: bench_codec [-n LOG2_OF_SYMBOLS] [-r RUNS] [FILE...]
 *
 * A FILE holds one symbol a byte; without any, streams like those of quantized weights are drawn.
 * All codecs take turns in each run, so that what else the machine does hits all of them alike;
 * times are the thread's CPU time; the best run and the median are printed, in 10^9 symbols a
 * second. Everything is decoded and compared once before it is timed.
 */
#define _POSIX_C_SOURCE 200809L

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "codec/code_dec.h"
#include "codec/code_enc.h"
#include "cpu/cpu.h"

enum { MAX_RUNS = 64, MAX_ROWS = 24, BLOCK = 1 << NQ_BLOCK_LOG2_DEFAULT, PEER_BLOCK = 1 << 17 };

static void die(const char *what)
{
    fprintf(stderr, "bench_codec: %s\n", what);
    exit(1);
}

static void *must_alloc(size_t n_bytes)
{
    void *memory = aligned_alloc(64, (n_bytes + 63) / 64 * 64);
    if (!memory)
        die("out of memory");
    memset(memory, 1, n_bytes); /* so that no run pays for fresh pages */
    return memory;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- What is measured ---------------------------------------------------------------------- */

typedef struct stream {
    const char *name;
    uint8_t *symbols;
    uint16_t *indices; /* the same */
    size_t n;
    uint32_t n_levels;
    uint64_t counts[256];
    double entropy;
} stream;

typedef struct row {
    const char *name;
    /* Library codecs. */
    uint32_t codec;
    uint32_t flags;
    bool is_plain; /* no kernels */
    bool is_u16;
    nqi_encoder *encoder;
    nqi_code *code;
    void *code_memory;
    void *block_memory;
    /* Peers: 0 is failure. */
    size_t (*encode)(uint8_t *out, size_t capacity, const uint8_t *in, size_t n);
    size_t (*decode)(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes);
    /* Results. */
    uint8_t *packed;
    size_t *offsets;
    double encode_seconds[MAX_RUNS];
    double decode_seconds[MAX_RUNS];
} row;

static size_t block_of(const row *r)
{
    return r->encode ? PEER_BLOCK : BLOCK;
}

/* ---- The library --------------------------------------------------------------------------- */

static void encode_library(row *r, const stream *s, size_t capacity)
{
    size_t at = 0;
    for (size_t i = 0, k = 0; i < s->n; i += BLOCK, k++) {
        const size_t n = s->n - i < BLOCK ? s->n - i : BLOCK;
        size_t n_bytes;
        if (nqi_encoder_encode(r->encoder, r->packed + at, capacity - at, &n_bytes, s->indices + i,
                               n) != NQ_OK)
            die("encoding failed");
        r->offsets[k] = at;
        r->offsets[k + 1] = at += n_bytes;
    }
}

static void decode_library(row *r, const stream *s, uint8_t *u8, uint16_t *u16)
{
    for (size_t i = 0, k = 0; i < s->n; i += BLOCK, k++) {
        const size_t n = s->n - i < BLOCK ? s->n - i : BLOCK;
        nqi_block *block;
        nq_status status =
            nqi_block_begin(&block, r->block_memory, r->code, r->packed + r->offsets[k],
                            r->offsets[k + 1] - r->offsets[k], n);
        if (status == NQ_OK)
            status = r->is_u16 ? nqi_block_next_u16(block, u16 + i, n)
                               : nqi_block_next_u8(block, u8 + i, n);
        if (status != NQ_OK || nqi_block_end(block) != NQ_OK)
            die("decoding failed");
    }
}

/* False if this build does not have the codec. */
static bool open_library(row *r, const stream *s)
{
    const nqi_allocator a = nqi_allocator_default();
    const uint64_t cpu = r->is_plain ? 0 : nqi_cpu_features();
    size_t code_bytes, block_bytes, table_bytes;
    if (nqi_encoder_create(&r->encoder, &a, r->codec, s->n_levels, 0, s->counts, NQI_ENCODER_EXACT,
                           cpu) != NQ_OK)
        return false;
    const uint8_t *table = nqi_encoder_table(r->encoder, &table_bytes);
    if (nqi_code_size(&code_bytes, &block_bytes, r->codec, s->n_levels, table, table_bytes,
                      r->flags) != NQ_OK)
        die("no such code");
    r->code_memory = must_alloc(code_bytes);
    r->block_memory = must_alloc(block_bytes);
    if (nqi_code_init(&r->code, r->code_memory, r->codec, s->n_levels, table, table_bytes, r->flags,
                      cpu) != NQ_OK)
        die("the code's own table is refused");
    return true;
}

static void close_library(row *r)
{
    nqi_encoder_destroy(r->encoder);
    free(r->code_memory);
    free(r->block_memory);
}

/* ---- Peers --------------------------------------------------------------------------------- */

#if HAVE_ZSTD

/* Of zstd 1.5.4's lib/common/huf.h and fse.h; no stable interface, so only that version will do. */
#include <zstd.h>

enum { HUF_BMI2 = 1, HUF_NO_ASM = 1 << 4, HUF_NO_FAST = 1 << 5 };
size_t HUF_compress4X_repeat(void *, size_t, const void *, size_t, unsigned, unsigned, void *,
                             size_t, size_t *, int *, int);
size_t HUF_readDTableX2_wksp(uint32_t *, const void *, size_t, void *, size_t, int);
size_t HUF_decompress4X_usingDTable(void *, size_t, const void *, size_t, const uint32_t *, int);
unsigned HUF_isError(size_t);
size_t FSE_normalizeCount(short *, unsigned, const unsigned *, size_t, unsigned, unsigned);
size_t FSE_writeNCount(void *, size_t, const short *, unsigned, unsigned);
size_t FSE_buildCTable_wksp(unsigned *, const short *, unsigned, unsigned, void *, size_t);
size_t FSE_compress_usingCTable(void *, size_t, const void *, size_t, const unsigned *);
size_t FSE_decompress_wksp_bmi2(void *, size_t, const void *, size_t, unsigned, void *, size_t,
                                int);
unsigned FSE_isError(size_t);

static uint64_t workspace[16384];

static int huf_flags(void)
{
    return nqi_cpu_features() & NQ_CPU_AVX2 ? HUF_BMI2 : 0;
}

static size_t huf_encode(uint8_t *out, size_t capacity, const uint8_t *in, size_t n)
{
    static size_t table[258];
    int repeat = 0;
    const size_t n_bytes = HUF_compress4X_repeat(out, capacity, in, n, 255, 11, workspace,
                                                 sizeof workspace, table, &repeat, huf_flags());
    return HUF_isError(n_bytes) ? 0 : n_bytes;
}

static size_t huf_decode_with(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes, int flags)
{
    static uint32_t table[1 + (1 << 12)];
    table[0] = 12u * 0x01000001u;
    const size_t head =
        HUF_readDTableX2_wksp(table, in, n_bytes, workspace, sizeof workspace, flags);
    if (HUF_isError(head))
        return 0;
    return HUF_decompress4X_usingDTable(out, n, in + head, n_bytes - head, table, flags) == n;
}

static size_t huf_decode(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes)
{
    return huf_decode_with(out, n, in, n_bytes, huf_flags());
}

static size_t huf_decode_plain(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes)
{
    return huf_decode_with(out, n, in, n_bytes, HUF_NO_ASM | HUF_NO_FAST);
}

static size_t fse_encode(uint8_t *out, size_t capacity, const uint8_t *in, size_t n)
{
    static unsigned table[1 + (1 << 11) + 512];
    unsigned counts[256] = {0}, largest = 0;
    short normalized[256];
    for (size_t i = 0; i < n; i++)
        counts[in[i]]++;
    for (unsigned i = 0; i < 256; i++)
        largest = counts[i] ? i : largest;
    if (FSE_isError(FSE_normalizeCount(normalized, 12, counts, n, largest, 0)))
        return 0;
    const size_t head = FSE_writeNCount(out, capacity, normalized, largest, 12);
    if (FSE_isError(head) || FSE_isError(FSE_buildCTable_wksp(table, normalized, largest, 12,
                                                              workspace, sizeof workspace)))
        return 0;
    const size_t n_bytes = FSE_compress_usingCTable(out + head, capacity - head, in, n, table);
    return FSE_isError(n_bytes) || n_bytes == 0 ? 0 : head + n_bytes;
}

static size_t fse_decode(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes)
{
    return FSE_decompress_wksp_bmi2(out, n, in, n_bytes, 12, workspace, sizeof workspace,
                                    huf_flags()) == n;
}

static bool has_peers(void)
{
    return ZSTD_versionNumber() == 10504;
}

#endif

static void encode_peer(row *r, const stream *s, size_t capacity)
{
    size_t at = 0;
    for (size_t i = 0, k = 0; i < s->n; i += PEER_BLOCK, k++) {
        const size_t n = s->n - i < PEER_BLOCK ? s->n - i : PEER_BLOCK;
        const size_t n_bytes = r->encode(r->packed + at, capacity - at, s->symbols + i, n);
        if (n_bytes == 0)
            die("a peer failed to encode");
        r->offsets[k] = at;
        r->offsets[k + 1] = at += n_bytes;
    }
}

static void decode_peer(row *r, const stream *s, uint8_t *u8)
{
    for (size_t i = 0, k = 0; i < s->n; i += PEER_BLOCK, k++) {
        const size_t n = s->n - i < PEER_BLOCK ? s->n - i : PEER_BLOCK;
        if (!r->decode(u8 + i, n, r->packed + r->offsets[k], r->offsets[k + 1] - r->offsets[k]))
            die("a peer failed to decode");
    }
}

/* ---- Runs ---------------------------------------------------------------------------------- */

static void run_row(row *r, const stream *s, size_t capacity, uint8_t *u8, uint16_t *u16,
                    unsigned run)
{
    const double begin = now();
    if (r->encode)
        encode_peer(r, s, capacity);
    else
        encode_library(r, s, capacity);
    const double middle = now();
    if (r->decode)
        decode_peer(r, s, u8);
    else
        decode_library(r, s, u8, u16);
    r->encode_seconds[run] = middle - begin;
    r->decode_seconds[run] = now() - middle;
}

static void check_row(row *r, const stream *s, size_t capacity, uint8_t *u8, uint16_t *u16)
{
    memset(u8, 0xff, s->n);
    memset(u16, 0xff, s->n * sizeof *u16);
    run_row(r, s, capacity, u8, u16, 0);
    if (r->is_u16 ? memcmp(u16, s->indices, s->n * sizeof *u16) : memcmp(u8, s->symbols, s->n))
        die("what was decoded is not what was encoded");
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_row(row *r, const stream *s, unsigned n_runs)
{
    size_t n_bytes = r->offsets[(s->n + block_of(r) - 1) / block_of(r)], table_bytes = 0;
    if (r->encoder)
        (void)nqi_encoder_table(r->encoder, &table_bytes);
    const double bits = 8.0 * (double)(n_bytes + table_bytes) / (double)s->n;
    const double giga = 1e-9 * (double)s->n;
    qsort(r->encode_seconds, n_runs, sizeof(double), compare);
    qsort(r->decode_seconds, n_runs, sizeof(double), compare);
    printf("  %-26s %7.4f %+7.2f%%  %5.2f %5.2f   %5.2f %5.2f\n", r->name, bits,
           100 * (bits / s->entropy - 1), giga / r->encode_seconds[0],
           giga / r->encode_seconds[n_runs / 2], giga / r->decode_seconds[0],
           giga / r->decode_seconds[n_runs / 2]);
}

static size_t make_rows(row rows[MAX_ROWS])
{
    const row all[] = {
        {.name = "fixed", .codec = NQ_CODEC_FIXED},
        {.name = "fixed, u16", .codec = NQ_CODEC_FIXED, .is_u16 = true},
        {.name = "Huffman, plain C", .codec = NQ_CODEC_HUFFMAN, .is_plain = true},
        {.name = "Huffman", .codec = NQ_CODEC_HUFFMAN},
        {.name = "Huffman, u16", .codec = NQ_CODEC_HUFFMAN, .is_u16 = true},
        {.name = "Huffman, small tables", .codec = NQ_CODEC_HUFFMAN, .flags = NQI_CODE_SMALL},
        {.name = "rANS, plain C", .codec = NQ_CODEC_RANS, .is_plain = true},
        {.name = "rANS", .codec = NQ_CODEC_RANS},
        {.name = "rANS, u16", .codec = NQ_CODEC_RANS, .is_u16 = true},
#if HAVE_ZSTD
        {.name = "huff0 4X2, plain C", .encode = huf_encode, .decode = huf_decode_plain},
        {.name = "huff0 4X2", .encode = huf_encode, .decode = huf_decode},
        {.name = "FSE, 12 bits", .encode = fse_encode, .decode = fse_decode},
#endif
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
#if HAVE_ZSTD
        if (all[i].encode && !has_peers())
            continue;
#endif
        rows[n++] = all[i];
    }
    return n;
}

static void measure(const stream *s, unsigned n_runs)
{
    static row all[MAX_ROWS];
    row *rows[MAX_ROWS];
    const size_t capacity = 3 * s->n + (1 << 20);
    const size_t n_all = make_rows(all);
    size_t n_rows = 0;
    uint8_t *u8 = must_alloc(s->n);
    uint16_t *u16 = must_alloc(s->n * sizeof *u16);
    uint8_t *packed = must_alloc(capacity);
    for (size_t i = 0; i < n_all; i++) {
        row *r = &all[i];
        if (!r->encode && !open_library(r, s))
            continue;
        r->packed = packed;
        r->offsets = must_alloc((s->n / block_of(r) + 2) * sizeof *r->offsets);
        check_row(r, s, capacity, u8, u16);
        rows[n_rows++] = r;
    }
    for (unsigned run = 0; run < n_runs; run++)
        for (size_t i = 0; i < n_rows; i++)
            run_row(rows[i], s, capacity, u8, u16, run);
    printf("%s: %zu symbols, %u levels, order-0 entropy %.4f bits\n", s->name, s->n, s->n_levels,
           s->entropy);
    printf("  %-26s %7s %8s  %11s   %11s\n", "", "bits", "over it", "encode", "decode");
    for (size_t i = 0; i < n_rows; i++) {
        print_row(rows[i], s, n_runs);
        free(rows[i]->offsets);
        if (!rows[i]->encode)
            close_library(rows[i]);
    }
    free(packed);
    free(u16);
    free(u8);
}

/* ---- Streams ------------------------------------------------------------------------------- */

static uint64_t seed = 1;

/* splitmix64, as a number in (0, 1). */
static double uniform(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

static double gauss(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static double laplace(void)
{
    const double size = -log(uniform());
    return uniform() < 0.5 ? -size : size;
}

typedef struct source {
    const char *name;
    double (*draw)(void);
    double step;  /* of a uniform quantizer */
    double zeros; /* share of pruned weights */
    int half;     /* levels on each side of zero at most */
} source;

/* The steps give the named entropies; sixteen levels over four deviations are close to k-means. */
static const source sources[] = {
    {"Gauss, 2 bits", gauss, 1.08245, 0, 127},     {"Gauss, 3 bits", gauss, 0.52243, 0, 127},
    {"Gauss, 4 bits", gauss, 0.25902, 0, 127},     {"Gauss, 5 bits", gauss, 0.12924, 0, 127},
    {"Gauss, 6.5 bits", gauss, 0.04566, 0, 127},   {"Laplace, 2 bits", laplace, 1.42935, 0, 127},
    {"Laplace, 3 bits", laplace, 0.69007, 0, 127}, {"16 levels", gauss, 0.3352, 0, 7},
    {"90 % zeros", laplace, 0.5, 0.9, 127},
};

static void finish_stream(stream *s)
{
    s->indices = must_alloc(s->n * sizeof *s->indices);
    for (size_t i = 0; i < s->n; i++) {
        s->indices[i] = s->symbols[i];
        s->counts[s->symbols[i]]++;
    }
    for (unsigned i = 0; i < 256; i++)
        if (s->counts[i] > 0) {
            const double share = (double)s->counts[i] / (double)s->n;
            s->entropy -= share * log2(share);
            s->n_levels = i + 1;
        }
}

static stream draw_stream(const source *from, size_t n)
{
    stream s = {.name = from->name, .n = n, .symbols = must_alloc(n)};
    uint8_t least = 255;
    for (size_t i = 0; i < n; i++) {
        const double weight = from->zeros > 0 && uniform() < from->zeros ? 0 : from->draw();
        const double cell = floor(weight / from->step + 0.5);
        const double kept = cell > from->half    ? from->half
                            : cell < -from->half ? -from->half
                                                 : cell;
        s.symbols[i] = (uint8_t)(kept + 127);
        least = s.symbols[i] < least ? s.symbols[i] : least;
    }
    for (size_t i = 0; i < n; i++)
        s.symbols[i] = (uint8_t)(s.symbols[i] - least);
    finish_stream(&s);
    return s;
}

static stream read_stream(const char *path, size_t n)
{
    stream s = {.name = path, .symbols = must_alloc(n)};
    FILE *file = fopen(path, "rb");
    if (!file)
        die("a file cannot be opened");
    s.n = fread(s.symbols, 1, n, file);
    fclose(file);
    if (s.n == 0)
        die("a file is empty");
    finish_stream(&s);
    return s;
}

static void measure_and_free(stream s, unsigned n_runs)
{
    measure(&s, n_runs);
    fflush(stdout);
    free(s.indices);
    free(s.symbols);
}

int main(int argc, char **argv)
{
    size_t n = (size_t)1 << 24;
    unsigned n_runs = 7;
    int first = 1;
    for (; first + 1 < argc && argv[first][0] == '-'; first += 2) {
        const int value = atoi(argv[first + 1]);
        if (strcmp(argv[first], "-n") == 0 && value >= 1 && value <= 30)
            n = (size_t)1 << value;
        else if (strcmp(argv[first], "-r") == 0 && value >= 1 && value <= MAX_RUNS)
            n_runs = (unsigned)value;
        else
            die("usage: bench_codec [-n LOG2_OF_SYMBOLS] [-r RUNS] [FILE...]");
    }
    for (int i = first; i < argc; i++)
        measure_and_free(read_stream(argv[i], n), n_runs);
    for (size_t i = 0; first >= argc && i < sizeof sources / sizeof *sources; i++)
        measure_and_free(draw_stream(&sources[i], n), n_runs);
    return 0;
}
