/*
 * All of what is small: every vector of code lengths for small alphabets, every short string of
 * bytes as a table, every width of bits with every small number of indices. The oracles say what is
 * legal, and what comes out.
 *
 * Random bytes hardly ever form a code's table; the gravest defect of another decoder of Huffman
 * codes was found in tables that no fuzzer had made.
 */
#include "codec/huffman_table_dec.h"
#include "codec/huffman_table_enc.h"
#include "fuzz.h"
#include "test_huffman_oracle.h"
#include "valid.h"

/* ---- Vectors of lengths -------------------------------------------------------------------- */

/* A vector as digits: 0 is "no codeword", others are a length and one. The last is the escape's. */
static vh_code code_of(uint64_t number, uint32_t n_symbols, unsigned n_lengths)
{
    vh_code c = {.n_levels = n_symbols, .n_symbols = n_symbols};
    c.lengths = malloc(n_symbols);
    c.codes = calloc(n_symbols, sizeof *c.codes);
    while ((1u << c.raw_bits) < n_symbols)
        c.raw_bits++;
    for (uint32_t i = 0; i < n_symbols; i++, number /= n_lengths + 1)
        c.lengths[i] = (uint8_t)(number % (n_lengths + 1) ? number % (n_lengths + 1) - 1 : VH_NONE);
    c.escape = (unsigned)(number ? number - 1 : VH_NONE);
    return c;
}

/* Whether the sum of 2^-length is 1: what the format asks for. */
static bool is_complete(const vh_code *c)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < c->n_symbols; i++)
        sum += c->lengths[i] == VH_NONE ? 0 : UINT64_C(1) << (24 - c->lengths[i]);
    sum += c->escape == VH_NONE ? 0 : UINT64_C(1) << (24 - c->escape);
    return sum == UINT64_C(1) << 24;
}

/* Each index after each other one, coded by hand, comes back. */
static void check_decoding(const vh_code *c, const bytes *table)
{
    uint16_t indices[64], out[64];
    uint64_t seed = 1;
    size_t n = 0, n_bytes;
    for (uint32_t i = 0; i < c->n_symbols; i++)
        for (uint32_t k = 0; k < c->n_symbols && n < 63; k++)
            if (vh_has(c, i) && vh_has(c, k)) {
                indices[n++] = (uint16_t)i;
                indices[n++] = (uint16_t)k;
            }
    n = n < 64 ? n : 64;
    bytes block = vh_block(c, indices, n, 3, &seed);
    assert_int_equal(
        nq_block_decoder_size(&n_bytes, NQ_CODEC_HUFFMAN, c->n_levels, table->at, table->n), NQ_OK);
    uint8_t *memory = malloc(n_bytes);
    assert_int_equal(nq_block_decode(out, n, memory, n_bytes, NQ_CODEC_HUFFMAN, c->n_levels,
                                     table->at, table->n, block.at, block.n),
                     NQ_OK);
    assert_memory_equal(out, indices, n * sizeof *out);
    free(memory);
    bytes_free(&block);
}

static bool check_vector(uint64_t number, uint32_t n_symbols, unsigned n_lengths)
{
    vh_code c = code_of(number, n_symbols, n_lengths);
    bytes table = vh_table(&c);
    nqi_huffman_shape legal;
    const bool is_legal = is_complete(&c);
    const nq_status status = nqi_huffman_measure(&legal, n_symbols, table.at, table.n);
    assert_int_equal(status, is_legal ? NQ_OK : NQ_E_CORRUPT);
    if (is_legal) {
        vh_assign_codes(&c);
        check_decoding(&c, &table);
    }
    bytes_free(&table);
    vh_free(&c);
    return is_legal;
}

static void check_vectors(void)
{
    /* Alphabets, and lengths 0 to n - 1 for each symbol and the escape. */
    static const struct {
        uint32_t n_symbols;
        unsigned n_lengths;
    } spaces[] = {{1, 25}, {2, 25}, {3, 12}, {4, 7}, {5, 5}, {6, 4}};
    uint64_t n_vectors = 0, n_legal = 0;
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        uint64_t n = 1;
        for (uint32_t k = 0; k <= spaces[i].n_symbols; k++)
            n *= spaces[i].n_lengths + 1;
        for (uint64_t number = 0; number < n; number++)
            n_legal += check_vector(number, spaces[i].n_symbols, spaces[i].n_lengths);
        n_vectors += n;
    }
    assert_true(n_legal > 100 && n_legal < n_vectors / 10);
    printf("%llu vectors of lengths, %llu of them codes\n", (unsigned long long)n_vectors,
           (unsigned long long)n_legal);
}

