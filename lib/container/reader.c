/*
 * Opening a .nq file and finding records: see reader.h. The header's checksum comes before anything
 * else in it is believed, the index's before its first record is read. Time and memory are bounded
 * by the size of the index, whatever it says.
 */
#include "container/reader.h"

#include <string.h>

#include "base/diag.h"
#include "base/number.h"
#include "base/versioned.h"
#include "codec/checksum.h"

#define READER_OPTIONS_FIRST_SIZE ((uint32_t)sizeof(nq_reader_options))

/* ---- Source -------------------------------------------------------------------------------- */

nq_status nqi_source_fetch(void *out, const nq_source *source, uint64_t offset, size_t n_bytes)
{
    if (n_bytes == 0)
        return NQ_OK;
    if (source->read)
        return source->read(source->user, offset, out, n_bytes);
    memcpy(out, (const uint8_t *)source->bytes + (size_t)offset, n_bytes);
    return NQ_OK;
}

nq_status nqi_source_view(const uint8_t **bytes, const nq_source *source, uint64_t offset,
                          size_t n_bytes, uint8_t *buffer)
{
    if (source->read) {
        *bytes = buffer;
        return nqi_source_fetch(buffer, source, offset, n_bytes);
    }
    *bytes = (const uint8_t *)source->bytes + (size_t)offset;
    return NQ_OK;
}

/* ---- Header -------------------------------------------------------------------------------- */

static nq_reader_options default_limits(void)
{
    return (nq_reader_options){.struct_size = sizeof(nq_reader_options),
                               .max_tensors = UINT32_C(1) << 20,
                               .max_levels = NQ_MAX_LEVELS,
                               .max_name_bytes = 4096,
                               .max_elements = UINT64_C(1) << 48,
                               .max_index_bytes = UINT64_C(1) << 30};
}

/* A limit of 0 was not set by a caller who zeroed the struct himself. */
static void fill_limits(nq_reader_options *o)
{
    const nq_reader_options d = default_limits();
    o->max_tensors = o->max_tensors ? o->max_tensors : d.max_tensors;
    o->max_levels = o->max_levels ? o->max_levels : d.max_levels;
    o->max_name_bytes = o->max_name_bytes ? o->max_name_bytes : d.max_name_bytes;
    o->max_elements = o->max_elements ? o->max_elements : d.max_elements;
    o->max_index_bytes = o->max_index_bytes ? o->max_index_bytes : d.max_index_bytes;
}

nq_status nqi_reader_limits(nq_reader_options *limits, const nq_reader_options *given)
{
    *limits = default_limits();
    if (!given)
        return NQ_OK;
    NQI_TRY(nqi_versioned_read(limits, (uint32_t)sizeof *limits, given, READER_OPTIONS_FIRST_SIZE));
    fill_limits(limits);
    return NQ_OK;
}

static nq_status over_limit(nq_diag *diag, const char *what, uint64_t tensor, uint64_t wanted)
{
    nqi_diag_at(diag, NQ_E_LIMIT, what, tensor, NQ_NONE, NQ_NONE);
    if (diag)
        diag->wanted = wanted;
    return NQ_E_LIMIT;
}

static nq_status bad_header(nq_diag *diag, nq_status status, const char *what, uint64_t offset)
{
    return nqi_diag_at(diag, status, what, NQ_NONE, NQ_NONE, offset);
}

/* Magic, checksum, version and features, in the order in which they may be believed. */
static nq_status check_identity(const uint8_t *raw, size_t n_bytes, nq_diag *diag)
{
    const size_t n_magic = NQI_MIN(n_bytes, NQI_MAGIC_BYTES);
    if (n_magic == 0 || memcmp(raw, NQI_MAGIC, n_magic) != 0)
        return bad_header(diag, NQ_E_CORRUPT, "not a .nq file", 0);
    if (n_bytes < NQI_HEADER_BYTES)
        return bad_header(diag, NQ_E_TRUNCATED, "the file ends in its header", n_bytes);
    const uint32_t crc =
        nqi_crc32c(0, raw + NQI_AT_VERSION, NQI_HEADER_BYTES - NQI_AT_VERSION);
    if (crc != nqi_load_le32(raw + NQI_AT_HEADER_CRC))
        return bad_header(diag, NQ_E_CHECKSUM, "the header is damaged", 0);
    if (nqi_load_le16(raw + NQI_AT_VERSION) != NQI_VERSION)
        return bad_header(diag, NQ_E_UNSUPPORTED, "a version of the format that is not known here",
                          NQI_AT_VERSION);
    if (nqi_load_le32(raw + NQI_AT_REQUIRED) & ~NQI_FEATURES_KNOWN)
        return bad_header(diag, NQ_E_UNSUPPORTED, "a feature of the format that is not known here",
                          NQI_AT_REQUIRED);
    return NQ_OK;
}

