/*
 * Reading the description of a Huffman code: see huffman_table_dec.h, and docs/format/codecs.md for
 * the tokens. Each number is raw until it was checked. Part of the decoder.
 */
#include "codec/huffman_table_dec.h"

#include "codec/bits_fmt.h"

/* ---- Tokens -------------------------------------------------------------------------------- */

static bool stop(nqi_huffman_walk *w, nq_status status)
{
    w->status = status;
    return false;
}

static bool bit(nqi_huffman_walk *w)
{
    return nqi_bitreader_take(&w->bits, 1) != 0;
}

/* A positive number: ones, as many as it has bits behind its highest one, a zero, those bits. */
static uint32_t take_run(nqi_huffman_walk *w)
{
    unsigned width = 0;
    while (width < 17 && bit(w))
        width++;
    if (width == 17) /* more than there are symbols */
        return UINT32_MAX;
    return (UINT32_C(1) << width) | nqi_bitreader_take(&w->bits, width);
}

/* Symbols without a codeword; two runs could have been one. */
static bool skip_run(nqi_huffman_walk *w)
{
    const uint32_t raw_run = take_run(w);
    if (w->was_run || raw_run > w->n_symbols - w->next)
        return stop(w, w->bits.failed ? NQ_E_TRUNCATED : NQ_E_CORRUPT);
    w->next += raw_run;
    w->was_run = true;
    return true;
}

/* A length that is further than two from the last one. */
static bool take_far(nqi_huffman_walk *w, unsigned *raw_length)
{
    const unsigned raw = nqi_bitreader_take(&w->bits, NQI_HUFFMAN_LENGTH_WIDTH);
    const unsigned distance = raw > w->length ? raw - w->length : w->length - raw;
    *raw_length = raw;
    return distance > 2;
}

/* Nothing is left, and a first length without a codeword is not said. */
static bool ends_well(nqi_huffman_walk *w)
{
    return nqi_bitreader_at_end(&w->bits) && !(w->is_first && w->length != 0);
}

bool nqi_huffman_walk_next(nqi_huffman_walk *w, uint32_t *symbol, unsigned *length)
{
    while (w->status == NQ_OK && w->next < w->n_symbols) {
        /* Lengths below zero wrap to large ones, which are refused below. */
        unsigned raw_length = w->length;
        bool is_legal = true;
        if (bit(w)) {
            if (!bit(w))
                raw_length += bit(w) ? (unsigned)-1 : 1;
            else if (!bit(w)) {
                if (!skip_run(w))
                    return false;
                continue;
            } else if (!bit(w))
                raw_length += bit(w) ? (unsigned)-2 : 2;
            else
                is_legal = take_far(w, &raw_length);
        }
        if (w->bits.failed)
            return stop(w, NQ_E_TRUNCATED);
        if (!is_legal || raw_length > NQI_HUFFMAN_MAX_LENGTH ||
            (w->is_first && raw_length != w->length))
            return stop(w, NQ_E_CORRUPT);
        w->length = raw_length;
        w->is_first = w->was_run = false;
        *length = raw_length;
        *symbol = w->next++;
        return true;
    }
    if (w->status == NQ_OK && !ends_well(w))
        return stop(w, w->bits.failed ? NQ_E_TRUNCATED : NQ_E_CORRUPT);
    return false;
}

/* ---- Head ---------------------------------------------------------------------------------- */

nqi_huffman_walk nqi_huffman_walk_make(nqi_huffman_shape *shape, uint32_t n_levels,
                                       const uint8_t *table, size_t table_bytes)
{
    nqi_huffman_walk w = {
        .bits = nqi_bitreader_make(table, table_bytes), .status = NQ_OK, .is_first = true};
    const unsigned raw_low_bits = nqi_bitreader_take(&w.bits, NQI_HUFFMAN_LOW_BITS_WIDTH);
    shape->has_escape = bit(&w);
    shape->escape_length =
        shape->has_escape ? nqi_bitreader_take(&w.bits, NQI_HUFFMAN_LENGTH_WIDTH) : 0;
    w.length = nqi_bitreader_take(&w.bits, NQI_HUFFMAN_LENGTH_WIDTH);
    if (w.bits.failed)
        stop(&w, NQ_E_TRUNCATED);
    else if (shape->escape_length > NQI_HUFFMAN_MAX_LENGTH || w.length > NQI_HUFFMAN_MAX_LENGTH ||
             (raw_low_bits > 0 && (UINT32_C(1) << raw_low_bits) >= n_levels))
        stop(&w, NQ_E_CORRUPT);
    else
        w.n_symbols = ((n_levels - 1) >> raw_low_bits) + 1;
    shape->low_bits = raw_low_bits;
    shape->n_symbols = w.n_symbols;
    shape->raw_bits = w.n_symbols ? nqi_bits_for(w.n_symbols) : 0;
    return w;
}

/* ---- Proof --------------------------------------------------------------------------------- */

/* Kraft's sum is exactly one: every sequence of bits has one reading. */
static bool is_complete(const nqi_huffman_shape *shape)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i <= NQI_HUFFMAN_MAX_LENGTH; i++)
        sum += (uint64_t)shape->n_of_length[i] << (NQI_HUFFMAN_MAX_LENGTH - i);
    return sum == UINT64_C(1) << NQI_HUFFMAN_MAX_LENGTH;
}

static void count(nqi_huffman_shape *shape, unsigned length)
{
    shape->n_of_length[length]++;
    shape->longest = NQI_MAX(shape->longest, length);
}

nq_status nqi_huffman_measure(nqi_huffman_shape *shape, uint32_t n_levels, const uint8_t *table,
                              size_t table_bytes)
{
    uint32_t symbol;
    unsigned length;
    *shape = (nqi_huffman_shape){0};
    nqi_huffman_walk w = nqi_huffman_walk_make(shape, n_levels, table, table_bytes);
    if (w.status == NQ_OK && shape->has_escape)
        count(shape, shape->escape_length);
    while (nqi_huffman_walk_next(&w, &symbol, &length)) {
        count(shape, length);
        shape->largest = symbol;
    }
    if (w.status != NQ_OK)
        return w.status;
    return is_complete(shape) ? NQ_OK : NQ_E_CORRUPT;
}
