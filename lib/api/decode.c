/*
 * Decoding a tensor: any range, to values or indices. A quantized tensor is decoded a piece of
 * NQI_PIECE indices at a time, so that a block needs no memory of its own; reading on continues in
 * the open block. Part of the decoder: no allocation, no lock, no libm, no stdio.
 */
#include "api/decode.h"

#include <string.h>

#include "base/diag.h"
#include "base/half.h"
#include "base/number.h"
#include "base/versioned.h"
#include "codec/checksum.h"
#include "container/order.h"

#define DECODER_OPTIONS_FIRST_SIZE ((uint32_t)sizeof(nq_decoder_options))
#define KNOWN_FLAGS (NQ_DECODER_SKIP_CHECKSUMS | NQ_DECODER_SMALL_TABLES)

/* ---- Making -------------------------------------------------------------------------------- */

void nq_decoder_options_init_sized(nq_decoder_options *options, uint32_t struct_size)
{
    if (options && struct_size >= sizeof(uint32_t) && struct_size <= NQI_STRUCT_MAX)
        nqi_versioned_init(options, struct_size);
}

static nq_status read_options(nq_decoder_options *options, const nq_decoder_options *given)
{
    *options = (nq_decoder_options){.struct_size = sizeof *options};
    if (!given)
        return NQ_OK;
    NQI_TRY(nqi_versioned_read(options, (uint32_t)sizeof *options, given,
                               DECODER_OPTIONS_FIRST_SIZE));
    return options->flags & ~KNOWN_FLAGS ? NQ_E_ARG : NQ_OK;
}

nq_status nqi_decoder_check_making(nq_decoder_options *full, const void *out,
                                   const nq_reader *reader, uint64_t tensor,
                                   const nq_decoder_options *options, nq_diag *diag)
{
    if (!out || !reader || tensor >= reader->header.n_tensors)
        return nqi_diag_set(diag, NQ_E_ARG, "no such tensor");
    const nq_status status = read_options(full, options);
    return status == NQ_OK ? NQ_OK : nqi_diag_set(diag, status, "unknown options of a decoder");
}

nq_status nq_decoder_size(size_t *n_bytes, const nq_reader *reader, uint64_t tensor,
                          const nq_decoder_options *options, nq_diag *diag)
{
    nq_diag full;
    nq_decoder_options checked;
    nqi_diag_set(&full, NQ_OK, "");
    if (nqi_decoder_check_making(&checked, n_bytes, reader, tensor, options, &full) == NQ_OK)
        (void)nqi_decoder_bytes(n_bytes, reader, tensor, &checked, &full);
    return nqi_diag_export(diag, &full);
}

nq_status nq_decoder_init(nq_decoder **out, void *memory, size_t memory_bytes,
                          const nq_reader *reader, uint64_t tensor,
                          const nq_decoder_options *options, nq_diag *diag)
{
    nq_diag full;
    nq_decoder_options checked;
    nqi_diag_set(&full, NQ_OK, "");
    if (out)
        *out = NULL;
    if (nqi_decoder_check_making(&checked, out, reader, tensor, options, &full) == NQ_OK)
        (void)nqi_decoder_build(out, memory, memory_bytes, reader, tensor, &checked, &full);
    return nqi_diag_export(diag, &full);
}

/* ---- Blocks -------------------------------------------------------------------------------- */

/* Reports a failure in the open block, and closes it. */
static nq_status fail(nq_decoder *d, nq_status status, const char *what, uint64_t element,
                      uint64_t offset)
{
    d->open_block = NQ_NONE;
    return nqi_diag_at(&d->diag, status, what, d->number, element, offset);
}

uint64_t nqi_decoder_first_element(const nq_decoder *d, uint64_t block)
{
    const uint64_t units = block << d->tensor.block_log2;
    return d->tensor.codec == NQ_CODEC_STORED ? units / nq_dtype_bits(d->tensor.dtype) * 8 +
                                                    units % nq_dtype_bits(d->tensor.dtype) * 8 /
                                                        nq_dtype_bits(d->tensor.dtype)
                                              : units;
}

