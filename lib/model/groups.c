/*
 * Who shares a codebook: all quantized tensors of one method, target and level rule where the scope
 * is the model, a tensor alone where its scope or a target of its own says so, one channel of it where
 * its scope is that.
 */
#include "model/model.h"

#include "base/diag.h"

static bool is_alone(const nqi_model_tensor *t)
{
    return t->has_own_target || t->options.scope != NQ_SCOPE_MODEL;
}

/* Tensors of the model's scope share by method and level rule: one group for each pair at most. */
#define N_METHODS 3u
#define N_RULES   3u

typedef struct shared_groups {
    uint64_t group[N_METHODS * N_RULES]; /* NQ_NONE: none yet */
} shared_groups;

/* The group that the tensor joins; a new one if there is none. */
static nq_status find_group(nqi_model_group **out, nqi_model *m, shared_groups *shared,
                            const nqi_model_tensor *t)
{
    void *items = m->groups;
    uint64_t *known = &shared->group[t->options.method * N_RULES + t->options.level_rule];
    if (!is_alone(t) && *known != NQ_NONE) {
        *out = &m->groups[*known];
        return NQ_OK;
    }
    const nq_status status = nqi_grow(&items, &m->groups_capacity, &m->env.allocator,
                                      m->n_groups + 1, sizeof(nqi_model_group));
    m->groups = items;
    NQI_TRY(status);
    if (!is_alone(t))
        *known = m->n_groups;
    *out = &m->groups[m->n_groups++];
    **out = (nqi_model_group){.options = t->options};
    return NQ_OK;
}

static nq_status join_group(nqi_model_group *g, nqi_model *m, uint32_t tensor, uint64_t n_elements)
{
    const uint32_t capacity = g->capacity;
    uint64_t grown = capacity;
    void *tensors = g->tensors;
    const nq_status status =
        nqi_grow(&tensors, &grown, &m->env.allocator, (uint64_t)g->n + 1, sizeof *g->tensors);
    g->tensors = tensors;
    g->capacity = (uint32_t)grown;
    NQI_TRY(status);
    g->tensors[g->n++] = tensor;
    g->n_elements += n_elements;
    return NQ_OK;
}

static nq_status join_whole(nqi_model *m, shared_groups *shared, uint32_t tensor)
{
    nqi_model_group *g;
    NQI_TRY(find_group(&g, m, shared, &m->tensors[tensor]));
    return join_group(g, m, tensor, m->tensors[tensor].n);
}

/* A group for each channel. */
static nq_status join_channels(nqi_model *m, shared_groups *shared, uint32_t tensor)
{
    const uint32_t count = nqi_tensor_channels(&m->tensors[tensor]);
    for (uint32_t i = 0; i < count; i++) {
        nqi_model_group *g;
        NQI_TRY(find_group(&g, m, shared, &m->tensors[tensor]));
        g->channel = (nqi_model_channel){.number = i, .count = count};
        NQI_TRY(join_group(g, m, tensor, m->tensors[tensor].n / count));
    }
    return NQ_OK;
}

/* The views of a group's tensors, and that all have importance or none. */
static nq_status make_parts(nqi_model_group *g, nqi_model *m, nq_diag *diag)
{
    void *memory;
    const nqi_shaping plain = nqi_shaping_none();
    const nq_status status = nqi_alloc_zero(&memory, &m->env.allocator, g->n, sizeof(nqi_weights));
    if (status != NQ_OK)
        return nqi_diag_set(diag, status, "out of memory for the design");
    g->parts = memory;
    g->source = (nqi_design_source){.env = &m->env, .parts = g->parts, .n_parts = g->n};
    g->goal = (nqi_goal){g->options.target, g->options.target_value};
    g->has_own_goal = m->tensors[g->tensors[0]].has_own_target;
    g->has_importance = m->tensors[g->tensors[0]].has_importance;
    for (uint32_t i = 0; i < g->n; i++) {
        nqi_model_tensor *t = &m->tensors[g->tensors[i]];
        if (t->has_importance != g->has_importance)
            return nqi_diag_at(diag, NQ_E_ARG,
                               "importance for some tensors of a codebook, but not for all",
                               t->has_importance ? g->tensors[0] : g->tensors[i], NQ_NONE, NQ_NONE);
        if (nqi_group_is_channel(g))
            g->parts[i] = nqi_weights_channel(&t->view, &t->importance, &plain, g->channel.count,
                                              nqi_tensor_inner(t), g->channel.number);
        else
            g->parts[i] = nqi_weights_all(&t->view, &t->importance, &plain);
        if (nqi_group_leads(g))
            t->group = (uint32_t)(g - m->groups);
        t->part = i;
    }
    return NQ_OK;
}

nq_status nqi_groups_form(nqi_model *m, nq_diag *diag)
{
    shared_groups shared;
    for (uint32_t i = 0; i < N_METHODS * N_RULES; i++)
        shared.group[i] = NQ_NONE;
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        if (!m->tensors[i].is_quantized)
            continue;
        const nq_status status = nqi_tensor_channels(&m->tensors[i]) > 0
                                     ? join_channels(m, &shared, (uint32_t)i)
                                     : join_whole(m, &shared, (uint32_t)i);
        if (status != NQ_OK)
            return nqi_diag_set(diag, status, "out of memory for the design");
    }
    for (uint64_t i = 0; i < m->n_groups; i++)
        NQI_TRY(make_parts(&m->groups[i], m, diag));
    return NQ_OK;
}

/* ---- End ----------------------------------------------------------------------------------- */

static void free_group(nqi_model_group *g, const nqi_allocator *a)
{
    for (uint32_t i = 0; g->averages && g->n_averages && i < g->n; i++)
        nqi_free(a, g->averages[i], g->n_averages[i], sizeof(double));
    nqi_free(a, g->averages, g->n, sizeof *g->averages);
    nqi_free(a, g->n_averages, g->n, sizeof *g->n_averages);
    nqi_design_source_free(&g->source);
    nqi_free(a, g->parts, g->n, sizeof *g->parts);
    nqi_free(a, g->tensors, g->capacity, sizeof *g->tensors);
}

void nqi_groups_free(nqi_model *m)
{
    const nqi_allocator *a = &m->env.allocator;
    for (uint64_t i = 0; i < m->n_groups; i++) {
        nqi_group_forget_design(m, &m->groups[i]);
        free_group(&m->groups[i], a);
    }
    nqi_free(a, m->groups, m->groups_capacity, sizeof(nqi_model_group));
    m->groups = NULL;
    m->n_groups = m->groups_capacity = 0;
    for (uint64_t i = 0; i < m->n_tensors; i++)
        m->tensors[i].group = NQI_NO_GROUP;
}
