/*
 * Small files that ask for much: what they can get at most, and how a context's limits refuse it.
 * Nothing of that size is ever allocated here.
 */
#include "nq_hooks.h"

enum { N_CHANNELS = 1024, N_LEVELS = 65536 };

/* A Huffman code of 65,536 symbols, of which the first has the one codeword, of no bits. */
static bytes table_of_one_symbol(void)
{
    static const struct {
        uint32_t value;
        unsigned width;
    } fields[] = {{0, 11}, {3, 3}, {0x7fff, 15}, {0, 1}, {65535 - 32768, 15}};
    bytes table = {0};
    unsigned at = 0;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        for (unsigned k = 0; k < fields[i].width; k++, at++) {
            if (at % 8 == 0)
                put_u(&table, 0, 1);
            table.at[at / 8] |= (uint8_t)((fields[i].value >> k & 1) << at % 8);
        }
    return table;
}

/* As many levels by channel as there may be, each channel's a run of cells in four bytes. */
static uint32_t put_grids(nq_file *f)
{
    bytes data = {0};
    put_varint(&data, N_CHANNELS - 1);
    put_varint(&data, 0);
    put_varint(&data, N_LEVELS - 1);
    for (unsigned i = 0; i < N_CHANNELS; i++) {
        put_varint(&data, 0);
        put_varint(&data, N_LEVELS - 1);
    }
    bytes body = begin_table(f, data.at, data.n, 3);
    put_u(&body, 0, 2);
    put_u(&body, 3, 1);
    put_varint(&body, N_LEVELS);
    put_f64(&body, 1);
    put_varint(&body, N_CHANNELS);
    put_varint(&body, (uint64_t)N_CHANNELS * N_LEVELS);
    bytes_free(&data);
    return end_table(f, &body);
}

/* 2^26 elements in blocks of three bytes. */
static bytes make_file(void)
{
    enum { N_BLOCKS = N_CHANNELS * (N_LEVELS >> 10) >> 14 };
    static const uint8_t block[3] = {0};
    nq_file f = {.size_width = 2};
    const uint32_t book = put_grids(&f);
    bytes table = table_of_one_symbol();
    const uint32_t code = file_code_table(&f, NQ_CODEC_HUFFMAN, table.at, table.n);
    bytes payload = {0};
    for (unsigned i = 0; i < N_BLOCKS; i++)
        put_u(&payload, slow_crc(block, 3), 4);
    for (unsigned i = 1; i < N_BLOCKS; i++)
        put_u(&payload, 3 * (uint64_t)i, 4);
    for (unsigned i = 0; i < N_BLOCKS; i++)
        bytes_put(&payload, block, 3);
    bytes body = begin_tensor(&f, &(shape){"t", NQ_F32, 2, {N_CHANNELS, N_LEVELS}, 24}, payload.n,
                              NQ_CODEC_HUFFMAN);
    put_u(&body, 1, 1);
    put_varint(&body, book);
    put_varint(&body, (uint64_t)code + 1);
    put_u(&body, 0, 1);
    bytes_put(&f.payloads, payload.at, payload.n);
    end_tensor(&f, &body);
    bytes file = file_build(&f);
    bytes_free(&payload);
    bytes_free(&table);
    file_free(&f);
    return file;
}

static nq_ctx *make_limited(counting *c, uint64_t max_memory_bytes)
{
    nq_ctx_options o;
    nq_ctx *ctx;
    nq_ctx_options_init(&o);
    o.alloc = count_alloc;
    o.free = count_free;
    o.alloc_user = c;
    o.max_memory_bytes = max_memory_bytes;
    assert_int_equal(nq_ctx_create(&ctx, &o), NQ_OK);
    return ctx;
}

/* What SECURITY.md says a decoder takes at most. */
static void test_most_memory(void **state)
{
    (void)state;
    bytes file = make_file();
    nq_reader *r;
    size_t n_bytes;
    assert_true(file.n < 4400);
    assert_int_equal(nq_reader_open(&r, NULL, file.at, file.n, NULL), NQ_OK);
    assert_int_equal(nq_decoder_size(&n_bytes, r, 0, NULL, NULL), NQ_OK);
    assert_true(n_bytes > (size_t)256 << 20 && n_bytes < (size_t)400 << 20);
    nq_reader_destroy(r);
    bytes_free(&file);
}

static void test_memory_is_limited(void **state)
{
    (void)state;
    bytes file = make_file();
    counting c = {0};
    nq_ctx *ctx = make_limited(&c, (uint64_t)64 << 20);
    nq_reader *r;
    nq_decoder *d;
    float out[4];
    assert_int_equal(nq_reader_open(&r, ctx, file.at, file.n, NULL), NQ_OK);
    const size_t before = c.n_open;
    assert_int_equal(nq_decoder_create(&d, ctx, r, 0, NULL, NULL), NQ_E_LIMIT);
    assert_null(d);
    assert_int_equal(nq_reader_decode(r, ctx, 0, NQ_F32, 0, 4, out, NULL), NQ_E_LIMIT);
    assert_int_equal(nq_reader_verify(r, ctx, NQ_NONE, NULL, NULL, NULL), NQ_E_LIMIT);
    assert_true(c.n_open == before && before < 4096);
    nq_reader_destroy(r);
    nq_ctx_destroy(ctx);
    bytes_free(&file);
}

/* Elements that are more than the limit are refused before anything is allocated for them. */
static void test_elements_are_limited(void **state)
{
    (void)state;
    bytes file = make_file();
    nq_reader_options o;
    nq_source source;
    size_t n_bytes;
    nq_reader *r;
    uint8_t memory[4096];
    nq_reader_options_init(&o);
    nq_source_init(&source);
    source.bytes = file.at;
    source.n_bytes = file.n;
    o.max_elements = ((uint64_t)1 << 26) - 1;
    assert_int_equal(nq_reader_size(&n_bytes, &source, &o, NULL), NQ_OK);
    assert_true(n_bytes <= sizeof memory);
    assert_int_equal(nq_reader_init(&r, memory, sizeof memory, &source, &o, NULL), NQ_E_LIMIT);
    o.max_elements++;
    assert_int_equal(nq_reader_init(&r, memory, sizeof memory, &source, &o, NULL), NQ_OK);
    bytes_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_most_memory),
        cmocka_unit_test(test_memory_is_limited),
        cmocka_unit_test(test_elements_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
