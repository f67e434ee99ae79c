/*
 * Tensors that are coded without loss: they come back bit for bit, whatever the bits, from any
 * range, decoder and codec, and in other types like the same elements stored; they are stored where
 * no code makes them smaller; damage is found.
 */
#include "nq/nq.h"
#include "nq_model.h"
#include "nq_open.h"

/* ---- Files --------------------------------------------------------------------------------- */

static nq_status grow(void *user, uint64_t offset, const void *at, size_t n)
{
    bytes *file = user;
    if (offset + n > file->capacity) {
        file->capacity = 2 * (size_t)(offset + n);
        file->at = realloc(file->at, file->capacity);
        assert_non_null(file->at);
    }
    file->n = offset + n > file->n ? (size_t)offset + n : file->n;
    memcpy(file->at + offset, at, n);
    return NQ_OK;
}

static nq_tensor describe(const char *name, uint32_t dtype, const void *data, size_t n)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = dtype;
    t.rank = 1;
    t.dims[0] = n;
    t.name = name;
    t.name_bytes = (uint32_t)strlen(name);
    t.data = data;
    return t;
}

typedef struct wish {
    uint32_t lossless;
    uint32_t codec;
    uint32_t block_log2;
    uint64_t min_elements;
} wish;

static nq_plan *begin_plan(const wish *w, const nq_ctx *ctx)
{
    nq_plan_options options;
    nq_plan *plan;
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_STEP;
    options.target_value = 0.125;
    options.lossless = w->lossless;
    options.codec = w->codec;
    options.block_log2 = w->block_log2;
    options.min_elements = w->min_elements;
    assert_int_equal(nq_plan_create(&plan, ctx, &options), NQ_OK);
    return plan;
}

static bytes end_plan(nq_plan *plan)
{
    bytes file = {0};
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = grow;
    sink.user = &file;
    assert_int_equal(nq_plan_write(plan, &sink), NQ_OK);
    nq_plan_destroy(plan);
    return file;
}

/* A file of one tensor. */
static bytes write_one(const wish *w, uint32_t dtype, const void *data, size_t n, const nq_ctx *ctx)
{
    nq_plan *plan = begin_plan(w, ctx);
    const nq_tensor t = describe("t", dtype, data, n);
    assert_int_equal(nq_plan_add(plan, &t, NULL, NULL), NQ_OK);
    return end_plan(plan);
}

static size_t bytes_of(uint32_t dtype)
{
    return nq_dtype_bits(dtype) / 8;
}

/* ---- Contents ------------------------------------------------------------------------------ */

/* n elements: each pattern of 16 bits, or of 8, at least once if there is room, small ones and
 * those near some others most of the time. */
static uint8_t *make_elements(uint32_t dtype, size_t n, uint64_t seed)
{
    const size_t width = bytes_of(dtype);
    const uint32_t centre = width == 1 ? 0x40 : width == 2 ? 0x3a00 : 0x3c000000;
    uint8_t *data = malloc(n * width + 1);
    assert_non_null(data);
    for (size_t i = 0; i < n; i++) {
        const uint64_t r = unit_random(&seed);
        uint32_t x = centre + (uint32_t)(r >> 32 & 7) * (uint32_t)(r >> 40 & 7) * (centre >> 8);
        if (i % 8 == 0)
            x = (uint32_t)(i / 8) << (width == 4 ? 16 : 0) |
                (width == 4 ? (uint32_t)r & 0xffff : 0);
        else if (r & 1)
            x ^= UINT32_C(1) << (8 * width - 1); /* the other sign */
        if (width == 1)
            data[i] = (uint8_t)x;
        else if (width == 2)
            memcpy(data + 2 * i, &(uint16_t){(uint16_t)x}, 2);
        else
            memcpy(data + 4 * i, &x, 4);
    }
    return data;
}

/* ---- Checks -------------------------------------------------------------------------------- */

static void check_range(nq_decoder *d, uint32_t dtype, const uint8_t *data, uint64_t first,
                        uint64_t count)
{
    const size_t width = bytes_of(dtype);
    uint8_t *found = malloc((size_t)count * width + 3);
    memset(found, 0xa5, (size_t)count * width + 3);
    assert_int_equal(nq_decoder_read(d, dtype, first, count, found + 1), NQ_OK);
    assert_memory_equal(found + 1, data + first * width, (size_t)count * width);
    assert_int_equal(found[0], 0xa5);
    assert_int_equal(found[(size_t)count * width + 1], 0xa5);
    free(found);
}

