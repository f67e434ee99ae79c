/*
 * rANS against the plainest reading of its format (test_rans_oracle.h): the decoder on blocks that
 * the oracle wrote, with codes at random and in every style; the encoder's blocks read by the
 * oracle; and the same verdict from both on damaged tables and blocks.
 */
#include <math.h>

#include "base/alloc.h"
#include "codec/code_dec.h"
#include "codec/code_enc.h"
#include "codec/rans_enc.h"
#include "codec/rans_fit.h"
#include "cpu/cpu.h"
#include "nq/context.h"
#include "test_rans_oracle.h"

#define MOST (1u << 17) /* indices of a block, at most */

/* ---- The library --------------------------------------------------------------------------- */

typedef struct decoding {
    void *code_memory;
    void *block_memory;
    nqi_code *code;
} decoding;

static nq_status try_decoding(decoding *d, uint32_t n_levels, const uint8_t *table,
                              size_t table_bytes, uint32_t flags, uint64_t cpu)
{
    size_t code_bytes, block_bytes;
    *d = (decoding){0};
    nq_status status = nqi_code_size(&code_bytes, &block_bytes, NQ_CODEC_RANS, n_levels, table,
                                     table_bytes, flags);
    if (status != NQ_OK)
        return status;
    d->code_memory = aligned_alloc(64, (code_bytes + 63) / 64 * 64);
    d->block_memory = aligned_alloc(64, (block_bytes + 63) / 64 * 64);
    assert_non_null(d->code_memory);
    assert_non_null(d->block_memory);
    return nqi_code_init(&d->code, d->code_memory, NQ_CODEC_RANS, n_levels, table, table_bytes,
                         flags, cpu);
}

static void free_decoding(decoding *d)
{
    free(d->code_memory);
    free(d->block_memory);
}

static nq_status decode_u16(const decoding *d, uint16_t *out, size_t n, const uint8_t *bytes,
                            size_t n_bytes)
{
    nqi_block *block;
    nq_status status = nqi_block_begin(&block, d->block_memory, d->code, bytes, n_bytes, n);
    for (size_t done = 0; status == NQ_OK && done < n; done += NQI_PIECE)
        status = nqi_block_next_u16(block, out + done, n - done < NQI_PIECE ? n - done : NQI_PIECE);
    return status == NQ_OK ? nqi_block_end(block) : status;
}

static nq_status decode_u8(const decoding *d, uint8_t *out, size_t n, const uint8_t *bytes,
                           size_t n_bytes)
{
    nqi_block *block;
    nq_status status = nqi_block_begin(&block, d->block_memory, d->code, bytes, n_bytes, n);
    if (status == NQ_OK)
        status = nqi_block_next_u8(block, out, n);
    return status == NQ_OK ? nqi_block_end(block) : status;
}

/* Bytes in memory of just their size, so that the sanitizer sees what is read beyond. */
static uint8_t *exact_copy(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, bytes, n);
    return copy;
}

/* ---- Comparing ----------------------------------------------------------------------------- */

/* Decodes every way there is; all must come to the oracle's verdict and indices. */
static void check_block(const o_code *code, const uint8_t *table, size_t table_bytes,
                        const uint8_t *bytes, size_t n_bytes, size_t n)
{
    static uint32_t expected[MOST];
    const bool is_legal = o_decode_block(expected, code, bytes, n_bytes, n);
    uint8_t *block = exact_copy(bytes, n_bytes);
    uint16_t *u16 = malloc(n * sizeof *u16 + 1);
    uint8_t *u8 = malloc(n + 1);
    for (unsigned way = 0; way < 4; way++) {
        decoding d;
        const uint32_t flags = way == 1 ? NQI_CODE_SMALL : 0;
        const uint64_t without = way == 3 ? NQ_CPU_AVX512VBMI2 : 0;
        const uint64_t cpu = way & 2 ? nqi_cpu_features() & ~without : 0;
        assert_int_equal(try_decoding(&d, code->n_levels, table, table_bytes, flags, cpu), NQ_OK);
        const nq_status status = decode_u16(&d, u16, n, block, n_bytes);
        if ((status == NQ_OK) != is_legal)
            fail_msg("way %u: status %d of a block that is %s", way, (int)status,
                     is_legal ? "legal" : "not legal");
        assert_true(is_legal || status == NQ_E_CORRUPT || status == NQ_E_TRUNCATED);
        for (size_t i = 0; is_legal && i < n; i++)
            assert_int_equal(u16[i], expected[i]);
        if (code->n_levels <= 256) {
            assert_int_equal(decode_u8(&d, u8, n, block, n_bytes), status);
            for (size_t i = 0; is_legal && i < n; i++)
                assert_int_equal(u8[i], expected[i]);
        }
        free_decoding(&d);
    }
    free(block);
    free(u16);
    free(u8);
}

