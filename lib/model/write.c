/*
 * Writing: codebooks, tables and tensors are described to the writer, then blocks are quantized,
 * coded and measured by whoever is there, a batch at a time, and handed on in order. Each block is
 * read once more from the weights; indices live in a block's slot only.
 */
#include "model/lossless.h"

#include <string.h>

#include "base/checked.h"
#include "base/diag.h"
#include "codec/checksum.h"

/* ---- Describing ---------------------------------------------------------------------------- */

/* Numbers that the writer gave to a group's and a tensor's tables. */
typedef struct numbers {
    uint32_t *codebooks; /* by group */
    uint32_t *shared;    /* NQI_N_CODES for each group */
    uint32_t *own;       /* by tensor */
} numbers;

static nq_status add_codebook(uint32_t *id, nqi_writer *w, const nqi_model_group *g)
{
    const nqi_quantizer *q = &g->quantizer;
    uint64_t grid_bytes, f32_bytes;
    nqi_codebook_desc desc = {.storage = NQ_LEVELS_F32,
                              .method = g->options.method,
                              .level_rule = g->options.level_rule,
                              .n_levels = q->n_levels,
                              .step = q->step,
                              .levels = q->levels,
                              .cells = q->cells};
    if (q->is_grid) { /* both decode to the same levels */
        NQI_TRY(nqi_codebook_bytes(&f32_bytes, &desc));
        desc.storage = NQ_LEVELS_GRID;
        NQI_TRY(nqi_codebook_bytes(&grid_bytes, &desc));
        desc.storage = grid_bytes <= f32_bytes ? NQ_LEVELS_GRID : NQ_LEVELS_F32;
    }
    return nqi_writer_add_codebook(id, w, &desc);
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
    for (uint64_t i = 0; i < m->n_groups;
         i++) /* first, so that a group's number is its codebook's */
        NQI_TRY(add_codebook(&ids->codebooks[i], w, &m->groups[i]));
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

static nq_status describe(const nqi_model *m, nqi_writer *w)
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

/* Payload bytes of a tensor with a code of counts, or none, at most. */
static uint64_t bound_payload(const nqi_model *m, const nqi_model_tensor *t)
{
    return t->group != NQI_NO_GROUP ? bound_blocks(m, t) : nqi_model_kept_bytes(t);
}

static bool depends_on_order(const nqi_model *m)
{
    for (uint64_t i = 0; i < m->n_tensors; i++)
        if (m->tensors[i].group != NQI_NO_GROUP &&
            nqi_codec_depends_on_order(m->tensors[i].codec))
            return true;
    return false;
}

/* What such codes take, only coding tells. */
static nq_status write_nowhere(uint64_t *n_bytes, nqi_model *m)
{
    nq_diag ignored;
    const nq_progress_fn progress = m->env.progress;
    m->env.progress = NULL;
    const nq_status status = nqi_model_write(m, NULL, &ignored);
    m->env.progress = progress;
    m->is_written = false;
    *n_bytes = m->file_bytes;
    return status;
}

nq_status nqi_model_file_bytes(uint64_t *n_bytes, nqi_model *m)
{
    nqi_writer *w;
    if (depends_on_order(m))
        return write_nowhere(n_bytes, m);
    NQI_TRY(nqi_writer_create(&w, &m->env.allocator, NULL, nqi_model_original_bytes(m)));
    nq_status status = describe(m, w);
    if (status == NQ_OK)
        status = nqi_writer_begin(w);
    *n_bytes = nqi_writer_fixed_bytes(w);
    nqi_writer_destroy(w);
    for (uint64_t i = 0; i < m->n_tensors; i++)
        *n_bytes += bound_payload(m, &m->tensors[i]);
    return status;
}

/* ---- Blocks -------------------------------------------------------------------------------- */

/* A block on its way, and memory for it. */
typedef struct block {
    const nqi_model_tensor *tensor;
    uint64_t number; /* of the tensor */
    uint64_t first;
    size_t n;
    uint16_t *indices;
    uint8_t *bytes;
    size_t n_bytes;
    uint32_t crc;
    nq_status status;
    nqi_distortion_lanes lanes;
} block;

typedef struct batch {
    nqi_model *m;
    nqi_writer *w;
    nqi_progress_state progress;
    block *blocks;
    uint8_t *memory; /* n_slots times slot_bytes: indices, then coded bytes */
    size_t n_slots;
    size_t n; /* blocks waiting */
    size_t index_bytes;
    size_t code_bytes;
} batch;

/* Levels' numbers of a block, and how far its weights are from what they decode to. */
static void quantize(block *b, const nqi_model_group *g)
{
    const nqi_model_tensor *t = b->tensor;
    const nqi_weights *part = &g->parts[t->part];
    const double *decoded = g->decoded[t->desc.dtype];
    float w[NQI_SLICE_ELEMS];
    double wide[NQI_SLICE_ELEMS], v[NQI_SLICE_ELEMS], h[NQI_SLICE_ELEMS];
    b->lanes = (nqi_distortion_lanes){.n = 0};
    for (size_t done = 0; done < b->n; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(b->n - done, NQI_SLICE_ELEMS);
        uint16_t *indices = b->indices + done;
        nqi_weights_load(w, part, b->first + done, n);
        if (g->quantizer.has_importance)
            nqi_weights_load_importance(h, part, b->first + done, n);
        nqi_quantizer_assign(&g->quantizer, indices, w, h, n);
        if (part->least_score > 0)
            nqi_weights_load_unpruned(w, part, b->first + done, n);
        for (size_t i = 0; i < n; i++) {
            wide[i] = (double)w[i];
            v[i] = decoded[indices[i]];
        }
        if (t->importance.data)
            nqi_importance_load(h, &t->importance, b->first + done, n);
        nqi_distortion_add(&b->lanes, wide, v, t->importance.data ? h : NULL, n);
    }
}

static void run_block(void *arg, uint64_t index, uint32_t worker)
{
    batch *all = arg;
    block *b = &all->blocks[index];
    (void)worker;
    if (b->tensor->group == NQI_NO_GROUP) {
        b->status =
            nqi_lossless_encode(b->bytes, &b->n_bytes, b->indices, b->tensor, b->first, b->n);
    } else {
        quantize(b, &all->m->groups[b->tensor->group]);
        b->status = nqi_encoder_encode(nqi_model_encoder(all->m, b->tensor), b->bytes,
                                       all->code_bytes, &b->n_bytes, b->indices, b->n);
    }
    if (b->status == NQ_OK)
        b->crc = nqi_crc32c(0, b->bytes, b->n_bytes);
}

static nq_status fail(nq_diag *diag, nq_status status, const block *b)
{
    return nqi_diag_at(diag, status, status == NQ_E_CANCELLED ? "cancelled" : "writing failed",
                       b->number, b->first, NQ_NONE);
}

/* Runs the blocks that wait, and hands them on in order. */
static nq_status flush(batch *all, nq_diag *diag)
{
    const size_t n = all->n;
    all->n = 0;
    if (n > 0)
        nqi_run(&all->m->env.runner, n, run_block, all);
    for (size_t i = 0; i < n; i++) {
        block *b = &all->blocks[i];
        nq_status status = b->status;
        if (status == NQ_OK)
            status = nqi_writer_block(all->w, b->bytes, b->n_bytes, b->crc);
        if (status == NQ_OK)
            status = nqi_progress_advance(&all->progress, b->n);
        if (status != NQ_OK)
            return fail(diag, status, b);
        if (b->tensor->group != NQI_NO_GROUP)
            nqi_distortion_merge(&all->m->tensors[b->number].distortion, &b->lanes);
    }
    return NQ_OK;
}

static nq_status write_coded(batch *all, uint64_t number, nq_diag *diag)
{
    const nqi_model_tensor *t = &all->m->tensors[number];
    const uint64_t block_elems = UINT64_C(1) << nqi_model_block_log2(all->m);
    for (uint64_t first = 0; first < t->n; first += block_elems) {
        const size_t slot = all->n++;
        uint8_t *memory = all->memory + slot * (all->index_bytes + all->code_bytes);
        all->blocks[slot] = (block){.tensor = t,
                                    .number = number,
                                    .first = first,
                                    .n = (size_t)NQI_MIN(block_elems, t->n - first),
                                    .indices = (uint16_t *)(void *)memory,
                                    .bytes = memory + all->index_bytes};
        if (all->n == all->n_slots)
            NQI_TRY(flush(all, diag));
    }
    return NQ_OK;
}

/* ---- Kept tensors -------------------------------------------------------------------------- */

static nq_status fail_tensor(nq_diag *diag, nq_status status, uint64_t number)
{
    return nqi_diag_at(diag, status, status == NQ_E_CANCELLED ? "cancelled" : "writing failed",
                       number, NQ_NONE, NQ_NONE);
}

/* As it is. */
static nq_status write_stored(batch *all, uint64_t number, nq_diag *diag)
{
    nqi_model_tensor *t = &all->m->tensors[number];
    NQI_TRY(flush(all, diag));
    nq_status status = nqi_model_measure_kept(all->m, t);
    if (status == NQ_OK && t->n > 0)
        status = nqi_writer_stored(all->w, t->desc.data);
    if (status == NQ_OK)
        status = nqi_progress_advance(&all->progress, t->n);
    return status == NQ_OK ? NQ_OK : fail_tensor(diag, status, number);
}

/* Without loss: nobody else uses its encoder, which is there as long as its blocks need it. */
static nq_status write_lossless(batch *all, uint64_t number, nq_diag *diag)
{
    nqi_model_tensor *t = &all->m->tensors[number];
    NQI_TRY(flush(all, diag));
    nq_status status = nqi_model_measure_kept(all->m, t);
    if (status == NQ_OK)
        status = nqi_lossless_make_encoder(all->m, t);
    if (status != NQ_OK)
        return fail_tensor(diag, status, number);
    status = write_coded(all, number, diag);
    if (status == NQ_OK)
        status = flush(all, diag);
    nqi_encoder_destroy(t->own);
    t->own = NULL;
    return status;
}

static nq_status write_tensor(batch *all, uint64_t number, nq_diag *diag)
{
    const nqi_model_tensor *t = &all->m->tensors[number];
    if (t->codec == NQ_CODEC_STORED)
        return write_stored(all, number, diag);
    return t->group == NQI_NO_GROUP ? write_lossless(all, number, diag)
                                    : write_coded(all, number, diag);
}

/* ---- Batches ------------------------------------------------------------------------------- */

/* Elements of the largest block, and bytes that any of them may take. */
static void find_largest(batch *all)
{
    const nqi_model *m = all->m;
    const uint64_t block_elems = UINT64_C(1) << nqi_model_block_log2(m);
    uint64_t n_elems = 0, n_bytes = 0;
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        const nqi_model_tensor *t = &m->tensors[i];
        if (t->codec == NQ_CODEC_STORED)
            continue;
        const uint64_t n = NQI_MIN(block_elems, t->n);
        const uint64_t most = t->group == NQI_NO_GROUP
                                  ? t->block_bound
                                  : nqi_encoder_bound(nqi_model_encoder(m, t), n);
        n_elems = NQI_MAX(n_elems, n);
        n_bytes = NQI_MAX(n_bytes, most);
    }
    /* A block has 2^24 elements at most, of 40 bits at most. */
    all->index_bytes = (size_t)(n_elems * sizeof(uint16_t) + 63) & ~(size_t)63;
    all->code_bytes = (size_t)(n_bytes + 63) & ~(size_t)63;
}

