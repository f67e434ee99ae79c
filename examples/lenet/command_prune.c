/*
 * lenet prune: a trained network becomes sparse. Files are written when all is done.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "network.h"
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

/* Accuracy on what was held out, or on the test images. */
static bool report(const prune_job *job, const float *weights, const idx_set *set, fault *f)
{
    size_t n_right;
    idx_set test = {0};
    if (!job->held_out && !idx_read(&test, job->folder, "t10k", f))
        return false;
    const idx_set *judge = job->held_out ? set : &test;
    const size_t count = job->held_out ? job->held_out : test.count;
    const bool is_measured =
        measure(&n_right, weights, judge, job->held_out ? set->count - count : 0, count, f);
    if (is_measured)
        printf("%.2f %% at a density of %.2f %%\n", percent(n_right, count),
               100 * prune_density(weights));
    idx_free(&test);
    return is_measured;
}

static bool run_epochs(const prune_job *job, pruner *p, const float *weights, const idx_set *set,
                       fault *f)
{
    const clock_t start = clock();
    for (uint32_t epoch = 1; epoch <= job->options.epochs; epoch++) {
        double loss;
        size_t n_right = 0;
        if (!pruner_epoch(p, &loss, f) ||
            !measure(&n_right, weights, set, set->count - job->held_out, job->held_out, f))
            return false;
        fprintf(stderr, "epoch %u of %u: density %.4f, loss %.5f, ", epoch, job->options.epochs,
                prune_density(weights), loss);
        if (job->held_out)
            fprintf(stderr, "%.2f %% of the held out, ", percent(n_right, job->held_out));
        fprintf(stderr, "%.0f s\n", (double)(clock() - start) / CLOCKS_PER_SEC);
    }
    return true;
}

static bool prune_on(const prune_job *job, float *weights, const idx_set *set, fault *f)
{
    if (job->held_out >= set->count)
        return fault_set(f, FAULT_LIMIT, "--hold-out %u leaves nothing to train on", job->held_out);
    pruner *p = pruner_create(weights, set, set->count - job->held_out, &job->options);
    if (!p)
        return fault_memory(f, "pruning");
    const bool is_done = run_epochs(job, p, weights, set, f) && save(job, p, weights, f) &&
                         report(job, weights, set, f);
    pruner_destroy(p);
    return is_done;
}

static bool prune(const prune_job *job, float *weights, fault *f)
{
    idx_set set;
    if (!weights_read(weights, job->in, f) || !idx_read(&set, job->folder, "train", f))
        return false;
    const bool is_done = prune_on(job, weights, &set, f);
    idx_free(&set);
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
