/*
 * Why something failed: a kind for the program, and one line of text for people. Functions of
 * examples/common return false and fill the caller's record.
 */
#ifndef COMMON_FAULT_H
#define COMMON_FAULT_H

#include <stdbool.h>
#include <stddef.h>

enum {
    FAULT_NONE = 0,
    FAULT_IO,     /* the system would not open, read or write */
    FAULT_FORMAT, /* a file is not what it should be */
    FAULT_LIMIT,  /* it is, but too large for this program */
    FAULT_MEMORY
};

typedef struct fault {
    int kind;
    char text[1024];
} fault;

/* Fills the record; always false, so that `return fault_set(...)` fails in one line. */
bool fault_set(fault *f, int kind, const char *format, ...);

/* FAULT_IO: "label: what: " and errno in words. */
bool fault_errno(fault *f, const char *label, const char *what);

/* FAULT_MEMORY. */
bool fault_memory(fault *f, const char *label);

/* Room for a name in a message, quoted. */
#define QUOTED_BYTES 256

/*
 * A name of any bytes for a message, into `out`: in quotes, control characters and quotes escaped,
 * in UTF-8 whatever the bytes, shortened by "..." where it is long. Returns `out`.
 */
const char *fault_quote(char out[QUOTED_BYTES], const char *name, size_t n_bytes);

#endif
