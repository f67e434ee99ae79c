/*
 * The example programs' safetensors: hostile headers are refused with a message that says where,
 * and what is written comes back.
 */
#include "common/safetensors.h"
#include "unit.h"

/* A view of a file made of a header and so many bytes of data, at the end of its own memory. */
static file_view make_view(const char *header, size_t header_bytes, uint64_t stated,
                           size_t data_bytes)
{
    file_view view = {.n_bytes = 8 + header_bytes + data_bytes};
    view.bytes = malloc((size_t)view.n_bytes);
    assert_non_null(view.bytes);
    for (size_t i = 0; i < 8; i++)
        view.bytes[i] = (uint8_t)(stated >> 8 * i);
    memcpy(view.bytes + 8, header, header_bytes);
    for (size_t i = 0; i < data_bytes; i++)
        view.bytes[8 + header_bytes + i] = (uint8_t)i;
    return view;
}

static bool open_text(st_file *file, const char *header, size_t data_bytes, fault *f)
{
    const size_t n = strlen(header);
    file_view view = make_view(header, n, n, data_bytes);
    return st_open_view(file, &view, "x", f);
}

#define T(name, dtype, shape, offsets)                                                             \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_takes_files(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes, n_tensors, n_metadata;
    } good[] = {
        {"{}", 0, 0, 0},
        {"{}      ", 0, 0, 0},
        {"{\"__metadata__\":{}}", 0, 0, 0},
        {"{\"__metadata__\":{\"b\":\"1\",\"a\":\"\"}}", 0, 0, 2},
        {"{" T("a", "F32", "[2]", "[0,8]") "}", 8, 1, 0},
        {"{" T("a", "F32", "[]", "[0,4]") "}", 4, 1, 0},
        {"{" T("a", "F32", "[0,5]", "[0,0]") "}", 0, 1, 0},
        {"{" T("a", "F32", "[0,18446744073709551615,18446744073709551615]", "[0,0]") "}", 0, 1, 0},
        {"{" T("", "U8", "[3]", "[0,3]") "}", 3, 1, 0},
        {"{" T("b", "U8", "[3]", "[2,5]") "," T("a", "U8", "[2]", "[0,2]") "}", 5, 2, 0},
        {"{" T("a", "U8", "[0]", "[0,0]") "," T("b", "U8", "[2]", "[0,2]") "," T(
             "c", "U8", "[0]", "[2,2]") "," T("d", "U8", "[0]", "[2,2]") "}",
         2, 4, 0},
        {"{" T("a", "F4", "[4]", "[0,2]") "}", 2, 1, 0},
        {"{" T("a", "F6_E2M3", "[4]", "[0,3]") "}", 3, 1, 0},
        {"{\"a\":{\"x\":[{}],\"shape\":[1],\"data_offsets\":[0,1],\"dtype\":\"I8\"}}", 1, 1, 0},
        {"{" T("a", "C64", "[1,1,1,1,1,1,1,1]", "[0,8]") "}", 8, 1, 0},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        st_file file;
        fault f;
        if (!open_text(&file, good[i].header, good[i].data_bytes, &f))
            fail_msg("%s: %s", good[i].header, f.text);
        assert_int_equal(file.n_tensors, good[i].n_tensors);
        assert_int_equal(file.n_metadata, good[i].n_metadata);
        st_close(&file);
    }
}

