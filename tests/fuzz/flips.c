/*
 * Flips bits of good files: each must be noticed, the damaged tensor named, and what is not damaged
 * still come out as it was; nothing wrong ever comes out.
 *
 *     flips FILE...           every bit of each file
 *     flips --large N SEED    N bits of a file of a few hundred kilobytes
 *
 * Prints how many flips were tried.
 */
#include "fuzz.h"
#include "valid_file.h"

enum { MAX_TENSORS = 8 };

/* A tensor as it comes out of the file when nothing is wrong. */
typedef struct content {
    nq_tensor_info info;
    uint32_t dtype; /* to read it as */
    size_t n_bytes;
    uint8_t *at;
} content;

typedef struct good_file {
    bytes file;
    uint64_t data_begin; /* behind header and index */
    uint32_t n_tensors;
    content t[MAX_TENSORS];
} good_file;

static nq_reader *must_open(const bytes *file)
{
    nq_reader *r;
    assert_int_equal(nq_reader_open(&r, NULL, file->at, file->n, NULL), NQ_OK);
    return r;
}

static void read_contents(good_file *g)
{
    nq_reader *r = must_open(&g->file);
    nq_reader_info info;
    nq_reader_info_init(&info);
    assert_int_equal(nq_reader_get_info(r, &info), NQ_OK);
    assert_int_equal(nq_reader_verify(r, NULL, NQ_NONE, NULL, NULL, NULL), NQ_OK);
    assert_true(info.n_tensors <= MAX_TENSORS);
    g->n_tensors = info.n_tensors;
    g->data_begin = HEADER_BYTES + info.index_bytes;
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        content *t = &g->t[i];
        nq_tensor_info_init(&t->info);
        assert_int_equal(nq_reader_tensor(r, i, &t->info), NQ_OK);
        t->dtype = t->info.n_levels > 0 ? NQ_F32 : t->info.dtype;
        t->n_bytes = (size_t)(t->info.n_elements * nq_dtype_bits(t->dtype) / 8);
        t->at = malloc(t->n_bytes + 1);
        assert_int_equal(nq_reader_decode(r, NULL, i, t->dtype, 0, t->info.n_elements, t->at, NULL),
                         NQ_OK);
    }
    nq_reader_destroy(r);
}

static void free_contents(good_file *g)
{
    for (uint32_t i = 0; i < g->n_tensors; i++)
        free(g->t[i].at);
    bytes_free(&g->file);
}

typedef struct told {
    uint32_t n;
    bool is_named[MAX_TENSORS];
} told;

static int32_t tell(void *user, const nq_diag *diag)
{
    told *t = user;
    assert_true(is_damage(diag->status) && diag->what[0] != '\0');
    t->n++;
    if (diag->tensor != NQ_NONE)
        t->is_named[diag->tensor] = true;
    return 0;
}

/* A tensor that is said to be whole is; of one that is damaged, what lies in front of the damage.
 */
static void check_tensor(const nq_reader *r, const content *t, uint32_t i, bool is_damaged)
{
    uint8_t *out = malloc(t->n_bytes + 1);
    nq_diag diag;
    nq_diag_init(&diag);
    const nq_status status =
        nq_reader_decode(r, NULL, i, t->dtype, 0, t->info.n_elements, out, &diag);
    assert_true(is_damaged ? is_damage(status) && diag.tensor == i : status == NQ_OK);
    if (!is_damaged) {
        assert_memory_equal(out, t->at, t->n_bytes);
    } else if (diag.element != NQ_NONE && diag.element > 0 && nq_dtype_bits(t->dtype) >= 8) {
        const uint64_t n = diag.element;
        assert_int_equal(nq_reader_decode(r, NULL, i, t->dtype, 0, n, out, NULL), NQ_OK);
        assert_memory_equal(out, t->at, (size_t)(n * nq_dtype_bits(t->dtype) / 8));
    }
    free(out);
}

static void check_flip(good_file *g, size_t bit)
{
    nq_reader *r;
    told t = {0};
    g->file.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    const nq_status opened = nq_reader_open(&r, NULL, g->file.at, g->file.n, NULL);
    assert_int_equal(opened == NQ_OK, bit / 8 >= g->data_begin);
    if (opened == NQ_OK) {
        const nq_status status = nq_reader_verify(r, NULL, NQ_NONE, tell, &t, NULL);
        assert_true(is_damage(status) && t.n > 0);
        for (uint32_t i = 0; i < g->n_tensors; i++)
            check_tensor(r, &g->t[i], i, t.is_named[i]);
    } else {
        assert_true(is_refusal(opened) && opened != NQ_E_UNSUPPORTED && opened != NQ_E_LIMIT);
    }
    nq_reader_destroy(r);
    g->file.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

/* ---- Files --------------------------------------------------------------------------------- */

static bool load(bytes *b, const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t piece[4096];
    if (!file)
        return false;
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        bytes_put(b, piece, n);
    fclose(file);
    return true;
}

static uint64_t flip_every_bit(const char *path)
{
    good_file g = {0};
    if (!load(&g.file, path)) {
        fprintf(stderr, "flips: cannot read %s\n", path);
        exit(2);
    }
    read_contents(&g);
    const uint64_t n = 8 * (uint64_t)g.file.n;
    for (size_t bit = 0; bit < n; bit++)
        check_flip(&g, bit);
    free_contents(&g);
    return n;
}

/* A tensor of each codec, of many blocks. */
static void make_large(good_file *g)
{
    enum { N = 40000, N_LEVELS = 40 };
    static const char *const names[] = {"stored", "fixed", "huffman", "rans", "gaps"};
    static uint8_t raw[N];
    uint64_t seed = 9;
    nq_file f = {.size_width = 4};
    for (size_t i = 0; i < N; i++)
        raw[i] = (uint8_t)unit_random(&seed);
    file_stored(&f, &(shape){names[0], NQ_U8, 1, {N}, 10}, raw, N);
    for (uint32_t codec = NQ_CODEC_FIXED; codec <= NQ_CODEC_HUFFMAN_GAPS; codec++) {
        valid_tensor t = {.codec = codec,
                          .n = N,
                          .n_levels = N_LEVELS,
                          .n_stored = N_LEVELS,
                          .s = {names[codec], NQ_F32, 1, {N}, 10}};
        valid_code code = valid_code_make(codec, N_LEVELS, &seed);
        valid_blocks blocks = valid_make_blocks(&t, &code, &seed);
        const uint32_t book = valid_put_codebook(&f, &t, &seed);
        valid_put_coded(&f, &t, &code, &blocks, 0, book);
        valid_code_free(&code);
        free(t.indices);
        free(t.levels);
    }
    g->file = file_build(&f);
    file_free(&f);
    read_contents(g);
}

static uint64_t flip_some(uint64_t n, uint64_t seed)
{
    good_file g = {0};
    make_large(&g);
    for (uint64_t i = 0; i < n; i++)
        check_flip(&g, (size_t)(unit_random(&seed) % (8 * (uint64_t)g.file.n)));
    printf("a file of %zu bytes\n", g.file.n);
    free_contents(&g);
    return n;
}

int main(int argc, char **argv)
{
    uint64_t n = 0;
    if (argc == 4 && strcmp(argv[1], "--large") == 0)
        n = flip_some(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    else
        for (int i = 1; i < argc; i++)
            n += flip_every_bit(argv[i]);
    printf("%llu flips, each noticed\n", (unsigned long long)n);
    return n > 0 ? 0 : 1;
}
