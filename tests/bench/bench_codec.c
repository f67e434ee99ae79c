/*
 * How fast indices are encoded and decoded, and how many bits they take, beside other entropy
 * coders from packages of the system: a table for each stream, and what of it counts against the
 * goals that the library has set itself.
 *
 * usage: bench_codec [-n LOG2_OF_SYMBOLS] [-r RUNS] [-s STREAM] [-d FOLDER] [FILE...]
 *
 * Without a FILE (one symbol a byte), streams like those of quantized weights are drawn, and the
 * safetensors files of FOLDER (shared/data/models beside the checkout unless it is given) are
 * quantized and joined. Then what whole models take, and what comes behind the indices: values,
 * products with a matrix, and two cores at once. -s: only streams whose name contains STREAM, or
 * `sizes`, `values` or `cores`.
 *
 * All codecs take turns in each run, so that what else the machine does hits all of them alike.
 * Times are the thread's CPU time; the median is printed, and behind it the slowest and the fastest
 * run, in 10^9 symbols a second. Encoding includes the histogram and the choice of a code; decoding
 * includes reading the code's table and building lookups from it, once a stream, and each block's
 * head. Everything is decoded and compared once before it is timed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "bench.h"
#include "codec/checksum.h"
#include "codec/code_dec.h"
#include "codec/code_enc.h"
#include "codec/index_count.h"
#include "cores.h"
#include "cpu/cpu.h"
#include "goals.h"
#include "peers.h"
#include "sizes.h"
#include "streams.h"
#include "use.h"

enum { MAX_ROWS = 24, BLOCK = 1 << NQ_BLOCK_LOG2_DEFAULT };

typedef struct row {
    const char *name;
    enum { ROW_PLAIN, ROW_AVX2, ROW_BEST } kernels;
    const peer *peer; /* NULL for the library's codecs */
    uint32_t codec;
    uint32_t flags;
    bool is_u16;
    bool has_crc;
    /* Of the stream that is measured. */
    nqi_encoder *encoder;
    uint8_t *code_memory;
    uint8_t *block_memory;
    size_t *offsets;
    uint32_t *crcs;
    double encode_seconds[MAX_RUNS];
    double decode_seconds[MAX_RUNS];
} row;

/* Where what is encoded and decoded goes, shared by all rows. */
typedef struct space {
    uint8_t *packed;
    size_t capacity;
    uint8_t *u8;
    uint16_t *u16;
} space;

static size_t block_of(const row *r)
{
    return r->peer ? r->peer->block : BLOCK;
}

static uint64_t cpu_of(const row *r)
{
    switch (r->kernels) {
    case ROW_PLAIN:
        return 0;
    case ROW_AVX2:
        return nqi_cpu_features() & (NQ_CPU_SSE42 | NQ_CPU_AVX2);
    default:
        return nqi_cpu_features();
    }
}

/* ---- The library --------------------------------------------------------------------------- */

static bool make_encoder(row *r, const stream *s)
{
    const nqi_allocator a = nqi_allocator_default();
    uint64_t counts[256] = {0};
    if (!nqi_index_count(counts, s->n_levels, s->indices, s->n, cpu_of(r)))
        return false;
    nqi_encoder_destroy(r->encoder);
    r->encoder = NULL;
    return nqi_encoder_create(&r->encoder, &a, r->codec, s->n_levels, 0, counts, NQI_ENCODER_EXACT,
                              cpu_of(r)) == NQ_OK;
}

static void encode_library(row *r, const stream *s, const space *to)
{
    size_t at = 0;
    if (!make_encoder(r, s))
        die("no encoder");
    for (size_t i = 0, k = 0; i < s->n; i += BLOCK, k++) {
        const size_t n = s->n - i < BLOCK ? s->n - i : BLOCK;
        size_t n_bytes;
        if (nqi_encoder_encode(r->encoder, to->packed + at, to->capacity - at, &n_bytes,
                               s->indices + i, n) != NQ_OK)
            die("encoding failed");
        if (r->has_crc)
            r->crcs[k] = nqi_crc32c(0, to->packed + at, n_bytes);
        r->offsets[k] = at;
        r->offsets[k + 1] = at += n_bytes;
    }
}