static void test_refuses_defects(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *message; /* a part of it */
    } bad[] = {
        {"", 0, "does not start with {"},
        {"[]", 0, "does not start with {"},
        {" {}", 0, "does not start with {"},
        {"{", 0, "byte 9"},
        {"{}}", 0, "byte 10: something follows"},
        {"{}", 1, "1 bytes at the end belong to no tensor"},
        {"{\"a\":1}", 0, "an object is expected"},
        {"{\"a\":{}}", 0, "tensor \"a\": no \"dtype\""},
        {"{\"a\":{\"dtype\":\"F32\"}}", 0, "tensor \"a\": no \"shape\""},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, "tensor \"a\": no \"data_offsets\""},
        {"{" T("a", "F33", "[1]", "[0,4]") "}", 4, "unknown type \"F33\""},
        {"{" T("a", "f32", "[1]", "[0,4]") "}", 4, "unknown type \"f32\""},
        {"{" T("a", "F32", "[2]", "[0,4]") "}", 4, "takes 8 bytes, its data_offsets [0, 4] hold 4"},
        {"{" T("a", "F32", "[1]", "[0,4]") "}", 3, "do not lie in the 3 bytes"},
        {"{" T("a", "F32", "[1]", "[4,0]") "}", 4, "do not lie in"},
        {"{" T("a", "F32", "[1]", "[0,18446744073709551615]") "}", 4, "do not lie in"},
        {"{" T("a", "F32", "[1]", "[18446744073709551612,0]") "}", 4, "do not lie in"},
        {"{" T("a", "F32", "[1]", "[0,18446744073709551616]") "}", 4, "an integer"},
        {"{" T("a", "F32", "[1]", "[-4,0]") "}", 4, "an integer"},
        {"{" T("a", "F32", "[1.0]", "[0,4]") "}", 4, "an integer"},
        {"{" T("a", "F32", "[-1]", "[0,4]") "}", 4, "an integer"},
        {"{" T("a", "F32", "1", "[0,4]") "}", 4, "an array is expected"},
        {"{" T("a", "F32", "[1]", "[0]") "}", 4, "two offsets"},
        {"{" T("a", "F32", "[1]", "[0,4,4]") "}", 4, "two offsets"},
        {"{" T("a", "F32", "[4294967296,4294967296]", "[0,0]") "}", 0, "too many elements"},
        {"{" T("a", "F32", "[4611686018427387904]", "[0,0]") "}", 0, "too many elements"},
        {"{" T("a", "F64", "[2305843009213693952]", "[0,0]") "}", 0, "too many elements"},
        {"{" T("a", "F4", "[3]", "[0,2]") "}", 2, "do not fill whole bytes"},
        {"{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, "more than 8 dimensions"},
        {"{" T("a", "U8", "[2]", "[0,2]") "," T("b", "U8", "[2]", "[1,3]") "}", 3,
         "tensor \"b\": its data overlap"},
        {"{" T("a", "U8", "[2]", "[0,2]") "," T("b", "U8", "[2]", "[0,2]") "}", 2, "overlap"},
        {"{" T("a", "U8", "[2]", "[0,2]") "," T("b", "U8", "[2]", "[3,5]") "}", 5,
         "tensor \"b\": there is a gap"},
        {"{" T("a", "U8", "[2]", "[1,3]") "}", 3, "gap"},
        {"{" T("a", "U8", "[4]", "[0,4]") "," T("b", "U8", "[0]", "[2,2]") "}", 4, "overlap"},
        {"{" T("a", "U8", "[1]", "[0,1]") "," T("a", "U8", "[1]", "[1,2]") "}", 2,
         "tensor \"a\" is there twice"},
        {"{" T("a", "U8", "[1]", "[0,1]") "," T("\\u0061", "U8", "[1]", "[1,2]") "}", 2,
         "tensor \"a\" is there twice"},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
         "a key is there twice"},
        {"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, "metadata key \"a\" is there twice"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ is there twice"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "a string is expected"},
        {"{\"__metadata__\":null}", 0, "an object is expected"},
        {"{\"__metadata__\":{\"a\":\"\\ud800\"}}", 0, "surrogate"},
        {"{\"\xff\":{}}", 0, "not UTF-8"},
        {"{" T("a", "U8", "[1]", "[0,1]") ",}", 1, "a string is expected"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        st_file file;
        fault f;
        if (open_text(&file, bad[i].header, bad[i].data_bytes, &f))
            fail_msg("taken: %s", bad[i].header);
        if (!strstr(f.text, bad[i].message) || strncmp(f.text, "x: ", 3) != 0)
            fail_msg("%s: \"%s\", without \"%s\"", bad[i].header, f.text, bad[i].message);
    }
}

