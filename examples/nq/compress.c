/*
 * nq compress: a model, what is to be done with each of its tensors, and a .nq file. The weights
 * stay where they are mapped; the library goes through them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "glob.h"
#include "importance.h"
#include "model.h"
#include "output.h"
#include "progress.h"
#include "report.h"
#include "verbs.h"

static const char *const endings[] = {".safetensors.index.json", ".safetensors", ".npy", NULL};

typedef struct job {
    const cli_options *o;
    model weights;
    model importance; /* empty without */
    nq_ctx *ctx;
    nq_plan *plan;
    output out;
    char *path;
    bool *keep_used; /* globs that matched something */
    bool *rule_used;
} job;

/* ---- What becomes of a tensor -------------------------------------------------------------- */

/* The last rule that matches holds; its keep= beats --keep. */
static nq_plan_tensor_options tensor_options(const job *j, const nq_tensor *tensor)
{
    nq_plan_tensor_options options;
    nq_plan_tensor_options_init(&options);
    for (size_t i = 0; i < j->o->n_rules; i++) {
        const rule *r = &j->o->rules[i];
        if (!glob_match(r->glob, r->glob_bytes, tensor->name, tensor->name_bytes))
            continue;
        options = r->options;
        j->rule_used[i] = true;
    }
    if (run_match(&j->o->keep, j->keep_used, tensor) && options.keep == NQ_KEEP_AUTO)
        options.keep = NQ_KEEP_ALWAYS;
    return options;
}

static bool is_quantized(const job *j, const nq_tensor *tensor,
                         const nq_plan_tensor_options *options)
{
    const uint64_t n = run_elements(tensor);
    return run_is_weight(tensor->dtype) && n > 0 && options->keep != NQ_KEEP_ALWAYS &&
           (options->keep == NQ_KEEP_NEVER || n >= j->o->plan.min_elements);
}

/* ---- Failures of the plan ------------------------------------------------------------------ */

/* A target as it is written on the command line. */
static const char *target_text(char out[64], uint32_t target, double value)
{
    if (target == NQ_TARGET_FILE_BYTES)
        (void)snprintf(out, 64, "%.0fB", value);
    else
        (void)snprintf(out, 64, "%.6g%s", value,
                       target == NQ_TARGET_BITS_PER_WEIGHT ? "bpw"
                       : target == NQ_TARGET_RATIO         ? "x"
                                                           : "dB");
    return out;
}

static const nq_tensor *tensor_of(const job *j, const nq_diag *diag)
{
    return diag->tensor < j->weights.n_tensors ? &j->weights.tensors[diag->tensor].tensor : NULL;
}

/* Numbers that may not be: which file has them, where, and what to do. */
static int number_error(const job *j, nq_diag *diag)
{
    char text[1024], keep[KEEP_BYTES];
    const nq_tensor *tensor = tensor_of(j, diag), *about = tensor;
    const char *label = j->weights.label, *advice = "";
    if (!tensor)
        return cli_library_error(label, diag, tensor);
    const st_tensor *importance = model_find(&j->importance, tensor->name, tensor->name_bytes);
    if (diag->input == NQ_INPUT_IMPORTANCE && importance) {
        about = &importance->tensor;
        label = j->importance.label;
        advice = "make it 0 or more, or ";
        diag->element = importance_element(about, tensor, diag->element);
    }
    return cli_error(CLI_VALUES, "%s: %s; %sstore the tensor as it is with %s", label,
                     cli_describe(text, sizeof text, diag, about), advice, cli_keep(keep, tensor));
}

static int plan_error(const job *j, nq_status status)
{
    nq_diag diag;
    nq_diag_init(&diag);
    if (!j->plan || nq_plan_diag(j->plan, &diag) != NQ_OK || diag.status != status)
        nq_diag_init(&diag);
    diag.status = status;
    if (status == NQ_E_IO)
        return output_error(&j->out);
    if (status == NQ_E_TARGET) {
        char nearest[64];
        return cli_error(CLI_DIFFERENT, "%s: the target cannot be met; the nearest is %s",
                         j->weights.label, target_text(nearest, j->o->plan.target, diag.value));
    }
    if (status == NQ_E_LIMIT && diag.value > 0) {
        char text[1024], step[32];
        return cli_error(CLI_LIMIT, "%s: %s; the smallest step that works is %s", j->weights.label,
                         cli_describe(text, sizeof text, &diag, tensor_of(j, &diag)),
                         shortest_double(step, diag.value));
    }
    if (status == NQ_E_NUMERIC)
        return number_error(j, &diag);
    if (status == NQ_E_UNSUPPORTED)
        return options_lacking("this combination of options");
    return cli_library_error(j->weights.label, &diag, tensor_of(j, &diag));
}

