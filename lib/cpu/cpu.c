/*
 * CPU features, found out at the first question and kept in one atomic word: threads that ask at
 * the same time all store the same value. No constructor and no lock, so that it works anywhere.
 */
#include "cpu/cpu.h"

#include <assert.h>
#include <stdatomic.h>

#include "cpu/detect.h"
#include "nq/context.h"

/* 32 bits, because 64-bit atomics need a helper library on small machines. */
#define KNOWN (UINT32_C(1) << 31)
static_assert(NQ_CPU_ARM_CRC < KNOWN, "all features fit beside the mark");

uint64_t nqi_cpu_features(void)
{
    static atomic_uint_least32_t cached;
    uint_least32_t features = atomic_load_explicit(&cached, memory_order_relaxed);
    if (features == 0) {
        features = (uint_least32_t)(nqi_cpu_detect_x86() | nqi_cpu_detect_arm()) | KNOWN;
        atomic_store_explicit(&cached, features, memory_order_relaxed);
    }
    return features & ~KNOWN;
}
