/*
 * Setting levels: see relevel.h. Levels of f32 and f16 keep their size, so nothing moves.
 */
#include "container/relevel.h"

#include "base/half.h"
#include "codec/checksum.h"

/* Levels are the last of a codebook's data. */
static void store_levels(uint8_t *data, const nqi_table_record *record, const float *levels)
{
    const size_t width = record->kind == NQ_LEVELS_F32 ? 4 : 2;
    data += (size_t)record->n_bytes - width * record->n_stored;
    for (uint32_t i = 0; i < record->n_stored; i++) {
        if (record->kind == NQ_LEVELS_F32)
            nqi_store_le32(data + 4 * (size_t)i, nqi_f32_bits(levels[i]));
        else
            nqi_store_le16(data + 2 * (size_t)i, nqi_f32_to_f16(levels[i]));
    }
}

/* Where in the index the checksum of a table stands: behind the record's length and the data's. */
static size_t find_crc(const uint8_t *index, const nqi_header *header, uint32_t table)
{
    uint64_t skipped;
    nqi_cursor c = nqi_cursor_make(index, header->index_bytes);
    for (uint32_t i = 0; i < header->n_metadata; i++)
        nqi_index_skip_metadata(&c);
    for (uint32_t i = 0; i < table; i++)
        (void)nqi_index_skip_table(&c);
    (void)nqi_cursor_varint(&c, &skipped);
    (void)nqi_cursor_varint(&c, &skipped);
    return (size_t)(c.at - index);
}

nq_status nqi_relevel(uint8_t *file, const nq_reader *reader, uint32_t codebook,
                      const float *levels)
{
    nqi_table_record record;
    const nqi_header *header = &reader->header;
    uint8_t *index = file + NQI_HEADER_BYTES;
    nqi_reader_get_table(&record, reader, codebook);
    if (record.kind != NQ_LEVELS_F32 && record.kind != NQ_LEVELS_F16)
        return NQ_E_UNSUPPORTED;
    const size_t crc = find_crc(index, header, codebook);
    store_levels(file + record.offset, &record, levels);
    nqi_store_le32(index + crc, nqi_crc32c(0, file + record.offset, (size_t)record.n_bytes));
    nqi_store_le32(file + NQI_AT_INDEX_CRC, nqi_crc32c(0, index, header->index_bytes));
    nqi_store_le32(file + NQI_AT_HEADER_CRC,
                   nqi_crc32c(0, file + NQI_AT_VERSION, NQI_HEADER_BYTES - NQI_AT_VERSION));
    return NQ_OK;
}
