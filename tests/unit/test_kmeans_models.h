/*
 * Real weights with importance, and what an independent program found for them: golden.json in the
 * data folder, whose key `recipe` says how. Only what these tests need of JSON and safetensors is
 * read, from files that are known to be good.
 */
#ifndef NQI_TESTS_KMEANS_MODELS_H
#define NQI_TESTS_KMEANS_MODELS_H

#include "test_stats_data.h"

/* ---- Files --------------------------------------------------------------------------------- */

/* Of NQ_DATA, or of shared/data beside the checkout; NULL if there is none. */
static inline char *models_read(const char *name, size_t *n_bytes)
{
    char path[4096];
    const char *folder = getenv("NQ_DATA");
    if (folder)
        snprintf(path, sizeof path, "%s/%s", folder, name);
    else
        snprintf(path, sizeof path, "%s/../shared/data/%s", SOURCE_ROOT, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    const long size = ftell(f);
    assert_true(size > 0);
    rewind(f);
    char *bytes = malloc((size_t)size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, f), (size_t)size);
    bytes[size] = '\0';
    fclose(f);
    *n_bytes = (size_t)size;
    return bytes;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

/* Behind the object or list that begins at `at`. */
static inline const char *models_json_end(const char *at)
{
    int depth = 0;
    bool in_string = false;
    for (;; at++) {
        if (*at == '"')
            in_string = !in_string;
        if (in_string)
            continue;
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        if (depth == 0)
            return at + 1;
    }
}

/* The value of a key between begin and end, or NULL. */
static inline const char *models_json_value(const char *begin, const char *end, const char *key)
{
    char quoted[300];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *found = strstr(begin, quoted);
    if (!found || found >= end)
        return NULL;
    found += strlen(quoted);
    while (*found == ' ' || *found == '\n')
        found++;
    return found;
}

static inline double models_json_number(const char *begin, const char *end, const char *key)
{
    const char *value = models_json_value(begin, end, key);
    assert_non_null(value);
    return strtod(value, NULL);
}

/* ---- Weights ------------------------------------------------------------------------------- */

typedef struct model {
    float *w;
    float *h;
    size_t n;
    double least; /* a thousandth of the mean importance */
} model;

/* The weights of all tensors that have importance, in the file's order; of pruned networks those
 * that are not zero. NULL w if there is no such file. */
static inline model models_load(const char *name)
{
    char file[128], file_h[128], key[256];
    size_t n_bytes;
    model m = {NULL, NULL, 0, 0};
    snprintf(file, sizeof file, "models/%s.safetensors", name);
    snprintf(file_h, sizeof file_h, "models/%s_hessian.safetensors", name);
    char *w_bytes = models_read(file, &n_bytes), *h_bytes = models_read(file_h, &n_bytes);
    if (!w_bytes || !h_bytes) {
        free(w_bytes);
        free(h_bytes);
        return m;
    }
    const size_t w_head = (size_t)nqi_load_le64((const uint8_t *)w_bytes);
    const size_t h_head = (size_t)nqi_load_le64((const uint8_t *)h_bytes);
    const bool is_pruned = strstr(name, "pruned") != NULL, is_resnet = name[0] == 'r';
    m.w = malloc(n_bytes);
    m.h = malloc(n_bytes);
    assert_non_null(m.w);
    assert_non_null(m.h);
    double sum = 0;
    size_t n_all = 0;
    /* Names are "name":{...}; files list them in the order of their data. */
    for (const char *at = w_bytes + 9; at < w_bytes + 8 + w_head;) {
        const char *begin = strchr(at, '"');
        const char *end = begin ? strchr(begin + 1, '"') : NULL;
        if (!end || end >= w_bytes + 8 + w_head)
            break;
        snprintf(key, sizeof key, "%.*s", (int)(end - begin - 1), begin + 1);
        const char *object = strchr(end, '{');
        at = models_json_end(object);
        const char *in_h = models_json_value(h_bytes + 8, h_bytes + 8 + h_head, key);
        if (!in_h || strcmp(key, "__metadata__") == 0 || (is_resnet && !strstr(key, ".weight")))
            continue;
        char *next;
        const size_t first = (size_t)strtoull(
            strchr(models_json_value(object, at, "data_offsets"), '[') + 1, &next, 10);
        const size_t last = (size_t)strtoull(strpbrk(next, "0123456789"), NULL, 10);
        const size_t first_h = (size_t)strtoull(
            strchr(models_json_value(in_h, models_json_end(in_h), "data_offsets"), '[') + 1, NULL,
            10);
        for (size_t i = 0; i < (last - first) / 4; i++) {
            const float w = nqi_load_f32(w_bytes + 8 + w_head + first + 4 * i);
            const float h = nqi_load_f32(h_bytes + 8 + h_head + first_h + 4 * i);
            sum += (double)h;
            n_all++;
            if (is_pruned && w == 0)
                continue;
            m.w[m.n] = w;
            m.h[m.n++] = h;
        }
    }
    m.least = 1e-3 * (sum / (double)n_all);
    free(w_bytes);
    free(h_bytes);
    return m;
}

static inline void models_free(model *m)
{
    free(m->w);
    free(m->h);
}

/* With importance, floored, or without. */
static inline nqi_weights models_view(const model *m, bool is_weighted)
{
    nqi_weights view = data_view(m->w, NQ_F32, is_weighted ? m->h : NULL, m->n);
    view.shaping.least = m->least;
    return view;
}

#define MODELS_SKIP_TEXT "no golden.json or models: set NQ_DATA to the folder that holds them\n"

static const char *const models_names[] = {"lenet5_dense", "lenet5_pruned", "resnet32_dense",
                                           "resnet32_pruned"};

#endif
