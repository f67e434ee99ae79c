/*
 * Training: minibatch gradient descent with momentum, weight decay and small random shifts of the
 * images, at a rate that falls to zero in a straight line.
 */
#ifndef LENET_TRAIN_H
#define LENET_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "idx.h"

typedef struct train_options {
    uint64_t seed;
    uint32_t epochs;
    uint32_t batch; /* images in a step */
    uint32_t shift; /* at most so many pixels to each side and up and down */
    float rate;     /* of the first step */
    float momentum;
    float decay; /* of weights, not of biases */
} train_options;

/* Settings that were found on 5,000 images held out of the training set: see README.md. */
extern const train_options train_defaults;

typedef struct trainer trainer;

/*
 * A trainer on the first `count` images of the set, both borrowed. weights, of LENET_PARAMETERS
 * floats, get random values (uniform, variance 1 / inputs) and are changed by each epoch. Same
 * options and images: same weights, to the last bit. NULL when memory is short.
 */
trainer *trainer_create(float *weights, const idx_set *set, size_t count,
                        const train_options *options);
void trainer_destroy(trainer *t);

/* Once through all images in random order; returns their mean loss on the way. */
double trainer_epoch(trainer *t);

#endif
