/*
 * How many images a network gets right.
 */
#ifndef LENET_EVAL_H
#define LENET_EVAL_H

#include <stddef.h>

#include "idx.h"

/* One image as the network wants it: pixel / 256. */
void eval_scale_image(float *image, const uint8_t *pixels);

/*
 * Counts the images first .. first + count - 1 of the set whose label is the network's choice.
 * Returns 0, or -1 when memory is short.
 */
int eval_count(size_t *n_right, const float *weights, const idx_set *set, size_t first,
               size_t count);

#endif
