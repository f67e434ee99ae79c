/*
 * Diagnostics records: see diag.h. Part of the decoder, so nothing but memcpy is used.
 */
#include "base/diag.h"

#include <stddef.h>
#include <string.h>

#include "base/versioned.h"

/* The record as first released; see versioned.h. */
#define DIAG_FIRST_SIZE ((uint32_t)sizeof(nq_diag))

void nq_diag_init_sized(nq_diag *diag, uint32_t struct_size)
{
    nq_diag full = {.struct_size = struct_size, .tensor = NQ_NONE, .element = NQ_NONE,
                    .byte_offset = NQ_NONE};
    if (!diag || struct_size < sizeof full.struct_size || struct_size > NQI_STRUCT_MAX)
        return;
    nqi_versioned_init(diag, struct_size);
    memcpy(diag, &full, NQI_MIN(struct_size, sizeof full));
}

nq_status nqi_diag_at(nq_diag *diag, nq_status status, const char *what, uint64_t tensor,
                      uint64_t element, uint64_t byte_offset)
{
    if (!diag)
        return status;
    nq_diag_init(diag);
    diag->status = status;
    diag->tensor = tensor;
    diag->element = element;
    diag->byte_offset = byte_offset;
    size_t i = 0;
    for (; what[i] != '\0' && i + 1 < sizeof diag->what; i++)
        diag->what[i] = what[i];
    diag->what[i] = '\0';
    return status;
}

nq_status nqi_diag_set(nq_diag *diag, nq_status status, const char *what)
{
    return nqi_diag_at(diag, status, what, NQ_NONE, NQ_NONE, NQ_NONE);
}

nq_status nqi_diag_export(nq_diag *given, const nq_diag *full)
{
    if (given && nqi_versioned_write(given, full, (uint32_t)sizeof *full, DIAG_FIRST_SIZE) != NQ_OK)
        return NQ_E_ABI;
    return full->status;
}
