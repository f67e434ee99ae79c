/*
 * 6. A small network run from its compressed weights: each layer is multiplied straight out of the
 * file's blocks, and no weight is ever in memory as a float. Links libnqdec alone.
 *
 *     cc 06_multiply.c $(pkg-config --cflags --libs nqdec) -o 06_multiply
 *     ./06_multiply IN.nq         a file that 01_compress made
 */
#include <stdio.h>
#include <string.h>

#include <nq/container.h>
#include <nq/decode.h>

enum { FILE_BYTES = 1 << 20, INPUTS = 256, HIDDEN = 128, OUTPUTS = 10 };

static unsigned char file_bytes[FILE_BYTES];
static unsigned char reader_memory[4096];
static unsigned char decoder_memory[512 * 1024];

/* y = W x for the tensor of that name, which has n_rows rows. */
static nq_status multiply(const nq_reader *model, const char *name, uint64_t n_rows,
                          const float *x, float *y)
{
    uint64_t tensor;
    nq_decoder *decoder;
    nq_status status = nq_reader_find(model, name, strlen(name), &tensor);
    if (status != NQ_OK)
        fprintf(stderr, "no tensor %s\n", name);
    if (status == NQ_OK)
        status = nq_decoder_init(&decoder, decoder_memory, sizeof decoder_memory, model, tensor,
                                 NULL, NULL);
    memset(y, 0, n_rows * sizeof *y); /* the product is added */
    return status == NQ_OK ? nq_decoder_matvec(decoder, 0, n_rows, x, y) : status;
}

static nq_status run(const nq_reader *model)
{
    float input[INPUTS], hidden[HIDDEN], output[OUTPUTS];
    for (int i = 0; i < INPUTS; i++)
        input[i] = (float)(i % 16) / 16;
    nq_status status = multiply(model, "hidden.weight", HIDDEN, input, hidden);
    for (int i = 0; i < HIDDEN; i++)
        hidden[i] = hidden[i] > 0 ? hidden[i] : 0;
    if (status == NQ_OK)
        status = multiply(model, "output.weight", OUTPUTS, hidden, output);
    for (int i = 0; status == NQ_OK && i < OUTPUTS; i++)
        printf("%g%c", (double)output[i], i + 1 < OUTPUTS ? ' ' : '\n');
    return status;
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file) {
        fprintf(stderr, "usage: 06_multiply IN.nq, which 01_compress made\n");
        return 2;
    }
    nq_source source;
    nq_source_init(&source);
    source.bytes = file_bytes;
    source.n_bytes = fread(file_bytes, 1, FILE_BYTES, file);
    fclose(file);
    nq_reader *model;
    nq_status status =
        nq_reader_init(&model, reader_memory, sizeof reader_memory, &source, NULL, NULL);
    if (status == NQ_OK)
        status = run(model);
    if (status != NQ_OK)
        fprintf(stderr, "%s\n", nq_status_name(status));
    return status == NQ_OK ? 0 : 1;
}
