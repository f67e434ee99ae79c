/*
 * What compress, info and compare tell, as JSON for programs or as tables for people.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nq/nq.h>

#include "common/buffer.h"
#include "common/json.h"

/* Distortion, over floating elements. NAN: not known, null in JSON and "-" in tables. */
typedef struct report_errors {
    double mse;
    double sqnr_db;
    double max_abs_error;
    double weighted_distortion;
} report_errors;

typedef struct report_row {
    nq_tensor tensor; /* name, type and shape */
    uint64_t n_elements;
    bool is_quantized; /* if not, there is no method, step and entropy */
    uint32_t method;   /* NQ_METHOD_* */
    uint32_t codec;    /* NQ_CODEC_* */
    uint32_t codebook; /* its number; for compress alone, like the next */
    uint32_t level_rule;
    uint32_t n_levels;
    double step; /* 0: none */
    uint64_t n_bytes;
    double bits_per_weight;
    double entropy_bits; /* NAN: not known */
    report_errors errors;
    bool is_compared; /* for compare: there was something to compare with */
    bool is_equal;
    const char *remark; /* what is the matter, or NULL */
} report_row;

typedef struct report {
    bool has_sizes; /* how it is coded: compress and info */
    uint64_t original_bytes;
    uint64_t compressed_bytes;
    bool has_errors; /* compress and compare */
    report_errors errors;
    bool is_comparison;
    bool is_equal;
    size_t n_uncompared; /* tensors of the first model that have no counterpart to compare with */
    json_name *only_in_second; /* borrowed names, in memory of the report */
    size_t n_only_in_second;
    uint64_t n_elements; /* of floating tensors */
    size_t n_rows;
    report_row *rows;
} report;

/* Rows for n tensors, all zero; false without memory. */
bool report_make(report *r, size_t n_rows);
void report_free(report *r);

/* Original over compressed bytes, and bits of the file for each floating element. */
double report_ratio(const report *r);
double report_bits(const report *r);

/* Print on standard output; an exit code. */
int report_print_json(const report *r);
int report_print_table(const report *r, const char *label);
int report_print_summary(const report *r, const char *label);

/* Prints and frees a text. */
int report_print(buffer *b);

#endif
