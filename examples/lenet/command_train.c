/*
 * lenet train: the training of a network from nothing. Its file is written after each epoch.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "args.h"
#include "course.h"
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

typedef struct train_run {
    const train_job *job;
    trainer *trainer;
    const float *weights;
    size_t n_images;
} train_run;

static bool run_epoch(void *user, uint32_t number, course_epoch *result, fault *f)
{
    const train_run *run = user;
    result->loss = trainer_epoch(run->trainer);
    return save(run->job, run->weights, run->n_images, number, NULL, f);
}

/* The last words; accuracy on the test images goes into the file as well. */
static bool finish(const train_job *job, const float *weights, const course *c, fault *f)
{
    char text[32];
    double accuracy;
    if (!course_judge(&accuracy, c, weights, f))
        return false;
    snprintf(text, sizeof text, "%.2f %%", accuracy);
    if (!job->held_out && !save(job, weights, c->n_images, job->options.epochs, text, f))
        return false;
    puts(text);
    return true;
}

static bool train_on(const train_job *job, float *weights, const course *c, fault *f)
{
    trainer *t = trainer_create(weights, &c->set, c->n_images, &job->options);
    if (!t)
        return fault_memory(f, "training");
    train_run run = {.job = job, .trainer = t, .weights = weights, .n_images = c->n_images};
    const bool is_done = course_run(c, job->options.epochs, weights, run_epoch, &run, f) &&
                         finish(job, weights, c, f);
    trainer_destroy(t);
    return is_done;
}

static bool train(const train_job *job, float *weights, fault *f)
{
    course c;
    const bool is_done =
        course_open(&c, job->folder, job->held_out, f) && train_on(job, weights, &c, f);
    course_close(&c);
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
