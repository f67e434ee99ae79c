/*
 * Forward and backward over a minibatch. Each convolution works image by image, so that its patches
 * stay in the cache, and the fully connected layers on the whole minibatch. Everything costly is a
 * matrix product.
 *
 * Results depend on nothing but the arguments: no library function whose last digit varies is used
 * on the way to an output or a gradient.
 */
#include "network.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conv.h"
#include "matmul.h"

enum {
    C1 = 20,    /* channels */
    SIDE1 = 24, /* of the first convolution's output */
    PLACES1 = SIDE1 * SIDE1,
    POOL1 = C1 * PLACES1 / 4,
    SIDE1_POOLED = SIDE1 / 2,
    C2 = 50,
    SIDE2 = 8,
    PLACES2 = SIDE2 * SIDE2,
    POOL2 = C2 * PLACES2 / 4,
    PATCH1 = 25, /* weights of one filter */
    PATCH2 = C1 * 25,
    HIDDEN = 500,
    OUTPUTS = IDX_CLASSES
};

const lenet_tensor lenet_tensors[LENET_TENSORS] = {
    /* name, dimensions, where it begins, elements */
    {"conv1.weight", 4, {C1, 1, 5, 5}, 0, 500},         {"conv1.bias", 1, {C1}, 500, 20},
    {"conv2.weight", 4, {C2, C1, 5, 5}, 520, 25000},    {"conv2.bias", 1, {C2}, 25520, 50},
    {"ip1.weight", 2, {HIDDEN, POOL2}, 25570, 400000},  {"ip1.bias", 1, {HIDDEN}, 425570, 500},
    {"ip2.weight", 2, {OUTPUTS, HIDDEN}, 426070, 5000}, {"ip2.bias", 1, {OUTPUTS}, 431070, 10},
};

struct lenet_net {
    size_t max_images;
    const float *images; /* of the last forward; their squares after lenet_curvature */
    float *pooled1;      /* max_images x POOL1, and so on */
    float *pooled2;
    float *hidden;
    float *outputs;
    float *image_squares;
    float *d_hidden;
    float *d_pooled2;
    uint8_t *which1;
    uint8_t *which2;
    matmul_room *room;
    float d_pooled1[POOL1]; /* from here on of one image */
    float planes[C1 * PLACES1];
    float patches[PATCH2 * PLACES2];
};

static_assert(C1 * PLACES1 >= C2 * PLACES2, "planes hold either convolution's output");
static_assert(PATCH2 * PLACES2 >= PATCH1 * PLACES1, "patches hold either convolution's input");

lenet_net *lenet_net_create(size_t max_images)
{
    lenet_net *net = calloc(1, sizeof *net);
    if (!net)
        return NULL;
    net->max_images = max_images;
    net->pooled1 = calloc(max_images, POOL1 * sizeof(float));
    net->pooled2 = calloc(max_images, POOL2 * sizeof(float));
    net->hidden = calloc(max_images, HIDDEN * sizeof(float));
    net->outputs = calloc(max_images, OUTPUTS * sizeof(float));
    net->image_squares = calloc(max_images, IDX_PIXELS * sizeof(float));
    net->d_hidden = calloc(max_images, HIDDEN * sizeof(float));
    net->d_pooled2 = calloc(max_images, POOL2 * sizeof(float));
    net->which1 = calloc(max_images, POOL1);
    net->which2 = calloc(max_images, POOL2);
    net->room = matmul_room_create();
    if (net->pooled1 && net->pooled2 && net->hidden && net->outputs && net->image_squares &&
        net->d_hidden && net->d_pooled2 && net->which1 && net->which2 && net->room)
        return net;
    lenet_net_destroy(net);
    return NULL;
}

void lenet_net_destroy(lenet_net *net)
{
    if (!net)
        return;
    free(net->pooled1);
    free(net->pooled2);
    free(net->hidden);
    free(net->outputs);
    free(net->image_squares);
    free(net->d_hidden);
    free(net->d_pooled2);
    free(net->which1);
    free(net->which2);
    matmul_room_destroy(net->room);
    free(net);
}

static const float *tensor_of(const float *weights, unsigned tensor)
{
    return weights + lenet_tensors[tensor].first;
}

static float *gradient_of(float *gradient, unsigned tensor)
{
    return gradient + lenet_tensors[tensor].first;
}

/* A matrix without gaps, and the transpose of one. */
static matrix plain(const float *data, size_t columns)
{
    return (matrix){.data = data, .row_step = columns, .column_step = 1};
}

static matrix flipped(const float *data, size_t columns)
{
    return (matrix){.data = data, .row_step = 1, .column_step = columns};
}

/* ---- Forward --------------------------------------------------------------------------------- */

