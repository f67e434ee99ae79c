/*
 * Memory through the context's hook: see alloc.h.
 */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

#define ALIGNMENT 64u

/* Over-allocates and keeps malloc's own pointer just below the aligned block. */
static void *malloc_aligned(void *user, size_t n_bytes, size_t alignment)
{
    (void)user;
    size_t total;
    if (!nqi_add_size(&total, n_bytes, alignment + sizeof(void *)))
        return NULL;
    uint8_t *raw = malloc(total);
    if (!raw)
        return NULL;
    const uintptr_t first = (uintptr_t)raw + sizeof(void *);
    const uintptr_t aligned = (first + alignment - 1) & ~(uintptr_t)(alignment - 1);
    uint8_t *block = raw + (aligned - (uintptr_t)raw);
    memcpy(block - sizeof(void *), &raw, sizeof raw);
    return block;
}

static void free_aligned(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    (void)user;
    (void)n_bytes;
    (void)alignment;
    void *raw;
    memcpy(&raw, (uint8_t *)memory - sizeof(void *), sizeof raw);
    free(raw);
}

nqi_allocator nqi_allocator_default(void)
{
    return (nqi_allocator){.alloc = malloc_aligned, .free = free_aligned,
                           .max_bytes = UINT64_C(1) << 40};
}

static bool total_bytes(size_t *total, const nqi_allocator *a, uint64_t n, size_t size)
{
    uint64_t bytes;
    return nqi_mul_u64(&bytes, n, size) && bytes <= a->max_bytes && nqi_to_size(total, bytes);
}

nq_status nqi_alloc(void **out, const nqi_allocator *a, uint64_t n, size_t size)
{
    *out = NULL;
    size_t total;
    if (!total_bytes(&total, a, n, size))
        return NQ_E_LIMIT;
    if (total == 0)
        return NQ_OK;
    *out = a->alloc(a->user, total, ALIGNMENT);
    return *out ? NQ_OK : NQ_E_NOMEM;
}

nq_status nqi_alloc_zero(void **out, const nqi_allocator *a, uint64_t n, size_t size)
{
    NQI_TRY(nqi_alloc(out, a, n, size));
    if (*out)
        memset(*out, 0, (size_t)n * size);
    return NQ_OK;
}

void nqi_free(const nqi_allocator *a, void *memory, uint64_t n, size_t size)
{
    if (memory)
        a->free(a->user, memory, (size_t)n * size, ALIGNMENT);
}

nq_status nqi_grow(void **memory, uint64_t *capacity, const nqi_allocator *a, uint64_t wanted,
                   size_t size)
{
    if (wanted <= *capacity)
        return NQ_OK;
    uint64_t next = *capacity < 8 ? 8 : *capacity;
    if (!nqi_add_u64(&next, next, next / 2) || next < wanted)
        next = wanted;
    void *larger;
    NQI_TRY(nqi_alloc(&larger, a, next, size));
    if (*capacity)
        memcpy(larger, *memory, (size_t)*capacity * size);
    nqi_free(a, *memory, *capacity, size);
    *memory = larger;
    *capacity = next;
    return NQ_OK;
}
