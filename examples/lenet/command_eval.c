/*
 * lenet eval: the accuracy of weights on the test images, or on those that training held out.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "args.h"
#include "weights.h"

static bool take_option(void *user, const char *name, const char *value)
{
    uint32_t *held_out = user;
    return strcmp(name, "--hold-out") == 0 && args_u32(held_out, value, 0, UINT32_MAX);
}

static bool evaluate(const char *path, const char *folder, uint32_t held_out, float *weights,
                     fault *f)
{
    idx_set set;
    size_t n_right;
    if (!weights_read(weights, path, f) || !idx_read(&set, folder, held_out ? "train" : "t10k", f))
        return false;
    const size_t count = held_out && held_out < set.count ? held_out : set.count;
    const bool is_measured = measure(&n_right, weights, &set, set.count - count, count, f);
    if (is_measured)
        printf("%.2f %%\n", percent(n_right, count));
    idx_free(&set);
    return is_measured;
}

int command_eval(int argc, char **argv, float *weights)
{
    fault f;
    uint32_t held_out = 0;
    if (argc < 2)
        return args_misuse("eval takes WEIGHTS and IMAGES", "");
    if (!args_options(argc, argv, 2, take_option, &held_out))
        return 2;
    return evaluate(argv[0], argv[1], held_out, weights, &f) ? 0 : args_fail(&f);
}
