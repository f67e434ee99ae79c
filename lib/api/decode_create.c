/*
 * Readers and decoders with an allocator: the convenience on top of the decoder, in libnq only. Each
 * handle is one allocation: a few words that say how to free it, then the memory that reader or
 * decoder are built in.
 */
#include "api/ctx.h"
#include "api/decode_create.h"
#include "api/reader.h"
#include "base/checked.h"
#include "base/diag.h"
#include "container/names.h"
#include "nq/decode.h"

/* How to free a handle, in front of it. */
typedef struct owner {
    nqi_allocator allocator;
    uint64_t n_bytes;
} owner;

static nq_status alloc_owned(owner **out, const nqi_allocator *a, size_t n_bytes, nq_diag *diag)
{
    void *memory;
    uint64_t total;
    *out = NULL;
    if (!nqi_add_u64(&total, n_bytes, sizeof(owner)))
        return nqi_diag_set(diag, NQ_E_LIMIT, "more memory than there can be");
    const nq_status status = nqi_alloc(&memory, a, total, 1);
    if (status != NQ_OK) {
        nqi_diag_set(diag, status, status == NQ_E_LIMIT ? "over the limit on memory"
                                                        : "out of memory");
        diag->wanted = total;
        return status;
    }
    *out = memory;
    **out = (owner){.allocator = *a, .n_bytes = total};
    return NQ_OK;
}

static void free_owned(void *memory)
{
    if (!memory)
        return;
    owner *o = memory;
    const nqi_allocator a = o->allocator;
    nqi_free(&a, o, o->n_bytes, 1);
}

/* ---- Readers ------------------------------------------------------------------------------- */

static nq_reader_options limits_of(const nq_ctx *ctx)
{
    return (nq_reader_options){.struct_size = sizeof(nq_reader_options),
                               .max_tensors = ctx->options.max_tensors,
                               .max_levels = ctx->options.max_levels,
                               .max_name_bytes = ctx->options.max_name_bytes,
                               .max_elements = ctx->options.max_elements,
                               .max_index_bytes = ctx->options.max_index_bytes};
}

/* That no two tensors have one name. */
static nq_status check_names(const nq_reader *reader, const nqi_allocator *a, nq_diag *diag)
{
    void *memory;
    const uint32_t n = reader->header.n_tensors;
    nq_status status = nqi_alloc(&memory, a, n, sizeof(nqi_name));
    if (status != NQ_OK)
        return nqi_diag_set(diag, status, "out of memory for comparing names");
    nqi_name *names = memory;
    for (uint32_t i = 0; i < n; i++) {
        nqi_tensor_record record;
        nqi_reader_get_tensor(&record, reader, i);
        names[i] = (nqi_name){
            .bytes = record.name, .n_bytes = record.name_bytes, .tensor = i};
    }
    const uint64_t twin = nqi_names_find_twin(names, n);
    if (twin != NQ_NONE)
        status = nqi_diag_at(diag, NQ_E_CORRUPT, "two tensors of one name", twin, NQ_NONE,
                             NQ_NONE);
    nqi_free(a, memory, n, sizeof(nqi_name));
    return status;
}

static nq_status open_checked(nq_reader **out, const nq_ctx *ctx, const nq_source *source,
                              nq_diag *diag)
{
    const nq_reader_options limits = limits_of(ctx);
    nqi_header header;
    size_t n_bytes;
    owner *o;
    nq_reader *reader;
    NQI_TRY(nqi_reader_header(&header, source, &limits, diag));
    NQI_TRY(nqi_reader_bytes(&n_bytes, &header, source, diag));
    NQI_TRY(alloc_owned(&o, &ctx->env.allocator, n_bytes, diag));
    nq_status status = nqi_reader_build(&reader, o + 1, &header, source, &limits, diag);
    if (status == NQ_OK)
        status = check_names(reader, &ctx->env.allocator, diag);
    if (status != NQ_OK) {
        free_owned(o);
        return status;
    }
    reader->owner = o;
    reader->cpu_disabled = ~ctx->env.cpu;
    *out = reader;
    return NQ_OK;
}

nq_status nq_reader_open_source(nq_reader **out, const nq_ctx *ctx, const nq_source *source,
                                nq_diag *diag)
{
    nq_diag full;
    nq_source checked;
    nqi_diag_set(&full, NQ_OK, "");
    if (out)
        *out = NULL;
    const nq_status status = out ? nqi_source_check(&checked, source) : NQ_E_ARG;
    if (status != NQ_OK)
        nqi_diag_set(&full, status, "the source is neither a span nor a callback");
    else
        (void)open_checked(out, nqi_ctx_or_default(ctx), &checked, &full);
    return nqi_diag_export(diag, &full);
}

nq_status nq_reader_open(nq_reader **out, const nq_ctx *ctx, const void *bytes, size_t n_bytes,
                         nq_diag *diag)
{
    const nq_source source = {.struct_size = sizeof source, .bytes = bytes, .n_bytes = n_bytes};
    return nq_reader_open_source(out, ctx, &source, diag);
}

void nq_reader_destroy(nq_reader *reader)
{
    if (reader)
        free_owned(reader->owner);
}

/* ---- Decoders ------------------------------------------------------------------------------ */

nq_status nqi_decoder_create(nq_decoder **out, const nq_ctx *ctx, const nq_reader *reader,
                             uint64_t tensor, const nq_decoder_options *options, nq_diag *diag)
{
    size_t n_bytes;
    owner *o;
    *out = NULL;
    NQI_TRY(nqi_decoder_bytes(&n_bytes, reader, tensor, options, diag));
    NQI_TRY(alloc_owned(&o, &ctx->env.allocator, n_bytes, diag));
    const nq_status status =
        nqi_decoder_build(out, o + 1, n_bytes, reader, tensor, options, diag);
    if (status == NQ_OK)
        (*out)->owner = o;
    else
        free_owned(o);
    return status;
}

nq_status nq_decoder_create(nq_decoder **out, const nq_ctx *ctx, const nq_reader *reader,
                            uint64_t tensor, const nq_decoder_options *options, nq_diag *diag)
{
    nq_diag full;
    nq_decoder_options checked;
    nqi_diag_set(&full, NQ_OK, "");
    const nq_ctx *used = nqi_ctx_or_default(ctx);
    if (out)
        *out = NULL;
    if (nqi_decoder_check_making(&checked, out, reader, tensor, options, &full) == NQ_OK) {
        checked.cpu_disabled |= ~used->env.cpu;
        (void)nqi_decoder_create(out, used, reader, tensor, &checked, &full);
    }
    return nqi_diag_export(diag, &full);
}

void nq_decoder_destroy(nq_decoder *decoder)
{
    if (decoder)
        free_owned(decoder->owner);
}