static const uint32_t alphabets[] = {1, 2, 3, 11, 16, 31, 100, 255, 256, 257, 300, 4096, 65536};

static o_style random_style(uint64_t *seed)
{
    return (o_style){.lanes_log2 = (unsigned)(unit_random(seed) % 9),
                     .idle = (unsigned)(unit_random(seed) % 3 ? unit_random(seed) % 16 : 0),
                     .busy_in = (unsigned)(unit_random(seed) % 8),
                     .long_form = (unsigned)(unit_random(seed) % 4),
                     .wanders = unit_random(seed) % 4 != 0,
                     .seed = unit_random(seed)};
}

static uint32_t indices[MOST];
static uint8_t table[1 << 16];
static uint8_t bytes[O_MAX_BYTES];

static void check_random_block(uint32_t n_levels, unsigned n_tables, bool sparse, size_t n,
                               uint64_t *seed)
{
    static o_code code, again;
    const o_style style = random_style(seed);
    o_random_code(&code, n_levels, n_tables, sparse, seed);
    o_random_indices(indices, n, &code, seed);
    const size_t table_bytes = o_write_table(table, &code);
    assert_true(o_read_table(&again, table, table_bytes, n_levels));
    const size_t n_bytes = o_encode_block(bytes, &code, indices, n, &style);
    check_block(&again, table, table_bytes, bytes, n_bytes, n);
}

/* ---- The decoder --------------------------------------------------------------------------- */

static void test_random_codes(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (unsigned i = 0; i < 200; i++) {
        const uint32_t n_levels = alphabets[unit_random(&seed) % NQI_COUNT(alphabets)];
        const unsigned n_tables =
            unit_random(&seed) % 2 ? 1 + (unsigned)(unit_random(&seed) % 16) : 1;
        const bool sparse = unit_random(&seed) % 3 == 0;
        check_random_block(n_levels, n_tables, sparse, unit_random(&seed) % 3000, &seed);
    }
}

/* Around the borders of rounds, vectors, sub-blocks, pieces, and groups of pairs. */
static void test_borders(void **state)
{
    (void)state;
    static const size_t borders[] = {0, 64, 128, 256, 512, 2048, 4096, 8192};
    uint64_t seed = 12;
    for (size_t b = 0; b < NQI_COUNT(borders); b++)
        for (int off = -2; off <= 2; off++)
            for (unsigned kind = 0; kind < 4; kind++) {
                if (off < 0 && borders[b] == 0)
                    continue;
                const size_t n = (size_t)((int64_t)borders[b] + off);
                check_random_block(kind & 1 ? 16 : 300, kind & 1 ? 5 : 1, (kind & 2) != 0, n,
                                   &seed);
            }
}

/* Groups of sub-blocks, the last one larger than the others. */
static void test_groups(void **state)
{
    (void)state;
    static o_code code;
    uint64_t seed = 13;
    for (unsigned i = 0; i < 6; i++) {
        const size_t n = (i % 2 ? 98304u : 65536u) + i / 2 * 777 - 5;
        o_style style = random_style(&seed);
        o_random_code(&code, 16, 4, false, &seed);
        code.s = 0;
        o_random_indices(indices, n, &code, &seed);
        const size_t table_bytes = o_write_table(table, &code);
        const size_t n_bytes = o_encode_block(bytes, &code, indices, n, &style);
        check_block(&code, table, table_bytes, bytes, n_bytes, n);
    }
}

