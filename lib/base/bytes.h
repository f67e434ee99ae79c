/*
 * Unaligned loads and stores: little-endian for what goes into files, host order for what the
 * caller holds in memory.
 */
#ifndef NQI_BYTES_H
#define NQI_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t nqi_load_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (p[1] << 8));
}

static inline uint32_t nqi_load_le24(const uint8_t *p)
{
    return (uint32_t)p[0] | ((uint32_t)p[1] << 8) | ((uint32_t)p[2] << 16);
}

static inline uint32_t nqi_load_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | ((uint32_t)p[1] << 8) | ((uint32_t)p[2] << 16) | ((uint32_t)p[3] << 24);
}

static inline uint64_t nqi_load_le64(const uint8_t *p)
{
    return (uint64_t)nqi_load_le32(p) | ((uint64_t)nqi_load_le32(p + 4) << 32);
}

/* `width` bytes, 0..8. */
static inline uint64_t nqi_load_le(const uint8_t *p, unsigned width)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static inline void nqi_store_le16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static inline void nqi_store_le32(uint8_t *p, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static inline void nqi_store_le64(uint8_t *p, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static inline void nqi_store_le(uint8_t *p, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

/* Bit patterns of floats: defined behaviour, no aliasing, one instruction. */
static inline uint32_t nqi_f32_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float nqi_f32_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint64_t nqi_f64_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double nqi_f64_from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Host-order loads at any alignment. */
static inline float nqi_load_f32(const void *p)
{
    float value;
    memcpy(&value, p, sizeof value);
    return value;
}

static inline uint16_t nqi_load_u16(const void *p)
{
    uint16_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static inline void nqi_store_f32(void *p, float value)
{
    memcpy(p, &value, sizeof value);
}

static inline void nqi_store_u16(void *p, uint16_t value)
{
    memcpy(p, &value, sizeof value);
}

#endif
