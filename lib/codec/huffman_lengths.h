/*
 * Optimal codeword lengths under a limit, by package-merge: Larmore and Hirschberg, "A Fast
 * Algorithm for Optimal Length-Limited Huffman Codes", Journal of the ACM 37 (1990), 464-473.
 */
#ifndef NQI_HUFFMAN_LENGTHS_H
#define NQI_HUFFMAN_LENGTHS_H

#include "codec/huffman_fmt.h"

/* The limit that is enough for fast decoding, where it costs next to nothing: see
 * nqi_huffman_lengths. */
#define NQI_HUFFMAN_DEFAULT_LENGTH 11u

/* The sum of all weights is at most this: no package's weight overflows then. */
#define NQI_HUFFMAN_MAX_WEIGHT (UINT64_C(1) << 57)

/* Bytes of workspace for up to n weights, and that it must be aligned for. */
uint64_t nqi_huffman_lengths_bytes(uint32_t n);

/*
 * The lengths of an optimal prefix code for n weights, 1..65,537 of them in any order, zeros
 * included, no codeword longer than `limit`, which must leave room for n codewords. A single weight
 * gets length 0. With limit 0 the limit is the first from NQI_HUFFMAN_DEFAULT_LENGTH on that takes
 * at most 1/1024 more than the longest possible.
 */
void nqi_huffman_lengths(uint8_t *lengths, const uint64_t *weights, uint32_t n, unsigned limit,
                         void *workspace);

/* Those of an optimal code without a limit, but numbers over NQI_HUFFMAN_MAX_LENGTH are told as
 * that: what a code is going to cost, in a fraction of the time. */
void nqi_huffman_free_lengths(uint8_t *lengths, const uint64_t *weights, uint32_t n,
                              void *workspace);

#endif
