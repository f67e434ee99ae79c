/*
 * Unpacking numbers of equal width. Eight of them take `width` bytes, so groups of eight begin at
 * whole bytes; within a machine word all numbers of a group move to their lanes at once, halves
 * first, then quarters, then eighths. Part of the decoder.
 */
#include "codec/bitpack_dec.h"

#include "base/bytes.h"
#include "codec/bits_fmt.h"
#include "codec/word.h"

#define GROUP 8u

static uint64_t ones(unsigned bits)
{
    return (UINT64_C(1) << bits) - 1;
}

/* ---- Widths up to 8, into bytes ------------------------------------------------------------ */

/* One step: the upper half of the fields in each lane moves up by `shift`. */
NQI_INLINE uint64_t move_up(uint64_t word, uint64_t low, unsigned distance, unsigned shift)
{
    return (word & low) | ((word << shift) & (low << distance));
}

typedef struct spread8 {
    uint64_t four; /* masks of what stays in place */
    uint64_t two;
    uint64_t one;
    unsigned width;
} spread8;

static spread8 make_spread8(unsigned width)
{
    return (spread8){.four = ones(4 * width),
                     .two = ones(2 * width) * UINT64_C(0x0000000100000001),
                     .one = ones(width) * UINT64_C(0x0001000100010001),
                     .width = width};
}

/* Eight fields of s->width bits become eight bytes. */
NQI_INLINE uint64_t spread_to_bytes(uint64_t word, const spread8 *s)
{
    word = move_up(word, s->four, 32, 32 - 4 * s->width);
    word = move_up(word, s->two, 16, 16 - 2 * s->width);
    return move_up(word, s->one, 8, 8 - s->width);
}

/* Eight bits become eight bytes: each copy of the bits keeps one, which carries into the highest
 * of its byte. */
NQI_INLINE uint64_t spread_bits(unsigned bits)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    const uint64_t kept = bits * each & UINT64_C(0x8040201008040201);
    return (kept + 0x7f * each) >> 7 & each;
}

static void unpack_bits(uint8_t *out, const uint8_t *bytes, size_t n)
{
    for (; n >= GROUP; n -= GROUP, out += GROUP)
        nqi_store_word(out, spread_bits(*bytes++));
    for (size_t i = 0; i < n; i++)
        out[i] = *bytes >> i & 1;
}

void nqi_unpack_u8(uint8_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    if (width == 0) {
        memset(out, 0, n);
        return;
    }
    if (width == 1) {
        unpack_bits(out, bytes, n);
        return;
    }
    const spread8 s = make_spread8(width);
    size_t left = (size_t)nqi_packed_bytes(n, width);
    for (; n >= GROUP && left >= 8; n -= GROUP, left -= width) {
        nqi_store_word(out, spread_to_bytes(nqi_load_le64(bytes), &s));
        out += GROUP;
        bytes += width;
    }
    while (n > 0) { /* the last groups: no eight bytes may be left to load */
        uint8_t group[GROUP];
        const size_t now = NQI_MIN(n, GROUP);
        const size_t used = NQI_MIN(left, width);
        nqi_store_word(group, spread_to_bytes(nqi_load_le(bytes, (unsigned)used), &s));
        memcpy(out, group, now);
        out += now;
        bytes += used;
        left -= used;
        n -= now;
    }
}

/* ---- Widths from 9 on, into words of 16 bits ----------------------------------------------- */

typedef struct spread16 {
    uint64_t two;
    uint64_t one;
    unsigned width;
} spread16;

static spread16 make_spread16(unsigned width)
{
    return (spread16){
        .two = ones(2 * width), .one = ones(width) * UINT64_C(0x0000000100000001), .width = width};
}

NQI_INLINE void spread_to_words(uint16_t *out, uint64_t word, const spread16 *s)
{
    word = move_up(word, s->two, 32, 32 - 2 * s->width);
    word = move_up(word, s->one, 16, 16 - s->width);
    out[0] = (uint16_t)word;
    out[1] = (uint16_t)(word >> 16);
    out[2] = (uint16_t)(word >> 32);
    out[3] = (uint16_t)(word >> 48);
}

/* Reads up to 16 bytes. The upper four numbers begin in the middle of a byte if the width is odd;
 * they take at most 60 bits then. */
NQI_INLINE void unpack_group(uint16_t *out, const uint8_t *bytes, const spread16 *s)
{
    const uint64_t upper = nqi_load_le64(bytes + s->width / 2) >> (4 * (s->width % 2));
    spread_to_words(out, nqi_load_le64(bytes), s);
    spread_to_words(out + 4, upper, s);
}

/* Numbers of up to 8 bits go through bytes, eight of which fit a machine word. */
static void unpack_narrow(uint16_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    enum { CHUNK = 256 };
    uint8_t narrow[CHUNK];
    for (size_t done = 0; done < n; done += CHUNK) {
        const size_t now = NQI_MIN(n - done, (size_t)CHUNK);
        nqi_unpack_u8(narrow, bytes + nqi_packed_bytes(done, width), now, width);
        for (size_t i = 0; i < now; i++)
            out[done + i] = narrow[i];
    }
}

void nqi_unpack_u16(uint16_t *out, const uint8_t *bytes, size_t n, unsigned width)
{
    if (width <= 8) {
        unpack_narrow(out, bytes, n, width);
        return;
    }
    const spread16 s = make_spread16(width);
    size_t left = (size_t)nqi_packed_bytes(n, width);
    for (; n >= GROUP && left >= 16; n -= GROUP, left -= width) {
        unpack_group(out, bytes, &s);
        out += GROUP;
        bytes += width;
    }
    while (n > 0) {
        uint8_t padded[16] = {0};
        uint16_t group[GROUP];
        const size_t now = NQI_MIN(n, GROUP);
        const size_t used = NQI_MIN(left, width);
        memcpy(padded, bytes, used);
        unpack_group(group, padded, &s);
        memcpy(out, group, now * sizeof *out);
        out += now;
        bytes += used;
        left -= used;
        n -= now;
    }
}

/* ---- Kernels ------------------------------------------------------------------------------- */

const nqi_unpack_kernels *nqi_unpack_kernels_for(uint64_t cpu)
{
    static const nqi_unpack_kernels plain = {.u16 = nqi_unpack_u16, .u8 = nqi_unpack_u8};
    const nqi_unpack_kernels *kernels = nqi_unpack_kernels_avx512(cpu);
    if (!kernels)
        kernels = nqi_unpack_kernels_avx2(cpu);
    if (!kernels)
        kernels = nqi_unpack_kernels_neon(cpu);
    return kernels ? kernels : &plain;
}
