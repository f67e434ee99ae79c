/*
 * Sides of a comparison: see side.h. Names are found by bisection, in a sorted list.
 */
#include "side.h"

#include <stdlib.h>
#include <string.h>

#include "common/safetensors.h"
#include "errors.h"

static int compare_names(const nq_tensor *a, const char *name, size_t name_bytes)
{
    if (a->name_bytes != name_bytes)
        return a->name_bytes < name_bytes ? -1 : 1;
    return name_bytes ? memcmp(a->name, name, name_bytes) : 0;
}

/* Lets order[at] sink in the heap of n numbers until no child's name comes later. */
static void sink(const side *s, size_t n, size_t at)
{
    uint64_t *order = s->by_name;
    const uint64_t sinking = order[at];
    const nq_tensor heavy = side_describe(s, (size_t)sinking);
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        nq_tensor next = side_describe(s, (size_t)order[child]);
        if (child + 1 < n) {
            const nq_tensor other = side_describe(s, (size_t)order[child + 1]);
            if (compare_names(&next, other.name, other.name_bytes) < 0) {
                next = other;
                child++;
            }
        }
        if (compare_names(&heavy, next.name, next.name_bytes) >= 0)
            break;
        order[at] = order[child];
    }
    order[at] = sinking;
}

/* Heapsort: qsort could not be told which file the numbers are of. */
static bool sort_names(side *s)
{
    const size_t n = s->n_tensors;
    s->by_name = calloc(n + 1, sizeof *s->by_name);
    if (!s->by_name)
        return false;
    for (size_t i = 0; i < n; i++)
        s->by_name[i] = i;
    for (size_t i = n / 2; i-- > 0;)
        sink(s, n, i);
    for (size_t left = n; left > 1; left--) {
        const uint64_t last = s->by_name[0];
        s->by_name[0] = s->by_name[left - 1];
        sink(s, left - 1, 0);
        s->by_name[left - 1] = last;
    }
    return true;
}

int side_open(side *s, const char *path, const nq_ctx *ctx)
{
    fault f;
    file_view view;
    *s = (side){.label = file_label(path)};
    if (!file_open(&view, path, &f))
        return cli_fault(&f);
    const size_t length = strlen(path);
    s->is_archive = archive_is(view.bytes, view.n_bytes) ||
                    (length >= 3 && strcmp(path + length - 3, ".nq") == 0);
    const int code = s->is_archive ? archive_open_view(&s->nq, &view, path, ctx)
                                   : model_open_view(&s->plain, &view, path);
    if (code != CLI_DONE)
        return code;
    s->n_tensors = s->is_archive ? (size_t)s->nq.info.n_tensors : s->plain.n_tensors;
    return !s->is_archive || sort_names(s) ? CLI_DONE : cli_out_of_memory();
}

void side_close(side *s)
{
    archive_close(&s->nq);
    model_close(&s->plain);
    free(s->by_name);
    free(s->decoded);
    *s = (side){0};
}

nq_tensor side_describe(const side *s, size_t i)
{
    return s->is_archive ? archive_describe(&s->nq, i) : s->plain.tensors[i].tensor;
}

size_t side_find(const side *s, const char *name, size_t name_bytes)
{
    if (!s->is_archive) {
        const st_tensor *found = model_find(&s->plain, name, name_bytes);
        return found ? (size_t)(found - s->plain.tensors) : s->n_tensors;
    }
    size_t low = 0, high = s->n_tensors;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const nq_tensor tensor = side_describe(s, (size_t)s->by_name[middle]);
        const int order = compare_names(&tensor, name, name_bytes);
        if (order == 0)
            return (size_t)s->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return s->n_tensors;
}

static int make_room(side *s, uint64_t n_bytes)
{
    if (n_bytes <= s->capacity)
        return CLI_DONE;
    free(s->decoded);
    s->capacity = 0;
    s->decoded = n_bytes <= SIZE_MAX ? malloc((size_t)n_bytes) : NULL;
    if (!s->decoded)
        return cli_out_of_memory();
    s->capacity = (size_t)n_bytes;
    return CLI_DONE;
}

int side_fetch(nq_tensor *out, side *s, size_t i, const nq_ctx *ctx)
{
    fault f;
    nq_diag diag;
    uint64_t n_bytes, n_elements;
    *out = side_describe(s, i);
    if (!s->is_archive)
        return CLI_DONE;
    if (!st_tensor_bytes(&n_bytes, out, s->label, &f))
        return cli_fault(&f);
    const int code = make_room(s, n_bytes);
    if (code != CLI_DONE)
        return code;
    nq_diag_init(&diag);
    out->data = s->decoded;
    n_elements = archive_tensor(&s->nq, i).n_elements;
    if (nq_reader_decode(s->nq.reader, ctx, i, out->dtype, 0, n_elements, s->decoded, &diag) !=
        NQ_OK)
        return archive_error(&s->nq, &diag);
    return CLI_DONE;
}
