/*
 * The network's weights in files.
 */
#ifndef LENET_WEIGHTS_H
#define LENET_WEIGHTS_H

#include <stdbool.h>

#include "common/fault.h"
#include "common/safetensors.h"

/*
 * Reads LENET_PARAMETERS weights from a safetensors or a .nq file; its first bytes tell which. The
 * file must hold the network's eight tensors, F32, and nothing else.
 */
bool weights_read(float *weights, const char *path, fault *f);

/* Makes or replaces a safetensors file. */
bool weights_write(const char *path, const float *weights, const st_pair *metadata,
                   size_t n_metadata, fault *f);

#endif
