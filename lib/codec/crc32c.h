/*
 * CRC-32C's kernels. Each takes and returns the register itself, without the inversions before and
 * after, so that they can continue each other.
 *
 * Part of the decoder.
 */
#ifndef NQI_CRC32C_H
#define NQI_CRC32C_H

#include "base/common.h"

typedef uint32_t (*nqi_crc32c_fn)(uint32_t state, const uint8_t *bytes, size_t n_bytes);

uint32_t nqi_crc32c_ref(uint32_t state, const uint8_t *bytes, size_t n_bytes);

/* NULL where the CPU, as described by its NQ_CPU_* features, has no instruction for it. */
nqi_crc32c_fn nqi_crc32c_avx512(uint64_t cpu);
nqi_crc32c_fn nqi_crc32c_x86(uint64_t cpu);
nqi_crc32c_fn nqi_crc32c_arm(uint64_t cpu);

/* x ^ (0 or each of the others): the XORs of all subsets, in the order of their bit masks. */
#define NQI_XOR1(x, a)          (x), (x) ^ (a)
#define NQI_XOR2(x, a, b)       NQI_XOR1(x, a), NQI_XOR1((x) ^ (b), a)
#define NQI_XOR3(x, a, b, c)    NQI_XOR2(x, a, b), NQI_XOR2((x) ^ (c), a, b)
#define NQI_XOR4(x, a, b, c, d) NQI_XOR3(x, a, b, c), NQI_XOR3((x) ^ (d), a, b, c)

/*
 * The instructions take three cycles each but can start in every cycle, so the kernels walk through
 * three lanes of this many bytes at once; then the lane's register moves over the next one's bytes.
 */
#define NQI_CRC32C_LANE 1024u

/* What a register becomes after NQI_CRC32C_LANE zero bytes. The map is linear: each row of the
 * table holds the images of four bits' subsets; the unit test derives them anew. */
static inline uint32_t nqi_crc32c_skip_lane(uint32_t state)
{
    static const uint32_t images[8][16] = {
        {NQI_XOR4(0u, 0xfe314258u, 0xf98ef241u, 0xf6f19273u, 0xe80f5217u)},
        {NQI_XOR4(0u, 0xd5f2d2dfu, 0xae09d34fu, 0x59ffd06fu, 0xb3ffa0deu)},
        {NQI_XOR4(0u, 0x6213374du, 0xc4266e9au, 0x8da0abc5u, 0x1ead217bu)},
        {NQI_XOR4(0u, 0x3d5a42f6u, 0x7ab485ecu, 0xf5690bd8u, 0xef3e6141u)},
        {NQI_XOR4(0u, 0xdb90b473u, 0xb2cd1e17u, 0x60764adfu, 0xc0ec95beu)},
        {NQI_XOR4(0u, 0x84355d8du, 0x0d86cdebu, 0x1b0d9bd6u, 0x361b37acu)},
        {NQI_XOR4(0u, 0x6c366f58u, 0xd86cdeb0u, 0xb535cb91u, 0x6f87e1d3u)},
        {NQI_XOR4(0u, 0xdf0fc3a6u, 0xbbf3f1bdu, 0x720b958bu, 0xe4172b16u)},
    };
    uint32_t image = 0;
    for (unsigned i = 0; i < 8; i++)
        image ^= images[i][(state >> (4 * i)) & 15];
    return image;
}

#endif
