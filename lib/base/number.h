/*
 * Which numbers are finite, and which types hold weights.
 */
#ifndef NQI_NUMBER_H
#define NQI_NUMBER_H

#include <stdbool.h>

#include "nq/types.h"

static inline bool nqi_is_finite(double value)
{
    return value - value == 0;
}

/* The types that can be quantized, and that quantized tensors decode to. */
static inline bool nqi_is_weight_type(uint32_t dtype)
{
    return dtype == NQ_F32 || dtype == NQ_F16 || dtype == NQ_BF16;
}

#endif
