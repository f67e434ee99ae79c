/*
 * Values of options: see values.h and options.h.
 */
#include "values.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "options.h"

/* ---- Words --------------------------------------------------------------------------------- */

const choice choices_method[] = {{"uniform", NQ_METHOD_UNIFORM, false},
                                 {"kmeans", NQ_METHOD_KMEANS, false},
                                 {"ecsq", NQ_METHOD_ECSQ, false},
                                 {NULL, 0, false}};
const choice choices_scope[] = {{"model", NQ_SCOPE_MODEL, false},
                                {"tensor", NQ_SCOPE_TENSOR, false},
                                {"channel", NQ_SCOPE_CHANNEL, false},
                                {NULL, 0, false}};
const choice choices_level[] = {{"weighted", NQ_LEVEL_WEIGHTED, false},
                                {"mean", NQ_LEVEL_MEAN, false},
                                {"grid", NQ_LEVEL_GRID, false},
                                {NULL, 0, false}};
const choice choices_codec[] = {{"auto", NQ_CODEC_AUTO, false},
                                {"fixed", NQ_CODEC_FIXED, false},
                                {"huffman", NQ_CODEC_HUFFMAN, false},
                                {"rans", NQ_CODEC_RANS, false},
                                {"huffman-gaps", NQ_CODEC_HUFFMAN_GAPS, false},
                                {NULL, 0, false}};
static const choice choices_mean[] = {{"tensor", NQ_IMPORTANCE_TENSOR_MEAN, false},
                                      {"channel", NQ_IMPORTANCE_CHANNEL_MEAN, false},
                                      {NULL, 0, false}};
static const choice choices_dtype[] = {
    {"f32", NQ_F32, false}, {"f16", NQ_F16, false}, {"bf16", NQ_BF16, false}, {NULL, 0, false}};

int choose(uint32_t *out, const choice *choices, const char *name, const char *value)
{
    char known[256] = "";
    for (const choice *c = choices; c->word; c++) {
        if (strcmp(c->word, value) == 0) {
            char what[64];
            (void)snprintf(what, sizeof what, "%s %s", name, value);
            *out = c->value;
            return c->later ? options_lacking(what) : CLI_DONE;
        }
        const size_t length = strlen(known);
        if (!c->later)
            (void)snprintf(known + length, sizeof known - length, length ? ", %s" : "%s", c->word);
    }
    return cli_error(CLI_USAGE, "%s: \"%s\" is none of %s", name, value, known);
}

const char *choice_word(const choice *choices, uint32_t value)
{
    for (const choice *c = choices; c->word; c++)
        if (c->value == value)
            return c->word;
    return "?";
}

/* ---- Numbers ------------------------------------------------------------------------------- */

int read_number(double *out, const char *name, const char *value, double least, bool is_open)
{
    char *end;
    const double number = strtod(value, &end);
    const bool is_number = *value && *end == '\0' && !strchr(" \t\n\v\f\r", *value);
    if (is_number && isfinite(number) && (is_open ? number > least : number >= least)) {
        *out = number;
        return CLI_DONE;
    }
    return cli_error(CLI_USAGE, "%s: \"%s\" is not a number %s %g", name, value,
                     is_open ? "above" : "from", least);
}

int read_density(double *out, const char *name, const char *value)
{
    const int code = read_number(out, name, value, 0, true);
    if (code == CLI_DONE && *out > 1)
        return cli_error(CLI_USAGE, "%s: \"%s\" is not a number above 0, and 1 at most", name,
                         value);
    return code;
}

int read_integer(uint64_t *out, const char *name, const char *value, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(value, &end, 10);
    if (*value >= '0' && *value <= '9' && *end == '\0' && errno == 0 && number >= least &&
        number <= most) {
        *out = number;
        return CLI_DONE;
    }
    if (most == UINT64_MAX)
        return cli_error(CLI_USAGE, "%s: \"%s\" is not a whole number from %" PRIu64, name, value,
                         least);
    return cli_error(CLI_USAGE, "%s: \"%s\" is not a whole number from %" PRIu64 " to %" PRIu64,
                     name, value, least, most);
}

int read_axis(uint32_t *out, const char *name, const char *value)
{
    uint64_t axis = 0;
    const int code = read_integer(&axis, name, value, 0, NQ_MAX_RANK - 1);
    if (code == CLI_DONE)
        *out = (uint32_t)axis;
    return code;
}

