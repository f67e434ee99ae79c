/*
 * Which code each tensor gets: fixed length, the Huffman code that tensors of its group share, or
 * one of its own, whichever takes the fewest bytes with its table. Sharing starts from all and goes
 * on until nobody gains by leaving: a tensor whose statistics differ pays for its own table and
 * leaves a better shared one behind.
 */
#include "model/model.h"

#include "base/diag.h"

/* A table's record in the index: its own length, its data's, checksum, kind, codec. */
#define TABLE_RECORD_BYTES 12u

/* Rounds of leaving; the number of tensors that share only falls. */
#define MAX_ROUNDS 8u

/* ---- Sizes --------------------------------------------------------------------------------- */

uint32_t nqi_model_block_log2(const nqi_model *m)
{
    return m->options.block_log2 ? m->options.block_log2 : NQ_BLOCK_LOG2_DEFAULT;
}

uint64_t nqi_model_blocks(const nqi_model *m, const nqi_model_tensor *t)
{
    return nqi_block_count(t->n, nqi_model_block_log2(m));
}

uint64_t nqi_model_code_bytes(const nqi_model *m, const nqi_model_tensor *t,
                              const nqi_encoder *encoder, const uint64_t *counts)
{
    /* At most 40 bits for each of 2^57 elements. */
    return (nqi_encoder_payload_bits(encoder, counts) + 7) / 8 +
           nqi_model_blocks(m, t) * nqi_encoder_block_overhead(encoder);
}

const nqi_encoder *nqi_model_encoder(const nqi_model *m, const nqi_model_tensor *t)
{
    const nqi_model_group *g = &m->groups[t->group];
    if (t->codec == NQ_CODEC_FIXED)
        return g->fixed;
    return t->own ? t->own : g->shared;
}

static uint64_t table_bytes(const nqi_encoder *encoder)
{
    size_t n_bytes;
    (void)nqi_encoder_table(encoder, &n_bytes);
    return n_bytes + TABLE_RECORD_BYTES;
}

/* ---- Choice -------------------------------------------------------------------------------- */

/* What one tensor may choose from. */
typedef struct offer {
    uint64_t fixed_bytes; /* UINT64_MAX: not allowed */
    uint64_t own_bytes;   /* with the table */
    uint64_t shared_bytes;
    bool shares;
} offer;

typedef struct choice {
    nqi_model *m;
    nqi_model_group *g;
    offer *offers;    /* one for each tensor of the group */
    uint64_t *counts; /* over all levels: zero between uses */
    uint64_t *sums;   /* of those that share */
} choice;

static nqi_model_tensor *tensor_of(const choice *c, uint32_t i)
{
    return &c->m->tensors[c->g->tensors[i]];
}

static bool may_be_fixed(const nqi_model_tensor *t)
{
    return t->options.codec == NQ_CODEC_FIXED || t->options.codec == NQ_CODEC_AUTO;
}

static bool may_be_huffman(const nqi_model_tensor *t)
{
    return t->options.codec == NQ_CODEC_HUFFMAN || t->options.codec == NQ_CODEC_AUTO;
}

static nq_status make_huffman(nqi_encoder **out, const choice *c, const uint64_t *counts)
{
    return nqi_encoder_create(out, &c->m->env.allocator, NQ_CODEC_HUFFMAN, c->g->quantizer.n_levels,
                              c->m->options.max_code_length, counts, NQI_ENCODER_EXACT,
                              c->m->env.cpu);
}

/* What each tensor costs alone. The codes are not kept: for many tensors they would take much
 * memory, and most are not chosen. */
static nq_status price_alone(choice *c)
{
    for (uint32_t i = 0; i < c->g->n; i++) {
        nqi_model_tensor *t = tensor_of(c, i);
        offer *o = &c->offers[i];
        nqi_encoder *own;
        *o = (offer){.fixed_bytes = UINT64_MAX, .own_bytes = UINT64_MAX};
        nqi_model_spread_counts(c->counts, t);
        if (may_be_fixed(t))
            o->fixed_bytes = nqi_model_code_bytes(c->m, t, c->g->fixed, c->counts);
        nq_status status = NQ_OK;
        if (may_be_huffman(t) && (status = make_huffman(&own, c, c->counts)) == NQ_OK) {
            o->own_bytes = nqi_model_code_bytes(c->m, t, own, c->counts) + table_bytes(own);
            o->shares = true;
            nqi_encoder_destroy(own);
        }
        nqi_model_clear_counts(c->counts, t);
        NQI_TRY(status);
    }
    return NQ_OK;
}

