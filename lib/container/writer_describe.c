/*
 * Describing a file to its writer: see writer.h. What is described is kept in three arrays of
 * records and one growing buffer of texts and table data, which the records point into by offset
 * until the layout is fixed.
 */
#include <string.h>

#include "base/checked.h"
#include "base/number.h"
#include "codec/patterns_fmt.h"
#include "container/codebook_enc.h"
#include "container/writer_impl.h"

/* Room for one more item; the caller fills it and adds it to the count. */
static nq_status reserve(void **item, nqi_writer *w, nqi_array *items, size_t size)
{
    /* Counts and offsets of the index are 32-bit; NQ_NO_ID is not a number. */
    if (items->count >= NQ_NO_ID - 1)
        return NQ_E_LIMIT;
    NQI_TRY(nqi_grow(&items->items, &items->capacity, &w->a, items->count + 1, size));
    *item = (uint8_t *)items->items + items->count * size;
    return NQ_OK;
}

/* n_bytes more in the pool. */
static nq_status reserve_pool(uint8_t **bytes, nqi_writer *w, uint64_t n_bytes)
{
    uint64_t wanted;
    if (!nqi_add_u64(&wanted, w->pool.count, n_bytes))
        return NQ_E_LIMIT;
    NQI_TRY(nqi_grow(&w->pool.items, &w->pool.capacity, &w->a, wanted, 1));
    *bytes = (uint8_t *)w->pool.items + w->pool.count;
    return NQ_OK;
}

static void copy_bytes(uint8_t *out, const void *bytes, size_t n_bytes)
{
    if (n_bytes)
        memcpy(out, bytes, n_bytes);
}

nq_status nqi_writer_add_metadata(nqi_writer *w, const char *key, size_t key_bytes,
                                  const char *value, size_t value_bytes)
{
    void *item;
    uint8_t *text;
    uint64_t text_bytes;
    if (w->state != NQI_WRITER_OPEN)
        return NQ_E_STATE;
    if (!nqi_add_u64(&text_bytes, key_bytes, value_bytes) || text_bytes > UINT32_MAX)
        return NQ_E_LIMIT;
    NQI_TRY(reserve(&item, w, &w->metadata, sizeof(nqi_writer_metadata)));
    NQI_TRY(reserve_pool(&text, w, text_bytes));
    copy_bytes(text, key, key_bytes);
    copy_bytes(text + key_bytes, value, value_bytes);
    *(nqi_writer_metadata *)item = (nqi_writer_metadata){
        .text = w->pool.count, .key_bytes = key_bytes, .value_bytes = value_bytes};
    w->pool.count += text_bytes;
    w->metadata.count++;
    return NQ_OK;
}

/* Adds a table whose record.n_bytes of data the caller puts at *data before anything else is
 * added; their checksum is taken at the layout. */
static nq_status add_table(uint32_t *id, uint8_t **data, nqi_writer *w,
                           const nqi_table_record *record)
{
    void *item;
    if (w->state != NQI_WRITER_OPEN)
        return NQ_E_STATE;
    NQI_TRY(reserve(&item, w, &w->tables, sizeof(nqi_writer_table)));
    NQI_TRY(reserve_pool(data, w, record->n_bytes));
    *(nqi_writer_table *)item = (nqi_writer_table){.record = *record, .data = w->pool.count};
    w->pool.count += record->n_bytes;
    *id = (uint32_t)w->tables.count++;
    return NQ_OK;
}

nq_status nqi_writer_add_codebook(uint32_t *id, nqi_writer *w, const nqi_codebook_desc *desc)
{
    nqi_table_record record = {.kind = desc->storage,
                               .method = desc->method,
                               .level_rule = desc->level_rule,
                               .n_levels = desc->n_levels,
                               .n_channels = desc->n_channels,
                               .step = desc->step};
    uint8_t *data;
    NQI_TRY(nqi_codebook_bytes(&record.n_bytes, desc));
    record.n_stored = nqi_codebook_stored(desc);
    NQI_TRY(add_table(id, &data, w, &record));
    nqi_out o = nqi_out_make(data, (size_t)record.n_bytes);
    nqi_codebook_put(&o, desc);
    return o.failed || o.at != o.end ? NQ_E_INTERNAL : NQ_OK;
}

nq_status nqi_writer_add_table(uint32_t *id, nqi_writer *w, uint32_t codec, const uint8_t *bytes,
                               size_t n_bytes)
{
    const nqi_table_record record = {.kind = NQI_TABLE_CODE, .codec = codec, .n_bytes = n_bytes};
    uint8_t *data;
    if (codec == NQ_CODEC_STORED || codec == NQ_CODEC_FIXED || codec > NQ_CODEC_HUFFMAN_GAPS ||
        n_bytes > NQI_CODE_TABLE_MAX_BYTES)
        return NQ_E_ARG;
    NQI_TRY(add_table(id, &data, w, &record));
    copy_bytes(data, bytes, n_bytes);
    return NQ_OK;
}

