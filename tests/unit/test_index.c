/*
 * The records of an index: what docs/format/nq-v1.md allows is taken, everything else refused with
 * the kind of error that it names. Each case is a whole file built by nq_file.h, with right
 * checksums.
 */
#include <math.h>

#include "nq_open.h"

static const uint8_t some_bytes[256] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

/* ---- Tensors ------------------------------------------------------------------------------- */

/* A tensor record from its body, with payload bytes to match; frees the body. */
static void check_tensor(bytes *body, size_t payload_bytes, nq_status expected)
{
    static const float levels[] = {1, 2};
    nq_file f = {.size_width = 1};
    file_codebook_f32(&f, levels, 2);      /* 0 */
    file_code_table(&f, 2, some_bytes, 3); /* 1: Huffman */
    file_code_table(&f, 3, some_bytes, 3); /* 2: rANS */
    bytes_put(&f.payloads, some_bytes, payload_bytes);
    end_tensor(&f, body);
    check_file(&f, expected);
}

/* payload, dtype, rank, one dimension, name "n", codec, log2; the rest is the caller's. */
static bytes tensor_body(uint64_t payload, unsigned dtype, uint64_t dim, unsigned codec,
                         unsigned block_log2)
{
    const nq_file f = {.size_width = 1};
    return begin_tensor(&f, &(shape){"n", dtype, 1, {dim}, block_log2}, payload, codec);
}

static void check_quantized(unsigned dtype, unsigned codec, unsigned layout, uint64_t codebook,
                            uint64_t table, nq_status expected)
{
    bytes body = tensor_body(5, dtype, 4, codec, 6);
    put_u(&body, layout, 1);
    put_varint(&body, codebook);
    put_varint(&body, table);
    check_tensor(&body, 5, expected);
}

static void check_patterns(unsigned dtype, unsigned codec, uint64_t table, nq_status expected)
{
    bytes body = tensor_body(9, dtype, 4, codec, 6);
    put_u(&body, 2, 1);
    put_varint(&body, table);
    check_tensor(&body, 9, expected);
}

static void test_quantized_records(void **state)
{
    (void)state;
    for (unsigned dtype = 0; dtype < 25; dtype++)
        check_quantized(dtype, 1, 0, 0, 0, dtype < 3 ? NQ_OK : NQ_E_UNSUPPORTED);
    check_quantized(0, 2, 0, 0, 2, NQ_OK);
    check_quantized(0, 3, 0, 0, 3, NQ_OK);
    check_quantized(0, 4, 0, 0, 3, NQ_E_CORRUPT); /* of rANS */
    check_quantized(0, 5, 0, 0, 3, NQ_E_UNSUPPORTED);
    check_quantized(0, 255, 0, 0, 3, NQ_E_UNSUPPORTED);
    check_quantized(0, 1, 3, 0, 0, NQ_E_UNSUPPORTED); /* layout */
    check_quantized(0, 1, 1, 0, 0, NQ_E_CORRUPT);     /* without an axis */
    check_quantized(0, 1, 0, 1, 0, NQ_E_CORRUPT);     /* a code table as codebook */
    check_quantized(0, 1, 0, 3, 0, NQ_E_CORRUPT);     /* no such table */
    check_quantized(0, 1, 0, 0xfffffffe, 0, NQ_E_CORRUPT);
    check_quantized(0, 1, 0, 0xffffffff, 0, NQ_E_CORRUPT);
    check_quantized(0, 1, 0, UINT64_C(1) << 32, 0, NQ_E_CORRUPT); /* not 0 after cutting off */
    check_quantized(0, 1, 0, UINT64_MAX, 0, NQ_E_CORRUPT);
    check_quantized(0, 1, 0, 0, 2, NQ_E_CORRUPT); /* fixed has no table */
    check_quantized(0, 2, 0, 0, 0, NQ_E_CORRUPT); /* Huffman must have one */
    check_quantized(0, 2, 0, 0, 1, NQ_E_CORRUPT); /* a codebook as table */
    check_quantized(0, 2, 0, 0, 3, NQ_E_CORRUPT); /* another codec's */
    check_quantized(0, 3, 0, 0, 2, NQ_E_CORRUPT);
    check_quantized(0, 2, 0, 0, 4, NQ_E_CORRUPT);
    check_quantized(0, 2, 0, 0, (UINT64_C(1) << 32) + 2, NQ_E_CORRUPT);
    check_quantized(0, 2, 0, 0, UINT64_MAX, NQ_E_CORRUPT);
}

