/*
 * ARM: 64-bit processors all have NEON. Whether CRC32 instructions exist cannot be asked for
 * without the operating system, which the decoder does without, so a build has to say it
 * (-march=armv8-a+crc; compilers for Apple's machines always do).
 */
#include "base/common.h"
#include "cpu/detect.h"
#include "nq/context.h"

uint64_t nqi_cpu_detect_arm(void)
{
    uint64_t features = 0;
#if NQI_ARM64
    features |= NQ_CPU_NEON;
#if defined(__ARM_FEATURE_CRC32)
    features |= NQ_CPU_ARM_CRC;
#endif
#endif
    return features;
}
