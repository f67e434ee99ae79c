/*
 * k-means: see methods.h and cluster/kmeans.h.
 */
#include "model/methods.h"

nq_status nqi_design_kmeans(nqi_quantizer *q, const nqi_design_job *job)
{
    nqi_design_source *source = job->source;
    nqi_kmeans_options options = job->kmeans;
    nqi_kmeans_result result;
    options.k = (size_t)NQI_MIN(job->goal.value, (double)job->max_levels);
    NQI_TRY(nqi_design_source_summarise(source));
    NQI_TRY(nqi_kmeans(&result, source->env, &source->summary, source->parts, source->n_parts,
                       &options));
    nqi_source_clamp(result.levels, result.n_levels, source);
    const nq_status status =
        nqi_codebook_create(&q->codebook, source->env, result.levels, result.n_levels);
    nqi_kmeans_free(&result);
    NQI_TRY(status);
    q->assignment = NQI_ASSIGN_NEAREST;
    q->n_levels = (uint32_t)q->codebook.n;
    q->levels = q->codebook.levels;
    return NQ_OK;
}
