/*
 * Writing .nq files: the same bytes as nq_file.h builds without the library, sizes known
 * beforehand, calls in the wrong order, wrong descriptions, sinks and allocators that fail.
 */
#include <math.h>

#include "codec/checksum.h"
#include "container/writer.h"
#include "nq_hooks.h"

/* ---- Sink ---------------------------------------------------------------------------------- */

enum { MAX_FILE = 1 << 16, SINKS_OWN_STATUS = -4321 };

/* A file in memory, each byte of which is to be written once. */
typedef struct target {
    uint8_t bytes[MAX_FILE];
    uint8_t times[MAX_FILE];
    size_t end;
    unsigned n_calls;
    unsigned failing_call; /* counted from 1; 0: none */
} target;

static nq_status write_target(void *user, uint64_t offset, const void *given, size_t n_bytes)
{
    target *t = user;
    assert_true(n_bytes > 0 && offset <= MAX_FILE && n_bytes <= MAX_FILE - offset);
    if (++t->n_calls == t->failing_call)
        return SINKS_OWN_STATUS;
    memcpy(t->bytes + offset, given, n_bytes);
    for (size_t i = 0; i < n_bytes; i++)
        t->times[offset + i]++;
    t->end = offset + n_bytes > t->end ? (size_t)offset + n_bytes : t->end;
    return NQ_OK;
}

static nq_sink sink_of(target *t)
{
    return (nq_sink){.struct_size = sizeof(nq_sink), .write = write_target, .user = t};
}

/* ---- Sample -------------------------------------------------------------------------------- */

static const float levels[] = {-1.5f, 0, 2};
static const int64_t cells[] = {-1, 0, 4};
static const uint8_t halves[] = {0, 0x3c, 0, 0x40};
static const uint8_t runs[] = {1, 1, 2, 0};
static const float half_levels[] = {1, 2};
static uint8_t block_bytes[300];

/* The blocks of the tensor "w", of 200 elements. */
static const size_t block_sizes[4] = {70, 0, 300, 1};

static void fill_blocks(void)
{
    for (size_t i = 0; i < sizeof block_bytes; i++)
        block_bytes[i] = (uint8_t)(7 * i + 1);
}

/* The sample by hand. Sizes take two bytes, because "w" might have needed 1,000 bytes for its
 * blocks. */
static bytes expected_file(void)
{
    nq_file f = {.size_width = 2, .original_bytes = 98765};
    bytes blocks[4];
    file_metadata(&f, "format", "pt");
    file_metadata(&f, "", "");
    file_codebook_f32(&f, levels, 3);
    file_codebook(&f, 2, halves, 4, 2, 0.75);
    file_codebook(&f, 3, runs, 4, 3, 0.25);
    file_code_table(&f, 2, block_bytes, 9);
    for (size_t i = 0; i < 4; i++)
        blocks[i] = (bytes){.at = block_bytes, .n = block_sizes[i]};
    file_stored(&f, &(shape){"", 0, 0, {0}, 18}, block_bytes, 4);
    file_quantized(&f, &(shape){"w", 0, 2, {10, 20}, 6}, 2, 2, 3, blocks, 4);
    file_quantized(&f, &(shape){"none", 2, 3, {5, 0, 7}, 24}, 1, 0, UINT32_MAX, NULL, 0);
    file_stored(&f, &(shape){"fours", 18, 1, {400}, 6}, block_bytes, 200);
    bytes file = file_build(&f);
    file_free(&f);
    return file;
}

static nqi_tensor_desc stored_desc(const char *name, uint32_t dtype, uint32_t rank,
                                   const uint64_t *dims, uint32_t block_log2)
{
    return (nqi_tensor_desc){.name = name,
                             .name_bytes = strlen(name),
                             .dtype = dtype,
                             .rank = rank,
                             .dims = dims,
                             .block_log2 = block_log2,
                             .codebook = NQ_NO_ID,
                             .table = NQ_NO_ID};
}

