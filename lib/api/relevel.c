/*
 * New levels for a finished file: argument checks around the container room.
 */
#include "container/relevel.h"

#include "api/ctx.h"
#include "base/diag.h"
#include "nq/container.h"

static bool are_finite(const float *levels, size_t n)
{
    bool good = true;
    for (size_t i = 0; i < n; i++)
        good = good && levels[i] - levels[i] == 0;
    return good;
}

static nq_status set_levels(uint8_t *file, const nq_reader *reader, uint64_t tensor,
                            const float *levels, size_t n_levels, nq_diag *diag)
{
    nqi_tensor_record record;
    nqi_table_record codebook;
    if (tensor >= reader->header.n_tensors)
        return nqi_diag_set(diag, NQ_E_ARG, "no such tensor");
    nqi_reader_get_tensor(&record, reader, (uint32_t)tensor);
    if (record.codebook == NQ_NO_ID)
        return nqi_diag_at(diag, NQ_E_ARG, "a tensor without levels", tensor, NQ_NONE, NQ_NONE);
    nqi_reader_get_table(&codebook, reader, record.codebook);
    if (codebook.n_stored != n_levels) {
        nqi_diag_at(diag, NQ_E_ARG, "not as many levels as the codebook has", tensor, NQ_NONE,
                    NQ_NONE);
        diag->wanted = codebook.n_stored;
        return NQ_E_ARG;
    }
    const nq_status status = nqi_relevel(file, reader, record.codebook, levels);
    return status == NQ_OK ? NQ_OK
                           : nqi_diag_at(diag, status, "levels on a grid cannot be set", tensor,
                                         NQ_NONE, NQ_NONE);
}

nq_status nq_file_set_levels(void *file, size_t n_bytes, const nq_ctx *ctx, uint64_t tensor,
                             const float *levels, size_t n_levels, nq_diag *diag)
{
    nq_diag full;
    nq_reader *reader;
    nq_diag_init(&full);
    if (!file || !levels) {
        nqi_diag_set(&full, NQ_E_ARG, "no file, or no levels");
        return nqi_diag_export(diag, &full);
    }
    nq_status status = nq_reader_open(&reader, ctx, file, n_bytes, &full);
    if (status == NQ_OK) {
        status = are_finite(levels, n_levels)
                     ? set_levels(file, reader, tensor, levels, n_levels, &full)
                     : nqi_diag_at(&full, NQ_E_NUMERIC, "a level that is not finite", tensor,
                                   NQ_NONE, NQ_NONE);
        nq_reader_destroy(reader);
    }
    full.status = status;
    return nqi_diag_export(diag, &full);
}
