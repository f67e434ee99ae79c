/*
 * What became of a plan: sizes, rates and errors, from what the model noted.
 */
#include "api/plan.h"

#include "base/log2.h"
#include "base/versioned.h"

#define PLAN_REPORT_FIRST_SIZE   ((uint32_t)sizeof(nq_plan_report))
#define TENSOR_REPORT_FIRST_SIZE ((uint32_t)sizeof(nq_plan_tensor_report))

static double per_element(uint64_t n_bytes, uint64_t n_elements)
{
    return n_elements ? 8.0 * (double)n_bytes / (double)n_elements : 0.0;
}

/* Floating elements, and those of them that are quantized. */
static void count_elements(uint64_t *n_elements, uint64_t *n_quantized, const nqi_model *m)
{
    *n_elements = *n_quantized = 0;
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        const nqi_model_tensor *t = &m->tensors[i];
        *n_elements += nqi_view_can_quantize(t->desc.dtype) ? t->n : 0;
        *n_quantized += t->group != NQI_NO_GROUP ? t->n : 0;
    }
}

static uint32_t count_codebooks(const nqi_model *m)
{
    uint32_t n = 0;
    for (uint64_t i = 0; i < m->n_groups; i++)
        n += nqi_group_leads(&m->groups[i]);
    return n;
}

static uint32_t count_tables(const nqi_model *m)
{
    uint32_t n = 0;
    for (uint64_t i = 0; i < m->n_groups; i++)
        for (uint32_t k = 0; k < NQI_N_CODES; k++)
            n += k != NQI_CODE_FIXED && m->groups[i].codes[k];
    for (uint64_t i = 0; i < m->n_tensors; i++)
        n += m->tensors[i].own != NULL || m->tensors[i].table != NULL;
    return n;
}

nq_status nq_plan_get_report(const nq_plan *plan, nq_plan_report *report)
{
    if (!plan || !report)
        return NQ_E_ARG;
    const nqi_model *m = &plan->model;
    if (!m->is_solved)
        return NQ_E_STATE;
    nq_plan_report full = {.struct_size = sizeof full,
                           .n_tensors = (uint32_t)m->n_tensors,
                           .n_codebooks = count_codebooks(m),
                           .n_tables = count_tables(m),
                           .original_bytes = nqi_model_original_bytes(m)};
    count_elements(&full.n_elements, &full.n_quantized_elements, m);
    if (m->is_written) {
        full.compressed_bytes = m->file_bytes;
        full.ratio = (double)full.original_bytes / (double)m->file_bytes;
        full.bits_per_weight = per_element(m->file_bytes, full.n_elements);
        full.mse = nqi_distortion_mse(&m->distortion);
        full.sqnr_db = nqi_distortion_sqnr_db(&m->distortion);
        full.max_abs_error = m->distortion.max_abs;
        full.weighted_distortion = m->distortion.weighted;
    }
    return nqi_versioned_write(report, &full, (uint32_t)sizeof full, PLAN_REPORT_FIRST_SIZE);
}

/* Order-0 entropy in bits an element: log2 n - sum(c log2 c) / n. */
static double entropy(const nqi_model_tensor *t)
{
    double sum = 0;
    if (t->n_counts < 2)
        return 0;
    for (uint32_t i = 0; i < t->n_counts; i++)
        sum += (double)t->counts[i].count * nqi_log2((double)t->counts[i].count);
    const double bits = nqi_log2((double)t->n) - sum / (double)t->n;
    return NQI_MAX(bits, 0.0);
}

static void describe_group(nq_plan_tensor_report *r, const nqi_model *m, const nqi_model_tensor *t)
{
    const nqi_model_group *g = &m->groups[t->group];
    r->is_quantized = 1;
    r->method = g->options.method;
    r->n_levels = g->n_numbers;
    r->codebook = g->codebook;
    r->ignores_importance = g->ignores_importance;
    for (uint32_t i = 1; i < g->channel.count; i++)
        r->ignores_importance |= g[i].ignores_importance;
    r->level_rule = g->options.level_rule;
    r->step = nqi_group_step(g);
    r->n_channels = g->channel.count;
    r->entropy_bits = entropy(t);
}

nq_status nq_plan_get_tensor_report(const nq_plan *plan, uint64_t tensor,
                                    nq_plan_tensor_report *report)
{
    if (!plan || !report)
        return NQ_E_ARG;
    const nqi_model *m = &plan->model;
    if (!m->is_solved)
        return NQ_E_STATE;
    if (tensor >= m->n_tensors)
        return NQ_E_ARG;
    const nqi_model_tensor *t = &m->tensors[tensor];
    nq_plan_tensor_report full = {
        .struct_size = sizeof full, .codec = t->codec, .codebook = NQ_NO_ID, .n_elements = t->n};
    if (t->group != NQI_NO_GROUP)
        describe_group(&full, m, t);
    if (m->is_written) {
        full.bytes = t->payload_bytes;
        full.bits_per_weight = per_element(t->payload_bytes, t->n);
        full.mse = nqi_distortion_mse(&t->distortion);
        full.sqnr_db = nqi_distortion_sqnr_db(&t->distortion);
        full.max_abs_error = t->distortion.max_abs;
        full.weighted_distortion = t->distortion.weighted;
    }
    return nqi_versioned_write(report, &full, (uint32_t)sizeof full, TENSOR_REPORT_FIRST_SIZE);
}
