/*
 * The constants of Huffman-coded gaps: docs/format/codecs.md is their meaning. Part of the decoder.
 */
#ifndef NQI_GAPS_FMT_H
#define NQI_GAPS_FMT_H

/* Gaps that can be told apart. */
#define NQI_GAPS_MIN 2u
#define NQI_GAPS_MAX 65536u

#endif