/* Where the blocks of a quantized tensor begin and end, from the directory. */
static nq_status coded_extent(nqi_extent *extent, const nq_decoder *d, uint64_t block)
{
    uint8_t raw[16];
    const nq_source *source = &d->reader->source;
    const unsigned width = nqi_offset_width(d->tensor.n_elements);
    const uint64_t blocks = d->tensor.payload_bytes - d->directory_bytes;
    const uint64_t offsets = d->tensor.payload_offset + d->n_blocks * NQI_CRC_BYTES;
    const bool has_begin = block > 0;
    const bool has_end = block + 1 < d->n_blocks;
    if (has_begin)
        NQI_TRY(nqi_source_fetch(raw, source, offsets + (block - 1) * width, width));
    if (has_end)
        NQI_TRY(nqi_source_fetch(raw + 8, source, offsets + block * width, width));
    const uint64_t raw_begin = has_begin ? nqi_load_le(raw, width) : 0;
    const uint64_t raw_end = has_end ? nqi_load_le(raw + 8, width) : blocks;
    if (raw_begin > raw_end || raw_end > blocks)
        return NQ_E_CORRUPT;
    extent->offset = d->tensor.payload_offset + d->directory_bytes + raw_begin;
    return nqi_to_size(&extent->n_bytes, raw_end - raw_begin) ? NQ_OK : NQ_E_CORRUPT;
}

static nq_status find_extent(nqi_extent *extent, const nq_decoder *d, uint64_t block)
{
    uint8_t raw_crc[NQI_CRC_BYTES];
    NQI_TRY(nqi_source_fetch(raw_crc, &d->reader->source,
                             d->tensor.payload_offset + block * NQI_CRC_BYTES, sizeof raw_crc));
    extent->crc = nqi_load_le32(raw_crc);
    if (d->tensor.codec != NQ_CODEC_STORED)
        return coded_extent(extent, d, block);
    const uint64_t first = block << d->tensor.block_log2;
    extent->offset = d->tensor.payload_offset + d->directory_bytes + first;
    extent->n_bytes = (size_t)NQI_MIN(d->n_units - first, UINT64_C(1) << d->tensor.block_log2);
    return NQ_OK;
}

/* Makes `block` the open one: its bytes at hand and verified, no index decoded yet. */
static nq_status open_block(nq_decoder *d, uint64_t block, bool verifies)
{
    nqi_extent extent;
    const uint64_t element = nqi_decoder_first_element(d, block);
    nq_status status = find_extent(&extent, d, block);
    if (status != NQ_OK)
        return fail(d, status, "a block directory is damaged or cannot be read", element,
                    d->tensor.payload_offset);
    if (d->reader->source.read && extent.n_bytes > d->buffer_bytes)
        return fail(d, NQ_E_CORRUPT, "a block directory changed while it was used", element,
                    d->tensor.payload_offset);
    d->open_block = NQ_NONE;
    status = nqi_source_view(&d->bytes, &d->reader->source, extent.offset, extent.n_bytes,
                             d->buffer);
    if (status != NQ_OK)
        return fail(d, status, "reading a block failed", element, extent.offset);
    if (verifies && nqi_crc32c(0, d->bytes, extent.n_bytes) != extent.crc)
        return fail(d, NQ_E_CHECKSUM, "a block is damaged", element, extent.offset);
    d->bytes_offset = extent.offset;
    d->piece_begin = d->piece_end = 0;
    if (d->tensor.codec != NQ_CODEC_STORED) {
        const uint64_t left = d->n_units - (block << d->tensor.block_log2);
        d->block_elems = (uint32_t)NQI_MIN(left, UINT64_C(1) << d->tensor.block_log2);
        const size_t raw_bytes = (size_t)d->block_elems * d->raw_bytes;
        if (extent.n_bytes < raw_bytes)
            return fail(d, NQ_E_TRUNCATED, "a block contradicts its code", element, extent.offset);
        d->raw = d->bytes + (extent.n_bytes - raw_bytes);
        status = nqi_block_begin(&d->block, d->block_memory, d->code, d->bytes,
                                 extent.n_bytes - raw_bytes, d->block_elems);
        if (status != NQ_OK)
            return fail(d, status, "a block contradicts its code", element, extent.offset);
    }
    d->open_block = block;
    return NQ_OK;
}

