/*
 * Trials of one coarseness, on a sample of the weights or on all of them: see search.h.
 *
 * The sample takes small tensors whole and of larger ones runs of neighbouring elements at equal
 * distances. Its sizes are estimates: entropies, or the width of a fixed-length code, and a few
 * bytes for each level.
 */
#include "model/search.h"

#include <float.h>

#include "base/diag.h"
#include "base/log2.h"
#include "model/measure.h"
#include "model/methods.h"

/* Elements of a sample, about; tensors below WHOLE_ELEMS are taken whole. */
#define SAMPLE_ELEMS (UINT64_C(1) << 20)
#define WHOLE_ELEMS  (UINT64_C(1) << 14)
#define RUN_ELEMS    UINT64_C(1024)

/* What a level costs besides its use: itself, and its entry in code tables. */
#define LEVEL_BYTES 5.0

typedef struct group_sample {
    nqi_design_source source;
    nqi_weights *parts;
    double log2_sigma; /* of k-means: of the weights */
    double lambda;     /* of ECSQ: what suits a step of 1 */
} group_sample;

struct nqi_sample {
    nqi_model *m;
    nqi_aim aim;
    group_sample *groups;
    double kept_bytes;  /* stored tensors */
    double kept_energy; /* sum of squares of stored floating elements */
    double finest;
    double coarsest;
};

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

/* ---- Sampling ------------------------------------------------------------------------------ */

/* Runs of the part's elements, evenly spread, one in `thinning`. */
static void thin(nqi_weights *part, uint64_t thinning)
{
    const uint64_t n = nqi_weights_count(part);
    if (n < WHOLE_ELEMS || thinning < 2 || part->n_runs != 1)
        return;
    part->run = RUN_ELEMS;
    part->stride = RUN_ELEMS * thinning;
    part->n_runs = NQI_MAX(n / part->stride, 1);
}

static nq_status sample_group(group_sample *out, nqi_sample *s, nqi_model_group *g,
                              uint64_t thinning)
{
    void *memory;
    NQI_TRY(nqi_alloc(&memory, &s->m->env.allocator, g->n, sizeof(nqi_weights)));
    out->parts = memory;
    for (uint32_t i = 0; i < g->n; i++) {
        out->parts[i] = g->parts[i];
        thin(&out->parts[i], thinning);
    }
    out->source = g->source;
    out->source.parts = out->parts;
    out->source.has_summary = out->source.has_rows = false;
    return NQ_OK;
}

/* Weights of a part in the model for each in the sample. */
static double factor(const nqi_sample *s, uint64_t group, size_t part)
{
    return (double)nqi_weights_count(&s->m->groups[group].parts[part]) /
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
    uint64_t n = 0;
    void *memory;
    for (uint64_t i = 0; i < m->n_groups; i++)
        n += m->groups[i].n_elements;
    NQI_TRY(nqi_alloc_zero(&memory, &m->env.allocator, m->n_groups, sizeof(group_sample)));
    s->groups = memory;
    for (uint64_t i = 0; i < m->n_groups; i++) {
        group_sample *g = &s->groups[i];
        NQI_TRY(sample_group(g, s, &m->groups[i], n / SAMPLE_ELEMS));
        if (m->groups[i].options.method == NQ_METHOD_KMEANS) {
            NQI_TRY(nqi_design_source_summarise(&g->source));
            g->log2_sigma = log2_sigma(&g->source.summary);
        } else if (m->groups[i].options.method == NQ_METHOD_ECSQ) {
            NQI_TRY(nqi_lambda_for_step(&g->lambda, &g->source, 1));
            g->lambda /= nqi_group_lambda_scale(&m->groups[i]);
        }
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
        s->kept_bytes += (double)t->n * nq_dtype_bits(t->desc.dtype) / 8;
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
        nqi_free(a, s->groups[i].parts, m->groups[i].n, sizeof(nqi_weights));
    }
    nqi_free(a, s->groups, m->n_groups, sizeof(group_sample));
    nqi_free(a, s, 1, sizeof *s);
}

