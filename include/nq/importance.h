/*
 * Importance of weights from what training leaves behind, and what it is good for besides
 * quantizing: pruning. Importance is the diagonal of the loss's Hessian, or what goes with it: mean
 * squared gradients (the empirical Fisher information), probes z times Hessian-vector products Hz
 * (Hutchinson), mean squared inputs of a layer's columns, or the square root of an optimiser's
 * second moment (the paper's section 3.2). Also: gradients of levels that weights share, to train
 * codebooks with (section 3.3).
 */
#ifndef NQ_IMPORTANCE_H
#define NQ_IMPORTANCE_H

#include "context.h"
#include "export.h"
#include "status.h"
#include "types.h"

NQ_BEGIN_DECLS

/* ---- Accumulating -------------------------------------------------------------------------- */

/* Sums over samples, one for each of n elements, and how many samples there were. */
typedef struct nq_importance nq_importance;

/*
 * Makes an empty accumulator for n_elements elements: of a weight tensor, or of a layer's input,
 * whose importance then broadcasts along the weight's rows. Returns NQ_OK; NQ_E_ARG; NQ_E_LIMIT;
 * NQ_E_NOMEM. *out is NULL on failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_importance_create(nq_importance **out, const nq_ctx *ctx,
                                                   uint64_t n_elements) NQ_NOEXCEPT;
NQ_API void nq_importance_destroy(nq_importance *importance) NQ_NOEXCEPT;

/*
 * Adds the squares of `values` (F32, F16, BF16 or F64), gradients or activations: as many samples as
 * the accumulator's elements fit into it, one behind the other. The result does not depend on the
 * number of workers, nor on how samples are split between calls.
 *
 * Returns NQ_OK; NQ_E_ARG (types, or a number of values that is no multiple of the elements');
 * NQ_E_NUMERIC (a value is not finite: diag, which may be NULL, has the first); NQ_E_ABI;
 * NQ_E_LIMIT; NQ_E_CANCELLED. Nothing is added after a failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_importance_add_squares(nq_importance *importance,
                                                        const nq_tensor *values,
                                                        nq_diag *diag) NQ_NOEXCEPT;

/*
 * Adds the products of probes z (of +1 and -1, or Gaussian) and Hessian-vector products Hz, of the
 * same number of values. Otherwise as nq_importance_add_squares. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_importance_add_probes(nq_importance *importance,
                                                       const nq_tensor *probes,
                                                       const nq_tensor *products,
                                                       nq_diag *diag) NQ_NOEXCEPT;

/* Adds what another accumulator of as many elements holds. NQ_E_ARG. Since 0.1. */
NQ_API NQ_NODISCARD nq_status nq_importance_merge(nq_importance *importance,
                                                  const nq_importance *other) NQ_NOEXCEPT;

/* The sums, one for each element, until the next call on the accumulator, and the number of samples;
 * to be stored or sent. Since 0.1. */
NQ_API const double *nq_importance_sums(const nq_importance *importance) NQ_NOEXCEPT;
NQ_API uint64_t nq_importance_samples(const nq_importance *importance) NQ_NOEXCEPT;

/* Adds such sums of n_samples samples, from elsewhere. NQ_E_ARG; NQ_E_NUMERIC if one is not finite.
 * Nothing is added after a failure. Since 0.1. */
NQ_API NQ_NODISCARD nq_status nq_importance_add_sums(nq_importance *importance, const double *sums,
                                                     uint64_t n_samples) NQ_NOEXCEPT;

/*
 * Means over the samples, ready to be used as F32 importance: out has room for all elements.
 * Negative ones, which probes may leave, become 0; *n_negative (may be NULL) is their number.
 * Returns NQ_OK; NQ_E_ARG; NQ_E_STATE without samples; NQ_E_NUMERIC where a mean is over the range
 * of F32. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_importance_mean(float *out, uint64_t *n_negative,
                                                 const nq_importance *importance) NQ_NOEXCEPT;

/*
 * The square root of an optimiser's second moment (Adam's v; F32, F16, BF16 or F64) as F32
 * importance. Corrections by a common factor make no difference to a design and may be left out.
 * Returns NQ_OK; NQ_E_ARG; NQ_E_NUMERIC for values that are negative or not finite (diag, which may
 * be NULL, has the first); NQ_E_ABI; NQ_E_LIMIT. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_importance_from_second_moment(float *out, const nq_tensor *moment,
                                                               nq_diag *diag) NQ_NOEXCEPT;

/* ---- Pruning ------------------------------------------------------------------------------- */

enum {
    NQ_PRUNE_MAGNITUDE = 0, /* the largest |w| are kept */
    NQ_PRUNE_SALIENCY = 1   /* the largest h w^2 / 2: what taking w away is expected to cost */
};

typedef struct nq_prune_options {
    uint32_t struct_size;
    uint32_t rule;   /* NQ_PRUNE_*; default magnitude */
    double density;  /* part of all weights that is kept, 0..1; no default: 0 */
} nq_prune_options;

NQ_API void nq_prune_options_init_sized(nq_prune_options *options,
                                        uint32_t struct_size) NQ_NOEXCEPT;
#define nq_prune_options_init(o)                                                                   \
    nq_prune_options_init_sized((o), (uint32_t)sizeof(nq_prune_options))

typedef struct nq_prune_report {
    uint32_t struct_size;
    uint32_t unused;    /* 0 */
    uint64_t n_weights;
    uint64_t n_kept;    /* density times n_weights, rounded to nearest */
    double threshold;   /* least magnitude or saliency that is kept; 0 if nothing is */
    double saliency;    /* sum of h w^2 / 2 over what is taken away; h is 1 without importance */
} nq_prune_report;

/*
 * Says which weights to keep, over all tensors together: masks[i] has room for a byte for each
 * element of tensor i (F32, F16, BF16 or F64), 1 to keep it and 0 to take it away. importance is
 * NULL, or has a tensor for each, of a shape that broadcasts to it; each of them may be NULL, which
 * stands for 1. Of equal ones the first are kept. report may be NULL. The result does not depend on
 * the number of workers.
 *
 * Returns NQ_OK; NQ_E_ARG; NQ_E_NUMERIC (NaN or infinite weights; NaN, infinite or negative
 * importance: diag, which may be NULL, has the first); NQ_E_ABI; NQ_E_LIMIT; NQ_E_NOMEM;
 * NQ_E_CANCELLED. Masks are undefined after a failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_prune(uint8_t *const *masks, nq_prune_report *report,
                                       const nq_ctx *ctx, const nq_tensor *const *tensors,
                                       const nq_tensor *const *importance, size_t n_tensors,
                                       const nq_prune_options *options,
                                       nq_diag *diag) NQ_NOEXCEPT;

/* ---- Training codebooks -------------------------------------------------------------------- */

/*
 * Adds to sums[n_levels] and counts[n_levels] the gradients of a tensor's weights by the level that
 * each has: indices[i] is that of element i of `gradient` (F32, F16, BF16 or F64). To be called for
 * all tensors that share the codebook, after both arrays were set to zero: then sums are the
 * gradients of the levels, and sums over counts are what the paper moves levels by. Gradients that
 * are not finite go into their level's sum as they are. Does not depend on the number of workers.
 *
 * Returns NQ_OK; NQ_E_ARG (an index from n_levels on; types); NQ_E_ABI; NQ_E_LIMIT; NQ_E_NOMEM;
 * NQ_E_CANCELLED. Nothing is added after a failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_level_gradients(double *sums, uint64_t *counts, size_t n_levels,
                                                 const nq_ctx *ctx, const uint16_t *indices,
                                                 const nq_tensor *gradient) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
