/*
 * The LeNet-5 of examples/lenet, against the oracle of lenet_oracle.h; gradients and second
 * derivatives are held against its finite differences.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT: mkdtemp */

#include "conv.h"
#include "eval.h"
#include "idx.h"
#include "lenet_oracle.h"
#include "matmul.h"
#include "network.h"
#include "train.h"
#include "unit.h"

#include <math.h>
#include <unistd.h>

/* ---- What the tests work on ------------------------------------------------------------------ */

#define N_IMAGES 3u

static float weights[LENET_PARAMETERS];
static double exact_weights[LENET_PARAMETERS];
static float images[N_IMAGES * IDX_PIXELS];
static const uint8_t labels[N_IMAGES] = {3, 0, 9};

static int make_network(void **state)
{
    (void)state;
    uint64_t random = 1;
    oracle_weights(exact_weights, weights, &random);
    for (size_t i = 0; i < N_IMAGES * IDX_PIXELS; i++)
        images[i] = (float)(unit_random(&random) % 256) / 256;
    return 0;
}

/* ---- Matrices and layers --------------------------------------------------------------------- */

/* Small integers, whose sums are exact in any order. */
static void check_product(matmul_room *room, size_t rows, size_t depth, size_t columns, bool flip_a,
                          bool flip_b)
{
    uint64_t random = rows * 1000003 + depth * 1009 + columns;
    float *a = malloc(rows * depth * sizeof *a);
    float *b = malloc(depth * columns * sizeof *b);
    float *c = malloc(rows * columns * sizeof *c);
    assert_true(a && b && c);
    for (size_t i = 0; i < rows * depth; i++)
        a[i] = (float)((int)(unit_random(&random) % 15) - 7);
    for (size_t i = 0; i < depth * columns; i++)
        b[i] = (float)((int)(unit_random(&random) % 15) - 7);
    for (size_t i = 0; i < rows * columns; i++)
        c[i] = (float)(i % 5);
    const matrix ma = flip_a ? (matrix){a, 1, rows} : (matrix){a, depth, 1};
    const matrix mb = flip_b ? (matrix){b, 1, depth} : (matrix){b, columns, 1};
    matmul_add(c, ma, mb, rows, depth, columns, room);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            float sum = (float)((i * columns + j) % 5);
            for (size_t k = 0; k < depth; k++)
                sum += a[flip_a ? k * rows + i : i * depth + k] *
                       b[flip_b ? j * depth + k : k * columns + j];
            if (c[i * columns + j] != sum)
                fail_msg("%zu x %zu x %zu: row %zu, column %zu: %g, not %g", rows, depth, columns,
                         i, j, (double)c[i * columns + j], (double)sum);
        }
    free(a);
    free(b);
    free(c);
}

static void test_matrix_product(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {{1, 1, 1},    {4, 8, 32},   {5, 7, 33},
                                      {3, 256, 31}, {9, 257, 65}, {2, 600, 1100}};
    matmul_room *room = matmul_room_create();
    assert_non_null(room);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (unsigned flips = 0; flips < 4; flips++)
            check_product(room, sizes[i][0], sizes[i][1], sizes[i][2], flips & 1, flips & 2);
    matmul_room_destroy(room);
}

static void test_pooling_takes_the_first_of_equals(void **state)
{
    (void)state;
    const float in[16] = {1, 1, 0, 2, 1, 1, 2, 2, -3, -2, 5, 5, -1, -4, 6, 5};
    const float d_out[4] = {1, 2, 3, 4};
    float out[4], d_in[16];
    uint8_t which[4];
    pool_max(out, which, in, 1, 4);
    pool_max_back(d_in, d_out, which, 1, 4);
    const float expected[4] = {1, 2, -1, 6};
    const uint8_t expected_which[4] = {0, 1, 2, 2};
    const float expected_d[16] = {1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 4, 0};
    assert_memory_equal(out, expected, sizeof expected);
    assert_memory_equal(which, expected_which, sizeof expected_which);
    for (size_t i = 0; i < 16; i++)
        assert_true(d_in[i] == expected_d[i]);
}

/* ---- The network ----------------------------------------------------------------------------- */

