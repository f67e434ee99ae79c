/*
 * What comes behind the indices: see use.h. Through the public interface, checksums included, from
 * a file in memory; beside it what a program would do with the weights as they were.
 */
#include "use.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "goals.h"
#include "nq/nq.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { COLUMNS = 4096, CACHED = 1 << 15 };

typedef struct setup {
    size_t n;
    float *weights; /* as they were */
    float *out;
    float x[COLUMNS];
    float *y;
    uint8_t *indices;
    float levels[256];
    uint32_t n_levels;
    uint8_t *file;
    size_t file_bytes;
    nq_reader *reader;
    nq_decoder *decoder;
} setup;

static void must(nq_status status)
{
    if (status != NQ_OK)
        die(nq_status_text(status));
}

/* ---- Setup --------------------------------------------------------------------------------- */

static nq_status write_memory(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    setup *s = user;
    if (offset + n_bytes > 4 * s->n + 65536)
        return NQ_E_IO;
    memcpy(s->file + offset, bytes, n_bytes);
    s->file_bytes = s->file_bytes < offset + n_bytes ? (size_t)offset + n_bytes : s->file_bytes;
    return NQ_OK;
}

static void compress(setup *s)
{
    nq_tensor tensor;
    nq_plan_options options;
    nq_plan *plan;
    nq_sink sink;
    nq_tensor_init(&tensor);
    tensor.dtype = NQ_F32;
    tensor.rank = 2;
    tensor.dims[0] = s->n / COLUMNS;
    tensor.dims[1] = COLUMNS;
    tensor.name = "w";
    tensor.name_bytes = 1;
    tensor.data = s->weights;
    nq_plan_options_init(&options);
    options.codec = NQ_CODEC_RANS;
    options.target = NQ_TARGET_STEP;
    options.target_value = 0.52243; /* three bits */
    nq_sink_init(&sink);
    sink.write = write_memory;
    sink.user = s;
    must(nq_plan_create(&plan, NULL, &options));
    must(nq_plan_add(plan, &tensor, NULL, NULL));
    must(nq_plan_write(plan, &sink));
    nq_plan_destroy(plan);
}

static void make_setup(setup *s, size_t n)
{
    const float *levels;
    size_t n_levels;
    *s = (setup){.n = n,
                 .weights = must_alloc(n * sizeof(float)),
                 .out = must_alloc(n * sizeof(float)),
                 .y = must_alloc(n / COLUMNS * sizeof(float)),
                 .indices = must_alloc(n),
                 .file = must_alloc(4 * n + 65536)};
    for (size_t i = 0; i < n; i++)
        s->weights[i] = (float)draw_gauss();
    for (size_t i = 0; i < COLUMNS; i++)
        s->x[i] = (float)draw_gauss();
    compress(s);
    must(nq_reader_open(&s->reader, NULL, s->file, s->file_bytes, NULL));
    must(nq_decoder_create(&s->decoder, NULL, s->reader, 0, NULL, NULL));
    must(nq_decoder_codebook(s->decoder, &levels, &n_levels));
    uint16_t wide[CACHED];
    for (size_t i = 0; i < n; i += CACHED) {
        must(nq_decoder_read_indices(s->decoder, i, CACHED, wide));
        for (size_t k = 0; k < CACHED; k++)
            s->indices[i + k] = (uint8_t)wide[k];
    }
    if (n_levels > 256)
        die("more levels than were expected");
    s->n_levels = (uint32_t)n_levels;
    memcpy(s->levels, levels, n_levels * sizeof *levels);
}

static void free_setup(setup *s)
{
    nq_decoder_destroy(s->decoder);
    nq_reader_destroy(s->reader);
    free(s->weights);
    free(s->out);
    free(s->y);
    free(s->indices);
    free(s->file);
}

/* ---- What is measured ---------------------------------------------------------------------- */

/* A tile after the other into the same place, as an engine would. */
static void decode_cached(setup *s)
{
    for (size_t i = 0; i < s->n; i += CACHED)
        must(nq_decoder_read(s->decoder, NQ_F32, i, CACHED, s->out));
}

static void decode_all(setup *s)
{
    must(nq_decoder_read(s->decoder, NQ_F32, 0, s->n, s->out));
}

static void decode_half(setup *s)
{
    for (size_t i = 0; i < s->n; i += CACHED)
        must(nq_decoder_read(s->decoder, NQ_F16, i, CACHED, s->out));
}

/* The same from indices that are bytes. */
static void look_up_all(setup *s)
{
    for (size_t i = 0; i < s->n; i++)
        s->out[i] = s->levels[s->indices[i]];
}

#if defined(__SSE2__)
/* The same past the caches. */
static void look_up_streaming(setup *s)
{
    for (size_t i = 0; i + 4 <= s->n; i += 4) {
        const uint8_t *at = s->indices + i;
        _mm_stream_ps(s->out + i, _mm_setr_ps(s->levels[at[0]], s->levels[at[1]], s->levels[at[2]],
                                              s->levels[at[3]]));
    }
    _mm_sfence();
}
#else
#define look_up_streaming look_up_all
#endif

