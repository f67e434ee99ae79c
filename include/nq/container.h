/*
 * The .nq file: named tensors, quantized, coded without loss or stored as they are, with metadata.
 * docs/format/nq-v1.md specifies it to the byte.
 *
 * A reader checks the header and the whole index once, when it is opened; every later question is
 * answered from checked data. Payloads are checked when they are decoded (decode.h). It reads from
 * a span of memory that it borrows, or through a callback, without loading the payloads.
 *
 *     nq_reader *model;
 *     nq_reader_open(&model, NULL, file, n_bytes, &diag);
 *     nq_reader_find(model, "fc1.weight", strlen("fc1.weight"), &tensor);
 *     ...                                               decode.h
 *     nq_reader_destroy(model);
 *
 * Thread rule: an nq_reader is immutable and may be shared. An nq_writer belongs to one thread at a
 * time.
 */
#ifndef NQ_CONTAINER_H
#define NQ_CONTAINER_H

#include "context.h"
#include "export.h"
#include "status.h"
#include "types.h"

NQ_BEGIN_DECLS

/* "No codebook", "no table" in 32-bit fields. */
#define NQ_NO_ID UINT32_MAX

/*
 * Hook that stores n_bytes at `offset` of the file. Offsets mostly rise, but directories, index and
 * header come after what follows them: the target must be seekable. Calls never overlap in time.
 * Returns NQ_OK, or any other status (NQ_E_IO) to stop: it is handed on unchanged.
 */
typedef nq_status (*nq_write_fn)(void *user, uint64_t offset, const void *bytes, size_t n_bytes);

typedef struct nq_sink {
    uint32_t struct_size;
    uint32_t unused; /* 0 */
    nq_write_fn write;
    void *user;
} nq_sink;

