/*
 * What the verbs share: see verbs.h.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"
#include "glob.h"
#include "progress.h"
#include "verbs.h"

static uint32_t count_cores(void)
{
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > NQ_MAX_THREADS ? NQ_MAX_THREADS : (uint32_t)n;
}

/* A library without threads does the same in one. */
int run_context(nq_ctx **ctx, const cli_options *o)
{
    nq_ctx_options options;
    nq_diag diag;
    nq_ctx_options_init(&options);
    nq_diag_init(&diag);
    options.n_threads = o->n_threads ? o->n_threads : count_cores();
    options.progress = progress_hook;
    progress_start(!o->quiet);
    diag.status = nq_ctx_create(ctx, &options);
    if (diag.status == NQ_E_UNSUPPORTED && options.n_threads > 1) {
        options.n_threads = 1;
        diag.status = nq_ctx_create(ctx, &options);
    }
    return diag.status == NQ_OK ? CLI_DONE : cli_library_error("starting", &diag, NULL);
}

/* Bytes of `path` without the first ending that it has. */
static size_t stem_bytes(const char *path, const char *const *endings)
{
    const char *slash = strrchr(path, '/');
    const size_t folder = slash ? (size_t)(slash - path) + 1 : 0, n = strlen(path);
    for (; *endings; endings++) {
        const size_t n_ending = strlen(*endings);
        if (n > folder + n_ending && strcmp(path + n - n_ending, *endings) == 0)
            return n - n_ending;
    }
    return n;
}

int run_output_path(char **path, const cli_options *o, const char *const *endings,
                    const char *ending)
{
    const char *input = o->inputs[0];
    const char *whole = o->output ? o->output : strcmp(input, "-") == 0 ? "-" : NULL;
    const size_t n = whole ? strlen(whole) : stem_bytes(input, endings);
    *path = malloc(n + strlen(ending) + 1);
    if (!*path)
        return cli_out_of_memory();
    memcpy(*path, whole ? whole : input, n);
    strcpy(*path + n, whole ? "" : ending);
    if (o->json && strcmp(*path, "-") == 0 && !o->dry_run) {
        free(*path);
        *path = NULL;
        return cli_error(CLI_USAGE, "standard output cannot take both the file and --json; use -o");
    }
    return CLI_DONE;
}

bool run_match(const texts *globs, bool *used, const nq_tensor *tensor)
{
    bool matches = false;
    for (size_t i = 0; i < globs->n; i++) {
        const char *glob = globs->items[i];
        if (!glob_match(glob, strlen(glob), tensor->name, tensor->name_bytes))
            continue;
        matches = true;
        if (used)
            used[i] = true;
    }
    return matches;
}

bool run_is_weight(uint32_t dtype)
{
    return dtype == NQ_F32 || dtype == NQ_F16 || dtype == NQ_BF16;
}

uint64_t run_elements(const nq_tensor *tensor)
{
    uint64_t n_elements = 0;
    return nq_tensor_elements(&n_elements, tensor) == NQ_OK ? n_elements : 0;
}
