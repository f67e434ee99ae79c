/*
 * Fine-tuning of shared levels (the paper's section 3.3): which weight has which level stays, the
 * levels are trained. Adam goes by the sums of their members' gradients, or their means as the
 * paper has it: its steps are the same. Gradients by level come from nq_level_gradients, and the
 * levels go back into the file through nq_file_set_levels; it keeps its size.
 */
#ifndef LENET_TUNE_H
#define LENET_TUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "idx.h"
#include "memfile.h"

typedef struct tune_options {
    uint64_t seed;
    uint32_t steps;
    uint32_t batch;
    uint32_t shift;
    float rate; /* Adam's, of the first step, falling to 0 in a straight line */
} tune_options;

extern const tune_options tune_defaults;

/*
 * Trains the levels of a LeNet-5's file on the first `count` images of the set. In each codebook a
 * level that over half of its weights have, that of pruned weights, stays as it is; so do tensors
 * that are stored. FAULT_MEMORY; FAULT_FORMAT for files of another network, or with levels on a
 * grid.
 */
bool tune_levels(memfile *file, const idx_set *set, size_t count, const tune_options *options,
                 fault *f);

#endif