/* Of patterns: no codebook, elements of 8, 16 or 32 bits. */
static void test_records_of_patterns(void **state)
{
    (void)state;
    for (unsigned dtype = 0; dtype < 25; dtype++) {
        const bool has_patterns =
            dtype < 3 || (dtype > 3 && dtype < 9) || (dtype > 12 && dtype < 16);
        check_patterns(dtype, 1, 0, has_patterns ? NQ_OK : NQ_E_UNSUPPORTED);
    }
    check_patterns(1, 2, 2, NQ_OK);
    check_patterns(1, 3, 3, NQ_OK);
    check_patterns(1, 1, 1, NQ_E_CORRUPT); /* fixed has no table */
    check_patterns(1, 2, 0, NQ_E_CORRUPT); /* Huffman must have one */
    check_patterns(1, 2, 1, NQ_E_CORRUPT); /* a codebook */
    check_patterns(1, 2, 3, NQ_E_CORRUPT); /* another codec's */
    check_patterns(1, 2, 4, NQ_E_CORRUPT); /* no such table */
    check_patterns(1, 2, UINT64_MAX, NQ_E_CORRUPT);
}

/* Stored tensors have exactly the bytes that their shape says, whatever the type. */
static void test_sizes_of_stored(void **state)
{
    (void)state;
    static const unsigned bits[] = {32, 16, 16, 64, 8, 8, 8, 16, 16, 32,
                                    32, 64, 64, 8,  8, 8, 6, 6,  4,  64};
    for (unsigned dtype = 0; dtype < 20; dtype++) {
        for (unsigned n = 0; n <= 16; n++) {
            const unsigned exact = n * bits[dtype];
            const unsigned fitting = n == 0 ? 0 : 4 * ((exact / 8 + 63) / 64) + exact / 8;
            for (unsigned payload = fitting ? fitting - 1 : 0; payload <= fitting + 1; payload++) {
                bytes body = tensor_body(payload, dtype, n, 0, 6);
                check_tensor(&body, payload,
                             exact % 8 == 0 && payload == fitting ? NQ_OK : NQ_E_CORRUPT);
            }
        }
    }
    bytes unknown = tensor_body(5, 20, 1, 0, 6);
    check_tensor(&unknown, 5, NQ_E_UNSUPPORTED);
}

