/*
 * Encoding of Huffman-coded gaps, as in the format's codecs.md: an index that is not the most
 * frequent one becomes a pair, of the number of most frequent ones before it, and itself. Gaps of a
 * maximal length stand for themselves and are followed by whatever comes.
 *
 * Both Huffman codes are made from counts alone, the gaps' as if indices were independent.
 */
#include <string.h>

#include "base/checked.h"
#include "base/cursor.h"
#include "base/log2.h"
#include "codec/code_ops_enc.h"
#include "codec/gaps_fmt.h"
#include "nq/types.h"

/* Numbers of gaps that are tried: powers of two up to this. */
#define MAX_GAPS_LOG2 12u

/* Counts of gaps are made for so many pairs. */
#define PAIRS 0x1p36

/* A block's own bytes: the number of pairs, the length of the gaps. */
#define HEAD_BYTES 20u

/* Bytes of each of its two parts besides what symbols cost: lengths of streams, padding. */
#define PART_BYTES 20u

typedef struct gaps_encoder {
    nqi_encoder head;
    nqi_encoder *gaps;
    nqi_encoder *values;
    uint32_t zero;
    uint32_t n_gaps;
    double gap_bits; /* of a gap, on average */
    uint32_t zero_cost;
    uint32_t nonzero_cost; /* of what comes before one that is not zero, in 1/256 bit */
    uint64_t n_bytes;      /* of this and the table behind it */
} gaps_encoder;

static const gaps_encoder *encoder_of(const nqi_encoder *head)
{
    return (const gaps_encoder *)(const void *)head;
}

static void destroy(nqi_encoder *head)
{
    gaps_encoder *e = (gaps_encoder *)(void *)head;
    const nqi_allocator a = head->a;
    nqi_encoder_destroy(e->gaps);
    nqi_encoder_destroy(e->values);
    nqi_free(&a, e, e->n_bytes, 1);
}

/* ---- Counts -------------------------------------------------------------------------------- */

/* What the counts of indices say about a number of gaps. */
typedef struct source {
    const nqi_encoder_spec *spec;
    const nqi_allocator *a;
    uint64_t *gaps;   /* n_gaps */
    uint64_t *values; /* n_levels: those of pairs */
    uint32_t zero;
    uint64_t n_zeros;
    uint64_t total;
    double stays; /* the share of zeros, below 1 */
} source;

static source make_source(const nqi_encoder_spec *spec, const nqi_allocator *a, uint64_t *memory)
{
    source s = {.spec = spec, .a = a, .gaps = memory, .values = memory + (1u << MAX_GAPS_LOG2)};
    for (uint32_t i = 0; i < spec->n_levels; i++) {
        s.total += spec->counts[i];
        if (spec->counts[i] > spec->counts[s.zero])
            s.zero = i;
    }
    s.n_zeros = spec->counts[s.zero];
    /* Of nothing but zeros, or nothing at all, take it that something else may come. */
    s.stays = (double)s.n_zeros / ((double)s.total + 1.0);
    return s;
}

/* Fills both counts in; returns how many pairs have zero for a value. */
static uint64_t fill_counts(source *s, uint32_t n_gaps)
{
    double weight = PAIRS * (1.0 - s->stays);
    double reaches = PAIRS; /* of pairs, those whose gap is so long or longer */
    for (uint32_t i = 0; i < n_gaps; i++) {
        const double count = i + 1 < n_gaps ? weight : reaches;
        s->gaps[i] = (uint64_t)nqi_floor_i64(count);
        reaches -= weight;
        reaches = reaches > 0 ? reaches : 0;
        weight *= s->stays;
    }
    const double share = (double)s->gaps[n_gaps - 1] / PAIRS * s->stays;
    const double n_nonzero = (double)(s->total - s->n_zeros);
    const double fillers = n_nonzero * share / (1.0 - share);
    memcpy(s->values, s->spec->counts, s->spec->n_levels * sizeof *s->values);
    s->values[s->zero] = (uint64_t)nqi_floor_i64(fillers < 0x1p60 ? fillers : 0x1p60) + 1;
    return s->values[s->zero];
}

/* ---- Making -------------------------------------------------------------------------------- */

/* The two codes of an encoder for one number of gaps. */
typedef struct attempt {
    nqi_encoder *gaps;
    nqi_encoder *values;
    uint32_t n_gaps;
    double gap_bits;
    double bits; /* of all that is counted, and of the tables */
} attempt;

static size_t table_bytes(const nqi_encoder *e)
{
    size_t n_bytes;
    (void)nqi_encoder_table(e, &n_bytes);
    return n_bytes;
}

static void drop(attempt *t)
{
    nqi_encoder_destroy(t->gaps);
    nqi_encoder_destroy(t->values);
    *t = (attempt){.gaps = NULL};
}

