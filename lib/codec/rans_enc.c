/*
 * rANS encoders: made from counts with one table, or from a plan with several; what they cost. The
 * blocks are written in rans_block_enc.c.
 */
#include "codec/rans_enc.h"

#include <string.h>

#include "base/checked.h"
#include "base/log2.h"
#include "nq/types.h"

#define ALIGNMENT 64u
#define ONE_BIT   (1u << NQI_RANS_COST_LOG2)

/* ---- Memory -------------------------------------------------------------------------------- */

/* Where the parts of an encoder lie, from its begin. */
typedef struct parts {
    size_t values;
    size_t gaps;
    size_t steps;
    size_t value_rows;
    size_t gap_rows;
    size_t costs;
    size_t description;
    size_t total;
} parts;

static size_t place(size_t *end, size_t n, size_t size)
{
    const size_t at = (*end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *end = at + n * size;
    return at;
}

/* No sum overflows: there are at most 65,536 levels. */
static parts plan_parts(const nqi_rans_plan *plan, uint32_t n_value_rows, uint32_t n_gap_rows)
{
    parts p;
    size_t end = sizeof(nqi_rans_encoder);
    const size_t n_gap_tables = plan->is_sparse ? plan->n_tables : 0;
    p.values = place(&end, plan->n_tables, sizeof(nqi_rans_coder));
    p.gaps = place(&end, n_gap_tables, sizeof(nqi_rans_coder));
    p.steps = place(&end, plan->n_tables > 1 ? 1 : 0, sizeof(nqi_rans_coder));
    p.value_rows = place(&end, n_value_rows, NQI_RANS_MAX_TABLES * sizeof(uint16_t));
    p.gap_rows = place(&end, n_gap_rows, NQI_RANS_MAX_TABLES * sizeof(uint16_t));
    p.costs = place(&end, plan->n_levels, sizeof(uint32_t));
    p.description =
        place(&end, nqi_rans_description_bound(plan->n_tables + (uint32_t)n_gap_tables), 1);
    p.total = end;
    return p;
}

static void destroy(nqi_encoder *head)
{
    const nqi_rans_encoder *encoder = (nqi_rans_encoder *)(void *)head;
    const nqi_allocator a = head->a;
    nqi_free(&a, head, encoder->n_bytes, 1);
}

/* ---- Making -------------------------------------------------------------------------------- */

static void describe(nqi_rans_bits *bits, const nqi_rans_plan *plan)
{
    const bool has_steps = plan->n_tables > 1;
    nqi_rans_put(bits, plan->n_tables - 1, NQI_RANS_TABLES_WIDTH);
    nqi_rans_put(bits, plan->is_sparse, 1);
    nqi_rans_put(bits, plan->sub_log2 - NQI_RANS_MIN_SUB_LOG2, NQI_RANS_SUB_WIDTH);
    if (plan->is_sparse)
        nqi_rans_put(bits, plan->zero, nqi_bits_for(plan->n_levels));
    if (has_steps)
        nqi_rans_put_steps(bits, plan->step_frequency, plan->n_tables);
    if (plan->is_sparse)
        nqi_rans_put_models(bits, plan->gaps, plan->n_tables);
    nqi_rans_put_models(bits, plan->values, plan->n_tables);
}

/* -log2 of the mean of 2^-cost over the tables, each weighted with its share of indices. */
static uint32_t mixed_cost(const nqi_rans_coder *values, const nqi_rans_plan *plan, uint32_t index)
{
    double sum = 0.0, weights = 0.0;
    if (plan->n_tables == 1)
        return nqi_rans_coder_cost(&values[0], index);
    for (uint32_t t = 0; t < plan->n_tables; t++) {
        const uint32_t cost = nqi_rans_coder_cost(&values[t], index);
        const double weight = (double)plan->weights[t] + 1.0;
        weights += weight;
        if (cost != NQI_RANS_NO_COST)
            sum += weight * nqi_exp2(-(double)cost / ONE_BIT);
    }
    if (sum == 0.0)
        return NQI_RANS_NO_COST;
    return (uint32_t)nqi_floor_i64((nqi_log2(weights) - nqi_log2(sum)) * ONE_BIT + 0.5);
}

static void fill_costs(uint32_t *costs, const nqi_rans_coder *values, const nqi_rans_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_levels; i++) {
        costs[i] = mixed_cost(values, plan, i);
        if (plan->is_sparse && i == plan->zero)
            costs[i] = plan->zero_cost;
        else if (plan->is_sparse && costs[i] != NQI_RANS_NO_COST)
            costs[i] += plan->nonzero_cost;
    }
}

