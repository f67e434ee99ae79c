/*
 * Tensors that are stored as they are count among the others: their elements, and their energy, for
 * the distortion of the whole model.
 */
#include "model/model.h"

uint64_t nqi_model_kept_bytes(const nqi_model_tensor *t)
{
    const uint64_t bits = nq_dtype_bits(t->desc.dtype);
    return t->codec != NQ_CODEC_STORED ? t->code_bytes : t->n / 8 * bits + t->n % 8 * bits / 8;
}

static void measure_chunk(void *arg, const nqi_chunk *chunk)
{
    const nqi_model_tensor *t = arg;
    nqi_distortion_lanes *lanes = chunk->slot;
    double w[NQI_SLICE_ELEMS];
    *lanes = (nqi_distortion_lanes){.n = 0};
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        nqi_view_f64(w, &t->view, chunk->first + done, n);
        nqi_distortion_add_same(lanes, w, n);
    }
}

static nq_status merge_chunk(void *arg, const nqi_chunk *chunk)
{
    nqi_model_tensor *t = arg;
    nqi_distortion_merge(&t->distortion, chunk->slot);
    return NQ_OK;
}

static uint64_t count_elements(const void *parts, size_t part)
{
    (void)part;
    return ((const nqi_model_tensor *)parts)->n;
}

/* Floating tensors that are kept count as elements without distortion. */
nq_status nqi_model_measure_kept(nqi_model *m, nqi_model_tensor *t)
{
    void *slots;
    t->distortion = (nqi_distortion){.n = 0};
    if (!nqi_view_can_quantize(t->desc.dtype) || t->n == 0)
        return NQ_OK;
    nqi_pass pass = {.env = &m->env,
                     .list = {.n_elems = count_elements, .parts = t, .n = 1},
                     .slot_bytes = sizeof(nqi_distortion_lanes),
                     .work = measure_chunk,
                     .fold = merge_chunk,
                     .arg = t};
    pass.n_slots = nqi_pass_slots(&m->env, &pass.list, pass.slot_bytes);
    NQI_TRY(nqi_alloc(&slots, &m->env.allocator, pass.n_slots, pass.slot_bytes));
    pass.slots = slots;
    const nq_status status = nqi_pass_run(&pass);
    nqi_free(&m->env.allocator, slots, pass.n_slots, pass.slot_bytes);
    return status;
}
