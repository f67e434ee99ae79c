/*
 * lenet survivors: quantizes the weights that pruning left, in a codebook of their own.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "args.h"
#include "common/file.h"
#include "network.h"
#include "survivors.h"
#include "weights.h"

typedef struct survivors_job {
    const char *in;
    const char *out;
    const char *importance; /* NULL: none */
    survivors_options options;
} survivors_job;

/* In the order of NQ_CODEC_*, from NQ_CODEC_FIXED on. */
static const char *const codecs[] = {"fixed", "huffman", "rans", "huffman-gaps", NULL};

static bool take_codec(uint32_t *codec, const char *value)
{
    if (strcmp(value, "auto") == 0) {
        *codec = NQ_CODEC_AUTO;
        return true;
    }
    const bool is_known = args_word(codec, value, codecs);
    *codec += NQ_CODEC_FIXED;
    return is_known;
}

static bool take_scope(uint32_t *scope, const char *value)
{
    static const char *const words[] = {"model", "tensor", NULL};
    const bool is_known = args_word(scope, value, words);
    *scope += NQ_SCOPE_MODEL;
    return is_known;
}

static bool take_goal(survivors_options *o, uint32_t method, uint32_t target, const char *value)
{
    o->method = method;
    o->target = target;
    return args_real(&o->target_value, value, 0, 1e9);
}

static bool take_option(void *user, const char *name, const char *value)
{
    survivors_job *job = user;
    survivors_options *o = &job->options;
    if (strcmp(name, "--step") == 0)
        return take_goal(o, NQ_METHOD_UNIFORM, NQ_TARGET_STEP, value);
    if (strcmp(name, "--levels") == 0)
        return take_goal(o, NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, value);
    if (strcmp(name, "--lambda") == 0)
        return take_goal(o, NQ_METHOD_ECSQ, NQ_TARGET_LAMBDA, value);
    if (strcmp(name, "--codec") == 0)
        return take_codec(&o->codec, value);
    if (strcmp(name, "--scope") == 0)
        return take_scope(&o->scope, value);
    if (strcmp(name, "--importance-power") == 0)
        return args_real(&o->importance_power, value, 0, 10);
    if (strcmp(name, "--importance") == 0)
        job->importance = value;
    return job->importance == value;
}

static bool file_size(uint64_t *n_bytes, const char *path, fault *f)
{
    file_view view;
    if (!file_open(&view, path, f))
        return false;
    *n_bytes = view.n_bytes;
    file_close(&view);
    return true;
}

static bool quantize(const survivors_job *job, float *weights, fault *f)
{
    static float importance[LENET_PARAMETERS];
    memfile file = {0};
    uint64_t n_bytes;
    const bool is_done = file_size(&n_bytes, job->in, f) && weights_read(weights, job->in, f) &&
                         (!job->importance || weights_read(importance, job->importance, f)) &&
                         survivors_quantize(&file, weights, job->importance ? importance : NULL,
                                            n_bytes, &job->options, f) &&
                         memfile_save(&file, job->out, f);
    if (is_done)
        printf("%zu bytes\n", file.n_bytes);
    memfile_free(&file);
    return is_done;
}

int command_survivors(int argc, char **argv, float *weights)
{
    fault f;
    survivors_job job = {
        .options = {.codec = NQ_CODEC_AUTO, .scope = NQ_SCOPE_MODEL, .importance_power = 1}};
    if (argc < 2)
        return args_misuse("survivors takes IN.safetensors and OUT.nq, then options", "");
    job.in = argv[0];
    job.out = argv[1];
    if (!args_options(argc, argv, 2, take_option, &job))
        return 2;
    if (job.options.target == NQ_TARGET_NONE)
        return args_misuse("survivors needs --step, --levels or --lambda", "");
    return quantize(&job, weights, &f) ? 0 : args_fail(&f);
}
