/*
 * Opening .nq files: what they say comes back, and everything that contradicts the format is
 * refused with the status that docs/format/nq-v1.md names. Files are built by nq_file.h, which
 * shares no code with the library.
 */
#include "container/reader.h"
#include "nq_hooks.h"
#include "nq_open.h"

/* ---- Samples ------------------------------------------------------------------------------- */

static const uint8_t some_bytes[256] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

/* A bit of everything; what the blocks hold does not matter here. */
static nq_file sample(void)
{
    static const float levels[] = {-1.5f, 0, 2};
    static const uint8_t halves[] = {0, 0x3c, 0, 0x40};
    static const uint8_t runs[] = {1, 1, 2, 0}; /* cells -1, 0 and 4 */
    nq_file f = {.size_width = 2, .original_bytes = 123456};
    file_metadata(&f, "format", "pt");
    file_metadata(&f, "", "");
    file_codebook_f32(&f, levels, 3);
    file_codebook(&f, 2, halves, 4, 2, 0);
    file_codebook(&f, 3, runs, 4, 3, 0.25);
    file_code_table(&f, 2, some_bytes, 9);
    const bytes blocks[] = {{.at = (uint8_t *)some_bytes, .n = 70},
                            {.at = (uint8_t *)some_bytes, .n = 0}};
    file_quantized(&f, &(shape){"w", 0, 2, {10, 12}, 6}, 2, 2, 3, blocks, 2);
    file_stored(&f, &(shape){"", 0, 0, {0}, 18}, some_bytes, 4);
    file_stored(&f, &(shape){"fours", 18, 1, {400}, 6}, some_bytes, 200);
    file_quantized(&f, &(shape){"none", 2, 8, {1, 2, 3, 4, 0, 6, 7, 8}, 24}, 1, 0, UINT32_MAX, NULL,
                   0);
    return f;
}

