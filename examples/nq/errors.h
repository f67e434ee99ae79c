/*
 * What goes wrong, told to people on standard error and to programs by the exit code. Functions of
 * the program return an exit code; whoever finds the problem prints it, once.
 */
#ifndef CLI_ERRORS_H
#define CLI_ERRORS_H

#include <stdbool.h>

#include <nq/nq.h>

#include "common/fault.h"

enum {
    CLI_DONE = 0,
    CLI_DIFFERENT = 1, /* compared and different, or a target missed */
    CLI_USAGE = 2,
    CLI_IO = 3,
    CLI_DAMAGED = 4, /* not a .nq file, or damaged */
    CLI_VALUES = 5,  /* non-finite weights, bad or missing importance */
    CLI_LIMIT = 6,   /* over a limit, or out of memory */
    CLI_NEWER = 7    /* intact, but written by a newer program */
};

/* The exit code for what the library returned. */
int cli_status_code(nq_status status);

/* Prints "nq: ..." and returns the code. */
int cli_error(int code, const char *format, ...);

/* The same for what examples/common found. */
int cli_fault(const fault *f);

int cli_out_of_memory(void);

/*
 * The same for what the library returned: file, tensor (may be NULL), element as number and as
 * indices, byte offset and phrase of the record.
 */
int cli_library_error(const char *label, const nq_diag *diag, const nq_tensor *tensor);

/* The same text without printing, "tensor ..., element ...: what"; returns `out`. */
const char *cli_describe(char *out, size_t capacity, const nq_diag *diag, const nq_tensor *tensor);

/* How to have the tensor stored as it is: "--keep 'NAME'", or just "--keep" for a name that is not
 * that simple; returns `out`. */
#define KEEP_BYTES (QUOTED_BYTES + 16)
const char *cli_keep(char out[KEEP_BYTES], const nq_tensor *tensor);

/* A remark that is no error; nothing with --quiet. */
void cli_note(const char *format, ...);
void cli_set_quiet(bool is_quiet);

#endif
