/*
 * Encoding blocks with a Huffman code. The size of each stream is summed up first, so that all of
 * them go straight to their places and nothing is allocated. docs/format/codecs.md has the format.
 */
#include <assert.h>
#include <string.h>

#include "base/checked.h"
#include "base/cursor.h"
#include "codec/bitpack_enc.h"
#include "codec/bits_fmt.h"
#include "codec/huffman_design.h"
#include "codec/word.h"

/* What is written for a symbol: raw bits behind an escape included, 40 bits at most; and how many
 * bits these are in the lowest byte. */
typedef uint64_t codeword;

/* In place of a number of bits: more than all others of a piece add up to, so that a sum tells. */
#define NO_CODEWORD (UINT32_C(1) << 18)
#define MOST_BITS   (NQI_HUFFMAN_MAX_LENGTH + 16)
static_assert(NQI_PIECE * MOST_BITS < NO_CODEWORD, "a sum without gaps is smaller");
static_assert((uint64_t)NQI_PIECE * NO_CODEWORD <= UINT32_MAX, "a sum of gaps does not wrap");

typedef struct huffman_encoder {
    nqi_encoder head;
    codeword *codewords;
    uint32_t *n_bits; /* the same numbers of bits, or NO_CODEWORD */
    uint32_t n_symbols;
    unsigned low_bits;
    unsigned longest; /* number of bits among the symbols that have any */
    uint64_t n_bytes; /* of this, all arrays included */
} huffman_encoder;

static const huffman_encoder *encoder_of(const nqi_encoder *head)
{
    return (const huffman_encoder *)(const void *)head;
}

/* ---- Making -------------------------------------------------------------------------------- */

static codeword make_codeword(uint64_t bits, unsigned n_bits)
{
    return bits << 8 | n_bits;
}

static void count_lengths(uint32_t n_of_length[NQI_HUFFMAN_MAX_LENGTH + 1],
                          const nqi_huffman_design *d)
{
    memset(n_of_length, 0, (NQI_HUFFMAN_MAX_LENGTH + 1) * sizeof *n_of_length);
    for (uint32_t i = 0; i < d->n_symbols; i++)
        if (d->lengths[i] != NQI_HUFFMAN_NO_CODE)
            n_of_length[d->lengths[i]]++;
    if (d->has_escape)
        n_of_length[d->escape_length]++;
}

/* Canonical: by length, then by symbol, the escape behind all symbols of its length. */
static void assign(huffman_encoder *e, const nqi_huffman_design *d)
{
    uint32_t n_of_length[NQI_HUFFMAN_MAX_LENGTH + 1], next[NQI_HUFFMAN_MAX_LENGTH + 1];
    const unsigned raw_bits = nqi_bits_for(d->n_symbols);
    count_lengths(n_of_length, d);
    nqi_huffman_first_codes(next, n_of_length);
    const uint32_t last = next[d->escape_length] + n_of_length[d->escape_length] - 1;
    const uint64_t escape = nqi_huffman_reverse(last, d->escape_length);
    for (uint32_t i = 0; i < d->n_symbols; i++) {
        const unsigned length = d->lengths[i];
        if (length != NQI_HUFFMAN_NO_CODE)
            e->codewords[i] = make_codeword(nqi_huffman_reverse(next[length]++, length), length);
        else if (d->has_escape)
            e->codewords[i] = make_codeword(escape | (uint64_t)i << d->escape_length,
                                            d->escape_length + raw_bits);
        e->n_bits[i] = length == NQI_HUFFMAN_NO_CODE && !d->has_escape
                           ? NO_CODEWORD
                           : (uint32_t)e->codewords[i] & 0xff;
        if (e->n_bits[i] != NO_CODEWORD)
            e->longest = NQI_MAX(e->longest, e->n_bits[i]);
    }
}

/* One block of memory: the struct, the codewords, their lengths, the table. */
static nq_status build(nqi_encoder **out, const nqi_allocator *a, const nqi_huffman_design *d)
{
    void *memory;
    const nqi_huffman_lengths_view view = nqi_huffman_design_view(d);
    const size_t table_bytes = (size_t)((nqi_huffman_table_bits(&view) + 7) / 8);
    const uint64_t n_bytes = sizeof(huffman_encoder) +
                             (uint64_t)d->n_symbols * (sizeof(codeword) + sizeof(uint32_t)) +
                             table_bytes;
    NQI_TRY(nqi_alloc_zero(&memory, a, n_bytes, 1));
    huffman_encoder *e = memory;
    e->codewords = (codeword *)(void *)(e + 1);
    e->n_bits = (uint32_t *)(void *)(e->codewords + d->n_symbols);
    uint8_t *table = (uint8_t *)(e->n_bits + d->n_symbols);
    nqi_huffman_table_put(table, &view);
    e->n_symbols = d->n_symbols;
    e->low_bits = d->low_bits;
    e->n_bytes = n_bytes;
    assign(e, d);
    e->head.a = *a;
    e->head.table = table;
    e->head.table_bytes = table_bytes;
    *out = &e->head;
    return NQ_OK;
}

