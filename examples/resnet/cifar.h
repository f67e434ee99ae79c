/*
 * Images of CIFAR-10 in its binary layout: a byte of label, then 32 x 32 pixels in red, in green
 * and in blue, for each.
 */
#ifndef RESNET_CIFAR_H
#define RESNET_CIFAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fault.h"
#include "common/file.h"

enum {
    CIFAR_COLOURS = 3,
    CIFAR_SIDE = 32,
    CIFAR_PIXELS = CIFAR_COLOURS * CIFAR_SIDE * CIFAR_SIDE,
    CIFAR_CLASSES = 10
};

typedef struct cifar_set {
    size_t count;
    file_view view;
} cifar_set;

/* Opens a file of such images. On failure there is nothing to close: FAULT_IO, _FORMAT. */
bool cifar_open(cifar_set *set, const char *path, fault *f);
void cifar_close(cifar_set *set);

/* CIFAR_PIXELS bytes, and a number below CIFAR_CLASSES. */
const uint8_t *cifar_pixels(const cifar_set *set, size_t image);
uint8_t cifar_label(const cifar_set *set, size_t image);

#endif
