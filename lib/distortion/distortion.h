/*
 * Evaluation: sums over differences between originals and reconstructions. Sums of pieces are
 * combined by nqi_distortion_merge in the pieces' order; within a piece the order is fixed too.
 */
#ifndef NQI_DISTORTION_DISTORTION_H
#define NQI_DISTORTION_DISTORTION_H

#include "base/common.h"

typedef struct nqi_distortion {
    uint64_t n;
    double squared;  /* sum of (w - v)^2 */
    double weighted; /* sum of h (w - v)^2 */
    double energy;   /* sum of w^2 over finite w */
    double max_abs;  /* largest |w - v| */
} nqi_distortion;

/* Element i of a piece goes to lane i modulo this, so that compilers make vectors of the lanes. */
#define NQI_DISTORTION_LANES 8u

typedef struct nqi_distortion_lanes {
    double squared[NQI_DISTORTION_LANES];
    double weighted[NQI_DISTORTION_LANES];
    double energy[NQI_DISTORTION_LANES];
    double max_abs[NQI_DISTORTION_LANES];
    uint64_t n;
    uint64_t cpu; /* NQ_CPU_* that may be used */
} nqi_distortion_lanes;

/*
 * Adds n elements (h NULL: importance 1); all calls on one piece but the last have an n that is a
 * multiple of the lanes. Elements that are identical, both NaN included, differ by nothing whatever
 * h is; a difference that is no number counts as infinite.
 */
void nqi_distortion_add(nqi_distortion_lanes *lanes, const double *w, const double *v,
                        const double *h, size_t n);

/* nqi_distortion_add, but for the number of elements, if all differences and all importance are
 * finite; false, and nothing, otherwise. NULL: the CPU has nothing that plain C has not. */
typedef bool (*nqi_distortion_add_fn)(nqi_distortion_lanes *lanes, const double *w, const double *v,
                                      const double *h, size_t n);
nqi_distortion_add_fn nqi_distortion_add_avx512(uint64_t cpu);

/* Adds elements that are reproduced exactly. */
void nqi_distortion_add_same(nqi_distortion_lanes *lanes, const double *w, size_t n);

/* Adds a finished piece. */
void nqi_distortion_merge(nqi_distortion *sum, const nqi_distortion_lanes *lanes);

/* Adds sums of sums. */
void nqi_distortion_join(nqi_distortion *sum, const nqi_distortion *other);

/* squared / n; 0 for none. */
double nqi_distortion_mse(const nqi_distortion *d);

/* 10 log10(energy / squared): infinite when nothing differs, minus infinity without energy or when
 * the difference is infinite. */
double nqi_distortion_sqnr_db(const nqi_distortion *d);

#endif
