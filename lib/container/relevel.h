/*
 * New levels for a codebook of a finished file, in place.
 */
#ifndef NQI_CONTAINER_RELEVEL_H
#define NQI_CONTAINER_RELEVEL_H

#include "container/reader.h"

/*
 * `file` is the whole file, of which `reader` is open and was checked; levels are as many as the
 * codebook stores. Everything that says what the file holds agrees again afterwards: the checksums of
 * the codebook, of the index and of the header. The reader must not be used any more.
 * NQ_E_UNSUPPORTED for a grid, which has no levels to set.
 */
NQI_MUST_CHECK nq_status nqi_relevel(uint8_t *file, const nq_reader *reader, uint32_t codebook,
                                     const float *levels);

#endif
