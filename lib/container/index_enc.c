/*
 * Writing the records of a .nq index: see index_enc.h.
 */
#include "container/index_enc.h"

#include <string.h>

#include "codec/checksum.h"

static uint64_t text_bytes(uint64_t n_bytes)
{
    return nqi_varint_bytes(n_bytes) + n_bytes;
}

static void put_text(nqi_out *o, const char *text, size_t n_bytes)
{
    nqi_out_varint(o, n_bytes);
    nqi_out_bytes(o, text, n_bytes);
}

/* ---- Metadata ------------------------------------------------------------------------------ */

uint64_t nqi_index_metadata_bytes(const nqi_metadata_record *record)
{
    return text_bytes(record->key_bytes) + text_bytes(record->value_bytes);
}

void nqi_index_put_metadata(nqi_out *o, const nqi_metadata_record *record)
{
    put_text(o, record->key, record->key_bytes);
    put_text(o, record->value, record->value_bytes);
}

/* ---- Tables -------------------------------------------------------------------------------- */

/* A record's bytes behind its length. */
static uint64_t table_body(const nqi_table_record *record)
{
    const uint64_t common = nqi_varint_bytes(record->n_bytes) + 4 + 1;
    if (record->kind == NQI_TABLE_CODE)
        return common + 1;
    const uint64_t channels = record->n_channels == 0
                                  ? 0
                                  : nqi_varint_bytes(record->n_channels) +
                                        nqi_varint_bytes(record->n_stored);
    return common + 3 + nqi_varint_bytes(record->n_levels) + (record->step != 0 ? 8 : 0) + channels;
}

uint64_t nqi_index_table_bytes(const nqi_table_record *record)
{
    return text_bytes(table_body(record));
}

void nqi_index_put_table(nqi_out *o, const nqi_table_record *record)
{
    nqi_out_varint(o, table_body(record));
    nqi_out_varint(o, record->n_bytes);
    nqi_out_le(o, record->crc, 4);
    nqi_out_le(o, record->kind, 1);
    if (record->kind == NQI_TABLE_CODE) {
        nqi_out_le(o, record->codec, 1);
        return;
    }
    nqi_out_le(o, record->method, 1);
    nqi_out_le(o, record->level_rule, 1);
    nqi_out_le(o, (record->step != 0 ? NQI_CODEBOOK_HAS_STEP : 0) |
                      (record->n_channels != 0 ? NQI_CODEBOOK_BY_CHANNEL : 0),
               1);
    nqi_out_varint(o, record->n_levels);
    if (record->step != 0)
        nqi_out_le(o, nqi_f64_bits(record->step), 8);
    if (record->n_channels == 0)
        return;
    nqi_out_varint(o, record->n_channels);
    nqi_out_varint(o, record->n_stored);
}

/* ---- Tensors ------------------------------------------------------------------------------- */

static uint64_t table_reference(uint32_t table)
{
    return table == NQ_NO_ID ? 0 : (uint64_t)table + 1;
}

static uint32_t layout_of(const nqi_tensor_record *record)
{
    if (nqi_record_is_lossless(record))
        return NQI_LAYOUT_PATTERNS;
    return record->axis == NQ_NO_ID ? NQI_LAYOUT_PLAIN : NQI_LAYOUT_CHANNELS;
}

static uint64_t tensor_body(const nqi_tensor_record *record, unsigned size_width)
{
    uint64_t n_bytes = size_width + 2 + text_bytes(record->name_bytes) + 2;
    for (uint32_t i = 0; i < record->rank; i++)
        n_bytes += nqi_varint_bytes(record->dims[i]);
    if (record->codec != NQ_CODEC_STORED)
        n_bytes += 1 + nqi_varint_bytes(table_reference(record->table)) +
                   (record->axis != NQ_NO_ID);
    if (record->codebook != NQ_NO_ID)
        n_bytes += nqi_varint_bytes(record->codebook);
    return n_bytes;
}

uint64_t nqi_index_tensor_bytes(const nqi_tensor_record *record, unsigned size_width)
{
    return text_bytes(tensor_body(record, size_width));
}

void nqi_index_put_tensor(nqi_out *o, const nqi_tensor_record *record, unsigned size_width)
{
    nqi_out_varint(o, tensor_body(record, size_width));
    nqi_out_le(o, record->payload_bytes, size_width);
    nqi_out_le(o, record->dtype, 1);
    nqi_out_le(o, record->rank, 1);
    for (uint32_t i = 0; i < record->rank; i++)
        nqi_out_varint(o, record->dims[i]);
    put_text(o, record->name, record->name_bytes);
    nqi_out_le(o, record->codec, 1);
    nqi_out_le(o, record->block_log2, 1);
    if (record->codec == NQ_CODEC_STORED)
        return;
    nqi_out_le(o, layout_of(record), 1);
    if (!nqi_record_is_lossless(record))
        nqi_out_varint(o, record->codebook);
    nqi_out_varint(o, table_reference(record->table));
    if (record->axis != NQ_NO_ID)
        nqi_out_le(o, record->axis, 1);
}

/* ---- Header -------------------------------------------------------------------------------- */

void nqi_index_put_header(uint8_t out[NQI_HEADER_BYTES], uint64_t file_bytes,
                          uint64_t original_bytes, const uint8_t *index, uint32_t index_bytes,
                          uint32_t n_tensors, uint32_t n_tables, uint32_t n_metadata,
                          unsigned size_width)
{
    memset(out, 0, NQI_HEADER_BYTES);
    memcpy(out + NQI_AT_MAGIC, NQI_MAGIC, NQI_MAGIC_BYTES);
    nqi_store_le16(out + NQI_AT_VERSION, NQI_VERSION);
    nqi_store_le16(out + NQI_AT_HEADER_BYTES, NQI_HEADER_BYTES);
    nqi_store_le64(out + NQI_AT_FILE_BYTES, file_bytes);
    nqi_store_le64(out + NQI_AT_ORIGINAL_BYTES, original_bytes);
    nqi_store_le32(out + NQI_AT_INDEX_BYTES, index_bytes);
    nqi_store_le32(out + NQI_AT_INDEX_CRC, nqi_crc32c(0, index, index_bytes));
    nqi_store_le32(out + NQI_AT_N_TENSORS, n_tensors);
    nqi_store_le32(out + NQI_AT_N_TABLES, n_tables);
    nqi_store_le32(out + NQI_AT_N_METADATA, n_metadata);
    out[NQI_AT_SIZE_WIDTH] = (uint8_t)size_width;
    nqi_store_le32(out + NQI_AT_HEADER_CRC,
                   nqi_crc32c(0, out + NQI_AT_VERSION, NQI_HEADER_BYTES - NQI_AT_VERSION));
}
