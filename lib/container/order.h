/*
 * Byte order of stored elements: little-endian in files, the host's in memory. Part of the decoder.
 */
#ifndef NQI_CONTAINER_ORDER_H
#define NQI_CONTAINER_ORDER_H

#include <string.h>

#include "base/common.h"

static inline bool nqi_host_is_little(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

/* Copies n_bytes of numbers of `unit` bytes (1, 2, 4 or 8) between the two orders. n_bytes need not
 * be whole units if unit is 1. */
static inline void nqi_copy_ordered(uint8_t *out, const uint8_t *in, size_t n_bytes, uint32_t unit)
{
    if (n_bytes == 0)
        return;
    if (unit == 1 || nqi_host_is_little()) {
        memcpy(out, in, n_bytes);
        return;
    }
    for (size_t i = 0; i < n_bytes; i += unit)
        for (uint32_t k = 0; k < unit; k++)
            out[i + k] = in[i + unit - 1 - k];
}

#endif
