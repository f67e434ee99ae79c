/*
 * The reader of .npy that `nq` has: any bytes. Of what is accepted the data are the rest of the
 * file.
 */
#include "common/npy.h"
#include "fuzz.h"

static void run(const uint8_t *data, size_t n_bytes)
{
    fault f = {0};
    npy_file file;
    file_view view = {.bytes = exact_copy(data, n_bytes), .n_bytes = n_bytes};
    const bool is_npy = npy_is(view.bytes, n_bytes);
    if (!is_npy) { /* callers ask first */
        file_close(&view);
        return;
    }
    if (!npy_open_view(&file, &view, "input", &f)) {
        assert_true(f.kind >= FAULT_FORMAT && f.kind <= FAULT_LIMIT);
        assert_true(strncmp(f.text, "input: ", 7) == 0 && strlen(f.text) < sizeof f.text);
        return;
    }
    uint64_t n_elements;
    assert_int_equal(nq_tensor_elements(&n_elements, &file.tensor), NQ_OK);
    assert_true(n_elements * nq_dtype_bits(file.tensor.dtype) == 8 * file.n_bytes);
    assert_true((const uint8_t *)file.tensor.data + file.n_bytes == file.view.bytes + n_bytes);
    npy_close(&file);
}

static bytes make_seed(uint64_t number)
{
    static const char *const types[] = {"<f4", "<f2", "<f8", "|b1", "<i8", ">f4", "<c8"};
    static const unsigned widths[] = {4, 2, 8, 1, 8, 4, 8};
    static const char *const shapes[] = {"(5,)", "()", "(2, 3)", "(0, 7)", "(1,1,1,1,1,1,1,1)"};
    static const unsigned sizes[] = {5, 1, 6, 0, 1};
    bytes b = {0};
    char header[200];
    const uint64_t type = number % 7, shape = number / 7 % 5, version = 1 + number / 35 % 3;
    const int length =
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n",
                 types[type], number / 105 % 2 ? "True" : "False", shapes[shape]);
    bytes_put(&b, "\x93NUMPY", 6);
    put_u(&b, version, 1);
    put_u(&b, 0, 1);
    put_u(&b, (uint64_t)length, version == 1 ? 2 : 4);
    bytes_put(&b, header, (size_t)length);
    for (unsigned i = 0; i < widths[type] * sizes[shape]; i++)
        put_u(&b, i, 1);
    return b;
}

const fuzz_target fuzz_npy = {"npy", run, make_seed};
