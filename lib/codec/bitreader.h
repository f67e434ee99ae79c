/*
 * Untrusted bits, low bit of each byte first: a reader that cannot leave its span. A failed read
 * gives 0 and leaves the reader failed for good, so that a sequence may be checked once at its end.
 * Part of the decoder.
 */
#ifndef NQI_BITREADER_H
#define NQI_BITREADER_H

#include "base/bytes.h"
#include "base/common.h"

typedef struct nqi_bitreader {
    const uint8_t *bytes;
    size_t n_bytes;
    uint64_t at; /* in bits */
    bool failed;
} nqi_bitreader;

static inline nqi_bitreader nqi_bitreader_make(const uint8_t *bytes, size_t n_bytes)
{
    return (nqi_bitreader){.bytes = bytes, .n_bytes = n_bytes};
}

static inline uint64_t nqi_bitreader_left(const nqi_bitreader *r)
{
    return (uint64_t)r->n_bytes * 8 - r->at;
}

/* The next `width` bits, 0..32. */
static inline uint32_t nqi_bitreader_take(nqi_bitreader *r, unsigned width)
{
    if (NQI_UNLIKELY(r->failed || nqi_bitreader_left(r) < width)) {
        r->failed = true;
        return 0;
    }
    const size_t first = (size_t)(r->at / 8);
    const size_t left = r->n_bytes - first;
    const uint64_t word = left >= 8 ? nqi_load_le64(r->bytes + first)
                          : left    ? nqi_load_le(r->bytes + first, (unsigned)left)
                                    : 0;
    const uint64_t taken = word >> (r->at % 8) & ((UINT64_C(1) << width) - 1);
    r->at += width;
    return (uint32_t)taken;
}

/* Whether everything was read and only zeros are left in the last byte. */
static inline bool nqi_bitreader_at_end(nqi_bitreader *r)
{
    const uint64_t left = nqi_bitreader_left(r);
    return !r->failed && left < 8 && nqi_bitreader_take(r, (unsigned)left) == 0;
}

#endif