static void check_ranges(const nq_reader *r, uint32_t flags, uint32_t dtype, const uint8_t *data,
                         size_t n)
{
    nq_decoder *d = make_decoder(r, 0, flags);
    uint64_t seed = n;
    check_range(d, dtype, data, 0, n);
    for (int i = 0; i < 40 && n > 0; i++) {
        const uint64_t first = unit_random(&seed) % n;
        check_range(d, dtype, data, first, unit_random(&seed) % (n - first + 1) / (i % 2 ? 50 : 1));
    }
    uint16_t index;
    const float *levels;
    size_t n_levels;
    assert_int_equal(nq_decoder_read_indices(d, 0, n ? 1 : 0, &index), NQ_E_ARG);
    assert_int_equal(nq_decoder_codebook(d, &levels, &n_levels), NQ_OK);
    assert_null(levels);
    assert_int_equal(n_levels, 0);
    nq_decoder_destroy(d);
}

static void check_file_of(const bytes *file, uint32_t dtype, const uint8_t *data, size_t n,
                          bool is_coded)
{
    behind b = {.file = file};
    nq_reader *span = open_span(file), *callback = open_behind(&b, NULL);
    const nq_tensor_info info = tensor_info(span, 0);
    nq_reader_info all;
    nq_reader_info_init(&all);
    assert_int_equal(nq_reader_get_info(span, &all), NQ_OK);
    assert_int_equal(info.codec != NQ_CODEC_STORED, is_coded);
    assert_int_equal(info.n_levels, 0);
    assert_int_equal(info.codebook, NQ_NO_ID);
    assert_int_equal(all.n_quantized_elements, 0);
    if (is_coded)
        assert_true(info.payload_bytes < n * bytes_of(dtype) + 4);
    check_ranges(span, 0, dtype, data, n);
    check_ranges(span, NQ_DECODER_SMALL_TABLES, dtype, data, n);
    check_ranges(callback, NQ_DECODER_SKIP_CHECKSUMS, dtype, data, n);
    uint8_t *found = malloc(n * bytes_of(dtype) + 1);
    assert_int_equal(nq_reader_decode(span, NULL, 0, dtype, 0, n, found, NULL), NQ_OK);
    assert_memory_equal(found, data, n * bytes_of(dtype));
    free(found);
    assert_int_equal(nq_reader_verify(span, NULL, NQ_NONE, NULL, NULL, NULL), NQ_OK);
    nq_reader_destroy(span);
    nq_reader_destroy(callback);
}

/* ---- Tests --------------------------------------------------------------------------------- */

/* All patterns there are, NaN with their payloads among them, by every codec and type. */
static void bit_for_bit(void **state)
{
    static const uint32_t dtypes[] = {NQ_F16, NQ_BF16,    NQ_I16,     NQ_U16,     NQ_F32, NQ_I8,
                                      NQ_U8,  NQ_F8_E5M2, NQ_F8_E4M3, NQ_F8_E8M0, NQ_BOOL};
    static const uint32_t codecs[] = {NQ_CODEC_AUTO, NQ_CODEC_HUFFMAN, NQ_CODEC_RANS};
    (void)state;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        for (size_t k = 0; k < sizeof codecs / sizeof *codecs; k++) {
            const size_t n = bytes_of(dtypes[i]) == 1 ? 40001 : 8 * 65536 + 5;
            const wish w = {.lossless = NQ_LOSSLESS_YES,
                            .codec = codecs[k],
                            .block_log2 = k == 1 ? 13 : 0,
                            .min_elements = UINT64_MAX};
            uint8_t *data = make_elements(dtypes[i], n, i);
            bytes file = write_one(&w, dtypes[i], data, n, NULL);
            check_file_of(&file, dtypes[i], data, n, true);
            bytes_free(&file);
            free(data);
        }
}

