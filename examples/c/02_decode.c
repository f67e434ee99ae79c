/*
 * 2. From a file to weights: open, ask what is there, decode what is needed.
 *
 *     cc 02_decode.c $(pkg-config --cflags --libs nq) -o 02_decode
 *     ./02_decode IN.nq
 */
#include <stdio.h>
#include <stdlib.h>

#include <nq/nq.h>

static void *read_whole(const char *path, size_t *n_bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    unsigned char *bytes = NULL;
    *n_bytes = 0;
    for (size_t capacity = 1 << 16;; capacity *= 2) {
        unsigned char *larger = realloc(bytes, capacity);
        if (!larger)
            break;
        bytes = larger;
        *n_bytes += fread(bytes + *n_bytes, 1, capacity - *n_bytes, file);
        if (*n_bytes < capacity)
            break;
    }
    fclose(file);
    return bytes;
}

/* The middle of the tensor, as an engine that works on tiles would ask for it. */
static nq_status print_some(const nq_reader *model, uint64_t i, const nq_tensor_info *info,
                            nq_diag *diag)
{
    float values[4] = {0};
    nq_decoder *decoder;
    nq_status status = nq_decoder_create(&decoder, NULL, model, i, NULL, diag);
    if (status != NQ_OK)
        return status;
    const uint64_t count = info->n_elements < 4 ? info->n_elements : 4;
    const uint64_t first = (info->n_elements - count) / 2;
    status = nq_decoder_read(decoder, NQ_F32, first, count, values);
    if (status == NQ_OK)
        printf("    from %llu on: %g %g %g %g\n", (unsigned long long)first, (double)values[0],
               (double)values[1], (double)values[2], (double)values[3]);
    nq_decoder_destroy(decoder);
    return status;
}

static nq_status print_model(const nq_reader *model, nq_diag *diag)
{
    nq_tensor_info info;
    nq_tensor_info_init(&info);
    for (uint64_t i = 0; nq_reader_tensor(model, i, &info) == NQ_OK; i++) {
        printf("%.*s: %s, %llu elements, %u levels, %llu bytes\n", (int)info.name_bytes, info.name,
               nq_dtype_name(info.dtype), (unsigned long long)info.n_elements, info.n_levels,
               (unsigned long long)info.payload_bytes);
        const nq_status status = print_some(model, i, &info, diag);
        if (status != NQ_OK)
            return status;
    }
    return nq_reader_verify(model, NULL, NQ_NONE, NULL, NULL, diag);
}

int main(int argc, char **argv)
{
    size_t n_bytes;
    void *bytes = argc == 2 ? read_whole(argv[1], &n_bytes) : NULL;
    if (!bytes) {
        fprintf(stderr, "usage: 02_decode IN.nq\n");
        return 2;
    }
    nq_diag diag;
    nq_diag_init(&diag);
    nq_reader *model;
    nq_status status = nq_reader_open(&model, NULL, bytes, n_bytes, &diag); /* borrows the bytes */
    if (status == NQ_OK)
        status = print_model(model, &diag);
    nq_reader_destroy(model);
    free(bytes);
    if (status != NQ_OK)
        fprintf(stderr, "%s: %s\n", nq_status_text(status), diag.what);
    return status == NQ_OK ? 0 : 1;
}
