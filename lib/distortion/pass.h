/*
 * One pass over the elements of several tensors: split into chunks that depend on nothing but the
 * tensors' sizes, worked on in any order by whoever is there, and folded in order by the calling
 * thread, so that results do not depend on the number of workers.
 */
#ifndef NQI_DISTORTION_PASS_H
#define NQI_DISTORTION_PASS_H

#include "par/env.h"

/* What a pass may take for the chunks in flight, at least one whatever that needs. */
#define NQI_PASS_BYTES (UINT64_C(24) << 20)

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

/* What is passed over: parts of so many elements each, tensors or slices of them. */
typedef struct nqi_part_list {
    uint64_t (*n_elems)(const void *parts, size_t part);
    const void *parts;
    size_t n;
} nqi_part_list;

/* Elements of all of them. */
uint64_t nqi_part_list_elems(const nqi_part_list *list);

/* Elements first .. first + n - 1 of a part; n is 1..NQI_CHUNK_ELEMS. */
typedef struct nqi_chunk {
    size_t part;
    uint64_t first;
    size_t n;
    void *slot; /* memory that no other chunk in flight uses */
    bool ends_part;
} nqi_chunk;

typedef struct nqi_pass {
    const nqi_env *env;
    nqi_progress_state *progress; /* NULL: not told */
    nqi_part_list list;
    uint8_t *slots; /* n_slots times slot_bytes, contents as work and fold leave them */
    size_t n_slots; /* at least 1 */
    size_t slot_bytes;
    void (*work)(void *arg, const nqi_chunk *chunk);      /* called from any worker */
    nq_status (*fold)(void *arg, const nqi_chunk *chunk); /* in order; NULL: nothing to fold */
    void *arg;
} nqi_pass;

/* Runs it. What fold returned first, or NQ_E_CANCELLED, or NQ_E_NOMEM. */
nq_status nqi_pass_run(const nqi_pass *pass);

/* How many slots of so many bytes to make for the list: enough for every worker to have a second
 * chunk ready, but no more than NQI_PASS_BYTES in all. */
size_t nqi_pass_slots(const nqi_env *env, const nqi_part_list *list, size_t slot_bytes);

#endif
