/*
 * Writing a .nq file: see writer.h. What is described is kept in three arrays of records and one
 * growing buffer of texts and table data, which the records point into by offset until the layout
 * is fixed.
 */
#include "container/writer.h"

#include <string.h>

#include "base/checked.h"
#include "base/number.h"
#include "codec/checksum.h"
#include "container/codebook_enc.h"
#include "container/index_enc.h"
#include "container/order.h"

/* What is described, with offsets into the pool in place of pointers. */
typedef struct metadata_item {
    uint64_t text; /* key and value behind each other */
    uint64_t key_bytes;
    uint64_t value_bytes;
} metadata_item;

typedef struct table_item {
    nqi_table_record record;
    uint64_t data;
} table_item;

typedef struct tensor_item {
    nqi_tensor_record record; /* payload_bytes: an upper bound until the tensor is complete */
    uint64_t name;
} tensor_item;

typedef struct array {
    void *items;
    uint64_t count;
    uint64_t capacity;
} array;

enum { STATE_OPEN, STATE_WRITING, STATE_FINISHED, STATE_FAILED };

struct nqi_writer {
    nqi_allocator a;
    nq_sink sink; /* write is NULL: nowhere */
    uint64_t original_bytes;
    array metadata; /* metadata_item */
    array tables;   /* table_item */
    array tensors;  /* tensor_item */
    array pool;     /* bytes */
    uint32_t state;
    unsigned size_width;
    uint64_t index_bytes;
    uint64_t fixed_bytes;
    uint64_t end; /* bytes of the file so far */
    /* The tensor that is being written. */
    uint64_t current;
    uint64_t n_blocks;
    uint64_t n_units;
    uint64_t next_block;
    uint64_t payload; /* where its directory begins */
    array directory;  /* bytes: capacity is what counts */
};

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

static void free_array(nqi_writer *w, array *items, size_t size)
{
    nqi_free(&w->a, items->items, items->capacity, size);
}

void nqi_writer_destroy(nqi_writer *w)
{
    if (!w)
        return;
    const nqi_allocator a = w->a;
    free_array(w, &w->metadata, sizeof(metadata_item));
    free_array(w, &w->tables, sizeof(table_item));
    free_array(w, &w->tensors, sizeof(tensor_item));
    free_array(w, &w->pool, 1);
    free_array(w, &w->directory, 1);
    nqi_free(&a, w, 1, sizeof *w);
}

void nqi_writer_set_original_bytes(nqi_writer *w, uint64_t original_bytes)
{
    w->original_bytes = original_bytes;
}

/* ---- Describing ---------------------------------------------------------------------------- */

/* Room for one more item; the caller fills it and adds it to the count. */
static nq_status reserve(void **item, nqi_writer *w, array *items, size_t size)
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

static const uint8_t *pool_at(const nqi_writer *w, uint64_t offset)
{
    return (const uint8_t *)w->pool.items + offset;
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
    if (w->state != STATE_OPEN)
        return NQ_E_STATE;
    if (!nqi_add_u64(&text_bytes, key_bytes, value_bytes) || text_bytes > UINT32_MAX)
        return NQ_E_LIMIT;
    NQI_TRY(reserve(&item, w, &w->metadata, sizeof(metadata_item)));
    NQI_TRY(reserve_pool(&text, w, text_bytes));
    copy_bytes(text, key, key_bytes);
    copy_bytes(text + key_bytes, value, value_bytes);
    *(metadata_item *)item = (metadata_item){
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
    if (w->state != STATE_OPEN)
        return NQ_E_STATE;
    NQI_TRY(reserve(&item, w, &w->tables, sizeof(table_item)));
    NQI_TRY(reserve_pool(data, w, record->n_bytes));
    *(table_item *)item = (table_item){.record = *record, .data = w->pool.count};
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
                               .step = desc->step};
    uint8_t *data;
    NQI_TRY(nqi_codebook_bytes(&record.n_bytes, desc));
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
    if (codec == NQ_CODEC_STORED || codec == NQ_CODEC_FIXED || codec > NQ_CODEC_RANS ||
        n_bytes > NQI_CODE_TABLE_MAX_BYTES)
        return NQ_E_ARG;
    NQI_TRY(add_table(id, &data, w, &record));
    copy_bytes(data, bytes, n_bytes);
    return NQ_OK;
}

static const table_item *find_table(const nqi_writer *w, uint32_t id)
{
    return id < w->tables.count ? (const table_item *)w->tables.items + id : NULL;
}

/* That a tensor names the tables which its codec needs, and no others. */
static bool references_fit(const nqi_writer *w, const nqi_tensor_desc *desc)
{
    const table_item *codebook = find_table(w, desc->codebook);
    const table_item *table = find_table(w, desc->table);
    if (desc->codec == NQ_CODEC_STORED)
        return desc->codebook == NQ_NO_ID && desc->table == NQ_NO_ID;
    if (!nqi_is_weight_type(desc->dtype))
        return false;
    if (!codebook || codebook->record.kind == NQI_TABLE_CODE)
        return false;
    if (desc->codec == NQ_CODEC_FIXED)
        return desc->table == NQ_NO_ID;
    return table && table->record.kind == NQI_TABLE_CODE && table->record.codec == desc->codec;
}

