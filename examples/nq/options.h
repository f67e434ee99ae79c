/*
 * The command line. One table in options.c holds every option: its name, whose it is, what it takes
 * and what --help says; adding an option is a line there and a setter in values.c.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nq/nq.h>

/* Verbs, as bits of a mask. */
enum {
    VERB_COMPRESS = 1,
    VERB_DECOMPRESS = 2,
    VERB_INFO = 4,
    VERB_VERIFY = 8,
    VERB_COMPARE = 16,
    VERB_CURVE = 32,
    VERB_ALL = 63
};

/* A list of texts of the command line. */
typedef struct texts {
    const char **items;
    size_t n;
} texts;

/* Values of an option that may be given again, each once. */
typedef struct words {
    uint32_t values[8];
    size_t n;
} words;

/* --rule 'GLOB:key=value,...' */
typedef struct rule {
    const char *glob;
    size_t glob_bytes;
    nq_plan_tensor_options options;
    const char *text; /* the whole of it */
} rule;

typedef struct cli_options {
    unsigned verb; /* one bit */
    const char *inputs[2];
    size_t n_inputs;
    const char *output; /* NULL: the default */

    nq_plan_options plan; /* quantizer and code; the target is set if its kind is */
    words methods;        /* all that were given; the plan has the last */
    words codecs;
    const char *importance;
    double lambda; /* the target, or with another target that of rdo */
    bool has_lambda;
    bool shapes_importance; /* one of --importance-... was given */

    texts keep;
    rule *rules;
    size_t n_rules;
    texts tensors;  /* --tensor */
    uint32_t dtype; /* --dtype; NQ_INHERIT without */

    uint32_t n_threads; /* 0: all cores */
    bool dry_run;
    bool force;
    bool json;
    bool quiet;
    bool help;
} cli_options;

/*
 * Reads the command line into *o, to be freed in any case. Returns an exit code, having printed
 * what is wrong; o->help and VERB 0 ask for the help of the whole program.
 */
int options_read(cli_options *o, int argc, char **argv);
void options_free(cli_options *o);

/* Help for one verb, or with 0 for the program. */
void options_help(unsigned verb);

/* ---- Between options.c and values.c -------------------------------------------------------- */

/* Takes the value of an option (NULL for a flag) or of a key of a rule; `name` is how to call it in
 * messages. Returns an exit code. */
typedef int (*option_set)(cli_options *o, const char *name, const char *value);

int set_method(cli_options *o, const char *name, const char *value);
int set_kmeans(cli_options *o, const char *name, const char *value);
int set_seed(cli_options *o, const char *name, const char *value);
int set_step(cli_options *o, const char *name, const char *value);
int set_levels(cli_options *o, const char *name, const char *value);
int set_lambda(cli_options *o, const char *name, const char *value);
int set_allocate(cli_options *o, const char *name, const char *value);
int set_density(cli_options *o, const char *name, const char *value);
int set_rdo(cli_options *o, const char *name, const char *value);
int set_lossless(cli_options *o, const char *name, const char *value);
int set_target(cli_options *o, const char *name, const char *value);
int set_scope(cli_options *o, const char *name, const char *value);
int set_axis(cli_options *o, const char *name, const char *value);
int set_level(cli_options *o, const char *name, const char *value);
int set_importance(cli_options *o, const char *name, const char *value);
int set_importance_power(cli_options *o, const char *name, const char *value);
int set_importance_floor(cli_options *o, const char *name, const char *value);
int set_importance_mean(cli_options *o, const char *name, const char *value);
int set_codec(cli_options *o, const char *name, const char *value);
int set_keep(cli_options *o, const char *name, const char *value);
int set_min_elems(cli_options *o, const char *name, const char *value);
int set_rule(cli_options *o, const char *name, const char *value);
int set_output(cli_options *o, const char *name, const char *value);
int set_dtype(cli_options *o, const char *name, const char *value);
int set_tensor(cli_options *o, const char *name, const char *value);
int set_threads(cli_options *o, const char *name, const char *value);
int set_dry_run(cli_options *o, const char *name, const char *value);
int set_force(cli_options *o, const char *name, const char *value);
int set_json(cli_options *o, const char *name, const char *value);
int set_quiet(cli_options *o, const char *name, const char *value);
int set_help(cli_options *o, const char *name, const char *value);

/* Adds a text to a list. */
int texts_add(texts *list, const char *text);

/* "this version does not have it", CLI_USAGE. */
int options_lacking(const char *what);

#endif
