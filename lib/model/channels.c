/*
 * Codebooks by channel: each index of one axis of a tensor is a group of its own, and a tensor's
 * groups follow one another. Designed one by one, they come together here: codes get common numbers
 * for their levels, so that one code serves the tensor.
 */
#include "model/model.h"

#include <string.h>

#include "base/diag.h"

/* ---- Which --------------------------------------------------------------------------------- */

uint32_t nqi_tensor_channels(const nqi_model_tensor *t)
{
    const uint32_t axis = t->options.channel_axis;
    if (t->options.scope != NQ_SCOPE_CHANNEL || t->desc.rank < 2 || axis >= t->desc.rank)
        return 0;
    const uint64_t n = t->desc.dims[axis];
    return n > 1 && n < NQI_NO_GROUP ? (uint32_t)n : 0;
}

uint64_t nqi_tensor_inner(const nqi_model_tensor *t)
{
    uint64_t inner = 1;
    for (uint32_t i = t->options.channel_axis + 1; i < t->desc.rank; i++)
        inner *= t->desc.dims[i];
    return inner;
}

/* ---- Numbers ------------------------------------------------------------------------------- */

/* The level nearest to zero: where distributions of channels have much in common. */
static uint32_t middle_of(const nqi_quantizer *q)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < q->n_levels; i++) {
        const float a = q->levels[best], b = q->levels[i];
        if ((b < 0 ? -b : b) < (a < 0 ? -a : a))
            best = i;
    }
    return best;
}

static unsigned bits_of(uint32_t n_numbers)
{
    return n_numbers < 2 ? 0 : 64 - NQI_CLZ64(n_numbers - 1);
}

/* What the channels' levels are like together. */
typedef struct span {
    uint32_t below; /* levels under the middle one, at most */
    uint32_t from;  /* the middle one and those above it, at most */
    uint32_t most;  /* levels of a channel, at most */
    uint32_t middle_of_most;
} span;

static span find_span(const nqi_model_group *leader)
{
    span s = {.below = 0};
    for (uint32_t i = 0; i < leader->channel.count; i++) {
        const nqi_quantizer *q = &leader[i].quantizer;
        const uint32_t middle = middle_of(q);
        s.below = NQI_MAX(s.below, middle);
        s.from = NQI_MAX(s.from, q->n_levels - middle);
        if (q->n_levels > s.most) {
            s.most = q->n_levels;
            s.middle_of_most = middle;
        }
    }
    return s;
}

/*
 * Codes call the levels nearest to zero the same in all channels, if that takes no more numbers than
 * there may be: those of a number of levels that was asked for, those of a fixed length. Otherwise
 * as near to that as it can be had.
 */
static void number_levels(nqi_model *m, nqi_model_group *leader)
{
    const nqi_model_tensor *t = &m->tensors[leader->tensors[0]];
    const span s = find_span(leader);
    const bool is_tight =
        leader->goal.kind == NQ_TARGET_LEVELS || s.below + s.from > m->limits.max_levels ||
        (t->options.codec == NQ_CODEC_FIXED && bits_of(s.below + s.from) > bits_of(s.most));
    const uint32_t common = is_tight ? s.middle_of_most : s.below;
    leader->n_numbers = is_tight ? s.most : s.below + s.from;
    for (uint32_t i = 0; i < leader->channel.count; i++) {
        const nqi_quantizer *q = &leader[i].quantizer;
        const uint32_t middle = middle_of(q);
        const uint32_t wanted = common > middle ? common - middle : 0;
        leader[i].channel.first = NQI_MIN(wanted, leader->n_numbers - q->n_levels);
    }
}

double nqi_group_step(const nqi_model_group *leader)
{
    const double step = leader->quantizer.step;
    for (uint32_t i = 1; i < leader->channel.count; i++)
        if (leader[i].quantizer.step != step)
            return 0;
    return step;
}

/* ---- Joining ------------------------------------------------------------------------------- */

