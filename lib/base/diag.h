/*
 * Filling a diagnostics record. Internal functions pass a full-size nqi-owned nq_diag, or NULL;
 * only the api floor copies it into the caller's, whatever size that has.
 */
#ifndef NQI_DIAG_H
#define NQI_DIAG_H

#include "base/common.h"
#include "nq/status.h"

/* Clears `diag` and stores status and a phrase (cut to fit); returns the status. NULL is fine. */
nq_status nqi_diag_set(nq_diag *diag, nq_status status, const char *what);

/* The same with places; NQ_NONE where there is none. */
nq_status nqi_diag_at(nq_diag *diag, nq_status status, const char *what, uint64_t tensor,
                      uint64_t element, uint64_t byte_offset);

/* Copies a record into the caller's versioned one (NULL: nothing); returns full->status. */
nq_status nqi_diag_export(nq_diag *given, const nq_diag *full);

#endif
