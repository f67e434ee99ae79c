/*
 * Output files. Everything is written to a temporary file beside the target, which gets its name
 * only when it is complete and on the disk; until then an interrupt or a failure leaves nothing.
 * Standard output, pipes and devices get their bytes only when all are there.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nq/status.h>

typedef struct output {
    const char *label; /* for messages; the caller's */
    char *path;        /* NULL for a stream */
    char *temporary;
    int descriptor; /* of what is written now */
    int stream;     /* where it goes in the end; -1 for a file */
    bool replaces;
    int error; /* errno of the write that failed */
    uint64_t n_bytes;
} output;

/*
 * Begins a file at `path`, or for "-" on standard output. An existing file is an error unless it is
 * to be replaced. Returns an exit code; after any other than CLI_DONE there is nothing to end.
 */
int output_open(output *o, const char *path, bool replaces);

/* nq_write_fn, and st_write_fn, both for `user` an output. */
nq_status output_write_at(void *user, uint64_t offset, const void *bytes, size_t n_bytes);
bool output_append(void *user, const void *bytes, size_t n_bytes);

/* Prints why a write failed; its exit code. */
int output_error(const output *o);

/* Ends it: the file appears, or nothing does. */
int output_commit(output *o);
void output_discard(output *o);

/* Whether `path` is the file of that device and inode (both 0: of none). */
bool output_is_file(const char *path, uint64_t device, uint64_t inode);

#endif