static void test_tensors_fill_the_array(void **state)
{
    (void)state;
    size_t first = 0;
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *t = &lenet_tensors[i];
        size_t count = 1;
        for (size_t j = 0; j < t->rank; j++)
            count *= t->dims[j];
        assert_int_equal(t->first, first);
        assert_int_equal(t->count, count);
        first += count;
    }
    assert_int_equal(first, LENET_PARAMETERS);
}

static void test_outputs(void **state)
{
    (void)state;
    lenet_net *net = lenet_net_create(N_IMAGES);
    assert_non_null(net);
    const float *outputs = lenet_forward(net, weights, images, N_IMAGES);
    for (size_t i = 0; i < N_IMAGES; i++) {
        double expected[10];
        direct_outputs(expected, exact_weights, images + i * IDX_PIXELS);
        for (size_t j = 0; j < 10; j++)
            if (!(fabs((double)outputs[i * 10 + j] - expected[j]) < 1e-5))
                fail_msg("image %zu, output %zu: %.9g, not %.9g", i, j, (double)outputs[i * 10 + j],
                         expected[j]);
    }
    lenet_net_destroy(net);
}

static double slope(size_t parameter)
{
    const double step = 1e-6, middle = exact_weights[parameter];
    exact_weights[parameter] = middle + step;
    const double above = direct_loss(exact_weights, images, labels, N_IMAGES);
    exact_weights[parameter] = middle - step;
    const double below = direct_loss(exact_weights, images, labels, N_IMAGES);
    exact_weights[parameter] = middle;
    return (above - below) / (2 * step);
}

/* The largest gradient of each tensor, and some at random. */
static void check_tensor_gradient(const lenet_tensor *t, const float *gradient, uint64_t *random)
{
    size_t largest = t->first;
    for (size_t i = t->first; i < t->first + t->count; i++)
        largest = fabsf(gradient[i]) > fabsf(gradient[largest]) ? i : largest;
    const double size = fabs((double)gradient[largest]);
    assert_true(size > 1e-4);
    for (int i = 0; i < 4; i++) {
        const size_t at = i == 0 ? largest : t->first + unit_random(random) % t->count;
        const double expected = slope(at);
        if (!(fabs((double)gradient[at] - expected) < 1e-5 * size + 1e-8))
            fail_msg("%s, element %zu: %.9g, not %.9g", t->name, at - t->first,
                     (double)gradient[at], expected);
    }
}

static void test_gradient(void **state)
{
    (void)state;
    uint64_t random = 2;
    float d_outputs[N_IMAGES * IDX_CLASSES];
    lenet_net *net = lenet_net_create(N_IMAGES);
    float *gradient = calloc(LENET_PARAMETERS, sizeof *gradient);
    float *once = calloc(LENET_PARAMETERS, sizeof *once);
    assert_true(net && gradient && once);
    const float *outputs = lenet_forward(net, weights, images, N_IMAGES);
    const double loss = lenet_loss(d_outputs, outputs, labels, N_IMAGES);
    assert_true(fabs(loss / N_IMAGES - direct_loss(exact_weights, images, labels, N_IMAGES)) <
                1e-6);
    lenet_backward(net, weights, d_outputs, gradient, N_IMAGES);
    for (size_t i = 0; i < LENET_TENSORS; i++)
        check_tensor_gradient(&lenet_tensors[i], gradient, &random);

    memcpy(once, gradient, LENET_PARAMETERS * sizeof *once);
    lenet_backward(net, weights, d_outputs, gradient, N_IMAGES); /* adds */
    for (size_t i = 0; i < LENET_PARAMETERS; i++)
        assert_true(fabsf(gradient[i] - 2 * once[i]) <= 1e-6f);
    free(once);
    free(gradient);
    lenet_net_destroy(net);
}

static void test_loss(void **state)
{
    (void)state;
    const float outputs[20] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, -2000, 0, 0, 0, 0, 0, 0, 0, 0.5f};
    const uint8_t truth[2] = {4, 1};
    float d[20];
    assert_true(fabs(lenet_loss(d, outputs, truth, 1) - log(10)) < 1e-12);
    assert_true(fabs((double)d[4] + 0.9) < 1e-7 && fabs((double)d[0] - 0.1) < 1e-7);
    const double expected = log(10) + 2000 + log(8 + exp(0.5));
    assert_true(fabs(lenet_loss(d, outputs, truth, 2) - expected) < 1e-9);
    assert_true(d[11] == -0.5f && fabs((double)d[19] - exp(0.5) / (8 + exp(0.5)) / 2) < 1e-7);
    assert_int_equal(lenet_choice(outputs), 0);
    assert_int_equal(lenet_choice(outputs + 10), 9);
}

