/*
 * From options and models to a plan: see planning.h.
 */
#include "planning.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "errors.h"
#include "glob.h"
#include "importance.h"
#include "verbs.h"

/* ---- What becomes of a tensor -------------------------------------------------------------- */

/* The last rule that matches holds; its keep= beats --keep. */
static nq_plan_tensor_options tensor_options(const planning *p, const nq_tensor *tensor)
{
    nq_plan_tensor_options options;
    nq_plan_tensor_options_init(&options);
    for (size_t i = 0; i < p->o->n_rules; i++) {
        const rule *r = &p->o->rules[i];
        if (!glob_match(r->glob, r->glob_bytes, tensor->name, tensor->name_bytes))
            continue;
        options = r->options;
        p->rule_used[i] = true;
    }
    if (run_match(&p->o->keep, p->keep_used, tensor) && options.keep == NQ_KEEP_AUTO)
        options.keep = NQ_KEEP_ALWAYS;
    return options;
}

/* See nq_plan_options.lossless. */
static bool is_lossless(const planning *p, const nq_tensor *tensor,
                        const nq_plan_tensor_options *options)
{
    if (options->lossless != NQ_INHERIT)
        return options->lossless == NQ_LOSSLESS_YES;
    return p->o->plan.lossless == NQ_LOSSLESS_YES && tensor->dtype != NQ_F32 &&
           options->target == NQ_INHERIT && options->keep != NQ_KEEP_NEVER;
}

static bool is_quantized(const planning *p, const nq_tensor *tensor,
                         const nq_plan_tensor_options *options)
{
    const uint64_t n = run_elements(tensor);
    return run_is_weight(tensor->dtype) && n > 0 && options->keep != NQ_KEEP_ALWAYS &&
           !is_lossless(p, tensor, options) &&
           (options->keep == NQ_KEEP_NEVER || n >= p->o->plan.min_elements);
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

static const nq_tensor *tensor_of(const planning *p, const nq_diag *diag)
{
    return diag->tensor < p->weights.n_tensors ? &p->weights.tensors[diag->tensor].tensor : NULL;
}

/* Numbers that may not be: which file has them, where, and what to do. */
static int number_error(const planning *p, nq_diag *diag)
{
    char text[1024], keep[KEEP_BYTES];
    const nq_tensor *tensor = tensor_of(p, diag), *about = tensor;
    const char *label = p->weights.label, *advice = "";
    if (!tensor)
        return cli_library_error(label, diag, tensor);
    const st_tensor *importance = model_find(&p->importance, tensor->name, tensor->name_bytes);
    if (diag->input == NQ_INPUT_IMPORTANCE && importance) {
        about = &importance->tensor;
        label = p->importance.label;
        advice = "make it 0 or more, or ";
        diag->element = importance_element(about, tensor, diag->element);
    }
    return cli_error(CLI_VALUES, "%s: %s; %sstore the tensor as it is with %s", label,
                     cli_describe(text, sizeof text, diag, about), advice, cli_keep(keep, tensor));
}

int planning_error(const planning *p, nq_status status)
{
    nq_diag diag;
    nq_diag_init(&diag);
    if (!p->plan || nq_plan_diag(p->plan, &diag) != NQ_OK || diag.status != status)
        nq_diag_init(&diag);
    diag.status = status;
    if (status == NQ_E_TARGET) {
        char nearest[64];
        return cli_error(CLI_DIFFERENT, "%s: the target cannot be met; the nearest is %s",
                         p->weights.label, target_text(nearest, p->o->plan.target, diag.value));
    }
    if (status == NQ_E_LIMIT && diag.value > 0) {
        char text[1024], step[32];
        return cli_error(CLI_LIMIT, "%s: %s; %s step that works is %s", p->weights.label,
                         cli_describe(text, sizeof text, &diag, tensor_of(p, &diag)),
                         diag.is_loose ? "a" : "the smallest", shortest_double(step, diag.value));
    }
    if (status == NQ_E_NUMERIC)
        return number_error(p, &diag);
    if (status == NQ_E_UNSUPPORTED)
        return options_lacking("this combination of options");
    return cli_library_error(p->weights.label, &diag, tensor_of(p, &diag));
}

/* ---- Life ---------------------------------------------------------------------------------- */

int planning_open(planning *p, const cli_options *o)
{
    *p = (planning){.o = o};
    int code = model_open(&p->weights, o->inputs[0]);
    if (code == CLI_DONE && o->importance)
        code = model_open(&p->importance, o->importance);
    if (code != CLI_DONE)
        return code;
    p->keep_used = calloc(o->keep.n + 1, sizeof *p->keep_used);
    p->rule_used = calloc(o->n_rules + 1, sizeof *p->rule_used);
    if (!p->keep_used || !p->rule_used)
        return cli_out_of_memory();
    return run_context(&p->ctx, o);
}

void planning_close(planning *p)
{
    nq_plan_destroy(p->plan);
    nq_ctx_destroy(p->ctx);
    model_close(&p->weights);
    model_close(&p->importance);
    free(p->keep_used);
    free(p->rule_used);
    *p = (planning){.o = NULL};
}

static int add_tensor(planning *p, const nq_tensor *tensor)
{
    const nq_tensor *importance = NULL;
    const nq_plan_tensor_options options = tensor_options(p, tensor);
    if (p->o->importance && is_quantized(p, tensor, &options)) {
        const int code = importance_find(&importance, &p->importance, tensor);
        if (code != CLI_DONE)
            return code;
    }
    const nq_status status = nq_plan_add(p->plan, tensor, importance, &options);
    return status == NQ_OK ? CLI_DONE : planning_error(p, status);
}

static void tell_unused(planning *p)
{
    if (p->has_told)
        return;
    p->has_told = true;
    for (size_t i = 0; i < p->o->keep.n; i++)
        if (!p->keep_used[i])
            cli_note("--keep '%s' matches no tensor", p->o->keep.items[i]);
    for (size_t i = 0; i < p->o->n_rules; i++)
        if (!p->rule_used[i])
            cli_note("--rule '%s' matches no tensor", p->o->rules[i].text);
}

static int add_all(planning *p)
{
    for (size_t i = 0; i < p->weights.n_metadata; i++) {
        const st_pair *pair = &p->weights.metadata[i];
        const nq_status status = nq_plan_add_metadata(p->plan, pair->key, pair->key_bytes,
                                                      pair->value, pair->value_bytes);
        if (status != NQ_OK)
            return planning_error(p, status);
    }
    for (size_t i = 0; i < p->weights.n_tensors; i++) {
        const int code = add_tensor(p, &p->weights.tensors[i].tensor);
        if (code != CLI_DONE)
            return code;
    }
    tell_unused(p);
    return CLI_DONE;
}

int planning_make(planning *p, const nq_plan_options *options)
{
    nq_plan_options full = *options;
    full.original_bytes = p->weights.n_bytes;
    nq_plan_destroy(p->plan);
    p->plan = NULL;
    const nq_status status = nq_plan_create(&p->plan, p->ctx, &full);
    return status == NQ_OK ? add_all(p) : planning_error(p, status);
}