/* ---- Steps --------------------------------------------------------------------------------- */

static int open_inputs(job *j)
{
    const int code = model_open(&j->weights, j->o->inputs[0]);
    if (code != CLI_DONE || !j->o->importance)
        return code;
    return model_open(&j->importance, j->o->importance);
}

static int add_tensor(job *j, const nq_tensor *tensor)
{
    const nq_tensor *importance = NULL;
    const nq_plan_tensor_options options = tensor_options(j, tensor);
    if (j->o->importance && is_quantized(j, tensor, &options)) {
        const int code = importance_find(&importance, &j->importance, tensor);
        if (code != CLI_DONE)
            return code;
    }
    const nq_status status = nq_plan_add(j->plan, tensor, importance, &options);
    return status == NQ_OK ? CLI_DONE : plan_error(j, status);
}

static void tell_unused(const job *j)
{
    for (size_t i = 0; i < j->o->keep.n; i++)
        if (!j->keep_used[i])
            cli_note("--keep '%s' matches no tensor", j->o->keep.items[i]);
    for (size_t i = 0; i < j->o->n_rules; i++)
        if (!j->rule_used[i])
            cli_note("--rule '%s' matches no tensor", j->o->rules[i].text);
}

static int add_all(job *j)
{
    for (size_t i = 0; i < j->weights.n_metadata; i++) {
        const st_pair *pair = &j->weights.metadata[i];
        const nq_status status = nq_plan_add_metadata(j->plan, pair->key, pair->key_bytes,
                                                      pair->value, pair->value_bytes);
        if (status != NQ_OK)
            return plan_error(j, status);
    }
    for (size_t i = 0; i < j->weights.n_tensors; i++) {
        const int code = add_tensor(j, &j->weights.tensors[i].tensor);
        if (code != CLI_DONE)
            return code;
    }
    tell_unused(j);
    return CLI_DONE;
}

static int make_plan(job *j)
{
    nq_plan_options options = j->o->plan;
    options.original_bytes = j->weights.n_bytes;
    j->keep_used = calloc(j->o->keep.n + 1, sizeof *j->keep_used);
    j->rule_used = calloc(j->o->n_rules + 1, sizeof *j->rule_used);
    if (!j->keep_used || !j->rule_used)
        return cli_out_of_memory();
    const int code = run_context(&j->ctx, j->o);
    if (code != CLI_DONE)
        return code;
    const nq_status status = nq_plan_create(&j->plan, j->ctx, &options);
    return status == NQ_OK ? add_all(j) : plan_error(j, status);
}

static int open_output(job *j)
{
    if (j->o->dry_run)
        return CLI_DONE;
    const int code = run_output_path(&j->path, j->o, endings, ".nq");
    if (code != CLI_DONE)
        return code;
    if (model_has_file(&j->weights, j->path) || model_has_file(&j->importance, j->path))
        return cli_error(CLI_USAGE, "%s: is an input, too", j->path);
    return output_open(&j->out, j->path, j->o->force);
}

static int write_plan(job *j)
{
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = output_write_at;
    sink.user = &j->out;
    const nq_status status = nq_plan_write(j->plan, j->o->dry_run ? NULL : &sink);
    progress_clear();
    return status == NQ_OK ? CLI_DONE : plan_error(j, status);
}

/* ---- Report -------------------------------------------------------------------------------- */

static int fill_row(report_row *row, const job *j, size_t i)
{
    nq_plan_tensor_report t = {.struct_size = sizeof t};
    const nq_status status = nq_plan_get_tensor_report(j->plan, i, &t);
    if (status != NQ_OK)
        return plan_error(j, status);
    *row = (report_row){.tensor = j->weights.tensors[i].tensor,
                        .n_elements = t.n_elements,
                        .is_quantized = t.is_quantized != 0,
                        .method = t.method,
                        .codec = t.codec,
                        .codebook = t.codebook,
                        .level_rule = t.level_rule,
                        .n_levels = t.is_quantized ? t.n_levels : 0,
                        .step = t.is_quantized ? t.step : 0,
                        .n_bytes = t.bytes,
                        .bits_per_weight = t.bits_per_weight,
                        .entropy_bits = t.entropy_bits,
                        .errors = {t.mse, t.sqnr_db, t.max_abs_error, t.weighted_distortion}};
    if (t.ignores_importance) {
        char name[QUOTED_BYTES];
        cli_note("tensor %s: all importance is zero, taken as if there were none",
                 fault_quote(name, row->tensor.name, row->tensor.name_bytes));
    }
    return CLI_DONE;
}

