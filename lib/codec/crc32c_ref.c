/*
 * CRC-32C in plain C: one table for a byte at a time where size matters (-Os), or eight for eight
 * bytes at a time (Kounavis and Berry, "Novel Table Lookup-Based Algorithms for High-Performance
 * CRC Generation", 2008). Part of the decoder.
 */
#include "codec/crc32c.h"

#include "base/bytes.h"

#ifndef NQI_CRC32C_SLICES
#ifdef __OPTIMIZE_SIZE__
#define NQI_CRC32C_SLICES 1
#else
#define NQI_CRC32C_SLICES 8
#endif
#endif

#define XOR5(x, a, b, c, d, e)       NQI_XOR4(x, a, b, c, d), NQI_XOR4((x) ^ (e), a, b, c, d)
#define XOR6(x, a, b, c, d, e, f)    XOR5(x, a, b, c, d, e), XOR5((x) ^ (f), a, b, c, d, e)
#define XOR7(x, a, b, c, d, e, f, g) XOR6(x, a, b, c, d, e, f), XOR6((x) ^ (g), a, b, c, d, e, f)
#define XOR8(x, a, b, c, d, e, f, g, h)                                                            \
    XOR7(x, a, b, c, d, e, f, g), XOR7((x) ^ (h), a, b, c, d, e, f, g)

/* tables[k][byte]: what the byte becomes when k zero bytes follow. The eight numbers of a row are
 * those of its eight bits: 1 << bit after 8 (k + 1) steps of the register. */
static const uint32_t tables[NQI_CRC32C_SLICES][256] = {
    {XOR8(0u, 0xf26b8303u, 0xe13b70f7u, 0xc79a971fu, 0x8ad958cfu, 0x105ec76fu, 0x20bd8edeu,
          0x417b1dbcu, 0x82f63b78u)},
#if NQI_CRC32C_SLICES == 8
    {XOR8(0u, 0x13a29877u, 0x274530eeu, 0x4e8a61dcu, 0x9d14c3b8u, 0x3fc5f181u, 0x7f8be302u,
          0xff17c604u, 0xfbc3faf9u)},
    {XOR8(0u, 0xa541927eu, 0x4f6f520du, 0x9edea41au, 0x38513ec5u, 0x70a27d8au, 0xe144fb14u,
          0xc76580d9u, 0x8b277743u)},
    {XOR8(0u, 0xdd45aab8u, 0xbf672381u, 0x7b2231f3u, 0xf64463e6u, 0xe964b13du, 0xd725148bu,
          0xaba65fe7u, 0x52a0c93fu)},
    {XOR8(0u, 0x38116facu, 0x7022df58u, 0xe045beb0u, 0xc5670b91u, 0x8f2261d3u, 0x1ba8b557u,
          0x37516aaeu, 0x6ea2d55cu)},
    {XOR8(0u, 0xef306b19u, 0xdb8ca0c3u, 0xb2f53777u, 0x6006181fu, 0xc00c303eu, 0x85f4168du,
          0x0e045bebu, 0x1c08b7d6u)},
    {XOR8(0u, 0x68032cc8u, 0xd0065990u, 0xa5e0c5d1u, 0x4e2dfd53u, 0x9c5bfaa6u, 0x3d5b83bdu,
          0x7ab7077au, 0xf56e0ef4u)},
    {XOR8(0u, 0x493c7d27u, 0x9278fa4eu, 0x211d826du, 0x423b04dau, 0x847609b4u, 0x0d006599u,
          0x1a00cb32u, 0x34019664u)},
#endif
};

uint32_t nqi_crc32c_ref(uint32_t state, const uint8_t *bytes, size_t n_bytes)
{
#if NQI_CRC32C_SLICES == 8
    for (; n_bytes >= 8; n_bytes -= 8, bytes += 8) {
        const uint32_t low = nqi_load_le32(bytes) ^ state;
        const uint32_t high = nqi_load_le32(bytes + 4);
        state = tables[7][low & 255] ^ tables[6][(low >> 8) & 255] ^ tables[5][(low >> 16) & 255] ^
                tables[4][low >> 24] ^ tables[3][high & 255] ^ tables[2][(high >> 8) & 255] ^
                tables[1][(high >> 16) & 255] ^ tables[0][high >> 24];
    }
#endif
    for (; n_bytes > 0; n_bytes--, bytes++)
        state = (state >> 8) ^ tables[0][(state ^ *bytes) & 255];
    return state;
}
