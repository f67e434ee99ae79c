/*
 * Adding tensors and metadata to a plan, and giving all of it back: see model.h.
 */
#include "model/lossless.h"

#include <string.h>

#include "base/checked.h"
#include "base/diag.h"

/* ---- Options ------------------------------------------------------------------------------- */

static uint32_t inherit(uint32_t own, uint32_t plans)
{
    return own == NQ_INHERIT ? plans : own;
}

static nq_plan_tensor_options resolve(const nq_plan_options *plan,
                                      const nq_plan_tensor_options *given)
{
    nq_plan_tensor_options o = *given;
    o.method = inherit(o.method, plan->method);
    o.scope = inherit(o.scope, plan->scope);
    o.level_rule = inherit(o.level_rule, plan->level_rule);
    o.codec = inherit(o.codec, plan->codec);
    o.lossless = inherit(o.lossless, plan->lossless);
    o.channel_axis = inherit(o.channel_axis, plan->channel_axis);
    if (given->target == NQ_INHERIT) {
        o.target = plan->target;
        o.target_value = plan->target_value;
    }
    return o;
}

/* Whether such a tensor is quantized. Without elements there is nothing to find levels for. */
static bool wants_levels(const nqi_model *m, const nq_tensor *tensor, uint64_t n, uint32_t keep)
{
    if (!nqi_view_can_quantize(tensor->dtype) || keep == NQ_KEEP_ALWAYS || n == 0)
        return false;
    return keep == NQ_KEEP_NEVER || n >= m->options.min_elements;
}

/* Whether a tensor that could be quantized is to be coded without loss instead: its own options say
 * so, or the plan's, and its own ask for no levels. */
static bool is_exempt(const nq_tensor *tensor, const nq_plan_tensor_options *own,
                      const nq_plan_options *plan)
{
    if (own->lossless != NQ_INHERIT)
        return own->lossless == NQ_LOSSLESS_YES;
    return plan->lossless == NQ_LOSSLESS_YES && tensor->dtype != NQ_F32 &&
           own->target == NQ_INHERIT && own->keep != NQ_KEEP_NEVER;
}

/* ---- Tensors ------------------------------------------------------------------------------- */

static nq_status refuse(nq_diag *diag, nq_status status, const char *what, uint64_t tensor,
                        uint64_t wanted)
{
    nqi_diag_at(diag, status, what, tensor, NQ_NONE, NQ_NONE);
    diag->wanted = wanted;
    return status;
}

static nq_status check_tensor(uint64_t *n, const nqi_model *m, const nq_tensor *tensor,
                              nq_diag *diag)
{
    const uint64_t number = m->n_tensors;
    const uint32_t bits = nq_dtype_bits(tensor->dtype);
    if (number >= m->limits.max_tensors)
        return refuse(diag, NQ_E_LIMIT, "over the limit on the number of tensors", number,
                      number + 1);
    if (tensor->name_bytes > m->limits.max_name_bytes)
        return refuse(diag, NQ_E_LIMIT, "over the limit on a name's length", number,
                      tensor->name_bytes);
    const nq_status status = nq_tensor_elements(n, tensor);
    if (status != NQ_OK)
        return refuse(diag, status, "an impossible shape", number, 0);
    if (*n > m->limits.max_elements)
        return refuse(diag, NQ_E_LIMIT, "over the limit on a tensor's elements", number, *n);
    if (bits == 0 || *n % 8 * bits % 8 != 0)
        return refuse(diag, NQ_E_ARG, "an unknown type, or one that does not fill its last byte",
                      number, 0);
    if ((!tensor->data && *n > 0) || (!tensor->name && tensor->name_bytes > 0))
        return refuse(diag, NQ_E_ARG, "a tensor without data or name", number, 0);
    if (nqi_model_find(m, tensor->name, tensor->name_bytes) != NQ_NONE)
        return refuse(diag, NQ_E_ARG, "a name that was given already", number, 0);
    return NQ_OK;
}

static nq_status make_views(nqi_model_tensor *t, const nq_tensor *importance)
{
    t->importance = nqi_importance_ones(t->n);
    if (nqi_view_has(t->desc.dtype))
        t->view = nqi_view_make(t->desc.data, t->desc.dtype, t->n);
    if (!importance)
        return NQ_OK;
    if (!importance->data && t->n > 0)
        return NQ_E_ARG;
    return nqi_importance_make(&t->importance, &t->desc, importance);
}

