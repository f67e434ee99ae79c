/*
 * The example programs' .npy: what numpy writes is taken, everything else refused.
 */
#include "common/byteorder.h"
#include "common/npy.h"
#include "unit.h"

static file_view make_view(unsigned version, const char *header, size_t data_bytes)
{
    const size_t n = strlen(header), n_length = version == 1 ? 2 : 4;
    file_view view = {.n_bytes = 8 + n_length + n + data_bytes};
    view.bytes = calloc((size_t)view.n_bytes, 1);
    assert_non_null(view.bytes);
    memcpy(view.bytes, "\x93NUMPY", 6);
    view.bytes[6] = (uint8_t)version;
    for (size_t i = 0; i < n_length; i++)
        view.bytes[8 + i] = (uint8_t)(n >> 8 * i);
    memcpy(view.bytes + 8 + n_length, header, n);
    return view;
}

static void test_takes_arrays(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes;
        uint32_t dtype, rank;
    } good[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }      \n", 24, NQ_F32, 2},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n", 12, NQ_F32, 1},
        {"{'descr': '<f2', 'fortran_order': False, 'shape': (), }\n", 2, NQ_F16, 0},
        {"{'shape': (0, 7), 'fortran_order': True, 'descr': '<f8'}", 0, NQ_F64, 2},
        {"{'descr': '|b1', 'fortran_order': True, 'shape': (1, 5, 1)}", 5, NQ_BOOL, 3},
        {"{\"descr\": \"<i8\", \"fortran_order\": False, \"shape\": (1,)}", 8, NQ_I64, 1},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", 8, NQ_C64, 1},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        for (unsigned version = 1; version <= 3; version++) {
            npy_file file;
            fault f;
            file_view view = make_view(version, good[i].header, good[i].data_bytes);
            assert_true(npy_is(view.bytes, view.n_bytes));
            if (!npy_open_view(&file, &view, "x", &f))
                fail_msg("%s: %s", good[i].header, f.text);
            assert_int_equal(file.tensor.dtype, good[i].dtype);
            assert_int_equal(file.tensor.rank, good[i].rank);
            assert_int_equal(file.n_bytes, good[i].data_bytes);
            npy_close(&file);
        }
}

static void test_refuses_arrays(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *message;
    } bad[] = {
        {"", 0, "not understood"},
        {"{", 0, "not understood"},
        {"{}", 0, "not understood"},
        {"{'descr': '<f4', 'fortran_order': False}", 0, "not understood"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 4,
         "not understood"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", 4, "not understood"},
        {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}", 4, "not understood"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4, "not understood"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 4,
         "not understood"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4,
         "not understood"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", 4, "not understood"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", 4, ">f4"},
        {"{'descr': '<f16', 'fortran_order': False, 'shape': (1,)}", 16, "<f16"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 8, "|O"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}", 16, "Fortran"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 4, "takes 8 bytes, 4 follow"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 9, "takes 8 bytes, 9 follow"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 0,
         "too many elements"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        npy_file file;
        fault f;
        file_view view = make_view(1, bad[i].header, bad[i].data_bytes);
        if (npy_open_view(&file, &view, "x", &f))
            fail_msg("taken: %s", bad[i].header);
        if (!strstr(f.text, bad[i].message))
            fail_msg("%s: \"%s\"", bad[i].header, f.text);
    }
}

static void test_versions_and_ends(void **state)
{
    (void)state;
    static const char header[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n";
    for (unsigned version = 0; version <= 4; version += 4) {
        npy_file file;
        fault f;
        file_view view = make_view(version, header, 4);
        assert_false(npy_open_view(&file, &view, "x", &f));
    }
    for (size_t n = 6; n < sizeof header + 12; n++) {
        npy_file file;
        fault f;
        file_view whole = make_view(1, header, 4), view = {.bytes = malloc(n), .n_bytes = n};
        assert_non_null(view.bytes);
        memcpy(view.bytes, whole.bytes, n);
        file_close(&whole);
        assert_false(npy_open_view(&file, &view, "x", &f));
    }
    assert_false(npy_is((const uint8_t *)"\x93NUMP", 5));
}

static void test_byte_order(void **state)
{
    (void)state;
    uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8};
    const uint8_t twos[] = {2, 1, 4, 3, 6, 5, 8, 7}, eight[] = {7, 8, 5, 6, 3, 4, 1, 2};
    byteorder_swap(bytes, 8, 1);
    byteorder_swap(bytes, 8, 2);
    assert_memory_equal(bytes, twos, 8);
    byteorder_swap(bytes, 8, 8);
    assert_memory_equal(bytes, eight, 8);
    assert_int_equal(byteorder_load(eight, 2), 0x0807);
    assert_int_equal(byteorder_width(NQ_C64), 4);
    assert_int_equal(byteorder_width(NQ_F4), 1);
    assert_int_equal(byteorder_width(NQ_BF16), 2);
    assert_int_equal(byteorder_width(NQ_I64), 8);
    assert_int_equal(byteorder_width(NQ_DTYPE_COUNT), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_arrays),
        cmocka_unit_test(test_refuses_arrays),
        cmocka_unit_test(test_versions_and_ends),
        cmocka_unit_test(test_byte_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