static void load_header(nqi_header *h, const uint8_t *raw)
{
    *h = (nqi_header){.file_bytes = nqi_load_le64(raw + NQI_AT_FILE_BYTES),
                      .original_bytes = nqi_load_le64(raw + NQI_AT_ORIGINAL_BYTES),
                      .version = nqi_load_le16(raw + NQI_AT_VERSION),
                      .required_features = nqi_load_le32(raw + NQI_AT_REQUIRED),
                      .optional_features = nqi_load_le32(raw + NQI_AT_OPTIONAL),
                      .index_bytes = nqi_load_le32(raw + NQI_AT_INDEX_BYTES),
                      .index_crc = nqi_load_le32(raw + NQI_AT_INDEX_CRC),
                      .n_tensors = nqi_load_le32(raw + NQI_AT_N_TENSORS),
                      .n_tables = nqi_load_le32(raw + NQI_AT_N_TABLES),
                      .n_metadata = nqi_load_le32(raw + NQI_AT_N_METADATA),
                      .size_width = raw[NQI_AT_SIZE_WIDTH]};
}

/* That the numbers of the header can be true together. */
static nq_status check_counts(const nqi_header *h, const uint8_t *raw, uint64_t source_bytes,
                              nq_diag *diag)
{
    if (nqi_load_le16(raw + NQI_AT_HEADER_BYTES) != NQI_HEADER_BYTES ||
        nqi_load_le24(raw + NQI_AT_RESERVED) != 0)
        return bad_header(diag, NQ_E_CORRUPT, "the header contradicts its version",
                          NQI_AT_HEADER_BYTES);
    if (h->size_width < 1 || h->size_width > 8)
        return bad_header(diag, NQ_E_CORRUPT, "an impossible width of sizes", NQI_AT_SIZE_WIDTH);
    if (h->file_bytes < NQI_HEADER_BYTES || h->index_bytes > h->file_bytes - NQI_HEADER_BYTES)
        return bad_header(diag, NQ_E_CORRUPT, "an index larger than its file", NQI_AT_INDEX_BYTES);
    /* Each factor is below 2^32 and 2^4: no overflow. */
    if ((uint64_t)h->n_metadata * NQI_METADATA_MIN_BYTES +
            (uint64_t)h->n_tables * NQI_TABLE_MIN_BYTES +
            (uint64_t)h->n_tensors * (NQI_TENSOR_MIN_BYTES + h->size_width) >
        h->index_bytes)
        return bad_header(diag, NQ_E_CORRUPT, "an index too small for its records",
                          NQI_AT_INDEX_BYTES);
    if (source_bytes < h->file_bytes)
        return bad_header(diag, NQ_E_TRUNCATED, "the file is shorter than its header says",
                          source_bytes);
    if (source_bytes > h->file_bytes)
        return bad_header(diag, NQ_E_CORRUPT, "the file is longer than its header says",
                          h->file_bytes);
    return NQ_OK;
}

nq_status nqi_reader_header(nqi_header *header, const nq_source *source,
                            const nq_reader_options *limits, nq_diag *diag)
{
    uint8_t raw[NQI_HEADER_BYTES];
    const size_t n_bytes = (size_t)NQI_MIN(source->n_bytes, NQI_HEADER_BYTES);
    const nq_status fetched = nqi_source_fetch(raw, source, 0, n_bytes);
    if (fetched != NQ_OK)
        return bad_header(diag, fetched, "reading the header failed", 0);
    NQI_TRY(check_identity(raw, n_bytes, diag));
    load_header(header, raw);
    NQI_TRY(check_counts(header, raw, source->n_bytes, diag));
    if (header->index_bytes > limits->max_index_bytes)
        return over_limit(diag, "the index is over the limit on its size", NQ_NONE,
                          header->index_bytes);
    if (header->n_tensors > limits->max_tensors)
        return over_limit(diag, "over the limit on the number of tensors", NQ_NONE,
                          header->n_tensors);
    return NQ_OK;
}