static nqi_tensor_desc quantized_desc(const char *name, uint32_t codec, const uint64_t *dims,
                                      uint32_t rank, uint32_t codebook, uint32_t table)
{
    nqi_tensor_desc desc = stored_desc(name, NQ_F32, rank, dims, 6);
    desc.codec = codec;
    desc.codebook = codebook;
    desc.table = table;
    desc.max_block_bytes = 1000;
    return desc;
}

/* The sample's descriptions, whichever the call to start with; returns the first failure. */
static nq_status describe(nqi_writer *w)
{
    static const uint64_t w_dims[] = {10, 20}, none_dims[] = {5, 0, 7}, four_dims[] = {400};
    const nqi_codebook_desc books[] = {
        {.storage = NQ_LEVELS_F32, .method = 1, .n_levels = 3, .levels = levels},
        {.storage = NQ_LEVELS_F16, .method = 1, .n_levels = 2, .step = 0.75, .levels = half_levels},
        {.storage = NQ_LEVELS_GRID, .method = 1, .n_levels = 3, .step = 0.25, .cells = cells}};
    nqi_tensor_desc none = quantized_desc("none", NQ_CODEC_FIXED, none_dims, 3, 0, NQ_NO_ID);
    none.dtype = NQ_BF16;
    none.block_log2 = 24;
    const nqi_tensor_desc tensors[] = {stored_desc("", NQ_F32, 0, NULL, 18),
                                       quantized_desc("w", NQ_CODEC_HUFFMAN, w_dims, 2, 2, 3), none,
                                       stored_desc("fours", NQ_F4, 1, four_dims, 6)};
    uint32_t id;
    NQI_TRY(nqi_writer_add_metadata(w, "format", 6, "pt", 2));
    for (uint32_t i = 0; i < 3; i++) {
        NQI_TRY(nqi_writer_add_codebook(&id, w, &books[i]));
        assert_int_equal(id, i);
    }
    NQI_TRY(nqi_writer_add_table(&id, w, NQ_CODEC_HUFFMAN, block_bytes, 9));
    assert_int_equal(id, 3);
    for (uint32_t i = 0; i < 4; i++)
        NQI_TRY(nqi_writer_add_tensor(w, &tensors[i]));
    return nqi_writer_add_metadata(w, NULL, 0, NULL, 0);
}

static nq_status put_block(nqi_writer *w, size_t n_bytes)
{
    return nqi_writer_block(w, block_bytes, n_bytes, slow_crc(block_bytes, n_bytes));
}

/* The sample's blocks: stored tensors in both ways. */
static nq_status put_blocks(nqi_writer *w)
{
    NQI_TRY(put_block(w, 4));
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(nqi_writer_current(w), 1);
        NQI_TRY(put_block(w, block_sizes[i]));
    }
    assert_int_equal(nqi_writer_current(w), 3); /* the one without elements is skipped */
    return nqi_writer_stored(w, block_bytes);
}

static nq_status write_sample(nqi_writer *w)
{
    NQI_TRY(describe(w));
    NQI_TRY(nqi_writer_begin(w));
    NQI_TRY(put_blocks(w));
    assert_int_equal(nqi_writer_current(w), 4);
    nqi_writer_set_original_bytes(w, 98765);
    return nqi_writer_finish(w);
}

static nqi_writer *make_writer(target *t)
{
    const nqi_allocator a = nqi_allocator_default();
    nqi_writer *w;
    const nq_sink sink = t ? sink_of(t) : (nq_sink){0};
    assert_int_equal(nqi_writer_create(&w, &a, t ? &sink : NULL, 1), NQ_OK);
    return w;
}

/* ---- Bytes --------------------------------------------------------------------------------- */

static void check_same(const target *t, const bytes *expected)
{
    assert_int_equal(t->end, expected->n);
    assert_memory_equal(t->bytes, expected->at, expected->n);
    for (size_t i = 0; i < expected->n; i++)
        assert_int_equal(t->times[i], 1);
}