/* Decodes the next piece of the open block; behind the last one nothing may be left. */
static nq_status next_piece(nq_decoder *d)
{
    const uint32_t n = NQI_MIN(NQI_PIECE, d->block_elems - d->piece_end);
    nq_status status = d->is_narrow ? nqi_block_next_u8(d->block, d->piece, n)
                                    : nqi_block_next_u16(d->block, d->piece, n);
    if (status == NQ_OK && d->piece_end + n == d->block_elems)
        status = nqi_block_end(d->block);
    if (status == NQ_OK && d->renumbers)
        status = nqi_channels_renumber(
            d, (d->open_block << d->tensor.block_log2) + d->piece_end, n);
    if (status != NQ_OK)
        return fail(d, status, "a block contradicts its code",
                    (d->open_block << d->tensor.block_log2) + d->piece_end, d->bytes_offset);
    d->piece_begin = d->piece_end;
    d->piece_end += n;
    return NQ_OK;
}

nq_status nqi_decoder_seek(nq_decoder *d, uint64_t element, size_t *place, size_t *n)
{
    const uint64_t block = element >> d->tensor.block_log2;
    const uint32_t within = (uint32_t)(element & ((UINT64_C(1) << d->tensor.block_log2) - 1));
    if (d->open_block != block || within < d->piece_begin)
        NQI_TRY(open_block(d, block, !(d->flags & NQ_DECODER_SKIP_CHECKSUMS)));
    while (within >= d->piece_end)
        NQI_TRY(next_piece(d));
    *place = within - d->piece_begin;
    *n = d->piece_end - within;
    return NQ_OK;
}

nq_status nqi_decoder_check_block(nq_decoder *d, uint64_t block)
{
    NQI_TRY(open_block(d, block, true));
    if (d->tensor.codec != NQ_CODEC_STORED)
        while (d->piece_end < d->block_elems)
            NQI_TRY(next_piece(d));
    return NQ_OK;
}

/* ---- Conversion ---------------------------------------------------------------------------- */

static uint16_t narrow_value(float value, uint32_t dtype)
{
    return dtype == NQ_F16 ? nqi_f32_to_f16(value) : nqi_f32_to_bf16(value);
}

/* One stored element of a floating type that has 32 or 16 bits. */
static float stored_value(const uint8_t *bytes, uint32_t dtype)
{
    if (dtype == NQ_F32)
        return nqi_f32_from_bits(nqi_load_le32(bytes));
    const uint16_t half = nqi_load_le16(bytes);
    return dtype == NQ_F16 ? nqi_f16_to_f32(half) : nqi_bf16_to_f32(half);
}

size_t nqi_decoder_convert(uint8_t *out, uint32_t to, const uint8_t *bytes, size_t n_bytes,
                           uint32_t from)
{
    const size_t from_bytes = nqi_dtype_unit(from);
    const size_t to_bytes = nqi_dtype_unit(to);
    const size_t n = n_bytes / from_bytes;
    for (size_t i = 0; i < n; i++) {
        const float value = stored_value(bytes + i * from_bytes, from);
        if (to == NQ_F32)
            nqi_store_f32(out + i * to_bytes, value);
        else
            nqi_store_u16(out + i * to_bytes, narrow_value(value, to));
    }
    return n * to_bytes;
}

/* ---- Coded tensors ------------------------------------------------------------------------- */

/* Each level is rounded once, not each element. */
static void narrow_levels(nq_decoder *d, uint32_t dtype)
{
    if (d->narrow_dtype == dtype)
        return;
    if (nqi_is_weight_type(dtype))
        for (uint32_t i = 0; i < d->n_stored; i++)
            d->narrow[i] = narrow_value(d->levels[i], dtype);
    else
        nqi_integers_make(d, dtype);
    d->narrow_dtype = dtype;
}

void nqi_decoder_emit_bytes(uint8_t *out, const nq_decoder *d, const nqi_values *values,
                            uint32_t n_levels, const uint8_t *indices, size_t n)
{
    if (values->unit == sizeof(float))
        d->kernels->f32(out, values->of, n_levels, indices, n);
    else if (values->unit == sizeof(uint16_t))
        d->kernels->u16(out, values->of, n_levels, indices, n);
    else
        d->kernels->u8(out, values->of, n_levels, indices, n);
}

