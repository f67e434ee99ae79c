/*
 * Unfolding, folding and pooling: see conv.h. Nothing here knows the network's sizes.
 */
#include "conv.h"

#include <string.h>

void conv_unfold(float *patches, const float *planes, size_t channels, size_t side)
{
    const size_t places = side - CONV_KERNEL + 1;
    for (size_t channel = 0; channel < channels; channel++)
        for (size_t ky = 0; ky < CONV_KERNEL; ky++)
            for (size_t kx = 0; kx < CONV_KERNEL; kx++)
                for (size_t y = 0; y < places; y++, patches += places)
                    memcpy(patches, planes + (channel * side + y + ky) * side + kx,
                           places * sizeof(float));
}

void conv_fold_add(float *planes, const float *patches, size_t channels, size_t side)
{
    const size_t places = side - CONV_KERNEL + 1;
    for (size_t channel = 0; channel < channels; channel++)
        for (size_t ky = 0; ky < CONV_KERNEL; ky++)
            for (size_t kx = 0; kx < CONV_KERNEL; kx++)
                for (size_t y = 0; y < places; y++, patches += places) {
                    float *row = planes + (channel * side + y + ky) * side + kx;
                    for (size_t x = 0; x < places; x++)
                        row[x] += patches[x];
                }
}

void pool_max(float *pooled, uint8_t *which, const float *planes, size_t channels, size_t side)
{
    for (size_t y = 0; y < channels * side; y += 2, planes += 2 * side)
        for (size_t x = 0; x < side; x += 2) {
            const float four[4] = {planes[x], planes[x + 1], planes[side + x],
                                   planes[side + x + 1]};
            uint8_t best = 0;
            for (uint8_t i = 1; i < 4; i++)
                best = four[i] > four[best] ? i : best;
            *pooled++ = four[best];
            *which++ = best;
        }
}

void pool_max_back(float *d_planes, const float *d_pooled, const uint8_t *which, size_t channels,
                   size_t side)
{
    for (size_t y = 0; y < channels * side; y += 2, d_planes += 2 * side)
        for (size_t x = 0; x < side; x += 2, d_pooled++, which++) {
            d_planes[x] = *which == 0 ? *d_pooled : 0;
            d_planes[x + 1] = *which == 1 ? *d_pooled : 0;
            d_planes[side + x] = *which == 2 ? *d_pooled : 0;
            d_planes[side + x + 1] = *which == 3 ? *d_pooled : 0;
        }
}
