/*
 * Reading and running. Batch norms are a factor and a term for each channel of a convolution.
 */
#include "network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_STAGES = 3, MAX_BLOCKS = 18, MAX_CONVS = 1 + 2 * N_STAGES * MAX_BLOCKS };

static const size_t stage_channels[N_STAGES] = {16, 32, 64};
static const size_t stage_side[N_STAGES] = {32, 16, 8};
#define FEATURES 64u /* channels of the last stage */

typedef struct conv_layer {
    conv_shape shape;
    float *packed;
    float scale[FEATURES], shift[FEATURES]; /* the batch norm, n_out of each */
} conv_layer;

struct resnet {
    size_t n_blocks; /* of a stage, two convolutions each */
    size_t n_convs;
    conv_layer convs[MAX_CONVS]; /* in the order in which they run */
    float linear[CIFAR_CLASSES * FEATURES];
    float bias[CIFAR_CLASSES];
};

size_t resnet_depth(const resnet *net)
{
    return net->n_convs + 1;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool read_norm(conv_layer *layer, const weights *w, const char *name, fault *f)
{
    enum { GAMMA, BETA, MEAN, VARIANCE };
    static const char *const parts[] = {"weight", "bias", "running_mean", "running_var"};
    float values[4][FEATURES];
    const uint64_t n = layer->shape.n_out;
    for (size_t i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s.%s", name, parts[i]);
        if (!weights_read(values[i], w, path, 1, &n, f))
            return false;
    }
    for (size_t i = 0; i < n; i++) {
        layer->scale[i] = values[GAMMA][i] / sqrtf(values[VARIANCE][i] + 1e-5f);
        layer->shift[i] = values[BETA][i] - values[MEAN][i] * layer->scale[i];
    }
    return true;
}

/* What read_norm computes may also be in the file: factors of all layers, then terms of all layers.
 */
static const char folded_name[] = "norms";

static bool read_folded_norms(resnet *net, const weights *w, fault *f)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < net->n_convs; i++)
        n += net->convs[i].shape.n_out;
    const uint64_t dims[] = {2, n};
    float *values = malloc(2 * n * sizeof *values);
    if (!values)
        return fault_memory(f, w->path);
    const bool is_read = weights_read(values, w, folded_name, 2, dims, f);
    for (size_t i = 0; is_read && i < net->n_convs; i++) {
        conv_layer *layer = &net->convs[i];
        memcpy(layer->scale, values + at, layer->shape.n_out * sizeof *values);
        memcpy(layer->shift, values + n + at, layer->shape.n_out * sizeof *values);
        at += layer->shape.n_out;
    }
    free(values);
    return is_read;
}

/* Adds the convolution of that shape; name is "layer1.0.conv1" with the number at its end left out.
 */
static bool read_conv(resnet *net, const weights *w, const char *prefix, int number,
                      conv_shape shape, fault *f)
{
    char name[64];
    const size_t n_weights = shape.n_out * shape.n_in * 9;
    const uint64_t dims[] = {shape.n_out, shape.n_in, 3, 3};
    conv_layer *layer = &net->convs[net->n_convs++];
    float *values = malloc(n_weights * sizeof *values);
    layer->shape = shape;
    layer->packed = malloc(n_weights * sizeof *layer->packed);
    snprintf(name, sizeof name, "%sconv%d.weight", prefix, number);
    bool is_read = values && layer->packed ? weights_read(values, w, name, 4, dims, f)
                                           : fault_memory(f, w->path);
    snprintf(name, sizeof name, "%sbn%d", prefix, number);
    is_read = is_read && (weights_has(w, folded_name) || read_norm(layer, w, name, f));
    if (is_read)
        conv_pack(layer->packed, values, &shape);
    free(values);
    return is_read;
}

static bool read_block(resnet *net, const weights *w, size_t stage, size_t block, fault *f)
{
    char prefix[32];
    const bool is_narrowing = stage > 0 && block == 0;
    const size_t n = stage_channels[stage];
    conv_shape shape = {.n_in = is_narrowing ? n / 2 : n,
                        .n_out = n,
                        .stride = is_narrowing ? 2 : 1,
                        .side = stage_side[stage]};
    snprintf(prefix, sizeof prefix, "layer%zu.%zu.", stage + 1, block);
    if (!read_conv(net, w, prefix, 1, shape, f))
        return false;
    shape.n_in = n;
    shape.stride = 1;
    return read_conv(net, w, prefix, 2, shape, f);
}

static size_t count_blocks(const weights *w)
{
    char name[32];
    for (size_t n = 0; n < MAX_BLOCKS; n++) {
        snprintf(name, sizeof name, "layer1.%zu.conv1.weight", n);
        if (!weights_has(w, name))
            return n;
    }
    return MAX_BLOCKS;
}

static bool read_all(resnet *net, const weights *w, fault *f)
{
    static const conv_shape first = {
        .n_in = CIFAR_COLOURS, .n_out = 16, .stride = 1, .side = CIFAR_SIDE};
    static const uint64_t dims[] = {CIFAR_CLASSES, FEATURES};
    net->n_blocks = count_blocks(w);
    if (!read_conv(net, w, "", 1, first, f))
        return false;
    for (size_t stage = 0; stage < N_STAGES; stage++)
        for (size_t block = 0; block < net->n_blocks; block++)
            if (!read_block(net, w, stage, block, f))
                return false;
    return (!weights_has(w, folded_name) || read_folded_norms(net, w, f)) &&
           weights_read(net->linear, w, "linear.weight", 2, dims, f) &&
           weights_read(net->bias, w, "linear.bias", 1, dims, f);
}