/* Blocks of 2^24 indices, the largest that files have: the lengths of three streams of less than
 * 2^28 bytes, and padding behind four streams and the low bits. */
#define BLOCK_OVERHEAD (3 * 4 + 4)

static nq_status create(nqi_encoder **out, const nqi_allocator *a, const nqi_encoder_spec *spec)
{
    nqi_huffman_design design = {0};
    void *lengths;
    *out = NULL;
    NQI_TRY(nqi_alloc(&lengths, a, spec->n_levels, 1));
    design.lengths = lengths;
    nq_status status = nqi_huffman_design_make(&design, a, spec);
    if (status == NQ_OK)
        status = build(out, a, &design);
    nqi_free(a, lengths, spec->n_levels, 1);
    if (status != NQ_OK)
        return status;
    (*out)->n_levels = spec->n_levels;
    (*out)->block_overhead = BLOCK_OVERHEAD + (design.low_bits > 0);
    return NQ_OK;
}

static void destroy(nqi_encoder *head)
{
    const nqi_allocator a = head->a;
    nqi_free(&a, head, encoder_of(head)->n_bytes, 1);
}

/* ---- Sizes --------------------------------------------------------------------------------- */

/* 0 for an index that has no codeword: there is none of it. */
static unsigned bits_of(const huffman_encoder *e, uint32_t index)
{
    const unsigned n_bits = e->n_bits[index >> e->low_bits];
    return n_bits == NO_CODEWORD ? 0 : n_bits + e->low_bits;
}

static uint64_t payload_bits(const nqi_encoder *head, const uint64_t *counts)
{
    uint64_t sum = 0, bits;
    for (uint32_t i = 0; i < head->n_levels; i++)
        if (!nqi_mul_u64(&bits, counts[i], bits_of(encoder_of(head), i)) ||
            !nqi_add_u64(&sum, sum, bits))
            return UINT64_MAX;
    return sum;
}

static uint32_t cost(const nqi_encoder *head, uint32_t index)
{
    const huffman_encoder *e = encoder_of(head);
    return e->n_bits[index >> e->low_bits] == NO_CODEWORD ? NQI_COST_NONE : 256 * bits_of(e, index);
}

static uint64_t bound(const nqi_encoder *head, uint64_t n_indices)
{
    const huffman_encoder *e = encoder_of(head);
    uint64_t bits;
    if (!nqi_mul_u64(&bits, n_indices, e->longest + e->low_bits))
        return UINT64_MAX;
    /* All indices in one stream, and padding in every place. */
    const unsigned n_streams = nqi_huffman_streams(n_indices);
    return bits / 8 + n_streams + 1 + (n_streams - 1) * nqi_varint_bytes(bits / 8 + 1);
}

/* ---- Summing up ---------------------------------------------------------------------------- */

/* Whether all are below n_levels. */
static bool are_levels(const nqi_encoder *head, const uint16_t *indices, size_t n)
{
    uint16_t largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = NQI_MAX(largest, indices[i]);
    return n == 0 || largest < head->n_levels;
}

/* Bits of at most a piece. Four sums, so that the additions need not wait for each other. */
NQI_INLINE uint32_t sum_shifted(const huffman_encoder *e, const uint16_t *indices, size_t n,
                                unsigned low_bits)
{
    const uint32_t *n_bits = e->n_bits;
    uint32_t a = 0, b = 0, c = 0, d = 0;
    for (; n >= 4; n -= 4, indices += 4) {
        a += n_bits[indices[0] >> low_bits];
        b += n_bits[indices[1] >> low_bits];
        c += n_bits[indices[2] >> low_bits];
        d += n_bits[indices[3] >> low_bits];
    }
    for (; n > 0; n--, indices++)
        a += n_bits[*indices >> low_bits];
    return a + b + c + d;
}

static uint32_t sum_bits(const huffman_encoder *e, const uint16_t *indices, size_t n)
{
    return e->low_bits == 0 ? sum_shifted(e, indices, n, 0)
                            : sum_shifted(e, indices, n, e->low_bits);
}

/* Bits of each stream. */
static nq_status sum_streams(uint64_t sums[NQI_HUFFMAN_STREAMS], const huffman_encoder *e,
                             const uint16_t *indices, size_t n, unsigned n_streams)
{
    for (size_t done = 0; done < n; done += NQI_PIECE) {
        const size_t piece = NQI_MIN(n - done, NQI_PIECE);
        if (!are_levels(&e->head, indices + done, piece))
            return NQ_E_ARG;
        for (unsigned s = 0; s < n_streams; s++) {
            const size_t begin = nqi_huffman_share_begin(piece, n_streams, s);
            const size_t end = nqi_huffman_share_begin(piece, n_streams, s + 1);
            const uint32_t sum = sum_bits(e, indices + done + begin, end - begin);
            if (sum >= NO_CODEWORD)
                return NQ_E_ARG;
            sums[s] += sum;
        }
    }
    return NQ_OK;
}

/* ---- Writing ------------------------------------------------------------------------------- */

