/*
 * k-means and Hessian-weighted k-means in one dimension: levels that minimise the sum of h (w -
 * c)^2 (Choi, El-Khamy, Lee 2017, section 3). By default the global optimum over a summary, which
 * is the optimum over the weights where the summary is exact; otherwise the bins in which cells end
 * are split and the optimum is sought anew, so that what is left is about a millionth.
 */
#ifndef NQI_CLUSTER_KMEANS_H
#define NQI_CLUSTER_KMEANS_H

#include "cluster/codebook.h"
#include "stats/summary.h"

typedef enum nqi_kmeans_method {
    NQI_KMEANS_OPTIMAL, /* over the summary, and polished on the weights if they are at hand */
    NQI_KMEANS_EXACT,   /* the optimum over all weights */
    NQI_KMEANS_LLOYD /* means and nearest levels in turn until nothing changes, as the paper does;
                        where there is a level for each value, these */
} nqi_kmeans_method;

typedef enum nqi_kmeans_start {
    NQI_START_LINEAR,    /* min + (j + 1/2) (max - min) / k */
    NQI_START_PLUS_PLUS, /* k-means++ (Arthur, Vassilvitskii 2007), with importance */
    NQI_START_GIVEN
} nqi_kmeans_start;

typedef struct nqi_kmeans_options {
    size_t k; /* levels at most, 1..NQ_MAX_LEVELS */
    nqi_kmeans_method method;
    nqi_kmeans_start start;  /* of Lloyd's method */
    const double *levels;    /* of NQI_START_GIVEN: k of them, rising */
    uint64_t seed;           /* of NQI_START_PLUS_PLUS */
    uint32_t max_iterations; /* of Lloyd's method; 0: until nothing changes */
    bool is_measured;        /* look at all weights once more for the distortion */
} nqi_kmeans_options;

typedef struct nqi_kmeans_result {
    nqi_codebook codebook; /* as many levels as there is use for */
    double *levels;        /* before rounding: n_levels of them, rising */
    size_t n_levels;
    size_t capacity;
    double distortion;       /* sum of h (w - c)^2 with the rounded levels; -1 if not measured */
    uint32_t iterations;     /* of Lloyd's method; shortest paths of the others */
    bool is_optimal;         /* no k levels have less distortion, but for rounding */
    bool ignores_importance; /* all of it was 0, and weights counted alike */
} nqi_kmeans_result;

/*
 * Levels for the weights of all parts together, of which s is the summary. Without parts at hand
 * (n_parts 0) only the summary is used; its bins count as weights then.
 *
 * There must be weights: NQ_E_ARG if there are none. NQ_E_NUMERIC, NQ_E_NOMEM, NQ_E_LIMIT,
 * NQ_E_CANCELLED.
 */
NQI_MUST_CHECK nq_status nqi_kmeans(nqi_kmeans_result *out, const nqi_env *env,
                                    const nqi_summary *s, const nqi_weights *parts, size_t n_parts,
                                    const nqi_kmeans_options *options);
void nqi_kmeans_free(nqi_kmeans_result *r);

#endif
