/*
 * The encoder over bare indices: counts that fit them, miss some, or are anything; output of every
 * capacity around the bound and around the block's own length. What was encoded decodes to the
 * same.
 *
 * Input: codec, number of levels less 1 (2 bytes), longest codeword, kind of counts, kernels,
 * capacity (2), number of indices (2); then what the indices are drawn from.
 */
#include "fuzz.h"

typedef struct encoder_input {
    uint32_t n_levels;
    uint32_t codec;
    size_t n;
    uint16_t *indices;
    uint64_t *counts;
} encoder_input;

/* The indices are the bytes that are left, over and over, of one or two bytes each. */
static void make_indices(encoder_input *in, draw *d)
{
    const unsigned width = in->n_levels > 256 ? 2 : 1;
    const draw all = *d;
    for (size_t i = 0; i < in->n; i++) {
        if (d->left == 0)
            *d = all;
        in->indices[i] = (uint16_t)(draw_u(d, width) % in->n_levels);
    }
}

static void make_counts(encoder_input *in, unsigned kind)
{
    if (kind % 4 != 3)
        assert_int_equal(nq_indices_count(in->counts, in->n_levels, in->indices, in->n), NQ_OK);
    for (uint32_t i = 0; i < in->n_levels; i++) {
        if (kind % 4 == 1)
            in->counts[i] *= (uint64_t)1 << (i % 40);
        if (kind % 4 == 2 && i % 3 == 0)
            in->counts[i] = 0;
    }
}

static void check_block(const nq_encoder *e, const encoder_input *in, const uint8_t *block,
                        size_t n_bytes)
{
    size_t table_bytes, memory_bytes;
    const uint8_t *table = nq_encoder_table(e, &table_bytes);
    uint8_t *copy = exact_copy(block, n_bytes);
    assert_int_equal(
        nq_block_decoder_size(&memory_bytes, in->codec, in->n_levels, table, table_bytes), NQ_OK);
    uint8_t *memory = malloc(memory_bytes);
    uint16_t *out = malloc((in->n + 1) * sizeof *out);
    assert_int_equal(nq_block_decode(out, in->n, memory, memory_bytes, in->codec, in->n_levels,
                                     table, table_bytes, copy, n_bytes),
                     NQ_OK);
    assert_memory_equal(out, in->indices, in->n * sizeof *out);
    free(out);
    free(memory);
    free(copy);
}

/* Enough room gives the same block; too little is said, and nothing is written behind it. */
static void check_capacity(const nq_encoder *e, const encoder_input *in, const uint8_t *block,
                           size_t n_bytes, size_t capacity)
{
    uint8_t *out = malloc(capacity ? capacity : 1);
    size_t n = 0;
    const nq_status status = nq_encoder_encode(e, out, capacity, &n, in->indices, in->n);
    assert_int_equal(status, capacity < n_bytes ? NQ_E_SPACE : NQ_OK);
    if (status == NQ_OK) {
        assert_true(n == n_bytes);
        assert_memory_equal(out, block, n_bytes);
    }
    free(out);
}

static void check_encoder(const nq_encoder *e, const encoder_input *in, size_t drawn)
{
    const size_t bound = (size_t)nq_encoder_bound(e, in->n);
    uint8_t *block = malloc(bound ? bound : 1);
    size_t n_bytes = 0;
    assert_int_equal(nq_encoder_encode(e, block, bound, &n_bytes, in->indices, in->n), NQ_OK);
    assert_true(n_bytes <= bound);
    check_block(e, in, block, n_bytes);
    const size_t capacities[] = {bound - (bound > 0), n_bytes, n_bytes - (n_bytes > 0), 0,
                                 drawn % (bound + 1)};
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++)
        check_capacity(e, in, block, n_bytes, capacities[i]);
    free(block);
}

static void run(const uint8_t *data, size_t n_bytes)
{
    static const uint64_t masks[] = {0, NQ_CPU_ALL, NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2};
    draw d = {data, n_bytes};
    nq_encoder_options options;
    nq_ctx_options ctx_options;
    nq_encoder *e;
    nq_ctx *ctx;
    nq_encoder_options_init(&options);
    nq_ctx_options_init(&ctx_options);
    options.codec = NQ_CODEC_FIXED + (uint32_t)draw_below(&d, 4);
    options.n_levels = (uint32_t)draw_u(&d, 2) + 1;
    options.max_code_length = (uint32_t)draw_below(&d, 26);
    const unsigned kind = (unsigned)draw_u(&d, 1);
    ctx_options.cpu_disabled = masks[draw_below(&d, 3)];
    const size_t capacity = (size_t)draw_u(&d, 2);
    encoder_input in = {.n_levels = options.n_levels, .codec = options.codec};
    in.n = (size_t)draw_u(&d, 2) % 20000;
    in.indices = malloc((in.n + 1) * sizeof *in.indices);
    in.counts = calloc(in.n_levels, sizeof *in.counts);
    make_indices(&in, &d);
    make_counts(&in, kind);
    assert_int_equal(nq_ctx_create(&ctx, &ctx_options), NQ_OK);
    const nq_status status =
        nq_encoder_create(&e, ctx, &options, in.codec == NQ_CODEC_FIXED ? NULL : in.counts);
    assert_true(status == NQ_OK || (status == NQ_E_ARG && options.max_code_length == 25) ||
                (status == NQ_E_LIMIT && kind % 4 == 1));
    if (status == NQ_OK)
        check_encoder(e, &in, capacity);
    nq_encoder_destroy(e);
    nq_ctx_destroy(ctx);
    free(in.indices);
    free(in.counts);
}

static bytes make_seed(uint64_t number)
{
    bytes b = {0};
    uint64_t seed = number;
    const uint64_t n_levels =
        number % 5 == 0 ? 1 + unit_random(&seed) % 65536 : 1 + unit_random(&seed) % 60;
    put_u(&b, number % 4, 1);
    put_u(&b, n_levels - 1, 2);
    put_u(&b, number % 3 ? 0 : unit_random(&seed) % 25, 1);
    put_u(&b, unit_random(&seed), 8);
    for (uint64_t n = unit_random(&seed) % 300; n > 0; n--) {
        const uint64_t below = 1 + unit_random(&seed) % 8;
        put_u(&b, unit_random(&seed) % 2 ? 0 : unit_random(&seed) % (below * below * below), 1);
    }
    return b;
}

const fuzz_target fuzz_encoder = {"encoder", run, make_seed};
