/*
 * An open .nq file, and what its reader tells in the program's terms.
 */
#ifndef CLI_ARCHIVE_H
#define CLI_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include <nq/nq.h>

#include "common/file.h"

typedef struct archive {
    const char *label; /* for messages; the caller's */
    file_view view;
    nq_reader *reader;
    nq_reader_info info;
} archive;

/* Whether bytes begin as a .nq file does. */
bool archive_is(const uint8_t *bytes, uint64_t n_bytes);

/* Opens a file, "-" being standard input. Returns an exit code, having printed what is wrong; after
 * any other than CLI_DONE there is nothing to close. The context may be NULL and is borrowed. */
int archive_open(archive *a, const char *path, const nq_ctx *ctx);

/* The same for a view that is open already, and is taken over. */
int archive_open_view(archive *a, file_view *view, const char *path, const nq_ctx *ctx);

/* Also for {0}. */
void archive_close(archive *a);

/* What the file says about tensor i (below info.n_tensors), */
nq_tensor_info archive_tensor(const archive *a, uint64_t i);

/* and the same without data, as a tensor. */
nq_tensor archive_describe(const archive *a, uint64_t i);

/* Prints a failure of the library on this file, with the tensor's name where there is one; its exit
 * code. */
int archive_error(const archive *a, const nq_diag *diag);

#endif