static void decode_block(const row *r, const nqi_code *code, const space *to, size_t k, size_t n)
{
    const uint8_t *bytes = to->packed + r->offsets[k];
    const size_t n_bytes = r->offsets[k + 1] - r->offsets[k];
    nqi_block *block;
    if (r->has_crc && nqi_crc32c(0, bytes, n_bytes) != r->crcs[k])
        die("a block is damaged");
    nq_status status = nqi_block_begin(&block, r->block_memory, code, bytes, n_bytes, n);
    if (status == NQ_OK)
        status = r->is_u16 ? nqi_block_next_u16(block, to->u16 + k * BLOCK, n)
                           : nqi_block_next_u8(block, to->u8 + k * BLOCK, n);
    if (status != NQ_OK || nqi_block_end(block) != NQ_OK)
        die("decoding failed");
}

static void decode_library(const row *r, const stream *s, const space *to)
{
    size_t table_bytes;
    nqi_code *code;
    const uint8_t *table = nqi_encoder_table(r->encoder, &table_bytes);
    if (nqi_code_init(&code, r->code_memory, r->codec, s->n_levels, table, table_bytes, r->flags,
                      cpu_of(r)) != NQ_OK)
        die("the code's own table is refused");
    for (size_t i = 0, k = 0; i < s->n; i += BLOCK, k++)
        decode_block(r, code, to, k, s->n - i < BLOCK ? s->n - i : BLOCK);
}

static void open_library(row *r, const stream *s)
{
    size_t code_bytes, block_bytes, table_bytes;
    if (!make_encoder(r, s))
        die("no encoder");
    const uint8_t *table = nqi_encoder_table(r->encoder, &table_bytes);
    if (nqi_code_size(&code_bytes, &block_bytes, r->codec, s->n_levels, table, table_bytes,
                      r->flags) != NQ_OK)
        die("no such code");
    r->code_memory = must_alloc(code_bytes);
    r->block_memory = must_alloc(block_bytes);
    r->crcs = must_alloc((s->n / BLOCK + 1) * sizeof *r->crcs);
}

static void close_library(row *r)
{
    nqi_encoder_destroy(r->encoder);
    r->encoder = NULL;
    free(r->code_memory);
    free(r->block_memory);
    free(r->crcs);
}

/* ---- Peers --------------------------------------------------------------------------------- */

static void encode_peer(row *r, const stream *s, const space *to)
{
    const size_t block = r->peer->block;
    size_t at = 0;
    for (size_t i = 0, k = 0; i < s->n; i += block, k++) {
        const size_t n = s->n - i < block ? s->n - i : block;
        const size_t room = to->capacity - at < 4 * n + 65536 ? to->capacity - at : 4 * n + 65536;
        const size_t n_bytes = r->peer->encode(to->packed + at, room, s->symbols + i, n);
        if (n_bytes == 0)
            die("a peer failed to encode");
        r->offsets[k] = at;
        r->offsets[k + 1] = at += n_bytes;
    }
}

static void decode_peer(const row *r, const stream *s, const space *to)
{
    const size_t block = r->peer->block;
    for (size_t i = 0, k = 0; i < s->n; i += block, k++) {
        const size_t n = s->n - i < block ? s->n - i : block;
        if (!r->peer->decode(to->u8 + i, n, to->packed + r->offsets[k],
                             r->offsets[k + 1] - r->offsets[k]))
            die("a peer failed to decode");
    }
}

/* ---- Runs ---------------------------------------------------------------------------------- */

