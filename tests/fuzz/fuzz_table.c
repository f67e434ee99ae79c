/*
 * Readers of code tables. Huffman: what is accepted is what the oracle accepts, and is the one way
 * to write these lengths. rANS: the same oracle as its unit tests have. Nothing is built beyond the
 * size that was asked for.
 *
 * Input: codec, number of levels less 1 (2 bytes), the table.
 */
#include "codec/code_dec.h"
#include "codec/huffman_table_dec.h"
#include "codec/huffman_table_enc.h"
#include "cpu/cpu.h"
#include "fuzz.h"
#include "test_huffman_oracle.h"
#include "valid.h"

/* Lengths that were read, written again, are the same bytes. */
static void check_only_form(uint32_t n_levels, const uint8_t *table, size_t n_bytes)
{
    nqi_huffman_shape shape;
    uint32_t symbol;
    unsigned length;
    assert_int_equal(nqi_huffman_measure(&shape, n_levels, table, n_bytes), NQ_OK);
    nqi_huffman_walk walk = nqi_huffman_walk_make(&shape, n_levels, table, n_bytes);
    uint8_t *lengths = malloc(shape.n_symbols);
    memset(lengths, NQI_HUFFMAN_NO_CODE, shape.n_symbols);
    while (nqi_huffman_walk_next(&walk, &symbol, &length))
        lengths[symbol] = (uint8_t)length;
    assert_int_equal(walk.status, NQ_OK);
    const nqi_huffman_lengths_view view = {.lengths = lengths,
                                           .n_symbols = shape.n_symbols,
                                           .low_bits = shape.low_bits,
                                           .has_escape = shape.has_escape,
                                           .escape_length = shape.escape_length};
    const size_t n_again = (size_t)((nqi_huffman_table_bits(&view) + 7) / 8);
    assert_int_equal(n_again, n_bytes);
    uint8_t *again = malloc(n_again);
    nqi_huffman_table_put(again, &view);
    assert_memory_equal(again, table, n_bytes);
    free(again);
    free(lengths);
}

static bool oracle_accepts(uint32_t codec, uint32_t n_levels, const uint8_t *table, size_t n_bytes)
{
    static oracle huffman;
    static o_code rans;
    return codec == NQ_CODEC_HUFFMAN ? oracle_make(&huffman, n_levels, table, n_bytes)
                                     : o_read_table(&rans, table, n_bytes, n_levels);
}

static bool library_accepts(uint32_t codec, uint32_t n_levels, const uint8_t *table, size_t n_bytes,
                            uint32_t flags)
{
    size_t code_bytes, block_bytes, most_code, most_block;
    nqi_code *code;
    nq_status status =
        nqi_code_size(&code_bytes, &block_bytes, codec, n_levels, table, n_bytes, flags);
    assert_true(status == NQ_OK || status == NQ_E_CORRUPT || status == NQ_E_TRUNCATED);
    if (status != NQ_OK)
        return false;
    if (n_bytes > 0) {
        assert_int_equal(
            nqi_code_size(&most_code, &most_block, codec, n_levels, NULL, n_bytes, flags), NQ_OK);
        assert_true(code_bytes <= most_code && block_bytes <= most_block);
    }
    uint8_t *memory = aligned_alloc(64, (code_bytes + 127) / 64 * 64);
    assert_non_null(memory);
    memset(memory + code_bytes, 0xa5, 64);
    status =
        nqi_code_init(&code, memory, codec, n_levels, table, n_bytes, flags, nqi_cpu_features());
    assert_true(status == NQ_OK || status == NQ_E_CORRUPT || status == NQ_E_TRUNCATED);
    for (size_t i = 0; i < 64; i++)
        assert_true(memory[code_bytes + i] == 0xa5);
    free(memory);
    return status == NQ_OK;
}

static void run(const uint8_t *data, size_t n_bytes)
{
    static const uint32_t codecs[] = {NQ_CODEC_HUFFMAN, NQ_CODEC_RANS, NQ_CODEC_HUFFMAN_GAPS};
    draw d = {data, n_bytes};
    const uint32_t codec = codecs[draw_u(&d, 1) % 3];
    const uint32_t n_levels = (uint32_t)draw_u(&d, 2) + 1;
    uint8_t *table = exact_copy(d.at, d.left);
    const bool accepts = library_accepts(codec, n_levels, table, d.left, 0);
    assert_int_equal(library_accepts(codec, n_levels, table, d.left, NQI_CODE_SMALL), accepts);
    if (codec != NQ_CODEC_HUFFMAN_GAPS)
        assert_int_equal(oracle_accepts(codec, n_levels, table, d.left), accepts);
    if (accepts && codec == NQ_CODEC_HUFFMAN)
        check_only_form(n_levels, table, d.left);
    free(table);
}

static bytes make_seed(uint64_t number)
{
    static const uint32_t codecs[] = {NQ_CODEC_HUFFMAN, NQ_CODEC_RANS, NQ_CODEC_HUFFMAN_GAPS};
    uint64_t seed = number;
    valid_code code = valid_code_make(codecs[number % 3], valid_n_levels(&seed), &seed);
    bytes b = {0};
    put_u(&b, number % 3, 1);
    put_u(&b, code.n_levels - 1, 2);
    bytes_put(&b, code.table.at, code.table.n);
    valid_code_free(&code);
    return b;
}

const fuzz_target fuzz_table = {"table", run, make_seed};
