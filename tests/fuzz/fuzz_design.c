/*
 * Steps on their own: statistics, k-means, entropy-constrained quantizers, codebooks, assignment,
 * pruning, importance, gradients of levels, distortion, with any numbers and options. Statuses must
 * be documented ones, and results obey what their headers say.
 *
 * Input: kind of numbers, number of weights (2 bytes), options, then what the numbers are made of.
 */
#include <math.h>

#include "fuzz.h"

enum { MAX_WEIGHTS = 2000 };

typedef struct design_input {
    size_t n;
    float *weights;
    float *importance;
    nq_tensor tensor;
    nq_tensor importance_tensor;
    const nq_tensor *h; /* NULL: none */
    bool is_good;       /* all of it finite, importance not negative */
    const nq_ctx *ctx;
    nq_stats *stats; /* NULL: none */
} design_input;

static nq_tensor make_tensor(const void *data, size_t n, uint32_t dtype)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = dtype;
    t.rank = 1;
    t.dims[0] = n;
    t.data = data;
    return t;
}

static float draw_number(draw *d, uint64_t kind)
{
    uint32_t bits;
    float value;
    if (kind % 4 == 0)
        return (float)((int)draw_u(d, 1) - 128) / 8;
    if (kind % 4 == 1)
        return (float)((int)draw_u(d, 1) + (int)draw_u(d, 1) - 256) *
               ldexpf(1, (int)(kind % 29) - 14);
    bits = (uint32_t)draw_u(d, 4);
    memcpy(&value, &bits, sizeof value);
    return kind % 4 == 2 || isfinite(value) ? value : 1;
}

static void draw_numbers(float *x, size_t n, draw *d, bool is_importance)
{
    const uint64_t kind = draw_u(d, 1);
    const draw all = *d;
    for (size_t i = 0; i < n; i++) {
        if (d->left == 0)
            *d = all;
        x[i] = draw_number(d, kind);
        if (is_importance && kind % 4 != 2)
            x[i] = fabsf(x[i]);
    }
}

static bool is_usual(nq_status status)
{
    return status == NQ_OK || status == NQ_E_ARG || status == NQ_E_NUMERIC || status == NQ_E_LIMIT;
}

/* ---- Codebooks ----------------------------------------------------------------------------- */

static void check_codebook(const nq_codebook *book, const design_input *in, bool is_nearest)
{
    nq_codebook_report report = {.struct_size = sizeof report};
    uint16_t *indices = malloc((in->n + 1) * sizeof *indices);
    const float *levels = nq_codebook_levels(book);
    assert_int_equal(nq_codebook_get_report(book, &report), NQ_OK);
    assert_true(report.n_levels >= 1 && report.n_levels <= NQ_MAX_LEVELS);
    for (uint32_t i = 0; i < report.n_levels; i++)
        assert_true(isfinite(levels[i]) && (i == 0 || levels[i] > levels[i - 1]));
    const nq_status status = nq_codebook_assign(indices, book, &in->tensor, in->h, NULL);
    assert_true(is_usual(status));
    for (size_t i = 0; status == NQ_OK && i < in->n; i++) {
        const double w = (double)in->weights[i], c = (double)levels[indices[i]];
        assert_true(indices[i] < report.n_levels);
        for (uint32_t k = 0; is_nearest && k < report.n_levels; k += 1 + report.n_levels / 8)
            assert_true(fabs(w - c) <= fabs(w - (double)levels[k]));
    }
    const uint64_t *counts = nq_codebook_counts(book);
    uint64_t sum = 0;
    for (uint32_t i = 0; counts && i < report.n_levels; i++)
        sum += counts[i];
    assert_true(!counts || sum == report.n_weights);
    free(indices);
}

static void run_kmeans(const design_input *in, draw *d)
{
    static const double given[] = {-3, -1, 0, 0.5, 2, 9};
    nq_kmeans_options options;
    nq_codebook *book;
    const nq_tensor *tensors[] = {&in->tensor}, *importance[] = {in->h};
    nq_diag diag;
    nq_kmeans_options_init(&options);
    nq_diag_init(&diag);
    options.n_levels = 1 + (uint32_t)draw_below(d, 40);
    options.method = (uint32_t)draw_below(d, 3);
    options.start = (uint32_t)draw_below(d, 3);
    options.max_iterations = (uint32_t)draw_below(d, 30);
    options.seed = draw_u(d, 2);
    if (options.start == NQ_START_GIVEN) {
        options.levels = given;
        options.n_levels = 6;
    }
    const nq_status status = nq_kmeans(&book, in->ctx, in->stats, tensors,
                                       in->h ? importance : NULL, 1, &options, &diag);
    assert_true(is_usual(status) && diag.status == status && (status == NQ_OK) == (book != NULL));
    assert_true(status != NQ_OK || in->is_good);
    if (book)
        check_codebook(book, in, true);
    nq_codebook_destroy(book);
}

