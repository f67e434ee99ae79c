/*
 * A .nq file in memory, between the library's plans, readers and the disk.
 */
#ifndef LENET_MEMFILE_H
#define LENET_MEMFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nq/nq.h>

#include "common/fault.h"

/* Starts as {0}. */
typedef struct memfile {
    uint8_t *bytes;
    size_t n_bytes;
    size_t capacity;
} memfile;

void memfile_free(memfile *file);

/* A sink for nq_plan_write that fills the file. */
nq_sink memfile_sink(memfile *file);

/* FAULT_IO, FAULT_MEMORY. */
bool memfile_load(memfile *file, const char *path, fault *f);
bool memfile_save(const memfile *file, const char *path, fault *f);

#endif