/* ---- Second derivatives ---------------------------------------------------------------------- */

/*
 * The second backward pass of Becker and LeCun for one image, written down directly: by units, from
 * the outputs down. `d2` are the second derivatives by outputs.
 */
typedef struct second_pass {
    double pool1[20][12][12], pool2[50][4][4], hidden[500];
    double d2_hidden[500], d2_pool2[800];
    double d2_conv2[50][8][8], d2_pool1[20][12][12], d2_conv1[20][24][24];
} second_pass;

static void hand_down(double *d2_in, const double *weight, const double *d2_out, size_t n_out,
                      size_t n_in)
{
    for (size_t j = 0; j < n_in; j++) {
        d2_in[j] = 0;
        for (size_t i = 0; i < n_out; i++)
            d2_in[j] += weight[i * n_in + j] * weight[i * n_in + j] * d2_out[i];
    }
}

/* To the first of the four largest values under a pooled one. */
static void unpool(double *d2_in, const double *d2_pooled, const double *in, size_t channels,
                   size_t side)
{
    for (size_t i = 0; i < channels * side * side; i++)
        d2_in[i] = 0;
    for (size_t c = 0; c < channels; c++)
        for (size_t y = 0; y < side; y += 2)
            for (size_t x = 0; x < side; x += 2) {
                const size_t corner = (c * side + y) * side + x;
                const size_t four[4] = {corner, corner + 1, corner + side, corner + side + 1};
                size_t best = corner;
                for (size_t i = 1; i < 4; i++)
                    best = in[four[i]] > in[best] ? four[i] : best;
                d2_in[best] = *d2_pooled++;
            }
}

static void run_second_pass(second_pass *s, const double *w, const float *image, const double *d2)
{
    static double in[784], conv1[20 * 24 * 24], conv2[50 * 8 * 8];
    for (int i = 0; i < 784; i++)
        in[i] = (double)image[i];
    direct_conv(conv1, in, w, w + 500, 20, 1, 28);
    direct_pool(&s->pool1[0][0][0], conv1, 20, 24);
    direct_conv(conv2, &s->pool1[0][0][0], w + 520, w + 25520, 50, 20, 12);
    direct_pool(&s->pool2[0][0][0], conv2, 50, 8);
    direct_connect(s->hidden, &s->pool2[0][0][0], w + 25570, w + 425570, 500, 800);

    hand_down(s->d2_hidden, w + 426070, d2, 10, 500);
    for (int i = 0; i < 500; i++)
        s->d2_hidden[i] = s->hidden[i] > 0 ? s->d2_hidden[i] : 0;
    hand_down(s->d2_pool2, w + 25570, s->d2_hidden, 500, 800);
    unpool(&s->d2_conv2[0][0][0], s->d2_pool2, conv2, 50, 8);
    memset(s->d2_pool1, 0, sizeof s->d2_pool1);
    for (int f = 0; f < 50; f++)
        for (int y = 0; y < 8; y++)
            for (int x = 0; x < 8; x++)
                for (int c = 0; c < 20; c++)
                    for (int k = 0; k < 25; k++) {
                        const double weight = w[520 + (f * 20 + c) * 25 + k];
                        s->d2_pool1[c][y + k / 5][x + k % 5] +=
                            weight * weight * s->d2_conv2[f][y][x];
                    }
    unpool(&s->d2_conv1[0][0][0], &s->d2_pool1[0][0][0], conv1, 20, 24);
}

static double of_conv1(const second_pass *s, const float *image, int f, int k)
{
    double sum = 0;
    for (int y = 0; y < 24; y++)
        for (int x = 0; x < 24; x++) {
            const double pixel = (double)image[(y + k / 5) * 28 + x + k % 5];
            sum += s->d2_conv1[f][y][x] * pixel * pixel;
        }
    return sum;
}

static double of_conv2(const second_pass *s, int f, int c, int k)
{
    double sum = 0;
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 8; x++) {
            const double value = s->pool1[c][y + k / 5][x + k % 5];
            sum += s->d2_conv2[f][y][x] * value * value;
        }
    return sum;
}

