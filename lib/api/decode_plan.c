/*
 * A decoder's memory: what its parts need, where they lie, and how codebook and code table get into
 * them. Part of the decoder: everything lives in the caller's memory.
 */
#include "api/decode.h"

#include "base/diag.h"
#include "codec/checksum.h"
#include "codec/patterns_fmt.h"
#include "cpu/cpu.h"

/* Offsets from the aligned start of the memory. */
typedef struct parts {
    size_t levels;
    size_t channels;
    size_t narrow;
    size_t piece;
    size_t code;
    size_t block;
    size_t buffer;
    size_t buffer_bytes;
    size_t total; /* slack for alignment included */
} parts;

/* What is known of the tensor before there is memory. */
typedef struct subject {
    const nq_reader *reader;
    nqi_tensor_record tensor;
    nqi_table_record codebook;
    nqi_table_record table; /* n_bytes 0 without one */
    uint64_t number;
    uint64_t n_units;
    uint64_t n_blocks;
    uint64_t directory_bytes;
    uint32_t n_indices; /* that there are: levels, or patterns */
} subject;

static subject make_subject(const nq_reader *reader, uint64_t tensor)
{
    subject s = {.reader = reader, .number = tensor};
    nqi_reader_get_tensor(&s.tensor, reader, (uint32_t)tensor);
    const nqi_tensor_record *t = &s.tensor;
    s.n_units = nqi_block_units(t->codec, t->n_elements, nq_dtype_bits(t->dtype));
    s.n_blocks = nqi_block_count(s.n_units, t->block_log2);
    s.directory_bytes = nqi_directory_bytes(t->codec, t->n_elements, s.n_blocks);
    if (t->codebook != NQ_NO_ID)
        nqi_reader_get_table(&s.codebook, reader, t->codebook);
    s.n_indices = nqi_record_is_lossless(t) ? nqi_pattern_indices(t->dtype) : s.codebook.n_levels;
    if (t->table != NQ_NO_ID)
        nqi_reader_get_table(&s.table, reader, t->table);
    return s;
}

/* ---- Sizes --------------------------------------------------------------------------------- */

static nq_status fail(nq_diag *diag, nq_status status, const char *what, const subject *s,
                      uint64_t offset)
{
    return nqi_diag_at(diag, status, what, s->number, NQ_NONE, offset);
}

static nq_status too_large(nq_diag *diag, const subject *s)
{
    return fail(diag, NQ_E_LIMIT, "the tensor's tables do not fit this machine's memory", s,
                NQ_NONE);
}

/* The largest block, from the directory's offsets. Every difference is looked at, so memory never
 * depends on an offset that is out of order. */
static nq_status largest_block(uint64_t *largest, const subject *s, nq_diag *diag)
{
    enum { AT_ONCE = 64 };
    uint8_t raw[AT_ONCE * 8];
    const unsigned width = nqi_offset_width(s->tensor.n_elements);
    const uint64_t n_offsets = s->n_blocks - 1;
    const uint64_t from = s->tensor.payload_offset + s->n_blocks * NQI_CRC_BYTES;
    const uint64_t end = s->tensor.payload_bytes - s->directory_bytes;
    uint64_t before = 0;
    *largest = 0;
    for (uint64_t i = 0; i < n_offsets; i += AT_ONCE) {
        const size_t n = (size_t)NQI_MIN(n_offsets - i, AT_ONCE);
        const nq_status status =
            nqi_source_fetch(raw, &s->reader->source, from + i * width, n * width);
        if (status != NQ_OK)
            return fail(diag, status, "reading a block directory failed", s, from + i * width);
        for (size_t k = 0; k < n; k++) {
            const uint64_t raw_end = nqi_load_le(raw + k * width, width);
            if (raw_end < before || raw_end > end)
                return fail(diag, NQ_E_CORRUPT, "a block directory out of order", s,
                            from + (i + k) * width);
            *largest = NQI_MAX(*largest, raw_end - before);
            before = raw_end;
        }
    }
    *largest = NQI_MAX(*largest, end - before);
    return NQ_OK;
}

