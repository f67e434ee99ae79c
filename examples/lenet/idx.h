/*
 * MNIST's files: images and labels in the IDX format.
 */
#ifndef LENET_IDX_H
#define LENET_IDX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fault.h"

enum { IDX_SIDE = 28, IDX_PIXELS = IDX_SIDE * IDX_SIDE, IDX_CLASSES = 10 };

typedef struct idx_set {
    size_t count;
    uint8_t *pixels; /* count x IDX_PIXELS, row by row, 0 is paper */
    uint8_t *labels; /* count, each below IDX_CLASSES */
} idx_set;

/*
 * Reads FOLDER/PART-images-idx3-ubyte and FOLDER/PART-labels-idx1-ubyte; part is "train" or "t10k".
 * On failure *set is empty: FAULT_IO, _FORMAT, _LIMIT (over a million images), _MEMORY.
 */
bool idx_read(idx_set *set, const char *folder, const char *part, fault *f);
void idx_free(idx_set *set);

#endif