static void test_bytes(void **state)
{
    (void)state;
    target *t = calloc(1, sizeof *t);
    bytes expected = expected_file();
    nqi_writer *w = make_writer(t);
    assert_int_equal(write_sample(w), NQ_OK);
    check_same(t, &expected);
    assert_true(nqi_writer_bytes(w) == expected.n);
    nqi_writer_destroy(w);
    nqi_writer_destroy(NULL);
    bytes_free(&expected);
    free(t);
}

static void test_nothing_to_write(void **state)
{
    (void)state;
    target *t = calloc(1, sizeof *t);
    nq_file f = {.size_width = 1, .original_bytes = 1};
    bytes expected = file_build(&f);
    nqi_writer *w = make_writer(t);
    assert_int_equal(nqi_writer_begin(w), NQ_OK);
    assert_int_equal(nqi_writer_finish(w), NQ_OK);
    check_same(t, &expected);
    assert_int_equal(expected.n, 64);
    nqi_writer_destroy(w);
    bytes_free(&expected);
    free(t);
}

/* Sizes are known before the blocks, and without a sink; they are those of the file. */
static void test_sizes(void **state)
{
    (void)state;
    bytes expected = expected_file();
    nqi_writer *w = make_writer(NULL);
    assert_int_equal(describe(w), NQ_OK);
    assert_int_equal(nqi_writer_begin(w), NQ_OK);
    const uint64_t fixed = nqi_writer_fixed_bytes(w);
    assert_true(fixed + 4 + 70 + 300 + 1 + 200 == expected.n);
    assert_int_equal(nqi_writer_payload_bytes(w, 0), 0); /* not complete */
    assert_int_equal(put_blocks(w), NQ_OK);
    assert_int_equal(nqi_writer_finish(w), NQ_OK);
    assert_true(nqi_writer_bytes(w) == expected.n && nqi_writer_fixed_bytes(w) == fixed);
    assert_int_equal(nqi_writer_payload_bytes(w, 0), 4 + 4);
    assert_int_equal(nqi_writer_payload_bytes(w, 1), 4 * 4 + 3 * 4 + 371);
    assert_int_equal(nqi_writer_payload_bytes(w, 2), 0);
    assert_int_equal(nqi_writer_payload_bytes(w, 3), 4 * 4 + 200);
    assert_int_equal(nqi_writer_payload_bytes(w, 4), 0);
    nqi_writer_destroy(w);
    bytes_free(&expected);
}

/* The width of sizes at each of its steps: of the payload that was possible, directory included. */
static void test_width_of_sizes(void **state)
{
    (void)state;
    static const struct {
        uint64_t max_block_bytes;
        unsigned width;
    } cases[] = {{0, 1},
                 {251, 1},
                 {252, 2},
                 {65531, 2},
                 {65532, 3},
                 {(UINT64_C(1) << 32) - 5, 4},
                 {(UINT64_C(1) << 32) - 4, 5},
                 {UINT64_MAX - 4, 8}};
    static const float one = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        target *t = calloc(1, sizeof *t);
        nqi_writer *w = make_writer(t);
        uint32_t id;
        const nqi_codebook_desc book = {.storage = NQ_LEVELS_F32, .n_levels = 1, .levels = &one};
        nqi_tensor_desc desc = quantized_desc("x", NQ_CODEC_FIXED, NULL, 0, 0, NQ_NO_ID);
        desc.max_block_bytes = cases[i].max_block_bytes;
        assert_int_equal(nqi_writer_add_codebook(&id, w, &book), NQ_OK);
        assert_int_equal(nqi_writer_add_tensor(w, &desc), NQ_OK);
        assert_int_equal(nqi_writer_begin(w), NQ_OK);
        assert_int_equal(put_block(w, 0), NQ_OK);
        assert_int_equal(nqi_writer_finish(w), NQ_OK);
        assert_int_equal(t->bytes[60], cases[i].width);
        nqi_writer_destroy(w);
        free(t);
    }
}

