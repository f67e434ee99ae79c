/* Calls the functions that README.md shows (readme.c is cut out of it) with a file in memory. */
#include <math.h>
#include <stdio.h>

#include "readme.c"

enum { ROWS = 100, COLUMNS = 200 };

static float weights[ROWS][COLUMNS];
static unsigned char file[sizeof weights];
static size_t file_bytes;

static nq_status store(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    (void)user;
    if (offset > sizeof file || n_bytes > sizeof file - offset)
        return NQ_E_SPACE;
    memcpy(file + offset, bytes, n_bytes);
    if (file_bytes < offset + n_bytes)
        file_bytes = (size_t)offset + n_bytes;
    return NQ_OK;
}

static nq_tensor describe(void)
{
    nq_tensor tensor;
    nq_tensor_init(&tensor);
    tensor.dtype = NQ_F32;
    tensor.rank = 2;
    tensor.dims[0] = ROWS;
    tensor.dims[1] = COLUMNS;
    tensor.name = "fc1.weight";
    tensor.name_bytes = 10;
    tensor.data = weights;
    return tensor;
}

int main(void)
{
    for (int i = 0; i < ROWS * COLUMNS; i++)
        weights[i / COLUMNS][i % COLUMNS] = (float)(i * 7919 % 1000) / 1000 - 0.5f;
    const nq_tensor tensor = describe();
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = store;
    float row[COLUMNS];
    nq_status status = compress(&tensor, 1, &sink);
    if (status == NQ_OK)
        status = decode(file, file_bytes, "fc1.weight", 42 * COLUMNS, COLUMNS, row);
    if (status != NQ_OK) {
        fprintf(stderr, "%s\n", nq_status_text(status));
        return 1;
    }
    for (int i = 0; i < COLUMNS; i++)
        if (fabsf(row[i] - weights[42][i]) > 0.05f)
            return 2;
    printf("%.2f bits a weight; %.3f is now %.3f\n",
           8.0 * (double)file_bytes / (ROWS * COLUMNS), (double)weights[42][7], (double)row[7]);
    return 0;
}
