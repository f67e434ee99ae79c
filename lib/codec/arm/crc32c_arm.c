/*
 * CRC-32C with the instructions of 64-bit ARM, where the build says that they are there (see
 * cpu_arm.c): three lanes at once, one for what is left. Part of the decoder.
 */
#include "codec/crc32c.h"

#include "nq/context.h"

#if NQI_ARM64 && defined(__ARM_FEATURE_CRC32)

#include <arm_acle.h>
#include <assert.h>

#include "base/bytes.h"

static_assert(NQI_CRC32C_LANE % 8 == 0, "a lane is a whole number of steps");

static uint32_t crc32c_arm(uint32_t state, const uint8_t *bytes, size_t n_bytes)
{
    for (; n_bytes >= 3 * NQI_CRC32C_LANE; n_bytes -= 3 * NQI_CRC32C_LANE) {
        uint32_t second = 0, third = 0;
        for (size_t i = 0; i < NQI_CRC32C_LANE; i += 8) {
            state = __crc32cd(state, nqi_load_le64(bytes + i));
            second = __crc32cd(second, nqi_load_le64(bytes + NQI_CRC32C_LANE + i));
            third = __crc32cd(third, nqi_load_le64(bytes + 2 * NQI_CRC32C_LANE + i));
        }
        state = nqi_crc32c_skip_lane(nqi_crc32c_skip_lane(state) ^ second) ^ third;
        bytes += 3 * NQI_CRC32C_LANE;
    }
    for (; n_bytes >= 8; n_bytes -= 8, bytes += 8)
        state = __crc32cd(state, nqi_load_le64(bytes));
    for (; n_bytes > 0; n_bytes--, bytes++)
        state = __crc32cb(state, *bytes);
    return state;
}

nqi_crc32c_fn nqi_crc32c_arm(uint64_t cpu)
{
    return cpu & NQ_CPU_ARM_CRC ? crc32c_arm : NULL;
}

#else

nqi_crc32c_fn nqi_crc32c_arm(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
