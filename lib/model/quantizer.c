/*
 * Quantizers of all methods: see quantizer.h.
 */
#include "model/quantizer.h"

#include "base/half.h"
#include "model/methods.h"

/* ---- Design -------------------------------------------------------------------------------- */

uint32_t nqi_quantizer_passes(uint32_t method, const nqi_goal *goal)
{
    return method == NQ_METHOD_UNIFORM ? nqi_uniform_passes(goal->kind == NQ_TARGET_LEVELS ? 0 : 1)
                                       : 0;
}

static nq_status design(nqi_quantizer *q, double *smallest_step, const nqi_design_job *job)
{
    if (job->method == NQ_METHOD_ECSQ || job->is_rdo)
        return nqi_design_priced(q, smallest_step, job);
    if (job->method == NQ_METHOD_KMEANS)
        return nqi_design_kmeans(q, job);
    return nqi_design_uniform(q, smallest_step, job);
}

/* With levels that are plain means, importance has no say in anything but cells of a width. */
static nq_status design_without_importance(nqi_quantizer *q, double *smallest_step,
                                           const nqi_design_job *job)
{
    nqi_design_source plain;
    nqi_weights *parts;
    nqi_design_job plain_job = *job;
    NQI_TRY(nqi_source_without_importance(&plain, &parts, job->source));
    plain_job.source = &plain;
    const nq_status status = design(q, smallest_step, &plain_job);
    nqi_design_source_free(&plain);
    nqi_free(&plain.env->allocator, parts, plain.n_parts, sizeof *parts);
    return status;
}

nq_status nqi_quantizer_design(nqi_quantizer *q, double *smallest_step, const nqi_design_job *job)
{
    const bool is_plain = job->source->has_importance && job->level_rule == NQ_LEVEL_MEAN;
    *q = (nqi_quantizer){.allocator = job->source->env->allocator};
    *smallest_step = 0;
    const nq_status status =
        is_plain ? design_without_importance(q, smallest_step, job) : design(q, smallest_step, job);
    if (status != NQ_OK)
        nqi_quantizer_free(q);
    return status;
}

void nqi_quantizer_free(nqi_quantizer *q)
{
    nqi_uniform_free(&q->uniform);
    nqi_codebook_free(&q->codebook);
    nqi_rdo_destroy(q->rdo);
    nqi_free(&q->allocator, q->priced, q->n_allocated, sizeof *q->priced);
    nqi_free(&q->allocator, q->priced_cells, q->n_allocated, sizeof *q->priced_cells);
    *q = (nqi_quantizer){.allocator = q->allocator};
}

/* ---- Use ----------------------------------------------------------------------------------- */

uint32_t nqi_quantizer_level(const nqi_quantizer *q, uint32_t slot)
{
    return q->assignment == NQI_ASSIGN_CELL ? q->uniform.level_of_slot[slot] : slot;
}

void nqi_quantizer_assign(const nqi_quantizer *q, uint16_t *indices, const float *weights,
                          const double *h, size_t n)
{
    if (q->assignment == NQI_ASSIGN_CELL)
        nqi_uniform_assign(indices, &q->uniform, weights, n);
    else if (q->assignment == NQI_ASSIGN_NEAREST)
        nqi_codebook_assign(&q->codebook, indices, weights, n);
    else
        nqi_rdo_assign(q->rdo, indices, weights, h, n);
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
