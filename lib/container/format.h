/*
 * The constants of the .nq format, version 1: docs/format/nq-v1.md is their meaning. Shared by
 * reader and writer; part of the decoder.
 */
#ifndef NQI_CONTAINER_FORMAT_H
#define NQI_CONTAINER_FORMAT_H

#include <stdint.h>

#include "base/checked.h"
#include "base/common.h"
#include "nq/codec.h"
#include "nq/container.h"

/* Transfers that clear the eighth bit, change line ends or stop at a NUL or control-Z damage it. */
#define NQI_MAGIC "\x89NQ\r\n\x1a\n"
#define NQI_MAGIC_BYTES 8u /* the terminating NUL is part of it */

#define NQI_VERSION 1u
#define NQI_HEADER_BYTES 64u

/* Offsets of the header's fields. */
enum {
    NQI_AT_MAGIC = 0,
    NQI_AT_HEADER_CRC = 8, /* of the bytes from NQI_AT_VERSION to the header's end */
    NQI_AT_VERSION = 12,
    NQI_AT_HEADER_BYTES = 14,
    NQI_AT_REQUIRED = 16,
    NQI_AT_OPTIONAL = 20,
    NQI_AT_FILE_BYTES = 24,
    NQI_AT_ORIGINAL_BYTES = 32,
    NQI_AT_INDEX_BYTES = 40,
    NQI_AT_INDEX_CRC = 44,
    NQI_AT_N_TENSORS = 48,
    NQI_AT_N_TABLES = 52,
    NQI_AT_N_METADATA = 56,
    NQI_AT_SIZE_WIDTH = 60,
    NQI_AT_RESERVED = 61 /* three zero bytes */
};

/* What a newer writer may demand of a reader; this one knows none. */
#define NQI_FEATURES_KNOWN UINT32_C(0)

/* Kinds of tables: codebooks are NQ_LEVELS_*. */
#define NQI_TABLE_CODE 16u

/* Flags of a codebook's record. */
#define NQI_CODEBOOK_HAS_STEP 1u
#define NQI_CODEBOOK_BY_CHANNEL 2u

/* What the indices of a coded tensor are: numbers of levels, of one codebook or by channel, or bit
 * patterns (codec/patterns_fmt.h). */
enum { NQI_LAYOUT_PLAIN = 0, NQI_LAYOUT_CHANNELS = 1, NQI_LAYOUT_PATTERNS = 2 };

/* Levels of all channels of a codebook: 256 for each of 2^18 channels. */
#define NQI_MAX_STORED_LEVELS (UINT64_C(1) << 26)

/* What a channel takes besides its levels: ten bytes for how they are numbered, eight for a step. */
#define NQI_CHANNEL_MAX_BYTES UINT64_C(18)

/* The cells of a grid are whole numbers that a double holds exactly. */
#define NQI_MAX_CELL (INT64_C(1) << 53)

/* The data of a grid take most bytes when each level is a run: eight for a gap below 2^56 (or for the
 * first cell), one for the length. */
#define NQI_GRID_LEVEL_MAX_BYTES 9u

/* Bytes of a code table: many times what any codec can need for NQ_MAX_LEVELS levels. */
#define NQI_CODE_TABLE_MAX_BYTES (UINT32_C(1) << 20)

#define NQI_BLOCK_LOG2_MIN 6u
#define NQI_BLOCK_LOG2_MAX 24u

/* The shortest records there are: they bound how many fit an index. */
#define NQI_METADATA_MIN_BYTES 2u
#define NQI_TABLE_MIN_BYTES 8u
#define NQI_TENSOR_MIN_BYTES 6u /* besides the payload's size */

/* Elements of a tensor, so that their bits never overflow. */
#define NQI_MAX_ELEMENTS (UINT64_C(1) << 57)

/* Bytes of one checksum in a block directory. */
#define NQI_CRC_BYTES 4u

/*
 * Bytes of one offset in a block directory: four where even eight bytes an element stay below 4 GiB,
 * known without knowing the payload, so that a writer can stream.
 */
static inline unsigned nqi_offset_width(uint64_t n_elements)
{
    return n_elements < (UINT64_C(1) << 29) ? 4 : 8;
}

/* Units that blocks are made of: bytes of a stored tensor, elements of a quantized one. */
static inline uint64_t nqi_block_units(uint32_t codec, uint64_t n_elements, uint32_t dtype_bits)
{
    return codec == NQ_CODEC_STORED ? n_elements / 8 * dtype_bits + n_elements % 8 * dtype_bits / 8
                                    : n_elements;
}

static inline uint64_t nqi_block_count(uint64_t n_units, uint32_t block_log2)
{
    return nqi_div_up_u64(n_units, UINT64_C(1) << block_log2);
}

/* Bytes of a block directory; cannot overflow for n_elements up to NQI_MAX_ELEMENTS. */
static inline uint64_t nqi_directory_bytes(uint32_t codec, uint64_t n_elements, uint64_t n_blocks)
{
    if (n_blocks == 0)
        return 0;
    const uint64_t n_offsets = codec == NQ_CODEC_STORED ? 0 : n_blocks - 1;
    return n_blocks * NQI_CRC_BYTES + n_offsets * nqi_offset_width(n_elements);
}

/* How elements lie in memory: the size of the numbers whose byte order matters. */
static inline uint32_t nqi_dtype_unit(uint32_t dtype)
{
    const uint32_t bits = nq_dtype_bits(dtype);
    return dtype == NQ_C64 ? 4 : bits < 8 ? 1 : bits / 8;
}

#endif
