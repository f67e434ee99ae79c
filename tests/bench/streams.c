/*
 * Streams of indices: see streams.h.
 */
#define _GNU_SOURCE

#include "streams.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static void finish_stream(stream *s)
{
    s->indices = must_alloc(s->n * sizeof *s->indices);
    for (size_t i = 0; i < s->n; i++) {
        s->indices[i] = s->symbols[i];
        s->counts[s->symbols[i]]++;
    }
    for (unsigned i = 0; i < 256; i++)
        if (s->counts[i] > 0) {
            const double share = (double)s->counts[i] / (double)s->n;
            s->entropy -= share * log2(share);
            s->n_levels = i + 1;
        }
}

void free_stream(stream *s)
{
    free(s->indices);
    free(s->symbols);
}

/* ---- Drawn --------------------------------------------------------------------------------- */

typedef struct source {
    const char *name;
    double (*draw)(void);
    double step;  /* of a uniform quantizer */
    double zeros; /* share of pruned weights */
    double nominal;
    int half; /* levels on each side of zero at most */
} source;

/* The steps give the named entropies; sixteen levels over four deviations are close to k-means. */
static const source sources[] = {
    {"Gauss, 2 bits", draw_gauss, 1.08245, 0, 2, 127},
    {"Gauss, 3 bits", draw_gauss, 0.52243, 0, 3, 127},
    {"Gauss, 4 bits", draw_gauss, 0.25902, 0, 4, 127},
    {"Gauss, 5 bits", draw_gauss, 0.12924, 0, 5, 127},
    {"Gauss, 6.5 bits", draw_gauss, 0.04566, 0, 6.5, 127},
    {"Laplace, 2 bits", draw_laplace, 1.42935, 0, 2, 127},
    {"Laplace, 3 bits", draw_laplace, 0.69007, 0, 3, 127},
    {"16 levels", draw_gauss, 0.3352, 0, 3.6, 7},
    {"90 % zeros", draw_laplace, 0.5, 0.9, 0, 127},
};

size_t n_drawn_streams(void)
{
    return sizeof sources / sizeof *sources;
}

const char *drawn_name(size_t which)
{
    return sources[which].name;
}

static double clip(double cell, double half)
{
    return cell > half ? half : cell < -half ? -half : cell;
}

stream draw_stream(size_t which, size_t n)
{
    const source *from = &sources[which];
    stream s = {.name = from->name,
                .n = n,
                .symbols = must_alloc(n),
                .nominal = from->nominal,
                .kind = STREAM_DRAWN};
    uint8_t least = 255;
    for (size_t i = 0; i < n; i++) {
        const bool is_pruned = from->zeros > 0 && draw_uniform() < from->zeros;
        const double weight = is_pruned ? 0 : from->draw();
        s.symbols[i] = (uint8_t)(clip(floor(weight / from->step + 0.5), from->half) + 127);
        least = s.symbols[i] < least ? s.symbols[i] : least;
    }
    for (size_t i = 0; i < n; i++)
        s.symbols[i] = (uint8_t)(s.symbols[i] - least);
    finish_stream(&s);
    return s;
}

/* ---- Files --------------------------------------------------------------------------------- */

stream read_stream(const char *path, size_t n)
{
    stream s = {.name = path, .symbols = must_alloc(n), .kind = STREAM_FILE};
    FILE *file = fopen(path, "rb");
    if (!file)
        die("a file cannot be opened");
    s.n = fread(s.symbols, 1, n, file);
    fclose(file);
    if (s.n == 0)
        die("a file is empty");
    finish_stream(&s);
    return s;
}

/* ---- Models -------------------------------------------------------------------------------- */

bool is_weight(const nq_tensor *t)
{
    return t->dtype == NQ_F32 && t->rank >= 2;
}

/* Of all weights of a model, or of those that were not pruned, uniformly quantized. */
static double entropy_of(const st_file *model, double step, bool with_pruned)
{
    double counts[256] = {0}, n = 0, bits = 0;
    for (size_t i = 0; i < model->n_tensors; i++) {
        const nq_tensor *t = &model->tensors[i].tensor;
        const float *weights = t->data;
        for (size_t k = 0; is_weight(t) && k < model->tensors[i].n_bytes / sizeof(float); k++) {
            if (weights[k] == 0 && !with_pruned)
                continue;
            counts[(unsigned)(clip(floor(weights[k] / step + 0.5), 127) + 127)]++;
            n++;
        }
    }
    for (unsigned i = 0; i < 256; i++)
        if (counts[i] > 0)
            bits -= counts[i] / n * log2(counts[i] / n);
    return bits;
}

/* By bisection in the logarithm: entropy falls with the step. */
double step_for(const st_file *model, double bits, bool with_pruned)
{
    double low = -14, high = 2;
    for (unsigned i = 0; i < 14; i++) {
        const double middle = (low + high) / 2;
        if (entropy_of(model, exp2(middle), with_pruned) > bits)
            low = middle;
        else
            high = middle;
    }
    return exp2(high);
}

static void append_model(stream *s, const st_file *model, double step, size_t capacity)
{
    for (size_t i = 0; i < model->n_tensors; i++) {
        const nq_tensor *t = &model->tensors[i].tensor;
        const float *weights = t->data;
        const size_t n = model->tensors[i].n_bytes / sizeof(float);
        for (size_t k = 0; is_weight(t) && k < n && s->n < capacity; k++)
            s->symbols[s->n++] = (uint8_t)(clip(floor(weights[k] / step + 0.5), 127) + 127);
    }
}

/* Weights, and not what was computed about weights. */
static int is_model(const struct dirent *entry)
{
    const char *name = entry->d_name;
    return strstr(name, ".safetensors") && !strstr(name, "_hessian") && !strstr(name, "_fisher") &&
           !strstr(name, "_adam");
}

void for_each_model(const char *folder,
                    void (*take)(void *user, const char *name, const st_file *model), void *user)
{
    struct dirent **entries;
    const int n_entries = scandir(folder, &entries, is_model, alphasort);
    for (int i = 0; i < n_entries; i++) {
        char path[4096];
        st_file model;
        fault f;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (st_open(&model, path, &f)) {
            take(user, entries[i]->d_name, &model);
            st_close(&model);
        }
        free(entries[i]);
    }
    if (n_entries >= 0)
        free(entries);
}

/* A stream that is being joined. */
typedef struct joining {
    stream s;
    size_t capacity;
} joining;

static void join_model(void *user, const char *name, const st_file *model)
{
    joining *j = user;
    (void)name;
    if (j->s.n < j->capacity)
        append_model(&j->s, model, step_for(model, j->s.nominal, true), j->capacity);
}

stream join_models(const char *folder, double bits, size_t n)
{
    joining j = {.s = {.name = bits < 4 ? "models, 3 bits" : "models, 5 bits",
                       .symbols = must_alloc(n),
                       .nominal = bits,
                       .kind = STREAM_MODELS},
                 .capacity = n};
    for_each_model(folder, join_model, &j);
    if (j.s.n > 0)
        finish_stream(&j.s);
    return j.s;
}
