/*
 * Writing a codebook's data, for the writer.
 */
#ifndef NQI_CONTAINER_CODEBOOK_ENC_H
#define NQI_CONTAINER_CODEBOOK_ENC_H

#include "base/cursor.h"
#include "container/writer.h"

/* Levels of all channels, or of the one codebook, of a checked description. */
uint32_t nqi_codebook_stored(const nqi_codebook_desc *desc);

/* That the description is what writer.h asks for. NQ_E_ARG; NQ_E_LIMIT for too many levels in all. */
nq_status nqi_codebook_check(const nqi_codebook_desc *desc);

/* Appends the data of a checked description: nqi_codebook_bytes of them. */
void nqi_codebook_put(nqi_out *o, const nqi_codebook_desc *desc);

#endif