static void check_close(const float *curvature, size_t i, double expected)
{
    if (fabs((double)curvature[i] - expected) > 1e-4 * fabs(expected) + 1e-12)
        fail_msg("parameter %zu: %g, not %g", i, (double)curvature[i], expected);
}

static void check_pass(const float *curvature, const double *w, const float *image,
                       const double *d2)
{
    static second_pass s;
    run_second_pass(&s, w, image, d2);
    for (int f = 0; f < 20; f++)
        for (int k = 0; k < 25; k++)
            check_close(curvature, (size_t)(f * 25 + k), of_conv1(&s, image, f, k));
    for (int f = 0; f < 50; f += 7)
        for (int c = 0; c < 20; c += 3)
            for (int k = 0; k < 25; k++)
                check_close(curvature, (size_t)(520 + (f * 20 + c) * 25 + k),
                            of_conv2(&s, f, c, k));
    for (size_t i = 0; i < 500; i++) {
        check_close(curvature, 425570 + i, s.d2_hidden[i]);
        for (size_t j = 0; j < 800; j += 13) {
            const double in = (&s.pool2[0][0][0])[j];
            check_close(curvature, 25570 + i * 800 + j, s.d2_hidden[i] * in * in);
        }
    }
}

static void second_derivatives(float *d2, double *exact, const float *outputs)
{
    lenet_softmax(exact, outputs);
    for (int i = 0; i < 10; i++) {
        exact[i] *= 1 - exact[i];
        d2[i] = (float)exact[i];
    }
}

/* Every layer against the pass written down by units; the last one, where nothing is left out, also
 * against finite differences of the loss. */
static void test_second_pass(void **state)
{
    (void)state;
    static float squares[LENET_PARAMETERS], curvature[LENET_PARAMETERS];
    float d2[10];
    double exact[10];
    lenet_net *net = lenet_net_create(1);
    assert_non_null(net);
    for (size_t i = 0; i < LENET_PARAMETERS; i++)
        squares[i] = weights[i] * weights[i];
    memset(curvature, 0, sizeof curvature);
    second_derivatives(d2, exact, lenet_forward(net, weights, images, 1));
    lenet_curvature(net, squares, d2, curvature, 1);
    check_pass(curvature, exact_weights, images, exact);
    for (size_t i = 426070; i < LENET_PARAMETERS; i += i < 431070 ? 101 : 1) {
        const double h = direct_second_derivative(exact_weights, i, 1e-3, images, labels, 1);
        if (fabs((double)curvature[i] - h) > 1e-4 * h + 1e-7)
            fail_msg("parameter %zu: %g, but by differences %g", i, (double)curvature[i], h);
    }
    lenet_net_destroy(net);
}

/*
 * Hutchinson's probes agree with it on the last layer: z'Hz is the trace in the mean. Hz from two
 * gradients; other layers' weights stay where they are.
 */
static void test_probes_see_the_same_trace(void **state)
{
    (void)state;
    enum { FIRST = 426070, COUNT = 5000, PROBES = 150 };
    static float squares[LENET_PARAMETERS], curvature[LENET_PARAMETERS];
    static float moved[LENET_PARAMETERS], gradient[LENET_PARAMETERS], z[COUNT];
    const float reach = 0x1p-10f;
    float d2[10], d_outputs[10];
    double exact[10], trace = 0, mean = 0;
    uint64_t random = 7;
    lenet_net *net = lenet_net_create(1);
    assert_non_null(net);
    for (size_t i = 0; i < LENET_PARAMETERS; i++)
        squares[i] = weights[i] * weights[i];
    memset(curvature, 0, sizeof curvature);
    second_derivatives(d2, exact, lenet_forward(net, weights, images, 1));
    lenet_curvature(net, squares, d2, curvature, 1);
    for (size_t i = FIRST; i < FIRST + COUNT; i++)
        trace += (double)curvature[i];
    memcpy(moved, weights, sizeof moved);
    for (int probe = 0; probe < PROBES; probe++) {
        memset(gradient, 0, sizeof gradient);
        for (int i = 0; i < COUNT; i++)
            z[i] = unit_random(&random) & 1 ? 1.0f : -1.0f;
        for (float sign = -1; sign <= 1; sign += 2) {
            for (int i = 0; i < COUNT; i++)
                moved[FIRST + i] = weights[FIRST + i] + sign * reach * z[i];
            lenet_loss(d_outputs, lenet_forward(net, moved, images, 1), labels, 1);
            for (int i = 0; i < 10; i++)
                d_outputs[i] *= sign / (2 * reach);
            lenet_backward(net, moved, d_outputs, gradient, 1);
        }
        for (int i = 0; i < COUNT; i++)
            mean += (double)z[i] * (double)gradient[FIRST + i] / PROBES;
    }
    if (fabs(mean - trace) > 0.2 * trace)
        fail_msg("trace %g, by probes %g", trace, mean);
    lenet_net_destroy(net);
}