/* Of more levels than a byte can tell apart. */
static void emit_wide(uint8_t *out, const nqi_values *values, const uint16_t *indices, size_t n)
{
    if (values->unit == sizeof(float))
        for (size_t i = 0; i < n; i++)
            nqi_store_f32(out + i * sizeof(float), ((const float *)values->of)[indices[i]]);
    else if (values->unit == sizeof(uint16_t))
        for (size_t i = 0; i < n; i++)
            nqi_store_u16(out + i * sizeof(uint16_t), ((const uint16_t *)values->of)[indices[i]]);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = ((const uint8_t *)values->of)[indices[i]];
}

nq_status nqi_decoder_read_values(nq_decoder *d, const nqi_values *values, uint64_t first,
                                  uint64_t count, uint8_t *out)
{
    while (count > 0) {
        size_t place, n;
        NQI_TRY(nqi_decoder_seek(d, first, &place, &n));
        n = (size_t)NQI_MIN(n, count);
        if (d->n_channels)
            nqi_channels_emit(out, d, values, first, place, n);
        else if (d->is_narrow)
            nqi_decoder_emit_bytes(out, d, values, d->n_levels, (const uint8_t *)d->piece + place,
                                   n);
        else
            emit_wide(out, values, (const uint16_t *)d->piece + place, n);
        out += n * values->unit;
        first += n;
        count -= n;
    }
    return NQ_OK;
}

static nq_status read_quantized(nq_decoder *d, uint32_t dtype, uint64_t first, uint64_t count,
                                uint8_t *out)
{
    const nqi_values values = {dtype == NQ_F32 ? (const void *)d->levels : d->narrow,
                               nqi_dtype_unit(dtype)};
    if (dtype != NQ_F32)
        narrow_levels(d, dtype);
    return nqi_decoder_read_values(d, &values, first, count, out);
}

static nq_status read_lossless(nq_decoder *d, uint32_t dtype, uint64_t first, uint64_t count,
                               uint8_t *out)
{
    while (count > 0) {
        size_t place, n;
        NQI_TRY(nqi_decoder_seek(d, first, &place, &n));
        n = (size_t)NQI_MIN(n, count);
        nqi_lossless_emit(out, d, dtype, place, n);
        out += n * nqi_dtype_unit(dtype);
        first += n;
        count -= n;
    }
    return NQ_OK;
}

static nq_status read_indices(nq_decoder *d, uint64_t first, uint64_t count, uint16_t *out)
{
    while (count > 0) {
        size_t place, n;
        NQI_TRY(nqi_decoder_seek(d, first, &place, &n));
        n = (size_t)NQI_MIN(n, count);
        if (d->is_narrow)
            for (size_t i = 0; i < n; i++)
                out[i] = ((const uint8_t *)d->piece)[place + i];
        else
            memcpy(out, (const uint16_t *)d->piece + place, n * sizeof *out);
        out += n;
        first += n;
        count -= n;
    }
    return NQ_OK;
}

/* ---- Stored tensors ------------------------------------------------------------------------ */

static nq_status read_stored(nq_decoder *d, uint32_t dtype, uint64_t first, uint64_t count,
                             uint8_t *out)
{
    /* At most 2^57 elements of 2^6 bits: no overflow. Blocks are whole numbers of elements. */
    const uint32_t own = d->tensor.dtype;
    uint64_t at = first * nq_dtype_bits(own) / 8;
    uint64_t left = count * nq_dtype_bits(own) / 8;
    const uint64_t block_mask = (UINT64_C(1) << d->tensor.block_log2) - 1;
    while (left > 0) {
        const uint64_t block = at >> d->tensor.block_log2;
        if (d->open_block != block)
            NQI_TRY(open_block(d, block, !(d->flags & NQ_DECODER_SKIP_CHECKSUMS)));
        const size_t n = (size_t)NQI_MIN(left, block_mask + 1 - (at & block_mask));
        const uint8_t *bytes = d->bytes + (size_t)(at & block_mask);
        if (dtype == own) {
            nqi_copy_ordered(out, bytes, n, nqi_dtype_unit(own));
            out += n;
        } else {
            out += nqi_decoder_convert(out, dtype, bytes, n, own);
        }
        at += n;
        left -= n;
    }
    return NQ_OK;
}

/* ---- Reading ------------------------------------------------------------------------------- */

