/*
 * x86: what CPUID says the processor has, and XGETBV says the operating system saves. Bit numbers
 * are those of the Intel Software Developer's Manual, volume 2, CPUID.
 */
#include "base/common.h"
#include "cpu/detect.h"
#include "nq/context.h"

#if NQI_X86

#include <cpuid.h>
#include <immintrin.h>

static bool has(uint32_t word, unsigned bit)
{
    return (word >> bit) & 1;
}

/* The registers that the operating system saves; only after OSXSAVE was seen. */
NQI_TARGET("xsave") static uint64_t saved_registers(void)
{
    return (uint64_t)_xgetbv(0); /* signed in some compilers */
}

typedef struct leaves {
    uint32_t ecx1; /* leaf 1 */
    uint32_t ebx7; /* leaf 7, subleaf 0 */
    uint32_t ecx7;
    uint32_t ecx_ext1; /* leaf 0x80000001 */
    uint64_t xcr0;
} leaves;

static leaves read_leaves(void)
{
    leaves l = {0};
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d))
        l.ecx1 = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        l.ebx7 = b;
        l.ecx7 = c;
    }
    if (__get_cpuid(0x80000001u, &a, &b, &c, &d))
        l.ecx_ext1 = c;
    if (has(l.ecx1, 27)) /* OSXSAVE */
        l.xcr0 = saved_registers();
    return l;
}

static bool has_avx2(const leaves *l)
{
    const bool fma = has(l->ecx1, 12), avx = has(l->ecx1, 28), f16c = has(l->ecx1, 29);
    const bool bmi1 = has(l->ebx7, 3), avx2 = has(l->ebx7, 5), bmi2 = has(l->ebx7, 8);
    const bool lzcnt = has(l->ecx_ext1, 5);
    const bool saved = (l->xcr0 & 0x06) == 0x06; /* XMM and YMM */
    return fma && avx && f16c && bmi1 && avx2 && bmi2 && lzcnt && saved;
}

static bool has_avx512(const leaves *l)
{
    const bool f = has(l->ebx7, 16), dq = has(l->ebx7, 17), bw = has(l->ebx7, 30);
    const bool vl = has(l->ebx7, 31);
    const bool saved = (l->xcr0 & 0xe6) == 0xe6; /* and masks, upper halves, upper sixteen */
    return f && dq && bw && vl && saved;
}

uint64_t nqi_cpu_detect_x86(void)
{
    const leaves l = read_leaves();
    uint64_t features = 0;
    if (!has(l.ecx1, 20) || !has(l.ecx1, 23)) /* SSE4.2; compilers take POPCNT to come with it */
        return features;
    features |= NQ_CPU_SSE42;
    if (!has_avx2(&l))
        return features;
    features |= NQ_CPU_AVX2;
    if (!has_avx512(&l))
        return features;
    features |= NQ_CPU_AVX512;
    if (has(l.ecx7, 1) && has(l.ecx7, 6) && has(l.ecx7, 14)) /* VBMI, VBMI2, VPOPCNTDQ */
        features |= NQ_CPU_AVX512VBMI2;
    if (has(l.ecx1, 1) && has(l.ecx7, 10)) /* PCLMULQDQ, VPCLMULQDQ */
        features |= NQ_CPU_VPCLMUL;
    return features;
}

#else

uint64_t nqi_cpu_detect_x86(void)
{
    return 0;
}

#endif
