/*
 * The public codec: what it refuses, how its options grow, and that a block comes back through
 * nothing but memory of the caller's, at any alignment, for each codec.
 */
#include "nq/codec.h"
#include "nq/types.h"
#include "unit.h"

/* NQ_CODEC_RANS where this build has it. */
static const uint32_t codecs[] = {NQ_CODEC_FIXED, NQ_CODEC_HUFFMAN, NQ_CODEC_RANS,
                                  NQ_CODEC_HUFFMAN_GAPS};
enum { N_CODECS = 4 };

static bool has_codec(uint32_t codec)
{
    size_t n_bytes;
    return nq_block_decoder_size(&n_bytes, codec, 2, NULL, 0) != NQ_E_UNSUPPORTED;
}

static nq_encoder_options options_for(uint32_t codec, uint32_t n_levels)
{
    nq_encoder_options o;
    nq_encoder_options_init(&o);
    o.codec = codec;
    o.n_levels = n_levels;
    return o;
}

static nq_encoder *make_encoder(uint32_t codec, uint32_t n_levels, const uint64_t *counts)
{
    const nq_encoder_options o = options_for(codec, n_levels);
    nq_encoder *encoder;
    assert_int_equal(nq_encoder_create(&encoder, NULL, &o, counts), NQ_OK);
    return encoder;
}

/* ---- Round trips --------------------------------------------------------------------------- */

/* Geometric over the levels, so that most of them are rare. */
static void draw(uint16_t *indices, uint64_t *counts, size_t n, uint32_t n_levels, uint64_t *seed)
{
    memset(counts, 0, n_levels * sizeof *counts);
    for (size_t i = 0; i < n; i++) {
        const uint64_t word = unit_random(seed);
        const uint32_t scale = 1u << (word >> 32) % 17;
        indices[i] = (uint16_t)((uint32_t)word % (scale < n_levels ? scale : n_levels));
        counts[indices[i]]++;
    }
}

static void check_decode(const uint16_t *indices, size_t n, uint32_t codec, uint32_t n_levels,
                         const uint8_t *table, size_t table_bytes, const uint8_t *block,
                         size_t block_bytes, size_t misalignment)
{
    size_t wanted;
    assert_int_equal(nq_block_decoder_size(&wanted, codec, n_levels, table, table_bytes), NQ_OK);
    uint8_t *memory = malloc(wanted + misalignment);
    uint16_t *decoded = malloc(n * sizeof *decoded + 1);
    assert_true(memory && decoded);
    assert_int_equal(nq_block_decode(decoded, n, memory + misalignment, wanted - 1, codec, n_levels,
                                     table, table_bytes, block, block_bytes),
                     NQ_E_SPACE);
    assert_int_equal(nq_block_decode(decoded, n, memory + misalignment, wanted, codec, n_levels,
                                     table, table_bytes, block, block_bytes),
                     NQ_OK);
    assert_memory_equal(decoded, indices, n * sizeof *decoded);
    if (block_bytes > 0)
        assert_true(nq_block_decode(decoded, n, memory + misalignment, wanted, codec, n_levels,
                                    table, table_bytes, block, block_bytes - 1) < NQ_OK);
    free(decoded);
    free(memory);
}

static void check_round_trip(uint32_t codec, uint32_t n_levels, size_t n, uint64_t *seed)
{
    static uint64_t counts[NQ_MAX_LEVELS];
    uint16_t *indices = malloc(n * sizeof *indices + 1);
    size_t n_bytes = 0, table_bytes = 0;
    assert_non_null(indices);
    draw(indices, counts, n, n_levels, seed);
    nq_encoder *encoder = make_encoder(codec, n_levels, counts);
    const size_t bound = (size_t)nq_encoder_bound(encoder, n);
    uint8_t *block = malloc(bound + 1);
    assert_non_null(block);
    assert_int_equal(nq_encoder_encode(encoder, block, bound, &n_bytes, indices, n), NQ_OK);
    assert_true(n_bytes <= bound);
    if (n_bytes > 0) {
        size_t ignored = 1;
        assert_int_equal(nq_encoder_encode(encoder, block, n_bytes - 1, &ignored, indices, n),
                         NQ_E_SPACE);
        assert_int_equal(nq_encoder_encode(encoder, block, n_bytes, &ignored, indices, n), NQ_OK);
        assert_int_equal(ignored, n_bytes);
    }
    const uint8_t *table = nq_encoder_table(encoder, &table_bytes);
    check_decode(indices, n, codec, n_levels, table, table_bytes, block, n_bytes, n % 64);
    free(block);
    nq_encoder_destroy(encoder);
    free(indices);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const uint32_t levels[] = {1, 2, 3, 17, 255, 256, 257, 4096, 65536};
    static const size_t sizes[] = {0, 1, 2, 4095, 4096, 4097, 20003};
    uint64_t seed = 1;
    for (size_t c = 0; c < N_CODECS; c++)
        for (size_t l = 0; has_codec(codecs[c]) && l < sizeof levels / sizeof *levels; l++)
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                check_round_trip(codecs[c], levels[l], sizes[i], &seed);
    for (size_t c = 0; c < N_CODECS; c++)
        if (has_codec(codecs[c]))
            check_round_trip(codecs[c], 17, (size_t)1 << 18, &seed);
}

