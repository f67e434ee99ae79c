/*
 * Reading the records of a .nq index: see index_dec.h, and docs/format/nq-v1.md for the layout. All
 * values are raw until the end of the function that checks them.
 */
#include "container/index_dec.h"

#include "base/number.h"
#include "codec/patterns_fmt.h"

static nq_status corrupt(nqi_defect *defect, const char *what)
{
    return nqi_defect_set(defect, NQ_E_CORRUPT, what, 0);
}

static nq_status unsupported(nqi_defect *defect, const char *what)
{
    return nqi_defect_set(defect, NQ_E_UNSUPPORTED, what, 0);
}

/* A text with its length in front. */
static bool take_text(const char **text, size_t *n_bytes, nqi_cursor *c)
{
    uint64_t raw_bytes;
    if (!nqi_cursor_varint(c, &raw_bytes) || raw_bytes > nqi_cursor_left(c))
        return false;
    *n_bytes = (size_t)raw_bytes;
    *text = (const char *)nqi_cursor_take(c, *n_bytes);
    return true;
}

/* A record with its length in front: a cursor that cannot leave it. Bytes at its end that this
 * version does not know are skipped: there newer ones may say more. */
static bool take_record(nqi_cursor *record, nqi_cursor *c)
{
    const char *bytes;
    size_t n_bytes;
    if (!take_text(&bytes, &n_bytes, c))
        return false;
    *record = nqi_cursor_make(bytes, n_bytes);
    return true;
}

nq_status nqi_index_metadata(nqi_metadata_record *record, nqi_defect *defect, nqi_cursor *c)
{
    *record = (nqi_metadata_record){0};
    if (!take_text(&record->key, &record->key_bytes, c) ||
        !take_text(&record->value, &record->value_bytes, c))
        return corrupt(defect, "a metadata record ends too early");
    return NQ_OK;
}

/* ---- Tables -------------------------------------------------------------------------------- */

/* Whether the data of a codebook can have n_bytes. */
static bool codebook_bytes_fit(const nqi_table_record *r)
{
    const bool is_grid = r->kind == NQ_LEVELS_GRID;
    const uint64_t n = r->n_stored, floats = r->kind == NQ_LEVELS_F16 ? 2 * n : 4 * n;
    const uint64_t least = is_grid ? 2 : floats;
    const uint64_t most = (is_grid ? NQI_GRID_LEVEL_MAX_BYTES * n : floats) +
                          NQI_CHANNEL_MAX_BYTES * r->n_channels;
    return r->n_bytes >= least && r->n_bytes <= most;
}

/* How many channels there are, and how many levels they have in all. */
static nq_status read_channels(nqi_table_record *record, nqi_defect *defect, nqi_cursor *c)
{
    uint64_t raw_channels, raw_stored;
    if (!nqi_cursor_varint(c, &raw_channels) || !nqi_cursor_varint(c, &raw_stored))
        return corrupt(defect, "a codebook's record ends too early");
    if (raw_channels == 0 || raw_channels > raw_stored || raw_stored > NQI_MAX_STORED_LEVELS)
        return corrupt(defect, "a codebook with an impossible number of channels");
    record->n_channels = (uint32_t)raw_channels;
    record->n_stored = (uint32_t)raw_stored;
    return NQ_OK;
}

static nq_status read_codebook(nqi_table_record *record, nqi_defect *defect, nqi_cursor *c)
{
    uint8_t raw_method, raw_rule, raw_flags;
    uint64_t raw_levels, raw_step = 0;
    if (!nqi_cursor_u8(c, &raw_method) || !nqi_cursor_u8(c, &raw_rule) ||
        !nqi_cursor_u8(c, &raw_flags) || !nqi_cursor_varint(c, &raw_levels))
        return corrupt(defect, "a codebook's record ends too early");
    if (raw_flags & ~(NQI_CODEBOOK_HAS_STEP | NQI_CODEBOOK_BY_CHANNEL))
        return unsupported(defect, "a codebook with unknown flags");
    if ((raw_flags & NQI_CODEBOOK_HAS_STEP) && !nqi_cursor_le(c, &raw_step, 8))
        return corrupt(defect, "a codebook's record ends too early");
    if (raw_levels == 0 || raw_levels > NQ_MAX_LEVELS)
        return corrupt(defect, "a codebook with an impossible number of levels");
    record->method = raw_method;
    record->level_rule = raw_rule;
    record->n_levels = record->n_stored = (uint32_t)raw_levels;
    record->step = nqi_f64_from_bits(raw_step);
    if (raw_flags & NQI_CODEBOOK_BY_CHANNEL)
        NQI_TRY(read_channels(record, defect, c));
    if (!nqi_is_finite(record->step) ||
        (record->kind == NQ_LEVELS_GRID && record->step == 0 && record->n_channels == 0))
        return corrupt(defect, "a codebook with an impossible step");
    return codebook_bytes_fit(record)
               ? NQ_OK
               : corrupt(defect, "a codebook whose size contradicts its number of levels");
}

