/*
 * Byte order: see byteorder.h.
 */
#include "common/byteorder.h"

#include <nq/types.h>

bool byteorder_is_big(void)
{
    const uint16_t one = 1;
    return *(const uint8_t *)&one == 0;
}

size_t byteorder_width(uint32_t dtype)
{
    const uint32_t bits = nq_dtype_bits(dtype);
    if (dtype == NQ_C64)
        return 4;
    return bits == 0 ? 0 : bits < 8 ? 1 : bits / 8;
}

void byteorder_swap(void *bytes, uint64_t n_bytes, size_t width)
{
    uint8_t *at = bytes;
    if (width < 2)
        return;
    for (uint64_t i = 0; i + width <= n_bytes; i += width)
        for (size_t a = 0, b = width - 1; a < b; a++, b--) {
            const uint8_t byte = at[i + a];
            at[i + a] = at[i + b];
            at[i + b] = byte;
        }
}

uint64_t byteorder_load(const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;
    for (size_t i = n; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}