/* Quantized tensors have at least their directory. */
static void test_sizes_of_quantized(void **state)
{
    (void)state;
    static const struct {
        uint64_t n_elements;
        unsigned payload;
        nq_status expected;
    } cases[] = {
        {0, 0, NQ_OK},    {0, 1, NQ_E_CORRUPT},    {1, 3, NQ_E_CORRUPT},   {1, 4, NQ_OK},
        {64, 4, NQ_OK},   {65, 4, NQ_E_CORRUPT},   {65, 11, NQ_E_CORRUPT}, {65, 12, NQ_OK},
        {128, 12, NQ_OK}, {129, 19, NQ_E_CORRUPT}, {129, 20, NQ_OK},       {129, 200, NQ_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes body = tensor_body(cases[i].payload, 0, cases[i].n_elements, 1, 6);
        put_u(&body, 0, 3); /* layout, codebook, no table */
        check_tensor(&body, cases[i].payload, cases[i].expected);
    }
}

static void test_block_sizes(void **state)
{
    (void)state;
    for (unsigned block_log2 = 0; block_log2 < 256; block_log2++) {
        bytes body = tensor_body(5, NQ_U8, 1, 0, block_log2);
        check_tensor(&body, 5, block_log2 >= 6 && block_log2 <= 24 ? NQ_OK : NQ_E_CORRUPT);
    }
}

static void check_dims(unsigned rank, const uint64_t *dims, uint64_t payload, nq_status expected)
{
    const nq_file f = {.size_width = 1};
    shape s = {.name = "n", .dtype = NQ_U8, .rank = rank, .block_log2 = 24};
    memcpy(s.dims, dims, rank * sizeof *dims);
    bytes body = begin_tensor(&f, &s, payload, 0);
    check_tensor(&body, (size_t)payload, expected);
}

static void test_dimensions(void **state)
{
    (void)state;
    const uint64_t ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    const uint64_t zero[] = {UINT64_MAX, 0, UINT64_MAX, UINT64_MAX};
    const uint64_t wraps[] = {UINT64_C(1) << 32, UINT64_C(1) << 32};   /* 2^64 */
    const uint64_t wraps_to_one[] = {3, UINT64_C(0xaaaaaaaaaaaaaaab)}; /* 2^65 + 1 */
    const uint64_t too_many[] = {(UINT64_C(1) << 57) + 1};
    for (unsigned rank = 0; rank <= 9; rank++)
        check_dims(rank, ones, 5, rank <= 8 ? NQ_OK : NQ_E_UNSUPPORTED);
    check_dims(4, zero, 0, NQ_OK);
    check_dims(2, wraps, 0, NQ_E_CORRUPT);
    check_dims(2, wraps_to_one, 5, NQ_E_CORRUPT);
    check_dims(1, too_many, 5, NQ_E_CORRUPT);
}

/* Each record cut off after each of its bytes, its length made right: a field that ends early. */
static void test_cut_tensor_records(void **state)
{
    (void)state;
    bytes whole = tensor_body(5, 0, 4, 1, 6);
    put_u(&whole, 0, 3);
    for (size_t n = 0; n <= whole.n; n++) {
        bytes body = {0};
        bytes_put(&body, whole.at, n);
        check_tensor(&body, 5, n == whole.n ? NQ_OK : NQ_E_CORRUPT);
    }
    bytes_free(&whole);
}

/* ---- Tables -------------------------------------------------------------------------------- */

static void check_table(bytes *body, size_t data_bytes, nq_status expected)
{
    nq_file f = {.size_width = 1};
    bytes_put(&f.data, some_bytes, data_bytes);
    end_table(&f, body);
    check_file(&f, expected);
}

static bytes codebook_body(uint64_t n_bytes, unsigned kind, unsigned flags, uint64_t n_levels)
{
    bytes body = {0};
    put_varint(&body, n_bytes);
    put_u(&body, 0, 4); /* reading the index does not look at tables' data */
    put_u(&body, kind, 1);
    put_u(&body, 0, 2);
    put_u(&body, flags, 1);
    put_varint(&body, n_levels);
    return body;
}

static void check_codebook(size_t n_bytes, unsigned kind, uint64_t n_levels, nq_status expected)
{
    bytes body = codebook_body(n_bytes, kind, 1, n_levels);
    put_f64(&body, 0.5);
    check_table(&body, n_bytes, expected);
}

static void test_codebook_records(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 256; kind++) {
        const bool is_known = kind >= 1 && kind <= 3;
        if (kind != 16)
            check_codebook(kind == 2 ? 6 : 12, kind, 3, is_known ? NQ_OK : NQ_E_UNSUPPORTED);
    }
    check_codebook(11, 1, 3, NQ_E_CORRUPT);
    check_codebook(13, 1, 3, NQ_E_CORRUPT);
    check_codebook(12, 2, 3, NQ_E_CORRUPT);
    check_codebook(1, 3, 1, NQ_E_CORRUPT);
    check_codebook(2, 3, 1, NQ_OK);
    check_codebook(0, 1, 0, NQ_E_CORRUPT);
    check_codebook(0, 2, 0, NQ_E_CORRUPT);
    check_codebook(2, 3, 0, NQ_E_CORRUPT);
    check_codebook(2, 3, 65536, NQ_OK);
    check_codebook(2, 3, 65537, NQ_E_CORRUPT);
    check_codebook(4, 1, UINT64_C(1) << 32 | 1, NQ_E_CORRUPT);
    check_codebook(4, 1, UINT64_C(1) << 62 | 1, NQ_E_CORRUPT); /* four times that is 4 */
    check_codebook(2, 2, UINT64_C(1) << 63 | 1, NQ_E_CORRUPT);
}