/* Pairs in several groups, and gaps that are as long as they can be. */
static void test_long_gaps(void **state)
{
    (void)state;
    static o_code code;
    uint64_t seed = 14;
    for (unsigned i = 0; i < 6; i++) {
        const o_style style = random_style(&seed);
        o_random_code(&code, 16, i % 2 ? 1 : 3, true, &seed);
        for (size_t k = 0; k < MOST; k++)
            indices[k] = code.zero;
        for (size_t k = 0; k < 7000; k++) {
            const uint64_t r = unit_random(&seed);
            if (i < 3)
                indices[r % 60000] = (uint32_t)(r >> 32) % 16;
        }
        if (i == 4)
            indices[MOST - 1] = (code.zero + 1) % 16;
        const size_t table_bytes = o_write_table(table, &code);
        const size_t n_bytes = o_encode_block(bytes, &code, indices, MOST, &style);
        check_block(&code, table, table_bytes, bytes, n_bytes, MOST);
    }
}

/* The example of the format's description. */
static void test_example(void **state)
{
    (void)state;
    static const uint8_t example[] = {0x00, 0xc0, 0x80, 0x00, 0x02, 0x08, 0x42, 0x00};
    static const unsigned frequencies[] = {16, 128, 96, 16};
    static o_code code;
    assert_true(o_read_table(&code, example, sizeof example, 4));
    assert_int_equal(code.values.t[0].n_classes, 4);
    for (unsigned c = 0; c < 4; c++) {
        assert_int_equal(code.values.t[0].f[c], frequencies[c]);
        assert_int_equal(code.values.t[0].upper[c], c);
    }
    /* Counts that ask for just these frequencies have this table. */
    static const uint64_t counts[] = {1600, 12800, 9600, 1600};
    const nqi_allocator a = nqi_allocator_default();
    nqi_encoder *encoder;
    size_t n_bytes;
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_RANS, 4, 0, counts, 0, 0), NQ_OK);
    const uint8_t *written = nqi_encoder_table(encoder, &n_bytes);
    assert_int_equal(n_bytes, sizeof example);
    assert_memory_equal(written, example, sizeof example);
    nqi_encoder_destroy(encoder);
}

/* ---- Damage -------------------------------------------------------------------------------- */

/* A small block of each kind for the tests that follow. */
static size_t make_small(o_code *code, unsigned kind, size_t n, size_t *table_bytes, uint64_t *seed)
{
    const o_style style = random_style(seed);
    static const uint32_t levels[] = {16, 40, 300, 5};
    o_random_code(code, levels[kind % 4], kind % 3 == 0 ? 3 : 1, kind % 2 == 1, seed);
    o_random_indices(indices, n, code, seed);
    *table_bytes = o_write_table(table, code);
    return o_encode_block(bytes, code, indices, n, &style);
}

static void test_truncated_blocks(void **state)
{
    (void)state;
    static o_code code;
    uint64_t seed = 21;
    size_t table_bytes;
    for (unsigned kind = 0; kind < 12; kind++) {
        const size_t n = 40 + unit_random(&seed) % 200;
        const size_t n_bytes = make_small(&code, kind, n, &table_bytes, &seed);
        for (size_t cut = 0; cut <= n_bytes; cut++)
            check_block(&code, table, table_bytes, bytes, cut, n);
        bytes[n_bytes] = 0;
        check_block(&code, table, table_bytes, bytes, n_bytes + 1, n);
    }
}

