/*
 * Huffman-coded blocks. The oracle is a decoder written from docs/format/codecs.md alone, bit by
 * bit and without any table; whatever bytes there are, it must accept and refuse the same ones as
 * the library's fast decoder and its small one, and give the same indices.
 */
#include "base/alloc.h"
#include "codec/code_dec.h"
#include "codec/code_enc.h"
#include "cpu/cpu.h"
#include "nq/context.h"
#include "test_huffman_oracle.h"

/* A copy in an allocation of its own, so that sanitizers see a step too far. */
static void *exact(const void *bytes, size_t n_bytes)
{
    void *copy = malloc(n_bytes ? n_bytes : 1);
    assert_non_null(copy);
    if (n_bytes)
        memcpy(copy, bytes, n_bytes);
    return copy;
}

/* ---- The library's decoders ---------------------------------------------------------------- */

/* Memory aligned to 64 bytes, and a fence behind it that must still stand at its end. */
typedef struct fenced {
    uint8_t *memory;
    size_t n_bytes;
} fenced;

enum { FENCE = 64 };

static fenced make_fenced(size_t n_bytes)
{
    const fenced f = {.memory = aligned_alloc(64, (n_bytes + FENCE + 63) / 64 * 64),
                      .n_bytes = n_bytes};
    assert_non_null(f.memory);
    memset(f.memory, 0xa5, n_bytes + FENCE);
    return f;
}

static void free_fenced(fenced *f)
{
    for (size_t i = 0; f->memory && i < FENCE; i++)
        assert_int_equal(f->memory[f->n_bytes + i], 0xa5);
    free(f->memory);
}

typedef struct decoder {
    fenced code_memory;
    fenced block_memory;
    nqi_code *code;
} decoder;

/* In memory of just the size that was asked for. */
static nq_status make_decoder(decoder *d, uint32_t n_levels, const uint8_t *table,
                              size_t table_bytes, uint32_t flags, uint64_t cpu)
{
    size_t code_bytes, block_bytes, most_code, most_block;
    *d = (decoder){0};
    uint8_t *alone = exact(table, table_bytes);
    nq_status status = nqi_code_size(&code_bytes, &block_bytes, NQ_CODEC_HUFFMAN, n_levels, alone,
                                     table_bytes, flags);
    if (status == NQ_OK) {
        assert_int_equal(nqi_code_size(&most_code, &most_block, NQ_CODEC_HUFFMAN, n_levels, NULL,
                                       table_bytes, flags),
                         NQ_OK);
        assert_true(code_bytes <= most_code && block_bytes <= most_block);
        d->code_memory = make_fenced(code_bytes);
        d->block_memory = make_fenced(block_bytes);
        status = nqi_code_init(&d->code, d->code_memory.memory, NQ_CODEC_HUFFMAN, n_levels, alone,
                               table_bytes, flags, cpu);
        assert_int_equal(status, NQ_OK);
    }
    free(alone);
    return status;
}

static void free_decoder(decoder *d)
{
    free_fenced(&d->code_memory);
    free_fenced(&d->block_memory);
}

static nq_status decode_u16(const decoder *d, uint16_t *out, const uint8_t *bytes, size_t n_bytes,
                            size_t n)
{
    nqi_block *block;
    uint8_t *alone = exact(bytes, n_bytes);
    nq_status status = nqi_block_begin(&block, d->block_memory.memory, d->code, alone, n_bytes, n);
    for (size_t done = 0; status == NQ_OK && done < n; done += NQI_PIECE)
        status = nqi_block_next_u16(block, out + done, oracle_min(n - done, NQI_PIECE));
    if (status == NQ_OK)
        status = nqi_block_end(block);
    free(alone);
    return status;
}

static nq_status decode_u8(const decoder *d, uint8_t *out, const uint8_t *bytes, size_t n_bytes,
                           size_t n)
{
    nqi_block *block;
    nq_status status = nqi_block_begin(&block, d->block_memory.memory, d->code, bytes, n_bytes, n);
    if (status == NQ_OK)
        status = nqi_block_next_u8(block, out, n);
    return status == NQ_OK ? nqi_block_end(block) : status;
}

