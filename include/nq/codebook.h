/*
 * Codebooks: the levels of a quantizer, and which level each weight goes to. They come from
 * nq_kmeans (cluster.h) or nq_ecsq (ecsq.h), or from levels that the caller has.
 */
#ifndef NQ_CODEBOOK_H
#define NQ_CODEBOOK_H

#include "context.h"
#include "export.h"
#include "status.h"
#include "types.h"

NQ_BEGIN_DECLS

typedef struct nq_codebook nq_codebook;

/*
 * A codebook of n_levels given levels: 1..NQ_MAX_LEVELS, finite, rising. Weights go to the nearest
 * level, and halfway between two to the upper one. Levels are copied; the context is borrowed until
 * nq_codebook_destroy. Returns NQ_OK; NQ_E_ARG; NQ_E_LIMIT; NQ_E_NOMEM. *out is NULL on failure.
 * Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_codebook_create(nq_codebook **out, const nq_ctx *ctx,
                                                 const float *levels,
                                                 size_t n_levels) NQ_NOEXCEPT;
NQ_API void nq_codebook_destroy(nq_codebook *codebook) NQ_NOEXCEPT;

typedef struct nq_codebook_report {
    uint32_t struct_size;
    uint32_t n_levels;
    uint32_t iterations;         /* of the design; 0 for given levels */
    uint32_t is_optimal;         /* 1: no so many levels have less distortion, but for rounding */
    uint32_t ignores_importance; /* 1: all of it was zero, taken as none */
    uint32_t is_measured;        /* 1: the numbers below are known */
    uint64_t n_weights;
    double distortion;           /* sum of h (w - c)^2 with the levels as they are stored */
    double bits;                 /* sum of the lengths of the weights' codes; ideal ones, unless the
                                    design was given others */
    double cost;                 /* distortion + lambda bits of nq_ecsq; otherwise the distortion */
} nq_codebook_report;

/* Fills the caller's record (struct_size set by the caller). NQ_E_ARG; NQ_E_ABI. Since 0.1. */
NQ_API NQ_NODISCARD nq_status nq_codebook_get_report(const nq_codebook *codebook,
                                                     nq_codebook_report *report) NQ_NOEXCEPT;

/* The levels, rising, as many as the report says; until nq_codebook_destroy. NULL for no codebook.
 * Since 0.1. */
NQ_API const float *nq_codebook_levels(const nq_codebook *codebook) NQ_NOEXCEPT;

/* How often each level was used by the weights of the design; NULL if that was not measured.
 * Since 0.1. */
NQ_API const uint64_t *nq_codebook_counts(const nq_codebook *codebook) NQ_NOEXCEPT;

/*
 * Indices of the levels for a tensor's weights (F32, F16 or BF16), one for each, in its order. The
 * codebook of a weighted nq_ecsq goes by importance, too, which must be given then, as for
 * nq_stats_add; all others ignore it. Codebooks are not changed: any number of threads may assign.
 *
 * Returns NQ_OK; NQ_E_ARG; NQ_E_NUMERIC (as of nq_stats_add, with the element in diag, which may be
 * NULL); NQ_E_ABI; NQ_E_NOMEM; NQ_E_CANCELLED. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_codebook_assign(uint16_t *indices, const nq_codebook *codebook,
                                                 const nq_tensor *tensor,
                                                 const nq_tensor *importance,
                                                 nq_diag *diag) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
