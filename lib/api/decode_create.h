/*
 * Making decoders with an allocator, for the files of the api floor outside the decoder.
 */
#ifndef NQI_API_DECODE_CREATE_H
#define NQI_API_DECODE_CREATE_H

#include "api/ctx.h"
#include "api/decode.h"

/* nq_decoder_create with checked arguments and a full-size diag. */
nq_status nqi_decoder_create(nq_decoder **out, const nq_ctx *ctx, const nq_reader *reader,
                             uint64_t tensor, const nq_decoder_options *options, nq_diag *diag);

#endif
