/*
 * The command line: see options.h. Options may stand anywhere, before the verb too; what is neither
 * an option nor a value is a word: first the verb, then the inputs.
 */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"

#define DEFAULT_SQNR_DB 30.0

/* ---- The table ----------------------------------------------------------------------------- */

typedef struct option {
    const char *name; /* without dashes */
    char letter;      /* or 0 */
    unsigned verbs;
    const char *argument; /* what help calls its value; NULL for a flag */
    option_set set;       /* NULL: not in this version */
    const char *help;     /* lines after the first are set in */
} option;

#define CODED VERB_COMPRESS
#define TRIED (VERB_COMPRESS | VERB_CURVE)
#define MAKES (VERB_COMPRESS | VERB_DECOMPRESS)

static const option options[] = {
    {"output", 'o', MAKES, "FILE", set_output, "where to write; - is standard output"},
    {"method", 0, TRIED, "M", set_method,
     "uniform (the default): cells of one width around zero; kmeans;\n"
     "ecsq: levels that make error plus lambda times rate least"},
    {"kmeans", 0, TRIED, "WAY", set_kmeans,
     "how --method kmeans finds levels: optimal (default: the optimum over\n"
     "statistics of the weights, nearly that over the weights), exact (over\n"
     "the weights: slower, some 20 bytes of memory for each), lloyd (the\n"
     "paper's, from evenly spaced levels), or lloyd++ (from k-means++)"},
    {"seed", 0, TRIED, "N", set_seed, "of --kmeans lloyd++; default 0"},
    {"step", 0, CODED, "S", set_step, "width of a cell, or"},
    {"levels", 0, CODED, "K", set_levels,
     "at most so many levels in a codebook (uniform: the smallest step that\n"
     "leaves no more, but not below some 2^-60 of the largest weight, 2^-52\n"
     "with --level grid), or"},
    {"lambda", 0, CODED, "L", set_lambda, "price of a bit in units of distortion, or"},
    {"target", 0, CODED, "T", set_target,
     "the finest that keeps within a rate (3.2bpw), a ratio (10x), a size\n"
     "(4096B, 300K, 1.5MiB), or the coarsest that keeps a signal-to-noise\n"
     "ratio (30dB, the default)"},
    {"scope", 0, TRIED, "SCOPE", set_scope,
     "who shares a codebook: model (default), tensor, or channel: each index\n"
     "of one axis has its own; tensors that lack the axis, and those of less\n"
     "than two dimensions, have one each"},
    {"axis", 0, TRIED, "N", set_axis,
     "of --scope channel and --importance-mean channel; default 0"},
    {"allocate", 0, TRIED, "slope", set_allocate,
     "steps or lambdas of codebooks such that all trade bits for weighted\n"
     "error at the same rate"},
    {"level", 0, TRIED, "RULE", set_level,
     "what stands for a cell's weights: weighted (default: their mean by\n"
     "importance), mean, or grid (the cell's middle)"},
    {"rdo", 0, TRIED, NULL, set_rdo,
     "weights go to the level that costs least, error plus lambda times\n"
     "length of its code; lambda follows from the step unless given"},
    {"density", 0, TRIED, "D", set_density,
     "prune to this part of the weights first: the largest stay, or with\n"
     "importance those that matter most"},
    {"importance", 0, TRIED | VERB_COMPARE, "FILE", set_importance,
     "importance of each weight (the diagonal of the loss's Hessian or a\n"
     "stand-in): same names, shapes that broadcast as in numpy"},
    {"importance-power", 0, TRIED, "P", set_importance_power,
     "shape importance h to max(h, F mean h)^P; default 1"},
    {"importance-floor", 0, TRIED, "F", set_importance_floor, "F of the same; default 0.001"},
    {"importance-mean", 0, TRIED, "tensor|channel", set_importance_mean,
     "average importance first"},
    {"codec", 0, TRIED, "C", set_codec,
     "auto (default: the smallest file), fixed, huffman,\n"
     "rans, or huffman-gaps"},
    {"lossless", 0, TRIED, NULL, set_lossless,
     "code without loss what can be: tensors of 8 and 16 bits, F16 and BF16\n"
     "among them, which are not quantized then unless a rule gives them a\n"
     "goal or keep=no; and F32 tensors that are stored otherwise"},
    {"keep", 0, TRIED, "GLOB...", set_keep,
     "store tensors of these names as they are; may be given again"},
    {"min-elems", 0, TRIED, "N", set_min_elems,
     "store tensors of fewer elements as they are; default 1024"},
    {"rule", 0, TRIED, "'GLOB:KEY=VALUE,...'", set_rule,
     "step, levels, lambda, method, scope, axis, level, codec, density,\n"
     "keep=yes|no, or lossless=yes|no for some tensors; of several that\n"
     "match a name the last one holds; each tensor with a goal of its own has\n"
     "a codebook of its own"},
    {"dtype", 0, VERB_DECOMPRESS, "f32|f16|bf16", set_dtype,
     "type of floating tensors; default: the source's"},
    {"tensor", 0, VERB_DECOMPRESS, "GLOB", set_tensor,
     "only tensors of these names; may be given again"},
    {"threads", 0, VERB_ALL, "N", set_threads, "default: all cores"},
    {"dry-run", 0, CODED, NULL, set_dry_run, "report, but write nothing"},
    {"force", 0, MAKES, NULL, set_force, "replace an existing file"},
    {"json", 0, VERB_ALL, NULL, set_json, "report as JSON on standard output"},
    {"quiet", 0, VERB_ALL, NULL, set_quiet, "no report, no notes, no progress"},
    {"help", 'h', VERB_ALL, NULL, set_help, "this text"},
};
#define N_OPTIONS (sizeof options / sizeof options[0])

