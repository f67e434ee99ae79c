/*
 * Bare blocks of every codec: a table and a block of any bytes, decoded by every kernel, with large
 * and small tables, to u16 and to bytes, in one call and in pieces. What one way accepts, all
 * accept; Huffman and rANS also have oracles written from docs/format, which must agree.
 *
 * Input: codec, number of levels less 1 (2 bytes), number of indices (2), bytes of the table (2),
 * the table, the block.
 */
#include "codec/code_dec.h"
#include "codec/huffman_fmt.h"
#include "cpu/cpu.h"
#include "fuzz.h"
#include "test_huffman_oracle.h"
#include "valid.h"

enum { MAX_INDICES = 20000 };

typedef struct block_input {
    uint32_t codec;
    uint32_t n_levels;
    size_t n;
    uint8_t *table; /* exact copies */
    size_t table_bytes;
    uint8_t *block;
    size_t block_bytes;
} block_input;

/* ---- Oracles ------------------------------------------------------------------------------- */

/* Whether the block is legal; its indices, then. */
static bool ask_oracle(uint16_t *out, const block_input *in, bool *table_is_legal)
{
    static oracle huffman;
    static o_code rans;
    static uint32_t wide[MAX_INDICES + 1];
    if (in->codec == NQ_CODEC_HUFFMAN) {
        *table_is_legal = oracle_make(&huffman, in->n_levels, in->table, in->table_bytes);
        return *table_is_legal && oracle_block(out, &huffman, in->block, in->block_bytes, in->n);
    }
    *table_is_legal = o_read_table(&rans, in->table, in->table_bytes, in->n_levels);
    if (!*table_is_legal || !o_decode_block(wide, &rans, in->block, in->block_bytes, in->n))
        return false;
    for (size_t i = 0; i < in->n; i++)
        out[i] = (uint16_t)wide[i];
    return true;
}

/* The oracles take every codeword one by one: small blocks of small alphabets only. */
static bool has_oracle(const block_input *in)
{
    return (in->codec == NQ_CODEC_HUFFMAN && in->n <= 300 && in->n_levels <= 3000) ||
           (in->codec == NQ_CODEC_RANS && in->n <= (in->n_levels <= 3000 ? 4000 : 100));
}

/* ---- The library --------------------------------------------------------------------------- */

static nq_status decode_pieces(nqi_block *block, uint16_t *out, size_t n, size_t piece)
{
    nq_status status = NQ_OK;
    for (size_t at = 0; status == NQ_OK && at < n; at += piece)
        status = nqi_block_next_u16(block, out + at, n - at < piece ? n - at : piece);
    return status == NQ_OK ? nqi_block_end(block) : status;
}

static nq_status decode_bytes(nqi_block *block, uint16_t *out, size_t n)
{
    uint8_t *narrow = malloc(n + 1);
    nq_status status = nqi_block_next_u8(block, narrow, n);
    for (size_t i = 0; status == NQ_OK && i < n; i++)
        out[i] = narrow[i];
    free(narrow);
    return status == NQ_OK ? nqi_block_end(block) : status;
}

/* Memory aligned to 64 bytes that ends where the size says. */
static uint8_t *aligned_memory(uint8_t **raw, size_t n_bytes)
{
    *raw = aligned_alloc(64, (n_bytes + 127) / 64 * 64);
    assert_non_null(*raw);
    memset(*raw, 0xa5, n_bytes + 64);
    return *raw;
}

static void check_fence(const uint8_t *raw, size_t n_bytes)
{
    for (size_t i = 0; i < 64; i++)
        assert_true(raw[n_bytes + i] == 0xa5);
}

/* One way; whether it was the table that was refused. */
static nq_status decode(uint16_t *out, const block_input *in, unsigned way, bool *table_is_legal)
{
    static const uint64_t masks[] = {0, NQ_CPU_AVX512VBMI2, NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2,
                                     NQ_CPU_ALL};
    const uint32_t flags = way / 4 % 2 ? NQI_CODE_SMALL : 0;
    const uint64_t cpu = nqi_cpu_features() & ~masks[way % 4];
    size_t code_bytes, block_bytes;
    nqi_code *code;
    nqi_block *block;
    nq_status status = nqi_code_size(&code_bytes, &block_bytes, in->codec, in->n_levels, in->table,
                                     in->table_bytes, flags);
    *table_is_legal = false;
    if (status != NQ_OK)
        return status;
    uint8_t *raw_code, *raw_block;
    status = nqi_code_init(&code, aligned_memory(&raw_code, code_bytes), in->codec, in->n_levels,
                           in->table, in->table_bytes, flags, cpu);
    if (status == NQ_OK) {
        *table_is_legal = true;
        status = nqi_block_begin(&block, aligned_memory(&raw_block, block_bytes), code, in->block,
                                 in->block_bytes, in->n);
        if (status == NQ_OK && way / 8 % 3 == 2 && in->n_levels <= 256)
            status = decode_bytes(block, out, in->n);
        else if (status == NQ_OK)
            status = decode_pieces(block, out, in->n, way / 8 % 3 ? NQI_PIECE : MAX_INDICES);
        check_fence(raw_block, block_bytes);
        free(raw_block);
    }
    check_fence(raw_code, code_bytes);
    free(raw_code);
    return status;
}

