/*
 * The compiler's dialect in one place: attributes and hints, each with a plain C11 fallback. No
 * other file of the library uses a compiler extension, intrinsics headers of kernels excepted.
 */
#ifndef NQI_COMMON_H
#define NQI_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * -DNQI_SMALLEST: the decoder for little memory. Nothing that one kind of processor has, no
 * function in more copies than one, fixed-length and Huffman codes only, and of those the small
 * tables.
 */
#ifdef NQI_SMALLEST
#define NQI_IS_SMALLEST 1
#else
#define NQI_IS_SMALLEST 0
#endif

#if defined(__GNUC__) || defined(__clang__)
#define NQI_LIKELY(x)   __builtin_expect(!!(x), 1)
#define NQI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NQI_NOINLINE    __attribute__((noinline))
#ifdef NQI_SMALLEST
#define NQI_INLINE static inline __attribute__((unused))
#else
#define NQI_INLINE static inline __attribute__((always_inline))
#endif
#define NQI_TARGET(features) __attribute__((target(features)))
#define NQI_MUST_CHECK       __attribute__((warn_unused_result))
#define NQI_PREFETCH(p)      __builtin_prefetch(p)
#define NQI_CLZ64(x)         ((unsigned)__builtin_clzll(x)) /* zeros above the highest 1 of x, not 0 */
#define NQI_CTZ64(x)         ((unsigned)__builtin_ctzll(x)) /* zeros below the lowest one */
#else
#define NQI_LIKELY(x)   (x)
#define NQI_UNLIKELY(x) (x)
#define NQI_NOINLINE
#define NQI_INLINE static inline
#define NQI_TARGET(features)
#define NQI_MUST_CHECK
#define NQI_PREFETCH(p) ((void)(p))
static inline unsigned nqi_clz64(uint64_t x)
{
    unsigned n = 0;
    while (!(x >> 63)) {
        x <<= 1;
        n++;
    }
    return n;
}
#define NQI_CLZ64(x)    nqi_clz64(x)
#define NQI_CTZ64(x)    (63 - nqi_clz64((x) & (0 - (x))))
#endif

#if !NQI_IS_SMALLEST && (defined(__GNUC__) || defined(__clang__)) &&                               \
    (defined(__x86_64__) || defined(__i386__))
#define NQI_X86 1
/* Keeps a vector that was loaded in a register: the load becomes part of no other instruction. */
#define NQI_KEEP_VECTOR(v) __asm__("" : "+v"(v))
#else
#define NQI_X86 0
#endif
#if !NQI_IS_SMALLEST && (defined(__GNUC__) || defined(__clang__)) && defined(__aarch64__) &&       \
    !defined(__AARCH64EB__)
#define NQI_ARM64 1
#else
#define NQI_ARM64 0
#endif

#define NQI_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NQI_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define NQI_MAX(a, b)    ((a) > (b) ? (a) : (b))

/* Hands a failure on to the caller. */
#define NQI_TRY(call)                                                                              \
    do {                                                                                           \
        const nq_status nqi_try_status_ = (call);                                                  \
        if (NQI_UNLIKELY(nqi_try_status_ != NQ_OK))                                                \
            return nqi_try_status_;                                                                \
    } while (0)

#endif
