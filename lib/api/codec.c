/*
 * Encoders over bare arrays of indices: arguments checked here, work done in lib/codec.
 */
#include "api/ctx.h"
#include "base/versioned.h"
#include "codec/code_enc.h"
#include "codec/index_count.h"
#include "cpu/cpu.h"
#include "nq/codec.h"
#include "nq/types.h"

nq_status nq_indices_count(uint64_t *counts, uint32_t n_levels, const uint16_t *indices,
                           size_t n_indices)
{
    if (!counts || n_levels == 0 || n_levels > NQ_MAX_LEVELS || (!indices && n_indices > 0))
        return NQ_E_ARG;
    const bool fit = nqi_index_count(counts, n_levels, indices, n_indices, nqi_cpu_features());
    return fit ? NQ_OK : NQ_E_ARG;
}

/* The options as first released; see versioned.h. */
#define OPTIONS_FIRST_SIZE ((uint32_t)sizeof(nq_encoder_options))

void nq_encoder_options_init_sized(nq_encoder_options *options, uint32_t struct_size)
{
    if (options && struct_size >= sizeof(uint32_t) && struct_size <= NQI_STRUCT_MAX)
        nqi_versioned_init(options, struct_size);
}

nq_status nq_encoder_create(nq_encoder **out, const nq_ctx *ctx, const nq_encoder_options *options,
                            const uint64_t *counts)
{
    nq_encoder_options full = {.struct_size = sizeof full};
    if (out)
        *out = NULL;
    if (!out || !options)
        return NQ_E_ARG;
    NQI_TRY(nqi_versioned_read(&full, sizeof full, options, OPTIONS_FIRST_SIZE));
    ctx = nqi_ctx_or_default(ctx);
    if (full.n_levels > ctx->options.max_levels && full.n_levels <= NQ_MAX_LEVELS)
        return NQ_E_LIMIT;
    return nqi_encoder_create(out, &ctx->env.allocator, full.codec, full.n_levels,
                              full.max_code_length, full.codec == NQ_CODEC_FIXED ? NULL : counts, 0,
                              ctx->env.cpu);
}

void nq_encoder_destroy(nq_encoder *encoder)
{
    nqi_encoder_destroy(encoder);
}

const uint8_t *nq_encoder_table(const nq_encoder *encoder, size_t *n_bytes)
{
    size_t ignored;
    n_bytes = n_bytes ? n_bytes : &ignored;
    *n_bytes = 0;
    return encoder ? nqi_encoder_table(encoder, n_bytes) : NULL;
}

uint64_t nq_encoder_bound(const nq_encoder *encoder, uint64_t n_indices)
{
    return encoder ? nqi_encoder_bound(encoder, n_indices) : 0;
}

nq_status nq_encoder_encode(const nq_encoder *encoder, uint8_t *out, size_t out_capacity,
                            size_t *n_bytes, const uint16_t *indices, size_t n_indices)
{
    if (n_bytes)
        *n_bytes = 0;
    if (!encoder || !n_bytes || (!out && out_capacity > 0) || (!indices && n_indices > 0))
        return NQ_E_ARG;
    return nqi_encoder_encode(encoder, out, out_capacity, n_bytes, indices, n_indices);
}
