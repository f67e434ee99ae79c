/*
 * Pruning: which weights go is decided by nq_prune, over the four weight tensors together; biases
 * stay. Takes nothing from the machine: see pruner_create.
 */
#include "prune.h"

#include <stdlib.h>
#include <string.h>

#include <nq/nq.h>

#include "adam.h"
#include "batch.h"
#include "network.h"
#include "weights.h"

/* Steps between two prunings while the density falls. */
#define INTERVAL 100u

const prune_options prune_defaults = {.seed = 1,
                                      .epochs = 24,
                                      .ramp = 14,
                                      .batch = 64,
                                      .shift = 2,
                                      .rate = 0.001f,
                                      .decay = 0.01f,
                                      .density = 0.08};

struct pruner {
    prune_options options;
    batches batches;
    uint64_t n_steps; /* of the whole run */
    uint64_t step;
    uint64_t random;
    double first_density;
    lenet_net *net;
    adam adam;
    float *weights;
    float *gradient;
    float *d_outputs;
    uint8_t *masks; /* one for each parameter; those of biases stay 1 */
};

static bool is_bias(const lenet_tensor *tensor)
{
    return tensor->rank == 1;
}

double prune_density(const float *weights)
{
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *tensor = &lenet_tensors[i];
        if (is_bias(tensor))
            continue;
        count += tensor->count;
        for (size_t j = tensor->first; j < tensor->first + tensor->count; j++)
            kept += weights[j] != 0;
    }
    return (double)kept / (double)count;
}

pruner *pruner_create(float *weights, const idx_set *set, size_t count,
                      const prune_options *options)
{
    pruner *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->options = *options;
    p->random = options->seed;
    p->weights = weights;
    p->first_density = prune_density(weights);
    p->net = lenet_net_create(options->batch);
    p->gradient = calloc(LENET_PARAMETERS, sizeof(float));
    p->d_outputs = calloc(options->batch, IDX_CLASSES * sizeof(float));
    p->masks = malloc(LENET_PARAMETERS);
    const bool has_adam = adam_create(&p->adam, LENET_PARAMETERS);
    const bool has_batches =
        batches_create(&p->batches, set, (uint32_t)count, options->batch, options->shift);
    if (!has_adam || !has_batches || !p->net || !p->gradient || !p->d_outputs || !p->masks) {
        pruner_destroy(p);
        return NULL;
    }
    memset(p->masks, 1, LENET_PARAMETERS);
    p->n_steps = (uint64_t)batches_in_epoch(&p->batches) * options->epochs;
    return p;
}

void pruner_destroy(pruner *p)
{
    if (!p)
        return;
    lenet_net_destroy(p->net);
    adam_free(&p->adam);
    batches_free(&p->batches);
    free(p->gradient);
    free(p->d_outputs);
    free(p->masks);
    free(p);
}

const float *pruner_second_moment(const pruner *p)
{
    return p->adam.square;
}

/* Falls fast at first, when there is much to choose from, and slowly in the end. */
static double density_now(const pruner *p)
{
    const uint64_t n_ramp = (uint64_t)batches_in_epoch(&p->batches) * p->options.ramp;
    if (p->step >= n_ramp)
        return p->options.density;
    const double left = 1 - (double)p->step / (double)n_ramp;
    return p->options.density + (p->first_density - p->options.density) * left * left * left;
}

static bool choose(pruner *p, fault *f)
{
    nq_tensor tensors[LENET_TENSORS];
    const nq_tensor *pointers[LENET_TENSORS];
    uint8_t *masks[LENET_TENSORS];
    size_t n = 0;
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        if (is_bias(&lenet_tensors[i]))
            continue;
        tensors[n] = weights_tensor(&lenet_tensors[i], p->weights);
        pointers[n] = &tensors[n];
        masks[n++] = p->masks + lenet_tensors[i].first;
    }
    nq_prune_options options;
    nq_prune_options_init(&options);
    options.density = density_now(p);
    const nq_status status = nq_prune(masks, NULL, NULL, pointers, NULL, n, &options, NULL);
    return status == NQ_OK || fault_set(f, FAULT_FORMAT, "pruning: %s", nq_status_text(status));
}

static void apply_masks(float *values, const uint8_t *masks)
{
    for (size_t i = 0; i < LENET_PARAMETERS; i++)
        values[i] = masks[i] ? values[i] : 0;
}

static void shrink(float *weights, float part)
{
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *tensor = &lenet_tensors[i];
        for (size_t j = tensor->first; !is_bias(tensor) && j < tensor->first + tensor->count; j++)
            weights[j] -= part * weights[j];
    }
}

static void descend(pruner *p)
{
    const float rate = p->options.rate * (float)(p->n_steps - p->step) / (float)p->n_steps;
    shrink(p->weights, rate * p->options.decay);
    adam_step(&p->adam, p->weights, p->gradient, rate);
    apply_masks(p->weights, p->masks);
}

static bool prune_if_due(pruner *p, fault *f)
{
    const uint64_t n_ramp = (uint64_t)batches_in_epoch(&p->batches) * p->options.ramp;
    if (p->step > n_ramp || (p->step % INTERVAL != 0 && p->step != n_ramp))
        return true;
    if (!choose(p, f))
        return false;
    apply_masks(p->weights, p->masks);
    return true;
}

bool pruner_epoch(pruner *p, double *loss, fault *f)
{
    uint32_t n;
    *loss = 0;
    batches_shuffle(&p->batches, &p->random);
    while ((n = batches_next(&p->batches, &p->random)) > 0) {
        if (!prune_if_due(p, f))
            return false;
        const float *outputs = lenet_forward(p->net, p->weights, p->batches.images, n);
        *loss += lenet_loss(p->d_outputs, outputs, p->batches.labels, n);
        memset(p->gradient, 0, LENET_PARAMETERS * sizeof(float));
        lenet_backward(p->net, p->weights, p->d_outputs, p->gradient, n);
        descend(p);
        p->step++;
    }
    *loss /= p->batches.count;
    return true;
}