/* "An index with count 0 may still be encoded, at a higher price." */
static void test_count_0_may_be_encoded(void **state)
{
    (void)state;
    for (size_t c = 0; c < N_CODECS; c++) {
        uint64_t counts[100] = {0};
        uint16_t indices[100];
        uint8_t block[1000];
        size_t n_bytes, table_bytes;
        if (!has_codec(codecs[c]))
            continue;
        counts[50] = 1000000;
        for (uint16_t i = 0; i < 100; i++)
            indices[i] = i;
        nq_encoder *encoder = make_encoder(codecs[c], 100, counts);
        assert_int_equal(nq_encoder_encode(encoder, block, sizeof block, &n_bytes, indices, 100),
                         NQ_OK);
        const uint8_t *table = nq_encoder_table(encoder, &table_bytes);
        check_decode(indices, 100, codecs[c], 100, table, table_bytes, block, n_bytes, 1);
        nq_encoder_destroy(encoder);
    }
}

/* ---- Arguments ----------------------------------------------------------------------------- */

static void test_options(void **state)
{
    (void)state;
    const uint64_t counts[4] = {1, 2, 3, 4};
    struct {
        nq_encoder_options known;
        uint64_t more;
    } longer = {options_for(NQ_CODEC_HUFFMAN, 4), 0};
    nq_encoder *encoder;
    nq_encoder_options o = options_for(NQ_CODEC_HUFFMAN, 4);
    assert_int_equal(o.struct_size, sizeof o);
    longer.known.struct_size = sizeof longer;
    assert_int_equal(nq_encoder_create(&encoder, NULL, &longer.known, counts), NQ_OK);
    nq_encoder_destroy(encoder);
    longer.more = 1;
    assert_int_equal(nq_encoder_create(&encoder, NULL, &longer.known, counts), NQ_E_ABI);
    assert_null(encoder);
    o.struct_size = 4;
    assert_int_equal(nq_encoder_create(&encoder, NULL, &o, counts), NQ_E_ABI);
    o = options_for(NQ_CODEC_HUFFMAN, 4);
    o.max_code_length = 24;
    assert_int_equal(nq_encoder_create(&encoder, NULL, &o, counts), NQ_OK);
    nq_encoder_destroy(encoder);
    o.max_code_length = 25;
    assert_int_equal(nq_encoder_create(&encoder, NULL, &o, counts), NQ_E_ARG);
    nq_encoder_options_init_sized(NULL, sizeof o);
    nq_encoder_options_init_sized(&o, 0);
    assert_int_equal(o.max_code_length, 25);
}