/* ---- Training -------------------------------------------------------------------------------- */

/* FNV-1a over the bits of all weights. */
static uint64_t hash_weights(const float *w)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < LENET_PARAMETERS; i++) {
        uint32_t bits;
        memcpy(&bits, &w[i], sizeof bits);
        hash = (hash ^ bits) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* Trains for some epochs on the bars; the last one's loss. */
static double train_bars(float *w, const idx_set *set, uint64_t seed)
{
    double loss = 0;
    train_options options = train_defaults;
    options.epochs = 5;
    options.batch = 32; /* the last of an epoch is smaller */
    options.shift = 1;
    options.rate = 0.02f;
    options.momentum = 0.9f;
    options.decay = 0.0005f;
    options.seed = seed;
    trainer *t = trainer_create(w, set, set->count, &options);
    assert_non_null(t);
    for (uint32_t i = 0; i < options.epochs; i++)
        loss = trainer_epoch(t);
    trainer_destroy(t);
    return loss;
}

/* Of bars that are all told apart, those are counted that were asked for. */
static void check_count(const float *w, idx_set *set)
{
    size_t n_right;
    assert_int_equal(eval_count(&n_right, w, set, 0, N_BARS), 0);
    assert_int_equal(n_right, N_BARS);
    for (size_t i = 0; i < 5; i++)
        set->labels[i] = 9;
    set->labels[N_BARS - 1] = 0;
    assert_int_equal(eval_count(&n_right, w, set, 5, 84), 0);
    assert_int_equal(n_right, 84);
    assert_int_equal(eval_count(&n_right, w, set, 0, N_BARS), 0);
    assert_int_equal(n_right, 84);
}

/* The hash stands for all machines and compilers: see network.c and matmul.h. */
static void test_training_gives_the_same_weights_everywhere(void **state)
{
    (void)state;
    idx_set set;
    float *w = malloc(LENET_PARAMETERS * sizeof *w);
    assert_non_null(w);
    draw_bars(&set);
    const double loss = train_bars(w, &set, 1);
    assert_true(loss < 1.5);
    check_count(w, &set);
    const uint64_t hash = hash_weights(w);
    if (hash != UINT64_C(0x418d4aa2274a4b61))
        fail_msg("hash 0x%016llx, loss %.5f", (unsigned long long)hash, loss);
    train_bars(w, &set, 2);
    assert_true(hash_weights(w) != hash);
    idx_free(&set);
    free(w);
}

/* ---- Files of images ------------------------------------------------------------------------- */

typedef struct folder {
    char path[64];
    char images[128];
    char labels[128];
} folder;

static void write_bytes(const char *path, const unsigned char *bytes, size_t n_bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n_bytes, file), n_bytes);
    assert_int_equal(fclose(file), 0);
}

#define IMAGES_BYTES (16u + 2u * IDX_PIXELS)
#define LABELS_BYTES 10u

/* Two images with labels 7 and 2, as they should be. */
static void write_set(const folder *f, unsigned char image_bytes[IMAGES_BYTES + 1],
                      unsigned char label_bytes[LABELS_BYTES])
{
    const unsigned char image_header[16] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28};
    const unsigned char label_file[LABELS_BYTES] = {0, 0, 8, 1, 0, 0, 0, 2, 7, 2};
    memcpy(image_bytes, image_header, sizeof image_header);
    for (size_t i = 16; i < IMAGES_BYTES + 1; i++)
        image_bytes[i] = (unsigned char)(i % 251);
    memcpy(label_bytes, label_file, sizeof label_file);
    write_bytes(f->images, image_bytes, IMAGES_BYTES);
    write_bytes(f->labels, label_bytes, LABELS_BYTES);
}

