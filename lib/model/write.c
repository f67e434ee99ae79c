/*
 * Writing: the file is described to the writer, then blocks are quantized, coded and measured by
 * whoever is there, a batch at a time, and handed on in order. Each block is read once more from
 * the weights; indices live in a block's slot only. What the order of indices costs, coding tells:
 * of all blocks, or for a guess of some.
 */
#include "model/lossless.h"

#include <string.h>

#include "base/diag.h"
#include "codec/checksum.h"

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
    nqi_writer *w; /* NULL: blocks are only coded */
    nqi_progress_state progress;
    block *blocks;
    uint8_t *memory; /* n_slots times slot_bytes: indices, then coded bytes */
    size_t n_slots;
    size_t n; /* blocks waiting */
    size_t index_bytes;
    size_t code_bytes;
    bool is_measured; /* blocks' distortion is */
    double coded;     /* bytes of blocks so far */
    double expected;  /* what their tensors' prices say of them */
} batch;

/* How far a slice's weights are from what their indices decode to. */
static void measure(block *b, const float *w, const double *v, size_t done, size_t n)
{
    const nqi_importance *importance = &b->tensor->importance;
    double wide[NQI_SLICE_ELEMS], h[NQI_SLICE_ELEMS];
    for (size_t i = 0; i < n; i++)
        wide[i] = (double)w[i];
    if (importance->data)
        nqi_importance_load(h, importance, b->first + done, n);
    nqi_distortion_add(&b->lanes, wide, v, importance->data ? h : NULL, n);
}

/* Levels' numbers of a block. */
static void quantize(block *b, const batch *all)
{
    float w[NQI_SLICE_ELEMS];
    double v[NQI_SLICE_ELEMS];
    b->lanes = (nqi_distortion_lanes){.cpu = all->m->env.cpu};
    for (size_t done = 0; done < b->n; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(b->n - done, NQI_SLICE_ELEMS);
        nqi_quantized to = {.indices = b->indices + done};
        if (all->is_measured) {
            to.values = v;
            to.weights = w;
        }
        nqi_model_quantize(&to, all->m, b->tensor, b->first + done, n);
        if (all->is_measured)
            measure(b, w, v, done, n);
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
        quantize(b, all);
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
        all->coded += (double)b->n_bytes;
        all->expected += (double)b->tensor->code_bytes * ((double)b->n / (double)b->tensor->n);
        if (status == NQ_OK && all->w)
            status = nqi_writer_block(all->w, b->bytes, b->n_bytes, b->crc);
        if (status == NQ_OK)
            status = nqi_progress_advance(&all->progress, b->n);
        if (status != NQ_OK)
            return fail(diag, status, b);
        if (all->is_measured && b->tensor->group != NQI_NO_GROUP)
            nqi_distortion_merge(&all->m->tensors[b->number].distortion, &b->lanes);
    }
    return NQ_OK;
}

static nq_status add_block(batch *all, uint64_t number, uint64_t first, size_t n, nq_diag *diag)
{
    const size_t slot = all->n++;
    uint8_t *memory = all->memory + slot * (all->index_bytes + all->code_bytes);
    all->blocks[slot] = (block){.tensor = &all->m->tensors[number],
                                .number = number,
                                .first = first,
                                .n = n,
                                .indices = (uint16_t *)(void *)memory,
                                .bytes = memory + all->index_bytes};
    return all->n == all->n_slots ? flush(all, diag) : NQ_OK;
}

static nq_status write_coded(batch *all, uint64_t number, nq_diag *diag)
{
    const uint64_t block_elems = UINT64_C(1) << nqi_model_block_log2(all->m);
    const uint64_t n = all->m->tensors[number].n;
    for (uint64_t first = 0; first < n; first += block_elems)
        NQI_TRY(add_block(all, number, first, (size_t)NQI_MIN(block_elems, n - first), diag));
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

/* Whether only coding tells what a tensor takes. */
static bool depends_on_order(const nqi_model_tensor *t)
{
    return t->group != NQI_NO_GROUP && nqi_codec_depends_on_order(t->codec);
}

/* Elements and blocks of tensors that are coded, or whose codes depend on order. */
static void count(uint64_t *n_elements, uint64_t *n_blocks, const nqi_model *m, bool of_order)
{
    *n_elements = *n_blocks = 0;
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        const nqi_model_tensor *t = &m->tensors[i];
        if (t->codec == NQ_CODEC_STORED || (of_order && !depends_on_order(t)))
            continue;
        *n_elements += t->n;
        *n_blocks += nqi_model_blocks(m, t);
    }
}

typedef nq_status (*run_fn)(batch *all, nq_diag *diag);

/* Runs with memory for blocks. */
static nq_status with_slots(batch *all, uint64_t n_blocks, run_fn run, nq_diag *diag)
{
    const nqi_allocator *a = &all->m->env.allocator;
    void *blocks = NULL, *memory = NULL;
    find_largest(all);
    all->n_slots = slot_count(all, n_blocks);
    const size_t slot_bytes = all->index_bytes + all->code_bytes;
    nq_status status = nqi_alloc(&blocks, a, all->n_slots, sizeof(block));
    if (status == NQ_OK)
        status = nqi_alloc(&memory, a, all->n_slots, slot_bytes);
    if (status != NQ_OK) {
        nqi_diag_set(diag, status, "out of memory for blocks");
    } else {
        all->blocks = blocks;
        all->memory = memory;
        status = run(all, diag);
    }
    nqi_free(a, blocks, all->n_slots, sizeof(block));
    nqi_free(a, memory, all->n_slots, slot_bytes);
    return status;
}

