/*
 * Stored codebooks: see codebook.h.
 */
#include "cluster/codebook.h"

#include "base/checked.h"
#include "nq/types.h"

/* Elements go to the lane of their place modulo this, in which order sums are taken. */
#define LANES 8u

/* ---- Making -------------------------------------------------------------------------------- */

static nq_status make_search(nqi_codebook *c, const nqi_env *env)
{
    void *memory;
    NQI_TRY(nqi_alloc(&memory, &c->allocator, c->n, sizeof(double)));
    double *thresholds = memory;
    for (size_t i = 0; i + 1 < c->n; i++)
        thresholds[i] = ((double)c->levels[i] + (double)c->levels[i + 1]) * 0.5;
    const nq_status status =
        nqi_search_create(&c->search, &c->allocator, thresholds, c->n, env->cpu);
    nqi_free(&c->allocator, memory, c->n, sizeof(double));
    return status;
}

nq_status nqi_codebook_create(nqi_codebook *out, const nqi_env *env, const double *levels, size_t n)
{
    void *memory;
    nqi_codebook c = {.allocator = env->allocator};
    *out = c;
    if (n == 0 || n > NQ_MAX_LEVELS)
        return NQ_E_ARG;
    NQI_TRY(nqi_alloc(&memory, &c.allocator, n, sizeof *c.levels));
    c.levels = memory;
    c.capacity = n;
    for (size_t i = 0; i < n; i++) {
        const float level = (float)levels[i] + 0.0f;
        if (c.n == 0 || level > c.levels[c.n - 1])
            c.levels[c.n++] = level;
    }
    const nq_status status = make_search(&c, env);
    if (status != NQ_OK) {
        nqi_codebook_free(&c);
        return status;
    }
    *out = c;
    return NQ_OK;
}

void nqi_codebook_free(nqi_codebook *c)
{
    nqi_search_free(&c->search, &c->allocator);
    nqi_free(&c->allocator, c->levels, c->capacity, sizeof *c->levels);
    *c = (nqi_codebook){.allocator = c->allocator};
}

/* ---- Measuring ----------------------------------------------------------------------------- */

typedef struct lanes {
    double squared[LANES];
    double weighted[LANES];
} lanes;

typedef struct job {
    const nqi_codebook *codebook;
    const nqi_weights *part;
    uint64_t n;
    uint64_t first_chunk;
    nqi_fit fits[64];
} job;

/* Differences of n weights, which begin at a multiple of the lanes. */
static void add_squares(lanes *sum, const double *difference, const double *h, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) {
            const double square = difference[i + j] * difference[i + j];
            sum->squared[j] += square;
            sum->weighted[j] += h[i + j] * square;
        }
    for (size_t j = 0; i < n; i++, j++) {
        const double square = difference[i] * difference[i];
        sum->squared[j] += square;
        sum->weighted[j] += h[i] * square;
    }
}

static void measure_chunk(void *arg, uint64_t index, uint32_t worker)
{
    job *j = arg;
    float w[NQI_SLICE_ELEMS];
    double h[NQI_SLICE_ELEMS], difference[NQI_SLICE_ELEMS];
    uint16_t indices[NQI_SLICE_ELEMS];
    lanes sum = {{0}, {0}};
    (void)worker;
    const uint64_t begin = (j->first_chunk + index) * NQI_CHUNK_ELEMS;
    const uint64_t end = NQI_MIN(begin + NQI_CHUNK_ELEMS, j->n);
    const float *levels = j->codebook->levels;
    for (uint64_t at = begin; at < end; at += NQI_SLICE_ELEMS) {
        const size_t n = (size_t)NQI_MIN(end - at, NQI_SLICE_ELEMS);
        nqi_weights_load(w, j->part, at, n);
        nqi_weights_load_importance(h, j->part, at, n);
        nqi_codebook_assign(j->codebook, indices, w, n);
        for (size_t i = 0; i < n; i++)
            difference[i] = (double)w[i] - (double)levels[indices[i]];
        add_squares(&sum, difference, h, n);
    }
    nqi_fit *fit = &j->fits[index];
    *fit = (nqi_fit){.n = end - begin};
    for (size_t i = 0; i < LANES; i++) {
        fit->squared += sum.squared[i];
        fit->weighted += sum.weighted[i];
    }
}

static nq_status measure_part(nqi_fit *fit, const nqi_env *env, job *j)
{
    const uint64_t n_chunks = nqi_div_up_u64(j->n, NQI_CHUNK_ELEMS);
    for (uint64_t at = 0, n; at < n_chunks; at += n) {
        n = NQI_MIN(n_chunks - at, NQI_COUNT(j->fits));
        j->first_chunk = at;
        nqi_run(&env->runner, n, measure_chunk, j);
        for (uint64_t i = 0; i < n; i++) {
            fit->n += j->fits[i].n;
            fit->squared += j->fits[i].squared;
            fit->weighted += j->fits[i].weighted;
        }
        NQI_TRY(
            nqi_progress(env, NQ_STAGE_DESIGN, NQI_MIN((at + n) * NQI_CHUNK_ELEMS, j->n), j->n));
    }
    return NQ_OK;
}

nq_status nqi_codebook_measure(nqi_fit *fit, const nqi_env *env, const nqi_codebook *c,
                               const nqi_weights *parts, size_t n_parts)
{
    *fit = (nqi_fit){.n = 0};
    for (size_t i = 0; i < n_parts; i++) {
        job j = {.codebook = c, .part = &parts[i], .n = nqi_weights_count(&parts[i])};
        NQI_TRY(measure_part(fit, env, &j));
    }
    return NQ_OK;
}