static void check_step(unsigned kind, unsigned flags, double step, nq_status expected)
{
    bytes body = codebook_body(4, kind, flags, kind == 2 ? 2 : 1);
    if (flags & 1)
        put_f64(&body, step);
    check_table(&body, 4, expected);
}

static void test_steps(void **state)
{
    (void)state;
    const double infinite = (double)INFINITY, nan = (double)NAN;
    for (unsigned kind = 1; kind <= 3; kind++) {
        check_step(kind, 1, 0.5, NQ_OK);
        check_step(kind, 1, -0x1p-1074, NQ_OK);
        check_step(kind, 1, infinite, NQ_E_CORRUPT);
        check_step(kind, 1, -infinite, NQ_E_CORRUPT);
        check_step(kind, 1, nan, NQ_E_CORRUPT);
        check_step(kind, 1, 0, kind == 3 ? NQ_E_CORRUPT : NQ_OK);
        check_step(kind, 1, -0.0, kind == 3 ? NQ_E_CORRUPT : NQ_OK);
        check_step(kind, 0, 0, kind == 3 ? NQ_E_CORRUPT : NQ_OK);
        for (unsigned flags = 4; flags < 256; flags++)
            check_step(kind, flags, 0.5, NQ_E_UNSUPPORTED);
    }
}

/* ---- Channels ------------------------------------------------------------------------------ */

static bytes channels_body(uint64_t n_bytes, unsigned kind, double step, uint64_t n_levels,
                           uint64_t n_channels, uint64_t n_stored)
{
    bytes body = codebook_body(n_bytes, kind, step != 0 ? 3 : 2, n_levels);
    if (step != 0)
        put_f64(&body, step);
    put_varint(&body, n_channels);
    put_varint(&body, n_stored);
    return body;
}

static void check_channels(size_t n_bytes, unsigned kind, uint64_t n_levels, uint64_t n_channels,
                           uint64_t n_stored, nq_status expected)
{
    bytes body = channels_body(n_bytes, kind, 0, n_levels, n_channels, n_stored);
    check_table(&body, n_bytes, expected);
}

static void test_records_of_channels(void **state)
{
    (void)state;
    check_channels(13, 1, 3, 2, 3, NQ_OK);
    check_channels(9, 2, 3, 2, 3, NQ_OK);
    check_channels(11, 3, 3, 2, 3, NQ_OK); /* a grid whose channels have their own steps */
    check_channels(11, 1, 3, 2, 3, NQ_E_CORRUPT);
    check_channels(12 + 36, 1, 3, 2, 3, NQ_OK);
    check_channels(12 + 37, 1, 3, 2, 3, NQ_E_CORRUPT);
    check_channels(6 + 37, 2, 3, 2, 3, NQ_E_CORRUPT);
    check_channels(27 + 36, 3, 3, 2, 3, NQ_OK);
    check_channels(27 + 37, 3, 3, 2, 3, NQ_E_CORRUPT);
    check_channels(13, 1, 3, 0, 3, NQ_E_CORRUPT);
    check_channels(13, 1, 3, 4, 3, NQ_E_CORRUPT); /* a channel without a level */
    check_channels(2, 3, 3, 1, UINT64_C(1) << 26, NQ_OK);
    check_channels(2, 3, 3, 1, (UINT64_C(1) << 26) + 1, NQ_E_CORRUPT);
    check_channels(13, 1, 3, UINT64_C(1) << 32 | 2, UINT64_C(1) << 32 | 3, NQ_E_CORRUPT);
    check_channels(13, 1, 0, 2, 3, NQ_E_CORRUPT);
    bytes whole = channels_body(13, 1, 0.5, 3, 2, 3);
    for (size_t n = 0; n <= whole.n; n++) {
        bytes body = {0};
        bytes_put(&body, whole.at, n);
        check_table(&body, 13, n == whole.n ? NQ_OK : NQ_E_CORRUPT);
    }
    bytes_free(&whole);
}