void nqi_sample_range(double *finest, double *coarsest, const nqi_sample *s)
{
    *finest = s->finest;
    *coarsest = s->coarsest;
}

/* ---- Goals --------------------------------------------------------------------------------- */

/* Panter and Dite: k levels that are placed best leave of a normal density what uniform cells of
 * 5.71 sigma / k do. */
static double levels_at(const group_sample *g, double coarseness, uint32_t max_levels)
{
    const double k = 5.71 * nqi_exp2(g->log2_sigma - coarseness);
    return k < 1 ? 1 : k < (double)max_levels ? (double)nqi_floor_i64(k + 0.5) : max_levels;
}

/* What a group's design is to be like at this coarseness; its own goal where it has one. */
static nqi_goal goal_at(const nqi_sample *s, uint64_t group, double coarseness)
{
    const nqi_model_group *g = &s->m->groups[group];
    if (!nqi_target_is_outcome(g->options.target))
        return g->goal;
    if (g->options.method == NQ_METHOD_KMEANS)
        return (nqi_goal){NQ_TARGET_LEVELS,
                          levels_at(&s->groups[group], coarseness, s->m->limits.max_levels)};
    if (g->options.method == NQ_METHOD_UNIFORM)
        return (nqi_goal){NQ_TARGET_STEP, nqi_exp2(coarseness)};
    return (nqi_goal){NQ_TARGET_LAMBDA, s->groups[group].lambda * nqi_exp2(2 * coarseness)};
}

bool nqi_sample_is_gap(nqi_sample *s, double fine, double coarse)
{
    double n_designs = 0;
    for (uint64_t i = 0; i < s->m->n_groups; i++) {
        const nqi_goal a = goal_at(s, i, fine), b = goal_at(s, i, coarse);
        if (a.kind != NQ_TARGET_LEVELS && a.value != b.value)
            return false;
        n_designs += a.kind == NQ_TARGET_LEVELS ? a.value - b.value : 0;
    }
    return n_designs <= 1;
}

/* ---- On the sample ------------------------------------------------------------------------- */

typedef struct tally {
    const nqi_sample *s;
    uint64_t group;
    uint32_t n_levels;
    double bytes;
    double squared;
    double energy;
} tally;

static double entropy_bits(const uint64_t *counts, uint32_t n_levels)
{
    double n = 0, sum = 0;
    for (uint32_t i = 0; i < n_levels; i++)
        if (counts[i] != 0) {
            n += (double)counts[i];
            sum += (double)counts[i] * nqi_log2((double)counts[i]);
        }
    return n > 0 ? NQI_MAX(n * nqi_log2(n) - sum, 0.0) : 0;
}

static nq_status add_part(void *user, size_t part, const uint64_t *counts, const nqi_distortion *d)
{
    tally *t = user;
    const nqi_model_group *g = &t->s->m->groups[t->group];
    const nqi_model_tensor *tensor = &t->s->m->tensors[g->tensors[part]];
    const double more = factor(t->s, t->group, part);
    const double n = (double)d->n;
    double bits = n * (t->n_levels < 2 ? 0 : 64 - NQI_CLZ64(t->n_levels - 1));
    if (tensor->options.codec != NQ_CODEC_FIXED)
        bits = NQI_MIN(bits, entropy_bits(counts, t->n_levels));
    if (tensor->options.codec == NQ_CODEC_HUFFMAN && t->n_levels > 1)
        bits = NQI_MAX(bits, n);
    t->bytes += more * bits / 8;
    t->squared += more * d->squared;
    t->energy += more * d->energy;
    return NQ_OK;
}