/* Stored tensors in host order come out little-endian, whatever the element and the block. */
static void test_stored_order(void **state)
{
    (void)state;
    static const unsigned units[] = {4, 2, 2, 8, 1, 1, 1, 2, 2, 4, 4, 8, 8, 1, 1, 1, 1, 1, 1, 4};
    static const unsigned n_bytes_each[] = {4, 2, 2, 8, 1, 1, 1, 2, 2, 4,
                                            4, 8, 8, 1, 1, 1, 0, 0, 0, 8};
    const uint64_t dims[] = {40};
    for (uint32_t dtype = 0; dtype < NQ_DTYPE_COUNT; dtype++) {
        const unsigned unit = units[dtype];
        const size_t n_bytes = dtype == NQ_F4        ? 20
                               : n_bytes_each[dtype] ? 40 * n_bytes_each[dtype]
                                                     : 30;
        const unsigned n_blocks = (unsigned)(n_bytes + 63) / 64;
        uint8_t host[320];
        for (size_t i = 0; i < n_bytes; i += unit) {
            const uint64_t value = UINT64_C(0x0102030405060708) * (i + 1);
            const uint8_t u8 = (uint8_t)value;
            const uint16_t u16 = (uint16_t)value;
            const uint32_t u32 = (uint32_t)value;
            memcpy(host + i,
                   unit == 1   ? (const void *)&u8
                   : unit == 2 ? (const void *)&u16
                   : unit == 4 ? (const void *)&u32
                               : (const void *)&value,
                   unit);
        }
        target *t = calloc(1, sizeof *t);
        nqi_writer *w = make_writer(t);
        const nqi_tensor_desc desc = stored_desc("x", dtype, 1, dims, 6);
        assert_int_equal(nqi_writer_add_tensor(w, &desc), NQ_OK);
        assert_int_equal(nqi_writer_begin(w), NQ_OK);
        assert_int_equal(nqi_writer_stored(w, host), NQ_OK);
        assert_int_equal(nqi_writer_finish(w), NQ_OK);
        const uint8_t *data = t->bytes + t->end - n_bytes;
        for (size_t i = 0; i < n_bytes; i += unit) {
            const uint64_t value = UINT64_C(0x0102030405060708) * (i + 1);
            assert_true(peek(data + i, unit) ==
                        (unit == 8 ? value : value % (UINT64_C(1) << 8 * unit)));
        }
        for (unsigned b = 0; b < n_blocks; b++)
            assert_true(peek(data - 4 * (n_blocks - b), 4) ==
                        slow_crc(data + 64 * b, b + 1 < n_blocks ? 64 : n_bytes - 64 * b));
        nqi_writer_destroy(w);
        free(t);
    }
}

/* ---- Descriptions -------------------------------------------------------------------------- */

static void check_desc(nqi_writer *w, const nqi_tensor_desc *good, nq_status expected)
{
    assert_int_equal(nqi_writer_add_tensor(w, good), expected);
}

static nqi_writer *writer_with_tables(void)
{
    const nqi_codebook_desc book = {.storage = NQ_LEVELS_F32, .n_levels = 3, .levels = levels};
    nqi_writer *w = make_writer(NULL);
    uint32_t id;
    assert_int_equal(nqi_writer_add_codebook(&id, w, &book), NQ_OK);
    assert_int_equal(nqi_writer_add_table(&id, w, NQ_CODEC_HUFFMAN, block_bytes, 3), NQ_OK);
    assert_int_equal(nqi_writer_add_table(&id, w, NQ_CODEC_RANS, block_bytes, 3), NQ_OK);
    return w;
}