/* Each way to decode: tables large and small, with and without this CPU's kernels. */
enum { WAYS = 3 };
static const uint32_t way_flags[WAYS] = {0, 0, NQI_CODE_SMALL};

static uint64_t way_cpu(unsigned way)
{
    return way == 0 ? nqi_cpu_features() : 0;
}

/* All decoders and the oracle agree about a block. Returns whether it is legal. */
static bool check_block(const uint8_t *table, size_t table_bytes, uint32_t n_levels,
                        const uint8_t *block, size_t n_bytes, size_t n, uint16_t *indices)
{
    static oracle o;
    uint16_t *got = malloc(n * sizeof *got + 1);
    uint8_t *narrow = malloc(n + 1);
    assert_true(got && narrow);
    const bool has_table = oracle_make(&o, n_levels, table, table_bytes);
    const bool is_legal = has_table && oracle_block(indices, &o, block, n_bytes, n);
    for (unsigned way = 0; way < WAYS; way++) {
        decoder d;
        const nq_status made =
            make_decoder(&d, n_levels, table, table_bytes, way_flags[way], way_cpu(way));
        assert_int_equal(made == NQ_OK, has_table);
        if (!has_table) {
            assert_true(made == NQ_E_CORRUPT || made == NQ_E_TRUNCATED);
            continue;
        }
        const nq_status status = decode_u16(&d, got, block, n_bytes, n);
        assert_int_equal(status == NQ_OK, is_legal);
        assert_true(is_legal || status == NQ_E_CORRUPT || status == NQ_E_TRUNCATED);
        if (is_legal)
            assert_memory_equal(got, indices, n * sizeof *got);
        if (n_levels <= 256) {
            assert_int_equal(decode_u8(&d, narrow, block, n_bytes, n), status);
            for (size_t i = 0; is_legal && i < n; i++)
                assert_int_equal(narrow[i], indices[i]);
        }
        free_decoder(&d);
    }
    free(narrow);
    free(got);
    return is_legal;
}

/* ---- Sources ------------------------------------------------------------------------------- */

enum { BELL, SKEWED, FLAT, ONE, RARE_TAIL, N_SOURCES };

/* A random index from a source. */
static uint16_t draw(unsigned source, uint32_t n_levels, uint64_t *seed)
{
    const uint64_t word = unit_random(seed);
    double sum = 0;
    unsigned zeros = 0;
    switch (source) {
    case BELL:
        for (int k = 0; k < 4; k++)
            sum += unit_random_real(seed);
        return (uint16_t)((sum / 8 + 0.5) * n_levels);
    case SKEWED:
        while (zeros < 60 && !(word >> zeros & 1))
            zeros++;
        return (uint16_t)(zeros % n_levels);
    case FLAT:
        return (uint16_t)(word % n_levels);
    case ONE:
        return (uint16_t)(n_levels / 2);
    default: /* now and then anything */
        return (uint16_t)(word % 64 == 0 ? (word >> 8) % n_levels : (word >> 8) % 3 % n_levels);
    }
}

typedef struct sample {
    uint16_t *indices;
    uint64_t *counts;
    size_t n;
    uint32_t n_levels;
} sample;

static sample make_sample(unsigned source, uint32_t n_levels, size_t n, uint64_t *seed)
{
    sample s = {.n = n, .n_levels = n_levels};
    s.indices = malloc(n * sizeof *s.indices + 1);
    s.counts = calloc(n_levels, sizeof *s.counts);
    assert_true(s.indices && s.counts);
    for (size_t i = 0; i < n; i++) {
        s.indices[i] = draw(source, n_levels, seed);
        s.counts[s.indices[i]]++;
    }
    return s;
}

static void free_sample(sample *s)
{
    free(s->indices);
    free(s->counts);
}