static size_t slot_count(const batch *all, uint64_t n_blocks)
{
    const size_t slot_bytes = all->index_bytes + all->code_bytes;
    const uint64_t workers = all->m->env.runner.max_workers;
    const uint64_t useful = NQI_MIN(workers > 1 ? 4 * workers : 1, NQI_MAX(n_blocks, 1));
    const uint64_t affordable = slot_bytes ? NQI_PASS_BYTES / slot_bytes : useful;
    return (size_t)NQI_MAX(NQI_MIN(useful, affordable), 1);
}

static nq_status write_payloads(batch *all, nq_diag *diag)
{
    nqi_model *m = all->m;
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        m->tensors[i].distortion = (nqi_distortion){.n = 0};
        NQI_TRY(write_tensor(all, i, diag));
    }
    return flush(all, diag);
}

static nq_status write_batches(nqi_model *m, nqi_writer *w, nq_diag *diag)
{
    uint64_t n_elements = 0, n_blocks = 0;
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        n_elements += m->tensors[i].n;
        if (m->tensors[i].codec != NQ_CODEC_STORED)
            n_blocks += nqi_model_blocks(m, &m->tensors[i]);
    }
    batch all = {
        .m = m, .w = w, .progress = nqi_progress_start(&m->env, NQ_STAGE_ENCODE, n_elements)};
    void *blocks = NULL, *memory = NULL;
    find_largest(&all);
    all.n_slots = slot_count(&all, n_blocks);
    const size_t slot_bytes = all.index_bytes + all.code_bytes;
    nq_status status = nqi_alloc(&blocks, &m->env.allocator, all.n_slots, sizeof(block));
    if (status == NQ_OK)
        status = nqi_alloc(&memory, &m->env.allocator, all.n_slots, slot_bytes);
    if (status != NQ_OK) {
        nqi_diag_set(diag, status, "out of memory for blocks");
    } else {
        all.blocks = blocks;
        all.memory = memory;
        status = write_payloads(&all, diag);
    }
    nqi_free(&m->env.allocator, blocks, all.n_slots, sizeof(block));
    nqi_free(&m->env.allocator, memory, all.n_slots, slot_bytes);
    return status;
}

