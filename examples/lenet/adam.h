/*
 * Adam (Kingma, Ba 2015): steps scaled by running means of gradients and of their squares.
 */
#ifndef LENET_ADAM_H
#define LENET_ADAM_H

#include <stdbool.h>
#include <stddef.h>

typedef struct adam {
    size_t count;
    float *mean;                  /* of gradients */
    float *square;                /* second moment, not corrected for its start at zero */
    float mean_left, square_left; /* what is still missing in the running means, from 1 to 0 */
} adam;

/* False when memory is short; then there is nothing to free. */
bool adam_create(adam *a, size_t count);
void adam_free(adam *a);

/* One step of `count` weights against their gradient, each by some `rate` at most. */
void adam_step(adam *a, float *weights, const float *gradient, float rate);

#endif