static void test_references(void **state)
{
    (void)state;
    static const uint64_t dims[] = {5};
    static const struct {
        uint32_t codec, codebook, table;
        nq_status expected;
    } cases[] = {
        {NQ_CODEC_FIXED, 0, NQ_NO_ID, NQ_OK},
        {NQ_CODEC_FIXED, 0, 1, NQ_E_ARG},
        {NQ_CODEC_FIXED, NQ_NO_ID, NQ_NO_ID, NQ_OK}, /* of patterns */
        {NQ_CODEC_HUFFMAN, NQ_NO_ID, 1, NQ_OK},
        {NQ_CODEC_HUFFMAN, NQ_NO_ID, 2, NQ_E_ARG},
        {NQ_CODEC_FIXED, 1, NQ_NO_ID, NQ_E_ARG},
        {NQ_CODEC_FIXED, 3, NQ_NO_ID, NQ_E_ARG},
        {NQ_CODEC_HUFFMAN, 0, 1, NQ_OK},
        {NQ_CODEC_HUFFMAN, 0, 2, NQ_E_ARG},
        {NQ_CODEC_HUFFMAN, 0, 0, NQ_E_ARG},
        {NQ_CODEC_HUFFMAN, 0, 3, NQ_E_ARG},
        {NQ_CODEC_HUFFMAN, 0, NQ_NO_ID, NQ_E_ARG},
        {NQ_CODEC_RANS, 0, 2, NQ_OK},
        {NQ_CODEC_RANS, 0, 1, NQ_E_ARG},
        {NQ_CODEC_STORED, NQ_NO_ID, NQ_NO_ID, NQ_OK},
        {NQ_CODEC_STORED, 0, NQ_NO_ID, NQ_E_ARG},
        {NQ_CODEC_STORED, NQ_NO_ID, 1, NQ_E_ARG},
        {4, 0, NQ_NO_ID, NQ_E_ARG},
        {NQ_CODEC_AUTO, 0, 1, NQ_E_ARG},
    };
    nqi_writer *w = writer_with_tables();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const nqi_tensor_desc desc =
            quantized_desc("x", cases[i].codec, dims, 1, cases[i].codebook, cases[i].table);
        check_desc(w, &desc, cases[i].expected);
    }
    nqi_writer_destroy(w);
}