/* ---- Memory -------------------------------------------------------------------------------- */

static uint32_t mark_count(uint32_t n_records)
{
    return n_records / NQI_MARK_EVERY + (n_records % NQI_MARK_EVERY != 0);
}

/* The three runs of marks lie behind each other: metadata, tables, tensors. */
static uint64_t all_marks(const nqi_header *h)
{
    return (uint64_t)mark_count(h->n_metadata) + mark_count(h->n_tables) + mark_count(h->n_tensors);
}

static size_t marks_offset(void)
{
    return (sizeof(nq_reader) + NQI_ALIGNMENT - 1) / NQI_ALIGNMENT * NQI_ALIGNMENT;
}

nq_status nqi_reader_bytes(size_t *n_bytes, const nqi_header *header, const nq_source *source,
                           nq_diag *diag)
{
    /* At most 2^29 marks of 16 bytes and an index below 2^32 bytes: no overflow in 64 bits. */
    const uint64_t total = NQI_ALIGNMENT + marks_offset() + all_marks(header) * sizeof(nqi_mark) +
                           (source->read ? header->index_bytes : 0);
    if (!nqi_to_size(n_bytes, total))
        return over_limit(diag, "the index does not fit this machine's memory", NQ_NONE, total);
    return NQ_OK;
}

/* ---- Index --------------------------------------------------------------------------------- */

/* The walk through the index while it is checked. */
typedef struct walk {
    nqi_cursor c;
    nqi_mark *mark; /* the next to fill */
    uint64_t data;  /* where the data of the next record begins */
    nq_reader *reader;
    nqi_defect defect;
} walk;

static uint32_t index_offset(const walk *w)
{
    return w->reader->header.index_bytes - (uint32_t)nqi_cursor_left(&w->c);
}

static void set_mark(walk *w, uint32_t i)
{
    if (i % NQI_MARK_EVERY == 0)
        *w->mark++ = (nqi_mark){.data = w->data, .record = index_offset(w)};
}

/* Moves on over n_bytes of data, which must lie in the file. */
static nq_status take_data(walk *w, uint64_t n_bytes)
{
    if (n_bytes > w->reader->header.file_bytes - w->data)
        return nqi_defect_set(&w->defect, NQ_E_CORRUPT, "data beyond the end of the file", 0);
    w->data += n_bytes;
    return NQ_OK;
}

static nq_status walk_metadata(walk *w)
{
    w->reader->metadata_marks = w->mark;
    for (uint32_t i = 0; i < w->reader->header.n_metadata; i++) {
        nqi_metadata_record record;
        set_mark(w, i);
        NQI_TRY(nqi_index_metadata(&record, &w->defect, &w->c));
    }
    return NQ_OK;
}

static nq_status walk_tables(walk *w)
{
    const nq_reader_options *limits = &w->reader->limits;
    w->reader->table_marks = w->mark;
    for (uint32_t i = 0; i < w->reader->header.n_tables; i++) {
        nqi_table_record record;
        set_mark(w, i);
        NQI_TRY(nqi_index_table(&record, &w->defect, &w->c));
        NQI_TRY(take_data(w, record.n_bytes));
        if (record.n_levels > limits->max_levels)
            return nqi_defect_set(&w->defect, NQ_E_LIMIT, "over the limit on levels",
                                  record.n_levels);
        w->reader->n_codebooks += record.kind != NQI_TABLE_CODE;
    }
    return NQ_OK;
}

