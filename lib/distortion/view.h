/*
 * Tensors in memory as numbers: weights, and importance that broadcasts to them. Everything that
 * looks at elements loads a few thousand at a time into a buffer of its own and loops over that, so
 * that types, alignment and shapes are dealt with here and nowhere else.
 *
 * Views borrow what they point to. Loading is a pure function of the view and the range.
 */
#ifndef NQI_DISTORTION_VIEW_H
#define NQI_DISTORTION_VIEW_H

#include "base/common.h"
#include "base/number.h"

/* Elements that inner loops load at a time: their buffers stay in the first-level cache, and
 * NQI_CHUNK_ELEMS is a multiple. */
#define NQI_SLICE_ELEMS 1024u

typedef struct nqi_view {
    const uint8_t *data; /* any alignment, host byte order */
    uint64_t n;
    uint32_t dtype; /* NQ_F32, NQ_F16, NQ_BF16, NQ_F64 */
} nqi_view;

/* Whether elements of this type can be viewed as numbers. */
static inline bool nqi_view_has(uint32_t dtype)
{
    return dtype <= NQ_F64;
}

/* Whether they can be quantized. */
static inline bool nqi_view_can_quantize(uint32_t dtype)
{
    return nqi_is_weight_type(dtype);
}

static inline nqi_view nqi_view_make(const void *data, uint32_t dtype, uint64_t n)
{
    return (nqi_view){.data = data, .n = n, .dtype = dtype};
}

/* Elements first .. first + n - 1, within the view. As f32: exact but for F64, which is rounded. */
void nqi_view_f32(float *out, const nqi_view *view, uint64_t first, size_t n);
void nqi_view_f64(double *out, const nqi_view *view, uint64_t first, size_t n);

/* Smallest and largest of some elements; low > high: there are none. Of two zeros either. */
typedef struct nqi_extent {
    float low;
    float high;
} nqi_extent;

static inline nqi_extent nqi_extent_none(void)
{
    return (nqi_extent){.low = 1, .high = -1};
}

/* Widens the extent by another one. */
void nqi_extent_join(nqi_extent *extent, const nqi_extent *other);

/* Widens it by n elements; false, with the extent as it was, if one of them is not finite. */
bool nqi_extent_add(nqi_extent *extent, const float *elements, size_t n);

/* ---- Importance ---------------------------------------------------------------------------- */

/*
 * Importance of the elements of a tensor: one number for each, of an array that broadcasts to the
 * tensor's shape as in numpy. Axes that lie behind each other in memory, or are repeated together,
 * are merged, so the innermost one, if there is any, has stride 0 or 1, and the usual shapes have
 * at most two.
 */
typedef struct nqi_importance {
    const uint8_t *data; /* NULL: 1 for every element */
    uint32_t dtype;      /* as for nqi_view */
    uint32_t rank;       /* merged axes, none of length 1 */
    uint64_t n;          /* elements of the tensor, not of the array */
    uint64_t n_stored;   /* elements of the array */
    uint64_t dims[NQ_MAX_RANK];
    uint64_t strides[NQ_MAX_RANK]; /* in elements of the array; 0: repeated */
} nqi_importance;

/* Importance 1 for each of n elements. */
static inline nqi_importance nqi_importance_ones(uint64_t n)
{
    return (nqi_importance){.n = n};
}

/*
 * The view of `importance` (NULL: ones) for a tensor of this shape, whose number of elements is
 * known to be sane. NQ_E_ARG for a type that is no number or a shape that does not broadcast.
 */
nq_status nqi_importance_make(nqi_importance *out, const nq_tensor *tensor,
                              const nq_tensor *importance);

/* Importance of elements first .. first + n - 1 of the tensor. */
void nqi_importance_load(double *out, const nqi_importance *importance, uint64_t first, size_t n);

/* ---- Shaping ------------------------------------------------------------------------------- */

/*
 * How importance is made ready for a design: h' = (scale * max(h, least))^power. least is F times
 * the mean over the codebook's scope. scale is a power of two that keeps sums of h' finite where h
 * is enormous or tiny, 1 otherwise: designs do not depend on a common factor, but what is compared
 * with a lambda does.
 */
typedef struct nqi_shaping {
    double least;
    double power;
    double scale;
} nqi_shaping;

static inline nqi_shaping nqi_shaping_none(void)
{
    return (nqi_shaping){.least = 0, .power = 1, .scale = 1};
}

/* Whether it leaves numbers as they are that are not negative. */
static inline bool nqi_shaping_is_none(const nqi_shaping *s)
{
    return s->least <= 0 && s->power == 1 && s->scale == 1;
}

/* Shapes n numbers in place. */
void nqi_shaping_apply(double *h, const nqi_shaping *shaping, size_t n);

/* Loads and shapes; ones stay ones. */
void nqi_importance_load_shaped(double *out, const nqi_importance *importance,
                                const nqi_shaping *shaping, uint64_t first, size_t n);

#endif
