/*
 * Sizes of real models: see sizes.h. Of the library's file everything counts but its index, which
 * names and describes tensors whatever the code: blocks, their directories and checksums, tables,
 * the codebook. Of what it is held against, blocks and tables alone.
 */
#include "sizes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "bench.h"
#include "codec/code_enc.h"
#include "codec/index_count.h"
#include "cpu/cpu.h"
#include "goals.h"
#include "nq/nq.h"
#include "streams.h"

enum { MAX_MODELS = 64, BLOCK = 1 << NQ_BLOCK_LOG2_DEFAULT };

static void must(nq_status status)
{
    if (status != NQ_OK)
        die(nq_status_text(status));
}

/* ---- The library's file -------------------------------------------------------------------- */

typedef struct memory_file {
    uint8_t *bytes;
    size_t n_bytes;
    size_t capacity;
} memory_file;

static nq_status write_memory(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    memory_file *f = user;
    if (offset + n_bytes > f->capacity)
        return NQ_E_IO;
    memcpy(f->bytes + offset, bytes, n_bytes);
    f->n_bytes = f->n_bytes < offset + n_bytes ? (size_t)offset + n_bytes : f->n_bytes;
    return NQ_OK;
}

static void compress(memory_file *f, const st_file *model, double step)
{
    nq_plan_options options;
    nq_plan *plan;
    nq_sink sink;
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_STEP;
    options.target_value = step;
    options.level_rule = NQ_LEVEL_GRID;
    nq_sink_init(&sink);
    sink.write = write_memory;
    sink.user = f;
    must(nq_plan_create(&plan, NULL, &options));
    for (size_t i = 0; i < model->n_tensors; i++)
        if (is_weight(&model->tensors[i].tensor))
            must(nq_plan_add(plan, &model->tensors[i].tensor, NULL, NULL));
    must(nq_plan_write(plan, &sink));
    nq_plan_destroy(plan);
}

/* ---- Codes of one table -------------------------------------------------------------------- */

static nqi_encoder *make_encoder(const uint64_t *counts, uint32_t n_levels)
{
    const nqi_allocator a = nqi_allocator_default();
    nqi_encoder *encoder;
    must(nqi_encoder_create(&encoder, &a, NQ_CODEC_RANS, n_levels, 0, counts, NQI_ENCODER_EXACT,
                            nqi_cpu_features()));
    return encoder;
}

static size_t table_bytes(const nqi_encoder *encoder)
{
    size_t n_bytes;
    (void)nqi_encoder_table(encoder, &n_bytes);
    return n_bytes;
}

static size_t block_bytes(const nqi_encoder *encoder, const uint16_t *indices, size_t n)
{
    enum { CAPACITY = 8 * BLOCK };
    static uint8_t block[CAPACITY];
    size_t sum = 0, n_bytes;
    for (size_t i = 0; i < n; i += BLOCK, sum += n_bytes)
        must(nqi_encoder_encode(encoder, block, CAPACITY, &n_bytes, indices + i,
                                n - i < BLOCK ? n - i : BLOCK));
    return sum;
}

/* ---- Models -------------------------------------------------------------------------------- */

typedef struct coded {
    uint16_t *indices; /* of all tensors behind each other */
    size_t *ends;
    size_t n_tensors;
    uint32_t n_levels;
    size_t library;
    size_t one_table;
    size_t own_tables;
} coded;

/* The indices of all tensors that were quantized: what others take, mostly as they are, is left out
 * of the library's size. */
static void read_indices(coded *c, const nq_reader *reader)
{
    const size_t n_all = c->n_tensors;
    size_t at = 0;
    c->n_tensors = 0;
    for (size_t t = 0; t < n_all; t++) {
        nq_tensor_info info;
        nq_decoder *decoder;
        nq_tensor_info_init(&info);
        must(nq_reader_tensor(reader, t, &info));
        if (info.n_levels == 0) {
            c->library -= (size_t)info.payload_bytes;
            continue;
        }
        must(nq_decoder_create(&decoder, NULL, reader, t, NULL, NULL));
        must(nq_decoder_read_indices(decoder, 0, info.n_elements, c->indices + at));
        nq_decoder_destroy(decoder);
        c->n_levels = info.n_levels > c->n_levels ? info.n_levels : c->n_levels;
        c->ends[c->n_tensors++] = at += (size_t)info.n_elements;
    }
}

