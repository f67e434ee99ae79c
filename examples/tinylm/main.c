/*
 * Generates text with a small language model whose weights stay compressed:
 *
 *     tinylm MODEL.nq TOKENIZER.bin [OPTION]...
 *
 * and tells how fast, in how much memory, and how well the model predicts a text. With --floats the
 * weights are decoded once and multiplied as floats: what the rest is to be held against.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tokenizer.h"
#include "transformer.h"

static const char help[] =
    "usage: tinylm MODEL.nq TOKENIZER.bin [OPTION]...\n"
    "\n"
    "  --prompt TEXT  what the generated text begins with\n"
    "  --tokens N     generate so many tokens, at most (200)\n"
    "  --text FILE    measure the loss on this text; parts of it between lines <|endoftext|> are\n"
    "                 texts of their own; after 512 tokens the model starts with an empty context\n"
    "  --floats       decode all weights when the file is opened, and multiply floats\n"
    "  --heads N      attention heads of the model (8)\n";

#define N_POSITIONS 512 /* the context that stories260K was trained with */

typedef struct options {
    const char *model, *tokenizer, *prompt, *text;
    size_t n_tokens, n_heads;
    bool as_floats;
} options;

typedef struct results {
    size_t n_generated, n_scored;
    double seconds;
    double loss; /* sum over the scored tokens, in nats */
} results;

/* ---- Generating ------------------------------------------------------------------------------ */

static size_t most_likely(const float *logits, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

/* Prints the prompt and what the model finds most likely after it. */
static bool generate(results *r, transformer *t, const tokenizer *words, const options *o)
{
    const size_t n_bytes = strlen(o->prompt);
    size_t *prompt = malloc((n_bytes + 2) * sizeof *prompt);
    if (!prompt)
        return false;
    const size_t n_prompt = tokenizer_encode(prompt, words, o->prompt, n_bytes);
    const clock_t start = clock();
    size_t now = prompt[0];
    for (size_t p = 0; p < o->n_tokens && p < t->n_positions && t->w->status == NQ_OK; p++) {
        const float *logits = transformer_next(t, now, p);
        const size_t next = p + 1 < n_prompt ? prompt[p + 1] : most_likely(logits, t->n_tokens);
        r->n_generated++;
        if (next == TOKEN_BEGIN || next == TOKEN_END)
            break;
        tokenizer_print(words, now, next);
        now = next;
    }
    putchar('\n');
    r->seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    free(prompt);
    return true;
}

/* ---- Loss ------------------------------------------------------------------------------------ */

/* -log of the softmax at `token`. */
static double surprise(const float *logits, size_t n, size_t token)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - (double)logits[token]);
    return log(sum);
}

static bool score_part(results *r, transformer *t, const tokenizer *words, const char *text,
                       size_t n_bytes)
{
    size_t *tokens = malloc((n_bytes + 2) * sizeof *tokens);
    if (!tokens)
        return false;
    const size_t n = tokenizer_encode(tokens, words, text, n_bytes);
    for (size_t i = 0; i + 1 < n; i++) {
        const float *logits = transformer_next(t, tokens[i], i % t->n_positions);
        r->loss += surprise(logits, t->n_tokens, tokens[i + 1]);
        r->n_scored++;
    }
    free(tokens);
    return t->w->status == NQ_OK;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    const long size = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    char *text = size >= 0 ? calloc((size_t)size + 1, 1) : NULL;
    if (text && (fseek(file, 0, SEEK_SET) != 0 || fread(text, 1, (size_t)size, file) == 0))
        *text = 0;
    if (file)
        fclose(file);
    return text;
}

static bool score(results *r, transformer *t, const tokenizer *words, const char *path)
{
    static const char separator[] = "<|endoftext|>";
    char *text = read_text(path);
    bool is_scored = text != NULL;
    for (const char *part = text; is_scored && part;) {
        const char *next = strstr(part, separator);
        const char *end = next ? next : part + strlen(part);
        while (part < end && strchr(" \n", *part))
            part++;
        while (end > part && strchr(" \n", end[-1]))
            end--;
        is_scored = score_part(r, t, words, part, (size_t)(end - part));
        part = next ? next + strlen(separator) : NULL;
    }
    free(text);
    return is_scored;
}

/* ---- The program ----------------------------------------------------------------------------- */

static double peak_megabytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
    return (double)usage.ru_maxrss * 1e-6;
#else
    return (double)usage.ru_maxrss * 1024e-6;
#endif
}

static void report(const results *r, const weights *w)
{
    printf("%s: ", w->floats ? "floats" : "compressed");
    printf("%.0f tokens/s, weights in %.1f KB, peak memory %.2f MB",
           (double)r->n_generated / (r->seconds > 0 ? r->seconds : 1e-9),
           (double)w->held_bytes * 1e-3, peak_megabytes());
    if (r->n_scored > 0)
        printf(", loss %.4f nats a token (%zu tokens)", r->loss / (double)r->n_scored, r->n_scored);
    putchar('\n');
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "tinylm: %s: %s\n", what, why);
    return 1;
}

static int run(const options *o, weights *w, transformer *t, tokenizer *words)
{
    char missing[64] = "";
    results r = {0};
    if (!tokenizer_read(words, o->tokenizer))
        return fail(o->tokenizer, "no tokenizer, or not to be read");
    if (!weights_open(w, o->model, o->as_floats))
        return fail(o->model, nq_status_text(w->status));
    if (!transformer_make(t, w, o->n_heads, N_POSITIONS, missing) && w->status == NQ_OK)
        return fail(o->model, *missing ? missing : "out of memory");
    if (w->status == NQ_OK && t->n_tokens != words->n_tokens)
        return fail(o->tokenizer, "not for this model: another number of tokens");
    if (w->status == NQ_OK && !generate(&r, t, words, o))
        return fail(o->prompt, "out of memory");
    if (w->status == NQ_OK && o->text && !score(&r, t, words, o->text) && w->status == NQ_OK)
        return fail(o->text, "cannot be read");
    if (w->status != NQ_OK)
        return fail(o->model, nq_status_text(w->status));
    report(&r, w);
    return 0;
}

static bool parse_count(size_t *value, const char *text)
{
    char *end;
    const long number = strtol(text, &end, 10);
    *value = (size_t)number;
    return end != text && !*end && number > 0 && number < 1000000;
}

static bool parse(options *o, int argc, char **argv)
{
    *o = (options){.prompt = "", .n_tokens = 200, .n_heads = 8};
    if (argc < 3)
        return false;
    o->model = argv[1];
    o->tokenizer = argv[2];
    for (int i = 3; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool is_good = value != NULL;
        if (strcmp(argv[i], "--floats") == 0) {
            o->as_floats = true;
            continue;
        }
        if (strcmp(argv[i], "--prompt") == 0)
            o->prompt = value;
        else if (strcmp(argv[i], "--text") == 0)
            o->text = value;
        else if (strcmp(argv[i], "--tokens") == 0)
            is_good = value && parse_count(&o->n_tokens, value);
        else if (strcmp(argv[i], "--heads") == 0)
            is_good = value && parse_count(&o->n_heads, value);
        else
            is_good = false;
        if (!is_good)
            return false;
        i++;
    }
    return true;
}

int main(int argc, char **argv)
{
    static weights w;
    static transformer t;
    static tokenizer words;
    options o;
    if (!parse(&o, argc, argv)) {
        fputs(help, stderr);
        return 2;
    }
    const int code = run(&o, &w, &t, &words);
    tokenizer_free(&words);
    transformer_free(&t);
    weights_close(&w);
    return code;
}