/* Verbs. */
typedef struct verb {
    const char *name;
    unsigned bit; /* 0: not in this version */
    size_t n_inputs;
    const char *usage;
    const char *what;
    const char *more;
} verb;

static const verb verbs[] = {
    {"compress", VERB_COMPRESS, 1, "IN [-o OUT.nq] [--target T | --step S | --levels K] [OPTIONS]",
     "Quantize and code a model's weights",
     "IN is a .safetensors file, the .safetensors.index.json of a model in several files, a .npy\n"
     "array (its tensor is called \"array\"), or - for standard input. Without -o the output is "
     "IN\n"
     "with that ending replaced by .nq; for standard input it is standard output.\n"
     "F32, F16 and BF16 tensors with at least --min-elems elements are quantized, all others "
     "stored\n"
     "as they are, or coded without loss with --lossless. A step that gives more than 65536 levels is\n"
     "refused, and the smallest that works is named (or, rarely, just one that works: finding the\n"
     "smallest would take too long).\n"},
    {"decompress", VERB_DECOMPRESS, 1, "IN.nq [-o OUT.safetensors] [OPTIONS]",
     "Make safetensors of a .nq file",
     "IN.nq may be - for standard input. Without -o the output is IN with its ending .nq replaced "
     "by\n"
     ".safetensors; for standard input it is standard output. If a tensor that is asked for is\n"
     "damaged, nothing is written; --tensor brings out those that are whole.\n"},
    {"info", VERB_INFO, 1, "IN.nq [OPTIONS]", "List what a .nq file holds",
     "IN.nq may be - for standard input. --json also decodes the file, for the entropies.\n"},
    {"verify", VERB_VERIFY, 1, "IN.nq [OPTIONS]", "Check every byte of a .nq file",
     "IN.nq may be - for standard input. Every damaged tensor is named; exit 4 if there is any.\n"},
    {"compare", VERB_COMPARE, 2, "A B [OPTIONS]", "Tell how far two models are apart",
     "A and B are .nq files or what `nq compress` reads; one of them may be - for standard input.\n"
     "Exit 0 if they hold the same tensors, 1 if not. Errors and elements are totals over the "
     "floating\n"
     "tensors that both have in the same shape; order and metadata do not matter.\n"},
    {"curve", VERB_CURVE, 1, "IN [--method M]... [--codec C]... [OPTIONS]",
     "Tell size and error for several methods and rates, as CSV",
     "IN is what `nq compress` reads. A line for each method (all without --method), codec (auto\n"
     "without --codec), and rate from half a bit to 8 bits a weight that can be had. Nothing is\n"
     "written.\n"},
};
#define N_VERBS (sizeof verbs / sizeof verbs[0])

int options_lacking(const char *what)
{
    return cli_error(CLI_USAGE, "%s: nq %s does not have this", what, nq_version_string());
}

/* ---- Help ---------------------------------------------------------------------------------- */

static void print_option(const option *o)
{
    char left[40];
    const char letter[] = {'-', o->letter, ',', ' ', '\0'};
    (void)snprintf(left, sizeof left, "%s--%s%s%s", o->letter ? letter : "", o->name,
                   o->argument ? " " : "", o->argument ? o->argument : "");
    printf("  %-27s", left);
    if (strlen(left) > 26)
        printf("\n%29s", "");
    for (const char *at = o->help; at;) {
        const size_t n = strcspn(at, "\n");
        printf("%.*s\n", (int)n, at);
        at = at[n] ? at + n + 1 : NULL;
        if (at)
            printf("%29s", "");
    }
}

