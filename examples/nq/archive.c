/*
 * Open .nq files: see archive.h.
 */
#include "archive.h"

#include <string.h>

#include "errors.h"

#define MAGIC "\x89NQ\r\n\x1a\n" /* docs/format/nq-v1.md; the NUL behind it belongs to it */

bool archive_is(const uint8_t *bytes, uint64_t n_bytes)
{
    return n_bytes >= sizeof MAGIC && memcmp(bytes, MAGIC, sizeof MAGIC) == 0;
}

int archive_open_view(archive *a, file_view *view, const char *path, const nq_ctx *ctx)
{
    nq_diag diag;
    nq_diag_init(&diag);
    *a = (archive){.label = file_label(path), .view = *view};
    *view = (file_view){0};
    const nq_status status =
        nq_reader_open(&a->reader, ctx, a->view.bytes, (size_t)a->view.n_bytes, &diag);
    nq_reader_info_init(&a->info);
    if (status == NQ_OK && nq_reader_get_info(a->reader, &a->info) == NQ_OK)
        return CLI_DONE;
    const int code = cli_library_error(a->label, &diag, NULL);
    archive_close(a);
    return code;
}

int archive_open(archive *a, const char *path, const nq_ctx *ctx)
{
    fault f;
    file_view view;
    *a = (archive){0};
    return file_open(&view, path, &f) ? archive_open_view(a, &view, path, ctx) : cli_fault(&f);
}

void archive_close(archive *a)
{
    nq_reader_destroy(a->reader);
    file_close(&a->view);
    *a = (archive){0};
}

nq_tensor_info archive_tensor(const archive *a, uint64_t i)
{
    nq_tensor_info info;
    nq_tensor_info_init(&info);
    if (nq_reader_tensor(a->reader, i, &info) != NQ_OK)
        nq_tensor_info_init(&info);
    return info;
}

nq_tensor archive_describe(const archive *a, uint64_t i)
{
    const nq_tensor_info info = archive_tensor(a, i);
    nq_tensor tensor;
    nq_tensor_init(&tensor);
    tensor.dtype = info.dtype;
    tensor.rank = info.rank;
    tensor.name = info.name;
    tensor.name_bytes = info.name_bytes;
    memcpy(tensor.dims, info.dims, sizeof tensor.dims);
    return tensor;
}

int archive_error(const archive *a, const nq_diag *diag)
{
    if (diag->tensor >= a->info.n_tensors)
        return cli_library_error(a->label, diag, NULL);
    const nq_tensor tensor = archive_describe(a, diag->tensor);
    return cli_library_error(a->label, diag, &tensor);
}