static void test_create_refuses(void **state)
{
    (void)state;
    const uint64_t counts[4] = {1, 2, 3, 4};
    const uint64_t overflowing[2] = {UINT64_MAX, 1};
    nq_encoder *encoder;
    nq_encoder_options o = options_for(NQ_CODEC_HUFFMAN, 4);
    assert_int_equal(nq_encoder_create(NULL, NULL, &o, counts), NQ_E_ARG);
    assert_int_equal(nq_encoder_create(&encoder, NULL, NULL, counts), NQ_E_ARG);
    assert_null(encoder);
    assert_int_equal(nq_encoder_create(&encoder, NULL, &o, NULL), NQ_E_ARG);
    o = options_for(NQ_CODEC_HUFFMAN, 0);
    assert_int_equal(nq_encoder_create(&encoder, NULL, &o, counts), NQ_E_ARG);
    o = options_for(NQ_CODEC_HUFFMAN, NQ_MAX_LEVELS + 1);
    assert_int_equal(nq_encoder_create(&encoder, NULL, &o, counts), NQ_E_ARG);
    o = options_for(NQ_CODEC_HUFFMAN, 2);
    assert_int_equal(nq_encoder_create(&encoder, NULL, &o, overflowing), NQ_E_LIMIT);
    o = options_for(NQ_CODEC_STORED, 2);
    assert_int_equal(nq_encoder_create(&encoder, NULL, &o, counts), NQ_E_UNSUPPORTED);
    o = options_for(NQ_CODEC_AUTO, 2);
    assert_int_equal(nq_encoder_create(&encoder, NULL, &o, counts), NQ_E_UNSUPPORTED);
    o = options_for(NQ_CODEC_FIXED, 2); /* counts do not matter */
    assert_int_equal(nq_encoder_create(&encoder, NULL, &o, overflowing), NQ_OK);
    nq_encoder_destroy(encoder);
    nq_encoder_destroy(NULL);
}

static void test_limits_of_the_context(void **state)
{
    (void)state;
    static uint64_t counts[300];
    nq_ctx_options limits;
    nq_ctx *ctx;
    nq_encoder *encoder;
    nq_ctx_options_init(&limits);
    limits.max_levels = 256;
    assert_int_equal(nq_ctx_create(&ctx, &limits), NQ_OK);
    nq_encoder_options o = options_for(NQ_CODEC_HUFFMAN, 257);
    assert_int_equal(nq_encoder_create(&encoder, ctx, &o, counts), NQ_E_LIMIT);
    o.n_levels = 256;
    assert_int_equal(nq_encoder_create(&encoder, ctx, &o, counts), NQ_OK);
    nq_encoder_destroy(encoder);
    nq_ctx_destroy(ctx);
}

static void test_encode_refuses(void **state)
{
    (void)state;
    const uint64_t counts[4] = {1, 2, 3, 4};
    uint16_t indices[3] = {0, 3, 4};
    uint8_t block[100];
    size_t n_bytes = 9;
    for (size_t c = 0; c < N_CODECS; c++) {
        if (!has_codec(codecs[c]))
            continue;
        nq_encoder *encoder = make_encoder(codecs[c], 4, counts);
        assert_int_equal(nq_encoder_encode(encoder, block, 100, &n_bytes, indices, 3), NQ_E_ARG);
        assert_int_equal(n_bytes, 0);
        assert_int_equal(nq_encoder_encode(NULL, block, 100, &n_bytes, indices, 2), NQ_E_ARG);
        assert_int_equal(nq_encoder_encode(encoder, NULL, 100, &n_bytes, indices, 2), NQ_E_ARG);
        assert_int_equal(nq_encoder_encode(encoder, block, 100, NULL, indices, 2), NQ_E_ARG);
        assert_int_equal(nq_encoder_encode(encoder, block, 100, &n_bytes, NULL, 2), NQ_E_ARG);
        assert_int_equal(nq_encoder_encode(encoder, NULL, 0, &n_bytes, indices, 2), NQ_E_SPACE);
        nq_encoder_destroy(encoder);
    }
    assert_null(nq_encoder_table(NULL, &n_bytes));
    assert_int_equal(n_bytes, 0);
    assert_int_equal(nq_encoder_bound(NULL, 10), 0);
}