/* Says which tensors would be smaller as they are: codes are only chosen among each other. Levels
 * count where no other tensor has them, too; the cells' middles are not stored one by one. */
static void tell_larger(const report *r, const uint32_t *codebook_uses)
{
    char name[QUOTED_BYTES], keep[KEEP_BYTES], others[64] = "";
    uint64_t n_larger = 0, quantized = 0, kept = 0;
    const report_row *first = NULL;
    for (size_t i = 0; i < r->n_rows; i++) {
        const report_row *row = &r->rows[i];
        const uint64_t as_it_is = row->n_elements * (nq_dtype_bits(row->tensor.dtype) / 8);
        const uint64_t n_bytes =
            row->n_bytes + (row->is_quantized && codebook_uses[row->codebook] == 1 &&
                                    row->level_rule != NQ_LEVEL_GRID
                                ? 4 * (uint64_t)row->n_levels
                                : 0);
        if (!row->is_quantized || n_bytes <= as_it_is)
            continue;
        first = first ? first : row;
        n_larger++;
        quantized += n_bytes;
        kept += as_it_is;
    }
    if (!first)
        return;
    if (n_larger > 1)
        (void)snprintf(others, sizeof others, " and %" PRIu64 " more", n_larger - 1);
    cli_note("tensor %s%s: %" PRIu64 " bytes quantized, %" PRIu64 " stored as before (%s)",
             fault_quote(name, first->tensor.name, first->tensor.name_bytes), others, quantized,
             kept, cli_keep(keep, &first->tensor));
}

/* Rows for all tensors; counts who has each codebook. */
static int fill_rows(report *r, const job *j, uint32_t *codebook_uses)
{
    int code = CLI_DONE;
    for (size_t i = 0; i < r->n_rows && code == CLI_DONE; i++) {
        code = fill_row(&r->rows[i], j, i);
        if (code == CLI_DONE && r->rows[i].is_quantized)
            codebook_uses[r->rows[i].codebook]++;
    }
    if (code == CLI_DONE)
        tell_larger(r, codebook_uses);
    return code;
}

static int make_report(report *r, const job *j)
{
    nq_plan_report total = {.struct_size = sizeof total};
    const nq_status status = nq_plan_get_report(j->plan, &total);
    if (status != NQ_OK)
        return plan_error(j, status);
    if (!report_make(r, j->weights.n_tensors))
        return cli_out_of_memory();
    r->has_sizes = r->has_errors = true;
    r->original_bytes = total.original_bytes;
    r->compressed_bytes = total.compressed_bytes;
    r->n_elements = total.n_elements;
    r->errors =
        (report_errors){total.mse, total.sqnr_db, total.max_abs_error, total.weighted_distortion};
    uint32_t *codebook_uses = calloc((size_t)total.n_codebooks + 1, sizeof *codebook_uses);
    if (!codebook_uses)
        return cli_out_of_memory();
    const int code = fill_rows(r, j, codebook_uses);
    free(codebook_uses);
    return code;
}

static int print_report(const job *j, const report *r)
{
    if (j->o->json)
        return report_print_json(r);
    const bool is_stdout = j->path && strcmp(j->path, "-") == 0;
    if (j->o->quiet || is_stdout)
        return CLI_DONE;
    return report_print_summary(r, j->path ? j->path : j->weights.label);
}

/* ---- All together -------------------------------------------------------------------------- */

static int finish(job *j)
{
    report r = {0};
    int code = make_report(&r, j);
    if (!j->o->dry_run) {
        if (code == CLI_DONE)
            code = output_commit(&j->out);
        else
            output_discard(&j->out);
    }
    if (code == CLI_DONE)
        code = print_report(j, &r);
    report_free(&r);
    return code;
}

static int run(job *j)
{
    int code = open_inputs(j);
    if (code == CLI_DONE)
        code = make_plan(j);
    if (code == CLI_DONE)
        code = open_output(j);
    if (code != CLI_DONE)
        return code;
    code = write_plan(j);
    if (code == CLI_DONE)
        return finish(j);
    if (!j->o->dry_run)
        output_discard(&j->out);
    return code;
}

int verb_compress(const cli_options *o)
{
    job j = {.o = o};
    const int code = run(&j);
    nq_plan_destroy(j.plan);
    nq_ctx_destroy(j.ctx);
    model_close(&j.weights);
    model_close(&j.importance);
    free(j.path);
    free(j.keep_used);
    free(j.rule_used);
    return code;
}
