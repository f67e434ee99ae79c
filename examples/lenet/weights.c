/*
 * Weights from and to files: safetensors through examples/common, .nq through libnq. Takes nothing
 * but a LeNet-5: every name, type and shape is checked.
 */
#include "weights.h"

#include <string.h>

#include <nq/nq.h>

#include "common/file.h"
#include "network.h"

/* ---- Tensors --------------------------------------------------------------------------------- */

nq_tensor weights_tensor(const lenet_tensor *tensor, const float *weights)
{
    nq_tensor t;
    memset(&t, 0, sizeof t);
    t.struct_size = sizeof t;
    t.dtype = NQ_F32;
    t.rank = (uint32_t)tensor->rank;
    t.name = tensor->name;
    t.name_bytes = (uint32_t)strlen(tensor->name);
    t.data = weights + tensor->first;
    for (size_t i = 0; i < tensor->rank; i++)
        t.dims[i] = tensor->dims[i];
    return t;
}

static bool is_shaped_like(const lenet_tensor *tensor, uint32_t dtype, uint32_t rank,
                           const uint64_t *dims)
{
    bool is_same = dtype == NQ_F32 && rank == tensor->rank;
    for (size_t i = 0; is_same && i < tensor->rank; i++)
        is_same = dims[i] == tensor->dims[i];
    return is_same;
}

static bool refuse_tensor(const char *path, const lenet_tensor *tensor, fault *f)
{
    return fault_set(f, FAULT_FORMAT, "%s: not a LeNet-5: no %s, or not its shape in F32", path,
                     tensor->name);
}

static bool refuse_count(const char *path, uint64_t n_tensors, fault *f)
{
    return fault_set(f, FAULT_FORMAT, "%s: not a LeNet-5: %llu tensors, not %d", path,
                     (unsigned long long)n_tensors, LENET_TENSORS);
}

/* ---- safetensors ----------------------------------------------------------------------------- */

static bool take_tensors(float *weights, const st_file *model, const char *path, fault *f)
{
    if (model->n_tensors != LENET_TENSORS)
        return refuse_count(path, model->n_tensors, f);
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *wanted = &lenet_tensors[i];
        const st_tensor *found = st_find(model, wanted->name, strlen(wanted->name));
        if (!found ||
            !is_shaped_like(wanted, found->tensor.dtype, found->tensor.rank, found->tensor.dims))
            return refuse_tensor(path, wanted, f);
        memcpy(weights + wanted->first, found->tensor.data, wanted->count * sizeof(float));
    }
    return true;
}

static bool read_safetensors(float *weights, const char *path, file_view *view, fault *f)
{
    st_file model;
    if (!st_open_view(&model, view, path, f))
        return false;
    const bool is_read = take_tensors(weights, &model, path, f);
    st_close(&model);
    return is_read;
}

bool weights_write(const char *path, const float *weights, const st_pair *metadata,
                   size_t n_metadata, fault *f)
{
    nq_tensor tensors[LENET_TENSORS];
    for (size_t i = 0; i < LENET_TENSORS; i++)
        tensors[i] = weights_tensor(&lenet_tensors[i], weights);
    return st_save(path, tensors, LENET_TENSORS, metadata, n_metadata, f);
}

/* ---- .nq ------------------------------------------------------------------------------------- */

static bool refuse_nq(const char *path, nq_status status, const nq_diag *diag, fault *f)
{
    return fault_set(f, status == NQ_E_NOMEM ? FAULT_MEMORY : FAULT_FORMAT, "%s: %s%s%s", path,
                     nq_status_text(status), *diag->what ? ": " : "", diag->what);
}

static bool decode_tensor(float *out, const lenet_tensor *wanted, const nq_reader *model,
                          const char *path, fault *f)
{
    uint64_t number;
    nq_tensor_info info;
    nq_diag diag;
    nq_tensor_info_init(&info);
    nq_diag_init(&diag);
    if (nq_reader_find(model, wanted->name, strlen(wanted->name), &number) != NQ_OK ||
        nq_reader_tensor(model, number, &info) != NQ_OK ||
        !is_shaped_like(wanted, info.dtype, info.rank, info.dims))
        return refuse_tensor(path, wanted, f);
    const nq_status status =
        nq_reader_decode(model, NULL, number, NQ_F32, 0, info.n_elements, out, &diag);
    return status == NQ_OK || refuse_nq(path, status, &diag, f);
}

bool weights_decode(float *weights, const nq_reader *model, const char *path, fault *f)
{
    nq_reader_info info;
    nq_reader_info_init(&info);
    if (nq_reader_get_info(model, &info) != NQ_OK || info.n_tensors != LENET_TENSORS)
        return refuse_count(path, info.n_tensors, f);
    for (size_t i = 0; i < LENET_TENSORS; i++)
        if (!decode_tensor(weights + lenet_tensors[i].first, &lenet_tensors[i], model, path, f))
            return false;
    return true;
}

static bool read_nq(float *weights, const char *path, const file_view *view, fault *f)
{
    nq_diag diag;
    nq_diag_init(&diag);
    nq_reader *model;
    const nq_status status =
        nq_reader_open(&model, NULL, view->bytes, (size_t)view->n_bytes, &diag);
    if (status != NQ_OK)
        return refuse_nq(path, status, &diag, f);
    const bool is_read = weights_decode(weights, model, path, f);
    nq_reader_destroy(model);
    return is_read;
}

/* ---- Either ---------------------------------------------------------------------------------- */

bool weights_read(float *weights, const char *path, fault *f)
{
    static const unsigned char nq_start[] = {0x89, 'N', 'Q'};
    file_view view;
    if (!file_open(&view, path, f))
        return false;
    if (view.n_bytes < sizeof nq_start || memcmp(view.bytes, nq_start, sizeof nq_start) != 0)
        return read_safetensors(weights, path, &view, f); /* which closes the view */
    const bool is_read = read_nq(weights, path, &view, f);
    file_close(&view);
    return is_read;
}
