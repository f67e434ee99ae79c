/*
 * lenet prune: a trained network becomes sparse. Files are written when all is done.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "args.h"
#include "course.h"
#include "prune.h"
#include "weights.h"

#define MAX_EPOCHS 10000u
#define MAX_BATCH  4096u
#define MAX_SHIFT  27u

typedef struct prune_job {
    const char *in;
    const char *out;
    const char *folder;
    const char *moment; /* NULL: not wanted */
    prune_options options;
    uint32_t held_out;
} prune_job;

static bool take_option(void *user, const char *name, const char *value)
{
    prune_job *job = user;
    prune_options *o = &job->options;
    if (strcmp(name, "--density") == 0)
        return args_real(&o->density, value, 1e-4, 1);
    if (strcmp(name, "--epochs") == 0)
        return args_u32(&o->epochs, value, 1, MAX_EPOCHS);
    if (strcmp(name, "--ramp") == 0)
        return args_u32(&o->ramp, value, 1, MAX_EPOCHS);
    if (strcmp(name, "--seed") == 0)
        return args_count(&o->seed, value, 0, UINT64_MAX);
    if (strcmp(name, "--batch") == 0)
        return args_u32(&o->batch, value, 1, MAX_BATCH);
    if (strcmp(name, "--shift") == 0)
        return args_u32(&o->shift, value, 0, MAX_SHIFT);
    if (strcmp(name, "--rate") == 0)
        return args_float(&o->rate, value, 1);
    if (strcmp(name, "--decay") == 0)
        return args_float(&o->decay, value, 1);
    if (strcmp(name, "--hold-out") == 0)
        return args_u32(&job->held_out, value, 0, UINT32_MAX);
    if (strcmp(name, "--moment") == 0)
        job->moment = value;
    return job->moment == value;
}

static bool save(const prune_job *job, const pruner *p, const float *weights, fault *f)
{
    return weights_write(job->out, weights, NULL, 0, f) &&
           (!job->moment || weights_write(job->moment, pruner_second_moment(p), NULL, 0, f));
}

typedef struct prune_run {
    pruner *pruner;
    const float *weights;
} prune_run;

static bool run_epoch(void *user, uint32_t number, course_epoch *result, fault *f)
{
    const prune_run *run = user;
    (void)number;
    if (!pruner_epoch(run->pruner, &result->loss, f))
        return false;
    snprintf(result->note, sizeof result->note, "density %.4f, ", prune_density(run->weights));
    return true;
}

static bool report(const course *c, const float *weights, fault *f)
{
    double accuracy;
    if (!course_judge(&accuracy, c, weights, f))
        return false;
    printf("%.2f %% at a density of %.2f %%\n", accuracy, 100 * prune_density(weights));
    return true;
}

static bool prune_on(const prune_job *job, float *weights, const course *c, fault *f)
{
    pruner *p = pruner_create(weights, &c->set, c->n_images, &job->options);
    if (!p)
        return fault_memory(f, "pruning");
    prune_run run = {.pruner = p, .weights = weights};
    const bool is_done = course_run(c, job->options.epochs, weights, run_epoch, &run, f) &&
                         save(job, p, weights, f) && report(c, weights, f);
    pruner_destroy(p);
    return is_done;
}

static bool prune(const prune_job *job, float *weights, fault *f)
{
    course c;
    if (!weights_read(weights, job->in, f))
        return false;
    const bool is_done =
        course_open(&c, job->folder, job->held_out, f) && prune_on(job, weights, &c, f);
    course_close(&c);
    return is_done;
}

int command_prune(int argc, char **argv, float *weights)
{
    fault f;
    prune_job job = {.options = prune_defaults};
    if (argc < 3)
        return args_misuse("prune takes IN, OUT.safetensors and IMAGES, then options", "");
    job.in = argv[0];
    job.out = argv[1];
    job.folder = argv[2];
    if (!args_options(argc, argv, 3, take_option, &job))
        return 2;
    if (job.options.ramp > job.options.epochs)
        return args_misuse("--ramp is longer than --epochs", "");
    return prune(&job, weights, &f) ? 0 : args_fail(&f);
}
