/*
 * Files: a whole file as bytes in memory, mapped where that can be, and complete writes.
 */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fault.h"

/* How "-" is called in messages. */
#define FILE_STDIN_LABEL "standard input"

typedef struct file_view {
    uint8_t *bytes; /* never NULL once open; only big-endian machines write here (byteorder.h) */
    uint64_t n_bytes;
    uint64_t device; /* what the bytes come from, to see whether two files are one; */
    uint64_t inode;  /* both 0 for a spooled stream */
    bool is_mapped;
} file_view;

/*
 * Opens `path`, "-" being standard input. What is not a regular file is copied into a temporary one
 * first, which is gone once the view is closed or the program ends. Changes to the bytes stay in
 * memory. The file must not shrink while it is open.
 */
bool file_open(file_view *view, const char *path, fault *f);

/* Also for a view that was never opened, {0}. */
void file_close(file_view *view);

/* The name to call a path by in messages. */
const char *file_label(const char *path);

/* A temporary file without a name, open to read and write; -1 and errno where there is none to be
 * had. */
int file_temporary(void);

/* Writes everything, over interruptions and short writes; false and errno if that fails. */
bool file_write(int descriptor, const void *bytes, size_t n_bytes);
bool file_write_at(int descriptor, uint64_t offset, const void *bytes, size_t n_bytes);

/* Copies from here to the end. *reading tells which side failed; false and errno then. */
bool file_copy(int to, int from, bool *reading);

#endif
