/*
 * Reader and decoder work in memory that is set aside when the file is opened; after that nothing
 * is allocated. One decoder's memory serves all tensors, one after another: making a decoder costs
 * some microseconds, and in a model this small the tables of all of them together would be larger
 * than the weights as floats.
 */
#include "weights.h"

#include <stdlib.h>
#include <string.h>

static bool fail(weights *w, nq_status status)
{
    if (w->status == NQ_OK)
        w->status = status;
    return w->status == NQ_OK;
}

static void *allocate(weights *w, uint64_t n_bytes)
{
    void *memory = n_bytes <= SIZE_MAX ? malloc((size_t)n_bytes) : NULL;
    if (memory)
        w->held_bytes += (size_t)n_bytes;
    else
        fail(w, NQ_E_NOMEM);
    return memory;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static nq_status fetch(void *user, uint64_t offset, void *out, size_t n_bytes)
{
    const weights *w = user;
    if (fseek(w->file, (long)offset, SEEK_SET) != 0 || fread(out, 1, n_bytes, w->file) != n_bytes)
        return NQ_E_IO;
    return NQ_OK;
}

/* The file in memory, where products are made from its blocks; otherwise behind a callback. */
static bool open_source(nq_source *source, weights *w, const char *path, bool as_floats)
{
    w->file = fopen(path, "rb");
    const long n_bytes = w->file && fseek(w->file, 0, SEEK_END) == 0 ? ftell(w->file) : -1;
    if (n_bytes < 0)
        return fail(w, NQ_E_IO);
    nq_source_init(source);
    source->n_bytes = (uint64_t)n_bytes;
    source->read = fetch;
    source->user = w;
    if (as_floats)
        return true;
    w->bytes = allocate(w, (uint64_t)n_bytes + 1);
    if (!w->bytes)
        return false;
    source->bytes = w->bytes;
    source->read = NULL;
    return fail(w, fetch(w, 0, w->bytes, (size_t)n_bytes));
}

static bool open_reader(weights *w, const nq_source *source)
{
    size_t n_bytes;
    if (!fail(w, nq_reader_size(&n_bytes, source, NULL, NULL)))
        return false;
    w->reader_memory = allocate(w, n_bytes);
    return w->reader_memory &&
           fail(w, nq_reader_init(&w->reader, w->reader_memory, n_bytes, source, NULL, NULL));
}

/* Room for the largest of the decoders. */
static bool make_room(weights *w, uint64_t n_tensors)
{
    for (uint64_t i = 0; i < n_tensors; i++) {
        size_t n_bytes;
        if (!fail(w, nq_decoder_size(&n_bytes, w->reader, i, NULL, NULL)))
            return false;
        w->decoder_bytes = n_bytes > w->decoder_bytes ? n_bytes : w->decoder_bytes;
    }
    w->decoder_memory = allocate(w, w->decoder_bytes);
    return w->decoder_memory != NULL;
}

static nq_decoder *decode(weights *w, uint64_t number)
{
    nq_decoder *decoder = NULL;
    if (w->status == NQ_OK)
        fail(w, nq_decoder_init(&decoder, w->decoder_memory, w->decoder_bytes, w->reader, number,
                                NULL, NULL));
    return decoder;
}

static bool hold_floats(weights *w, uint64_t n_tensors)
{
    w->floats = calloc((size_t)n_tensors + 1, sizeof *w->floats);
    if (!w->floats)
        return fail(w, NQ_E_NOMEM);
    for (uint64_t i = 0; i < n_tensors && w->status == NQ_OK; i++) {
        nq_tensor_info info;
        nq_tensor_info_init(&info);
        nq_decoder *decoder = decode(w, i);
        if (!decoder || !fail(w, nq_reader_tensor(w->reader, i, &info)))
            return false;
        w->floats[i] = allocate(w, info.n_elements * sizeof(float) + 1);
        if (w->floats[i])
            fail(w, nq_decoder_read(decoder, NQ_F32, 0, info.n_elements, w->floats[i]));
    }
    free(w->decoder_memory);
    w->decoder_memory = NULL;
    w->held_bytes -= w->decoder_bytes;
    return w->status == NQ_OK;
}

bool weights_open(weights *w, const char *path, bool as_floats)
{
    nq_source source;
    nq_reader_info info;
    nq_reader_info_init(&info);
    memset(w, 0, sizeof *w);
    return open_source(&source, w, path, as_floats) && open_reader(w, &source) &&
           fail(w, nq_reader_get_info(w->reader, &info)) && make_room(w, info.n_tensors) &&
           (!as_floats || hold_floats(w, info.n_tensors));
}

void weights_close(weights *w)
{
    nq_reader_info info;
    nq_reader_info_init(&info);
    if (w->floats && nq_reader_get_info(w->reader, &info) == NQ_OK)
        for (uint64_t i = 0; i < info.n_tensors; i++)
            free(w->floats[i]);
    free(w->floats);
    free(w->decoder_memory);
    free(w->reader_memory);
    free(w->bytes);
    if (w->file)
        fclose(w->file);
}

/* ---- Using ----------------------------------------------------------------------------------- */

bool weights_find(tensor *t, weights *w, const char *name)
{
    nq_tensor_info info;
    nq_tensor_info_init(&info);
    if (nq_reader_find(w->reader, name, strlen(name), &t->number) != NQ_OK ||
        nq_reader_tensor(w->reader, t->number, &info) != NQ_OK || info.rank < 1 || info.rank > 2)
        return false;
    t->n_rows = (size_t)info.dims[0];
    t->n_columns = info.rank == 2 ? (size_t)info.dims[1] : 1;
    return true;
}

void weights_row(float *out, weights *w, const tensor *t, size_t row)
{
    const size_t count = t->n_columns > 1 ? t->n_columns : t->n_rows;
    if (w->floats) {
        memcpy(out, w->floats[t->number] + row * count, count * sizeof *out);
        return;
    }
    nq_decoder *decoder = decode(w, t->number);
    if (decoder)
        fail(w, nq_decoder_read(decoder, NQ_F32, row * count, count, out));
}

/* Eight sums, so that compilers may use vectors. */
static void multiply_floats(float *y, const float *matrix, const tensor *t, const float *x)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        const float *row = matrix + i * t->n_columns;
        float sums[8] = {0};
        size_t j = 0;
        for (; j + 8 <= t->n_columns; j += 8)
            for (size_t k = 0; k < 8; k++)
                sums[k] += row[j + k] * x[j + k];
        for (; j < t->n_columns; j++)
            sums[j % 8] += row[j] * x[j];
        y[i] = ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
               ((sums[2] + sums[6]) + (sums[3] + sums[7]));
    }
}

void weights_multiply(float *y, weights *w, const tensor *t, const float *x)
{
    if (w->floats) {
        multiply_floats(y, w->floats[t->number], t, x);
        return;
    }
    memset(y, 0, t->n_rows * sizeof *y); /* the product is added */
    nq_decoder *decoder = decode(w, t->number);
    if (decoder)
        fail(w, nq_decoder_matvec(decoder, 0, t->n_rows, x, y));
}
