/*
 * Reading .npy: see npy.h. The header is a Python dictionary of three known keys; only what numpy
 * itself writes is understood, in any order and spacing.
 */
#include "common/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/safetensors.h"

#define MAGIC       "\x93NUMPY"
#define MAGIC_BYTES 6

/* The header's text and how far it was read. */
typedef struct parser {
    const char *text;
    size_t n_bytes;
    size_t at;
} parser;

typedef struct header {
    nq_tensor tensor;
    char descr[16];
    bool is_fortran;
    bool has_descr, has_order, has_shape;
} header;

bool npy_is(const uint8_t *bytes, uint64_t n_bytes)
{
    return n_bytes >= MAGIC_BYTES && memcmp(bytes, MAGIC, MAGIC_BYTES) == 0;
}

/* ---- The dictionary ------------------------------------------------------------------------ */

static char peek(parser *p)
{
    while (p->at < p->n_bytes && (p->text[p->at] == ' ' || p->text[p->at] == '\n'))
        p->at++;
    return p->at < p->n_bytes ? p->text[p->at] : '\0';
}

static bool take(parser *p, char c)
{
    if (peek(p) != c)
        return false;
    p->at++;
    return true;
}

static bool take_word(parser *p, const char *word)
{
    const size_t n = strlen(word);
    peek(p);
    if (p->n_bytes - p->at < n || memcmp(p->text + p->at, word, n) != 0)
        return false;
    p->at += n;
    return true;
}

/* A string in either quotes, without escapes. */
static bool take_string(parser *p, char *out, size_t capacity)
{
    const char quote = peek(p);
    size_t n = 0;
    if (quote != '\'' && quote != '"')
        return false;
    for (p->at++; p->at < p->n_bytes && p->text[p->at] != quote; p->at++) {
        if (n + 1 >= capacity || p->text[p->at] == '\\')
            return false;
        out[n++] = p->text[p->at];
    }
    out[n] = '\0';
    return take(p, quote);
}

static bool take_u64(parser *p, uint64_t *value)
{
    const char first = peek(p);
    *value = 0;
    if (first < '0' || first > '9')
        return false;
    for (; p->at < p->n_bytes && p->text[p->at] >= '0' && p->text[p->at] <= '9'; p->at++) {
        const uint64_t digit = (uint64_t)(p->text[p->at] - '0');
        if (*value > (UINT64_MAX - digit) / 10)
            return false;
        *value = *value * 10 + digit;
    }
    return true;
}

static bool take_shape(parser *p, nq_tensor *tensor)
{
    tensor->rank = 0;
    if (!take(p, '('))
        return false;
    while (peek(p) != ')') {
        uint64_t dimension;
        if (tensor->rank == NQ_MAX_RANK || !take_u64(p, &dimension))
            return false;
        tensor->dims[tensor->rank++] = dimension;
        if (!take(p, ',') && peek(p) != ')')
            return false;
    }
    return take(p, ')');
}

static bool take_item(parser *p, header *h)
{
    char key[32];
    if (!take_string(p, key, sizeof key) || !take(p, ':'))
        return false;
    if (strcmp(key, "descr") == 0 && !h->has_descr)
        return h->has_descr = take_string(p, h->descr, sizeof h->descr);
    if (strcmp(key, "fortran_order") == 0 && !h->has_order) {
        h->is_fortran = take_word(p, "True");
        return h->has_order = h->is_fortran || take_word(p, "False");
    }
    if (strcmp(key, "shape") == 0 && !h->has_shape)
        return h->has_shape = take_shape(p, &h->tensor);
    return false;
}

static bool take_dictionary(parser *p, header *h)
{
    if (!take(p, '{'))
        return false;
    while (peek(p) != '}') {
        if (!take_item(p, h) || (!take(p, ',') && peek(p) != '}'))
            return false;
    }
    return take(p, '}') && peek(p) == '\0' && p->at == p->n_bytes && h->has_descr && h->has_order &&
           h->has_shape;
}

/* ---- What it means ------------------------------------------------------------------------- */

