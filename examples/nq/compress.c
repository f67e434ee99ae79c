/*
 * nq compress: a plan is made, its file written, and told what became of each tensor.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "output.h"
#include "planning.h"
#include "progress.h"
#include "report.h"
#include "verbs.h"

static const char *const endings[] = {".safetensors.index.json", ".safetensors", ".npy", NULL};

typedef struct job {
    const cli_options *o;
    planning p;
    output out;
    char *path;
} job;

static int plan_error(const job *j, nq_status status)
{
    return status == NQ_E_IO ? output_error(&j->out) : planning_error(&j->p, status);
}

/* ---- Output -------------------------------------------------------------------------------- */

static int open_output(job *j)
{
    if (j->o->dry_run)
        return CLI_DONE;
    const int code = run_output_path(&j->path, j->o, endings, ".nq");
    if (code != CLI_DONE)
        return code;
    if (model_has_file(&j->p.weights, j->path) || model_has_file(&j->p.importance, j->path))
        return cli_error(CLI_USAGE, "%s: is an input, too", j->path);
    return output_open(&j->out, j->path, j->o->force);
}

static int write_plan(job *j)
{
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = output_write_at;
    sink.user = &j->out;
    const nq_status status = nq_plan_write(j->p.plan, j->o->dry_run ? NULL : &sink);
    progress_clear();
    return status == NQ_OK ? CLI_DONE : plan_error(j, status);
}

/* ---- Report -------------------------------------------------------------------------------- */

static int fill_row(report_row *row, const job *j, size_t i)
{
    nq_plan_tensor_report t = {.struct_size = sizeof t};
    const nq_status status = nq_plan_get_tensor_report(j->p.plan, i, &t);
    if (status != NQ_OK)
        return plan_error(j, status);
    *row = (report_row){.tensor = j->p.weights.tensors[i].tensor,
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
    cli_note("tensor %s%s: %" PRIu64 " bytes quantized, %" PRIu64 " if stored as it is (%s)",
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
    const nq_status status = nq_plan_get_report(j->p.plan, &total);
    if (status != NQ_OK)
        return plan_error(j, status);
    if (!report_make(r, j->p.weights.n_tensors))
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
    return report_print_summary(r, j->path ? j->path : j->p.weights.label);
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
    int code = planning_open(&j->p, j->o);
    if (code == CLI_DONE)
        code = planning_make(&j->p, &j->o->plan);
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
    planning_close(&j.p);
    free(j.path);
    return code;
}