static void count(uint64_t *counts, const coded *c, size_t begin, size_t end)
{
    memset(counts, 0, c->n_levels * sizeof *counts);
    if (!nqi_index_count(counts, c->n_levels, c->indices + begin, end - begin, nqi_cpu_features()))
        die("indices that are not there");
}

static void encode(coded *c)
{
    uint64_t *counts = must_alloc(c->n_levels * sizeof *counts);
    count(counts, c, 0, c->ends[c->n_tensors - 1]);
    nqi_encoder *one = make_encoder(counts, c->n_levels);
    c->one_table = table_bytes(one);
    for (size_t t = 0, begin = 0; t < c->n_tensors; begin = c->ends[t++]) {
        const size_t n = c->ends[t] - begin;
        c->one_table += block_bytes(one, c->indices + begin, n);
        count(counts, c, begin, begin + n);
        nqi_encoder *own = make_encoder(counts, c->n_levels);
        c->own_tables += table_bytes(own) + block_bytes(own, c->indices + begin, n);
        nqi_encoder_destroy(own);
    }
    nqi_encoder_destroy(one);
    free(counts);
}

typedef struct sizes {
    double bits;
    size_t n;
    double of_one[MAX_MODELS]; /* more than one table a model, in percent */
    double of_own;             /* at most more than a table a tensor */
} sizes;

static void take_model(void *user, const char *name, const st_file *model)
{
    sizes *s = user;
    memory_file f = {.capacity = 1 << 20};
    size_t n_weights = 0;
    coded c = {.n_levels = 1};
    for (size_t i = 0; i < model->n_tensors; i++)
        if (is_weight(&model->tensors[i].tensor)) {
            n_weights += model->tensors[i].n_bytes / sizeof(float);
            c.n_tensors++;
        }
    if (c.n_tensors == 0 || s->n == MAX_MODELS)
        return;
    f.capacity += 4 * n_weights;
    f.bytes = must_alloc(f.capacity);
    c.indices = must_alloc(n_weights * sizeof *c.indices);
    c.ends = must_alloc(c.n_tensors * sizeof *c.ends);
    compress(&f, model, step_for(model, s->bits, false));

    nq_reader *reader;
    nq_reader_info info;
    nq_reader_info_init(&info);
    must(nq_reader_open(&reader, NULL, f.bytes, f.n_bytes, NULL));
    must(nq_reader_get_info(reader, &info));
    c.library = (size_t)(info.file_bytes - info.index_bytes);
    read_indices(&c, reader);
    nq_reader_destroy(reader);
    encode(&c);
    const double of_one = 100 * ((double)c.library / (double)c.one_table - 1);
    const double of_own = 100 * ((double)c.library / (double)c.own_tables - 1);
    printf("  %-32s %4zu %9zu %9zu  %9zu %+6.2f%%  %9zu %+6.2f%%\n", name, c.n_tensors,
           c.ends[c.n_tensors - 1], c.library, c.one_table, of_one, c.own_tables, of_own);
    s->of_own = s->n == 0 || of_own > s->of_own ? of_own : s->of_own;
    s->of_one[s->n++] = of_one;
    free(c.ends);
    free(c.indices);
    free(f.bytes);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure_at(const char *folder, double bits)
{
    sizes s = {.bits = bits};
    printf("\nmodels with one step, %.0f bits; bytes\n  %-32s %4s %9s %9s  %17s  %17s\n", bits, "",
           "", "weights", "library", "one table for all", "a table a tensor");
    for_each_model(folder, take_model, &s);
    if (s.n == 0) {
        printf("  no such data in %s\n", folder);
        return;
    }
    qsort(s.of_one, s.n, sizeof *s.of_one, compare);
    goals_line(bits < 4 ? "rANS size, models, 3 bits, median" : "rANS size, models, 5 bits, median",
               (s.of_one[(s.n - 1) / 2] + s.of_one[s.n / 2]) / 2, -4, -7, " %");
    goals_line("the same, most of a table a tensor", s.of_own, 0.5, 0, " %");
}

void measure_sizes(const char *folder)
{
    measure_at(folder, 3);
    measure_at(folder, 5);
}