static bool is_known_codec(uint32_t codec)
{
    return codec == NQ_CODEC_STORED || codec == NQ_CODEC_FIXED || codec == NQ_CODEC_HUFFMAN ||
           codec == NQ_CODEC_RANS || codec == NQ_CODEC_HUFFMAN_GAPS;
}

nq_status nqi_index_table(nqi_table_record *record, nqi_defect *defect, nqi_cursor *c)
{
    nqi_cursor r;
    uint8_t raw_kind, raw_codec;
    *record = (nqi_table_record){0};
    if (!take_record(&r, c) || !nqi_cursor_varint(&r, &record->n_bytes) ||
        !nqi_cursor_u32(&r, &record->crc) || !nqi_cursor_u8(&r, &raw_kind))
        return corrupt(defect, "a table's record ends too early");
    record->kind = raw_kind;
    if (raw_kind == NQ_LEVELS_F32 || raw_kind == NQ_LEVELS_F16 || raw_kind == NQ_LEVELS_GRID)
        return read_codebook(record, defect, &r);
    if (raw_kind != NQI_TABLE_CODE)
        return unsupported(defect, "a table of unknown kind");
    if (!nqi_cursor_u8(&r, &raw_codec))
        return corrupt(defect, "a code table's record ends too early");
    if (!is_known_codec(raw_codec))
        return unsupported(defect, "a code table of an unknown codec");
    if (raw_codec == NQ_CODEC_STORED || raw_codec == NQ_CODEC_FIXED)
        return corrupt(defect, "a code table of a codec that has none");
    if (record->n_bytes > NQI_CODE_TABLE_MAX_BYTES)
        return corrupt(defect, "a code table that is larger than any can be");
    record->codec = raw_codec;
    return NQ_OK;
}

/* ---- Tensors ------------------------------------------------------------------------------- */

static nq_status read_shape(nqi_tensor_record *record, nqi_defect *defect, nqi_cursor *c)
{
    uint8_t raw_dtype, raw_rank;
    if (!nqi_cursor_u8(c, &raw_dtype) || !nqi_cursor_u8(c, &raw_rank))
        return corrupt(defect, "a tensor's record ends too early");
    if (nq_dtype_bits(raw_dtype) == 0)
        return unsupported(defect, "a tensor of an unknown element type");
    if (raw_rank > NQ_MAX_RANK)
        return unsupported(defect, "a tensor of more than eight dimensions");
    record->dtype = raw_dtype;
    record->rank = raw_rank;
    nq_tensor shape = {.struct_size = sizeof shape, .dtype = raw_dtype, .rank = raw_rank};
    for (uint32_t i = 0; i < raw_rank; i++) {
        if (!nqi_cursor_varint(c, &shape.dims[i]))
            return corrupt(defect, "a tensor's record ends too early");
        record->dims[i] = shape.dims[i];
    }
    if (nq_tensor_elements(&record->n_elements, &shape) != NQ_OK ||
        record->n_elements > NQI_MAX_ELEMENTS)
        return corrupt(defect, "a tensor whose dimensions have too large a product");
    if (record->n_elements % 8 * nq_dtype_bits(raw_dtype) % 8 != 0)
        return corrupt(defect, "a tensor that does not fill its last byte");
    return NQ_OK;
}