static void test_flipped_bits(void **state)
{
    (void)state;
    static o_code code;
    uint64_t seed = 22;
    size_t table_bytes;
    for (unsigned kind = 0; kind < 12; kind++) {
        const size_t n = 20 + unit_random(&seed) % 100;
        const size_t n_bytes = make_small(&code, kind, n, &table_bytes, &seed);
        for (size_t bit = 0; bit < 8 * NQI_MIN(n_bytes, 150); bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            check_block(&code, table, table_bytes, bytes, n_bytes, n);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* Blocks large enough for fast loops, with bytes changed anywhere, cut and longer. */
static void test_changed_bytes(void **state)
{
    (void)state;
    static o_code code;
    uint64_t seed = 23;
    size_t table_bytes;
    for (unsigned i = 0; i < 150; i++) {
        const size_t n = 500 + unit_random(&seed) % 6000;
        const size_t n_bytes = make_small(&code, i, n, &table_bytes, &seed);
        size_t length = n_bytes;
        for (unsigned k = (unsigned)(unit_random(&seed) % 4); k > 0; k--)
            bytes[unit_random(&seed) % n_bytes] = (uint8_t)unit_random(&seed);
        if (unit_random(&seed) % 3 == 0)
            length = unit_random(&seed) % (n_bytes + 1);
        const size_t asked = unit_random(&seed) % 4 ? n : unit_random(&seed) % 7000;
        check_block(&code, table, table_bytes, bytes, length, asked);
    }
}

static void test_random_bytes(void **state)
{
    (void)state;
    static o_code code;
    uint64_t seed = 24;
    size_t table_bytes;
    for (unsigned i = 0; i < 200; i++) {
        const size_t n_bytes = unit_random(&seed) % 3000;
        (void)make_small(&code, i, 1, &table_bytes, &seed);
        for (size_t k = 0; k < n_bytes; k++)
            bytes[k] = (uint8_t)(unit_random(&seed) | (unit_random(&seed) % 2 ? 1 : 0));
        if (n_bytes > 0)
            bytes[0] = (uint8_t)(unit_random(&seed) % 9); /* lanes, no idle rounds */
        for (unsigned k = 1; n_bytes > 16 && k < 5; k++)
            bytes[k] = (uint8_t)(unit_random(&seed) % 40); /* sizes that may be right */
        check_block(&code, table, table_bytes, bytes, n_bytes, unit_random(&seed) % 4000);
    }
}

/* ---- Tables -------------------------------------------------------------------------------- */

static void check_table(const uint8_t *written, size_t n_bytes, uint32_t n_levels)
{
    static o_code code;
    const bool is_legal = o_read_table(&code, written, n_bytes, n_levels);
    uint8_t *copy = exact_copy(written, n_bytes);
    for (uint32_t flags = 0; flags <= NQI_CODE_SMALL; flags++) {
        decoding d;
        const nq_status status = try_decoding(&d, n_levels, copy, n_bytes, flags, 0);
        if ((status == NQ_OK) != is_legal)
            fail_msg("status %d of a table that is %s", (int)status,
                     is_legal ? "legal" : "not legal");
        assert_true(is_legal || status == NQ_E_CORRUPT || status == NQ_E_TRUNCATED);
        free_decoding(&d);
    }
    free(copy);
}

static void test_damaged_tables(void **state)
{
    (void)state;
    static o_code code;
    uint64_t seed = 31;
    for (unsigned i = 0; i < 60; i++) {
        const uint32_t n_levels = alphabets[unit_random(&seed) % NQI_COUNT(alphabets)];
        o_random_code(&code, n_levels, 1 + (unsigned)(unit_random(&seed) % 3), i % 3 == 0, &seed);
        const size_t n_bytes = o_write_table(table, &code);
        check_table(table, n_bytes, n_levels);
        for (size_t cut = 0; cut < n_bytes; cut++)
            check_table(table, cut, n_levels);
        for (size_t bit = 0; bit < 8 * n_bytes; bit++) {
            table[bit / 8] ^= (uint8_t)(1u << bit % 8);
            check_table(table, n_bytes, n_levels);
            table[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        table[n_bytes] = 0;
        check_table(table, n_bytes + 1, n_levels);
    }
}

static void test_random_tables(void **state)
{
    (void)state;
    uint64_t seed = 32;
    for (unsigned i = 0; i < 20000; i++) {
        const uint32_t n_levels = alphabets[unit_random(&seed) % NQI_COUNT(alphabets)];
        const size_t n_bytes = unit_random(&seed) % 40;
        for (size_t k = 0; k < n_bytes; k++)
            table[k] = (uint8_t)(unit_random(&seed) & unit_random(&seed));
        check_table(table, n_bytes, n_levels);
    }
}

/* A table that cannot be looked at yet has room for any of its length. */
static void test_unseen_tables(void **state)
{
    (void)state;
    static o_code code;
    uint64_t seed = 33;
    for (unsigned i = 0; i < 200; i++) {
        size_t code_bytes, block_bytes, most_code, most_block;
        const uint32_t n_levels = alphabets[unit_random(&seed) % NQI_COUNT(alphabets)];
        o_random_code(&code, n_levels, 1 + (unsigned)(unit_random(&seed) % 16), i % 2 == 0, &seed);
        const size_t n_bytes = o_write_table(table, &code);
        for (uint32_t flags = 0; flags <= NQI_CODE_SMALL; flags++) {
            assert_int_equal(nqi_code_size(&code_bytes, &block_bytes, NQ_CODEC_RANS, n_levels,
                                           table, n_bytes, flags),
                             NQ_OK);
            assert_int_equal(nqi_code_size(&most_code, &most_block, NQ_CODEC_RANS, n_levels, NULL,
                                           n_bytes, flags),
                             NQ_OK);
            assert_true(most_code >= code_bytes && most_block >= block_bytes);
        }
    }
}

/* Few bytes that speak of many tables: behind a callback, where a description cannot be looked at
 * when memory is planned, the steps were once written behind what was planned for so few bytes. */
static void test_more_tables_than_bytes(void **state)
{
    (void)state;
    for (size_t n_bytes = 1; n_bytes < 20; n_bytes++)
        for (uint32_t flags = 0; flags <= NQI_CODE_SMALL; flags++)
            for (unsigned head = 0; head < 256; head++) {
                size_t code_bytes, block_bytes;
                nqi_code *made;
                uint8_t *copy = calloc(n_bytes, 1);
                copy[0] = (uint8_t)head;
                assert_int_equal(nqi_code_size(&code_bytes, &block_bytes, NQ_CODEC_RANS, 5, NULL,
                                               n_bytes, flags),
                                 NQ_OK);
                uint8_t *memory = aligned_alloc(64, (code_bytes + 63) / 64 * 64 + 65536);
                memset(memory + code_bytes, 0xa5, 65536);
                assert_int_not_equal(
                    nqi_code_init(&made, memory, NQ_CODEC_RANS, 5, copy, n_bytes, flags, 0), NQ_OK);
                for (size_t i = 0; i < 65536; i += 7)
                    assert_int_equal(memory[code_bytes + i], 0xa5);
                free(memory);
                free(copy);
            }
}

/* ---- The encoder --------------------------------------------------------------------------- */

/* How often indices occur in a kind of source. */
static void fill_counts(uint64_t *counts, uint32_t n, unsigned kind, uint64_t *seed)
{
    for (uint32_t i = 0; i < n; i++) {
        const double x = ((double)i - n / 2.0) / n;
        counts[i] = 0;
        if (kind == 0)
            counts[i] = 1000;
        else if (kind == 1)
            counts[i] = (uint64_t)(1e6 * exp(-40 * x * x));
        else if (kind == 2)
            counts[i] = (uint64_t)(1e9 * exp(-60 * fabs(x)));
        else if (kind == 3)
            counts[i] = i == n / 3 ? 1000000000 : unit_random(seed) % 3;
        else if (kind == 4)
            counts[i] = unit_random(seed) % 5 ? 0 : unit_random(seed) % 1000;
        else if (kind == 5)
            counts[i] = (uint64_t)1 << unit_random(seed) % 45;
    }
}

/* Indices as often as they occur, roughly; now and then any. */
static void draw_indices(uint16_t *drawn, size_t n, const uint64_t *counts, uint32_t n_levels,
                         bool is_exact, uint64_t *seed)
{
    static uint16_t pool[4096];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n_levels; i++)
        sum += counts[i];
    uint64_t below = 0;
    size_t filled = 0;
    for (uint32_t i = 0; i < n_levels && sum > 0; i++) {
        below += counts[i];
        while (counts[i] && filled < 4096 && (double)filled * (double)sum < 4096.0 * (double)below)
            pool[filled++] = (uint16_t)i;
    }
    if (filled == 0)
        pool[filled++] = 0;
    for (size_t i = 0; i < n; i++) {
        const uint64_t r = unit_random(seed);
        drawn[i] = pool[r % filled];
        if (!is_exact && r >> 32 & 1 && (r >> 33) % 64 == 0)
            drawn[i] = (uint16_t)((r >> 40) % n_levels);
    }
}

static void check_encoder(uint32_t n_levels, unsigned kind, size_t n, uint32_t flags,
                          uint64_t *seed)
{
    static uint64_t counts[65536];
    static uint16_t drawn[MOST];
    static o_code code;
    const nqi_allocator a = nqi_allocator_default();
    nqi_encoder *encoder;
    fill_counts(counts, n_levels, kind, seed);
    draw_indices(drawn, n, counts, n_levels, flags != 0, seed);
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_RANS, n_levels, 0, counts, flags,
                                        nqi_cpu_features()),
                     NQ_OK);
    size_t table_bytes, n_bytes;
    const uint8_t *written = nqi_encoder_table(encoder, &table_bytes);
    assert_true(o_read_table(&code, written, table_bytes, n_levels));
    const uint64_t bound = nqi_encoder_bound(encoder, n);
    uint8_t *out = malloc((size_t)bound + 1);
    assert_int_equal(nqi_encoder_encode(encoder, out, (size_t)bound, &n_bytes, drawn, n), NQ_OK);
    assert_true(n_bytes <= bound);
    static uint32_t decoded[MOST];
    assert_true(o_decode_block(decoded, &code, out, n_bytes, n));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(decoded[i], drawn[i]);
    check_block(&code, written, table_bytes, out, n_bytes, n);

    /* With just enough memory, with one byte less, and on another CPU: the same. */
    uint8_t *tight = malloc(n_bytes + 1);
    size_t tight_bytes;
    assert_int_equal(nqi_encoder_encode(encoder, tight, n_bytes, &tight_bytes, drawn, n), NQ_OK);
    assert_int_equal(tight_bytes, n_bytes);
    assert_memory_equal(tight, out, n_bytes);
    if (n_bytes > 0) {
        uint8_t *short_one = malloc(n_bytes);
        size_t short_bytes;
        assert_int_equal(
            nqi_encoder_encode(encoder, short_one, n_bytes - 1, &short_bytes, drawn, n),
            NQ_E_SPACE);
        free(short_one);
    }
    nqi_encoder *plain;
    assert_int_equal(nqi_encoder_create(&plain, &a, NQ_CODEC_RANS, n_levels, 0, counts, flags, 0),
                     NQ_OK);
    assert_int_equal(nqi_encoder_encode(plain, out, (size_t)bound, &n_bytes, drawn, n), NQ_OK);
    assert_int_equal(n_bytes, tight_bytes);
    assert_memory_equal(out, tight, n_bytes);
    nqi_encoder_destroy(plain);
    free(tight);
    free(out);
    nqi_encoder_destroy(encoder);
}

static void test_encoder(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 63, 64, 65, 257, 1000, 4096, 4097, 20000};
    uint64_t seed = 41;
    for (size_t l = 0; l < NQI_COUNT(alphabets); l++)
        for (unsigned kind = 0; kind < 6; kind++)
            for (uint32_t flags = 0; flags <= NQI_ENCODER_EXACT; flags++)
                check_encoder(alphabets[l], kind, sizes[unit_random(&seed) % NQI_COUNT(sizes)],
                              flags, &seed);
}

static void test_encoder_sizes(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (size_t n = 0; n < 700; n += 1 + n / 70)
        check_encoder(n % 2 ? 16 : 40, n % 3 ? 2 : 1, n, 0, &seed);
    check_encoder(16, 1, 100000, 0, &seed);
    check_encoder(16, 3, 100000, 0, &seed);
    check_encoder(65536, 2, 100000, 0, &seed);
}

static void test_refused_indices(void **state)
{
    (void)state;
    static const uint64_t counts[] = {5000, 0, 9000, 1000, 0};
    const nqi_allocator a = nqi_allocator_default();
    uint16_t drawn[100] = {0};
    uint8_t out[4096];
    size_t n_bytes;
    for (uint32_t flags = 0; flags <= NQI_ENCODER_EXACT; flags++) {
        nqi_encoder *encoder;
        assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_RANS, 5, 0, counts, flags, 0),
                         NQ_OK);
        drawn[50] = 4;
        assert_int_equal(nqi_encoder_encode(encoder, out, sizeof out, &n_bytes, drawn, 100),
                         flags ? NQ_E_ARG : NQ_OK);
        assert_true((nqi_encoder_cost(encoder, 4) == NQI_COST_NONE) == (flags != 0));
        assert_true(nqi_encoder_cost(encoder, 2) < nqi_encoder_cost(encoder, 3));
        drawn[50] = 5;
        assert_int_equal(nqi_encoder_encode(encoder, out, sizeof out, &n_bytes, drawn, 100),
                         NQ_E_ARG);
        drawn[50] = 0;
        nqi_encoder_destroy(encoder);
    }
}