/* What the models of one channel take in a block at most. */
static void survey(const nqi_rans_model *models, uint32_t n, unsigned *max_low_bits,
                   unsigned *escape_bits)
{
    const nqi_rans_escape_code *code = &models[0].escapes;
    *max_low_bits = *escape_bits = 0;
    for (uint32_t t = 0; t < n; t++) {
        *max_low_bits = NQI_MAX(*max_low_bits, models[t].low_bits);
        if (models[t].rest > 0)
            *escape_bits = NQI_RANS_ESCAPE_ONES + NQI_MAX(code->width, code->rice_bits);
    }
}

/* How escapes of upper parts that are bytes are written. */
static void fill_words(uint32_t words[256], const nqi_rans_escape_code *code, unsigned escape_bits)
{
    for (uint32_t i = 0; escape_bits > 0 && code->width <= 8 && i <= code->last; i++)
        words[i] = nqi_rans_escape_word(code, i);
}

static void fill_encoder(nqi_rans_encoder *e, const nqi_rans_plan *plan)
{
    nqi_rans_make_coders(e->values, plan->values, plan->n_tables);
    survey(plan->values, plan->n_tables, &e->max_value_low_bits, &e->value_escape_bits);
    if (plan->is_sparse) {
        nqi_rans_make_coders(e->gaps, plan->gaps, plan->n_tables);
        survey(plan->gaps, plan->n_tables, &e->max_gap_low_bits, &e->gap_escape_bits);
    }
    fill_words(e->value_words, &plan->values[0].escapes, e->value_escape_bits);
    if (plan->is_sparse)
        fill_words(e->gap_words, &plan->gaps[0].escapes, e->gap_escape_bits);
    e->has_low_bits = e->max_value_low_bits > 0 || e->max_gap_low_bits > 0;
    if (plan->n_tables > 1)
        nqi_rans_make_steps(e->steps, plan->step_frequency, plan->n_tables);
    nqi_rans_fill_rows(&e->value_rows, e->values, plan->n_tables);
    nqi_rans_fill_rows(&e->gap_rows, e->gaps, plan->n_tables);
}

/* Where everything is in an encoder for the plan. */
static parts plan_encoder(const nqi_rans_plan *plan, uint32_t *n_value_rows, uint32_t *n_gap_rows)
{
    const bool chooses = plan->n_tables > 1;
    *n_value_rows = chooses ? NQI_MIN(plan->n_levels, NQI_RANS_MAX_ROWS) : 0;
    *n_gap_rows = chooses && plan->is_sparse ? NQI_RANS_MAX_ROWS : 0;
    return plan_parts(plan, *n_value_rows, *n_gap_rows);
}

uint64_t nqi_rans_encoder_bytes(const nqi_rans_plan *plan)
{
    uint32_t n_value_rows, n_gap_rows;
    return plan_encoder(plan, &n_value_rows, &n_gap_rows).total;
}

void nqi_rans_encoder_build(void *memory, const nqi_allocator *a, const nqi_rans_plan *plan,
                            uint64_t cpu)
{
    uint32_t n_value_rows, n_gap_rows;
    const parts p = plan_encoder(plan, &n_value_rows, &n_gap_rows);
    uint8_t *base = memory;
    nqi_rans_encoder *e = memory;
    memset(memory, 0, p.total);
    *e =
        (nqi_rans_encoder){.head = {.ops = &nqi_rans_encoder_ops,
                                    .a = *a,
                                    .n_levels = plan->n_levels,
                                    .table = base + p.description},
                           .n_tables = plan->n_tables,
                           .sub_log2 = plan->sub_log2,
                           .is_sparse = plan->is_sparse,
                           .zero = plan->zero,
                           .mean_growth = plan->mean_growth,
                           .values = (nqi_rans_coder *)(void *)(base + p.values),
                           .gaps = (nqi_rans_coder *)(void *)(base + p.gaps),
                           .steps = (nqi_rans_coder *)(void *)(base + p.steps),
                           .value_rows = {.rows = (void *)(base + p.value_rows), .n = n_value_rows},
                           .gap_rows = {.rows = (void *)(base + p.gap_rows), .n = n_gap_rows},
                           .costs = (uint32_t *)(void *)(base + p.costs),
                           .kernels = nqi_rans_push_kernels_for(cpu),
                           .pack = nqi_pack_for(cpu),
                           .n_bytes = p.total};
    nqi_rans_bits bits = {.bytes = base + p.description, .capacity = p.total - p.description};
    describe(&bits, plan);
    e->head.table_bytes = (bits.n_bits + 7) / 8;
    e->head.block_overhead = NQI_RANS_BLOCK_OVERHEAD;
    fill_encoder(e, plan);
}

