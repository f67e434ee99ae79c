/*
 * Decoding what is damaged: every bit of a file, directories, contents and tables that are wrong
 * behind right checksums, and hooks that fail. Damage is reported and named, and decoding stays
 * safe.
 */
#include "container/reader.h"
#include "nq_model.h"

/* ---- Damage -------------------------------------------------------------------------------- */

/* A small file with a bit of everything, in which each bit can be tried. */
static bytes small_file(uint64_t *first_data)
{
    nq_file f = {.size_width = 2};
    static const uint8_t raw[100] = {3, 1, 4, 1, 5, 9};
    coded fixed = make_coded("fixed", NQ_F32, NQ_CODEC_FIXED, 150, 6, 6, 21);
    coded huffman = make_coded("huffman", NQ_F16, NQ_CODEC_HUFFMAN, 200, 12, 6, 22);
    file_metadata(&f, "key", "value");
    add_coded(&f, &fixed);
    add_coded(&f, &huffman);
    file_stored(&f, &(shape){"stored", NQ_F32, 1, {25}, 6}, raw, 100);
    bytes file = file_build(&f);
    *first_data = HEADER_BYTES + peek(file.at + 40, 4);
    file_free(&f);
    free_coded(&fixed);
    free_coded(&huffman);
    return file;
}

/* What verifying told. */
typedef struct told {
    unsigned n;
    unsigned stops_at; /* counted from 1; 0: never */
    nq_status status[8];
    uint64_t tensor[8];
} told;

static int32_t tell(void *user, const nq_diag *diag)
{
    told *t = user;
    assert_true(t->n < 8 && diag->status != NQ_OK && diag->what[0] != '\0');
    t->status[t->n] = diag->status;
    t->tensor[t->n++] = diag->tensor;
    return t->n == t->stops_at;
}

/* Tensor that the byte at `offset` belongs to, of its payload, its codebook or its code table. */
static uint64_t owner_of(const nq_reader *r, uint64_t offset)
{
    nq_reader_info all;
    nq_reader_info_init(&all);
    assert_int_equal(nq_reader_get_info(r, &all), NQ_OK);
    for (uint32_t i = 0; i < all.n_tensors; i++) {
        nq_tensor_info info;
        nq_tensor_info_init(&info);
        assert_int_equal(nq_reader_tensor(r, i, &info), NQ_OK);
        if (offset >= info.payload_offset && offset < info.payload_offset + info.payload_bytes)
            return i;
        const uint32_t tables[] = {info.codebook, info.code_table};
        for (unsigned k = 0; k < 2; k++) {
            nqi_table_record table;
            if (tables[k] == NQ_NO_ID)
                continue;
            nqi_reader_get_table(&table, r, tables[k]);
            if (offset >= table.offset && offset < table.offset + table.n_bytes)
                return i;
        }
    }
    return NQ_NONE;
}

static uint64_t first_payload(const nq_reader *r)
{
    nq_tensor_info info;
    nq_tensor_info_init(&info);
    assert_int_equal(nq_reader_tensor(r, 0, &info), NQ_OK);
    return info.payload_offset;
}

/* Every single bit of a file: opening or verifying reports it, and verifying names the one tensor.
 */
