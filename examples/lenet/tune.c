/*
 * All levels of all codebooks are one array that Adam steps through; weights are looked up in it
 * before each minibatch.
 */
#include "tune.h"

#include <stdlib.h>
#include <string.h>

#include "adam.h"
#include "batch.h"
#include "network.h"
#include "weights.h"

const tune_options tune_defaults = {
    .seed = 1, .steps = 430, .batch = 128, .shift = 2, .rate = 0.001f};

/* The levels that some tensors share. */
typedef struct book {
    uint32_t id; /* in the file */
    size_t n_levels;
    size_t first;    /* of its levels among all */
    uint64_t tensor; /* one of the file's that has it */
} book;

typedef struct tuner {
    tune_options options;
    uint64_t random;
    float weights[LENET_PARAMETERS];
    float gradient[LENET_PARAMETERS];
    uint16_t indices[LENET_PARAMETERS];
    uint64_t numbers[LENET_TENSORS]; /* of the tensors in the file */
    size_t book_of[LENET_TENSORS];   /* n_books: the tensor is stored as it is */
    book books[LENET_TENSORS];
    size_t n_books;
    size_t n_levels; /* of all books */
    float *levels;
    float *steps; /* the gradient by level that is followed */
    double *sums;
    uint64_t *counts;
    uint8_t *is_fixed;
    lenet_net *net;
    float *d_outputs;
    batches batches;
    adam adam;
} tuner;

/* ---- From the file --------------------------------------------------------------------------- */

static bool refuse(nq_status status, fault *f)
{
    return fault_set(f, status == NQ_E_NOMEM ? FAULT_MEMORY : FAULT_FORMAT, "fine-tuning: %s",
                     nq_status_text(status));
}

/* The number of the tensor's book, a new one where its id was not met before. */
static size_t find_book(tuner *t, const nq_tensor_info *info, uint64_t tensor)
{
    for (size_t i = 0; i < t->n_books; i++)
        if (t->books[i].id == info->codebook)
            return i;
    t->books[t->n_books] = (book){
        .id = info->codebook, .n_levels = info->n_levels, .first = t->n_levels, .tensor = tensor};
    t->n_levels += info->n_levels;
    return t->n_books++;
}

static nq_status find_books(tuner *t, const nq_reader *model)
{
    size_t found[LENET_TENSORS];
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        nq_tensor_info info;
        nq_tensor_info_init(&info);
        const char *name = lenet_tensors[i].name;
        nq_status status = nq_reader_find(model, name, strlen(name), &t->numbers[i]);
        if (status == NQ_OK)
            status = nq_reader_tensor(model, t->numbers[i], &info);
        if (status != NQ_OK)
            return status;
        found[i] = info.codec == NQ_CODEC_STORED ? SIZE_MAX : find_book(t, &info, t->numbers[i]);
    }
    for (size_t i = 0; i < LENET_TENSORS; i++)
        t->book_of[i] = found[i] < t->n_books ? found[i] : t->n_books;
    return NQ_OK;
}

static nq_status read_indices(tuner *t, const nq_reader *model, size_t i)
{
    const lenet_tensor *tensor = &lenet_tensors[i];
    nq_decoder *decoder;
    const float *levels = NULL;
    size_t n_levels = 0;
    nq_status status = nq_decoder_create(&decoder, NULL, model, t->numbers[i], NULL, NULL);
    if (status == NQ_OK)
        status = nq_decoder_read_indices(decoder, 0, tensor->count, t->indices + tensor->first);
    if (status == NQ_OK)
        status = nq_decoder_codebook(decoder, &levels, &n_levels);
    if (status == NQ_OK)
        memcpy(t->levels + t->books[t->book_of[i]].first, levels, n_levels * sizeof *levels);
    nq_decoder_destroy(decoder);
    return status;
}

static bool reserve(tuner *t)
{
    t->levels = calloc(t->n_levels + 1, sizeof *t->levels);
    t->steps = calloc(t->n_levels + 1, sizeof *t->steps);
    t->sums = calloc(t->n_levels + 1, sizeof *t->sums);
    t->counts = calloc(t->n_levels + 1, sizeof *t->counts);
    t->is_fixed = calloc(t->n_levels + 1, sizeof *t->is_fixed);
    return t->levels && t->steps && t->sums && t->counts && t->is_fixed &&
           adam_create(&t->adam, t->n_levels);
}

static bool read_books(tuner *t, const nq_reader *model, fault *f)
{
    nq_status status = find_books(t, model);
    if (status != NQ_OK)
        return refuse(status, f);
    if (!reserve(t))
        return fault_memory(f, "fine-tuning");
    for (size_t i = 0; status == NQ_OK && i < LENET_TENSORS; i++)
        if (t->book_of[i] < t->n_books)
            status = read_indices(t, model, i);
    return status == NQ_OK || refuse(status, f);
}

