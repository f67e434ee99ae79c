/*
 * lenet tune: trains the levels of a .nq file.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "args.h"
#include "tune.h"

typedef struct tune_job {
    tune_options options;
    uint32_t held_out;
} tune_job;

static bool take_option(void *user, const char *name, const char *value)
{
    tune_job *job = user;
    tune_options *o = &job->options;
    if (strcmp(name, "--steps") == 0)
        return args_u32(&o->steps, value, 1, 1000000);
    if (strcmp(name, "--batch") == 0)
        return args_u32(&o->batch, value, 1, 4096);
    if (strcmp(name, "--shift") == 0)
        return args_u32(&o->shift, value, 0, 27);
    if (strcmp(name, "--rate") == 0)
        return args_float(&o->rate, value, 1);
    if (strcmp(name, "--seed") == 0)
        return args_count(&o->seed, value, 0, UINT64_MAX);
    return strcmp(name, "--hold-out") == 0 && args_u32(&job->held_out, value, 0, UINT32_MAX);
}

static bool tune_on(memfile *file, const idx_set *set, const tune_job *job, fault *f)
{
    if (job->held_out >= set->count)
        return fault_set(f, FAULT_LIMIT, "--hold-out %u leaves nothing to train on", job->held_out);
    return tune_levels(file, set, set->count - job->held_out, &job->options, f);
}

static bool tune(const char *in, const char *out, const char *folder, const tune_job *job, fault *f)
{
    memfile file = {0};
    idx_set set = {0};
    const bool is_done = memfile_load(&file, in, f) && idx_read(&set, folder, "train", f) &&
                         tune_on(&file, &set, job, f) && memfile_save(&file, out, f);
    idx_free(&set);
    memfile_free(&file);
    return is_done;
}

int command_tune(int argc, char **argv, float *weights)
{
    fault f;
    tune_job job = {.options = tune_defaults};
    (void)weights;
    if (argc < 3)
        return args_misuse("tune takes IN.nq, OUT.nq and IMAGES, then options", "");
    if (!args_options(argc, argv, 3, take_option, &job))
        return 2;
    return tune(argv[0], argv[1], argv[2], &job, &f) ? 0 : args_fail(&f);
}
