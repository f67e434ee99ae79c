/*
 * Unpacking numbers of equal width with AVX-512 VBMI: each quadword of the output takes the eight
 * bytes that its numbers lie in from a permutation, and each of its bytes eight bits from any place
 * of them. Part of the decoder.
 */
#include "codec/bitpack_dec.h"
#include "codec/bits_fmt.h"

#include "nq/context.h"

#if NQI_X86 && defined(__x86_64__)

#include <immintrin.h>

#define TARGET NQI_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")

typedef struct plan {
    __m512i window; /* for each byte of the output's quadwords, which one of the input */
    __m512i shifts;
    __m512i mask;
    __mmask64 there; /* the input */
} plan;

/* Once for each byte of a quadword: the same; and the byte's place. Products below have no carry.
 */
#define EACH  UINT64_C(0x0101010101010101)
#define PLACE UINT64_C(0x0706050403020100)

TARGET NQI_INLINE __m512i set_all(uint64_t quad)
{
    return _mm512_set1_epi64((long long)quad);
}

/* Of numbers that become a byte each: quadword q begins at byte q width. */
TARGET NQI_INLINE plan make_plan_u8(unsigned width)
{
    const __m512i q = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    return (plan){
        .window = _mm512_add_epi64(_mm512_mullo_epi64(q, set_all(EACH * width)), set_all(PLACE)),
        .shifts = set_all(PLACE * width),
        .mask = _mm512_set1_epi8((char)((1u << width) - 1)),
        .there = width < 8 ? ((__mmask64)1 << (8 * width)) - 1 : ~(__mmask64)0};
}

/* Of numbers that become two bytes each: quadword q begins at half byte q width. */
TARGET NQI_INLINE plan make_plan_u16(unsigned width)
{
    const __m512i q = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i halves = _mm512_mullo_epi64(q, set_all(width));
    const __m512i bytes = _mm512_srli_epi64(halves, 1);
    const __m512i bits = _mm512_slli_epi64(_mm512_and_si512(halves, set_all(1)), 2);
    const uint64_t numbers = UINT64_C(0x0303020201010000), second = UINT64_C(0x0800080008000800);
    return (plan){.window =
                      _mm512_add_epi64(_mm512_mullo_epi64(bytes, set_all(EACH)), set_all(PLACE)),
                  .shifts = _mm512_add_epi64(_mm512_mullo_epi64(bits, set_all(EACH)),
                                             set_all(numbers * width + second)),
                  .mask = _mm512_set1_epi16((short)((1u << width) - 1)),
                  .there = width < 16 ? ((__mmask64)1 << (4 * width)) - 1 : ~(__mmask64)0};
}

TARGET NQI_INLINE __m512i unpack(const plan *p, const uint8_t *bytes)
{
    const __m512i packed = _mm512_maskz_loadu_epi8(p->there, bytes);
    const __m512i windows = _mm512_permutexvar_epi8(p->window, packed);
    return _mm512_and_si512(_mm512_multishift_epi64_epi8(p->shifts, windows), p->mask);
}

TARGET static void unpack_u8(uint8_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    const plan p = make_plan_u8(width);
    for (; n >= 64; n -= 64, out += 64, bytes += 8 * width)
        _mm512_storeu_si512(out, unpack(&p, bytes));
    nqi_unpack_u8(out, bytes, n, width);
}

TARGET static size_t join_u8(uint8_t *out, uint8_t *largest, const uint8_t *upper,
                             const uint8_t *bytes, size_t n, unsigned width)
{
    const plan p = make_plan_u8(width);
    const __m128i shift = _mm_cvtsi32_si128((int)width);
    const __m512i above = _mm512_set1_epi8((char)(0xff << width));
    __m512i most = _mm512_setzero_si512();
    uint8_t each[64];
    size_t i = 0;
    for (; i + 64 <= n; i += 64, bytes += 8 * width) {
        const __m512i moved = _mm512_sll_epi16(_mm512_loadu_si512(upper + i), shift);
        /* (moved & above) | numbers is 0xea */
        const __m512i now = _mm512_ternarylogic_epi64(moved, above, unpack(&p, bytes), 0xea);
        _mm512_storeu_si512(out + i, now);
        most = _mm512_max_epu8(most, now);
    }
    _mm512_storeu_si512(each, most);
    for (unsigned k = 0; k < 64; k++)
        *largest = NQI_MAX(*largest, each[k]);
    return i;
}

/* Numbers of a byte each, made wider. */
TARGET static void unpack_narrow(uint16_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    const plan p = make_plan_u8(width);
    for (; n >= 64; n -= 64, out += 64, bytes += 8 * width) {
        const __m512i numbers = unpack(&p, bytes);
        _mm512_storeu_si512(out, _mm512_cvtepu8_epi16(_mm512_castsi512_si256(numbers)));
        _mm512_storeu_si512(out + 32, _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(numbers, 1)));
    }
    nqi_unpack_u16(out, bytes, n, width);
}

TARGET static void unpack_u16(uint16_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    if (width <= 8) {
        unpack_narrow(out, bytes, n, width);
        return;
    }
    const plan p = make_plan_u16(width);
    for (; n >= 32; n -= 32, out += 32, bytes += 4 * width)
        _mm512_storeu_si512(out, unpack(&p, bytes));
    nqi_unpack_u16(out, bytes, n, width);
}

const nqi_unpack_kernels *nqi_unpack_kernels_avx512(uint64_t cpu)
{
    static const nqi_unpack_kernels kernels = {
        .u16 = unpack_u16, .u8 = unpack_u8, .join_u8 = join_u8};
    const uint64_t wanted = NQ_CPU_AVX2 | NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2;
    return (cpu & wanted) == wanted ? &kernels : NULL;
}

#else

const nqi_unpack_kernels *nqi_unpack_kernels_avx512(uint64_t cpu)
{
    (void)cpu;
    return NULL;
}

#endif
