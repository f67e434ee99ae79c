/*
 * One side of a comparison: a model as it is, or a .nq file whose tensors are decoded one at a
 * time.
 */
#ifndef CLI_SIDE_H
#define CLI_SIDE_H

#include "archive.h"
#include "model.h"

typedef struct side {
    const char *label;
    size_t n_tensors;
    bool is_archive;
    archive nq;
    model plain;
    uint64_t *by_name; /* of the archive: its tensors' numbers, sorted */
    void *decoded;     /* the tensor that was fetched last */
    size_t capacity;
} side;

/* Opens a file of any kind; an exit code. Close it in any case. */
int side_open(side *s, const char *path, const nq_ctx *ctx);
void side_close(side *s);

/* Tensor i without data. */
nq_tensor side_describe(const side *s, size_t i);

/* The number of the tensor of that name, or s->n_tensors. */
size_t side_find(const side *s, const char *name, size_t name_bytes);

/* Tensor i with its data, which live until the next call; an exit code. */
int side_fetch(nq_tensor *out, side *s, size_t i, const nq_ctx *ctx);

#endif