static void print_verb_help(const verb *v)
{
    printf("usage: nq %s %s\n\n%s.\n", v->name, v->usage, v->what);
    printf("%s\n", v->more);
    for (size_t i = 0; i < N_OPTIONS; i++)
        if ((options[i].verbs & v->bit) && options[i].set)
            print_option(&options[i]);
}

void options_help(unsigned bit)
{
    for (size_t i = 0; i < N_VERBS; i++)
        if (bit && verbs[i].bit == bit) {
            print_verb_help(&verbs[i]);
            return;
        }
    printf("usage: nq VERB ...\n\nCompresses the weights of neural networks.\n\n");
    for (size_t i = 0; i < N_VERBS; i++)
        if (verbs[i].bit)
            printf("  nq %-11s %s\n  %14s%s\n", verbs[i].name, verbs[i].usage, "", verbs[i].what);
    printf(
        "\n  nq VERB --help    all about one of them\n  nq --version\n\n"
        "Exit codes: 0 done; 1 compared and different, or a target missed; 2 wrong usage; 3 input\n"
        "or output; 4 not a .nq file, or damaged; 5 non-finite weights, bad or missing importance;\n"
        "6 over a limit or out of memory; 7 written by a newer nq.\n");
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* What was read so far. */
typedef struct reading {
    cli_options *o;
    const verb *verb;
    const option *used[N_OPTIONS]; /* to see later whether they are the verb's */
    size_t n_used;
    bool has_list; /* further words may belong to the last option */
    texts maybe;   /* such words */
    bool is_plain; /* behind "--" there are only words */
} reading;

static const option *find_option(const char *name, size_t n_bytes)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (strlen(options[i].name) == n_bytes && memcmp(options[i].name, name, n_bytes) == 0)
            return &options[i];
    return NULL;
}

static const option *find_letter(char letter)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].letter && options[i].letter == letter)
            return &options[i];
    return NULL;
}

static int take_option(reading *r, const option *wanted, const char *value)
{
    char name[64];
    (void)snprintf(name, sizeof name, "--%s", wanted->name);
    if (!wanted->set)
        return options_lacking(name);
    size_t i = 0;
    while (i < r->n_used && r->used[i] != wanted)
        i++;
    if (i == r->n_used)
        r->used[r->n_used++] = wanted;
    return wanted->set(r->o, name, value);
}

static int take_word(reading *r, const char *word)
{
    cli_options *o = r->o;
    if (r->verb) {
        if (o->n_inputs == r->verb->n_inputs)
            return cli_error(CLI_USAGE, "\"%s\": one file too many (nq %s --help)", word,
                             r->verb->name);
        o->inputs[o->n_inputs++] = word;
        return CLI_DONE;
    }
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(verbs[i].name, word) == 0) {
            r->verb = &verbs[i];
            o->verb = verbs[i].bit;
            return o->verb ? CLI_DONE : options_lacking(word);
        }
    return cli_error(CLI_USAGE, "\"%s\" is not a verb (nq --help)", word);
}

/* --name, --name=value, -x, -xvalue: *value may be within the argument, or be the next one. */
static int take_argument(reading *r, const char *argument, const char *next, bool *takes_next)
{
    const bool is_long = argument[1] == '-';
    const char *equals = is_long ? strchr(argument, '=') : NULL;
    const size_t n_bytes = !is_long ? 1
                           : equals ? (size_t)(equals - argument) - 2
                                    : strlen(argument) - 2;
    const option *found = is_long ? find_option(argument + 2, n_bytes) : find_letter(argument[1]);
    const char *value = equals ? equals + 1 : !is_long && argument[2] ? argument + 2 : NULL;
    if (!found)
        return cli_error(CLI_USAGE, "%s: no such option (nq --help)", argument);
    if (!found->argument)
        return value ? cli_error(CLI_USAGE, "%s: takes no value", argument)
                     : take_option(r, found, NULL);
    *takes_next = !value;
    if (!value && !next)
        return found->set ? cli_error(CLI_USAGE, "%s: a value is missing", argument)
                          : take_option(r, found, NULL);
    /* Words that follow may be more of the same, but not in the form with "=". */
    if (!value && strcmp(found->argument, "GLOB...") == 0)
        r->has_list = true;
    return take_option(r, found, value ? value : next);
}

