/*
 * Choosing and making codes for tensors that are coded without loss: see lossless.h.
 */
#include "model/lossless.h"

#include <string.h>

#include "base/diag.h"
#include "codec/index_count.h"
#include "codec/patterns_enc.h"

/* What a coded tensor has in the index besides what a stored one has: layout, number of its table,
 * the table's record. */
#define INDEX_BYTES 18u

/* No code is tried for tensors of fewer bytes: its table alone would take most of them. */
#define LEAST_BYTES 64u

/* What a code seems to take may be wrong by one part in so many. */
#define CLOSE_SHARE 16u

bool nqi_lossless_is_wanted(const nq_tensor *tensor, const nq_plan_tensor_options *options)
{
    return options->lossless == NQ_LOSSLESS_YES && nqi_pattern_indices(tensor->dtype) > 0;
}

static uint32_t bits_of(const nqi_model_tensor *t)
{
    return nq_dtype_bits(t->desc.dtype);
}

static const uint8_t *element(const nqi_model_tensor *t, uint64_t i)
{
    return (const uint8_t *)t->desc.data + (size_t)i * (bits_of(t) / 8);
}

/* ---- Counting ------------------------------------------------------------------------------ */

typedef struct counting {
    const nqi_model_tensor *t;
    uint64_t *counts;
    uint32_t n_indices;
} counting;

static void count_chunk(void *arg, const nqi_chunk *chunk)
{
    const counting *c = arg;
    uint32_t *counts = chunk->slot;
    uint16_t indices[NQI_SLICE_ELEMS];
    memset(counts, 0, c->n_indices * sizeof *counts);
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        nqi_patterns_load(indices, c->t->desc.dtype, element(c->t, chunk->first + done), n);
        for (size_t i = 0; i < n; i++)
            counts[indices[i]]++;
    }
}

static nq_status add_chunk(void *arg, const nqi_chunk *chunk)
{
    const counting *c = arg;
    const uint32_t *counts = chunk->slot;
    for (uint32_t i = 0; i < c->n_indices; i++)
        c->counts[i] += counts[i];
    return NQ_OK;
}

static uint64_t count_elements(const void *parts, size_t part)
{
    (void)part;
    return ((const nqi_model_tensor *)parts)->n;
}

/* How often each index occurs: counts is zero before. */
static nq_status count_indices(uint64_t *counts, const nqi_model *m, const nqi_model_tensor *t,
                               nqi_progress_state *progress)
{
    counting c = {.t = t, .counts = counts, .n_indices = nqi_pattern_indices(t->desc.dtype)};
    nqi_pass pass = {.env = &m->env,
                     .progress = progress,
                     .list = {.n_elems = count_elements, .parts = t, .n = 1},
                     .slot_bytes = c.n_indices * sizeof(uint32_t),
                     .work = count_chunk,
                     .fold = add_chunk,
                     .arg = &c};
    void *slots;
    pass.n_slots = nqi_pass_slots(&m->env, &pass.list, pass.slot_bytes);
    NQI_TRY(nqi_alloc(&slots, &m->env.allocator, pass.n_slots, pass.slot_bytes));
    pass.slots = slots;
    const nq_status status = nqi_pass_run(&pass);
    nqi_free(&m->env.allocator, slots, pass.n_slots, pass.slot_bytes);
    return status;
}

/* ---- Coding -------------------------------------------------------------------------------- */

static nq_status make_encoder(nqi_encoder **out, const nqi_model *m, const nqi_model_tensor *t,
                              uint32_t codec, const uint64_t *counts)
{
    const bool is_huffman = codec == NQ_CODEC_HUFFMAN || codec == NQ_CODEC_HUFFMAN_GAPS;
    return nqi_encoder_create(out, &m->env.allocator, codec, nqi_pattern_indices(t->desc.dtype),
                              is_huffman ? m->options.max_code_length : 0, counts,
                              NQI_ENCODER_EXACT, m->env.cpu);
}

