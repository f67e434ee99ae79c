/*
 * The convolutions of examples/resnet, which work on sixteen images at once, against one written
 * down directly, image by image and in double precision.
 */
#include "conv.h"
#include "unit.h"

#include <math.h>

/* What image `lane` gets: channel `out` of the output at (y, x). */
static double direct(const float *in, const float *weights, const conv_shape *s, size_t lane,
                     size_t out, size_t y, size_t x)
{
    const size_t side = s->stride * s->side;
    double sum = 0;
    for (size_t c = 0; c < s->n_in; c++)
        for (size_t dy = 0; dy < 3; dy++)
            for (size_t dx = 0; dx < 3; dx++) {
                const size_t row = y * s->stride + dy, column = x * s->stride + dx;
                if (row < 1 || row > side || column < 1 || column > side)
                    continue;
                const double weight = (double)weights[((out * s->n_in + c) * 3 + dy) * 3 + dx];
                sum +=
                    weight * (double)in[((c * side + row - 1) * side + column - 1) * LANES + lane];
            }
    return sum;
}

static float *random_floats(size_t n, uint64_t seed)
{
    uint64_t random = seed;
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)unit_random_real(&random);
    return values;
}

static void check(conv_shape s)
{
    const size_t side = s.stride * s.side, n_weights = s.n_out * s.n_in * 9;
    float *in = random_floats(s.n_in * side * side * LANES, 1);
    float *weights = random_floats(n_weights, 2);
    float *padded = random_floats(conv_padded_size(&s), 3);
    float *packed = random_floats(n_weights, 4);
    float *out = random_floats(s.n_out * s.side * s.side * LANES, 5);
    conv_pad(padded, in, &s);
    conv_pack(packed, weights, &s);
    conv_run(out, padded, packed, &s);
    for (size_t i = 0; i < s.n_out * s.side * s.side * LANES; i++) {
        const size_t lane = i % LANES, x = i / LANES % s.side, y = i / LANES / s.side % s.side;
        const double expected = direct(in, weights, &s, lane, i / LANES / s.side / s.side, y, x);
        if (!(fabs((double)out[i] - expected) < 1e-5 * (double)s.n_in))
            fail_msg("%zu to %zu, stride %zu, side %zu: image %zu at (%zu, %zu): %.9g, not %.9g",
                     s.n_in, s.n_out, s.stride, s.side, lane, y, x, (double)out[i], expected);
    }
    free(in);
    free(weights);
    free(padded);
    free(packed);
    free(out);
}

static void test_shapes(void **state)
{
    (void)state;
    static const conv_shape shapes[] = {{3, 16, 1, 8}, {1, 4, 1, 4},  {5, 8, 1, 12},
                                        {2, 4, 2, 4},  {16, 8, 2, 8}, {CONV_MAX_IN, 4, 1, 4}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check(shapes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
