/*
 * k-means: at most so many levels with the least distortion, weighted by importance or not (the
 * paper's section 3). By default the optimum over statistics of the weights, polished on the
 * weights; the optimum over all weights; or Lloyd's method, which the paper uses.
 */
#ifndef NQ_CLUSTER_H
#define NQ_CLUSTER_H

#include "codebook.h"
#include "context.h"
#include "export.h"
#include "stats.h"
#include "status.h"
#include "types.h"

NQ_BEGIN_DECLS

enum {
    NQ_KMEANS_OPTIMAL = 0, /* over the statistics, polished on the weights if they are given */
    NQ_KMEANS_EXACT = 1,   /* over all weights; up to some 20 bytes of memory for each */
    NQ_KMEANS_LLOYD = 2    /* means and nearest levels in turn until nothing changes; the values
                              themselves where there are no more than levels */
};

/* Where Lloyd's method begins. */
enum {
    NQ_START_LINEAR = 0,    /* min + (j + 1/2) (max - min) / k */
    NQ_START_PLUS_PLUS = 1, /* k-means++ (Arthur, Vassilvitskii 2007), by importance */
    NQ_START_GIVEN = 2
};

typedef struct nq_kmeans_options {
    uint32_t struct_size;
    uint32_t n_levels;       /* at most, 1..NQ_MAX_LEVELS; default 16 */
    uint32_t method;         /* NQ_KMEANS_*; default optimal */
    uint32_t start;          /* NQ_START_*; default linear */
    uint32_t max_iterations; /* of Lloyd's method; default 0: until nothing changes */
    uint32_t skips_measure;  /* 1: no last pass for distortion and counts; default 0 */
    uint64_t seed;           /* of NQ_START_PLUS_PLUS; default 0 */
    const double *levels;    /* of NQ_START_GIVEN: n_levels of them, finite, rising */
    void *unused;            /* keep NULL */
} nq_kmeans_options;

NQ_API void nq_kmeans_options_init_sized(nq_kmeans_options *options,
                                         uint32_t struct_size) NQ_NOEXCEPT;
#define nq_kmeans_options_init(o)                                                                  \
    nq_kmeans_options_init_sized((o), (uint32_t)sizeof(nq_kmeans_options))

/*
 * Designs a codebook for the weights of n_tensors tensors together. importance is NULL, or has a
 * tensor for each of them, as for nq_stats_add. stats are of the same tensors, or NULL: made here.
 * Without tensors (n_tensors 0) stats alone are used, and nothing is measured. options may be NULL.
 * Weights without importance have no say and no level of their own; fewer levels than asked for
 * come out if there are fewer values.
 *
 * Returns NQ_OK; NQ_E_ARG (no weights; options or tensors as above); NQ_E_NUMERIC as nq_stats_add,
 * with tensor and element in diag, which may be NULL; NQ_E_ABI; NQ_E_LIMIT; NQ_E_NOMEM;
 * NQ_E_CANCELLED. *out is NULL on failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_kmeans(nq_codebook **out, const nq_ctx *ctx, const nq_stats *stats,
                                        const nq_tensor *const *tensors,
                                        const nq_tensor *const *importance, size_t n_tensors,
                                        const nq_kmeans_options *options,
                                        nq_diag *diag) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
