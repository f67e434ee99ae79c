/*
 * What a codec offers to the dispatcher in code_enc.c: one table of functions, and the common head
 * of encoders. A codec's own struct begins with the head.
 */
#ifndef NQI_CODE_OPS_ENC_H
#define NQI_CODE_OPS_ENC_H

#include "codec/code_enc.h"

/* What an encoder is made for. The dispatcher has checked it: n_levels is 1..NQ_MAX_LEVELS; counts
 * are there unless the codec is fixed, and their sum does not overflow. */
typedef struct nqi_encoder_spec {
    uint32_t n_levels;
    uint32_t max_code_length; /* 0: default */
    uint32_t flags;           /* NQI_ENCODER_* */
    const uint64_t *counts;   /* borrowed for the call */
    uint64_t cpu;
} nqi_encoder_spec;

typedef struct nqi_encoder_ops {
    /* Allocates an encoder and fills everything of its head but ops. *out is NULL on failure. */
    nq_status (*create)(nqi_encoder **out, const nqi_allocator *a, const nqi_encoder_spec *spec);
    void (*destroy)(nqi_encoder *encoder); /* never with NULL */
    uint64_t (*payload_bits)(const nqi_encoder *encoder, const uint64_t *counts);
    uint64_t (*bound)(const nqi_encoder *encoder, uint64_t n_indices);
    /* Refuses indices of n_levels and more, and those that have no code, with NQ_E_ARG. */
    nq_status (*encode)(const nqi_encoder *encoder, uint8_t *out, size_t capacity, size_t *n_bytes,
                        const uint16_t *indices, size_t n_indices);
    uint32_t (*cost)(const nqi_encoder *encoder, uint32_t index); /* index < n_levels */
} nqi_encoder_ops;

struct nq_encoder {
    const nqi_encoder_ops *ops;
    nqi_allocator a;
    const uint8_t *table; /* serialised; NULL without one */
    size_t table_bytes;
    uint32_t n_levels;
    uint32_t block_overhead; /* see nqi_encoder_block_overhead */
};

/* The codecs; a pointer in the dispatcher's list makes one known. */
extern const nqi_encoder_ops nqi_fixed_encoder_ops;
extern const nqi_encoder_ops nqi_huffman_encoder_ops;
extern const nqi_encoder_ops nqi_rans_encoder_ops;
extern const nqi_encoder_ops nqi_gaps_encoder_ops;

#endif
