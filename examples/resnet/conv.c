/*
 * Direct convolution in tiles of four output channels and some columns, which the inner loop keeps
 * in registers. In the padded input, what a tap of the filter sees of a whole row of the output is
 * one stretch of memory: tap after tap, a tile is a sum of such stretches times a weight each.
 */
#include "conv.h"

#include <assert.h>
#include <string.h>

/* Widths that gcc 12 makes good code of, for the registers of AVX-512, AVX, and SSE or NEON. */
#define TILE_CHANNELS 4u
#if defined(__AVX512F__)
#define TILE_COLUMNS 64u
#elif defined(__AVX__)
#define TILE_COLUMNS 16u
#else
#define TILE_COLUMNS 8u
#endif

#define TAPS     9u
#define MAX_TAPS (TAPS * CONV_MAX_IN)

static_assert(4 * LANES % TILE_COLUMNS == 0, "tiles fill a row");

/* ---- Layout of the padded input -------------------------------------------------------------- */

/* Columns of zeros: one on each side, and for stride 2 none on the right, where no filter looks. */
static size_t padded_columns(const conv_shape *s)
{
    return s->stride == 1 ? s->side + 2 : 2 * (s->side + 1);
}

static size_t row_size(const conv_shape *s)
{
    return padded_columns(s) * LANES;
}

static size_t plane_size(const conv_shape *s)
{
    return row_size(s) * (s->stride * s->side + 2);
}

size_t conv_padded_size(const conv_shape *s)
{
    return plane_size(s) * s->n_in;
}

/* Where a padded column is in its row. */
static size_t column_place(const conv_shape *s, size_t column)
{
    return LANES * (s->stride == 1 ? column : column / 2 + column % 2 * (s->side + 1));
}

void conv_pad(float *padded, const float *in, const conv_shape *s)
{
    const size_t side = s->stride * s->side, row = row_size(s);
    memset(padded, 0, conv_padded_size(s) * sizeof *padded);
    for (size_t c = 0; c < s->n_in; c++)
        for (size_t y = 0; y < side; y++) {
            float *to = padded + c * plane_size(s) + (y + 1) * row;
            const float *from = in + (c * side + y) * side * LANES;
            if (s->stride == 1)
                memcpy(to + LANES, from, side * LANES * sizeof *to);
            else
                for (size_t x = 0; x < side; x++)
                    memcpy(to + column_place(s, x + 1), from + x * LANES, LANES * sizeof *to);
        }
}

void conv_pack(float *packed, const float *weights, const conv_shape *s)
{
    for (size_t out = 0; out < s->n_out; out += TILE_CHANNELS)
        for (size_t k = 0; k < s->n_in * TAPS; k++)
            for (size_t i = 0; i < TILE_CHANNELS; i++)
                *packed++ = weights[(out + i) * s->n_in * TAPS + k];
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Tap after tap of the filters, over all input channels. */
typedef struct taps {
    size_t n;
    size_t offsets[MAX_TAPS]; /* of what a tap sees, from the first */
} taps;

/* One channel's sums to a variable: compilers keep these in registers, but give up on an array of
 * them. */
static void add_up(float *out, size_t out_step, const float *in, const float *w, const taps *t)
{
    float sum0[TILE_COLUMNS] = {0}, sum1[TILE_COLUMNS] = {0};
    float sum2[TILE_COLUMNS] = {0}, sum3[TILE_COLUMNS] = {0};
    for (size_t k = 0; k < t->n; k++, w += TILE_CHANNELS) {
        const float *x = in + t->offsets[k];
        const float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
        for (size_t j = 0; j < TILE_COLUMNS; j++) {
            const float xj = x[j];
            sum0[j] += w0 * xj;
            sum1[j] += w1 * xj;
            sum2[j] += w2 * xj;
            sum3[j] += w3 * xj;
        }
    }
    memcpy(out, sum0, sizeof sum0);
    memcpy(out + out_step, sum1, sizeof sum1);
    memcpy(out + 2 * out_step, sum2, sizeof sum2);
    memcpy(out + 3 * out_step, sum3, sizeof sum3);
}

/* Tile by tile along a row, all channels for each, so that its input stays in the first-level
 * cache. */
static void run_row(float *out, const float *padded, const float *packed, const conv_shape *s,
                    const taps *t)
{
    const size_t plane = s->side * s->side * LANES;
    for (size_t column = 0; column < s->side * LANES; column += TILE_COLUMNS)
        for (size_t channel = 0; channel < s->n_out; channel += TILE_CHANNELS)
            add_up(out + channel * plane + column, plane, padded + column, packed + channel * t->n,
                   t);
}

void conv_run(float *out, const float *padded, const float *packed, const conv_shape *s)
{
    taps t = {.n = s->n_in * TAPS};
    assert(t.n <= MAX_TAPS);
    for (size_t k = 0; k < t.n; k++)
        t.offsets[k] =
            k / TAPS * plane_size(s) + k % TAPS / 3 * row_size(s) + column_place(s, k % 3);
    for (size_t y = 0; y < s->side; y++)
        run_row(out + y * s->side * LANES, padded + y * s->stride * row_size(s), packed, s, &t);
}