/* Mostly zeros: gaps. */
static void sparse(void **state)
{
    const wish w = {
        .lossless = NQ_LOSSLESS_YES, .codec = NQ_CODEC_HUFFMAN_GAPS, .min_elements = UINT64_MAX};
    enum { N = 300000 };
    uint16_t *data = calloc(N, sizeof *data);
    uint64_t seed = 3;
    (void)state;
    for (size_t i = 0; i < N; i += 1 + (size_t)(unit_random(&seed) % 40))
        data[i] = (uint16_t)unit_random(&seed);
    bytes file = write_one(&w, NQ_F16, data, N, NULL);
    nq_reader *r = open_span(&file);
    assert_int_equal(tensor_info(r, 0).codec, NQ_CODEC_HUFFMAN_GAPS);
    nq_reader_destroy(r);
    check_file_of(&file, NQ_F16, (const uint8_t *)data, N, true);
    bytes_free(&file);
    free(data);
}

/* Values in other types are those of the same elements stored. */
static void values(void **state)
{
    static const uint32_t dtypes[] = {NQ_F32, NQ_F16, NQ_BF16};
    enum { N = 8 * 65536 };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const wish w = {
            .lossless = NQ_LOSSLESS_YES, .codec = NQ_CODEC_AUTO, .min_elements = UINT64_MAX};
        const wish stored = {.codec = NQ_CODEC_AUTO, .min_elements = UINT64_MAX};
        uint8_t *data = make_elements(dtypes[i], N, i + 7);
        bytes coded_file = write_one(&w, dtypes[i], data, N, NULL);
        bytes stored_file = write_one(&stored, dtypes[i], data, N, NULL);
        nq_reader *a = open_span(&coded_file), *b = open_span(&stored_file);
        assert_int_not_equal(tensor_info(a, 0).codec, NQ_CODEC_STORED);
        assert_int_equal(tensor_info(b, 0).codec, NQ_CODEC_STORED);
        for (size_t k = 0; k < 3; k++) {
            const size_t n_bytes = (N - 77) * bytes_of(dtypes[k]);
            uint8_t *found = malloc(n_bytes), *expected = malloc(n_bytes);
            assert_int_equal(nq_reader_decode(a, NULL, 0, dtypes[k], 77, N - 77, found, NULL), 0);
            assert_int_equal(nq_reader_decode(b, NULL, 0, dtypes[k], 77, N - 77, expected, NULL),
                             0);
            assert_memory_equal(found, expected, n_bytes);
            free(found);
            free(expected);
        }
        nq_reader_destroy(a);
        nq_reader_destroy(b);
        bytes_free(&coded_file);
        bytes_free(&stored_file);
        free(data);
    }
}

/* Nothing, one element, all equal, and what has no redundance. */
static void edges(void **state)
{
    const wish w = {.lossless = NQ_LOSSLESS_YES, .codec = NQ_CODEC_AUTO};
    enum { N = 100000 };
    uint16_t *data = malloc(N * sizeof *data);
    uint64_t seed = 1;
    (void)state;
    for (size_t i = 0; i < N; i++)
        data[i] = 0x7e01;
    for (size_t n = 0; n < 32; n++) {
        bytes file = write_one(&w, NQ_F16, data, n, NULL);
        check_file_of(&file, NQ_F16, (const uint8_t *)data, n, false);
        bytes_free(&file);
    }
    bytes equal = write_one(&w, NQ_BF16, data, N, NULL);
    check_file_of(&equal, NQ_BF16, (const uint8_t *)data, N, true);
    assert_true(equal.n < 300);
    bytes_free(&equal);
    for (size_t i = 0; i < N; i++)
        data[i] = (uint16_t)unit_random(&seed);
    bytes random = write_one(&w, NQ_U16, data, N, NULL);
    check_file_of(&random, NQ_U16, (const uint8_t *)data, N, false);
    bytes_free(&random);
    const wish fixed = {.lossless = NQ_LOSSLESS_YES, .codec = NQ_CODEC_FIXED};
    memset(data, 0, N);
    bytes same = write_one(&fixed, NQ_I8, data, N, NULL);
    check_file_of(&same, NQ_I8, (const uint8_t *)data, N, false);
    bytes_free(&same);
    free(data);
}

