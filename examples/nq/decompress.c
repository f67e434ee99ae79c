/*
 * nq decompress: a .nq file becomes safetensors, piece by piece: no more than one piece of one
 * tensor is ever held. Nothing appears under the output's name unless every tensor in it is whole.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "common/safetensors.h"
#include "errors.h"
#include "output.h"
#include "progress.h"
#include "report.h"
#include "verbs.h"

/* Elements of a piece: some blocks for each of a good many threads. A block that is larger is a
 * piece of its own, because entering a block in its middle costs as much as decoding it from its
 * start. */
#define PIECE_LOG2 22

static const char *const endings[] = {".nq", NULL};

typedef struct job {
    const cli_options *o;
    archive in;
    nq_ctx *ctx;
    output out;
    char *path;
    nq_tensor *tensors; /* those that are asked for, as they will be written */
    uint64_t *numbers;  /* of the same in the file */
    size_t n_tensors;
    st_pair *metadata;
    st_writer writer;
    uint8_t *piece;
    uint64_t done, total; /* elements, for progress */
    int damage;           /* exit code of the first damage, CLI_DONE without */
} job;

/* ---- What to write ------------------------------------------------------------------------- */

static int check_globs(const job *j, const bool *used)
{
    for (size_t i = 0; i < j->o->tensors.n; i++)
        if (!used[i])
            return cli_error(CLI_USAGE, "%s: --tensor '%s' matches no tensor (nq info lists them)",
                             j->in.label, j->o->tensors.items[i]);
    return CLI_DONE;
}

static void select_tensors(job *j, bool *used)
{
    const texts *globs = &j->o->tensors;
    for (uint64_t i = 0; i < j->in.info.n_tensors; i++) {
        nq_tensor tensor = archive_describe(&j->in, i);
        if (globs->n > 0 && !run_match(globs, used, &tensor))
            continue;
        if (j->o->dtype != NQ_INHERIT && run_is_weight(tensor.dtype))
            tensor.dtype = j->o->dtype;
        j->total += run_elements(&tensor);
        j->numbers[j->n_tensors] = i;
        j->tensors[j->n_tensors++] = tensor;
    }
}

static int choose_tensors(job *j)
{
    const size_t n = (size_t)j->in.info.n_tensors + 1;
    bool *used = calloc(j->o->tensors.n + 1, sizeof *used);
    j->tensors = calloc(n, sizeof *j->tensors);
    j->numbers = calloc(n, sizeof *j->numbers);
    int code = CLI_DONE;
    if (!used || !j->tensors || !j->numbers) {
        code = cli_out_of_memory();
    } else {
        select_tensors(j, used);
        code = check_globs(j, used);
    }
    free(used);
    return code;
}

static int read_metadata(job *j)
{
    j->metadata = calloc((size_t)j->in.info.n_metadata + 1, sizeof *j->metadata);
    if (!j->metadata)
        return cli_out_of_memory();
    for (uint64_t i = 0; i < j->in.info.n_metadata; i++) {
        st_pair *pair = &j->metadata[i];
        nq_diag diag;
        nq_diag_init(&diag);
        diag.status = nq_reader_metadata(j->in.reader, i, &pair->key, &pair->key_bytes,
                                         &pair->value, &pair->value_bytes);
        if (diag.status != NQ_OK)
            return archive_error(&j->in, &diag);
    }
    return CLI_DONE;
}

/* Elements of this tensor that are decoded at once. */
static uint64_t piece_elements(const job *j, size_t i)
{
    const nq_tensor_info info = archive_tensor(&j->in, j->numbers[i]);
    const bool is_large = info.codec != NQ_CODEC_STORED && info.block_log2 > PIECE_LOG2;
    const uint64_t piece = UINT64_C(1) << (is_large ? info.block_log2 : PIECE_LOG2);
    return info.n_elements < piece ? info.n_elements : piece;
}

static uint64_t bytes_of(const nq_tensor *tensor, uint64_t n_elements)
{
    return n_elements / 8 * nq_dtype_bits(tensor->dtype) +
           n_elements % 8 * nq_dtype_bits(tensor->dtype) / 8;
}

static int make_room(job *j)
{
    uint64_t largest = 1;
    for (size_t i = 0; i < j->n_tensors; i++) {
        const uint64_t n_bytes = bytes_of(&j->tensors[i], piece_elements(j, i));
        largest = n_bytes > largest ? n_bytes : largest;
    }
    j->piece = largest <= SIZE_MAX ? malloc((size_t)largest) : NULL;
    return j->piece ? CLI_DONE : cli_out_of_memory();
}

/* ---- Writing ------------------------------------------------------------------------------- */

static int write_fault(const job *j, const fault *f)
{
    if (f->kind == FAULT_IO)
        return output_error(&j->out);
    return cli_error(f->kind == FAULT_FORMAT ? CLI_IO : CLI_LIMIT, "%s: %s", j->in.label, f->text);
}

static int32_t tell_damage(void *user, const nq_diag *diag)
{
    job *j = user;
    const int code = archive_error(&j->in, diag);
    if (j->damage == CLI_DONE)
        j->damage = code;
    return 0;
}

