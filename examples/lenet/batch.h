/*
 * Minibatches: images in random order, each moved by a random number of pixels.
 */
#ifndef LENET_BATCH_H
#define LENET_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "idx.h"

typedef struct batches {
    const idx_set *set;
    uint32_t count; /* the first so many images of the set */
    uint32_t size;  /* of a minibatch */
    uint32_t shift; /* at most so many pixels to each side and up and down */
    uint32_t next;
    uint32_t *order;
    float *images; /* of the minibatch at hand: size x IDX_PIXELS, pixel / 256 */
    uint8_t *labels;
} batches;

/* The set is borrowed. False when memory is short; then there is nothing to free. */
bool batches_create(batches *b, const idx_set *set, uint32_t count, uint32_t size, uint32_t shift);
void batches_free(batches *b);

/* Begins an epoch in a new order. */
void batches_shuffle(batches *b, uint64_t *random);

/* Fetches the next minibatch and returns its number of images: `size`, fewer in an epoch's last
 * one, 0 at its end. */
uint32_t batches_next(batches *b, uint64_t *random);

/* Minibatches of an epoch. */
uint32_t batches_in_epoch(const batches *b);

#endif
