/*
 * Hooks that tests hand to the library: a file behind a callback and an allocator, both of which
 * count and fail once, and a runner of tasks that no pool would be.
 */
#ifndef NQI_TESTS_NQ_HOOKS_H
#define NQI_TESTS_NQ_HOOKS_H

#include "nq/nq.h"
#include "nq_file.h"

enum { HOOKS_OWN_STATUS = -1234 };

/* A file behind a callback, which never hands out what is not there. */
typedef struct behind {
    const bytes *file;
    uint64_t n_bytes_read;
    uint64_t end; /* of what was read */
    unsigned n_calls;
    unsigned failing_call; /* counted from 1; 0: none */
} behind;

static inline nq_status read_behind(void *user, uint64_t offset, void *out, size_t n_bytes)
{
    behind *b = user;
    assert_true(n_bytes > 0 && offset <= b->file->n && n_bytes <= b->file->n - offset);
    if (++b->n_calls == b->failing_call)
        return HOOKS_OWN_STATUS;
    memcpy(out, b->file->at + offset, n_bytes);
    b->n_bytes_read += n_bytes;
    b->end = offset + n_bytes > b->end ? offset + n_bytes : b->end;
    return NQ_OK;
}

static inline nq_source source_behind(behind *b)
{
    return (nq_source){
        .struct_size = sizeof(nq_source), .n_bytes = b->file->n, .read = read_behind, .user = b};
}

/* An allocator that counts, and fails once. */
typedef struct counting {
    unsigned n_calls;
    unsigned failing_call; /* counted from 1; 0: none */
    size_t n_open;         /* bytes that were not given back */
} counting;

static inline void *count_alloc(void *user, size_t n_bytes, size_t alignment)
{
    counting *c = user;
    assert_true(n_bytes > 0 && alignment <= 64);
    if (++c->n_calls == c->failing_call)
        return NULL;
    c->n_open += n_bytes;
    return aligned_alloc(64, (n_bytes + 63) / 64 * 64);
}

static inline void count_free(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    counting *c = user;
    assert_true(memory && alignment <= 64);
    c->n_open -= n_bytes;
    free(memory);
}

/* Tasks from the last to the first, by workers in turn: legal, and unlike every pool. */
static inline void run_backwards(void *user, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    const uint32_t *n_workers = user;
    for (uint64_t i = n_tasks; i-- > 0;)
        task(arg, i, (uint32_t)(i % *n_workers));
}

#endif