static void test_wrong_tensors(void **state)
{
    (void)state;
    static const uint64_t dims[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, five[] = {5}, two[] = {2},
                          eight[] = {8};
    static const uint64_t huge[] = {UINT64_C(1) << 32, UINT64_C(1) << 32};
    static const uint64_t most[] = {(UINT64_C(1) << 57) + 1};
    nqi_writer *w = writer_with_tables();
    for (uint32_t rank = 0; rank <= 9; rank++) {
        const nqi_tensor_desc desc = stored_desc("x", NQ_U8, rank, dims, 6);
        check_desc(w, &desc, rank <= 8 ? NQ_OK : NQ_E_ARG);
    }
    for (uint32_t block_log2 = 0; block_log2 < 40; block_log2++) {
        const nqi_tensor_desc desc = stored_desc("x", NQ_U8, 1, five, block_log2);
        check_desc(w, &desc, block_log2 >= 6 && block_log2 <= 24 ? NQ_OK : NQ_E_ARG);
    }
    for (uint32_t dtype = 0; dtype < 25; dtype++) {
        nqi_tensor_desc desc = quantized_desc("x", NQ_CODEC_FIXED, eight, 1, 0, NQ_NO_ID);
        desc.dtype = dtype;
        check_desc(w, &desc, dtype < 3 ? NQ_OK : NQ_E_ARG);
        desc = stored_desc("x", dtype, 1, eight, 6);
        check_desc(w, &desc, dtype < 20 ? NQ_OK : NQ_E_ARG);
    }
    nqi_tensor_desc desc = stored_desc("x", NQ_F4, 1, five, 6);
    check_desc(w, &desc, NQ_E_ARG); /* 20 bits */
    desc.dims = two;
    check_desc(w, &desc, NQ_OK);
    desc.dtype = NQ_F6_E2M3;
    check_desc(w, &desc, NQ_E_ARG);
    desc = stored_desc("x", NQ_U8, 2, huge, 6);
    check_desc(w, &desc, NQ_E_LIMIT);
    desc = stored_desc("x", NQ_U8, 1, most, 6);
    check_desc(w, &desc, NQ_E_LIMIT);
    desc = stored_desc("x", NQ_U8, 1, five, 6);
    desc.name_bytes = UINT64_C(1) << 32;
    check_desc(w, &desc, NQ_E_LIMIT);
    desc = quantized_desc("x", NQ_CODEC_FIXED, five, 1, 0, NQ_NO_ID);
    desc.max_block_bytes = UINT64_MAX;
    check_desc(w, &desc, NQ_E_LIMIT);
    nqi_writer_destroy(w);
}

static void test_wrong_tables(void **state)
{
    (void)state;
    const nqi_codebook_desc none = {.storage = NQ_LEVELS_F32, .n_levels = 0, .levels = levels};
    nqi_writer *w = make_writer(NULL);
    uint32_t id;
    for (uint32_t codec = 0; codec < 300; codec++)
        assert_int_equal(nqi_writer_add_table(&id, w, codec, block_bytes, 3),
                         codec >= NQ_CODEC_HUFFMAN && codec <= NQ_CODEC_HUFFMAN_GAPS ? NQ_OK
                                                                                     : NQ_E_ARG);
    assert_int_equal(nqi_writer_add_codebook(&id, w, &none), NQ_E_ARG);
    uint8_t *large = calloc((1 << 20) + 1, 1);
    assert_int_equal(nqi_writer_add_table(&id, w, NQ_CODEC_HUFFMAN, large, (1 << 20) + 1),
                     NQ_E_ARG);
    assert_int_equal(nqi_writer_add_table(&id, w, NQ_CODEC_HUFFMAN, large, 1 << 20), NQ_OK);
    free(large);
    nqi_writer_destroy(w);
}

/* More index than 32 bits count, told before anything is copied, or by the layout. */
static void test_too_much_metadata(void **state)
{
    (void)state;
    nqi_writer *w = make_writer(NULL);
    assert_int_equal(nqi_writer_add_metadata(w, "", UINT32_MAX, "", 1), NQ_E_LIMIT);
    assert_int_equal(nqi_writer_add_metadata(w, "", SIZE_MAX, "", SIZE_MAX), NQ_E_LIMIT);
    assert_int_equal(nqi_writer_begin(w), NQ_OK);
    nqi_writer_destroy(w);
}

/* ---- Order of calls ------------------------------------------------------------------------ */

static void check_closed(nqi_writer *w)
{
    const nqi_codebook_desc book = {.storage = NQ_LEVELS_F32, .n_levels = 3, .levels = levels};
    const nqi_tensor_desc desc = stored_desc("x", NQ_U8, 0, NULL, 6);
    uint32_t id;
    assert_int_equal(nqi_writer_add_metadata(w, "k", 1, "v", 1), NQ_E_STATE);
    assert_int_equal(nqi_writer_add_codebook(&id, w, &book), NQ_E_STATE);
    assert_int_equal(nqi_writer_add_table(&id, w, NQ_CODEC_HUFFMAN, block_bytes, 3), NQ_E_STATE);
    assert_int_equal(nqi_writer_add_tensor(w, &desc), NQ_E_STATE);
    assert_int_equal(nqi_writer_begin(w), NQ_E_STATE);
}

static void test_order_of_calls(void **state)
{
    (void)state;
    target *t = calloc(1, sizeof *t);
    bytes expected = expected_file();
    nqi_writer *w = make_writer(t);
    assert_int_equal(describe(w), NQ_OK);
    assert_int_equal(put_block(w, 4), NQ_E_STATE);
    assert_int_equal(nqi_writer_stored(w, block_bytes), NQ_E_STATE);
    assert_int_equal(nqi_writer_finish(w), NQ_E_STATE);
    assert_int_equal(nqi_writer_begin(w), NQ_OK);
    check_closed(w);
    assert_int_equal(nqi_writer_finish(w), NQ_E_STATE);
    assert_int_equal(put_block(w, 3), NQ_E_ARG); /* a stored block has its size, no other */
    assert_int_equal(put_block(w, 5), NQ_E_ARG);
    assert_int_equal(put_block(w, 4), NQ_OK);
    assert_int_equal(nqi_writer_stored(w, block_bytes), NQ_E_STATE); /* not a stored one */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(put_block(w, block_sizes[i]), NQ_OK);
    assert_int_equal(nqi_writer_finish(w), NQ_E_STATE); /* in the middle of a tensor */
    assert_int_equal(put_block(w, block_sizes[3]), NQ_OK);
    assert_int_equal(put_block(w, 64), NQ_OK);
    assert_int_equal(nqi_writer_stored(w, block_bytes), NQ_E_STATE); /* begun with blocks */
    assert_int_equal(put_block(w, 63), NQ_E_ARG);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(nqi_writer_block(w, block_bytes + 64 * i, i < 3 ? 64 : 8,
                                          slow_crc(block_bytes + 64 * i, i < 3 ? 64 : 8)),
                         NQ_OK);
    assert_int_equal(put_block(w, 0), NQ_E_STATE); /* no tensor is left */
    assert_int_equal(nqi_writer_stored(w, block_bytes), NQ_E_STATE);
    nqi_writer_set_original_bytes(w, 98765);
    assert_int_equal(nqi_writer_finish(w), NQ_OK);
    check_same(t, &expected);
    check_closed(w);
    assert_int_equal(nqi_writer_finish(w), NQ_E_STATE);
    nqi_writer_destroy(w);
    bytes_free(&expected);
    free(t);
}

static void test_more_than_was_said(void **state)
{
    (void)state;
    static const uint64_t dims[] = {200};
    nqi_writer *w = writer_with_tables();
    const nqi_tensor_desc desc = quantized_desc("x", NQ_CODEC_FIXED, dims, 1, 0, NQ_NO_ID);
    assert_int_equal(nqi_writer_add_tensor(w, &desc), NQ_OK);
    assert_int_equal(nqi_writer_begin(w), NQ_OK);
    assert_int_equal(nqi_writer_block(w, NULL, 1001, 0), NQ_E_ARG);
    assert_int_equal(nqi_writer_block(w, NULL, 999, 0), NQ_OK);
    assert_int_equal(nqi_writer_block(w, NULL, 2, 0), NQ_E_ARG);
    assert_int_equal(nqi_writer_block(w, NULL, 1, 0), NQ_OK);
    assert_int_equal(nqi_writer_block(w, NULL, 1, 0), NQ_E_ARG);
    assert_int_equal(nqi_writer_block(w, NULL, 0, 0), NQ_OK);
    assert_int_equal(nqi_writer_block(w, NULL, 0, 0), NQ_OK);
    assert_int_equal(nqi_writer_finish(w), NQ_OK);
    nqi_writer_destroy(w);
}

/* ---- Large files --------------------------------------------------------------------------- */

/* Blocks of 2^30 bytes that exist nowhere: without a sink nobody looks at them. Up to 2^29 elements
 * an offset has four bytes, and what does not fit must end the writer. */
static void test_offsets_beyond_32_bits(void **state)
{
    (void)state;
    for (int is_wide = 0; is_wide < 2; is_wide++) {
        const uint64_t n_elements = (UINT64_C(1) << 29) - !is_wide, dims[] = {n_elements};
        nqi_writer *w = writer_with_tables();
        nqi_tensor_desc desc = quantized_desc("x", NQ_CODEC_FIXED, dims, 1, 0, NQ_NO_ID);
        desc.block_log2 = 24;
        desc.max_block_bytes = UINT64_C(1) << 40;
        assert_int_equal(nqi_writer_add_tensor(w, &desc), NQ_OK);
        assert_int_equal(nqi_writer_begin(w), NQ_OK);
        const uint64_t before = nqi_writer_bytes(w);
        unsigned n = 0;
        nq_status status = NQ_OK;
        while (nqi_writer_current(w) == 0 && status == NQ_OK) {
            status = nqi_writer_block(w, NULL, (size_t)1 << 30, 0);
            n += status == NQ_OK;
        }
        if (is_wide) {
            assert_true(status == NQ_OK && n == 32);
            assert_int_equal(nqi_writer_finish(w), NQ_OK);
            assert_true(nqi_writer_bytes(w) - before == UINT64_C(32) << 30);
            assert_true(nqi_writer_payload_bytes(w, 0) == (UINT64_C(32) << 30) + 32 * 4 + 31 * 8);
        } else {
            assert_true(status == NQ_E_LIMIT && n == 3);
            assert_int_equal(nqi_writer_block(w, NULL, 1, 0), NQ_E_STATE);
            assert_int_equal(nqi_writer_finish(w), NQ_E_STATE);
        }
        nqi_writer_destroy(w);
    }
}

/* ---- Failures ------------------------------------------------------------------------------ */

static void test_failing_sink(void **state)
{
    (void)state;
    target *t = calloc(1, sizeof *t);
    nqi_writer *w = make_writer(t);
    assert_int_equal(write_sample(w), NQ_OK);
    nqi_writer_destroy(w);
    const unsigned n_calls = t->n_calls;
    for (unsigned k = 1; k <= n_calls; k++) {
        *t = (target){.failing_call = k};
        w = make_writer(t);
        assert_int_equal(write_sample(w), SINKS_OWN_STATUS);
        assert_int_equal(t->n_calls, k);
        assert_int_equal(t->times[0], 0); /* no header, no file */
        check_closed(w);
        assert_int_equal(put_block(w, 4), NQ_E_STATE);
        assert_int_equal(nqi_writer_finish(w), NQ_E_STATE);
        assert_int_equal(t->n_calls, k);
        nqi_writer_destroy(w);
    }
    free(t);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    target *t = calloc(1, sizeof *t);
    for (unsigned k = 1;; k++) {
        counting c = {.failing_call = k};
        const nqi_allocator a = {
            .alloc = count_alloc, .free = count_free, .user = &c, .max_bytes = 1 << 20};
        *t = (target){0};
        const nq_sink sink = sink_of(t);
        nqi_writer *w;
        nq_status status = nqi_writer_create(&w, &a, &sink, 0);
        assert_int_equal(status == NQ_OK, w != NULL);
        if (status == NQ_OK)
            status = write_sample(w);
        nqi_writer_destroy(w);
        assert_int_equal(c.n_open, 0);
        if (status == NQ_OK) {
            assert_true(k > 8 && c.n_calls < k);
            break;
        }
        assert_int_equal(status, NQ_E_NOMEM);
        assert_int_equal(t->times[0], 0);
    }
    free(t);
}

/* A description that failed for want of memory can be given again. */
static void test_again_after_failing(void **state)
{
    (void)state;
    target *t = calloc(1, sizeof *t);
    nq_file f = {.size_width = 1};
    counting c = {0};
    const nqi_allocator a = {
        .alloc = count_alloc, .free = count_free, .user = &c, .max_bytes = 1 << 20};
    const nq_sink sink = sink_of(t);
    nqi_writer *w;
    unsigned n_failed = 0;
    assert_int_equal(nqi_writer_create(&w, &a, &sink, 0), NQ_OK);
    for (unsigned i = 0; i < 100; i++) {
        char text[16];
        snprintf(text, sizeof text, "key %u", i);
        file_metadata(&f, text, text);
        c.failing_call = c.n_calls + 1;
        const nq_status status = nqi_writer_add_metadata(w, text, strlen(text), text, strlen(text));
        c.failing_call = 0;
        n_failed += status != NQ_OK;
        if (status != NQ_OK)
            assert_int_equal(nqi_writer_add_metadata(w, text, strlen(text), text, strlen(text)),
                             NQ_OK);
    }
    assert_true(n_failed > 5);
    assert_int_equal(nqi_writer_begin(w), NQ_OK);
    assert_int_equal(nqi_writer_finish(w), NQ_OK);
    bytes expected = file_build(&f);
    check_same(t, &expected);
    nqi_writer_destroy(w);
    assert_int_equal(c.n_open, 0);
    bytes_free(&expected);
    file_free(&f);
    free(t);
}

static int set_up(void **state)
{
    (void)state;
    fill_blocks();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_nothing_to_write),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_width_of_sizes),
        cmocka_unit_test(test_stored_order),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_wrong_tensors),
        cmocka_unit_test(test_wrong_tables),
        cmocka_unit_test(test_too_much_metadata),
        cmocka_unit_test(test_order_of_calls),
        cmocka_unit_test(test_more_than_was_said),
        cmocka_unit_test(test_offsets_beyond_32_bits),
        cmocka_unit_test(test_failing_sink),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_again_after_failing),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
