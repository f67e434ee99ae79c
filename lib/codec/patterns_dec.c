/*
 * Indices to elements: see patterns_dec.h. Loops that compilers make vectors of. Part of the
 * decoder.
 */
#include "codec/patterns_dec.h"

#include "base/half.h"
#include "codec/patterns_fmt.h"

static inline uint16_t turn_back(unsigned index)
{
    return (uint16_t)(index >> 1 | index << 15);
}

static void emit_u8(uint8_t *out, uint32_t turn, const uint8_t *indices, size_t n)
{
    if (turn == NQI_PATTERN_SAME)
        memcpy(out, indices, n);
    else if (turn == NQI_PATTERN_BIASED)
        for (size_t i = 0; i < n; i++)
            out[i] = indices[i] ^ 0x80;
    else
        for (size_t i = 0; i < n; i++)
            out[i] = (uint8_t)(indices[i] >> 1 | indices[i] << 7);
}

static void emit_u16(uint8_t *out, uint32_t turn, const uint16_t *indices, size_t n)
{
    if (turn == NQI_PATTERN_SAME)
        memcpy(out, indices, n * sizeof *indices);
    else if (turn == NQI_PATTERN_BIASED)
        for (size_t i = 0; i < n; i++)
            nqi_store_u16(out + 2 * i, indices[i] ^ 0x8000);
    else
        for (size_t i = 0; i < n; i++)
            nqi_store_u16(out + 2 * i, turn_back(indices[i]));
}

/* As numbers of 32 bits: a float on its way could lose the signal of a NaN. */
static void emit_u32(uint8_t *out, const uint16_t *indices, const uint8_t *raw, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t turned = (uint32_t)indices[i] << 16 | nqi_load_le16(raw + 2 * i);
        const uint32_t bits = turned >> 1 | turned << 31;
        memcpy(out + 4 * i, &bits, sizeof bits);
    }
}

/* The same for all types, one element after another. */
static void emit_slowly(uint8_t *out, uint32_t dtype, const void *indices, const uint8_t *raw,
                        size_t n)
{
    const unsigned bits = nq_dtype_bits(dtype);
    const uint32_t turn = nqi_pattern_turn(dtype);
    for (size_t i = 0; i < n; i++) {
        uint32_t x = bits == 8 ? ((const uint8_t *)indices)[i] : ((const uint16_t *)indices)[i];
        if (bits == 32)
            x = x << 16 | nqi_load_le16(raw + 2 * i);
        if (turn == NQI_PATTERN_BIASED)
            x ^= UINT32_C(1) << (bits - 1);
        else if (turn == NQI_PATTERN_TURNED)
            x = x >> 1 | (x & 1) << (bits - 1);
        if (bits == 8)
            out[i] = (uint8_t)x;
        else if (bits == 16)
            nqi_store_u16(out + 2 * i, (uint16_t)x);
        else
            memcpy(out + 4 * i, &x, sizeof x);
    }
}

void nqi_patterns_emit(uint8_t *out, uint32_t dtype, const void *indices, const uint8_t *raw,
                       size_t n)
{
    if (NQI_IS_SMALLEST)
        emit_slowly(out, dtype, indices, raw, n);
    else if (dtype == NQ_F32)
        emit_u32(out, indices, raw, n);
    else if (nqi_pattern_indices(dtype) == 256)
        emit_u8(out, nqi_pattern_turn(dtype), indices, n);
    else
        emit_u16(out, nqi_pattern_turn(dtype), indices, n);
}

void nqi_patterns_f32(uint8_t *out, uint32_t dtype, const uint16_t *indices, const uint8_t *raw,
                      size_t n)
{
    if (dtype == NQ_F32)
        emit_u32(out, indices, raw, n);
    else if (dtype == NQ_F16)
        for (size_t i = 0; i < n; i++)
            nqi_store_f32(out + 4 * i, nqi_f16_to_f32(turn_back(indices[i])));
    else
        for (size_t i = 0; i < n; i++)
            nqi_store_f32(out + 4 * i, nqi_bf16_to_f32(turn_back(indices[i])));
}
