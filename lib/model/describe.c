/*
 * What a model's file is made of, as the writer is told it: codebooks, tables and tensors.
 */
#include "model/model.h"

#include "base/checked.h"

/* Numbers that the writer gave to a group's and a tensor's tables. */
typedef struct numbers {
    uint32_t *codebooks; /* by group */
    uint32_t *shared;    /* NQI_N_CODES for each group */
    uint32_t *own;       /* by tensor */
} numbers;

/* A codebook without levels. */
static nqi_codebook_desc codebook_of(const nqi_model_group *g)
{
    return (nqi_codebook_desc){.storage = NQ_LEVELS_F32,
                               .method = g->options.method,
                               .level_rule = g->options.level_rule,
                               .n_levels = g->n_numbers,
                               .step = nqi_group_step(g)};
}

/* As f32 or, where levels are on a grid, as what is smaller: both decode to the same. */
static nq_status add_smallest(uint32_t *id, nqi_writer *w, nqi_codebook_desc *desc)
{
    uint64_t grid_bytes, f32_bytes;
    if (desc->cells) {
        NQI_TRY(nqi_codebook_bytes(&f32_bytes, desc));
        desc->storage = NQ_LEVELS_GRID;
        NQI_TRY(nqi_codebook_bytes(&grid_bytes, desc));
        desc->storage = grid_bytes <= f32_bytes ? NQ_LEVELS_GRID : NQ_LEVELS_F32;
    }
    return nqi_writer_add_codebook(id, w, desc);
}

/* Copies the levels of all channels behind each other. */
static void gather_channels(nqi_channel_desc *channels, float *levels, int64_t *cells,
                            const nqi_model_group *leader)
{
    size_t at = 0;
    for (uint32_t i = 0; i < leader->channel.count; i++) {
        const nqi_quantizer *q = &leader[i].quantizer;
        channels[i] = (nqi_channel_desc){
            .first = leader[i].channel.first, .n_levels = q->n_levels, .step = q->step};
        for (uint32_t k = 0; k < q->n_levels; k++, at++) {
            levels[at] = q->levels[k];
            if (q->is_grid)
                cells[at] = q->cells[k];
        }
    }
}

static nq_status add_channels(uint32_t *id, nqi_writer *w, const nqi_model *m,
                              const nqi_model_group *leader)
{
    const nqi_allocator *a = &m->env.allocator;
    nqi_codebook_desc desc = codebook_of(leader);
    void *channels = NULL, *levels = NULL, *cells = NULL;
    uint64_t n = 0;
    bool is_grid = true;
    for (uint32_t i = 0; i < leader->channel.count; i++) {
        n += leader[i].quantizer.n_levels;
        is_grid = is_grid && leader[i].quantizer.is_grid;
    }
    nq_status status = nqi_alloc(&channels, a, leader->channel.count, sizeof(nqi_channel_desc));
    if (status == NQ_OK)
        status = nqi_alloc(&levels, a, n, sizeof(float));
    if (status == NQ_OK)
        status = nqi_alloc(&cells, a, n, sizeof(int64_t));
    if (status == NQ_OK) {
        gather_channels(channels, levels, cells, leader);
        desc.n_channels = leader->channel.count;
        desc.channels = channels;
        desc.levels = levels;
        desc.cells = is_grid ? cells : NULL;
        status = add_smallest(id, w, &desc);
    }
    nqi_free(a, channels, leader->channel.count, sizeof(nqi_channel_desc));
    nqi_free(a, levels, n, sizeof(float));
    nqi_free(a, cells, n, sizeof(int64_t));
    return status;
}

static nq_status add_codebook(uint32_t *id, nqi_writer *w, const nqi_model *m,
                              const nqi_model_group *g)
{
    if (nqi_group_is_channel(g))
        return add_channels(id, w, m, g);
    nqi_codebook_desc desc = codebook_of(g);
    desc.levels = g->quantizer.levels;
    desc.cells = g->quantizer.is_grid ? g->quantizer.cells : NULL;
    return add_smallest(id, w, &desc);
}

static nq_status add_table(uint32_t *id, nqi_writer *w, uint32_t codec, const nqi_encoder *encoder)
{
    size_t n_bytes;
    *id = NQ_NO_ID;
    if (!encoder || codec == NQ_CODEC_FIXED)
        return NQ_OK;
    const uint8_t *bytes = nqi_encoder_table(encoder, &n_bytes);
    return nqi_writer_add_table(id, w, codec, bytes, n_bytes);
}

