/*
 * Elements to indices: see patterns_enc.h.
 */
#include "codec/patterns_enc.h"

#include "base/bytes.h"

static uint32_t load_u32(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return value << 1 | value >> 31;
}

static void load_bytes(uint16_t *indices, uint32_t turn, const uint8_t *elements, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned x = elements[i];
        indices[i] = (uint16_t)(turn == NQI_PATTERN_SAME     ? x
                                : turn == NQI_PATTERN_BIASED ? x ^ 0x80
                                                             : (x << 1 | x >> 7) & 0xff);
    }
}

static void load_shorts(uint16_t *indices, uint32_t turn, const uint8_t *elements, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned x = nqi_load_u16(elements + 2 * i);
        indices[i] = (uint16_t)(turn == NQI_PATTERN_SAME     ? x
                                : turn == NQI_PATTERN_BIASED ? x ^ 0x8000
                                                             : x << 1 | x >> 15);
    }
}

void nqi_patterns_load(uint16_t *indices, uint32_t dtype, const uint8_t *elements, size_t n)
{
    if (dtype == NQ_F32)
        for (size_t i = 0; i < n; i++)
            indices[i] = (uint16_t)(load_u32(elements + 4 * i) >> 16);
    else if (nqi_pattern_indices(dtype) == 256)
        load_bytes(indices, nqi_pattern_turn(dtype), elements, n);
    else
        load_shorts(indices, nqi_pattern_turn(dtype), elements, n);
}

void nqi_patterns_load_raw(uint8_t *raw, uint32_t dtype, const uint8_t *elements, size_t n)
{
    if (dtype == NQ_F32)
        for (size_t i = 0; i < n; i++)
            nqi_store_le16(raw + 2 * i, (uint16_t)load_u32(elements + 4 * i));
}
