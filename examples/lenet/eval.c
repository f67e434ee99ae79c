/*
 * Counts right answers. Changes nothing and prints nothing.
 */
#include "eval.h"

#include <stdlib.h>

#include "network.h"

#define GROUP 64u

void eval_scale_image(float *image, const uint8_t *pixels)
{
    for (size_t i = 0; i < IDX_PIXELS; i++)
        image[i] = (float)pixels[i] * 0x1p-8f;
}

int eval_count(size_t *n_right, const float *weights, const idx_set *set, size_t first,
               size_t count)
{
    int result = -1;
    lenet_net *net = lenet_net_create(GROUP);
    float *images = malloc(GROUP * IDX_PIXELS * sizeof(float));
    *n_right = 0;
    if (!net || !images)
        goto out;
    for (size_t done = 0; done < count; done += GROUP) {
        const size_t start = first + done;
        const size_t n = count - done < GROUP ? count - done : GROUP;
        for (size_t i = 0; i < n; i++)
            eval_scale_image(images + i * IDX_PIXELS, set->pixels + (start + i) * IDX_PIXELS);
        const float *outputs = lenet_forward(net, weights, images, n);
        for (size_t i = 0; i < n; i++)
            *n_right += lenet_choice(outputs + i * IDX_CLASSES) == set->labels[start + i];
    }
    result = 0;
out:
    free(images);
    lenet_net_destroy(net);
    return result;
}
