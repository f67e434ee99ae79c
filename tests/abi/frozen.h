/* The public headers as they were when the baseline was made: see gate.py. */
#ifndef NQ_EXPORT_H
#define NQ_EXPORT_H
#include <stddef.h>
#if defined(__GNUC__) || defined(__clang__)
#define NQ_API __attribute__((visibility("default")))
#define NQ_NODISCARD __attribute__((warn_unused_result))
#else
#define NQ_API
#define NQ_NODISCARD
#endif
#ifdef __cplusplus
#define NQ_BEGIN_DECLS extern "C" {
#define NQ_END_DECLS }
#define NQ_NOEXCEPT noexcept
#else
#define NQ_BEGIN_DECLS
#define NQ_END_DECLS
#define NQ_NOEXCEPT
#endif
#endif
#ifndef NQ_VERSION_H
#define NQ_VERSION_H
#include <stdint.h>
#define NQ_VERSION_MAJOR 0
#define NQ_VERSION_MINOR 1
#define NQ_VERSION_PATCH 0
#define NQ_VERSION_STRING "0.1.0"
#define NQ_VERSION_NUMBER(major, minor, patch) (((major) << 20) | ((minor) << 10) | (patch))
#define NQ_VERSION NQ_VERSION_NUMBER(NQ_VERSION_MAJOR, NQ_VERSION_MINOR, NQ_VERSION_PATCH)
NQ_BEGIN_DECLS
NQ_API uint32_t nq_version(void) NQ_NOEXCEPT;
NQ_API const char *nq_version_string(void) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_STATUS_H
#define NQ_STATUS_H
#include <stdint.h>
NQ_BEGIN_DECLS
typedef int32_t nq_status;
enum {
    NQ_OK = 0,
    NQ_E_ARG = -1,
    NQ_E_ABI = -2,
    NQ_E_NOMEM = -3,
    NQ_E_SPACE = -4,
    NQ_E_TRUNCATED = -5,
    NQ_E_CORRUPT = -6,
    NQ_E_CHECKSUM = -7,
    NQ_E_UNSUPPORTED = -8,
    NQ_E_LIMIT = -9,
    NQ_E_NUMERIC = -10,
    NQ_E_CANCELLED = -11,
    NQ_E_STATE = -12,
    NQ_E_INTERNAL = -13,
    NQ_E_IO = -14,
    NQ_E_TARGET = -15
};
#define NQ_NONE UINT64_MAX
enum { NQ_INPUT_TENSOR = 0, NQ_INPUT_IMPORTANCE = 1 };
typedef struct nq_diag {
    uint32_t struct_size;
    nq_status status;
    uint64_t tensor;
    uint64_t element;
    uint64_t byte_offset;
    uint64_t wanted;
    double value;
    char what[104];
    uint32_t input;
    uint32_t is_loose;
} nq_diag;
NQ_API void nq_diag_init_sized(nq_diag *diag, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_diag_init(diag) nq_diag_init_sized((diag), (uint32_t)sizeof(nq_diag))
NQ_API const char *nq_status_name(nq_status status) NQ_NOEXCEPT;
NQ_API const char *nq_status_text(nq_status status) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_TYPES_H
#define NQ_TYPES_H
#include <stddef.h>
#include <stdint.h>
NQ_BEGIN_DECLS
enum {
    NQ_F32 = 0,
    NQ_F16 = 1,
    NQ_BF16 = 2,
    NQ_F64 = 3,
    NQ_BOOL = 4,
    NQ_U8 = 5,
    NQ_I8 = 6,
    NQ_U16 = 7,
    NQ_I16 = 8,
    NQ_U32 = 9,
    NQ_I32 = 10,
    NQ_U64 = 11,
    NQ_I64 = 12,
    NQ_F8_E5M2 = 13,
    NQ_F8_E4M3 = 14,
    NQ_F8_E8M0 = 15,
    NQ_F6_E2M3 = 16,
    NQ_F6_E3M2 = 17,
    NQ_F4 = 18,
    NQ_C64 = 19,
    NQ_DTYPE_COUNT = 20
};
#define NQ_MAX_RANK 8
#define NQ_MAX_LEVELS 65536
typedef struct nq_tensor {
    uint32_t struct_size;
    uint32_t dtype;
    uint32_t rank;
    uint32_t name_bytes;
    uint64_t dims[NQ_MAX_RANK];
    const char *name;
    const void *data;
} nq_tensor;
NQ_API void nq_tensor_init_sized(nq_tensor *tensor, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_tensor_init(tensor) nq_tensor_init_sized((tensor), (uint32_t)sizeof(nq_tensor))
NQ_API NQ_NODISCARD nq_status nq_tensor_elements(uint64_t *n_elements,
                                                 const nq_tensor *tensor) NQ_NOEXCEPT;
NQ_API uint32_t nq_dtype_bits(uint32_t dtype) NQ_NOEXCEPT;
NQ_API const char *nq_dtype_name(uint32_t dtype) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_CONTEXT_H
#define NQ_CONTEXT_H
#include <stddef.h>
#include <stdint.h>
NQ_BEGIN_DECLS
typedef struct nq_ctx nq_ctx;
typedef void *(*nq_alloc_fn)(void *user, size_t n_bytes, size_t alignment);
typedef void (*nq_free_fn)(void *user, void *memory, size_t n_bytes, size_t alignment);
typedef void (*nq_task_fn)(void *arg, uint64_t index, uint32_t worker);
typedef void (*nq_parallel_for_fn)(void *user, uint64_t n_tasks, nq_task_fn task, void *arg);
enum { NQ_STAGE_SCAN = 0, NQ_STAGE_DESIGN = 1, NQ_STAGE_ENCODE = 2, NQ_STAGE_DECODE = 3 };
typedef int32_t (*nq_progress_fn)(void *user, uint32_t stage, uint64_t done, uint64_t total);
#define NQ_CPU_SSE42 (UINT64_C(1) << 0)
#define NQ_CPU_AVX2 (UINT64_C(1) << 1)
#define NQ_CPU_AVX512 (UINT64_C(1) << 2)
#define NQ_CPU_AVX512VBMI2 (UINT64_C(1) << 3)
#define NQ_CPU_VPCLMUL (UINT64_C(1) << 4)
#define NQ_CPU_NEON (UINT64_C(1) << 16)
#define NQ_CPU_ARM_CRC (UINT64_C(1) << 17)
#define NQ_CPU_ALL UINT64_MAX
#define NQ_MAX_THREADS 1024
typedef struct nq_ctx_options {
    uint32_t struct_size;
    uint32_t max_workers;
    uint32_t n_threads;
    uint32_t max_tensors;
    uint32_t max_levels;
    uint32_t max_name_bytes;
    uint64_t max_elements;
    uint64_t max_index_bytes;
    uint64_t max_memory_bytes;
    uint64_t cpu_disabled;
    nq_alloc_fn alloc;
    nq_free_fn free;
    void *alloc_user;
    nq_parallel_for_fn parallel_for;
    void *parallel_user;
    nq_progress_fn progress;
    void *progress_user;
    void *unused;
} nq_ctx_options;
NQ_API void nq_ctx_options_init_sized(nq_ctx_options *options, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_ctx_options_init(o) nq_ctx_options_init_sized((o), (uint32_t)sizeof(nq_ctx_options))
NQ_API NQ_NODISCARD nq_status nq_ctx_create(nq_ctx **out,
                                            const nq_ctx_options *options) NQ_NOEXCEPT;
NQ_API void nq_ctx_destroy(nq_ctx *ctx) NQ_NOEXCEPT;
NQ_API uint64_t nq_cpu_features(void) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_CODEBOOK_H
#define NQ_CODEBOOK_H
NQ_BEGIN_DECLS
typedef struct nq_codebook nq_codebook;
NQ_API NQ_NODISCARD nq_status nq_codebook_create(nq_codebook **out, const nq_ctx *ctx,
                                                 const float *levels,
                                                 size_t n_levels) NQ_NOEXCEPT;
NQ_API void nq_codebook_destroy(nq_codebook *codebook) NQ_NOEXCEPT;
typedef struct nq_codebook_report {
    uint32_t struct_size;
    uint32_t n_levels;
    uint32_t iterations;
    uint32_t is_optimal;
    uint32_t ignores_importance;
    uint32_t is_measured;
    uint64_t n_weights;
    double distortion;
    double bits;
    double cost;
} nq_codebook_report;
NQ_API NQ_NODISCARD nq_status nq_codebook_get_report(const nq_codebook *codebook,
                                                     nq_codebook_report *report) NQ_NOEXCEPT;
NQ_API const float *nq_codebook_levels(const nq_codebook *codebook) NQ_NOEXCEPT;
NQ_API const uint64_t *nq_codebook_counts(const nq_codebook *codebook) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_codebook_assign(uint16_t *indices, const nq_codebook *codebook,
                                                 const nq_tensor *tensor,
                                                 const nq_tensor *importance,
                                                 nq_diag *diag) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_STATS_H
#define NQ_STATS_H
NQ_BEGIN_DECLS
typedef struct nq_stats nq_stats;
NQ_API NQ_NODISCARD nq_status nq_stats_create(nq_stats **out, const nq_ctx *ctx) NQ_NOEXCEPT;
NQ_API void nq_stats_destroy(nq_stats *stats) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_stats_add(nq_stats *stats, const nq_tensor *tensor,
                                           const nq_tensor *importance,
                                           nq_diag *diag) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_stats_merge(nq_stats *stats, const nq_stats *other) NQ_NOEXCEPT;
typedef struct nq_stats_info {
    uint32_t struct_size;
    uint32_t has_importance;
    uint32_t is_exact;
    uint32_t unused;
    uint64_t n_weights;
    uint64_t n_bins;
    double importance;
    double low;
    double high;
} nq_stats_info;
NQ_API NQ_NODISCARD nq_status nq_stats_get_info(const nq_stats *stats,
                                                nq_stats_info *info) NQ_NOEXCEPT;
NQ_API size_t nq_stats_size(const nq_stats *stats) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_stats_store(void *bytes, size_t n_bytes,
                                             const nq_stats *stats) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_stats_load(nq_stats **out, const nq_ctx *ctx, const void *bytes,
                                            size_t n_bytes) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_CLUSTER_H
#define NQ_CLUSTER_H
NQ_BEGIN_DECLS
enum {
    NQ_KMEANS_OPTIMAL = 0,
    NQ_KMEANS_EXACT = 1,
    NQ_KMEANS_LLOYD = 2
};
enum {
    NQ_START_LINEAR = 0,
    NQ_START_PLUS_PLUS = 1,
    NQ_START_GIVEN = 2
};
typedef struct nq_kmeans_options {
    uint32_t struct_size;
    uint32_t n_levels;
    uint32_t method;
    uint32_t start;
    uint32_t max_iterations;
    uint32_t skips_measure;
    uint64_t seed;
    const double *levels;
    void *unused;
} nq_kmeans_options;
NQ_API void nq_kmeans_options_init_sized(nq_kmeans_options *options,
                                         uint32_t struct_size) NQ_NOEXCEPT;
#define nq_kmeans_options_init(o)                                                                  \
    nq_kmeans_options_init_sized((o), (uint32_t)sizeof(nq_kmeans_options))
NQ_API NQ_NODISCARD nq_status nq_kmeans(nq_codebook **out, const nq_ctx *ctx, const nq_stats *stats,
                                        const nq_tensor *const *tensors,
                                        const nq_tensor *const *importance, size_t n_tensors,
                                        const nq_kmeans_options *options,
                                        nq_diag *diag) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_CODEC_H
#define NQ_CODEC_H
NQ_BEGIN_DECLS
enum {
    NQ_CODEC_STORED = 0,
    NQ_CODEC_FIXED = 1,
    NQ_CODEC_HUFFMAN = 2,
    NQ_CODEC_RANS = 3,
    NQ_CODEC_HUFFMAN_GAPS = 4,
    NQ_CODEC_AUTO = 255
};
#define NQ_BLOCK_LOG2_DEFAULT 18
typedef struct nq_encoder nq_encoder;
typedef struct nq_encoder_options {
    uint32_t struct_size;
    uint32_t codec;
    uint32_t n_levels;
    uint32_t max_code_length;
} nq_encoder_options;
NQ_API void nq_encoder_options_init_sized(nq_encoder_options *options,
                                          uint32_t struct_size) NQ_NOEXCEPT;
#define nq_encoder_options_init(o)                                                                 \
    nq_encoder_options_init_sized((o), (uint32_t)sizeof(nq_encoder_options))
NQ_API NQ_NODISCARD nq_status nq_indices_count(uint64_t *counts, uint32_t n_levels,
                                               const uint16_t *indices,
                                               size_t n_indices) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_encoder_create(nq_encoder **out, const nq_ctx *ctx,
                                                const nq_encoder_options *options,
                                                const uint64_t *counts) NQ_NOEXCEPT;
NQ_API void nq_encoder_destroy(nq_encoder *encoder) NQ_NOEXCEPT;
NQ_API const uint8_t *nq_encoder_table(const nq_encoder *encoder, size_t *n_bytes) NQ_NOEXCEPT;
NQ_API uint64_t nq_encoder_bound(const nq_encoder *encoder, uint64_t n_indices) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_encoder_encode(const nq_encoder *encoder, uint8_t *out,
                                                size_t out_capacity, size_t *n_bytes,
                                                const uint16_t *indices,
                                                size_t n_indices) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_block_decoder_size(size_t *n_bytes, uint32_t codec,
                                                    uint32_t n_levels, const uint8_t *table,
                                                    size_t table_bytes) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_block_decode(uint16_t *indices, size_t n_indices, void *memory,
                                              size_t memory_bytes, uint32_t codec,
                                              uint32_t n_levels, const uint8_t *table,
                                              size_t table_bytes, const uint8_t *block,
                                              size_t block_bytes) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_CONTAINER_H
#define NQ_CONTAINER_H
NQ_BEGIN_DECLS
#define NQ_NO_ID UINT32_MAX
typedef nq_status (*nq_write_fn)(void *user, uint64_t offset, const void *bytes, size_t n_bytes);
typedef struct nq_sink {
    uint32_t struct_size;
    uint32_t unused;
    nq_write_fn write;
    void *user;
} nq_sink;
NQ_API void nq_sink_init_sized(nq_sink *sink, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_sink_init(s) nq_sink_init_sized((s), (uint32_t)sizeof(nq_sink))
typedef nq_status (*nq_read_fn)(void *user, uint64_t offset, void *out, size_t n_bytes);
typedef struct nq_source {
    uint32_t struct_size;
    uint32_t unused;
    uint64_t n_bytes;
    const void *bytes;
    nq_read_fn read;
    void *user;
    void *unused_too;
} nq_source;
NQ_API void nq_source_init_sized(nq_source *source, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_source_init(s) nq_source_init_sized((s), (uint32_t)sizeof(nq_source))
typedef struct nq_reader nq_reader;
NQ_API NQ_NODISCARD nq_status nq_reader_open(nq_reader **out, const nq_ctx *ctx, const void *bytes,
                                             size_t n_bytes, nq_diag *diag) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_reader_open_source(nq_reader **out, const nq_ctx *ctx,
                                                    const nq_source *source,
                                                    nq_diag *diag) NQ_NOEXCEPT;
NQ_API void nq_reader_destroy(nq_reader *reader) NQ_NOEXCEPT;
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
NQ_API NQ_NODISCARD nq_status nq_reader_size(size_t *n_bytes, const nq_source *source,
                                             const nq_reader_options *options,
                                             nq_diag *diag) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_reader_init(nq_reader **out, void *memory, size_t memory_bytes,
                                             const nq_source *source,
                                             const nq_reader_options *options,
                                             nq_diag *diag) NQ_NOEXCEPT;
typedef struct nq_reader_info {
    uint32_t struct_size;
    uint32_t version;
    uint32_t required_features;
    uint32_t optional_features;
    uint32_t n_tensors;
    uint32_t n_metadata;
    uint32_t n_codebooks;
    uint32_t n_code_tables;
    uint64_t file_bytes;
    uint64_t original_bytes;
    uint64_t index_bytes;
    uint64_t n_elements;
    uint64_t n_quantized_elements;
} nq_reader_info;
NQ_API NQ_NODISCARD nq_status nq_reader_get_info(const nq_reader *reader,
                                                 nq_reader_info *info) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_reader_metadata(const nq_reader *reader, uint64_t i,
                                                 const char **key, size_t *key_bytes,
                                                 const char **value,
                                                 size_t *value_bytes) NQ_NOEXCEPT;
typedef struct nq_tensor_info {
    uint32_t struct_size;
    uint32_t dtype;
    uint32_t rank;
    uint32_t name_bytes;
    uint64_t dims[NQ_MAX_RANK];
    const char *name;
    const void *unused;
    uint64_t n_elements;
    uint64_t payload_bytes;
    uint64_t payload_offset;
    uint32_t codec;
    uint32_t method;
    uint32_t level_rule;
    uint32_t n_levels;
    uint32_t codebook;
    uint32_t code_table;
    uint32_t block_log2;
    uint32_t level_storage;
    double step;
    uint32_t channel_axis;
    uint32_t n_channels;
    uint64_t n_stored_levels;
} nq_tensor_info;
NQ_API void nq_tensor_info_init_sized(nq_tensor_info *info, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_tensor_info_init(i) nq_tensor_info_init_sized((i), (uint32_t)sizeof(nq_tensor_info))
NQ_API void nq_reader_info_init_sized(nq_reader_info *info, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_reader_info_init(i) nq_reader_info_init_sized((i), (uint32_t)sizeof(nq_reader_info))
NQ_API NQ_NODISCARD nq_status nq_reader_tensor(const nq_reader *reader, uint64_t i,
                                               nq_tensor_info *info) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_reader_find(const nq_reader *reader, const char *name,
                                             size_t name_bytes, uint64_t *tensor) NQ_NOEXCEPT;
enum {
    NQ_LEVELS_F32 = 1,
    NQ_LEVELS_F16 = 2,
    NQ_LEVELS_GRID = 3
};
NQ_API NQ_NODISCARD nq_status nq_file_set_levels(void *file, size_t n_bytes, const nq_ctx *ctx,
                                                 uint64_t tensor, const float *levels,
                                                 size_t n_levels, nq_diag *diag) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_DECODE_H
#define NQ_DECODE_H
NQ_BEGIN_DECLS
typedef struct nq_decoder nq_decoder;
#define NQ_DECODER_SKIP_CHECKSUMS UINT32_C(1)
#define NQ_DECODER_SMALL_TABLES UINT32_C(2)
typedef struct nq_decoder_options {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t cpu_disabled;
} nq_decoder_options;
NQ_API void nq_decoder_options_init_sized(nq_decoder_options *options,
                                          uint32_t struct_size) NQ_NOEXCEPT;
#define nq_decoder_options_init(o)                                                                 \
    nq_decoder_options_init_sized((o), (uint32_t)sizeof(nq_decoder_options))
NQ_API NQ_NODISCARD nq_status nq_decoder_create(nq_decoder **out, const nq_ctx *ctx,
                                                const nq_reader *reader, uint64_t tensor,
                                                const nq_decoder_options *options,
                                                nq_diag *diag) NQ_NOEXCEPT;
NQ_API void nq_decoder_destroy(nq_decoder *decoder) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_decoder_size(size_t *n_bytes, const nq_reader *reader,
                                              uint64_t tensor, const nq_decoder_options *options,
                                              nq_diag *diag) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_decoder_init(nq_decoder **out, void *memory, size_t memory_bytes,
                                              const nq_reader *reader, uint64_t tensor,
                                              const nq_decoder_options *options,
                                              nq_diag *diag) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_decoder_read(nq_decoder *decoder, uint32_t dtype, uint64_t first,
                                              uint64_t count, void *out) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_decoder_read_indices(nq_decoder *decoder, uint64_t first,
                                                      uint64_t count,
                                                      uint16_t *indices) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_decoder_read_mapped(nq_decoder *decoder, const void *values,
                                                     uint32_t value_bytes, uint64_t first,
                                                     uint64_t count, void *out) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_decoder_step(const nq_decoder *decoder, uint64_t channel,
                                              double *step) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_decoder_matvec(nq_decoder *decoder, uint64_t first_row,
                                                uint64_t n_rows, const float *x,
                                                float *y) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_decoder_codebook(const nq_decoder *decoder, const float **levels,
                                                  size_t *n_levels) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_decoder_channel_codebook(const nq_decoder *decoder,
                                                          uint64_t channel, const float **levels,
                                                          size_t *n_levels,
                                                          uint32_t *number) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_decoder_diag(const nq_decoder *decoder,
                                              nq_diag *diag) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_reader_decode(const nq_reader *reader, const nq_ctx *ctx,
                                               uint64_t tensor, uint32_t dtype, uint64_t first,
                                               uint64_t count, void *out,
                                               nq_diag *diag) NQ_NOEXCEPT;
typedef int32_t (*nq_damage_fn)(void *user, const nq_diag *diag);
NQ_API NQ_NODISCARD nq_status nq_reader_verify(const nq_reader *reader, const nq_ctx *ctx,
                                               uint64_t tensor, nq_damage_fn damage, void *user,
                                               nq_diag *diag) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_DISTORTION_H
#define NQ_DISTORTION_H
NQ_BEGIN_DECLS
typedef struct nq_distortion {
    uint32_t struct_size;
    uint32_t is_weighted;
    uint64_t n_elements;
    double squared_error;
    double weighted_error;
    double energy;
    double max_abs_error;
    double mse;
    double sqnr_db;
} nq_distortion;
NQ_API void nq_distortion_init_sized(nq_distortion *distortion, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_distortion_init(d) nq_distortion_init_sized((d), (uint32_t)sizeof(nq_distortion))
NQ_API NQ_NODISCARD nq_status nq_distortion_add(nq_distortion *distortion, const nq_ctx *ctx,
                                                const nq_tensor *original, const nq_tensor *decoded,
                                                const nq_tensor *importance) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_ECSQ_H
#define NQ_ECSQ_H
NQ_BEGIN_DECLS
typedef void (*nq_lengths_fn)(void *user, double *lengths, const uint64_t *counts, size_t n);
#define NQ_ECSQ_FROM_GRID 1u
#define NQ_ECSQ_FROM_OPTIMUM 2u
typedef struct nq_ecsq_options {
    uint32_t struct_size;
    uint32_t max_levels;
    uint32_t starts;
    uint32_t max_iterations;
    double lambda;
    double step;
    double tolerance;
    nq_lengths_fn lengths;
    void *lengths_user;
} nq_ecsq_options;
NQ_API void nq_ecsq_options_init_sized(nq_ecsq_options *options, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_ecsq_options_init(o) nq_ecsq_options_init_sized((o), (uint32_t)sizeof(nq_ecsq_options))
NQ_API NQ_NODISCARD nq_status nq_ecsq(nq_codebook **out, const nq_ctx *ctx, const nq_stats *stats,
                                      const nq_tensor *const *tensors,
                                      const nq_tensor *const *importance, size_t n_tensors,
                                      const nq_ecsq_options *options, nq_diag *diag) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_ecsq_reassign(nq_codebook **out, const nq_ctx *ctx,
                                               const float *levels, size_t n_levels,
                                               const nq_tensor *const *tensors,
                                               const nq_tensor *const *importance,
                                               size_t n_tensors, const nq_ecsq_options *options,
                                               nq_diag *diag) NQ_NOEXCEPT;
NQ_API const double *nq_codebook_lengths(const nq_codebook *codebook) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_IMPORTANCE_H
#define NQ_IMPORTANCE_H
NQ_BEGIN_DECLS
typedef struct nq_importance nq_importance;
NQ_API NQ_NODISCARD nq_status nq_importance_create(nq_importance **out, const nq_ctx *ctx,
                                                   uint64_t n_elements) NQ_NOEXCEPT;
NQ_API void nq_importance_destroy(nq_importance *importance) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_importance_add_squares(nq_importance *importance,
                                                        const nq_tensor *values,
                                                        nq_diag *diag) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_importance_add_probes(nq_importance *importance,
                                                       const nq_tensor *probes,
                                                       const nq_tensor *products,
                                                       nq_diag *diag) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_importance_merge(nq_importance *importance,
                                                  const nq_importance *other) NQ_NOEXCEPT;
NQ_API const double *nq_importance_sums(const nq_importance *importance) NQ_NOEXCEPT;
NQ_API uint64_t nq_importance_samples(const nq_importance *importance) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_importance_add_sums(nq_importance *importance, const double *sums,
                                                     uint64_t n_samples) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_importance_mean(float *out, uint64_t *n_negative,
                                                 const nq_importance *importance) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_importance_from_second_moment(float *out, const nq_tensor *moment,
                                                               nq_diag *diag) NQ_NOEXCEPT;
enum {
    NQ_PRUNE_MAGNITUDE = 0,
    NQ_PRUNE_SALIENCY = 1
};
typedef struct nq_prune_options {
    uint32_t struct_size;
    uint32_t rule;
    double density;
} nq_prune_options;
NQ_API void nq_prune_options_init_sized(nq_prune_options *options,
                                        uint32_t struct_size) NQ_NOEXCEPT;
#define nq_prune_options_init(o)                                                                   \
    nq_prune_options_init_sized((o), (uint32_t)sizeof(nq_prune_options))
typedef struct nq_prune_report {
    uint32_t struct_size;
    uint32_t unused;
    uint64_t n_weights;
    uint64_t n_kept;
    double threshold;
    double saliency;
} nq_prune_report;
NQ_API NQ_NODISCARD nq_status nq_prune(uint8_t *const *masks, nq_prune_report *report,
                                       const nq_ctx *ctx, const nq_tensor *const *tensors,
                                       const nq_tensor *const *importance, size_t n_tensors,
                                       const nq_prune_options *options,
                                       nq_diag *diag) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_level_gradients(double *sums, uint64_t *counts, size_t n_levels,
                                                 const nq_ctx *ctx, const uint16_t *indices,
                                                 const nq_tensor *gradient) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
#ifndef NQ_PLAN_H
#define NQ_PLAN_H
NQ_BEGIN_DECLS
typedef struct nq_plan nq_plan;
enum {
    NQ_METHOD_UNIFORM = 0,
    NQ_METHOD_KMEANS = 1,
    NQ_METHOD_ECSQ = 2
};
enum {
    NQ_SCOPE_MODEL = 0,
    NQ_SCOPE_TENSOR = 1,
    NQ_SCOPE_CHANNEL = 2
};
enum {
    NQ_LEVEL_WEIGHTED = 0,
    NQ_LEVEL_MEAN = 1,
    NQ_LEVEL_GRID = 2
};
enum {
    NQ_TARGET_NONE = 0,
    NQ_TARGET_STEP = 1,
    NQ_TARGET_LEVELS = 2,
    NQ_TARGET_LAMBDA = 3,
    NQ_TARGET_BITS_PER_WEIGHT = 4,
    NQ_TARGET_RATIO = 5,
    NQ_TARGET_FILE_BYTES = 6,
    NQ_TARGET_SQNR_DB = 7
};
enum {
    NQ_ALLOCATE_SAME = 0,
    NQ_ALLOCATE_SLOPE = 1
};
enum { NQ_IMPORTANCE_EACH = 0, NQ_IMPORTANCE_TENSOR_MEAN = 1, NQ_IMPORTANCE_CHANNEL_MEAN = 2 };
enum { NQ_LOSSLESS_NO = 0, NQ_LOSSLESS_YES = 1 };
#define NQ_INHERIT UINT32_MAX
typedef struct nq_plan_options {
    uint32_t struct_size;
    uint32_t method;
    uint32_t target;
    uint32_t scope;
    uint32_t channel_axis;
    uint32_t level_rule;
    uint32_t codec;
    uint32_t max_code_length;
    uint32_t block_log2;
    uint32_t importance_mean;
    uint64_t min_elements;
    uint64_t original_bytes;
    double target_value;
    double importance_power;
    double importance_floor;
    double rdo_lambda;
    uint32_t rdo;
    uint32_t allocate;
    double density;
    uint32_t lossless;
    uint32_t kmeans;
    uint32_t kmeans_start;
    uint32_t unused;
    uint64_t kmeans_seed;
} nq_plan_options;
NQ_API void nq_plan_options_init_sized(nq_plan_options *options,
                                       uint32_t struct_size) NQ_NOEXCEPT;
#define nq_plan_options_init(o) nq_plan_options_init_sized((o), (uint32_t)sizeof(nq_plan_options))
enum { NQ_KEEP_AUTO = 0, NQ_KEEP_ALWAYS = 1, NQ_KEEP_NEVER = 2 };
typedef struct nq_plan_tensor_options {
    uint32_t struct_size;
    uint32_t keep;
    uint32_t method;
    uint32_t target;
    uint32_t scope;
    uint32_t level_rule;
    uint32_t codec;
    uint32_t channel_axis;
    double target_value;
    double density;
    uint32_t lossless;
    uint32_t unused;
} nq_plan_tensor_options;
NQ_API void nq_plan_tensor_options_init_sized(nq_plan_tensor_options *options,
                                              uint32_t struct_size) NQ_NOEXCEPT;
#define nq_plan_tensor_options_init(o)                                                             \
    nq_plan_tensor_options_init_sized((o), (uint32_t)sizeof(nq_plan_tensor_options))
NQ_API NQ_NODISCARD nq_status nq_plan_create(nq_plan **out, const nq_ctx *ctx,
                                             const nq_plan_options *options) NQ_NOEXCEPT;
NQ_API void nq_plan_destroy(nq_plan *plan) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_plan_add(nq_plan *plan, const nq_tensor *tensor,
                                          const nq_tensor *importance,
                                          const nq_plan_tensor_options *tensor_options) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_plan_add_metadata(nq_plan *plan, const char *key, size_t key_bytes,
                                                   const char *value,
                                                   size_t value_bytes) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_plan_solve(nq_plan *plan) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_plan_write(nq_plan *plan, const nq_sink *sink) NQ_NOEXCEPT;
typedef struct nq_plan_report {
    uint32_t struct_size;
    uint32_t n_tensors;
    uint32_t n_codebooks;
    uint32_t n_tables;
    uint64_t n_elements;
    uint64_t n_quantized_elements;
    uint64_t original_bytes;
    uint64_t compressed_bytes;
    double ratio;
    double bits_per_weight;
    double mse;
    double sqnr_db;
    double max_abs_error;
    double weighted_distortion;
} nq_plan_report;
typedef struct nq_plan_tensor_report {
    uint32_t struct_size;
    uint32_t is_quantized;
    uint32_t method;
    uint32_t codec;
    uint32_t n_levels;
    uint32_t codebook;
    uint32_t ignores_importance;
    uint32_t level_rule;
    uint64_t n_elements;
    uint64_t bytes;
    double step;
    double bits_per_weight;
    double entropy_bits;
    double mse;
    double sqnr_db;
    double max_abs_error;
    double weighted_distortion;
    uint32_t n_channels;
    uint32_t unused;
} nq_plan_tensor_report;
NQ_API NQ_NODISCARD nq_status nq_plan_get_report(const nq_plan *plan,
                                                 nq_plan_report *report) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_plan_get_tensor_report(const nq_plan *plan, uint64_t tensor,
                                                        nq_plan_tensor_report *report) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_plan_diag(const nq_plan *plan, nq_diag *diag) NQ_NOEXCEPT;
NQ_END_DECLS
#endif