static bool read_file(tuner *t, const memfile *file, fault *f)
{
    nq_reader *model;
    const nq_status status = nq_reader_open(&model, NULL, file->bytes, file->n_bytes, NULL);
    if (status != NQ_OK)
        return refuse(status, f);
    const bool is_read =
        weights_decode(t->weights, model, "fine-tuning", f) && read_books(t, model, f);
    nq_reader_destroy(model);
    return is_read;
}

/* ---- Levels and gradients -------------------------------------------------------------------- */

static void look_up(tuner *t)
{
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        if (t->book_of[i] == t->n_books)
            continue;
        const float *levels = t->levels + t->books[t->book_of[i]].first;
        const lenet_tensor *tensor = &lenet_tensors[i];
        for (size_t j = tensor->first; j < tensor->first + tensor->count; j++)
            t->weights[j] = levels[t->indices[j]];
    }
}

/* Sums of the weights' gradients by level, and how many weights there are. */
static nq_status add_gradients(tuner *t)
{
    memset(t->sums, 0, t->n_levels * sizeof *t->sums);
    memset(t->counts, 0, t->n_levels * sizeof *t->counts);
    nq_status status = NQ_OK;
    for (size_t i = 0; status == NQ_OK && i < LENET_TENSORS; i++) {
        if (t->book_of[i] == t->n_books)
            continue;
        const book *b = &t->books[t->book_of[i]];
        const nq_tensor gradient = weights_tensor(&lenet_tensors[i], t->gradient);
        status = nq_level_gradients(t->sums + b->first, t->counts + b->first, b->n_levels, NULL,
                                    t->indices + lenet_tensors[i].first, &gradient);
    }
    return status;
}

static void fix_levels(tuner *t)
{
    for (size_t i = 0; i < t->n_books; i++) {
        const book *b = &t->books[i];
        uint64_t n_weights = 0;
        for (size_t j = b->first; j < b->first + b->n_levels; j++)
            n_weights += t->counts[j];
        for (size_t j = b->first; j < b->first + b->n_levels; j++)
            t->is_fixed[j] = 2 * t->counts[j] > n_weights;
    }
}

/* ---- The training ---------------------------------------------------------------------------- */

static uint32_t next_batch(tuner *t)
{
    const uint32_t n = batches_next(&t->batches, &t->random);
    if (n > 0)
        return n;
    batches_shuffle(&t->batches, &t->random);
    return batches_next(&t->batches, &t->random);
}

static nq_status step(tuner *t, uint32_t number)
{
    const uint32_t n = next_batch(t);
    const float left = (float)(t->options.steps - number) / (float)t->options.steps;
    look_up(t);
    const float *outputs = lenet_forward(t->net, t->weights, t->batches.images, n);
    lenet_loss(t->d_outputs, outputs, t->batches.labels, n);
    memset(t->gradient, 0, sizeof t->gradient);
    lenet_backward(t->net, t->weights, t->d_outputs, t->gradient, n);
    const nq_status status = add_gradients(t);
    if (status != NQ_OK)
        return status;
    if (number == 0)
        fix_levels(t);
    for (size_t i = 0; i < t->n_levels; i++)
        t->steps[i] = t->is_fixed[i] ? 0 : (float)t->sums[i];
    adam_step(&t->adam, t->levels, t->steps, t->options.rate * left);
    return NQ_OK;
}

static nq_status write_levels(const tuner *t, memfile *file)
{
    nq_status status = NQ_OK;
    for (size_t i = 0; status == NQ_OK && i < t->n_books; i++)
        status = nq_file_set_levels(file->bytes, file->n_bytes, NULL, t->books[i].tensor,
                                    t->levels + t->books[i].first, t->books[i].n_levels, NULL);
    return status;
}

static bool train(tuner *t, memfile *file, fault *f)
{
    nq_status status = NQ_OK;
    for (uint32_t i = 0; status == NQ_OK && i < t->options.steps; i++)
        status = step(t, i);
    if (status == NQ_OK)
        status = write_levels(t, file);
    return status == NQ_OK || refuse(status, f);
}

static void tuner_destroy(tuner *t)
{
    free(t->levels);
    free(t->steps);
    free(t->sums);
    free(t->counts);
    free(t->is_fixed);
    free(t->d_outputs);
    lenet_net_destroy(t->net);
    batches_free(&t->batches);
    adam_free(&t->adam);
    free(t);
}

bool tune_levels(memfile *file, const idx_set *set, size_t count, const tune_options *options,
                 fault *f)
{
    tuner *t = calloc(1, sizeof *t);
    if (!t)
        return fault_memory(f, "fine-tuning");
    t->options = *options;
    t->random = options->seed;
    t->net = lenet_net_create(options->batch);
    t->d_outputs = malloc(options->batch * IDX_CLASSES * sizeof(float));
    const bool has_room =
        t->net && t->d_outputs &&
        batches_create(&t->batches, set, (uint32_t)count, options->batch, options->shift);
    const bool is_done =
        (has_room || fault_memory(f, "fine-tuning")) && read_file(t, file, f) && train(t, file, f);
    tuner_destroy(t);
    return is_done;
}
