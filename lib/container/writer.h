/*
 * Writing a .nq file: everything that the index needs is described first, then the payloads are
 * streamed, block by block, in the order of the tensors.
 *
 *     create -> add_metadata, add_codebook, add_table, add_tensor in any order (a tensor's codebook
 *     and table before it) -> begin -> for each tensor all its blocks -> finish -> destroy
 *
 * Memory: the descriptions, and the block directory of the tensor that is being written. The file is
 * valid only after finish: until then it has no header. With no sink everything happens but the
 * writing, so that sizes can be asked for.
 */
#ifndef NQI_CONTAINER_WRITER_H
#define NQI_CONTAINER_WRITER_H

#include "base/alloc.h"
#include "base/common.h"
#include "container/format.h"
#include "nq/container.h"

typedef struct nqi_writer nqi_writer;

/* sink: copied, borrowed as far as it points; NULL writes nowhere. original_bytes goes into the
 * header. The allocator is copied. NQ_OK, NQ_E_NOMEM. */
nq_status nqi_writer_create(nqi_writer **out, const nqi_allocator *a, const nq_sink *sink,
                            uint64_t original_bytes);
void nqi_writer_destroy(nqi_writer *w);

/* The sum of what is known later than nqi_writer_create; allowed until nqi_writer_finish. */
void nqi_writer_set_original_bytes(nqi_writer *w, uint64_t original_bytes);

/* Copied. NQ_OK, NQ_E_NOMEM, NQ_E_LIMIT (an index over 2^32 - 1 bytes), NQ_E_STATE. */
nq_status nqi_writer_add_metadata(nqi_writer *w, const char *key, size_t key_bytes,
                                  const char *value, size_t value_bytes);

/* Levels of one channel of a codebook. */
typedef struct nqi_channel_desc {
    uint32_t first;    /* what codes call the first one; first + n_levels is at most the codebook's */
    uint32_t n_levels; /* from 1 on */
    double step;       /* of its grid, where the codebook's is 0; finite and not 0 then */
} nqi_channel_desc;

/* A codebook, as it is stored: for whole tensors, or with levels for each channel. */
typedef struct nqi_codebook_desc {
    uint32_t storage;      /* NQ_LEVELS_* */
    uint32_t method;       /* NQ_METHOD_*, below 256: told to readers, nothing depends on it */
    uint32_t level_rule;   /* NQ_LEVEL_*, below 256: the same */
    uint32_t n_levels;     /* 1..NQ_MAX_LEVELS: of channels, how many codes tell apart */
    double step;           /* 0: none, which grids must have but for those of channels; finite */
    const float *levels;   /* NQ_LEVELS_F32 and _F16 (rounded here): n_levels of them */
    const int64_t *cells;  /* NQ_LEVELS_GRID: strictly rising, within +-2^53 */
    uint32_t n_channels;   /* 0: for whole tensors. Otherwise levels or cells are those of all
                              channels, one after another, NQI_MAX_STORED_LEVELS at most */
    const nqi_channel_desc *channels;
} nqi_codebook_desc;

/* Copied; its number goes to *id. NQ_OK, NQ_E_ARG (what is said above does not hold), NQ_E_NOMEM,
 * NQ_E_LIMIT, NQ_E_STATE. */
nq_status nqi_writer_add_codebook(uint32_t *id, nqi_writer *w, const nqi_codebook_desc *desc);

/* Bytes of a codebook's data with this description, without its record of 10 to 33 bytes: to choose
 * a storage. NQ_E_ARG and NQ_E_LIMIT as above. */
nq_status nqi_codebook_bytes(uint64_t *n_bytes, const nqi_codebook_desc *desc);

/* A code table as nqi_encoder_table gives it, at most NQI_CODE_TABLE_MAX_BYTES. Copied; its number goes
 * to *id. NQ_OK, NQ_E_ARG (also for a codec without tables), NQ_E_NOMEM, NQ_E_LIMIT, NQ_E_STATE. */
nq_status nqi_writer_add_table(uint32_t *id, nqi_writer *w, uint32_t codec, const uint8_t *bytes,
                               size_t n_bytes);

/* A tensor. Quantized tensors name a codebook, those that are coded without loss none; codecs with a
 * table name that. */
typedef struct nqi_tensor_desc {
    const char *name;
    uint64_t name_bytes;
    uint32_t dtype;
    uint32_t rank;
    const uint64_t *dims;
    uint32_t codec;           /* NQ_CODEC_STORED, _FIXED, _HUFFMAN, _RANS */
    uint32_t block_log2;      /* NQI_BLOCK_LOG2_MIN..MAX: elements of a block; stored: its bytes */
    uint32_t codebook;        /* NQ_NO_ID for stored and for patterns (codec/patterns_fmt.h) */
    uint32_t table;           /* NQ_NO_ID for stored and for codecs without a table */
    uint32_t axis;            /* where the codebook has channels: as many as this axis has indices; and
                                 no more levels in all than the tensor has elements */
    uint64_t max_block_bytes; /* sum over all blocks at most, for the width of sizes; 0 for stored */
} nqi_tensor_desc;

#define NQI_BLOCK_LOG2_STORED 18u /* the usual choice for stored tensors */

/* Copied, names included; tensors are numbered in the order of the calls. Names are not compared.
 * NQ_OK, NQ_E_ARG, NQ_E_NOMEM, NQ_E_LIMIT, NQ_E_STATE. */
nq_status nqi_writer_add_tensor(nqi_writer *w, const nqi_tensor_desc *desc);

/* Lays the file out and writes codebooks and tables. Afterwards nothing can be added. */
nq_status nqi_writer_begin(nqi_writer *w);

/* After begin: bytes of header, index, codebooks, tables and block directories: all that is known
 * before the blocks are. The file is this plus the bytes of all blocks. */
uint64_t nqi_writer_fixed_bytes(const nqi_writer *w);

/*
 * The next block of the current tensor, its bytes as the codec made them (stored: the elements,
 * little-endian, 2^block_log2 bytes but for the last block). crc is nqi_crc32c(0, bytes, n_bytes),
 * which workers compute besides encoding. A tensor is complete after its last block; tensors without
 * elements have none and are skipped. NQ_OK; NQ_E_ARG (a stored block of the wrong size; more bytes
 * than max_block_bytes); NQ_E_STATE (no tensor is left); NQ_E_LIMIT (a block that ends where its
 * offset does not reach: eight bytes an element and more); NQ_E_NOMEM; what the sink returned. The
 * writer goes on after NQ_E_ARG and NQ_E_STATE only.
 */
nq_status nqi_writer_block(nqi_writer *w, const uint8_t *bytes, size_t n_bytes, uint32_t crc);

/* All blocks of the current stored tensor, from elements in host order. */
nq_status nqi_writer_stored(nqi_writer *w, const void *data);

/* Number of the tensor that the next block belongs to; n_tensors when all are complete. */
uint64_t nqi_writer_current(const nqi_writer *w);

/* Writes index and header. NQ_E_STATE unless every tensor is complete. */
nq_status nqi_writer_finish(nqi_writer *w);

/* Bytes of the file so far; of the whole file after finish. */
uint64_t nqi_writer_bytes(const nqi_writer *w);

/* Payload bytes of a complete tensor: its blocks and their directory. */
uint64_t nqi_writer_payload_bytes(const nqi_writer *w, uint64_t tensor);

#endif
