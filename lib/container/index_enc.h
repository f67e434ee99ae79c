/*
 * Writing the records of a .nq index: the counterpart of index_dec.h. Each function appends one
 * record; the sizes are those that the functions ..._bytes give.
 */
#ifndef NQI_CONTAINER_INDEX_ENC_H
#define NQI_CONTAINER_INDEX_ENC_H

#include "base/cursor.h"
#include "container/index_dec.h"

uint64_t nqi_index_metadata_bytes(const nqi_metadata_record *record);
void nqi_index_put_metadata(nqi_out *o, const nqi_metadata_record *record);

uint64_t nqi_index_table_bytes(const nqi_table_record *record);
void nqi_index_put_table(nqi_out *o, const nqi_table_record *record);

uint64_t nqi_index_tensor_bytes(const nqi_tensor_record *record, unsigned size_width);
void nqi_index_put_tensor(nqi_out *o, const nqi_tensor_record *record, unsigned size_width);

/* The whole header, its checksum included. */
void nqi_index_put_header(uint8_t out[NQI_HEADER_BYTES], uint64_t file_bytes,
                          uint64_t original_bytes, const uint8_t *index, uint32_t index_bytes,
                          uint32_t n_tensors, uint32_t n_tables, uint32_t n_metadata,
                          unsigned size_width);

#endif