static nq_status describe(nqi_tensor_record *record, const nqi_tensor_desc *desc)
{
    nq_tensor shape = {.struct_size = sizeof shape, .dtype = desc->dtype, .rank = desc->rank};
    const uint32_t bits = nq_dtype_bits(desc->dtype);
    if (bits == 0 || desc->rank > NQ_MAX_RANK || desc->codec > NQ_CODEC_RANS ||
        desc->block_log2 < NQI_BLOCK_LOG2_MIN || desc->block_log2 > NQI_BLOCK_LOG2_MAX)
        return NQ_E_ARG;
    *record = (nqi_tensor_record){.dtype = desc->dtype,
                                  .rank = desc->rank,
                                  .name_bytes = (uint32_t)desc->name_bytes,
                                  .codec = desc->codec,
                                  .block_log2 = desc->block_log2,
                                  .codebook = desc->codebook,
                                  .table = desc->table};
    for (uint32_t i = 0; i < desc->rank; i++)
        record->dims[i] = shape.dims[i] = desc->dims[i];
    NQI_TRY(nq_tensor_elements(&record->n_elements, &shape));
    if (record->n_elements > NQI_MAX_ELEMENTS || desc->name_bytes > UINT32_MAX)
        return NQ_E_LIMIT;
    return record->n_elements % 8 * bits % 8 == 0 ? NQ_OK : NQ_E_ARG;
}

static uint64_t unit_count(const nqi_tensor_record *record)
{
    return nqi_block_units(record->codec, record->n_elements, nq_dtype_bits(record->dtype));
}

static uint64_t directory_bytes(const nqi_tensor_record *record)
{
    const uint64_t n_blocks = nqi_block_count(unit_count(record), record->block_log2);
    return nqi_directory_bytes(record->codec, record->n_elements, n_blocks);
}

/* The largest payload that the tensor may turn out to have. */
static nq_status bound_payload(nqi_tensor_record *record, uint64_t max_block_bytes)
{
    const uint64_t blocks = record->codec == NQ_CODEC_STORED ? unit_count(record) : max_block_bytes;
    if (record->n_elements == 0)
        return NQ_OK;
    return nqi_add_u64(&record->payload_bytes, directory_bytes(record), blocks) ? NQ_OK
                                                                               : NQ_E_LIMIT;
}

nq_status nqi_writer_add_tensor(nqi_writer *w, const nqi_tensor_desc *desc)
{
    nqi_tensor_record record;
    void *item;
    uint8_t *name;
    if (w->state != STATE_OPEN)
        return NQ_E_STATE;
    NQI_TRY(describe(&record, desc));
    if (!references_fit(w, desc))
        return NQ_E_ARG;
    NQI_TRY(bound_payload(&record, desc->max_block_bytes));
    NQI_TRY(reserve(&item, w, &w->tensors, sizeof(tensor_item)));
    NQI_TRY(reserve_pool(&name, w, desc->name_bytes));
    copy_bytes(name, desc->name, record.name_bytes);
    *(tensor_item *)item = (tensor_item){.record = record, .name = w->pool.count};
    w->pool.count += record.name_bytes;
    w->tensors.count++;
    return NQ_OK;
}

/* ---- Layout -------------------------------------------------------------------------------- */

static tensor_item *tensor_at(const nqi_writer *w, uint64_t i)
{
    return (tensor_item *)w->tensors.items + i;
}

static nqi_metadata_record metadata_record(const nqi_writer *w, const metadata_item *item)
{
    const char *text = (const char *)pool_at(w, item->text);
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
    const metadata_item *metadata = w->metadata.items;
    const table_item *tables = w->tables.items;
    uint64_t widest = 0;
    w->index_bytes = 0;
    for (uint64_t i = 0; i < w->metadata.count && w->index_bytes <= UINT32_MAX; i++) {
        const nqi_metadata_record record = metadata_record(w, &metadata[i]);
        w->index_bytes += nqi_index_metadata_bytes(&record);
    }
    for (uint64_t i = 0; i < w->tables.count && w->index_bytes <= UINT32_MAX; i++)
        w->index_bytes += nqi_index_table_bytes(&tables[i].record);
    for (uint64_t i = 0; i < w->tensors.count; i++)
        widest = NQI_MAX(widest, tensor_at(w, i)->record.payload_bytes);
    w->size_width = bytes_for(widest);
    for (uint64_t i = 0; i < w->tensors.count && w->index_bytes <= UINT32_MAX; i++)
        w->index_bytes += nqi_index_tensor_bytes(&tensor_at(w, i)->record, w->size_width);
    return w->index_bytes <= UINT32_MAX ? NQ_OK : NQ_E_LIMIT;
}

