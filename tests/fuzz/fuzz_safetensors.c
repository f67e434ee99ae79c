/*
 * The reader of safetensors that `nq` has: any bytes. Of what is accepted the data lie within the
 * file, and written again it reads the same.
 */
#include "common/safetensors.h"
#include "fuzz.h"

static bool append(void *user, const void *more, size_t n_bytes)
{
    bytes_put(user, more, n_bytes);
    return true;
}

static bool open_bytes(st_file *file, const uint8_t *data, size_t n_bytes, fault *f)
{
    file_view view = {.bytes = exact_copy(data, n_bytes), .n_bytes = n_bytes};
    *f = (fault){0};
    const bool is_open = st_open_view(file, &view, "input", f);
    assert_true(is_open || (f->kind >= FAULT_FORMAT && f->kind <= FAULT_MEMORY));
    assert_true(is_open ||
                (strncmp(f->text, "input: ", 7) == 0 && strlen(f->text) < sizeof f->text));
    return is_open;
}

static void check_tensors(const st_file *file)
{
    for (size_t i = 0; i < file->n_tensors; i++) {
        const st_tensor *t = &file->tensors[i];
        const uint8_t *data = t->tensor.data;
        uint64_t n_elements;
        assert_true(t->n_bytes <= file->n_bytes && data >= file->view.bytes);
        assert_true((uint64_t)(data - file->view.bytes) <= file->n_bytes - t->n_bytes);
        assert_int_equal(nq_tensor_elements(&n_elements, &t->tensor), NQ_OK);
        assert_true(n_elements * nq_dtype_bits(t->tensor.dtype) == 8 * t->n_bytes);
        assert_true(st_find(file, t->tensor.name, t->tensor.name_bytes) == t);
    }
}

static void check_same(const st_file *a, const st_file *b)
{
    assert_true(a->n_tensors == b->n_tensors && a->n_metadata == b->n_metadata);
    for (size_t i = 0; i < a->n_tensors; i++) {
        const st_tensor *t = &a->tensors[i];
        const st_tensor *u = st_find(b, t->tensor.name, t->tensor.name_bytes);
        assert_true(u && u->n_bytes == t->n_bytes && u->tensor.dtype == t->tensor.dtype);
        assert_true(u->tensor.rank == t->tensor.rank);
        for (uint32_t k = 0; k < t->tensor.rank; k++)
            assert_true(u->tensor.dims[k] == t->tensor.dims[k]);
        if (t->n_bytes > 0)
            assert_memory_equal(u->tensor.data, t->tensor.data, (size_t)t->n_bytes);
    }
}

static void write_again(const st_file *file)
{
    fault f = {0};
    st_writer writer;
    st_file back;
    bytes out = {0};
    nq_tensor *tensors = malloc((file->n_tensors + 1) * sizeof *tensors);
    for (size_t i = 0; i < file->n_tensors; i++)
        tensors[i] = file->tensors[i].tensor;
    assert_true(st_write_begin(&writer, tensors, file->n_tensors, file->metadata, file->n_metadata,
                               append, &out, &f));
    for (size_t i = 0; i < file->n_tensors; i++)
        assert_true(st_write_data(&writer, tensors[i].data, (size_t)file->tensors[i].n_bytes, &f));
    assert_true(st_write_end(&writer, &f));
    assert_true(open_bytes(&back, out.at, out.n, &f));
    check_same(file, &back);
    st_close(&back);
    bytes_free(&out);
    free(tensors);
}

static void run(const uint8_t *data, size_t n_bytes)
{
    fault f;
    st_file file;
    if (!open_bytes(&file, data, n_bytes, &f))
        return;
    check_tensors(&file);
    write_again(&file);
    st_close(&file);
}

static bytes make_seed(uint64_t number)
{
    static const char *const names[] = {"a", "layer.0.weight", "\xc3\xa9", "with \"quotes\""};
    static const uint8_t zeros[256];
    static const st_pair metadata[] = {{"format", 6, "pt", 2}};
    uint64_t seed = number;
    bytes b = {0};
    nq_tensor t[4] = {{0}};
    st_writer writer;
    fault f = {0};
    const size_t n = unit_random(&seed) % 5;
    for (size_t i = 0; i < n; i++) {
        nq_tensor_init(&t[i]);
        t[i].dtype = (uint32_t)(unit_random(&seed) % NQ_DTYPE_COUNT);
        t[i].rank = (uint32_t)(unit_random(&seed) % 3 + 1);
        t[i].dims[0] = 8 * (unit_random(&seed) % 3);
        t[i].dims[1] = t[i].dims[2] = 1;
        t[i].name = names[i];
        t[i].name_bytes = (uint32_t)strlen(names[i]);
    }
    assert_true(st_write_begin(&writer, t, n, metadata, unit_random(&seed) % 2, append, &b, &f));
    for (size_t i = 0; i < n; i++)
        assert_true(st_write_data(&writer, zeros,
                                  (size_t)t[i].dims[0] * nq_dtype_bits(t[i].dtype) / 8, &f));
    return b;
}

const fuzz_target fuzz_safetensors = {"safetensors", run, make_seed};
