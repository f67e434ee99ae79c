/*
 * Importance averaged before it is shaped: one number for a tensor, or one for each index of an
 * axis. Noisy estimates of importance gain by it. The averaged view replaces the given one for the
 * design; distortion is measured with importance as given.
 *
 * A mean of numbers of which one is not fit for importance is not fit either, and the scan would
 * blame the first element for it: such importance is left as it is, for the scan to find the place.
 */
#include "model/model.h"

#include "base/diag.h"

static bool is_fit(double h)
{
    return h >= 0 && h - h == 0;
}

/* How elements run through the axis: flat index i belongs to channel i / inner % n. */
typedef struct channels {
    uint64_t n;
    uint64_t inner;
} channels;

/* One channel without an axis, or where the tensor does not have it. */
static channels channels_of(const nq_tensor *desc, uint32_t mean, uint32_t axis)
{
    channels c = {.n = 1, .inner = UINT64_MAX};
    if (mean != NQ_IMPORTANCE_CHANNEL_MEAN || axis >= desc->rank)
        return c;
    c.n = desc->dims[axis];
    c.inner = 1;
    for (uint32_t i = axis + 1; i < desc->rank; i++)
        c.inner *= desc->dims[i];
    return c;
}

/* Sums of importance times 1 / (elements of a channel), which cannot overflow. */
static bool average(double *means, const channels *c, const nqi_importance *importance)
{
    double h[NQI_SLICE_ELEMS];
    const double share = (double)c->n / (double)importance->n;
    for (uint64_t i = 0; i < c->n; i++)
        means[i] = 0;
    for (uint64_t first = 0; first < importance->n; first += NQI_SLICE_ELEMS) {
        const size_t n = (size_t)NQI_MIN(importance->n - first, NQI_SLICE_ELEMS);
        nqi_importance_load(h, importance, first, n);
        for (size_t i = 0; i < n; i++) {
            if (!is_fit(h[i]))
                return false;
            means[(first + i) / c->inner % c->n] += h[i] * share;
        }
    }
    return true;
}

/* Has the part look at the means. */
static nq_status view_means(nqi_weights *part, const nq_tensor *desc, const channels *c,
                            uint32_t axis, const double *means)
{
    nq_tensor array;
    nq_tensor_init(&array);
    array.dtype = NQ_F64;
    array.data = means;
    if (c->n > 1) {
        array.rank = desc->rank;
        for (uint32_t i = 0; i < desc->rank; i++)
            array.dims[i] = i == axis ? desc->dims[i] : 1;
    }
    return nqi_importance_make(&part->h, desc, &array);
}

static nq_status average_part(nqi_model *m, nqi_model_group *g, uint32_t i)
{
    const nqi_model_tensor *t = &m->tensors[g->tensors[i]];
    const uint32_t axis = t->options.channel_axis;
    const channels c = channels_of(&t->desc, m->options.importance_mean, axis);
    void *memory;
    NQI_TRY(nqi_alloc(&memory, &m->env.allocator, c.n, sizeof(double)));
    g->averages[i] = memory;
    g->n_averages[i] = c.n;
    if (!average(g->averages[i], &c, &t->importance))
        return NQ_OK;
    return view_means(&g->parts[i], &t->desc, &c, axis, g->averages[i]);
}

nq_status nqi_group_average(nqi_model *m, nqi_model_group *g, nq_diag *diag)
{
    void *averages, *counts;
    if (!g->has_importance || m->options.importance_mean == NQ_IMPORTANCE_EACH)
        return NQ_OK;
    nq_status status = nqi_alloc_zero(&averages, &m->env.allocator, g->n, sizeof *g->averages);
    g->averages = averages;
    if (status == NQ_OK) {
        status = nqi_alloc_zero(&counts, &m->env.allocator, g->n, sizeof *g->n_averages);
        g->n_averages = counts;
    }
    for (uint32_t i = 0; i < g->n && status == NQ_OK; i++)
        status = average_part(m, g, i);
    return status == NQ_OK ? NQ_OK : nqi_diag_set(diag, status, "out of memory for averages");
}
