/*
 * All tensors of up to four elements over a set of nasty floats, through compressing and decoding
 * with each method, code and scope. What is not finite is refused and found; everything else comes
 * back as near as the method promises, and is finite.
 *
 *     exhaust_floats          up to three elements
 *     exhaust_floats whole    up to four
 */
#include <float.h>
#include <math.h>

#include "fuzz.h"

static const float values[] = {0.0f,     -0.0f,   1e-6f,  1e8f,    1.0f, -1.0f,    FLT_MAX,
                               -FLT_MAX, FLT_MIN, 1e-45f, -1e-45f, NAN,  INFINITY, -INFINITY};

enum { N_VALUES = sizeof values / sizeof *values, MOST = 4 };

/* ---- Ways ---------------------------------------------------------------------------------- */

typedef struct way {
    const char *name;
    uint32_t method, target, codec, lossless, level_rule, rdo, scope;
    double value;
    double density;
    bool has_importance;
} way;

static const way ways[] = {
    {.name = "step", .target = NQ_TARGET_STEP, .value = 0.5, .codec = NQ_CODEC_HUFFMAN},
    {.name = "small step", .target = NQ_TARGET_STEP, .value = 1e-7, .codec = NQ_CODEC_FIXED},
    {.name = "grid",
     .target = NQ_TARGET_STEP,
     .value = 1e30,
     .codec = NQ_CODEC_RANS,
     .level_rule = NQ_LEVEL_GRID},
    {.name = "levels",
     .target = NQ_TARGET_LEVELS,
     .value = 3,
     .codec = NQ_CODEC_AUTO,
     .has_importance = true},
    {.name = "channels",
     .target = NQ_TARGET_LEVELS,
     .value = 2,
     .codec = NQ_CODEC_FIXED,
     .scope = NQ_SCOPE_CHANNEL},
    {.name = "pruned",
     .target = NQ_TARGET_STEP,
     .value = 0.5,
     .codec = NQ_CODEC_HUFFMAN_GAPS,
     .density = 0.5},
    {.name = "sqnr", .target = NQ_TARGET_SQNR_DB, .value = 20, .codec = NQ_CODEC_HUFFMAN},
    {.name = "rdo", .target = NQ_TARGET_STEP, .value = 0.5, .codec = NQ_CODEC_HUFFMAN, .rdo = 1},
    {.name = "k-means",
     .method = NQ_METHOD_KMEANS,
     .target = NQ_TARGET_LEVELS,
     .value = 4,
     .codec = NQ_CODEC_AUTO},
    {.name = "two means",
     .method = NQ_METHOD_KMEANS,
     .target = NQ_TARGET_LEVELS,
     .value = 2,
     .codec = NQ_CODEC_RANS,
     .has_importance = true},
    {.name = "ecsq",
     .method = NQ_METHOD_ECSQ,
     .target = NQ_TARGET_LAMBDA,
     .value = 0.01,
     .codec = NQ_CODEC_HUFFMAN,
     .has_importance = true},
    {.name = "lossless",
     .target = NQ_TARGET_STEP,
     .value = 1,
     .lossless = NQ_LOSSLESS_YES,
     .codec = NQ_CODEC_AUTO},
};

enum { N_WAYS = sizeof ways / sizeof *ways };

/* How it went, for each way. */
static uint64_t counts[N_WAYS][3];

static nq_plan_options options_of(const way *w)
{
    nq_plan_options o;
    nq_plan_options_init(&o);
    o.method = w->method;
    o.target = w->target;
    o.target_value = w->value;
    o.codec = w->codec;
    o.lossless = w->lossless;
    o.level_rule = w->level_rule;
    o.rdo = w->rdo;
    o.scope = w->scope;
    o.density = w->density > 0 ? w->density : 1;
    o.min_elements = 0;
    return o;
}

/* ---- A tensor ------------------------------------------------------------------------------ */

static nq_status write_bytes(void *user, uint64_t offset, const void *data, size_t n_bytes)
{
    bytes *b = user;
    while (b->n < offset + n_bytes)
        put_u(b, 0, 1);
    memcpy(b->at + offset, data, n_bytes);
    return NQ_OK;
}

static size_t first_not_finite(const float *w, size_t n)
{
    size_t i = 0;
    while (i < n && isfinite(w[i]))
        i++;
    return i;
}

static double largest(const float *w, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fabs((double)w[i]) > most ? fabs((double)w[i]) : most;
    return most;
}