/* Which tensors are quantized, coded or stored. */
static void whose_turn(void **state)
{
    enum { N = 4096 };
    static const struct {
        uint32_t plan, own, keep, target, dtype;
        bool is_quantized, is_coded;
    } cases[] = {
        {NQ_LOSSLESS_NO, NQ_INHERIT, NQ_KEEP_AUTO, NQ_INHERIT, NQ_F16, true, true},
        {NQ_LOSSLESS_YES, NQ_INHERIT, NQ_KEEP_AUTO, NQ_INHERIT, NQ_F16, false, true},
        {NQ_LOSSLESS_YES, NQ_INHERIT, NQ_KEEP_AUTO, NQ_INHERIT, NQ_BF16, false, true},
        {NQ_LOSSLESS_YES, NQ_INHERIT, NQ_KEEP_AUTO, NQ_INHERIT, NQ_F32, true, true},
        {NQ_LOSSLESS_YES, NQ_INHERIT, NQ_KEEP_ALWAYS, NQ_INHERIT, NQ_F32, false, true},
        {NQ_LOSSLESS_NO, NQ_INHERIT, NQ_KEEP_ALWAYS, NQ_INHERIT, NQ_F32, false, false},
        {NQ_LOSSLESS_YES, NQ_INHERIT, NQ_KEEP_NEVER, NQ_INHERIT, NQ_F16, true, true},
        {NQ_LOSSLESS_YES, NQ_INHERIT, NQ_KEEP_AUTO, NQ_TARGET_STEP, NQ_F16, true, true},
        {NQ_LOSSLESS_YES, NQ_LOSSLESS_YES, NQ_KEEP_NEVER, NQ_TARGET_STEP, NQ_F16, false, true},
        {NQ_LOSSLESS_NO, NQ_LOSSLESS_YES, NQ_KEEP_AUTO, NQ_INHERIT, NQ_F32, false, true},
        {NQ_LOSSLESS_YES, NQ_LOSSLESS_NO, NQ_KEEP_AUTO, NQ_INHERIT, NQ_BF16, true, true},
        {NQ_LOSSLESS_YES, NQ_LOSSLESS_NO, NQ_KEEP_AUTO, NQ_INHERIT, NQ_I8, false, false},
        {NQ_LOSSLESS_YES, NQ_INHERIT, NQ_KEEP_AUTO, NQ_INHERIT, NQ_I8, false, true},
        {NQ_LOSSLESS_YES, NQ_INHERIT, NQ_KEEP_ALWAYS, NQ_INHERIT, NQ_U16, false, true},
        {NQ_LOSSLESS_YES, NQ_INHERIT, NQ_KEEP_AUTO, NQ_INHERIT, NQ_I32, false, false},
        {NQ_LOSSLESS_YES, NQ_INHERIT, NQ_KEEP_AUTO, NQ_INHERIT, NQ_F64, false, false},
    };
    uint8_t *data = calloc(N, 8); /* zeros but for a few */
    (void)state;
    for (size_t i = 0; i < 100; i++)
        data[40 * i] = (uint8_t)(1 + i % 40);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const wish w = {.lossless = cases[i].plan, .codec = NQ_CODEC_AUTO, .min_elements = 1024};
        nq_plan *plan = begin_plan(&w, NULL);
        nq_plan_tensor_options own;
        nq_plan_tensor_report report = {.struct_size = sizeof report};
        nq_plan_tensor_options_init(&own);
        own.lossless = cases[i].own;
        own.keep = cases[i].keep;
        own.target = cases[i].target;
        own.target_value = 0.25;
        const nq_tensor t = describe("t", cases[i].dtype, data, N);
        assert_int_equal(nq_plan_add(plan, &t, NULL, &own), NQ_OK);
        assert_int_equal(nq_plan_write(plan, NULL), NQ_OK);
        assert_int_equal(nq_plan_get_tensor_report(plan, 0, &report), NQ_OK);
        assert_int_equal(report.is_quantized, cases[i].is_quantized);
        assert_int_equal(report.codec != NQ_CODEC_STORED, cases[i].is_coded);
        if (!cases[i].is_quantized && cases[i].is_coded)
            assert_true(report.bytes < N * bytes_of(cases[i].dtype) && report.max_abs_error == 0);
        nq_plan_destroy(plan);
    }
    free(data);
}

