/*
 * Encoding of indices, whatever the codec: checks what all codecs have in common and hands on.
 */
#include "codec/code_enc.h"

#include <assert.h>

#include "base/checked.h"
#include "codec/code_ops_enc.h"
#include "nq/types.h"

/* By the codec's number in the format; NULL: a codec that this build does not have. */
static const nqi_encoder_ops *find_codec(uint32_t codec)
{
    switch (codec) {
    case NQ_CODEC_FIXED:
        return &nqi_fixed_encoder_ops;
    case NQ_CODEC_HUFFMAN:
        return &nqi_huffman_encoder_ops;
    case NQ_CODEC_RANS:
        return &nqi_rans_encoder_ops;
    case NQ_CODEC_HUFFMAN_GAPS:
        return &nqi_gaps_encoder_ops;
    default:
        return NULL;
    }
}

static bool sum_fits(const uint64_t *counts, uint32_t n_levels)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n_levels; i++)
        if (!nqi_add_u64(&sum, sum, counts[i]))
            return false;
    return true;
}

nq_status nqi_encoder_create(nqi_encoder **out, const nqi_allocator *a, uint32_t codec,
                             uint32_t n_levels, uint32_t max_code_length, const uint64_t *counts,
                             uint32_t flags, uint64_t cpu)
{
    const nqi_encoder_ops *ops = find_codec(codec);
    const nqi_encoder_spec spec = {.n_levels = n_levels,
                                   .max_code_length = max_code_length,
                                   .flags = flags,
                                   .counts = counts,
                                   .cpu = cpu};
    *out = NULL;
    if (!ops)
        return NQ_E_UNSUPPORTED;
    if (n_levels == 0 || n_levels > NQ_MAX_LEVELS || (!counts && codec != NQ_CODEC_FIXED))
        return NQ_E_ARG;
    if (counts && !sum_fits(counts, n_levels))
        return NQ_E_LIMIT;
    NQI_TRY(ops->create(out, a, &spec));
    (*out)->ops = ops;
    return NQ_OK;
}

void nqi_encoder_destroy(nqi_encoder *encoder)
{
    if (encoder)
        encoder->ops->destroy(encoder);
}

const uint8_t *nqi_encoder_table(const nqi_encoder *encoder, size_t *n_bytes)
{
    *n_bytes = encoder->table_bytes;
    return encoder->table;
}

uint64_t nqi_encoder_payload_bits(const nqi_encoder *encoder, const uint64_t *counts)
{
    return encoder->ops->payload_bits(encoder, counts);
}

uint32_t nqi_encoder_block_overhead(const nqi_encoder *encoder)
{
    return encoder->block_overhead;
}

uint64_t nqi_encoder_bound(const nqi_encoder *encoder, uint64_t n_indices)
{
    return encoder->ops->bound(encoder, n_indices);
}

nq_status nqi_encoder_encode(const nqi_encoder *encoder, uint8_t *out, size_t capacity,
                             size_t *n_bytes, const uint16_t *indices, size_t n_indices)
{
    return encoder->ops->encode(encoder, out, capacity, n_bytes, indices, n_indices);
}

uint32_t nqi_encoder_cost(const nqi_encoder *encoder, uint32_t index)
{
    assert(index < encoder->n_levels);
    return encoder->ops->cost(encoder, index);
}
