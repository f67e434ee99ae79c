/*
 * The order is shuffled as a whole at the start of an epoch; shifts are drawn as images are
 * fetched.
 */
#include "batch.h"

#include <stdlib.h>

#include "random.h"

bool batches_create(batches *b, const idx_set *set, uint32_t count, uint32_t size, uint32_t shift)
{
    *b = (batches){.set = set, .count = count, .size = size, .shift = shift};
    b->order = calloc(count, sizeof *b->order);
    b->images = calloc(size, IDX_PIXELS * sizeof *b->images);
    b->labels = calloc(size, sizeof *b->labels);
    if (!b->order || !b->images || !b->labels) {
        batches_free(b);
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        b->order[i] = i;
    b->next = count;
    return true;
}

void batches_free(batches *b)
{
    free(b->order);
    free(b->images);
    free(b->labels);
    *b = (batches){0};
}

/* Fisher and Yates. */
void batches_shuffle(batches *b, uint64_t *random)
{
    for (uint32_t left = b->count; left > 1; left--) {
        const uint32_t chosen = random_below(random, left);
        const uint32_t kept = b->order[chosen];
        b->order[chosen] = b->order[left - 1];
        b->order[left - 1] = kept;
    }
    b->next = 0;
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

static int random_shift(const batches *b, uint64_t *random)
{
    return (int)random_below(random, 2 * b->shift + 1) - (int)b->shift;
}

uint32_t batches_next(batches *b, uint64_t *random)
{
    const uint32_t left = b->count - b->next;
    const uint32_t n = left < b->size ? left : b->size;
    for (uint32_t i = 0; i < n; i++) {
        const size_t number = b->order[b->next + i];
        const int dx = random_shift(b, random), dy = random_shift(b, random);
        shift_image(b->images + (size_t)i * IDX_PIXELS, b->set->pixels + number * IDX_PIXELS, dx,
                    dy);
        b->labels[i] = b->set->labels[number];
    }
    b->next += n;
    return n;
}

uint32_t batches_in_epoch(const batches *b)
{
    return (b->count + b->size - 1) / b->size;
}
