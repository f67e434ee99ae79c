/*
 * Counting and measuring without coding: see measure.h.
 */
#include "model/measure.h"

#include <string.h>

/* What a chunk comes to; its counts follow in memory. */
typedef struct partial {
    nqi_distortion_lanes lanes;
    uint32_t *counts;
} partial;

typedef struct run {
    const nqi_measure_job *job;
    uint64_t *counts; /* of the part whose chunks are being folded */
    nqi_distortion distortion;
} run;

static void measure_chunk(void *arg, const nqi_chunk *chunk)
{
    const nqi_measure_job *job = ((const run *)arg)->job;
    const nqi_weights *part = &job->parts[chunk->part];
    const double *decoded = job->decoded[part->w.dtype];
    partial *p = chunk->slot;
    const bool needs_h = job->weighs || job->quantizer->has_importance;
    float w[NQI_SLICE_ELEMS];
    uint16_t indices[NQI_SLICE_ELEMS];
    double wide[NQI_SLICE_ELEMS], v[NQI_SLICE_ELEMS], h[NQI_SLICE_ELEMS];
    p->lanes = (nqi_distortion_lanes){.cpu = job->env->cpu};
    memset(p->counts, 0, job->quantizer->n_levels * sizeof *p->counts);
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        nqi_weights_load(w, part, chunk->first + done, n);
        if (needs_h)
            nqi_weights_load_importance(h, part, chunk->first + done, n);
        nqi_quantizer_assign(job->quantizer, indices, w, h, n);
        if (part->least_score > 0)
            nqi_weights_load_unpruned(w, part, chunk->first + done, n);
        for (size_t i = 0; i < n; i++) {
            p->counts[indices[i]]++;
            wide[i] = (double)w[i];
            v[i] = decoded[indices[i]];
        }
        nqi_distortion_add(&p->lanes, wide, v, needs_h ? h : NULL, n);
    }
}

static nq_status fold_chunk(void *arg, const nqi_chunk *chunk)
{
    run *r = arg;
    const partial *p = chunk->slot;
    const uint32_t n_levels = r->job->quantizer->n_levels;
    for (uint32_t i = 0; i < n_levels; i++)
        r->counts[i] += p->counts[i];
    nqi_distortion_merge(&r->distortion, &p->lanes);
    if (!chunk->ends_part)
        return NQ_OK;
    NQI_TRY(r->job->measured(r->job->user, chunk->part, r->counts, &r->distortion));
    memset(r->counts, 0, n_levels * sizeof *r->counts);
    r->distortion = (nqi_distortion){.n = 0};
    return NQ_OK;
}

nq_status nqi_measure(const nqi_measure_job *job)
{
    const nqi_allocator *a = &job->env->allocator;
    const size_t n_levels = job->quantizer->n_levels;
    const size_t counts_at = (sizeof(partial) + 63) & ~(size_t)63;
    run r = {.job = job};
    nqi_pass pass = {.env = job->env,
                     .progress = job->progress,
                     .list = nqi_weights_list(job->parts, job->n_parts),
                     .slot_bytes = (counts_at + n_levels * sizeof(uint32_t) + 63) & ~(size_t)63,
                     .work = measure_chunk,
                     .fold = fold_chunk,
                     .arg = &r};
    void *counts = NULL, *slots = NULL;
    pass.n_slots = nqi_pass_slots(job->env, &pass.list, pass.slot_bytes);
    nq_status status = nqi_alloc_zero(&counts, a, n_levels, sizeof *r.counts);
    if (status == NQ_OK)
        status = nqi_alloc(&slots, a, pass.n_slots, pass.slot_bytes);
    if (status == NQ_OK) {
        r.counts = counts;
        pass.slots = slots;
        for (size_t i = 0; i < pass.n_slots; i++) {
            partial *p = (void *)(pass.slots + i * pass.slot_bytes);
            p->counts = (void *)((uint8_t *)p + counts_at);
        }
        status = nqi_pass_run(&pass);
    }
    nqi_free(a, counts, n_levels, sizeof *r.counts);
    nqi_free(a, slots, pass.n_slots, pass.slot_bytes);
    return status;
}
