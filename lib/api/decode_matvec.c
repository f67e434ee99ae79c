/*
 * Products of a tensor's rows with a vector, straight from its blocks: a piece of indices is
 * decoded into the cache, looked up and multiplied, and no weight is ever stored. Part of the
 * decoder.
 *
 * Products go to NQI_DOT_LANES partial sums by their column, one after another, so that neither the
 * kernel nor where a piece ends is to be seen in the result.
 */
#include "api/decode.h"

#include "base/checked.h"
#include "base/diag.h"

enum { TILE = 256 }; /* values at once, where a piece has no indices of a byte */

/* The n products of a row whose first weight is `element`. */
static nq_status add_values(float *sums, nq_decoder *d, uint64_t element, const float *x, size_t n)
{
    float tile[TILE];
    for (size_t done = 0, now; done < n; done += now) {
        now = NQI_MIN(n - done, (size_t)TILE);
        NQI_TRY(nqi_decoder_read(d, NQ_F32, element + done, now, (uint8_t *)tile));
        nqi_dot_values(sums, tile, x, done, now);
    }
    return NQ_OK;
}

static nq_status add_indices(float *sums, nq_decoder *d, uint64_t element, const float *x, size_t n)
{
    for (size_t done = 0; done < n;) {
        size_t place, now;
        NQI_TRY(nqi_decoder_seek(d, element + done, &place, &now));
        now = NQI_MIN(now, n - done);
        d->kernels->dot(sums, d->levels, d->n_levels, (const uint8_t *)d->piece + place, x, done,
                        now);
        done += now;
    }
    return NQ_OK;
}

/* The same with levels by channel. */
static nq_status add_channels(float *sums, nq_decoder *d, uint64_t element, const float *x,
                              size_t n)
{
    nqi_channel_walk w = nqi_channel_walk_at(d, element);
    for (size_t done = 0; done < n;) {
        size_t place, now;
        NQI_TRY(nqi_decoder_seek(d, element + done, &place, &now));
        now = (size_t)NQI_MIN(NQI_MIN(now, n - done), w.left);
        d->kernels->dot(sums, d->levels + w.channel->at,
                        (uint32_t)w.channel->last - w.channel->first + 1,
                        (const uint8_t *)d->piece + place, x, done, now);
        nqi_channel_walk_on(&w, d, now);
        done += now;
    }
    return NQ_OK;
}

static nq_status multiply_row(float *product, nq_decoder *d, uint64_t first, const float *x,
                              size_t n)
{
    float sums[NQI_DOT_LANES] = {0};
    const bool has_bytes = d->tensor.codec != NQ_CODEC_STORED && d->is_narrow;
    if (has_bytes && d->n_channels == 0)
        NQI_TRY(add_indices(sums, d, first, x, n));
    else if (has_bytes && d->inner >= NQI_CHANNEL_SHORT)
        NQI_TRY(add_channels(sums, d, first, x, n));
    else
        NQI_TRY(add_values(sums, d, first, x, n));
    *product = nqi_dot_sum(sums);
    return NQ_OK;
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* The tensor as a matrix; columns is 0 if it has no elements. */
static void shape_of(uint64_t *rows, uint64_t *columns, const nqi_tensor_record *t)
{
    *rows = t->rank < 2 ? 1 : t->dims[0];
    *columns = *rows == 0 ? 0 : t->n_elements / *rows;
}

nq_status nq_decoder_matvec(nq_decoder *decoder, uint64_t first_row, uint64_t n_rows,
                            const float *x, float *y)
{
    uint64_t rows, columns;
    size_t n;
    if (!decoder)
        return NQ_E_ARG;
    shape_of(&rows, &columns, &decoder->tensor);
    nqi_diag_set(&decoder->diag, NQ_OK, "");
    if (first_row > rows || n_rows > rows - first_row || (!y && n_rows > 0) ||
        (!x && columns > 0 && n_rows > 0) || !nqi_to_size(&n, columns) ||
        nqi_decoder_check_range(decoder, NQ_F32, 0, 0) != NQ_OK)
        return nqi_diag_at(&decoder->diag, NQ_E_ARG, "no such rows, or not of numbers",
                           decoder->number, NQ_NONE, NQ_NONE);
    for (uint64_t i = 0; i < n_rows && n > 0; i++) {
        float product;
        NQI_TRY(multiply_row(&product, decoder, (first_row + i) * columns, x, n));
        y[i] += product;
    }
    return NQ_OK;
}
