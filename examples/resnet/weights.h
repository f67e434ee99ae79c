/*
 * The tensors of a file by name, safetensors or .nq.
 */
#ifndef RESNET_WEIGHTS_H
#define RESNET_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nq/nq.h>

#include "common/safetensors.h"

typedef struct weights {
    const char *path;
    file_view view;    /* of a .nq file */
    nq_reader *reader; /* the same; NULL for safetensors */
    st_file model;
} weights;

/* On failure there is nothing to close. */
bool weights_open(weights *w, const char *path, fault *f);
void weights_close(weights *w);

bool weights_has(const weights *w, const char *name);

/* Reads the tensor of that name, which must be of that shape, and F32 in safetensors. */
bool weights_read(float *out, const weights *w, const char *name, size_t rank, const uint64_t *dims,
                  fault *f);

#endif
