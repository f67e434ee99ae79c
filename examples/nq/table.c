/*
 * Tables: see table.h.
 */
#include "table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "report.h"

#define GAP "  "

void table_make(table *t, const char *const *headings, size_t n_columns)
{
    *t = (table){.n_columns = n_columns};
    for (size_t i = 0; i < n_columns; i++)
        table_cell(t, "%s", headings[i]);
}

void table_cell(table *t, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    buffer_append(&t->cells, text, strlen(text) + 1);
    t->n_cells++;
}

/* Characters, as far as UTF-8 tells: bytes that begin one. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static bool is_number(const char *text)
{
    return strspn(text, "0123456789.+-e") == strlen(text) || strcmp(text, "exact") == 0;
}

/* Width of each column, and whether all below its heading are numbers. */
static void measure(const table *t, size_t *widths, bool *numbers)
{
    const char *at = t->cells.bytes;
    for (size_t i = 0; i < t->n_columns; i++)
        numbers[i] = true;
    for (size_t i = 0; i < t->n_cells; i++, at += strlen(at) + 1) {
        const size_t column = i % t->n_columns, width = width_of(at);
        if (width > widths[column])
            widths[column] = width;
        if (i >= t->n_columns && !is_number(at))
            numbers[column] = false;
    }
}

static void lay_out(const table *t, const size_t *widths, const bool *numbers, buffer *out)
{
    const char *at = t->cells.bytes;
    for (size_t i = 0; i < t->n_cells; i++, at += strlen(at) + 1) {
        const size_t column = i % t->n_columns;
        const int padding = (int)(widths[column] - width_of(at));
        if (numbers[column])
            buffer_printf(out, "%*s%s", padding, "", at);
        else
            buffer_printf(out, "%s%*s", at, padding, "");
        if (column + 1 < t->n_columns) {
            buffer_text(out, GAP);
            continue;
        }
        while (out->n_bytes > 0 && out->bytes[out->n_bytes - 1] == ' ')
            out->n_bytes--;
        buffer_text(out, "\n");
    }
}

int table_print(table *t)
{
    buffer out = {0};
    size_t *widths = calloc(t->n_columns, sizeof *widths);
    bool *numbers = calloc(t->n_columns, sizeof *numbers);
    out.failed = t->cells.failed || !widths || !numbers;
    if (!out.failed) {
        measure(t, widths, numbers);
        lay_out(t, widths, numbers, &out);
    }
    free(widths);
    free(numbers);
    buffer_free(&t->cells);
    return report_print(&out);
}
