/*
 * What a rate-distortion optimal assignment of all weights comes to: see rdo.h.
 */
#include <string.h>

#include "base/checked.h"
#include "ecsq/rdo.h"
#include "ecsq/rdo_impl.h"

#define LANES         8u
#define MAX_IN_FLIGHT 16u

typedef struct place {
    uint64_t *counts;
    double distortion;
} place;

typedef struct job {
    const nqi_rdo *rdo;
    const nqi_weights *part;
    uint64_t first_chunk;
    size_t n_places;
    place places[MAX_IN_FLIGHT];
} job;

/* Elements of a slice go to the lane of their place modulo the lanes. */
static void add_slice(double lanes[LANES], uint64_t *counts, const nqi_rdo *r,
                      const uint16_t *indices, const float *w, const double *h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double away = (double)w[i] - r->levels[indices[i]];
        lanes[i % LANES] += h[i] * (away * away);
        counts[indices[i]]++;
    }
}

static void run_chunk(void *arg, uint64_t index, uint32_t worker)
{
    job *j = arg;
    place *p = &j->places[index];
    float w[NQI_SLICE_ELEMS];
    double h[NQI_SLICE_ELEMS], lanes[LANES] = {0};
    uint16_t indices[NQI_SLICE_ELEMS];
    (void)worker;
    const uint64_t begin = (j->first_chunk + index) * NQI_CHUNK_ELEMS;
    const uint64_t end = NQI_MIN(begin + NQI_CHUNK_ELEMS, nqi_weights_count(j->part));
    memset(p->counts, 0, j->rdo->k * sizeof *p->counts);
    for (uint64_t at = begin; at < end; at += NQI_SLICE_ELEMS) {
        const size_t n = (size_t)NQI_MIN(end - at, NQI_SLICE_ELEMS);
        nqi_weights_load(w, j->part, at, n);
        nqi_weights_load_importance(h, j->part, at, n);
        for (size_t i = 0; i < n && j->rdo->is_plain; i++)
            h[i] = 1;
        nqi_rdo_assign(j->rdo, indices, w, h, n);
        add_slice(lanes, p->counts, j->rdo, indices, w, h, n);
    }
    p->distortion = 0;
    for (size_t i = 0; i < LANES; i++)
        p->distortion += lanes[i];
}

static nq_status measure_part(nqi_rdo_fit *fit, uint64_t *counts, job *j, const nqi_env *env)
{
    const uint64_t total = nqi_weights_count(j->part);
    const uint64_t n_chunks = nqi_div_up_u64(total, NQI_CHUNK_ELEMS);
    for (uint64_t at = 0, n; at < n_chunks; at += n) {
        n = NQI_MIN(n_chunks - at, j->n_places);
        j->first_chunk = at;
        nqi_run(&env->runner, n, run_chunk, j);
        for (uint64_t i = 0; i < n; i++) {
            fit->distortion += j->places[i].distortion;
            for (size_t level = 0; level < j->rdo->k; level++)
                counts[level] += j->places[i].counts[level];
        }
        NQI_TRY(
            nqi_progress(env, NQ_STAGE_DESIGN, NQI_MIN((at + n) * NQI_CHUNK_ELEMS, total), total));
    }
    return NQ_OK;
}

nq_status nqi_rdo_measure(nqi_rdo_fit *fit, uint64_t *counts, const nqi_rdo *r, const nqi_env *env,
                          const nqi_weights *parts, size_t n_parts)
{
    void *memory;
    job j = {.rdo = r, .n_places = NQI_MIN(env->runner.max_workers, MAX_IN_FLIGHT)};
    *fit = (nqi_rdo_fit){0, 0};
    memset(counts, 0, r->k * sizeof *counts);
    NQI_TRY(nqi_alloc(&memory, &env->allocator, j.n_places * r->k, sizeof(uint64_t)));
    for (size_t i = 0; i < j.n_places; i++)
        j.places[i].counts = (uint64_t *)memory + i * r->k;
    nq_status status = NQ_OK;
    for (size_t i = 0; i < n_parts && status == NQ_OK; i++) {
        j.part = &parts[i];
        status = measure_part(fit, counts, &j, env);
    }
    nqi_free(&env->allocator, memory, j.n_places * r->k, sizeof(uint64_t));
    for (size_t level = 0; level < r->k; level++)
        fit->bits += counts[level] ? (double)counts[level] * r->lengths[level] : 0;
    return status;
}
