/*
 * lenet importance: writes the importance of each weight, for `nq compress --importance` and for
 * `lenet quantize`.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include <nq/nq.h>

#include "args.h"
#include "network.h"
#include "sensitivity.h"
#include "weights.h"

typedef struct importance_job {
    const char *out;
    const char *weights;
    const char *folder;
    uint32_t kind;
    uint32_t n_images;
    uint64_t seed;
    const char *moment; /* NULL: gather */
} importance_job;

static bool take_option(void *user, const char *name, const char *value)
{
    importance_job *job = user;
    if (strcmp(name, "--kind") == 0)
        return args_word(&job->kind, value, sensitivity_names);
    if (strcmp(name, "--images") == 0)
        return args_u32(&job->n_images, value, 1, UINT32_MAX);
    if (strcmp(name, "--seed") == 0)
        return args_count(&job->seed, value, 0, UINT64_MAX);
    if (strcmp(name, "--moment") == 0)
        job->moment = value;
    return job->moment == value;
}

/* The square root of what an optimiser kept. */
static bool from_moment(float *values, const char *path, float *moment, fault *f)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = NQ_F32;
    t.rank = 1;
    t.dims[0] = LENET_PARAMETERS;
    t.data = moment;
    if (!weights_read(moment, path, f))
        return false;
    const nq_status status = nq_importance_from_second_moment(values, &t, NULL);
    return status == NQ_OK || fault_set(f, FAULT_FORMAT, "%s: %s", path, nq_status_text(status));
}

static bool gather(float *values, const importance_job *job, float *weights, fault *f)
{
    idx_set set;
    if (!weights_read(weights, job->weights, f) || !idx_read(&set, job->folder, "train", f))
        return false;
    const size_t count = job->n_images < set.count ? job->n_images : set.count;
    const bool is_done = sensitivity_gather(values, job->kind, weights, &set, count, job->seed, f);
    idx_free(&set);
    return is_done;
}

int command_importance(int argc, char **argv, float *weights)
{
    static float values[LENET_PARAMETERS];
    fault f;
    importance_job job = {.n_images = 10000, .seed = 1};
    if (argc < 3)
        return args_misuse("importance takes OUT.safetensors, WEIGHTS and IMAGES, then options",
                           "");
    job.out = argv[0];
    job.weights = argv[1];
    job.folder = argv[2];
    if (!args_options(argc, argv, 3, take_option, &job))
        return 2;
    const bool is_done = (job.moment ? from_moment(values, job.moment, weights, &f)
                                     : gather(values, &job, weights, &f)) &&
                         weights_write(job.out, values, NULL, 0, &f);
    return is_done ? 0 : args_fail(&f);
}
