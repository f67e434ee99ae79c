/*
 * Statistics of weights: what designing a quantizer needs to know of any number of them, in a few
 * thousand to a hundred thousand bins. It takes one pass over the weights; afterwards any number of
 * quantizers can be designed without them, in milliseconds, though those that may look at the
 * weights once more come out better.
 *
 * Bins need no range and no outlier hurts them: a bin holds the floats that agree in sign, exponent
 * and eleven bits of mantissa, with their number, their importance, and the exact first moments of
 * both. Weights of F16 and BF16, and any that have at most 65,536 different values, are kept apart
 * one and all: statistics are exact then.
 *
 * Statistics of tensors can be made apart, stored, sent and merged. Without importance the order of
 * merging does not matter; with it, merging in the order of the tensors gives the same to the bit.
 */
#ifndef NQ_STATS_H
#define NQ_STATS_H

#include "context.h"
#include "export.h"
#include "status.h"
#include "types.h"

NQ_BEGIN_DECLS

typedef struct nq_stats nq_stats;

/*
 * Makes empty statistics. The context is borrowed until nq_stats_destroy.
 * Returns NQ_OK; NQ_E_ARG; NQ_E_NOMEM. *out is NULL on failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_stats_create(nq_stats **out, const nq_ctx *ctx) NQ_NOEXCEPT;
NQ_API void nq_stats_destroy(nq_stats *stats) NQ_NOEXCEPT;

/*
 * Adds the weights of a tensor (F32, F16 or BF16). importance may be NULL; otherwise F32, F16, BF16
 * or F64, of a shape that broadcasts to the tensor's as in numpy. Either all tensors have importance
 * or none has. The result does not depend on the number of workers.
 *
 * Returns NQ_OK; NQ_E_ARG (types, shapes, importance for some tensors only); NQ_E_NUMERIC (NaN or
 * infinite weights; NaN, infinite or negative importance: diag, which may be NULL, has the first
 * such element); NQ_E_ABI; NQ_E_LIMIT; NQ_E_NOMEM; NQ_E_CANCELLED. The statistics are unchanged
 * after a failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_stats_add(nq_stats *stats, const nq_tensor *tensor,
                                           const nq_tensor *importance,
                                           nq_diag *diag) NQ_NOEXCEPT;

/*
 * Adds what other statistics hold. Returns NQ_OK; NQ_E_ARG (one has importance and the other has
 * not); NQ_E_NUMERIC (the sum of importance overflows); NQ_E_NOMEM; NQ_E_LIMIT. Unchanged after a
 * failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_stats_merge(nq_stats *stats, const nq_stats *other) NQ_NOEXCEPT;

typedef struct nq_stats_info {
    uint32_t struct_size;
    uint32_t has_importance;
    uint32_t is_exact;    /* 1: every bin is a single value */
    uint32_t unused;      /* 0 */
    uint64_t n_weights;
    uint64_t n_bins;
    double importance;    /* sum over all weights; their number if they have none */
    double low;           /* no weight is below this, nor above `high`; both are weights where the */
    double high;          /* statistics are exact; 0 if there are no weights */
} nq_stats_info;

/* Fills the caller's record (struct_size set by the caller). NQ_E_ARG; NQ_E_ABI. Since 0.1. */
NQ_API NQ_NODISCARD nq_status nq_stats_get_info(const nq_stats *stats,
                                                nq_stats_info *info) NQ_NOEXCEPT;

/* Bytes that nq_stats_store writes. Since 0.1. */
NQ_API size_t nq_stats_size(const nq_stats *stats) NQ_NOEXCEPT;

/*
 * Writes the statistics as bytes, the same on every machine, into n_bytes of memory. Returns NQ_OK;
 * NQ_E_ARG; NQ_E_SPACE if n_bytes is less than nq_stats_size. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_stats_store(void *bytes, size_t n_bytes,
                                             const nq_stats *stats) NQ_NOEXCEPT;

/*
 * Makes statistics from bytes that nq_stats_store wrote; others are refused. Returns NQ_OK;
 * NQ_E_ARG; NQ_E_TRUNCATED; NQ_E_CORRUPT; NQ_E_CHECKSUM; NQ_E_UNSUPPORTED; NQ_E_NOMEM; NQ_E_LIMIT.
 * *out is NULL on failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_stats_load(nq_stats **out, const nq_ctx *ctx, const void *bytes,
                                            size_t n_bytes) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