/* Once anything is damaged, the rest is only checked, so that everything damaged is named. */
static int check_tensor(job *j, size_t i)
{
    nq_diag diag;
    nq_diag_init(&diag);
    const nq_status status =
        nq_reader_verify(j->in.reader, j->ctx, j->numbers[i], tell_damage, j, &diag);
    return cli_status_code(status) == CLI_DAMAGED || status == NQ_OK ? CLI_DONE
                                                                     : archive_error(&j->in, &diag);
}

static int write_piece(job *j, size_t i, uint64_t first, uint64_t count)
{
    fault f;
    nq_diag diag;
    const nq_tensor *tensor = &j->tensors[i];
    nq_diag_init(&diag);
    const nq_status status = nq_reader_decode(j->in.reader, j->ctx, j->numbers[i], tensor->dtype,
                                              first, count, j->piece, &diag);
    if (cli_status_code(status) == CLI_DAMAGED) {
        j->damage = archive_error(&j->in, &diag);
        return CLI_DONE;
    }
    if (status != NQ_OK)
        return archive_error(&j->in, &diag);
    if (!st_write_data(&j->writer, j->piece, (size_t)bytes_of(tensor, count), &f))
        return write_fault(j, &f);
    j->done += count;
    progress_hook(NULL, NQ_STAGE_DECODE, j->done, j->total);
    return CLI_DONE;
}

static int write_tensor(job *j, size_t i)
{
    const uint64_t n = run_elements(&j->tensors[i]), piece = piece_elements(j, i);
    int code = CLI_DONE;
    for (uint64_t first = 0; first < n && code == CLI_DONE && j->damage == CLI_DONE;) {
        const uint64_t count = n - first < piece ? n - first : piece;
        code = write_piece(j, i, first, count);
        first += count;
    }
    return code;
}

static int write_all(job *j)
{
    fault f;
    int code = CLI_DONE;
    if (!st_write_begin(&j->writer, j->tensors, j->n_tensors, j->metadata,
                        (size_t)j->in.info.n_metadata, output_append, &j->out, &f))
        return write_fault(j, &f);
    for (size_t i = 0; i < j->n_tensors && code == CLI_DONE; i++)
        code = j->damage == CLI_DONE ? write_tensor(j, i) : check_tensor(j, i);
    progress_clear();
    if (code != CLI_DONE)
        return code;
    if (j->damage != CLI_DONE) {
        cli_note("nothing was written; --tensor brings out tensors that are whole");
        return j->damage;
    }
    return st_write_end(&j->writer, &f) ? CLI_DONE : write_fault(j, &f);
}

/* ---- Report -------------------------------------------------------------------------------- */

static int print_json(const job *j)
{
    buffer b = {0};
    buffer_printf(&b, "{\n  \"bytes\": %" PRIu64 ",\n  \"tensors\": [", j->out.n_bytes);
    for (size_t i = 0; i < j->n_tensors; i++) {
        const nq_tensor *tensor = &j->tensors[i];
        buffer_text(&b, i ? ",\n    {\"name\": " : "\n    {\"name\": ");
        buffer_json_string(&b, tensor->name, tensor->name_bytes);
        buffer_printf(&b, ", \"dtype\": \"%s\", \"shape\": [", nq_dtype_name(tensor->dtype));
        for (uint32_t k = 0; k < tensor->rank; k++)
            buffer_printf(&b, k ? ", %" PRIu64 : "%" PRIu64, tensor->dims[k]);
        buffer_printf(&b, "], \"elements\": %" PRIu64 "}", run_elements(tensor));
    }
    buffer_text(&b, "\n  ]\n}\n");
    return report_print(&b);
}

static int print_report(const job *j)
{
    if (j->o->json)
        return print_json(j);
    if (!j->o->quiet && strcmp(j->path, "-") != 0)
        printf("%s: %zu tensor%s, %" PRIu64 " bytes\n", j->path, j->n_tensors,
               j->n_tensors == 1 ? "" : "s", j->out.n_bytes);
    return CLI_DONE;
}

/* ---- All together -------------------------------------------------------------------------- */

static int prepare(job *j)
{
    int code = run_context(&j->ctx, j->o);
    if (code == CLI_DONE)
        code = archive_open(&j->in, j->o->inputs[0], j->ctx);
    if (code == CLI_DONE)
        code = choose_tensors(j);
    if (code == CLI_DONE)
        code = read_metadata(j);
    if (code == CLI_DONE)
        code = make_room(j);
    if (code == CLI_DONE)
        code = run_output_path(&j->path, j->o, endings, ".safetensors");
    if (code == CLI_DONE && output_is_file(j->path, j->in.view.device, j->in.view.inode))
        code = cli_error(CLI_USAGE, "%s: is the input, too", j->path);
    return code;
}

static int run(job *j)
{
    int code = prepare(j);
    if (code == CLI_DONE)
        code = output_open(&j->out, j->path, j->o->force);
    if (code != CLI_DONE)
        return code;
    code = write_all(j);
    if (code != CLI_DONE) {
        output_discard(&j->out);
        return code;
    }
    code = output_commit(&j->out);
    return code == CLI_DONE ? print_report(j) : code;
}

int verb_decompress(const cli_options *o)
{
    job j = {.o = o};
    const int code = run(&j);
    archive_close(&j.in);
    nq_ctx_destroy(j.ctx);
    free(j.tensors);
    free(j.numbers);
    free(j.metadata);
    free(j.piece);
    free(j.path);
    return code;
}
