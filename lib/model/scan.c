/*
 * The pass before the design: where the weights end, whether all are finite, and what the mean of
 * the importance is. The first offender in the order of tensors and elements is reported, whoever
 * came upon one first.
 */
#include "model/model.h"

#include "base/bytes.h"
#include "base/diag.h"
#include "base/number.h"

/* Importance from here on is summed on its own, scaled down, so that no sum overflows. */
#define HUGE_IMPORTANCE 0x1p500
#define HUGE_SCALE      0x1p-600

typedef struct chunk_scan {
    nqi_extent extent;
    uint64_t bad_weight; /* first that is not finite, in its tensor; or NQ_NONE */
    uint64_t bad_importance;
    double bad_value;
    double importance; /* sum of what is not huge */
    double huge;       /* sum of the rest, scaled */
    double largest;
} chunk_scan;

typedef struct scan {
    nqi_model_group *g;
    nq_diag *diag;
    double importance;
    double huge;
    double largest;
} scan;

/* ---- Chunks -------------------------------------------------------------------------------- */

static void find_bad_weight(chunk_scan *s, const float *w, size_t n, uint64_t first)
{
    for (size_t i = 0; i < n; i++)
        if (!nqi_is_finite((double)w[i])) {
            s->bad_weight = first + i;
            s->bad_value = (double)w[i];
            return;
        }
}

static void scan_importance(chunk_scan *s, const double *h, size_t n, uint64_t first)
{
    double sum = 0, huge = 0, largest = s->largest;
    for (size_t i = 0; i < n; i++) {
        if (!(h[i] >= 0 && nqi_is_finite(h[i]))) {
            s->bad_importance = first + i;
            s->bad_value = h[i];
            return;
        }
        largest = NQI_MAX(largest, h[i]);
        if (h[i] < HUGE_IMPORTANCE)
            sum += h[i];
        else
            huge += h[i] * HUGE_SCALE;
    }
    s->importance += sum;
    s->huge += huge;
    s->largest = largest;
}

static void scan_chunk(void *arg, const nqi_chunk *chunk)
{
    const scan *all = arg;
    const nqi_weights *part = &all->g->parts[chunk->part];
    chunk_scan *s = chunk->slot;
    float w[NQI_SLICE_ELEMS];
    double h[NQI_SLICE_ELEMS];
    *s =
        (chunk_scan){.extent = nqi_extent_none(), .bad_weight = NQ_NONE, .bad_importance = NQ_NONE};
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const uint64_t first = chunk->first + done;
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        nqi_weights_load(w, part, first, n);
        if (!nqi_extent_add(&s->extent, w, n))
            find_bad_weight(s, w, n, first);
        if (all->g->has_importance && s->bad_weight == NQ_NONE) {
            nqi_weights_load_raw_importance(h, part, first, n);
            scan_importance(s, h, n, first);
        }
        if (s->bad_weight != NQ_NONE || s->bad_importance != NQ_NONE)
            return;
    }
}

static nq_status refuse(const scan *all, const nqi_chunk *chunk, const chunk_scan *s)
{
    const bool is_weight = s->bad_weight != NQ_NONE;
    const uint64_t element = nqi_weights_element(&all->g->parts[chunk->part],
                                                 is_weight ? s->bad_weight : s->bad_importance);
    nqi_diag_at(all->diag, NQ_E_NUMERIC,
                is_weight ? "a weight that is not finite"
                          : "importance that is negative or not finite",
                all->g->tensors[chunk->part], element, NQ_NONE);
    all->diag->value = s->bad_value;
    all->diag->input = is_weight ? NQ_INPUT_TENSOR : NQ_INPUT_IMPORTANCE;
    return NQ_E_NUMERIC;
}

static nq_status fold_chunk(void *arg, const nqi_chunk *chunk)
{
    scan *all = arg;
    const chunk_scan *s = chunk->slot;
    if (s->bad_weight != NQ_NONE || s->bad_importance != NQ_NONE)
        return refuse(all, chunk, s);
    nqi_weights *part = &all->g->parts[chunk->part];
    nqi_extent_join(&all->g->source.extents[part->w.dtype], &s->extent);
    nqi_extent_join(&part->extent, &s->extent);
    part->has_extent = true;
    all->importance += s->importance;
    all->huge += s->huge;
    all->largest = NQI_MAX(all->largest, s->largest);
    return NQ_OK;
}

/* ---- Shaping ------------------------------------------------------------------------------- */

/* Exponents of shaped importance within this of 0 are left alone. */
#define CALM_EXPONENT 200.0

/*
 * 1 where shaped importance stays in bounds; otherwise the power of two that brings the largest one
 * below 1 (below 4 at the end of the range), so that no power of it overflows.
 */
static double scale_for(double largest, double power)
{
    const int exponent = (int)(nqi_f64_bits(largest) >> 52); /* biased; 0 for denormals and zero */
    const double distance = (double)(exponent > 1023 ? exponent - 1023 : 1023 - exponent);
    if (largest == 0 || (distance < CALM_EXPONENT && distance * power < CALM_EXPONENT))
        return 1;
    const int inverse = exponent == 0 ? 2000 : 2045 - exponent;
    return nqi_f64_from_bits((uint64_t)NQI_MIN(NQI_MAX(inverse, 1), 2046) << 52);
}

static void set_shaping(nqi_model_group *g, const scan *all, const nq_plan_options *options)
{
    const double n = (double)g->n_elements;
    const double mean =
        all->huge > 0 ? all->huge / n / HUGE_SCALE + all->importance / n : all->importance / n;
    const double least = options->importance_floor * mean;
    nqi_shaping shaping = {.least = NQI_MIN(least, 0x1p1022), .power = options->importance_power};
    shaping.scale = scale_for(NQI_MAX(all->largest, shaping.least), shaping.power);
    for (uint32_t i = 0; i < g->n; i++)
        g->parts[i].shaping = shaping;
    g->ignores_importance = g->has_importance && all->largest == 0;
    g->source.has_importance = g->has_importance && !g->ignores_importance;
}

nq_status nqi_group_scan(nqi_model *m, nqi_model_group *g, nqi_progress_state *progress,
                         nq_diag *diag)
{
    scan all = {.g = g, .diag = diag};
    void *slots;
    for (uint32_t i = 0; i < NQI_N_WEIGHT_TYPES; i++)
        g->source.extents[i] = nqi_extent_none();
    for (uint32_t i = 0; i < g->n; i++)
        g->parts[i].extent = nqi_extent_none();
    nqi_pass pass = {.env = &m->env,
                     .progress = progress,
                     .list = nqi_weights_list(g->parts, g->n),
                     .slot_bytes = sizeof(chunk_scan),
                     .work = scan_chunk,
                     .fold = fold_chunk,
                     .arg = &all};
    pass.n_slots = nqi_pass_slots(&m->env, &pass.list, pass.slot_bytes);
    nq_status status = nqi_alloc(&slots, &m->env.allocator, pass.n_slots, pass.slot_bytes);
    if (status == NQ_OK) {
        pass.slots = slots;
        status = nqi_pass_run(&pass);
        nqi_free(&m->env.allocator, slots, pass.n_slots, pass.slot_bytes);
    }
    if (status == NQ_OK)
        set_shaping(g, &all, &m->options);
    else if (status != NQ_E_NUMERIC)
        nqi_diag_set(diag, status,
                     status == NQ_E_CANCELLED ? "cancelled" : "out of memory for the scan");
    return status;
}
