/*
 * A decoder's inside, for the files of the api floor that make decoders and use many of them. Part
 * of the decoder.
 */
#ifndef NQI_API_DECODE_H
#define NQI_API_DECODE_H

#include "codec/code_dec.h"
#include "codec/levels_dec.h"
#include "container/codebook.h"
#include "container/reader.h"
#include "nq/decode.h"

/* Where a block lies in the file, and its checksum. */
typedef struct nqi_extent {
    uint64_t offset;
    size_t n_bytes;
    uint32_t crc;
} nqi_extent;

/* What levels stand for: numbers of 4, 2 or 1 bytes, as many as there are levels. */
typedef struct nqi_values {
    const void *of;
    uint32_t unit;
} nqi_values;

struct nq_decoder {
    const nq_reader *reader;
    nqi_tensor_record tensor;
    uint64_t number; /* of the tensor */
    uint64_t n_units;
    uint64_t n_blocks;
    uint64_t directory_bytes;
    uint32_t flags;
    uint32_t n_levels;   /* that codes tell apart; 0 if there is no codebook */
    uint32_t n_stored;   /* levels of all channels; n_levels without */
    uint32_t n_channels; /* 0: all elements have the same levels */
    uint64_t inner;      /* elements of one channel that lie behind each other */
    bool renumbers;      /* codes have other numbers for some channel's levels */
    unsigned raw_bytes;  /* of an element, behind a block's coded indices */

    /* Memory behind this struct. */
    float *levels;
    nqi_channel *channels;
    uint16_t *narrow; /* the levels as narrow_dtype; NQ_I8: in bytes */
    double step;      /* of which levels may be multiples; 0: none */
    void *piece;      /* indices of the piece that was decoded last: bytes if is_narrow, else u16 */
    uint8_t *buffer;  /* a block's bytes, where the source is a callback */
    size_t buffer_bytes;
    void *block_memory;
    nqi_code *code;
    const nqi_levels_kernels *kernels;
    bool is_narrow;        /* at most 256 levels */
    uint32_t narrow_dtype; /* NQ_NO_ID: none yet */

    /* The open block. */
    uint32_t piece_begin; /* elements of the block before the piece, and up to its end */
    uint32_t piece_end;
    uint32_t block_elems;
    uint64_t open_block; /* NQ_NONE */
    const uint8_t *bytes;
    const uint8_t *raw;
    uint64_t bytes_offset; /* in the file */
    nqi_block *block;

    nq_diag diag;
    void *owner; /* of nq_decoder_create: what to free */
};

/* Checks the arguments that all ways to make a decoder share, and fills the options in. */
nq_status nqi_decoder_check_making(nq_decoder_options *full, const void *out,
                                   const nq_reader *reader, uint64_t tensor,
                                   const nq_decoder_options *options, nq_diag *diag);

/* nq_decoder_size and nq_decoder_init with checked arguments and a full-size diag. */
nq_status nqi_decoder_bytes(size_t *n_bytes, const nq_reader *reader, uint64_t tensor,
                            const nq_decoder_options *options, nq_diag *diag);
nq_status nqi_decoder_build(nq_decoder **out, void *memory, size_t memory_bytes,
                            const nq_reader *reader, uint64_t tensor,
                            const nq_decoder_options *options, nq_diag *diag);

/* Whether a tensor can be read as dtype from such a place on; NQ_E_ARG. */
nq_status nqi_decoder_check_range(const nq_decoder *decoder, uint32_t dtype, uint64_t first,
                                  uint64_t count);

/* Decodes a range of a quantized tensor to what the values say. */
nq_status nqi_decoder_read_values(nq_decoder *decoder, const nqi_values *values, uint64_t first,
                                  uint64_t count, uint8_t *out);

/* What n indices of a byte, each below n_levels, stand for. */
void nqi_decoder_emit_bytes(uint8_t *out, const nq_decoder *decoder, const nqi_values *values,
                            uint32_t n_levels, const uint8_t *indices, size_t n);

/* Whether all levels are multiples of their step that fit NQ_I8 or NQ_I16; and these, in place of
 * the narrow levels. */
bool nqi_integers_fit(const nq_decoder *decoder, uint32_t dtype);
void nqi_integers_make(nq_decoder *decoder, uint32_t dtype);

/* nq_decoder_read with checked arguments. */
nq_status nqi_decoder_read(nq_decoder *decoder, uint32_t dtype, uint64_t first, uint64_t count,
                           uint8_t *out);

/* Checks a block: its checksum, whatever the flags, and that it decodes to its end. */
nq_status nqi_decoder_check_block(nq_decoder *decoder, uint64_t block);

/* Has `element` of a quantized tensor decoded: where in the piece it is, and how many elements
 * there are from it on. */
nq_status nqi_decoder_seek(nq_decoder *decoder, uint64_t element, size_t *place, size_t *n);

/* ---- Channels (decode_channel.c) ----------------------------------------------------------- */

/* Fewer elements of a channel behind each other than this are looked up one by one. */
#define NQI_CHANNEL_SHORT 8u

/* A walk through the channels of elements that lie behind each other. */
typedef struct nqi_channel_walk {
    const nqi_channel *channel;
    uint64_t left; /* elements until the next one */
} nqi_channel_walk;

nqi_channel_walk nqi_channel_walk_at(const nq_decoder *decoder, uint64_t element);

/* Moves over n elements, `left` at most. */
static inline void nqi_channel_walk_on(nqi_channel_walk *w, const nq_decoder *d, uint64_t n)
{
    w->left -= n;
    if (w->left > 0)
        return;
    w->left = d->inner;
    w->channel = w->channel + 1 == d->channels + d->n_channels ? d->channels : w->channel + 1;
}

/* What follows from the channels once they are read. */
void nqi_channels_prepare(nq_decoder *decoder);

/* From codes' numbers to those of each channel's levels: the first n indices of the piece, which
 * begins with `element`. NQ_E_CORRUPT for one that its channel does not have. */
nq_status nqi_channels_renumber(nq_decoder *decoder, uint64_t element, size_t n);

/* Values of n elements from `element` on, which are in the piece at `place`. */
void nqi_channels_emit(uint8_t *out, const nq_decoder *decoder, const nqi_values *values,
                       uint64_t element, size_t place, size_t n);

/* n elements of a tensor that is coded without loss, from `place` of the piece on. */
void nqi_lossless_emit(uint8_t *out, const nq_decoder *decoder, uint32_t dtype, size_t place,
                       size_t n);

/* Converts the elements in n_bytes, as they are stored, from one floating type to another in host
 * order; returns the bytes written. */
size_t nqi_decoder_convert(uint8_t *out, uint32_t to, const uint8_t *bytes, size_t n_bytes,
                           uint32_t from);

/* Number of the first element that has bits in a block. */
uint64_t nqi_decoder_first_element(const nq_decoder *decoder, uint64_t block);

#endif