static nq_status try_gaps(attempt *t, source *s, uint32_t n_gaps)
{
    const nqi_encoder_spec *spec = s->spec;
    const uint64_t fillers = fill_counts(s, n_gaps);
    uint64_t sum = 0;
    *t = (attempt){.n_gaps = n_gaps};
    NQI_TRY(nqi_encoder_create(&t->gaps, s->a, NQ_CODEC_HUFFMAN, n_gaps, 0, s->gaps, 0, spec->cpu));
    const nq_status status =
        nqi_encoder_create(&t->values, s->a, NQ_CODEC_HUFFMAN, spec->n_levels,
                           spec->max_code_length, s->values, spec->flags, spec->cpu);
    if (status != NQ_OK) {
        drop(t);
        return status;
    }
    for (uint32_t i = 0; i < n_gaps; i++)
        sum += s->gaps[i];
    t->gap_bits = (double)nqi_encoder_payload_bits(t->gaps, s->gaps) / (double)NQI_MAX(sum, 1);
    t->bits = ((double)(s->total - s->n_zeros) + (double)fillers) * t->gap_bits +
              (double)nqi_encoder_payload_bits(t->values, s->values) +
              8.0 * (double)(table_bytes(t->gaps) + table_bytes(t->values));
    return NQ_OK;
}

static nq_status find_best(attempt *best, source *s)
{
    nq_status status = try_gaps(best, s, 2);
    for (unsigned log2 = 2; log2 <= MAX_GAPS_LOG2 && status == NQ_OK; log2++) {
        attempt t;
        status = try_gaps(&t, s, 1u << log2);
        if (status == NQ_OK && t.bits < best->bits) {
            const attempt worse = *best;
            *best = t;
            t = worse;
        }
        if (status == NQ_OK)
            drop(&t);
    }
    if (status != NQ_OK)
        drop(best);
    return status;
}

/* -log2 (part / whole) in 1/256 bit. */
static uint32_t share_cost(double part, double whole)
{
    return (uint32_t)nqi_floor_i64((nqi_log2(whole) - nqi_log2(part)) * 256 + 0.5);
}

static nq_status make_encoder(nqi_encoder **out, const source *s, const attempt *t)
{
    size_t gaps_bytes, values_bytes;
    const uint8_t *gaps = nqi_encoder_table(t->gaps, &gaps_bytes);
    const uint8_t *values = nqi_encoder_table(t->values, &values_bytes);
    const size_t table = nqi_varint_bytes(s->zero) + nqi_varint_bytes(t->n_gaps) +
                         nqi_varint_bytes(gaps_bytes) + gaps_bytes + values_bytes;
    const uint64_t n_bytes = sizeof(gaps_encoder) + table;
    void *memory;
    NQI_TRY(nqi_alloc_zero(&memory, s->a, n_bytes, 1));
    gaps_encoder *e = memory;
    uint8_t *place = (uint8_t *)memory + sizeof *e;
    const double whole = (double)s->total + 2.0;
    *e = (gaps_encoder){.head = {.a = *s->a,
                                 .table = place,
                                 .table_bytes = table,
                                 .n_levels = s->spec->n_levels,
                                 .block_overhead = 8 + 2 * PART_BYTES},
                        .gaps = t->gaps,
                        .values = t->values,
                        .zero = s->zero,
                        .n_gaps = t->n_gaps,
                        .gap_bits = t->gap_bits,
                        .zero_cost = share_cost((double)s->n_zeros + 1.0, whole),
                        .nonzero_cost = share_cost((double)(s->total - s->n_zeros) + 1.0, whole),
                        .n_bytes = n_bytes};
    nqi_out o = nqi_out_make(place, table);
    nqi_out_varint(&o, s->zero);
    nqi_out_varint(&o, t->n_gaps);
    nqi_out_varint(&o, gaps_bytes);
    nqi_out_bytes(&o, gaps, gaps_bytes);
    nqi_out_bytes(&o, values, values_bytes);
    *out = &e->head;
    return NQ_OK;
}

static nq_status create(nqi_encoder **out, const nqi_allocator *a, const nqi_encoder_spec *spec)
{
    const uint64_t n = (1u << MAX_GAPS_LOG2) + (uint64_t)spec->n_levels;
    void *memory;
    attempt best;
    *out = NULL;
    NQI_TRY(nqi_alloc(&memory, a, n, sizeof(uint64_t)));
    source s = make_source(spec, a, memory);
    nq_status status = find_best(&best, &s);
    if (status == NQ_OK && (status = make_encoder(out, &s, &best)) != NQ_OK)
        drop(&best);
    nqi_free(a, memory, n, sizeof(uint64_t));
    return status;
}

/* ---- Asking -------------------------------------------------------------------------------- */

static uint64_t payload_bits(const nqi_encoder *head, const uint64_t *counts)
{
    const gaps_encoder *e = encoder_of(head);
    uint64_t values = 0, total = 0, n_nonzero = 0;
    for (uint32_t i = 0; i < head->n_levels; i++) {
        uint64_t product;
        total += counts[i];
        if (i == e->zero || counts[i] == 0)
            continue;
        const uint32_t cost = nqi_encoder_cost(e->values, i);
        n_nonzero += counts[i];
        if (cost == NQI_COST_NONE)
            continue;
        if (!nqi_mul_u64(&product, counts[i], cost) || !nqi_add_u64(&values, values, product))
            return UINT64_MAX;
    }
    /* Pairs whose value is zero: after so many zeros as can be told. */
    const double stays = (double)(total - n_nonzero) / ((double)total + 1.0);
    const double share = stays > 0 ? nqi_exp2(nqi_log2(stays) * (double)e->n_gaps) : 0;
    const double fillers = (double)n_nonzero * share / (1.0 - share);
    const double filler_bits = e->gap_bits + (double)nqi_encoder_cost(e->values, e->zero) / 256;
    const double bits =
        (double)values / 256 + (double)n_nonzero * e->gap_bits + fillers * filler_bits;
    return bits < 0x1p61 ? (uint64_t)nqi_floor_i64(bits) + 1 : UINT64_MAX;
}

