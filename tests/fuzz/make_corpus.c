/*
 * Makes the files of tests/fuzz/corpus, always the same ones:
 *
 *     make_corpus FOLDER     writes them, and prints a line about each for corpus/README.md
 *
 * Their names begin with what reading them must say: good, bad_corrupt, bad_truncated,
 * bad_checksum, bad_limit or unsupported. Written from docs/format with no code of the library.
 */
#include "test_huffman_oracle.h"
#include "valid_file.h"

static const char *folder;

static void put(const char *name, const char *about, bytes *b)
{
    char path[4096];
    assert_true((size_t)snprintf(path, sizeof path, "%s/%s.nq", folder, name) < sizeof path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(b->n == 0 || fwrite(b->at, 1, b->n, file) == b->n);
    assert_true(fclose(file) == 0);
    printf("| %s | %s |\n", name, about);
    bytes_free(b);
}

static bytes copy_of(const bytes *b)
{
    bytes copy = {0};
    bytes_put(&copy, b->at, b->n);
    return copy;
}

/* ---- Good ---------------------------------------------------------------------------------- */

enum kind { WHOLE, BY_CHANNEL, PATTERNS };

/* The first legal tensor of this kind, by rising seeds, of a few hundred elements. */
static bytes find_tensor(uint32_t codec, enum kind kind, size_t n_blocks)
{
    for (uint64_t number = 0;; number++) {
        uint64_t seed = number;
        nq_file f = {.size_width = 2, .original_bytes = number};
        valid_tensor t = {.codec = codec, .s = {.name = "t"}};
        t.s.block_log2 = 6 + (unsigned)(unit_random(&seed) % 3);
        if (kind == PATTERNS)
            valid_put_patterns(&f, &t, &seed);
        else
            valid_put_quantized(&f, &t, &seed);
        valid_file v = {.file = file_build(&f), .n_tensors = 1, .t = {t}};
        file_free(&f);
        if (t.n > 100 && (t.n - 1) >> t.s.block_log2 >= n_blocks - 1 && v.file.n < 2500 &&
            (t.channels != NULL) == (kind == BY_CHANNEL)) {
            bytes file = v.file;
            v.file = (bytes){0};
            valid_file_free(&v);
            return file;
        }
        valid_file_free(&v);
    }
}

static const char *const codec_names[] = {"stored", "fixed", "huffman", "rans", "gaps"};

static void put_good_codecs(void)
{
    static const char *const kinds[] = {"whole", "channels", "patterns"};
    for (uint32_t codec = NQ_CODEC_FIXED; codec <= NQ_CODEC_HUFFMAN_GAPS; codec++)
        for (enum kind kind = WHOLE; kind <= PATTERNS; kind++) {
            char name[64];
            bytes file = find_tensor(codec, kind, 2);
            (void)snprintf(name, sizeof name, "good_%s_%s", codec_names[codec], kinds[kind]);
            put(name,
                kind == WHOLE        ? "a quantized tensor of several blocks"
                : kind == BY_CHANNEL ? "levels by channel"
                                     : "a tensor coded without loss",
                &file);
        }
}

static void put_good_others(void)
{
    static const float one_level[] = {0.5f};
    static const uint8_t raw[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const bytes nothing = {0};
    nq_file none = {.size_width = 1}, empty = {.size_width = 8}, tiny = {.size_width = 1};
    bytes file = file_build(&none);
    put("good_no_tensors", "nothing but a header", &file);
    file_metadata(&empty, "", "");
    file_stored(&empty, &(shape){"", NQ_F64, 3, {1u << 30, 0, 1u << 30}, 24}, raw, 0);
    const uint32_t book = file_codebook_f32(&empty, one_level, 1);
    file_quantized(&empty, &(shape){"q", NQ_F16, 1, {0}, 6}, NQ_CODEC_FIXED, book, UINT32_MAX,
                   &nothing, 0);
    file = file_build(&empty);
    put("good_no_elements", "tensors without elements, names and metadata without characters",
        &file);
    file_stored(&tiny, &(shape){"scalar", NQ_C64, 0, {0}, 6}, raw, 8);
    file_stored(&tiny, &(shape){"packed", NQ_F4, 8, {1, 1, 2, 1, 2, 1, 1, 4}, 6}, raw, 8);
    const uint32_t single = file_codebook_f32(&tiny, one_level, 1);
    const bytes blocks[3] = {{0}};
    file_quantized(&tiny, &(shape){"one level", NQ_BF16, 1, {130}, 6}, NQ_CODEC_FIXED, single,
                   UINT32_MAX, blocks, 3);
    file = file_build(&tiny);
    put("good_scalar_packed_one_level", "elements of four bits; blocks of no bytes", &file);
    file_free(&none);
    file_free(&empty);
    file_free(&tiny);
    uint64_t seed = 20;
    valid_file v;
    do {
        v = valid_file_make(&seed);
        if (v.n_tensors == VALID_MAX_TENSORS && v.n_metadata > 0 && v.file.n < 9000)
            break;
        valid_file_free(&v);
    } while (true);
    file = copy_of(&v.file);
    put("good_four_tensors", "several tensors, tables that others skip, metadata", &file);
    valid_file_free(&v);
}

/* ---- Headers ------------------------------------------------------------------------------- */

/* A file with the `width` bytes at `at` replaced, and the header's checksum made right if asked. */
static void put_changed(const char *name, const char *about, const bytes *base, size_t at,
                        uint64_t value, unsigned width, bool seals)
{
    bytes file = copy_of(base);
    poke(file.at + at, value, width);
    if (seals)
        seal_header(file.at);
    put(name, about, &file);
}

static void put_headers(const bytes *base)
{
    bytes cut = copy_of(base), longer = copy_of(base), nothing = {0};
    put("bad_corrupt_no_bytes", "an empty file", &nothing);
    cut.n = 40;
    put("bad_truncated_header", "cut off in the header", &cut);
    cut = copy_of(base);
    cut.n = HEADER_BYTES + 5;
    put("bad_truncated_index", "cut off in the index", &cut);
    cut = copy_of(base);
    cut.n--;
    put("bad_truncated_payload", "the last byte is missing", &cut);
    put_u(&longer, 0, 1);
    put("bad_corrupt_longer", "a byte too many", &longer);
    put_changed("bad_corrupt_magic", "another first byte", base, 0, 0x09, 1, true);
    put_changed("bad_checksum_header", "a flipped bit of original_bytes", base, 33, 0x55, 1, false);
    put_changed("bad_checksum_version", "another version, damaged: not unsupported", base, 12, 2, 2,
                false);
    put_changed("bad_checksum_index", "a flipped byte of the index", base, HEADER_BYTES + 3, 0xee,
                1, true);
    put_changed("bad_corrupt_header_bytes", "a header of 65 bytes", base, 14, 65, 2, true);
    put_changed("bad_corrupt_reserved", "reserved bytes that are not zero", base, 61, 1, 1, true);
    put_changed("bad_corrupt_size_width", "sizes of nine bytes", base, 60, 9, 1, true);
    put_changed("bad_corrupt_size_width_zero", "sizes of no bytes", base, 60, 0, 1, true);
    put_changed("bad_corrupt_index_bytes", "an index larger than its file", base, 40, 0xffffffff, 4,
                true);
    put_changed("bad_corrupt_n_tensors", "more tensors than the index can hold", base, 48,
                0xffffffff, 4, true);
    put_changed("bad_corrupt_n_metadata", "2^32 - 1 pairs of metadata", base, 56, 0xffffffff, 4,
                true);
    put_changed("bad_truncated_file_bytes", "a file of 2^63 bytes", base, 24, UINT64_C(1) << 63, 8,
                true);
    put_changed("unsupported_version", "version 2", base, 12, 2, 2, true);
    put_changed("unsupported_feature", "a required feature", base, 16, 0x80000000, 4, true);
    put_changed("good_optional_feature", "an optional feature that is not known", base, 20,
                0xffffffff, 4, true);
}

/* ---- Records ------------------------------------------------------------------------------- */

static const float four_levels[] = {-1, 0, 1, 2};

/* A file of one stored tensor whose record is changed. */
static void put_record_of(const char *name, const char *about, const shape *s, size_t n_bytes,
                          unsigned codec_byte)
{
    static const uint8_t zeros[256];
    nq_file f = {.size_width = 2};
    file_stored(&f, s, zeros, n_bytes);
    /* The codec stands in front of block_log2, which is the last byte. */
    f.tensors.at[f.tensors.n - 2] = (uint8_t)codec_byte;
    bytes file = file_build(&f);
    put(name, about, &file);
    file_free(&f);
}

static void put_tensor_records(void)
{
    put_record_of("unsupported_dtype", "an element type that there is not",
                  &(shape){"t", 20, 1, {8}, 6}, 0, 0);
    put_record_of("unsupported_rank", "nine dimensions",
                  &(shape){"t", NQ_U8, 9, {1, 1, 1, 1, 1, 1, 1, 1, 8}, 6}, 8, 0);
    put_record_of("unsupported_codec", "codec 5", &(shape){"t", NQ_U8, 1, {8}, 6}, 8, 5);
    put_record_of("bad_corrupt_block_small", "blocks of 32 bytes", &(shape){"t", NQ_U8, 1, {8}, 5},
                  8, 0);
    put_record_of("bad_corrupt_block_large", "blocks of 2^25 bytes",
                  &(shape){"t", NQ_U8, 1, {8}, 25}, 8, 0);
    put_record_of("bad_corrupt_half_bytes", "three elements of four bits",
                  &(shape){"t", NQ_F4, 1, {3}, 6}, 2, 0);
    put_record_of("bad_corrupt_payload", "a payload smaller than the shape",
                  &(shape){"t", NQ_F32, 1, {3}, 6}, 8, 0);
    put_record_of("bad_corrupt_product", "dimensions whose product overflows",
                  &(shape){"t", NQ_U8, 3, {UINT64_C(1) << 32, UINT64_C(1) << 32, 2}, 6}, 8, 0);
    put_record_of("bad_corrupt_elements", "2^58 elements",
                  &(shape){"t", NQ_U8, 1, {UINT64_C(1) << 58}, 6}, 8, 0);
    put_record_of("good_zero_among_large", "a dimension of 0 among ones whose product overflows",
                  &(shape){"t", NQ_U8, 3, {UINT64_C(1) << 60, 0, UINT64_C(1) << 60}, 6}, 0, 0);
    nq_file twice = {.size_width = 1};
    static const uint8_t raw[4] = {0};
    file_stored(&twice, &(shape){"t", NQ_U8, 1, {4}, 6}, raw, 4);
    file_stored(&twice, &(shape){"t", NQ_U8, 1, {4}, 6}, raw, 4);
    bytes file = file_build(&twice);
    put("bad_corrupt_name_twice", "two tensors of one name", &file);
    file_free(&twice);
}

/* A coded tensor of fixed length whose record says this of layout, codebook and code table. */
static void put_coded(const char *name, const char *about, unsigned dtype, unsigned codec,
                      unsigned layout, unsigned book, unsigned table)
{
    nq_file f = {.size_width = 1};
    const uint8_t block[16] = {0};
    file_codebook_f32(&f, four_levels, 4);
    file_code_table(&f, NQ_CODEC_HUFFMAN, "\0", 1);
    put_u(&f.payloads, slow_crc(block, 16), 4);
    bytes_put(&f.payloads, block, 16);
    bytes body = begin_tensor(&f, &(shape){"t", dtype, 1, {64}, 6}, 20, codec);
    put_u(&body, layout, 1);
    if (layout != 2)
        put_varint(&body, book);
    put_varint(&body, table);
    if (layout == 1)
        put_u(&body, 0, 1);
    end_tensor(&f, &body);
    bytes file = file_build(&f);
    put(name, about, &file);
    file_free(&f);
}

static void put_coded_records(void)
{
    put_coded("unsupported_layout", "layout 3", NQ_F32, NQ_CODEC_FIXED, 3, 0, 0);
    put_coded("unsupported_quantized_type", "quantized integers", NQ_I32, NQ_CODEC_FIXED, 0, 0, 0);
    put_coded("unsupported_patterns_type", "patterns of 64 bits", NQ_F64, NQ_CODEC_FIXED, 2, 0, 0);
    put_coded("bad_corrupt_codebook_number", "a codebook that there is not", NQ_F32, NQ_CODEC_FIXED,
              0, 7, 0);
    put_coded("bad_corrupt_codebook_kind", "a code table for a codebook", NQ_F32, NQ_CODEC_FIXED, 0,
              1, 0);
    put_coded("bad_corrupt_table_for_fixed", "a code table for codes that have none", NQ_F32,
              NQ_CODEC_FIXED, 0, 0, 2);
    put_coded("bad_corrupt_no_table", "Huffman codes without a table", NQ_F32, NQ_CODEC_HUFFMAN, 0,
              0, 0);
    put_coded("bad_corrupt_table_of_another", "a Huffman table for rANS", NQ_F32, NQ_CODEC_RANS, 0,
              0, 2);
    put_coded("bad_corrupt_channels", "channels of a codebook without", NQ_F32, NQ_CODEC_FIXED, 1,
              0, 0);
}

/* A codebook with this record and these data, used by a tensor of no elements. */
static void put_codebook(const char *name, const char *about, unsigned kind, const char *data,
                         size_t n_bytes, uint64_t n_levels, double step)
{
    const bytes none = {0};
    nq_file f = {.size_width = 1};
    const uint32_t book = file_codebook(&f, kind, data, n_bytes, n_levels, step);
    file_quantized(&f, &(shape){"t", NQ_F32, 1, {0}, 6}, NQ_CODEC_FIXED, book, UINT32_MAX, &none,
                   0);
    bytes file = file_build(&f);
    put(name, about, &file);
    file_free(&f);
}

static void put_codebooks(void)
{
    put_codebook("bad_corrupt_no_levels", "a codebook of no levels", 1, "", 0, 0, 0);
    put_codebook("bad_corrupt_levels_65537", "a codebook of 65,537 levels", 1, "", 0, 65537, 0);
    put_codebook("bad_corrupt_levels_size", "three levels in eight bytes", 1, "01234567", 8, 3, 0);
    put_codebook("bad_corrupt_grid_infinite", "a grid whose levels are too large", 3, "\2\1", 2, 2,
                 3e38);
    put_codebook("bad_corrupt_grid_run", "a run of more cells than levels", 3, "\2\3", 2, 2, 1);
    put_codebook("bad_corrupt_grid_later_run", "a later run of more cells than levels are left", 3,
                 "\3\1\2\xdf\xd4\3", 6, 3, 0.25);
    put_codebook("bad_corrupt_grid_left_over", "bytes behind the last run", 3, "\2\1\0", 3, 2, 1);
    put_codebook("bad_corrupt_grid_no_step", "a grid without a step", 3, "\2\1", 2, 2, 0);
    put_codebook("unsupported_table_kind", "a table of kind 9", 9, "\2\1", 2, 2, 0);
    put_codebook("good_grid", "a grid of two runs", 3, "\3\1\2\0", 4, 3, 0.25);
}

/* ---- Tables and blocks --------------------------------------------------------------------- */

static bool table_is_legal(const valid_code *c, const uint8_t *table, size_t n)
{
    static oracle huffman;
    static o_code rans;
    return c->codec == NQ_CODEC_HUFFMAN ? oracle_make(&huffman, c->n_levels, table, n)
                                        : o_read_table(&rans, table, n, c->n_levels);
}

/* A tensor of `n` zeros, in this code's blocks. */
static bytes build(const valid_code *c, const uint8_t *table, size_t table_bytes,
                   const bytes *block, size_t n)
{
    nq_file f = {.size_width = 3};
    float *levels = calloc(c->n_levels, sizeof *levels);
    const uint32_t book = file_codebook_f32(&f, levels, c->n_levels);
    const uint32_t code =
        c->codec == NQ_CODEC_FIXED ? UINT32_MAX : file_code_table(&f, c->codec, table, table_bytes);
    file_quantized(&f, &(shape){"t", NQ_F32, 1, {n}, 12}, c->codec, book, code, block, 1);
    bytes file = file_build(&f);
    file_free(&f);
    free(levels);
    return file;
}

/* Codes' tables with one bit flipped, as the oracles refuse them: a few of each. */
static void put_tables(uint32_t codec, const valid_code *c, const bytes *block, size_t n)
{
    unsigned found = 0;
    bytes table = copy_of(&c->table);
    for (size_t bit = 0; bit < 8 * table.n && found < 3; bit += 3) {
        char name[64];
        table.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (!table_is_legal(c, table.at, table.n)) {
            bytes file = build(c, table.at, table.n, block, n);
            (void)snprintf(name, sizeof name, "bad_table_%s_%u", codec_names[codec], ++found);
            put(name, "a table that is no code's, behind a right checksum", &file);
        }
        table.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    bytes_free(&table);
}

/* Blocks that are too short or too long, behind right checksums. */
static void put_blocks(void)
{
    for (uint32_t codec = NQ_CODEC_FIXED; codec <= NQ_CODEC_HUFFMAN_GAPS; codec++) {
        enum { N = 200 };
        uint16_t indices[N];
        char name[64];
        uint64_t seed = 77 + codec;
        valid_code c = valid_code_make(codec, 12, &seed);
        bytes block = valid_block(&c, indices, N, &seed);
        while (block.n < 20) {
            bytes_free(&block);
            block = valid_block(&c, indices, N, &seed);
        }
        if (codec == NQ_CODEC_HUFFMAN || codec == NQ_CODEC_RANS)
            put_tables(codec, &c, &block, N);
        const size_t n = block.n;
        block.n = n / 2;
        bytes file = build(&c, c.table.at, c.table.n, &block, N);
        (void)snprintf(name, sizeof name, "bad_block_%s_half", codec_names[codec]);
        put(name, "half a block, behind a right checksum", &file);
        block.n = n;
        put_u(&block, 0x5a, 1);
        file = build(&c, c.table.at, c.table.n, &block, N);
        (void)snprintf(name, sizeof name, "bad_block_%s_longer", codec_names[codec]);
        put(name, "a block with a byte too many, behind a right checksum", &file);
        bytes_free(&block);
        valid_code_free(&c);
    }
    for (uint32_t codec = NQ_CODEC_FIXED; codec <= NQ_CODEC_HUFFMAN_GAPS; codec++) {
        char name[64];
        bytes file = find_tensor(codec, codec % 2 ? WHOLE : PATTERNS, 1);
        file.at[file.n - 1] ^= 0x10;
        (void)snprintf(name, sizeof name, "bad_checksum_block_%s", codec_names[codec]);
        put(name, "a flipped bit of a block", &file);
    }
}

/* What the default limits of a reader refuse, or what is simply too large for its file. */
static void put_large(void)
{
    nq_file f = {.size_width = 8}, named = {.size_width = 1};
    const uint32_t book = file_codebook_f32(&f, four_levels, 1);
    bytes body =
        begin_tensor(&f, &(shape){"t", NQ_F32, 1, {UINT64_C(1) << 50}, 24}, 100, NQ_CODEC_FIXED);
    put_u(&body, 0, 1);
    put_varint(&body, book);
    put_varint(&body, 0);
    end_tensor(&f, &body);
    for (int i = 0; i < 100; i++)
        put_u(&f.payloads, 0, 1);
    bytes file = file_build(&f);
    put("bad_corrupt_2_50_elements", "2^50 elements in a hundred bytes", &file);
    file_free(&f);
    char name[4098];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    file_stored(&named, &(shape){name, NQ_U8, 1, {1}, 6}, "x", 1);
    file = file_build(&named);
    put("bad_limit_name", "a name of 4,097 bytes", &file);
    file_free(&named);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    folder = argv[1];
    put_good_codecs();
    put_good_others();
    bytes base = find_tensor(NQ_CODEC_HUFFMAN, WHOLE, 2);
    put_headers(&base);
    bytes_free(&base);
    put_tensor_records();
    put_coded_records();
    put_codebooks();
    put_blocks();
    put_large();
    return 0;
}