resnet *resnet_read(const weights *w, fault *f)
{
    resnet *net = calloc(1, sizeof *net);
    if (!net)
        fault_memory(f, w->path);
    if (net && read_all(net, w, f))
        return net;
    resnet_free(net);
    return NULL;
}

void resnet_free(resnet *net)
{
    for (size_t i = 0; net && i < net->n_convs; i++)
        free(net->convs[i].packed);
    free(net);
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Of the largest planes, those of the first stage. */
#define PLANES_SIZE (16u * CIFAR_SIDE * CIFAR_SIDE * LANES)

size_t resnet_room(const resnet *net)
{
    size_t padded = 0;
    for (size_t i = 0; i < net->n_convs; i++) {
        const size_t size = conv_padded_size(&net->convs[i].shape);
        padded = size > padded ? size : padded;
    }
    return 3 * PLANES_SIZE + padded;
}

/* Bytes to what the network was trained on: means and deviations of the three colours taken out. */
static void take_images(float *out, const uint8_t *const *images, size_t n_images)
{
    static const float mean[] = {0.485f, 0.456f, 0.406f}, deviation[] = {0.229f, 0.224f, 0.225f};
    const size_t n = CIFAR_SIDE * CIFAR_SIDE;
    for (size_t i = 0; i < CIFAR_PIXELS; i++)
        for (size_t k = 0; k < LANES; k++)
            out[i * LANES + k] =
                k < n_images ? ((float)images[k][i] / 255 - mean[i / n]) / deviation[i / n] : 0;
}

static size_t plane_size(const conv_shape *s)
{
    return s->side * s->side * LANES;
}

/* out = the layer's convolution and batch norm */
static void run_layer(float *out, float *padded, const conv_layer *layer, const float *in)
{
    const size_t n = plane_size(&layer->shape);
    conv_pad(padded, in, &layer->shape);
    conv_run(out, padded, layer->packed, &layer->shape);
    for (size_t c = 0; c < layer->shape.n_out; c++)
        for (size_t i = 0; i < n; i++)
            out[c * n + i] = layer->scale[c] * out[c * n + i] + layer->shift[c];
}

static void rectify(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

/* Shortcut of kind A: every second row and column, and as many channels of zeros on either side as
 * make up for what is missing. */
static void add_shortcut(float *out, const float *in, const conv_shape *first)
{
    const size_t side = first->side, in_side = side * first->stride;
    const size_t skipped = (first->n_out - first->n_in) / 2;
    for (size_t c = 0; c < first->n_in; c++)
        for (size_t y = 0; y < side; y++)
            for (size_t x = 0; x < side; x++) {
                float *to = out + (((c + skipped) * side + y) * side + x) * LANES;
                const float *from =
                    in + ((c * in_side + y * first->stride) * in_side + x * first->stride) * LANES;
                for (size_t k = 0; k < LANES; k++)
                    to[k] += from[k];
            }
}

/* The output goes where the third buffer was. */
static void run_block(float *buffers[3], float *padded, const conv_layer *layers)
{
    float *in = buffers[0], *middle = buffers[1], *out = buffers[2];
    run_layer(middle, padded, &layers[0], in);
    rectify(middle, layers[0].shape.n_out * plane_size(&layers[0].shape));
    run_layer(out, padded, &layers[1], middle);
    add_shortcut(out, in, &layers[0].shape);
    rectify(out, layers[1].shape.n_out * plane_size(&layers[1].shape));
    buffers[0] = out;
    buffers[2] = in;
}

/* Means of the planes, through the fully connected layer. */
static void conclude(float *outputs, const resnet *net, const float *planes, size_t n_images)
{
    const size_t places = stage_side[N_STAGES - 1] * stage_side[N_STAGES - 1];
    for (size_t k = 0; k < n_images; k++) {
        float *out = outputs + k * CIFAR_CLASSES;
        memcpy(out, net->bias, sizeof net->bias);
        for (size_t c = 0; c < FEATURES; c++) {
            float sum = 0;
            for (size_t i = 0; i < places; i++)
                sum += planes[(c * places + i) * LANES + k];
            for (size_t i = 0; i < CIFAR_CLASSES; i++)
                out[i] += net->linear[i * FEATURES + c] * (sum / (float)places);
        }
    }
}

void resnet_run(float *outputs, float *room, const resnet *net, const uint8_t *const *images,
                size_t n_images)
{
    float *buffers[3] = {room, room + PLANES_SIZE, room + 2 * PLANES_SIZE};
    float *padded = room + 3 * PLANES_SIZE;
    take_images(buffers[1], images, n_images);
    run_layer(buffers[0], padded, &net->convs[0], buffers[1]);
    rectify(buffers[0], PLANES_SIZE);
    for (size_t i = 1; i < net->n_convs; i += 2)
        run_block(buffers, padded, &net->convs[i]);
    conclude(outputs, net, buffers[0], n_images);
}
