/*
 * safetensors, .npy and .nq are little-endian; tensors in memory are in the machine's own order. On
 * most machines all of this is nothing.
 */
#ifndef COMMON_BYTEORDER_H
#define COMMON_BYTEORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool byteorder_is_big(void);

/* Bytes of the numbers that elements of this type are made of: 4 for C64, two floats; 0 for none.
 */
size_t byteorder_width(uint32_t dtype);

/* Turns every number of `width` bytes around. */
void byteorder_swap(void *bytes, uint64_t n_bytes, size_t width);

/* A little-endian integer of n <= 8 bytes. */
uint64_t byteorder_load(const uint8_t *bytes, size_t n);

#endif