static void check_length(uint64_t stated, size_t header_bytes, const char *message)
{
    char *header = malloc(header_bytes + 1);
    st_file file;
    fault f;
    assert_non_null(header);
    memset(header, ' ', header_bytes);
    memcpy(header, "{}", header_bytes < 2 ? header_bytes : 2);
    file_view view = make_view(header, header_bytes, stated, 0);
    free(header);
    assert_false(st_open_view(&file, &view, "x", &f));
    assert_null(view.bytes);
    assert_int_equal(f.kind, FAULT_FORMAT);
    assert_non_null(strstr(f.text, message));
}

static void test_header_lengths(void **state)
{
    (void)state;
    check_length(3, 2, "cut off: a header of 3 bytes in a file of 10");
    check_length(UINT64_MAX, 2, "cut off");
    check_length(UINT64_MAX - 7, 2, "cut off");
    check_length(0, 0, "does not start");
    check_length(ST_MAX_HEADER_BYTES + 1, ST_MAX_HEADER_BYTES + 1, "100 MB");
    st_file file;
    fault f;
    file_view view = {.bytes = malloc(7), .n_bytes = 7};
    assert_false(st_open_view(&file, &view, "x", &f));
    assert_non_null(strstr(f.text, "7 bytes hold no header"));
}

/* Files with one byte changed are taken or refused, and nothing bad happens. */
static void test_changed_bytes(void **state)
{
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"k\":\"v\"}," T(
        "a", "F32", "[1,2]", "[0,8]") "," T("b", "U8", "[3]", "[8,11]") "}";
    unsigned n_taken = 0;
    for (size_t i = 0; i < 8 + sizeof header - 1; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            st_file file;
            fault f;
            file_view view = make_view(header, sizeof header - 1, sizeof header - 1, 11);
            view.bytes[i] ^= (uint8_t)(1u << bit);
            if (st_open_view(&file, &view, "x", &f)) {
                n_taken++;
                st_close(&file);
            }
        }
    assert_true(n_taken > 0 && n_taken < sizeof header * 4);
}

/* ---- Writing ------------------------------------------------------------------------------- */

typedef struct memory {
    uint8_t bytes[4096];
    size_t n_bytes;
    size_t capacity;
} memory;

static bool write_to_memory(void *user, const void *bytes, size_t n_bytes)
{
    memory *m = user;
    if (n_bytes > m->capacity - m->n_bytes)
        return false;
    memcpy(m->bytes + m->n_bytes, bytes, n_bytes);
    m->n_bytes += n_bytes;
    return true;
}

static nq_tensor make_tensor(const char *name, size_t name_bytes, uint32_t dtype, uint64_t n,
                             const void *data)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.name = name;
    t.name_bytes = (uint32_t)name_bytes;
    t.dtype = dtype;
    t.rank = 1;
    t.dims[0] = n;
    t.data = data;
    return t;
}

