/*
 * Training of codes: see codes_train.h. What is trained on, and what prices are told from, is
 * quantized into memory once: all indices of a small group, pieces at regular distances of a large
 * one, more of them where most indices are one and the same. That depends on the tensors' sizes and
 * counts only.
 */
#include "model/codes_train.h"

/* Indices of a stretch, those that a set takes at most, but for the first stretch of each tensor,
 * and those that training takes, about; and those that a set takes where few are rare. */
#define STRETCH     4096u
#define MOST_PRICED (UINT64_C(1) << 20)
#define TRAINED     (UINT64_C(1) << 19)
#define MOST_COMMON (UINT64_C(1) << 22)

static const nqi_model_tensor *tensor_of(const nqi_model *m, const nqi_model_group *g, uint32_t i)
{
    return &m->tensors[g->tensors[i]];
}

static uint64_t count_elements(const nqi_model *m, const nqi_model_group *g, const bool *takes_part)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < g->n; i++)
        n += takes_part[i] ? tensor_of(m, g, i)->n : 0;
    return n;
}

/* Those that are not their tensor's most frequent one: what gaps and values are made of. */
static uint64_t count_rare(const nqi_model *m, const nqi_model_group *g, const bool *takes_part)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        const nqi_model_tensor *t = tensor_of(m, g, i);
        uint64_t most = 0;
        for (uint32_t k = 0; takes_part[i] && k < t->n_counts; k++)
            most = NQI_MAX(most, t->counts[k].count);
        n += takes_part[i] ? t->n - most : 0;
    }
    return n;
}

/* How many of n indices to take: `usual`, and more where fewer than one in eight is rare. */
static uint64_t how_many(uint64_t usual, uint64_t n, uint64_t n_rare)
{
    const uint64_t most = NQI_MIN(n, MOST_COMMON);
    const double share = NQI_MIN(8 * (double)NQI_MAX(n_rare, 1) / (double)NQI_MAX(n, 1), 1.0);
    const double many = (double)usual / share;
    return NQI_MAX(many < (double)most ? (uint64_t)many : most, usual);
}

/* ---- Quantizing ---------------------------------------------------------------------------- */

typedef struct quantizing {
    const nqi_model *m;
    const nqi_model_group *g;
    const nqi_training_set *set;
    uint64_t stride;
} quantizing;

/* Quantizes the stretches of one tensor. */
static void quantize_tensor(void *arg, uint64_t index, uint32_t worker)
{
    const quantizing *q = arg;
    const nqi_training_set *set = q->set;
    const nqi_model_tensor *t = tensor_of(q->m, q->g, (uint32_t)index);
    uint64_t first = 0;
    (void)worker;
    for (uint64_t s = index > 0 ? set->ends[index - 1] : 0; s < set->ends[index]; s++) {
        uint16_t *out = set->indices + (set->stretches[s].indices - set->indices);
        for (size_t done = 0; done < set->stretches[s].n; done += NQI_SLICE_ELEMS) {
            const size_t n = NQI_MIN(set->stretches[s].n - done, NQI_SLICE_ELEMS);
            nqi_quantized to = {.indices = out + done};
            nqi_model_quantize(&to, q->m, t, first + done, n);
        }
        first += STRETCH * q->stride;
    }
}

/* ---- Sets ---------------------------------------------------------------------------------- */

/* Adds the stretches that a tensor of n elements has in the set: every stride-th of it. */
static void count_stretches(nqi_training_set *set, uint64_t n, uint64_t stride)
{
    for (uint64_t first = 0; first < n; first += STRETCH * stride) {
        set->n_stretches++;
        set->n_indices += NQI_MIN(n - first, STRETCH);
    }
}

static void list_stretches(nqi_training_set *set, const nqi_model *m, const nqi_model_group *g,
                           const bool *takes_part, uint64_t stride)
{
    uint64_t at = 0, stretch = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        const uint64_t n = takes_part[i] ? tensor_of(m, g, i)->n : 0;
        for (uint64_t first = 0; first < n; first += STRETCH * stride) {
            const nqi_rans_stretch one = {.indices = set->indices + at,
                                          .n = (size_t)NQI_MIN(n - first, STRETCH)};
            set->stretches[stretch++] = one;
            at += one.n;
        }
        set->ends[i] = stretch;
    }
}

