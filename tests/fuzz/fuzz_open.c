/*
 * Opening a file and walking through its index, as it is and with the checksums of header and index
 * made right: in a span, behind a callback, in the caller's memory, and under small limits. All
 * must say the same, and what they say must make sense.
 */
#include "fuzz.h"
#include "repair.h"
#include "valid_file.h"

typedef struct span {
    const uint8_t *at;
    size_t n;
} span;

static nq_status read_span(void *user, uint64_t offset, void *out, size_t n_bytes)
{
    const span *s = user;
    assert_true(n_bytes > 0 && offset <= s->n && n_bytes <= s->n - offset);
    memcpy(out, s->at + offset, n_bytes);
    return NQ_OK;
}

static void walk_metadata(const nq_reader *r, uint64_t n)
{
    const char *key, *value;
    size_t key_bytes, value_bytes;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        assert_int_equal(nq_reader_metadata(r, i, &key, &key_bytes, &value, &value_bytes), NQ_OK);
        for (size_t k = 0; k < key_bytes; k++)
            sum += (uint8_t)key[k];
        for (size_t k = 0; k < value_bytes; k++)
            sum += (uint8_t)value[k];
    }
    assert_int_equal(nq_reader_metadata(r, n, &key, &key_bytes, &value, &value_bytes), NQ_E_ARG);
    assert_true(sum < UINT64_MAX);
}

static void check_tensor(const nq_reader *r, const nq_reader_info *all, uint64_t i,
                         uint64_t *offset, bool names_are_unique)
{
    nq_tensor_info t;
    uint64_t found, n_elements;
    nq_tensor_info_init(&t);
    assert_int_equal(nq_reader_tensor(r, i, &t), NQ_OK);
    assert_true(t.dtype < NQ_DTYPE_COUNT && t.rank <= NQ_MAX_RANK);
    assert_true(t.payload_offset >= *offset &&
                t.payload_bytes <= all->file_bytes - t.payload_offset);
    *offset = t.payload_offset + t.payload_bytes;
    nq_tensor shape;
    nq_tensor_init(&shape);
    shape.dtype = t.dtype;
    shape.rank = t.rank;
    memcpy(shape.dims, t.dims, sizeof shape.dims);
    assert_int_equal(nq_tensor_elements(&n_elements, &shape), NQ_OK);
    assert_true(n_elements == t.n_elements);
    assert_int_equal(nq_reader_find(r, t.name, t.name_bytes, &found), NQ_OK);
    assert_true(names_are_unique ? found == i : found <= i);
    const bool is_stored = t.codec == NQ_CODEC_STORED;
    /* Stored, coded without loss, or quantized. */
    assert_true(!is_stored || t.n_levels == 0);
    assert_int_equal(t.n_levels == 0, t.codebook == NQ_NO_ID);
    assert_true(t.n_levels == 0 ||
                (t.codebook < all->n_codebooks + all->n_code_tables && t.n_levels >= 1 &&
                 t.n_levels <= NQ_MAX_LEVELS && t.dtype <= NQ_BF16));
}

static void walk(const nq_reader *r, size_t n_bytes, bool names_are_unique)
{
    nq_reader_info info;
    uint64_t offset = 0;
    nq_reader_info_init(&info);
    assert_int_equal(nq_reader_get_info(r, &info), NQ_OK);
    assert_true(info.file_bytes == n_bytes && info.index_bytes <= n_bytes);
    walk_metadata(r, info.n_metadata);
    /* Finding is linear: a few of many. */
    const uint64_t step = 1 + info.n_tensors / 50;
    for (uint64_t i = 0; i < info.n_tensors; i += step)
        check_tensor(r, &info, i, &offset, names_are_unique);
    nq_tensor_info t;
    nq_tensor_info_init(&t);
    assert_int_equal(nq_reader_tensor(r, info.n_tensors, &t), NQ_E_ARG);
}

/* In the caller's memory of just the size that was asked for, at any alignment. */
static nq_status open_in_place(const nq_source *source, const nq_reader_options *options,
                               size_t shift, bool walks)
{
    nq_reader *r = NULL;
    size_t n_bytes = 0;
    nq_diag diag;
    nq_diag_init(&diag);
    nq_status status = nq_reader_size(&n_bytes, source, options, &diag);
    assert_true(status == NQ_OK || is_refusal(status));
    if (status != NQ_OK)
        return status;
    uint8_t *memory = malloc(n_bytes + shift);
    assert_non_null(memory);
    assert_int_equal(nq_reader_init(&r, memory + shift, n_bytes - 1, source, options, &diag),
                     NQ_E_SPACE);
    assert_true(diag.wanted == n_bytes);
    status = nq_reader_init(&r, memory + shift, n_bytes, source, options, &diag);
    assert_true(status == NQ_OK || is_refusal(status));
    if (status == NQ_OK && walks)
        walk(r, (size_t)source->n_bytes, false);
    free(memory);
    return status;
}

static nq_status open_once(const nq_source *source, const nq_ctx *ctx, bool walks)
{
    nq_reader *r;
    nq_diag diag;
    nq_diag_init(&diag);
    const nq_status status = nq_reader_open_source(&r, ctx, source, &diag);
    assert_true(status == NQ_OK || is_refusal(status));
    assert_true((status == NQ_OK) == (r != NULL) && diag.status == status);
    assert_true(status == NQ_OK || diag.what[0] != '\0');
    if (r && walks)
        walk(r, (size_t)source->n_bytes, true);
    nq_reader_destroy(r);
    return status;
}

static void open_every_way(const uint8_t *file, size_t n, uint64_t seed)
{
    span s = {file, n};
    nq_source in_memory, behind;
    nq_source_init(&in_memory);
    nq_source_init(&behind);
    in_memory.bytes = file;
    behind.read = read_span;
    behind.user = &s;
    in_memory.n_bytes = behind.n_bytes = n;
    const nq_status status = open_once(&in_memory, NULL, true);
    assert_int_equal(open_once(&behind, NULL, true), status);
    /* That two tensors have one name is not looked for here. */
    const nq_status in_place = open_in_place(&in_memory, NULL, seed % 64, true);
    assert_true(in_place == status || (in_place == NQ_OK && status == NQ_E_CORRUPT));
    assert_int_equal(open_in_place(&behind, NULL, seed % 64, true), in_place);
    nq_reader_options limits;
    nq_reader_options_init(&limits);
    limits.max_tensors = 1 + (uint32_t)(seed % 3);
    limits.max_levels = 1 + (uint32_t)(seed / 3 % 40);
    limits.max_name_bytes = 1 + (uint32_t)(seed / 120 % 3);
    limits.max_elements = 1 + seed / 360 % 1000;
    limits.max_index_bytes = 40 + seed / 360000 % 100;
    const nq_status limited = open_in_place(&in_memory, &limits, 0, false);
    assert_true(limited == in_place || limited == NQ_E_LIMIT);
}

static void run(const uint8_t *data, size_t n_bytes)
{
    const uint64_t seed = n_bytes >= 40 ? peek(data + 32, 8) : 0;
    uint8_t *file = exact_copy(data, n_bytes);
    open_every_way(file, n_bytes, seed);
    repair_header(file, n_bytes);
    open_every_way(file, n_bytes, seed);
    free(file);
}

/* The index alone matters: no payload is looked at. */
static bytes make_seed(uint64_t number)
{
    valid_file v = valid_file_make(&number);
    bytes file = v.file;
    v.file = (bytes){0};
    valid_file_free(&v);
    return file;
}

const fuzz_target fuzz_open = {"open", run, make_seed};
