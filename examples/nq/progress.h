/*
 * The line that tells how far the library is: on a terminal, and nowhere else.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Switches the line on if standard error is a terminal. */
void progress_start(bool is_wanted);

/* The library's hook (nq_progress_fn). */
int32_t progress_hook(void *user, uint32_t stage, uint64_t done, uint64_t total);

/* Takes the line away before anything else is printed. */
void progress_clear(void);

#endif