static nqi_encoder *make_encoder(const sample *s, unsigned max_length, uint32_t flags)
{
    const nqi_allocator a = nqi_allocator_default();
    nqi_encoder *encoder;
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, s->n_levels, max_length,
                                        s->counts, flags, 0),
                     NQ_OK);
    return encoder;
}

/* Encodes into memory of exactly the block's size. */
static uint8_t *encode(const nqi_encoder *encoder, const uint16_t *indices, size_t n,
                       size_t *n_bytes)
{
    const uint64_t bound = nqi_encoder_bound(encoder, n);
    uint8_t *space = malloc((size_t)bound);
    size_t again = 0;
    assert_non_null(space);
    assert_int_equal(nqi_encoder_encode(encoder, space, (size_t)bound, n_bytes, indices, n), NQ_OK);
    uint8_t *block = malloc(*n_bytes ? *n_bytes : 1);
    assert_non_null(block);
    assert_int_equal(nqi_encoder_encode(encoder, block, *n_bytes, &again, indices, n), NQ_OK);
    assert_int_equal(again, *n_bytes);
    assert_memory_equal(block, space, again);
    if (*n_bytes > 0)
        assert_int_equal(nqi_encoder_encode(encoder, space, *n_bytes - 1, &again, indices, n),
                         NQ_E_SPACE);
    free(space);
    return block;
}

/* ---- Round trips --------------------------------------------------------------------------- */

/* The block has the bits that were promised, and its own few bytes. */
static void check_size(const nqi_encoder *encoder, const sample *s, size_t n_bytes)
{
    const uint64_t payload = nqi_encoder_payload_bits(encoder, s->counts);
    uint64_t sum = 0;
    for (size_t i = 0; i < s->n; i++)
        sum += nqi_encoder_cost(encoder, s->indices[i]);
    assert_true(sum == 256 * payload);
    assert_true(8 * (uint64_t)n_bytes >= payload);
    assert_true(n_bytes <= (payload + 7) / 8 + nqi_encoder_block_overhead(encoder));
}

static void check_round_trip(unsigned source, uint32_t n_levels, size_t n, unsigned max_length,
                             uint32_t flags, uint64_t *seed)
{
    sample s = make_sample(source, n_levels, n, seed);
    nqi_encoder *encoder = make_encoder(&s, max_length, flags);
    size_t n_bytes, table_bytes;
    uint16_t *decoded = malloc(n * sizeof *decoded + 1);
    const uint8_t *table = nqi_encoder_table(encoder, &table_bytes);
    uint8_t *block = encode(encoder, s.indices, n, &n_bytes);
    assert_non_null(decoded);
    check_size(encoder, &s, n_bytes);
    assert_true(check_block(table, table_bytes, n_levels, block, n_bytes, n, decoded));
    assert_memory_equal(decoded, s.indices, n * sizeof *decoded);
    free(decoded);
    free(block);
    nqi_encoder_destroy(encoder);
    free_sample(&s);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const uint32_t levels[] = {1, 2, 3, 5, 17, 64, 255, 256, 257, 300, 4096};
    static const size_t sizes[] = {0, 1, 2, 100, 4095, 4096, 4097, 8191, 8192, 8193, 20000};
    uint64_t seed = 1;
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (unsigned source = 0; source < N_SOURCES; source++)
                check_round_trip(source, levels[l], sizes[i], 0, i % 2 ? NQI_ENCODER_EXACT : 0,
                                 &seed);
}

static void test_round_trips_of_many_levels(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (unsigned source = 0; source < N_SOURCES; source++) {
        check_round_trip(source, 65536, 10000, 0, 0, &seed);
        check_round_trip(source, 65535, 9000, 0, NQI_ENCODER_EXACT, &seed);
    }
}

static void test_round_trip_of_a_whole_block(void **state)
{
    (void)state;
    uint64_t seed = 3;
    check_round_trip(BELL, 33, (size_t)1 << 18, 0, NQI_ENCODER_EXACT, &seed);
    check_round_trip(BELL, 1000, (size_t)1 << 18, 0, NQI_ENCODER_EXACT, &seed);
    check_round_trip(RARE_TAIL, 300, 150001, 0, NQI_ENCODER_EXACT, &seed);
}