/* Sums up what is known before the blocks are. */
static nq_status sum_fixed_bytes(nqi_writer *w)
{
    const table_item *tables = w->tables.items;
    w->fixed_bytes = NQI_HEADER_BYTES + w->index_bytes;
    for (uint64_t i = 0; i < w->tables.count; i++)
        if (!nqi_add_u64(&w->fixed_bytes, w->fixed_bytes, tables[i].record.n_bytes))
            return NQ_E_LIMIT;
    for (uint64_t i = 0; i < w->tensors.count; i++)
        if (!nqi_add_u64(&w->fixed_bytes, w->fixed_bytes, directory_bytes(&tensor_at(w, i)->record)))
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
        w->state = STATE_FAILED;
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
    table_item *tables = w->tables.items;
    for (uint64_t i = 0; i < w->tables.count; i++) {
        const uint8_t *data = pool_at(w, tables[i].data);
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
        const nqi_tensor_record *record = &tensor_at(w, w->current)->record;
        if (record->n_elements == 0)
            continue;
        const uint64_t n_bytes = directory_bytes(record);
        w->n_units = unit_count(record);
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
    if (w->state != STATE_OPEN)
        return NQ_E_STATE;
    NQI_TRY(lay_out_index(w));
    NQI_TRY(sum_fixed_bytes(w));
    w->state = STATE_FAILED; /* until all of this has worked */
    w->end = NQI_HEADER_BYTES + w->index_bytes;
    NQI_TRY(write_tables(w));
    NQI_TRY(start_tensor(w));
    w->state = STATE_WRITING;
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
    const uint64_t end = w->end - (w->payload + directory_bytes(record));
    nqi_store_le32(directory + w->next_block * NQI_CRC_BYTES, crc);
    if (record->codec == NQ_CODEC_STORED || w->next_block + 1 == w->n_blocks)
        return NQ_OK;
    if (width < 8 && end >> (8 * width) != 0) {
        w->state = STATE_FAILED;
        return NQ_E_LIMIT;
    }
    nqi_store_le(directory + w->n_blocks * NQI_CRC_BYTES + w->next_block * width, end, width);
    return NQ_OK;
}

nq_status nqi_writer_block(nqi_writer *w, const uint8_t *bytes, size_t n_bytes, uint32_t crc)
{
    if (w->state != STATE_WRITING || w->current >= w->tensors.count)
        return NQ_E_STATE;
    const nqi_tensor_record *record = &tensor_at(w, w->current)->record;
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
    nqi_tensor_record *record = &tensor_at(w, w->current)->record;
    NQI_TRY(put(w, w->payload, w->directory.items, (size_t)directory_bytes(record)));
    record->payload_bytes = w->end - w->payload;
    w->current++;
    const nq_status status = start_tensor(w);
    if (status != NQ_OK)
        w->state = STATE_FAILED;
    return status;
}

/* One block of a stored tensor on hosts whose byte order is not the file's. A block is a multiple of
 * every unit: 2^NQI_BLOCK_LOG2_MIN is. */
static nq_status put_swapped(nqi_writer *w, const uint8_t *data, size_t n_bytes, uint32_t unit)
{
    void *swapped;
    NQI_TRY(nqi_alloc(&swapped, &w->a, n_bytes, 1));
    nqi_copy_ordered(swapped, data, n_bytes, unit);
    const nq_status status =
        nqi_writer_block(w, swapped, n_bytes, nqi_crc32c(0, swapped, n_bytes));
    nqi_free(&w->a, swapped, n_bytes, 1);
    return status;
}

nq_status nqi_writer_stored(nqi_writer *w, const void *data)
{
    if (w->state != STATE_WRITING || w->current >= w->tensors.count)
        return NQ_E_STATE;
    const uint64_t tensor = w->current;
    const nqi_tensor_record record = tensor_at(w, tensor)->record;
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
    const metadata_item *metadata = w->metadata.items;
    const table_item *tables = w->tables.items;
    for (uint64_t i = 0; i < w->metadata.count; i++) {
        const nqi_metadata_record record = metadata_record(w, &metadata[i]);
        nqi_index_put_metadata(o, &record);
    }
    for (uint64_t i = 0; i < w->tables.count; i++)
        nqi_index_put_table(o, &tables[i].record);
    for (uint64_t i = 0; i < w->tensors.count; i++) {
        nqi_tensor_record record = tensor_at(w, i)->record;
        record.name = (const char *)pool_at(w, tensor_at(w, i)->name);
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
    if (w->state != STATE_WRITING || w->current != w->tensors.count)
        return NQ_E_STATE;
    NQI_TRY(nqi_alloc(&index, &w->a, w->index_bytes, 1));
    const nq_status status = write_index(w, index);
    nqi_free(&w->a, index, w->index_bytes, 1);
    w->state = status == NQ_OK ? STATE_FINISHED : STATE_FAILED;
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
    return tensor < w->current ? tensor_at(w, tensor)->record.payload_bytes : 0;
}