/* That a quantized tensor has a codebook that fits. */
static nq_status check_codebook(walk *w, const nqi_tensor_record *tensor)
{
    nqi_table_record table;
    if (tensor->codebook >= w->reader->header.n_tables)
        return nqi_defect_set(&w->defect, NQ_E_CORRUPT, "a tensor without its codebook", 0);
    nqi_reader_get_table(&table, w->reader, tensor->codebook);
    if (table.kind == NQI_TABLE_CODE)
        return nqi_defect_set(&w->defect, NQ_E_CORRUPT, "a tensor without its codebook", 0);
    const uint64_t n_channels = tensor->axis == NQ_NO_ID ? 0 : tensor->dims[tensor->axis];
    if (table.n_channels != n_channels)
        return nqi_defect_set(&w->defect, NQ_E_CORRUPT,
                              "a tensor whose codebook has other channels", 0);
    if (n_channels > 0 && table.n_stored > tensor->n_elements)
        return nqi_defect_set(&w->defect, NQ_E_CORRUPT, "more levels of channels than elements", 0);
    return NQ_OK;
}

/* That the tables which a tensor names exist and are what they should be. */
static nq_status check_references(walk *w, const nqi_tensor_record *tensor)
{
    nqi_table_record table;
    const uint32_t n_tables = w->reader->header.n_tables;
    if (tensor->codec == NQ_CODEC_STORED)
        return NQ_OK;
    if (!nqi_record_is_lossless(tensor))
        NQI_TRY(check_codebook(w, tensor));
    const bool wants_table = tensor->codec != NQ_CODEC_FIXED;
    if (wants_table != (tensor->table != NQ_NO_ID) || (wants_table && tensor->table >= n_tables))
        return nqi_defect_set(&w->defect, NQ_E_CORRUPT, "a tensor without its code table", 0);
    if (!wants_table)
        return NQ_OK;
    nqi_reader_get_table(&table, w->reader, tensor->table);
    if (table.kind != NQI_TABLE_CODE || table.codec != tensor->codec)
        return nqi_defect_set(&w->defect, NQ_E_CORRUPT, "a tensor without its code table", 0);
    return NQ_OK;
}

/* Each is below 2^57, there are below 2^32: saturate rather than wrap. */
static void count(uint64_t *sum, uint64_t n_elements)
{
    if (!nqi_add_u64(sum, *sum, n_elements))
        *sum = UINT64_MAX;
}

static void count_elements(nq_reader *reader, const nqi_tensor_record *tensor)
{
    count(&reader->n_all_elements, tensor->n_elements);
    if (nqi_is_weight_type(tensor->dtype))
        count(&reader->n_elements, tensor->n_elements);
    if (tensor->codebook != NQ_NO_ID)
        count(&reader->n_quantized_elements, tensor->n_elements);
}

static nq_status walk_tensor(walk *w)
{
    const nq_reader_options *limits = &w->reader->limits;
    nqi_tensor_record record;
    NQI_TRY(nqi_index_tensor(&record, &w->defect, &w->c, w->reader->header.size_width));
    NQI_TRY(take_data(w, record.payload_bytes));
    NQI_TRY(check_references(w, &record));
    if (record.name_bytes > limits->max_name_bytes)
        return nqi_defect_set(&w->defect, NQ_E_LIMIT, "over the limit on a name's length",
                              record.name_bytes);
    if (record.n_elements > limits->max_elements)
        return nqi_defect_set(&w->defect, NQ_E_LIMIT, "over the limit on a tensor's elements",
                              record.n_elements);
    count_elements(w->reader, &record);
    return NQ_OK;
}

static nq_status report(const walk *w, nq_diag *diag, uint64_t tensor, uint32_t record)
{
    nqi_diag_at(diag, w->defect.status, w->defect.what, tensor, NQ_NONE,
                (uint64_t)NQI_HEADER_BYTES + record);
    if (diag)
        diag->wanted = w->defect.wanted;
    return w->defect.status;
}

static nq_status walk_index(walk *w, nq_diag *diag)
{
    if (walk_metadata(w) != NQ_OK || walk_tables(w) != NQ_OK)
        return report(w, diag, NQ_NONE, index_offset(w));
    w->reader->tensor_marks = w->mark;
    for (uint32_t i = 0; i < w->reader->header.n_tensors; i++) {
        const uint32_t record = index_offset(w);
        set_mark(w, i);
        if (walk_tensor(w) != NQ_OK)
            return report(w, diag, i, record);
    }
    if (nqi_cursor_left(&w->c) != 0 || w->data != w->reader->header.file_bytes) {
        nqi_defect_set(&w->defect, NQ_E_CORRUPT, "the index does not account for the whole file",
                       0);
        return report(w, diag, NQ_NONE, index_offset(w));
    }
    return NQ_OK;
}