nq_status nqi_training_set_make(nqi_training_set *set, nqi_model *m, const nqi_model_group *g,
                                const bool *takes_part)
{
    const nqi_allocator *a = &m->env.allocator;
    const uint64_t n = count_elements(m, g, takes_part);
    const uint64_t most = how_many(MOST_PRICED, n, count_rare(m, g, takes_part));
    const uint64_t stride = NQI_MAX((n + most - 1) / most, 1);
    void *memory;
    *set = (nqi_training_set){.n_tensors = g->n};
    for (uint32_t i = 0; i < g->n; i++)
        count_stretches(set, takes_part[i] ? tensor_of(m, g, i)->n : 0, stride);
    NQI_TRY(nqi_alloc(&memory, a, set->n_indices, sizeof *set->indices));
    set->indices = memory;
    NQI_TRY(nqi_alloc(&memory, a, set->n_stretches, sizeof *set->stretches));
    set->stretches = memory;
    NQI_TRY(nqi_alloc(&memory, a, set->n_stretches, sizeof *set->trained));
    set->trained = memory;
    NQI_TRY(nqi_alloc(&memory, a, g->n, sizeof *set->ends));
    set->ends = memory;
    list_stretches(set, m, g, takes_part, stride);
    quantizing q = {.m = m, .g = g, .set = set, .stride = stride};
    nqi_run(&m->env.runner, g->n, quantize_tensor, &q);
    return NQ_OK;
}

void nqi_training_set_free(nqi_training_set *set, const nqi_model *m)
{
    const nqi_allocator *a = &m->env.allocator;
    nqi_free(a, set->indices, set->n_indices, sizeof *set->indices);
    nqi_free(a, set->stretches, set->n_stretches, sizeof *set->stretches);
    nqi_free(a, set->trained, set->n_stretches, sizeof *set->trained);
    nqi_free(a, set->ends, set->n_tensors, sizeof *set->ends);
    *set = (nqi_training_set){.n_tensors = 0};
}

/* ---- Codes --------------------------------------------------------------------------------- */

/* Notes the stretches of a tensor that lie at multiples of `unit`, when its n elements begin at
 * `at` and its stretches share them. */
static void add_trained(nqi_rans_training *training, const nqi_training_set *set, uint32_t i,
                        uint64_t n, uint64_t at, uint64_t unit)
{
    const uint64_t begin = i > 0 ? set->ends[i - 1] : 0, end = set->ends[i];
    const uint64_t share = n / NQI_MAX(end - begin, 1);
    for (uint64_t s = begin; s < end; s++, at += share)
        if ((at + share) / unit > at / unit)
            set->trained[training->n_stretches++] = set->stretches[s];
}

nq_status nqi_training_set_train(nqi_encoder **out, const nqi_training_set *set, const nqi_model *m,
                                 const nqi_model_group *g, const bool *takes_part, bool is_sparse)
{
    nqi_rans_training training = {.a = &m->env.allocator,
                                  .cpu = m->env.cpu,
                                  .n_levels = g->n_numbers,
                                  .stretches = set->trained,
                                  .is_sparse = is_sparse};
    const uint64_t all = count_elements(m, g, takes_part);
    const uint64_t most =
        is_sparse ? how_many(TRAINED, all, count_rare(m, g, takes_part)) : TRAINED;
    const uint64_t unit = all <= most ? 1 : all / (most / STRETCH);
    for (uint32_t i = 0; i < g->n; i++) {
        if (!takes_part[i])
            continue;
        const uint64_t n = tensor_of(m, g, i)->n;
        add_trained(&training, set, i, n, training.all, unit);
        training.all += n;
    }
    return nqi_rans_train(out, &training);
}

nq_status nqi_training_set_price(uint64_t *n_bytes, const nqi_training_set *set, const nqi_model *m,
                                 const nqi_model_group *g, uint32_t i, const nqi_encoder *encoder)
{
    const nqi_model_tensor *t = tensor_of(m, g, i);
    const uint64_t begin = i > 0 ? set->ends[i - 1] : 0;
    uint64_t n = 0, n_bits;
    for (uint64_t s = begin; s < set->ends[i]; s++)
        n += set->stretches[s].n;
    NQI_TRY(
        nqi_rans_measure(&n_bits, encoder, set->stretches + begin, (size_t)(set->ends[i] - begin)));
    const double all = (double)n_bits * ((double)t->n / (double)NQI_MAX(n, 1));
    /* Bits of states are not measured. */
    *n_bytes = (uint64_t)(all / 8 * (1 + 1.0 / NQI_RANS_LANES_SHARE)) + 1 +
               nqi_model_blocks(m, t) * nqi_encoder_block_overhead(encoder);
    return NQ_OK;
}