static void test_decode_refuses(void **state)
{
    (void)state;
    const uint8_t bytes[8] = {0};
    uint16_t indices[8];
    uint8_t memory[4096];
    size_t n_bytes = 9;
    assert_int_equal(nq_block_decoder_size(NULL, NQ_CODEC_FIXED, 2, NULL, 0), NQ_E_ARG);
    assert_int_equal(nq_block_decoder_size(&n_bytes, NQ_CODEC_FIXED, 0, NULL, 0), NQ_E_ARG);
    assert_int_equal(n_bytes, 0);
    assert_int_equal(nq_block_decoder_size(&n_bytes, NQ_CODEC_FIXED, 65537, NULL, 0), NQ_E_ARG);
    assert_int_equal(nq_block_decoder_size(&n_bytes, NQ_CODEC_HUFFMAN, 2, NULL, 5), NQ_E_ARG);
    assert_int_equal(nq_block_decoder_size(&n_bytes, NQ_CODEC_HUFFMAN, 2, NULL, 0), NQ_E_TRUNCATED);
    assert_int_equal(nq_block_decoder_size(&n_bytes, NQ_CODEC_STORED, 2, NULL, 0),
                     NQ_E_UNSUPPORTED);
    assert_int_equal(nq_block_decoder_size(&n_bytes, 77, 2, NULL, 0), NQ_E_UNSUPPORTED);
    assert_int_equal(
        nq_block_decode(NULL, 8, memory, sizeof memory, NQ_CODEC_FIXED, 2, NULL, 0, bytes, 1),
        NQ_E_ARG);
    assert_int_equal(nq_block_decode(indices, 8, NULL, 100, NQ_CODEC_FIXED, 2, NULL, 0, bytes, 1),
                     NQ_E_ARG);
    assert_int_equal(nq_block_decode(indices, 8, NULL, 0, NQ_CODEC_FIXED, 2, NULL, 0, bytes, 1),
                     NQ_E_SPACE);
    assert_int_equal(
        nq_block_decode(indices, 8, memory, sizeof memory, NQ_CODEC_FIXED, 2, NULL, 0, NULL, 1),
        NQ_E_ARG);
    assert_int_equal(
        nq_block_decode(indices, 8, memory, sizeof memory, NQ_CODEC_FIXED, 2, NULL, 0, NULL, 0),
        NQ_E_TRUNCATED);
    assert_int_equal(
        nq_block_decode(indices, 8, memory, sizeof memory, NQ_CODEC_FIXED, 2, NULL, 3, bytes, 1),
        NQ_E_ARG);
    assert_int_equal(
        nq_block_decode(indices, 8, memory, sizeof memory, NQ_CODEC_FIXED, 2, bytes, 3, bytes, 1),
        NQ_E_CORRUPT);
    assert_int_equal(
        nq_block_decode(indices, 8, memory, sizeof memory, NQ_CODEC_FIXED, 2, NULL, 0, bytes, 1),
        NQ_OK);
}

/* Any bytes for tables and blocks: an error, or indices that are levels. */
static void test_random_bytes(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int round = 0; round < 30000; round++) {
        uint8_t table[40], block[200];
        uint16_t indices[300];
        const uint32_t codec = codecs[unit_random(&seed) % N_CODECS];
        const uint32_t n_levels = 1 + (uint32_t)(unit_random(&seed) % (round % 2 ? 20 : 700));
        const size_t table_bytes = codec == NQ_CODEC_FIXED ? 0 : unit_random(&seed) % 40;
        const size_t block_bytes = unit_random(&seed) % 200;
        const size_t n = unit_random(&seed) % 300;
        size_t wanted;
        for (size_t i = 0; i < sizeof table; i++)
            table[i] = (uint8_t)(unit_random(&seed) & (round % 3 ? unit_random(&seed) : 0xff));
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (uint8_t)unit_random(&seed);
        if (nq_block_decoder_size(&wanted, codec, n_levels, table, table_bytes) != NQ_OK)
            continue;
        uint8_t *memory = malloc(wanted);
        assert_non_null(memory);
        if (nq_block_decode(indices, n, memory, wanted, codec, n_levels, table, table_bytes, block,
                            block_bytes) == NQ_OK)
            for (size_t i = 0; i < n; i++)
                assert_true(indices[i] < n_levels);
        free(memory);
    }
}

/* Bytes in memory of just their size, so that a sanitizer sees what is read beyond. */
static uint8_t *exact_copy(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n + (n == 0));
    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, bytes, n);
    return copy;
}

static void check_damaged(uint32_t codec, uint32_t n_levels, const uint8_t *table,
                          size_t table_bytes, const uint8_t *block, size_t block_bytes, size_t n)
{
    size_t wanted;
    uint8_t *t = exact_copy(table, table_bytes), *b = exact_copy(block, block_bytes);
    nq_status status = nq_block_decoder_size(&wanted, codec, n_levels, t, table_bytes);
    if (status == NQ_OK) {
        uint8_t *memory = malloc(wanted);
        uint16_t *decoded = malloc(n * sizeof *decoded);
        assert_true(memory && decoded);
        status = nq_block_decode(decoded, n, memory, wanted, codec, n_levels, t, table_bytes, b,
                                 block_bytes);
        for (size_t i = 0; status == NQ_OK && i < n; i++)
            assert_true(decoded[i] < n_levels);
        free(memory);
        free(decoded);
    }
    assert_true(status == NQ_OK || status == NQ_E_CORRUPT || status == NQ_E_TRUNCATED);
    free(t);
    free(b);
}

