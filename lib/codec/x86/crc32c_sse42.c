/*
 * CRC-32C with SSE4.2's instruction: three lanes at once, one for what is left. Part of the
 * decoder.
 */
#include "codec/crc32c.h"

#include "nq/context.h"

#if NQI_X86

#include <assert.h>
#include <immintrin.h>

#include "base/bytes.h"

#if defined(__x86_64__)

/* Eight bytes a step. */
#define STEP 8u
typedef uint64_t word;

NQI_TARGET("sse4.2") static inline word step(word state, const uint8_t *bytes)
{
    return _mm_crc32_u64(state, nqi_load_le64(bytes));
}

#else

#define STEP 4u
typedef uint32_t word;

NQI_TARGET("sse4.2") static inline word step(word state, const uint8_t *bytes)
{
    return _mm_crc32_u32(state, nqi_load_le32(bytes));
}

#endif

static_assert(NQI_CRC32C_LANE % STEP == 0, "a lane is a whole number of steps");

NQI_TARGET("sse4.2")
static uint32_t crc32c_sse42(uint32_t state, const uint8_t *bytes, size_t n_bytes)
{
    word first = state;
    for (; n_bytes >= 3 * NQI_CRC32C_LANE; n_bytes -= 3 * NQI_CRC32C_LANE) {
        word second = 0, third = 0;
        for (size_t i = 0; i < NQI_CRC32C_LANE; i += STEP) {
            first = step(first, bytes + i);
            second = step(second, bytes + NQI_CRC32C_LANE + i);
            third = step(third, bytes + 2 * NQI_CRC32C_LANE + i);
        }
        const uint32_t both = nqi_crc32c_skip_lane((uint32_t)first) ^ (uint32_t)second;
        first = nqi_crc32c_skip_lane(both) ^ (uint32_t)third;
        bytes += 3 * NQI_CRC32C_LANE;
    }
    for (; n_bytes >= STEP; n_bytes -= STEP, bytes += STEP)
        first = step(first, bytes);
    uint32_t last = (uint32_t)first;
    for (; n_bytes > 0; n_bytes--, bytes++)
        last = _mm_crc32_u8(last, *bytes);
    return last;
}

nqi_crc32c_fn nqi_crc32c_x86(uint64_t cpu)
{
    return cpu & NQ_CPU_SSE42 ? crc32c_sse42 : NULL;
}

#else

nqi_crc32c_fn nqi_crc32c_x86(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
