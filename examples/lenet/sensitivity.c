/*
 * Each kind adds samples to one accumulator of the library, for all parameters in their order.
 * Images are taken as they are, without shifts.
 */
#include "sensitivity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <nq/nq.h>

#include "eval.h"
#include "network.h"
#include "random.h"

#define GROUP 64u

/* How far weights are moved to see how their gradient changes. */
#define REACH 0x1p-11f

const char *const sensitivity_names[SENSITIVITY_KINDS + 1] = {"hessian", "newton", "fisher",
                                                              "probes", NULL};

typedef struct gatherer {
    const float *weights;
    const idx_set *set;
    uint64_t random;
    nq_importance *sums;
    lenet_net *net;
    float *images;    /* GROUP of them */
    float *d_outputs; /* of each */
    float *result;    /* LENET_PARAMETERS, and so on */
    float *moved;
    float *probe;
    double *wide;
} gatherer;

/* ---- Create and destroy ---------------------------------------------------------------------- */

static void gatherer_free(gatherer *g)
{
    nq_importance_destroy(g->sums);
    lenet_net_destroy(g->net);
    free(g->images);
    free(g->d_outputs);
    free(g->result);
    free(g->moved);
    free(g->probe);
    free(g->wide);
}

static bool gatherer_create(gatherer *g, const float *weights, const idx_set *set, uint64_t seed)
{
    *g = (gatherer){.weights = weights, .set = set, .random = seed};
    const nq_status status = nq_importance_create(&g->sums, NULL, LENET_PARAMETERS);
    g->net = lenet_net_create(GROUP);
    g->images = malloc(GROUP * IDX_PIXELS * sizeof(float));
    g->d_outputs = malloc(GROUP * IDX_CLASSES * sizeof(float));
    g->result = malloc(LENET_PARAMETERS * sizeof(float));
    g->moved = malloc(LENET_PARAMETERS * sizeof(float));
    g->probe = malloc(LENET_PARAMETERS * sizeof(float));
    g->wide = malloc(LENET_PARAMETERS * sizeof(double));
    if (status == NQ_OK && g->net && g->images && g->d_outputs && g->result && g->moved &&
        g->probe && g->wide)
        return true;
    gatherer_free(g);
    return false;
}

/* ---- What all kinds need --------------------------------------------------------------------- */

static nq_tensor row_of(const float *values)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = NQ_F32;
    t.rank = 1;
    t.dims[0] = LENET_PARAMETERS;
    t.data = values;
    return t;
}

static void fetch(gatherer *g, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        eval_scale_image(g->images + i * IDX_PIXELS, g->set->pixels + (first + i) * IDX_PIXELS);
}

static void clear(float *values)
{
    memset(values, 0, LENET_PARAMETERS * sizeof(float));
}

static float random_sign(uint64_t *random)
{
    return random_next(random) >> 63 ? 1.0f : -1.0f;
}

/* ---- Second derivatives ---------------------------------------------------------------------- */

static void second_derivatives(float *d2, const float *outputs)
{
    double p[IDX_CLASSES];
    lenet_softmax(p, outputs);
    for (size_t j = 0; j < IDX_CLASSES; j++)
        d2[j] = (float)(p[j] * (1 - p[j]));
}

static nq_status add_hessian(gatherer *g, size_t first, size_t n)
{
    fetch(g, first, n);
    const float *outputs = lenet_forward(g->net, g->weights, g->images, n);
    for (size_t i = 0; i < n; i++)
        second_derivatives(g->d_outputs + i * IDX_CLASSES, outputs + i * IDX_CLASSES);
    for (size_t i = 0; i < LENET_PARAMETERS; i++)
        g->moved[i] = g->weights[i] * g->weights[i];
    clear(g->result);
    lenet_curvature(g->net, g->moved, g->d_outputs, g->result, n);
    for (size_t i = 0; i < LENET_PARAMETERS; i++)
        g->wide[i] = (double)g->result[i];
    return nq_importance_add_sums(g->sums, g->wide, n);
}

