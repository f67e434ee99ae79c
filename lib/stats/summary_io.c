/*
 * Summaries as bytes: see summary.h. All numbers are little-endian:
 *
 *     "NQST", version (1), flags (1: has importance, 2: coarse), two zero bytes
 *     number of weights, of bins between prefixes, of bins: 8 bytes each
 *     for each bin: key minus the one before, shift, count, low (each a varint)
 *                   h, h_low (8 bytes each, only with importance)
 *     FNV-1a of all that: 8 bytes
 *
 * Bytes that are read may be anything: nothing is allocated by a number that the bytes could not
 * hold, and what comes out obeys all rules of a summary.
 */
#include <float.h>
#include <string.h>

#include "base/checked.h"
#include "base/cursor.h"
#include "stats/summary.h"

#define VERSION       1u
#define FLAG_WEIGHTED 1u
#define FLAG_COARSE   2u

static const uint8_t magic[4] = {'N', 'Q', 'S', 'T'};

#define HEAD_BYTES    (sizeof magic + 4 + 3 * 8)
#define HASH_BYTES    8u
#define BIN_BYTES_MIN 4u

/* Counts that come from anywhere stay below this, so that products with 2^12 stay whole. */
#define COUNT_MAX (UINT64_C(1) << 48)

/* Fowler, Noll and Vo, 64 bits. */
static uint64_t hash(const uint8_t *bytes, size_t n_bytes)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n_bytes; i++)
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* ---- Storing ------------------------------------------------------------------------------- */

size_t nqi_summary_bytes(const nqi_summary *s)
{
    size_t n = HEAD_BYTES + HASH_BYTES;
    uint32_t before = 0;
    for (size_t i = 0; i < s->n_bins; i++) {
        const nqi_bin *b = &s->bins[i];
        n += nqi_varint_bytes(b->key - before) + nqi_varint_bytes(b->shift) +
             nqi_varint_bytes(b->count) + nqi_varint_bytes(b->low);
        before = b->key;
    }
    return n + (s->is_weighted ? 16 * s->n_bins : 0);
}

static void store_bins(nqi_out *o, const nqi_summary *s)
{
    uint32_t before = 0;
    for (size_t i = 0; i < s->n_bins; i++) {
        const nqi_bin *b = &s->bins[i];
        nqi_out_varint(o, b->key - before);
        nqi_out_varint(o, b->shift);
        nqi_out_varint(o, b->count);
        nqi_out_varint(o, b->low);
        if (s->is_weighted) {
            nqi_out_le(o, nqi_f64_bits(b->h), 8);
            nqi_out_le(o, nqi_f64_bits(b->h_low), 8);
        }
        before = b->key;
    }
}

void nqi_summary_store(uint8_t *bytes, size_t n_bytes, const nqi_summary *s)
{
    nqi_out o = nqi_out_make(bytes, n_bytes);
    const unsigned flags = (s->is_weighted ? FLAG_WEIGHTED : 0) | (s->is_coarse ? FLAG_COARSE : 0);
    nqi_out_bytes(&o, magic, sizeof magic);
    nqi_out_le(&o, VERSION | flags << 8, 4);
    nqi_out_le(&o, s->n, 8);
    nqi_out_le(&o, s->n_between, 8);
    nqi_out_le(&o, s->n_bins, 8);
    store_bins(&o, s);
    nqi_out_le(&o, hash(bytes, n_bytes - HASH_BYTES), 8);
}

/* ---- Loading ------------------------------------------------------------------------------- */

static bool load_bin(nqi_bin *bin, nqi_cursor *c, bool is_weighted, uint32_t before)
{
    uint64_t raw_delta, raw_shift, count, low, h = 0, h_low = 0;
    bool good = nqi_cursor_varint(c, &raw_delta) && nqi_cursor_varint(c, &raw_shift) &&
                nqi_cursor_varint(c, &count) && nqi_cursor_varint(c, &low);
    if (is_weighted)
        good = good && nqi_cursor_le(c, &h, 8) && nqi_cursor_le(c, &h_low, 8);
    if (!good || raw_delta > NQI_KEY_MAX - before || raw_shift > NQI_PREFIX_SHIFT)
        return false;
    *bin = (nqi_bin){.key = before + (uint32_t)raw_delta,
                     .shift = (uint32_t)raw_shift,
                     .count = count,
                     .low = low,
                     .h = is_weighted ? nqi_f64_from_bits(h) : (double)count,
                     .h_low = is_weighted ? nqi_f64_from_bits(h_low) : (double)low};
    return true;
}

