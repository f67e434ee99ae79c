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

static uint64_t elems_of(const nqi_part_list *list, size_t part)
{
    return list->n_elems(list->parts, part);
}

uint64_t nqi_part_list_elems(const nqi_part_list *list)
{
    uint64_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        n += elems_of(list, i);
    return n;
}

/* How many chunks there are, or `most` if they are more. */
static uint64_t count_chunks(const nqi_part_list *list, uint64_t most)
{
    uint64_t n = 0;
    for (size_t i = 0; i < list->n && n < most; i++)
        n += (elems_of(list, i) + NQI_CHUNK_ELEMS - 1) / NQI_CHUNK_ELEMS;
    return NQI_MIN(n, most);
}

size_t nqi_pass_slots(const nqi_env *env, const nqi_part_list *list, size_t slot_bytes)
{
    const uint64_t affordable = NQI_PASS_BYTES / NQI_MAX(slot_bytes, 1);
    const uint64_t useful = env->runner.max_workers > 1 ? 2 * (uint64_t)env->runner.max_workers : 1;
    return (size_t)NQI_MAX(count_chunks(list, NQI_MIN(affordable, useful)), 1);
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
    while (at->part < pass->list.n && b->n < pass->n_slots) {
        const uint64_t left = elems_of(&pass->list, at->part) - at->element;
        const uint64_t n = NQI_MIN(left, NQI_CHUNK_ELEMS);
        if (n > 0) {
            b->chunks[b->n] = (nqi_chunk){.part = at->part,
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
