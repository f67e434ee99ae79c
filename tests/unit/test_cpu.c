/*
 * CPU features against what the compiler's own run-time library finds, where there is one.
 */
#include "cpu/cpu.h"
#include "unit.h"

#include "base/common.h"
#include "nq/context.h"

static void test_same_answer_again(void **state)
{
    (void)state;
    const uint64_t features = nqi_cpu_features();
    assert_true(nqi_cpu_features() == features);
    assert_true(nq_cpu_features() == features);
}

/* Kernels take a feature to bring those below it. */
static void test_features_imply_lower_ones(void **state)
{
    (void)state;
    const uint64_t ladder[] = {NQ_CPU_SSE42, NQ_CPU_AVX2, NQ_CPU_AVX512, NQ_CPU_AVX512VBMI2};
    const uint64_t features = nqi_cpu_features();
    for (size_t i = 1; i < NQI_COUNT(ladder); i++)
        if (features & ladder[i])
            assert_true(features & ladder[i - 1]);
    if (features & NQ_CPU_VPCLMUL)
        assert_true(features & NQ_CPU_AVX512);
    const uint64_t x86 =
        NQ_CPU_SSE42 | NQ_CPU_AVX2 | NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2 | NQ_CPU_VPCLMUL;
    const uint64_t arm = NQ_CPU_NEON | NQ_CPU_ARM_CRC;
    assert_true(!(features & x86) || !(features & arm));
    assert_true((features & ~(x86 | arm)) == 0);
}

#if NQI_X86
static void test_against_compiler(void **state)
{
    (void)state;
    const uint64_t features = nqi_cpu_features();
    __builtin_cpu_init();
    const bool sse42 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    const bool avx2 = sse42 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                      __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    const bool vbmi2 = avx512 && __builtin_cpu_supports("avx512vbmi") &&
                       __builtin_cpu_supports("avx512vbmi2") &&
                       __builtin_cpu_supports("avx512vpopcntdq");
    const bool vpclmul =
        avx512 && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("vpclmulqdq");
    assert_int_equal((features & NQ_CPU_SSE42) != 0, sse42);
    assert_int_equal((features & NQ_CPU_AVX2) != 0, avx2);
    assert_int_equal((features & NQ_CPU_AVX512) != 0, avx512);
    assert_int_equal((features & NQ_CPU_AVX512VBMI2) != 0, vbmi2);
    assert_int_equal((features & NQ_CPU_VPCLMUL) != 0, vpclmul);
}
#else
static void test_against_compiler(void **state)
{
    (void)state;
    assert_int_equal((nqi_cpu_features() & NQ_CPU_NEON) != 0, NQI_ARM64);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_answer_again),
        cmocka_unit_test(test_features_imply_lower_ones),
        cmocka_unit_test(test_against_compiler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