/* One block; the bound is that of any of the tensor's blocks with this encoder. */
static nq_status encode(uint8_t *out, size_t *n_bytes, uint16_t *indices, const nqi_model_tensor *t,
                        const nqi_encoder *encoder, uint64_t bound, uint64_t first, size_t n)
{
    const uint32_t dtype = t->desc.dtype;
    const size_t raw_bytes = n * nqi_pattern_raw_bytes(dtype);
    nqi_patterns_load(indices, dtype, element(t, first), n);
    NQI_TRY(nqi_encoder_encode(encoder, out, (size_t)bound - raw_bytes, n_bytes, indices, n));
    nqi_patterns_load_raw(out + *n_bytes, dtype, element(t, first), n);
    *n_bytes += raw_bytes;
    return NQ_OK;
}

nq_status nqi_lossless_encode(uint8_t *out, size_t *n_bytes, uint16_t *indices,
                              const nqi_model_tensor *t, uint64_t first, size_t n)
{
    return encode(out, n_bytes, indices, t, t->own, t->block_bound, first, n);
}

/* Blocks that are coded at once, to see what they take. */
enum { MOST_SLOTS = 64 };

typedef struct sizing {
    const nqi_model_tensor *t;
    const nqi_encoder *encoder;
    uint64_t bound;
    uint8_t *memory; /* slots of indices and bytes */
    size_t index_bytes;
    size_t slot_bytes;
    uint64_t block_elems;
    uint64_t first_block;
    nq_status statuses[MOST_SLOTS]; /* of the blocks that run */
    size_t n_bytes[MOST_SLOTS];
} sizing;

static void size_block(void *arg, uint64_t index, uint32_t worker)
{
    sizing *s = arg;
    uint8_t *memory = s->memory + (size_t)index * s->slot_bytes;
    const uint64_t first = (s->first_block + index) * s->block_elems;
    const size_t n = (size_t)NQI_MIN(s->block_elems, s->t->n - first);
    (void)worker;
    s->statuses[index] = encode(memory + s->index_bytes, &s->n_bytes[index],
                                (uint16_t *)(void *)memory, s->t, s->encoder, s->bound, first, n);
}

/* Bytes of all blocks. */
static nq_status measure_blocks(uint64_t *n_bytes, const nqi_model *m, const nqi_model_tensor *t,
                                const nqi_encoder *encoder, uint64_t bound,
                                nqi_progress_state *progress)
{
    sizing s = {.t = t,
                .encoder = encoder,
                .bound = bound,
                .block_elems = UINT64_C(1) << nqi_model_block_log2(m)};
    const uint64_t n_blocks = nqi_model_blocks(m, t);
    const uint64_t n_elems = NQI_MIN(s.block_elems, t->n);
    void *memory;
    s.index_bytes = (size_t)(n_elems * sizeof(uint16_t) + 63) & ~(size_t)63;
    s.slot_bytes = s.index_bytes + ((size_t)(bound + 63) & ~(size_t)63);
    uint64_t n_slots = NQI_MIN(MOST_SLOTS, 2 * (uint64_t)m->env.runner.max_workers);
    n_slots = NQI_MAX(NQI_MIN(n_slots, NQI_PASS_BYTES / s.slot_bytes), 1);
    n_slots = NQI_MIN(n_slots, n_blocks);
    NQI_TRY(nqi_alloc(&memory, &m->env.allocator, n_slots, s.slot_bytes));
    s.memory = memory;
    nq_status status = NQ_OK;
    *n_bytes = 0;
    for (; s.first_block < n_blocks && status == NQ_OK; s.first_block += n_slots) {
        const uint64_t n = NQI_MIN(n_slots, n_blocks - s.first_block);
        nqi_run(&m->env.runner, n, size_block, &s);
        for (uint64_t i = 0; i < n && status == NQ_OK; i++) {
            status = s.statuses[i];
            *n_bytes += s.n_bytes[i];
        }
        const uint64_t done = s.first_block * s.block_elems;
        if (status == NQ_OK)
            status = nqi_progress_advance(progress, NQI_MIN(n * s.block_elems, t->n - done));
    }
    nqi_free(&m->env.allocator, memory, n_slots, s.slot_bytes);
    return status;
}

/* ---- Choosing ------------------------------------------------------------------------------ */

static uint64_t stored_bytes(const nqi_model_tensor *t)
{
    return t->n * (bits_of(t) / 8);
}

