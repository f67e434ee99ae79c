/*
 * Cells of one width: see methods.h and ecsq/uniform.h.
 */
#include "base/log2.h"
#include "model/methods.h"

/*
 * A uniform quantizer of step s trades bits for distortion at 2 ln(2) h s^2 / 12 of distortion a
 * bit, h being the mean importance (in the limit of small steps).
 */
#define LN2_OVER_6 0.11552453009332421

/* Numbers that designs can still compute with, however far weights or importance are from 1. */
static double within_reach(double x)
{
    return NQI_MAX(NQI_MIN(x, 0x1p900), 0x1p-900);
}

nq_status nqi_lambda_for_step(double *lambda, nqi_design_source *source, double step)
{
    double h;
    NQI_TRY(nqi_source_mean_importance(&h, source));
    *lambda = within_reach(LN2_OVER_6 * h * step * step);
    return NQ_OK;
}

nq_status nqi_step_for_lambda(double *step, nqi_design_source *source, double lambda)
{
    double h;
    NQI_TRY(nqi_source_mean_importance(&h, source));
    *step = within_reach(nqi_sqrt(lambda / (LN2_OVER_6 * h)));
    return NQ_OK;
}

nq_status nqi_design_uniform(nqi_quantizer *q, double *smallest_step, const nqi_design_job *job)
{
    const nqi_design_source *source = job->source;
    nqi_uniform_job u = {.env = source->env,
                         .progress = job->progress,
                         .parts = source->parts,
                         .n_parts = source->n_parts,
                         .max_levels = job->max_levels,
                         .level_rule = job->level_rule,
                         .is_trial = job->is_trial,
                         .has_importance = source->has_importance,
                         .counts = job->counts,
                         .user = job->user};
    for (uint32_t i = 0; i < NQI_N_WEIGHT_TYPES; i++)
        u.extents[i] = source->extents[i];
    if (job->goal.kind == NQ_TARGET_STEP)
        u.step = job->goal.value;
    else if (job->goal.kind == NQ_TARGET_LAMBDA)
        NQI_TRY(nqi_step_for_lambda(&u.step, job->source, job->goal.value));
    else if (job->goal.value < (double)u.max_levels)
        u.max_levels = (uint32_t)job->goal.value;
    q->assignment = NQI_ASSIGN_CELL;
    NQI_TRY(nqi_uniform_design(&q->uniform, smallest_step, &u));
    q->n_levels = q->uniform.n_levels;
    q->levels = q->uniform.levels;
    q->cells = q->uniform.cells;
    q->step = q->uniform.step;
    q->is_grid = q->uniform.is_grid;
    q->has_counts = job->counts != NULL;
    return NQ_OK;
}
