/*
 * Sampling, and designs on the sample: see sample.h.
 */
#include "model/sample.h"

#include "base/log2.h"
#include "model/measure.h"
#include "model/methods.h"

/* Elements of a sample, about, and of each tensor at least, or all that it has; in runs of so many.
 * Tensors so many that these would be more than MOST_ELEMS in all have fewer. */
#define SAMPLE_ELEMS (UINT64_C(1) << 20)
#define LEAST_ELEMS  (UINT64_C(1) << 12)
#define FEWEST_ELEMS (UINT64_C(1) << 8)
#define MOST_ELEMS   (4 * SAMPLE_ELEMS)
#define RUN_ELEMS    UINT64_C(64)

/* Channels of a tensor that are in the sample, at least. */
#define MIN_CHANNELS 8u

/* What a level takes in a codebook, and what its entry in a code table does. */
#define LEVEL_BYTES 4.0
#define ENTRY_BITS  5.0

/* ---- Sampling ------------------------------------------------------------------------------ */

/* Runs of the part's elements, evenly spread, one in `thinning`. */
static void thin(nqi_weights *part, uint64_t thinning, uint64_t least)
{
    const uint64_t n = nqi_weights_count(part);
    thinning = NQI_MIN(thinning, n / least);
    if (thinning < 2)
        return;
    if (part->n_runs > 1) { /* of a channel: short ones, many */
        part->n_runs = NQI_MAX(part->n_runs / thinning, 1);
        part->stride *= thinning;
        return;
    }
    part->run = RUN_ELEMS;
    part->stride = RUN_ELEMS * thinning;
    part->n_runs = NQI_MAX(n / part->stride, 1);
}

/* Which channels are in the sample: every so manieth, for those that follow it. What is left to
 * thin is thinned within channels. */
static uint64_t thin_channels(nqi_group_sample *out, const nqi_sample *s, const nqi_model_group *g,
                              uint64_t thinning)
{
    const uint32_t count = g->channel.count, number = g->channel.number;
    const uint64_t every = NQI_MAX(NQI_MIN(thinning, count / MIN_CHANNELS), 1);
    out->share = 1;
    out->stand_in = (uint64_t)(g - s->m->groups);
    if (!nqi_group_is_channel(g))
        return thinning;
    out->stand_in -= number % every;
    out->share = number % every == 0 ? (double)NQI_MIN(every, count - number) : 0;
    return thinning / every;
}

static nq_status sample_group(nqi_group_sample *out, nqi_sample *s, nqi_model_group *g,
                              uint64_t thinning)
{
    void *memory;
    thinning = thin_channels(out, s, g, thinning);
    NQI_TRY(nqi_alloc(&memory, &s->m->env.allocator, g->n, sizeof(nqi_weights)));
    out->parts = memory;
    const uint64_t each = MOST_ELEMS / NQI_MAX(s->m->n_tensors, 1);
    const uint64_t least = NQI_MAX(NQI_MIN(each, LEAST_ELEMS), FEWEST_ELEMS);
    for (uint32_t i = 0; i < g->n; i++) {
        out->parts[i] = g->parts[i];
        thin(&out->parts[i], thinning, least);
    }
    out->source = g->source;
    out->source.parts = out->parts;
    out->source.has_summary = out->source.has_rows = false;
    return NQ_OK;
}

/* Weights of a part in the model for each in the sample. */
static double factor(const nqi_sample *s, uint64_t group, size_t part)
{
    return s->groups[group].share * (double)nqi_weights_count(&s->m->groups[group].parts[part]) /
           (double)nqi_weights_count(&s->groups[group].parts[part]);
}

static double log2_sigma(const nqi_summary *s)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < s->n_bins; i++)
        sum += (double)s->bins[i].count * nqi_bin_plain_mean(&s->bins[i]);
    const double mean = sum / (double)s->n;
    for (size_t i = 0; i < s->n_bins; i++) {
        const double x = nqi_bin_plain_mean(&s->bins[i]) - mean;
        squares += (double)s->bins[i].count * x * x;
    }
    return squares > 0 ? 0.5 * nqi_log2(squares / (double)s->n) : 0;
}