/* A tensor of 2 x 6 elements that has channels on an axis, with a codebook of so many. */
static void check_axis(unsigned layout, int axis, uint64_t n_channels, uint64_t n_stored,
                       nq_status expected)
{
    nq_file f = {.size_width = 1};
    bytes table = n_channels ? channels_body(4 * n_stored + 3, 1, 0, 9, n_channels, n_stored)
                             : codebook_body(4 * n_stored, 1, 0, n_stored);
    bytes_put(&f.data, some_bytes, 4 * n_stored + (n_channels ? 3 : 0));
    end_table(&f, &table);
    bytes body = begin_tensor(&f, &(shape){"n", 0, 2, {2, 6}, 6}, 5, 1);
    put_u(&body, layout, 1);
    put_varint(&body, 0);
    put_varint(&body, 0);
    if (axis >= 0)
        put_u(&body, (unsigned)axis, 1);
    bytes_put(&f.payloads, some_bytes, 5);
    end_tensor(&f, &body);
    check_file(&f, expected);
}

static void test_axes(void **state)
{
    (void)state;
    check_axis(0, -1, 0, 9, NQ_OK);
    check_axis(1, 0, 2, 9, NQ_OK);
    check_axis(1, 1, 6, 9, NQ_OK);
    check_axis(1, 0, 6, 9, NQ_E_CORRUPT);
    check_axis(1, 1, 2, 9, NQ_E_CORRUPT);
    check_axis(1, 2, 6, 9, NQ_E_CORRUPT);
    check_axis(1, 255, 6, 9, NQ_E_CORRUPT);
    check_axis(1, -1, 2, 9, NQ_E_CORRUPT);
    check_axis(0, -1, 2, 9, NQ_E_CORRUPT);
    check_axis(1, 0, 0, 9, NQ_E_CORRUPT);
    check_axis(1, 0, 2, 12, NQ_OK);
    check_axis(1, 0, 2, 13, NQ_E_CORRUPT); /* more levels than elements */
}

/* No table has more bytes than its levels can need: what is verified for each tensor that uses one
 * stays small. */
static void test_sizes_of_tables(void **state)
{
    (void)state;
    bytes fits = codebook_body(18, 3, 1, 2), larger = codebook_body(19, 3, 1, 2);
    put_f64(&fits, 1);
    put_f64(&larger, 1);
    check_table(&fits, 18, NQ_OK);
    check_table(&larger, 19, NQ_E_CORRUPT);
    uint8_t *data = calloc((1 << 20) + 1, 1);
    for (size_t more = 0; more < 2; more++) {
        nq_file f = {.size_width = 1};
        file_code_table(&f, 2, data, (1 << 20) + more);
        check_file(&f, more ? NQ_E_CORRUPT : NQ_OK);
    }
    free(data);
}

static void test_code_table_records(void **state)
{
    (void)state;
    for (unsigned codec = 0; codec < 256; codec++) {
        bytes body = {0};
        put_varint(&body, 3);
        put_u(&body, 0, 4);
        put_u(&body, 16, 1);
        put_u(&body, codec, 1);
        check_table(&body, 3, codec < 2 ? NQ_E_CORRUPT : codec < 5 ? NQ_OK : NQ_E_UNSUPPORTED);
    }
}

