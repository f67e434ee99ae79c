/*
 * Writing a .nq file: see writer.h. Once all is described the layout is fixed, tables go out, then
 * the tensors' blocks in order, and at last what stands in front of them.
 */
#include <string.h>

#include "base/checked.h"
#include "codec/checksum.h"
#include "container/writer_impl.h"

/* ---- Life ---------------------------------------------------------------------------------- */

nq_status nqi_writer_create(nqi_writer **out, const nqi_allocator *a, const nq_sink *sink,
                            uint64_t original_bytes)
{
    void *memory;
    *out = NULL;
    NQI_TRY(nqi_alloc_zero(&memory, a, 1, sizeof(nqi_writer)));
    nqi_writer *w = memory;
    w->a = *a;
    if (sink)
        w->sink = *sink;
    w->original_bytes = original_bytes;
    *out = w;
    return NQ_OK;
}

static void free_array(nqi_writer *w, nqi_array *items, size_t size)
{
    nqi_free(&w->a, items->items, items->capacity, size);
}

void nqi_writer_destroy(nqi_writer *w)
{
    if (!w)
        return;
    const nqi_allocator a = w->a;
    free_array(w, &w->metadata, sizeof(nqi_writer_metadata));
    free_array(w, &w->tables, sizeof(nqi_writer_table));
    free_array(w, &w->tensors, sizeof(nqi_writer_tensor));
    free_array(w, &w->pool, 1);
    free_array(w, &w->directory, 1);
    nqi_free(&a, w, 1, sizeof *w);
}

void nqi_writer_set_original_bytes(nqi_writer *w, uint64_t original_bytes)
{
    w->original_bytes = original_bytes;
}

/* ---- Layout -------------------------------------------------------------------------------- */

static nqi_metadata_record metadata_record(const nqi_writer *w, const nqi_writer_metadata *item)
{
    const char *text = (const char *)nqi_writer_pool_at(w, item->text);
    return (nqi_metadata_record){.key = text,
                                 .key_bytes = (size_t)item->key_bytes,
                                 .value = text + item->key_bytes,
                                 .value_bytes = (size_t)item->value_bytes};
}

/* Bytes that a number up to `value` needs. */
static unsigned bytes_for(uint64_t value)
{
    unsigned width = 1;
    while (width < 8 && value >> (8 * width) != 0)
        width++;
    return width;
}

/* Fixes the width of sizes, and with it the size of the index. No sum here can wrap: each record
 * takes far less than 2^33 bytes, and there are less than 2^32 of each kind. */
static nq_status lay_out_index(nqi_writer *w)
{
    const nqi_writer_metadata *metadata = w->metadata.items;
    const nqi_writer_table *tables = w->tables.items;
    uint64_t widest = 0;
    w->index_bytes = 0;
    for (uint64_t i = 0; i < w->metadata.count && w->index_bytes <= UINT32_MAX; i++) {
        const nqi_metadata_record record = metadata_record(w, &metadata[i]);
        w->index_bytes += nqi_index_metadata_bytes(&record);
    }
    for (uint64_t i = 0; i < w->tables.count && w->index_bytes <= UINT32_MAX; i++)
        w->index_bytes += nqi_index_table_bytes(&tables[i].record);
    for (uint64_t i = 0; i < w->tensors.count; i++)
        widest = NQI_MAX(widest, nqi_writer_tensor_at(w, i)->record.payload_bytes);
    w->size_width = bytes_for(widest);
    for (uint64_t i = 0; i < w->tensors.count && w->index_bytes <= UINT32_MAX; i++)
        w->index_bytes +=
            nqi_index_tensor_bytes(&nqi_writer_tensor_at(w, i)->record, w->size_width);
    return w->index_bytes <= UINT32_MAX ? NQ_OK : NQ_E_LIMIT;
}

/* Sums up what is known before the blocks are. */
static nq_status sum_fixed_bytes(nqi_writer *w)
{
    const nqi_writer_table *tables = w->tables.items;
    w->fixed_bytes = NQI_HEADER_BYTES + w->index_bytes;
    for (uint64_t i = 0; i < w->tables.count; i++)
        if (!nqi_add_u64(&w->fixed_bytes, w->fixed_bytes, tables[i].record.n_bytes))
            return NQ_E_LIMIT;
    for (uint64_t i = 0; i < w->tensors.count; i++)
        if (!nqi_add_u64(&w->fixed_bytes, w->fixed_bytes,
                         nqi_record_directory_bytes(&nqi_writer_tensor_at(w, i)->record)))
            return NQ_E_LIMIT;
    return NQ_OK;
}

