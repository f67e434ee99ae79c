/*
 * Threads take one group of images after another; what came of each image is kept and added up in
 * the end, in the images' order.
 */
#include "eval.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct job {
    const resnet *net;
    const cifar_set *set;
    size_t n_images;
    atomic_size_t next; /* image that no thread has taken */
    float *outputs;     /* n_images x CIFAR_CLASSES */
} job;

typedef struct worker {
    job *job;
    float *room;
    pthread_t thread;
    bool is_started;
} worker;

static void *work(void *argument)
{
    worker *me = argument;
    job *j = me->job;
    for (;;) {
        const uint8_t *images[LANES];
        const size_t first = atomic_fetch_add(&j->next, LANES);
        if (first >= j->n_images)
            return NULL;
        const size_t n = j->n_images - first < LANES ? j->n_images - first : LANES;
        for (size_t i = 0; i < n; i++)
            images[i] = cifar_pixels(j->set, first + i);
        resnet_run(j->outputs + first * CIFAR_CLASSES, me->room, j->net, images, n);
    }
}

/* The calling thread works, too, and does all of it where no other can be started. */
static bool work_together(job *j, worker *workers, unsigned n_threads)
{
    for (unsigned i = 0; i < n_threads; i++) {
        workers[i].job = j;
        workers[i].room = malloc(resnet_room(j->net) * sizeof(float));
        if (!workers[i].room)
            return false;
    }
    for (unsigned i = 1; i < n_threads; i++)
        workers[i].is_started = pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
    work(&workers[0]);
    for (unsigned i = 1; i < n_threads; i++)
        if (workers[i].is_started)
            pthread_join(workers[i].thread, NULL);
    return true;
}

static void add_image(eval_result *result, const float *outputs, uint8_t label)
{
    size_t best = 0;
    double sum = 0;
    for (size_t i = 1; i < CIFAR_CLASSES; i++)
        best = outputs[i] > outputs[best] ? i : best;
    for (size_t i = 0; i < CIFAR_CLASSES; i++)
        sum += exp((double)outputs[i] - (double)outputs[best]);
    result->n_right += best == label;
    result->loss += log(sum) + (double)outputs[best] - (double)outputs[label];
}

bool eval_run(eval_result *result, const resnet *net, const cifar_set *set, size_t n_images,
              unsigned n_threads, fault *f)
{
    job j = {.net = net, .set = set, .n_images = n_images};
    worker *workers = calloc(n_threads, sizeof *workers);
    j.outputs = malloc(n_images * CIFAR_CLASSES * sizeof *j.outputs);
    *result = (eval_result){0};
    const bool is_done = workers && j.outputs && work_together(&j, workers, n_threads);
    for (size_t i = 0; is_done && i < n_images; i++)
        add_image(result, j.outputs + i * CIFAR_CLASSES, cifar_label(set, i));
    result->loss /= (double)n_images;
    for (unsigned i = 0; workers && i < n_threads; i++)
        free(workers[i].room);
    free(workers);
    free(j.outputs);
    return is_done || fault_memory(f, "evaluation");
}
