/*
 * Tables of text: columns as wide as they must be, numbers to the right.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>

#include "common/buffer.h"

typedef struct table {
    size_t n_columns;
    size_t n_cells;
    buffer cells; /* the texts, each with its NUL */
} table;

/* Begins with a line of headings. */
void table_make(table *t, const char *const *headings, size_t n_columns);

/* The next cell, from left to right and line by line. */
void table_cell(table *t, const char *format, ...);

/* Prints on standard output and frees; an exit code. */
int table_print(table *t);

#endif