static void test_every_bit(void **state)
{
    (void)state;
    uint64_t first_data;
    bytes file = small_file(&first_data);
    for (size_t bit = 0; bit < 8 * file.n; bit++) {
        nq_reader *r;
        file.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const nq_status opened = nq_reader_open(&r, NULL, file.at, file.n, NULL);
        assert_int_equal(opened == NQ_OK, bit / 8 >= first_data);
        if (opened == NQ_OK) {
            told t = {0};
            nq_diag diag;
            nq_diag_init(&diag);
            const nq_status status = nq_reader_verify(r, NULL, NQ_NONE, tell, &t, &diag);
            const uint64_t owner = owner_of(r, bit / 8);
            assert_true(status == NQ_E_CHECKSUM || status == NQ_E_CORRUPT);
            assert_true(t.n >= 1 && status == t.status[0] && diag.status == status);
            assert_true(owner != NQ_NONE && t.tensor[t.n - 1] == owner);
            assert_int_equal(t.n, bit / 8 < first_payload(r) ? 2 : 1); /* the table, too */
            assert_true(t.n == 1 || t.tensor[0] == NQ_NONE);
            for (uint64_t i = 0; i < 3; i++)
                assert_int_equal(nq_reader_verify(r, NULL, i, NULL, NULL, NULL) == NQ_OK,
                                 i != owner);
            nq_reader_destroy(r);
        }
        file.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    bytes_free(&file);
}

/* Tables that no tensor uses are looked at, too. */
static void test_unused_tables(void **state)
{
    (void)state;
    static const float levels[] = {1, 2};
    nq_file f = {.size_width = 1};
    file_codebook_f32(&f, levels, 2);
    file_code_table(&f, 2, levels, 8);
    bytes file = file_build(&f);
    nq_reader *r = open_span(&file);
    told t = {0};
    assert_int_equal(nq_reader_verify(r, NULL, NQ_NONE, tell, &t, NULL), NQ_OK);
    assert_int_equal(t.n, 0);
    for (size_t k = 1; k <= 2; k++) {
        t = (told){0};
        file.at[file.n - 8 * k + 3] ^= 1;
        assert_int_equal(nq_reader_verify(r, NULL, NQ_NONE, tell, &t, NULL), NQ_E_CHECKSUM);
        assert_true(t.n == k && t.tensor[0] == NQ_NONE && t.tensor[k - 1] == NQ_NONE);
    }
    nq_reader_destroy(r);
    bytes_free(&file);
    file_free(&f);
}

/* Damage in several tensors: each is told once, in the file's order; a hook may have enough. */
static void test_verify_goes_on(void **state)
{
    (void)state;
    model m = make_model();
    nq_reader *r = open_span(&m.file);
    nq_ctx *ctx = make_ctx(5, true);
    static const uint64_t damaged[] = {0, 3, 4, 8};
    nq_tensor_info info;
    nq_diag diag;
    nq_tensor_info_init(&info);
    nq_diag_init(&diag);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(nq_reader_tensor(r, damaged[i], &info), NQ_OK);
        m.file.at[info.payload_offset + info.payload_bytes - 1] ^= 0x10;
        m.file.at[info.payload_offset + info.payload_bytes / 2] ^= 0x10;
    }
    told all = {0}, two = {.stops_at = 2};
    assert_int_equal(nq_reader_verify(r, ctx, NQ_NONE, tell, &all, &diag), NQ_E_CHECKSUM);
    assert_int_equal(all.n, 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(all.tensor[i] == damaged[i] && all.status[i] == NQ_E_CHECKSUM);
    assert_true(diag.tensor == 0 && diag.element != NQ_NONE && diag.byte_offset != NQ_NONE);
    assert_int_equal(nq_reader_verify(r, ctx, NQ_NONE, tell, &two, &diag), NQ_E_CANCELLED);
    assert_int_equal(two.n, 2);
    assert_int_equal(nq_reader_verify(r, ctx, NQ_NONE, NULL, NULL, NULL), NQ_E_CHECKSUM);
    nq_ctx_destroy(ctx);
    nq_reader_destroy(r);
    free_model(&m);
}

/* Elements of less than a byte: the first that has bits in the damaged block is named. */
static void test_place_in_packed_elements(void **state)
{
    (void)state;
    static const unsigned dtypes[] = {NQ_F4, NQ_F6_E2M3, NQ_F6_E3M2, NQ_U8, NQ_F64};
    static const unsigned bits[] = {4, 6, 6, 8, 64};
    static const uint8_t data[300];
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned block = 0; block < 4; block++) {
            nq_file f = {.size_width = 2};
            file_stored(&f, &(shape){"t", dtypes[i], 1, {240 * 8 / bits[i]}, 6}, data, 240);
            f.payloads.at[4 * block] ^= 1;
            bytes file = file_build(&f);
            nq_reader *r = open_span(&file);
            nq_diag diag;
            nq_diag_init(&diag);
            assert_int_equal(nq_reader_verify(r, NULL, 0, NULL, NULL, &diag), NQ_E_CHECKSUM);
            assert_true(diag.element == 64 * 8 * block / bits[i]);
            assert_true(diag.byte_offset == file.n - 240 + 64 * block);
            nq_reader_destroy(r);
            bytes_free(&file);
            file_free(&f);
        }
    }
}