NQ_API void nq_sink_init_sized(nq_sink *sink, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_sink_init(s) nq_sink_init_sized((s), (uint32_t)sizeof(nq_sink))

/*
 * Hook that fetches exactly n_bytes from `offset` into `out`; never asked for bytes past the
 * source's n_bytes. Several threads may call it at once if several decoders are used at once.
 * Returns NQ_OK, or any other status (NQ_E_IO), which is handed on unchanged.
 */
typedef nq_status (*nq_read_fn)(void *user, uint64_t offset, void *out, size_t n_bytes);

/*
 * Where a file is: in memory at `bytes` (then `read` is NULL), or behind `read` (then `bytes` is
 * NULL). Both are borrowed until the reader ends and must not change.
 */
typedef struct nq_source {
    uint32_t struct_size;
    uint32_t unused; /* 0 */
    uint64_t n_bytes; /* of the whole file */
    const void *bytes;
    nq_read_fn read;
    void *user;
    void *unused_too; /* NULL */
} nq_source;

NQ_API void nq_source_init_sized(nq_source *source, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_source_init(s) nq_source_init_sized((s), (uint32_t)sizeof(nq_source))

/* ---- Opening ------------------------------------------------------------------------------- */

typedef struct nq_reader nq_reader;

/*
 * Opens the file in n_bytes at `bytes`, borrowed until nq_reader_destroy. One allocation: about 300
 * bytes and one byte a tensor. The context (NULL for defaults) is borrowed as long; it gives memory
 * and the limits max_tensors, max_levels, max_name_bytes, max_elements, max_index_bytes. diag may be
 * NULL.
 *
 * Returns NQ_OK; NQ_E_ARG; NQ_E_ABI; NQ_E_NOMEM; NQ_E_TRUNCATED (fewer bytes than the header says);
 * NQ_E_CORRUPT (not a .nq file, or one that contradicts itself, two tensors of one name included);
 * NQ_E_CHECKSUM (header or index damaged); NQ_E_UNSUPPORTED (intact, but of a newer version, or with
 * a feature that this library lacks); NQ_E_LIMIT (diag->wanted is the limit that would do). The
 * header's checksum is verified before anything else in it is believed, so damage is never reported
 * as UNSUPPORTED or LIMIT. *out is NULL on failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_reader_open(nq_reader **out, const nq_ctx *ctx, const void *bytes,
                                             size_t n_bytes, nq_diag *diag) NQ_NOEXCEPT;

/*
 * The same for any source. Behind a callback only header and index are read, into memory that the
 * reader owns; payloads are fetched when they are decoded, block by block. The source is copied,
 * what it points to borrowed. Returns also what the hook returned. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_reader_open_source(nq_reader **out, const nq_ctx *ctx,
                                                    const nq_source *source,
                                                    nq_diag *diag) NQ_NOEXCEPT;
NQ_API void nq_reader_destroy(nq_reader *reader) NQ_NOEXCEPT;

/* Limits for readers without a context; the defaults are those of nq_ctx_options, and 0 is taken as the
 * default here, too. */
typedef struct nq_reader_options {
    uint32_t struct_size;
    uint32_t max_tensors;
    uint32_t max_levels;
    uint32_t max_name_bytes;
    uint64_t max_elements;
    uint64_t max_index_bytes;
} nq_reader_options;

NQ_API void nq_reader_options_init_sized(nq_reader_options *options,
                                         uint32_t struct_size) NQ_NOEXCEPT;
#define nq_reader_options_init(o)                                                                  \
    nq_reader_options_init_sized((o), (uint32_t)sizeof(nq_reader_options))

/*
 * Opening without an allocator, part of libnqdec. nq_reader_size checks the header and stores the
 * bytes of memory that nq_reader_init needs for this source: a few hundred and one a tensor, plus
 * the index if the source is a callback. The memory (any alignment; slack for it is included) is
 * borrowed as long as the reader is used; there is nothing to destroy. options and diag may be NULL.
 * Unlike nq_reader_open, nq_reader_init does not look for two tensors of one name;
 * nq_reader_find gives the first.
 *
 * Return what nq_reader_open_source does (never NOMEM); nq_reader_init also NQ_E_SPACE
 * (diag->wanted is the size needed). Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_reader_size(size_t *n_bytes, const nq_source *source,
                                             const nq_reader_options *options,
                                             nq_diag *diag) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_reader_init(nq_reader **out, void *memory, size_t memory_bytes,
                                             const nq_source *source,
                                             const nq_reader_options *options,
                                             nq_diag *diag) NQ_NOEXCEPT;

/* ---- Asking -------------------------------------------------------------------------------- */

typedef struct nq_reader_info {
    uint32_t struct_size;
    uint32_t version;           /* of the format */
    uint32_t required_features; /* NQ_FEATURE_*: none exist yet */
    uint32_t optional_features;
    uint32_t n_tensors;
    uint32_t n_metadata;
    uint32_t n_codebooks;
    uint32_t n_code_tables;
    uint64_t file_bytes;
    uint64_t original_bytes;       /* size of the source, as its writer stated it */
    uint64_t index_bytes;
    uint64_t n_elements;           /* of F32, F16 and BF16 tensors, those not quantized included */
    uint64_t n_quantized_elements;
} nq_reader_info;

/* Fills *info (struct_size set by the caller). NQ_OK, NQ_E_ARG, NQ_E_ABI. Since 0.1. */
NQ_API NQ_NODISCARD nq_status nq_reader_get_info(const nq_reader *reader,
                                                 nq_reader_info *info) NQ_NOEXCEPT;

/*
 * Metadata pair number i, in the source's order, into *key ... *value_bytes; neither text is
 * NUL-terminated, both live as long as the reader. NQ_OK, or NQ_E_ARG from n_metadata on. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_reader_metadata(const nq_reader *reader, uint64_t i,
                                                 const char **key, size_t *key_bytes,
                                                 const char **value,
                                                 size_t *value_bytes) NQ_NOEXCEPT;

/* What the file says about one tensor. `name` lives as long as the reader. */
typedef struct nq_tensor_info {
    uint32_t struct_size;
    uint32_t dtype;              /* NQ_F32 ..., as in the source */
    uint32_t rank;
    uint32_t name_bytes;
    uint64_t dims[NQ_MAX_RANK];  /* the first `rank` count */
    const char *name;            /* not NUL-terminated */
    const void *unused;          /* NULL */
    uint64_t n_elements;
    uint64_t payload_bytes;      /* blocks and their directory, codebook and tables left out */
    uint64_t payload_offset;     /* from the start of the file */
    uint32_t codec;              /* NQ_CODEC_*. NQ_CODEC_STORED, or any with n_levels 0, which is
                                    coded without loss: not quantized, and then: */
    uint32_t method;             /* NQ_METHOD_* (0) */
    uint32_t level_rule;         /* NQ_LEVEL_* (0) */
    uint32_t n_levels;           /* that codes tell apart: of the codebook; with channels at least
                                    as many as any of them has (0) */
    uint32_t codebook;           /* id that tensors may share (NQ_NO_ID) */
    uint32_t code_table;         /* id that tensors may share; NQ_NO_ID if the codec has none */
    uint32_t block_log2;         /* a block is 2^block_log2 elements (bytes) */
    uint32_t level_storage;      /* NQ_LEVELS_* (0) */
    double step;                 /* of the quantizer; 0 where it has none (0) */
    uint32_t channel_axis;       /* each index of it has levels of its own; NQ_NO_ID: all have the
                                    same (NQ_NO_ID) */
    uint32_t n_channels;         /* along that axis; 0 without (0) */
    uint64_t n_stored_levels;    /* of all channels; n_levels without (0) */
} nq_tensor_info;

NQ_API void nq_tensor_info_init_sized(nq_tensor_info *info, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_tensor_info_init(i) nq_tensor_info_init_sized((i), (uint32_t)sizeof(nq_tensor_info))
NQ_API void nq_reader_info_init_sized(nq_reader_info *info, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_reader_info_init(i) nq_reader_info_init_sized((i), (uint32_t)sizeof(nq_reader_info))

/*
 * Fills *info (struct_size set by the caller) for tensor number i of the file, in the source's
 * order; constant time. NQ_OK, NQ_E_ARG from n_tensors on, NQ_E_ABI. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_reader_tensor(const nq_reader *reader, uint64_t i,
                                               nq_tensor_info *info) NQ_NOEXCEPT;

/*
 * The number of the tensor with this name, into *tensor; time linear in the index. NQ_OK, or
 * NQ_E_ARG when there is none (*tensor is NQ_NONE then). Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_reader_find(const nq_reader *reader, const char *name,
                                             size_t name_bytes, uint64_t *tensor) NQ_NOEXCEPT;

/* How a codebook's levels are stored. The values are part of the file format. */
enum {
    NQ_LEVELS_F32 = 1,
    NQ_LEVELS_F16 = 2,
    NQ_LEVELS_GRID = 3 /* step and cells: level = f32(step * cell) */
};

/*
 * Sets the levels of the codebook that a tensor has, and so of all tensors that share it, in a whole
 * file in memory, in place: after levels were trained with indices that stay (the paper's section
 * 3.3). Indices count in the order of the levels that were there; the new ones may come in any. They
 * are rounded where the file stores them as f16. For a tensor with channels, levels are those of all
 * channels one after another, n_stored_levels of them. Every reader of the file must be closed before.
 *
 * Returns NQ_OK; NQ_E_ARG (no such tensor, one without levels, or another number of levels: `wanted`
 * in the record); NQ_E_NUMERIC for levels that are not finite; NQ_E_UNSUPPORTED for levels on a grid
 * (NQ_LEVELS_GRID); what nq_reader_open does; the file is unchanged then. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_file_set_levels(void *file, size_t n_bytes, const nq_ctx *ctx,
                                                 uint64_t tensor, const float *levels,
                                                 size_t n_levels, nq_diag *diag) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
