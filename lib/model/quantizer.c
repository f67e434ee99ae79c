/*
 * From weights and a goal to a quantizer, by whichever method: see quantizer.h.
 */
#include "model/quantizer.h"

#include "base/half.h"
#include "base/log2.h"

/* ---- Source -------------------------------------------------------------------------------- */

nq_status nqi_design_source_summarise(nqi_design_source *source)
{
    if (source->has_summary)
        return NQ_OK;
    source->summary = nqi_summary_empty(&source->env->allocator);
    for (size_t i = 0; i < source->n_parts; i++) {
        nqi_weights part = source->parts[i];
        if (!source->has_importance)
            part.h.data = NULL;
        const nq_status status = nqi_summary_add(&source->summary, source->env, &part, NULL);
        if (status != NQ_OK) {
            nqi_summary_free(&source->summary);
            return status;
        }
    }
    source->has_summary = true;
    return NQ_OK;
}

void nqi_design_source_free(nqi_design_source *source)
{
    if (source->has_summary)
        nqi_summary_free(&source->summary);
    source->has_summary = false;
}

/* ---- Uniform ------------------------------------------------------------------------------- */

/*
 * A uniform quantizer of step s trades bits for distortion at 2 ln(2) h s^2 / 12 of distortion a
 * bit, h being the mean importance (in the limit of small steps): the step that suits lambda.
 */
static nq_status step_for_lambda(double *step, const nqi_design_job *job)
{
    const double ln2_over_6 = 0.11552453009332421;
    double h = 1;
    if (job->source->has_importance) {
        NQI_TRY(nqi_design_source_summarise(job->source));
        const nqi_summary *s = &job->source->summary;
        h = nqi_summary_importance(s) / (double)s->n;
    }
    *step = nqi_sqrt(job->goal.value / (ln2_over_6 * h));
    return NQ_OK;
}

static nq_status design_uniform(nqi_quantizer *q, double *smallest_step, const nqi_design_job *job)
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
        NQI_TRY(step_for_lambda(&u.step, job));
    else if (job->goal.value < (double)u.max_levels)
        u.max_levels = (uint32_t)job->goal.value;
    NQI_TRY(nqi_uniform_design(&q->uniform, smallest_step, &u));
    q->n_levels = q->uniform.n_levels;
    q->levels = q->uniform.levels;
    q->cells = q->uniform.cells;
    q->step = q->uniform.step;
    q->is_grid = q->uniform.is_grid;
    q->has_counts = job->counts != NULL;
    return NQ_OK;
}

/* ---- k-means ------------------------------------------------------------------------------- */

/* The level nearest to x. */
static size_t nearest(const double *levels, size_t n, double x)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        const double a = levels[best] - x, b = levels[i] - x;
        if ((b < 0 ? -b : b) < (a < 0 ? -a : a))
            best = i;
    }
    return best;
}

/* Clamps levels of the outermost weights of a type to what the type can hold: weights of another
 * type may have drawn them beyond it. Their order stays, see test_plan_kmeans.c. */
static void clamp_levels(double *levels, size_t n, const nqi_design_source *source)
{
    const double most[NQI_N_WEIGHT_TYPES] = {
        [NQ_F32] = 0x1.fffffep127, [NQ_F16] = 65504.0, [NQ_BF16] = 0x1.fep127};
    for (uint32_t i = 0; i < NQI_N_WEIGHT_TYPES; i++) {
        const nqi_extent *extent = &source->extents[i];
        if (extent->low > extent->high)
            continue;
        double *low = &levels[nearest(levels, n, (double)extent->low)];
        double *high = &levels[nearest(levels, n, (double)extent->high)];
        *low = NQI_MAX(*low, -most[i]);
        *high = NQI_MIN(*high, most[i]);
    }
}

/* The same weights, all of the same importance. Its parts are to be freed. */
static nq_status make_plain_source(nqi_design_source *plain, nqi_weights **parts,
                                   const nqi_design_source *source)
{
    void *memory;
    NQI_TRY(nqi_alloc(&memory, &source->env->allocator, source->n_parts, sizeof **parts));
    *parts = memory;
    for (size_t i = 0; i < source->n_parts; i++) {
        (*parts)[i] = source->parts[i];
        (*parts)[i].h.data = NULL;
    }
    *plain = *source;
    plain->parts = *parts;
    plain->has_summary = false;
    plain->has_importance = false;
    return NQ_OK;
}

