/*
 * Summaries: what designs need to know of any number of weights, in bins small enough for the
 * cache. A bin is an interval of 2^shift neighbouring floats with the number of weights in it,
 * their importance, and the exact first moments of both. It takes one pass to make a summary;
 * afterwards any number of levels, lambdas and steps are tried on it without looking at a weight.
 *
 * Bins need no range: their width keeps its proportion to the weight (2^-11 of it), so an outlier
 * costs one bin and no precision. A bin of shift 0 is a single value. A summary is exact when all
 * its bins are: whenever weights are f16 or bf16, and whenever there are at most NQI_MAX_DISTINCT
 * different ones (found by sorting where weights are few, by a sample that repeats itself where
 * they are many).
 *
 * Summaries of tensors are made apart and merged: without importance in any order, with it in the
 * order of the tensors, and the outcome is the same to the bit.
 */
#ifndef NQI_STATS_SUMMARY_H
#define NQI_STATS_SUMMARY_H

#include "stats/key.h"
#include "stats/weights.h"

/* Different values that a summary keeps apart for certain; so few weights are sorted. */
#define NQI_MAX_DISTINCT (UINT32_C(1) << 16)

/* Sums of importance reach this at most, so that no product with keys or squares of weights
 * overflows. */
#define NQI_IMPORTANCE_MAX 0x1p700

typedef struct nqi_bin {
    uint32_t key;   /* the first of its keys; a multiple of 2^shift */
    uint32_t shift; /* 0..NQI_PREFIX_SHIFT, the same for all bins of a prefix */
    uint64_t count; /* of weights, > 0 */
    uint64_t low;   /* sum of their keys minus `key` */
    double h;       /* sum of their importance; the count if there is none */
    double h_low;   /* sum of importance times (key of the weight minus `key`) */
} nqi_bin;

typedef struct nqi_summary {
    nqi_allocator allocator;
    nqi_bin *bins; /* by rising key */
    size_t n_bins;
    size_t capacity;
    uint64_t n;         /* weights */
    uint64_t n_between; /* bins inside prefixes, as counted when tensors were summarised */
    bool is_weighted;
    bool is_coarse; /* bins are whole prefixes, or a prefix's only value */
} nqi_summary;

/* An empty one, which needs no memory. */
static inline nqi_summary nqi_summary_empty(const nqi_allocator *a)
{
    return (nqi_summary){.allocator = *a};
}

void nqi_summary_free(nqi_summary *s);

/*
 * Adds weights; the summary must be empty or have importance as they have or lack it (NQ_E_ARG).
 * NQ_E_NUMERIC as of nqi_weights_check, or where importance is so large that its sum overflows;
 * NQ_E_NOMEM; NQ_E_LIMIT; NQ_E_CANCELLED. The summary is unchanged after a failure.
 */
NQI_MUST_CHECK nq_status nqi_summary_add(nqi_summary *s, const nqi_env *env, const nqi_weights *w,
                                         nq_diag *diag);

/* Adds what another one summarises. NQ_E_ARG as above, NQ_E_NUMERIC, NQ_E_NOMEM, NQ_E_LIMIT. */
NQI_MUST_CHECK nq_status nqi_summary_merge(nqi_summary *s, const nqi_summary *other);

NQI_MUST_CHECK nq_status nqi_summary_copy(nqi_summary *out, const nqi_summary *s);

/* Bins of one prefix that are to become narrower. */
typedef struct nqi_split {
    uint32_t prefix;
    uint32_t shift; /* of its new bins */
} nqi_split;

/*
 * Replaces the bins of some prefixes (rising) by narrower ones, counted anew from the weights that
 * were summarised. Statuses as of nqi_summary_add.
 */
NQI_MUST_CHECK nq_status nqi_summary_split(nqi_summary *s, const nqi_env *env,
                                           const nqi_weights *parts, size_t n_parts,
                                           const nqi_split *splits, size_t n_splits);

/* Splits the bins around n_values rising values, between which cells are going to end, or all bins
 * if `values` is NULL; *n_split is the number of prefixes that were. Statuses as of
 * nqi_summary_add. */
NQI_MUST_CHECK nq_status nqi_summary_refine(nqi_summary *s, size_t *n_split, const nqi_env *env,
                                            const nqi_weights *parts, size_t n_parts,
                                            const double *values, size_t n_values);