/* Whether numbers that counting could have found are in the bin. */
static bool is_bin(const nqi_bin *b)
{
    const uint32_t rest = (1u << b->shift) - 1;
    if (!nqi_key_is_finite(b->key) || (b->key & rest) != 0)
        return false;
    if (b->count == 0 || b->count > COUNT_MAX || b->low > b->count * rest)
        return false;
    if (!(b->h >= 0 && b->h <= DBL_MAX && b->h_low >= 0))
        return false;
    return b->h_low <= b->h * rest * 1.0001; /* sums are rounded apart */
}

/* Whether b may follow a. */
static bool may_follow(const nqi_summary *s, const nqi_bin *a, const nqi_bin *b)
{
    if (b->key <= a->key)
        return false;
    if (a->key >> NQI_PREFIX_SHIFT != b->key >> NQI_PREFIX_SHIFT)
        return true;
    return !s->is_coarse && a->shift == b->shift;
}

/* Whether a coarse summary may have it. */
static bool is_coarse_bin(const nqi_bin *b)
{
    return b->shift == 0 || b->shift == NQI_PREFIX_SHIFT;
}

static nq_status load_bins(nqi_summary *s, nqi_cursor *c, uint64_t n_bins)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < n_bins; i++) {
        nqi_bin *bin = &s->bins[i];
        if (!load_bin(bin, c, s->is_weighted, i > 0 ? bin[-1].key : 0) || !is_bin(bin))
            return NQ_E_CORRUPT;
        if ((i > 0 && !may_follow(s, &bin[-1], bin)) || (s->is_coarse && !is_coarse_bin(bin)))
            return NQ_E_CORRUPT;
        n += bin->count; /* of at most 2^32 bins with 2^48 each: no overflow that matters below */
        if (n > s->n)
            return NQ_E_CORRUPT;
        s->n_bins++;
    }
    return n == s->n && nqi_cursor_left(c) == 0 ? NQ_OK : NQ_E_CORRUPT;
}

static nq_status load_head(nqi_summary *s, uint64_t *n_bins, nqi_cursor *c)
{
    uint64_t raw_flags, raw_bins;
    const uint8_t *begin = nqi_cursor_take(c, sizeof magic);
    if (!begin || memcmp(begin, magic, sizeof magic) != 0)
        return NQ_E_CORRUPT;
    if (!nqi_cursor_le(c, &raw_flags, 4) || !nqi_cursor_le(c, &s->n, 8) ||
        !nqi_cursor_le(c, &s->n_between, 8) || !nqi_cursor_le(c, &raw_bins, 8))
        return NQ_E_TRUNCATED;
    if ((raw_flags & 0xff) != VERSION)
        return NQ_E_UNSUPPORTED;
    if (raw_flags >> 8 > (FLAG_WEIGHTED | FLAG_COARSE) || s->n > COUNT_MAX ||
        s->n_between > COUNT_MAX || raw_bins > nqi_cursor_left(c) / BIN_BYTES_MIN)
        return NQ_E_CORRUPT;
    s->is_weighted = (raw_flags >> 8 & FLAG_WEIGHTED) != 0;
    s->is_coarse = (raw_flags >> 8 & FLAG_COARSE) != 0;
    *n_bins = raw_bins;
    return NQ_OK;
}

static nq_status load(nqi_summary *s, const uint8_t *bytes, size_t n_bytes)
{
    uint64_t n_bins;
    if (n_bytes < HEAD_BYTES + HASH_BYTES)
        return NQ_E_TRUNCATED;
    nqi_cursor c = nqi_cursor_make(bytes, n_bytes - HASH_BYTES);
    NQI_TRY(load_head(s, &n_bins, &c));
    if (nqi_load_le64(bytes + n_bytes - HASH_BYTES) != hash(bytes, n_bytes - HASH_BYTES))
        return NQ_E_CHECKSUM;
    NQI_TRY(nqi_summary_reserve(s, (size_t)n_bins));
    NQI_TRY(load_bins(s, &c, n_bins));
    return nqi_summary_importance(s) <= NQI_IMPORTANCE_MAX ? NQ_OK : NQ_E_CORRUPT;
}

nq_status nqi_summary_load(nqi_summary *out, const nqi_allocator *a, const uint8_t *bytes,
                           size_t n_bytes)
{
    *out = nqi_summary_empty(a);
    const nq_status status = load(out, bytes, n_bytes);
    if (status != NQ_OK)
        nqi_summary_free(out);
    return status;
}