/* Blocks' checksums and ends, of either kind of tensor. */
static uint64_t directory_bytes(const nqi_model *m, const nqi_model_tensor *t, uint32_t codec)
{
    const uint32_t log2 =
        codec == NQ_CODEC_STORED ? NQI_BLOCK_LOG2_STORED : nqi_model_block_log2(m);
    const uint64_t units = nqi_block_units(codec, t->n, bits_of(t));
    return nqi_directory_bytes(codec, t->n, nqi_block_count(units, log2));
}

/* What a code takes besides its blocks, and more than a stored tensor would. */
static uint64_t extra_bytes(const nqi_model *m, const nqi_model_tensor *t,
                            const nqi_encoder *encoder, uint32_t codec)
{
    size_t table_bytes;
    (void)nqi_encoder_table(encoder, &table_bytes);
    return table_bytes + INDEX_BYTES + directory_bytes(m, t, codec);
}

static bool may_pay(const nqi_model_tensor *t, uint32_t codec, const uint64_t *counts)
{
    uint64_t most = 0;
    if (t->options.codec != NQ_CODEC_AUTO || codec != NQ_CODEC_HUFFMAN_GAPS)
        return t->options.codec == NQ_CODEC_AUTO || t->options.codec == codec;
    for (uint32_t i = 0; i < nqi_pattern_indices(t->desc.dtype); i++)
        most = NQI_MAX(most, counts[i]);
    return most >= t->n / 2; /* otherwise each index takes a bit at least without gaps, too */
}

/* Codes that are tried, and what a tensor takes with each. */
typedef struct attempt {
    nqi_encoder *encoder; /* NULL: none */
    uint64_t n_bytes;
    uint32_t codec;
} attempt;

enum { N_CODECS = 3 };

static uint64_t bytes_as_stored(const nqi_model *m, const nqi_model_tensor *t)
{
    return stored_bytes(t) + directory_bytes(m, t, NQ_CODEC_STORED);
}

/* Makes the codes that may be used, and tells from the counts what they take, about. */
static nq_status make_attempts(attempt *attempts, const nqi_model *m, const nqi_model_tensor *t,
                               const uint64_t *counts)
{
    static const uint32_t codecs[N_CODECS] = {NQ_CODEC_HUFFMAN, NQ_CODEC_RANS,
                                              NQ_CODEC_HUFFMAN_GAPS};
    const uint64_t raw = t->n * nqi_pattern_raw_bytes(t->desc.dtype);
    for (size_t i = 0; i < N_CODECS; i++) {
        attempt *a = &attempts[i];
        *a = (attempt){.codec = codecs[i], .n_bytes = UINT64_MAX};
        if (!may_pay(t, a->codec, counts))
            continue;
        NQI_TRY(make_encoder(&a->encoder, m, t, a->codec, counts));
        a->n_bytes = nqi_model_code_bytes(m, t, a->encoder, counts) + raw +
                     extra_bytes(m, t, a->encoder, a->codec);
    }
    return NQ_OK;
}

/* Takes a code over if the tensor is really smaller with it than it was before. */
static nq_status try_code(attempt *a, nqi_model *m, nqi_model_tensor *t, uint64_t *least,
                          nqi_progress_state *progress)
{
    const uint64_t block_elems = NQI_MIN(UINT64_C(1) << nqi_model_block_log2(m), t->n);
    const uint64_t bound = nqi_encoder_bound(a->encoder, block_elems) +
                           block_elems * nqi_pattern_raw_bytes(t->desc.dtype);
    uint64_t blocks;
    NQI_TRY(measure_blocks(&blocks, m, t, a->encoder, bound, progress));
    a->n_bytes = blocks + extra_bytes(m, t, a->encoder, a->codec);
    if (a->n_bytes >= *least)
        return NQ_OK;
    nqi_encoder *const worse = t->own;
    t->own = a->encoder;
    a->encoder = worse;
    *least = a->n_bytes;
    t->codec = a->codec;
    t->code_bytes = blocks;
    t->block_bound = bound;
    return NQ_OK;
}