/* Tables and blocks that were whole: cut anywhere, and with each bit turned. */
static void test_damage(void **state)
{
    (void)state;
    enum { N = 400, LEVELS = 23 };
    uint16_t indices[N];
    uint64_t counts[LEVELS] = {0}, seed = 3;
    for (size_t i = 0; i < N; i++) {
        indices[i] = (uint16_t)(unit_random(&seed) % 8 ? 5 : unit_random(&seed) % LEVELS);
        counts[indices[i]]++;
    }
    for (size_t c = 0; c < N_CODECS; c++) {
        uint8_t table[4096], block[1 << 16];
        size_t table_bytes, block_bytes;
        nq_encoder *e = make_encoder(codecs[c], LEVELS, counts);
        const uint8_t *made = nq_encoder_table(e, &table_bytes);
        if (table_bytes > 0)
            memcpy(table, made, table_bytes);
        assert_int_equal(nq_encoder_encode(e, block, sizeof block, &block_bytes, indices, N),
                         NQ_OK);
        nq_encoder_destroy(e);
        for (size_t cut = 0; cut < table_bytes; cut++)
            check_damaged(codecs[c], LEVELS, table, cut, block, block_bytes, N);
        for (size_t cut = 0; cut < block_bytes; cut++)
            check_damaged(codecs[c], LEVELS, table, table_bytes, block, cut, N);
        for (size_t bit = 0; bit < 8 * table_bytes; bit++) {
            table[bit / 8] ^= (uint8_t)(1u << bit % 8);
            check_damaged(codecs[c], LEVELS, table, table_bytes, block, block_bytes, N);
            table[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t bit = 0; bit < 8 * block_bytes; bit++) {
            block[bit / 8] ^= (uint8_t)(1u << bit % 8);
            check_damaged(codecs[c], LEVELS, table, table_bytes, block, block_bytes, N);
            block[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* ---- Counting ------------------------------------------------------------------------------ */

/* In memory of just their size; one too large is found anywhere. */
static void check_count(uint32_t n_levels, size_t n, uint64_t *seed)
{
    static uint64_t counts[NQ_MAX_LEVELS], expected[NQ_MAX_LEVELS];
    uint16_t *indices = malloc(n * sizeof *indices + 1);
    assert_non_null(indices);
    for (uint32_t i = 0; i < n_levels; i++)
        counts[i] = expected[i] = i;
    for (size_t i = 0; i < n; i++) {
        const uint64_t r = unit_random(seed);
        indices[i] = (uint16_t)(r % (r >> 63 ? n_levels : 1 + n_levels / 5));
        expected[indices[i]]++;
    }
    assert_int_equal(nq_indices_count(counts, n_levels, indices, n), NQ_OK);
    for (uint32_t i = 0; i < n_levels; i++)
        assert_int_equal(counts[i], expected[i]);
    if (n > 0 && n_levels < NQ_MAX_LEVELS) {
        indices[unit_random(seed) % n] = (uint16_t)(unit_random(seed) % 2 ? n_levels : 65535);
        assert_int_equal(nq_indices_count(counts, n_levels, indices, n), NQ_E_ARG);
    }
    free(indices);
}

static void counts_of_indices(void **state)
{
    (void)state;
    static const uint32_t levels[] = {1, 2, 12, 13, 24, 63, 64, 65, 256, 1024, 1025, 65536};
    static const size_t sizes[] = {0, 1, 63, 64, 65, 200, 16383, 16384, 16385, 40000};
    uint64_t seed = 7, count = 0;
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            check_count(levels[l], sizes[s], &seed);
    assert_int_equal(nq_indices_count(NULL, 1, NULL, 0), NQ_E_ARG);
    assert_int_equal(nq_indices_count(&count, 0, NULL, 0), NQ_E_ARG);
    assert_int_equal(nq_indices_count(&count, NQ_MAX_LEVELS + 1, NULL, 0), NQ_E_ARG);
    assert_int_equal(nq_indices_count(&count, 1, NULL, 1), NQ_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_indices),           cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_count_0_may_be_encoded), cmocka_unit_test(test_options),
        cmocka_unit_test(test_create_refuses),         cmocka_unit_test(test_limits_of_the_context),
        cmocka_unit_test(test_encode_refuses),         cmocka_unit_test(test_decode_refuses),
        cmocka_unit_test(test_random_bytes),           cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