/* Of two damaged blocks the first is reported, whoever decodes which. */
static void test_first_damage(void **state)
{
    (void)state;
    model m = make_model();
    nq_reader *r = open_span(&m.file);
    nq_tensor_info info;
    float *out = malloc(N_LARGEST * sizeof *out);
    nq_tensor_info_init(&info);
    assert_int_equal(nq_reader_tensor(r, 0, &info),
                     NQ_OK); /* 16 blocks of 24 bytes, the last of 15 */
    uint8_t *blocks = m.file.at + info.payload_offset + 16 * 4 + 15 * 4;
    blocks[24 * 5 + 1] ^= 1;
    blocks[24 * 11 + 2] ^= 1;
    for (unsigned k = 1; k <= 5; k++) {
        nq_ctx *ctx = make_ctx(k, k % 2);
        nq_diag diag;
        nq_diag_init(&diag);
        assert_int_equal(nq_reader_decode(r, ctx, 0, NQ_F32, 0, 1000, out, &diag), NQ_E_CHECKSUM);
        assert_true(diag.tensor == 0 && diag.element == 5 * 64);
        assert_true(diag.byte_offset == (uint64_t)(blocks + 24 * 5 - m.file.at));
        assert_int_equal(nq_reader_decode(r, ctx, 0, NQ_F32, 0, 5 * 64, out, &diag), NQ_OK);
        assert_int_equal(nq_reader_decode(r, ctx, 0, NQ_F32, 6 * 64, 5 * 64, out, &diag), NQ_OK);
        assert_int_equal(nq_reader_decode(r, ctx, 0, NQ_F32, 6 * 64, 6 * 64, out, &diag),
                         NQ_E_CHECKSUM);
        assert_true(diag.element == 11 * 64);
        nq_ctx_destroy(ctx);
    }
    free(out);
    nq_reader_destroy(r);
    free_model(&m);
}

/* Without checksums damage may go unnoticed, but what comes out is made of the codebook's levels.
 */
static void test_skipped_checksums(void **state)
{
    (void)state;
    model m = make_model();
    nq_reader *r = open_span(&m.file);
    float *out = malloc(N_LARGEST * sizeof *out);
    uint16_t *indices = malloc(N_LARGEST * sizeof *indices);
    uint64_t seed = 31;
    unsigned n_unnoticed = 0;
    for (unsigned round = 0; round < 300; round++) {
        const unsigned i = (unsigned)(unit_random(&seed) % N_CODED);
        const coded *t = &m.t[i];
        nq_tensor_info info;
        nq_tensor_info_init(&info);
        assert_int_equal(nq_reader_tensor(r, i, &info), NQ_OK);
        if (info.payload_bytes == 0)
            continue;
        nq_decoder *d =
            make_decoder(r, i, NQ_DECODER_SKIP_CHECKSUMS | (round % 2) * NQ_DECODER_SMALL_TABLES);
        uint8_t *byte = m.file.at + info.payload_offset + unit_random(&seed) % info.payload_bytes;
        const uint8_t kept = *byte;
        *byte ^= (uint8_t)(1 + unit_random(&seed) % 255);
        const nq_status status = nq_decoder_read_indices(d, 0, t->n, indices);
        assert_true(status == NQ_OK || status == NQ_E_CORRUPT || status == NQ_E_TRUNCATED);
        for (size_t k = 0; status == NQ_OK && k < t->n; k++)
            assert_true(indices[k] < t->n_levels);
        n_unnoticed += status == NQ_OK;
        assert_int_equal(nq_decoder_read(d, NQ_F32, 0, t->n, out), status);
        assert_int_equal(nq_reader_verify(r, NULL, i, NULL, NULL, NULL) == NQ_OK, false);
        *byte = kept;
        assert_int_equal(nq_decoder_read_indices(d, 0, t->n, indices), NQ_OK);
        assert_memory_equal(indices, t->indices, t->n * sizeof *indices);
        nq_decoder_destroy(d);
    }
    assert_true(n_unnoticed > 20);
    free(out);
    free(indices);
    nq_reader_destroy(r);
    free_model(&m);
}