static bytes sample_bytes(void)
{
    nq_file f = sample();
    bytes file = file_build(&f);
    file_free(&f);
    return file;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static void check_metadata(const nq_reader *r, uint64_t i, const char *key, const char *value)
{
    const char *k, *v;
    size_t kn, vn;
    assert_int_equal(nq_reader_metadata(r, i, &k, &kn, &v, &vn), NQ_OK);
    assert_int_equal(kn, strlen(key));
    assert_int_equal(vn, strlen(value));
    assert_memory_equal(k, key, kn);
    assert_memory_equal(v, value, vn);
}

static void check_sample_tensors(const nq_reader *r, size_t file_bytes)
{
    const nq_tensor_info w = tensor_info(r, 0), s = tensor_info(r, 1);
    const nq_tensor_info four = tensor_info(r, 2), none = tensor_info(r, 3);
    assert_true(w.dtype == NQ_F32 && w.rank == 2 && w.dims[0] == 10 && w.dims[1] == 12);
    assert_true(w.n_elements == 120 && w.payload_bytes == 2 * 4 + 4 + 70);
    assert_true(w.codec == 2 && w.method == 1 && w.level_rule == 0 && w.n_levels == 3);
    assert_true(w.codebook == 2 && w.code_table == 3 && w.block_log2 == 6);
    assert_true(w.level_storage == NQ_LEVELS_GRID && w.step == 0.25);
    assert_true(w.name_bytes == 1 && w.name[0] == 'w' && w.dims[2] == 0 && w.unused == NULL);
    assert_true(s.rank == 0 && s.n_elements == 1 && s.payload_bytes == 8 && s.codec == 0);
    assert_true(s.codebook == NQ_NO_ID && s.code_table == NQ_NO_ID && s.n_levels == 0);
    assert_true(s.payload_offset == w.payload_offset + w.payload_bytes && s.level_storage == 0);
    assert_true(four.dtype == NQ_F4 && four.n_elements == 400 && four.payload_bytes == 4 * 4 + 200);
    assert_true(none.dtype == NQ_BF16 && none.rank == 8 && none.dims[7] == 8 && none.codec == 1);
    assert_true(none.n_elements == 0 && none.payload_bytes == 0 &&
                none.payload_offset == file_bytes);
}

static void check_sample(const nq_reader *r, size_t file_bytes)
{
    nq_reader_info info;
    nq_reader_info_init(&info);
    assert_int_equal(nq_reader_get_info(r, &info), NQ_OK);
    assert_true(info.version == 1 && info.required_features == 0 && info.optional_features == 0);
    assert_true(info.n_tensors == 4 && info.n_metadata == 2 && info.n_codebooks == 3);
    assert_true(info.n_code_tables == 1 && info.file_bytes == file_bytes);
    assert_true(info.original_bytes == 123456 && info.n_elements == 121);
    assert_true(info.n_quantized_elements == 120 && info.index_bytes > 0);
    check_metadata(r, 0, "format", "pt");
    check_metadata(r, 1, "", "");
    check_sample_tensors(r, file_bytes);
    uint64_t tensor;
    assert_int_equal(nq_reader_find(r, "fours", 5, &tensor), NQ_OK);
    assert_int_equal(tensor, 2);
    assert_int_equal(nq_reader_find(r, NULL, 0, &tensor), NQ_OK);
    assert_int_equal(tensor, 1);
    assert_int_equal(nq_reader_find(r, "four", 4, &tensor), NQ_E_ARG);
    assert_true(tensor == NQ_NONE);
}

static void test_reads_what_is_there(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    opened o;
    assert_int_equal(open_copy(&o, file.at, file.n, NULL), NQ_OK);
    check_sample(o.reader, file.n);
    close_copy(&o);
    bytes_free(&file);
}

static void test_wrong_questions(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    opened o;
    const char *text;
    size_t n;
    uint64_t tensor;
    nq_tensor_info info;
    nq_reader_info all;
    nq_tensor_info_init(&info);
    nq_reader_info_init(&all);
    assert_int_equal(open_copy(&o, file.at, file.n, NULL), NQ_OK);
    assert_int_equal(nq_reader_metadata(o.reader, 2, &text, &n, &text, &n), NQ_E_ARG);
    assert_int_equal(nq_reader_metadata(o.reader, UINT64_C(1) << 32, &text, &n, &text, &n),
                     NQ_E_ARG);
    assert_int_equal(nq_reader_metadata(o.reader, 0, NULL, &n, &text, &n), NQ_E_ARG);
    assert_int_equal(nq_reader_tensor(o.reader, 4, &info), NQ_E_ARG);
    assert_int_equal(nq_reader_tensor(o.reader, UINT64_C(1) << 32, &info), NQ_E_ARG);
    assert_int_equal(nq_reader_tensor(NULL, 0, &info), NQ_E_ARG);
    assert_int_equal(nq_reader_find(o.reader, NULL, 1, &tensor), NQ_E_ARG);
    assert_int_equal(nq_reader_find(o.reader, "w", 1, NULL), NQ_E_ARG);
    assert_int_equal(nq_reader_get_info(o.reader, NULL), NQ_E_ARG);
    info.struct_size--;
    all.struct_size = 3;
    assert_int_equal(nq_reader_tensor(o.reader, 0, &info), NQ_E_ABI);
    assert_int_equal(nq_reader_get_info(o.reader, &all), NQ_E_ABI);
    close_copy(&o);
    assert_int_equal(nq_reader_open(NULL, NULL, file.at, file.n, NULL), NQ_E_ARG);
    assert_int_equal(nq_reader_open(&o.reader, NULL, NULL, 1, NULL), NQ_E_ARG);
    nq_reader_destroy(NULL);
    bytes_free(&file);
}

/* A program built for a later header may set what this library does not know: that is ABI, whether
 * the struct is longer or shorter than ours. */
static void test_sources_of_other_sizes(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    union {
        nq_source s;
        uint8_t bytes[sizeof(nq_source) + 8];
    } given;
    size_t n;
    nq_reader *r;
    uint8_t memory[8];
    memset(&given, 0, sizeof given);
    given.s = (nq_source){.struct_size = sizeof given, .bytes = file.at, .n_bytes = file.n};
    assert_int_equal(nq_reader_size(&n, &given.s, NULL, NULL), NQ_OK);
    assert_int_equal(nq_reader_open_source(&r, NULL, &given.s, NULL), NQ_OK);
    nq_reader_destroy(r);
    given.bytes[sizeof given - 1] = 1;
    assert_int_equal(nq_reader_open_source(&r, NULL, &given.s, NULL), NQ_E_ABI);
    assert_int_equal(nq_reader_size(&n, &given.s, NULL, NULL), NQ_E_ABI);
    given.s.struct_size = sizeof(nq_source) - 1;
    assert_int_equal(nq_reader_open_source(&r, NULL, &given.s, NULL), NQ_E_ABI);
    assert_int_equal(nq_reader_size(&n, &given.s, NULL, NULL), NQ_E_ABI);
    assert_int_equal(nq_reader_init(&r, memory, sizeof memory, &given.s, NULL, NULL), NQ_E_ABI);
    assert_int_equal(nq_reader_open_source(&r, NULL, NULL, NULL), NQ_E_ARG);
    assert_int_equal(nq_reader_size(&n, NULL, NULL, NULL), NQ_E_ARG);
    bytes_free(&file);
}

/* Records are found through marks, one for every sixteenth: look at all of very many. */
static void test_many_records(void **state)
{
    (void)state;
    enum { N = 100 };
    nq_file f = {.size_width = 1};
    char text[64];
    float levels[N] = {0};
    for (unsigned i = 0; i < N; i++) {
        snprintf(text, sizeof text, "%0*u", (int)(i % 40 + 1), i);
        file_metadata(&f, text, text + i % 3);
        file_codebook_f32(&f, levels, i + 1);
        file_stored(&f, &(shape){text, NQ_U8, 1, {i % 5}, 6}, some_bytes, i % 5);
    }
    bytes file = file_build(&f);
    opened o;
    assert_int_equal(open_copy(&o, file.at, file.n, NULL), NQ_OK);
    uint64_t data = file.n - f.payloads.n - f.data.n, payload = file.n - f.payloads.n;
    for (unsigned i = 0; i < N; i++) {
        nqi_table_record table;
        uint64_t tensor;
        snprintf(text, sizeof text, "%0*u", (int)(i % 40 + 1), i);
        check_metadata(o.reader, i, text, text + i % 3);
        nqi_reader_get_table(&table, o.reader, i);
        assert_true(table.n_levels == i + 1 && table.n_bytes == 4 * (i + 1) &&
                    table.offset == data);
        assert_int_equal(nq_reader_find(o.reader, text, strlen(text), &tensor), NQ_OK);
        assert_int_equal(tensor, i);
        const nq_tensor_info info = tensor_info(o.reader, i);
        assert_true(info.n_elements == i % 5 && info.payload_offset == payload);
        data += table.n_bytes;
        payload += info.payload_bytes;
    }
    assert_true(payload == file.n);
    close_copy(&o);
    bytes_free(&file);
    file_free(&f);
}

/* The smallest files: none of these was once too small for a record that was thought to need a byte
 * more than it does. */
static void test_smallest_files(void **state)
{
    (void)state;
    nq_file empty = {.size_width = 1}, one = {.size_width = 1}, wide = {.size_width = 8};
    check_file(&empty, NQ_OK);
    file_stored(&one, &(shape){"", NQ_U8, 0, {0}, 18}, some_bytes, 1);
    check_file(&one, NQ_OK);
    file_stored(&wide, &(shape){"", NQ_U8, 0, {0}, 18}, some_bytes, 1);
    check_file(&wide, NQ_OK);
    nq_file table = {.size_width = 1}, pair = {.size_width = 1};
    file_code_table(&table, 2, NULL, 0);
    check_file(&table, NQ_OK);
    file_metadata(&pair, "", "");
    check_file(&pair, NQ_OK);
}

/* ---- Header -------------------------------------------------------------------------------- */

typedef struct field {
    unsigned at;
    unsigned width;
    uint64_t value;
    nq_status expected; /* when the checksums are made right again */
} field;

/* Fields as docs/format lays them out, with values that they cannot have. */
static const field bad_fields[] = {
    {0, 8, 0, NQ_E_CORRUPT},
    {0, 1, 0x09, NQ_E_CORRUPT}, /* the eighth bit cleared */
    {3, 1, '\n', NQ_E_CORRUPT}, /* a line end changed */
    {7, 1, 1, NQ_E_CORRUPT},
    {12, 2, 0, NQ_E_UNSUPPORTED},
    {12, 2, 2, NQ_E_UNSUPPORTED},
    {12, 2, 0xffff, NQ_E_UNSUPPORTED},
    {14, 2, 0, NQ_E_CORRUPT},
    {14, 2, 72, NQ_E_CORRUPT},
    {16, 4, 1, NQ_E_UNSUPPORTED},
    {16, 4, 0x80000000, NQ_E_UNSUPPORTED},
    {20, 4, 0xffffffff, NQ_OK}, /* optional features are optional */
    {24, 8, 0, NQ_E_CORRUPT},
    {24, 8, 63, NQ_E_CORRUPT},
    {24, 8, 64, NQ_E_CORRUPT}, /* an index larger than its file */
    {24, 8, UINT64_MAX, NQ_E_TRUNCATED},
    {32, 8, UINT64_MAX, NQ_OK}, /* the source's size is told, not used */
    {40, 4, 0, NQ_E_CORRUPT},   /* no room for the records */
    {40, 4, 0xffffffff, NQ_E_CORRUPT},
    {48, 4, 0xffffffff, NQ_E_CORRUPT},
    {52, 4, 0xffffffff, NQ_E_CORRUPT},
    {56, 4, 0xffffffff, NQ_E_CORRUPT},
    {48, 4, 3, NQ_E_CORRUPT}, /* a record too few: the index is not used up */
    {48, 4, 0, NQ_E_CORRUPT},
    {60, 1, 0, NQ_E_CORRUPT},
    {60, 1, 8, NQ_E_CORRUPT}, /* not what the records were written with */
    {60, 1, 9, NQ_E_CORRUPT},
    {60, 1, 255, NQ_E_CORRUPT},
    {61, 1, 1, NQ_E_CORRUPT},
    {62, 1, 1, NQ_E_CORRUPT},
    {63, 1, 1, NQ_E_CORRUPT},
};

static void test_header_fields(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    for (size_t i = 0; i < sizeof bad_fields / sizeof *bad_fields; i++) {
        const field *f = &bad_fields[i];
        uint8_t kept[8];
        memcpy(kept, file.at + f->at, f->width);
        poke(file.at + f->at, f->value, f->width);
        if (f->at >= 8) /* damage first: whatever the field says now, it is not believed */
            check_status(file.at, file.n, NQ_E_CHECKSUM);
        seal_header(file.at);
        check_status(file.at, file.n, f->expected);
        memcpy(file.at + f->at, kept, f->width);
        seal_header(file.at);
    }
    check_status(file.at, file.n, NQ_OK);
    bytes_free(&file);
}

/* The checksums themselves, in both places, and the order in which they are believed. */
static void test_checksums(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    for (unsigned bit = 0; bit < 32; bit++) {
        file.at[8 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_status(file.at, file.n, NQ_E_CHECKSUM);
        file.at[8 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        file.at[44 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_status(file.at, file.n, NQ_E_CHECKSUM);
        seal_header(file.at);
        check_status(file.at, file.n, NQ_E_CHECKSUM); /* now of the index */
        file.at[44 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        seal_header(file.at);
    }
    check_status(file.at, file.n, NQ_OK);
    bytes_free(&file);
}

/* Every bit of header and index: damage is found, and never taken for something else. */
static void test_every_bit_of_header_and_index(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    const size_t end = HEADER_BYTES + (size_t)peek(file.at + 40, 4);
    for (size_t bit = 0; bit < 8 * end; bit++) {
        file.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_status(file.at, file.n, bit < 64 ? NQ_E_CORRUPT : NQ_E_CHECKSUM);
        file.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    bytes_free(&file);
}

/* A file that ends anywhere; then one whose header believes that it ends there. */
static void test_truncation(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    for (size_t n = 0; n < file.n; n++)
        check_status(file.at, n, n == 0 ? NQ_E_CORRUPT : NQ_E_TRUNCATED);
    for (size_t n = 0; n < 8; n++) {
        uint8_t other[8];
        memcpy(other, file.at, 8);
        other[n] ^= 1;
        check_status(other, n + 1, NQ_E_CORRUPT);
    }
    for (size_t n = HEADER_BYTES; n < file.n; n++) {
        poke(file.at + 24, n, 8);
        seal_header(file.at);
        check_status(file.at, n, NQ_E_CORRUPT);
    }
    bytes_free(&file);
}

static void test_longer_than_it_says(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    put_u(&file, 0, 1);
    check_status(file.at, file.n, NQ_E_CORRUPT);
    poke(file.at + 24, file.n, 8);
    seal_header(file.at);
    check_status(file.at, file.n, NQ_E_CORRUPT); /* a byte that belongs to nothing */
    bytes_free(&file);
}

/* ---- Index --------------------------------------------------------------------------------- */

/* Flips any bit of the index and makes the checksums right: whatever comes of it, asking is safe,
 * and what the reader says stays within the file. */
static void test_any_index_is_safe(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    const size_t n_index = (size_t)peek(file.at + 40, 4);
    for (size_t bit = 0; bit < 8 * n_index; bit++) {
        uint8_t *byte = file.at + HEADER_BYTES + bit / 8;
        *byte ^= (uint8_t)(1 << bit % 8);
        seal(&file);
        opened o;
        const nq_status status = open_copy(&o, file.at, file.n, NULL);
        assert_true(status == NQ_OK || status == NQ_E_CORRUPT || status == NQ_E_UNSUPPORTED);
        for (uint64_t i = 0; status == NQ_OK && i < 4; i++) {
            const nq_tensor_info info = tensor_info(o.reader, i);
            assert_true(info.payload_offset + info.payload_bytes <= file.n);
        }
        close_copy(&o);
        *byte ^= (uint8_t)(1 << bit % 8);
    }
    bytes_free(&file);
}

/* ---- Names --------------------------------------------------------------------------------- */

static void test_twins(void **state)
{
    (void)state;
    static const char *const names[] = {"b", "a", "", "ab", "a", ""};
    for (unsigned n = 1; n <= 6; n++) {
        nq_file f = {.size_width = 1};
        for (unsigned i = 0; i < n; i++)
            file_stored(&f, &(shape){names[i], NQ_U8, 1, {i}, 6}, some_bytes, i);
        bytes file = file_build(&f);
        opened o;
        assert_int_equal(open_copy(&o, file.at, file.n, NULL), n < 5 ? NQ_OK : NQ_E_CORRUPT);
        if (n >= 5)
            assert_int_equal(o.diag.tensor, 4);
        close_copy(&o);
        bytes_free(&file);
        file_free(&f);
    }
}

/* Without an allocator names are not compared, and the first is found. */
static void test_twins_without_allocator(void **state)
{
    (void)state;
    nq_file f = {.size_width = 1};
    file_stored(&f, &(shape){"x", NQ_U8, 0, {0}, 6}, some_bytes, 1);
    file_stored(&f, &(shape){"x", NQ_I8, 0, {0}, 6}, some_bytes, 1);
    bytes file = file_build(&f);
    const nq_source source = {.struct_size = sizeof source, .bytes = file.at, .n_bytes = file.n};
    size_t n;
    nq_reader *r;
    uint64_t tensor;
    assert_int_equal(nq_reader_size(&n, &source, NULL, NULL), NQ_OK);
    void *memory = malloc(n);
    assert_int_equal(nq_reader_init(&r, memory, n, &source, NULL, NULL), NQ_OK);
    assert_int_equal(nq_reader_find(r, "x", 1, &tensor), NQ_OK);
    assert_int_equal(tensor, 0);
    nq_reader_destroy(r); /* nothing to free, nothing freed */
    free(memory);
    bytes_free(&file);
    file_free(&f);
}

/* ---- Limits -------------------------------------------------------------------------------- */

static void check_limit(const bytes *file, const nq_ctx_options *options, uint64_t wanted)
{
    nq_ctx *ctx;
    opened o;
    assert_int_equal(nq_ctx_create(&ctx, options), NQ_OK);
    assert_int_equal(open_copy(&o, file->at, file->n, ctx), wanted ? NQ_E_LIMIT : NQ_OK);
    assert_true(o.diag.wanted == wanted);
    close_copy(&o);
    nq_ctx_destroy(ctx);
}

/* Each limit at the value that just does, and one below, where the record tells that value. */
static void test_limits(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    const uint64_t index_bytes = peek(file.at + 40, 4);
    nq_ctx_options options;
    nq_ctx_options_init(&options);
    options.max_tensors = 4;
    options.max_levels = 3;
    options.max_name_bytes = 5;
    options.max_elements = 400;
    options.max_index_bytes = index_bytes;
    check_limit(&file, &options, 0);
    nq_ctx_options one = options;
    one.max_tensors--;
    check_limit(&file, &one, 4);
    one = options;
    one.max_levels--;
    check_limit(&file, &one, 3);
    one = options;
    one.max_name_bytes--;
    check_limit(&file, &one, 5);
    one = options;
    one.max_elements--;
    check_limit(&file, &one, 400);
    one = options;
    one.max_index_bytes--;
    check_limit(&file, &one, index_bytes);
    bytes_free(&file);
}

static void test_limits_without_context(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    const nq_source source = {.struct_size = sizeof source, .bytes = file.at, .n_bytes = file.n};
    uint8_t memory[2048];
    nq_reader_options options;
    nq_reader *r;
    size_t n;
    nq_reader_options_init(&options);
    assert_int_equal(nq_reader_init(&r, memory, sizeof memory, &source, &options, NULL), NQ_OK);
    options.max_levels = 2;
    assert_int_equal(nq_reader_size(&n, &source, &options, NULL), NQ_OK);
    assert_int_equal(nq_reader_init(&r, memory, sizeof memory, &source, &options, NULL),
                     NQ_E_LIMIT);
    assert_null(r);
    options.max_tensors = 3;
    assert_int_equal(nq_reader_size(&n, &source, &options, NULL), NQ_E_LIMIT);
    options.struct_size = 8;
    assert_int_equal(nq_reader_size(&n, &source, &options, NULL), NQ_E_ABI);
    /* A limit of 0 was not set, as with a context. */
    const nq_reader_options zeroed = {.struct_size = sizeof zeroed};
    assert_int_equal(nq_reader_init(&r, memory, sizeof memory, &source, &zeroed, NULL), NQ_OK);
    const nq_reader_options one_set = {.struct_size = sizeof one_set, .max_tensors = 3};
    assert_int_equal(nq_reader_init(&r, memory, sizeof memory, &source, &one_set, NULL),
                     NQ_E_LIMIT);
    bytes_free(&file);
}

/* ---- Sources ------------------------------------------------------------------------------- */

static void test_callback(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    behind b = {.file = &file};
    const nq_source source = source_behind(&b);
    nq_reader *r;
    assert_int_equal(nq_reader_open_source(&r, NULL, &source, NULL), NQ_OK);
    check_sample(r, file.n);
    assert_true(b.end == HEADER_BYTES + peek(file.at + 40, 4)); /* header and index, no more */
    nq_reader_destroy(r);
    const unsigned n_calls = b.n_calls;
    for (unsigned k = 1; k <= n_calls; k++) {
        nq_diag diag;
        nq_diag_init(&diag);
        b = (behind){.file = &file, .failing_call = k};
        assert_int_equal(nq_reader_open_source(&r, NULL, &source, &diag), HOOKS_OWN_STATUS);
        assert_int_equal(diag.status, HOOKS_OWN_STATUS);
        assert_null(r);
        assert_int_equal(b.n_calls, k);
    }
    bytes_free(&file);
}

/* What a span says, a callback says too: the sample, whole and cut, and each bit flipped. */
static void test_callback_and_span_agree(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    for (size_t bit = 0; bit < 8 * file.n; bit += 3) {
        file.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (bit % 2)
            seal(&file);
        const bytes cut = {.at = file.at, .n = bit % 5 ? file.n : bit / 8};
        behind b = {.file = &cut};
        const nq_source source = source_behind(&b);
        opened span;
        nq_reader *r;
        nq_diag diag;
        nq_diag_init(&diag);
        const nq_status status = open_copy(&span, cut.at, cut.n, NULL);
        assert_int_equal(nq_reader_open_source(&r, NULL, &source, &diag), status);
        assert_memory_equal(&diag, &span.diag, sizeof diag);
        nq_reader_destroy(r);
        close_copy(&span);
        file.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        seal(&file);
    }
    bytes_free(&file);
}

/* Blocks of no bytes once had no address, to which decoders then added nothing: not allowed in C.
 */
static void test_view_of_nothing(void **state)
{
    (void)state;
    static const uint8_t file[3];
    const nq_source source = {.struct_size = sizeof source, .bytes = file, .n_bytes = 3};
    const uint8_t *at;
    assert_int_equal(nqi_source_view(&at, &source, 3, 0, NULL), NQ_OK);
    assert_ptr_equal(at, file + 3);
}

static void test_source_of_both_kinds(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    behind b = {.file = &file};
    nq_source source = source_behind(&b);
    nq_reader *r;
    size_t n;
    source.bytes = file.at;
    assert_int_equal(nq_reader_open_source(&r, NULL, &source, NULL), NQ_E_ARG);
    assert_int_equal(nq_reader_size(&n, &source, NULL, NULL), NQ_E_ARG);
    bytes_free(&file);
}

/* The head of a file whose payload is never read. */
static nq_status read_head(void *user, uint64_t offset, void *out, size_t n_bytes)
{
    const bytes *head = user;
    assert_true(offset + n_bytes <= head->n);
    memcpy(out, head->at + offset, n_bytes);
    return NQ_OK;
}

/* 2^57 elements are the most that a tensor may have; the file would be that large, too. */
static void test_most_elements(void **state)
{
    (void)state;
    for (uint64_t more = 0; more < 2; more++) {
        const uint64_t n = (UINT64_C(1) << 57) + more, n_blocks = (n + (1 << 24) - 1) >> 24;
        const uint64_t payload = n_blocks * 4 + n;
        nq_file f = {.size_width = 8};
        bytes body = begin_tensor(&f, &(shape){"t", NQ_U8, 1, {n}, 24}, payload, 0);
        end_tensor(&f, &body);
        bytes head = file_build_head(&f, payload);
        const nq_source source = {.struct_size = sizeof source,
                                  .n_bytes = head.n + payload,
                                  .read = read_head,
                                  .user = &head};
        nq_ctx_options options;
        nq_ctx *ctx;
        nq_reader *r;
        nq_ctx_options_init(&options);
        options.max_elements = UINT64_MAX;
        assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
        assert_int_equal(nq_reader_open_source(&r, ctx, &source, NULL),
                         more ? NQ_E_CORRUPT : NQ_OK);
        nq_reader_destroy(r);
        assert_int_equal(nq_reader_open_source(&r, NULL, &source, NULL),
                         more ? NQ_E_CORRUPT : NQ_E_LIMIT);
        nq_ctx_destroy(ctx);
        bytes_free(&head);
        file_free(&f);
    }
}

/* What the context disables is disabled for all decoders of the reader. */
static void test_features_of_context(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    nq_ctx_options options;
    nq_ctx *ctx;
    opened o;
    nq_ctx_options_init(&options);
    options.cpu_disabled = NQ_CPU_ALL;
    assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
    assert_int_equal(open_copy(&o, file.at, file.n, ctx), NQ_OK);
    assert_true(o.reader->cpu_disabled == UINT64_MAX);
    close_copy(&o);
    nq_ctx_destroy(ctx);
    bytes_free(&file);
}

/* ---- Memory -------------------------------------------------------------------------------- */

enum { GUARD = 64 };

/* Opens in memory of exactly the size that was asked for, at an odd place, with the file at
 * another: nothing beside that memory is touched. */
static void check_in_place(const nq_source *source, size_t n_file, unsigned shift)
{
    size_t n;
    nq_reader *r;
    nq_diag diag;
    nq_diag_init(&diag);
    assert_int_equal(nq_reader_size(&n, source, NULL, NULL), NQ_OK);
    uint8_t *memory = malloc(n + 2 * GUARD + shift);
    memset(memory, 0xa5, n + 2 * GUARD + shift);
    uint8_t *given = memory + GUARD + shift;
    assert_int_equal(nq_reader_init(&r, given, n - 1, source, NULL, &diag), NQ_E_SPACE);
    assert_true(r == NULL && diag.wanted == n);
    assert_int_equal(nq_reader_init(&r, given, n, source, NULL, &diag), NQ_OK);
    assert_true((uint8_t *)r >= given && (uintptr_t)r % 64 == 0);
    check_sample(r, n_file);
    for (size_t i = 0; i < GUARD + shift; i++)
        assert_int_equal(memory[i], 0xa5);
    for (size_t i = 0; i < GUARD; i++)
        assert_int_equal(given[n + i], 0xa5);
    free(memory);
}

static void test_in_callers_memory(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    for (unsigned shift = 0; shift < 64; shift++) {
        uint8_t *copy = malloc(file.n + shift);
        memcpy(copy + shift, file.at, file.n);
        const nq_source span = {
            .struct_size = sizeof span, .bytes = copy + shift, .n_bytes = file.n};
        behind b = {.file = &file};
        const nq_source callback = source_behind(&b);
        check_in_place(&span, file.n, shift);
        check_in_place(&callback, file.n, shift);
        free(copy);
    }
    bytes_free(&file);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    bytes file = sample_bytes();
    counting c = {0};
    nq_ctx_options options;
    nq_ctx *ctx;
    opened o;
    nq_ctx_options_init(&options);
    options.alloc = count_alloc;
    options.free = count_free;
    options.alloc_user = &c;
    assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
    const size_t of_context = c.n_open;
    for (unsigned k = 1;; k++) {
        c.n_calls = 0;
        c.failing_call = k;
        const nq_status status = open_copy(&o, file.at, file.n, ctx);
        close_copy(&o);
        assert_int_equal(c.n_open, of_context);
        if (status == NQ_OK) {
            assert_true(k > 1 && c.n_calls < k);
            break;
        }
        assert_int_equal(status, NQ_E_NOMEM);
    }
    c.failing_call = 0;
    nq_ctx_destroy(ctx);
    assert_int_equal(c.n_open, 0);
    bytes_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_is_there),
        cmocka_unit_test(test_wrong_questions),
        cmocka_unit_test(test_sources_of_other_sizes),
        cmocka_unit_test(test_many_records),
        cmocka_unit_test(test_smallest_files),
        cmocka_unit_test(test_header_fields),
        cmocka_unit_test(test_checksums),
        cmocka_unit_test(test_every_bit_of_header_and_index),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_longer_than_it_says),
        cmocka_unit_test(test_any_index_is_safe),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_twins_without_allocator),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_limits_without_context),
        cmocka_unit_test(test_callback),
        cmocka_unit_test(test_callback_and_span_agree),
        cmocka_unit_test(test_view_of_nothing),
        cmocka_unit_test(test_source_of_both_kinds),
        cmocka_unit_test(test_most_elements),
        cmocka_unit_test(test_features_of_context),
        cmocka_unit_test(test_in_callers_memory),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