/* How the indices of a coded tensor are to be understood. */
static nq_status read_coded(nqi_tensor_record *record, nqi_defect *defect, nqi_cursor *c)
{
    uint8_t raw_layout, raw_axis = 0;
    uint64_t raw_codebook = 0, raw_table;
    if (!nqi_cursor_u8(c, &raw_layout))
        return corrupt(defect, "a tensor's record ends too early");
    if (raw_layout > NQI_LAYOUT_PATTERNS)
        return unsupported(defect, "a tensor of an unknown layout");
    const bool is_lossless = raw_layout == NQI_LAYOUT_PATTERNS;
    if ((!is_lossless && !nqi_cursor_varint(c, &raw_codebook)) ||
        !nqi_cursor_varint(c, &raw_table) ||
        (raw_layout == NQI_LAYOUT_CHANNELS && !nqi_cursor_u8(c, &raw_axis)))
        return corrupt(defect, "a tensor's record ends too early");
    if (raw_layout == NQI_LAYOUT_CHANNELS && raw_axis >= record->rank)
        return corrupt(defect, "a tensor without the axis of its channels");
    if (raw_codebook >= NQ_NO_ID || raw_table > NQ_NO_ID)
        return corrupt(defect, "a tensor that names an impossible table");
    if (!is_lossless && !nqi_is_weight_type(record->dtype))
        return unsupported(defect, "a quantized tensor of a type that is not F32, F16 or BF16");
    if (is_lossless && nqi_pattern_indices(record->dtype) == 0)
        return unsupported(defect, "a coded tensor of a type whose patterns have no code");
    record->codebook = is_lossless ? NQ_NO_ID : (uint32_t)raw_codebook;
    record->table = raw_table == 0 ? NQ_NO_ID : (uint32_t)(raw_table - 1);
    record->axis = raw_layout == NQI_LAYOUT_CHANNELS ? raw_axis : NQ_NO_ID;
    return NQ_OK;
}

/* That the payload has room for its directory, and a stored one for exactly its elements. */
static nq_status check_payload(const nqi_tensor_record *record, nqi_defect *defect)
{
    const uint64_t n_units =
        nqi_block_units(record->codec, record->n_elements, nq_dtype_bits(record->dtype));
    const uint64_t n_blocks = nqi_block_count(n_units, record->block_log2);
    const uint64_t directory = nqi_directory_bytes(record->codec, record->n_elements, n_blocks);
    const bool is_exact = record->codec == NQ_CODEC_STORED || n_blocks == 0;
    const uint64_t exact = n_blocks == 0 ? 0 : directory + n_units;
    if (is_exact ? record->payload_bytes != exact : record->payload_bytes < directory)
        return corrupt(defect, "a tensor whose payload contradicts its shape");
    return NQ_OK;
}

nq_status nqi_index_tensor(nqi_tensor_record *record, nqi_defect *defect, nqi_cursor *c,
                           unsigned size_width)
{
    nqi_cursor r;
    size_t name_bytes;
    uint8_t raw_codec, raw_log2;
    *record = (nqi_tensor_record){.codebook = NQ_NO_ID, .table = NQ_NO_ID, .axis = NQ_NO_ID};
    if (!take_record(&r, c) || !nqi_cursor_le(&r, &record->payload_bytes, size_width))
        return corrupt(defect, "a tensor's record ends too early");
    NQI_TRY(read_shape(record, defect, &r));
    if (!take_text(&record->name, &name_bytes, &r) || !nqi_cursor_u8(&r, &raw_codec) ||
        !nqi_cursor_u8(&r, &raw_log2))
        return corrupt(defect, "a tensor's record ends too early");
    record->name_bytes = (uint32_t)name_bytes; /* an index has less than 2^32 bytes */
    if (!is_known_codec(raw_codec))
        return unsupported(defect, "a tensor of an unknown codec");
    if (raw_log2 < NQI_BLOCK_LOG2_MIN || raw_log2 > NQI_BLOCK_LOG2_MAX)
        return corrupt(defect, "a tensor with an impossible block size");
    record->codec = raw_codec;
    record->block_log2 = raw_log2;
    if (raw_codec != NQ_CODEC_STORED)
        NQI_TRY(read_coded(record, defect, &r));
    return check_payload(record, defect);
}

/* ---- Walking ------------------------------------------------------------------------------- */

void nqi_index_skip_metadata(nqi_cursor *c)
{
    const char *text;
    size_t n_bytes;
    (void)(take_text(&text, &n_bytes, c) && take_text(&text, &n_bytes, c));
}

uint64_t nqi_index_skip_table(nqi_cursor *c)
{
    nqi_cursor r;
    uint64_t n_bytes;
    return take_record(&r, c) && nqi_cursor_varint(&r, &n_bytes) ? n_bytes : 0;
}

uint64_t nqi_index_skip_tensor(nqi_cursor *c, unsigned size_width)
{
    nqi_cursor r;
    uint64_t n_bytes;
    return take_record(&r, c) && nqi_cursor_le(&r, &n_bytes, size_width) ? n_bytes : 0;
}