typedef struct bitwriter {
    uint8_t *at;
    uint8_t *end; /* up to where whole words may be written */
    uint64_t bits;
    unsigned n_bits; /* at most 7 between two calls of flush */
} bitwriter;

/* Writes whole bytes. */
NQI_INLINE void flush(bitwriter *w)
{
    const unsigned whole = w->n_bits / 8;
    if (NQI_LIKELY((size_t)(w->end - w->at) >= 8))
        nqi_store_word(w->at, w->bits);
    else
        nqi_store_le(w->at, w->bits, whole);
    w->at += whole;
    w->bits >>= 8 * whole; /* 7 bytes at most: there were 63 bits at most */
    w->n_bits %= 8;
}

NQI_INLINE void put(bitwriter *w, codeword c)
{
    w->bits |= (c >> 8) << w->n_bits;
    w->n_bits += c & 0xff;
    flush(w);
}

/* Four codewords, joined to one beforehand where that has 56 bits at most, so that the writer waits
 * for one of them only. */
NQI_INLINE void put_four(bitwriter *w, codeword a, codeword b, codeword c, codeword d)
{
    static_assert(4 * MOST_BITS <= 0xff, "the lowest byte of a sum is the sum of lengths");
    const unsigned n_bits = (a + b + c + d) & 0xff;
    if (NQI_LIKELY(n_bits <= 56)) {
        const uint64_t ab = a >> 8 | (b >> 8) << (a & 63);
        const uint64_t cd = c >> 8 | (d >> 8) << (c & 63);
        w->bits |= (ab | cd << ((a + b) & 63)) << w->n_bits;
        w->n_bits += n_bits;
        flush(w);
    } else {
        put(w, a);
        put(w, b);
        put(w, c);
        put(w, d);
    }
}

NQI_INLINE void put_shifted(bitwriter *writer, const huffman_encoder *e, const uint16_t *indices,
                            size_t n, unsigned low_bits)
{
    bitwriter w = *writer;
    const codeword *codewords = e->codewords;
    for (; n >= 4; n -= 4, indices += 4)
        put_four(&w, codewords[indices[0] >> low_bits], codewords[indices[1] >> low_bits],
                 codewords[indices[2] >> low_bits], codewords[indices[3] >> low_bits]);
    for (; n > 0; n--, indices++)
        put(&w, codewords[*indices >> low_bits]);
    *writer = w;
}

static void put_share(bitwriter *w, const huffman_encoder *e, const uint16_t *indices, size_t n)
{
    if (e->low_bits == 0)
        put_shifted(w, e, indices, n, 0);
    else
        put_shifted(w, e, indices, n, e->low_bits);
}

/* A stream from its first symbol to its last, behind which words may be written up to `end`. */
static void put_stream(uint8_t *out, uint8_t *end, const huffman_encoder *e,
                       const uint16_t *indices, size_t n, unsigned n_streams, unsigned stream)
{
    bitwriter w = {.at = out, .end = end};
    for (size_t done = 0; done < n; done += NQI_PIECE) {
        const size_t piece = NQI_MIN(n - done, NQI_PIECE);
        const size_t first = nqi_huffman_share_begin(piece, n_streams, stream);
        const size_t behind = nqi_huffman_share_begin(piece, n_streams, stream + 1);
        put_share(&w, e, indices + done + first, behind - first);
    }
    if (w.n_bits > 0)
        *w.at = (uint8_t)w.bits;
}

static nq_status encode(const nqi_encoder *head, uint8_t *out, size_t capacity, size_t *n_bytes,
                        const uint16_t *indices, size_t n_indices)
{
    const huffman_encoder *e = encoder_of(head);
    const unsigned n_streams = nqi_huffman_streams(n_indices);
    uint64_t sums[NQI_HUFFMAN_STREAMS] = {0};
    NQI_TRY(sum_streams(sums, e, indices, n_indices, n_streams));
    uint64_t total = nqi_packed_bytes(n_indices, e->low_bits);
    for (unsigned s = 0; s < n_streams; s++) {
        sums[s] = nqi_div_up_u64(sums[s], 8);
        total += sums[s] + (s + 1 < n_streams ? nqi_varint_bytes(sums[s]) : 0);
    }
    if (total > capacity)
        return NQ_E_SPACE;
    nqi_out o = nqi_out_make(out, (size_t)total);
    for (unsigned s = 0; s + 1 < n_streams; s++)
        nqi_out_varint(&o, sums[s]);
    for (unsigned s = 0; s < n_streams; s++)
        put_stream(nqi_out_take(&o, (size_t)sums[s]), o.end, e, indices, n_indices, n_streams, s);
    if (e->low_bits > 0)
        nqi_pack_u16(o.at, indices, n_indices, e->low_bits);
    *n_bytes = (size_t)total;
    return NQ_OK;
}

const nqi_encoder_ops nqi_huffman_encoder_ops = {.create = create,
                                                 .destroy = destroy,
                                                 .payload_bits = payload_bits,
                                                 .bound = bound,
                                                 .encode = encode,
                                                 .cost = cost};
