/*
 * What tests of examples/lenet hold it against: the same network written down directly, in double
 * precision and without matrices; weights that keep all layers awake; images that can be told
 * apart.
 */
#ifndef NQI_TESTS_LENET_ORACLE_H
#define NQI_TESTS_LENET_ORACLE_H

#include <math.h>

#include "idx.h"
#include "network.h"
#include "unit.h"

/* out[filters][places][places], from in[channels][side][side]. */
static inline void direct_conv(double *out, const double *in, const double *weight,
                               const double *bias, int filters, int channels, int side)
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

static inline void direct_pool(double *out, const double *in, int channels, int side)
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

static inline void direct_connect(double *out, const double *in, const double *weight,
                                  const double *bias, int n_out, int n_in)
{
    for (int i = 0; i < n_out; i++) {
        out[i] = bias[i];
        for (int j = 0; j < n_in; j++)
            out[i] += weight[i * n_in + j] * in[j];
    }
}

static inline void direct_outputs(double *out, const double *w, const float *image)
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
static inline double direct_loss(const double *w, const float *images, const uint8_t *labels,
                                 size_t n)
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

/* Weights of a size that keeps all layers awake, biases too, in both precisions. */
static inline void oracle_weights(double *exact, float *weights, uint64_t *random)
{
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *t = &lenet_tensors[i];
        const double scale = t->rank == 1 ? 0.1 : sqrt(3.0 / (double)(t->count / t->dims[0]));
        for (size_t j = t->first; j < t->first + t->count; j++) {
            weights[j] = (float)(scale * unit_random_real(random));
            exact[j] = (double)weights[j];
        }
    }
}

/* The second derivative of the mean loss by one weight. */
static inline double direct_second_derivative(double *w, size_t i, double reach,
                                              const float *images, const uint8_t *labels, size_t n)
{
    const double kept = w[i];
    double loss[3];
    for (int j = 0; j < 3; j++) {
        w[i] = kept + (j - 1) * reach;
        loss[j] = direct_loss(w, images, labels, n);
    }
    w[i] = kept;
    return (loss[0] - 2 * loss[1] + loss[2]) / (reach * reach);
}

#define N_BARS 90u

/* Images that can be told apart: a bar at a height that the label gives, in noise. */
static inline void draw_bars(idx_set *set)
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

#endif
