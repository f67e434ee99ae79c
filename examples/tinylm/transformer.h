/*
 * A transformer of the LLaMA family (as https://github.com/karpathy/llama2.c trains and runs them):
 * RMS norms, rotary positions, grouped-query attention, SwiGLU, and token embeddings that are the
 * classifier, too. One token at a time.
 */
#ifndef TINYLM_TRANSFORMER_H
#define TINYLM_TRANSFORMER_H

#include "weights.h"

#define MAX_LAYERS 128

typedef struct layer {
    float *attention_norm; /* n_dims */
    tensor wq, wk, wv, wo;
    float *ffn_norm; /* n_dims */
    tensor w1, w2, w3;
} layer;

typedef struct transformer {
    weights *w;
    tensor embeddings; /* n_tokens x n_dims */
    layer layers[MAX_LAYERS];
    float *norm;
    size_t n_layers, n_tokens, n_dims, n_kv_dims, n_hidden, n_head_dims, n_positions;
    float *keys, *values; /* n_layers x n_positions x n_kv_dims: of the tokens so far */
    float *x, *normed, *query, *mixed, *gate, *up, *scores, *logits; /* of the token in work */
    float *memory;                                                   /* that all of these are in */
} transformer;

/*
 * Finds the tensors by their names in llama2.c's checkpoints and takes all sizes from their shapes,
 * but for the number of attention heads, which no shape tells. transformer_free is needed after a
 * failure, too; *missing is then the name of a tensor that is not there or has the wrong shape, or
 * empty.
 */
bool transformer_make(transformer *t, weights *w, size_t n_heads, size_t n_positions,
                      char missing[64]);
void transformer_free(transformer *t);

/*
 * Takes the token at `position`, where those of all lower positions were taken before, and returns
 * n_tokens logits of the one that comes next. What fails is noted in the weights' status.
 */
const float *transformer_next(transformer *t, size_t token, size_t position);

#endif
