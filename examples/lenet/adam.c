/*
 * Adam with the constants of its authors. Square roots are rounded the same everywhere, so steps
 * are.
 */
#include "adam.h"

#include <math.h>
#include <stdlib.h>

#define MEAN_KEPT   0.9f
#define SQUARE_KEPT 0.999f
#define EPSILON     1e-8f

bool adam_create(adam *a, size_t count)
{
    *a = (adam){.count = count, .mean_left = 1, .square_left = 1};
    a->mean = calloc(count, sizeof *a->mean);
    a->square = calloc(count, sizeof *a->square);
    if (a->mean && a->square)
        return true;
    adam_free(a);
    return false;
}

void adam_free(adam *a)
{
    free(a->mean);
    free(a->square);
    *a = (adam){0};
}

void adam_step(adam *a, float *weights, const float *gradient, float rate)
{
    a->mean_left *= MEAN_KEPT;
    a->square_left *= SQUARE_KEPT;
    const float step = rate / (1 - a->mean_left);
    const float scale = 1 / (1 - a->square_left);
    for (size_t i = 0; i < a->count; i++) {
        a->mean[i] = MEAN_KEPT * a->mean[i] + (1 - MEAN_KEPT) * gradient[i];
        a->square[i] = SQUARE_KEPT * a->square[i] + (1 - SQUARE_KEPT) * gradient[i] * gradient[i];
        weights[i] -= step * a->mean[i] / (sqrtf(scale * a->square[i]) + EPSILON);
    }
}
