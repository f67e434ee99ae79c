/*
 * Training rANS codes of several tables on indices: which sub-blocks share a table, and what the
 * tables are.
 */
#ifndef NQI_RANS_TRAIN_H
#define NQI_RANS_TRAIN_H

#include "codec/code_enc.h"

/* Consecutive indices of a tensor, the begin of a block or of a part of one. */
typedef struct nqi_rans_stretch {
    const uint16_t *indices;
    size_t n;
} nqi_rans_stretch;

typedef struct nqi_rans_training {
    const nqi_allocator *a;
    uint64_t cpu;
    uint32_t n_levels; /* indices are below this; any of them can be coded */
    const nqi_rans_stretch *stretches;
    size_t n_stretches;
    uint64_t all;   /* indices that will be coded in all: how much tables may cost */
    bool is_sparse; /* of gaps and values */
} nqi_rans_training;

/*
 * The encoder for what is like these stretches, of as many tables as pay, up to sixteen. The same
 * on any machine. *out is NULL where several tables do not pay. NQ_E_NOMEM, NQ_E_LIMIT.
 */
nq_status nqi_rans_train(nqi_encoder **out, const nqi_rans_training *training);

/* About what stretches cost as blocks of their own with such an encoder, in bits; without what
 * blocks begin with. Scratch is allocated for the call. NQ_E_NOMEM. */
nq_status nqi_rans_measure(uint64_t *n_bits, const nqi_encoder *encoder,
                           const nqi_rans_stretch *stretches, size_t n_stretches);

#endif
