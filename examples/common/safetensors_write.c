/*
 * Writing safetensors: see safetensors.h. The header goes out first and whole, then the data in
 * whatever pieces they come; no more than a piece is ever held.
 */
#include "common/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/byteorder.h"
#include "common/json.h"
#include "common/utf8.h"

bool st_tensor_bytes(uint64_t *n_bytes, const nq_tensor *tensor, const char *label, fault *f)
{
    uint64_t n_elements;
    char name[QUOTED_BYTES];
    if (nq_tensor_elements(&n_elements, tensor) != NQ_OK)
        return fault_set(f, FAULT_LIMIT, "%s: tensor %s: too many elements", label,
                         fault_quote(name, tensor->name, tensor->name_bytes));
    /* At most 2^62 bytes, so whole and odd bits apart cannot overflow. */
    const uint32_t bits = nq_dtype_bits(tensor->dtype);
    const uint64_t odd_bits = n_elements % 8 * bits;
    if (odd_bits % 8 != 0)
        return fault_set(f, FAULT_FORMAT, "%s: tensor %s: its elements do not fill whole bytes",
                         label, fault_quote(name, tensor->name, tensor->name_bytes));
    *n_bytes = n_elements / 8 * bits + odd_bits / 8;
    return true;
}

/* ---- Header -------------------------------------------------------------------------------- */

static bool check_name(const nq_tensor *tensor, fault *f)
{
    char name[QUOTED_BYTES];
    const char *what = !utf8_is_valid(tensor->name, tensor->name_bytes) ? "is not UTF-8"
                       : json_is(tensor->name, tensor->name_bytes, "__metadata__")
                           ? "means something else"
                           : NULL;
    return !what || fault_set(f, FAULT_FORMAT, "tensor %s: a name that %s in safetensors",
                              fault_quote(name, tensor->name, tensor->name_bytes), what);
}

static bool check_names(const nq_tensor *tensors, size_t n_tensors, fault *f)
{
    json_name *names = malloc((n_tensors ? n_tensors : 1) * sizeof *names);
    if (!names)
        return fault_memory(f, "safetensors header");
    bool good = true;
    for (size_t i = 0; i < n_tensors && good; i++) {
        good = check_name(&tensors[i], f);
        names[i] = (json_name){tensors[i].name, tensors[i].name_bytes};
    }
    const json_name *twin = good ? json_find_twin(names, n_tensors) : NULL;
    char shown[QUOTED_BYTES];
    if (twin)
        good = fault_set(f, FAULT_FORMAT, "tensor %s is there twice",
                         fault_quote(shown, twin->bytes, twin->n_bytes));
    free(names);
    return good;
}

static bool append_metadata(buffer *b, const st_pair *pairs, size_t n_pairs, fault *f)
{
    char shown[QUOTED_BYTES];
    if (n_pairs == 0)
        return true;
    buffer_text(b, "\"__metadata__\":{");
    for (size_t i = 0; i < n_pairs; i++) {
        const st_pair *pair = &pairs[i];
        if (!utf8_is_valid(pair->key, pair->key_bytes) ||
            !utf8_is_valid(pair->value, pair->value_bytes))
            return fault_set(f, FAULT_FORMAT, "metadata %s: not UTF-8",
                             fault_quote(shown, pair->key, pair->key_bytes));
        buffer_text(b, i ? "," : "");
        buffer_json_string(b, pair->key, pair->key_bytes);
        buffer_text(b, ":");
        buffer_json_string(b, pair->value, pair->value_bytes);
    }
    buffer_text(b, "}");
    return true;
}

