/*
 * The plan's public face: argument checks around the model room.
 */
#include "api/plan.h"

#include "api/plan_options.h"
#include "base/diag.h"
#include "base/versioned.h"

#define TENSOR_FIRST_SIZE ((uint32_t)sizeof(nq_tensor))
#define SINK_FIRST_SIZE   ((uint32_t)sizeof(nq_sink))

void nq_sink_init_sized(nq_sink *sink, uint32_t struct_size)
{
    if (sink && struct_size >= sizeof(uint32_t) && struct_size <= NQI_STRUCT_MAX)
        nqi_versioned_init(sink, struct_size);
}

/* ---- Life ---------------------------------------------------------------------------------- */

nq_status nq_plan_create(nq_plan **out, const nq_ctx *ctx, const nq_plan_options *options)
{
    nq_plan_options checked;
    void *memory;
    if (!out)
        return NQ_E_ARG;
    *out = NULL;
    NQI_TRY(nqi_plan_options_read(&checked, options));
    const nq_ctx *used = nqi_ctx_or_default(ctx);
    const nq_ctx_options *limits = &used->options;
    NQI_TRY(nqi_alloc_zero(&memory, &used->env.allocator, 1, sizeof(nq_plan)));
    nq_plan *plan = memory;
    plan->model = (nqi_model){.env = used->env,
                              .options = checked,
                              .limits = {.max_tensors = limits->max_tensors,
                                         .max_levels = limits->max_levels,
                                         .max_name_bytes = limits->max_name_bytes,
                                         .max_elements = limits->max_elements}};
    nqi_diag_set(&plan->diag, NQ_OK, "");
    *out = plan;
    return NQ_OK;
}

void nq_plan_destroy(nq_plan *plan)
{
    if (!plan)
        return;
    const nqi_allocator a = plan->model.env.allocator;
    nqi_model_free(&plan->model);
    nqi_free(&a, plan, 1, sizeof *plan);
}

/* ---- Adding -------------------------------------------------------------------------------- */

static nq_status refuse(nq_plan *plan, nq_status status, const char *what)
{
    return nqi_diag_at(&plan->diag, status, what, plan->model.n_tensors, NQ_NONE, NQ_NONE);
}

static nq_status add_tensor(nq_plan *plan, const nq_tensor *tensor, const nq_tensor *importance,
                            const nq_plan_tensor_options *options)
{
    nq_tensor full = {0}, full_importance = {0};
    nq_plan_tensor_options checked;
    if (plan->model.is_solved)
        return refuse(plan, NQ_E_STATE, "the plan is solved: nothing can be added");
    if (!tensor)
        return refuse(plan, NQ_E_ARG, "no tensor");
    nq_status status = nqi_versioned_read(&full, (uint32_t)sizeof full, tensor, TENSOR_FIRST_SIZE);
    if (status == NQ_OK && importance)
        status = nqi_versioned_read(&full_importance, (uint32_t)sizeof full_importance, importance,
                                    TENSOR_FIRST_SIZE);
    if (status != NQ_OK)
        return refuse(plan, status, "a tensor's description of an unknown size");
    status = nqi_plan_tensor_options_read(&checked, options);
    if (status != NQ_OK)
        return refuse(plan, status, "options of a tensor that are unknown or not possible");
    return nqi_model_add(&plan->model, &full, importance ? &full_importance : NULL, &checked,
                         &plan->diag);
}

nq_status nq_plan_add(nq_plan *plan, const nq_tensor *tensor, const nq_tensor *importance,
                      const nq_plan_tensor_options *tensor_options)
{
    if (!plan)
        return NQ_E_ARG;
    nqi_diag_set(&plan->diag, NQ_OK, "");
    return add_tensor(plan, tensor, importance, tensor_options);
}

nq_status nq_plan_add_metadata(nq_plan *plan, const char *key, size_t key_bytes, const char *value,
                               size_t value_bytes)
{
    if (!plan)
        return NQ_E_ARG;
    nqi_diag_set(&plan->diag, NQ_OK, "");
    if (plan->model.is_solved)
        return nqi_diag_set(&plan->diag, NQ_E_STATE, "the plan is solved: nothing can be added");
    if ((!key && key_bytes > 0) || (!value && value_bytes > 0))
        return nqi_diag_set(&plan->diag, NQ_E_ARG, "metadata without text");
    return nqi_model_add_metadata(&plan->model, key, key_bytes, value, value_bytes, &plan->diag);
}

/* ---- Solving and writing ------------------------------------------------------------------- */

/* The record tells how it ended: trials of a search may have failed on the way. */
static nq_status finish(nq_plan *plan, nq_status status)
{
    if (status == NQ_OK)
        nqi_diag_set(&plan->diag, NQ_OK, "");
    else if (plan->diag.status != status)
        nqi_diag_set(&plan->diag, status, "no quantizer could be designed");
    return status;
}

nq_status nq_plan_solve(nq_plan *plan)
{
    if (!plan)
        return NQ_E_ARG;
    nqi_diag_set(&plan->diag, NQ_OK, "");
    if (plan->model.is_solved)
        return nqi_diag_set(&plan->diag, NQ_E_STATE, "the plan is solved already");
    return finish(plan, nqi_model_solve(&plan->model, &plan->diag));
}

/* The sink as it is used: NULL writes nowhere. */
static nq_status read_sink(const nq_sink **used, nq_sink *full, const nq_sink *given)
{
    *used = NULL;
    if (!given)
        return NQ_OK;
    *full = (nq_sink){.struct_size = sizeof *full};
    NQI_TRY(nqi_versioned_read(full, (uint32_t)sizeof *full, given, SINK_FIRST_SIZE));
    *used = full;
    return full->write ? NQ_OK : NQ_E_ARG;
}

nq_status nq_plan_write(nq_plan *plan, const nq_sink *sink)
{
    nq_sink full;
    const nq_sink *used;
    if (!plan)
        return NQ_E_ARG;
    nqi_diag_set(&plan->diag, NQ_OK, "");
    const nq_status status = read_sink(&used, &full, sink);
    if (status != NQ_OK)
        return nqi_diag_set(&plan->diag, status, "a sink that cannot write");
    if (!plan->model.is_solved)
        NQI_TRY(finish(plan, nqi_model_solve(&plan->model, &plan->diag)));
    return finish(plan, nqi_model_write(&plan->model, used, &plan->diag));
}

nq_status nq_plan_diag(const nq_plan *plan, nq_diag *diag)
{
    if (!plan || !diag)
        return NQ_E_ARG;
    return nqi_diag_export(diag, &plan->diag) == NQ_E_ABI && plan->diag.status != NQ_E_ABI
               ? NQ_E_ABI
               : NQ_OK;
}
