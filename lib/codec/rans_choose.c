/*
 * Which table a sub-block takes: the one with which its symbols, and telling the choice, cost
 * least.
 */
#include "codec/rans_enc.h"

/* ---- Costs --------------------------------------------------------------------------------- */

/* Of a symbol without a code: more than any has, and no overflow in the largest sub-block. */
#define NEVER UINT16_MAX

static_assert(((uint64_t)NEVER << NQI_RANS_MAX_SUB_LOG2) * 2 < UINT32_MAX,
              "gaps and values of a sub-block");

static uint16_t rounded_cost(const nqi_rans_coder *coder, uint32_t symbol)
{
    enum { SHIFT = NQI_RANS_COST_LOG2 - 8 };
    const uint32_t cost = nqi_rans_coder_cost(coder, symbol);
    return cost == NQI_RANS_NO_COST ? NEVER : (uint16_t)((cost + (1u << (SHIFT - 1))) >> SHIFT);
}

static void add_without_row(uint32_t *costs, const nqi_rans_coder *coders, uint32_t n_tables,
                            uint32_t symbol)
{
    for (uint32_t t = 0; t < n_tables; t++)
        costs[t] += rounded_cost(&coders[t], symbol);
}

void nqi_rans_add_costs(uint32_t *costs, const nqi_rans_encoder *e, const nqi_rans_rows *rows,
                        const nqi_rans_coder *coders, const uint16_t *symbols, size_t n)
{
    size_t n_left = n;
    if (rows->n > 0)
        n_left = e->kernels->add_rows(costs, rows->rows[0], rows->n, symbols, n);
    for (size_t i = 0; n_left > 0; i++)
        if (symbols[i] >= rows->n) {
            add_without_row(costs, coders, e->n_tables, symbols[i]);
            n_left--;
        }
}

void nqi_rans_fill_rows(nqi_rans_rows *rows, const nqi_rans_coder *coders, uint32_t n_tables)
{
    for (uint32_t i = 0; i < rows->n; i++)
        for (uint32_t t = 0; t < n_tables; t++)
            rows->rows[i][t] = rounded_cost(&coders[t], i);
}

/* ---- The cheapest way ---------------------------------------------------------------------- */

void nqi_rans_ways_begin(nqi_rans_ways *ways, const nqi_rans_coder *steps, uint32_t n_tables,
                         unsigned before)
{
    *ways = (nqi_rans_ways){.n_tables = n_tables};
    for (uint32_t t = 0; t < n_tables; t++) {
        ways->costs[t] = t == before ? 0 : UINT32_MAX / 4;
        ways->step_costs[t] = ways->step_costs[n_tables + t] =
            steps->cost[t] >> (NQI_RANS_COST_LOG2 - 8);
    }
}

static unsigned difference(unsigned to, unsigned from, uint32_t n_tables)
{
    return to >= from ? to - from : to + n_tables - from;
}

void nqi_rans_ways_end(const nqi_rans_ways *ways, uint8_t *choices, uint8_t *steps,
                       const uint8_t *from, size_t n_subs)
{
    unsigned table = 0;
    for (unsigned t = 1; t < ways->n_tables; t++)
        if (ways->costs[t] < ways->costs[table])
            table = t;
    for (size_t i = n_subs; i-- > 0;) {
        const unsigned before = from[i * NQI_RANS_MAX_TABLES + table];
        choices[i] = (uint8_t)table;
        steps[i] = (uint8_t)difference(table, before, ways->n_tables);
        table = before;
    }
}
