/*
 * Finding two tensors of one name, in time n log n whatever the names are.
 */
#ifndef NQI_CONTAINER_NAMES_H
#define NQI_CONTAINER_NAMES_H

#include "base/common.h"

typedef struct nqi_name {
    const char *bytes;
    uint32_t n_bytes;
    uint32_t tensor;
} nqi_name;

/* Sorts the names; returns the number of a tensor that has the same name as an earlier one, the
 * lowest that there is, or NQ_NONE. */
uint64_t nqi_names_find_twin(nqi_name *names, size_t n);

#endif