nq_status nqi_rans_encoder_make(nqi_encoder **out, const nqi_allocator *a,
                                const nqi_rans_plan *plan, uint64_t cpu)
{
    void *memory;
    *out = NULL;
    NQI_TRY(nqi_alloc(&memory, a, nqi_rans_encoder_bytes(plan), 1));
    nqi_rans_encoder_build(memory, a, plan, cpu);
    const nqi_rans_encoder *e = memory;
    fill_costs(e->costs, e->values, plan);
    *out = &((nqi_rans_encoder *)memory)->head;
    return NQ_OK;
}

/* ---- From counts --------------------------------------------------------------------------- */

static uint64_t sum_of(const uint64_t *counts, uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += counts[i];
    return sum;
}

/* Of symbols that occur counts[i] times, on average. */
static uint32_t mean_cost(const nqi_rans_model *model, const uint64_t *counts)
{
    const uint64_t sum = sum_of(counts, model->n_symbols);
    return sum > 0 ? (uint32_t)(nqi_rans_counts_cost(model, counts, model->n_symbols) / sum) : 0;
}

static uint32_t most_frequent(const uint64_t *counts, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (counts[i] > counts[best])
            best = i;
    return best;
}

/* How often gaps would occur if indices were independent, `zeros` of `all` of them zero. */
static void fill_geometric(uint64_t *gaps, uint64_t zeros, uint64_t all)
{
    const double stays = (double)zeros / (double)all;
    double weight = 0x1p40 * (1.0 - stays);
    memset(gaps, 0, NQI_RANS_GAPS * sizeof *gaps);
    for (uint32_t i = 0; i < NQI_RANS_GAPS && weight >= 1.0; i++) {
        gaps[i] = (uint64_t)nqi_floor_i64(weight);
        weight *= stays;
    }
}

/* Pairs take longer to decode than indices: they must be smaller by so much. */
#define SPARSE_SHARE 0.997

typedef struct sparse_plan {
    nqi_rans_model values;
    nqi_rans_model gaps;
    uint32_t gap_cost;
    uint32_t value_cost;
    uint64_t n_nonzero;
} sparse_plan;

static nq_status fit_sparse(sparse_plan *s, const nqi_allocator *a, const nqi_encoder_spec *spec,
                            uint32_t zero, uint64_t total)
{
    void *memory;
    NQI_TRY(nqi_alloc(&memory, a, NQI_RANS_GAPS + NQ_MAX_LEVELS, sizeof(uint64_t)));
    uint64_t *gaps = memory, *values = gaps + NQI_RANS_GAPS;
    const bool is_exact = (spec->flags & NQI_ENCODER_EXACT) != 0;
    memcpy(values, spec->counts, spec->n_levels * sizeof *values);
    values[zero] = 1; /* behind a gap longer than any that can be told */
    fill_geometric(gaps, spec->counts[zero], total);
    nq_status status = nqi_rans_fit(&s->gaps, a, gaps, NQI_RANS_GAPS, false);
    if (status == NQ_OK)
        status = nqi_rans_fit(&s->values, a, values, spec->n_levels, is_exact);
    if (status == NQ_OK) {
        s->gap_cost = mean_cost(&s->gaps, gaps);
        s->value_cost = mean_cost(&s->values, values);
        s->n_nonzero = total - spec->counts[zero];
    }
    nqi_free(a, memory, NQI_RANS_GAPS + NQ_MAX_LEVELS, sizeof(uint64_t));
    return status;
}

/* Below this share of zeros a dense table spends little more on them than they are worth. */
static bool may_be_sparse(uint64_t zeros, uint64_t total)
{
    return zeros < total && zeros >= total - total / 3;
}