static void test_cut_table_records(void **state)
{
    (void)state;
    bytes book = codebook_body(12, 1, 1, 3), code = {0};
    put_f64(&book, 1);
    put_varint(&code, 3);
    put_u(&code, 0, 4);
    put_u(&code, 16, 1);
    put_u(&code, 2, 1);
    for (size_t n = 0; n <= book.n; n++) {
        bytes body = {0};
        bytes_put(&body, book.at, n);
        check_table(&body, 12, n == book.n ? NQ_OK : NQ_E_CORRUPT);
    }
    for (size_t n = 0; n <= code.n; n++) {
        bytes body = {0};
        bytes_put(&body, code.at, n);
        check_table(&body, 3, n == code.n ? NQ_OK : NQ_E_CORRUPT);
    }
    bytes_free(&book);
    bytes_free(&code);
}

/* ---- Both ---------------------------------------------------------------------------------- */

/* Data that are not there, sizes near 2^64 included. */
static void test_data_beyond_the_end(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {4, UINT64_C(1) << 32, UINT64_MAX - 100, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        bytes body = {0};
        put_varint(&body, sizes[i]);
        put_u(&body, 0, 4);
        put_u(&body, 16, 1);
        put_u(&body, 2, 1);
        check_table(&body, 3, NQ_E_CORRUPT);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        static const float one = 1;
        nq_file f = {.size_width = 8};
        file_codebook_f32(&f, &one, 1);
        bytes body = begin_tensor(&f, &(shape){"t", 0, 1, {1}, 6}, sizes[i], 1);
        put_u(&body, 0, 3);
        end_tensor(&f, &body);
        bytes_put(&f.payloads, some_bytes, 3);
        check_file(&f, NQ_E_CORRUPT);
    }
}

/* Sizes whose sum comes around to what there is. */
static void test_sizes_that_wrap(void **state)
{
    (void)state;
    static const float one = 1;
    nq_file f = {.size_width = 8};
    file_codebook_f32(&f, &one, 1);
    for (unsigned i = 0; i < 2; i++) {
        bytes body =
            begin_tensor(&f, &(shape){i ? "b" : "a", 0, 1, {1}, 6}, i ? 110 : UINT64_MAX - 99, 1);
        put_u(&body, 0, 3);
        end_tensor(&f, &body);
    }
    bytes_put(&f.payloads, some_bytes, 10);
    check_file(&f, NQ_E_CORRUPT);
}

/* A length that says one byte more than there is, in each kind of record. */
static void test_one_byte_too_few(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        nq_file keys = {.size_width = 1, .n_metadata = 1}, values = keys;
        nq_file tables = {.size_width = 1, .n_tables = 1},
                tensors = {.size_width = 1, .n_tensors = 1};
        static const uint8_t table[] = {0, 0, 0, 0, 0, 16, 2}, tensor[] = {5, NQ_U8, 0, 0, 0, 6};
        put_varint(&keys.metadata, more ? 3 : 0);
        put_text(&keys.metadata, "", 0);
        put_text(&values.metadata, "", 0);
        put_varint(&values.metadata, 2 + more);
        bytes_put(&values.metadata, "ab", 2);
        put_varint(&tables.tables, sizeof table + more);
        bytes_put(&tables.tables, table, sizeof table);
        put_varint(&tensors.tensors, sizeof tensor + more);
        bytes_put(&tensors.tensors, tensor, sizeof tensor);
        bytes_put(&tensors.payloads, some_bytes, 5);
        check_file(&keys, more ? NQ_E_CORRUPT : NQ_OK);
        check_file(&values, more ? NQ_E_CORRUPT : NQ_OK);
        check_file(&tables, more ? NQ_E_CORRUPT : NQ_OK);
        check_file(&tensors, more ? NQ_E_CORRUPT : NQ_OK);
    }
}

