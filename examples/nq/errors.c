/*
 * Errors: see errors.h. The one place where statuses of the library and faults of examples/common
 * become exit codes.
 */
#include "errors.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "progress.h"

static bool quiet;

int cli_status_code(nq_status status)
{
    switch (status) {
    case NQ_OK:
        return CLI_DONE;
    case NQ_E_TARGET:
        return CLI_DIFFERENT;
    case NQ_E_ARG:
        return CLI_USAGE;
    case NQ_E_IO:
        return CLI_IO;
    case NQ_E_TRUNCATED:
    case NQ_E_CORRUPT:
    case NQ_E_CHECKSUM:
        return CLI_DAMAGED;
    case NQ_E_NUMERIC:
        return CLI_VALUES;
    case NQ_E_UNSUPPORTED:
        return CLI_NEWER;
    default: /* NOMEM, LIMIT, and what only a defect brings about */
        return CLI_LIMIT;
    }
}

static int code_of_fault(int kind)
{
    return kind == FAULT_LIMIT || kind == FAULT_MEMORY ? CLI_LIMIT : CLI_IO;
}

int cli_error(int code, const char *format, ...)
{
    va_list arguments;
    progress_clear();
    fputs("nq: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return code;
}

int cli_fault(const fault *f)
{
    return cli_error(code_of_fault(f->kind), "%s", f->text);
}

int cli_out_of_memory(void)
{
    return cli_error(CLI_LIMIT, "out of memory");
}

/* ---- What the library says ----------------------------------------------------------------- */

/* Appends to a text that is cut off where it is full. */
static void append(char *out, size_t capacity, const char *format, ...)
{
    const size_t length = strlen(out);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(out + length, capacity - length, format, arguments);
    va_end(arguments);
}

/* " [1, 2, 3]": where a flat element lies in its tensor. */
static void append_indices(char *out, size_t capacity, uint64_t element, const nq_tensor *tensor)
{
    uint64_t indices[NQ_MAX_RANK];
    if (tensor->rank < 2)
        return;
    for (uint32_t i = tensor->rank; i-- > 0; element /= tensor->dims[i] ? tensor->dims[i] : 1)
        indices[i] = tensor->dims[i] ? element % tensor->dims[i] : 0;
    for (uint32_t i = 0; i < tensor->rank; i++)
        append(out, capacity, i ? ", %" PRIu64 : " [%" PRIu64, indices[i]);
    append(out, capacity, "]");
}

const char *cli_describe(char *out, size_t capacity, const nq_diag *diag, const nq_tensor *tensor)
{
    char name[QUOTED_BYTES];
    out[0] = '\0';
    if (tensor)
        append(out, capacity, "tensor %s: ", fault_quote(name, tensor->name, tensor->name_bytes));
    if (tensor && diag->element != NQ_NONE) {
        append(out, capacity, "element %" PRIu64, diag->element);
        append_indices(out, capacity, diag->element, tensor);
        append(out, capacity, ": ");
    }
    append(out, capacity, "%s", diag->what[0] ? diag->what : nq_status_text(diag->status));
    if (diag->status == NQ_E_NUMERIC && diag->element != NQ_NONE)
        append(out, capacity, isnan(diag->value) ? " (nan)" : " (%.6g)", diag->value);
    if (diag->byte_offset != NQ_NONE)
        append(out, capacity, " (at byte %" PRIu64 " of the file)", diag->byte_offset);
    if (diag->status == NQ_E_LIMIT && diag->wanted)
        append(out, capacity, " (%" PRIu64 " would be needed)", diag->wanted);
    return out;
}

int cli_library_error(const char *label, const nq_diag *diag, const nq_tensor *tensor)
{
    char text[1024];
    return cli_error(cli_status_code(diag->status), "%s: %s", label,
                     cli_describe(text, sizeof text, diag, tensor));
}

/* Neither for the shell nor as a glob may a character of the name mean anything else. */
const char *cli_keep(char out[KEEP_BYTES], const nq_tensor *tensor)
{
    char quoted[QUOTED_BYTES];
    fault_quote(quoted, tensor->name, tensor->name_bytes);
    const size_t n = strlen(quoted) - 2;
    const bool is_simple = n > 0 && n == tensor->name_bytes && quoted[1] != '-' &&
                           memcmp(quoted + 1, tensor->name, n) == 0 && !strpbrk(quoted, "*?[]\\'");
    (void)snprintf(out, KEEP_BYTES, is_simple ? "--keep '%.*s'" : "--keep", (int)n, quoted + 1);
    return out;
}

/* ---- Notes --------------------------------------------------------------------------------- */

void cli_set_quiet(bool is_quiet)
{
    quiet = is_quiet;
}

void cli_note(const char *format, ...)
{
    va_list arguments;
    if (quiet)
        return;
    progress_clear();
    fputs("nq: note: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}
