/*
 * Reading safetensors: see safetensors.h. The header is read once from front to end; nothing of it
 * is believed before it was checked, and every complaint names the file and the tensor or byte.
 */
#include "common/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/json.h"

#define LENGTH_BYTES 8 /* of the header's length in front of it */

/* What is known while the header is read. */
typedef struct parser {
    st_file *file;
    const char *label;
    fault *f;
    json j;
    char *texts; /* where the next text goes */
    size_t tensor_capacity;
    size_t pair_capacity;
    uint64_t data_bytes; /* behind the header */
    const uint8_t *data;
    bool has_metadata;
} parser;

/* Where a tensor's entry says that it is. */
typedef struct entry {
    nq_tensor tensor;
    uint64_t begin;
    uint64_t end;
    bool has_dtype;
    bool has_shape;
    bool has_offsets;
} entry;

/* ---- Complaints ---------------------------------------------------------------------------- */

static bool fail_json(parser *p)
{
    return fault_set(p->f, FAULT_FORMAT, "%s: header, byte %zu: %s", p->label,
                     LENGTH_BYTES + p->j.at, p->j.error);
}

static bool fail_tensor(parser *p, int kind, const nq_tensor *tensor, const char *what)
{
    char name[QUOTED_BYTES];
    return fault_set(p->f, kind, "%s: tensor %s: %s", p->label,
                     fault_quote(name, tensor->name, tensor->name_bytes), what);
}

/* ---- Growing ------------------------------------------------------------------------------- */

/* Room for one more element of `size` bytes in an array of n. */
static bool grow(void **array, size_t *capacity, size_t n, size_t size)
{
    if (n < *capacity)
        return true;
    const size_t wanted = *capacity ? 2 * *capacity : 64;
    if (wanted > SIZE_MAX / size)
        return false;
    void *grown = realloc(*array, wanted * size);
    if (!grown)
        return false;
    *array = grown;
    *capacity = wanted;
    return true;
}

static bool add_tensor(parser *p, const st_tensor *tensor)
{
    void *array = p->file->tensors;
    const bool has_room = grow(&array, &p->tensor_capacity, p->file->n_tensors, sizeof *tensor);
    p->file->tensors = array;
    if (!has_room)
        return fault_memory(p->f, p->label);
    p->file->tensors[p->file->n_tensors++] = *tensor;
    return true;
}

static bool add_pair(parser *p, const st_pair *pair)
{
    void *array = p->file->metadata;
    const bool has_room = grow(&array, &p->pair_capacity, p->file->n_metadata, sizeof *pair);
    p->file->metadata = array;
    if (!has_room)
        return fault_memory(p->f, p->label);
    p->file->metadata[p->file->n_metadata++] = *pair;
    return true;
}

/* ---- Tensor entries ------------------------------------------------------------------------ */

static bool read_dtype(parser *p, entry *e)
{
    char *scratch = p->texts;
    size_t n_bytes;
    const char *dtype = json_string(&p->j, &scratch, &n_bytes);
    if (!dtype)
        return false;
    for (uint32_t i = 0; i < NQ_DTYPE_COUNT; i++)
        if (json_is(dtype, n_bytes, nq_dtype_name(i))) {
            e->tensor.dtype = i;
            return true;
        }
    char shown[QUOTED_BYTES];
    return fault_set(p->f, FAULT_FORMAT, "%s: header, byte %zu: unknown type %s", p->label,
                     LENGTH_BYTES + p->j.at, fault_quote(shown, dtype, n_bytes));
}

static bool read_shape(parser *p, entry *e)
{
    if (!json_enter(&p->j, '['))
        return false;
    while (json_more(&p->j)) {
        uint64_t dimension;
        if (!json_u64(&p->j, &dimension))
            return false;
        if (e->tensor.rank == NQ_MAX_RANK)
            return fail_tensor(p, FAULT_LIMIT, &e->tensor, "more than 8 dimensions");
        e->tensor.dims[e->tensor.rank++] = dimension;
    }
    return !p->j.error;
}

static bool read_offsets(parser *p, entry *e)
{
    static const char wrong[] = "two offsets are expected";
    uint64_t *const ends[] = {&e->begin, &e->end};
    if (!json_enter(&p->j, '['))
        return false;
    for (size_t i = 0; i < 2; i++) {
        if (!json_more(&p->j))
            return json_refuse(&p->j, wrong);
        if (!json_u64(&p->j, ends[i]))
            return false;
    }
    return !json_more(&p->j) ? !p->j.error : json_refuse(&p->j, wrong);
}

static bool read_once(parser *p, entry *e, bool *has, bool (*read)(parser *, entry *))
{
    if (*has)
        return json_refuse(&p->j, "a key is there twice");
    *has = true;
    return read(p, e);
}

