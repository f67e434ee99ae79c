/*
 * 3 x 3 convolutions of LANES images at once. A plane is what one channel of an image is, and here
 * what it is of all of them: side x side x LANES floats, the images innermost, so that whatever is
 * done to one image is done to all by vectors.
 */
#ifndef RESNET_CONV_H
#define RESNET_CONV_H

#include <stddef.h>

#define LANES       16u
#define CONV_MAX_IN 64u

typedef struct conv_shape {
    size_t n_in;   /* at most CONV_MAX_IN */
    size_t n_out;  /* a multiple of four */
    size_t stride; /* 1 or 2 */
    size_t side;   /* of the output, a multiple of four; the input's is stride times it */
} conv_shape;

/* Floats of a conv_pad's output. */
size_t conv_padded_size(const conv_shape *s);

/*
 * The input, n_in planes, with a border of zeros, as conv_run wants it; for stride 2 the even
 * columns of a row stand in front of the odd ones.
 */
void conv_pad(float *padded, const float *in, const conv_shape *s);

/* The weights, n_out x n_in x 3 x 3, in the order in which conv_run reads them. */
void conv_pack(float *packed, const float *weights, const conv_shape *s);

/* out, n_out planes, from padded input and packed weights. Each sum is over input channels, then
 * rows and columns of the filter, in this order on every machine. */
void conv_run(float *out, const float *padded, const float *packed, const conv_shape *s);

#endif