/* ---- Sizes --------------------------------------------------------------------------------- */

/* Indices of a source with these weights, and the entropy of what was drawn, in bits. */
static double draw_source(uint16_t *drawn, uint64_t *counts, size_t n, const double *weights,
                          uint32_t n_levels, uint64_t *seed)
{
    double sum = 0, entropy = 0;
    memset(counts, 0, n_levels * sizeof *counts);
    for (uint32_t i = 0; i < n_levels; i++)
        sum += weights[i];
    for (size_t i = 0; i < n; i++) {
        double at = (unit_random_real(seed) + 1) / 2 * sum;
        uint32_t index = 0;
        while (index + 1 < n_levels && at >= weights[index])
            at -= weights[index++];
        drawn[i] = (uint16_t)index;
        counts[index]++;
    }
    for (uint32_t i = 0; i < n_levels; i++)
        if (counts[i])
            entropy -= (double)counts[i] * log2((double)counts[i] / (double)n);
    return entropy;
}

static void check_size(const char *name, const double *weights, uint32_t n_levels, double most)
{
    static uint16_t drawn[1 << 18];
    static uint8_t out[1 << 22];
    uint64_t counts[256], seed = 51;
    const size_t n = 1 << 18;
    const double entropy = draw_source(drawn, counts, n, weights, n_levels, &seed);
    const nqi_allocator a = nqi_allocator_default();
    nqi_encoder *encoder;
    size_t table_bytes, n_bytes;
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_RANS, n_levels, 0, counts, 0, 0),
                     NQ_OK);
    (void)nqi_encoder_table(encoder, &table_bytes);
    assert_true(table_bytes < 64);
    assert_int_equal(nqi_encoder_encode(encoder, out, sizeof out, &n_bytes, drawn, n), NQ_OK);
    const double excess = 8.0 * (double)(n_bytes + table_bytes) / entropy - 1;
    if (excess > most)
        fail_msg("%s: %.2f %% above the entropy", name, 100 * excess);
    /* What was promised: hardly too little, not much too much. */
    const double promised = (double)nqi_encoder_payload_bits(encoder, counts);
    assert_true(8.0 * (double)n_bytes <
                promised * 1.002 + 8.0 * nqi_encoder_block_overhead(encoder));
    assert_true(8.0 * (double)n_bytes > promised * 0.99);
    nqi_encoder_destroy(encoder);
}

