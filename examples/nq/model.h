/*
 * What a source of tensors holds, whatever its format: safetensors, the index of a model in several
 * safetensors files, or .npy. The files stay mapped as long as the model is open.
 */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nq/types.h>

#include "common/npy.h"
#include "common/safetensors.h"

typedef struct model {
    const char *label; /* for messages; the caller's */
    size_t n_tensors;
    st_tensor *tensors; /* in the source's order */
    size_t n_metadata;
    st_pair *metadata;
    uint64_t n_bytes; /* of all its files */

    size_t n_files; /* private from here on */
    st_file *files;
    file_view index;
    char *index_texts;
    npy_file npy;
    const st_tensor **by_name;
} model;

/* Opens a file, "-" being standard input. Returns an exit code, having printed what is wrong; after
 * any other than CLI_DONE there is nothing to close. */
int model_open(model *m, const char *path);

/* The same for a view that is open already, and is taken over. */
int model_open_view(model *m, file_view *view, const char *path);

/* Also for {0}. */
void model_close(model *m);

/* The tensor of that name, or NULL. */
const st_tensor *model_find(const model *m, const char *name, size_t name_bytes);

/* Whether `path` is one of the model's files. */
bool model_has_file(const model *m, const char *path);

/* For shards.c: opens the files that an index names. */
bool shards_open(model *m, const char *path, fault *f);

/* Whether this is the index of a model in several files: JSON and no safetensors header. */
bool shards_is_index(const file_view *view, const char *path);

/* Room for one more pair of metadata. */
bool model_add_metadata(model *m, const st_pair *pair);

#endif
