/*
 * Levels for a group, how often each of its tensors uses each level, and what a level decodes to in
 * each type that occurs; then the whole way from tensors to codes.
 */
#include "model/lossless.h"

#include "base/diag.h"
#include "base/log2.h"
#include "model/measure.h"
#include "model/search.h"

/* ---- Counts -------------------------------------------------------------------------------- */

typedef struct counting {
    nqi_model *m;
    nqi_model_group *g;
} counting;

/* Where the counts of a part go: to its tensor, or to the channel that the group is. */
typedef struct count_list {
    nqi_level_count **counts;
    uint32_t *n;
} count_list;

static count_list list_of(nqi_model *m, nqi_model_group *g, size_t part)
{
    nqi_model_tensor *t = &m->tensors[g->tensors[part]];
    return nqi_group_is_channel(g) ? (count_list){&g->channel.counts, &g->channel.n_counts}
                                   : (count_list){&t->counts, &t->n_counts};
}

static void free_counts(nqi_model *m, const count_list *list)
{
    nqi_free(&m->env.allocator, *list->counts, *list->n, sizeof **list->counts);
    *list->counts = NULL;
    *list->n = 0;
}

/* Keeps the slots that a part uses. Slots become levels when it is known which are used. */
static nq_status keep_counts(void *user, size_t part, uint32_t first, const uint64_t *counts,
                             uint32_t n_slots)
{
    const counting *c = user;
    const count_list list = list_of(c->m, c->g, part);
    uint32_t n_used = 0, at = 0;
    void *memory;
    for (uint32_t i = 0; i < n_slots; i++)
        n_used += counts[i] != 0;
    NQI_TRY(nqi_alloc(&memory, &c->m->env.allocator, n_used, sizeof(nqi_level_count)));
    nqi_level_count *kept = memory;
    for (uint32_t i = 0; i < n_slots; i++)
        if (counts[i] != 0)
            kept[at++] = (nqi_level_count){.level = first + i, .count = counts[i]};
    *list.counts = kept;
    *list.n = n_used;
    return NQ_OK;
}

/* The same for counts of levels. */
static nq_status keep_measured(void *user, size_t part, const uint64_t *counts,
                               const nqi_distortion *distortion)
{
    const counting *c = user;
    const count_list list = list_of(c->m, c->g, part);
    if (nqi_group_is_channel(c->g))
        c->g->channel.distortion = *distortion;
    else
        c->m->tensors[c->g->tensors[part]].distortion = *distortion;
    free_counts(c->m, &list);
    return keep_counts(user, part, 0, counts, c->g->quantizer.n_levels);
}

