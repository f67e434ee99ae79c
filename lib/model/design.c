/*
 * Levels for a group, how often each of its tensors uses each level, and what a level decodes to in
 * each type that occurs; then the whole way from tensors to codes.
 */
#include "model/model.h"

#include "base/diag.h"
#include "base/half.h"

/* ---- Counts -------------------------------------------------------------------------------- */

typedef struct counting {
    nqi_model *m;
    nqi_model_group *g;
} counting;

/* Keeps the slots that a tensor uses. Slots become levels when it is known which are used. */
static nq_status keep_counts(void *user, size_t part, uint32_t first, const uint64_t *counts,
                             uint32_t n_slots)
{
    const counting *c = user;
    nqi_model_tensor *t = &c->m->tensors[c->g->tensors[part]];
    uint32_t n_used = 0, at = 0;
    void *memory;
    for (uint32_t i = 0; i < n_slots; i++)
        n_used += counts[i] != 0;
    NQI_TRY(nqi_alloc(&memory, &c->m->env.allocator, n_used, sizeof(nqi_level_count)));
    t->counts = memory;
    t->n_counts = n_used;
    for (uint32_t i = 0; i < n_slots; i++)
        if (counts[i] != 0)
            t->counts[at++] = (nqi_level_count){.level = first + i, .count = counts[i]};
    return NQ_OK;
}

static void number_counts(nqi_model *m, const nqi_model_group *g)
{
    for (uint32_t i = 0; i < g->n; i++) {
        nqi_model_tensor *t = &m->tensors[g->tensors[i]];
        for (uint32_t k = 0; k < t->n_counts; k++)
            t->counts[k].level = g->quantizer.level_of_slot[t->counts[k].level];
    }
}

void nqi_model_spread_counts(uint64_t *counts, const nqi_model_tensor *t)
{
    for (uint32_t i = 0; i < t->n_counts; i++)
        counts[t->counts[i].level] = t->counts[i].count;
}

void nqi_model_clear_counts(uint64_t *counts, const nqi_model_tensor *t)
{
    for (uint32_t i = 0; i < t->n_counts; i++)
        counts[t->counts[i].level] = 0;
}

/* ---- Levels -------------------------------------------------------------------------------- */

static double decoded_value(float level, uint32_t dtype)
{
    if (dtype == NQ_F16)
        return (double)nqi_f16_to_f32(nqi_f32_to_f16(level));
    if (dtype == NQ_BF16)
        return (double)nqi_bf16_to_f32(nqi_f32_to_bf16(level));
    return (double)level;
}

/* What decoding will give, for each type of weights in the group. */
static nq_status decode_levels(nqi_model *m, nqi_model_group *g)
{
    const uint32_t n = g->quantizer.n_levels;
    for (uint32_t dtype = 0; dtype < NQI_N_WEIGHT_TYPES; dtype++) {
        void *memory;
        if (g->extents[dtype].low > g->extents[dtype].high)
            continue;
        NQI_TRY(nqi_alloc(&memory, &m->env.allocator, n, sizeof(double)));
        g->decoded[dtype] = memory;
        for (uint32_t i = 0; i < n; i++)
            g->decoded[dtype][i] = decoded_value(g->quantizer.levels[i], dtype);
    }
    return NQ_OK;
}

static nqi_uniform_job make_job(const nqi_model *m, const nqi_model_group *g,
                                nqi_progress_state *progress, counting *c)
{
    const bool has_step = g->options.target == NQ_TARGET_STEP;
    nqi_uniform_job job = {.env = &m->env,
                           .progress = progress,
                           .parts = g->parts,
                           .n_parts = g->n,
                           .step = has_step ? g->options.target_value : 0,
                           .max_levels = m->limits.max_levels,
                           .level_rule = g->options.level_rule,
                           .has_importance = g->has_importance && !g->ignores_importance,
                           .counts = keep_counts,
                           .user = c};
    for (uint32_t i = 0; i < NQI_N_WEIGHT_TYPES; i++)
        job.extents[i] = g->extents[i];
    if (!has_step && g->options.target_value < (double)job.max_levels)
        job.max_levels = (uint32_t)g->options.target_value;
    return job;
}

