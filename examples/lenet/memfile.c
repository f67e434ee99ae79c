/*
 * Grows by doubling; gaps that a sink leaves until later are zero.
 */
#include "memfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

void memfile_free(memfile *file)
{
    free(file->bytes);
    *file = (memfile){0};
}

static bool reserve(memfile *file, size_t n_bytes)
{
    size_t capacity = file->capacity ? file->capacity : 4096;
    while (capacity < n_bytes)
        capacity *= 2;
    if (capacity == file->capacity)
        return true;
    uint8_t *bytes = realloc(file->bytes, capacity);
    if (!bytes)
        return false;
    memset(bytes + file->capacity, 0, capacity - file->capacity);
    file->bytes = bytes;
    file->capacity = capacity;
    return true;
}

static nq_status store(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    memfile *file = user;
    if (offset > SIZE_MAX / 4 || n_bytes > SIZE_MAX / 4)
        return NQ_E_NOMEM;
    const size_t end = (size_t)offset + n_bytes;
    if (!reserve(file, end))
        return NQ_E_NOMEM;
    memcpy(file->bytes + offset, bytes, n_bytes);
    file->n_bytes = end > file->n_bytes ? end : file->n_bytes;
    return NQ_OK;
}

nq_sink memfile_sink(memfile *file)
{
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = store;
    sink.user = file;
    return sink;
}

bool memfile_load(memfile *file, const char *path, fault *f)
{
    file_view view;
    if (!file_open(&view, path, f))
        return false;
    const bool is_loaded = reserve(file, (size_t)view.n_bytes);
    if (is_loaded) {
        memcpy(file->bytes, view.bytes, (size_t)view.n_bytes);
        file->n_bytes = (size_t)view.n_bytes;
    }
    file_close(&view);
    return is_loaded || fault_memory(f, path);
}

bool memfile_save(const memfile *file, const char *path, fault *f)
{
    FILE *out = fopen(path, "wb");
    if (!out)
        return fault_errno(f, path, "cannot be made");
    const bool is_written = fwrite(file->bytes, 1, file->n_bytes, out) == file->n_bytes;
    if (fclose(out) != 0 || !is_written)
        return fault_errno(f, path, "cannot be written");
    return true;
}