static nq_status sample_groups(nqi_sample *s)
{
    nqi_model *m = s->m;
    const bool is_slope = m->options.allocate == NQ_ALLOCATE_SLOPE;
    uint64_t n = 0;
    void *memory;
    for (uint64_t i = 0; i < m->n_groups; i++)
        n += m->groups[i].n_elements;
    NQI_TRY(nqi_alloc_zero(&memory, &m->env.allocator, m->n_groups, sizeof(nqi_group_sample)));
    s->groups = memory;
    s->n_elements = (double)n;
    for (uint64_t i = 0; i < m->n_groups; i++) {
        nqi_group_sample *g = &s->groups[i];
        NQI_TRY(sample_group(g, s, &m->groups[i], n / SAMPLE_ELEMS));
        if (m->groups[i].options.method == NQ_METHOD_ECSQ || is_slope) {
            NQI_TRY(nqi_lambda_for_step(&g->lambda, &g->source, 1));
            g->lambda /= nqi_group_lambda_scale(&m->groups[i]);
        }
        if (m->groups[i].options.method == NQ_METHOD_KMEANS) {
            NQI_TRY(nqi_design_source_summarise(&g->source));
            g->log2_sigma = log2_sigma(&g->source.summary);
        }
        nqi_group_free_source(m, &g->source);
    }
    return NQ_OK;
}

/* From where nearly every weight has its own cell to where all have one. */
static void find_range(nqi_sample *s)
{
    double largest = 0;
    for (uint64_t i = 0; i < s->m->n_groups; i++)
        for (uint32_t k = 0; k < NQI_N_WEIGHT_TYPES; k++) {
            const nqi_extent *e = &s->m->groups[i].source.extents[k];
            if (e->low <= e->high)
                largest = NQI_MAX(largest, (double)NQI_MAX(-e->low, e->high));
        }
    s->coarsest = (largest > 0 ? nqi_log2(largest) : 0) + 2;
    s->finest = s->coarsest - 60;
}

static nq_status sum_up_kept(nqi_sample *s)
{
    nqi_model *m = s->m;
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        nqi_model_tensor *t = &m->tensors[i];
        if (t->group != NQI_NO_GROUP)
            continue;
        s->kept_bytes += (double)nqi_model_kept_bytes(t);
        if (s->aim.is_size)
            continue;
        NQI_TRY(nqi_model_measure_kept(m, t));
        s->kept_energy += t->distortion.energy;
    }
    return NQ_OK;
}

static nq_status create(nqi_sample *s)
{
    NQI_TRY(sample_groups(s));
    find_range(s);
    return sum_up_kept(s);
}

nq_status nqi_sample_create(nqi_sample **out, nqi_model *m, const nqi_aim *aim)
{
    void *memory;
    *out = NULL;
    NQI_TRY(nqi_alloc_zero(&memory, &m->env.allocator, 1, sizeof(nqi_sample)));
    nqi_sample *s = memory;
    *s = (nqi_sample){.m = m, .aim = *aim};
    const nq_status status = create(s);
    if (status == NQ_OK)
        *out = s;
    else
        nqi_sample_destroy(s);
    return status;
}

void nqi_sample_destroy(nqi_sample *s)
{
    if (!s)
        return;
    nqi_model *m = s->m;
    const nqi_allocator *a = &m->env.allocator;
    for (uint64_t i = 0; s->groups && i < m->n_groups; i++) {
        nqi_design_source_free(&s->groups[i].source);
        nqi_slope_free(s, i);
        nqi_free(a, s->groups[i].parts, m->groups[i].n, sizeof(nqi_weights));
    }
    nqi_free(a, s->groups, m->n_groups, sizeof(nqi_group_sample));
    nqi_free(a, s, 1, sizeof *s);
}

void nqi_sample_be_smooth(nqi_sample *s, bool is_smooth)
{
    s->m->is_smooth = is_smooth;
}

double nqi_sample_elements(const nqi_sample *s)
{
    return s->n_elements;
}