/* ---- Tables -------------------------------------------------------------------------------- */

static bool library_takes(uint32_t codec, uint32_t n_levels, const uint8_t *table, size_t n)
{
    size_t n_bytes;
    uint16_t out;
    nq_status status = nq_block_decoder_size(&n_bytes, codec, n_levels, table, n);
    if (status == NQ_OK) {
        uint8_t *memory = malloc(n_bytes);
        status = nq_block_decode(&out, 0, memory, n_bytes, codec, n_levels, table, n, table, 0);
        free(memory);
    }
    assert_true(status == NQ_OK || status == NQ_E_CORRUPT || status == NQ_E_TRUNCATED);
    return status == NQ_OK;
}

/* Every string of up to two bytes, and some of three; rANS's oracle is slow. */
static void check_tables(void)
{
    static oracle huffman;
    static o_code rans;
    uint64_t n_tables = 0, n_legal = 0;
    for (uint32_t n_levels = 1; n_levels <= 4; n_levels++)
        for (uint32_t bits = 0; bits < 1 << 24; bits += bits < 1 << 16 ? 1 : 4093)
            for (size_t n = bits < 1 << 8 ? 1 : bits < 1 << 16 ? 2 : 3; n <= 3; n++) {
                const uint8_t table[] = {(uint8_t)bits, (uint8_t)(bits >> 8),
                                         (uint8_t)(bits >> 16)};
                const bool is_huffman = oracle_make(&huffman, n_levels, table, n);
                assert_int_equal(library_takes(NQ_CODEC_HUFFMAN, n_levels, table, n), is_huffman);
                n_legal += is_huffman;
                n_tables++;
                if (n_levels != 3 || n > 2)
                    continue;
                const bool is_rans = o_read_table(&rans, table, n, n_levels);
                assert_int_equal(library_takes(NQ_CODEC_RANS, n_levels, table, n), is_rans);
                n_legal += is_rans;
                n_tables++;
            }
    assert_true(n_legal > 10);
    printf("%llu tables, %llu of them legal\n", (unsigned long long)n_tables,
           (unsigned long long)n_legal);
}

/* ---- Widths -------------------------------------------------------------------------------- */

static void check_widths(void)
{
    enum { MOST = 300 };
    uint64_t seed = 2, n_blocks = 0;
    uint16_t indices[MOST], out[MOST];
    for (unsigned width = 0; width <= 16; width++)
        for (uint32_t less = 0; less < 2; less++) {
            const uint32_t n_levels = (UINT32_C(1) << width) - (width > 1 ? less : 0);
            for (size_t i = 0; i < MOST; i++)
                indices[i] = (uint16_t)(i % 3 == 0 ? n_levels - 1 : unit_random(&seed) % n_levels);
            for (size_t n = 0; n <= MOST; n++) {
                size_t n_bytes;
                vh_bits b = {{0}, 0};
                for (size_t i = 0; i < n; i++)
                    vh_put(&b, indices[i], width);
                assert_int_equal(nq_block_decoder_size(&n_bytes, NQ_CODEC_FIXED, n_levels, NULL, 0),
                                 NQ_OK);
                uint8_t *memory = malloc(n_bytes), *block = exact_copy(b.out.at, b.out.n);
                assert_int_equal(nq_block_decode(out, n, memory, n_bytes, NQ_CODEC_FIXED, n_levels,
                                                 NULL, 0, block, b.out.n),
                                 NQ_OK);
                assert_memory_equal(out, indices, n * sizeof *out);
                free(memory);
                free(block);
                bytes_free(&b.out);
                n_blocks++;
            }
        }
    printf("%llu blocks of fixed length\n", (unsigned long long)n_blocks);
}

int main(void)
{
    check_vectors();
    check_tables();
    check_widths();
    return 0;
}