static void run_ecsq(const design_input *in, draw *d)
{
    static const double values[] = {0, 1e-4, 0.01, 0.1, 1, 30, 1e30};
    nq_ecsq_options options;
    nq_codebook *book;
    const nq_tensor *tensors[] = {&in->tensor}, *importance[] = {in->h};
    nq_ecsq_options_init(&options);
    options.max_levels = draw_u(d, 1) % 2 ? NQ_MAX_LEVELS : 1 + (uint32_t)draw_below(d, 40);
    options.starts = (uint32_t)draw_below(d, 4);
    options.max_iterations = 1 + (uint32_t)draw_below(d, 50);
    options.lambda = values[draw_below(d, 7)];
    options.step = values[draw_below(d, 7)];
    const nq_status status =
        nq_ecsq(&book, in->ctx, in->stats, tensors, in->h ? importance : NULL, 1, &options, NULL);
    assert_true(is_usual(status) && (status == NQ_OK) == (book != NULL));
    assert_true(status != NQ_OK || in->is_good);
    if (book) {
        nq_codebook_report report = {.struct_size = sizeof report};
        nq_codebook *again;
        check_codebook(book, in, false);
        assert_int_equal(nq_codebook_get_report(book, &report), NQ_OK);
        const nq_status reassigned =
            nq_ecsq_reassign(&again, in->ctx, nq_codebook_levels(book), report.n_levels, tensors,
                             in->h ? importance : NULL, 1, &options, NULL);
        assert_true(is_usual(reassigned));
        nq_codebook_destroy(again);
    }
    nq_codebook_destroy(book);
}

static void run_codebook(const design_input *in, draw *d)
{
    nq_codebook *book;
    const size_t n = draw_below(d, 50);
    const nq_status status = nq_codebook_create(&book, in->ctx, in->weights, n < in->n ? n : in->n);
    assert_true(is_usual(status) && (status == NQ_OK) == (book != NULL));
    if (book)
        check_codebook(book, in, true);
    nq_codebook_destroy(book);
}

/* ---- Importance ---------------------------------------------------------------------------- */

static void run_prune(const design_input *in, draw *d)
{
    nq_prune_options options;
    nq_prune_report report = {.struct_size = sizeof report};
    uint8_t *mask = malloc(in->n + 1);
    const nq_tensor *tensors[] = {&in->tensor}, *importance[] = {in->h};
    nq_prune_options_init(&options);
    options.rule = (uint32_t)draw_below(d, 2);
    options.density = (double)draw_u(d, 1) / 255;
    const nq_status status =
        nq_prune(&mask, &report, in->ctx, tensors, in->h ? importance : NULL, 1, &options, NULL);
    assert_true(is_usual(status));
    if (status == NQ_OK) {
        uint64_t n_kept = 0;
        for (size_t i = 0; i < in->n; i++)
            n_kept += mask[i];
        assert_true(n_kept == report.n_kept && report.n_weights == in->n);
        assert_true(fabs((double)n_kept - options.density * (double)in->n) <= 0.5);
    }
    free(mask);
}

static void run_importance(const design_input *in, draw *d)
{
    nq_importance *sums;
    const uint64_t n = 1 + draw_below(d, 30);
    float *out = malloc((size_t)(n > in->n ? n : in->n) * sizeof *out);
    nq_status status = nq_importance_create(&sums, in->ctx, n);
    assert_int_equal(status, NQ_OK);
    status = nq_importance_add_squares(sums, &in->tensor, NULL);
    assert_true(is_usual(status));
    assert_true(nq_importance_samples(sums) == (status == NQ_OK ? in->n / n : 0));
    status = nq_importance_add_probes(sums, &in->tensor, &in->importance_tensor, NULL);
    assert_true(is_usual(status));
    status = nq_importance_merge(sums, sums);
    assert_true(is_usual(status));
    status = nq_importance_mean(out, NULL, sums);
    assert_true(is_usual(status) || status == NQ_E_STATE);
    for (uint64_t i = 0; status == NQ_OK && i < n; i++)
        assert_true(isfinite(out[i]) && out[i] >= 0);
    nq_importance_destroy(sums);
    status = nq_importance_from_second_moment(out, &in->importance_tensor, NULL);
    assert_true(is_usual(status));
    free(out);
}

