/*
 * The reader's public face, as far as it needs no allocator: argument checks and records as the
 * caller's structs want them. Part of the decoder.
 */
#include "nq/container.h"

#include "base/diag.h"
#include "base/versioned.h"
#include "container/reader.h"
#include "api/reader.h"

#define SOURCE_FIRST_SIZE ((uint32_t)sizeof(nq_source))
#define READER_INFO_FIRST_SIZE ((uint32_t)sizeof(nq_reader_info))
#define TENSOR_INFO_FIRST_SIZE ((uint32_t)sizeof(nq_tensor_info))

/* ---- Structs ------------------------------------------------------------------------------- */

/* Sizes below the first member or above any struct come from a caller in error: left alone. */
static bool size_is_sane(uint32_t struct_size)
{
    return struct_size >= sizeof(uint32_t) && struct_size <= NQI_STRUCT_MAX;
}

void nq_source_init_sized(nq_source *source, uint32_t struct_size)
{
    if (source && size_is_sane(struct_size))
        nqi_versioned_init(source, struct_size);
}

void nq_tensor_info_init_sized(nq_tensor_info *info, uint32_t struct_size)
{
    if (info && size_is_sane(struct_size))
        nqi_versioned_init(info, struct_size);
}

void nq_reader_info_init_sized(nq_reader_info *info, uint32_t struct_size)
{
    if (info && size_is_sane(struct_size))
        nqi_versioned_init(info, struct_size);
}

void nq_reader_options_init_sized(nq_reader_options *options, uint32_t struct_size)
{
    nq_reader_options full;
    if (!options || !size_is_sane(struct_size))
        return;
    (void)nqi_reader_limits(&full, NULL);
    nqi_versioned_init(options, struct_size);
    full.struct_size = struct_size;
    memcpy(options, &full, NQI_MIN(struct_size, sizeof full));
}

/* ---- Opening ------------------------------------------------------------------------------- */

nq_status nqi_source_check(nq_source *source, const nq_source *given)
{
    *source = (nq_source){.struct_size = sizeof *source};
    if (!given)
        return NQ_E_ARG;
    NQI_TRY(nqi_versioned_read(source, (uint32_t)sizeof *source, given, SOURCE_FIRST_SIZE));
    if (source->read)
        return source->bytes ? NQ_E_ARG : NQ_OK;
    if (source->n_bytes > SIZE_MAX || (!source->bytes && source->n_bytes > 0))
        return NQ_E_ARG;
    return NQ_OK;
}

/* What both steps of opening begin with. */
typedef struct opening {
    nq_source source;
    nq_reader_options limits;
    nqi_header header;
    size_t n_bytes;
} opening;

static nq_status start_opening(opening *o, const nq_source *source,
                               const nq_reader_options *options, nq_diag *diag)
{
    const nq_status checked = nqi_source_check(&o->source, source);
    if (checked != NQ_OK)
        return nqi_diag_set(diag, checked, "the source is neither a span nor a callback");
    if (nqi_reader_limits(&o->limits, options) != NQ_OK)
        return nqi_diag_set(diag, NQ_E_ABI, "options of an unknown size");
    NQI_TRY(nqi_reader_header(&o->header, &o->source, &o->limits, diag));
    return nqi_reader_bytes(&o->n_bytes, &o->header, &o->source, diag);
}

nq_status nq_reader_size(size_t *n_bytes, const nq_source *source,
                         const nq_reader_options *options, nq_diag *diag)
{
    opening o;
    nq_diag full;
    nqi_diag_set(&full, NQ_OK, "");
    if (!n_bytes)
        nqi_diag_set(&full, NQ_E_ARG, "nowhere to store the size");
    else if (start_opening(&o, source, options, &full) == NQ_OK)
        *n_bytes = o.n_bytes;
    return nqi_diag_export(diag, &full);
}

static nq_status init_reader(nq_reader **out, void *memory, size_t memory_bytes,
                             const nq_source *source, const nq_reader_options *options,
                             nq_diag *diag)
{
    opening o;
    NQI_TRY(start_opening(&o, source, options, diag));
    if (memory_bytes < o.n_bytes) {
        nqi_diag_set(diag, NQ_E_SPACE, "the memory for the reader is too small");
        diag->wanted = o.n_bytes;
        return NQ_E_SPACE;
    }
    return nqi_reader_build(out, memory, &o.header, &o.source, &o.limits, diag);
}