void nqi_sample_range(double *finest, double *coarsest, const nqi_sample *s)
{
    *finest = s->finest;
    *coarsest = s->coarsest;
}

/* ---- Goals --------------------------------------------------------------------------------- */

/* Panter and Dite: k levels that are placed best leave of a normal density what uniform cells of
 * 5.71 sigma / k do. */
static double levels_at(const nqi_group_sample *g, double coarseness, uint32_t max_levels)
{
    const double k = 5.71 * nqi_exp2(g->log2_sigma - coarseness);
    return k < 1 ? 1 : k < (double)max_levels ? (double)nqi_floor_i64(k + 0.5) : max_levels;
}

nqi_goal nqi_sample_goal_of_step(const nqi_sample *s, uint64_t group, double log2_step)
{
    const nqi_group_sample *g = &s->groups[group];
    if (s->m->groups[group].options.method == NQ_METHOD_KMEANS)
        return (nqi_goal){NQ_TARGET_LEVELS, levels_at(g, log2_step, s->m->limits.max_levels)};
    return (nqi_goal){NQ_TARGET_STEP, nqi_exp2(log2_step)};
}

/* Lambda of all groups at coarseness 0: what suits a step of 1 where importance is the model's
 * mean.
 */
static double common_lambda(const nqi_sample *s)
{
    double sum = 0, n = 0;
    for (uint64_t i = 0; i < s->m->n_groups; i++) {
        sum += s->groups[i].lambda * (double)s->m->groups[i].n_elements;
        n += (double)s->m->groups[i].n_elements;
    }
    return sum / n;
}

double nqi_sample_coarseness(const nqi_sample *s, double lambda)
{
    return lambda > 0 ? 0.5 * nqi_log2(lambda / common_lambda(s)) : s->finest;
}

nq_status nqi_sample_goal(nqi_goal *goal, nqi_sample *s, uint64_t group, double coarseness)
{
    const nqi_model_group *g = &s->m->groups[group];
    const bool is_slope = s->m->options.allocate == NQ_ALLOCATE_SLOPE;
    const double lambda =
        (is_slope ? common_lambda(s) : s->groups[group].lambda) * nqi_exp2(2 * coarseness);
    if (g->has_own_goal)
        *goal = g->goal;
    else if (g->options.method == NQ_METHOD_ECSQ)
        *goal = (nqi_goal){NQ_TARGET_LAMBDA, lambda};
    else if (is_slope)
        return nqi_slope_goal(goal, s, group, lambda);
    else
        *goal = nqi_sample_goal_of_step(s, group, coarseness);
    return NQ_OK;
}

/* ---- Measuring ----------------------------------------------------------------------------- */

typedef struct measuring {
    const nqi_sample *s;
    uint64_t group;
    uint32_t n_levels;
    nqi_tally *tally;
    double own_bits;    /* with a code table for each tensor */
    double shared_bits; /* with one for all, but for what follows from pooled counts: */
    double *pooled;     /* by level, in terms of all weights */
    bool is_channel;    /* whose code is the tensor's */
} measuring;

/* Bits of indices that occur so often, in an ideal code; *n_used is the number of different ones.
 */
static double entropy_bits(const double *counts, uint32_t n_levels, uint32_t *n_used)
{
    double n = 0, sum = 0;
    *n_used = 0;
    for (uint32_t i = 0; i < n_levels; i++)
        if (counts[i] > 0) {
            ++*n_used;
            n += counts[i];
            sum += counts[i] * nqi_log2(counts[i]);
        }
    return n > 0 ? NQI_MAX(n * nqi_log2(n) - sum, 0.0) : 0;
}