static nq_status create(nqi_encoder **out, const nqi_allocator *a, const nqi_encoder_spec *spec)
{
    nqi_rans_model dense;
    sparse_plan sparse;
    const bool is_exact = (spec->flags & NQI_ENCODER_EXACT) != 0;
    const uint64_t total = sum_of(spec->counts, spec->n_levels);
    const uint32_t zero = most_frequent(spec->counts, spec->n_levels);
    *out = NULL;
    NQI_TRY(nqi_rans_fit(&dense, a, spec->counts, spec->n_levels, is_exact));
    const uint32_t dense_cost = mean_cost(&dense, spec->counts);
    nqi_rans_plan plan = {.n_levels = spec->n_levels,
                          .n_tables = 1,
                          .sub_log2 = NQI_RANS_MIN_SUB_LOG2,
                          .values = &dense,
                          .mean_growth =
                              dense_cost - NQI_MIN(dense_cost, dense.low_bits * ONE_BIT)};
    if (may_be_sparse(spec->counts[zero], total)) {
        NQI_TRY(fit_sparse(&sparse, a, spec, zero, total));
        const double pairs = (double)sparse.n_nonzero / (double)total;
        const double sparse_cost = pairs * ((double)sparse.gap_cost + (double)sparse.value_cost);
        if (sparse_cost < SPARSE_SHARE * (double)dense_cost) {
            plan.is_sparse = true;
            plan.zero = zero;
            plan.values = &sparse.values;
            plan.gaps = &sparse.gaps;
            plan.mean_growth = (sparse.gap_cost + sparse.value_cost) / 2;
            plan.zero_cost = nqi_rans_share_cost(spec->counts[zero], total);
            plan.nonzero_cost = nqi_rans_share_cost(sparse.n_nonzero, total);
        }
    }
    return nqi_rans_encoder_make(out, a, &plan, spec->cpu);
}

/* ---- Asking -------------------------------------------------------------------------------- */

static uint64_t payload_bits(const nqi_encoder *head, const uint64_t *counts)
{
    const nqi_rans_encoder *e = (const nqi_rans_encoder *)(const void *)head;
    uint64_t cost = 0;
    for (uint32_t i = 0; i < head->n_levels; i++) {
        uint64_t product;
        if (e->costs[i] == NQI_RANS_NO_COST || counts[i] == 0)
            continue;
        if (!nqi_mul_u64(&product, counts[i], e->costs[i]) || !nqi_add_u64(&cost, cost, product))
            return UINT64_MAX;
    }
    const uint64_t bits = cost >> NQI_RANS_COST_LOG2;
    return bits + bits / NQI_RANS_LANES_SHARE;
}

static uint32_t cost(const nqi_encoder *head, uint32_t index)
{
    const nqi_rans_encoder *e = (const nqi_rans_encoder *)(const void *)head;
    const uint32_t fine = e->costs[index];
    return fine == NQI_RANS_NO_COST ? NQI_COST_NONE : (fine + ONE_BIT / 512) / (ONE_BIT / 256);
}

static uint64_t bound(const nqi_encoder *head, uint64_t n_indices)
{
    return nqi_rans_block_bound((const nqi_rans_encoder *)(const void *)head, n_indices);
}

static nq_status encode(const nqi_encoder *head, uint8_t *out, size_t capacity, size_t *n_bytes,
                        const uint16_t *indices, size_t n_indices)
{
    const nqi_rans_encoder *e = (const nqi_rans_encoder *)(const void *)head;
    const uint64_t wanted = nqi_rans_block_bound(e, n_indices);
    void *memory;
    *n_bytes = 0;
    if (n_indices == 0)
        return NQ_OK;
    if (capacity >= wanted)
        return nqi_rans_encode_block(e, out, n_bytes, indices, n_indices);
    NQI_TRY(nqi_alloc(&memory, &head->a, wanted, 1));
    nq_status status = nqi_rans_encode_block(e, memory, n_bytes, indices, n_indices);
    if (status == NQ_OK && *n_bytes > capacity)
        status = NQ_E_SPACE;
    if (status == NQ_OK)
        memcpy(out, memory, *n_bytes);
    nqi_free(&head->a, memory, wanted, 1);
    return status;
}

const nqi_encoder_ops nqi_rans_encoder_ops = {.create = create,
                                              .destroy = destroy,
                                              .payload_bits = payload_bits,
                                              .bound = bound,
                                              .encode = encode,
                                              .cost = cost};