/* The tensor's counts, by number, from its channels'. */
static nq_status join_counts(nqi_model *m, const nqi_model_group *leader)
{
    const nqi_allocator *a = &m->env.allocator;
    nqi_model_tensor *t = &m->tensors[leader->tensors[0]];
    void *memory, *counts;
    uint32_t n = 0;
    NQI_TRY(nqi_alloc_zero(&memory, a, leader->n_numbers, sizeof(uint64_t)));
    uint64_t *sums = memory;
    for (uint32_t i = 0; i < leader->channel.count; i++)
        for (uint32_t k = 0; k < leader[i].channel.n_counts; k++) {
            const nqi_level_count *c = &leader[i].channel.counts[k];
            sums[leader[i].channel.first + c->level] += c->count;
        }
    for (uint32_t i = 0; i < leader->n_numbers; i++)
        n += sums[i] != 0;
    const nq_status status = nqi_alloc(&counts, a, n, sizeof(nqi_level_count));
    if (status == NQ_OK) {
        nqi_free(a, t->counts, t->n_counts, sizeof *t->counts);
        t->counts = counts;
        t->n_counts = 0;
        for (uint32_t i = 0; i < leader->n_numbers; i++)
            if (sums[i] != 0)
                t->counts[t->n_counts++] = (nqi_level_count){.count = sums[i], .level = i};
    }
    nqi_free(a, memory, leader->n_numbers, sizeof(uint64_t));
    return status;
}

nq_status nqi_model_join_channels(nqi_model *m)
{
    uint32_t n_codebooks = 0;
    for (uint64_t i = 0; i < m->n_groups; i++) {
        nqi_model_group *g = &m->groups[i];
        if (!nqi_group_leads(g))
            continue;
        g->codebook = n_codebooks++;
        g->n_numbers = g->quantizer.n_levels;
        if (!nqi_group_is_channel(g))
            continue;
        number_levels(m, g);
        NQI_TRY(join_counts(m, g));
    }
    return NQ_OK;
}

/* ---- Quantizing ---------------------------------------------------------------------------- */

/* Elements of one group: `first` counts in its part; `at` is where they are among those asked for. */
typedef struct stretch {
    const nqi_model_group *g;
    const nqi_weights *part;
    uint64_t first;
    size_t at;
    size_t n;
} stretch;

static void quantize_stretch(nqi_quantized *out, const nqi_model_tensor *t, const stretch *s)
{
    float own[NQI_SLICE_ELEMS];
    double h[NQI_SLICE_ELEMS];
    const nqi_quantizer *q = &s->g->quantizer;
    uint16_t *indices = out->indices + s->at;
    float *w = out->weights ? out->weights + s->at : own;
    nqi_weights_load(w, s->part, s->first, s->n);
    if (q->has_importance)
        nqi_weights_load_importance(h, s->part, s->first, s->n);
    nqi_quantizer_assign(q, indices, w, h, s->n);
    if (out->weights && s->part->least_score > 0)
        nqi_weights_load_unpruned(w, s->part, s->first, s->n);
    for (size_t i = 0; out->values && i < s->n; i++)
        out->values[s->at + i] = s->g->decoded[t->desc.dtype][indices[i]];
    for (size_t i = 0; s->g->channel.first > 0 && i < s->n; i++)
        indices[i] = (uint16_t)(indices[i] + s->g->channel.first);
}

void nqi_model_quantize(nqi_quantized *out, const nqi_model *m, const nqi_model_tensor *t,
                        uint64_t first, size_t n)
{
    const nqi_model_group *g = &m->groups[t->group];
    if (!nqi_group_is_channel(g)) {
        const stretch whole = {.g = g, .part = &g->parts[t->part], .first = first, .n = n};
        quantize_stretch(out, t, &whole);
        return;
    }
    const uint64_t inner = nqi_tensor_inner(t);
    for (size_t done = 0; done < n;) {
        const uint64_t run = (first + done) / inner, within = (first + done) % inner;
        const nqi_model_group *channel = g + run % g->channel.count;
        const stretch s = {.g = channel,
                           .part = &channel->parts[0],
                           .first = run / g->channel.count * inner + within,
                           .at = done,
                           .n = (size_t)NQI_MIN(inner - within, n - done)};
        quantize_stretch(out, t, &s);
        done += s.n;
    }
}