/* Keys that this program does not know are passed over, as other readers do. */
static bool read_field(parser *p, entry *e)
{
    char *scratch = p->texts;
    size_t n_bytes;
    const char *key = json_key(&p->j, &scratch, &n_bytes);
    if (!key)
        return false;
    if (json_is(key, n_bytes, "dtype"))
        return read_once(p, e, &e->has_dtype, read_dtype);
    if (json_is(key, n_bytes, "shape"))
        return read_once(p, e, &e->has_shape, read_shape);
    if (json_is(key, n_bytes, "data_offsets"))
        return read_once(p, e, &e->has_offsets, read_offsets);
    return json_skip(&p->j);
}

/* Type, shape and place agree, and the place is in the file. */
static bool check_entry(parser *p, const entry *e)
{
    uint64_t n_bytes = 0;
    if (!e->has_dtype || !e->has_shape || !e->has_offsets)
        return fail_tensor(p, FAULT_FORMAT, &e->tensor,
                           !e->has_dtype   ? "no \"dtype\""
                           : !e->has_shape ? "no \"shape\""
                                           : "no \"data_offsets\"");
    if (e->begin > e->end || e->end > p->data_bytes) {
        char name[QUOTED_BYTES];
        return fault_set(p->f, FAULT_FORMAT,
                         "%s: tensor %s: data_offsets [%" PRIu64 ", %" PRIu64
                         "] do not lie in the %" PRIu64 " bytes of data: cut off or damaged",
                         p->label, fault_quote(name, e->tensor.name, e->tensor.name_bytes),
                         e->begin, e->end, p->data_bytes);
    }
    if (!st_tensor_bytes(&n_bytes, &e->tensor, p->label, p->f))
        return false;
    if (n_bytes != e->end - e->begin) {
        char name[QUOTED_BYTES];
        return fault_set(p->f, FAULT_FORMAT,
                         "%s: tensor %s: its shape takes %" PRIu64
                         " bytes, its data_offsets [%" PRIu64 ", %" PRIu64 "] hold %" PRIu64,
                         p->label, fault_quote(name, e->tensor.name, e->tensor.name_bytes), n_bytes,
                         e->begin, e->end, e->end - e->begin);
    }
    return true;
}

static bool read_tensor(parser *p, const char *name, size_t name_bytes)
{
    entry e = {0};
    nq_tensor_init(&e.tensor);
    e.tensor.name = name;
    e.tensor.name_bytes = (uint32_t)name_bytes; /* within the header, so within 100 MB */
    if (!json_enter(&p->j, '{'))
        return false;
    while (json_more(&p->j))
        if (!read_field(p, &e))
            return false;
    if (p->j.error || !check_entry(p, &e))
        return false;
    e.tensor.data = p->data + e.begin;
    return add_tensor(p, &(st_tensor){e.tensor, e.end - e.begin});
}

/* ---- Metadata ------------------------------------------------------------------------------ */

