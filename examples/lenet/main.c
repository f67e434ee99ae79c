/*
 * The program: finds the command, which says what came of it. Results go to stdout, a short line
 * each, and progress to stderr. Exit status 0, 1 after a failure, 2 for wrong arguments.
 */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "commands.h"
#include "network.h"
#include "prune.h"
#include "train.h"
#include "tune.h"

static const char usage[] =
    "usage: lenet train OUT.safetensors IMAGES [OPTION VALUE]...\n"
    "       lenet prune IN OUT.safetensors IMAGES [OPTION VALUE]...\n"
    "       lenet importance OUT.safetensors WEIGHTS IMAGES [OPTION VALUE]...\n"
    "       lenet survivors IN OUT.nq --step S|--levels K|--lambda L [OPTION VALUE]...\n"
    "       lenet tune IN.nq OUT.nq IMAGES [OPTION VALUE]...\n"
    "       lenet eval WEIGHTS IMAGES [--hold-out N]\n"
    "\n"
    "IMAGES is a folder with MNIST: train-images-idx3-ubyte, train-labels-idx1-ubyte and the same\n"
    "of t10k; `sh examples/lenet/images.sh` finds one. IN and WEIGHTS are .safetensors or .nq.\n"
    "\n"
    "  --hold-out N    the last N training images are not trained on but measured on, instead of\n"
    "                  the test images (0)\n";

static void print_train_help(void)
{
    const train_options *d = &train_defaults;
    printf("\n"
           "train: trains a LeNet-5, writes its weights after each epoch, prints its accuracy.\n"
           "  --epochs N      times through the images (%u)\n"
           "  --seed N        of all that is random (%llu); same options, same weights\n"
           "  --batch N       images in a step (%u)\n"
           "  --rate X        of the first step, falling to 0 in a straight line (%g)\n"
           "  --momentum X    share of the last step that is made again (%g)\n"
           "  --decay X       weight decay (%g)\n"
           "  --shift N       images are moved by up to N pixels each way (%u)\n",
           d->epochs, (unsigned long long)d->seed, d->batch, (double)d->rate, (double)d->momentum,
           (double)d->decay, d->shift);
}

static void print_prune_help(void)
{
    const prune_options *d = &prune_defaults;
    printf(
        "\n"
        "prune: takes the smallest weights away, a few at a time, and trains the others (Adam).\n"
        "  --density X     part of the weights that is left, biases not counted (%g)\n"
        "  --epochs N      times through the images (%u)\n"
        "  --ramp N        epochs during which the density falls (%u)\n"
        "  --rate X        of Adam's first step, falling to 0 in a straight line (%g)\n"
        "  --decay X       weight decay, part of a weight at rate 1 (%g)\n"
        "  --moment FILE   also writes Adam's second moment\n"
        "  --seed, --batch (%u), --shift (%u) as above\n",
        d->density, d->epochs, d->ramp, (double)d->rate, (double)d->decay, d->batch, d->shift);
}

static const char importance_help[] =
    "\n"
    "importance: writes how much each weight matters, a mean over training images.\n"
    "  --kind hessian  second derivatives by a second backward pass (Becker, LeCun); or\n"
    "         newton   squared derivatives of random sums of outputs (Gauss, Newton); or\n"
    "         fisher   squared gradients; or\n"
    "         probes   Hutchinson's\n"
    "  --images N      the first so many (10000)\n"
    "  --seed N        of what is random (1)\n"
    "  --moment FILE   instead: the square root of Adam's second moment, from lenet prune\n";

static const char survivors_help[] =
    "\n"
    "survivors: quantizes the weights that are not zero, as the paper does after pruning; with\n"
    "`nq compress` zeros are weights like all others.\n"
    "  --step S | --levels K | --lambda L   uniform, k-means, or entropy-constrained\n"
    "  --codec C       auto, fixed, huffman, rans, huffman-gaps (auto)\n"
    "  --scope S       levels for the whole model, or for each tensor (model)\n"
    "  --importance FILE, --importance-power P (1)\n";

static void print_tune_help(void)
{
    const tune_options *d = &tune_defaults;
    printf("\n"
           "tune: trains the levels of a .nq file; which weight has which stays.\n"
           "  --steps N       minibatches (%u)\n"
           "  --rate X        of Adam's first step, falling to 0 in a straight line (%g)\n"
           "  --seed, --batch (%u), --shift (%u) as above\n",
           d->steps, (double)d->rate, d->batch, d->shift);
}

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv, float *weights);
} command;

static const command commands[] = {
    {"train", command_train},         {"prune", command_prune}, {"importance", command_importance},
    {"survivors", command_survivors}, {"tune", command_tune},   {"eval", command_eval},
};

static int run(int argc, char **argv)
{
    static float weights[LENET_PARAMETERS];
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 2, argv + 2, weights);
    return args_misuse("the first argument is a command", "");
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            print_train_help();
            print_prune_help();
            fputs(importance_help, stdout);
            fputs(survivors_help, stdout);
            print_tune_help();
            return 0;
        }
    const int result = run(argc, argv);
    if (fflush(stdout) != 0 && result == 0) {
        fprintf(stderr, "lenet: standard output cannot be written\n");
        return 1;
    }
    return result;
}