static int make_folder(void **state)
{
    static folder f;
    snprintf(f.path, sizeof f.path, "test_lenet_XXXXXX");
    if (!mkdtemp(f.path))
        return -1;
    snprintf(f.images, sizeof f.images, "%s/t10k-images-idx3-ubyte", f.path);
    snprintf(f.labels, sizeof f.labels, "%s/t10k-labels-idx1-ubyte", f.path);
    *state = &f;
    return 0;
}

static int remove_folder(void **state)
{
    const folder *f = *state;
    remove(f->images);
    remove(f->labels);
    return rmdir(f->path);
}

static void check_refused(const folder *f, const char *part, int kind)
{
    idx_set set;
    fault why;
    assert_false(idx_read(&set, f->path, part, &why));
    assert_int_equal(why.kind, kind);
    assert_true(!set.pixels && !set.labels && set.count == 0);
}

static void test_images_are_read(void **state)
{
    const folder *f = *state;
    unsigned char image_bytes[IMAGES_BYTES + 1], label_bytes[LABELS_BYTES];
    idx_set set;
    fault why;
    write_set(f, image_bytes, label_bytes);
    assert_true(idx_read(&set, f->path, "t10k", &why));
    assert_int_equal(set.count, 2);
    assert_memory_equal(set.pixels, image_bytes + 16, 2 * IDX_PIXELS);
    assert_memory_equal(set.labels, label_bytes + 8, 2);
    idx_free(&set);
    check_refused(f, "train", FAULT_IO);
}

/* Every byte of a header that is changed, and files of another length. */
static void test_damaged_images_are_refused(void **state)
{
    const folder *f = *state;
    unsigned char image_bytes[IMAGES_BYTES + 1], label_bytes[LABELS_BYTES];
    write_set(f, image_bytes, label_bytes);
    for (size_t i = 0; i < 16; i++) {
        image_bytes[i] ^= 1;
        write_bytes(f->images, image_bytes, IMAGES_BYTES);
        check_refused(f, "t10k", i == 4 ? FAULT_LIMIT : FAULT_FORMAT);
        image_bytes[i] ^= 1;
    }
    for (size_t n = 0; n < 20; n++) {
        write_bytes(f->images, image_bytes, n);
        check_refused(f, "t10k", FAULT_FORMAT);
    }
    write_bytes(f->images, image_bytes, IMAGES_BYTES - 1);
    check_refused(f, "t10k", FAULT_FORMAT);
    write_bytes(f->images, image_bytes, IMAGES_BYTES + 1);
    check_refused(f, "t10k", FAULT_FORMAT);
}

static void test_damaged_labels_are_refused(void **state)
{
    const folder *f = *state;
    unsigned char image_bytes[IMAGES_BYTES + 1], label_bytes[LABELS_BYTES];
    write_set(f, image_bytes, label_bytes);
    for (size_t n = 0; n < LABELS_BYTES; n++) {
        write_bytes(f->labels, label_bytes, n);
        check_refused(f, "t10k", FAULT_FORMAT);
    }
    label_bytes[9] = 10; /* there are ten classes */
    write_bytes(f->labels, label_bytes, LABELS_BYTES);
    check_refused(f, "t10k", FAULT_FORMAT);
    label_bytes[7] = 1; /* a label for one of two images */
    write_bytes(f->labels, label_bytes, LABELS_BYTES - 1);
    check_refused(f, "t10k", FAULT_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix_product),
        cmocka_unit_test(test_pooling_takes_the_first_of_equals),
        cmocka_unit_test(test_tensors_fill_the_array),
        cmocka_unit_test_setup(test_outputs, make_network),
        cmocka_unit_test_setup(test_gradient, make_network),
        cmocka_unit_test(test_loss),
        cmocka_unit_test_setup(test_second_pass, make_network),
        cmocka_unit_test_setup(test_probes_see_the_same_trace, make_network),
        cmocka_unit_test(test_training_gives_the_same_weights_everywhere),
        cmocka_unit_test_setup_teardown(test_images_are_read, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged_images_are_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged_labels_are_refused, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