/* ---- Directories --------------------------------------------------------------------------- */

/* A tensor of three blocks whose ends are as given; the blocks' bytes are there. Behind a callback
 * the whole directory is looked at when a decoder is made; in a span an end only when it is needed,
 * and a checksum may tell first. */
static void check_ends(uint32_t first, uint32_t second, nq_status expected,
                       nq_status behind_callback)
{
    coded t = make_coded("t", NQ_F32, NQ_CODEC_FIXED, 3 * 64, 16, 6, 41); /* 32 bytes a block */
    nq_file f = {.size_width = 2};
    add_coded(&f, &t);
    poke(f.payloads.at + 12, first, 4);
    poke(f.payloads.at + 16, second, 4);
    bytes file = file_build(&f);
    behind b = {.file = &file};
    nq_reader *span = open_span(&file), *callback = open_behind(&b, NULL);
    float out[3 * 64];
    nq_decoder *d;
    nq_diag diag;
    nq_diag_init(&diag);
    assert_int_equal(nq_reader_verify(span, NULL, 0, NULL, NULL, NULL), expected);
    assert_int_equal(nq_reader_verify(callback, NULL, 0, NULL, NULL, NULL), behind_callback);
    assert_int_equal(nq_reader_decode(span, NULL, 0, NQ_F32, 0, 192, out, NULL), expected);
    assert_int_equal(nq_reader_decode(callback, NULL, 0, NQ_F32, 0, 192, out, NULL),
                     behind_callback);
    for (unsigned flags = 0; flags < 2; flags++) {
        nq_decoder_options options = {.struct_size = sizeof options, .flags = flags};
        assert_int_equal(nq_decoder_create(&d, NULL, span, 0, &options, NULL), NQ_OK);
        const nq_status status = nq_decoder_read(d, NQ_F32, 0, 192, out);
        /* Lengths are wrong then, which fixed-length codes tell by themselves. */
        assert_true(status == expected || (flags && status == NQ_E_TRUNCATED) ||
                    (flags && status == NQ_E_CORRUPT));
        nq_decoder_destroy(d);
    }
    const nq_status made = nq_decoder_create(&d, NULL, callback, 0, NULL, &diag);
    assert_true(made == NQ_OK || made == NQ_E_CORRUPT);
    assert_int_equal(made == NQ_OK, first <= second && second <= 96);
    nq_decoder_destroy(d);
    nq_reader_destroy(span);
    nq_reader_destroy(callback);
    bytes_free(&file);
    file_free(&f);
    free_coded(&t);
}

static void test_directories(void **state)
{
    (void)state;
    check_ends(32, 64, NQ_OK, NQ_OK);
    check_ends(64, 32, NQ_E_CHECKSUM, NQ_E_CORRUPT);
    check_ends(32, 31, NQ_E_CORRUPT, NQ_E_CORRUPT);
    check_ends(97, 97, NQ_E_CORRUPT, NQ_E_CORRUPT);
    check_ends(32, 97, NQ_E_CORRUPT, NQ_E_CORRUPT);
    check_ends(0xffffffff, 64, NQ_E_CORRUPT, NQ_E_CORRUPT);
    check_ends(32, 0xffffffff, NQ_E_CORRUPT, NQ_E_CORRUPT);
    check_ends(0, 64, NQ_E_CHECKSUM, NQ_E_CHECKSUM);
    check_ends(32, 96, NQ_E_CHECKSUM, NQ_E_CHECKSUM);
    check_ends(96, 96, NQ_E_CHECKSUM, NQ_E_CHECKSUM);
    check_ends(0, 0, NQ_E_CHECKSUM, NQ_E_CHECKSUM);
}

/* A source that breaks the contract and changes: a block that has grown since the decoder was made
 * does not fit its memory any more. */
