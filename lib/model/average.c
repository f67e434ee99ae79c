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
#include "base/number.h"

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

/* ---- Sums ---------------------------------------------------------------------------------- */

typedef struct averaging {
    const nqi_importance *importance;
    channels c;
    size_t n_touched; /* channels that a chunk may touch */
    double share;     /* 1 / (elements of a channel): sums of so much importance cannot overflow */
    double *means;
    bool is_fit;
} averaging;

typedef struct chunk_sums {
    uint64_t is_fit;
    double sums[]; /* n_touched, from the chunk's first channel on */
} chunk_sums;

static uint64_t count_elements(const void *parts, size_t part)
{
    (void)part;
    return ((const averaging *)parts)->importance->n;
}

static void sum_chunk(void *arg, const nqi_chunk *chunk)
{
    const averaging *all = arg;
    chunk_sums *s = chunk->slot;
    double h[NQI_SLICE_ELEMS];
    uint64_t left = all->c.inner - chunk->first % all->c.inner;
    size_t channel = 0;
    s->is_fit = true;
    for (size_t i = 0; i < all->n_touched; i++)
        s->sums[i] = 0;
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        nqi_importance_load(h, all->importance, chunk->first + done, n);
        for (size_t i = 0; i < n; i++, left--) {
            if (!(h[i] >= 0 && nqi_is_finite(h[i]))) {
                s->is_fit = false;
                return;
            }
            if (left == 0) {
                left = all->c.inner;
                channel = channel + 1 == all->n_touched ? 0 : channel + 1;
            }
            s->sums[channel] += h[i] * all->share;
        }
    }
}

static nq_status fold_chunk(void *arg, const nqi_chunk *chunk)
{
    averaging *all = arg;
    const chunk_sums *s = chunk->slot;
    const uint64_t first = chunk->first / all->c.inner;
    all->is_fit = all->is_fit && s->is_fit;
    for (size_t i = 0; all->is_fit && i < all->n_touched; i++)
        all->means[(first + i) % all->c.n] += s->sums[i];
    return NQ_OK;
}

/* Fills all->means; sets all->is_fit. */
static nq_status average(averaging *all, const nqi_env *env, nqi_progress_state *progress)
{
    void *slots;
    const uint64_t spanned = (NQI_CHUNK_ELEMS - 1) / all->c.inner + 2;
    all->n_touched = (size_t)NQI_MIN(spanned, all->c.n);
    all->share = (double)all->c.n / (double)all->importance->n;
    all->is_fit = true;
    nqi_pass pass = {.env = env,
                     .progress = progress,
                     .list = {.n_elems = count_elements, .parts = all, .n = 1},
                     .slot_bytes = sizeof(chunk_sums) + all->n_touched * sizeof(double),
                     .work = sum_chunk,
                     .fold = fold_chunk,
                     .arg = all};
    pass.n_slots = nqi_pass_slots(env, &pass.list, pass.slot_bytes);
    NQI_TRY(nqi_alloc(&slots, &env->allocator, pass.n_slots, pass.slot_bytes));
    pass.slots = slots;
    const nq_status status = nqi_pass_run(&pass);
    nqi_free(&env->allocator, slots, pass.n_slots, pass.slot_bytes);
    return status;
}

/* ---- Views --------------------------------------------------------------------------------- */

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

static nq_status average_part(nqi_model *m, nqi_model_group *g, uint32_t i,
                              nqi_progress_state *progress)
{
    const nqi_model_tensor *t = &m->tensors[g->tensors[i]];
    const uint32_t axis = t->options.channel_axis;
    const channels c = channels_of(&t->desc, m->options.importance_mean, axis);
    void *memory;
    if (c.n == t->n)
        return nqi_progress_advance(progress, t->n); /* each is its own mean */
    NQI_TRY(nqi_alloc_zero(&memory, &m->env.allocator, c.n, sizeof(double)));
    g->averages[i] = memory;
    g->n_averages[i] = c.n;
    averaging all = {.importance = &t->importance, .c = c, .means = memory};
    NQI_TRY(average(&all, &m->env, progress));
    if (!all.is_fit)
        return NQ_OK;
    return view_means(&g->parts[i], &t->desc, &c, axis, g->averages[i]);
}

nq_status nqi_group_average(nqi_model *m, nqi_model_group *g, nqi_progress_state *progress,
                            nq_diag *diag)
{
    void *averages, *counts;
    if (!g->has_importance || m->options.importance_mean == NQ_IMPORTANCE_EACH)
        return NQ_OK;
    if (!nqi_group_leads(g)) { /* the tensor's first channel has them */
        g->parts[0].h = (g - g->channel.number)->parts[0].h;
        return NQ_OK;
    }
    for (uint32_t i = 0; i < g->n; i++)
        progress->total += m->tensors[g->tensors[i]].n;
    nq_status status = nqi_alloc_zero(&averages, &m->env.allocator, g->n, sizeof *g->averages);
    g->averages = averages;
    if (status == NQ_OK) {
        status = nqi_alloc_zero(&counts, &m->env.allocator, g->n, sizeof *g->n_averages);
        g->n_averages = counts;
    }
    for (uint32_t i = 0; i < g->n && status == NQ_OK; i++)
        status = average_part(m, g, i, progress);
    if (status == NQ_OK)
        return NQ_OK;
    return nqi_diag_set(diag, status,
                        status == NQ_E_CANCELLED ? "cancelled" : "out of memory for averages");
}