/* planes = bias + weights * patches, a row for each filter. */
static void convolve(float *planes, const float *weights, const float *bias, const float *patches,
                     size_t filters, size_t patch, size_t places, matmul_room *room)
{
    for (size_t i = 0; i < filters; i++)
        for (size_t j = 0; j < places; j++)
            planes[i * places + j] = bias[i];
    matmul_add(planes, plain(weights, patch), plain(patches, places), filters, patch, places, room);
}

/* out = bias + in * weights transposed, a row for each image. */
static void connect(float *out, const float *weights, const float *bias, const float *in,
                    size_t images, size_t n_in, size_t n_out, matmul_room *room)
{
    for (size_t i = 0; i < images; i++)
        memcpy(out + i * n_out, bias, n_out * sizeof(float));
    matmul_add(out, plain(in, n_in), flipped(weights, n_in), images, n_in, n_out, room);
}

static void forward_image(lenet_net *net, const float *weights, size_t i)
{
    float *pooled1 = net->pooled1 + i * POOL1;
    conv_unfold(net->patches, net->images + i * IDX_PIXELS, 1, IDX_SIDE);
    convolve(net->planes, tensor_of(weights, LENET_CONV1_WEIGHT),
             tensor_of(weights, LENET_CONV1_BIAS), net->patches, C1, PATCH1, PLACES1, net->room);
    pool_max(pooled1, net->which1 + i * POOL1, net->planes, C1, SIDE1);

    conv_unfold(net->patches, pooled1, C1, SIDE1_POOLED);
    convolve(net->planes, tensor_of(weights, LENET_CONV2_WEIGHT),
             tensor_of(weights, LENET_CONV2_BIAS), net->patches, C2, PATCH2, PLACES2, net->room);
    pool_max(net->pooled2 + i * POOL2, net->which2 + i * POOL2, net->planes, C2, SIDE2);
}

const float *lenet_forward(lenet_net *net, const float *weights, const float *images, size_t n)
{
    assert(n <= net->max_images);
    net->images = images;
    for (size_t i = 0; i < n; i++)
        forward_image(net, weights, i);
    connect(net->hidden, tensor_of(weights, LENET_IP1_WEIGHT), tensor_of(weights, LENET_IP1_BIAS),
            net->pooled2, n, POOL2, HIDDEN, net->room);
    for (size_t i = 0; i < n * HIDDEN; i++)
        net->hidden[i] = net->hidden[i] > 0 ? net->hidden[i] : 0;
    connect(net->outputs, tensor_of(weights, LENET_IP2_WEIGHT), tensor_of(weights, LENET_IP2_BIAS),
            net->hidden, n, HIDDEN, OUTPUTS, net->room);
    return net->outputs;
}

unsigned lenet_choice(const float *outputs)
{
    unsigned best = 0;
    for (unsigned i = 1; i < OUTPUTS; i++)
        best = outputs[i] > outputs[best] ? i : best;
    return best;
}

/* ---- Loss ------------------------------------------------------------------------------------ */

/* e^x for x <= 0, the same on every machine; 0 below -700. Relative error about 1e-15. */
static double exp_negative(double x)
{
    static const double log2_e = 1.4426950408889634, ln2 = 0.6931471805599453;
    if (!(x > -700))
        return 0;
    const int power = (int)(x * log2_e - 0.5); /* nearest; x is not positive */
    const double rest = x - power * ln2;       /* at most 0.35 in size */
    double sum = 1;
    for (int i = 13; i > 0; i--) /* Taylor: 0.35^14 / 14! is below 1e-17 */
        sum = 1 + sum * rest / i;
    return ldexp(sum, power);
}

double lenet_loss(float *d_outputs, const float *outputs, const uint8_t *labels, size_t n)
{
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        const float *out = outputs + i * OUTPUTS;
        const double largest = (double)out[lenet_choice(out)];
        double power[OUTPUTS], sum = 0;
        for (size_t j = 0; j < OUTPUTS; j++)
            sum += power[j] = exp_negative((double)out[j] - largest);
        loss += log(sum) + largest - (double)out[labels[i]];
        for (size_t j = 0; d_outputs && j < OUTPUTS; j++)
            d_outputs[i * OUTPUTS + j] =
                (float)((power[j] / sum - (j == labels[i] ? 1 : 0)) / (double)n);
    }
    return loss;
}

void lenet_softmax(double *probabilities, const float *outputs)
{
    const double largest = (double)outputs[lenet_choice(outputs)];
    double sum = 0;
    for (size_t j = 0; j < OUTPUTS; j++)
        sum += probabilities[j] = exp_negative((double)outputs[j] - largest);
    for (size_t j = 0; j < OUTPUTS; j++)
        probabilities[j] /= sum;
}

