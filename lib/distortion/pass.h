/*
 * One pass over the elements of several tensors: split into chunks that depend on nothing but the
 * tensors' sizes, worked on in any order by whoever is there, and folded in order by the calling
 * thread, so that results do not depend on the number of workers.
 */
#ifndef NQI_DISTORTION_PASS_H
#define NQI_DISTORTION_PASS_H

#include "distortion/view.h"
#include "par/env.h"

/* What a pass may take for the chunks in flight, at least one whatever that needs. */
#define NQI_PASS_BYTES (UINT64_C(24) << 20)

/* A tensor's weights and their importance: one of those that share a codebook. */
typedef struct nqi_part {
    nqi_view weights;
    nqi_importance importance;
} nqi_part;

/* ---- Progress ------------------------------------------------------------------------------ */

/* Tells the hook at most a few hundred times on the way from 0 to total. */
typedef struct nqi_progress_state {
    const nqi_env *env;
    uint64_t done;
    uint64_t total;
    uint64_t told;
    uint32_t stage; /* NQ_STAGE_* */
} nqi_progress_state;

static inline nqi_progress_state nqi_progress_start(const nqi_env *env, uint32_t stage,
                                                    uint64_t total)
{
    return (nqi_progress_state){.env = env, .total = total, .stage = stage};
}

/* n elements more are done. NQ_E_CANCELLED. */
nq_status nqi_progress_advance(nqi_progress_state *progress, uint64_t n);

/* ---- Pass ---------------------------------------------------------------------------------- */

/* Elements first .. first + n - 1 of a part; n is 1..NQI_CHUNK_ELEMS. */
typedef struct nqi_chunk {
    const nqi_part *part;
    size_t number; /* of the part */
    uint64_t first;
    size_t n;
    void *slot; /* memory that no other chunk in flight uses */
    bool ends_part;
} nqi_chunk;

typedef struct nqi_pass {
    const nqi_env *env;
    nqi_progress_state *progress; /* NULL: not told */
    const nqi_part *parts;
    size_t n_parts;
    uint8_t *slots; /* n_slots times slot_bytes, contents as work and fold leave them */
    size_t n_slots; /* at least 1 */
    size_t slot_bytes;
    void (*work)(void *arg, const nqi_chunk *chunk);      /* called from any worker */
    nq_status (*fold)(void *arg, const nqi_chunk *chunk); /* in order; NULL: nothing to fold */
    void *arg;
} nqi_pass;

/* Runs it. What fold returned first, or NQ_E_CANCELLED, or NQ_E_NOMEM. */
nq_status nqi_pass_run(const nqi_pass *pass);

/* How many slots of so many bytes to make for the parts: enough for every worker to have a second
 * chunk ready, but no more than NQI_PASS_BYTES in all. */
size_t nqi_pass_slots(const nqi_env *env, const nqi_part *parts, size_t n_parts, size_t slot_bytes);

/* Elements of all parts. */
uint64_t nqi_parts_elements(const nqi_part *parts, size_t n_parts);

#endif
