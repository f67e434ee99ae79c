/*
 * Decoding tensors of an open .nq file: any range, to f32, f16, bf16, to int8 or int16 and a step, or
 * to indices and a codebook, into the caller's memory.
 *
 *     nq_decoder *decoder;
 *     nq_decoder_create(&decoder, NULL, model, tensor, NULL, &diag);
 *     nq_decoder_read(decoder, NQ_F32, first, count, out);
 *     nq_decoder_destroy(decoder);
 *
 * or, where weights are only multiplied with, nq_decoder_matvec, which never stores them.
 *
 * A decoder owns the tables of one tensor and belongs to one thread at a time; any number of them
 * may work on one reader at once. Payloads are untrusted: every block's checksum is verified before
 * it is used (unless switched off), and decoding is safe on any bytes even so.
 */
#ifndef NQ_DECODE_H
#define NQ_DECODE_H

#include "container.h"
#include "context.h"
#include "export.h"
#include "status.h"
#include "types.h"

NQ_BEGIN_DECLS

typedef struct nq_decoder nq_decoder;

/* nq_decoder_options.flags */
#define NQ_DECODER_SKIP_CHECKSUMS UINT32_C(1) /* trust the storage: blocks are not checksummed */
#define NQ_DECODER_SMALL_TABLES UINT32_C(2)   /* less memory, slower */

typedef struct nq_decoder_options {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t cpu_disabled; /* NQ_CPU_* not to use, besides those that the context disables */
} nq_decoder_options;

NQ_API void nq_decoder_options_init_sized(nq_decoder_options *options,
                                          uint32_t struct_size) NQ_NOEXCEPT;
#define nq_decoder_options_init(o)                                                                 \
    nq_decoder_options_init_sized((o), (uint32_t)sizeof(nq_decoder_options))

