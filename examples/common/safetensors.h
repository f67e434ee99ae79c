/*
 * safetensors files (https://huggingface.co/docs/safetensors): reading what may come from anywhere,
 * and writing tensor after tensor without holding a model in memory.
 *
 *     st_file model;
 *     fault f;
 *     if (!st_open(&model, "model.safetensors", &f))
 *         fprintf(stderr, "%s\n", f.text);
 *     for (size_t i = 0; i < model.n_tensors; i++)
 *         ... model.tensors[i].tensor
 *     st_close(&model);
 *
 * Tensors stand in the order of the header's keys, which is what other programs list them in. In
 * files that common programs write this is also the order of their data.
 *
 * Every rule of the format is checked before anything is handed out: the header's length (at most
 * 100 MB), its JSON, names and metadata keys given once, known types, shapes whose product times
 * the type's size is the length of the data, data that fill the rest of the file without gap or
 * overlap.
 */
#ifndef COMMON_SAFETENSORS_H
#define COMMON_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nq/types.h>

#include "common/fault.h"
#include "common/file.h"

#define ST_MAX_HEADER_BYTES 100000000

typedef struct st_tensor {
    nq_tensor tensor; /* name and data live as long as the file is open */
    uint64_t n_bytes; /* of the data */
} st_tensor;

/* Neither text ends with a NUL; both may contain some. */
typedef struct st_pair {
    const char *key;
    size_t key_bytes;
    const char *value;
    size_t value_bytes;
} st_pair;

typedef struct st_file {
    size_t n_tensors;
    st_tensor *tensors;
    size_t n_metadata;
    st_pair *metadata;
    uint64_t n_bytes; /* of the whole file */
    file_view view;
    char *texts; /* all names, keys and values */
} st_file;

/*
 * Opens a file, "-" being standard input. On failure the record names file, tensor and place, and
 * there is nothing to close: FAULT_IO, _FORMAT, _LIMIT (more than NQ_MAX_RANK dimensions), _MEMORY.
 */
bool st_open(st_file *file, const char *path, fault *f);

/* The same for a view that is open already, which the file takes over; `label` names it in
 * messages. */
bool st_open_view(st_file *file, file_view *view, const char *label, fault *f);

/* Also for {0}. */
void st_close(st_file *file);

/* The tensor of that name, or NULL. */
const st_tensor *st_find(const st_file *file, const char *name, size_t name_bytes);

/* ---- Writing ------------------------------------------------------------------------------- */

/* Takes the next bytes of the file; false (the writer's user knows why) stops the writing. */
typedef bool (*st_write_fn)(void *user, const void *bytes, size_t n_bytes);

typedef struct st_writer {
    const nq_tensor *tensors; /* borrowed until the end */
    size_t n_tensors;
    size_t current;  /* the tensor whose data come next, */
    uint64_t n_left; /* and how many bytes of them */
    st_write_fn write;
    void *user;
} st_writer;

/*
 * Writes the header for these tensors (dtype, shape and name count; data are not looked at) and for
 * metadata in their order. Fails with FAULT_FORMAT where a name is not UTF-8, is there twice, or is
 * "__metadata__"; FAULT_IO where `write` failed.
 */
bool st_write_begin(st_writer *writer, const nq_tensor *tensors, size_t n_tensors,
                    const st_pair *metadata, size_t n_metadata, st_write_fn write, void *user,
                    fault *f);

/*
 * The tensors' data, one after the other in their order, in pieces of any number of elements in
 * host byte order; no piece reaches over the end of a tensor.
 */
bool st_write_data(st_writer *writer, const void *bytes, size_t n_bytes, fault *f);

/* Sees that all data came. */
bool st_write_end(st_writer *writer, fault *f);

/* All of it at once, for tensors that are in memory, into a file that is made or replaced. */
bool st_save(const char *path, const nq_tensor *tensors, size_t n_tensors, const st_pair *metadata,
             size_t n_metadata, fault *f);

/* Bytes of a tensor's data; FAULT_LIMIT or FAULT_FORMAT where that is no number of whole bytes. */
bool st_tensor_bytes(uint64_t *n_bytes, const nq_tensor *tensor, const char *label, fault *f);

#endif
