/*
 * .npy files of one array (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html),
 * versions 1 to 3: little-endian numbers in C order. Arrays have no name; this one is called
 * "array".
 */
#ifndef COMMON_NPY_H
#define COMMON_NPY_H

#include <stdbool.h>

#include <nq/types.h>

#include "common/fault.h"
#include "common/file.h"

#define NPY_TENSOR_NAME "array"

typedef struct npy_file {
    nq_tensor tensor; /* data live as long as the file is open */
    uint64_t n_bytes; /* of the data */
    file_view view;
} npy_file;

/* Whether bytes begin as a .npy file does. */
bool npy_is(const uint8_t *bytes, uint64_t n_bytes);

/* Opens a view, which the file takes over; `label` names it in messages. Nothing to close on
 * failure. */
bool npy_open_view(npy_file *file, file_view *view, const char *label, fault *f);

/* Also for {0}. */
void npy_close(npy_file *file);

#endif
