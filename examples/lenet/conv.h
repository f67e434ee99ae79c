/*
 * What a convolution of 5 x 5 and a pooling of 2 x 2 are made of, for one image at a time. Images
 * are planes of floats, channel after channel, row after row.
 */
#ifndef LENET_CONV_H
#define LENET_CONV_H

#include <stddef.h>
#include <stdint.h>

#define CONV_KERNEL 5u

/*
 * The patches under the kernel as a matrix: a row for each (channel, kernel row, kernel column), a
 * column for each place of the kernel. The convolution is the product of the weights with it.
 */
void conv_unfold(float *patches, const float *planes, size_t channels, size_t side);

/* The transpose: adds each element of the matrix to the pixel it came from. */
void conv_fold_add(float *planes, const float *patches, size_t channels, size_t side);

/*
 * The largest of each 2 x 2 pixels, and which of the four it was (the first of equal ones); `side`,
 * even, is that of the input.
 */
void pool_max(float *pooled, uint8_t *which, const float *planes, size_t channels, size_t side);

/* The transpose, for the same choices: overwrites all of d_planes. */
void pool_max_back(float *d_planes, const float *d_pooled, const uint8_t *which, size_t channels,
                   size_t side);

#endif
