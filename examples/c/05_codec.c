/*
 * 5. The codec without a file: an array of indices to bytes and back, for programs that have a
 * container of their own.
 *
 *     cc 05_codec.c $(pkg-config --cflags --libs nq) -o 05_codec
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nq/codec.h>

#define N_INDICES 50000
#define N_LEVELS  16

/* Small indices are common, as after quantization. */
static void make_indices(uint16_t *indices, uint64_t *counts)
{
    uint32_t state = 1;
    for (size_t i = 0; i < N_INDICES; i++) {
        state = state * 1664525u + 1013904223u;
        uint16_t index = 0;
        for (uint32_t bits = state >> 8; index < N_LEVELS - 1 && (bits & 1); bits >>= 1)
            index++;
        indices[i] = index;
        counts[index]++;
    }
}

/* Needs: what the encoder was made for, its table, and the block. */
static nq_status decode(uint16_t *decoded, uint32_t codec, const uint8_t *table, size_t table_bytes,
                        const uint8_t *block, size_t block_bytes)
{
    size_t n_bytes;
    nq_status status = nq_block_decoder_size(&n_bytes, codec, N_LEVELS, table, table_bytes);
    void *memory = status == NQ_OK ? malloc(n_bytes) : NULL;
    if (status == NQ_OK && !memory)
        status = NQ_E_NOMEM;
    if (status == NQ_OK)
        status = nq_block_decode(decoded, N_INDICES, memory, n_bytes, codec, N_LEVELS, table,
                                 table_bytes, block, block_bytes);
    free(memory);
    return status;
}

static nq_status round_trip(uint32_t codec, const uint16_t *indices, const uint64_t *counts)
{
    static uint16_t decoded[N_INDICES];
    static uint8_t block[4 * N_INDICES];
    nq_encoder_options options;
    nq_encoder_options_init(&options);
    options.codec = codec;
    options.n_levels = N_LEVELS;
    nq_encoder *encoder;
    nq_status status = nq_encoder_create(&encoder, NULL, &options, counts);
    if (status != NQ_OK)
        return status;
    size_t table_bytes, block_bytes;
    const uint8_t *table = nq_encoder_table(encoder, &table_bytes);
    status = nq_encoder_encode(encoder, block, sizeof block, &block_bytes, indices, N_INDICES);
    if (status == NQ_OK)
        status = decode(decoded, codec, table, table_bytes, block, block_bytes);
    nq_encoder_destroy(encoder);
    if (status == NQ_OK && memcmp(decoded, indices, sizeof decoded) != 0)
        status = NQ_E_INTERNAL;
    if (status == NQ_OK)
        printf("%s: %.3f bits an index\n", codec == NQ_CODEC_FIXED ? "fixed length" : "Huffman",
               8.0 * (double)(table_bytes + block_bytes) / N_INDICES);
    return status;
}

int main(void)
{
    static uint16_t indices[N_INDICES];
    static uint64_t counts[N_LEVELS];
    make_indices(indices, counts);
    nq_status status = round_trip(NQ_CODEC_FIXED, indices, NULL);
    if (status == NQ_OK)
        status = round_trip(NQ_CODEC_HUFFMAN, indices, counts);
    if (status != NQ_OK)
        fprintf(stderr, "%s\n", nq_status_text(status));
    return status == NQ_OK ? 0 : 1;
}
