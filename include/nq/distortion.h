/*
 * Distortion: how far a reconstruction is from its original.
 *
 * Squared error sums (w - v)^2; the importance-weighted squared error sums h * (w - v)^2, where h
 * is the diagonal of the loss's Hessian or a stand-in for it (Choi, El-Khamy, Lee 2017, section
 * 3): half of it estimates the growth of the loss.
 */
#ifndef NQ_DISTORTION_H
#define NQ_DISTORTION_H

#include "context.h"
#include "export.h"
#include "status.h"
#include "types.h"

NQ_BEGIN_DECLS

/*
 * Sums over any number of tensors; start from nq_distortion_init. The derived numbers are
 * recomputed from the sums by each nq_distortion_add.
 */
typedef struct nq_distortion {
    uint32_t struct_size;
    uint32_t is_weighted;    /* 1 once importance was given for any tensor */
    uint64_t n_elements;
    double squared_error;    /* sum of (w - v)^2 */
    double weighted_error;   /* sum of h (w - v)^2; elements without importance count with h = 1 */
    double energy;           /* sum of w^2 over the finite elements */
    double max_abs_error;    /* largest |w - v| */
    double mse;              /* squared_error / n_elements; 0 for no elements */
    double sqnr_db;          /* 10 log10(energy / squared_error); +infinity when nothing differs */
} nq_distortion;

NQ_API void nq_distortion_init_sized(nq_distortion *distortion, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_distortion_init(d) nq_distortion_init_sized((d), (uint32_t)sizeof(nq_distortion))

/*
 * Adds the differences between `original` and `decoded` (same number of elements; each F32, F16,
 * BF16 or F64) to *distortion. `importance` may be NULL; otherwise F32, F16, BF16 or F64, of a
 * shape that broadcasts to the original's as in numpy. Elements that are identical, the same
 * infinity or both NaN, differ by nothing; a difference with one of them not finite is
 * infinite. The result does not depend on the number of workers.
 *
 * Returns NQ_OK; NQ_E_ARG for other types, different counts or a shape that does not broadcast;
 * NQ_E_ABI; NQ_E_NOMEM; NQ_E_CANCELLED. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_distortion_add(nq_distortion *distortion, const nq_ctx *ctx,
                                                const nq_tensor *original, const nq_tensor *decoded,
                                                const nq_tensor *importance) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
