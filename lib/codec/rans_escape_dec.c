/*
 * Escaped upper parts of indices: reading them from a block, and keeping some at hand for kernels.
 * Part of the decoder.
 */
#include "codec/rans_dec.h"

void nqi_rans_escapes_begin(nqi_rans_escapes *e, const uint8_t *bytes, size_t n_bytes)
{
    e->bytes = bytes;
    e->n_bytes = n_bytes;
    e->bit = 0;
    e->is_over = e->is_short = false;
    e->at = e->valid_end = e->end = e->buffer;
    memset(e->buffer, 0, NQI_RANS_ESCAPES_SLACK); /* kernels load it, whatever they need of it */
}

/* Ones at the low end of a word, ESCAPE_ONES at most. */
static unsigned trailing_ones(uint64_t word)
{
    return NQI_CTZ64(~word | 1u << NQI_RANS_ESCAPE_ONES);
}

/* One at the low end of a word: its length, or 0 if it is out of range. */
static unsigned parse(uint32_t *upper, uint64_t word, const nqi_rans_escape_code *code)
{
    const unsigned ones = trailing_ones(word);
    const unsigned width = ones < NQI_RANS_ESCAPE_ONES ? code->rice_bits : code->width;
    const unsigned begin = ones < NQI_RANS_ESCAPE_ONES ? ones + 1 : ones;
    const uint32_t raw = (uint32_t)(word >> begin) & ((UINT32_C(1) << width) - 1);
    *upper = 0;
    if (NQI_LIKELY(ones < NQI_RANS_ESCAPE_ONES)) {
        const uint32_t raw_rank = code->offset + (ones << code->rice_bits) + raw;
        if (raw_rank > code->last)
            return 0;
        *upper = nqi_rans_unrank(code, raw_rank);
    } else {
        if (raw > code->last)
            return 0;
        *upper = raw;
    }
    return begin + width;
}

/* One from the block: its length, or 0 if there is none. */
static unsigned read_one(uint32_t *upper, const nqi_rans_escapes *e,
                         const nqi_rans_escape_code *code)
{
    const size_t first = (size_t)(e->bit / 8);
    const size_t left = e->n_bytes - first;
    const uint64_t word = left >= 8 ? nqi_load_le64(e->bytes + first)
                          : left    ? nqi_load_le(e->bytes + first, (unsigned)left)
                                    : 0;
    const unsigned length = parse(upper, word >> (e->bit % 8), code);
    return e->bit + length <= (uint64_t)e->n_bytes * 8 ? length : 0;
}

bool nqi_rans_escapes_take(uint32_t *upper, nqi_rans_escapes *e, const nqi_rans_escape_code *code)
{
    const unsigned length = e->is_over ? 0 : read_one(upper, e, code);
    e->is_over = length == 0;
    e->bit += length;
    return length > 0;
}

/* As many as there are in a word of the block at once, from `valid` on; returns where they end. */
static size_t read_word(nqi_rans_escapes *e, const nqi_rans_escape_code *code, size_t valid)
{
    uint64_t word = nqi_load_le64(e->bytes + e->bit / 8) >> (e->bit % 8);
    unsigned left = 64 - (unsigned)(e->bit % 8);
    unsigned length = 1;
    while (valid < NQI_RANS_ESCAPES_HELD && left >= NQI_RANS_ESCAPE_MAX_LENGTH && length > 0) {
        uint32_t upper;
        length = parse(&upper, word, code);
        e->lengths[valid] = (uint8_t)length;
        e->buffer[valid] = (uint8_t)upper;
        valid += length > 0;
        word >>= length;
        left -= length;
        e->bit += length;
    }
    e->is_over = length == 0;
    return valid;
}

void nqi_rans_escapes_top_up(nqi_rans_escapes *e, const nqi_rans_escape_code *code)
{
    const size_t held = (size_t)(e->end - e->at), used = (size_t)(e->at - e->buffer);
    e->is_short = nqi_rans_escapes_are_short(e);
    size_t valid = e->is_short ? 0 : (size_t)(e->valid_end - e->at);
    memmove(e->buffer, e->at, held);
    memmove(e->lengths, e->lengths + used, held);
    while (valid < NQI_RANS_ESCAPES_HELD && !e->is_over) {
        uint32_t upper;
        if (e->bit / 8 + 8 <= e->n_bytes) {
            valid = read_word(e, code, valid);
            continue;
        }
        const unsigned length = read_one(&upper, e, code);
        e->is_over = length == 0;
        e->lengths[valid] = (uint8_t)length;
        e->buffer[valid] = (uint8_t)upper;
        e->bit += length;
        valid += length > 0;
    }
    memset(e->buffer + valid, 0, NQI_RANS_ESCAPES_HELD - valid);
    e->at = e->buffer;
    e->valid_end = e->buffer + valid;
    e->end = e->buffer + NQI_RANS_ESCAPES_HELD;
}

bool nqi_rans_escapes_at_end(const nqi_rans_escapes *e)
{
    uint64_t used = e->bit;
    for (const uint8_t *p = e->at; p < e->valid_end; p++)
        used -= e->lengths[p - e->buffer];
    if ((used + 7) / 8 != e->n_bytes)
        return false;
    return used % 8 == 0 || e->bytes[e->n_bytes - 1] >> (used % 8) == 0;
}
