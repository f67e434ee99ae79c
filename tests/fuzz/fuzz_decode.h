/*
 * Decoding all of a file: shared by the targets that start from files and from valid ones.
 */
#ifndef NQI_TESTS_FUZZ_DECODE_H
#define NQI_TESTS_FUZZ_DECODE_H

#include "fuzz.h"

/* Opens the file and decodes every tensor every way; `seed` chooses among the ways. Returns what
 * opening said, or the first thing that is wrong with its contents. */
nq_status fuzz_decode_file(const uint8_t *file, size_t n, uint64_t seed);

#endif
