/*
 * The uniform quantizer's cells: cell k holds what lies nearest to k steps, halves away from zero,
 * so cell 0 is centred on zero. This one function is the definition; everything else must agree
 * with it to the bit, its rounding included.
 */
#ifndef NQI_ECSQ_UNIFORM_CELL_H
#define NQI_ECSQ_UNIFORM_CELL_H

#include "base/common.h"

/* Cells of larger number are out of reach: |w| / step stays far from the end of 64 bits. */
#define NQI_UNIFORM_CELL_MAX (INT64_C(1) << 61)

/* sign(w) floor(|w| / step + 1/2) in double; the result must be below 2^63. For a given step it
 * rises with w, and for a given w its magnitude falls with the step: rounding keeps the order of
 * numbers. */
static inline int64_t nqi_uniform_cell(double w, double step)
{
    const double magnitude = w < 0 ? -w : w;
    const int64_t cell = (int64_t)(magnitude / step + 0.5);
    return w < 0 ? -cell : cell;
}

/* Whether the cell of a value with this magnitude is within reach. */
static inline bool nqi_uniform_reaches(double magnitude, double step)
{
    return magnitude / step < (double)NQI_UNIFORM_CELL_MAX;
}

#endif