/* ---- Quantizer and code -------------------------------------------------------------------- */

static void add_word(words *list, uint32_t value)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->values[i] == value)
            return;
    if (list->n < sizeof list->values / sizeof list->values[0])
        list->values[list->n++] = value;
}

int set_method(cli_options *o, const char *name, const char *value)
{
    const int code = choose(&o->plan.method, choices_method, name, value);
    add_word(&o->methods, o->plan.method);
    return code;
}

/* There is one target: given again in the same way it is changed, in another it is a mistake. */
static int set_goal(cli_options *o, const char *name, uint32_t target, double value)
{
    if (o->plan.target != NQ_TARGET_NONE && o->plan.target != target)
        return cli_error(CLI_USAGE, "%s: only one of --step, --levels and --target", name);
    o->plan.target = target;
    o->plan.target_value = value;
    return CLI_DONE;
}

int set_kmeans(cli_options *o, const char *name, const char *value)
{
    static const choice ways[] = {{"optimal", NQ_KMEANS_OPTIMAL, false},
                                  {"exact", NQ_KMEANS_EXACT, false},
                                  {"lloyd", NQ_KMEANS_LLOYD, false},
                                  {NULL, 0, false}};
    const bool is_plus_plus = strcmp(value, "lloyd++") == 0;
    o->plan.kmeans_start = is_plus_plus ? NQ_START_PLUS_PLUS : NQ_START_LINEAR;
    return choose(&o->plan.kmeans, ways, name, is_plus_plus ? "lloyd" : value);
}

int set_seed(cli_options *o, const char *name, const char *value)
{
    return read_integer(&o->plan.kmeans_seed, name, value, 0, UINT64_MAX);
}

int set_step(cli_options *o, const char *name, const char *value)
{
    double step = 0;
    const int code = read_number(&step, name, value, 0, true);
    return code != CLI_DONE ? code : set_goal(o, name, NQ_TARGET_STEP, step);
}

int set_levels(cli_options *o, const char *name, const char *value)
{
    uint64_t n_levels = 0;
    const int code = read_integer(&n_levels, name, value, 1, NQ_MAX_LEVELS);
    return code != CLI_DONE ? code : set_goal(o, name, NQ_TARGET_LEVELS, (double)n_levels);
}

int set_lambda(cli_options *o, const char *name, const char *value)
{
    double lambda = 0;
    const int code = read_number(&lambda, name, value, 0, false);
    o->has_lambda = true;
    o->lambda = lambda;
    return code;
}

int set_allocate(cli_options *o, const char *name, const char *value)
{
    static const choice choices_allocate[] = {{"slope", NQ_ALLOCATE_SLOPE, false},
                                              {NULL, 0, false}};
    return choose(&o->plan.allocate, choices_allocate, name, value);
}

int set_density(cli_options *o, const char *name, const char *value)
{
    return read_density(&o->plan.density, name, value);
}

int set_rdo(cli_options *o, const char *name, const char *value)
{
    (void)name;
    (void)value;
    o->plan.rdo = 1;
    return CLI_DONE;
}

/* What may follow the number of a target. */
static const struct {
    const char *unit;
    uint32_t target;
    double factor;
} units[] = {{"bpw", NQ_TARGET_BITS_PER_WEIGHT, 1},
             {"x", NQ_TARGET_RATIO, 1},
             {"dB", NQ_TARGET_SQNR_DB, 1},
             {"B", NQ_TARGET_FILE_BYTES, 1},
             {"K", NQ_TARGET_FILE_BYTES, 1e3},
             {"M", NQ_TARGET_FILE_BYTES, 1e6},
             {"G", NQ_TARGET_FILE_BYTES, 1e9},
             {"KiB", NQ_TARGET_FILE_BYTES, 1024.0},
             {"MiB", NQ_TARGET_FILE_BYTES, 1048576.0},
             {"GiB", NQ_TARGET_FILE_BYTES, 1073741824.0}};

