/*
 * Tensors from safetensors through examples/common, from .nq through libnq. Every name, type and
 * shape is checked.
 */
#include "weights.h"

#include <string.h>

/* ---- .nq ------------------------------------------------------------------------------------- */

static bool refuse(const char *path, nq_status status, const nq_diag *diag, fault *f)
{
    return fault_set(f, status == NQ_E_NOMEM ? FAULT_MEMORY : FAULT_FORMAT, "%s: %s%s%s", path,
                     nq_status_text(status), *diag->what ? ": " : "", diag->what);
}

static bool open_nq(weights *w, fault *f)
{
    nq_diag diag;
    nq_diag_init(&diag);
    const nq_status status =
        nq_reader_open(&w->reader, NULL, w->view.bytes, (size_t)w->view.n_bytes, &diag);
    return status == NQ_OK || refuse(w->path, status, &diag, f);
}

static bool is_shaped(uint32_t rank, const uint64_t *dims, size_t wanted_rank,
                      const uint64_t *wanted)
{
    return rank == wanted_rank && memcmp(dims, wanted, rank * sizeof *dims) == 0;
}

static bool refuse_tensor(const weights *w, const char *name, fault *f)
{
    return fault_set(f, FAULT_FORMAT, "%s: no such ResNet: no %s, or not its shape and type",
                     w->path, name);
}

static bool read_nq(float *out, const weights *w, const char *name, size_t rank,
                    const uint64_t *dims, fault *f)
{
    uint64_t number;
    nq_tensor_info info;
    nq_diag diag;
    nq_tensor_info_init(&info);
    nq_diag_init(&diag);
    if (nq_reader_find(w->reader, name, strlen(name), &number) != NQ_OK ||
        nq_reader_tensor(w->reader, number, &info) != NQ_OK ||
        !is_shaped(info.rank, info.dims, rank, dims))
        return refuse_tensor(w, name, f);
    const nq_status status =
        nq_reader_decode(w->reader, NULL, number, NQ_F32, 0, info.n_elements, out, &diag);
    return status == NQ_OK || refuse(w->path, status, &diag, f);
}

/* ---- Either ---------------------------------------------------------------------------------- */

bool weights_open(weights *w, const char *path, fault *f)
{
    static const unsigned char nq_start[] = {0x89, 'N', 'Q'};
    *w = (weights){.path = path};
    if (!file_open(&w->view, path, f))
        return false;
    if (w->view.n_bytes < sizeof nq_start || memcmp(w->view.bytes, nq_start, sizeof nq_start) != 0)
        return st_open_view(&w->model, &w->view, path, f);
    if (open_nq(w, f))
        return true;
    file_close(&w->view);
    return false;
}

void weights_close(weights *w)
{
    if (!w->reader) {
        st_close(&w->model);
        return;
    }
    nq_reader_destroy(w->reader);
    file_close(&w->view);
}

bool weights_has(const weights *w, const char *name)
{
    uint64_t number;
    if (!w->reader)
        return st_find(&w->model, name, strlen(name)) != NULL;
    return nq_reader_find(w->reader, name, strlen(name), &number) == NQ_OK;
}

bool weights_read(float *out, const weights *w, const char *name, size_t rank, const uint64_t *dims,
                  fault *f)
{
    if (w->reader)
        return read_nq(out, w, name, rank, dims, f);
    const st_tensor *found = st_find(&w->model, name, strlen(name));
    if (!found || found->tensor.dtype != NQ_F32 ||
        !is_shaped(found->tensor.rank, found->tensor.dims, rank, dims))
        return refuse_tensor(w, name, f);
    memcpy(out, found->tensor.data, (size_t)found->n_bytes);
    return true;
}
