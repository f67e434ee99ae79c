/*
 * Decoding of indices, whatever the codec: checks what all codecs have in common and hands on. Part
 * of the decoder.
 */
#include "codec/code_dec.h"

#include <assert.h>

#include "codec/code_ops.h"
#include "nq/types.h"

/* By the codec's number in the format; NULL: a codec that this build does not have. */
static const nqi_code_ops *find_codec(uint32_t codec)
{
    switch (codec) {
    case NQ_CODEC_FIXED:
        return &nqi_fixed_code_ops;
    case NQ_CODEC_HUFFMAN:
        return &nqi_huffman_code_ops;
#if !NQI_IS_SMALLEST
    case NQ_CODEC_RANS:
        return &nqi_rans_code_ops;
    case NQ_CODEC_HUFFMAN_GAPS:
        return &nqi_gaps_code_ops;
#endif
    default:
        return NULL;
    }
}

nq_status nqi_code_size(size_t *code_bytes, size_t *block_state_bytes, uint32_t codec,
                        uint32_t n_levels, const uint8_t *table, size_t table_bytes, uint32_t flags)
{
    const nqi_code_ops *ops = find_codec(codec);
    if (!ops)
        return NQ_E_UNSUPPORTED;
    if (n_levels == 0 || n_levels > NQ_MAX_LEVELS)
        return NQ_E_ARG;
    return ops->size(code_bytes, block_state_bytes, n_levels, table, table_bytes, flags);
}

nq_status nqi_code_init(nqi_code **out, void *memory, uint32_t codec, uint32_t n_levels,
                        const uint8_t *table, size_t table_bytes, uint32_t flags, uint64_t cpu)
{
    const nqi_code_ops *ops = find_codec(codec);
    nqi_code *code = memory;
    *out = NULL;
    if (!ops)
        return NQ_E_UNSUPPORTED;
    if (n_levels == 0 || n_levels > NQ_MAX_LEVELS)
        return NQ_E_ARG;
    *code = (nqi_code){.ops = ops, .n_levels = n_levels};
    NQI_TRY(ops->init(code, table, table_bytes, flags, cpu));
    *out = code;
    return NQ_OK;
}

nq_status nqi_block_begin(nqi_block **out, void *memory, const nqi_code *code, const uint8_t *bytes,
                          size_t n_bytes, size_t n_indices)
{
    nqi_block *block = memory;
    *out = NULL;
    *block = (nqi_block){.code = code, .n_left = n_indices};
    NQI_TRY(code->ops->begin(block, bytes, n_bytes, n_indices));
    *out = block;
    return NQ_OK;
}

/* The codecs decode a piece at a time; a call may ask for several. */
nq_status nqi_block_next_u16(nqi_block *block, uint16_t *indices, size_t n)
{
    if (n > block->n_left || (n % NQI_PIECE != 0 && n != block->n_left))
        return NQ_E_ARG;
    for (size_t done = 0; done < n;) {
        const size_t piece = NQI_MIN(n - done, NQI_PIECE);
        NQI_TRY(block->code->ops->next_u16(block, indices + done, piece));
        block->n_left -= piece;
        done += piece;
    }
    return NQ_OK;
}

nq_status nqi_block_next_u8(nqi_block *block, uint8_t *indices, size_t n)
{
    assert(block->code->n_levels <= 256);
    if (n > block->n_left || (n % NQI_PIECE != 0 && n != block->n_left))
        return NQ_E_ARG;
    for (size_t done = 0; done < n;) {
        const size_t piece = NQI_MIN(n - done, NQI_PIECE);
        NQI_TRY(block->code->ops->next_u8(block, indices + done, piece));
        block->n_left -= piece;
        done += piece;
    }
    return NQ_OK;
}

nq_status nqi_block_end(const nqi_block *block)
{
    return block->n_left == 0 ? block->code->ops->end(block) : NQ_E_STATE;
}