static void test_changing_directory(void **state)
{
    (void)state;
    coded t = make_coded("t", NQ_F32, NQ_CODEC_FIXED, 300 * 64, 16, 6, 42); /* 32 bytes a block */
    nq_file f = {.size_width = 2};
    add_coded(&f, &t);
    bytes file = file_build(&f);
    uint8_t *ends = file.at + file.n - f.payloads.n + 300 * 4;
    behind b = {.file = &file};
    nq_reader *r = open_behind(&b, NULL);
    for (unsigned flags = 0; flags < 2; flags++) {
        float out[64];
        nq_decoder *d = make_decoder(r, 0, flags);
        poke(ends + 4 * 99, 299 * 32, 4); /* block 99 is now a hundred times what it was */
        assert_int_equal(nq_decoder_read(d, NQ_F32, 99 * 64, 64, out), NQ_E_CORRUPT);
        assert_int_equal(nq_decoder_read(d, NQ_F32, 98 * 64, 64, out), NQ_OK);
        poke(ends + 4 * 99, 100 * 32, 4);
        assert_int_equal(nq_decoder_read(d, NQ_F32, 99 * 64, 64, out), NQ_OK);
        nq_decoder_destroy(d);
    }
    nq_reader_destroy(r);
    bytes_free(&file);
    file_free(&f);
    free_coded(&t);
}

