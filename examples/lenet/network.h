/*
 * The Caffe LeNet-5: 20 and 50 filters of 5 x 5, each layer followed by 2 x 2 max pooling and by no
 * other non-linearity, 500 hidden units with ReLU, 10 outputs.
 */
#ifndef LENET_NETWORK_H
#define LENET_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "idx.h"

/* The weights are one array of LENET_PARAMETERS floats, tensor after tensor in this order. */
enum {
    LENET_CONV1_WEIGHT,
    LENET_CONV1_BIAS,
    LENET_CONV2_WEIGHT,
    LENET_CONV2_BIAS,
    LENET_IP1_WEIGHT,
    LENET_IP1_BIAS,
    LENET_IP2_WEIGHT,
    LENET_IP2_BIAS,
    LENET_TENSORS
};

#define LENET_PARAMETERS 431080u
#define LENET_MAX_RANK   4

typedef struct lenet_tensor {
    const char *name;
    size_t rank;
    size_t dims[LENET_MAX_RANK];
    size_t first; /* where in the array it begins */
    size_t count;
} lenet_tensor;

extern const lenet_tensor lenet_tensors[LENET_TENSORS];

/* Room for the values of a minibatch between the layers. Belongs to one thread. */
typedef struct lenet_net lenet_net;

/* NULL when memory is short. */
lenet_net *lenet_net_create(size_t max_images);
void lenet_net_destroy(lenet_net *net);

/*
 * Sends n images (at most max_images, IDX_PIXELS floats each: pixel / 256) through the network and
 * returns the n x IDX_CLASSES outputs before the softmax. They live until the next call; the images
 * are borrowed until then.
 */
const float *lenet_forward(lenet_net *net, const float *weights, const float *images, size_t n);

/*
 * Backpropagation after a lenet_forward of the same weights and n: adds the gradient of a function
 * of the outputs to `gradient`, of LENET_PARAMETERS floats; d_outputs is that function's own, n x
 * IDX_CLASSES.
 */
void lenet_backward(lenet_net *net, const float *weights, const float *d_outputs, float *gradient,
                    size_t n);

/*
 * The second backward pass of Becker and LeCun (1988), after a lenet_forward of the same n: adds
 * the second derivative of a function of the outputs by each weight to `curvature`, of
 * LENET_PARAMETERS floats, as it comes out when at each layer only the diagonal of the Hessian is
 * handed on. Takes the squares of the weights and that function's own second derivatives, n x
 * IDX_CLASSES. Exact for the last layer. What lenet_forward left is used up.
 */
void lenet_curvature(lenet_net *net, const float *weight_squares, const float *d2_outputs,
                     float *curvature, size_t n);

/*
 * The sum of the cross-entropies -ln softmax(outputs)[label] of n images. d_outputs (may be NULL)
 * gets the gradient of their mean.
 */
double lenet_loss(float *d_outputs, const float *outputs, const uint8_t *labels, size_t n);

/* IDX_CLASSES probabilities from the outputs of one image. */
void lenet_softmax(double *probabilities, const float *outputs);

/* The number of the largest output, the first of equal ones. */
unsigned lenet_choice(const float *outputs);

#endif
