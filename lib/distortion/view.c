/*
 * Tensors in memory as numbers: see view.h. Nothing here allocates, checks arguments or reads
 * outside the range that it is asked for.
 */
#include "distortion/view.h"

#include "base/bytes.h"
#include "base/half.h"
#include "base/log2.h"

/* ---- Elements ------------------------------------------------------------------------------ */

/*
 * What nqi_f16_to_f32 computes, without a branch, so that compilers make a vector loop of it: a
 * denormal is read as the mantissa of a number from 2^-14 on, from which 2^-14 is taken off.
 */
static inline float f16_to_f32(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t shifted = (uint32_t)(half & 0x7fffu) << 13;
    const float denormal = nqi_f32_from_bits(shifted + (113u << 23)) - 0x1p-14f;
    const uint32_t special = shifted >= (31u << 23) ? 112u << 23 : 0;
    const uint32_t normal = shifted + (112u << 23) + special;
    const uint32_t magnitude = shifted < (1u << 23) ? nqi_f32_bits(denormal) : normal;
    return nqi_f32_from_bits(sign | magnitude);
}

/* Who loads a slice will load the next one: it comes from memory while this one is worked on.
 * Beyond the view that does nothing. */
static void ask_for_next(const uint8_t *in, size_t n_bytes)
{
    for (size_t at = 0; at < n_bytes; at += 64)
        NQI_PREFETCH(in + n_bytes + at);
}

void nqi_view_f32(float *out, const nqi_view *view, uint64_t first, size_t n)
{
    const size_t size = nq_dtype_bits(view->dtype) / 8;
    if (n == 0)
        return;
    const uint8_t *in = view->data + (size_t)first * size;
    if (n == NQI_SLICE_ELEMS)
        ask_for_next(in, n * size);
    switch (view->dtype) {
    case NQ_F32:
        memcpy(out, in, n * sizeof *out);
        break;
    case NQ_F16:
        for (size_t i = 0; i < n; i++)
            out[i] = f16_to_f32(nqi_load_u16(in + 2 * i));
        break;
    case NQ_BF16:
        for (size_t i = 0; i < n; i++)
            out[i] = nqi_bf16_to_f32(nqi_load_u16(in + 2 * i));
        break;
    default:
        for (size_t i = 0; i < n; i++) {
            double value;
            memcpy(&value, in + 8 * i, sizeof value);
            out[i] = (float)value;
        }
    }
}

void nqi_view_f64(double *out, const nqi_view *view, uint64_t first, size_t n)
{
    if (n == 0)
        return;
    const uint8_t *in = view->data + (size_t)first * (nq_dtype_bits(view->dtype) / 8);
    switch (view->dtype) {
    case NQ_F32:
        for (size_t i = 0; i < n; i++)
            out[i] = (double)nqi_load_f32(in + 4 * i);
        break;
    case NQ_F16:
        for (size_t i = 0; i < n; i++)
            out[i] = (double)f16_to_f32(nqi_load_u16(in + 2 * i));
        break;
    case NQ_BF16:
        for (size_t i = 0; i < n; i++)
            out[i] = (double)nqi_bf16_to_f32(nqi_load_u16(in + 2 * i));
        break;
    default:
        memcpy(out, in, n * sizeof *out);
    }
}

void nqi_extent_join(nqi_extent *extent, const nqi_extent *other)
{
    if (other->low > other->high)
        return;
    const bool is_first = extent->low > extent->high;
    extent->low = is_first ? other->low : NQI_MIN(extent->low, other->low);
    extent->high = is_first ? other->high : NQI_MAX(extent->high, other->high);
}

/* Elements are looked at in so many lanes, so that compilers make vector code of the loop. */
#define LANES 16u

/* Minima and maxima, and bits of which the highest tells that something was not finite: adding one
 * to the exponent of what is not carries into the sign. */
typedef struct lanes {
    float low[LANES];
    float high[LANES];
    uint32_t seen[LANES];
} lanes;

NQI_INLINE void look_at(lanes *l, size_t lane, float x)
{
    l->low[lane] = x < l->low[lane] ? x : l->low[lane];
    l->high[lane] = x > l->high[lane] ? x : l->high[lane];
    l->seen[lane] |= (nqi_f32_bits(x) & INT32_MAX) + (UINT32_C(1) << 23);
}

bool nqi_extent_add(nqi_extent *extent, const float *elements, size_t n)
{
    lanes l;
    size_t i = 0;
    uint32_t seen = 0;
    if (n == 0)
        return true;
    for (size_t lane = 0; lane < LANES; lane++) {
        l.low[lane] = l.high[lane] = elements[0];
        l.seen[lane] = 0;
    }
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            look_at(&l, lane, elements[i + lane]);
    for (size_t lane = 0; i + lane < n; lane++)
        look_at(&l, lane, elements[i + lane]);
    nqi_extent more = {l.low[0], l.high[0]};
    for (size_t lane = 0; lane < LANES; lane++) {
        more.low = NQI_MIN(more.low, l.low[lane]);
        more.high = NQI_MAX(more.high, l.high[lane]);
        seen |= l.seen[lane];
    }
    if (seen >> 31)
        return false;
    nqi_extent_join(extent, &more);
    return true;
}