static bool read_metadata(parser *p)
{
    if (p->has_metadata)
        return json_refuse(&p->j, "__metadata__ is there twice");
    p->has_metadata = true;
    if (!json_enter(&p->j, '{'))
        return false;
    while (json_more(&p->j)) {
        st_pair pair;
        pair.key = json_key(&p->j, &p->texts, &pair.key_bytes);
        if (!pair.key)
            return false;
        pair.value = json_string(&p->j, &p->texts, &pair.value_bytes);
        if (!pair.value || !add_pair(p, &pair))
            return false;
    }
    return !p->j.error;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static bool read_header(parser *p)
{
    if (!json_enter(&p->j, '{'))
        return false;
    while (json_more(&p->j)) {
        size_t n_bytes;
        const char *key = json_key(&p->j, &p->texts, &n_bytes);
        if (!key || !(json_is(key, n_bytes, "__metadata__") ? read_metadata(p)
                                                            : read_tensor(p, key, n_bytes)))
            return false;
    }
    return json_end(&p->j);
}

static bool check_twins(parser *p)
{
    const st_file *file = p->file;
    const size_t n = file->n_tensors > file->n_metadata ? file->n_tensors : file->n_metadata;
    json_name *names = malloc((n ? n : 1) * sizeof *names);
    if (!names)
        return fault_memory(p->f, p->label);
    const char *kind = "tensor";
    for (size_t i = 0; i < file->n_tensors; i++)
        names[i] = (json_name){file->tensors[i].tensor.name, file->tensors[i].tensor.name_bytes};
    const json_name *twin = json_find_twin(names, file->n_tensors);
    if (!twin) {
        kind = "metadata key";
        for (size_t i = 0; i < file->n_metadata; i++)
            names[i] = (json_name){file->metadata[i].key, file->metadata[i].key_bytes};
        twin = json_find_twin(names, file->n_metadata);
    }
    char shown[QUOTED_BYTES];
    if (twin)
        fault_set(p->f, FAULT_FORMAT, "%s: %s %s is there twice", p->label, kind,
                  fault_quote(shown, twin->bytes, twin->n_bytes));
    free(names);
    return !twin;
}

static int compare_places(const void *a, const void *b)
{
    const st_tensor *x = *(const st_tensor *const *)a, *y = *(const st_tensor *const *)b;
    const uint8_t *p = x->tensor.data, *q = y->tensor.data;
    if (p != q)
        return p < q ? -1 : 1;
    return x->n_bytes < y->n_bytes ? -1 : x->n_bytes > y->n_bytes;
}

/* In the order of their data, each tensor begins where the one before ends. */
static bool check_gapless(parser *p, const st_tensor **sorted)
{
    const uint8_t *at = p->data;
    for (size_t i = 0; i < p->file->n_tensors; i++) {
        const nq_tensor *tensor = &sorted[i]->tensor;
        if ((const uint8_t *)tensor->data != at)
            return fail_tensor(p, FAULT_FORMAT, tensor,
                               (const uint8_t *)tensor->data < at
                                   ? "its data overlap another tensor's"
                                   : "there is a gap in front of its data");
        at += sorted[i]->n_bytes;
    }
    const uint64_t n_extra = p->data_bytes - (uint64_t)(at - p->data);
    return n_extra == 0 ||
           fault_set(p->f, FAULT_FORMAT, "%s: %" PRIu64 " bytes at the end belong to no tensor",
                     p->label, n_extra);
}

static bool check_places(parser *p)
{
    const size_t n = p->file->n_tensors;
    const st_tensor **sorted = malloc((n ? n : 1) * sizeof *sorted);
    if (!sorted)
        return fault_memory(p->f, p->label);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &p->file->tensors[i];
    qsort(sorted, n, sizeof *sorted, compare_places);
    const bool good = check_gapless(p, sorted);
    free(sorted);
    return good;
}

/* The header's length, and that it starts as one. */
static bool check_length(parser *p, uint64_t *header_bytes)
{
    const file_view *view = &p->file->view;
    if (view->n_bytes < LENGTH_BYTES)
        return fault_set(p->f, FAULT_FORMAT,
                         "%s: not a safetensors file: %" PRIu64 " bytes hold no header", p->label,
                         view->n_bytes);
    *header_bytes = byteorder_load(view->bytes, LENGTH_BYTES);
    if (*header_bytes > view->n_bytes - LENGTH_BYTES)
        return fault_set(p->f, FAULT_FORMAT,
                         "%s: not a safetensors file, or cut off: a header of %" PRIu64
                         " bytes in a file of %" PRIu64,
                         p->label, *header_bytes, view->n_bytes);
    if (*header_bytes > ST_MAX_HEADER_BYTES)
        return fault_set(p->f, FAULT_FORMAT, "%s: the header is longer than 100 MB", p->label);
    if (*header_bytes == 0 || view->bytes[LENGTH_BYTES] != '{')
        return fault_set(p->f, FAULT_FORMAT,
                         "%s: not a safetensors file: its header does not start with {", p->label);
    return true;
}

static void swap_data(st_file *file)
{
    for (size_t i = 0; byteorder_is_big() && i < file->n_tensors; i++) {
        const st_tensor *t = &file->tensors[i];
        uint8_t *data = file->view.bytes + ((const uint8_t *)t->tensor.data - file->view.bytes);
        byteorder_swap(data, t->n_bytes, byteorder_width(t->tensor.dtype));
    }
}

static bool parse(parser *p)
{
    uint64_t header_bytes = 0;
    const uint8_t *header = p->file->view.bytes + LENGTH_BYTES;
    if (!check_length(p, &header_bytes))
        return false;
    p->file->texts = p->texts = malloc((size_t)header_bytes + 1); /* some systems give none for 0 */
    if (!p->texts)
        return fault_memory(p->f, p->label);
    p->data = header + header_bytes;
    p->data_bytes = p->file->view.n_bytes - LENGTH_BYTES - header_bytes;
    json_init(&p->j, header, (size_t)header_bytes);
    if (!read_header(p))
        return p->j.error ? fail_json(p) : false;
    return check_twins(p) && check_places(p);
}

bool st_open_view(st_file *file, file_view *view, const char *label, fault *f)
{
    *file = (st_file){.view = *view, .n_bytes = view->n_bytes};
    *view = (file_view){0};
    parser p = {.file = file, .label = label, .f = f};
    if (!parse(&p)) {
        st_close(file);
        return false;
    }
    swap_data(file);
    return true;
}

bool st_open(st_file *file, const char *path, fault *f)
{
    file_view view;
    *file = (st_file){0};
    return file_open(&view, path, f) && st_open_view(file, &view, file_label(path), f);
}

void st_close(st_file *file)
{
    file_close(&file->view);
    free(file->tensors);
    free(file->metadata);
    free(file->texts);
    *file = (st_file){0};
}

const st_tensor *st_find(const st_file *file, const char *name, size_t name_bytes)
{
    for (size_t i = 0; i < file->n_tensors; i++) {
        const nq_tensor *t = &file->tensors[i].tensor;
        if (t->name_bytes == name_bytes &&
            (name_bytes == 0 || memcmp(t->name, name, name_bytes) == 0))
            return &file->tensors[i];
    }
    return NULL;
}
