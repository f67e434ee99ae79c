/*
 * nq compare: how far two models are apart, tensor by tensor. Tensors belong together by name; at
 * most one of each side is held.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "importance.h"
#include "progress.h"
#include "report.h"
#include "side.h"
#include "verbs.h"

typedef struct job {
    const cli_options *o;
    nq_ctx *ctx;
    side a;
    side b;
    model importance;
    nq_distortion total; /* of F32, F16 and BF16 tensors */
    bool is_different;
} job;

/* ---- One tensor ---------------------------------------------------------------------------- */

static bool is_number_type(uint32_t dtype)
{
    return run_is_weight(dtype) || dtype == NQ_F64;
}

static bool same_shape(const nq_tensor *a, const nq_tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

/* Of tensors whose numbers are not compared. */
static report_errors no_errors(void)
{
    return (report_errors){(double)NAN, (double)NAN, (double)NAN, (double)NAN};
}

static report_errors errors_of(const nq_distortion *d)
{
    return (report_errors){d->mse, d->sqnr_db, d->max_abs_error, d->weighted_error};
}

/* Adds a tensor's sums to those of all. */
static void merge(nq_distortion *total, const nq_distortion *d)
{
    total->n_elements += d->n_elements;
    total->squared_error += d->squared_error;
    total->weighted_error += d->weighted_error;
    total->energy += d->energy;
    total->max_abs_error =
        d->max_abs_error > total->max_abs_error ? d->max_abs_error : total->max_abs_error;
    total->mse = total->n_elements ? total->squared_error / (double)total->n_elements : 0;
    total->sqnr_db = total->squared_error > 0 ? 10 * log10(total->energy / total->squared_error)
                                              : (double)INFINITY;
}

/* Importance of a tensor; it may lack where nothing differs, as there is nothing to weigh. */
static int find_importance(const job *j, const nq_tensor **importance, const nq_tensor *a)
{
    *importance = NULL;
    if (!j->o->importance || !run_is_weight(a->dtype) ||
        !model_find(&j->importance, a->name, a->name_bytes))
        return CLI_DONE;
    const int code = importance_find(importance, &j->importance, a);
    return code == CLI_DONE ? importance_check(&j->importance, *importance) : code;
}

static int compare_numbers(job *j, report_row *row, const nq_tensor *a, const nq_tensor *b)
{
    nq_distortion d;
    nq_diag diag;
    const nq_tensor *importance;
    nq_distortion_init(&d);
    nq_diag_init(&diag);
    const int code = find_importance(j, &importance, a);
    if (code != CLI_DONE)
        return code;
    diag.status = nq_distortion_add(&d, j->ctx, a, b, importance);
    if (diag.status != NQ_OK)
        return cli_library_error(j->a.label, &diag, a);
    row->errors = errors_of(&d);
    row->is_compared = true;
    row->is_equal = d.max_abs_error == 0;
    row->remark = row->is_equal ? NULL : "differs";
    if (!run_is_weight(a->dtype))
        return CLI_DONE;
    merge(&j->total, &d);
    return j->o->importance && !importance && !row->is_equal
               ? importance_find(&importance, &j->importance, a)
               : CLI_DONE;
}

static int compare_bytes(const job *j, report_row *row, const nq_tensor *a, const nq_tensor *b)
{
    fault f;
    uint64_t n_bytes = 0;
    if (!st_tensor_bytes(&n_bytes, a, j->a.label, &f))
        return cli_fault(&f);
    row->is_equal = n_bytes == 0 || memcmp(a->data, b->data, (size_t)n_bytes) == 0;
    row->remark = row->is_equal ? NULL : "differs";
    if (row->is_equal)
        row->errors = (report_errors){0, (double)INFINITY, 0, 0};
    row->is_compared = true;
    return CLI_DONE;
}

static int compare_data(job *j, report_row *row, size_t i, size_t k)
{
    nq_tensor a, b;
    int code = side_fetch(&a, &j->a, i, j->ctx);
    if (code == CLI_DONE)
        code = side_fetch(&b, &j->b, k, j->ctx);
    if (code != CLI_DONE)
        return code;
    const bool is_same_type = a.dtype == b.dtype;
    if (is_number_type(a.dtype) && is_number_type(b.dtype))
        code = compare_numbers(j, row, &a, &b);
    else if (is_same_type)
        code = compare_bytes(j, row, &a, &b);
    if (!is_same_type) {
        row->is_equal = false;
        row->remark = "other type";
    }
    return code;
}

static int compare_tensor(job *j, report_row *row, size_t i)
{
    const nq_tensor a = side_describe(&j->a, i);
    const size_t k = side_find(&j->b, a.name, a.name_bytes);
    *row = (report_row){.tensor = a, .n_elements = run_elements(&a), .errors = no_errors()};
    if (k == j->b.n_tensors) {
        row->remark = "only in the first";
        return CLI_DONE;
    }
    const nq_tensor b = side_describe(&j->b, k);
    if (!same_shape(&a, &b)) {
        row->remark = "other shape";
        return CLI_DONE;
    }
    return compare_data(j, row, i, k);
}

/* ---- All of them --------------------------------------------------------------------------- */

/* Totals are over what was compared. */
static void count_row(report *r, const report_row *row)
{
    r->n_uncompared += !row->is_compared;
    if (row->is_compared && run_is_weight(row->tensor.dtype))
        r->n_elements += row->n_elements;
}

static int compare_all(job *j, report *r)
{
    int code = CLI_DONE;
    for (size_t i = 0; i < r->n_rows && code == CLI_DONE; i++) {
        report_row *row = &r->rows[i];
        code = compare_tensor(j, row, i);
        j->is_different = j->is_different || !row->is_equal;
        if (code == CLI_DONE)
            count_row(r, row);
    }
    progress_clear();
    return code;
}

/* Lists what the second model alone has, and says so. */
static int tell_rest(job *j, report *r)
{
    char name[QUOTED_BYTES];
    r->only_in_second = malloc((j->b.n_tensors + 1) * sizeof *r->only_in_second);
    if (!r->only_in_second)
        return cli_out_of_memory();
    for (size_t k = 0; k < j->b.n_tensors; k++) {
        const nq_tensor b = side_describe(&j->b, k);
        if (side_find(&j->a, b.name, b.name_bytes) < j->a.n_tensors)
            continue;
        j->is_different = true;
        r->only_in_second[r->n_only_in_second++] = (json_name){b.name, b.name_bytes};
        cli_note("tensor %s is only in %s", fault_quote(name, b.name, b.name_bytes), j->b.label);
    }
    return CLI_DONE;
}

static int print_report(const job *j, report *r)
{
    char label[512];
    r->is_comparison = r->has_errors = true;
    r->is_equal = !j->is_different;
    r->errors = r->n_elements == 0 && r->n_uncompared > 0 ? no_errors() : errors_of(&j->total);
    if (j->o->json)
        return report_print_json(r);
    if (j->o->quiet)
        return CLI_DONE;
    (void)snprintf(label, sizeof label, "%s and %s", j->a.label, j->b.label);
    return report_print_table(r, label);
}

static int run(job *j, report *r)
{
    int code = run_context(&j->ctx, j->o);
    if (code == CLI_DONE)
        code = side_open(&j->a, j->o->inputs[0], j->ctx);
    if (code == CLI_DONE)
        code = side_open(&j->b, j->o->inputs[1], j->ctx);
    if (code == CLI_DONE && j->o->importance)
        code = model_open(&j->importance, j->o->importance);
    if (code == CLI_DONE && !report_make(r, j->a.n_tensors))
        code = cli_out_of_memory();
    if (code == CLI_DONE)
        code = compare_all(j, r);
    if (code != CLI_DONE)
        return code;
    code = tell_rest(j, r);
    if (code == CLI_DONE)
        code = print_report(j, r);
    return code == CLI_DONE && j->is_different ? CLI_DIFFERENT : code;
}

int verb_compare(const cli_options *o)
{
    job j = {.o = o};
    report r = {0};
    nq_distortion_init(&j.total);
    j.total.sqnr_db = (double)INFINITY;
    const int code = run(&j, &r);
    report_free(&r);
    side_close(&j.a);
    side_close(&j.b);
    model_close(&j.importance);
    nq_ctx_destroy(j.ctx);
    return code;
}
