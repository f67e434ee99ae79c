/*
 * Codecs over bare arrays of indices, without a container: a table made from counts, and blocks
 * that decode on their own. docs/format/codecs.md and rans.md specify both to the bit.
 *
 * Thread rule: nq_encoder is immutable after creation; any number of threads may encode blocks
 * with it at once.
 */
#ifndef NQ_CODEC_H
#define NQ_CODEC_H

#include "context.h"
#include "export.h"
#include "status.h"

NQ_BEGIN_DECLS

/* How a tensor's elements are coded. The values are part of the file format. */
enum {
    NQ_CODEC_STORED = 0,  /* bytes as they are */
    NQ_CODEC_FIXED = 1,   /* fixed-length indices of ceil(log2 levels) bits */
    NQ_CODEC_HUFFMAN = 2, /* canonical Huffman code of limited length */
    NQ_CODEC_RANS = 3,    /* byte-plane range asymmetric numeral system */
    NQ_CODEC_HUFFMAN_GAPS = 4, /* Huffman-coded gaps between indices other than the most frequent */
    NQ_CODEC_AUTO = 255   /* for options: whichever is smallest */
};

/* Indices per block that encoders choose by default; a power of two. */
#define NQ_BLOCK_LOG2_DEFAULT 18

typedef struct nq_encoder nq_encoder;

typedef struct nq_encoder_options {
    uint32_t struct_size;
    uint32_t codec;           /* NQ_CODEC_FIXED, _HUFFMAN, _RANS or _HUFFMAN_GAPS */
    uint32_t n_levels;        /* indices are below this; 1..NQ_MAX_LEVELS */
    uint32_t max_code_length; /* Huffman: longest codeword in bits, 1..24, raised to what n_levels
                                 need; 0 for the default: 11, more where that saves 0.1 % */
} nq_encoder_options;

NQ_API void nq_encoder_options_init_sized(nq_encoder_options *options,
                                          uint32_t struct_size) NQ_NOEXCEPT;
#define nq_encoder_options_init(o)                                                                 \
    nq_encoder_options_init_sized((o), (uint32_t)sizeof(nq_encoder_options))

/*
 * Adds to counts (n_levels of them) how often each index occurs. Returns NQ_OK; NQ_E_ARG, and counts
 * in any state, for an index that is not below n_levels. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_indices_count(uint64_t *counts, uint32_t n_levels,
                                               const uint16_t *indices,
                                               size_t n_indices) NQ_NOEXCEPT;

/*
 * Makes the encoder for a source in which index i occurs counts[i] times (n_levels counts; ignored
 * and NULL for fixed). An index with count 0 may still be encoded, at a higher price.
 * Returns NQ_OK, NQ_E_ARG, NQ_E_ABI, NQ_E_NOMEM, NQ_E_LIMIT, NQ_E_UNSUPPORTED. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_encoder_create(nq_encoder **out, const nq_ctx *ctx,
                                                const nq_encoder_options *options,
                                                const uint64_t *counts) NQ_NOEXCEPT;
NQ_API void nq_encoder_destroy(nq_encoder *encoder) NQ_NOEXCEPT;

/*
 * The table that a decoder needs, owned by the encoder; NULL and zero bytes for fixed. Since 0.1.
 */
NQ_API const uint8_t *nq_encoder_table(const nq_encoder *encoder, size_t *n_bytes) NQ_NOEXCEPT;

/* Bytes that a block of n indices takes at most. Since 0.1. */
NQ_API uint64_t nq_encoder_bound(const nq_encoder *encoder, uint64_t n_indices) NQ_NOEXCEPT;

/*
 * Encodes n indices (each below n_levels) as one block into `out`, at most out_capacity bytes, and
 * stores the block's length. Allocates nothing when out_capacity is at least the bound.
 * Returns NQ_OK; NQ_E_ARG for an index too large (nothing useful is in `out` then); NQ_E_SPACE;
 * NQ_E_NOMEM. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_encoder_encode(const nq_encoder *encoder, uint8_t *out,
                                                size_t out_capacity, size_t *n_bytes,
                                                const uint16_t *indices,
                                                size_t n_indices) NQ_NOEXCEPT;

/*
 * Bytes of memory (any alignment up to 64 is made inside) that nq_block_decode needs for blocks
 * of this code. Returns NQ_OK, NQ_E_ARG, NQ_E_TRUNCATED or NQ_E_CORRUPT for the table,
 * NQ_E_UNSUPPORTED, NQ_E_LIMIT. Part of libnqdec. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_block_decoder_size(size_t *n_bytes, uint32_t codec,
                                                    uint32_t n_levels, const uint8_t *table,
                                                    size_t table_bytes) NQ_NOEXCEPT;

/*
 * Decodes one block of exactly n_indices into `indices`, using the caller's memory for tables.
 * Safe on any bytes. No allocation. Unless it returns NQ_OK, nothing useful is in `indices`.
 * Returns NQ_OK, NQ_E_ARG, NQ_E_SPACE, NQ_E_TRUNCATED, NQ_E_CORRUPT, NQ_E_UNSUPPORTED. Part of
 * libnqdec. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_block_decode(uint16_t *indices, size_t n_indices, void *memory,
                                              size_t memory_bytes, uint32_t codec,
                                              uint32_t n_levels, const uint8_t *table,
                                              size_t table_bytes, const uint8_t *block,
                                              size_t block_bytes) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
