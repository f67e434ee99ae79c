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

static void add_row(uint32_t *costs, const uint16_t *row)
{
    for (unsigned t = 0; t < NQI_RANS_MAX_TABLES; t++)
        costs[t] += row[t];
}

void nqi_rans_add_costs(uint32_t *costs, const nqi_rans_rows *rows, const nqi_rans_coder *coders,
                        uint32_t n_tables, const uint16_t *symbols, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (NQI_LIKELY(symbols[i] < rows->n))
            add_row(costs, rows->rows[symbols[i]]);
        else
            for (uint32_t t = 0; t < n_tables; t++)
                costs[t] += rounded_cost(&coders[t], symbols[i]);
    }
}

/* ---- The cheapest way ---------------------------------------------------------------------- */

void nqi_rans_ways_begin(nqi_rans_ways *ways, const nqi_rans_coder *steps, uint32_t n_tables,
                         unsigned before)
{
    *ways = (nqi_rans_ways){.n_tables = n_tables};
    for (uint32_t t = 0; t < n_tables; t++) {
        ways->costs[t] = t == before ? 0 : UINT32_MAX / 4;
        ways->step_costs[t] = (uint16_t)(steps->cost[t] >> (NQI_RANS_COST_LOG2 - 8));
    }
}

static unsigned difference(unsigned to, unsigned from, uint32_t n_tables)
{
    return to >= from ? to - from : to + n_tables - from;
}

/* Costs stay below 2^32: a step costs 8 bits at most, so that after one sub-block no way costs
 * 2^30 + 2^11 more than another, or twice what a sub-block can cost. */
uint32_t nqi_rans_ways_step(nqi_rans_ways *ways, uint8_t *from, const uint32_t *costs)
{
    uint32_t next[NQI_RANS_MAX_TABLES], least = UINT32_MAX;
    for (unsigned to = 0; to < ways->n_tables; to++) {
        uint32_t best = UINT32_MAX;
        for (unsigned t = 0; t < ways->n_tables; t++) {
            const uint32_t cost =
                ways->costs[t] + ways->step_costs[difference(to, t, ways->n_tables)];
            if (cost < best) {
                best = cost;
                from[to] = (uint8_t)t;
            }
        }
        next[to] = best + costs[to];
        least = NQI_MIN(least, next[to]);
    }
    for (unsigned t = 0; t < ways->n_tables; t++)
        ways->costs[t] = next[t] - least;
    return least;
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
