/*
 * The network. Nothing here knows how weights are kept.
 */
#include "transformer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Finding the tensors --------------------------------------------------------------------- */

typedef struct part {
    const char *name;
    tensor *found;
    size_t n_rows, n_columns;
} part;

static bool find_layer_tensor(tensor *found, transformer *t, size_t number, const char *name,
                              char path[64])
{
    snprintf(path, 64, "layers.%zu.%s.weight", number, name);
    return weights_find(found, t->w, path);
}

static bool find_layer(transformer *t, size_t number, char missing[64])
{
    layer *l = &t->layers[number];
    tensor norms[2];
    const size_t n = t->n_dims;
    const part parts[] = {
        {"attention_norm", &norms[0], n, 1},
        {"ffn_norm", &norms[1], n, 1},
        {"attention.wq", &l->wq, n, n},
        {"attention.wk", &l->wk, t->n_kv_dims, n},
        {"attention.wv", &l->wv, t->n_kv_dims, n},
        {"attention.wo", &l->wo, n, n},
        {"feed_forward.w1", &l->w1, t->n_hidden, n},
        {"feed_forward.w2", &l->w2, n, t->n_hidden},
        {"feed_forward.w3", &l->w3, t->n_hidden, n},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!find_layer_tensor(parts[i].found, t, number, parts[i].name, missing) ||
            parts[i].found->n_rows != parts[i].n_rows ||
            parts[i].found->n_columns != parts[i].n_columns)
            return false;
    weights_row(l->attention_norm, t->w, &norms[0], 0);
    weights_row(l->ffn_norm, t->w, &norms[1], 0);
    return true;
}

/* All sizes, from the first layer's shapes. */
static bool find_sizes(transformer *t, size_t n_heads, char missing[64])
{
    tensor wk, w1;
    strcpy(missing, "tok_embeddings.weight");
    if (!weights_find(&t->embeddings, t->w, missing) ||
        !find_layer_tensor(&wk, t, 0, "attention.wk", missing) ||
        !find_layer_tensor(&w1, t, 0, "feed_forward.w1", missing))
        return false;
    t->n_tokens = t->embeddings.n_rows;
    t->n_dims = t->embeddings.n_columns;
    t->n_kv_dims = wk.n_rows;
    t->n_hidden = w1.n_rows;
    t->n_head_dims = t->n_dims / n_heads;
    while (t->n_layers < MAX_LAYERS &&
           find_layer_tensor(&wk, t, t->n_layers, "attention.wk", missing))
        t->n_layers++;
    strcpy(missing, "layers.0.attention.wk.weight");
    return t->n_head_dims > 0 && t->n_head_dims % 2 == 0 && t->n_dims % n_heads == 0 &&
           t->n_kv_dims > 0 && t->n_dims % t->n_kv_dims == 0 && t->n_kv_dims % t->n_head_dims == 0;
}

static float *take(float **memory, size_t n)
{
    float *start = *memory;
    *memory += n;
    return start;
}

/* One block for everything that is no weight matrix. */
static bool allocate(transformer *t)
{
    const size_t n_cached = t->n_layers * t->n_positions * t->n_kv_dims;
    t->memory = calloc(2 * n_cached + (2 * t->n_layers + 5) * t->n_dims + 2 * t->n_hidden +
                           t->n_positions + t->n_tokens,
                       sizeof(float));
    if (!t->memory)
        return false;
    float *memory = t->memory;
    t->keys = take(&memory, n_cached);
    t->values = take(&memory, n_cached);
    for (size_t i = 0; i < t->n_layers; i++) {
        t->layers[i].attention_norm = take(&memory, t->n_dims);
        t->layers[i].ffn_norm = take(&memory, t->n_dims);
    }
    t->norm = take(&memory, t->n_dims);
    t->x = take(&memory, t->n_dims);
    t->normed = take(&memory, t->n_dims);
    t->query = take(&memory, t->n_dims);
    t->mixed = take(&memory, t->n_dims);
    t->gate = take(&memory, t->n_hidden);
    t->up = take(&memory, t->n_hidden);
    t->scores = take(&memory, t->n_positions);
    t->logits = take(&memory, t->n_tokens);
    return true;
}