static void test_there_and_back(void **state)
{
    (void)state;
    static const float floats[] = {1.5f, -2.0f, 3.25f};
    static const uint16_t shorts[] = {1, 2, 0xfffe};
    const nq_tensor tensors[] = {
        make_tensor("", 0, NQ_F32, 0, NULL),        make_tensor("a\0\"\n", 4, NQ_F32, 3, floats),
        make_tensor("\xc3\xa9", 2, NQ_U8, 0, NULL), make_tensor("z", 1, NQ_U16, 3, shorts),
        make_tensor("y", 1, NQ_F32, 0, NULL),
    };
    const st_pair pairs[] = {{"k\"", 2, "v\0", 2}, {"", 0, "", 0}};
    memory m = {.capacity = sizeof m.bytes};
    st_writer w;
    fault f;
    assert_true(st_write_begin(&w, tensors, 5, pairs, 2, write_to_memory, &m, &f));
    assert_int_equal(m.n_bytes % 8, 0);
    assert_true(st_write_data(&w, floats, 4, &f));
    assert_true(st_write_data(&w, floats + 1, 8, &f));
    assert_false(st_write_end(&w, &f));
    assert_true(st_write_data(&w, NULL, 0, &f));
    assert_true(st_write_data(&w, shorts, 6, &f));
    assert_true(st_write_end(&w, &f));
    assert_false(st_write_data(&w, shorts, 2, &f));

    file_view view = {.bytes = malloc(m.n_bytes), .n_bytes = m.n_bytes};
    assert_non_null(view.bytes);
    memcpy(view.bytes, m.bytes, m.n_bytes);
    st_file file;
    assert_true(st_open_view(&file, &view, "x", &f));
    assert_int_equal(file.n_tensors, 5);
    for (size_t i = 0; i < 5; i++) {
        const st_tensor *t = &file.tensors[i];
        assert_int_equal(t->tensor.name_bytes, tensors[i].name_bytes);
        assert_memory_equal(t->tensor.name, tensors[i].name, t->tensor.name_bytes);
        assert_int_equal(t->tensor.dtype, tensors[i].dtype);
        assert_int_equal(t->tensor.rank, 1);
        assert_int_equal(t->tensor.dims[0], tensors[i].dims[0]);
        if (t->n_bytes)
            assert_memory_equal(t->tensor.data, tensors[i].data, t->n_bytes);
        assert_ptr_equal(st_find(&file, tensors[i].name, tensors[i].name_bytes), t);
    }
    assert_int_equal(file.n_metadata, 2);
    assert_int_equal(file.metadata[0].value_bytes, 2);
    assert_memory_equal(file.metadata[0].value, "v\0", 2);
    assert_null(st_find(&file, "nothing", 7));
    st_close(&file);
}

static void test_refuses_to_write(void **state)
{
    (void)state;
    memory m = {.capacity = sizeof m.bytes};
    st_writer w;
    fault f;
    const nq_tensor twins[] = {make_tensor("a", 1, NQ_U8, 1, "x"),
                               make_tensor("a", 1, NQ_U8, 1, "x")};
    assert_false(st_write_begin(&w, twins, 2, NULL, 0, write_to_memory, &m, &f));
    const nq_tensor wrong = make_tensor("\xff", 1, NQ_U8, 1, "x");
    assert_false(st_write_begin(&w, &wrong, 1, NULL, 0, write_to_memory, &m, &f));
    const nq_tensor reserved = make_tensor("__metadata__", 12, NQ_U8, 1, "x");
    assert_false(st_write_begin(&w, &reserved, 1, NULL, 0, write_to_memory, &m, &f));
    assert_int_equal(m.n_bytes, 0);
    m.capacity = 20;
    assert_false(st_write_begin(&w, twins, 1, NULL, 0, write_to_memory, &m, &f));
    assert_int_equal(f.kind, FAULT_IO);
}

static void test_messages(void **state)
{
    (void)state;
    char out[QUOTED_BYTES], name[1000];
    assert_string_equal(fault_quote(out, "a\"\\\n\xff\xc3\xa9", 7),
                        "\"a\\\"\\\\\\x0a\\xff\xc3\xa9\"");
    memset(name, '\n', sizeof name);
    const char *shown = fault_quote(out, name, sizeof name);
    assert_true(strlen(shown) < QUOTED_BYTES && strlen(shown) > QUOTED_BYTES - 10);
    assert_string_equal(shown + strlen(shown) - 4, "...\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_files),    cmocka_unit_test(test_refuses_defects),
        cmocka_unit_test(test_header_lengths), cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_refuses_to_write),
        cmocka_unit_test(test_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
