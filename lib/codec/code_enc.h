/*
 * What the rest of the library sees of encoding indices: one interface over all codecs.
 */
#ifndef NQI_CODE_ENC_H
#define NQI_CODE_ENC_H

#include "base/alloc.h"
#include "base/common.h"
#include "nq/codec.h"

/* Immutable after creation, so that threads may share it. */
typedef struct nq_encoder nqi_encoder;

/* nqi_encoder_create: the counts are exactly those of what will be encoded. An index with count 0
 * gets no code then, and costs nothing; encoding it is NQ_E_ARG. */
#define NQI_ENCODER_EXACT 1u

/* counts is NULL for fixed. NQ_E_UNSUPPORTED for an unknown codec, NQ_E_ARG for a max_code_length
 * over the codec's maximum, NQ_E_LIMIT when the counts' sum overflows. */
nq_status nqi_encoder_create(nqi_encoder **out, const nqi_allocator *a, uint32_t codec,
                             uint32_t n_levels, uint32_t max_code_length, const uint64_t *counts,
                             uint32_t flags, uint64_t cpu);
void nqi_encoder_destroy(nqi_encoder *encoder);

/* The serialised table, owned by the encoder. */
const uint8_t *nqi_encoder_table(const nqi_encoder *encoder, size_t *n_bytes);

/* Bits that indices with these counts take in blocks, headers and padding of blocks left out:
 * exact for fixed and Huffman, a close estimate for rANS. */
uint64_t nqi_encoder_payload_bits(const nqi_encoder *encoder, const uint64_t *counts);

/* Bytes of a block's own header and padding at most, per block. */
uint32_t nqi_encoder_block_overhead(const nqi_encoder *encoder);

uint64_t nqi_encoder_bound(const nqi_encoder *encoder, uint64_t n_indices);

nq_status nqi_encoder_encode(const nqi_encoder *encoder, uint8_t *out, size_t capacity,
                             size_t *n_bytes, const uint16_t *indices, size_t n_indices);

/* Cost of index i in 1/256 bit, as the encoder will charge it: for rate-distortion decisions.
 * NQI_COST_NONE for one that has no code. */
#define NQI_COST_NONE UINT32_MAX
uint32_t nqi_encoder_cost(const nqi_encoder *encoder, uint32_t index);

#endif
