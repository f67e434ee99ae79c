/*
 * 3. Decoding where there is no allocator: reader and decoder live in memory of the program's own,
 * and the file is fetched piece by piece, as from flash. Links libnqdec alone.
 *
 *     cc 03_decode_no_malloc.c $(pkg-config --cflags --libs nqdec) -o 03_decode_no_malloc
 *     ./03_decode_no_malloc IN.nq
 */
#include <stdio.h>
#include <string.h>

#include <nq/container.h>
#include <nq/decode.h>

static unsigned char reader_memory[4096];
static unsigned char decoder_memory[400 * 1024];
static float tile[256];

static nq_status fetch(void *user, uint64_t offset, void *out, size_t n_bytes)
{
    FILE *flash = user;
    if (fseek(flash, (long)offset, SEEK_SET) != 0 || fread(out, 1, n_bytes, flash) != n_bytes)
        return NQ_E_IO;
    return NQ_OK;
}

/* The sum of a tensor's elements, a tile at a time. */
static nq_status sum_tensor(const nq_reader *model, uint64_t tensor, uint64_t n_elements,
                            double *sum)
{
    nq_decoder *decoder;
    nq_diag diag;
    nq_diag_init(&diag);
    nq_status status = nq_decoder_init(&decoder, decoder_memory, sizeof decoder_memory, model,
                                       tensor, NULL, &diag);
    if (status == NQ_E_SPACE)
        fprintf(stderr, "%llu bytes would do\n", (unsigned long long)diag.wanted);
    for (uint64_t first = 0; status == NQ_OK && first < n_elements; first += 256) {
        const uint64_t count = n_elements - first < 256 ? n_elements - first : 256;
        status = nq_decoder_read(decoder, NQ_F32, first, count, tile);
        for (uint64_t i = 0; status == NQ_OK && i < count; i++)
            *sum += (double)tile[i];
    }
    return status; /* there is nothing to destroy */
}

static nq_status sum_model(const nq_source *source)
{
    nq_reader *model;
    nq_status status =
        nq_reader_init(&model, reader_memory, sizeof reader_memory, source, NULL, NULL);
    if (status != NQ_OK)
        return status;
    nq_tensor_info info;
    nq_tensor_info_init(&info);
    for (uint64_t i = 0; nq_reader_tensor(model, i, &info) == NQ_OK; i++) {
        double sum = 0;
        status = sum_tensor(model, i, info.n_elements, &sum);
        if (status != NQ_OK)
            return status;
        printf("%.*s: sum %g\n", (int)info.name_bytes, info.name, sum);
    }
    return NQ_OK;
}

int main(int argc, char **argv)
{
    FILE *flash = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!flash || fseek(flash, 0, SEEK_END) != 0) {
        fprintf(stderr, "usage: 03_decode_no_malloc IN.nq\n");
        return 2;
    }
    nq_source source;
    nq_source_init(&source);
    source.n_bytes = (uint64_t)ftell(flash);
    source.read = fetch;
    source.user = flash;
    const nq_status status = sum_model(&source);
    if (status != NQ_OK)
        fprintf(stderr, "%s\n", nq_status_text(status));
    fclose(flash);
    return status == NQ_OK ? 0 : 1;
}
