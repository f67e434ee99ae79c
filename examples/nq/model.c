/*
 * Sources of tensors: see model.h. The format is told by the content; only what an index is takes
 * the name too.
 */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "errors.h"
#include "output.h"

/* ---- Finding by name ----------------------------------------------------------------------- */

static int compare_names(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    if (a_bytes != b_bytes)
        return a_bytes < b_bytes ? -1 : 1;
    return a_bytes ? memcmp(a, b, a_bytes) : 0;
}

static int compare_tensors(const void *a, const void *b)
{
    const nq_tensor *x = &(*(const st_tensor *const *)a)->tensor;
    const nq_tensor *y = &(*(const st_tensor *const *)b)->tensor;
    return compare_names(x->name, x->name_bytes, y->name, y->name_bytes);
}

static bool sort_names(model *m)
{
    m->by_name = malloc((m->n_tensors ? m->n_tensors : 1) * sizeof *m->by_name);
    if (!m->by_name)
        return false;
    for (size_t i = 0; i < m->n_tensors; i++)
        m->by_name[i] = &m->tensors[i];
    qsort(m->by_name, m->n_tensors, sizeof *m->by_name, compare_tensors);
    return true;
}

const st_tensor *model_find(const model *m, const char *name, size_t name_bytes)
{
    size_t low = 0, high = m->n_tensors;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const nq_tensor *t = &m->by_name[middle]->tensor;
        const int order = compare_names(name, name_bytes, t->name, t->name_bytes);
        if (order == 0)
            return m->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* ---- Formats ------------------------------------------------------------------------------- */

static bool open_npy(model *m, file_view *view, fault *f)
{
    m->n_bytes = view->n_bytes;
    if (!npy_open_view(&m->npy, view, m->label, f))
        return false;
    m->tensors = malloc(sizeof *m->tensors);
    if (!m->tensors)
        return fault_memory(f, m->label);
    m->tensors[0] = (st_tensor){m->npy.tensor, m->npy.n_bytes};
    m->n_tensors = 1;
    return true;
}

/* The one file's lists become the model's. */
static bool open_safetensors(model *m, file_view *view, fault *f)
{
    m->files = calloc(1, sizeof *m->files);
    if (!m->files)
        return fault_memory(f, m->label);
    m->n_files = 1;
    st_file *file = &m->files[0];
    if (!st_open_view(file, view, m->label, f))
        return false;
    m->n_bytes = file->n_bytes;
    m->n_tensors = file->n_tensors;
    m->tensors = file->tensors;
    m->n_metadata = file->n_metadata;
    m->metadata = file->metadata;
    file->tensors = NULL;
    file->metadata = NULL;
    return true;
}

static bool open_index(model *m, file_view *view, const char *path, fault *f)
{
    m->index = *view;
    *view = (file_view){0};
    m->n_bytes = m->index.n_bytes;
    return shards_open(m, path, f);
}

static bool open_any(model *m, file_view *view, const char *path, fault *f)
{
    if (npy_is(view->bytes, view->n_bytes))
        return open_npy(m, view, f);
    if (shards_is_index(view, path))
        return open_index(m, view, path, f);
    return open_safetensors(m, view, f);
}

int model_open_view(model *m, file_view *view, const char *path)
{
    fault f;
    *m = (model){.label = file_label(path)};
    const bool good = open_any(m, view, path, &f) && (sort_names(m) || fault_memory(&f, m->label));
    file_close(view);
    if (good)
        return CLI_DONE;
    model_close(m);
    return cli_fault(&f);
}

int model_open(model *m, const char *path)
{
    fault f;
    file_view view;
    *m = (model){0};
    if (!file_open(&view, path, &f))
        return cli_fault(&f);
    if (archive_is(view.bytes, view.n_bytes)) {
        file_close(&view);
        return cli_error(CLI_USAGE, "%s: is a .nq file already; `nq decompress` reads it",
                         file_label(path));
    }
    return model_open_view(m, &view, path);
}

void model_close(model *m)
{
    for (size_t i = 0; i < m->n_files; i++)
        st_close(&m->files[i]);
    npy_close(&m->npy);
    file_close(&m->index);
    free(m->files);
    free(m->index_texts);
    free(m->tensors);
    free(m->metadata);
    free(m->by_name);
    *m = (model){0};
}

bool model_has_file(const model *m, const char *path)
{
    for (size_t i = 0; i < m->n_files; i++)
        if (output_is_file(path, m->files[i].view.device, m->files[i].view.inode))
            return true;
    return output_is_file(path, m->index.device, m->index.inode) ||
           output_is_file(path, m->npy.view.device, m->npy.view.inode);
}

bool model_add_metadata(model *m, const st_pair *pair)
{
    st_pair *grown = realloc(m->metadata, (m->n_metadata + 1) * sizeof *grown);
    if (!grown)
        return false;
    m->metadata = grown;
    grown[m->n_metadata++] = *pair;
    return true;
}