static void number_counts(nqi_model *m, nqi_model_group *g)
{
    for (uint32_t i = 0; i < g->n; i++) {
        const count_list list = list_of(m, g, i);
        for (uint32_t k = 0; k < *list.n; k++)
            (*list.counts)[k].level = nqi_quantizer_level(&g->quantizer, (*list.counts)[k].level);
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

double nqi_group_lambda_scale(const nqi_model_group *g)
{
    const nqi_shaping *shaping = &g->parts[0].shaping;
    return g->source.has_importance && shaping->scale != 1 ? nqi_pow(shaping->scale, shaping->power)
                                                           : 1;
}

/* NQ_KMEANS_* and NQ_START_* as the cluster room has them; levels to start from are not a plan's. */
static nqi_kmeans_options kmeans_options(const nq_plan_options *o)
{
    return (nqi_kmeans_options){
        .method = o->kmeans == NQ_KMEANS_EXACT   ? NQI_KMEANS_EXACT
                  : o->kmeans == NQ_KMEANS_LLOYD ? NQI_KMEANS_LLOYD
                                                 : NQI_KMEANS_OPTIMAL,
        .start = o->kmeans_start == NQ_START_PLUS_PLUS ? NQI_START_PLUS_PLUS : NQI_START_LINEAR,
        .seed = o->kmeans_seed};
}

nqi_design_job nqi_group_job(const nqi_model *m, const nqi_model_group *g,
                             nqi_design_source *source)
{
    const double scale = nqi_group_lambda_scale(g);
    nqi_goal goal = g->goal;
    if (goal.kind == NQ_TARGET_LAMBDA)
        goal.value *= scale;
    return (nqi_design_job){.source = source,
                            .method = g->options.method,
                            .level_rule = g->options.level_rule,
                            .goal = goal,
                            .max_levels = m->limits.max_levels,
                            .is_trial =
                                nqi_target_is_outcome(m->options.target) && !g->has_own_goal,
                            .is_smooth = m->is_smooth,
                            .is_rdo = m->options.rdo != 0,
                            .rdo_lambda = m->options.rdo_lambda * scale,
                            .kmeans = kmeans_options(&m->options)};
}

nq_status nqi_group_measure(nqi_model *m, nqi_model_group *g, nqi_progress_state *progress)
{
    counting c = {.m = m, .g = g};
    const nqi_measure_job job = {.env = &m->env,
                                 .progress = progress,
                                 .quantizer = &g->quantizer,
                                 .decoded = (const double *const *)g->decoded,
                                 .parts = g->parts,
                                 .n_parts = g->n,
                                 .measured = keep_measured,
                                 .user = &c};
    if (progress)
        progress->total += g->n_elements;
    return nqi_measure(&job);
}

void nqi_group_forget_design(nqi_model *m, nqi_model_group *g)
{
    const nqi_allocator *a = &m->env.allocator;
    for (uint32_t i = 0; i < g->n; i++) {
        nqi_model_tensor *t = &m->tensors[g->tensors[i]];
        nqi_free(a, t->counts, t->n_counts, sizeof *t->counts);
        nqi_encoder_destroy(t->own);
        t->counts = NULL;
        t->own = NULL;
        t->n_counts = 0;
        t->codec = NQ_CODEC_STORED;
    }
    nqi_free(a, g->channel.counts, g->channel.n_counts, sizeof *g->channel.counts);
    g->channel.counts = NULL;
    g->channel.n_counts = 0;
    for (uint32_t i = 0; i < NQI_N_CODES; i++) {
        nqi_encoder_destroy(g->codes[i]);
        g->codes[i] = NULL;
    }
    if (!g->is_designed)
        return;
    nqi_quantizer_free_decoded(g->decoded, &g->quantizer, &g->source);
    nqi_quantizer_free(&g->quantizer);
    g->is_designed = false;
}

static nq_status report(nq_diag *diag, nq_status status, const nqi_model_group *g,
                        double smallest_step)
{
    const uint64_t tensor = g->n == 1 ? g->tensors[0] : NQ_NONE;
    const char *what = status == NQ_E_CANCELLED ? "cancelled"
                       : status == NQ_E_LIMIT && smallest_step != 0
                           ? "too small a step: too many levels"
                       : status == NQ_E_LIMIT ? "over the limit on memory"
                                              : "out of memory for the design";
    nqi_diag_at(diag, status, what, tensor, NQ_NONE, NQ_NONE);
    diag->value = smallest_step < 0 ? -smallest_step : smallest_step;
    diag->is_loose = smallest_step < 0;
    return status;
}

static nq_status design(nqi_model *m, nqi_model_group *g, double *smallest_step,
                        nqi_progress_state *progress)
{
    counting c = {.m = m, .g = g};
    nqi_design_job job = nqi_group_job(m, g, &g->source);
    job.progress = progress;
    job.counts = keep_counts;
    job.user = &c;
    NQI_TRY(nqi_quantizer_design(&g->quantizer, smallest_step, &job));
    g->is_designed = true;
    if (g->quantizer.has_counts)
        number_counts(m, g);
    NQI_TRY(nqi_quantizer_decode(g->decoded, &g->quantizer, &g->source));
    return g->quantizer.has_counts ? NQ_OK : nqi_group_measure(m, g, progress);
}

void nqi_group_free_source(const nqi_model *m, nqi_design_source *source)
{
    if (m->n_groups > 1)
        nqi_design_source_free(source);
}

nq_status nqi_group_design(nqi_model *m, nqi_model_group *g, nqi_progress_state *progress,
                           nq_diag *diag)
{
    double smallest_step = 0;
    const nq_status status = design(m, g, &smallest_step, progress);
    nqi_group_free_source(m, &g->source);
    return status == NQ_OK ? NQ_OK : report(diag, status, g, smallest_step);
}

/* ---- The whole way ------------------------------------------------------------------------- */

/* Every group needs a target, of a kind that its method can take. */
static nq_status check_targets(const nqi_model *m, nq_diag *diag)
{
    for (uint64_t i = 0; i < m->n_groups; i++) {
        const nq_plan_tensor_options *o = &m->groups[i].options;
        const char *what = NULL;
        if (o->target == NQ_TARGET_NONE)
            what = "no target was given";
        else if (o->target == NQ_TARGET_LEVELS && m->options.allocate == NQ_ALLOCATE_SLOPE &&
                 !m->groups[i].has_own_goal)
            what = "equal slopes need a step, a lambda or a target, not a number of levels";
        else if (o->method == NQ_METHOD_KMEANS && m->options.allocate != NQ_ALLOCATE_SLOPE &&
                 (o->target == NQ_TARGET_STEP || o->target == NQ_TARGET_LAMBDA))
            what = "k-means takes a number of levels, not a step or a lambda";
        else if (o->method != NQ_METHOD_UNIFORM && o->level_rule == NQ_LEVEL_GRID)
            what = "only uniform levels can be on a grid";
        if (what)
            return nqi_diag_at(diag, NQ_E_ARG, what, m->groups[i].tensors[0], NQ_NONE, NQ_NONE);
    }
    return NQ_OK;
}

static bool is_before(const nq_diag *a, const nq_diag *b)
{
    return a->tensor < b->tensor || (a->tensor == b->tensor && a->element < b->element);
}

/* Scans all groups, so that of several tensors with unfit numbers the first one is reported. */
static nq_status scan_groups(nqi_model *m, nqi_progress_state *progress, nq_diag *diag)
{
    nq_diag first = {.status = NQ_OK};
    for (uint64_t i = 0; i < m->n_groups; i++) {
        NQI_TRY(nqi_group_average(m, &m->groups[i], progress, diag));
        const nq_status status = nqi_group_scan(m, &m->groups[i], progress, diag);
        if (status != NQ_OK && status != NQ_E_NUMERIC)
            return status;
        if (status == NQ_E_NUMERIC && (first.status == NQ_OK || is_before(diag, &first)))
            first = *diag;
    }
    if (first.status != NQ_OK)
        *diag = first;
    NQI_TRY(first.status);
    for (uint64_t i = 0; i < m->n_groups; i++)
        NQI_TRY(nqi_group_prune(m, &m->groups[i], diag));
    return NQ_OK;
}

static nq_status design_groups(nqi_model *m, nqi_progress_state *progress, nq_diag *diag)
{
    if (m->options.allocate == NQ_ALLOCATE_SLOPE && m->n_groups > 0) {
        const nq_status status = nqi_model_allocate(m);
        if (status != NQ_OK)
            return nqi_diag_set(diag, status, "no equal slopes could be found");
    }
    for (uint64_t i = 0; i < m->n_groups; i++) {
        progress->total += m->groups[i].n_elements *
                           nqi_quantizer_passes(m->groups[i].options.method, &m->groups[i].goal);
    }
    for (uint64_t i = 0; i < m->n_groups; i++)
        NQI_TRY(nqi_group_design(m, &m->groups[i], progress, diag));
    return NQ_OK;
}

static nq_status solve_groups(nqi_model *m, nq_diag *diag)
{
    const uint32_t target = m->options.target;
    uint64_t n = 0;
    for (uint64_t i = 0; i < m->n_groups; i++)
        n += m->groups[i].n_elements;
    for (uint64_t i = 0; i < m->n_tensors; i++)
        n += m->tensors[i].is_lossless ? NQI_LOSSLESS_PASSES * m->tensors[i].n : 0;
    nqi_progress_state scanning = nqi_progress_start(&m->env, NQ_STAGE_SCAN, n);
    nqi_progress_state designing = nqi_progress_start(&m->env, NQ_STAGE_DESIGN, 0);
    NQI_TRY(scan_groups(m, &scanning, diag));
    NQI_TRY(nqi_lossless_choose(m, &scanning, diag));
    if (nqi_target_is_outcome(target))
        NQI_TRY(nqi_model_search(m, &designing, diag));
    else
        NQI_TRY(design_groups(m, &designing, diag));
    if (nqi_target_is_outcome(target) && target != NQ_TARGET_SQNR_DB)
        return NQ_OK; /* the search has chosen codes */
    return nqi_model_choose_codes(m, diag);
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