nq_status nqi_reader_build(nq_reader **out, void *memory, const nqi_header *header,
                           const nq_source *source, const nq_reader_options *limits,
                           nq_diag *diag)
{
    uint8_t *base = memory;
    base += (NQI_ALIGNMENT - (uintptr_t)memory % NQI_ALIGNMENT) % NQI_ALIGNMENT;
    nq_reader *reader = (nq_reader *)(void *)base;
    nqi_mark *marks = (nqi_mark *)(void *)(base + marks_offset());
    uint8_t *copy = (uint8_t *)(marks + all_marks(header));
    *reader = (nq_reader){.header = *header, .limits = *limits, .source = *source};
    const nq_status fetched = nqi_source_view(&reader->index, source, NQI_HEADER_BYTES,
                                              header->index_bytes, copy);
    if (fetched != NQ_OK)
        return bad_header(diag, fetched, "reading the index failed", NQI_HEADER_BYTES);
    if (nqi_crc32c(0, reader->index, header->index_bytes) != header->index_crc)
        return bad_header(diag, NQ_E_CHECKSUM, "the index is damaged", NQI_HEADER_BYTES);
    walk w = {.c = nqi_cursor_make(reader->index, header->index_bytes),
              .mark = marks,
              .data = (uint64_t)NQI_HEADER_BYTES + header->index_bytes,
              .reader = reader};
    NQI_TRY(walk_index(&w, diag));
    *out = reader;
    return NQ_OK;
}

/* ---- Records ------------------------------------------------------------------------------- */

static nqi_cursor cursor_at(const nq_reader *reader, const nqi_mark *mark)
{
    return nqi_cursor_make(reader->index + mark->record, reader->header.index_bytes - mark->record);
}

void nqi_reader_get_metadata(nqi_metadata_record *record, const nq_reader *reader, uint32_t i)
{
    nqi_defect defect;
    nqi_cursor c = cursor_at(reader, &reader->metadata_marks[i / NQI_MARK_EVERY]);
    for (uint32_t k = 0; k < i % NQI_MARK_EVERY; k++)
        nqi_index_skip_metadata(&c);
    (void)nqi_index_metadata(record, &defect, &c);
}

void nqi_reader_get_table(nqi_table_record *record, const nq_reader *reader, uint32_t i)
{
    nqi_defect defect;
    const nqi_mark *mark = &reader->table_marks[i / NQI_MARK_EVERY];
    nqi_cursor c = cursor_at(reader, mark);
    uint64_t data = mark->data;
    for (uint32_t k = 0; k < i % NQI_MARK_EVERY; k++)
        data += nqi_index_skip_table(&c);
    (void)nqi_index_table(record, &defect, &c);
    record->offset = data;
}

void nqi_reader_get_tensor(nqi_tensor_record *record, const nq_reader *reader, uint32_t i)
{
    nqi_defect defect;
    const nqi_mark *mark = &reader->tensor_marks[i / NQI_MARK_EVERY];
    nqi_cursor c = cursor_at(reader, mark);
    uint64_t data = mark->data;
    for (uint32_t k = 0; k < i % NQI_MARK_EVERY; k++)
        data += nqi_index_skip_tensor(&c, reader->header.size_width);
    (void)nqi_index_tensor(record, &defect, &c, reader->header.size_width);
    record->payload_offset = data;
}

uint64_t nqi_reader_find(const nq_reader *reader, const char *name, size_t name_bytes)
{
    if (reader->header.n_tensors == 0)
        return NQ_NONE;
    nqi_cursor c = cursor_at(reader, &reader->tensor_marks[0]);
    for (uint32_t i = 0; i < reader->header.n_tensors; i++) {
        nqi_defect defect;
        nqi_tensor_record record;
        (void)nqi_index_tensor(&record, &defect, &c, reader->header.size_width);
        if (record.name_bytes == name_bytes &&
            (name_bytes == 0 || memcmp(record.name, name, name_bytes) == 0))
            return i;
    }
    return NQ_NONE;
}
