/*
 * What examples/lenet does to a network with the library: pruning, importance, quantizing what is
 * left, training of levels. On images of bars that can be told apart within a few epochs.
 */
#include "adam.h"
#include "eval.h"
#include "lenet_oracle.h"
#include "prune.h"
#include "sensitivity.h"
#include "survivors.h"
#include "tune.h"
#include "unit.h"
#include "weights.h"

#include <nq/nq.h>

static float weights[LENET_PARAMETERS];
static double exact_weights[LENET_PARAMETERS];
static float values[LENET_PARAMETERS];
static idx_set bars;

static int draw(void **state)
{
    (void)state;
    draw_bars(&bars);
    return 0;
}

static int wipe(void **state)
{
    (void)state;
    idx_free(&bars);
    return 0;
}

static void begin(void)
{
    uint64_t random = 1;
    oracle_weights(exact_weights, weights, &random);
}

/* ---- Adam ------------------------------------------------------------------------------------ */

/* The authors' formulas, in double precision. */
static void test_adam_steps(void **state)
{
    (void)state;
    static const float gradients[4][3] = {
        {1, -0.5f, 0}, {0.5f, -2, 1e-3f}, {-3, 0.25f, 0}, {0, 0, -1e-3f}};
    float w[3] = {1, 2, 3};
    double expected[3] = {1, 2, 3}, mean[3] = {0}, square[3] = {0};
    adam a;
    assert_true(adam_create(&a, 3));
    for (int t = 1; t <= 4; t++) {
        adam_step(&a, w, gradients[t - 1], 0.01f);
        for (int i = 0; i < 3; i++) {
            const double g = (double)gradients[t - 1][i];
            mean[i] = 0.9 * mean[i] + 0.1 * g;
            square[i] = 0.999 * square[i] + 0.001 * g * g;
            expected[i] -= 0.01 * (mean[i] / (1 - pow(0.9, t))) /
                           (sqrt(square[i] / (1 - pow(0.999, t))) + 1e-8);
            if (fabs((double)w[i] - expected[i]) > 2e-6)
                fail_msg("step %d, weight %d: %g, not %g", t, i, (double)w[i], expected[i]);
        }
    }
    adam_free(&a);
}

/* ---- Pruning --------------------------------------------------------------------------------- */

static double prune_bars(float *w, uint32_t epochs, double density, uint64_t seed)
{
    double loss = 0;
    fault f;
    prune_options options = prune_defaults;
    options.epochs = epochs;
    options.ramp = epochs / 2;
    options.density = density;
    options.batch = 30;
    options.shift = 0;
    options.seed = seed;
    pruner *p = pruner_create(w, &bars, bars.count, &options);
    assert_non_null(p);
    for (uint32_t i = 0; i < epochs; i++)
        assert_true(pruner_epoch(p, &loss, &f));
    pruner_destroy(p);
    return loss;
}

static void test_pruning(void **state)
{
    (void)state;
    static float again[LENET_PARAMETERS], sparse[LENET_PARAMETERS];
    begin();
    memcpy(again, weights, sizeof again);
    const double loss = prune_bars(weights, 10, 0.1, 1);
    prune_bars(again, 10, 0.1, 1);
    assert_memory_equal(again, weights, sizeof weights);
    assert_true(loss < 0.5); /* of ln 10 in the beginning */
    assert_true(fabs(prune_density(weights) - 0.1) < 1e-5);

    /* Further, from where it stands: what is zero stays zero. */
    memcpy(sparse, weights, sizeof sparse);
    prune_bars(weights, 4, 0.05, 2);
    assert_true(fabs(prune_density(weights) - 0.05) < 1e-5);
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *t = &lenet_tensors[i];
        for (size_t j = t->first; j < t->first + t->count && t->rank > 1; j++)
            assert_true(sparse[j] != 0 || weights[j] == 0);
    }
}

/* ---- Importance ------------------------------------------------------------------------------ */

#define N_COPIES 400u

/* The same image many times over: the mean over random sums comes near the exact second derivative,
 * as finite differences give it, in every layer. */
