/*
 * Decoding and verifying many blocks at once: a task is a block, every worker has a decoder of its
 * own, made when it is first needed. In libnq only. Of several failures the one in the lowest block
 * is reported, so that the answer does not depend on who ran what.
 */
#include "api/ctx.h"
#include "api/decode_create.h"
#include "base/diag.h"
#include "codec/checksum.h"
#include "nq/decode.h"

/* What the progress hook is told, a few hundred times at most whatever the tensors are. */
typedef struct progress {
    uint64_t done; /* elements of the tensors before this one */
    uint64_t total;
    uint64_t told;
} progress;

/* What one worker has, and the first failure that it met. */
typedef struct worker {
    nq_decoder *decoder;
    uint64_t failed_block; /* NQ_NONE: none */
    nq_diag diag;
} worker;

typedef struct job {
    const nq_ctx *ctx;
    const nq_reader *reader;
    const nq_decoder_options *options;
    progress *progress;
    worker *workers;
    uint32_t n_workers;
    uint64_t tensor;
    uint64_t first_block; /* of the batch that is running */
    uint64_t first;       /* the range; for verifying the whole tensor */
    uint64_t count;
    uint8_t *out; /* NULL for verifying */
    uint32_t dtype;
} job;

/* ---- Tasks --------------------------------------------------------------------------------- */

static nq_status have_decoder(job *j, worker *w, nq_diag *diag)
{
    if (w->decoder)
        return NQ_OK;
    return nqi_decoder_create(&w->decoder, j->ctx, j->reader, j->tensor, j->options, diag);
}

/* The part of the range that lies in one block. Elements of less than a byte never come here. */
static nq_status decode_block(job *j, nq_decoder *d, uint64_t block)
{
    const uint64_t block_first = nqi_decoder_first_element(d, block);
    const uint64_t block_end = nqi_decoder_first_element(d, block + 1);
    const uint64_t from = NQI_MAX(block_first, j->first);
    const uint64_t to = NQI_MIN(block_end, j->first + j->count);
    /* The caller's array exists, so offsets into it fit a size_t. */
    uint8_t *out = j->out + (size_t)(from - j->first) * (nq_dtype_bits(j->dtype) / 8);
    return nqi_decoder_read(d, j->dtype, from, to - from, out);
}

static void run_block(void *arg, uint64_t index, uint32_t number)
{
    job *j = arg;
    worker *w = &j->workers[number];
    const uint64_t block = j->first_block + index;
    nq_diag diag;
    nq_status status = have_decoder(j, w, &diag);
    if (status == NQ_OK) {
        status = j->out ? decode_block(j, w->decoder, block)
                        : nqi_decoder_check_block(w->decoder, block);
        diag = w->decoder->diag;
    }
    if (status != NQ_OK && block < w->failed_block) {
        w->failed_block = block;
        w->diag = diag;
    }
}

/* ---- Jobs ---------------------------------------------------------------------------------- */

static const worker *first_failure(const job *j)
{
    const worker *first = &j->workers[0];
    for (uint32_t i = 1; i < j->n_workers; i++)
        if (j->workers[i].failed_block < first->failed_block)
            first = &j->workers[i];
    return first;
}

static nq_status tell(const job *j, uint64_t next_block)
{
    const nq_decoder *d = j->workers[0].decoder;
    const uint64_t end = next_block < d->n_blocks ? nqi_decoder_first_element(d, next_block)
                                                  : d->tensor.n_elements;
    progress *p = j->progress;
    /* At least one block of the range is done, so it begins before `end`. */
    const uint64_t done = p->done + NQI_MIN(end - j->first, j->count);
    if (done != p->total && done - p->told < p->total / 200)
        return NQ_OK;
    p->told = done;
    return nqi_progress(&j->ctx->env, NQ_STAGE_DECODE, done, p->total);
}