/* The public door, which has one way. */
static nq_status decode_publicly(uint16_t *out, const block_input *in)
{
    size_t n_bytes;
    const uint8_t *table = in->table_bytes ? in->table : NULL;
    nq_status status =
        nq_block_decoder_size(&n_bytes, in->codec, in->n_levels, table, in->table_bytes);
    if (status != NQ_OK)
        return status;
    uint8_t *memory = malloc(n_bytes + 1);
    status = nq_block_decode(out, in->n, memory + 1, n_bytes, in->codec, in->n_levels, table,
                             in->table_bytes, in->block, in->block_bytes);
    free(memory);
    return status;
}

static void check(const block_input *in)
{
    uint16_t *first = malloc((in->n + 1) * sizeof *first);
    uint16_t *out = malloc((in->n + 1) * sizeof *out);
    bool is_legal, table_is_legal, legal_too;
    is_legal = decode(first, in, 0, &table_is_legal) == NQ_OK;
    for (size_t i = 0; is_legal && i < in->n; i++)
        assert_true(first[i] < in->n_levels);
    for (unsigned way = 1; way < 24; way++) {
        const nq_status status = decode(out, in, way, &legal_too);
        assert_true(status == NQ_OK || status == NQ_E_CORRUPT || status == NQ_E_TRUNCATED);
        assert_true((status == NQ_OK) == is_legal && legal_too == table_is_legal);
        if (is_legal)
            assert_memory_equal(out, first, in->n * sizeof *out);
    }
    assert_int_equal(decode_publicly(out, in) == NQ_OK, is_legal);
    if (is_legal)
        assert_memory_equal(out, first, in->n * sizeof *out);
    if (has_oracle(in)) {
        assert_int_equal(ask_oracle(out, in, &legal_too), is_legal);
        assert_int_equal(legal_too, table_is_legal);
        if (is_legal)
            assert_memory_equal(out, first, in->n * sizeof *out);
    }
    free(first);
    free(out);
}

static void run(const uint8_t *data, size_t n_bytes)
{
    static const uint32_t codecs[] = {NQ_CODEC_HUFFMAN, NQ_CODEC_RANS, NQ_CODEC_HUFFMAN_GAPS,
                                      NQ_CODEC_FIXED};
    draw d = {data, n_bytes};
    block_input in = {.codec = codecs[draw_u(&d, 1) % 4]};
    in.n_levels = (uint32_t)draw_u(&d, 2) + 1;
    in.n = (size_t)draw_u(&d, 2) % MAX_INDICES;
    in.table_bytes = (size_t)draw_u(&d, 2);
    const uint8_t *table = draw_bytes(&d, &in.table_bytes);
    if (in.codec == NQ_CODEC_FIXED)
        in.table_bytes = 0;
    in.table = exact_copy(table, in.table_bytes);
    in.block = exact_copy(d.at, d.left);
    in.block_bytes = d.left;
    check(&in);
    free(in.table);
    free(in.block);
}

static bytes make_seed(uint64_t number)
{
    static const uint32_t codecs[] = {NQ_CODEC_HUFFMAN, NQ_CODEC_RANS, NQ_CODEC_HUFFMAN_GAPS,
                                      NQ_CODEC_FIXED};
    uint64_t seed = number;
    const size_t n = valid_n_indices(&seed);
    uint16_t *indices = malloc((n + 1) * sizeof *indices);
    valid_code code = valid_code_make(codecs[number % 4], valid_n_levels(&seed), &seed);
    bytes block = valid_block(&code, indices, n, &seed), b = {0};
    put_u(&b, number % 4, 1);
    put_u(&b, code.n_levels - 1, 2);
    put_u(&b, n, 2);
    put_u(&b, code.table.n, 2);
    bytes_put(&b, code.table.at, code.table.n);
    bytes_put(&b, block.at, block.n);
    bytes_free(&block);
    valid_code_free(&code);
    free(indices);
    return b;
}

const fuzz_target fuzz_block = {"block", run, make_seed};