static nq_status report(nq_diag *diag, nq_status status, const nqi_model_group *g,
                        double smallest_step)
{
    const uint64_t tensor = g->n == 1 ? g->tensors[0] : NQ_NONE;
    const char *what = status == NQ_E_CANCELLED ? "cancelled"
                       : status == NQ_E_LIMIT && smallest_step > 0
                           ? "too small a step: too many levels"
                       : status == NQ_E_LIMIT ? "over the limit on memory"
                                              : "out of memory for the design";
    nqi_diag_at(diag, status, what, tensor, NQ_NONE, NQ_NONE);
    diag->value = smallest_step;
    return status;
}

nq_status nqi_group_design(nqi_model *m, nqi_model_group *g, nqi_progress_state *progress,
                           nq_diag *diag)
{
    counting c = {.m = m, .g = g};
    double smallest_step;
    const nqi_uniform_job job = make_job(m, g, progress, &c);
    nq_status status = nqi_uniform_design(&g->quantizer, &smallest_step, &job);
    if (status != NQ_OK)
        return report(diag, status, g, smallest_step);
    g->is_designed = true;
    number_counts(m, g);
    status = decode_levels(m, g);
    return status == NQ_OK ? NQ_OK : report(diag, status, g, 0);
}

/* ---- The whole way ------------------------------------------------------------------------- */

static double step_of(const nqi_model_group *g)
{
    return g->options.target == NQ_TARGET_STEP ? g->options.target_value : 0;
}

static nq_status check_targets(const nqi_model *m, nq_diag *diag)
{
    for (uint64_t i = 0; i < m->n_groups; i++)
        if (m->groups[i].options.target == NQ_TARGET_NONE)
            return nqi_diag_at(diag, NQ_E_ARG, "no step and no number of levels was given",
                               m->groups[i].tensors[0], NQ_NONE, NQ_NONE);
    return NQ_OK;
}

/* Scans all groups, so that of several tensors with unfit numbers the first one is reported. */
static nq_status scan_groups(nqi_model *m, nqi_progress_state *progress, nq_diag *diag)
{
    nq_diag first = {.status = NQ_OK};
    for (uint64_t i = 0; i < m->n_groups; i++) {
        NQI_TRY(nqi_group_average(m, &m->groups[i], diag));
        const nq_status status = nqi_group_scan(m, &m->groups[i], progress, diag);
        if (status != NQ_OK && status != NQ_E_NUMERIC)
            return status;
        if (status == NQ_E_NUMERIC && (first.status == NQ_OK || diag->tensor < first.tensor))
            first = *diag;
    }
    if (first.status != NQ_OK)
        *diag = first;
    return first.status;
}

static nq_status solve_groups(nqi_model *m, nq_diag *diag)
{
    uint64_t n_scanned = 0, n_designed = 0;
    for (uint64_t i = 0; i < m->n_groups; i++) {
        n_scanned += m->groups[i].n_elements;
        n_designed += m->groups[i].n_elements * nqi_uniform_passes(step_of(&m->groups[i]));
    }
    nqi_progress_state scanning = nqi_progress_start(&m->env, NQ_STAGE_SCAN, n_scanned);
    nqi_progress_state designing = nqi_progress_start(&m->env, NQ_STAGE_DESIGN, n_designed);
    NQI_TRY(scan_groups(m, &scanning, diag));
    for (uint64_t i = 0; i < m->n_groups; i++)
        NQI_TRY(nqi_group_design(m, &m->groups[i], &designing, diag));
    for (uint64_t i = 0; i < m->n_groups; i++)
        NQI_TRY(nqi_group_choose_codes(m, &m->groups[i], diag));
    return NQ_OK;
}

nq_status nqi_model_solve(nqi_model *m, nq_diag *diag)
{
    nq_status status = nqi_groups_form(m, diag);
    if (status == NQ_OK)
        status = check_targets(m, diag);
    if (status == NQ_OK)
        status = solve_groups(m, diag);
    if (status != NQ_OK)
        nqi_groups_free(m);
    m->is_solved = status == NQ_OK;
    return status;
}