static void run_gradients(const design_input *in, draw *d)
{
    const size_t n_levels = 1 + draw_below(d, 20);
    double sums[20] = {0};
    uint64_t counts[20] = {0}, sum = 0;
    uint16_t *indices = malloc((in->n + 1) * sizeof *indices);
    for (size_t i = 0; i < in->n; i++)
        indices[i] = (uint16_t)(i % n_levels);
    const nq_status status =
        nq_level_gradients(sums, counts, n_levels, in->ctx, indices, &in->tensor);
    assert_true(is_usual(status));
    for (size_t i = 0; i < n_levels; i++)
        sum += counts[i];
    assert_true(status != NQ_OK || sum == in->n);
    free(indices);
}

static void run_distortion(const design_input *in)
{
    nq_distortion x;
    nq_distortion_init(&x);
    nq_status status = nq_distortion_add(&x, in->ctx, &in->tensor, &in->importance_tensor, in->h);
    assert_true(is_usual(status));
    nq_distortion_init(&x);
    status = nq_distortion_add(&x, in->ctx, &in->tensor, &in->tensor, NULL);
    assert_int_equal(status, NQ_OK);
    assert_true(x.squared_error == 0 && x.max_abs_error == 0 && x.n_elements == in->n);
}

/* ---- All of it ----------------------------------------------------------------------------- */

static bool is_good(const design_input *in)
{
    for (size_t i = 0; i < in->n; i++)
        if (!isfinite(in->weights[i]) ||
            (in->h && !(in->importance[i] >= 0 && isfinite(in->importance[i]))))
            return false;
    return true;
}

static void make_stats(design_input *in)
{
    assert_int_equal(nq_stats_create(&in->stats, in->ctx), NQ_OK);
    const nq_status status = nq_stats_add(in->stats, &in->tensor, in->h, NULL);
    assert_true(is_usual(status) && (status != NQ_OK || in->is_good));
    if (status != NQ_OK) {
        nq_stats_destroy(in->stats);
        in->stats = NULL;
    }
}

static void run(const uint8_t *data, size_t n_bytes)
{
    draw d = {data, n_bytes};
    nq_ctx_options options;
    nq_ctx *ctx;
    const uint64_t kind = draw_u(&d, 1), which = draw_u(&d, 1);
    design_input in = {.n = draw_u(&d, 2) % MAX_WEIGHTS};
    draw choices = {d.at, d.left < 16 ? d.left : 16};
    nq_ctx_options_init(&options);
    options.cpu_disabled = kind / 4 % 2 ? NQ_CPU_ALL : 0;
    assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
    in.ctx = ctx;
    d.at += choices.left;
    d.left -= choices.left;
    in.weights = malloc((in.n + 1) * sizeof *in.weights);
    in.importance = malloc((in.n + 1) * sizeof *in.importance);
    draw_numbers(in.weights, in.n, &d, false);
    draw_numbers(in.importance, in.n, &d, true);
    in.tensor = make_tensor(in.weights, in.n, NQ_F32);
    in.importance_tensor = make_tensor(in.importance, in.n, NQ_F32);
    in.h = kind % 2 ? &in.importance_tensor : NULL;
    in.is_good = is_good(&in);
    if (kind / 2 % 2)
        make_stats(&in);
    switch (which % 7) {
    case 0:
        run_kmeans(&in, &choices);
        break;
    case 1:
        run_ecsq(&in, &choices);
        break;
    case 2:
        run_codebook(&in, &choices);
        break;
    case 3:
        run_prune(&in, &choices);
        break;
    case 4:
        run_importance(&in, &choices);
        break;
    case 5:
        run_gradients(&in, &choices);
        break;
    default:
        run_distortion(&in);
    }
    nq_stats_destroy(in.stats);
    nq_ctx_destroy(ctx);
    free(in.weights);
    free(in.importance);
}

static bytes make_seed(uint64_t number)
{
    bytes b = {0};
    uint64_t seed = number;
    put_u(&b, unit_random(&seed), 1);
    put_u(&b, number, 1);
    put_u(&b, unit_random(&seed) % (number % 2 ? 60 : MAX_WEIGHTS), 2);
    for (uint64_t n = 20 + unit_random(&seed) % 400; n > 0; n--)
        put_u(&b, unit_random(&seed), 1);
    return b;
}

const fuzz_target fuzz_design = {"design", run, make_seed};