static void test_sizes(void **state)
{
    (void)state;
    double weights[64];
    for (unsigned i = 0; i < 21; i++)
        weights[i] = exp(-0.5 * pow(0.52 * ((double)i - 10), 2));
    check_size("Gaussian, 3 bits", weights, 21, 0.006);
    for (unsigned i = 0; i < 11; i++)
        weights[i] = exp(-0.5 * pow(1.08 * ((double)i - 5), 2));
    check_size("Gaussian, 2 bits", weights, 11, 0.007);
    for (unsigned i = 0; i < 64; i++)
        weights[i] = exp(-0.34 * fabs((double)i - 32));
    check_size("Laplacian, 4 bits", weights, 64, 0.007);
    for (unsigned i = 0; i < 16; i++)
        weights[i] = 1 + (i * 7) % 16;
    check_size("sixteen levels", weights, 16, 0.004);
    for (unsigned i = 0; i < 40; i++)
        weights[i] = i == 20 ? 0 : exp(-0.25 * fabs((double)i - 20));
    weights[20] = 9 * 6.0;
    check_size("nine zeros of ten", weights, 40, 0.015);
}

/* ---- Memory -------------------------------------------------------------------------------- */

typedef struct budget {
    unsigned left;
    size_t held;
} budget;

static void *take(void *user, size_t n_bytes, size_t alignment)
{
    budget *b = user;
    if (b->left == 0)
        return NULL;
    b->left--;
    b->held += n_bytes;
    return aligned_alloc(alignment, (n_bytes + alignment - 1) / alignment * alignment);
}

