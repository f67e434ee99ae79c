/*
 * Trials of one coarseness, on a sample of the weights or on all of them: see search.h.
 */
#include <float.h>

#include "base/diag.h"
#include "base/log2.h"
#include "model/sample.h"

/* ---- Aims ---------------------------------------------------------------------------------- */

static double count_floats(const nqi_model *m)
{
    double n = 0;
    for (uint64_t i = 0; i < m->n_tensors; i++)
        n += nqi_view_can_quantize(m->tensors[i].desc.dtype) ? (double)m->tensors[i].n : 0;
    return n;
}

/* The file's bytes at a rate of one bit an element, or at a ratio of 1. */
static double unit_bytes(const nqi_model *m)
{
    switch (m->options.target) {
    case NQ_TARGET_BITS_PER_WEIGHT:
        return count_floats(m) / 8;
    case NQ_TARGET_RATIO:
        return (double)nqi_model_original_bytes(m);
    default:
        return 1;
    }
}

nqi_aim nqi_model_aim(const nqi_model *m)
{
    const double value = m->options.target_value;
    if (m->options.target == NQ_TARGET_SQNR_DB)
        return (nqi_aim){.value = value};
    const double bytes =
        m->options.target == NQ_TARGET_RATIO ? unit_bytes(m) / value : unit_bytes(m) * value;
    return (nqi_aim){.is_size = true, .value = nqi_log2(NQI_MAX(bytes, 1))};
}

double nqi_model_target_value(const nqi_model *m, double value)
{
    if (m->options.target == NQ_TARGET_SQNR_DB)
        return value;
    const double bytes = nqi_exp2(value);
    return m->options.target == NQ_TARGET_RATIO ? unit_bytes(m) / bytes : bytes / unit_bytes(m);
}

/* ---- Goals --------------------------------------------------------------------------------- */

bool nqi_sample_is_gap(nqi_sample *s, double fine, double coarse)
{
    double n_designs = 0;
    for (uint64_t i = 0; i < s->m->n_groups; i++) {
        const nqi_model_group *g = &s->m->groups[i];
        if (g->has_own_goal)
            continue;
        if (g->options.method != NQ_METHOD_KMEANS || s->m->options.allocate == NQ_ALLOCATE_SLOPE)
            return false;
        n_designs +=
            nqi_sample_goal_of_step(s, i, fine).value - nqi_sample_goal_of_step(s, i, coarse).value;
    }
    return n_designs <= 1;
}

/* Designs too fine to be made are no failure, unless a goal of the group's own asks for them. */
static nq_status judge(nqi_trial *trial, nq_status status, const nqi_model_group *g)
{
    if (status != NQ_E_LIMIT || g->has_own_goal)
        return status;
    trial->works = false;
    trial->value = DBL_MAX;
    return NQ_OK;
}

nq_status nqi_sample_try(nqi_trial *trial, nqi_sample *s, double coarseness)
{
    nqi_tally tally = {.bytes = s->kept_bytes, .energy = s->kept_energy};
    *trial = (nqi_trial){.coarseness = coarseness, .is_known = true, .works = true};
    for (uint64_t i = 0; i < s->m->n_groups && trial->works; i++) {
        nqi_goal goal;
        if (s->groups[i].share == 0)
            continue;
        nq_status status = nqi_sample_goal(&goal, s, i, coarseness);
        if (status == NQ_OK)
            status = nqi_sample_measure(&tally, s, i, &goal, false);
        nqi_sample_release(s, i);
        NQI_TRY(judge(trial, status, &s->m->groups[i]));
    }
    const nqi_distortion d = {.n = 1, .squared = tally.squared, .energy = tally.energy};
    if (trial->works)
        trial->value =
            s->aim.is_size ? nqi_log2(NQI_MAX(tally.bytes, 1)) : nqi_distortion_sqnr_db(&d);
    return NQ_OK;
}

/* ---- On all weights ------------------------------------------------------------------------ */

static nq_status measure_whole(double *value, nqi_sample *s, nqi_progress_state *progress)
{
    nqi_distortion sum = {.energy = s->kept_energy};
    for (uint64_t i = 0; i < s->m->n_groups; i++) {
        nqi_model_group *g = &s->m->groups[i];
        NQI_TRY(nqi_group_measure(s->m, g, progress));
        if (nqi_group_is_channel(g))
            nqi_distortion_join(&sum, &g->channel.distortion);
        for (uint32_t k = 0; k < g->n && !nqi_group_is_channel(g); k++)
            nqi_distortion_join(&sum, &s->m->tensors[g->tensors[k]].distortion);
    }
    *value = nqi_distortion_sqnr_db(&sum);
    return NQ_OK;
}

/* A guess will do for what is out of reach. */
static nq_status measure_size(nqi_trial *trial, nqi_sample *s, double near)
{
    uint64_t n_bytes;
    NQI_TRY(nqi_model_guess_bytes(&n_bytes, s->m));
    trial->value = nqi_log2((double)n_bytes);
    trial->is_guess = trial->value < s->aim.value - near || trial->value > s->aim.value + near;
    if (trial->is_guess)
        return NQ_OK;
    NQI_TRY(nqi_model_file_bytes(&n_bytes, s->m));
    trial->value = nqi_log2((double)n_bytes);
    return NQ_OK;
}

nq_status nqi_sample_try_whole(nqi_trial *trial, nqi_sample *s, double coarseness, double near,
                               nqi_progress_state *progress, nq_diag *diag)
{
    nqi_model *m = s->m;
    *trial = (nqi_trial){.coarseness = coarseness, .is_known = true, .works = true};
    for (uint64_t i = 0; i < m->n_groups && trial->works; i++) {
        nqi_model_group *g = &m->groups[i];
        nqi_goal goal;
        const nq_status status = nqi_sample_goal(&goal, s, i, coarseness);
        nqi_sample_release(s, i);
        NQI_TRY(status);
        nqi_group_forget_design(m, g);
        g->goal = goal;
        progress->total += g->n_elements * nqi_quantizer_passes(g->options.method, &goal);
        NQI_TRY(judge(trial, nqi_group_design(m, g, progress, diag), g));
    }
    if (!trial->works)
        return NQ_OK;
    if (!s->aim.is_size)
        return measure_whole(&trial->value, s, progress);
    NQI_TRY(nqi_model_choose_codes(m, diag));
    return measure_size(trial, s, near);
}

/* ---- Equal slopes without a target --------------------------------------------------------- */

nq_status nqi_model_allocate(nqi_model *m)
{
    const nqi_aim aim = {.is_size = true};
    nqi_sample *s;
    NQI_TRY(nqi_sample_create(&s, m, &aim));
    const double coarseness = m->options.target == NQ_TARGET_STEP
                                  ? nqi_log2(m->options.target_value)
                                  : nqi_sample_coarseness(s, m->options.target_value);
    nq_status status = NQ_OK;
    for (uint64_t i = 0; i < m->n_groups && status == NQ_OK; i++) {
        nqi_goal goal;
        status = nqi_sample_goal(&goal, s, i, coarseness);
        nqi_sample_release(s, i);
        if (status == NQ_OK)
            m->groups[i].goal = goal;
    }
    nqi_sample_destroy(s);
    return status;
}
