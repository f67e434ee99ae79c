/*
 * Rules for single tensors: --rule 'GLOB:key=value,...'. What stands before the last colon is the
 * glob; the keys are named like the options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "options.h"
#include "values.h"

/* ---- Keys ---------------------------------------------------------------------------------- */

typedef nq_plan_tensor_options tensor_options;

static int set_rule_target(tensor_options *t, const char *name, uint32_t target, double value)
{
    if (t->target != NQ_INHERIT && t->target != target)
        return cli_error(CLI_USAGE, "%s: only one of step, levels and lambda", name);
    t->target = target;
    t->target_value = value;
    return CLI_DONE;
}

static int set_rule_step(tensor_options *t, const char *name, const char *value)
{
    double step = 0;
    const int code = read_number(&step, name, value, 0, true);
    return code != CLI_DONE ? code : set_rule_target(t, name, NQ_TARGET_STEP, step);
}

static int set_rule_levels(tensor_options *t, const char *name, const char *value)
{
    uint64_t n_levels = 0;
    const int code = read_integer(&n_levels, name, value, 1, NQ_MAX_LEVELS);
    return code != CLI_DONE ? code : set_rule_target(t, name, NQ_TARGET_LEVELS, (double)n_levels);
}

static int set_rule_lambda(tensor_options *t, const char *name, const char *value)
{
    double lambda = 0;
    const int code = read_number(&lambda, name, value, 0, false);
    return code != CLI_DONE ? code : set_rule_target(t, name, NQ_TARGET_LAMBDA, lambda);
}

static int set_rule_density(tensor_options *t, const char *name, const char *value)
{
    return read_density(&t->density, name, value);
}

static int set_rule_method(tensor_options *t, const char *name, const char *value)
{
    return choose(&t->method, choices_method, name, value);
}

static int set_rule_scope(tensor_options *t, const char *name, const char *value)
{
    return choose(&t->scope, choices_scope, name, value);
}

static int set_rule_axis(tensor_options *t, const char *name, const char *value)
{
    return read_axis(&t->channel_axis, name, value);
}

static int set_rule_level(tensor_options *t, const char *name, const char *value)
{
    return choose(&t->level_rule, choices_level, name, value);
}

static int set_rule_codec(tensor_options *t, const char *name, const char *value)
{
    return choose(&t->codec, choices_codec, name, value);
}

static int set_rule_keep(tensor_options *t, const char *name, const char *value)
{
    static const choice choices_keep[] = {
        {"yes", NQ_KEEP_ALWAYS, false}, {"no", NQ_KEEP_NEVER, false}, {NULL, 0, false}};
    return choose(&t->keep, choices_keep, name, value);
}

static int set_rule_lossless(tensor_options *t, const char *name, const char *value)
{
    static const choice choices_lossless[] = {
        {"yes", NQ_LOSSLESS_YES, false}, {"no", NQ_LOSSLESS_NO, false}, {NULL, 0, false}};
    return choose(&t->lossless, choices_lossless, name, value);
}

static const struct {
    const char *name;
    int (*set)(tensor_options *, const char *name,
               const char *value); /* NULL: not in this version */
} keys[] = {{"method", set_rule_method},
            {"step", set_rule_step},
            {"levels", set_rule_levels},
            {"lambda", set_rule_lambda},
            {"target", NULL},
            {"scope", set_rule_scope},
            {"axis", set_rule_axis},
            {"level", set_rule_level},
            {"codec", set_rule_codec},
            {"keep", set_rule_keep},
            {"lossless", set_rule_lossless},
            {"density", set_rule_density},
            {"rdo", NULL}};

/* ---- Parsing ------------------------------------------------------------------------------- */

/* One "key=value" of n bytes. */
static int read_setting(rule *r, const char *name, const char *text, size_t n)
{
    char copy[128], called[160];
    if (n >= sizeof copy)
        return cli_error(CLI_USAGE, "%s '%s': too long a setting", name, r->text);
    memcpy(copy, text, n);
    copy[n] = '\0';
    char *equals = strchr(copy, '=');
    if (!equals)
        return cli_error(CLI_USAGE, "%s '%s': \"%s\" is not key=value", name, r->text, copy);
    *equals = '\0';
    (void)snprintf(called, sizeof called, "%s: %s", name, copy);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i].name, copy) == 0)
            return keys[i].set ? keys[i].set(&r->options, called, equals + 1)
                               : options_lacking(called);
    return cli_error(
        CLI_USAGE,
        "%s '%s': unknown key \"%s\" (there are step, levels, lambda, method, scope, axis, "
        "level, codec, density, keep, lossless)",
        name, r->text, copy);
}

static int read_settings(rule *r, const char *name, const char *text)
{
    for (;;) {
        const size_t n = strcspn(text, ",");
        const int code = read_setting(r, name, text, n);
        if (code != CLI_DONE || text[n] == '\0')
            return code;
        text += n + 1;
    }
}

int set_rule(cli_options *o, const char *name, const char *value)
{
    rule r = {.glob = value, .text = value};
    nq_plan_tensor_options_init(&r.options);
    const char *colon = strrchr(value, ':');
    if (!colon)
        return cli_error(CLI_USAGE, "%s '%s': 'GLOB:key=value,...' is expected", name, value);
    r.glob_bytes = (size_t)(colon - value);
    const int code = read_settings(&r, name, colon + 1);
    if (code != CLI_DONE)
        return code;
    rule *grown = realloc(o->rules, (o->n_rules + 1) * sizeof *grown);
    if (!grown)
        return cli_out_of_memory();
    o->rules = grown;
    grown[o->n_rules++] = r;
    return CLI_DONE;
}