/* Codewords longer than the tables, up to the longest. */
static void test_long_codewords(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (unsigned limit = 9; limit <= 24; limit += 3) {
        check_round_trip(SKEWED, 40, 60000, limit, NQI_ENCODER_EXACT, &seed);
        check_round_trip(SKEWED, 400, 60000, limit, 0, &seed);
        check_round_trip(RARE_TAIL, 256, 30000, limit, NQI_ENCODER_EXACT, &seed);
        check_round_trip(RARE_TAIL, 700, 30000, limit, NQI_ENCODER_EXACT, &seed);
    }
}

/* Symbols that all take 24 bits, though none of that is likely: the slowest there is. */
static void test_only_the_longest(void **state)
{
    (void)state;
    enum { N = 9000 };
    sample s = {.n = N, .n_levels = 25};
    uint64_t counts[25];
    uint16_t indices[N], decoded[N];
    size_t n_bytes, table_bytes;
    uint64_t seed = 5;
    for (unsigned i = 0; i < 25; i++)
        counts[i] = UINT64_C(1) << i;
    for (size_t i = 0; i < N; i++)
        indices[i] = (uint16_t)(unit_random(&seed) % 3);
    s.counts = counts;
    s.indices = indices;
    nqi_encoder *encoder = make_encoder(&s, 24, NQI_ENCODER_EXACT);
    assert_int_equal(nqi_encoder_cost(encoder, 0), 24 * 256);
    const uint8_t *table = nqi_encoder_table(encoder, &table_bytes);
    uint8_t *block = encode(encoder, indices, N, &n_bytes);
    assert_true(check_block(table, table_bytes, 25, block, n_bytes, N, decoded));
    assert_memory_equal(decoded, indices, sizeof indices);
    free(block);
    nqi_encoder_destroy(encoder);
}

/* One stream's symbols are cheap, the others' dear, in turns: streams run ahead as far as they may,
 * and wait for each other. */
static void test_streams_out_of_step(void **state)
{
    (void)state;
    enum { N = 100000 };
    uint64_t seed = 6;
    for (unsigned levels = 100; levels <= 1000; levels += 900)
        for (unsigned every = 1; every <= 3; every++) {
            sample s = make_sample(SKEWED, levels, N, &seed);
            memset(s.counts, 0, levels * sizeof *s.counts);
            for (size_t i = 0; i < N; i++) {
                const bool is_dear = i / 1024 % 4 == i / 4096 / every % 4;
                const uint64_t index = is_dear ? unit_random(&seed) % levels : 0;
                s.indices[i] = (uint16_t)index;
                s.counts[s.indices[i]]++;
            }
            nqi_encoder *encoder = make_encoder(&s, 0, NQI_ENCODER_EXACT);
            size_t n_bytes, table_bytes;
            uint16_t *decoded = malloc(N * sizeof *decoded);
            const uint8_t *table = nqi_encoder_table(encoder, &table_bytes);
            uint8_t *block = encode(encoder, s.indices, N, &n_bytes);
            assert_non_null(decoded);
            assert_true(check_block(table, table_bytes, levels, block, n_bytes, N, decoded));
            assert_memory_equal(decoded, s.indices, N * sizeof *decoded);
            free(decoded);
            free(block);
            nqi_encoder_destroy(encoder);
            free_sample(&s);
        }
}

/* ---- Escapes and low bits ------------------------------------------------------------------ */

