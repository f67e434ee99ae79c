/*
 * What the files of the api floor share about readers. Part of the decoder.
 */
#ifndef NQI_API_READER_H
#define NQI_API_READER_H

#include "container/reader.h"

/* Copies the caller's description of a source. NQ_E_ARG, NQ_E_ABI. */
nq_status nqi_source_check(nq_source *source, const nq_source *given);

#endif
