/*
 * Weights that levels are made for, and what is kept from one design of them to the next: see
 * quantizer.h.
 */
#include "model/methods.h"

nq_status nqi_design_source_summarise(nqi_design_source *source)
{
    if (source->has_summary)
        return NQ_OK;
    source->summary = nqi_summary_empty(&source->env->allocator);
    for (size_t i = 0; i < source->n_parts; i++) {
        nqi_weights part = source->parts[i];
        if (!source->has_importance)
            part.h.data = NULL;
        const nq_status status = nqi_summary_add(&source->summary, source->env, &part, NULL);
        if (status != NQ_OK) {
            nqi_summary_free(&source->summary);
            return status;
        }
    }
    source->has_summary = true;
    return NQ_OK;
}

/* Points of rows for any number of weights, eight bytes each, and what more of them for each byte
 * of the largest tensor: twice as much as that is the user's to give. */
#define MOST_POINTS   (UINT64_C(1) << 21)
#define POINTS_A_BYTE 0.125

static uint64_t most_points(const nqi_design_source *source)
{
    uint64_t largest = 0;
    for (size_t i = 0; i < source->n_parts; i++)
        largest = NQI_MAX(largest, nqi_weights_count(&source->parts[i]) *
                                       nq_dtype_bits(source->parts[i].w.dtype) / 8);
    return MOST_POINTS + (uint64_t)((double)largest * POINTS_A_BYTE);
}

nq_status nqi_design_source_make_rows(nqi_design_source *source)
{
    if (source->has_rows)
        return NQ_OK;
    NQI_TRY(nqi_design_source_summarise(source));
    if (source->has_importance)
        NQI_TRY(nqi_rows_from_weights(&source->rows, source->env, &source->summary, source->parts,
                                      source->n_parts, most_points(source)));
    else
        NQI_TRY(nqi_rows_from_summary(&source->rows, &source->summary));
    source->has_rows = true;
    return NQ_OK;
}

void nqi_design_source_free(nqi_design_source *source)
{
    if (source->has_summary)
        nqi_summary_free(&source->summary);
    if (source->has_rows)
        nqi_rows_free(&source->rows);
    source->has_summary = source->has_rows = false;
}

nq_status nqi_source_mean_importance(double *mean, nqi_design_source *source)
{
    *mean = 1;
    if (!source->has_importance)
        return NQ_OK;
    NQI_TRY(nqi_design_source_summarise(source));
    *mean = nqi_summary_importance(&source->summary) / (double)source->summary.n;
    return NQ_OK;
}

nq_status nqi_source_without_importance(nqi_design_source *plain, nqi_weights **parts,
                                        const nqi_design_source *source)
{
    void *memory;
    NQI_TRY(nqi_alloc(&memory, &source->env->allocator, source->n_parts, sizeof **parts));
    *parts = memory;
    for (size_t i = 0; i < source->n_parts; i++) {
        (*parts)[i] = source->parts[i];
        (*parts)[i].h.data = NULL;
    }
    *plain = *source;
    plain->parts = *parts;
    plain->has_summary = plain->has_rows = false;
    plain->has_importance = false;
    return NQ_OK;
}

static double most_of(uint32_t dtype)
{
    return dtype == NQ_F16 ? 65504.0 : dtype == NQ_BF16 ? 0x1.fep127 : 0x1.fffffep127;
}

double nqi_source_most(const nqi_design_source *source)
{
    double most = 0x1.fffffep127;
    for (uint32_t i = 0; i < NQI_N_WEIGHT_TYPES; i++)
        if (source->extents[i].low <= source->extents[i].high)
            most = NQI_MIN(most, most_of(i));
    return most;
}

/* The level nearest to x. */
static size_t nearest(const double *levels, size_t n, double x)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        const double a = levels[best] - x, b = levels[i] - x;
        if ((b < 0 ? -b : b) < (a < 0 ? -a : a))
            best = i;
    }
    return best;
}

void nqi_source_clamp(double *levels, size_t n, const nqi_design_source *source)
{
    for (uint32_t i = 0; i < NQI_N_WEIGHT_TYPES; i++) {
        const nqi_extent *extent = &source->extents[i];
        if (extent->low > extent->high)
            continue;
        double *low = &levels[nearest(levels, n, (double)extent->low)];
        double *high = &levels[nearest(levels, n, (double)extent->high)];
        *low = NQI_MAX(*low, -most_of(i));
        *high = NQI_MIN(*high, most_of(i));
    }
}