int set_target(cli_options *o, const char *name, const char *value)
{
    const size_t n = strspn(value, "0123456789.");
    char number[64];
    double target = 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(value + n, units[i].unit) != 0 || n == 0 || n >= sizeof number)
            continue;
        memcpy(number, value, n);
        number[n] = '\0';
        const int code = read_number(&target, name, number, 0, true);
        return code != CLI_DONE ? code
                                : set_goal(o, name, units[i].target, target * units[i].factor);
    }
    return cli_error(CLI_USAGE,
                     "%s: \"%s\" is not a rate (3.2bpw), ratio (10x), distortion (30dB) or size "
                     "(4096B, 300K, 1.5MiB)",
                     name, value);
}

int set_scope(cli_options *o, const char *name, const char *value)
{
    return choose(&o->plan.scope, choices_scope, name, value);
}

int set_axis(cli_options *o, const char *name, const char *value)
{
    return read_axis(&o->plan.channel_axis, name, value);
}

int set_level(cli_options *o, const char *name, const char *value)
{
    return choose(&o->plan.level_rule, choices_level, name, value);
}

int set_importance(cli_options *o, const char *name, const char *value)
{
    (void)name;
    o->importance = value;
    return CLI_DONE;
}

int set_importance_power(cli_options *o, const char *name, const char *value)
{
    o->shapes_importance = true;
    return read_number(&o->plan.importance_power, name, value, 0, false);
}

int set_importance_floor(cli_options *o, const char *name, const char *value)
{
    o->shapes_importance = true;
    return read_number(&o->plan.importance_floor, name, value, 0, false);
}

int set_importance_mean(cli_options *o, const char *name, const char *value)
{
    o->shapes_importance = true;
    return choose(&o->plan.importance_mean, choices_mean, name, value);
}

int set_codec(cli_options *o, const char *name, const char *value)
{
    const int code = choose(&o->plan.codec, choices_codec, name, value);
    add_word(&o->codecs, o->plan.codec);
    return code;
}

int set_lossless(cli_options *o, const char *name, const char *value)
{
    (void)name;
    (void)value;
    o->plan.lossless = NQ_LOSSLESS_YES;
    return CLI_DONE;
}

/* ---- Which tensors ------------------------------------------------------------------------- */

int texts_add(texts *list, const char *text)
{
    const char **grown = realloc(list->items, (list->n + 1) * sizeof *grown);
    if (!grown)
        return cli_out_of_memory();
    list->items = grown;
    grown[list->n++] = text;
    return CLI_DONE;
}

int set_keep(cli_options *o, const char *name, const char *value)
{
    (void)name;
    return texts_add(&o->keep, value);
}

int set_min_elems(cli_options *o, const char *name, const char *value)
{
    return read_integer(&o->plan.min_elements, name, value, 0, UINT64_MAX);
}

int set_tensor(cli_options *o, const char *name, const char *value)
{
    (void)name;
    return texts_add(&o->tensors, value);
}

int set_dtype(cli_options *o, const char *name, const char *value)
{
    return choose(&o->dtype, choices_dtype, name, value);
}

/* ---- Run ----------------------------------------------------------------------------------- */

int set_output(cli_options *o, const char *name, const char *value)
{
    if (!*value)
        return cli_error(CLI_USAGE, "%s: an empty name", name);
    o->output = value;
    return CLI_DONE;
}

int set_threads(cli_options *o, const char *name, const char *value)
{
    uint64_t n_threads = 0;
    const int code = read_integer(&n_threads, name, value, 1, NQ_MAX_THREADS);
    if (code == CLI_DONE)
        o->n_threads = (uint32_t)n_threads;
    return code;
}

static int set_flag(bool *flag)
{
    *flag = true;
    return CLI_DONE;
}

int set_dry_run(cli_options *o, const char *name, const char *value)
{
    (void)name;
    (void)value;
    return set_flag(&o->dry_run);
}

int set_force(cli_options *o, const char *name, const char *value)
{
    (void)name;
    (void)value;
    return set_flag(&o->force);
}

int set_json(cli_options *o, const char *name, const char *value)
{
    (void)name;
    (void)value;
    return set_flag(&o->json);
}

int set_quiet(cli_options *o, const char *name, const char *value)
{
    (void)name;
    (void)value;
    return set_flag(&o->quiet);
}

int set_help(cli_options *o, const char *name, const char *value)
{
    (void)name;
    (void)value;
    return set_flag(&o->help);
}