static void multiply(setup *s)
{
    must(nq_decoder_matvec(s->decoder, 0, s->n / COLUMNS, s->x, s->y));
}

/* In as many sums as compilers make vectors of. */
static float dot(const float *a, const float *b)
{
    float sums[64] = {0}, sum = 0;
    for (size_t i = 0; i < COLUMNS; i += 64)
        for (size_t k = 0; k < 64; k++)
            sums[k] += a[i + k] * b[i + k];
    for (size_t k = 0; k < 64; k++)
        sum += sums[k];
    return sum;
}

static void multiply_raw(setup *s)
{
    for (size_t row = 0; row < s->n / COLUMNS; row++)
        s->y[row] += dot(s->weights + row * COLUMNS, s->x);
}

#if defined(__GNUC__) && defined(__x86_64__)
/* With all that this processor has, where the compiler may use it. */
__attribute__((target("avx512f"))) static float dot_avx512(const float *a, const float *b)
{
    float sums[64] = {0}, sum = 0;
    for (size_t i = 0; i < COLUMNS; i += 64)
        for (size_t k = 0; k < 64; k++)
            sums[k] += a[i + k] * b[i + k];
    for (size_t k = 0; k < 64; k++)
        sum += sums[k];
    return sum;
}

static void multiply_raw_avx512(setup *s)
{
    if (nq_cpu_features() & NQ_CPU_AVX512)
        for (size_t row = 0; row < s->n / COLUMNS; row++)
            s->y[row] += dot_avx512(s->weights + row * COLUMNS, s->x);
    else
        multiply_raw(s);
}
#else
#define multiply_raw_avx512 multiply_raw
#endif

/* ---- Runs ---------------------------------------------------------------------------------- */

typedef struct task {
    const char *name;
    void (*run)(setup *);
    double seconds[MAX_RUNS];
    rates found;
} task;

enum {
    CACHED_F32,
    CACHED_F16,
    ALL_F32,
    PLAIN_F32,
    STREAMING_F32,
    MATVEC,
    RAW,
    RAW_AVX512,
    N_TASKS
};

static task tasks[N_TASKS] = {
    [CACHED_F32] = {.name = "to f32, 128 KiB at a time", .run = decode_cached},
    [CACHED_F16] = {.name = "to f16, 64 KiB at a time", .run = decode_half},
    [ALL_F32] = {.name = "to f32, all to memory", .run = decode_all},
    [PLAIN_F32] = {.name = "plain lookup of bytes to f32", .run = look_up_all},
    [STREAMING_F32] = {.name = "the same, stores past the caches", .run = look_up_streaming},
    [MATVEC] = {.name = "W x from blocks", .run = multiply},
    [RAW] = {.name = "W x over raw f32", .run = multiply_raw},
    [RAW_AVX512] = {.name = "W x over raw f32, AVX-512", .run = multiply_raw_avx512},
};

void measure_use(size_t n, unsigned n_runs)
{
    static setup s;
    n = n < CACHED ? CACHED : n;
    make_setup(&s, n);
    for (unsigned run = 0; run < n_runs + 1; run++)
        for (size_t i = 0; i < N_TASKS; i++) {
            const double begin = now();
            tasks[i].run(&s);
            if (run > 0) /* the first one warms up */
                tasks[i].seconds[run - 1] = now() - begin;
        }
    printf("\nvalues: %zu Gaussian weights, %u levels, %.2f bits each in the file, checksums "
           "verified\n",
           n, s.n_levels, 8 * (double)s.file_bytes / (double)n);
    for (size_t i = 0; i < N_TASKS; i++) {
        const rates r = make_rates(tasks[i].seconds, n_runs, 1e-9 * (double)n);
        printf("  %-36s %6.2f (%.2f..%.2f)\n", tasks[i].name, r.median, r.low, r.high);
        tasks[i].found = r;
    }
    const double raw = tasks[RAW].found.median, avx512 = tasks[RAW_AVX512].found.median;
    goals_line("f32 into the cache", tasks[CACHED_F32].found.median, 3, 5, " G/s");
    goals_line("f32 to memory, of a plain lookup",
               tasks[ALL_F32].found.median / tasks[PLAIN_F32].found.median, 0.8, 0.8, "x");
    goals_line("f32 to memory, of one past the caches",
               tasks[ALL_F32].found.median / tasks[STREAMING_F32].found.median, 0, 0.8, "x");
    goals_line("W x, of raw f32", tasks[MATVEC].found.median / raw, 1, 2, "x");
    goals_line("W x, of raw f32 with AVX-512", tasks[MATVEC].found.median / avx512, 1, 2, "x");
    free_setup(&s);
}
