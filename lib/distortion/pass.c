/*
 * One pass over the elements of several tensors: see pass.h.
 */
#include "distortion/pass.h"

/* ---- Progress ------------------------------------------------------------------------------ */

nq_status nqi_progress_advance(nqi_progress_state *p, uint64_t n)
{
    p->done += n;
    if (p->done < p->total && p->done - p->told < p->total / 200)
        return NQ_OK;
    p->told = p->done;
    return nqi_progress(p->env, p->stage, p->done, p->total);
}

/* ---- Pass ---------------------------------------------------------------------------------- */

uint64_t nqi_parts_elements(const nqi_part *parts, size_t n_parts)
{
    uint64_t n = 0;
    for (size_t i = 0; i < n_parts; i++)
        n += parts[i].weights.n;
    return n;
}

/* Whether there are at least `wanted` chunks. */
static bool has_chunks(const nqi_part *parts, size_t n_parts, uint64_t wanted)
{
    uint64_t n = 0;
    for (size_t i = 0; i < n_parts && n < wanted; i++)
        n += (parts[i].weights.n + NQI_CHUNK_ELEMS - 1) / NQI_CHUNK_ELEMS;
    return n >= wanted;
}

size_t nqi_pass_slots(const nqi_env *env, const nqi_part *parts, size_t n_parts, size_t slot_bytes)
{
    const uint64_t affordable = slot_bytes ? NQI_PASS_BYTES / slot_bytes : UINT64_MAX;
    const uint64_t useful = env->runner.max_workers > 1 ? 2 * (uint64_t)env->runner.max_workers : 1;
    size_t n = (size_t)NQI_MAX(NQI_MIN(affordable, useful), 1);
    while (n > 1 && !has_chunks(parts, n_parts, n))
        n--;
    return n;
}

/* The chunks that are in flight. */
typedef struct batch {
    const nqi_pass *pass;
    nqi_chunk *chunks; /* n_slots of them */
    size_t n;
} batch;

/* Where the pass has come to. */
typedef struct position {
    size_t part;
    uint64_t element;
} position;

/* Fills the batch with the chunks that come next; leaves it empty at the end. */
static void next_batch(batch *b, position *at)
{
    const nqi_pass *pass = b->pass;
    b->n = 0;
    while (at->part < pass->n_parts && b->n < pass->n_slots) {
        const nqi_part *part = &pass->parts[at->part];
        const uint64_t left = part->weights.n - at->element;
        const uint64_t n = NQI_MIN(left, NQI_CHUNK_ELEMS);
        if (n > 0) {
            b->chunks[b->n] = (nqi_chunk){.part = part,
                                          .number = at->part,
                                          .first = at->element,
                                          .n = (size_t)n,
                                          .slot = pass->slots + b->n * pass->slot_bytes,
                                          .ends_part = n == left};
            b->n++;
        }
        at->element += n;
        if (n == left)
            *at = (position){.part = at->part + 1, .element = 0};
    }
}

static void run_chunk(void *arg, uint64_t index, uint32_t worker)
{
    const batch *b = arg;
    (void)worker;
    b->pass->work(b->pass->arg, &b->chunks[index]);
}

static nq_status fold_batch(const batch *b)
{
    const nqi_pass *pass = b->pass;
    uint64_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (pass->fold)
            NQI_TRY(pass->fold(pass->arg, &b->chunks[i]));
        n += b->chunks[i].n;
    }
    return pass->progress ? nqi_progress_advance(pass->progress, n) : NQ_OK;
}

nq_status nqi_pass_run(const nqi_pass *pass)
{
    void *memory;
    position at = {0, 0};
    NQI_TRY(nqi_alloc(&memory, &pass->env->allocator, pass->n_slots, sizeof(nqi_chunk)));
    batch b = {.pass = pass, .chunks = memory, .n = 0};
    nq_status status = NQ_OK;
    for (next_batch(&b, &at); b.n > 0 && status == NQ_OK; next_batch(&b, &at)) {
        nqi_run(&pass->env->runner, b.n, run_chunk, &b);
        status = fold_batch(&b);
    }
    nqi_free(&pass->env->allocator, memory, pass->n_slots, sizeof(nqi_chunk));
    return status;
}
