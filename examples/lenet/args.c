/*
 * Numbers, words and options of the command line. Prints to stderr only.
 */
#include "args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"

int args_fail(const fault *f)
{
    fprintf(stderr, "lenet: %s\n", f->text);
    return 1;
}

int args_misuse(const char *what, const char *argument)
{
    fprintf(stderr, "lenet: %s%s; see lenet --help\n", what, argument);
    return 2;
}

bool args_count(uint64_t *value, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || number < min || number > max)
        return false;
    *value = number;
    return true;
}

bool args_u32(uint32_t *value, const char *text, uint32_t min, uint32_t max)
{
    uint64_t number;
    if (!args_count(&number, text, min, max))
        return false;
    *value = (uint32_t)number;
    return true;
}

bool args_real(double *value, const char *text, double min, double max)
{
    char *end;
    const double number = strtod(text, &end);
    if (end == text || *end || !(number >= min && number <= max))
        return false;
    *value = number;
    return true;
}

bool args_float(float *value, const char *text, float max)
{
    char *end;
    const float number = strtof(text, &end);
    if (end == text || *end || !(number >= 0 && number <= max))
        return false;
    *value = number;
    return true;
}

bool args_word(uint32_t *value, const char *text, const char *const *words)
{
    for (uint32_t i = 0; words[i]; i++)
        if (strcmp(text, words[i]) == 0) {
            *value = i;
            return true;
        }
    return false;
}

bool args_options(int argc, char **argv, int first, args_option_fn take, void *job)
{
    for (int i = first; i < argc; i += 2)
        if (i + 1 == argc || !take(job, argv[i], argv[i + 1])) {
            args_misuse("no such option, or not a value for it: ", argv[i]);
            return false;
        }
    return true;
}

double percent(size_t part, size_t whole)
{
    return 100 * (double)part / (double)whole;
}

bool measure(size_t *n_right, const float *weights, const idx_set *set, size_t first, size_t count,
             fault *f)
{
    return eval_count(n_right, weights, set, first, count) == 0 || fault_memory(f, "evaluation");
}