/* Runs the blocks from `begin` to `end` in batches, between which the caller may stop the work. */
static nq_status run_batches(job *j, uint64_t begin, uint64_t end, nq_diag *diag)
{
    const uint64_t total = end - begin;
    const uint64_t batch = NQI_MAX(total / 100 + 1, (uint64_t)j->n_workers * 4);
    for (uint64_t at = begin; at < end; at += batch) {
        const uint64_t n = NQI_MIN(batch, end - at);
        j->first_block = at;
        nqi_run(&j->ctx->env.runner, n, run_block, j);
        const worker *failed = first_failure(j);
        if (failed->failed_block != NQ_NONE) {
            *diag = failed->diag;
            return diag->status;
        }
        if (tell(j, at + n) != NQ_OK)
            return nqi_diag_set(diag, NQ_E_CANCELLED, "cancelled");
    }
    return NQ_OK;
}

static nq_status make_workers(job *j, nq_diag *diag)
{
    void *memory;
    j->n_workers = NQI_MAX(j->ctx->env.runner.max_workers, 1);
    const nq_status status =
        nqi_alloc_zero(&memory, &j->ctx->env.allocator, j->n_workers, sizeof(worker));
    if (status != NQ_OK)
        return nqi_diag_set(diag, status, "out of memory for decoding in parallel");
    j->workers = memory;
    for (uint32_t i = 0; i < j->n_workers; i++)
        j->workers[i].failed_block = NQ_NONE;
    return NQ_OK;
}

static void free_workers(job *j)
{
    for (uint32_t i = 0; i < j->n_workers; i++)
        nq_decoder_destroy(j->workers[i].decoder);
    nqi_free(&j->ctx->env.allocator, j->workers, j->n_workers, sizeof(worker));
}

/* ---- Decoding ------------------------------------------------------------------------------ */

static nq_status decode_range(job *j, nq_diag *diag)
{
    NQI_TRY(have_decoder(j, &j->workers[0], diag));
    nq_decoder *d = j->workers[0].decoder;
    j->progress->total = j->count;
    if (nqi_decoder_check_range(d, j->dtype, j->first, j->count) != NQ_OK)
        return nqi_diag_at(diag, NQ_E_ARG, "no such range, or not in this type", j->tensor,
                           j->first, NQ_NONE);
    const uint32_t bits = nq_dtype_bits(d->tensor.dtype);
    if (bits < 8) { /* blocks may end inside an element */
        const nq_status status = nqi_decoder_read(d, j->dtype, j->first, j->count, j->out);
        *diag = d->diag;
        return status;
    }
    if (j->count == 0)
        return NQ_OK;
    const uint64_t unit = d->tensor.codec == NQ_CODEC_STORED ? bits / 8 : 1;
    const uint64_t begin = j->first * unit >> d->tensor.block_log2;
    const uint64_t last = (j->first + j->count - 1) * unit >> d->tensor.block_log2;
    return run_batches(j, begin, last + 1, diag);
}

nq_status nq_reader_decode(const nq_reader *reader, const nq_ctx *ctx, uint64_t tensor,
                           uint32_t dtype, uint64_t first, uint64_t count, void *out,
                           nq_diag *diag)
{
    nq_diag full;
    nq_decoder_options options;
    const nq_ctx *used = nqi_ctx_or_default(ctx);
    nqi_diag_set(&full, NQ_OK, "");
    if (nqi_decoder_check_making(&options, &full, reader, tensor, NULL, &full) != NQ_OK)
        return nqi_diag_export(diag, &full);
    if (!out && count > 0) {
        nqi_diag_set(&full, NQ_E_ARG, "nowhere to decode to");
        return nqi_diag_export(diag, &full);
    }
    uint8_t nothing;
    progress heard = {0};
    options.cpu_disabled = ~used->env.cpu;
    job j = {.ctx = used,
             .reader = reader,
             .options = &options,
             .progress = &heard,
             .tensor = tensor,
             .out = out ? out : &nothing,
             .dtype = dtype,
             .first = first,
             .count = count};
    if (make_workers(&j, &full) == NQ_OK) {
        const nq_status status = decode_range(&j, &full);
        if (status == NQ_OK)
            nqi_diag_set(&full, NQ_OK, "");
        free_workers(&j);
    }
    return nqi_diag_export(diag, &full);
}

/* ---- Verifying ----------------------------------------------------------------------------- */

/* A verification on its way: what to tell whom, and the first thing that was told. */
typedef struct inspection {
    const nq_ctx *ctx;
    const nq_reader *reader;
    nq_decoder_options options;
    progress progress;
    nq_damage_fn damage;
    void *user;
    nq_diag first; /* status NQ_OK: no damage yet */
} inspection;

