/*
 * The program: accuracy and loss of a network's weights on CIFAR-10's test images.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eval.h"

static const char help[] =
    "usage: resnet WEIGHTS IMAGES [OPTION]...\n"
    "\n"
    "Prints the accuracy and the loss (mean cross-entropy, nats) of a ResNet for CIFAR-10, as\n"
    "\"92.63 %, loss 0.3324\". WEIGHTS is .safetensors or .nq, with the names of\n"
    "github.com/akamaster/pytorch_resnet_cifar10; IMAGES is test_batch.bin of CIFAR-10's binary\n"
    "version, or any file of that layout.\n"
    "\n"
    "  --images N   the first N images alone\n"
    "  --threads N  default: all cores\n";

typedef struct options {
    const char *weights, *images;
    size_t n_images; /* 0: all */
    unsigned n_threads;
} options;

static bool measure(const options *o, const resnet *net, const cifar_set *set, fault *f)
{
    eval_result result;
    const size_t n = o->n_images ? o->n_images : set->count;
    if (n > set->count)
        return fault_set(f, FAULT_LIMIT, "%s: has %zu images, not %zu", o->images, set->count, n);
    if (!eval_run(&result, net, set, n, o->n_threads, f))
        return false;
    printf("%.2f %%, loss %.4f\n", 100 * (double)result.n_right / (double)n, result.loss);
    return true;
}

static bool run(const options *o, fault *f)
{
    weights w;
    cifar_set set;
    if (!weights_open(&w, o->weights, f))
        return false;
    resnet *net = resnet_read(&w, f);
    weights_close(&w);
    if (!net)
        return false;
    bool is_done = cifar_open(&set, o->images, f);
    if (is_done) {
        is_done = measure(o, net, &set, f);
        cifar_close(&set);
    }
    resnet_free(net);
    return is_done;
}

static bool parse_count(size_t *value, const char *text, long max)
{
    char *end;
    const long number = text ? strtol(text, &end, 10) : 0;
    *value = (size_t)number;
    return text && end != text && !*end && number > 0 && number <= max;
}

static bool parse(options *o, int argc, char **argv)
{
    const long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n_threads = n_cores < 1 ? 1 : (size_t)n_cores;
    *o = (options){0};
    if (argc < 3)
        return false;
    o->weights = argv[1];
    o->images = argv[2];
    for (int i = 3; i < argc; i += 2)
        if (strcmp(argv[i], "--images") == 0 ? !parse_count(&o->n_images, argv[i + 1], 100000000)
            : strcmp(argv[i], "--threads") == 0
                ? !parse_count(&n_threads, argv[i + 1], EVAL_MAX_THREADS)
                : true)
            return false;
    o->n_threads = n_threads < EVAL_MAX_THREADS ? (unsigned)n_threads : EVAL_MAX_THREADS;
    return true;
}

int main(int argc, char **argv)
{
    options o;
    fault f = {.text = "standard output cannot be written"};
    if (!parse(&o, argc, argv)) {
        fputs(help, stderr);
        return 2;
    }
    if (run(&o, &f) && fflush(stdout) == 0)
        return 0;
    fprintf(stderr, "resnet: %s\n", f.text);
    return 1;
}
