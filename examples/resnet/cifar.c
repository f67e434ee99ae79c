/*
 * A mapped file of records of one size; its length and all labels are checked when it is opened.
 */
#include "cifar.h"

#define RECORD_BYTES (1 + CIFAR_PIXELS)

uint8_t cifar_label(const cifar_set *set, size_t image)
{
    return set->view.bytes[image * RECORD_BYTES];
}

const uint8_t *cifar_pixels(const cifar_set *set, size_t image)
{
    return set->view.bytes + image * RECORD_BYTES + 1;
}

static bool check(const cifar_set *set, const char *path, fault *f)
{
    if (set->view.n_bytes == 0 || set->view.n_bytes % RECORD_BYTES != 0)
        return fault_set(f, FAULT_FORMAT, "%s: not CIFAR-10's binary layout: %llu bytes", path,
                         (unsigned long long)set->view.n_bytes);
    for (size_t i = 0; i < set->count; i++)
        if (cifar_label(set, i) >= CIFAR_CLASSES)
            return fault_set(f, FAULT_FORMAT, "%s: label %zu is not below ten", path, i);
    return true;
}

bool cifar_open(cifar_set *set, const char *path, fault *f)
{
    if (!file_open(&set->view, path, f))
        return false;
    set->count = (size_t)(set->view.n_bytes / RECORD_BYTES);
    if (check(set, path, f))
        return true;
    cifar_close(set);
    return false;
}

void cifar_close(cifar_set *set)
{
    file_close(&set->view);
}