static bool append_tensor(buffer *b, const nq_tensor *tensor, uint64_t *offset, fault *f)
{
    uint64_t n_bytes = 0;
    if (!st_tensor_bytes(&n_bytes, tensor, "safetensors header", f))
        return false;
    if (n_bytes > UINT64_MAX - *offset)
        return fault_set(f, FAULT_LIMIT, "safetensors header: too many bytes");
    buffer_json_string(b, tensor->name, tensor->name_bytes);
    buffer_printf(b, ":{\"dtype\":\"%s\",\"shape\":[", nq_dtype_name(tensor->dtype));
    for (uint32_t i = 0; i < tensor->rank; i++)
        buffer_printf(b, i ? ",%" PRIu64 : "%" PRIu64, tensor->dims[i]);
    buffer_printf(b, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", *offset, *offset + n_bytes);
    *offset += n_bytes;
    return true;
}

/* Padded by spaces, so that the data start at a multiple of eight. */
static bool make_header(buffer *b, const st_writer *writer, const st_pair *metadata,
                        size_t n_metadata, fault *f)
{
    uint64_t offset = 0;
    buffer_text(b, "{");
    if (!append_metadata(b, metadata, n_metadata, f))
        return false;
    for (size_t i = 0; i < writer->n_tensors; i++) {
        buffer_text(b, i || n_metadata ? "," : "");
        if (!append_tensor(b, &writer->tensors[i], &offset, f))
            return false;
    }
    buffer_text(b, "}");
    while (b->n_bytes % 8 != 0 && !b->failed)
        buffer_text(b, " ");
    if (b->failed)
        return fault_memory(f, "safetensors header");
    return b->n_bytes <= ST_MAX_HEADER_BYTES ||
           fault_set(f, FAULT_LIMIT, "the safetensors header would be longer than 100 MB");
}

static bool put(st_writer *writer, const void *bytes, size_t n_bytes, fault *f)
{
    return writer->write(writer->user, bytes, n_bytes) || fault_set(f, FAULT_IO, "writing failed");
}

/* Goes to the next tensor that has data. */
static bool find_data(st_writer *writer, fault *f)
{
    while (writer->n_left == 0 && writer->current < writer->n_tensors)
        if (++writer->current < writer->n_tensors &&
            !st_tensor_bytes(&writer->n_left, &writer->tensors[writer->current], "safetensors", f))
            return false;
    return true;
}

bool st_write_begin(st_writer *writer, const nq_tensor *tensors, size_t n_tensors,
                    const st_pair *metadata, size_t n_metadata, st_write_fn write, void *user,
                    fault *f)
{
    buffer header = {0};
    uint8_t length[8];
    *writer = (st_writer){tensors, n_tensors, 0, 0, write, user};
    bool good =
        check_names(tensors, n_tensors, f) && make_header(&header, writer, metadata, n_metadata, f);
    for (size_t i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)header.n_bytes >> 8 * i);
    good = good && put(writer, length, sizeof length, f) &&
           put(writer, header.bytes, header.n_bytes, f);
    buffer_free(&header);
    if (good && n_tensors > 0)
        good =
            st_tensor_bytes(&writer->n_left, &tensors[0], "safetensors", f) && find_data(writer, f);
    return good;
}

/* ---- Data ---------------------------------------------------------------------------------- */

/* The caller's bytes are not touched: they are turned around in a small copy. */
static bool put_swapped(st_writer *writer, const uint8_t *bytes, size_t n_bytes, size_t width,
                        fault *f)
{
    uint8_t copy[4096];
    while (n_bytes > 0) {
        const size_t n = n_bytes < sizeof copy ? n_bytes : sizeof copy;
        memcpy(copy, bytes, n);
        byteorder_swap(copy, n, width);
        if (!put(writer, copy, n, f))
            return false;
        bytes += n;
        n_bytes -= n;
    }
    return true;
}

bool st_write_data(st_writer *writer, const void *bytes, size_t n_bytes, fault *f)
{
    if (n_bytes == 0)
        return true;
    if (n_bytes > writer->n_left)
        return fault_set(f, FAULT_FORMAT, "more data than the tensor has");
    const size_t width =
        byteorder_is_big() ? byteorder_width(writer->tensors[writer->current].dtype) : 1;
    writer->n_left -= n_bytes;
    return (width > 1 ? put_swapped(writer, bytes, n_bytes, width, f)
                      : put(writer, bytes, n_bytes, f)) &&
           find_data(writer, f);
}

bool st_write_end(st_writer *writer, fault *f)
{
    return writer->n_left == 0 ||
           fault_set(f, FAULT_FORMAT, "the data of tensor %zu are not complete", writer->current);
}

/* ---- A whole file -------------------------------------------------------------------------- */

static bool write_to_stream(void *user, const void *bytes, size_t n_bytes)
{
    return fwrite(bytes, 1, n_bytes, user) == n_bytes;
}

static bool save_data(st_writer *writer, const nq_tensor *tensors, size_t n_tensors, fault *f)
{
    for (size_t i = 0; i < n_tensors; i++) {
        uint64_t n_bytes = 0;
        if (!st_tensor_bytes(&n_bytes, &tensors[i], "safetensors", f) ||
            !st_write_data(writer, tensors[i].data, (size_t)n_bytes, f))
            return false;
    }
    return st_write_end(writer, f);
}

bool st_save(const char *path, const nq_tensor *tensors, size_t n_tensors, const st_pair *metadata,
             size_t n_metadata, fault *f)
{
    st_writer writer;
    FILE *file = fopen(path, "wb");
    if (!file)
        return fault_errno(f, path, "cannot be made");
    bool good = st_write_begin(&writer, tensors, n_tensors, metadata, n_metadata, write_to_stream,
                               file, f) &&
                save_data(&writer, tensors, n_tensors, f);
    if (!good && f->kind == FAULT_IO)
        fault_errno(f, path, "writing failed");
    if (fclose(file) != 0 && good)
        good = fault_errno(f, path, "writing failed");
    return good;
}
