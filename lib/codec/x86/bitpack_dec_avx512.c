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
#include <stdalign.h>

#define TARGET NQI_TARGET("avx512f,avx512bw,avx512vl,avx512vbmi")

typedef struct plan {
    __m512i window; /* for each byte of the output's quadwords, which one of the input */
    __m512i shifts;
    __m512i mask;
    __mmask64 there; /* the input */
} plan;

/* Of numbers that become `size` bytes each. */
TARGET static plan make_plan(unsigned width, unsigned size)
{
    alignas(64) uint8_t window[64], shifts[64];
    const unsigned in_quad = 8 / size;
    for (unsigned i = 0; i < 64; i++) {
        const unsigned first = i / 8 * in_quad * width; /* bit of its quadword */
        window[i] = (uint8_t)(first / 8 + i % 8);
        shifts[i] = (uint8_t)((first % 8 + i % 8 / size * width + i % size * 8) % 64);
    }
    const unsigned n_bytes = 64 / size * width / 8;
    return (plan){.window = _mm512_load_si512(window),
                  .shifts = _mm512_load_si512(shifts),
                  .mask = size == 1 ? _mm512_set1_epi8((char)((1u << width) - 1))
                                    : _mm512_set1_epi16((short)((1u << width) - 1)),
                  .there = n_bytes < 64 ? ((__mmask64)1 << n_bytes) - 1 : ~(__mmask64)0};
}

TARGET NQI_INLINE __m512i unpack(const plan *p, const uint8_t *bytes)
{
    const __m512i packed = _mm512_maskz_loadu_epi8(p->there, bytes);
    const __m512i windows = _mm512_permutexvar_epi8(p->window, packed);
    return _mm512_and_si512(_mm512_multishift_epi64_epi8(p->shifts, windows), p->mask);
}

TARGET static void unpack_u8(uint8_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    const plan p = make_plan(width, 1);
    for (; n >= 64; n -= 64, out += 64, bytes += 8 * width)
        _mm512_storeu_si512(out, unpack(&p, bytes));
    nqi_unpack_u8(out, bytes, n, width);
}

/* Numbers of a byte each, made wider. */
TARGET static void unpack_narrow(uint16_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    const plan p = make_plan(width, 1);
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
    const plan p = make_plan(width, 2);
    for (; n >= 32; n -= 32, out += 32, bytes += 4 * width)
        _mm512_storeu_si512(out, unpack(&p, bytes));
    nqi_unpack_u16(out, bytes, n, width);
}

const nqi_unpack_kernels *nqi_unpack_kernels_avx512(uint64_t cpu)
{
    static const nqi_unpack_kernels kernels = {.u16 = unpack_u16, .u8 = unpack_u8};
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