/* An index with count 0 can be encoded, unless the counts are exact. */
static void test_indices_without_counts(void **state)
{
    (void)state;
    uint64_t counts[300] = {0};
    uint16_t indices[300], decoded[300];
    size_t n_bytes, table_bytes;
    sample s = {.counts = counts, .indices = indices, .n = 300, .n_levels = 300};
    counts[7] = 1000;
    counts[9] = 10;
    for (unsigned i = 0; i < 300; i++)
        indices[i] = (uint16_t)i;
    nqi_encoder *encoder = make_encoder(&s, 0, 0);
    const uint8_t *table = nqi_encoder_table(encoder, &table_bytes);
    uint8_t *block = encode(encoder, indices, 300, &n_bytes);
    assert_true(check_block(table, table_bytes, 300, block, n_bytes, 300, decoded));
    assert_memory_equal(decoded, indices, sizeof indices);
    assert_true(nqi_encoder_cost(encoder, 0) > nqi_encoder_cost(encoder, 9));
    free(block);
    nqi_encoder_destroy(encoder);
    encoder = make_encoder(&s, 0, NQI_ENCODER_EXACT);
    uint8_t space[600];
    assert_int_equal(nqi_encoder_encode(encoder, space, sizeof space, &n_bytes, indices, 300),
                     NQ_E_ARG);
    indices[0] = 7;
    indices[1] = 9;
    assert_int_equal(nqi_encoder_encode(encoder, space, sizeof space, &n_bytes, indices, 2), NQ_OK);
    nqi_encoder_destroy(encoder);
}

static void test_no_counts_at_all(void **state)
{
    (void)state;
    uint64_t counts[300] = {0};
    uint16_t indices[300], decoded[300];
    size_t n_bytes, table_bytes;
    sample s = {.counts = counts, .indices = indices, .n = 300, .n_levels = 300};
    for (unsigned i = 0; i < 300; i++)
        indices[i] = (uint16_t)(299 - i);
    for (uint32_t flags = 0; flags <= NQI_ENCODER_EXACT; flags++) {
        nqi_encoder *encoder = make_encoder(&s, 0, flags);
        const uint8_t *table = nqi_encoder_table(encoder, &table_bytes);
        uint8_t *block = encode(encoder, indices, 300, &n_bytes);
        assert_int_equal(n_bytes, (300 * 9 + 7) / 8);
        assert_true(check_block(table, table_bytes, 300, block, n_bytes, 300, decoded));
        assert_memory_equal(decoded, indices, sizeof indices);
        free(block);
        nqi_encoder_destroy(encoder);
    }
}

static void test_refuses_what_is_no_level(void **state)
{
    (void)state;
    uint64_t seed = 7;
    sample s = make_sample(BELL, 200, 20000, &seed);
    nqi_encoder *encoder = make_encoder(&s, 0, 0);
    uint8_t *space = malloc(100000);
    size_t n_bytes = 0;
    assert_non_null(space);
    for (size_t at = 0; at < s.n; at += 997) {
        const uint16_t was = s.indices[at];
        s.indices[at] = at % 2 ? 200 : 65535;
        assert_int_equal(nqi_encoder_encode(encoder, space, 100000, &n_bytes, s.indices, s.n),
                         NQ_E_ARG);
        s.indices[at] = was;
    }
    free(space);
    nqi_encoder_destroy(encoder);
    free_sample(&s);
}

/* A fine quantizer's low bits stay uncoded; the last symbol may then have too few levels. */
static void test_low_bits(void **state)
{
    (void)state;
    enum { N = 10000, LEVELS = 4093 };
    static oracle o;
    uint64_t seed = 8;
    size_t n_bytes, table_bytes;
    static uint16_t decoded[N];
    sample s = make_sample(FLAT, LEVELS, N, &seed);
    for (uint32_t i = 0; i < LEVELS; i++)
        s.counts[i] = 1000;
    nqi_encoder *encoder = make_encoder(&s, 0, 0);
    const uint8_t *table = nqi_encoder_table(encoder, &table_bytes);
    uint8_t *block = encode(encoder, s.indices, N, &n_bytes);
    assert_true(oracle_make(&o, LEVELS, table, table_bytes));
    assert_true(o.low_bits >= 2);
    const size_t low_bytes = (N * o.low_bits + 7) / 8;
    assert_true(check_block(table, table_bytes, LEVELS, block, n_bytes, N, decoded));
    memset(block + n_bytes - low_bytes, 0xff, low_bytes); /* N * low_bits may end in a byte */
    block[n_bytes - 1] = (uint8_t)(0xff >> (8 * low_bytes - N * o.low_bits));
    assert_false(check_block(table, table_bytes, LEVELS, block, n_bytes, N, decoded));
    free(block);
    nqi_encoder_destroy(encoder);
    free_sample(&s);
}

