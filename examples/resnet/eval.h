/*
 * Right answers and loss of a network on images, with several threads.
 */
#ifndef RESNET_EVAL_H
#define RESNET_EVAL_H

#include "network.h"

typedef struct eval_result {
    size_t n_right;
    double loss; /* mean cross-entropy, in nats */
} eval_result;

/* On the first n_images, 1 .. set->count, with 1..EVAL_MAX_THREADS threads, whose number is not to
 * be seen in the result. FAULT_MEMORY. */
#define EVAL_MAX_THREADS 256u
bool eval_run(eval_result *result, const resnet *net, const cifar_set *set, size_t n_images,
              unsigned n_threads, fault *f);

#endif