bool nqi_summary_is_exact(const nqi_summary *s);

/* Sum of importance, or the number of weights if there is none. */
double nqi_summary_importance(const nqi_summary *s);

/* Mean of the weights of a bin; weighted by importance where that is not 0. */
static inline double nqi_bin_mean(const nqi_bin *b)
{
    const double low = b->h > 0 ? b->h_low / b->h : (double)b->low / (double)b->count;
    return (double)nqi_key_weight(b->key) + nqi_key_spacing(b->key) * low;
}

static inline double nqi_bin_plain_mean(const nqi_bin *b)
{
    return (double)nqi_key_weight(b->key) +
           nqi_key_spacing(b->key) * ((double)b->low / (double)b->count);
}

/* Distance between the bin's first float and the first one after it. */
static inline double nqi_bin_width(const nqi_bin *b)
{
    return nqi_key_spacing(b->key) * (double)(UINT32_C(1) << b->shift);
}

/* ---- Serialised ---------------------------------------------------------------------------- */

/* Bytes that nqi_summary_store writes. */
size_t nqi_summary_bytes(const nqi_summary *s);
void nqi_summary_store(uint8_t *bytes, size_t n_bytes, const nqi_summary *s);

/* Reads what was stored, from bytes that may be anything. NQ_E_TRUNCATED, NQ_E_CORRUPT,
 * NQ_E_CHECKSUM, NQ_E_UNSUPPORTED, NQ_E_NOMEM, NQ_E_LIMIT. */
NQI_MUST_CHECK nq_status nqi_summary_load(nqi_summary *out, const nqi_allocator *a,
                                          const uint8_t *bytes, size_t n_bytes);

/* ---- Between the files of this room -------------------------------------------------------- */

/* Makes room for n bins in all. */
NQI_MUST_CHECK nq_status nqi_summary_reserve(nqi_summary *s, size_t n_bins);

/* nqi_summary_merge with the memory of `spare`, whose contents do not matter; it gets the memory
 * that *s had. */
NQI_MUST_CHECK nq_status nqi_summary_merge_reusing(nqi_summary *s, const nqi_summary *other,
                                                   nqi_summary *spare);

/* What came of a chunk of weights. */
typedef struct nqi_chunk_summary {
    nqi_summary bins; /* empty before; n_between does not matter */
    uint64_t bad;     /* the first weight that no design can be made from, or NQ_NONE */
    nq_status status;
} nqi_chunk_summary;

#define NQI_MAX_IN_FLIGHT 16u

/* A pass that summarises chunks apart and merges them in order. */
typedef struct nqi_chunk_pass {
    const nqi_env *env;
    const nqi_weights *weights;
    uint64_t chunk_elems;
    uint32_t n_in_flight; /* chunks at the same time, 1..NQI_MAX_IN_FLIGHT */
    size_t max_bins;      /* the pass ends early once there are more */
    /* Summarises weights begin .. begin + n - 1; no two calls at a time have the same place, which
     * is below n_in_flight. */
    void (*work)(void *arg, nqi_chunk_summary *out, uint32_t place, uint64_t begin, size_t n);
    void *arg;
} nqi_chunk_pass;

/* Adds to *s, which is empty or of the same kind. */
NQI_MUST_CHECK nq_status nqi_chunk_pass_run(nqi_summary *s, const nqi_chunk_pass *pass,
                                            nq_diag *diag);

/* Whether a sample of the weights repeats itself as NQI_MAX_DISTINCT values would. NQ_E_NOMEM. */
NQI_MUST_CHECK nq_status nqi_summary_looks_few(bool *few, const nqi_env *env, const nqi_weights *w);

/* The different values among the weights into the empty summary *s, unless they are more than
 * NQI_MAX_DISTINCT: then *s stays empty and *fits is false. */
NQI_MUST_CHECK nq_status nqi_summary_list(nqi_summary *s, bool *fits, const nqi_env *env,
                                          const nqi_weights *w, nq_diag *diag);

/* Bins by prefix, or for some prefixes (rising) only, into the empty summary *s. */
NQI_MUST_CHECK nq_status nqi_summary_count(nqi_summary *s, const nqi_env *env, const nqi_weights *w,
                                           const nqi_split *splits, size_t n_splits, nq_diag *diag);

#endif