/* What is measured without a sink is what is written, by any number of workers. */
static void same_bytes(void **state)
{
    enum { N = 600000 };
    uint8_t *data = make_elements(NQ_BF16, N, 5), *more = make_elements(NQ_F32, N, 6);
    bytes first = {0};
    (void)state;
    for (uint32_t n_threads = 1; n_threads < 6; n_threads += 2) {
        const wish w = {.lossless = NQ_LOSSLESS_YES,
                        .codec = NQ_CODEC_AUTO,
                        .block_log2 = 15,
                        .min_elements = UINT64_MAX};
        nq_ctx *ctx = make_ctx(n_threads, n_threads == 5);
        nq_plan *plan = begin_plan(&w, ctx);
        const nq_tensor t = describe("a", NQ_BF16, data, N), u = describe("b", NQ_F32, more, N);
        nq_plan_report report = {.struct_size = sizeof report};
        assert_int_equal(nq_plan_add(plan, &t, NULL, NULL), NQ_OK);
        assert_int_equal(nq_plan_add(plan, &u, NULL, NULL), NQ_OK);
        assert_int_equal(nq_plan_write(plan, NULL), NQ_OK);
        assert_int_equal(nq_plan_get_report(plan, &report), NQ_OK);
        bytes file = end_plan(plan);
        assert_int_equal(report.compressed_bytes, file.n);
        if (first.n == 0) {
            first = file;
        } else {
            assert_int_equal(first.n, file.n);
            assert_memory_equal(first.at, file.at, file.n);
            bytes_free(&file);
        }
        nq_ctx_destroy(ctx);
    }
    bytes_free(&first);
    free(data);
    free(more);
}

/* Memory that runs out at any place leaves nothing behind. */
static void no_memory(void **state)
{
    enum { N = 3000 };
    static uint32_t n_workers = 2;
    uint8_t *data = make_elements(NQ_BF16, N, 5);
    nq_status status = NQ_E_NOMEM;
    (void)state;
    for (unsigned failing = 1; status == NQ_E_NOMEM && failing < 2000; failing++) {
        counting c = {.failing_call = failing};
        nq_ctx_options options;
        nq_ctx *ctx;
        nq_plan_options plan_options;
        nq_plan *plan = NULL;
        nq_ctx_options_init(&options);
        options.alloc = count_alloc;
        options.free = count_free;
        options.alloc_user = &c;
        options.parallel_for = run_backwards;
        options.parallel_user = &n_workers;
        options.max_workers = n_workers;
        if ((status = nq_ctx_create(&ctx, &options)) != NQ_OK)
            continue;
        nq_plan_options_init(&plan_options);
        plan_options.lossless = NQ_LOSSLESS_YES;
        const nq_tensor t = describe("a", NQ_BF16, data, N);
        status = nq_plan_create(&plan, ctx, &plan_options);
        if (status == NQ_OK)
            status = nq_plan_add(plan, &t, NULL, NULL);
        if (status == NQ_OK)
            status = nq_plan_write(plan, NULL);
        nq_plan_destroy(plan);
        nq_ctx_destroy(ctx);
        assert_int_equal(c.n_open, 0);
    }
    assert_int_equal(status, NQ_OK);
    free(data);
}

/* Any flipped byte of a payload is noticed or, unchecked, does no harm. */
static void damage(void **state)
{
    static const uint32_t dtypes[] = {NQ_F32, NQ_F16, NQ_I8};
    enum { N = 1500 };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const wish w = {.lossless = NQ_LOSSLESS_YES,
                        .codec = i == 1 ? NQ_CODEC_HUFFMAN : NQ_CODEC_RANS,
                        .block_log2 = 10,
                        .min_elements = UINT64_MAX};
        uint8_t *data = make_elements(dtypes[i], N, i), found[4 * N];
        bytes file = write_one(&w, dtypes[i], data, N, NULL);
        nq_reader *r = open_span(&file);
        const nq_tensor_info info = tensor_info(r, 0);
        assert_int_not_equal(info.codec, NQ_CODEC_STORED);
        for (uint64_t at = 0; at < info.payload_bytes; at++) {
            uint8_t *byte = file.at + info.payload_offset + at;
            const uint8_t before = *byte;
            *byte ^= (uint8_t)(1 + at * 37 % 255);
            assert_int_not_equal(nq_reader_decode(r, NULL, 0, dtypes[i], 0, N, found, NULL), NQ_OK);
            nq_decoder *d;
            nq_decoder_options options;
            nq_decoder_options_init(&options);
            options.flags = NQ_DECODER_SKIP_CHECKSUMS;
            if (nq_decoder_create(&d, NULL, r, 0, &options, NULL) == NQ_OK) {
                const nq_status status = nq_decoder_read(d, dtypes[i], 0, N, found);
                assert_true(status == NQ_OK || status == NQ_E_CORRUPT || status == NQ_E_TRUNCATED);
                nq_decoder_destroy(d);
            }
            *byte = before;
        }
        nq_reader_destroy(r);
        bytes_free(&file);
        free(data);
    }
}