static uint32_t cost(const nqi_encoder *head, uint32_t index)
{
    const gaps_encoder *e = encoder_of(head);
    if (index == e->zero)
        return e->zero_cost;
    const uint32_t value = nqi_encoder_cost(e->values, index);
    return value == NQI_COST_NONE ? value : value + e->nonzero_cost;
}

/* ---- Blocks -------------------------------------------------------------------------------- */

/* Where a block is made: coded gaps and values, then both as numbers. */
typedef struct layout {
    uint64_t gaps_bound;
    uint64_t values_bound;
    uint64_t total;
} layout;

/* For n up to 2^56. */
static layout plan_layout(const gaps_encoder *e, uint64_t n)
{
    layout l = {.gaps_bound = nqi_encoder_bound(e->gaps, n),
                .values_bound = nqi_encoder_bound(e->values, n)};
    l.total = HEAD_BYTES + l.gaps_bound + l.values_bound + 4 * n + sizeof(uint16_t);
    return l;
}

static uint64_t bound(const nqi_encoder *head, uint64_t n_indices)
{
    return n_indices >> 56 ? UINT64_MAX : plan_layout(encoder_of(head), n_indices).total;
}

/* Pairs of n indices; what is left after the last pair is zeros. */
static size_t find_pairs(const gaps_encoder *e, uint16_t *gaps, uint16_t *values,
                         const uint16_t *indices, size_t n)
{
    const uint16_t zero = (uint16_t)e->zero;
    size_t n_pairs = 0, gap = 0;
    for (size_t i = 0; i < n; i++) {
        if (indices[i] == zero && gap + 1 < e->n_gaps) {
            gap++;
            continue;
        }
        gaps[n_pairs] = (uint16_t)gap;
        values[n_pairs++] = indices[i];
        gap = 0;
    }
    return n_pairs;
}

/* Into as many bytes as the bound asks for. */
static nq_status encode_block(const gaps_encoder *e, uint8_t *out, size_t *n_bytes,
                              const uint16_t *indices, size_t n)
{
    const layout l = plan_layout(e, n);
    uint8_t *coded = out + HEAD_BYTES;
    uint8_t *numbers = coded + l.gaps_bound + l.values_bound;
    uint16_t *gaps = (uint16_t *)(void *)(numbers + (uintptr_t)numbers % sizeof(uint16_t));
    uint16_t *values = gaps + n;
    const size_t n_pairs = find_pairs(e, gaps, values, indices, n);
    size_t gaps_bytes = 0, values_bytes = 0;
    nqi_out o = nqi_out_make(out, HEAD_BYTES);
    nqi_out_varint(&o, n_pairs);
    if (n_pairs == 0) {
        *n_bytes = (size_t)(o.at - out);
        return NQ_OK;
    }
    NQI_TRY(nqi_encoder_encode(e->gaps, coded, (size_t)l.gaps_bound, &gaps_bytes, gaps, n_pairs));
    NQI_TRY(nqi_encoder_encode(e->values, coded + gaps_bytes, (size_t)l.values_bound, &values_bytes,
                               values, n_pairs));
    nqi_out_varint(&o, gaps_bytes);
    memmove(o.at, coded, gaps_bytes + values_bytes);
    *n_bytes = (size_t)(o.at - out) + gaps_bytes + values_bytes;
    return NQ_OK;
}

static nq_status encode(const nqi_encoder *head, uint8_t *out, size_t capacity, size_t *n_bytes,
                        const uint16_t *indices, size_t n_indices)
{
    const gaps_encoder *e = encoder_of(head);
    const uint64_t wanted = bound(head, n_indices);
    void *memory;
    *n_bytes = 0;
    if (n_indices == 0)
        return NQ_OK;
    if (capacity >= wanted)
        return encode_block(e, out, n_bytes, indices, n_indices);
    NQI_TRY(nqi_alloc(&memory, &head->a, wanted, 1));
    nq_status status = encode_block(e, memory, n_bytes, indices, n_indices);
    if (status == NQ_OK && *n_bytes > capacity)
        status = NQ_E_SPACE;
    if (status == NQ_OK)
        memcpy(out, memory, *n_bytes);
    nqi_free(&head->a, memory, wanted, 1);
    return status;
}

const nqi_encoder_ops nqi_gaps_encoder_ops = {.create = create,
                                              .destroy = destroy,
                                              .payload_bits = payload_bits,
                                              .bound = bound,
                                              .encode = encode,
                                              .cost = cost};