static bool find_dtype(header *h)
{
    static const struct {
        const char *descr;
        uint32_t dtype;
    } types[] = {{"<f4", NQ_F32}, {"<f2", NQ_F16}, {"<f8", NQ_F64}, {"|b1", NQ_BOOL},
                 {"|u1", NQ_U8},  {"|i1", NQ_I8},  {"<u2", NQ_U16}, {"<i2", NQ_I16},
                 {"<u4", NQ_U32}, {"<i4", NQ_I32}, {"<u8", NQ_U64}, {"<i8", NQ_I64},
                 {"<c8", NQ_C64}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(h->descr, types[i].descr) == 0) {
            h->tensor.dtype = types[i].dtype;
            return true;
        }
    return false;
}

/* Whether columns first is another order than rows first: not with one dimension longer than one.
 */
static bool order_matters(const nq_tensor *tensor)
{
    unsigned n_long = 0;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] == 0)
            return false;
        n_long += tensor->dims[i] > 1;
    }
    return n_long > 1;
}

/* Finds the header's text behind magic, version and length. */
static bool find_header(parser *p, const file_view *view, const char *label, fault *f)
{
    const uint8_t *bytes = view->bytes;
    const unsigned version = view->n_bytes > MAGIC_BYTES ? bytes[MAGIC_BYTES] : 0;
    const size_t length_bytes = version == 1 ? 2 : 4;
    const size_t start = MAGIC_BYTES + 2 + length_bytes;
    if (version < 1 || version > 3)
        return fault_set(f, FAULT_FORMAT, "%s: .npy of an unknown version %u", label, version);
    if (view->n_bytes < start)
        return fault_set(f, FAULT_FORMAT, "%s: .npy cut off in its header", label);
    const uint64_t length = byteorder_load(bytes + MAGIC_BYTES + 2, length_bytes);
    if (length > view->n_bytes - start)
        return fault_set(f, FAULT_FORMAT, "%s: .npy cut off in its header", label);
    *p = (parser){(const char *)bytes + start, (size_t)length, 0};
    return true;
}

static bool parse(npy_file *file, const char *label, fault *f)
{
    parser p = {0};
    header h = {0};
    nq_tensor_init(&h.tensor);
    if (!find_header(&p, &file->view, label, f))
        return false;
    if (!take_dictionary(&p, &h))
        return fault_set(
            f, FAULT_FORMAT,
            "%s: .npy header not understood at its byte %zu (structured arrays and more "
            "than 8 dimensions are not read)",
            label, p.at);
    if (!find_dtype(&h))
        return fault_set(f, FAULT_FORMAT,
                         "%s: .npy of type %s: only little-endian numbers up to 8 bytes are read",
                         label, h.descr);
    if (h.is_fortran && order_matters(&h.tensor))
        return fault_set(f, FAULT_FORMAT,
                         "%s: .npy in Fortran order: save numpy.ascontiguousarray(it) instead",
                         label);
    h.tensor.name = NPY_TENSOR_NAME;
    h.tensor.name_bytes = sizeof NPY_TENSOR_NAME - 1;
    if (!st_tensor_bytes(&file->n_bytes, &h.tensor, label, f))
        return false;
    uint8_t *data = file->view.bytes + (p.text - (const char *)file->view.bytes) + p.n_bytes;
    const uint64_t n_left = file->view.n_bytes - (uint64_t)(data - file->view.bytes);
    if (n_left != file->n_bytes)
        return fault_set(f, FAULT_FORMAT,
                         "%s: the .npy header's shape takes %" PRIu64 " bytes, %" PRIu64
                         " follow it",
                         label, file->n_bytes, n_left);
    if (byteorder_is_big())
        byteorder_swap(data, file->n_bytes, byteorder_width(h.tensor.dtype));
    h.tensor.data = data;
    file->tensor = h.tensor;
    return true;
}

bool npy_open_view(npy_file *file, file_view *view, const char *label, fault *f)
{
    *file = (npy_file){.view = *view};
    *view = (file_view){0};
    const bool good = parse(file, label, f);
    if (!good)
        npy_close(file);
    return good;
}

void npy_close(npy_file *file)
{
    file_close(&file->view);
    *file = (npy_file){0};
}
