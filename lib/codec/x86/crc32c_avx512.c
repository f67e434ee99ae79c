/*
 * CRC-32C with AVX-512 and VPCLMULQDQ: four vectors walk through one lane, multiplied by x^2048
 * modulo the polynomial at each step (Gopal et al., "Fast CRC Computation for Generic Polynomials
 * Using PCLMULQDQ Instruction", 2009), while SSE4.2's instruction, which has a unit of its own,
 * walks through three more. Part of the decoder.
 *
 * Registers are polynomials over GF(2) with the highest power in the lowest bit, which makes a
 * carry-less product come out times x.
 */
#include "codec/crc32c.h"

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>

#include "base/bytes.h"

#define TARGET NQI_TARGET("avx512f,vpclmulqdq,pclmul,sse4.2")

/* Bytes that a step takes: of the vectors' lane, of each other one, and together. */
#define WIDE   256u
#define NARROW 32u
#define STEP   (WIDE + 3 * NARROW)

/* ---- Moving on ----------------------------------------------------------------------------- */

/* The number of steps at once has so many bits. */
#define STEPS_LOG2 12u

/* x^(256 2^k - 33): a product with it, reduced, moves a register on by 2^k times NARROW bytes. */
static const uint32_t narrow_powers[STEPS_LOG2] = {
    0xba4fc28eu, 0x9e4addf8u, 0x0d3b6092u, 0xb9e02b86u, 0xdd7e3b0cu, 0x170076fau,
    0xa51b6135u, 0x82f89c77u, 0x54a86326u, 0x1dc403ccu, 0x5ae703abu, 0xc5013a36u};

/* a b x^33 modulo the polynomial: one x comes from the product, the rest from the instruction. */
TARGET NQI_INLINE uint32_t multiply(uint32_t a, uint32_t b)
{
    const __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)a), _mm_cvtsi32_si128((int)b), 0);
    return (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* What moves a register on by a lane of n_steps times NARROW bytes. */
TARGET NQI_INLINE uint32_t lane_power(size_t n_steps)
{
    unsigned k = NQI_CTZ64(n_steps);
    uint32_t power = narrow_powers[k];
    for (k++; k < STEPS_LOG2; k++)
        if (n_steps >> k & 1)
            power = multiply(power, narrow_powers[k]);
    return power;
}

/* What moves the first and the second eight of sixteen bytes on: x^(d + 63) and x^(d - 1) for d
 * bits, as polynomials of 64 coefficients. */
#define MOVE_2048 (long long)UINT64_C(0x1426a81500000000), (long long)UINT64_C(0xe9a5d8be00000000)
#define MOVE_512  (long long)UINT64_C(0x75bba45b00000000), (long long)UINT64_C(0x1c19243b00000000)
#define MOVE_384  (long long)UINT64_C(0x6051243f00000000), (long long)UINT64_C(0xa46ef4aa00000000)
#define MOVE_256  (long long)UINT64_C(0xa2158b3400000000), (long long)UINT64_C(0x33ccbbbc00000000)
#define MOVE_128  (long long)UINT64_C(0x3171d43000000000), (long long)UINT64_C(0x3743f7bd00000000)

/* v, moved on, and what it meets there. */
TARGET NQI_INLINE __m512i fold(__m512i v, __m512i move, __m512i there)
{
    return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(v, move, 0x00),
                                     _mm512_clmulepi64_epi128(v, move, 0x11), there,
                                     0x96); /* the sum of three */
}

/* The register behind four vectors. */
TARGET NQI_INLINE uint32_t reduce(const __m512i v[4])
{
    const __m512i move = _mm512_set_epi64(MOVE_512, MOVE_512, MOVE_512, MOVE_512);
    const __m512i last = fold(fold(fold(v[0], move, v[1]), move, v[2]), move, v[3]);
    const __m512i ends = _mm512_maskz_mov_epi64(0xc0, last);
    const __m512i sums = fold(last, _mm512_set_epi64(0, 0, MOVE_128, MOVE_256, MOVE_384), ends);
    const __m256i half =
        _mm256_xor_si256(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
    const __m128i all =
        _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    const uint64_t first = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(all));
    return (uint32_t)_mm_crc32_u64(first, (uint64_t)_mm_extract_epi64(all, 1));
}

/* ---- Steps --------------------------------------------------------------------------------- */

TARGET NQI_INLINE void step_narrow(uint64_t states[3], const uint8_t *bytes, size_t lane)
{
    for (unsigned i = 0; i < NARROW; i += 8)
        for (unsigned k = 0; k < 3; k++)
            states[k] = _mm_crc32_u64(states[k], nqi_load_le64(bytes + k * lane + i));
}

/* n_steps times STEP bytes. */
TARGET static uint32_t crc32c_steps(uint32_t state, const uint8_t *bytes, size_t n_steps)
{
    const __m512i move = _mm512_set_epi64(MOVE_2048, MOVE_2048, MOVE_2048, MOVE_2048);
    const size_t lane = n_steps * NARROW;
    const uint8_t *narrow = bytes + n_steps * WIDE;
    const uint32_t power = lane_power(n_steps);
    uint64_t states[3] = {0, 0, 0};
    __m512i v[4];
    for (unsigned k = 0; k < 4; k++)
        v[k] = _mm512_loadu_si512(bytes + 64 * k);
    v[0] = _mm512_xor_si512(v[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)state)));
    step_narrow(states, narrow, lane);
    for (size_t i = 1; i < n_steps; i++) {
        for (unsigned k = 0; k < 4; k++)
            v[k] = fold(v[k], move, _mm512_loadu_si512(bytes + i * WIDE + 64 * k));
        step_narrow(states, narrow + i * NARROW, lane);
    }
    state = reduce(v);
    for (unsigned k = 0; k < 3; k++)
        state = multiply(state, power) ^ (uint32_t)states[k];
    return state;
}

TARGET static uint32_t crc32c_avx512(uint32_t state, const uint8_t *bytes, size_t n_bytes)
{
    while (n_bytes >= STEP) {
        const size_t n_steps = NQI_MIN(n_bytes / STEP, ((size_t)1 << STEPS_LOG2) - 1);
        state = crc32c_steps(state, bytes, n_steps);
        bytes += n_steps * STEP;
        n_bytes -= n_steps * STEP;
    }
    for (; n_bytes >= 8; n_bytes -= 8, bytes += 8)
        state = (uint32_t)_mm_crc32_u64(state, nqi_load_le64(bytes));
    for (; n_bytes > 0; n_bytes--, bytes++)
        state = _mm_crc32_u8(state, *bytes);
    return state;
}

nqi_crc32c_fn nqi_crc32c_avx512(uint64_t cpu)
{
    const uint64_t wanted = NQ_CPU_SSE42 | NQ_CPU_AVX512 | NQ_CPU_VPCLMUL;
    return (cpu & wanted) == wanted ? crc32c_avx512 : NULL;
}

#else

nqi_crc32c_fn nqi_crc32c_avx512(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
