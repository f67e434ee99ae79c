/*
 * The one door for untrusted bytes: a reader that cannot leave its span, and a writer that cannot
 * overrun its buffer. A failed read or write stores nothing, returns false, and leaves the cursor
 * failed for good, so that a sequence may be checked once at its end.
 */
#ifndef NQI_CURSOR_H
#define NQI_CURSOR_H

#include "base/bytes.h"
#include "base/common.h"

typedef struct nqi_cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
} nqi_cursor;

static inline nqi_cursor nqi_cursor_make(const void *bytes, size_t n_bytes)
{
    const uint8_t *at = bytes;
    return (nqi_cursor){.at = at, .end = n_bytes ? at + n_bytes : at, .failed = false};
}

static inline size_t nqi_cursor_left(const nqi_cursor *c)
{
    return c->failed ? 0 : (size_t)(c->end - c->at);
}

/* The next n_bytes, or NULL. */
static inline const uint8_t *nqi_cursor_take(nqi_cursor *c, size_t n_bytes)
{
    if (NQI_UNLIKELY(nqi_cursor_left(c) < n_bytes)) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *taken = c->at;
    if (n_bytes)
        c->at += n_bytes;
    return taken;
}

static inline bool nqi_cursor_u8(nqi_cursor *c, uint8_t *value)
{
    const uint8_t *p = nqi_cursor_take(c, 1);
    if (p)
        *value = *p;
    return p != NULL;
}

/* A little-endian number of `width` bytes, 1..8. */
static inline bool nqi_cursor_le(nqi_cursor *c, uint64_t *value, unsigned width)
{
    const uint8_t *p = nqi_cursor_take(c, width);
    if (p)
        *value = nqi_load_le(p, width);
    return p != NULL;
}

static inline bool nqi_cursor_u32(nqi_cursor *c, uint32_t *value)
{
    const uint8_t *p = nqi_cursor_take(c, 4);
    if (p)
        *value = nqi_load_le32(p);
    return p != NULL;
}

/*
 * A number in base 128, low digit first, high bit set on all bytes but the last. The shortest form
 * is the only one accepted, so that a file has one reading and one writing.
 */
static inline bool nqi_cursor_varint(nqi_cursor *c, uint64_t *value)
{
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;
        if (!nqi_cursor_u8(c, &byte))
            return false;
        if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0))
            break;
        result |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = result;
            return true;
        }
    }
    c->failed = true;
    return false;
}

typedef struct nqi_out {
    uint8_t *at;
    uint8_t *end;
    bool failed;
} nqi_out;

static inline nqi_out nqi_out_make(void *bytes, size_t n_bytes)
{
    uint8_t *at = bytes;
    return (nqi_out){.at = at, .end = n_bytes ? at + n_bytes : at, .failed = false};
}

/* Room for n_bytes, or NULL. */
static inline uint8_t *nqi_out_take(nqi_out *o, size_t n_bytes)
{
    if (NQI_UNLIKELY(o->failed || (size_t)(o->end - o->at) < n_bytes)) {
        o->failed = true;
        return NULL;
    }
    uint8_t *taken = o->at;
    if (n_bytes)
        o->at += n_bytes;
    return taken;
}

static inline void nqi_out_bytes(nqi_out *o, const void *bytes, size_t n_bytes)
{
    uint8_t *p = nqi_out_take(o, n_bytes);
    if (p && n_bytes)
        memcpy(p, bytes, n_bytes);
}

static inline void nqi_out_le(nqi_out *o, uint64_t value, unsigned width)
{
    uint8_t *p = nqi_out_take(o, width);
    if (p)
        nqi_store_le(p, value, width);
}

static inline void nqi_out_varint(nqi_out *o, uint64_t value)
{
    while (value >= 0x80) {
        nqi_out_le(o, (value & 0x7f) | 0x80, 1);
        value >>= 7;
    }
    nqi_out_le(o, value, 1);
}

/* Bytes that nqi_out_varint writes for value. */
static inline size_t nqi_varint_bytes(uint64_t value)
{
    size_t n = 1;
    while (value >= 0x80) {
        value >>= 7;
        n++;
    }
    return n;
}

#endif