static nq_status add_tables(const nqi_model *m, nqi_writer *w, const numbers *ids)
{
    for (uint64_t i = 0; i < m->n_groups; i++) /* first, so that they have these numbers */
        if (nqi_group_leads(&m->groups[i]))
            NQI_TRY(add_codebook(&ids->codebooks[i], w, m, &m->groups[i]));
    for (uint64_t i = 0; i < m->n_groups; i++)
        for (uint32_t k = 0; k < NQI_N_CODES; k++)
            NQI_TRY(add_table(&ids->shared[i * NQI_N_CODES + k], w, nqi_code_codec(k),
                              m->groups[i].codes[k]));
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        const nqi_model_tensor *t = &m->tensors[i];
        NQI_TRY(t->table ? nqi_writer_add_table(&ids->own[i], w, t->codec, t->table, t->table_bytes)
                         : add_table(&ids->own[i], w, t->codec, t->own));
    }
    return NQ_OK;
}

/* Bytes that all blocks of a quantized tensor take at most. What codes of counts take is nearly
 * known; what others take depends on the order of indices, and is far below what can be promised.
 */
static uint64_t bound_blocks(const nqi_model *m, const nqi_model_tensor *t)
{
    if (t->group == NQI_NO_GROUP)
        return t->code_bytes;
    if (!nqi_codec_depends_on_order(t->codec))
        return t->code_bytes;
    const uint64_t block_elems = UINT64_C(1) << nqi_model_block_log2(m);
    const uint64_t most = nqi_encoder_bound(nqi_model_encoder(m, t), NQI_MIN(block_elems, t->n));
    uint64_t product;
    return nqi_mul_u64(&product, nqi_model_blocks(m, t), most) ? product : UINT64_MAX / 2;
}

static nq_status add_tensor(const nqi_model *m, nqi_writer *w, uint64_t i, const numbers *ids)
{
    const nqi_model_tensor *t = &m->tensors[i];
    nqi_tensor_desc desc = {.name = t->desc.name,
                            .name_bytes = t->desc.name_bytes,
                            .dtype = t->desc.dtype,
                            .rank = t->desc.rank,
                            .dims = t->desc.dims,
                            .codec = t->codec,
                            .block_log2 = NQI_BLOCK_LOG2_STORED,
                            .codebook = NQ_NO_ID,
                            .table = NQ_NO_ID,
                            .max_block_bytes = bound_blocks(m, t)};
    if (t->group != NQI_NO_GROUP) {
        desc.block_log2 = nqi_model_block_log2(m);
        desc.codebook = ids->codebooks[t->group];
        desc.axis = t->options.channel_axis;
        desc.table = t->own ? ids->own[i] : ids->shared[t->group * NQI_N_CODES + t->code];
    } else if (t->codec != NQ_CODEC_STORED) {
        desc.block_log2 = nqi_model_block_log2(m);
        desc.table = ids->own[i];
    }
    return nqi_writer_add_tensor(w, &desc);
}

static nq_status add_tensors(const nqi_model *m, nqi_writer *w, const numbers *ids)
{
    for (uint64_t i = 0; i < m->n_tensors; i++)
        NQI_TRY(add_tensor(m, w, i, ids));
    return NQ_OK;
}

nq_status nqi_model_describe(const nqi_model *m, nqi_writer *w)
{
    void *memory;
    const uint64_t n_ids = (1 + NQI_N_CODES) * m->n_groups + m->n_tensors;
    for (uint64_t i = 0; i < m->n_metadata; i++) {
        const nqi_metadata *pair = &m->metadata[i];
        NQI_TRY(nqi_writer_add_metadata(w, pair->text, (size_t)pair->key_bytes,
                                        pair->text ? pair->text + pair->key_bytes : NULL,
                                        (size_t)pair->value_bytes));
    }
    NQI_TRY(nqi_alloc(&memory, &m->env.allocator, n_ids, sizeof(uint32_t)));
    uint32_t *ids = memory;
    const numbers n = {.codebooks = ids,
                       .shared = ids ? ids + m->n_groups : NULL,
                       .own = ids ? ids + (1 + NQI_N_CODES) * m->n_groups : NULL};
    nq_status status = add_tables(m, w, &n);
    if (status == NQ_OK)
        status = add_tensors(m, w, &n);
    nqi_free(&m->env.allocator, memory, n_ids, sizeof(uint32_t));
    return status;
}

uint64_t nqi_model_payload_bound(const nqi_model *m, const nqi_model_tensor *t)
{
    return t->group != NQI_NO_GROUP ? bound_blocks(m, t) : nqi_model_kept_bytes(t);
}