/* Hands bytes to the sink; a failure ends the writer. */
static nq_status put(nqi_writer *w, uint64_t offset, const void *bytes, size_t n_bytes)
{
    if (!w->sink.write || n_bytes == 0)
        return NQ_OK;
    const nq_status status = w->sink.write(w->sink.user, offset, bytes, n_bytes);
    if (status != NQ_OK)
        w->state = NQI_WRITER_FAILED;
    return status;
}

static nq_status append(nqi_writer *w, const void *bytes, size_t n_bytes)
{
    uint64_t end;
    if (!nqi_add_u64(&end, w->end, n_bytes))
        return NQ_E_LIMIT;
    NQI_TRY(put(w, w->end, bytes, n_bytes));
    w->end = end;
    return NQ_OK;
}

static nq_status write_tables(nqi_writer *w)
{
    nqi_writer_table *tables = w->tables.items;
    for (uint64_t i = 0; i < w->tables.count; i++) {
        const uint8_t *data = nqi_writer_pool_at(w, tables[i].data);
        const size_t n_bytes = (size_t)tables[i].record.n_bytes;
        tables[i].record.crc = nqi_crc32c(0, data, n_bytes);
        NQI_TRY(append(w, data, n_bytes));
    }
    return NQ_OK;
}

/* ---- Payloads ------------------------------------------------------------------------------ */

static nq_status complete_tensor(nqi_writer *w);

/* Turns to the next tensor that has blocks, and leaves room for its directory. */
static nq_status start_tensor(nqi_writer *w)
{
    for (; w->current < w->tensors.count; w->current++) {
        const nqi_tensor_record *record = &nqi_writer_tensor_at(w, w->current)->record;
        if (record->n_elements == 0)
            continue;
        const uint64_t n_bytes = nqi_record_directory_bytes(record);
        w->n_units = nqi_record_units(record);
        w->n_blocks = nqi_block_count(w->n_units, record->block_log2);
        w->next_block = 0;
        w->payload = w->end;
        NQI_TRY(nqi_grow(&w->directory.items, &w->directory.capacity, &w->a, n_bytes, 1));
        return nqi_add_u64(&w->end, w->end, n_bytes) ? NQ_OK : NQ_E_LIMIT;
    }
    return NQ_OK;
}

nq_status nqi_writer_begin(nqi_writer *w)
{
    if (w->state != NQI_WRITER_OPEN)
        return NQ_E_STATE;
    NQI_TRY(lay_out_index(w));
    NQI_TRY(sum_fixed_bytes(w));
    w->state = NQI_WRITER_FAILED; /* until all of this has worked */
    w->end = NQI_HEADER_BYTES + w->index_bytes;
    NQI_TRY(write_tables(w));
    NQI_TRY(start_tensor(w));
    w->state = NQI_WRITER_WRITING;
    return NQ_OK;
}

/* Bytes that the next block of a stored tensor must have. */
static uint64_t stored_block_bytes(const nqi_writer *w, const nqi_tensor_record *record)
{
    const uint64_t first = w->next_block << record->block_log2;
    return NQI_MIN(w->n_units - first, UINT64_C(1) << record->block_log2);
}

/* Notes the checksum of the block that was just appended, and where it ends; a failure ends the
 * writer. */
static nq_status note_block(nqi_writer *w, const nqi_tensor_record *record, uint32_t crc)
{
    uint8_t *directory = w->directory.items;
    const unsigned width = nqi_offset_width(record->n_elements);
    const uint64_t end = w->end - (w->payload + nqi_record_directory_bytes(record));
    nqi_store_le32(directory + w->next_block * NQI_CRC_BYTES, crc);
    if (record->codec == NQ_CODEC_STORED || w->next_block + 1 == w->n_blocks)
        return NQ_OK;
    if (width < 8 && end >> (8 * width) != 0) {
        w->state = NQI_WRITER_FAILED;
        return NQ_E_LIMIT;
    }
    nqi_store_le(directory + w->n_blocks * NQI_CRC_BYTES + w->next_block * width, end, width);
    return NQ_OK;
}

nq_status nqi_writer_block(nqi_writer *w, const uint8_t *bytes, size_t n_bytes, uint32_t crc)
{
    if (w->state != NQI_WRITER_WRITING || w->current >= w->tensors.count)
        return NQ_E_STATE;
    const nqi_tensor_record *record = &nqi_writer_tensor_at(w, w->current)->record;
    if (record->codec == NQ_CODEC_STORED && n_bytes != stored_block_bytes(w, record))
        return NQ_E_ARG;
    if (n_bytes > record->payload_bytes - (w->end - w->payload))
        return NQ_E_ARG;
    NQI_TRY(append(w, bytes, n_bytes));
    NQI_TRY(note_block(w, record, crc));
    return ++w->next_block == w->n_blocks ? complete_tensor(w) : NQ_OK;
}

