/*
 * Writing the description of a Huffman code, always in its shortest form. docs/format/codecs.md has
 * the tokens.
 */
#include "codec/huffman_table_enc.h"

#include <string.h>

/* Bits, low bit of each byte first; they are only counted if `out` is NULL. */
typedef struct sink {
    uint8_t *out; /* zeroed */
    uint64_t n_bits;
} sink;

static void put(sink *s, uint32_t value, unsigned width)
{
    for (unsigned i = 0; s->out && i < width; i++) {
        const uint64_t at = s->n_bits + i;
        s->out[at / 8] |= (uint8_t)((value >> i & 1) << (at % 8));
    }
    s->n_bits += width;
}

/* ---- Tokens: the numbers are their bits, the first one lowest ------------------------------ */

static void put_run(sink *s, uint32_t n)
{
    unsigned width = 0;
    while (n >> width > 1)
        width++;
    put(s, 3, 3); /* 1, 1, 0 */
    put(s, (UINT32_C(1) << width) - 1, width + 1);
    put(s, n - (UINT32_C(1) << width), width);
}

static void put_length(sink *s, unsigned previous, unsigned length)
{
    const int step = (int)length - (int)previous;
    if (step == 0)
        put(s, 0, 1);
    else if (step == 1 || step == -1)
        put(s, 1 | (step < 0 ? 4 : 0), 3); /* 1, 0, sign */
    else if (step == 2 || step == -2)
        put(s, 7 | (step < 0 ? 16 : 0), 5); /* 1, 1, 1, 0, sign */
    else
        put(s, 15 | length << 4, 4 + NQI_HUFFMAN_LENGTH_WIDTH);
}

/* The length of the first symbol that has a codeword. */
static unsigned first_length(const nqi_huffman_lengths_view *view)
{
    for (uint32_t i = 0; i < view->n_symbols; i++)
        if (view->lengths[i] != NQI_HUFFMAN_NO_CODE)
            return view->lengths[i];
    return 0;
}

static void put_table(sink *s, const nqi_huffman_lengths_view *view)
{
    unsigned previous = first_length(view);
    put(s, view->low_bits, NQI_HUFFMAN_LOW_BITS_WIDTH);
    put(s, view->has_escape, 1);
    if (view->has_escape)
        put(s, view->escape_length, NQI_HUFFMAN_LENGTH_WIDTH);
    put(s, previous, NQI_HUFFMAN_LENGTH_WIDTH);
    for (uint32_t i = 0; i < view->n_symbols;) {
        uint32_t run = 0;
        while (i + run < view->n_symbols && view->lengths[i + run] == NQI_HUFFMAN_NO_CODE)
            run++;
        if (run > 0) {
            put_run(s, run);
            i += run;
        } else {
            put_length(s, previous, view->lengths[i]);
            previous = view->lengths[i++];
        }
    }
}

uint64_t nqi_huffman_table_bits(const nqi_huffman_lengths_view *view)
{
    sink s = {.out = NULL};
    put_table(&s, view);
    return s.n_bits;
}

void nqi_huffman_table_put(uint8_t *out, const nqi_huffman_lengths_view *view)
{
    sink s = {.out = out};
    memset(out, 0, (size_t)((nqi_huffman_table_bits(view) + 7) / 8));
    put_table(&s, view);
}
