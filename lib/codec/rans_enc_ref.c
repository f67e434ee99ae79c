/*
 * The rANS encoder's kernels in plain C, and the tables that all of them use.
 */
#include "codec/rans_push.h"

#include <string.h>

/* ---- Coders -------------------------------------------------------------------------------- */

#define GROWTH_UNIT (1u << (NQI_RANS_COST_LOG2 - 4))

/* The next class, with `frequency` places from *place on. */
static void add_class(nqi_rans_coder *coder, unsigned *place, unsigned frequency, uint32_t cost)
{
    const unsigned c = coder->n_classes++;
    const unsigned begin = *place, end = begin + frequency;
    const unsigned reciprocal = NQI_MIN(65536u / frequency, 65535u);
    coder->frequency[c] = (uint8_t)frequency;
    coder->begin[c] = (uint8_t)begin;
    coder->reciprocal_low[c] = (uint8_t)reciprocal;
    coder->reciprocal_high[c] = (uint8_t)(reciprocal >> 8);
    coder->inverse[c] = ((1u << 24) + frequency - 1) / frequency;
    coder->cost[c] = cost;
    coder->growth[c] = (uint8_t)((nqi_rans_class_cost(frequency) + GROWTH_UNIT - 1) / GROWTH_UNIT);
    for (unsigned i = begin; i < end; i++) {
        const unsigned slot = nqi_rans_slot_of_place(i);
        coder->slot_of[begin + nqi_rans_slot_rank(slot, begin, end)] = (uint8_t)slot;
    }
    *place = end;
}

static void make_coder(nqi_rans_coder *coder, const nqi_rans_model *model)
{
    const uint32_t low_cost = model->low_bits << NQI_RANS_COST_LOG2;
    unsigned place = 0;
    memset(coder, 0, sizeof *coder);
    memset(coder->class_of, NQI_RANS_UNCODED, sizeof coder->class_of);
    coder->escapes = model->escapes;
    coder->first = model->escapes.width > 8 ? model->first : 0;
    coder->low_bits = model->low_bits;
    coder->escape = NQI_RANS_UNCODED;
    for (uint32_t i = 0; i < model->span; i++) {
        if (model->frequency[i] == 0)
            continue;
        coder->class_of[model->first - coder->first + i] = coder->n_classes;
        add_class(coder, &place, model->frequency[i],
                  low_cost + nqi_rans_class_cost(model->frequency[i]));
    }
    if (model->rest > 0) {
        coder->escape = coder->n_classes;
        add_class(coder, &place, model->rest, low_cost + nqi_rans_class_cost(model->rest));
        for (unsigned i = 0; i < 256; i++)
            if (coder->class_of[i] == NQI_RANS_UNCODED)
                coder->class_of[i] = coder->escape;
    }
    coder->is_constant = coder->n_classes == 1;
}

void nqi_rans_make_coders(nqi_rans_coder *coders, const nqi_rans_model *models, uint32_t n_tables)
{
    for (uint32_t t = 0; t < n_tables; t++)
        make_coder(&coders[t], &models[t]);
}

void nqi_rans_make_steps(nqi_rans_coder *coder, const uint16_t *frequency, uint32_t n_tables)
{
    unsigned place = 0;
    memset(coder, 0, sizeof *coder);
    memset(coder->class_of, NQI_RANS_UNCODED, sizeof coder->class_of);
    coder->escape = NQI_RANS_UNCODED;
    for (uint32_t i = 0; i < n_tables; i++) {
        coder->class_of[i] = (uint8_t)i;
        add_class(coder, &place, frequency[i], nqi_rans_class_cost(frequency[i]));
    }
}

/* The class's slots below the state's own slot are the ranks that would give less. */
uint32_t nqi_rans_least_before(const nqi_rans_coder *coder, unsigned c, uint32_t state)
{
    if (coder->is_constant)
        return state;
    const unsigned f = coder->frequency[c];
    const unsigned begin = coder->begin[c], end = begin + f;
    const unsigned slot = state & (NQI_RANS_SLOTS - 1), q = slot >> 4, at = slot & 15;
    const unsigned low = nqi_rans_run_before(begin, q), high = nqi_rans_run_before(end, q);
    const unsigned rank =
        nqi_rans_slots_before(slot, begin, end) + NQI_MAX(NQI_MIN(at, high), low) - low;
    return (state >> 8) * f + rank;
}