static int take_all(reading *r, int argc, char **argv)
{
    int code = CLI_DONE;
    for (int i = 1; i < argc && code == CLI_DONE; i++) {
        const char *argument = argv[i];
        bool takes_next = false;
        if (!r->is_plain && strcmp(argument, "--") == 0) {
            r->is_plain = true;
            r->has_list = false;
        } else if (!r->is_plain && argument[0] == '-' && argument[1]) {
            r->has_list = false;
            code = take_argument(r, argument, i + 1 < argc ? argv[i + 1] : NULL, &takes_next);
        } else if (r->has_list && r->verb) {
            code = texts_add(&r->maybe, argument);
        } else {
            code = take_word(r, argument);
        }
        i += takes_next;
    }
    return code;
}

/* Words behind --keep GLOB are more globs, except that an input which is nowhere else is the last.
 */
static int settle_words(reading *r)
{
    size_t n = r->maybe.n;
    int code = CLI_DONE;
    if (n > 0 && r->o->n_inputs == 0)
        code = take_word(r, r->maybe.items[--n]);
    for (size_t i = 0; i < n && code == CLI_DONE; i++)
        code = texts_add(&r->o->keep, r->maybe.items[i]);
    return code;
}

/* ---- Checking ------------------------------------------------------------------------------ */

static int check_options(const reading *r)
{
    for (size_t i = 0; i < r->n_used; i++)
        if (!(r->used[i]->verbs & r->o->verb))
            return cli_error(CLI_USAGE, "--%s: not an option of %s (nq %s --help)",
                             r->used[i]->name, r->verb->name, r->verb->name);
    if (r->o->n_inputs < r->verb->n_inputs)
        return cli_error(CLI_USAGE, "usage: nq %s %s", r->verb->name, r->verb->usage);
    return CLI_DONE;
}

static int check_compress(const cli_options *o)
{
    const bool is_goal = o->has_lambda && o->plan.target == NQ_TARGET_NONE;
    if (o->plan.allocate == NQ_ALLOCATE_SLOPE && o->plan.target == NQ_TARGET_LEVELS)
        return cli_error(CLI_USAGE, "--allocate slope needs --step, --lambda or --target");
    if (o->plan.method == NQ_METHOD_KMEANS && o->plan.allocate != NQ_ALLOCATE_SLOPE &&
        (o->plan.target == NQ_TARGET_STEP || is_goal))
        return cli_error(CLI_USAGE, "--method kmeans takes --levels or --target");
    if (o->plan.method != NQ_METHOD_UNIFORM && o->plan.level_rule == NQ_LEVEL_GRID)
        return cli_error(CLI_USAGE, "--level grid: only with --method uniform");
    if (o->has_lambda && !is_goal && !o->plan.rdo)
        return cli_error(CLI_USAGE, "--lambda beside --step, --levels or --target needs --rdo");
    if (o->shapes_importance && !o->importance)
        return cli_error(CLI_USAGE, "--importance-power, -floor and -mean need --importance");
    return CLI_DONE;
}

static int check_inputs(const cli_options *o)
{
    size_t n_stdin = o->importance && strcmp(o->importance, "-") == 0;
    for (size_t i = 0; i < o->n_inputs; i++)
        n_stdin += strcmp(o->inputs[i], "-") == 0;
    return n_stdin <= 1 ? CLI_DONE
                        : cli_error(CLI_USAGE, "standard input can be only one of the files");
}

int options_read(cli_options *o, int argc, char **argv)
{
    reading r = {.o = o};
    *o = (cli_options){.dtype = NQ_INHERIT};
    nq_plan_options_init(&o->plan);
    int code = take_all(&r, argc, argv);
    if (code == CLI_DONE && !o->help && !r.verb)
        code = cli_error(CLI_USAGE, "usage: nq VERB ... (nq --help)");
    if (code == CLI_DONE && !o->help)
        code = settle_words(&r);
    if (code == CLI_DONE && !o->help)
        code = check_options(&r);
    if (code == CLI_DONE && !o->help && o->verb == VERB_COMPRESS)
        code = check_compress(o);
    if (o->has_lambda && o->plan.target == NQ_TARGET_NONE) {
        o->plan.target = NQ_TARGET_LAMBDA;
        o->plan.target_value = o->lambda;
    } else if (o->has_lambda) {
        o->plan.rdo_lambda = o->lambda;
    }
    if (o->plan.target == NQ_TARGET_NONE) {
        o->plan.target = NQ_TARGET_SQNR_DB;
        o->plan.target_value = DEFAULT_SQNR_DB;
    }
    if (code == CLI_DONE && !o->help)
        code = check_inputs(o);
    free(r.maybe.items);
    return code;
}

void options_free(cli_options *o)
{
    free(o->keep.items);
    free(o->tensors.items);
    free(o->rules);
}
