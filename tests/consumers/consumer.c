/*
 * A C program outside the tree: compresses a tensor into memory, decodes it again, and writes the
 * file to its argument for decoder_only.c.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nq/nq.h>

#define ROWS    48
#define COLUMNS 64
#define STEP    0.25

#define DO(call)                                                                                   \
    do {                                                                                           \
        const nq_status status_ = (call);                                                          \
        if (status_ != NQ_OK) {                                                                    \
            fprintf(stderr, "%s: %s\n", #call, nq_status_text(status_));                           \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

typedef struct memory_file {
    unsigned char bytes[1 << 16];
    size_t n_bytes;
} memory_file;

static nq_status write_memory(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    memory_file *file = user;
    if (offset > sizeof file->bytes || n_bytes > sizeof file->bytes - offset)
        return NQ_E_IO;
    memcpy(file->bytes + offset, bytes, n_bytes);
    if (file->n_bytes < offset + n_bytes)
        file->n_bytes = (size_t)offset + n_bytes;
    return NQ_OK;
}

static void compress(memory_file *file, const float *weights)
{
    nq_tensor tensor;
    nq_tensor_init(&tensor);
    tensor.dtype = NQ_F32;
    tensor.rank = 2;
    tensor.dims[0] = ROWS;
    tensor.dims[1] = COLUMNS;
    tensor.name = "layer.weight";
    tensor.name_bytes = (uint32_t)strlen(tensor.name);
    tensor.data = weights;

    nq_plan_options options;
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_STEP;
    options.target_value = STEP;

    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = write_memory;
    sink.user = file;

    nq_plan *plan;
    DO(nq_plan_create(&plan, NULL, &options));
    DO(nq_plan_add(plan, &tensor, NULL, NULL));
    DO(nq_plan_write(plan, &sink));
    nq_plan_destroy(plan);
}

static void decode(const memory_file *file, float *decoded)
{
    nq_reader *model;
    nq_decoder *decoder;
    uint64_t tensor;
    DO(nq_reader_open(&model, NULL, file->bytes, file->n_bytes, NULL));
    DO(nq_reader_find(model, "layer.weight", strlen("layer.weight"), &tensor));
    DO(nq_decoder_create(&decoder, NULL, model, tensor, NULL, NULL));
    DO(nq_decoder_read(decoder, NQ_F32, 0, ROWS * COLUMNS, decoded));
    nq_decoder_destroy(decoder);
    nq_reader_destroy(model);
}

int main(int argc, char **argv)
{
    static memory_file file;
    static float weights[ROWS * COLUMNS], decoded[ROWS * COLUMNS];
    if (nq_version() != NQ_VERSION)
        return 1;
    for (int i = 0; i < ROWS * COLUMNS; i++)
        weights[i] = (float)sin(0.1 * i) * (float)(i % 7);
    compress(&file, weights);
    decode(&file, decoded);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        if (!(fabs((double)weights[i] - (double)decoded[i]) <= STEP))
            return 1;
    if (argc > 1) {
        FILE *out = fopen(argv[1], "wb");
        if (!out || fwrite(file.bytes, 1, file.n_bytes, out) != file.n_bytes || fclose(out) != 0)
            return 1;
    }
    printf("%s: %d weights in %zu bytes\n", nq_version_string(), ROWS * COLUMNS, file.n_bytes);
    return file.n_bytes < sizeof weights / 4 ? 0 : 1;
}
