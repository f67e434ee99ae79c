/*
 * A program with the decoder alone: no allocation by the library, reader and decoder in memory of
 * its own. Its argument is the file that consumer.c wrote.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nq/container.h>
#include <nq/decode.h>

#define N_WEIGHTS (48 * 64)
#define STEP      0.25

#define DO(call)                                                                                   \
    do {                                                                                           \
        const nq_status status_ = (call);                                                          \
        if (status_ != NQ_OK) {                                                                    \
            fprintf(stderr, "%s: %s\n", #call, nq_status_text(status_));                           \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static unsigned char file[1 << 16], reader_memory[1 << 14], decoder_memory[1 << 20];
static float decoded[N_WEIGHTS];

int main(int argc, char **argv)
{
    FILE *in = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!in)
        return 2;
    nq_source source;
    nq_source_init(&source);
    source.bytes = file;
    source.n_bytes = fread(file, 1, sizeof file, in);
    fclose(in);

    nq_reader *model;
    nq_decoder *decoder;
    uint64_t tensor;
    size_t n_bytes;
    DO(nq_reader_size(&n_bytes, &source, NULL, NULL));
    if (n_bytes > sizeof reader_memory)
        return 3;
    DO(nq_reader_init(&model, reader_memory, sizeof reader_memory, &source, NULL, NULL));
    DO(nq_reader_find(model, "layer.weight", strlen("layer.weight"), &tensor));
    DO(nq_decoder_size(&n_bytes, model, tensor, NULL, NULL));
    if (n_bytes > sizeof decoder_memory)
        return 3;
    DO(nq_decoder_init(&decoder, decoder_memory, sizeof decoder_memory, model, tensor, NULL, NULL));
    DO(nq_decoder_read(decoder, NQ_F32, 0, N_WEIGHTS, decoded));
    for (int i = 0; i < N_WEIGHTS; i++)
        if (!(fabs(sin(0.1 * i) * (double)(i % 7) - (double)decoded[i]) <= STEP))
            return 1;
    double sum = 0;
    for (int i = 0; i < N_WEIGHTS; i++)
        sum += (double)decoded[i];
    printf("%d weights decoded with %zu bytes of tables: sum %a\n", N_WEIGHTS, n_bytes, sum);
    return 0;
}