/* Room for what must be fetched through a callback: a block, or one of the tables before that. */
static nq_status buffer_bytes(size_t *n_bytes, const subject *s, nq_diag *diag)
{
    uint64_t wanted = 0;
    *n_bytes = 0;
    if (!s->reader->source.read)
        return NQ_OK;
    if (s->tensor.codec == NQ_CODEC_STORED)
        wanted = NQI_MIN(s->n_units, UINT64_C(1) << s->tensor.block_log2);
    else if (s->n_blocks > 0)
        NQI_TRY(largest_block(&wanted, s, diag));
    wanted = NQI_MAX(wanted, s->codebook.n_bytes);
    wanted = NQI_MAX(wanted, s->table.n_bytes);
    return nqi_to_size(n_bytes, wanted) ? NQ_OK : too_large(diag, s);
}

/* The data of a table, its checksum verified; `buffer` holds them if the source is a callback. */
static nq_status table_data(const uint8_t **data, const subject *s, const nqi_table_record *table,
                            uint8_t *buffer, nq_diag *diag)
{
    const size_t n_bytes = (size_t)table->n_bytes;
    const nq_status status =
        nqi_source_view(data, &s->reader->source, table->offset, n_bytes, buffer);
    if (status != NQ_OK)
        return fail(diag, status, "reading a table failed", s, table->offset);
    if (nqi_crc32c(0, *data, n_bytes) != table->crc)
        return fail(diag, NQ_E_CHECKSUM, "a codebook or code table is damaged", s, table->offset);
    return NQ_OK;
}

/* Takes n_bytes at the next aligned offset. */
static bool place(size_t *offset, size_t *end, size_t n_bytes)
{
    return nqi_round_up_size(offset, *end, NQI_ALIGNMENT) && nqi_add_size(end, *offset, n_bytes);
}

/* The code's tables: where the code table can be looked at, for just that one. */
static nq_status code_bytes(size_t *code, size_t *block, const subject *s, uint32_t flags,
                            nq_diag *diag)
{
    const uint8_t *data = NULL;
    *code = *block = 0;
    if (s->tensor.codec == NQ_CODEC_STORED)
        return NQ_OK;
    size_t n_bytes;
    if (!nqi_to_size(&n_bytes, s->table.n_bytes))
        return too_large(diag, s);
    if (!s->reader->source.read && n_bytes > 0)
        NQI_TRY(table_data(&data, s, &s->table, NULL, diag));
    const nq_status status =
        nqi_code_size(code, block, s->tensor.codec, s->n_indices, data, n_bytes,
                      flags & NQ_DECODER_SMALL_TABLES ? NQI_CODE_SMALL : 0);
    return status == NQ_OK ? NQ_OK
                           : fail(diag, status, "the code table is not valid", s, s->table.offset);
}

static nq_status plan_parts(parts *p, const subject *s, uint32_t flags, nq_diag *diag)
{
    size_t code, block;
    const bool is_coded = s->tensor.codec != NQ_CODEC_STORED;
    const size_t n_levels = s->codebook.n_stored, n_channels = s->codebook.n_channels;
    NQI_TRY(code_bytes(&code, &block, s, flags, diag));
    NQI_TRY(buffer_bytes(&p->buffer_bytes, s, diag));
    size_t end = sizeof(nq_decoder);
    const bool fits = place(&p->levels, &end, n_levels * sizeof(float)) &&
                      place(&p->channels, &end, n_channels * sizeof(nqi_channel)) &&
                      place(&p->narrow, &end, n_levels * sizeof(uint16_t)) &&
                      place(&p->piece, &end, is_coded ? NQI_PIECE * sizeof(uint16_t) : 0) &&
                      place(&p->code, &end, code) && place(&p->block, &end, block) &&
                      place(&p->buffer, &end, p->buffer_bytes) &&
                      nqi_add_size(&p->total, end, NQI_ALIGNMENT);
    return fits ? NQ_OK : too_large(diag, s);
}

