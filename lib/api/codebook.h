/*
 * The inside of nq_codebook, for the api floor.
 */
#ifndef NQI_API_CODEBOOK_H
#define NQI_API_CODEBOOK_H

#include "api/ctx.h"
#include "cluster/codebook.h"
#include "ecsq/rdo.h"
#include "nq/codebook.h"

struct nq_codebook {
    nqi_env env;
    nqi_codebook nearest; /* levels, and the way to the nearest one */
    nqi_rdo *rdo;         /* NULL: weights go to the nearest level */
    bool needs_importance;
    uint64_t *counts; /* by level; NULL: not known */
    double *lengths;  /* by level; NULL: there are none */
    nq_codebook_report report;
};

/* Rising levels, rounded, each once. NQ_E_ARG for none or too many, NQ_E_NOMEM, NQ_E_LIMIT. */
NQI_MUST_CHECK nq_status nqi_api_codebook_make(nq_codebook **out, const nq_ctx *ctx,
                                               const double *levels, size_t n);

/* Room for counts and lengths. NQ_E_NOMEM. */
NQI_MUST_CHECK nq_status nqi_api_codebook_make_counts(nq_codebook *c);
NQI_MUST_CHECK nq_status nqi_api_codebook_make_lengths(nq_codebook *c);

/* How often the nearest levels are used by all parts, into the codebook, which has no counts yet,
 * with the bits of ideal codes. NQ_E_NOMEM, NQ_E_CANCELLED. */
NQI_MUST_CHECK nq_status nqi_api_codebook_count(nq_codebook *c, const nqi_weights *parts,
                                                size_t n_parts);

/* Whether n given levels are finite and rise. */
bool nqi_api_levels_are_good(const float *levels, size_t n);

#endif
