/*
 * Two plans: the first, over the survivors alone, finds the values; the second writes all weights,
 * of which no more different values are left than it may have levels, so that it changes none.
 */
#include "survivors.h"

#include <stdlib.h>
#include <string.h>

#include "network.h"
#include "weights.h"

typedef struct survivors {
    float *weights;    /* those that are not zero, of one tensor after another */
    float *importance; /* theirs; NULL without importance */
    size_t first[LENET_TENSORS + 1];
} survivors;

static bool refuse(nq_status status, fault *f)
{
    return fault_set(f, status == NQ_E_NOMEM ? FAULT_MEMORY : FAULT_FORMAT, "quantizing: %s",
                     nq_status_text(status));
}

static void survivors_free(survivors *s)
{
    free(s->weights);
    free(s->importance);
}

static bool survivors_gather(survivors *s, const float *weights, const float *importance)
{
    *s = (survivors){0};
    s->weights = malloc(LENET_PARAMETERS * sizeof(float));
    s->importance = importance ? malloc(LENET_PARAMETERS * sizeof(float)) : NULL;
    if (!s->weights || (importance && !s->importance)) {
        survivors_free(s);
        return false;
    }
    size_t n = 0;
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const lenet_tensor *tensor = &lenet_tensors[i];
        for (size_t j = tensor->first; j < tensor->first + tensor->count; j++) {
            if (weights[j] == 0)
                continue;
            s->weights[n] = weights[j];
            if (importance)
                s->importance[n] = importance[j];
            n++;
        }
        s->first[i + 1] = n;
    }
    return true;
}

static nq_tensor part(const survivors *s, const float *values, size_t i)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = NQ_F32;
    t.rank = 1;
    t.dims[0] = s->first[i + 1] - s->first[i];
    t.name = lenet_tensors[i].name;
    t.name_bytes = (uint32_t)strlen(t.name);
    t.data = values + s->first[i];
    return t;
}

static nq_status plan_survivors(nq_plan *plan, const survivors *s)
{
    nq_status status = NQ_OK;
    for (size_t i = 0; status == NQ_OK && i < LENET_TENSORS; i++) {
        const nq_tensor weights = part(s, s->weights, i);
        nq_tensor importance = weights;
        if (s->importance)
            importance = part(s, s->importance, i);
        status = nq_plan_add(plan, &weights, s->importance ? &importance : NULL, NULL);
    }
    return status;
}

/* Puts the values from the file in the place of the survivors'. */
static nq_status decode_survivors(survivors *s, const memfile *file)
{
    nq_reader *model;
    nq_status status = nq_reader_open(&model, NULL, file->bytes, file->n_bytes, NULL);
    for (size_t i = 0; status == NQ_OK && i < LENET_TENSORS; i++)
        status = nq_reader_decode(model, NULL, i, NQ_F32, 0, s->first[i + 1] - s->first[i],
                                  s->weights + s->first[i], NULL);
    nq_reader_destroy(model);
    return status;
}

static nq_status quantize(survivors *s, const survivors_options *options)
{
    memfile file = {0};
    const nq_sink sink = memfile_sink(&file);
    nq_plan *plan;
    nq_plan_options o;
    nq_plan_options_init(&o);
    o.method = options->method;
    o.target = options->target;
    o.target_value = options->target_value;
    o.importance_power = options->importance_power;
    o.codec = NQ_CODEC_HUFFMAN;
    o.scope = options->scope;
    o.min_elements = 0;
    nq_status status = nq_plan_create(&plan, NULL, &o);
    if (status == NQ_OK)
        status = plan_survivors(plan, s);
    if (status == NQ_OK)
        status = nq_plan_write(plan, &sink);
    if (status == NQ_OK)
        status = decode_survivors(s, &file);
    nq_plan_destroy(plan);
    memfile_free(&file);
    return status;
}

static void scatter(float *weights, const survivors *s)
{
    size_t n = 0;
    for (size_t i = 0; i < LENET_PARAMETERS; i++)
        if (weights[i] != 0)
            weights[i] = s->weights[n++];
}

/* ---- The file -------------------------------------------------------------------------------- */

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* How many different values there are; FAULT_MEMORY. */
static bool count_values(uint32_t *n_values, const float *weights, fault *f)
{
    float *sorted = malloc(LENET_PARAMETERS * sizeof *sorted);
    if (!sorted)
        return fault_memory(f, "quantizing");
    memcpy(sorted, weights, LENET_PARAMETERS * sizeof *sorted);
    qsort(sorted, LENET_PARAMETERS, sizeof *sorted, compare_floats);
    *n_values = 1;
    for (size_t i = 1; i < LENET_PARAMETERS; i++)
        *n_values += sorted[i] != sorted[i - 1];
    free(sorted);
    return true;
}

static nq_status write_values(memfile *file, const float *weights, uint32_t n_values,
                              uint64_t original_bytes, const survivors_options *options)
{
    const nq_sink sink = memfile_sink(file);
    nq_plan *plan;
    nq_plan_options o;
    nq_plan_options_init(&o);
    o.method = NQ_METHOD_UNIFORM; /* so fine a step that each value has its own cell */
    o.target = NQ_TARGET_LEVELS;
    o.target_value = n_values;
    o.codec = options->codec;
    o.scope = options->scope;
    o.min_elements = 0;
    o.original_bytes = original_bytes;
    nq_status status = nq_plan_create(&plan, NULL, &o);
    for (size_t i = 0; status == NQ_OK && i < LENET_TENSORS; i++) {
        const nq_tensor t = weights_tensor(&lenet_tensors[i], weights);
        status = nq_plan_add(plan, &t, NULL, NULL);
    }
    if (status == NQ_OK)
        status = nq_plan_write(plan, &sink);
    nq_plan_destroy(plan);
    return status;
}

bool survivors_quantize(memfile *file, float *weights, const float *importance,
                        uint64_t original_bytes, const survivors_options *options, fault *f)
{
    survivors s;
    uint32_t n_values = 0;
    if (!survivors_gather(&s, weights, importance))
        return fault_memory(f, "quantizing");
    nq_status status = quantize(&s, options);
    if (status == NQ_OK)
        scatter(weights, &s);
    survivors_free(&s);
    if (status != NQ_OK)
        return refuse(status, f);
    if (!count_values(&n_values, weights, f))
        return false;
    status = write_values(file, weights, n_values, original_bytes, options);
    return status == NQ_OK || refuse(status, f);
}