/* A newer writer may say more at the end of table and tensor records. */
static void test_longer_records(void **state)
{
    (void)state;
    static const size_t tails[] = {1, 7, 200};
    for (size_t i = 0; i < 3; i++) {
        static const float levels[] = {1, 2};
        nq_file f = {.size_width = 1};
        bytes book = begin_table(&f, levels, 8, 1);
        put_u(&book, 0, 3);
        put_varint(&book, 2);
        bytes_put(&book, some_bytes, tails[i]);
        end_table(&f, &book);
        bytes code = begin_table(&f, some_bytes, 3, 16);
        put_u(&code, 2, 1);
        bytes_put(&code, some_bytes, tails[i]);
        end_table(&f, &code);
        bytes stored = begin_tensor(&f, &(shape){"s", NQ_U8, 0, {0}, 6}, 5, 0);
        bytes_put(&stored, some_bytes, tails[i]);
        end_tensor(&f, &stored);
        bytes coded = begin_tensor(&f, &(shape){"c", 0, 1, {4}, 6}, 7, 2);
        put_u(&coded, 0, 2);
        put_varint(&coded, 2);
        bytes_put(&coded, some_bytes, tails[i]);
        end_tensor(&f, &coded);
        bytes_put(&f.payloads, some_bytes, 12);
        bytes file = file_build(&f);
        opened o;
        assert_int_equal(open_copy(&o, file.at, file.n, NULL), NQ_OK);
        assert_true(tensor_info(o.reader, 1).code_table == 1 &&
                    tensor_info(o.reader, 1).n_levels == 2);
        assert_true(tensor_info(o.reader, 0).payload_offset == file.n - 12);
        assert_true(tensor_info(o.reader, 1).payload_offset == file.n - 7);
        close_copy(&o);
        bytes_free(&file);
        file_free(&f);
    }
}

/* Numbers in a longer form than they need, and lengths beyond everything. */
static void test_varints_of_other_forms(void **state)
{
    (void)state;
    static const struct {
        uint8_t raw[12];
        unsigned n;
    } lengths[] = {
        {{0x80, 0x00}, 2},
        {{0x81, 0x80, 0x00}, 3},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 10}, /* 2^64 - 1 */
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 10}, /* more */
        {{0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, 11},
        {{0xff, 0xff, 0xff, 0xff, 0x0f}, 5}, /* 2^32 - 1: around to the start, on 32 bits */
        {{0xff}, 1},
    };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        nq_file pairs = {.size_width = 1, .n_metadata = 1},
                values = {.size_width = 1, .n_metadata = 1};
        nq_file tables = {.size_width = 1, .n_tables = 1},
                tensors = {.size_width = 1, .n_tensors = 1};
        bytes_put(&pairs.metadata, lengths[i].raw, lengths[i].n);
        put_u(&pairs.metadata, 0, 8);
        put_text(&values.metadata, "key", 3);
        bytes_put(&values.metadata, lengths[i].raw, lengths[i].n);
        bytes_put(&tables.tables, lengths[i].raw, lengths[i].n);
        bytes_put(&tables.tables, some_bytes, 30);
        bytes_put(&tensors.tensors, lengths[i].raw, lengths[i].n);
        bytes_put(&tensors.tensors, some_bytes, 30);
        check_file(&pairs, NQ_E_CORRUPT);
        check_file(&values, NQ_E_CORRUPT);
        check_file(&tables, NQ_E_CORRUPT);
        check_file(&tensors, NQ_E_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantized_records),  cmocka_unit_test(test_sizes_of_stored),
        cmocka_unit_test(test_sizes_of_quantized), cmocka_unit_test(test_block_sizes),
        cmocka_unit_test(test_dimensions),         cmocka_unit_test(test_cut_tensor_records),
        cmocka_unit_test(test_codebook_records),   cmocka_unit_test(test_steps),
        cmocka_unit_test(test_records_of_channels),
        cmocka_unit_test(test_records_of_patterns),
        cmocka_unit_test(test_axes),
        cmocka_unit_test(test_sizes_of_tables),    cmocka_unit_test(test_code_table_records),
        cmocka_unit_test(test_cut_table_records),  cmocka_unit_test(test_data_beyond_the_end),
        cmocka_unit_test(test_sizes_that_wrap),    cmocka_unit_test(test_one_byte_too_few),
        cmocka_unit_test(test_longer_records),     cmocka_unit_test(test_varints_of_other_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
