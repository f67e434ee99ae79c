/*
 * The network's weights in files.
 */
#ifndef LENET_WEIGHTS_H
#define LENET_WEIGHTS_H

#include <stdbool.h>

#include <nq/decode.h>

#include "common/fault.h"
#include "common/safetensors.h"
#include "network.h"

/*
 * Reads LENET_PARAMETERS weights from a safetensors or a .nq file; its first bytes tell which. The
 * file must hold the network's eight tensors, F32, and nothing else.
 */
bool weights_read(float *weights, const char *path, fault *f);

/* The same from an open .nq file, which messages call `path`. */
bool weights_decode(float *weights, const nq_reader *model, const char *path, fault *f);

/* One of the network's tensors as the library takes it, on borrowed weights (all of them). */
nq_tensor weights_tensor(const lenet_tensor *tensor, const float *weights);

/* Makes or replaces a safetensors file. */
bool weights_write(const char *path, const float *weights, const st_pair *metadata,
                   size_t n_metadata, fault *f);

#endif