/* Files that this library does not write: fixed codes, blocks too short for their raw bytes, types
 * and references that there cannot be. */
static void strange_files(void **state)
{
    uint8_t block_of_32[4 * 10], block_of_8[10];
    (void)state;
    for (unsigned i = 0; i < 10; i++) { /* the upper halves, then the lower ones */
        const uint32_t bits = 0x7fa01000u + i * 0x10001u, turned = bits << 1 | bits >> 31;
        poke(block_of_32 + 2 * i, turned >> 16, 2);
        poke(block_of_32 + 20 + 2 * i, turned & 0xffff, 2);
        block_of_8[i] = (uint8_t)(0x80 ^ (250 + i));
    }
    const shape f32 = {"a", NQ_F32, 1, {10}, 6}, i8 = {"b", NQ_I8, 1, {10}, 6},
                short_one = {"c", NQ_F32, 1, {10}, 6}, empty = {"d", NQ_F16, 1, {0}, 6};
    const bytes blocks[] = {
        {.at = block_of_32, .n = 40}, {.at = block_of_8, .n = 10}, {.at = block_of_32, .n = 19}};
    nq_file f = {.size_width = 2};
    file_quantized(&f, &f32, NQ_CODEC_FIXED, UINT32_MAX, UINT32_MAX, &blocks[0], 1);
    file_quantized(&f, &i8, NQ_CODEC_FIXED, UINT32_MAX, UINT32_MAX, &blocks[1], 1);
    file_quantized(&f, &short_one, NQ_CODEC_FIXED, UINT32_MAX, UINT32_MAX, &blocks[2], 1);
    file_quantized(&f, &empty, NQ_CODEC_FIXED, UINT32_MAX, UINT32_MAX, NULL, 0);
    bytes file = file_build(&f);
    nq_reader *r = open_span(&file);
    uint32_t bits[10];
    int8_t small[10];
    assert_int_equal(nq_reader_decode(r, NULL, 0, NQ_F32, 0, 10, bits, NULL), NQ_OK);
    assert_int_equal(nq_reader_decode(r, NULL, 1, NQ_I8, 0, 10, small, NULL), NQ_OK);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(bits[i], 0x7fa01000u + i * 0x10001u); /* NaN that signal */
        assert_int_equal((uint8_t)small[i], (uint8_t)(250 + i));
    }
    assert_int_equal(nq_reader_decode(r, NULL, 1, NQ_F32, 0, 10, bits, NULL), NQ_E_ARG);
    assert_int_equal(nq_reader_decode(r, NULL, 2, NQ_F32, 0, 10, bits, NULL), NQ_E_TRUNCATED);
    assert_int_equal(nq_reader_decode(r, NULL, 3, NQ_F16, 0, 0, NULL, NULL), NQ_OK);
    nq_reader_destroy(r);
    bytes_free(&file);
    file_free(&f);

    static const uint32_t unfit[] = {NQ_F64, NQ_I32, NQ_U64, NQ_C64};
    for (size_t i = 0; i < 4; i++) {
        const shape s = {"a", unfit[i], 1, {10}, 6};
        nq_file g = {.size_width = 2};
        file_quantized(&g, &s, NQ_CODEC_FIXED, UINT32_MAX, UINT32_MAX, &blocks[0], 1);
        check_file(&g, NQ_E_UNSUPPORTED);
    }
    nq_file h = {.size_width = 2};
    file_quantized(&h, &f32, NQ_CODEC_HUFFMAN, UINT32_MAX, UINT32_MAX, &blocks[0], 1);
    check_file(&h, NQ_E_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bit_for_bit),   cmocka_unit_test(sparse),
        cmocka_unit_test(values),        cmocka_unit_test(edges),
        cmocka_unit_test(whose_turn),    cmocka_unit_test(same_bytes),
        cmocka_unit_test(no_memory),     cmocka_unit_test(damage),
        cmocka_unit_test(strange_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