static void give_back(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    budget *b = user;
    (void)alignment;
    b->held -= n_bytes;
    free(memory);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    static const uint64_t dense[] = {5, 9, 100, 9, 5}, sparse[] = {5, 9, 1000, 9, 5};
    for (unsigned kind = 0; kind < 2; kind++)
        for (unsigned left = 0;; left++) {
            budget b = {.left = left};
            const nqi_allocator a = {
                .alloc = take, .free = give_back, .user = &b, .max_bytes = UINT64_MAX};
            nqi_encoder *encoder;
            const nq_status status =
                nqi_encoder_create(&encoder, &a, NQ_CODEC_RANS, 5, 0, kind ? sparse : dense, 0, 0);
            if (status != NQ_OK) {
                assert_int_equal(status, NQ_E_NOMEM);
                assert_null(encoder);
                assert_int_equal(b.held, 0);
                continue;
            }
            /* Enough memory asked for: none is taken; too little: as much as is there. */
            const uint16_t drawn[3] = {2, 2, 1};
            uint8_t out[8192];
            size_t n_bytes;
            b.left = 0;
            assert_int_equal(nqi_encoder_encode(encoder, out, sizeof out, &n_bytes, drawn, 3),
                             NQ_OK);
            assert_int_equal(nqi_encoder_encode(encoder, out, 20, &n_bytes, drawn, 3), NQ_E_NOMEM);
            nqi_encoder_destroy(encoder);
            assert_int_equal(b.held, 0);
            break;
        }
}

static void test_costs_of_classes(void **state)
{
    (void)state;
    for (unsigned f = 1; f <= NQI_RANS_SLOTS; f++) {
        const long double bits = 8 - log2l((long double)f);
        assert_int_equal(nqi_rans_class_cost(f),
                         (uint32_t)floorl(bits * (1 << NQI_RANS_COST_LOG2) + 0.5L));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_codes),
        cmocka_unit_test(test_borders),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_long_gaps),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_truncated_blocks),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_damaged_tables),
        cmocka_unit_test(test_random_tables),
        cmocka_unit_test(test_unseen_tables),
        cmocka_unit_test(test_more_tables_than_bytes),
        cmocka_unit_test(test_encoder),
        cmocka_unit_test(test_encoder_sizes),
        cmocka_unit_test(test_refused_indices),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_costs_of_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