static nq_status copy_text(char **out, const nqi_model *m, const char *text, size_t n_bytes)
{
    void *memory;
    *out = NULL;
    NQI_TRY(nqi_alloc(&memory, &m->env.allocator, n_bytes, 1));
    if (n_bytes)
        memcpy(memory, text, n_bytes);
    *out = memory;
    return NQ_OK;
}

nq_status nqi_model_add(nqi_model *m, const nq_tensor *tensor, const nq_tensor *importance,
                        const nq_plan_tensor_options *options, nq_diag *diag)
{
    nqi_model_tensor t = {.desc = *tensor,
                          .options = resolve(&m->options, options),
                          .has_own_target = options->target != NQ_INHERIT,
                          .has_importance = importance != NULL,
                          .group = NQI_NO_GROUP,
                          .codec = NQ_CODEC_STORED};
    void *items = m->tensors;
    char *name;
    NQI_TRY(check_tensor(&t.n, m, tensor, diag));
    if (make_views(&t, importance) != NQ_OK) {
        refuse(diag, NQ_E_ARG, "importance whose shape does not broadcast to its tensor's",
               m->n_tensors, 0);
        diag->input = NQ_INPUT_IMPORTANCE;
        return NQ_E_ARG;
    }
    t.is_quantized = wants_levels(m, tensor, t.n, t.options.keep) &&
                     !is_exempt(tensor, options, &m->options);
    t.is_lossless = !t.is_quantized && nqi_lossless_is_wanted(tensor, &t.options);
    nq_status status = nqi_grow(&items, &m->tensors_capacity, &m->env.allocator, m->n_tensors + 1,
                                sizeof(nqi_model_tensor));
    m->tensors = items;
    if (status == NQ_OK)
        status = nqi_name_set_reserve(m);
    if (status == NQ_OK)
        status = copy_text(&name, m, tensor->name, tensor->name_bytes);
    if (status != NQ_OK)
        return refuse(diag, status, "out of memory for another tensor", m->n_tensors, 0);
    t.desc.name = name;
    m->tensors[m->n_tensors] = t;
    nqi_name_set_add(m, (uint32_t)m->n_tensors++);
    return NQ_OK;
}

/* ---- Metadata ------------------------------------------------------------------------------ */

nq_status nqi_model_add_metadata(nqi_model *m, const char *key, size_t key_bytes, const char *value,
                                 size_t value_bytes, nq_diag *diag)
{
    void *items = m->metadata, *text;
    uint64_t n_bytes;
    if (!nqi_add_u64(&n_bytes, key_bytes, value_bytes) || n_bytes > UINT32_MAX)
        return nqi_diag_set(diag, NQ_E_LIMIT, "metadata of more than 4 GiB");
    nq_status status = nqi_grow(&items, &m->metadata_capacity, &m->env.allocator, m->n_metadata + 1,
                                sizeof(nqi_metadata));
    m->metadata = items;
    if (status == NQ_OK)
        status = nqi_alloc(&text, &m->env.allocator, n_bytes, 1);
    if (status != NQ_OK)
        return nqi_diag_set(diag, status, "out of memory for metadata");
    if (key_bytes)
        memcpy(text, key, key_bytes);
    if (value_bytes)
        memcpy((char *)text + key_bytes, value, value_bytes);
    m->metadata[m->n_metadata++] =
        (nqi_metadata){.text = text, .key_bytes = key_bytes, .value_bytes = value_bytes};
    return NQ_OK;
}

/* ---- End ----------------------------------------------------------------------------------- */

void nqi_model_free(nqi_model *m)
{
    const nqi_allocator *a = &m->env.allocator;
    nqi_groups_free(m);
    nqi_lossless_forget(m);
    for (uint64_t i = 0; i < m->n_tensors; i++)
        nqi_free(a, (void *)(uintptr_t)m->tensors[i].desc.name, m->tensors[i].desc.name_bytes, 1);
    for (uint64_t i = 0; i < m->n_metadata; i++)
        nqi_free(a, m->metadata[i].text, m->metadata[i].key_bytes + m->metadata[i].value_bytes, 1);
    nqi_free(a, m->tensors, m->tensors_capacity, sizeof(nqi_model_tensor));
    nqi_free(a, m->metadata, m->metadata_capacity, sizeof(nqi_metadata));
    nqi_free(a, m->names.nodes, m->names.capacity, sizeof *m->names.nodes);
}