/* ---- Kernels ------------------------------------------------------------------------------- */

static void push_ref(nqi_rans_push *push, const uint8_t *classes, size_t first, size_t n)
{
    const size_t lane_mask = ((size_t)1 << push->lanes_log2) - 1;
    uint8_t *at = push->at;
    for (size_t i = n; i-- > 0;) {
        const nqi_rans_coder *coder = &push->coders[push->choices[(first + i) >> push->sub_log2]];
        if (coder->is_constant)
            continue;
        uint16_t *state = &push->states[(first + i) & lane_mask];
        const unsigned c = classes[i];
        const uint32_t f = coder->frequency[c];
        uint32_t x = *state;
        const uint32_t is_high = x >= f << 8;
        *(at - 1) = (uint8_t)x;
        at -= is_high;
        x >>= 8 * is_high;
        const uint32_t quotient = nqi_rans_quotient(coder, c, x);
        *state = (uint16_t)(quotient << 8 | coder->slot_of[coder->begin[c] + (x - quotient * f)]);
    }
    push->at = at;
}

static size_t classify_ref(uint8_t *classes, uint16_t *escaped, uint16_t *largest,
                           const uint16_t *indices, size_t n, const nqi_rans_coder *coder)
{
    size_t n_escaped = 0;
    for (size_t i = 0; i < n; i++) {
        *largest = NQI_MAX(*largest, indices[i]);
        const uint32_t upper = (uint32_t)indices[i] >> coder->low_bits;
        const uint32_t at = upper - coder->first;
        classes[i] = at < 256 ? coder->class_of[at] : coder->escape;
        escaped[n_escaped] = (uint16_t)upper;
        n_escaped += classes[i] == coder->escape;
    }
    return n_escaped;
}

static size_t add_rows_ref(uint32_t *costs, const uint16_t *rows, uint32_t n_rows,
                           const uint16_t *symbols, size_t n)
{
    size_t n_others = 0;
    for (size_t i = 0; i < n; i++) {
        if (NQI_UNLIKELY(symbols[i] >= n_rows)) {
            n_others++;
            continue;
        }
        const uint16_t *row = rows + (size_t)symbols[i] * NQI_RANS_MAX_TABLES;
        for (unsigned t = 0; t < NQI_RANS_MAX_TABLES; t++)
            costs[t] += row[t];
    }
    return n_others;
}

/* Costs stay below 2^32: a step costs 8 bits at most, so that after one sub-block no way costs
 * 2^30 + 2^11 more than another, or twice what a sub-block can cost. */
static uint32_t step_ways_ref(nqi_rans_ways *ways, uint8_t *from, const uint32_t *costs)
{
    enum { N = NQI_RANS_MAX_TABLES };
    uint32_t next[N], before[N] = {0}, least = UINT32_MAX;
    for (unsigned to = 0; to < N; to++)
        next[to] = UINT32_MAX;
    for (unsigned t = 0; t < ways->n_tables; t++) {
        /* step_costs of to - t, modulo n_tables */
        const uint32_t *steps = ways->step_costs + ways->n_tables - t;
        for (unsigned to = 0; to < N; to++) {
            const uint32_t cost = ways->costs[t] + steps[to];
            before[to] = cost < next[to] ? t : before[to];
            next[to] = cost < next[to] ? cost : next[to];
        }
    }
    for (unsigned to = 0; to < ways->n_tables; to++) {
        next[to] += costs[to];
        least = NQI_MIN(least, next[to]);
    }
    for (unsigned to = 0; to < N; to++) {
        from[to] = (uint8_t)before[to];
        ways->costs[to] = next[to] - least;
    }
    return least;
}

static size_t find_pairs_ref(nqi_rans_pairs *pairs, const uint16_t *indices, size_t n)
{
    nqi_rans_pairs p = *pairs;
    size_t i = 0;
    for (; i < n && p.n < p.most; i++)
        nqi_rans_add_index(&p, indices[i]);
    *pairs = p;
    return i;
}

const nqi_rans_push_kernels nqi_rans_push_kernels_ref = {.push = push_ref,
                                                         .min_lanes_log2 = 0,
                                                         .classify = classify_ref,
                                                         .add_rows = add_rows_ref,
                                                         .step_ways = step_ways_ref,
                                                         .find_pairs = find_pairs_ref};
