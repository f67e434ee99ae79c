/*
 * Memory through the context's hook. Every block is given back with the size it was asked with.
 * The decoder never includes this header.
 */
#ifndef NQI_ALLOC_H
#define NQI_ALLOC_H

#include "base/common.h"
#include "nq/context.h"

typedef struct nqi_allocator {
    nq_alloc_fn alloc;
    nq_free_fn free;
    void *user;
    uint64_t max_bytes; /* of one block */
} nqi_allocator;

/* malloc and free behind the hook's interface. */
nqi_allocator nqi_allocator_default(void);

/*
 * n items of `size` bytes, aligned for any type and to 64 bytes, contents undefined. NQ_E_NOMEM
 * when the hook returns NULL; NQ_E_LIMIT when the product overflows or passes max_bytes. n == 0
 * gives NULL and NQ_OK. *out is NULL on failure.
 */
NQI_MUST_CHECK nq_status nqi_alloc(void **out, const nqi_allocator *a, uint64_t n, size_t size);

/* The same, zeroed. */
NQI_MUST_CHECK nq_status nqi_alloc_zero(void **out, const nqi_allocator *a, uint64_t n,
                                        size_t size);

/* Gives back what nqi_alloc gave for the same n and size. NULL is fine. */
void nqi_free(const nqi_allocator *a, void *memory, uint64_t n, size_t size);

/*
 * A growing array's next capacity: replaces *memory (capacity *n of `size` bytes) by one of at
 * least `wanted` items with the first *n kept. On failure the old one stays as it was.
 */
NQI_MUST_CHECK nq_status nqi_grow(void **memory, uint64_t *capacity, const nqi_allocator *a,
                                  uint64_t wanted, size_t size);

#endif