/* ---- Importance ---------------------------------------------------------------------------- */

/* Adds an axis inside those that are there, merging it with the innermost one where that is the
 * same walk through memory. */
static void push_axis(nqi_importance *h, uint64_t dim, uint64_t stride)
{
    if (h->rank > 0 && h->strides[h->rank - 1] == dim * stride) {
        h->dims[h->rank - 1] *= dim;
        h->strides[h->rank - 1] = stride;
        return;
    }
    h->dims[h->rank] = dim;
    h->strides[h->rank] = stride;
    h->rank++;
}

nq_status nqi_importance_make(nqi_importance *out, const nq_tensor *tensor,
                              const nq_tensor *importance)
{
    uint64_t strides[NQ_MAX_RANK];
    uint64_t n;
    NQI_TRY(nq_tensor_elements(&n, tensor));
    *out = nqi_importance_ones(n);
    if (!importance)
        return NQ_OK;
    if (!nqi_view_has(importance->dtype) || importance->rank > tensor->rank)
        return NQ_E_ARG;
    /* Axes are matched from the last one on; those that importance lacks in front repeat it. */
    const uint32_t lacking = tensor->rank - importance->rank;
    uint64_t n_stored = 1;
    for (uint32_t axis = tensor->rank; axis-- > 0;) {
        const uint64_t dim = axis < lacking ? 1 : importance->dims[axis - lacking];
        if (dim != 1 && dim != tensor->dims[axis])
            return NQ_E_ARG;
        strides[axis] = dim == 1 ? 0 : n_stored;
        n_stored *= dim; /* a divisor of n, or 0 as n is */
    }
    if (n > 0 && !importance->data)
        return NQ_E_ARG;
    out->data = n > 0 ? importance->data : NULL;
    out->dtype = importance->dtype;
    out->n_stored = n_stored;
    for (uint32_t axis = 0; axis < tensor->rank && n > 0; axis++)
        if (tensor->dims[axis] != 1)
            push_axis(out, tensor->dims[axis], strides[axis]);
    return NQ_OK;
}

static void fill(double *out, double value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = value;
}

/* Where an element lies along the merged axes, and in the array. */
typedef struct place {
    uint64_t at[NQ_MAX_RANK];
    uint64_t offset;
} place;

static place find_place(const nqi_importance *h, uint64_t element)
{
    place p = {.offset = 0};
    for (uint32_t axis = h->rank; axis-- > 0;) {
        p.at[axis] = element % h->dims[axis];
        element /= h->dims[axis];
        p.offset += p.at[axis] * h->strides[axis];
    }
    return p;
}

/* Steps from the end of an innermost row to the start of the next one. */
static void next_row(place *p, const nqi_importance *h)
{
    uint32_t axis = h->rank - 1;
    p->offset -= p->at[axis] * h->strides[axis];
    p->at[axis] = 0;
    while (axis-- > 0) {
        p->offset += h->strides[axis];
        if (++p->at[axis] < h->dims[axis])
            return;
        p->offset -= h->dims[axis] * h->strides[axis];
        p->at[axis] = 0;
    }
}

/* n elements that lie in one innermost row. */
static void load_row(double *out, const nqi_importance *h, const nqi_view *array, const place *p,
                     size_t n)
{
    if (h->rank > 0 && h->strides[h->rank - 1] != 0) {
        nqi_view_f64(out, array, p->offset, n);
        return;
    }
    double value;
    nqi_view_f64(&value, array, p->offset, 1);
    fill(out, value, n);
}

void nqi_importance_load(double *out, const nqi_importance *h, uint64_t first, size_t n)
{
    if (!h->data) {
        fill(out, 1, n);
        return;
    }
    const nqi_view array = nqi_view_make(h->data, h->dtype, h->n_stored);
    if (h->rank <= 1) {
        const place p = {.offset = h->rank && h->strides[0] ? first : 0};
        load_row(out, h, &array, &p, n);
        return;
    }
    const uint64_t row = h->dims[h->rank - 1];
    place p = find_place(h, first);
    for (size_t done = 0; done < n;) {
        const uint64_t left = row - p.at[h->rank - 1];
        const size_t count = left < n - done ? (size_t)left : n - done;
        load_row(out + done, h, &array, &p, count);
        next_row(&p, h);
        done += count;
    }
}

/* ---- Shaping ------------------------------------------------------------------------------- */

void nqi_shaping_apply(double *h, const nqi_shaping *shaping, size_t n)
{
    const double least = shaping->least;
    const double scale = shaping->scale;
    for (size_t i = 0; i < n; i++)
        h[i] = (h[i] < least ? least : h[i]) * scale;
    if (shaping->power == 1)
        return;
    for (size_t i = 0; i < n; i++)
        h[i] = nqi_pow(h[i], shaping->power);
}

void nqi_importance_load_shaped(double *out, const nqi_importance *importance,
                                const nqi_shaping *shaping, uint64_t first, size_t n)
{
    nqi_importance_load(out, importance, first, n);
    if (importance->data)
        nqi_shaping_apply(out, shaping, n);
}
