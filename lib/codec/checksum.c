/*
 * CRC-32C: chooses the kernel at the first call and keeps it in an atomic; threads that come at the
 * same time all choose the same. Part of the decoder.
 */
#include "codec/checksum.h"

#include <stdatomic.h>

#include "codec/crc32c.h"
#include "cpu/cpu.h"

static nqi_crc32c_fn choose(void)
{
    const uint64_t cpu = nqi_cpu_features();
    const nqi_crc32c_fn avx512 = nqi_crc32c_avx512(cpu);
    const nqi_crc32c_fn x86 = nqi_crc32c_x86(cpu);
    const nqi_crc32c_fn arm = nqi_crc32c_arm(cpu);
    return avx512 ? avx512 : x86 ? x86 : arm ? arm : nqi_crc32c_ref;
}

uint32_t nqi_crc32c(uint32_t crc, const void *bytes, size_t n_bytes)
{
    static _Atomic(nqi_crc32c_fn) chosen;
    nqi_crc32c_fn kernel = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (NQI_UNLIKELY(!kernel)) {
        kernel = choose();
        atomic_store_explicit(&chosen, kernel, memory_order_relaxed);
    }
    return ~kernel(~crc, bytes, n_bytes);
}