bool transformer_make(transformer *t, weights *w, size_t n_heads, size_t n_positions,
                      char missing[64])
{
    tensor norm;
    memset(t, 0, sizeof *t);
    t->w = w;
    t->n_positions = n_positions;
    if (!find_sizes(t, n_heads, missing))
        return false;
    for (size_t i = 0; i < t->n_layers; i++)
        if (!t->memory && !allocate(t)) {
            *missing = 0;
            return false;
        } else if (!find_layer(t, i, missing))
            return false;
    strcpy(missing, "norm.weight");
    if (!weights_find(&norm, w, missing) || norm.n_rows != t->n_dims || norm.n_columns != 1)
        return false;
    weights_row(t->norm, w, &norm, 0);
    *missing = 0;
    return w->status == NQ_OK;
}

void transformer_free(transformer *t)
{
    free(t->memory);
}

/* ---- Running --------------------------------------------------------------------------------- */

static void normalize(float *out, const float *x, const float *scale, size_t n)
{
    float square = 0;
    for (size_t i = 0; i < n; i++)
        square += x[i] * x[i];
    const float factor = 1 / sqrtf(square / (float)n + 1e-5f);
    for (size_t i = 0; i < n; i++)
        out[i] = scale[i] * (factor * x[i]);
}

static void softmax(float *x, size_t n)
{
    float largest = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - largest);
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

/* Turns each pair of a head's dimensions by an angle that the position gives. */
static void rotate(float *x, size_t n, size_t n_head_dims, size_t position)
{
    for (size_t i = 0; i < n; i += 2) {
        const float exponent = (float)(i % n_head_dims) / (float)n_head_dims;
        const float angle = (float)position / powf(10000, exponent);
        const float c = cosf(angle), s = sinf(angle), a = x[i], b = x[i + 1];
        x[i] = a * c - b * s;
        x[i + 1] = a * s + b * c;
    }
}

/* One head's part of t->mixed. keys and values are those of its group at position 0. */
static void attend(transformer *t, size_t head, const float *keys, const float *values,
                   size_t position)
{
    const size_t n = t->n_head_dims;
    const float *query = t->query + head * n;
    float *mixed = t->mixed + head * n;
    for (size_t p = 0; p <= position; p++) {
        float product = 0;
        for (size_t i = 0; i < n; i++)
            product += query[i] * keys[p * t->n_kv_dims + i];
        t->scores[p] = product / sqrtf((float)n);
    }
    softmax(t->scores, position + 1);
    memset(mixed, 0, n * sizeof *mixed);
    for (size_t p = 0; p <= position; p++)
        for (size_t i = 0; i < n; i++)
            mixed[i] += t->scores[p] * values[p * t->n_kv_dims + i];
}

static void add_attention(transformer *t, size_t number, size_t position)
{
    const layer *l = &t->layers[number];
    const size_t n = t->n_head_dims, group = t->n_dims / t->n_kv_dims;
    float *keys = t->keys + number * t->n_positions * t->n_kv_dims;
    float *values = t->values + number * t->n_positions * t->n_kv_dims;
    float *key = keys + position * t->n_kv_dims;
    normalize(t->normed, t->x, l->attention_norm, t->n_dims);
    weights_multiply(t->query, t->w, &l->wq, t->normed);
    weights_multiply(key, t->w, &l->wk, t->normed);
    weights_multiply(values + position * t->n_kv_dims, t->w, &l->wv, t->normed);
    rotate(t->query, t->n_dims, n, position);
    rotate(key, t->n_kv_dims, n, position);
    for (size_t head = 0; head < t->n_dims / n; head++)
        attend(t, head, keys + head / group * n, values + head / group * n, position);
    weights_multiply(t->normed, t->w, &l->wo, t->mixed);
    for (size_t i = 0; i < t->n_dims; i++)
        t->x[i] += t->normed[i];
}

static void add_feed_forward(transformer *t, size_t number)
{
    const layer *l = &t->layers[number];
    normalize(t->normed, t->x, l->ffn_norm, t->n_dims);
    weights_multiply(t->gate, t->w, &l->w1, t->normed);
    weights_multiply(t->up, t->w, &l->w3, t->normed);
    for (size_t i = 0; i < t->n_hidden; i++)
        t->gate[i] *= t->up[i] / (1 + expf(-t->gate[i]));
    weights_multiply(t->normed, t->w, &l->w2, t->gate);
    for (size_t i = 0; i < t->n_dims; i++)
        t->x[i] += t->normed[i];
}

const float *transformer_next(transformer *t, size_t token, size_t position)
{
    weights_row(t->x, t->w, &t->embeddings, token);
    for (size_t i = 0; i < t->n_layers; i++) {
        add_attention(t, i, position);
        add_feed_forward(t, i);
    }
    normalize(t->normed, t->x, t->norm, t->n_dims);
    weights_multiply(t->logits, t->w, &t->embeddings, t->normed);
    return t->logits;
}