/* The sum of squared errors if all weights had the same level, the best one. */
static double worst(const float *w, size_t n)
{
    double mean = 0, sum = 0;
    for (size_t i = 0; i < n; i++)
        mean += (double)w[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        sum += ((double)w[i] - mean) * ((double)w[i] - mean);
    return sum;
}

static void check_values(const way *k, const float *w, const float *out, size_t n)
{
    double sum = 0, energy = 0;
    for (size_t i = 0; i < n; i++) {
        const double error = fabs((double)w[i] - (double)out[i]);
        assert_true(isfinite(out[i]));
        sum += error * error;
        energy += (double)w[i] * (double)w[i];
        /* A cell is a step wide, and its level anywhere in it; levels are floats. */
        if (k->method == NQ_METHOD_UNIFORM && k->target == NQ_TARGET_STEP && !k->density && !k->rdo)
            assert_true(error <= k->value * (1 + 1e-6) + fabs((double)w[i]) * 1e-7);
    }
    /* Four levels for four weights: each its own. */
    if (k->method == NQ_METHOD_KMEANS && k->value == 4)
        assert_true(sum == 0);
    if (k->method == NQ_METHOD_KMEANS && !k->has_importance)
        assert_true(sum <= worst(w, n) * (1 + 1e-6));
    if (k->target == NQ_TARGET_SQNR_DB)
        assert_true(sum <= energy * 0.0100001);
}

static void check_file(const way *k, const bytes *file, const float *w, size_t n)
{
    nq_reader *r;
    float out[MOST];
    assert_int_equal(nq_reader_open(&r, NULL, file->at, file->n, NULL), NQ_OK);
    assert_int_equal(nq_reader_verify(r, NULL, NQ_NONE, NULL, NULL, NULL), NQ_OK);
    assert_int_equal(nq_reader_decode(r, NULL, 0, NQ_F32, 0, n, out, NULL), NQ_OK);
    if (k->lossless)
        assert_memory_equal(w, out, n * sizeof *w);
    else
        check_values(k, w, out, n);
    nq_reader_destroy(r);
}

static void check_tensor(size_t number, const float *w, size_t n)
{
    const way *k = &ways[number];
    static const float h[MOST] = {1, 0.5f, 2, 1};
    const nq_plan_options o = options_of(k);
    const size_t bad = k->lossless ? n : first_not_finite(w, n);
    bytes file = {0};
    nq_plan *plan;
    nq_plan_tensor_options own;
    nq_sink sink;
    nq_diag diag;
    nq_tensor t, importance;
    nq_plan_tensor_options_init(&own);
    if (k->lossless)
        own.lossless = NQ_LOSSLESS_YES;
    nq_sink_init(&sink);
    sink.write = write_bytes;
    sink.user = &file;
    nq_diag_init(&diag);
    nq_tensor_init(&t);
    t.rank = 1;
    t.dims[0] = n;
    t.data = w;
    importance = t;
    importance.data = h;
    assert_int_equal(nq_plan_create(&plan, NULL, &o), NQ_OK);
    assert_int_equal(nq_plan_add(plan, &t, k->has_importance ? &importance : NULL, &own), NQ_OK);
    const nq_status status = nq_plan_write(plan, &sink);
    assert_int_equal(nq_plan_diag(plan, &diag), NQ_OK);
    if (bad < n) {
        assert_int_equal(status, NQ_E_NUMERIC);
        assert_true(diag.tensor == 0 && diag.element == bad);
        counts[number][1]++;
    } else if (status == NQ_OK) {
        check_file(k, &file, w, n);
        counts[number][0]++;
    } else {
        /* Cells are numbered up to 2^53. */
        assert_true(status == NQ_E_LIMIT && k->target == NQ_TARGET_STEP);
        assert_true(largest(w, n) > k->value * 0x1p53);
        counts[number][2]++;
    }
    nq_plan_destroy(plan);
    bytes_free(&file);
}

int main(int argc, char **argv)
{
    const size_t most = argc > 1 && strcmp(argv[1], "whole") == 0 ? MOST : MOST - 1;
    for (size_t n = 1, n_tensors = N_VALUES; n <= most; n++, n_tensors *= N_VALUES)
        for (size_t number = 0; number < n_tensors; number++) {
            float w[MOST] = {0};
            size_t left = number;
            for (size_t i = 0; i < n; i++, left /= N_VALUES)
                w[i] = values[left % N_VALUES];
            for (size_t k = 0; k < N_WAYS; k++)
                check_tensor(k, w, n);
        }
    for (size_t k = 0; k < N_WAYS; k++)
        printf("%s: %llu coded, %llu not finite, %llu out of reach\n", ways[k].name,
               (unsigned long long)counts[k][0], (unsigned long long)counts[k][1],
               (unsigned long long)counts[k][2]);
    return 0;
}