/* The code of those that share, anew; none if nobody does. */
static nq_status make_shared(choice *c, uint32_t *n_sharing)
{
    nqi_model_group *g = c->g;
    *n_sharing = 0;
    nqi_encoder_destroy(g->shared);
    g->shared = NULL;
    for (uint32_t level = 0; level < g->quantizer.n_levels; level++)
        c->sums[level] = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        const nqi_model_tensor *t = tensor_of(c, i);
        if (!c->offers[i].shares)
            continue;
        for (uint32_t k = 0; k < t->n_counts; k++)
            c->sums[t->counts[k].level] += t->counts[k].count;
        ++*n_sharing;
    }
    return *n_sharing ? make_huffman(&g->shared, c, c->sums) : NQ_OK;
}

static void price_shared(choice *c)
{
    for (uint32_t i = 0; i < c->g->n; i++) {
        const nqi_model_tensor *t = tensor_of(c, i);
        if (!c->offers[i].shares)
            continue;
        nqi_model_spread_counts(c->counts, t);
        c->offers[i].shared_bytes = nqi_model_code_bytes(c->m, t, c->g->shared, c->counts);
        nqi_model_clear_counts(c->counts, t);
    }
}

/* Lets those leave that gain by it; whether anybody did. */
static bool leave(choice *c)
{
    bool someone_left = false;
    for (uint32_t i = 0; i < c->g->n; i++) {
        offer *o = &c->offers[i];
        const bool gains = o->shares && NQI_MIN(o->own_bytes, o->fixed_bytes) < o->shared_bytes;
        o->shares = o->shares && !gains;
        someone_left = someone_left || gains;
    }
    return someone_left;
}

/* Whether those that still share pay less than they would apart, the shared table included. */
static bool sharing_pays(const choice *c)
{
    uint64_t shared = table_bytes(c->g->shared), apart = 0;
    for (uint32_t i = 0; i < c->g->n; i++) {
        const offer *o = &c->offers[i];
        if (!o->shares)
            continue;
        shared += o->shared_bytes;
        apart += NQI_MIN(o->own_bytes, o->fixed_bytes);
    }
    return shared <= apart;
}

static nq_status settle_sharing(choice *c)
{
    uint32_t n_sharing;
    NQI_TRY(make_shared(c, &n_sharing));
    for (uint32_t round = 0; round < MAX_ROUNDS && n_sharing > 0; round++) {
        price_shared(c);
        if (!leave(c))
            break;
        NQI_TRY(make_shared(c, &n_sharing));
    }
    if (n_sharing == 0)
        return NQ_OK;
    price_shared(c);
    if (sharing_pays(c))
        return NQ_OK;
    for (uint32_t i = 0; i < c->g->n; i++)
        c->offers[i].shares = false;
    return make_shared(c, &n_sharing);
}

/* Gives each tensor what it has chosen; of equals the simpler. */
static nq_status assign_codes(choice *c)
{
    for (uint32_t i = 0; i < c->g->n; i++) {
        nqi_model_tensor *t = tensor_of(c, i);
        const offer *o = &c->offers[i];
        t->codec = !o->shares && o->fixed_bytes <= o->own_bytes ? NQ_CODEC_FIXED : NQ_CODEC_HUFFMAN;
        if (t->codec == NQ_CODEC_FIXED || o->shares)
            continue;
        nqi_model_spread_counts(c->counts, t);
        const nq_status status = make_huffman(&t->own, c, c->counts);
        nqi_model_clear_counts(c->counts, t);
        NQI_TRY(status);
    }
    return NQ_OK;
}

static nq_status choose(choice *c)
{
    const nqi_env *env = &c->m->env;
    NQI_TRY(nqi_encoder_create(&c->g->fixed, &env->allocator, NQ_CODEC_FIXED,
                               c->g->quantizer.n_levels, 0, NULL, 0, env->cpu));
    NQI_TRY(price_alone(c));
    NQI_TRY(settle_sharing(c));
    return assign_codes(c);
}

nq_status nqi_group_choose_codes(nqi_model *m, nqi_model_group *g, nq_diag *diag)
{
    const nqi_allocator *a = &m->env.allocator;
    const uint32_t n_levels = g->quantizer.n_levels;
    void *offers = NULL, *counts = NULL, *sums = NULL;
    nq_status status = nqi_alloc(&offers, a, g->n, sizeof(offer));
    if (status == NQ_OK)
        status = nqi_alloc_zero(&counts, a, n_levels, sizeof(uint64_t));
    if (status == NQ_OK)
        status = nqi_alloc(&sums, a, n_levels, sizeof(uint64_t));
    if (status == NQ_OK) {
        choice c = {.m = m, .g = g, .offers = offers, .counts = counts, .sums = sums};
        status = choose(&c);
    }
    nqi_free(a, offers, g->n, sizeof(offer));
    nqi_free(a, counts, n_levels, sizeof(uint64_t));
    nqi_free(a, sums, n_levels, sizeof(uint64_t));
    return status == NQ_OK ? NQ_OK : nqi_diag_set(diag, status, "no code could be made");
}
