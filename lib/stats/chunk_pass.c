/*
 * Summarising chunks apart and merging them in order: see summary.h. Which chunks there are depends
 * on nothing but the number of weights.
 */
#include "base/checked.h"
#include "base/diag.h"
#include "stats/summary.h"

typedef struct batch {
    const nqi_chunk_pass *pass;
    uint64_t n; /* weights */
    uint64_t first_chunk;
    nqi_summary spare;
    nqi_chunk_summary summaries[NQI_MAX_IN_FLIGHT];
} batch;

static void run_chunk(void *arg, uint64_t index, uint32_t worker)
{
    batch *b = arg;
    const nqi_chunk_pass *pass = b->pass;
    (void)worker;
    const uint64_t begin = (b->first_chunk + index) * pass->chunk_elems;
    const size_t n = (size_t)NQI_MIN(b->n - begin, pass->chunk_elems);
    pass->work(pass->arg, &b->summaries[index], (uint32_t)index, begin, n);
}

/* Adds what came of a chunk, unless there is too much already. */
static nq_status take_chunk(nqi_summary *s, batch *b, nqi_chunk_summary *chunk, nq_diag *diag)
{
    const nqi_chunk_pass *pass = b->pass;
    if (s->n_bins > pass->max_bins)
        return NQ_OK;
    if (chunk->bad != NQ_NONE)
        return nqi_weights_report_bad(pass->weights, chunk->bad, diag);
    NQI_TRY(chunk->status);
    if (s->n == 0) {
        const nqi_summary old = *s;
        *s = chunk->bins;
        chunk->bins = old;
    } else {
        NQI_TRY(nqi_summary_merge_reusing(s, &chunk->bins, &b->spare));
    }
    s->n_between = 0; /* bins are counted in tensors, not in chunks, which have many in common */
    return NQ_OK;
}

/* Empties a chunk's summary but keeps its memory: fresh pages cost more than what is counted. */
static void clear_chunk(nqi_chunk_summary *chunk)
{
    const nqi_summary old = chunk->bins;
    *chunk = (nqi_chunk_summary){.bins = nqi_summary_empty(&old.allocator), .bad = NQ_NONE};
    chunk->bins.bins = old.bins;
    chunk->bins.capacity = old.capacity;
}

static nq_status run_batch(nqi_summary *s, batch *b, uint64_t n_chunks, nq_diag *diag)
{
    const nqi_chunk_pass *pass = b->pass;
    nq_status status = NQ_OK;
    for (uint64_t i = 0; i < n_chunks; i++)
        clear_chunk(&b->summaries[i]);
    nqi_run(&pass->env->runner, n_chunks, run_chunk, b);
    for (uint64_t i = 0; i < n_chunks && status == NQ_OK; i++)
        status = take_chunk(s, b, &b->summaries[i], diag);
    const uint64_t done = NQI_MIN((b->first_chunk + n_chunks) * pass->chunk_elems, b->n);
    if (status == NQ_OK && nqi_progress(pass->env, NQ_STAGE_SCAN, done, b->n) != NQ_OK)
        return nqi_diag_set(diag, NQ_E_CANCELLED, "cancelled");
    return status;
}

nq_status nqi_chunk_pass_run(nqi_summary *s, const nqi_chunk_pass *pass, nq_diag *diag)
{
    batch b = {.pass = pass,
               .n = nqi_weights_count(pass->weights),
               .spare = nqi_summary_empty(&pass->env->allocator)};
    const uint64_t n_chunks = nqi_div_up_u64(b.n, pass->chunk_elems);
    nq_status status = NQ_OK;
    uint64_t n;
    for (size_t i = 0; i < NQI_MAX_IN_FLIGHT; i++)
        b.summaries[i].bins = nqi_summary_empty(&pass->env->allocator);
    /* The first batch is a single chunk: if there are too many bins, that shows there mostly. */
    for (uint64_t at = 0; at < n_chunks && s->n_bins <= pass->max_bins && status == NQ_OK;
         at += n) {
        n = at == 0 ? 1 : NQI_MIN(n_chunks - at, pass->n_in_flight);
        b.first_chunk = at;
        status = run_batch(s, &b, n, diag);
    }
    for (size_t i = 0; i < NQI_MAX_IN_FLIGHT; i++)
        nqi_summary_free(&b.summaries[i].bins);
    nqi_summary_free(&b.spare);
    return status;
}