static nq_status complete_tensor(nqi_writer *w)
{
    nqi_tensor_record *record = &nqi_writer_tensor_at(w, w->current)->record;
    NQI_TRY(put(w, w->payload, w->directory.items, (size_t)nqi_record_directory_bytes(record)));
    record->payload_bytes = w->end - w->payload;
    w->current++;
    const nq_status status = start_tensor(w);
    if (status != NQ_OK)
        w->state = NQI_WRITER_FAILED;
    return status;
}

/* One block of a stored tensor on hosts whose byte order is not the file's. A block is a multiple
 * of every unit: 2^NQI_BLOCK_LOG2_MIN is. */
static nq_status put_swapped(nqi_writer *w, const uint8_t *data, size_t n_bytes, uint32_t unit)
{
    void *swapped;
    NQI_TRY(nqi_alloc(&swapped, &w->a, n_bytes, 1));
    nqi_copy_ordered(swapped, data, n_bytes, unit);
    const nq_status status = nqi_writer_block(w, swapped, n_bytes, nqi_crc32c(0, swapped, n_bytes));
    nqi_free(&w->a, swapped, n_bytes, 1);
    return status;
}

nq_status nqi_writer_stored(nqi_writer *w, const void *data)
{
    if (w->state != NQI_WRITER_WRITING || w->current >= w->tensors.count)
        return NQ_E_STATE;
    const uint64_t tensor = w->current;
    const nqi_tensor_record record = nqi_writer_tensor_at(w, tensor)->record;
    const uint32_t unit = nqi_dtype_unit(record.dtype);
    const uint8_t *at = data;
    if (record.codec != NQ_CODEC_STORED || w->next_block != 0)
        return NQ_E_STATE;
    while (w->current == tensor) {
        const size_t n_bytes = (size_t)stored_block_bytes(w, &record);
        if (unit == 1 || nqi_host_is_little())
            NQI_TRY(nqi_writer_block(w, at, n_bytes, nqi_crc32c(0, at, n_bytes)));
        else
            NQI_TRY(put_swapped(w, at, n_bytes, unit));
        at += n_bytes;
    }
    return NQ_OK;
}

/* ---- End ----------------------------------------------------------------------------------- */

static nq_status put_index(const nqi_writer *w, nqi_out *o)
{
    const nqi_writer_metadata *metadata = w->metadata.items;
    const nqi_writer_table *tables = w->tables.items;
    for (uint64_t i = 0; i < w->metadata.count; i++) {
        const nqi_metadata_record record = metadata_record(w, &metadata[i]);
        nqi_index_put_metadata(o, &record);
    }
    for (uint64_t i = 0; i < w->tables.count; i++)
        nqi_index_put_table(o, &tables[i].record);
    for (uint64_t i = 0; i < w->tensors.count; i++) {
        nqi_tensor_record record = nqi_writer_tensor_at(w, i)->record;
        record.name = (const char *)nqi_writer_pool_at(w, nqi_writer_tensor_at(w, i)->name);
        nqi_index_put_tensor(o, &record, w->size_width);
    }
    return o->failed || o->at != o->end ? NQ_E_INTERNAL : NQ_OK;
}

static nq_status write_index(nqi_writer *w, uint8_t *index)
{
    uint8_t header[NQI_HEADER_BYTES];
    const size_t n_bytes = (size_t)w->index_bytes;
    nqi_out o = nqi_out_make(index, n_bytes);
    NQI_TRY(put_index(w, &o));
    nqi_index_put_header(header, w->end, w->original_bytes, index, (uint32_t)n_bytes,
                         (uint32_t)w->tensors.count, (uint32_t)w->tables.count,
                         (uint32_t)w->metadata.count, w->size_width);
    NQI_TRY(put(w, NQI_HEADER_BYTES, index, n_bytes));
    return put(w, 0, header, sizeof header);
}

nq_status nqi_writer_finish(nqi_writer *w)
{
    void *index;
    if (w->state != NQI_WRITER_WRITING || w->current != w->tensors.count)
        return NQ_E_STATE;
    NQI_TRY(nqi_alloc(&index, &w->a, w->index_bytes, 1));
    const nq_status status = write_index(w, index);
    nqi_free(&w->a, index, w->index_bytes, 1);
    w->state = status == NQ_OK ? NQI_WRITER_FINISHED : NQI_WRITER_FAILED;
    return status;
}

/* ---- Asking -------------------------------------------------------------------------------- */

uint64_t nqi_writer_fixed_bytes(const nqi_writer *w)
{
    return w->fixed_bytes;
}

uint64_t nqi_writer_current(const nqi_writer *w)
{
    return w->current;
}

uint64_t nqi_writer_bytes(const nqi_writer *w)
{
    return w->end;
}

uint64_t nqi_writer_payload_bytes(const nqi_writer *w, uint64_t tensor)
{
    return tensor < w->current ? nqi_writer_tensor_at(w, tensor)->record.payload_bytes : 0;
}
