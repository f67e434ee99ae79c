/*
 * Values of options: numbers and choices.
 */
#ifndef CLI_VALUES_H
#define CLI_VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* A word of an option and what it stands for; `later` where this version does not have it. */
typedef struct choice {
    const char *word;
    uint32_t value;
    bool later;
} choice;

extern const choice choices_method[], choices_scope[], choices_level[], choices_codec[];

/* Finds `value` among choices (which end with a NULL word). Returns an exit code; `name` is how to
 * call the option in messages. */
int choose(uint32_t *out, const choice *choices, const char *name, const char *value);

/* A density: above 0, 1 at most. */
int read_density(double *out, const char *name, const char *value);

/* A number that is finite and at least `least`, more than it if `is_open`. */
int read_number(double *out, const char *name, const char *value, double least, bool is_open);

int read_integer(uint64_t *out, const char *name, const char *value, uint64_t least, uint64_t most);

/* An axis of a tensor. */
int read_axis(uint32_t *out, const char *name, const char *value);

/* The word for a value of a choice, "?" for none. */
const char *choice_word(const choice *choices, uint32_t value);

#endif
