/*
 * Elements that are coded without loss, from the piece of indices that was decoded last: in their
 * own type bit for bit, or their values in another floating one. Part of the decoder.
 */
#include "api/decode.h"
#include "codec/patterns_dec.h"
#include "container/order.h"

enum { TILE_BYTES = 1024 }; /* of elements at once on their way to another type */

void nqi_lossless_emit(uint8_t *out, const nq_decoder *d, uint32_t dtype, size_t place, size_t n)
{
    const uint32_t own = d->tensor.dtype, unit = nqi_dtype_unit(own);
    const size_t index_bytes = d->is_narrow ? sizeof(uint8_t) : sizeof(uint16_t);
    const uint8_t *indices = (const uint8_t *)d->piece + place * index_bytes;
    const uint8_t *raw = d->raw + (d->piece_begin + place) * d->raw_bytes;
    uint8_t tile[TILE_BYTES], ordered[TILE_BYTES];
    if (dtype == own) {
        nqi_patterns_emit(out, own, indices, raw, n);
        return;
    }
    if (!NQI_IS_SMALLEST && dtype == NQ_F32) {
        nqi_patterns_f32(out, own, (const uint16_t *)(const void *)indices, raw, n);
        return;
    }
    for (size_t done = 0, now; done < n; done += now) {
        now = NQI_MIN(n - done, (size_t)TILE_BYTES / unit);
        nqi_patterns_emit(tile, own, indices + done * index_bytes, raw + done * d->raw_bytes, now);
        nqi_copy_ordered(ordered, tile, now * unit, unit);
        out += nqi_decoder_convert(out, dtype, ordered, now * unit, own);
    }
}
