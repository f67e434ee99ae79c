/*
 * The LeNet-5 of examples/lenet. The oracle is the same network written down directly, in double
 * precision and without matrices; gradients are held against its finite differences.
 */
#define _POSIX_C_SOURCE 200809L /* NOLINT: mkdtemp */

#include "conv.h"
#include "eval.h"
#include "idx.h"
#include "matmul.h"
#include "network.h"
#include "train.h"
#include "unit.h"

#include <math.h>
#include <unistd.h>

/* ---- The oracle ------------------------------------------------------------------------------ */

/* out[filters][places][places], from in[channels][side][side]. */
static void direct_conv(double *out, const double *in, const double *weight, const double *bias,
                        int filters, int channels, int side)
{
    const int places = side - 4;
    for (int f = 0; f < filters; f++)
        for (int y = 0; y < places; y++)
            for (int x = 0; x < places; x++) {
                double sum = bias[f];
                for (int c = 0; c < channels; c++)
                    for (int ky = 0; ky < 5; ky++)
                        for (int kx = 0; kx < 5; kx++)
                            sum += weight[((f * channels + c) * 5 + ky) * 5 + kx] *
                                   in[(c * side + y + ky) * side + x + kx];
                out[(f * places + y) * places + x] = sum;
            }
}

static void direct_pool(double *out, const double *in, int channels, int side)
{
    const int half = side / 2;
    for (int c = 0; c < channels; c++)
        for (int y = 0; y < half; y++)
            for (int x = 0; x < half; x++) {
                const double *corner = in + (c * side + 2 * y) * side + 2 * x;
                out[(c * half + y) * half + x] =
                    fmax(fmax(corner[0], corner[1]), fmax(corner[side], corner[side + 1]));
            }
}

static void direct_connect(double *out, const double *in, const double *weight, const double *bias,
                           int n_out, int n_in)
{
    for (int i = 0; i < n_out; i++) {
        out[i] = bias[i];
        for (int j = 0; j < n_in; j++)
            out[i] += weight[i * n_in + j] * in[j];
    }
}

static void direct_outputs(double *out, const double *w, const float *image)
{
    static double in[784], conv1[20 * 24 * 24], pool1[20 * 12 * 12], conv2[50 * 8 * 8], pool2[800];
    static double hidden[500];
    for (int i = 0; i < 784; i++)
        in[i] = (double)image[i];
    direct_conv(conv1, in, w, w + 500, 20, 1, 28);
    direct_pool(pool1, conv1, 20, 24);
    direct_conv(conv2, pool1, w + 520, w + 25520, 50, 20, 12);
    direct_pool(pool2, conv2, 50, 8);
    direct_connect(hidden, pool2, w + 25570, w + 425570, 500, 800);
    for (int i = 0; i < 500; i++)
        hidden[i] = fmax(hidden[i], 0);
    direct_connect(out, hidden, w + 426070, w + 431070, 10, 500);
}

/* The mean cross-entropy of n images. */
static double direct_loss(const double *w, const float *images, const uint8_t *labels, size_t n)
{
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        double out[10], sum = 0;
        direct_outputs(out, w, images + i * 784);
        for (int j = 0; j < 10; j++)
            sum += exp(out[j]);
        loss += log(sum) - out[labels[i]];
    }
    return loss / (double)n;
}

/* ---- What the tests work on ------------------------------------------------------------------ */

#define N_IMAGES 3u

static float weights[LENET_PARAMETERS];
static double exact_weights[LENET_PARAMETERS];
static float images[N_IMAGES * IDX_PIXELS];
static const uint8_t labels[N_IMAGES] = {3, 0, 9};

/* Weights of a size that keeps all layers awake, biases too, and images of random pixels. */
static int make_network(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *t = &lenet_tensors[i];
        const double scale = t->rank == 1 ? 0.1 : sqrt(3.0 / (double)(t->count / t->dims[0]));
        for (size_t j = 0; j < t->count; j++)
            weights[t->first + j] = (float)(scale * unit_random_real(&random));
    }
    for (size_t i = 0; i < LENET_PARAMETERS; i++)
        exact_weights[i] = (double)weights[i];
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

/* ---- Training -------------------------------------------------------------------------------- */

#define N_BARS 90u

/* Images that can be told apart: a bar at a height that the label gives, in noise. */
static void draw_bars(idx_set *set)
{
    uint64_t random = 3;
    set->count = N_BARS;
    set->pixels = malloc(N_BARS * IDX_PIXELS);
    set->labels = malloc(N_BARS);
    assert_true(set->pixels && set->labels);
    for (size_t i = 0; i < N_BARS; i++) {
        set->labels[i] = (uint8_t)(i % 10);
        for (size_t j = 0; j < IDX_PIXELS; j++)
            set->pixels[i * IDX_PIXELS + j] = (uint8_t)(unit_random(&random) % 64);
        for (size_t j = 0; j < 56; j++)
            set->pixels[i * IDX_PIXELS + (size_t)(4 + 2 * set->labels[i]) * IDX_SIDE + j] = 255;
    }
}

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
        cmocka_unit_test(test_training_gives_the_same_weights_everywhere),
        cmocka_unit_test_setup_teardown(test_images_are_read, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged_images_are_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged_labels_are_refused, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