/* ---- Hostile bytes ------------------------------------------------------------------------- */

/* Every bit of a table and of a block flipped, both cut off everywhere, and a byte too many. */
static void attack(unsigned source, uint32_t n_levels, size_t n, uint32_t flags, size_t step,
                   uint64_t *seed)
{
    sample s = make_sample(source, n_levels, n, seed);
    nqi_encoder *encoder = make_encoder(&s, 0, flags);
    size_t n_bytes, table_bytes;
    uint16_t *decoded = malloc(n * sizeof *decoded + 1);
    const uint8_t *table = nqi_encoder_table(encoder, &table_bytes);
    uint8_t *block = encode(encoder, s.indices, n, &n_bytes);
    uint8_t *bad_table = malloc(table_bytes + 1), *bad_block = malloc(n_bytes + 1);
    assert_true(decoded && bad_table && bad_block);
    memcpy(bad_table, table, table_bytes);
    memcpy(bad_block, block, n_bytes);
    bad_table[table_bytes] = bad_block[n_bytes] = 0;
    for (size_t bit = 0; bit < 8 * table_bytes; bit++) {
        bad_table[bit / 8] ^= (uint8_t)(1u << bit % 8);
        check_block(bad_table, table_bytes, n_levels, block, n_bytes, n, decoded);
        bad_table[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * n_bytes; bit += step) {
        bad_block[bit / 8] ^= (uint8_t)(1u << bit % 8);
        check_block(table, table_bytes, n_levels, bad_block, n_bytes, n, decoded);
        bad_block[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < table_bytes; cut++)
        assert_false(check_block(table, cut, n_levels, block, n_bytes, n, decoded));
    for (size_t cut = 0; cut < n_bytes; cut += 1 + step / 8)
        assert_false(check_block(table, table_bytes, n_levels, block, cut, n, decoded));
    assert_false(check_block(bad_table, table_bytes + 1, n_levels, block, n_bytes, n, decoded));
    assert_false(check_block(table, table_bytes, n_levels, bad_block, n_bytes + 1, n, decoded));
    free(bad_block);
    free(bad_table);
    free(decoded);
    free(block);
    nqi_encoder_destroy(encoder);
    free_sample(&s);
}

static void test_flips_and_cuts(void **state)
{
    (void)state;
    static const uint32_t levels[] = {1, 2, 3, 17, 100, 256, 300};
    uint64_t seed = 9;
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++)
        for (unsigned source = 0; source < N_SOURCES; source++)
            for (uint32_t flags = 0; flags <= NQI_ENCODER_EXACT; flags++)
                attack(source, levels[l], 50 + 20 * flags, flags, 1, &seed);
    attack(BELL, 17, 8200, NQI_ENCODER_EXACT, 997, &seed);
    attack(RARE_TAIL, 300, 8200, 0, 997, &seed);
}

static void test_random_bytes(void **state)
{
    (void)state;
    uint64_t seed = 10;
    static uint16_t decoded[9000];
    for (int round = 0; round < 20000; round++) {
        uint8_t table[24], block[64];
        static const uint32_t levels[] = {1, 2, 3, 4, 8, 17, 40, 257};
        const uint32_t n_levels = levels[unit_random(&seed) % 8];
        const size_t table_bytes = unit_random(&seed) % sizeof table;
        const size_t n_bytes = unit_random(&seed) % sizeof block;
        for (size_t i = 0; i < sizeof table; i++)
            table[i] = (uint8_t)(unit_random(&seed) & (round % 2 ? 0xff : unit_random(&seed)));
        if (round % 4) /* no low bits, short lengths: more of them are legal */
            table[0] &= 0x70, table[1] &= 0xfc;
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (uint8_t)unit_random(&seed);
        check_block(table, table_bytes, n_levels, block, n_bytes, unit_random(&seed) % 100,
                    decoded);
    }
}

/* Bits as they are printed in the specification, the first one left; spaces are skipped. */
static size_t pack_text(uint8_t *bytes, size_t size, const char *text)
{
    size_t at = 0;
    memset(bytes, 0, size);
    for (; *text; text++) {
        if (*text == ' ')
            continue;
        bytes[at / 8] |= (uint8_t)((*text == '1') << at % 8);
        at++;
    }
    return (at + 7) / 8;
}

static void test_tables_by_hand(void **state)
{
    (void)state;
    static const struct {
        const char *table;
        uint32_t n_levels;
        bool is_legal;
    } cases[] = {
        {"0000 0 11000 0 101 101 1111 00100 0", 5, true},
        {"0000 0 00000 0", 1, true},           /* one codeword, no bits */
        {"0000 1 00000 00000 1100", 1, true},  /* the escape alone */
        {"0000 1 00000 10000 1100", 1, false}, /* a first length of nothing */
        {"0000 0 10000 0 0", 2, true},
        {"0000 0 01000 101 0", 2, false}, /* the first length is another */
        {"0000 0 00000 100 0", 2, false},
        {"0000 0 10000 0 1111 10000", 2, false}, /* a step of 0 in the far form */
        {"0000 0 10000 0 100 1111 01000", 3, false},
        {"0000 0 10000 0 100 0", 3, true},
        {"0000 0 01000 0 0 1111 10000", 3, false}, /* a step of 1 in the far form */
        {"0000 0 01000 0 0 101", 3, true},
        {"0000 0 11000 0 0 11101 01 ", 3, false},      /* not complete */
        {"0000 0 11000 0 0 0 0 0 0 11101", 7, false},  /* 6/8 + 1/2 */
        {"0000 0 11000 0 0 0 0 101 0", 6, true},       /* 4/8 + 2/4 */
        {"0000 0 11000 0 0 0 0 11101", 5, true},       /* 4/8 + 1/2, a step of 2 */
        {"0000 0 11000 0 0 0 0 1111 10000", 5, false}, /* the same in the far form */
        {"0000 0 10000 1100 0 00", 3, false},          /* a whole byte of padding */
        {"0000 0 10000 1100 0 0", 3, true},            /* a run of 1 */
        {"0000 0 10000 1100 1100 0 0", 4, false},      /* two runs */
        {"0000 0 10000 110100 0 0", 4, true},          /* a run of 2 */
        {"0000 0 10000 0 0 110100", 4, true},
        {"0000 0 10000 0 0 110101", 4, false}, /* of 3, beyond the last */
        {"1000 0 10000 0 0", 4, true},         /* one low bit */
        {"1000 0 10000 0 0", 3, true},
        {"1000 0 00000 0", 2, false}, /* nothing but low bits */
        {"0100 0 10000 0 0", 5, true},
        {"0100 0 00000 0", 4, false},
        {"0000 0 10011 0 0", 2, false}, /* a length of 25 */
        {"0000 1 10011 00000 0", 1, false},
        {"0000 0 00000 101 0", 2, false},        /* below 0 */
        {"0000 0 10000 0 0 1", 2, false},        /* padding */
        {"0000 0 10000 0 0 00000000", 2, false}, /* a byte behind it */
    };
    uint16_t decoded[1];
    static oracle o;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t table[8];
        const size_t n_bytes = pack_text(table, sizeof table, cases[i].table);
        if (oracle_make(&o, cases[i].n_levels, table, n_bytes) != cases[i].is_legal)
            fail_msg("case %zu", i);
        check_block(table, n_bytes, cases[i].n_levels, NULL, 0, 0, decoded);
    }
}