static void run_row(row *r, const stream *s, const space *to, unsigned run)
{
    const double begin = now();
    if (r->peer)
        encode_peer(r, s, to);
    else
        encode_library(r, s, to);
    const double middle = now();
    if (r->peer)
        decode_peer(r, s, to);
    else
        decode_library(r, s, to);
    r->encode_seconds[run] = middle - begin;
    r->decode_seconds[run] = now() - middle;
}

static void check_row(row *r, const stream *s, const space *to)
{
    memset(to->u8, 0xff, s->n);
    memset(to->u16, 0xff, s->n * sizeof *to->u16);
    run_row(r, s, to, 0);
    if (r->is_u16 ? memcmp(to->u16, s->indices, s->n * sizeof *to->u16)
                  : memcmp(to->u8, s->symbols, s->n))
        die("what was decoded is not what was encoded");
}

static void print_row(row *r, const stream *s, unsigned n_runs)
{
    size_t n_bytes = r->offsets[(s->n + block_of(r) - 1) / block_of(r)], table_bytes = 0;
    if (r->encoder)
        (void)nqi_encoder_table(r->encoder, &table_bytes);
    const double bits = 8.0 * (double)(n_bytes + table_bytes) / (double)s->n;
    const rates e = make_rates(r->encode_seconds, n_runs, 1e-9 * (double)s->n);
    const rates d = make_rates(r->decode_seconds, n_runs, 1e-9 * (double)s->n);
    printf("  %-27s %7.4f %+7.2f%%  %5.2f (%.2f..%.2f)  %6.2f (%.2f..%.2f)\n", r->name, bits,
           100 * (bits / s->entropy - 1), e.median, e.low, e.high, d.median, d.low, d.high);
    const result found = {.row = r->name,
                          .is_peer = r->peer != NULL,
                          .is_plain = r->kernels == ROW_PLAIN,
                          .bits = bits,
                          .encode = e.median,
                          .decode = d.median};
    goals_add(s, &found);
}

static size_t make_rows(row rows[MAX_ROWS])
{
    const row ours[] = {
        {.name = "fixed", .codec = NQ_CODEC_FIXED, .kernels = ROW_BEST},
        {.name = "fixed, u16", .codec = NQ_CODEC_FIXED, .kernels = ROW_BEST, .is_u16 = true},
        {.name = "Huffman, plain C", .codec = NQ_CODEC_HUFFMAN},
        {.name = "Huffman", .codec = NQ_CODEC_HUFFMAN, .kernels = ROW_BEST},
        {.name = "Huffman, small tables", .codec = NQ_CODEC_HUFFMAN, .flags = NQI_CODE_SMALL},
        {.name = "rANS, plain C", .codec = NQ_CODEC_RANS},
        {.name = "rANS, AVX2", .codec = NQ_CODEC_RANS, .kernels = ROW_AVX2},
        {.name = "rANS", .codec = NQ_CODEC_RANS, .kernels = ROW_BEST},
        {.name = "rANS and CRC", .codec = NQ_CODEC_RANS, .kernels = ROW_BEST, .has_crc = true},
        {.name = "rANS, u16", .codec = NQ_CODEC_RANS, .kernels = ROW_BEST, .is_u16 = true},
    };
    size_t n = 0, n_peers;
    const peer *peers = list_peers(&n_peers);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        rows[n++] = ours[i];
    for (size_t i = 0; i < n_peers; i++)
        rows[n++] = (row){.name = peers[i].name,
                          .peer = &peers[i],
                          .kernels = peers[i].is_plain ? ROW_PLAIN : ROW_BEST};
    return n;
}

