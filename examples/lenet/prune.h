/*
 * Gradual magnitude pruning with retraining (Han et al. 2015, along the schedule of Zhu, Gupta
 * 2017): the smallest weights of all layers together become zero and stay so, a few at a time,
 * while Adam trains what is left.
 */
#ifndef LENET_PRUNE_H
#define LENET_PRUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fault.h"
#include "idx.h"

typedef struct prune_options {
    uint64_t seed;
    uint32_t epochs;
    uint32_t ramp; /* the density falls during the first so many of them, 1..epochs */
    uint32_t batch;
    uint32_t shift;
    float rate;  /* Adam's, of the first step, falling to 0 in a straight line */
    float decay; /* part of each weight, not bias, that a step at rate 1 would take off */
    double
        density; /* part of the weights, biases not counted, that is left in the end, in (0, 1] */
} prune_options;

extern const prune_options prune_defaults;

typedef struct pruner pruner;

/*
 * A pruner of trained weights, which it changes; on the first `count` images of the set, both
 * borrowed. Begins at the density that the weights have. Same weights, options and images: same
 * result, to the last bit. NULL when memory is short.
 */
pruner *pruner_create(float *weights, const idx_set *set, size_t count,
                      const prune_options *options);
void pruner_destroy(pruner *p);

/* Once through all images; *loss is their mean loss on the way. FAULT_MEMORY, FAULT_FORMAT for
 * weights that are not finite. */
bool pruner_epoch(pruner *p, double *loss, fault *f);

/* Adam's second moment of each weight's gradient, LENET_PARAMETERS of them. */
const float *pruner_second_moment(const pruner *p);

/* Part of the weights, biases not counted, that is not zero. */
double prune_density(const float *weights);

#endif
