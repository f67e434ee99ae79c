/*
 * The program: reads its arguments, runs a command, says what came of it. Results go to stdout, one
 * short line, and progress to stderr. Exit status 0, 1 after a failure, 2 for wrong arguments.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/fault.h"
#include "eval.h"
#include "idx.h"
#include "network.h"
#include "train.h"
#include "weights.h"

static const char help[] =
    "usage: lenet train OUT.safetensors IMAGES_FOLDER [OPTION VALUE]...\n"
    "       lenet eval WEIGHTS IMAGES_FOLDER\n"
    "\n"
    "train   trains a LeNet-5 and writes its weights, after each epoch; prints its accuracy on "
    "the\n"
    "        test images\n"
    "eval    prints the accuracy of weights (.safetensors or .nq) on the test images\n"
    "\n"
    "IMAGES_FOLDER holds MNIST: train-images-idx3-ubyte, train-labels-idx1-ubyte and the same of\n"
    "t10k; `sh examples/lenet/images.sh` finds one.\n"
    "\n"
    "  --epochs N      times through the images (%u)\n"
    "  --seed N        of all that is random (%llu); same options, same weights\n"
    "  --batch N       images in a step (%u)\n"
    "  --rate X        of the first step, falling to 0 in a straight line (%g)\n"
    "  --momentum X    share of the last step that is made again (%g)\n"
    "  --decay X       weight decay (%g)\n"
    "  --shift N       images are moved by up to N pixels each way (%u)\n"
    "  --hold-out N    measure on the last N training images, not trained on, instead of the test\n"
    "                  images (0)\n";

#define MAX_EPOCHS 10000u
#define MAX_BATCH  4096u
#define MAX_SHIFT  27u

static void print_help(void)
{
    const train_options *d = &train_defaults;
    printf(help, d->epochs, (unsigned long long)d->seed, d->batch, (double)d->rate,
           (double)d->momentum, (double)d->decay, d->shift);
}

static int fail(const fault *f)
{
    fprintf(stderr, "lenet: %s\n", f->text);
    return 1;
}

static int misuse(const char *what, const char *argument)
{
    fprintf(stderr, "lenet: %s%s; see lenet --help\n", what, argument);
    return 2;
}

static double percent(size_t part, size_t whole)
{
    return 100 * (double)part / (double)whole;
}

/* ---- eval ------------------------------------------------------------------------------------ */

static bool measure(size_t *n_right, const float *weights, const idx_set *set, size_t first,
                    size_t count, fault *f)
{
    return eval_count(n_right, weights, set, first, count) == 0 || fault_memory(f, "evaluation");
}

static bool evaluate(const char *path, const char *folder, float *weights, fault *f)
{
    idx_set test;
    size_t n_right;
    if (!weights_read(weights, path, f) || !idx_read(&test, folder, "t10k", f))
        return false;
    const bool is_measured = measure(&n_right, weights, &test, 0, test.count, f);
    if (is_measured)
        printf("%.2f %%\n", percent(n_right, test.count));
    idx_free(&test);
    return is_measured;
}

/* ---- train: arguments ------------------------------------------------------------------------ */

typedef struct train_job {
    const char *path;
    const char *folder;
    train_options options;
    uint32_t held_out;
} train_job;

static bool parse_count(uint64_t *value, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || number < min || number > max)
        return false;
    *value = number;
    return true;
}

static bool parse_u32(uint32_t *value, const char *text, uint32_t min, uint32_t max)
{
    uint64_t number;
    if (!parse_count(&number, text, min, max))
        return false;
    *value = (uint32_t)number;
    return true;
}

static bool parse_real(float *value, const char *text, float max)
{
    char *end;
    const float number = strtof(text, &end);
    if (end == text || *end || !(number >= 0 && number <= max))
        return false;
    *value = number;
    return true;
}

static bool parse_option(train_job *job, const char *name, const char *value)
{
    train_options *o = &job->options;
    if (strcmp(name, "--epochs") == 0)
        return parse_u32(&o->epochs, value, 1, MAX_EPOCHS);
    if (strcmp(name, "--seed") == 0)
        return parse_count(&o->seed, value, 0, UINT64_MAX);
    if (strcmp(name, "--batch") == 0)
        return parse_u32(&o->batch, value, 1, MAX_BATCH);
    if (strcmp(name, "--shift") == 0)
        return parse_u32(&o->shift, value, 0, MAX_SHIFT);
    if (strcmp(name, "--hold-out") == 0)
        return parse_u32(&job->held_out, value, 0, UINT32_MAX);
    if (strcmp(name, "--rate") == 0)
        return parse_real(&o->rate, value, 10);
    if (strcmp(name, "--momentum") == 0)
        return parse_real(&o->momentum, value, 1);
    if (strcmp(name, "--decay") == 0)
        return parse_real(&o->decay, value, 1);
    return false;
}

/* ---- train: the run -------------------------------------------------------------------------- */

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

/* ---- main ------------------------------------------------------------------------------------ */

static int run_eval(int argc, char **argv, float *weights)
{
    fault f;
    if (argc != 2)
        return misuse("eval takes WEIGHTS and IMAGES_FOLDER", "");
    return evaluate(argv[0], argv[1], weights, &f) ? 0 : fail(&f);
}

static int run_train(int argc, char **argv, float *weights)
{
    fault f;
    train_job job = {.options = train_defaults};
    if (argc < 2 || argv[0][0] == '-' || argv[1][0] == '-')
        return misuse("train takes OUT.safetensors and IMAGES_FOLDER, then options", "");
    job.path = argv[0];
    job.folder = argv[1];
    for (int i = 2; i < argc; i += 2)
        if (i + 1 == argc || !parse_option(&job, argv[i], argv[i + 1]))
            return misuse("no such option, or not a value for it: ", argv[i]);
    return train(&job, weights, &f) ? 0 : fail(&f);
}

int main(int argc, char **argv)
{
    static float weights[LENET_PARAMETERS];
    const char *command = argc > 1 ? argv[1] : "";
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            return 0;
        }
    int result;
    if (strcmp(command, "train") == 0)
        result = run_train(argc - 2, argv + 2, weights);
    else if (strcmp(command, "eval") == 0)
        result = run_eval(argc - 2, argv + 2, weights);
    else
        result = misuse("the first argument is a command, train or eval", "");
    if (fflush(stdout) != 0 && result == 0) {
        fprintf(stderr, "lenet: standard output cannot be written\n");
        return 1;
    }
    return result;
}