static nq_status cluster(nqi_quantizer *q, nqi_design_source *source, const nqi_design_job *job)
{
    nqi_kmeans_options options = job->kmeans;
    nqi_kmeans_result result;
    options.k = (size_t)NQI_MIN(job->goal.value, (double)job->max_levels);
    NQI_TRY(nqi_design_source_summarise(source));
    NQI_TRY(nqi_kmeans(&result, source->env, &source->summary, source->parts, source->n_parts,
                       &options));
    clamp_levels(result.levels, result.n_levels, source);
    const nq_status status =
        nqi_codebook_create(&q->codebook, source->env, result.levels, result.n_levels);
    nqi_kmeans_free(&result);
    NQI_TRY(status);
    q->n_levels = (uint32_t)q->codebook.n;
    q->levels = q->codebook.levels;
    return NQ_OK;
}

static nq_status design_kmeans(nqi_quantizer *q, const nqi_design_job *job)
{
    nqi_design_source plain;
    nqi_weights *parts;
    if (job->level_rule == NQ_LEVEL_WEIGHTED || !job->source->has_importance)
        return cluster(q, job->source, job);
    NQI_TRY(make_plain_source(&plain, &parts, job->source));
    const nq_status status = cluster(q, &plain, job);
    nqi_design_source_free(&plain);
    nqi_free(&plain.env->allocator, parts, plain.n_parts, sizeof *parts);
    return status;
}

/* ---- All ----------------------------------------------------------------------------------- */

uint32_t nqi_quantizer_passes(uint32_t method, const nqi_goal *goal)
{
    return method == NQ_METHOD_UNIFORM ? nqi_uniform_passes(goal->kind == NQ_TARGET_LEVELS ? 0 : 1)
                                       : 0;
}

nq_status nqi_quantizer_design(nqi_quantizer *q, double *smallest_step, const nqi_design_job *job)
{
    *q = (nqi_quantizer){.method = job->method};
    *smallest_step = 0;
    if (job->method == NQ_METHOD_KMEANS)
        return design_kmeans(q, job);
    return design_uniform(q, smallest_step, job);
}

void nqi_quantizer_free(nqi_quantizer *q)
{
    if (q->method == NQ_METHOD_KMEANS)
        nqi_codebook_free(&q->codebook);
    else
        nqi_uniform_free(&q->uniform);
    q->n_levels = 0;
}

uint32_t nqi_quantizer_level(const nqi_quantizer *q, uint32_t slot)
{
    return q->method == NQ_METHOD_UNIFORM ? q->uniform.level_of_slot[slot] : slot;
}

void nqi_quantizer_assign(const nqi_quantizer *q, uint16_t *indices, const float *weights, size_t n)
{
    if (q->method == NQ_METHOD_UNIFORM)
        nqi_uniform_assign(indices, &q->uniform, weights, n);
    else
        nqi_codebook_assign(&q->codebook, indices, weights, n);
}

/* ---- Decoding ------------------------------------------------------------------------------ */

static double decoded_value(float level, uint32_t dtype)
{
    if (dtype == NQ_F16)
        return (double)nqi_f16_to_f32(nqi_f32_to_f16(level));
    if (dtype == NQ_BF16)
        return (double)nqi_bf16_to_f32(nqi_f32_to_bf16(level));
    return (double)level;
}

nq_status nqi_quantizer_decode(double *decoded[NQI_N_WEIGHT_TYPES], const nqi_quantizer *q,
                               const nqi_design_source *source)
{
    for (uint32_t dtype = 0; dtype < NQI_N_WEIGHT_TYPES; dtype++) {
        void *memory;
        if (source->extents[dtype].low > source->extents[dtype].high)
            continue;
        NQI_TRY(nqi_alloc(&memory, &source->env->allocator, q->n_levels, sizeof(double)));
        decoded[dtype] = memory;
        for (uint32_t i = 0; i < q->n_levels; i++)
            decoded[dtype][i] = decoded_value(q->levels[i], dtype);
    }
    return NQ_OK;
}

void nqi_quantizer_free_decoded(double *decoded[NQI_N_WEIGHT_TYPES], const nqi_quantizer *q,
                                const nqi_design_source *source)
{
    for (uint32_t i = 0; i < NQI_N_WEIGHT_TYPES; i++) {
        nqi_free(&source->env->allocator, decoded[i], q->n_levels, sizeof(double));
        decoded[i] = NULL;
    }
}