nq_status nqi_decoder_check_range(const nq_decoder *d, uint32_t dtype, uint64_t first,
                                  uint64_t count)
{
    const uint32_t own = d->tensor.dtype;
    if (first > d->tensor.n_elements || count > d->tensor.n_elements - first)
        return NQ_E_ARG;
    if (dtype != own && !(nqi_is_weight_type(dtype) && nqi_is_weight_type(own)) &&
        !nqi_integers_fit(d, dtype))
        return NQ_E_ARG;
    const uint32_t bits = nq_dtype_bits(own);
    return first % 8 * bits % 8 == 0 && count % 8 * bits % 8 == 0 ? NQ_OK : NQ_E_ARG;
}

nq_status nqi_decoder_read(nq_decoder *d, uint32_t dtype, uint64_t first, uint64_t count,
                           uint8_t *out)
{
    if (d->tensor.codec == NQ_CODEC_STORED)
        return read_stored(d, dtype, first, count, out);
    return d->n_levels > 0 ? read_quantized(d, dtype, first, count, out)
                           : read_lossless(d, dtype, first, count, out);
}

static nq_status wrong_read(nq_decoder *d, uint64_t first)
{
    return nqi_diag_at(&d->diag, NQ_E_ARG, "no such range, or not in this type", d->number, first,
                       NQ_NONE);
}

nq_status nq_decoder_read(nq_decoder *decoder, uint32_t dtype, uint64_t first, uint64_t count,
                          void *out)
{
    if (!decoder)
        return NQ_E_ARG;
    nqi_diag_set(&decoder->diag, NQ_OK, "");
    if ((!out && count > 0) || nqi_decoder_check_range(decoder, dtype, first, count) != NQ_OK)
        return wrong_read(decoder, first);
    return nqi_decoder_read(decoder, dtype, first, count, out);
}

nq_status nq_decoder_read_mapped(nq_decoder *decoder, const void *values, uint32_t value_bytes,
                                 uint64_t first, uint64_t count, void *out)
{
    if (!decoder)
        return NQ_E_ARG;
    const nqi_values of_levels = {values, value_bytes};
    nqi_diag_set(&decoder->diag, NQ_OK, "");
    if ((!out && count > 0) || !values || value_bytes < 1 || value_bytes > 2 ||
        decoder->n_levels == 0 ||
        nqi_decoder_check_range(decoder, NQ_F32, first, count) != NQ_OK)
        return wrong_read(decoder, first);
    return nqi_decoder_read_values(decoder, &of_levels, first, count, out);
}

nq_status nq_decoder_read_indices(nq_decoder *decoder, uint64_t first, uint64_t count,
                                  uint16_t *indices)
{
    if (!decoder)
        return NQ_E_ARG;
    nqi_diag_set(&decoder->diag, NQ_OK, "");
    if ((!indices && count > 0) || decoder->n_levels == 0 ||
        nqi_decoder_check_range(decoder, NQ_F32, first, count) != NQ_OK)
        return wrong_read(decoder, first);
    return read_indices(decoder, first, count, indices);
}

nq_status nq_decoder_codebook(const nq_decoder *decoder, const float **levels, size_t *n_levels)
{
    if (!decoder || !levels || !n_levels)
        return NQ_E_ARG;
    *n_levels = decoder->n_stored;
    *levels = decoder->n_stored > 0 ? decoder->levels : NULL;
    return NQ_OK;
}

nq_status nq_decoder_channel_codebook(const nq_decoder *decoder, uint64_t channel,
                                      const float **levels, size_t *n_levels,
                                      uint32_t *number)
{
    if (!decoder || !levels || !n_levels || channel >= decoder->n_channels)
        return NQ_E_ARG;
    const nqi_channel *c = &decoder->channels[channel];
    *n_levels = (size_t)c->last - c->first + 1;
    *levels = decoder->levels + c->at;
    if (number)
        *number = c->first;
    return NQ_OK;
}

nq_status nq_decoder_diag(const nq_decoder *decoder, nq_diag *diag)
{
    if (!decoder || !diag)
        return NQ_E_ARG;
    return nqi_diag_export(diag, &decoder->diag) == NQ_E_ABI &&
                   decoder->diag.status != NQ_E_ABI
               ? NQ_E_ABI
               : NQ_OK;
}
