/*
 * lenet train: the training of a network from nothing. Its file is written after each epoch.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "network.h"
#include "train.h"
#include "weights.h"

#define MAX_EPOCHS 10000u
#define MAX_BATCH  4096u
#define MAX_SHIFT  27u

/* ---- Arguments ------------------------------------------------------------------------------- */

typedef struct train_job {
    const char *path;
    const char *folder;
    train_options options;
    uint32_t held_out;
} train_job;

static bool take_option(void *user, const char *name, const char *value)
{
    train_job *job = user;
    train_options *o = &job->options;
    if (strcmp(name, "--epochs") == 0)
        return args_u32(&o->epochs, value, 1, MAX_EPOCHS);
    if (strcmp(name, "--seed") == 0)
        return args_count(&o->seed, value, 0, UINT64_MAX);
    if (strcmp(name, "--batch") == 0)
        return args_u32(&o->batch, value, 1, MAX_BATCH);
    if (strcmp(name, "--shift") == 0)
        return args_u32(&o->shift, value, 0, MAX_SHIFT);
    if (strcmp(name, "--hold-out") == 0)
        return args_u32(&job->held_out, value, 0, UINT32_MAX);
    if (strcmp(name, "--rate") == 0)
        return args_float(&o->rate, value, 10);
    if (strcmp(name, "--momentum") == 0)
        return args_float(&o->momentum, value, 1);
    if (strcmp(name, "--decay") == 0)
        return args_float(&o->decay, value, 1);
    return false;
}

/* ---- The run --------------------------------------------------------------------------------- */

/* What the file tells about itself; nothing of the machine or the day, so that a second training
 * gives the same bytes. `accuracy` may be NULL. */
static bool save(const train_job *job, const float *weights, size_t n_images, uint32_t epochs,
                 const char *accuracy, fault *f)
{
    char training[256];
    const train_options *o = &job->options;
    snprintf(training, sizeof training,
             "%zu images, %u of %u epochs, batch %u, rate %g falling to 0, momentum %g, "
             "weight decay %g, shifts up to %u, seed %llu",
             n_images, epochs, o->epochs, o->batch, (double)o->rate, (double)o->momentum,
             (double)o->decay, o->shift, (unsigned long long)o->seed);
    const char *texts[][2] = {{"network", "LeNet-5 (Caffe), input pixel / 256"},
                              {"training", training},
                              {"test_accuracy", accuracy}};
    st_pair metadata[3];
    const size_t n_metadata = accuracy ? 3 : 2;
    for (size_t i = 0; i < n_metadata; i++)
        metadata[i] = (st_pair){.key = texts[i][0],
                                .key_bytes = strlen(texts[i][0]),
                                .value = texts[i][1],
                                .value_bytes = strlen(texts[i][1])};
    return weights_write(job->path, weights, metadata, n_metadata, f);
}

static bool run_epochs(const train_job *job, trainer *t, float *weights, const idx_set *set,
                       size_t n_images, fault *f)
{
    const clock_t start = clock();
    for (uint32_t epoch = 1; epoch <= job->options.epochs; epoch++) {
        size_t n_right = 0;
        const double loss = trainer_epoch(t);
        if (!measure(&n_right, weights, set, n_images, job->held_out, f) ||
            !save(job, weights, n_images, epoch, NULL, f))
            return false;
        fprintf(stderr, "epoch %u of %u: loss %.5f, ", epoch, job->options.epochs, loss);
        if (job->held_out)
            fprintf(stderr, "%.2f %% of the held out, ", percent(n_right, job->held_out));
        fprintf(stderr, "%.0f s\n", (double)(clock() - start) / CLOCKS_PER_SEC);
    }
    return true;
}

/* The last words: accuracy on what was held out, or, once, on the test images. */
static bool finish(const train_job *job, const float *weights, const idx_set *set, size_t n_images,
                   const idx_set *test, fault *f)
{
    char accuracy[32];
    size_t n_right;
    const idx_set *judge = job->held_out ? set : test;
    const size_t first = job->held_out ? n_images : 0;
    const size_t count = job->held_out ? job->held_out : test->count;
    if (!measure(&n_right, weights, judge, first, count, f))
        return false;
    snprintf(accuracy, sizeof accuracy, "%.2f %%", percent(n_right, count));
    if (!job->held_out && !save(job, weights, n_images, job->options.epochs, accuracy, f))
        return false;
    puts(accuracy);
    return true;
}

static bool train_on(const train_job *job, float *weights, const idx_set *set, const idx_set *test,
                     fault *f)
{
    if (job->held_out >= set->count)
        return fault_set(f, FAULT_LIMIT, "--hold-out %u leaves nothing to train on", job->held_out);
    const size_t n_images = set->count - job->held_out;
    trainer *t = trainer_create(weights, set, n_images, &job->options);
    if (!t)
        return fault_memory(f, "training");
    const bool is_done = run_epochs(job, t, weights, set, n_images, f) &&
                         finish(job, weights, set, n_images, test, f);
    trainer_destroy(t);
    return is_done;
}

/* Test images are not even read where something is held out. */
static bool train(const train_job *job, float *weights, fault *f)
{
    idx_set set = {0}, test = {0};
    const bool is_done = idx_read(&set, job->folder, "train", f) &&
                         (job->held_out || idx_read(&test, job->folder, "t10k", f)) &&
                         train_on(job, weights, &set, &test, f);
    idx_free(&set);
    idx_free(&test);
    return is_done;
}

int command_train(int argc, char **argv, float *weights)
{
    fault f;
    train_job job = {.options = train_defaults};
    if (argc < 2 || argv[0][0] == '-' || argv[1][0] == '-')
        return args_misuse("train takes OUT.safetensors and IMAGES_FOLDER, then options", "");
    job.path = argv[0];
    job.folder = argv[1];
    if (!args_options(argc, argv, 2, take_option, &job))
        return 2;
    return train(&job, weights, &f) ? 0 : args_fail(&f);
}