nq_status nqi_decoder_bytes(size_t *n_bytes, const nq_reader *reader, uint64_t tensor,
                            const nq_decoder_options *options, nq_diag *diag)
{
    parts p = {0};
    const subject s = make_subject(reader, tensor);
    NQI_TRY(plan_parts(&p, &s, options->flags, diag));
    *n_bytes = p.total;
    return NQ_OK;
}

/* ---- Tables -------------------------------------------------------------------------------- */

static nq_status load_codebook(nq_decoder *d, const subject *s, nq_diag *diag)
{
    const uint8_t *data;
    NQI_TRY(table_data(&data, s, &s->codebook, d->buffer, diag));
    const nq_status status = nqi_codebook_read(d->levels, d->channels, &s->codebook, data);
    if (status != NQ_OK)
        return fail(diag, status, "the codebook is not valid", s, s->codebook.offset);
    if (d->n_channels)
        nqi_channels_prepare(d);
    return NQ_OK;
}

static nq_status load_code(nq_decoder *d, const subject *s, void *memory, uint64_t cpu,
                           nq_diag *diag)
{
    const uint8_t *data;
    NQI_TRY(table_data(&data, s, &s->table, d->buffer, diag));
    const nq_status status =
        nqi_code_init(&d->code, memory, s->tensor.codec, s->n_indices, data,
                      (size_t)s->table.n_bytes,
                      d->flags & NQ_DECODER_SMALL_TABLES ? NQI_CODE_SMALL : 0, cpu);
    return status == NQ_OK ? NQ_OK
                           : fail(diag, status, "the code table is not valid", s, s->table.offset);
}

/* The sizes are found out anew: memory stays safe even if the source changed since. */
nq_status nqi_decoder_build(nq_decoder **out, void *memory, size_t memory_bytes,
                            const nq_reader *reader, uint64_t tensor,
                            const nq_decoder_options *options, nq_diag *diag)
{
    parts p = {0};
    const subject s = make_subject(reader, tensor);
    NQI_TRY(plan_parts(&p, &s, options->flags, diag));
    if (!memory || memory_bytes < p.total) {
        fail(diag, NQ_E_SPACE, "the memory for the decoder is too small", &s, NQ_NONE);
        diag->wanted = p.total;
        return NQ_E_SPACE;
    }
    uint8_t *base = memory;
    base += (NQI_ALIGNMENT - (uintptr_t)memory % NQI_ALIGNMENT) % NQI_ALIGNMENT;
    nq_decoder *d = (nq_decoder *)(void *)base;
    *d = (nq_decoder){.reader = reader,
                      .tensor = s.tensor,
                      .number = tensor,
                      .n_units = s.n_units,
                      .n_blocks = s.n_blocks,
                      .directory_bytes = s.directory_bytes,
                      .flags = options->flags,
                      .n_levels = s.codebook.n_levels,
                      .step = s.codebook.step,
                      .n_stored = s.codebook.n_stored,
                      .n_channels = s.codebook.n_channels,
                      .levels = (float *)(void *)(base + p.levels),
                      .channels = (nqi_channel *)(void *)(base + p.channels),
                      .narrow = (uint16_t *)(void *)(base + p.narrow),
                      .piece = base + p.piece,
                      .is_narrow = s.n_indices <= 256,
                      .raw_bytes = nqi_record_is_lossless(&s.tensor)
                                       ? nqi_pattern_raw_bytes(s.tensor.dtype)
                                       : 0,
                      .buffer = base + p.buffer,
                      .buffer_bytes = p.buffer_bytes,
                      .block_memory = base + p.block,
                      .narrow_dtype = NQ_NO_ID,
                      .open_block = NQ_NONE};
    nqi_diag_set(&d->diag, NQ_OK, "");
    if (s.tensor.codec != NQ_CODEC_STORED) {
        const uint64_t cpu =
            nqi_cpu_features() & ~(options->cpu_disabled | reader->cpu_disabled);
        d->kernels = nqi_levels_kernels_for(cpu);
        if (d->n_levels > 0)
            NQI_TRY(load_codebook(d, &s, diag));
        NQI_TRY(load_code(d, &s, base + p.code, cpu, diag));
    }
    *out = d;
    return NQ_OK;
}
