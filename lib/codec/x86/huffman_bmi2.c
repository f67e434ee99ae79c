/*
 * The Huffman loop with BMI2's shifts, which take their count from any register and leave the flags
 * alone. Part of the decoder.
 */
#include "codec/huffman_loop.h"
#include "nq/context.h"

#if NQI_X86

NQI_TARGET("bmi,bmi2,lzcnt")
static bool run4_bmi2(nqi_huffman_lane *lanes, const nqi_huffman_code *code, size_t n,
                      uintptr_t place)
{
    return nqi_huffman_run4_loop(lanes, code, n, place);
}

NQI_TARGET("bmi,bmi2,lzcnt")
static bool run1_bmi2(nqi_huffman_lane *lanes, const nqi_huffman_code *code, size_t n,
                      uintptr_t place)
{
    return nqi_huffman_run1_loop(lanes, code, n, place);
}

const nqi_huffman_kernels *nqi_huffman_kernels_x86(uint64_t cpu)
{
    static const nqi_huffman_kernels kernels = {.run4 = run4_bmi2, .run1 = run1_bmi2};
    return cpu & NQ_CPU_AVX2 ? &kernels : NULL; /* comes with BMI2 and LZCNT: see nq/context.h */
}

#else

const nqi_huffman_kernels *nqi_huffman_kernels_x86(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
