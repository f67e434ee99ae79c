/*
 * The training loop: minibatches and steps. Takes nothing from the machine (no clock, no libm): see
 * trainer_create.
 */
#include "train.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
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
    batches batches;
    uint64_t n_steps; /* of the whole training */
    uint64_t step;
    uint64_t random;
    lenet_net *net;
    float *weights;
    float *gradient;
    float *velocity;
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
    t->n_steps = (count + options->batch - 1) / options->batch * options->epochs;
    t->random = options->seed;
    t->weights = weights;
    t->net = lenet_net_create(options->batch);
    t->gradient = calloc(LENET_PARAMETERS, sizeof(float));
    t->velocity = calloc(LENET_PARAMETERS, sizeof(float));
    t->d_outputs = calloc(options->batch, IDX_CLASSES * sizeof(float));
    const bool has_batches =
        batches_create(&t->batches, set, (uint32_t)count, options->batch, options->shift);
    if (!has_batches || !t->net || !t->gradient || !t->velocity || !t->d_outputs) {
        trainer_destroy(t);
        return NULL;
    }
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
    free(t->d_outputs);
    batches_free(&t->batches);
    free(t);
}

/* ---- An epoch -------------------------------------------------------------------------------- */

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
    uint32_t n;
    batches_shuffle(&t->batches, &t->random);
    while ((n = batches_next(&t->batches, &t->random)) > 0) {
        const float *outputs = lenet_forward(t->net, t->weights, t->batches.images, n);
        loss += lenet_loss(t->d_outputs, outputs, t->batches.labels, n);
        memset(t->gradient, 0, LENET_PARAMETERS * sizeof(float));
        lenet_backward(t->net, t->weights, t->d_outputs, t->gradient, n);
        descend(t);
    }
    return loss / t->batches.count;
}
