/*
 * Reports: see report.h.
 */
#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "progress.h"
#include "table.h"
#include "values.h"

bool report_make(report *r, size_t n_rows)
{
    *r = (report){.n_rows = n_rows};
    r->rows = calloc(n_rows ? n_rows : 1, sizeof *r->rows);
    return r->rows != NULL;
}

void report_free(report *r)
{
    free(r->rows);
    free(r->only_in_second);
    *r = (report){0};
}

double report_ratio(const report *r)
{
    return (double)r->original_bytes / (double)r->compressed_bytes;
}

double report_bits(const report *r)
{
    return r->n_elements ? 8.0 * (double)r->compressed_bytes / (double)r->n_elements : 0.0;
}

int report_print(buffer *b)
{
    progress_clear();
    const bool failed = b->failed;
    if (!failed)
        fwrite(b->bytes, 1, b->n_bytes, stdout);
    buffer_free(b);
    return failed ? cli_out_of_memory() : CLI_DONE;
}

static const char *codec_word(uint32_t codec)
{
    return codec == NQ_CODEC_STORED ? "stored" : choice_word(choices_codec, codec);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void add_double(buffer *b, const char *key, double value)
{
    buffer_printf(b, "\"%s\": ", key);
    buffer_json_double(b, value);
}

static void add_errors(buffer *b, const report_errors *e)
{
    add_double(b, "mse", e->mse);
    buffer_text(b, ", ");
    add_double(b, "sqnr_db", e->sqnr_db);
    buffer_text(b, ", ");
    add_double(b, "max_abs_error", e->max_abs_error);
    buffer_text(b, ", ");
    add_double(b, "weighted_distortion", e->weighted_distortion);
}

static void add_coding(buffer *b, const report_row *row)
{
    buffer_printf(b, ", \"method\": ");
    if (row->is_quantized)
        buffer_printf(b, "\"%s\"", choice_word(choices_method, row->method));
    else
        buffer_text(b, "null");
    buffer_printf(b, ", \"codec\": \"%s\", \"levels\": %" PRIu32 ", ", codec_word(row->codec),
                  row->n_levels);
    add_double(b, "step", row->step > 0 ? row->step : (double)NAN);
    buffer_printf(b, ", \"bytes\": %" PRIu64 ", ", row->n_bytes);
    add_double(b, "bits_per_weight", row->bits_per_weight);
    buffer_text(b, ", ");
    add_double(b, "entropy_bits", row->is_quantized ? row->entropy_bits : (double)NAN);
}

static void add_row(buffer *b, const report *r, const report_row *row)
{
    buffer_text(b, "\n    {\"name\": ");
    buffer_json_string(b, row->tensor.name, row->tensor.name_bytes);
    buffer_printf(b, ", \"dtype\": \"%s\", \"shape\": [", nq_dtype_name(row->tensor.dtype));
    for (uint32_t i = 0; i < row->tensor.rank; i++)
        buffer_printf(b, i ? ", %" PRIu64 : "%" PRIu64, row->tensor.dims[i]);
    buffer_printf(b, "], \"elements\": %" PRIu64, row->n_elements);
    if (r->has_sizes)
        add_coding(b, row);
    if (r->is_comparison) {
        buffer_printf(b, ", \"equal\": %s, \"remark\": ", row->is_equal ? "true" : "false");
        buffer_printf(b, row->remark ? "\"%s\"" : "null", row->remark);
    }
    if (r->has_errors) {
        buffer_text(b, ", ");
        add_errors(b, &row->errors);
    }
    buffer_text(b, "}");
}

static void add_totals(buffer *b, const report *r)
{
    if (r->is_comparison)
        buffer_printf(b, "  \"equal\": %s,\n", r->is_equal ? "true" : "false");
    if (r->has_sizes) {
        buffer_printf(
            b, "  \"original_bytes\": %" PRIu64 ",\n  \"compressed_bytes\": %" PRIu64 ",\n  ",
            r->original_bytes, r->compressed_bytes);
        add_double(b, "ratio", report_ratio(r));
        buffer_text(b, ",\n  ");
        add_double(b, "bits_per_weight", report_bits(r));
        buffer_text(b, ",\n");
    }
    buffer_printf(b, "  \"elements\": %" PRIu64 ",\n", r->n_elements);
    if (r->has_errors) {
        buffer_text(b, "  ");
        add_errors(b, &r->errors);
        buffer_text(b, ",\n");
    }
}

static void add_only_in_second(buffer *b, const report *r)
{
    buffer_text(b, "  \"only_in_second\": [");
    for (size_t i = 0; i < r->n_only_in_second; i++) {
        buffer_text(b, i ? ", " : "");
        buffer_json_string(b, r->only_in_second[i].bytes, r->only_in_second[i].n_bytes);
    }
    buffer_text(b, "],\n");
}

int report_print_json(const report *r)
{
    buffer b = {0};
    buffer_text(&b, "{\n");
    add_totals(&b, r);
    if (r->is_comparison)
        add_only_in_second(&b, r);
    buffer_text(&b, "  \"tensors\": [");
    for (size_t i = 0; i < r->n_rows; i++) {
        buffer_text(&b, i ? "," : "");
        add_row(&b, r, &r->rows[i]);
    }
    buffer_text(&b, "\n  ]\n}\n");
    return report_print(&b);
}

/* ---- Tables -------------------------------------------------------------------------------- */

static void add_name(table *t, const report_row *row)
{
    char quoted[QUOTED_BYTES];
    fault_quote(quoted, row->tensor.name, row->tensor.name_bytes);
    const size_t length = strlen(quoted);
    const bool is_plain = length == (size_t)row->tensor.name_bytes + 2 &&
                          !memchr(row->tensor.name, ' ', row->tensor.name_bytes) && length > 2;
    table_cell(t, "%.*s", (int)(is_plain ? length - 2 : length), is_plain ? quoted + 1 : quoted);
}

static void add_shape(table *t, const nq_tensor *tensor)
{
    buffer b = {0};
    for (uint32_t i = 0; i < tensor->rank; i++)
        buffer_printf(&b, i ? "x%" PRIu64 : "%" PRIu64, tensor->dims[i]);
    table_cell(t, "%.*s", (int)b.n_bytes, b.bytes ? b.bytes : "");
    buffer_free(&b);
}

static void add_coding_cells(table *t, const report_row *row)
{
    table_cell(t, "%s", codec_word(row->codec));
    table_cell(t, row->is_quantized ? "%" PRIu32 : "", row->n_levels);
    table_cell(t, row->step > 0 ? "%.6g" : "", row->step);
    table_cell(t, "%" PRIu64, row->n_bytes);
    table_cell(t, "%.3f", row->bits_per_weight);
}

static void add_error_cells(table *t, const report_errors *e)
{
    table_cell(t, isnan(e->mse) ? "-" : "%.4g", e->mse);
    table_cell(t, isfinite(e->sqnr_db) ? "%.2f" : e->sqnr_db > 0 ? "exact" : "-", e->sqnr_db);
    table_cell(t, isnan(e->max_abs_error) ? "-" : "%.4g", e->max_abs_error);
}

int report_print_table(const report *r, const char *label)
{
    static const char *const coded[] = {"tensor", "type", "shape", "codec",
                                        "levels", "step", "bytes", "bits/weight"};
    static const char *const compared[] = {"tensor",  "type",      "shape", "MSE",
                                           "SQNR dB", "max error", ""};
    table t;
    table_make(&t, r->has_sizes ? coded : compared, r->has_sizes ? 8 : 7);
    for (size_t i = 0; i < r->n_rows; i++) {
        const report_row *row = &r->rows[i];
        add_name(&t, row);
        table_cell(&t, "%s", nq_dtype_name(row->tensor.dtype));
        add_shape(&t, &row->tensor);
        if (r->has_sizes) {
            add_coding_cells(&t, row);
        } else {
            add_error_cells(&t, &row->errors);
            table_cell(&t, "%s", row->remark ? row->remark : "");
        }
    }
    const int code = table_print(&t);
    if (code != CLI_DONE)
        return code;
    printf("\n");
    return report_print_summary(r, label);
}

static void add_error_summary(buffer *b, const report_errors *e)
{
    if (isnan(e->mse))
        return;
    if (isfinite(e->sqnr_db))
        buffer_printf(b, "  SQNR         %.2f dB\n", e->sqnr_db);
    else
        buffer_printf(b, "  SQNR         %s\n", e->sqnr_db > 0 ? "exact" : "none");
    buffer_printf(b, "  MSE          %.6g\n  max error    %.6g\n  weighted     %.6g\n", e->mse,
                  e->max_abs_error, e->weighted_distortion);
}

int report_print_summary(const report *r, const char *label)
{
    buffer b = {0};
    buffer_printf(&b, "%s: %zu tensor%s, %" PRIu64 " weights\n", label, r->n_rows,
                  r->n_rows == 1 ? "" : "s", r->n_elements);
    if (r->has_sizes)
        buffer_printf(&b,
                      "  original     %" PRIu64 " bytes\n  compressed   %" PRIu64
                      " bytes\n  ratio        %.3f\n  bits/weight  %.4f\n",
                      r->original_bytes, r->compressed_bytes, report_ratio(r), report_bits(r));
    if (r->n_uncompared)
        buffer_printf(&b, "  uncompared   %zu tensor%s\n", r->n_uncompared,
                      r->n_uncompared == 1 ? "" : "s");
    if (r->has_errors)
        add_error_summary(&b, &r->errors);
    return report_print(&b);
}