/* Adds a part of `more` weights for each that was counted. */
static nq_status add_codes(measuring *m, const uint64_t *counts, double n, double more,
                           uint32_t codec)
{
    const double fixed = n * (m->n_levels < 2 ? 0 : 64 - NQI_CLZ64(m->n_levels - 1));
    double *own = m->pooled + m->n_levels;
    uint32_t n_used;
    if (codec == NQ_CODEC_FIXED || m->n_levels < 2) {
        m->own_bits += more * fixed;
        m->shared_bits += more * fixed;
        return NQ_OK;
    }
    for (uint32_t i = 0; i < m->n_levels; i++) {
        own[i] = (double)counts[i];
        m->pooled[i] += more * own[i];
    }
    double bits = entropy_bits(own, m->n_levels, &n_used);
    if (codec == NQ_CODEC_HUFFMAN)
        bits = NQI_MAX(bits, n);
    else
        bits = NQI_MIN(bits, fixed);
    m->own_bits += more * bits + (m->is_channel ? 0 : ENTRY_BITS * n_used);
    return NQ_OK;
}

static nq_status add_part(void *user, size_t part, const uint64_t *counts, const nqi_distortion *d)
{
    measuring *m = user;
    const nqi_model_group *g = &m->s->m->groups[m->group];
    const nqi_model_tensor *tensor = &m->s->m->tensors[g->tensors[part]];
    const double more = factor(m->s, m->group, part);
    m->tally->squared += more * d->squared;
    m->tally->weighted += more * d->weighted;
    m->tally->energy += more * d->energy;
    return add_codes(m, counts, (double)d->n, more, tensor->options.codec);
}

static nq_status run_measure(measuring *m, const nqi_quantizer *q, const nqi_design_source *source,
                             bool weighs)
{
    double *decoded[NQI_N_WEIGHT_TYPES] = {NULL};
    nq_status status = nqi_quantizer_decode(decoded, q, source);
    const nqi_measure_job job = {.env = source->env,
                                 .quantizer = q,
                                 .decoded = (const double *const *)decoded,
                                 .parts = source->parts,
                                 .n_parts = source->n_parts,
                                 .weighs = weighs && source->has_importance,
                                 .measured = add_part,
                                 .user = m};
    if (status == NQ_OK)
        status = nqi_measure(&job);
    nqi_quantizer_free_decoded(decoded, q, source);
    return status;
}

/* The smaller one of codes apart and a shared code. */
static nq_status measure(measuring *m, const nqi_quantizer *q, const nqi_design_source *source,
                         bool weighs)
{
    const uint64_t n = 2 * (uint64_t)q->n_levels;
    void *memory;
    uint32_t n_used;
    NQI_TRY(nqi_alloc_zero(&memory, &source->env->allocator, n, sizeof(double)));
    m->pooled = memory;
    m->n_levels = q->n_levels;
    const nq_status status = run_measure(m, q, source, weighs);
    if (status == NQ_OK) {
        m->shared_bits += entropy_bits(m->pooled, m->n_levels, &n_used) + ENTRY_BITS * n_used;
        m->tally->bytes += LEVEL_BYTES * q->n_levels * m->s->groups[m->group].share +
                           NQI_MIN(m->own_bits, m->shared_bits) / 8;
    }
    nqi_free(&source->env->allocator, memory, n, sizeof(double));
    return status;
}

nq_status nqi_sample_measure(nqi_tally *tally, nqi_sample *s, uint64_t group, const nqi_goal *goal,
                             bool weighs)
{
    nqi_model_group *g = &s->m->groups[group];
    measuring m = {.s = s, .group = group, .tally = tally, .is_channel = nqi_group_is_channel(g)};
    nqi_quantizer q;
    double smallest_step;
    g->goal = *goal;
    nqi_design_job job = nqi_group_job(s->m, g, &s->groups[group].source);
    job.is_sample = true;
    if (job.kmeans.method == NQI_KMEANS_EXACT) /* which is as good as on the sample */
        job.kmeans.method = NQI_KMEANS_OPTIMAL;
    nq_status status = nqi_quantizer_design(&q, &smallest_step, &job);
    if (status == NQ_OK) {
        status = measure(&m, &q, job.source, weighs);
        nqi_quantizer_free(&q);
    }
    return status;
}

void nqi_sample_release(nqi_sample *s, uint64_t group)
{
    nqi_group_free_source(s->m, &s->groups[group].source);
}