static void test_random_sums_give_the_hessian(void **state)
{
    (void)state;
    fault f;
    uint64_t random = 5;
    static float image[IDX_PIXELS];
    idx_set copies = {.count = N_COPIES};
    copies.pixels = malloc((size_t)N_COPIES * IDX_PIXELS);
    copies.labels = calloc(N_COPIES, 1);
    assert_true(copies.pixels && copies.labels);
    for (size_t i = 0; i < N_COPIES; i++)
        memcpy(copies.pixels + i * IDX_PIXELS, bars.pixels, IDX_PIXELS);
    begin();
    eval_scale_image(image, bars.pixels);
    assert_true(sensitivity_gather(values, SENSITIVITY_NEWTON, weights, &copies, N_COPIES, 1, &f));
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *t = &lenet_tensors[i];
        double sum = 0, expected = 0;
        for (int j = 0; j < 12; j++) {
            const size_t k = t->first + (size_t)(unit_random(&random) % t->count);
            sum += (double)values[k];
            expected += direct_second_derivative(exact_weights, k, 1e-4, image, copies.labels, 1);
        }
        if (fabs(sum - expected) > 0.25 * expected + 1e-6)
            fail_msg("%s: %g, by differences %g", t->name, sum, expected);
    }
    idx_free(&copies);
}

/* On the last layer's biases all kinds are known: p (1 - p), and the square of p - y. */
static void test_kinds_of_importance(void **state)
{
    (void)state;
    fault f;
    double hessian[10] = {0}, fisher[10] = {0};
    static float image[IDX_PIXELS];
    lenet_net *net = lenet_net_create(1);
    assert_non_null(net);
    begin();
    for (size_t i = 0; i < bars.count; i++) {
        double p[10];
        eval_scale_image(image, bars.pixels + i * IDX_PIXELS);
        lenet_softmax(p, lenet_forward(net, weights, image, 1));
        for (size_t j = 0; j < 10; j++) {
            const double error = p[j] - (j == bars.labels[i] ? 1 : 0);
            hessian[j] += p[j] * (1 - p[j]) / (double)bars.count;
            fisher[j] += error * error / (double)bars.count;
        }
    }
    lenet_net_destroy(net);
    const size_t first = lenet_tensors[LENET_IP2_BIAS].first;
    assert_true(sensitivity_gather(values, SENSITIVITY_HESSIAN, weights, &bars, bars.count, 1, &f));
    for (size_t j = 0; j < 10; j++)
        assert_true(fabs((double)values[first + j] - hessian[j]) < 1e-5 * hessian[j]);
    assert_true(sensitivity_gather(values, SENSITIVITY_FISHER, weights, &bars, bars.count, 1, &f));
    for (size_t j = 0; j < 10; j++)
        assert_true(fabs((double)values[first + j] - fisher[j]) < 1e-5 * fisher[j]);
}

/* ---- Levels ---------------------------------------------------------------------------------- */

static void make_sparse(void)
{
    uint64_t random = 9;
    begin();
    for (size_t i = 0; i < LENET_PARAMETERS; i++)
        weights[i] = unit_random(&random) % 10 ? 0 : weights[i];
}

static uint32_t levels_of(const memfile *file)
{
    nq_reader *model;
    nq_tensor_info info;
    nq_tensor_info_init(&info);
    assert_int_equal(nq_reader_open(&model, NULL, file->bytes, file->n_bytes, NULL), NQ_OK);
    assert_int_equal(nq_reader_tensor(model, 0, &info), NQ_OK);
    nq_reader_destroy(model);
    return info.n_levels;
}

static void decode(float *w, const memfile *file)
{
    fault f;
    nq_reader *model;
    assert_int_equal(nq_reader_open(&model, NULL, file->bytes, file->n_bytes, NULL), NQ_OK);
    assert_true(weights_decode(w, model, "test", &f));
    nq_reader_destroy(model);
}

/* Which levels a weight of a tensor has a share in. */
static size_t group_of(uint32_t scope, size_t tensor)
{
    return scope == NQ_SCOPE_TENSOR ? tensor : 0;
}