static void measure(row *rows, size_t n_rows, const stream *s, unsigned n_runs)
{
    const size_t capacity = 3 * s->n + (1 << 20);
    const space to = {.packed = must_alloc(capacity),
                      .capacity = capacity,
                      .u8 = must_alloc(s->n),
                      .u16 = must_alloc(s->n * sizeof(uint16_t))};
    for (size_t i = 0; i < n_rows; i++) {
        if (!rows[i].peer)
            open_library(&rows[i], s);
        rows[i].offsets = must_alloc((s->n / block_of(&rows[i]) + 2) * sizeof(size_t));
        check_row(&rows[i], s, &to);
    }
    for (unsigned run = 0; run < n_runs; run++)
        for (size_t i = 0; i < n_rows; i++)
            run_row(&rows[i], s, &to, run);
    printf("\n%s: %zu symbols, %u levels, order-0 entropy %.4f bits\n", s->name, s->n, s->n_levels,
           s->entropy);
    printf("  %-27s %7s %8s  %-19s  %s\n", "", "bits", "over it", "encode", "decode");
    for (size_t i = 0; i < n_rows; i++) {
        print_row(&rows[i], s, n_runs);
        free(rows[i].offsets);
        if (!rows[i].peer)
            close_library(&rows[i]);
    }
    free(to.packed);
    free(to.u16);
    free(to.u8);
    fflush(stdout);
}

/* ---- Command line -------------------------------------------------------------------------- */

typedef struct options {
    size_t n;
    unsigned n_runs;
    const char *only;
    const char *folder;
    int first_file;
} options;

static options read_options(int argc, char **argv)
{
    options o = {.n = (size_t)1 << 24, .n_runs = 7, .folder = MODELS_FOLDER, .first_file = 1};
    for (; o.first_file + 1 < argc && argv[o.first_file][0] == '-'; o.first_file += 2) {
        const char *option = argv[o.first_file], *value = argv[o.first_file + 1];
        const int number = atoi(value);
        if (strcmp(option, "-n") == 0 && number >= 1 && number <= 30)
            o.n = (size_t)1 << number;
        else if (strcmp(option, "-r") == 0 && number >= 1 && number <= MAX_RUNS)
            o.n_runs = (unsigned)number;
        else if (strcmp(option, "-s") == 0)
            o.only = value;
        else if (strcmp(option, "-d") == 0)
            o.folder = value;
        else
            die("usage: bench_codec [-n LOG2_OF_SYMBOLS] [-r RUNS] [-s STREAM] [-d FOLDER] "
                "[FILE...]");
    }
    return o;
}

static void measure_and_free(row *rows, size_t n_rows, stream s, const options *o)
{
    if (s.n > 0 && (!o->only || strstr(s.name, o->only)))
        measure(rows, n_rows, &s, o->n_runs);
    free_stream(&s);
}

static void measure_models(row *rows, size_t n_rows, const options *o)
{
    const double bits[] = {3, 5};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        stream s = join_models(o->folder, bits[i], o->n);
        if (s.n == 0)
            printf("\n%s: no such data in %s\n", s.name, o->folder);
        measure_and_free(rows, n_rows, s, o);
    }
}

int main(int argc, char **argv)
{
    static row rows[MAX_ROWS];
    const options o = read_options(argc, argv);
    print_machine();
    const size_t n_rows = make_rows(rows);
    printf("blocks of %d symbols, peers' of their best size; %u runs in turn; 10^9 symbols a "
           "second, median (slowest..fastest)\n",
           BLOCK, o.n_runs);
    for (int i = o.first_file; i < argc; i++)
        measure_and_free(rows, n_rows, read_stream(argv[i], o.n), &o);
    if (o.first_file < argc)
        return 0;
    for (size_t i = 0; i < n_drawn_streams(); i++)
        if (!o.only || strstr(drawn_name(i), o.only))
            measure_and_free(rows, n_rows, draw_stream(i, o.n), &o);
    if (!o.only || strstr("models", o.only) || strstr(o.only, "models"))
        measure_models(rows, n_rows, &o);
    if (!o.only || strstr("sizes", o.only))
        measure_sizes(o.folder);
    if (!o.only || strstr("values", o.only))
        measure_use(o.n, o.n_runs);
    if (!o.only || strstr("cores", o.only))
        measure_cores(o.n, o.n_runs);
    goals_print();
    return 0;
}