/* ---- Backward -------------------------------------------------------------------------------- */

/* sums[j] += the sum of column j, over `rows` rows. */
static void add_columns(float *sums, const float *values, size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            sums[j] += values[i * columns + j];
}

/* sums[i] += the sum of row i. */
static void add_rows(float *sums, const float *values, size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i++) {
        float sum = 0;
        for (size_t j = 0; j < columns; j++)
            sum += values[i * columns + j];
        sums[i] += sum;
    }
}

/* Of a fully connected layer: gradients of weights and bias, and d_in. */
static void connect_back(float *d_weights, float *d_bias, float *d_in, const float *d_out,
                         const float *weights, const float *in, size_t images, size_t n_in,
                         size_t n_out, matmul_room *room)
{
    add_columns(d_bias, d_out, images, n_out);
    matmul_add(d_weights, flipped(d_out, n_out), plain(in, n_in), n_out, images, n_in, room);
    memset(d_in, 0, images * n_in * sizeof(float));
    matmul_add(d_in, plain(d_out, n_out), plain(weights, n_in), images, n_out, n_in, room);
}

/* Of the convolution whose patches lie in net->patches and d_output in net->planes. */
static void convolve_back(lenet_net *net, float *d_weights, float *d_bias, size_t filters,
                          size_t patch, size_t places)
{
    add_rows(d_bias, net->planes, filters, places);
    matmul_add(d_weights, plain(net->planes, places), flipped(net->patches, places), filters,
               places, patch, net->room);
}

static void backward_image(lenet_net *net, const float *weights, float *gradient, size_t i)
{
    conv_unfold(net->patches, net->pooled1 + i * POOL1, C1, SIDE1_POOLED);
    pool_max_back(net->planes, net->d_pooled2 + i * POOL2, net->which2 + i * POOL2, C2, SIDE2);
    convolve_back(net, gradient_of(gradient, LENET_CONV2_WEIGHT),
                  gradient_of(gradient, LENET_CONV2_BIAS), C2, PATCH2, PLACES2);

    memset(net->patches, 0, sizeof net->patches);
    memset(net->d_pooled1, 0, sizeof net->d_pooled1);
    matmul_add(net->patches, flipped(tensor_of(weights, LENET_CONV2_WEIGHT), PATCH2),
               plain(net->planes, PLACES2), PATCH2, C2, PLACES2, net->room);
    conv_fold_add(net->d_pooled1, net->patches, C1, SIDE1_POOLED);

    conv_unfold(net->patches, net->images + i * IDX_PIXELS, 1, IDX_SIDE);
    pool_max_back(net->planes, net->d_pooled1, net->which1 + i * POOL1, C1, SIDE1);
    convolve_back(net, gradient_of(gradient, LENET_CONV1_WEIGHT),
                  gradient_of(gradient, LENET_CONV1_BIAS), C1, PATCH1, PLACES1);
}

void lenet_backward(lenet_net *net, const float *weights, const float *d_outputs, float *gradient,
                    size_t n)
{
    connect_back(gradient_of(gradient, LENET_IP2_WEIGHT), gradient_of(gradient, LENET_IP2_BIAS),
                 net->d_hidden, d_outputs, tensor_of(weights, LENET_IP2_WEIGHT), net->hidden, n,
                 HIDDEN, OUTPUTS, net->room);
    for (size_t i = 0; i < n * HIDDEN; i++)
        net->d_hidden[i] = net->hidden[i] > 0 ? net->d_hidden[i] : 0;
    connect_back(gradient_of(gradient, LENET_IP1_WEIGHT), gradient_of(gradient, LENET_IP1_BIAS),
                 net->d_pooled2, net->d_hidden, tensor_of(weights, LENET_IP1_WEIGHT), net->pooled2,
                 n, POOL2, HIDDEN, net->room);
    for (size_t i = 0; i < n; i++)
        backward_image(net, weights, gradient, i);
}

/* ---- Backward once more ---------------------------------------------------------------------- */

static void square(float *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] * in[i];
}

/* ReLU and pooling choose alike among values and among their squares, and have no curvature. What
 * is left of the second derivatives' way back is that of gradients with every factor squared. */
void lenet_curvature(lenet_net *net, const float *weight_squares, const float *d2_outputs,
                     float *curvature, size_t n)
{
    square(net->image_squares, net->images, n * IDX_PIXELS);
    square(net->pooled1, net->pooled1, n * POOL1);
    square(net->pooled2, net->pooled2, n * POOL2);
    square(net->hidden, net->hidden, n * HIDDEN);
    net->images = net->image_squares;
    lenet_backward(net, weight_squares, d2_outputs, curvature, n);
}