nq_status nq_reader_init(nq_reader **out, void *memory, size_t memory_bytes,
                         const nq_source *source, const nq_reader_options *options, nq_diag *diag)
{
    nq_diag full;
    nqi_diag_set(&full, NQ_OK, "");
    if (!out || !memory) {
        nqi_diag_set(&full, NQ_E_ARG, "no memory for the reader");
        return nqi_diag_export(diag, &full);
    }
    *out = NULL;
    (void)init_reader(out, memory, memory_bytes, source, options, &full);
    return nqi_diag_export(diag, &full);
}

/* ---- Asking -------------------------------------------------------------------------------- */

nq_status nq_reader_get_info(const nq_reader *reader, nq_reader_info *info)
{
    if (!reader || !info)
        return NQ_E_ARG;
    const nqi_header *h = &reader->header;
    const nq_reader_info full = {.struct_size = sizeof full,
                                 .version = h->version,
                                 .required_features = h->required_features,
                                 .optional_features = h->optional_features,
                                 .n_tensors = h->n_tensors,
                                 .n_metadata = h->n_metadata,
                                 .n_codebooks = reader->n_codebooks,
                                 .n_code_tables = h->n_tables - reader->n_codebooks,
                                 .file_bytes = h->file_bytes,
                                 .original_bytes = h->original_bytes,
                                 .index_bytes = h->index_bytes,
                                 .n_elements = reader->n_elements,
                                 .n_quantized_elements = reader->n_quantized_elements};
    return nqi_versioned_write(info, &full, (uint32_t)sizeof full, READER_INFO_FIRST_SIZE);
}

nq_status nq_reader_metadata(const nq_reader *reader, uint64_t i, const char **key,
                             size_t *key_bytes, const char **value, size_t *value_bytes)
{
    nqi_metadata_record record;
    if (!reader || !key || !key_bytes || !value || !value_bytes ||
        i >= reader->header.n_metadata)
        return NQ_E_ARG;
    nqi_reader_get_metadata(&record, reader, (uint32_t)i);
    *key = record.key;
    *key_bytes = record.key_bytes;
    *value = record.value;
    *value_bytes = record.value_bytes;
    return NQ_OK;
}

static void fill_codebook(nq_tensor_info *info, const nq_reader *reader, uint32_t codebook)
{
    nqi_table_record table;
    nqi_reader_get_table(&table, reader, codebook);
    info->method = table.method;
    info->level_rule = table.level_rule;
    info->n_levels = table.n_levels;
    info->level_storage = table.kind;
    info->step = table.step;
    info->n_channels = table.n_channels;
    info->n_stored_levels = table.n_stored;
}

nq_status nq_reader_tensor(const nq_reader *reader, uint64_t i, nq_tensor_info *info)
{
    nqi_tensor_record record;
    if (!reader || !info || i >= reader->header.n_tensors)
        return NQ_E_ARG;
    nqi_reader_get_tensor(&record, reader, (uint32_t)i);
    nq_tensor_info full = {.struct_size = sizeof full,
                           .dtype = record.dtype,
                           .rank = record.rank,
                           .name_bytes = record.name_bytes,
                           .name = record.name,
                           .n_elements = record.n_elements,
                           .payload_bytes = record.payload_bytes,
                           .payload_offset = record.payload_offset,
                           .codec = record.codec,
                           .codebook = record.codebook,
                           .code_table = record.table,
                           .block_log2 = record.block_log2,
                           .channel_axis = record.axis};
    memcpy(full.dims, record.dims, sizeof full.dims);
    if (record.codebook != NQ_NO_ID)
        fill_codebook(&full, reader, record.codebook);
    return nqi_versioned_write(info, &full, (uint32_t)sizeof full, TENSOR_INFO_FIRST_SIZE);
}

nq_status nq_reader_find(const nq_reader *reader, const char *name, size_t name_bytes,
                         uint64_t *tensor)
{
    if (!reader || !tensor || (!name && name_bytes > 0))
        return NQ_E_ARG;
    *tensor = nqi_reader_find(reader, name, name_bytes);
    return *tensor == NQ_NONE ? NQ_E_ARG : NQ_OK;
}
