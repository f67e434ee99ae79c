/*
 * Entropy-constrained scalar quantization (the paper's section 4.2): levels, and lengths of their
 * codes, that make J = D + lambda R small, where D is the sum of h (w - c)^2 and R the sum of the
 * code lengths in bits. Each weight goes to the level that costs least, not to the nearest one.
 */
#ifndef NQ_ECSQ_H
#define NQ_ECSQ_H

#include "codebook.h"
#include "context.h"
#include "export.h"
#include "stats.h"
#include "status.h"
#include "types.h"

NQ_BEGIN_DECLS

/*
 * Lengths in bits of codes for n levels that are used counts[i] > 0 times each; finite, not
 * negative. For codes that are not ideal ones of log2 (sum / count) bits.
 */
typedef void (*nq_lengths_fn)(void *user, double *lengths, const uint64_t *counts, size_t n);

/* Where iterations begin; the lowest J of all is kept. */
#define NQ_ECSQ_FROM_GRID 1u    /* used cells of uniform quantizers */
#define NQ_ECSQ_FROM_OPTIMUM 2u /* the best intervals over the statistics */

typedef struct nq_ecsq_options {
    uint32_t struct_size;
    uint32_t max_levels;     /* 1..NQ_MAX_LEVELS; default NQ_MAX_LEVELS */
    uint32_t starts;         /* NQ_ECSQ_FROM_*; default both */
    uint32_t max_iterations; /* from each start; default 2,000 */
    double lambda;           /* price of a bit in units of h w^2, >= 0, finite; no default */
    double step;             /* of the grid; default 0: some, as lambda suggests */
    double tolerance;        /* J rests when it falls by no more than this part; default 1e-6 */
    nq_lengths_fn lengths;   /* default NULL: ideal ones */
    void *lengths_user;
} nq_ecsq_options;

NQ_API void nq_ecsq_options_init_sized(nq_ecsq_options *options, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_ecsq_options_init(o) nq_ecsq_options_init_sized((o), (uint32_t)sizeof(nq_ecsq_options))

/*
 * Designs a codebook for the weights of all tensors together; arguments, statuses and what is
 * measured as for nq_kmeans, but that weights with importance cannot be designed for without their
 * tensors, and that there must be a lambda > 0 or a step. Weights without importance take the
 * shortest code. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_ecsq(nq_codebook **out, const nq_ctx *ctx, const nq_stats *stats,
                                      const nq_tensor *const *tensors,
                                      const nq_tensor *const *importance, size_t n_tensors,
                                      const nq_ecsq_options *options, nq_diag *diag) NQ_NOEXCEPT;

/*
 * For levels that stay as they are (n_levels of them, finite, rising): code lengths and an
 * assignment that make J small. Of the options lambda, tolerance, max_iterations and lengths are
 * used; tensors as for nq_ecsq, at least one weight. Levels that are of no use have a count of 0.
 * Returns what nq_ecsq does. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_ecsq_reassign(nq_codebook **out, const nq_ctx *ctx,
                                               const float *levels, size_t n_levels,
                                               const nq_tensor *const *tensors,
                                               const nq_tensor *const *importance,
                                               size_t n_tensors, const nq_ecsq_options *options,
                                               nq_diag *diag) NQ_NOEXCEPT;

/* Lengths of the codebook's codes in bits, of levels that are used; NULL for codebooks that do not
 * come from the functions above. Since 0.1. */
NQ_API const double *nq_codebook_lengths(const nq_codebook *codebook) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