static const nqi_writer_table *find_table(const nqi_writer *w, uint32_t id)
{
    return id < w->tables.count ? (const nqi_writer_table *)w->tables.items + id : NULL;
}

static bool codebook_fits(const nqi_writer *w, const nqi_tensor_desc *desc, uint64_t n_elements)
{
    const nqi_writer_table *codebook = find_table(w, desc->codebook);
    if (!nqi_is_weight_type(desc->dtype) || !codebook || codebook->record.kind == NQI_TABLE_CODE)
        return false;
    return codebook->record.n_channels == 0 ||
           (desc->axis < desc->rank && desc->dims[desc->axis] == codebook->record.n_channels &&
            codebook->record.n_stored <= n_elements);
}

/* That a tensor names the tables which its codec needs, and no others. */
static bool references_fit(const nqi_writer *w, const nqi_tensor_desc *desc, uint64_t n_elements)
{
    const nqi_writer_table *table = find_table(w, desc->table);
    if (desc->codec == NQ_CODEC_STORED)
        return desc->codebook == NQ_NO_ID && desc->table == NQ_NO_ID;
    if (desc->codebook == NQ_NO_ID ? nqi_pattern_indices(desc->dtype) == 0
                                   : !codebook_fits(w, desc, n_elements))
        return false;
    if (desc->codec == NQ_CODEC_FIXED)
        return desc->table == NQ_NO_ID;
    return table && table->record.kind == NQI_TABLE_CODE && table->record.codec == desc->codec;
}

static nq_status describe(nqi_tensor_record *record, const nqi_tensor_desc *desc)
{
    nq_tensor shape = {.struct_size = sizeof shape, .dtype = desc->dtype, .rank = desc->rank};
    const uint32_t bits = nq_dtype_bits(desc->dtype);
    if (bits == 0 || desc->rank > NQ_MAX_RANK || desc->codec > NQ_CODEC_HUFFMAN_GAPS ||
        desc->block_log2 < NQI_BLOCK_LOG2_MIN || desc->block_log2 > NQI_BLOCK_LOG2_MAX)
        return NQ_E_ARG;
    *record = (nqi_tensor_record){.dtype = desc->dtype,
                                  .rank = desc->rank,
                                  .name_bytes = (uint32_t)desc->name_bytes,
                                  .codec = desc->codec,
                                  .block_log2 = desc->block_log2,
                                  .codebook = desc->codebook,
                                  .table = desc->table,
                                  .axis = NQ_NO_ID};
    for (uint32_t i = 0; i < desc->rank; i++)
        record->dims[i] = shape.dims[i] = desc->dims[i];
    NQI_TRY(nq_tensor_elements(&record->n_elements, &shape));
    if (record->n_elements > NQI_MAX_ELEMENTS || desc->name_bytes > UINT32_MAX)
        return NQ_E_LIMIT;
    return record->n_elements % 8 * bits % 8 == 0 ? NQ_OK : NQ_E_ARG;
}

/* The largest payload that the tensor may turn out to have. */
static nq_status bound_payload(nqi_tensor_record *record, uint64_t max_block_bytes)
{
    const uint64_t blocks =
        record->codec == NQ_CODEC_STORED ? nqi_record_units(record) : max_block_bytes;
    if (record->n_elements == 0)
        return NQ_OK;
    return nqi_add_u64(&record->payload_bytes, nqi_record_directory_bytes(record), blocks)
               ? NQ_OK
               : NQ_E_LIMIT;
}

nq_status nqi_writer_add_tensor(nqi_writer *w, const nqi_tensor_desc *desc)
{
    nqi_tensor_record record;
    void *item;
    uint8_t *name;
    if (w->state != NQI_WRITER_OPEN)
        return NQ_E_STATE;
    NQI_TRY(describe(&record, desc));
    if (!references_fit(w, desc, record.n_elements))
        return NQ_E_ARG;
    if (desc->codebook != NQ_NO_ID && find_table(w, desc->codebook)->record.n_channels > 0)
        record.axis = desc->axis;
    NQI_TRY(bound_payload(&record, desc->max_block_bytes));
    NQI_TRY(reserve(&item, w, &w->tensors, sizeof(nqi_writer_tensor)));
    NQI_TRY(reserve_pool(&name, w, desc->name_bytes));
    copy_bytes(name, desc->name, record.name_bytes);
    *(nqi_writer_tensor *)item = (nqi_writer_tensor){.record = record, .name = w->pool.count};
    w->pool.count += record.name_bytes;
    w->tensors.count++;
    return NQ_OK;
}
