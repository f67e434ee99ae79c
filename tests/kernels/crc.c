/*
 * Checksums: each kernel against the reference, for all lengths and alignments.
 */
#include "codec/crc32c.h"
#include "kernels.h"

static void time_kernel(nqi_crc32c_fn kernel, uint64_t cpu, const guarded *in)
{
    volatile uint32_t state = 0;
    if (kernel)
        TIME("CRC-32C of a byte", cpu, in->n_bytes, state = kernel(state, in->pages, in->n_bytes));
}

static void check_kernel(nqi_crc32c_fn kernel, uint64_t cpu, const guarded *in)
{
    for (size_t n = 0; kernel && n < in->n_bytes; n += n < 300 ? 1 : 1 + draw_below(61)) {
        const uint32_t state = (uint32_t)draw();
        const uint8_t *ends = guarded_end(in, n);
        CHECK(kernel(state, ends, n) == nqi_crc32c_ref(state, ends, n));
        const uint8_t *begins = in->pages + draw_below(in->n_bytes - n < 64 ? 1 : 64);
        CHECK(kernel(state, begins, n) == nqi_crc32c_ref(state, begins, n));
    }
    time_kernel(kernel, cpu, in);
}

void test_crc_kernels(void)
{
    uint64_t cpu;
    guarded in = guarded_make(8 * NQI_CRC32C_LANE);
    draw_bytes(in.pages, in.n_bytes);
    time_kernel(nqi_crc32c_ref, 0, &in);
    for (unsigned at = 0; next_cpu(&cpu, &at);) {
        check_kernel(nqi_crc32c_avx512(cpu), cpu, &in);
        check_kernel(nqi_crc32c_x86(cpu), cpu, &in);
        check_kernel(nqi_crc32c_arm(cpu), cpu, &in);
    }
    guarded_free(&in);
}