static nq_status try_group(tally *t, nqi_sample *s)
{
    nqi_model_group *g = &s->m->groups[t->group];
    nqi_quantizer q;
    double smallest_step;
    double *decoded[NQI_N_WEIGHT_TYPES] = {NULL};
    const nqi_design_job job = nqi_group_job(s->m, g, &s->groups[t->group].source);
    NQI_TRY(nqi_quantizer_design(&q, &smallest_step, &job));
    nq_status status = nqi_quantizer_decode(decoded, &q, job.source);
    if (status == NQ_OK) {
        const nqi_measure_job measure = {.env = &s->m->env,
                                         .quantizer = &q,
                                         .decoded = (const double *const *)decoded,
                                         .parts = job.source->parts,
                                         .n_parts = job.source->n_parts,
                                         .measured = add_part,
                                         .user = t};
        t->n_levels = q.n_levels;
        t->bytes += LEVEL_BYTES * q.n_levels;
        status = nqi_measure(&measure);
    }
    nqi_quantizer_free_decoded(decoded, &q, job.source);
    nqi_quantizer_free(&q);
    return status;
}

/* More levels than there can be: too fine. */
static nq_status too_fine(nqi_trial *trial)
{
    trial->works = false;
    trial->value = DBL_MAX;
    return NQ_OK;
}

nq_status nqi_sample_try(nqi_trial *trial, nqi_sample *s, double coarseness)
{
    tally t = {.s = s, .bytes = s->kept_bytes, .energy = s->kept_energy};
    *trial = (nqi_trial){.coarseness = coarseness, .is_known = true, .works = true};
    for (t.group = 0; t.group < s->m->n_groups; t.group++) {
        s->m->groups[t.group].goal = goal_at(s, t.group, coarseness);
        const nq_status status = try_group(&t, s);
        if (status == NQ_E_LIMIT && nqi_target_is_outcome(s->m->groups[t.group].options.target))
            return too_fine(trial);
        NQI_TRY(status);
    }
    const nqi_distortion d = {.n = 1, .squared = t.squared, .energy = t.energy};
    trial->value = s->aim.is_size ? nqi_log2(NQI_MAX(t.bytes, 1)) : nqi_distortion_sqnr_db(&d);
    return NQ_OK;
}

/* ---- On all weights ------------------------------------------------------------------------ */

static nq_status measure_whole(double *value, nqi_sample *s, nqi_progress_state *progress)
{
    nqi_distortion sum = {.energy = s->kept_energy};
    for (uint64_t i = 0; i < s->m->n_groups; i++) {
        nqi_model_group *g = &s->m->groups[i];
        NQI_TRY(nqi_group_measure(s->m, g, progress));
        for (uint32_t k = 0; k < g->n; k++)
            nqi_distortion_join(&sum, &s->m->tensors[g->tensors[k]].distortion);
    }
    *value = nqi_distortion_sqnr_db(&sum);
    return NQ_OK;
}

nq_status nqi_sample_try_whole(nqi_trial *trial, nqi_sample *s, double coarseness,
                               nqi_progress_state *progress, nq_diag *diag)
{
    nqi_model *m = s->m;
    uint64_t n_bytes;
    *trial = (nqi_trial){.coarseness = coarseness, .is_known = true, .works = true};
    for (uint64_t i = 0; i < m->n_groups; i++) {
        nqi_model_group *g = &m->groups[i];
        g->goal = goal_at(s, i, coarseness);
        nqi_group_forget_design(m, g);
        progress->total += g->n_elements * nqi_quantizer_passes(g->options.method, &g->goal);
        const nq_status status = nqi_group_design(m, g, progress, diag);
        if (status == NQ_E_LIMIT && diag->value > 0 && nqi_target_is_outcome(g->options.target))
            return too_fine(trial);
        NQI_TRY(status);
    }
    if (!s->aim.is_size)
        return measure_whole(&trial->value, s, progress);
    for (uint64_t i = 0; i < m->n_groups; i++)
        NQI_TRY(nqi_group_choose_codes(m, &m->groups[i], diag));
    NQI_TRY(nqi_model_file_bytes(&n_bytes, m));
    trial->value = nqi_log2((double)n_bytes);
    return NQ_OK;
}
