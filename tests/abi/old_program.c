/*
 * A program of yesterday: compiled with the headers of the baseline, run with the library of today.
 * It hands every versioned struct over in its old size, makes a file, and reads it by every way.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frozen.h"

enum { ROWS = 60, COLUMNS = 100, N = ROWS * COLUMNS };
#define STEP 0.125

#define DO(call)                                                                                   \
    do {                                                                                           \
        const nq_status status_ = (call);                                                          \
        if (status_ != NQ_OK) {                                                                    \
            fprintf(stderr, "%s: %d, %s\n", #call, (int)status_, nq_status_text(status_));         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define DEMAND(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "not so: %s\n", #condition);                                           \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static float weights[N], decoded[N];
static unsigned char file[4 * N];
static size_t held_bytes;

static void *allocate(void *user, size_t n_bytes, size_t alignment)
{
    *(size_t *)user += n_bytes;
    return aligned_alloc(alignment, (n_bytes + alignment - 1) / alignment * alignment);
}

static void give_back(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    (void)alignment;
    *(size_t *)user -= n_bytes;
    free(memory);
}

static nq_status store(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    DEMAND(user == file && offset <= sizeof file && n_bytes <= sizeof file - offset);
    memcpy(file + offset, bytes, n_bytes);
    return NQ_OK;
}

static nq_status fetch(void *user, uint64_t offset, void *out, size_t n_bytes)
{
    DEMAND(user == file);
    memcpy(out, file + offset, n_bytes);
    return NQ_OK;
}

static nq_ctx *make_context(void)
{
    nq_ctx *ctx;
    nq_ctx_options options;
    nq_ctx_options_init(&options);
    options.alloc = allocate;
    options.free = give_back;
    options.alloc_user = &held_bytes;
    options.max_tensors = 2;
    DO(nq_ctx_create(&ctx, &options));
    return ctx;
}

static size_t compress(const nq_ctx *ctx)
{
    nq_tensor tensor;
    nq_tensor_init(&tensor);
    tensor.dtype = NQ_F32;
    tensor.rank = 2;
    tensor.dims[0] = ROWS;
    tensor.dims[1] = COLUMNS;
    tensor.name = "w";
    tensor.name_bytes = 1;
    tensor.data = weights;

    nq_plan *plan;
    nq_plan_options options;
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_STEP;
    options.target_value = STEP;
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = store;
    sink.user = file;
    nq_plan_report report = {.struct_size = sizeof report};
    DO(nq_plan_create(&plan, ctx, &options));
    DO(nq_plan_add(plan, &tensor, NULL, NULL));
    DO(nq_plan_write(plan, &sink));
    DO(nq_plan_get_report(plan, &report));
    nq_plan_destroy(plan);
    DEMAND(report.struct_size == sizeof report && report.compressed_bytes <= sizeof file);
    return (size_t)report.compressed_bytes;
}

static void check_info(const nq_reader *model)
{
    nq_tensor_info info;
    nq_tensor_info_init(&info);
    DO(nq_reader_tensor(model, 0, &info));
    DEMAND(info.struct_size == sizeof info && info.dtype == NQ_F32 && info.rank == 2);
    DEMAND(info.dims[0] == ROWS && info.dims[1] == COLUMNS && info.n_elements == N);
    DEMAND(info.name_bytes == 1 && info.name[0] == 'w' && info.n_levels > 2);
    DEMAND(info.codec != NQ_CODEC_STORED && info.method == NQ_METHOD_UNIFORM);
    DEMAND(fabs(info.step - STEP) < 1e-9);
}

static void check_decoded(void)
{
    for (int i = 0; i < N; i++)
        DEMAND(fabs((double)weights[i] - (double)decoded[i]) <= STEP);
    memset(decoded, 0, sizeof decoded);
}

static void read_back(const nq_ctx *ctx, size_t n_bytes)
{
    nq_source source;
    nq_source_init(&source);
    source.n_bytes = n_bytes;
    source.read = fetch;
    source.user = file;
    nq_reader *model;
    nq_decoder *decoder;
    nq_diag diag;
    nq_diag_init(&diag);
    nq_decoder_options options;
    nq_decoder_options_init(&options);
    options.cpu_disabled = NQ_CPU_ALL;
    DO(nq_reader_open_source(&model, ctx, &source, &diag));
    check_info(model);
    DO(nq_reader_decode(model, ctx, 0, NQ_F32, 0, N, decoded, &diag));
    check_decoded();
    DO(nq_decoder_create(&decoder, ctx, model, 0, &options, &diag));
    DO(nq_decoder_read(decoder, NQ_F32, 0, N, decoded));
    check_decoded();
    nq_decoder_destroy(decoder);
    nq_reader_destroy(model);
}

/* The numbers of statuses and the record are as they were. */
static void check_refusals(const nq_ctx *ctx, size_t n_bytes)
{
    nq_reader *model;
    nq_diag diag;
    nq_diag_init(&diag);
    DEMAND(nq_reader_open(&model, ctx, file, n_bytes - 1, &diag) == NQ_E_TRUNCATED);
    DEMAND(!model && diag.struct_size == sizeof diag && diag.status == NQ_E_TRUNCATED);
    DEMAND(memchr(diag.what, 0, sizeof diag.what) && diag.what[0]);
    file[n_bytes / 2] ^= 1;
    DO(nq_reader_open(&model, ctx, file, n_bytes, &diag));
    const nq_status status = nq_reader_decode(model, ctx, 0, NQ_F32, 0, N, decoded, &diag);
    DEMAND(status == NQ_E_CHECKSUM && diag.status == status && diag.tensor == 0);
    nq_reader_destroy(model);
}

int main(void)
{
    for (int i = 0; i < N; i++)
        weights[i] = (float)(sin(0.37 * i) * (i % 5));
    nq_ctx *ctx = make_context();
    const size_t n_bytes = compress(ctx);
    read_back(ctx, n_bytes);
    check_refusals(ctx, n_bytes);
    nq_ctx_destroy(ctx);
    DEMAND(held_bytes == 0);
    return 0;
}
