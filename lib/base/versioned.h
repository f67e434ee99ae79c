/*
 * Option and report structs that grow: the rule that lets old programs meet new libraries and the
 * other way round. The first member is `uint32_t struct_size`, the caller's idea of the size.
 */
#ifndef NQI_VERSIONED_H
#define NQI_VERSIONED_H

#include <string.h>

#include "base/common.h"
#include "nq/status.h"

/* No struct of ours comes near this; a larger struct_size is an uninitialised one. */
#define NQI_STRUCT_MAX 4096u

/*
 * Copies the caller's struct into *full, which holds the defaults. A shorter struct leaves the
 * defaults of what it lacks; a longer one must be zero beyond what we know. `first_size` is the
 * size the struct had when it was first released.
 */
NQI_MUST_CHECK static inline nq_status nqi_versioned_read(void *full, uint32_t full_size,
                                                          const void *given, uint32_t first_size)
{
    uint32_t given_size;
    memcpy(&given_size, given, sizeof given_size);
    if (given_size < first_size || given_size > NQI_STRUCT_MAX)
        return NQ_E_ABI;
    const uint8_t *bytes = given;
    for (uint32_t i = full_size; i < given_size; i++)
        if (bytes[i] != 0)
            return NQ_E_ABI;
    memcpy(full, given, NQI_MIN(given_size, full_size));
    memcpy(full, &full_size, sizeof full_size);
    return NQ_OK;
}

/* Hands a report out: at most the caller's size, a longer tail zeroed, struct_size kept. */
NQI_MUST_CHECK static inline nq_status nqi_versioned_write(void *given, const void *full,
                                                           uint32_t full_size, uint32_t first_size)
{
    uint32_t given_size;
    memcpy(&given_size, given, sizeof given_size);
    if (given_size < first_size || given_size > NQI_STRUCT_MAX)
        return NQ_E_ABI;
    memcpy(given, full, NQI_MIN(given_size, full_size));
    if (given_size > full_size)
        memset((uint8_t *)given + full_size, 0, given_size - full_size);
    memcpy(given, &given_size, sizeof given_size);
    return NQ_OK;
}

/* The body of every nq_*_init_sized: zero, then the size. */
static inline void nqi_versioned_init(void *given, uint32_t given_size)
{
    memset(given, 0, given_size);
    memcpy(given, &given_size, sizeof given_size);
}

#endif
