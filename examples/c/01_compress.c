/*
 * 1. From weights to a file: describe the tensors, state the goal, write.
 *
 *     cc 01_compress.c $(pkg-config --cflags --libs nq) -lm -o 01_compress
 *     ./01_compress OUT.nq
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nq/nq.h>

/* Where the file goes: anything that can store bytes at an offset. */
static nq_status write_file(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    FILE *file = user;
    if (fseek(file, (long)offset, SEEK_SET) != 0 || fwrite(bytes, 1, n_bytes, file) != n_bytes)
        return NQ_E_IO;
    return NQ_OK;
}

static nq_tensor make_tensor(const char *name, uint64_t rows, uint64_t columns, const float *data)
{
    nq_tensor tensor;
    nq_tensor_init(&tensor);
    tensor.dtype = NQ_F32;
    tensor.rank = 2;
    tensor.dims[0] = rows;
    tensor.dims[1] = columns;
    tensor.name = name;
    tensor.name_bytes = (uint32_t)strlen(name);
    tensor.data = data;
    return tensor;
}

static nq_status compress(nq_plan *plan, const nq_tensor *tensors, size_t n_tensors, FILE *file)
{
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = write_file;
    sink.user = file;
    for (size_t i = 0; i < n_tensors; i++) {
        const nq_status status = nq_plan_add(plan, &tensors[i], NULL, NULL);
        if (status != NQ_OK)
            return status;
    }
    return nq_plan_write(plan, &sink); /* solves first */
}

int main(int argc, char **argv)
{
    static float hidden[128 * 256], output[10 * 128];
    for (size_t i = 0; i < 128 * 256; i++)
        hidden[i] = (float)(0.1 * sin(12.9898 * (double)i) * cos(0.377 * (double)i));
    for (size_t i = 0; i < 10 * 128; i++)
        output[i] = (float)(0.3 * cos(78.233 * (double)i));
    const nq_tensor tensors[] = {make_tensor("hidden.weight", 128, 256, hidden),
                                 make_tensor("output.weight", 10, 128, output)};

    nq_plan_options options;
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_STEP; /* width of a cell, shared by both tensors */
    options.target_value = 0.02;

    nq_plan *plan = NULL;
    FILE *file = argc == 2 ? fopen(argv[1], "wb") : NULL;
    if (!file) {
        fprintf(stderr, "usage: 01_compress OUT.nq\n");
        return 2;
    }
    nq_status status = nq_plan_create(&plan, NULL, &options);
    if (status == NQ_OK)
        status = compress(plan, tensors, 2, file);
    nq_plan_report report = {.struct_size = sizeof report};
    if (status == NQ_OK)
        status = nq_plan_get_report(plan, &report);
    nq_plan_destroy(plan);
    if (fclose(file) != 0 && status == NQ_OK)
        status = NQ_E_IO;
    if (status != NQ_OK) {
        fprintf(stderr, "%s\n", nq_status_text(status));
        return 1;
    }
    printf("%.2f bits a weight, %.1f times smaller, %.1f dB\n", report.bits_per_weight,
           report.ratio, report.sqnr_db);
    return 0;
}
