/*
 * The verbs: each reads the options that are its own, prints what is to be printed, and returns the
 * program's exit code.
 */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include <nq/nq.h>

#include "options.h"

int verb_compress(const cli_options *o);
int verb_decompress(const cli_options *o);
int verb_info(const cli_options *o);
int verb_verify(const cli_options *o);
int verb_compare(const cli_options *o);
int verb_curve(const cli_options *o);

/* ---- What they share: run.c ---------------------------------------------------------------- */

/* The context that the options ask for: threads, progress. An exit code. */
int run_context(nq_ctx **ctx, const cli_options *o);

/*
 * Where the output goes: -o, or the input with the first of `endings` (up to NULL) that it has
 * replaced by `ending`, or with it appended; standard output for standard input. The caller frees
 * *path. An exit code.
 */
int run_output_path(char **path, const cli_options *o, const char *const *endings,
                    const char *ending);

/* Whether one of the globs matches; `used` (NULL, or a flag for each) is set for those that do. */
bool run_match(const texts *globs, bool *used, const nq_tensor *tensor);

/* F32, F16 or BF16: what can be quantized. */
bool run_is_weight(uint32_t dtype);

/* Elements of a tensor that was checked when it was read. */
uint64_t run_elements(const nq_tensor *tensor);

#endif