/* ---- Squared gradients, image by image ------------------------------------------------------- */

/* A random sum of outputs, such that the mean of its gradient's outer square is the Hessian of the
 * cross-entropy by the outputs, diag(p) - p p'. */
static void random_sum(float *d, const float *outputs, uint64_t *random)
{
    double p[IDX_CLASSES], sum = 0;
    lenet_softmax(p, outputs);
    for (size_t j = 0; j < IDX_CLASSES; j++) {
        const double part = sqrt(p[j]) * (double)random_sign(random);
        sum += part;
        d[j] = (float)part;
    }
    for (size_t j = 0; j < IDX_CLASSES; j++)
        d[j] -= (float)(p[j] * sum);
}

static nq_status add_squares(gatherer *g, uint32_t kind, size_t number)
{
    fetch(g, number, 1);
    const float *outputs = lenet_forward(g->net, g->weights, g->images, 1);
    if (kind == SENSITIVITY_FISHER)
        lenet_loss(g->d_outputs, outputs, g->set->labels + number, 1);
    else
        random_sum(g->d_outputs, outputs, &g->random);
    clear(g->result);
    lenet_backward(g->net, g->weights, g->d_outputs, g->result, 1);
    const nq_tensor gradient = row_of(g->result);
    return nq_importance_add_squares(g->sums, &gradient, NULL);
}

/* ---- Probes ---------------------------------------------------------------------------------- */

/* Adds `sign` times the gradient at the weights moved along the probe. */
static void add_gradient_at(gatherer *g, const uint8_t *labels, size_t n, float sign)
{
    for (size_t i = 0; i < LENET_PARAMETERS; i++)
        g->moved[i] = g->weights[i] + sign * REACH * g->probe[i];
    const float *outputs = lenet_forward(g->net, g->moved, g->images, n);
    lenet_loss(g->d_outputs, outputs, labels, n);
    for (size_t i = 0; i < n * IDX_CLASSES; i++)
        g->d_outputs[i] *= sign / (2 * REACH);
    lenet_backward(g->net, g->moved, g->d_outputs, g->result, n);
}

static nq_status add_probe(gatherer *g, size_t first, size_t n)
{
    fetch(g, first, n);
    for (size_t i = 0; i < LENET_PARAMETERS; i++)
        g->probe[i] = random_sign(&g->random);
    clear(g->result);
    add_gradient_at(g, g->set->labels + first, n, 1);
    add_gradient_at(g, g->set->labels + first, n, -1);
    const nq_tensor z = row_of(g->probe), hz = row_of(g->result);
    return nq_importance_add_probes(g->sums, &z, &hz, NULL);
}

/* ---- All images ------------------------------------------------------------------------------ */

static nq_status add_group(gatherer *g, uint32_t kind, size_t first, size_t n)
{
    if (kind == SENSITIVITY_HESSIAN)
        return add_hessian(g, first, n);
    if (kind == SENSITIVITY_PROBES)
        return add_probe(g, first, n);
    nq_status status = NQ_OK;
    for (size_t i = first; status == NQ_OK && i < first + n; i++)
        status = add_squares(g, kind, i);
    return status;
}

bool sensitivity_gather(float *values, uint32_t kind, const float *weights, const idx_set *set,
                        size_t count, uint64_t seed, fault *f)
{
    gatherer g;
    if (!gatherer_create(&g, weights, set, seed))
        return fault_memory(f, "importance");
    nq_status status = NQ_OK;
    for (size_t first = 0; status == NQ_OK && first < count; first += GROUP)
        status = add_group(&g, kind, first, count - first < GROUP ? count - first : GROUP);
    if (status == NQ_OK)
        status = nq_importance_mean(values, NULL, g.sums);
    gatherer_free(&g);
    return status == NQ_OK || fault_set(f, FAULT_FORMAT, "importance: %s", nq_status_text(status));
}
