/*
 * What a design is made from: weights with their importance, in whole tensors or in slices of one
 * axis. Elements are counted in the order in which they lie in the tensor.
 *
 * Borrows what it views.
 */
#ifndef NQI_STATS_WEIGHTS_H
#define NQI_STATS_WEIGHTS_H

#include "base/common.h"
#include "distortion/view.h"
#include "par/env.h"

/* Elements first + r * stride + i of the tensor, for r < n_runs and i < run. */
typedef struct nqi_weights {
    nqi_view w;
    nqi_importance h; /* of the whole tensor; data NULL: none */
    nqi_shaping shaping;
    uint64_t first;
    uint64_t run;
    uint64_t stride;
    uint64_t n_runs;
    double least_score; /* weights of less magnitude, or saliency, count as 0: pruned; 0: none are */
    nqi_importance saliency; /* h of the score h w^2 / 2, not shaped; data NULL: by magnitude */
    bool has_extent;
    nqi_extent extent; /* if it is known: no weight lies outside, pruned or not */
} nqi_weights;

/* All elements of a tensor; `h` covers as many. */
nqi_weights nqi_weights_all(const nqi_view *w, const nqi_importance *h, const nqi_shaping *shaping);

/* Those with `index` along the middle axis of a tensor seen as outer x dim x inner elements. */
nqi_weights nqi_weights_channel(const nqi_view *w, const nqi_importance *h,
                                const nqi_shaping *shaping, uint64_t dim, uint64_t inner,
                                uint64_t index);

static inline uint64_t nqi_weights_count(const nqi_weights *s)
{
    return s->run * s->n_runs;
}

static inline bool nqi_weights_has_importance(const nqi_weights *s)
{
    return s->h.data != NULL;
}

/* The tensor's element that is the i-th of these. */
uint64_t nqi_weights_element(const nqi_weights *s, uint64_t i);

/* Elements first .. first + n - 1 of these. Weights before and after pruning; importance as it is
 * given, or shaped. */
void nqi_weights_load_unpruned(float *w, const nqi_weights *s, uint64_t first, size_t n);
void nqi_weights_load(float *w, const nqi_weights *s, uint64_t first, size_t n);
void nqi_weights_load_raw_importance(double *h, const nqi_weights *s, uint64_t first, size_t n);
void nqi_weights_load_importance(double *h, const nqi_weights *s, uint64_t first, size_t n);

/* The same elements as floats at any alignment: where they lie in the tensor, if they lie there as
 * floats one behind the other, or else loaded into the buffer, which has room for n. */
const void *nqi_weights_f32(float *buffer, const nqi_weights *s, uint64_t first, size_t n);

/* Their importance likewise, if it is one float for each and shaping changes nothing; or NULL. */
const void *nqi_weights_importance_f32(const nqi_weights *s, uint64_t first, size_t n);

/*
 * Looks for what no design can be made from: NaN or infinite weights; NaN, infinite or negative
 * importance. NQ_E_NUMERIC with the first element of the tensor in `diag` (may be NULL), whatever
 * the number of workers; NQ_OK; NQ_E_NOMEM; NQ_E_CANCELLED.
 */
NQI_MUST_CHECK nq_status nqi_weights_check(const nqi_env *env, const nqi_weights *s, nq_diag *diag);

/* The first of n elements that is bad, or n; h is importance as it was given. Either may be NULL.
 */
size_t nqi_weights_find_bad(const float *w, const double *h, size_t n);

/* Whether n floats at any alignment are good importance, without a -0. */
bool nqi_weights_is_good_importance_f32(const void *h, size_t n);

/* Says what is wrong with the i-th of these, which is bad; returns NQ_E_NUMERIC. */
nq_status nqi_weights_report_bad(const nqi_weights *s, uint64_t i, nq_diag *diag);

#endif
