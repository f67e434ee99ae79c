/*
 * Evaluation: see distortion.h.
 */
#include "distortion/distortion.h"

#include <string.h>

#include "base/bytes.h"
#include "base/log2.h"

#define LANES NQI_DISTORTION_LANES

static double infinity(void)
{
    return nqi_f64_from_bits(UINT64_C(0x7ff) << 52);
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

static void add_weighted(nqi_distortion_lanes *given, const double *w, const double *v,
                         const double *h, size_t n)
{
    nqi_distortion_lanes lanes = *given;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            add_lane(&lanes, lane, w[i + lane], v[i + lane], h[i + lane]);
    for (size_t lane = 0; i + lane < n; lane++)
        add_lane(&lanes, lane, w[i + lane], v[i + lane], h[i + lane]);
    *given = lanes;
}

static void add_plain(nqi_distortion_lanes *given, const double *w, const double *v, size_t n)
{
    nqi_distortion_lanes lanes = *given;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            add_lane(&lanes, lane, w[i + lane], v[i + lane], 1.0);
    for (size_t lane = 0; i + lane < n; lane++)
        add_lane(&lanes, lane, w[i + lane], v[i + lane], 1.0);
    *given = lanes;
}

void nqi_distortion_add(nqi_distortion_lanes *lanes, const double *w, const double *v,
                        const double *h, size_t n)
{
    lanes->n += n;
    if (h)
        add_weighted(lanes, w, v, h, n);
    else
        add_plain(lanes, w, v, n);
}

void nqi_distortion_add_same(nqi_distortion_lanes *lanes, const double *w, size_t n)
{
    lanes->n += n;
    for (size_t i = 0; i < n; i++)
        lanes->energy[i % LANES] += energy_of(w[i]);
}

/* ---- Sums ---------------------------------------------------------------------------------- */

static double sum_lanes(const double *lane)
{
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) +
           ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

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
