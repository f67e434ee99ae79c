/*
 * Codes that a group's tensors share and that are trained on their indices, not made from counts:
 * rANS codes of several tables.
 */
#ifndef NQI_MODEL_CODES_TRAIN_H
#define NQI_MODEL_CODES_TRAIN_H

#include "codec/rans_enc.h"
#include "codec/rans_train.h"
#include "model/model.h"

/* Indices of a group's tensors, or of a sample of them: the same on any machine. */
typedef struct nqi_training_set {
    uint16_t *indices;
    uint64_t n_indices;
    nqi_rans_stretch *stretches; /* tensor by tensor */
    nqi_rans_stretch *trained;   /* memory for those to train on */
    uint64_t n_stretches;
    uint64_t *ends; /* by tensor of the group: in stretches */
    uint32_t n_tensors;
} nqi_training_set;

/* Quantizes the tensors i of the group for which takes_part[i]. NQ_E_NOMEM, NQ_E_LIMIT; to be freed
 * in any case. */
nq_status nqi_training_set_make(nqi_training_set *set, nqi_model *m, const nqi_model_group *g,
                                const bool *takes_part);
void nqi_training_set_free(nqi_training_set *set, const nqi_model *m);

/* Trains a code on the tensors for which takes_part[i], which the set has. *out is NULL if several
 * tables do not pay. NQ_E_NOMEM, NQ_E_LIMIT. */
nq_status nqi_training_set_train(nqi_encoder **out, const nqi_training_set *set, const nqi_model *m,
                                 const nqi_model_group *g, const bool *takes_part, bool is_sparse);

/* Bytes that all blocks of the group's tensor i take with a trained code, about. */
nq_status nqi_training_set_price(uint64_t *n_bytes, const nqi_training_set *set, const nqi_model *m,
                                 const nqi_model_group *g, uint32_t i, const nqi_encoder *encoder);

#endif
