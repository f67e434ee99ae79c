/*
 * A model's tensors in a .nq file: vectors and rows as floats, and products of a matrix with a
 * vector straight from the compressed blocks. This is the part of the program that uses libnq.
 *
 * For comparison the same tensors can be held as floats; nobody else knows the difference.
 */
#ifndef TINYLM_WEIGHTS_H
#define TINYLM_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <nq/container.h>
#include <nq/decode.h>

typedef struct weights {
    FILE *file;
    unsigned char *bytes; /* the whole file, unless the tensors are held as floats */
    float **floats;       /* each tensor, otherwise NULL */
    void *reader_memory;
    nq_reader *reader;
    void *decoder_memory; /* of one decoder, that of the tensor in use */
    size_t decoder_bytes;
    size_t held_bytes; /* all of the above: what the weights take in memory */
    nq_status status;  /* of the first thing that failed; nothing is done after it */
} weights;

/* A matrix, or a vector: one column. */
typedef struct tensor {
    uint64_t number;
    size_t n_rows;
    size_t n_columns;
} tensor;

/* weights_close is needed after a failure, too. */
bool weights_open(weights *w, const char *path, bool as_floats);
void weights_close(weights *w);

bool weights_find(tensor *t, weights *w, const char *name);

/* out = row number `row` of the matrix; of a vector, all of it. */
void weights_row(float *out, weights *w, const tensor *t, size_t row);

/* y = W x */
void weights_multiply(float *y, weights *w, const tensor *t, const float *x);

#endif