static bool is_damage(nq_status status)
{
    return status == NQ_E_CORRUPT || status == NQ_E_CHECKSUM || status == NQ_E_TRUNCATED ||
           status == NQ_E_UNSUPPORTED;
}

/* Notes and reports damage; everything else, and a hook that has had enough, ends the work. */
static nq_status note(inspection *v, const nq_diag *diag)
{
    if (diag->status == NQ_OK)
        return NQ_OK;
    if (!is_damage(diag->status)) {
        v->first = *diag;
        return diag->status;
    }
    if (v->first.status == NQ_OK)
        v->first = *diag;
    if (v->damage && v->damage(v->user, diag) != 0)
        return nqi_diag_set(&v->first, NQ_E_CANCELLED, "cancelled");
    return NQ_OK;
}

/* A table's checksum, a little at a time. */
static nq_status check_table(inspection *v, uint32_t number)
{
    uint8_t bytes[1024];
    nqi_table_record table;
    nq_diag diag;
    uint32_t crc = 0;
    nqi_reader_get_table(&table, v->reader, number);
    nqi_diag_set(&diag, NQ_OK, "");
    for (uint64_t at = 0; at < table.n_bytes;) {
        const size_t n = (size_t)NQI_MIN(table.n_bytes - at, sizeof bytes);
        const nq_status status =
            nqi_source_fetch(bytes, &v->reader->source, table.offset + at, n);
        if (status != NQ_OK) {
            nqi_diag_at(&diag, status, "reading a table failed", NQ_NONE, NQ_NONE, table.offset);
            return note(v, &diag);
        }
        crc = nqi_crc32c(crc, bytes, n);
        at += n;
    }
    if (crc != table.crc)
        nqi_diag_at(&diag, NQ_E_CHECKSUM, "a codebook or code table is damaged", NQ_NONE, NQ_NONE,
                    table.offset);
    return note(v, &diag);
}

static nq_status check_tensor(inspection *v, uint64_t tensor)
{
    nq_diag diag;
    nqi_diag_set(&diag, NQ_OK, "");
    job j = {.ctx = v->ctx,
             .reader = v->reader,
             .options = &v->options,
             .progress = &v->progress,
             .tensor = tensor};
    if (make_workers(&j, &diag) == NQ_OK) {
        if (have_decoder(&j, &j.workers[0], &diag) == NQ_OK) {
            j.count = j.workers[0].decoder->tensor.n_elements;
            (void)run_batches(&j, 0, j.workers[0].decoder->n_blocks, &diag);
            v->progress.done += j.count;
        }
        free_workers(&j);
    }
    return note(v, &diag);
}

static void inspect(inspection *v, uint64_t tensor)
{
    const nqi_header *h = &v->reader->header;
    v->progress.total = v->reader->n_all_elements;
    if (tensor != NQ_NONE) {
        nqi_tensor_record record;
        nqi_reader_get_tensor(&record, v->reader, (uint32_t)tensor);
        v->progress.total = record.n_elements;
        (void)check_tensor(v, tensor);
        return;
    }
    for (uint32_t i = 0; i < h->n_tables; i++)
        if (check_table(v, i) != NQ_OK)
            return;
    for (uint32_t i = 0; i < h->n_tensors; i++)
        if (check_tensor(v, i) != NQ_OK)
            return;
}

nq_status nq_reader_verify(const nq_reader *reader, const nq_ctx *ctx, uint64_t tensor,
                           nq_damage_fn damage, void *user, nq_diag *diag)
{
    inspection v = {.ctx = nqi_ctx_or_default(ctx),
                    .reader = reader,
                    .options = {.struct_size = sizeof v.options},
                    .damage = damage,
                    .user = user};
    nqi_diag_set(&v.first, NQ_OK, "");
    v.options.cpu_disabled = ~v.ctx->env.cpu;
    if (!reader || (tensor != NQ_NONE && tensor >= reader->header.n_tensors))
        nqi_diag_set(&v.first, NQ_E_ARG, "no such tensor");
    else
        inspect(&v, tensor);
    return nqi_diag_export(diag, &v.first);
}