/* ---- The file ------------------------------------------------------------------------------ */

static void sum_up(nqi_model *m, const nqi_writer *w)
{
    m->distortion = (nqi_distortion){.n = 0};
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        m->tensors[i].payload_bytes = nqi_writer_payload_bytes(w, i);
        nqi_distortion_join(&m->distortion, &m->tensors[i].distortion);
    }
    m->file_bytes = nqi_writer_bytes(w);
    m->is_written = true;
}

/* The tensors' bytes, unless the caller knows the size of their source. */
uint64_t nqi_model_original_bytes(const nqi_model *m)
{
    uint64_t sum = 0;
    if (m->options.original_bytes)
        return m->options.original_bytes;
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        const uint64_t bits = nq_dtype_bits(m->tensors[i].desc.dtype);
        const uint64_t n_bytes = m->tensors[i].n / 8 * bits + m->tensors[i].n % 8 * bits / 8;
        if (!nqi_add_u64(&sum, sum, n_bytes))
            return UINT64_MAX;
    }
    return sum;
}

nq_status nqi_model_write(nqi_model *m, const nq_sink *sink, nq_diag *diag)
{
    nqi_writer *w;
    m->is_written = false;
    nq_status status = nqi_writer_create(&w, &m->env.allocator, sink, nqi_model_original_bytes(m));
    if (status == NQ_OK)
        status = describe(m, w);
    if (status == NQ_OK)
        status = nqi_writer_begin(w);
    if (status != NQ_OK) {
        nqi_diag_set(diag, status, "the file could not be begun");
    } else {
        status = write_batches(m, w, diag);
        if (status == NQ_OK && (status = nqi_writer_finish(w)) != NQ_OK)
            nqi_diag_set(diag, status, "the file could not be finished");
    }
    if (status == NQ_OK)
        sum_up(m, w);
    nqi_writer_destroy(w);
    return status;
}
