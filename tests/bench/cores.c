/*
 * Two cores: see cores.h. Each of two threads, on a core of its own, decodes half of a stream's
 * blocks to bytes at the same time; then one thread decodes all of them. Each thread has its own
 * clock, which stands still while another program has the core: what counts is the sum of both
 * threads' rates.
 */
#define _GNU_SOURCE

#include "cores.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "bench.h"
#include "codec/code_dec.h"
#include "codec/code_enc.h"
#include "codec/index_count.h"
#include "cpu/cpu.h"
#include "goals.h"
#include "streams.h"

enum { BLOCK = 1 << NQ_BLOCK_LOG2_DEFAULT, TIMES = 8 /* a run decodes everything so often */ };

typedef struct coded {
    size_t n;
    size_t n_blocks;
    nqi_encoder *encoder;
    uint8_t *packed;
    size_t *offsets;
    nqi_code *code;
    void *code_memory;
    size_t block_bytes;
    uint8_t *out;
} coded;

/* ---- Blocks -------------------------------------------------------------------------------- */

static void encode_all(coded *c, const stream *s)
{
    const nqi_allocator a = nqi_allocator_default();
    const uint64_t cpu = nqi_cpu_features();
    uint64_t counts[256] = {0};
    size_t at = 0, n_bytes;
    if (!nqi_index_count(counts, s->n_levels, s->indices, s->n, cpu) ||
        nqi_encoder_create(&c->encoder, &a, NQ_CODEC_RANS, s->n_levels, 0, counts,
                           NQI_ENCODER_EXACT, cpu) != NQ_OK)
        die("no encoder");
    for (size_t k = 0; k < c->n_blocks; k++, at += n_bytes) {
        c->offsets[k] = at;
        if (nqi_encoder_encode(c->encoder, c->packed + at, 3 * s->n - at, &n_bytes,
                               s->indices + k * BLOCK, BLOCK) != NQ_OK)
            die("encoding failed");
    }
    c->offsets[c->n_blocks] = at;
}

static void make_code(coded *c, uint32_t n_levels)
{
    size_t table_bytes, code_bytes;
    const uint8_t *table = nqi_encoder_table(c->encoder, &table_bytes);
    if (nqi_code_size(&code_bytes, &c->block_bytes, NQ_CODEC_RANS, n_levels, table, table_bytes,
                      0) != NQ_OK)
        die("no such code");
    c->code_memory = must_alloc(code_bytes);
    if (nqi_code_init(&c->code, c->code_memory, NQ_CODEC_RANS, n_levels, table, table_bytes, 0,
                      nqi_cpu_features()) != NQ_OK)
        die("the code's own table is refused");
}

static void decode_blocks(const coded *c, void *memory, size_t first, size_t end)
{
    for (size_t k = first; k < end; k++) {
        nqi_block *block;
        if (nqi_block_begin(&block, memory, c->code, c->packed + c->offsets[k],
                            c->offsets[k + 1] - c->offsets[k], BLOCK) != NQ_OK ||
            nqi_block_next_u8(block, c->out + k * BLOCK, BLOCK) != NQ_OK ||
            nqi_block_end(block) != NQ_OK)
            die("decoding failed");
    }
}

/* ---- Threads ------------------------------------------------------------------------------- */

typedef struct helper {
    const coded *c;
    void *memory;
    cpu_set_t core;
    double seconds;    /* of the last run */
    atomic_uint asked; /* runs */
    atomic_uint done;
    atomic_bool over;
} helper;

static double decode_often(const coded *c, void *memory, size_t first, size_t end)
{
    const double begin = now();
    for (unsigned i = 0; i < TIMES; i++)
        decode_blocks(c, memory, first, end);
    return now() - begin;
}

static void *help(void *arg)
{
    helper *h = arg;
    (void)pthread_setaffinity_np(pthread_self(), sizeof h->core, &h->core);
    for (unsigned run = 1;; run++) {
        while (atomic_load(&h->asked) < run)
            if (atomic_load(&h->over))
                return NULL;
        h->seconds = decode_often(h->c, h->memory, h->c->n_blocks / 2, h->c->n_blocks);
        atomic_store(&h->done, run);
    }
}

/* How long one thread would take at the rate of both together. */
static double run_both(const coded *c, void *memory, helper *h)
{
    const size_t half = c->n_blocks / 2;
    const unsigned run = atomic_fetch_add(&h->asked, 1) + 1;
    const double first = decode_often(c, memory, 0, half) / (double)half;
    while (atomic_load(&h->done) < run)
        continue;
    const double second = h->seconds / (double)(c->n_blocks - half);
    return (double)c->n_blocks / (1 / first + 1 / second);
}

/* The first two cores that this process may use; false if there is only one. */
static bool find_cores(cpu_set_t *all, cpu_set_t cores[2])
{
    unsigned n = 0;
    if (sched_getaffinity(0, sizeof *all, all) != 0)
        return false;
    for (size_t i = 0; i < CPU_SETSIZE && n < 2; i++)
        if (CPU_ISSET(i, all)) {
            CPU_ZERO(&cores[n]);
            CPU_SET(i, &cores[n++]);
        }
    return n == 2;
}

static void compare_cores(const coded *c, const cpu_set_t *core, unsigned n_runs)
{
    double both[MAX_RUNS], one[MAX_RUNS];
    helper h = {.c = c, .memory = must_alloc(c->block_bytes), .core = *core};
    void *memory = must_alloc(c->block_bytes);
    pthread_t thread;
    if (pthread_create(&thread, NULL, help, &h) != 0)
        die("no thread");
    (void)run_both(c, memory, &h); /* warms up */
    for (unsigned run = 0; run < n_runs; run++) {
        both[run] = run_both(c, memory, &h);
        one[run] = decode_often(c, memory, 0, c->n_blocks);
    }
    atomic_store(&h.over, true);
    pthread_join(thread, NULL);
    const rates two = make_rates(both, n_runs, 1e-9 * TIMES * (double)c->n);
    const rates single = make_rates(one, n_runs, 1e-9 * TIMES * (double)c->n);
    printf("\ncores: rANS to bytes, %zu Gaussian indices of three bits\n", c->n);
    printf("  %-36s %6.2f (%.2f..%.2f)\n", "one core", single.median, single.low, single.high);
    printf("  %-36s %6.2f (%.2f..%.2f)\n", "two cores", two.median, two.low, two.high);
    goals_line("decode on two cores, of one", two.median / single.median, 1.9, 1.9, "x");
    free(h.memory);
    free(memory);
}

void measure_cores(size_t n, unsigned n_runs)
{
    cpu_set_t all, cores[2];
    if (n < 2 * BLOCK || !find_cores(&all, cores)) {
        printf("\ncores: not measured, for lack of cores or blocks\n");
        return;
    }
    stream s = draw_stream(1, n / BLOCK * BLOCK);
    coded c = {.n = s.n, .n_blocks = s.n / BLOCK};
    c.packed = must_alloc(3 * s.n);
    c.out = must_alloc(s.n);
    c.offsets = must_alloc((c.n_blocks + 1) * sizeof *c.offsets);
    encode_all(&c, &s);
    make_code(&c, s.n_levels);
    (void)sched_setaffinity(0, sizeof cores[0], &cores[0]);
    compare_cores(&c, &cores[1], n_runs);
    (void)sched_setaffinity(0, sizeof all, &all);
    if (memcmp(c.out, s.symbols, s.n) != 0)
        die("what was decoded is not what was encoded");
    nqi_encoder_destroy(c.encoder);
    free(c.packed);
    free(c.out);
    free(c.offsets);
    free(c.code_memory);
    free_stream(&s);
}
