/*
 * The training loop: random order, random shifts, steps. Never looks at images that it was not
 * given, and takes nothing from the machine (no clock, no libm): see trainer_create.
 */
#include "train.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"
#include "random.h"

const train_options train_defaults = {.seed = 1,
                                      .epochs = 20,
                                      .batch = 64,
                                      .shift = 2,
                                      .rate = 0.05f,
                                      .momentum = 0.9f,
                                      .decay = 0.0005f};

struct trainer {
    train_options options;
    const idx_set *set;
    uint32_t count;
    uint64_t n_steps; /* of the whole training */
    uint64_t step;
    uint64_t random;
    lenet_net *net;
    float *weights;
    float *gradient;
    float *velocity;
    uint32_t *order; /* count: image numbers */
    float *images;   /* of a minibatch */
    uint8_t *labels;
    float *d_outputs;
};

/* ---- Create and destroy ---------------------------------------------------------------------- */

static size_t inputs_of(const lenet_tensor *tensor)
{
    return tensor->count / tensor->dims[0];
}

static bool is_bias(const lenet_tensor *tensor)
{
    return tensor->rank == 1;
}

/* Biases begin at zero. */
static void randomise(float *weights, uint64_t *random)
{
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *tensor = &lenet_tensors[i];
        const float scale = is_bias(tensor) ? 0 : sqrtf(3 / (float)inputs_of(tensor));
        for (size_t j = 0; j < tensor->count; j++)
            weights[tensor->first + j] = scale * random_real(random);
    }
}

trainer *trainer_create(float *weights, const idx_set *set, size_t count,
                        const train_options *options)
{
    trainer *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->options = *options;
    t->set = set;
    t->count = (uint32_t)count;
    t->n_steps = (count + options->batch - 1) / options->batch * options->epochs;
    t->random = options->seed;
    t->weights = weights;
    t->net = lenet_net_create(options->batch);
    t->gradient = calloc(LENET_PARAMETERS, sizeof(float));
    t->velocity = calloc(LENET_PARAMETERS, sizeof(float));
    t->order = calloc(count, sizeof(uint32_t));
    t->images = calloc(options->batch, IDX_PIXELS * sizeof(float));
    t->labels = calloc(options->batch, 1);
    t->d_outputs = calloc(options->batch, IDX_CLASSES * sizeof(float));
    if (!t->net || !t->gradient || !t->velocity || !t->order || !t->images || !t->labels ||
        !t->d_outputs) {
        trainer_destroy(t);
        return NULL;
    }
    for (uint32_t i = 0; i < t->count; i++)
        t->order[i] = i;
    randomise(weights, &t->random);
    return t;
}

void trainer_destroy(trainer *t)
{
    if (!t)
        return;
    lenet_net_destroy(t->net);
    free(t->gradient);
    free(t->velocity);
    free(t->order);
    free(t->images);
    free(t->labels);
    free(t->d_outputs);
    free(t);
}

/* ---- An epoch -------------------------------------------------------------------------------- */

/* Fisher and Yates. */
static void shuffle(uint32_t *order, uint32_t n, uint64_t *random)
{
    for (uint32_t left = n; left > 1; left--) {
        const uint32_t chosen = random_below(random, left);
        const uint32_t kept = order[chosen];
        order[chosen] = order[left - 1];
        order[left - 1] = kept;
    }
}

/* The image moved right by dx and down by dy; paper comes in from outside. */
static void shift_image(float *image, const uint8_t *pixels, int dx, int dy)
{
    for (int y = 0; y < IDX_SIDE; y++)
        for (int x = 0; x < IDX_SIDE; x++) {
            const int from_x = x - dx, from_y = y - dy;
            const bool is_inside =
                from_x >= 0 && from_x < IDX_SIDE && from_y >= 0 && from_y < IDX_SIDE;
            *image++ = is_inside ? (float)pixels[from_y * IDX_SIDE + from_x] * 0x1p-8f : 0;
        }
}

static int random_shift(trainer *t)
{
    return (int)random_below(&t->random, 2 * t->options.shift + 1) - (int)t->options.shift;
}

static void fetch_batch(trainer *t, const uint32_t *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int dx = random_shift(t), dy = random_shift(t);
        shift_image(t->images + i * IDX_PIXELS, t->set->pixels + (size_t)numbers[i] * IDX_PIXELS,
                    dx, dy);
        t->labels[i] = t->set->labels[numbers[i]];
    }
}

static void descend(trainer *t)
{
    const float rate = t->options.rate * (float)(t->n_steps - t->step) / (float)t->n_steps;
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *tensor = &lenet_tensors[i];
        const float decay = is_bias(tensor) ? 0 : t->options.decay;
        float *weights = t->weights + tensor->first;
        float *velocity = t->velocity + tensor->first;
        const float *gradient = t->gradient + tensor->first;
        for (size_t j = 0; j < tensor->count; j++) {
            velocity[j] =
                t->options.momentum * velocity[j] - rate * (gradient[j] + decay * weights[j]);
            weights[j] += velocity[j];
        }
    }
    t->step++;
}

double trainer_epoch(trainer *t)
{
    double loss = 0;
    shuffle(t->order, t->count, &t->random);
    for (uint32_t first = 0; first < t->count; first += t->options.batch) {
        const uint32_t left = t->count - first;
        const size_t n = left < t->options.batch ? left : t->options.batch;
        fetch_batch(t, t->order + first, n);
        const float *outputs = lenet_forward(t->net, t->weights, t->images, n);
        loss += lenet_loss(t->d_outputs, outputs, t->labels, n);
        memset(t->gradient, 0, LENET_PARAMETERS * sizeof(float));
        lenet_backward(t->net, t->weights, t->d_outputs, t->gradient, n);
        descend(t);
    }
    return loss / t->count;
}
