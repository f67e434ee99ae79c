/*
 * nq verify: every checksum of a .nq file, and that everything decodes. Goes on after damage and
 * names all of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "archive.h"
#include "errors.h"
#include "progress.h"
#include "report.h"
#include "verbs.h"

typedef struct job {
    archive in;
    buffer damaged; /* JSON, one object for each */
    size_t n_damaged;
    int code; /* of the first */
} job;

static void add_number(buffer *b, const char *key, uint64_t value)
{
    if (value != NQ_NONE)
        buffer_printf(b, ", \"%s\": %" PRIu64, key, value);
    else
        buffer_printf(b, ", \"%s\": null", key);
}

static void add_json(job *j, const nq_diag *diag)
{
    buffer *b = &j->damaged;
    buffer_text(b, j->n_damaged ? ",\n    {\"name\": " : "\n    {\"name\": ");
    if (diag->tensor < j->in.info.n_tensors) {
        const nq_tensor tensor = archive_describe(&j->in, diag->tensor);
        buffer_json_string(b, tensor.name, tensor.name_bytes);
    } else {
        buffer_text(b, "null");
    }
    add_number(b, "tensor", diag->tensor);
    add_number(b, "element", diag->element);
    add_number(b, "byte_offset", diag->byte_offset);
    buffer_text(b, ", \"what\": ");
    const char *what = diag->what[0] ? diag->what : nq_status_text(diag->status);
    buffer_json_string(b, what, strlen(what));
    buffer_text(b, "}");
}

static int32_t tell_damage(void *user, const nq_diag *diag)
{
    job *j = user;
    const int code = archive_error(&j->in, diag);
    add_json(j, diag);
    if (j->n_damaged++ == 0)
        j->code = code;
    return 0;
}

static int print_report(job *j, const cli_options *o)
{
    const uint32_t n = j->in.info.n_tensors;
    if (o->json) {
        buffer b = {0};
        buffer_printf(&b, "{\n  \"tensors\": %" PRIu32 ",\n  \"damaged\": [", n);
        buffer_append(&b, j->damaged.bytes, j->damaged.n_bytes);
        buffer_text(&b, j->n_damaged ? "\n  ]\n}\n" : "]\n}\n");
        b.failed = b.failed || j->damaged.failed;
        return report_print(&b);
    }
    if (!o->quiet && j->n_damaged == 0)
        printf("%s: %" PRIu32 " tensor%s, all in order\n", j->in.label, n, n == 1 ? "" : "s");
    return CLI_DONE;
}

static int check(job *j, const nq_ctx *ctx, const cli_options *o)
{
    nq_diag diag;
    nq_diag_init(&diag);
    const nq_status status = nq_reader_verify(j->in.reader, ctx, NQ_NONE, tell_damage, j, &diag);
    progress_clear();
    if (status != NQ_OK && j->n_damaged == 0)
        return archive_error(&j->in, &diag);
    const int printed = print_report(j, o);
    return j->code != CLI_DONE ? j->code : printed;
}

int verb_verify(const cli_options *o)
{
    job j = {.code = CLI_DONE};
    nq_ctx *ctx = NULL;
    int code = run_context(&ctx, o);
    if (code == CLI_DONE)
        code = archive_open(&j.in, o->inputs[0], ctx);
    if (code == CLI_DONE)
        code = check(&j, ctx, o);
    archive_close(&j.in);
    buffer_free(&j.damaged);
    nq_ctx_destroy(ctx);
    return code;
}
