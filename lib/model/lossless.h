/*
 * Tensors that are coded without loss: their elements' bit patterns are indices
 * (codec/patterns_fmt.h), each tensor has a code of its own, made from how often each pattern
 * occurs. An encoder of 65,536 indices takes more memory than many a tensor, so that only its table
 * is kept between choosing and writing; it is made again for that.
 */
#ifndef NQI_LOSSLESS_H
#define NQI_LOSSLESS_H

#include "model/model.h"

/* Whether such a tensor can be coded without loss, for what it is and what its options say. */
bool nqi_lossless_is_wanted(const nq_tensor *tensor, const nq_plan_tensor_options *options);

/* Chooses a code, or none, for each tensor that is to be coded without loss: what makes it
 * smallest, found out by coding it. The progress advances by PASSES times their elements.
 * NQ_E_NOMEM, NQ_E_CANCELLED. */
#define NQI_LOSSLESS_PASSES 4u
nq_status nqi_lossless_choose(nqi_model *m, nqi_progress_state *progress, nq_diag *diag);

/* Forgets that: all of them are stored again. */
void nqi_lossless_forget(nqi_model *m);

/* Makes the encoder of a tensor that has a code, into t->own; the caller destroys it. */
nq_status nqi_lossless_make_encoder(nqi_model *m, nqi_model_tensor *t);

/* Codes elements first .. first + n - 1 as one block with the tensor's encoder, into at most
 * t->block_bound bytes. `indices` is memory for n. */
nq_status nqi_lossless_encode(uint8_t *out, size_t *n_bytes, uint16_t *indices,
                              const nqi_model_tensor *t, uint64_t first, size_t n);

#endif
