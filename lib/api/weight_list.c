/*
 * Tensors as weights: see weight_list.h.
 */
#include "api/weight_list.h"

#include "base/diag.h"
#include "base/versioned.h"

#define TENSOR_FIRST_SIZE ((uint32_t)sizeof(nq_tensor))

/* ---- Tensors ------------------------------------------------------------------------------- */

static nq_status read_tensor(nq_tensor *full, uint64_t *n, const nq_tensor *given)
{
    if (!given)
        return NQ_E_ARG;
    NQI_TRY(nqi_versioned_read(full, (uint32_t)sizeof *full, given, TENSOR_FIRST_SIZE));
    NQI_TRY(nq_tensor_elements(n, full));
    return full->data || *n == 0 ? NQ_OK : NQ_E_ARG;
}

nq_status nqi_weight_list_view(nqi_weights *out, const nq_tensor *tensor,
                               const nq_tensor *importance)
{
    nq_tensor full = {0}, full_importance = {0};
    uint64_t n, n_importance;
    const nqi_shaping none = nqi_shaping_none();
    NQI_TRY(read_tensor(&full, &n, tensor));
    if (!nqi_view_can_quantize(full.dtype))
        return NQ_E_ARG;
    nqi_importance h = nqi_importance_ones(n);
    if (importance) {
        NQI_TRY(read_tensor(&full_importance, &n_importance, importance));
        NQI_TRY(nqi_importance_make(&h, &full, &full_importance));
    }
    const nqi_view w = nqi_view_make(full.data, full.dtype, n);
    *out = nqi_weights_all(&w, &h, &none);
    return NQ_OK;
}

/* ---- Lists --------------------------------------------------------------------------------- */

nq_status nqi_weight_list_make(nqi_weight_list *out, const nqi_allocator *a,
                               const nq_tensor *const *tensors, const nq_tensor *const *importance,
                               size_t n, nq_diag *diag)
{
    void *memory;
    *out = (nqi_weight_list){.allocator = *a};
    if (n > 0 && !tensors)
        return nqi_diag_set(diag, NQ_E_ARG, "no tensors");
    NQI_TRY(nqi_alloc(&memory, a, n, sizeof *out->parts));
    nqi_weight_list list = {.allocator = *a, .parts = memory, .n = n};
    for (size_t i = 0; i < n; i++) {
        const nq_status status =
            nqi_weight_list_view(&list.parts[i], tensors[i], importance ? importance[i] : NULL);
        if (status != NQ_OK) {
            nqi_weight_list_free(&list);
            return nqi_diag_at(diag, status,
                               "a tensor that cannot be quantized, or importance "
                               "that does not fit it",
                               i, NQ_NONE, NQ_NONE);
        }
        list.n_weights += list.parts[i].w.n;
    }
    *out = list;
    return NQ_OK;
}

void nqi_weight_list_free(nqi_weight_list *list)
{
    nqi_free(&list->allocator, list->parts, list->n, sizeof *list->parts);
    *list = (nqi_weight_list){.allocator = list->allocator};
}

nq_status nqi_weight_list_summarise(nqi_summary *out, const nqi_env *env,
                                    const nqi_weight_list *list, nq_diag *diag)
{
    *out = nqi_summary_empty(&env->allocator);
    for (size_t i = 0; i < list->n; i++) {
        if (nqi_weights_count(&list->parts[i]) == 0)
            continue;
        const nq_status status = nqi_summary_add(out, env, &list->parts[i], diag);
        if (status == NQ_OK)
            continue;
        nqi_summary_free(out);
        if (diag && diag->status != status)
            nqi_diag_set(diag, status, "importance for some tensors only, or too much of anything");
        if (diag)
            diag->tensor = i;
        return status;
    }
    return NQ_OK;
}
