/*
 * Streams of indices to measure with: drawn like quantized weights, from a file, or from real
 * models.
 */
#ifndef BENCH_STREAMS_H
#define BENCH_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/safetensors.h"

typedef struct stream {
    const char *name;
    uint8_t *symbols;
    uint16_t *indices; /* the same */
    size_t n;
    uint32_t n_levels;
    uint64_t counts[256];
    double entropy; /* of order 0, in bits a symbol */
    double nominal; /* what the stream was made for; 0: nothing */
    enum { STREAM_DRAWN, STREAM_MODELS, STREAM_FILE } kind;
} stream;

size_t n_drawn_streams(void);
const char *drawn_name(size_t which);
stream draw_stream(size_t which, size_t n);

/* One symbol a byte, n at most. */
stream read_stream(const char *path, size_t n);

/*
 * The safetensors files of `folder`, without those of importances, joined: each quantized uniformly
 * with the one step that gives all its tensors of two and more dimensions `bits` of entropy. n is 0
 * where there are none.
 */
stream join_models(const char *folder, double bits, size_t n);

void free_stream(stream *s);

/* Calls `take` with the models in a folder, by name; files about models are none. */
void for_each_model(const char *folder,
                    void (*take)(void *user, const char *name, const st_file *model), void *user);

/* Tensors that are quantized. */
bool is_weight(const nq_tensor *t);

/* The step that gives a model's weights together so many bits of entropy, with or without pruned
 * ones, which are zero. */
double step_for(const st_file *model, double bits, bool with_pruned);

#endif