/* Zeros stay zero, and others go to the mean of their cell's weights in the scope. */
static void check_survivors(uint32_t scope, memfile *file)
{
    static float before[LENET_PARAMETERS];
    double sums[LENET_TENSORS][3] = {{0}};
    size_t counts[LENET_TENSORS][3] = {{0}};
    fault f;
    make_sparse();
    memcpy(before, weights, sizeof before);
    const survivors_options options = {.method = NQ_METHOD_UNIFORM,
                                       .target = NQ_TARGET_STEP,
                                       .target_value = 0.5,
                                       .codec = NQ_CODEC_HUFFMAN_GAPS,
                                       .scope = scope,
                                       .importance_power = 1};
    assert_true(survivors_quantize(file, weights, NULL, 1724320, &options, &f));
    decode(values, file);
    assert_memory_equal(values, weights, sizeof values);
    for (size_t t = 0; t < LENET_TENSORS; t++)
        for (size_t i = 0; i < lenet_tensors[t].count; i++) {
            const double w = (double)before[lenet_tensors[t].first + i];
            const size_t cell = (size_t)(round(w / 0.5) + 1);
            assert_true(cell < 3);
            sums[group_of(scope, t)][cell] += w;
            counts[group_of(scope, t)][cell] += w != 0;
        }
    for (size_t t = 0; t < LENET_TENSORS; t++)
        for (size_t i = 0; i < lenet_tensors[t].count; i++) {
            const size_t g = group_of(scope, t), place = lenet_tensors[t].first + i;
            const size_t cell = (size_t)(round((double)before[place] / 0.5) + 1);
            const double mean = sums[g][cell] / (double)counts[g][cell];
            assert_true(before[place] == 0 ? values[place] == 0
                                           : fabs((double)values[place] - mean) < 1e-6);
        }
}

/* The file has one level more. */
static void test_survivors_have_their_own_levels(void **state)
{
    (void)state;
    memfile file = {0};
    check_survivors(NQ_SCOPE_MODEL, &file);
    assert_int_equal(levels_of(&file), 4);
    memfile_free(&file);
}

static void test_survivors_layer_by_layer(void **state)
{
    (void)state;
    memfile file = {0};
    check_survivors(NQ_SCOPE_TENSOR, &file);
    memfile_free(&file);
}

static double loss_of(const float *w)
{
    lenet_net *net = lenet_net_create(N_BARS);
    float *images = malloc(N_BARS * IDX_PIXELS * sizeof *images);
    assert_true(net && images);
    for (size_t i = 0; i < N_BARS; i++)
        eval_scale_image(images + i * IDX_PIXELS, bars.pixels + i * IDX_PIXELS);
    const double loss =
        lenet_loss(NULL, lenet_forward(net, w, images, N_BARS), bars.labels, N_BARS);
    free(images);
    lenet_net_destroy(net);
    return loss / N_BARS;
}

/* The loss falls, sharing stays, and zeros stay zero. */
static void test_levels_are_trained(void **state)
{
    (void)state;
    static float before[LENET_PARAMETERS];
    fault f;
    memfile file = {0};
    make_sparse();
    const survivors_options options = {.method = NQ_METHOD_KMEANS,
                                       .target = NQ_TARGET_LEVELS,
                                       .target_value = 16,
                                       .codec = NQ_CODEC_AUTO,
                                       .importance_power = 1};
    assert_true(survivors_quantize(&file, weights, NULL, 1724320, &options, &f));
    decode(before, &file);
    tune_options tune = tune_defaults;
    tune.steps = 20;
    tune.batch = 30;
    tune.shift = 0;
    tune.rate = 0.01f;
    const size_t n_bytes = file.n_bytes;
    assert_true(tune_levels(&file, &bars, bars.count, &tune, &f));
    assert_int_equal(file.n_bytes, n_bytes);
    decode(values, &file);
    assert_true(loss_of(values) < loss_of(before) - 0.005);
    assert_int_equal(levels_of(&file), 17);
    bool has_moved = false;
    for (size_t i = 1; i < LENET_PARAMETERS; i++) {
        assert_int_equal(values[i] == 0, before[i] == 0);
        assert_true(before[i] != before[i - 1] || values[i] == values[i - 1]);
        has_moved = has_moved || values[i] != before[i];
    }
    assert_true(has_moved);
    memfile_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adam_steps),
        cmocka_unit_test(test_pruning),
        cmocka_unit_test(test_random_sums_give_the_hessian),
        cmocka_unit_test(test_kinds_of_importance),
        cmocka_unit_test(test_survivors_have_their_own_levels),
        cmocka_unit_test(test_survivors_layer_by_layer),
        cmocka_unit_test(test_levels_are_trained),
    };
    return cmocka_run_group_tests(tests, draw, wipe);
}