/* Right checksums around contents that are not what the code makes. */
static void test_wrong_contents(void **state)
{
    (void)state;
    coded t =
        make_coded("t", NQ_F32, NQ_CODEC_FIXED, 100, 5, 6, 51); /* 24 and 14 bytes, of 3 bits */
    static const struct {
        size_t lengths[2];
        nq_status expected;
    } cases[] = {{{24, 14}, NQ_OK},          {{23, 14}, NQ_E_TRUNCATED}, {{25, 14}, NQ_E_CORRUPT},
                 {{24, 13}, NQ_E_TRUNCATED}, {{24, 15}, NQ_E_CORRUPT},   {{0, 14}, NQ_E_TRUNCATED},
                 {{24, 0}, NQ_E_TRUNCATED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nq_file f = {.size_width = 2};
        uint8_t zeros[32] = {0};
        const bytes blocks[] = {{zeros, cases[i].lengths[0], 0}, {zeros, cases[i].lengths[1], 0}};
        file_quantized(&f, &t.s, 1, file_codebook_f32(&f, t.levels, 5), UINT32_MAX, blocks, 2);
        bytes file = file_build(&f);
        nq_reader *r = open_span(&file);
        told heard_of = {0};
        assert_int_equal(nq_reader_verify(r, NULL, NQ_NONE, tell, &heard_of, NULL),
                         cases[i].expected);
        assert_int_equal(heard_of.n, cases[i].expected != NQ_OK);
        nq_reader_destroy(r);
        bytes_free(&file);
        file_free(&f);
    }
    free_coded(&t);
}

/* ---- Damaged tables ------------------------------------------------------------------------ */

/* A grid or code table that its checksum approves of and that is wrong all the same. */
static void test_wrong_tables(void **state)
{
    (void)state;
    static const uint8_t too_many[] = {0, 9}, left_over[] = {0, 2, 0, 0, 0};
    static const struct {
        const uint8_t *data;
        size_t n;
    } grids[] = {{too_many, 2}, {left_over, 5}};
    const bytes none = {0};
    for (size_t i = 0; i < 2; i++) {
        nq_file f = {.size_width = 1};
        const uint32_t book = file_codebook(&f, 3, grids[i].data, grids[i].n, 3, 1);
        file_quantized(&f, &(shape){"t", 0, 1, {0}, 6}, 1, book, UINT32_MAX, &none, 0);
        bytes file = file_build(&f);
        nq_reader *r = open_span(&file);
        nq_decoder *d;
        nq_diag diag;
        nq_diag_init(&diag);
        assert_int_equal(nq_decoder_create(&d, NULL, r, 0, NULL, &diag), NQ_E_CORRUPT);
        assert_true(d == NULL && diag.tensor == 0 && diag.byte_offset == file.n - grids[i].n);
        assert_int_equal(nq_reader_verify(r, NULL, NQ_NONE, NULL, NULL, NULL), NQ_E_CORRUPT);
        nq_reader_destroy(r);
        bytes_free(&file);
        file_free(&f);
    }
}

/* A Huffman tensor whose table is of no use: empty, or another's. */
static void test_wrong_code_tables(void **state)
{
    (void)state;
    static const uint8_t any[64] = {0xff, 1, 2, 3};
    static const float levels[] = {1, 2, 3};
    const bytes block = {.at = (uint8_t *)any, .n = 5};
    for (size_t n = 0; n <= sizeof any; n++) {
        nq_file f = {.size_width = 1};
        const uint32_t book = file_codebook_f32(&f, levels, 3);
        const uint32_t code = file_code_table(&f, 2, any, n);
        file_quantized(&f, &(shape){"t", 0, 1, {9}, 6}, 2, book, code, &block, 1);
        bytes file = file_build(&f);
        behind b = {.file = &file};
        nq_reader *span = open_span(&file), *callback = open_behind(&b, NULL);
        const nq_status status = nq_reader_verify(span, NULL, 0, NULL, NULL, NULL);
        assert_true(status == NQ_E_CORRUPT || status == NQ_E_TRUNCATED);
        assert_int_equal(nq_reader_verify(callback, NULL, 0, NULL, NULL, NULL), status);
        nq_reader_destroy(span);
        nq_reader_destroy(callback);
        bytes_free(&file);
        file_free(&f);
    }
}

/* ---- Hooks that fail ----------------------------------------------------------------------- */

/* One of the ways to decode. */
static nq_status decode_somehow(const nq_reader *r, const nq_ctx *ctx, unsigned way, float *out)
{
    nq_decoder *d;
    if (way == 0)
        return nq_reader_decode(r, ctx, 0, NQ_F32, 0, 1000, out, NULL);
    if (way == 1)
        return nq_reader_verify(r, ctx, NQ_NONE, NULL, NULL, NULL);
    const nq_status status = nq_decoder_create(&d, ctx, r, 3, NULL, NULL);
    nq_decoder_destroy(d);
    return status;
}

static void test_failing_allocations(void **state)
{
    (void)state;
    model m = make_model();
    nq_reader *r = open_span(&m.file);
    counting c = {0};
    uint32_t n_workers = 3;
    nq_ctx *ctx = make_counting_ctx(&c, &n_workers);
    const size_t of_context = c.n_open;
    float *out = malloc(1000 * sizeof *out);
    for (unsigned way = 0; way < 3; way++) {
        for (unsigned k = 1;; k++) {
            c.n_calls = 0;
            c.failing_call = k;
            const nq_status status = decode_somehow(r, ctx, way, out);
            assert_int_equal(c.n_open, of_context);
            if (status == NQ_OK) {
                assert_true(c.n_calls < k && c.n_calls >= (way == 0 ? 4 : 1));
                break;
            }
            assert_int_equal(status, NQ_E_NOMEM);
        }
    }
    c.failing_call = 0;
    free(out);
    nq_ctx_destroy(ctx);
    nq_reader_destroy(r);
    free_model(&m);
}

static void test_failing_reads(void **state)
{
    (void)state;
    model m = make_model();
    behind b = {.file = &m.file};
    nq_reader *r = open_behind(&b, NULL);
    uint32_t n_workers = 3;
    counting c = {0};
    nq_ctx *ctx = make_counting_ctx(&c, &n_workers);
    float *out = malloc(1000 * sizeof *out);
    for (unsigned way = 0; way < 3; way++) {
        for (unsigned k = 1;; k += 1 + k / 16) {
            b.n_calls = 0;
            b.failing_call = k;
            const nq_status status = decode_somehow(r, ctx, way, out);
            if (status == NQ_OK)
                break;
            assert_int_equal(status, HOOKS_OWN_STATUS);
        }
    }
    free(out);
    nq_ctx_destroy(ctx);
    nq_reader_destroy(r);
    free_model(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_bit),         cmocka_unit_test(test_unused_tables),
        cmocka_unit_test(test_verify_goes_on),    cmocka_unit_test(test_place_in_packed_elements),
        cmocka_unit_test(test_first_damage),      cmocka_unit_test(test_skipped_checksums),
        cmocka_unit_test(test_directories),       cmocka_unit_test(test_changing_directory),
        cmocka_unit_test(test_wrong_contents),    cmocka_unit_test(test_wrong_tables),
        cmocka_unit_test(test_wrong_code_tables), cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_failing_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
