/*
 * Evaluation: see distortion.h.
 */
#include "distortion/distortion.h"

#include <string.h>

#include "base/bytes.h"
#include "base/log2.h"

#define LANES NQI_DISTORTION_LANES

/* Elements that are looked at before they are summed: a multiple of the lanes. */
#define PIECE 512u

#define ONES_16 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
#define ONES_256                                                                                   \
    ONES_16, ONES_16, ONES_16, ONES_16, ONES_16, ONES_16, ONES_16, ONES_16, ONES_16, ONES_16,      \
        ONES_16, ONES_16, ONES_16, ONES_16, ONES_16, ONES_16

static double infinity(void)
{
    return nqi_f64_from_bits(UINT64_C(0x7ff) << 52);
}

static double sum_lanes(const double *lane)
{
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) +
           ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

/* ---- Elements ------------------------------------------------------------------------------ */

/* |w - v| as distortion.h defines it. */
NQI_INLINE double distance(double w, double v)
{
    const double difference = w < v ? v - w : w - v;
    const bool is_same = w == v || (w != w && v != v);
    const double number = difference == difference ? difference : infinity();
    return is_same ? 0.0 : number;
}

/* w^2, nothing for what is not finite. */
NQI_INLINE double energy_of(double w)
{
    return w - w == 0 ? w * w : 0.0;
}

NQI_INLINE void add_lane(nqi_distortion_lanes *lanes, size_t lane, double w, double v, double h)
{
    const double d = distance(w, v);
    const double square = d * d;
    const double weighted = d == 0 ? 0.0 : h * square;
    lanes->squared[lane] += square;
    lanes->weighted[lane] += weighted;
    lanes->energy[lane] += energy_of(w);
    lanes->max_abs[lane] = lanes->max_abs[lane] < d ? d : lanes->max_abs[lane];
}

/* For numbers of which all are finite, differences included, the same without a choice to make, so
 * that compilers make vector code of it. */
NQI_INLINE void add_finite_lane(nqi_distortion_lanes *lanes, size_t lane, double w, double v,
                                double h)
{
    const double difference = w - v;
    const double d = nqi_f64_from_bits(nqi_f64_bits(difference) & INT64_MAX);
    const double square = difference * difference;
    lanes->squared[lane] += square;
    lanes->weighted[lane] += h * square;
    lanes->energy[lane] += w * w;
    lanes->max_abs[lane] = lanes->max_abs[lane] < d ? d : lanes->max_abs[lane];
}

/* Whether all differences and all importance are finite, and so are w and v then: x - x is 0 for
 * finite x, and otherwise NaN, which stays in a sum. */
static bool all_finite(const double *w, const double *v, const double *h, size_t n)
{
    double seen[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++) {
            const double d = w[i + lane] - v[i + lane];
            seen[lane] += (d - d) + (h[i + lane] - h[i + lane]);
        }
    for (; i < n; i++) {
        const double d = w[i] - v[i];
        seen[0] += (d - d) + (h[i] - h[i]);
    }
    return sum_lanes(seen) == 0;
}

static bool add_if_finite(nqi_distortion_lanes *given, const double *w, const double *v,
                          const double *h, size_t n)
{
    nqi_distortion_lanes lanes = *given;
    size_t i = 0;
    if (!all_finite(w, v, h, n))
        return false;
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            add_finite_lane(&lanes, lane, w[i + lane], v[i + lane], h[i + lane]);
    for (size_t lane = 0; i + lane < n; lane++)
        add_finite_lane(&lanes, lane, w[i + lane], v[i + lane], h[i + lane]);
    *given = lanes;
    return true;
}

void nqi_distortion_add(nqi_distortion_lanes *lanes, const double *w, const double *v,
                        const double *h, size_t n)
{
    static const double ones[PIECE] = {ONES_256, ONES_256};
    const nqi_distortion_add_fn fast = nqi_distortion_add_avx512(lanes->cpu);
    const nqi_distortion_add_fn add = fast ? fast : add_if_finite;
    lanes->n += n;
    for (size_t done = 0; done < n; done += PIECE) {
        const size_t count = NQI_MIN(n - done, PIECE);
        const double *importance = h ? h + done : ones;
        if (NQI_LIKELY(add(lanes, w + done, v + done, importance, count)))
            continue;
        for (size_t i = 0; i < count; i++)
            add_lane(lanes, i % LANES, w[done + i], v[done + i], importance[i]);
    }
}

void nqi_distortion_add_same(nqi_distortion_lanes *lanes, const double *w, size_t n)
{
    lanes->n += n;
    for (size_t i = 0; i < n; i++)
        lanes->energy[i % LANES] += energy_of(w[i]);
}

/* ---- Sums ---------------------------------------------------------------------------------- */

void nqi_distortion_merge(nqi_distortion *sum, const nqi_distortion_lanes *lanes)
{
    nqi_distortion piece = {.n = lanes->n,
                            .squared = sum_lanes(lanes->squared),
                            .weighted = sum_lanes(lanes->weighted),
                            .energy = sum_lanes(lanes->energy)};
    for (size_t lane = 0; lane < LANES; lane++)
        piece.max_abs = NQI_MAX(piece.max_abs, lanes->max_abs[lane]);
    nqi_distortion_join(sum, &piece);
}

void nqi_distortion_join(nqi_distortion *sum, const nqi_distortion *other)
{
    sum->n += other->n;
    sum->squared += other->squared;
    sum->weighted += other->weighted;
    sum->energy += other->energy;
    sum->max_abs = NQI_MAX(sum->max_abs, other->max_abs);
}

double nqi_distortion_mse(const nqi_distortion *d)
{
    return d->n ? d->squared / (double)d->n : 0.0;
}

double nqi_distortion_sqnr_db(const nqi_distortion *d)
{
    const double db_per_octave = 3.010299956639812; /* 10 log10(2) */
    if (d->squared == 0)
        return infinity();
    if (d->energy == 0 || d->squared == infinity())
        return -infinity();
    if (d->energy == infinity())
        return infinity();
    /* Not of the quotient, which may overflow where the logarithms do not. */
    return db_per_octave * (nqi_log2(d->energy) - nqi_log2(d->squared));
}
