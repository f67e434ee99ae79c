/*
 * Quantizing as the paper does it after pruning: a codebook for the weights that are not zero, of
 * all layers together or of each; zeros stay exactly zero, one more level of the file. (`nq
 * compress` takes zeros as weights like all others instead.)
 */
#ifndef LENET_SURVIVORS_H
#define LENET_SURVIVORS_H

#include <stdbool.h>
#include <stdint.h>

#include "memfile.h"

typedef struct survivors_options {
    uint32_t method; /* NQ_METHOD_* */
    uint32_t target; /* NQ_TARGET_STEP, _LEVELS (the zero not counted) or _LAMBDA */
    double target_value;
    uint32_t codec; /* NQ_CODEC_* of the file */
    uint32_t scope; /* NQ_SCOPE_MODEL or _TENSOR */
    double importance_power;
} survivors_options;

/*
 * Quantizes LENET_PARAMETERS weights, biases included, in place, and fills `file` with them.
 * importance (may be NULL) has as many values. original_bytes goes into the file. FAULT_MEMORY,
 * FAULT_FORMAT for what the library will not take.
 */
bool survivors_quantize(memfile *file, float *weights, const float *importance,
                        uint64_t original_bytes, const survivors_options *options, fault *f);

#endif
