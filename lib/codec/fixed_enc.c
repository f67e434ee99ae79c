/*
 * Indices of fixed length: encoding. docs/format/codecs.md has the format.
 */
#include "base/checked.h"
#include "codec/bitpack_enc.h"
#include "codec/bits_fmt.h"
#include "codec/code_ops_enc.h"

typedef struct fixed_encoder {
    nqi_encoder head;
    nqi_pack_fn pack;
} fixed_encoder;

static nq_status create(nqi_encoder **out, const nqi_allocator *a, const nqi_encoder_spec *spec)
{
    void *memory;
    *out = NULL;
    NQI_TRY(nqi_alloc_zero(&memory, a, 1, sizeof(fixed_encoder)));
    fixed_encoder *encoder = memory;
    encoder->head.a = *a;
    encoder->head.n_levels = spec->n_levels;
    encoder->head.block_overhead = 1; /* padding */
    encoder->pack = nqi_pack_for(spec->cpu);
    *out = &encoder->head;
    return NQ_OK;
}

static void destroy(nqi_encoder *encoder)
{
    const nqi_allocator a = encoder->a;
    nqi_free(&a, encoder, 1, sizeof(fixed_encoder));
}

static uint64_t payload_bits(const nqi_encoder *encoder, const uint64_t *counts)
{
    uint64_t n = 0, bits;
    for (uint32_t i = 0; i < encoder->n_levels; i++)
        if (!nqi_add_u64(&n, n, counts[i]))
            return UINT64_MAX;
    return nqi_mul_u64(&bits, n, nqi_bits_for(encoder->n_levels)) ? bits : UINT64_MAX;
}

static uint64_t bound(const nqi_encoder *encoder, uint64_t n_indices)
{
    return nqi_packed_bytes(n_indices, nqi_bits_for(encoder->n_levels));
}

static uint32_t largest_of(const uint16_t *indices, size_t n)
{
    uint16_t largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = NQI_MAX(largest, indices[i]);
    return largest;
}

static nq_status encode(const nqi_encoder *head, uint8_t *out, size_t capacity, size_t *n_bytes,
                        const uint16_t *indices, size_t n_indices)
{
    const fixed_encoder *encoder = (const fixed_encoder *)(const void *)head;
    const unsigned width = nqi_bits_for(head->n_levels);
    const uint64_t wanted = nqi_packed_bytes(n_indices, width);
    if (wanted > capacity) /* nothing is written, but an index out of range is worse */
        return largest_of(indices, n_indices) < head->n_levels ? NQ_E_SPACE : NQ_E_ARG;
    if (encoder->pack(out, indices, n_indices, width) >= head->n_levels)
        return NQ_E_ARG;
    *n_bytes = (size_t)wanted;
    return NQ_OK;
}

static uint32_t cost(const nqi_encoder *encoder, uint32_t index)
{
    (void)index;
    return nqi_bits_for(encoder->n_levels) * 256;
}

const nqi_encoder_ops nqi_fixed_encoder_ops = {.create = create,
                                               .destroy = destroy,
                                               .payload_bits = payload_bits,
                                               .bound = bound,
                                               .encode = encode,
                                               .cost = cost};