/* What is told from counts is not exact: codes that come close to the best are tried out. */
static nq_status try_codes(attempt *attempts, nqi_model *m, nqi_model_tensor *t,
                           nqi_progress_state *progress)
{
    uint64_t least = bytes_as_stored(m, t), best = least;
    for (size_t i = 0; i < N_CODECS; i++)
        best = NQI_MIN(best, attempts[i].n_bytes);
    for (size_t i = 0; i < N_CODECS; i++)
        if (attempts[i].encoder && attempts[i].n_bytes <= best + best / CLOSE_SHARE)
            NQI_TRY(try_code(&attempts[i], m, t, &least, progress));
    return NQ_OK;
}

/* Keeps the table of the tensor's code, if it has one. */
static nq_status keep_table(const nqi_model *m, nqi_model_tensor *t)
{
    size_t n_bytes;
    void *memory;
    if (!t->own)
        return NQ_OK;
    const uint8_t *table = nqi_encoder_table(t->own, &n_bytes);
    NQI_TRY(nqi_alloc(&memory, &m->env.allocator, n_bytes, 1));
    memcpy(memory, table, n_bytes);
    t->table = memory;
    t->table_bytes = n_bytes;
    return NQ_OK;
}

static nq_status choose_code(nqi_model *m, nqi_model_tensor *t, const uint64_t *counts,
                             nqi_progress_state *progress)
{
    attempt attempts[N_CODECS] = {{.encoder = NULL}};
    nq_status status = make_attempts(attempts, m, t, counts);
    if (status == NQ_OK)
        status = try_codes(attempts, m, t, progress);
    for (size_t i = 0; i < N_CODECS; i++)
        nqi_encoder_destroy(attempts[i].encoder);
    if (status == NQ_OK)
        status = keep_table(m, t);
    nqi_encoder_destroy(t->own);
    t->own = NULL;
    if (status != NQ_OK)
        t->codec = NQ_CODEC_STORED;
    return status;
}

static nq_status choose_one(nqi_model *m, nqi_model_tensor *t, nqi_progress_state *progress)
{
    const nqi_allocator *a = &m->env.allocator;
    const uint32_t n_indices = nqi_pattern_indices(t->desc.dtype);
    const uint64_t end = progress->done + NQI_LOSSLESS_PASSES * t->n;
    void *counts;
    if (stored_bytes(t) < LEAST_BYTES || t->options.codec == NQ_CODEC_FIXED)
        return nqi_progress_advance(progress, end - progress->done);
    NQI_TRY(nqi_alloc_zero(&counts, a, n_indices, sizeof(uint64_t)));
    nq_status status = count_indices(counts, m, t, progress);
    if (status == NQ_OK)
        status = choose_code(m, t, counts, progress);
    nqi_free(a, counts, n_indices, sizeof(uint64_t));
    return status == NQ_OK ? nqi_progress_advance(progress, end - progress->done) : status;
}

nq_status nqi_lossless_choose(nqi_model *m, nqi_progress_state *progress, nq_diag *diag)
{
    nqi_lossless_forget(m);
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        if (!m->tensors[i].is_lossless)
            continue;
        const nq_status status = choose_one(m, &m->tensors[i], progress);
        if (status != NQ_OK)
            return nqi_diag_at(diag, status,
                               status == NQ_E_CANCELLED ? "cancelled"
                                                        : "no code could be made without loss",
                               i, NQ_NONE, NQ_NONE);
    }
    return NQ_OK;
}

void nqi_lossless_forget(nqi_model *m)
{
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        nqi_model_tensor *t = &m->tensors[i];
        if (!t->is_lossless)
            continue;
        nqi_free(&m->env.allocator, t->table, t->table_bytes, 1);
        t->table = NULL;
        t->table_bytes = 0;
        t->codec = NQ_CODEC_STORED;
    }
}

nq_status nqi_lossless_make_encoder(nqi_model *m, nqi_model_tensor *t)
{
    const uint32_t n_indices = nqi_pattern_indices(t->desc.dtype);
    void *counts;
    NQI_TRY(nqi_alloc_zero(&counts, &m->env.allocator, n_indices, sizeof(uint64_t)));
    nq_status status = count_indices(counts, m, t, NULL);
    if (status == NQ_OK)
        status = make_encoder(&t->own, m, t, t->codec, counts);
    nqi_free(&m->env.allocator, counts, n_indices, sizeof(uint64_t));
    return status;
}