/*
 * Makes a decoder for tensor number `tensor`: reads its codebook and tables and checks them. The
 * reader and the context (NULL for defaults) are borrowed until nq_decoder_destroy. options and diag
 * may be NULL.
 *
 * Returns NQ_OK; NQ_E_ARG (no such tensor); NQ_E_ABI; NQ_E_NOMEM; NQ_E_LIMIT; NQ_E_CORRUPT,
 * NQ_E_CHECKSUM, NQ_E_TRUNCATED (codebook, table or block directory damaged); NQ_E_UNSUPPORTED;
 * what the source's hook returned. *out is NULL on failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_decoder_create(nq_decoder **out, const nq_ctx *ctx,
                                                const nq_reader *reader, uint64_t tensor,
                                                const nq_decoder_options *options,
                                                nq_diag *diag) NQ_NOEXCEPT;
NQ_API void nq_decoder_destroy(nq_decoder *decoder) NQ_NOEXCEPT;

/*
 * The same without an allocator, part of libnqdec: nq_decoder_size stores the bytes of memory that
 * nq_decoder_init needs with the same arguments; the memory (any alignment) is borrowed as long as
 * the decoder is used, and there is nothing to destroy. For a source behind a callback, the size
 * includes room for the tensor's largest block.
 *
 * Return what nq_decoder_create does (never NOMEM); nq_decoder_init also NQ_E_SPACE (diag->wanted
 * is the size needed). Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_decoder_size(size_t *n_bytes, const nq_reader *reader,
                                              uint64_t tensor, const nq_decoder_options *options,
                                              nq_diag *diag) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_decoder_init(nq_decoder **out, void *memory, size_t memory_bytes,
                                              const nq_reader *reader, uint64_t tensor,
                                              const nq_decoder_options *options,
                                              nq_diag *diag) NQ_NOEXCEPT;

/*
 * Decodes elements first .. first + count - 1 (flat, row-major) into `out` (any alignment, host byte
 * order). dtype is NQ_F32, NQ_F16 or NQ_BF16 for a quantized tensor or another one of these three
 * types: values are rounded to nearest, ties to even, and a quantized value is rounded once, from
 * its f32 level. A quantized tensor whose levels are whole multiples of a step (nq_decoder_step) may
 * also be read as NQ_I8 or NQ_I16, which gives these multiples, if all of its levels fit; reading no
 * elements tells. A tensor that is not quantized may be read in its own type, whatever that is, bit for
 * bit; for elements narrower than a byte, first and count must then be at byte boundaries.
 *
 * Reading on where the last call ended continues in the open block; a block entered in its middle
 * is decoded from its start.
 *
 * Returns NQ_OK; NQ_E_ARG (range or type); NQ_E_CHECKSUM, NQ_E_CORRUPT, NQ_E_TRUNCATED (damaged: the
 * contents of `out` are then undefined); what the source's hook returned. nq_decoder_diag tells the
 * element and the byte offset. The decoder may be used again after any of them. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_decoder_read(nq_decoder *decoder, uint32_t dtype, uint64_t first,
                                              uint64_t count, void *out) NQ_NOEXCEPT;

/*
 * The same, to indices into the codebook, or that of the element's channel; NQ_E_ARG for a tensor
 * without one. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_decoder_read_indices(nq_decoder *decoder, uint64_t first,
                                                      uint64_t count,
                                                      uint16_t *indices) NQ_NOEXCEPT;

/*
 * The same, to numbers of the caller's choice, of value_bytes 1 or 2 each: values has one, in host
 * order, for each level that nq_decoder_codebook tells of, and is borrowed for the call. For integer
 * levels of a scale that the engine has chosen. NQ_E_ARG for a tensor without levels. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_decoder_read_mapped(nq_decoder *decoder, const void *values,
                                                     uint32_t value_bytes, uint64_t first,
                                                     uint64_t count, void *out) NQ_NOEXCEPT;

/*
 * The step whose whole multiples, up to 40,000 times, a tensor's levels are, or those of one of its
 * channels (0 for a tensor without channels): each level is the f32 nearest to a multiple. Tensors
 * that were quantized uniformly with NQ_LEVEL_GRID have one. With it an element is step times what
 * nq_decoder_read gives as NQ_I8 or NQ_I16. NQ_OK; NQ_E_ARG if there is no such channel or step.
 * Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_decoder_step(const nq_decoder *decoder, uint64_t channel,
                                              double *step) NQ_NOEXCEPT;

/*
 * Adds the product of rows of the tensor with a vector to y, without the weights ever being stored:
 * y[i] += sum over k of W[first_row + i][k] x[k], for i below n_rows. Rows are the tensor's outermost
 * dimension, columns the product of all others; a tensor of less than two dimensions is one row. x
 * has as many elements as there are columns, y has n_rows; they must not overlap.
 *
 * A row's products are added in f32 in an order that depends on nothing but the number of columns,
 * so that the result is the same on every machine. Going on with the next rows continues in the open
 * block; blocks that rows share are not decoded twice then.
 *
 * For tensors that nq_decoder_read can read as NQ_F32. Returns what it does; NQ_E_ARG also for rows
 * that there are not. After a failure y has the rows in front of the damage added, and no others.
 * Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_decoder_matvec(nq_decoder *decoder, uint64_t first_row,
                                                uint64_t n_rows, const float *x,
                                                float *y) NQ_NOEXCEPT;

/*
 * The levels that indices stand for, owned by the decoder; of a tensor with channels, those of all
 * channels one after another. For a tensor that is not quantized *levels is NULL and *n_levels 0.
 * NQ_OK, NQ_E_ARG. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_decoder_codebook(const nq_decoder *decoder, const float **levels,
                                                  size_t *n_levels) NQ_NOEXCEPT;

/*
 * The same for one channel: an index of the tensor's channel_axis (nq_tensor_info). *number (may be
 * NULL) is what the tensor's code calls the channel's first level: index plus number is what has been
 * coded, which channels have in common. NQ_OK; NQ_E_ARG, also for a channel that there is not, or a
 * tensor without channels. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_decoder_channel_codebook(const nq_decoder *decoder,
                                                          uint64_t channel, const float **levels,
                                                          size_t *n_levels,
                                                          uint32_t *number) NQ_NOEXCEPT;

/* Where and why the last read failed. NQ_OK, NQ_E_ARG, NQ_E_ABI. Since 0.1. */
NQ_API NQ_NODISCARD nq_status nq_decoder_diag(const nq_decoder *decoder,
                                              nq_diag *diag) NQ_NOEXCEPT;

/*
 * Decodes a range as nq_decoder_read does, its blocks in parallel through the context's hook. diag
 * may be NULL. Returns what nq_decoder_create and nq_decoder_read do, and NQ_E_CANCELLED; of several
 * damaged blocks the first is reported. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_reader_decode(const nq_reader *reader, const nq_ctx *ctx,
                                               uint64_t tensor, uint32_t dtype, uint64_t first,
                                               uint64_t count, void *out,
                                               nq_diag *diag) NQ_NOEXCEPT;

/*
 * Hook that nq_reader_verify tells about each damaged tensor (diag->tensor), from the calling
 * thread, in the file's order. A non-zero return stops with NQ_E_CANCELLED.
 */
typedef int32_t (*nq_damage_fn)(void *user, const nq_diag *diag);

/*
 * Checks one tensor, or all of them for NQ_NONE (codebooks and tables that no tensor uses included):
 * every checksum, and that everything decodes. Goes on after damage. damage and diag may be NULL.
 * Returns NQ_OK if everything is in order, otherwise the first damage's status, which diag
 * describes; or NQ_E_ARG, NQ_E_ABI, NQ_E_NOMEM, NQ_E_LIMIT, NQ_E_CANCELLED, what the source's hook
 * returned, which stop it. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_reader_verify(const nq_reader *reader, const nq_ctx *ctx,
                                               uint64_t tensor, nq_damage_fn damage, void *user,
                                               nq_diag *diag) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
