/*
 * What the program's commands share: reading arguments, and saying what came of them.
 */
#ifndef LENET_ARGS_H
#define LENET_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fault.h"
#include "idx.h"

/* The program's exit status after a failure, which goes to stderr: 1, and 2 for wrong arguments. */
int args_fail(const fault *f);
int args_misuse(const char *what, const char *argument);

/* A number in its range, and nothing behind it. */
bool args_count(uint64_t *value, const char *text, uint64_t min, uint64_t max);
bool args_u32(uint32_t *value, const char *text, uint32_t min, uint32_t max);
bool args_real(double *value, const char *text, double min, double max);
bool args_float(float *value, const char *text, float max);

/* The place of a word in a list that ends with NULL. */
bool args_word(uint32_t *value, const char *text, const char *const *words);

/* Takes one option and its value; false where it is none, or the value is out of range. */
typedef bool (*args_option_fn)(void *job, const char *name, const char *value);

/* All options from argv[first] on; false after having said what is wrong. */
bool args_options(int argc, char **argv, int first, args_option_fn take, void *job);

double percent(size_t part, size_t whole);

/* Right answers among images of a set; FAULT_MEMORY. */
bool measure(size_t *n_right, const float *weights, const idx_set *set, size_t first, size_t count,
             fault *f);

#endif
