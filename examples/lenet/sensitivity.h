/*
 * How much each weight matters to the loss: the diagonal of its Hessian, and what stands in for it,
 * as means over training images. Sums are kept by libnq's accumulator.
 */
#ifndef LENET_SENSITIVITY_H
#define LENET_SENSITIVITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fault.h"
#include "idx.h"

enum {
    SENSITIVITY_HESSIAN = 0, /* the second backward pass (Becker, LeCun 1988), as in the paper */
    SENSITIVITY_NEWTON = 1,  /* squared derivatives of random sums of outputs, whose mean is the
                                Hessian's diagonal itself: the network is linear in each weight */
    SENSITIVITY_FISHER = 2,  /* squared gradients: the empirical Fisher information */
    SENSITIVITY_PROBES = 3,  /* Hutchinson's z (Hz), Hz from two gradients */
    SENSITIVITY_KINDS
};

/* Names of the kinds, and NULL. */
extern const char *const sensitivity_names[SENSITIVITY_KINDS + 1];

/*
 * Fills LENET_PARAMETERS values from the first `count` images of the set; the seed is of what is
 * random. Negative means, which probes leave, become 0. FAULT_MEMORY; FAULT_FORMAT for weights that
 * lead to values that are not finite.
 */
bool sensitivity_gather(float *values, uint32_t kind, const float *weights, const idx_set *set,
                        size_t count, uint64_t seed, fault *f);

#endif