static nq_status write_batches(nqi_model *m, nqi_writer *w, bool is_measured, nq_diag *diag)
{
    uint64_t n_elements = 0, n_quantized, n_blocks;
    for (uint64_t i = 0; i < m->n_tensors; i++)
        n_elements += m->tensors[i].n;
    count(&n_quantized, &n_blocks, m, false);
    batch all = {.m = m,
                 .w = w,
                 .progress = nqi_progress_start(&m->env, NQ_STAGE_ENCODE, n_elements),
                 .is_measured = is_measured};
    return with_slots(&all, n_blocks, write_payloads, diag);
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

static nq_status write_file(nqi_model *m, const nq_sink *sink, bool is_measured, nq_diag *diag)
{
    nqi_writer *w;
    m->is_written = false;
    nq_status status = nqi_writer_create(&w, &m->env.allocator, sink, nqi_model_original_bytes(m));
    if (status == NQ_OK)
        status = nqi_model_describe(m, w);
    if (status == NQ_OK)
        status = nqi_writer_begin(w);
    if (status != NQ_OK) {
        nqi_diag_set(diag, status, "the file could not be begun");
    } else {
        status = write_batches(m, w, is_measured, diag);
        if (status == NQ_OK && (status = nqi_writer_finish(w)) != NQ_OK)
            nqi_diag_set(diag, status, "the file could not be finished");
    }
    if (status == NQ_OK)
        sum_up(m, w);
    nqi_writer_destroy(w);
    return status;
}

nq_status nqi_model_write(nqi_model *m, const nq_sink *sink, nq_diag *diag)
{
    return write_file(m, sink, true, diag);
}

/* ---- Sizes --------------------------------------------------------------------------------- */

/* Blocks that a guess codes, at regular distances. */
#define GUESS_BLOCKS 192u

/* What codes that depend on order take, only coding tells. */
static nq_status write_nowhere(uint64_t *n_bytes, nqi_model *m)
{
    nq_diag ignored;
    const nq_progress_fn progress = m->env.progress;
    m->env.progress = NULL;
    const nq_status status = write_file(m, NULL, false, &ignored);
    m->env.progress = progress;
    m->is_written = false;
    *n_bytes = m->file_bytes;
    return status;
}

/* Everything but payloads of codes that depend on order. */
static nq_status known_bytes(uint64_t *n_bytes, const nqi_model *m)
{
    nqi_writer *w;
    NQI_TRY(nqi_writer_create(&w, &m->env.allocator, NULL, nqi_model_original_bytes(m)));
    nq_status status = nqi_model_describe(m, w);
    if (status == NQ_OK)
        status = nqi_writer_begin(w);
    *n_bytes = nqi_writer_fixed_bytes(w);
    nqi_writer_destroy(w);
    for (uint64_t i = 0; i < m->n_tensors; i++)
        if (!depends_on_order(&m->tensors[i]))
            *n_bytes += nqi_model_payload_bound(m, &m->tensors[i]);
    return status;
}

/* Codes the blocks that lie at multiples of a distance. */
static nq_status code_some(batch *all, nq_diag *diag)
{
    const nqi_model *m = all->m;
    const uint64_t block_elems = UINT64_C(1) << nqi_model_block_log2(m);
    uint64_t n_elements, n_blocks, at = 0;
    count(&n_elements, &n_blocks, m, true);
    const uint64_t distance = NQI_MAX(n_elements / GUESS_BLOCKS, 1);
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        const nqi_model_tensor *t = &m->tensors[i];
        for (uint64_t first = 0; depends_on_order(t) && first < t->n;) {
            const uint64_t n = NQI_MIN(block_elems, t->n - first);
            if ((at + n) / distance > at / distance)
                NQI_TRY(add_block(all, i, first, (size_t)n, diag));
            first += n;
            at += n;
        }
    }
    return flush(all, diag);
}

nq_status nqi_model_guess_bytes(uint64_t *n_bytes, nqi_model *m)
{
    nqi_env silent = m->env;
    nq_diag ignored;
    uint64_t n_elements, n_blocks;
    NQI_TRY(known_bytes(n_bytes, m));
    count(&n_elements, &n_blocks, m, true);
    if (n_blocks == 0)
        return NQ_OK;
    silent.progress = NULL;
    batch all = {.m = m, .progress = nqi_progress_start(&silent, NQ_STAGE_ENCODE, n_elements)};
    NQI_TRY(with_slots(&all, n_blocks, code_some, &ignored));
    double expected = 0;
    for (uint64_t i = 0; i < m->n_tensors; i++)
        if (depends_on_order(&m->tensors[i]))
            expected += (double)m->tensors[i].code_bytes;
    *n_bytes += (uint64_t)(expected * (all.coded / NQI_MAX(all.expected, 1.0)));
    return NQ_OK;
}

nq_status nqi_model_file_bytes(uint64_t *n_bytes, nqi_model *m)
{
    uint64_t n_elements, n_blocks;
    count(&n_elements, &n_blocks, m, true);
    return n_blocks > 0 ? write_nowhere(n_bytes, m) : known_bytes(n_bytes, m);
}