/* Legal tables, and anything for a block of four streams. */
static void test_random_blocks(void **state)
{
    (void)state;
    enum { N = 8192 };
    uint64_t seed = 11;
    static uint16_t decoded[N];
    for (int round = 0; round < 100; round++) {
        sample s = make_sample(round % 2 ? BELL : RARE_TAIL, round % 3 ? 40 : 400, N, &seed);
        nqi_encoder *encoder = make_encoder(&s, 0, 0);
        size_t n_bytes, table_bytes;
        const uint8_t *table = nqi_encoder_table(encoder, &table_bytes);
        uint8_t *block = encode(encoder, s.indices, N, &n_bytes);
        const size_t from = round % 5 == 0 ? 0 : 6 + unit_random(&seed) % (n_bytes - 6);
        for (size_t i = from; i < n_bytes; i++)
            block[i] = (uint8_t)unit_random(&seed);
        check_block(table, table_bytes, s.n_levels, block, n_bytes, N, decoded);
        free(block);
        nqi_encoder_destroy(encoder);
        free_sample(&s);
    }
}

/* Stream lengths that are nonsense, each in a block that is otherwise right. */
static void test_stream_lengths(void **state)
{
    (void)state;
    enum { N = 8192 };
    uint64_t seed = 12;
    static uint16_t decoded[N];
    sample s = make_sample(BELL, 4, N, &seed);
    nqi_encoder *encoder = make_encoder(&s, 0, 0);
    size_t n_bytes, table_bytes;
    const uint8_t *table = nqi_encoder_table(encoder, &table_bytes);
    uint8_t *block = encode(encoder, s.indices, N, &n_bytes);
    for (unsigned at = 0; at < 6; at++)
        for (unsigned value = 0; value < 256; value++) {
            const uint8_t was = block[at];
            block[at] = (uint8_t)value;
            assert_int_equal(check_block(table, table_bytes, 4, block, n_bytes, N, decoded),
                             value == was);
            block[at] = was;
        }
    const uint8_t endless[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    for (size_t given = 0; given <= sizeof endless; given++)
        assert_false(check_block(table, table_bytes, 4, endless, given, N, decoded));
    free(block);
    nqi_encoder_destroy(encoder);
    free_sample(&s);
}

/* ---- Memory -------------------------------------------------------------------------------- */

typedef struct failing {
    int left;
    int held;
} failing;

static void *failing_alloc(void *user, size_t n_bytes, size_t alignment)
{
    failing *f = user;
    if (f->left-- <= 0)
        return NULL;
    f->held++;
    return aligned_alloc(alignment, (n_bytes + alignment - 1) / alignment * alignment);
}

static void failing_free(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    (void)n_bytes;
    (void)alignment;
    ((failing *)user)->held--;
    free(memory);
}

static void test_allocations_that_fail(void **state)
{
    (void)state;
    uint64_t seed = 13;
    sample s = make_sample(BELL, 100, 1000, &seed);
    bool has_succeeded = false;
    for (int n = 0; !has_succeeded; n++) {
        failing f = {.left = n};
        const nqi_allocator a = {
            .alloc = failing_alloc, .free = failing_free, .user = &f, .max_bytes = UINT64_MAX};
        nqi_encoder *encoder;
        const nq_status status =
            nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, 100, 0, s.counts, 0, 0);
        has_succeeded = status == NQ_OK;
        assert_true(has_succeeded || (status == NQ_E_NOMEM && !encoder && f.held == 0));
        nqi_encoder_destroy(encoder);
        assert_int_equal(f.held, 0);
        assert_true(n < 10);
    }
    free_sample(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_round_trips_of_many_levels),
        cmocka_unit_test(test_round_trip_of_a_whole_block),
        cmocka_unit_test(test_long_codewords),
        cmocka_unit_test(test_only_the_longest),
        cmocka_unit_test(test_streams_out_of_step),
        cmocka_unit_test(test_indices_without_counts),
        cmocka_unit_test(test_no_counts_at_all),
        cmocka_unit_test(test_refuses_what_is_no_level),
        cmocka_unit_test(test_low_bits),
        cmocka_unit_test(test_flips_and_cuts),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_tables_by_hand),
        cmocka_unit_test(test_random_blocks),
        cmocka_unit_test(test_stream_lengths),
        cmocka_unit_test(test_allocations_that_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
