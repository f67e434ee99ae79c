/*
 * The rate-distortion rule: see rule.h.
 */
#include "ecsq/rule.h"

#include <assert.h>

/* ---- Life ---------------------------------------------------------------------------------- */

/* Two lists of winners and two of thresholds, in one block. */
#define BYTES_PER_LEVEL (2 * (sizeof(double) + sizeof(uint32_t)))

nq_status nqi_rule_create(nqi_rule *rule, const nqi_allocator *a, size_t max_k)
{
    void *memory;
    *rule = (nqi_rule){.capacity = max_k};
    NQI_TRY(nqi_alloc(&memory, a, max_k, BYTES_PER_LEVEL));
    rule->dear.thresholds = memory;
    rule->cheap.thresholds = rule->dear.thresholds + max_k;
    rule->dear.winners = (uint32_t *)(void *)(rule->cheap.thresholds + max_k);
    rule->cheap.winners = rule->dear.winners + max_k;
    return NQ_OK;
}

void nqi_rule_free(nqi_rule *rule, const nqi_allocator *a)
{
    nqi_free(a, rule->dear.thresholds, rule->capacity, BYTES_PER_LEVEL);
    *rule = (nqi_rule){.capacity = 0};
}

/* ---- Envelopes ----------------------------------------------------------------------------- */

/* Where level b > a becomes cheaper than a. Costs over h are (w - c)^2 + price l, whose difference
 * is linear in w. */
static double crossing(const nqi_priced_levels *p, double price, size_t a, size_t b)
{
    const double ca = p->levels[a], cb = p->levels[b];
    return 0.5 * (ca + cb) + price * (p->lengths[b] - p->lengths[a]) / (2 * (cb - ca));
}

/* A level that would win only above the place where the next one wins already never does. */
static void set_envelope(nqi_envelope *e, const nqi_priced_levels *p, double price)
{
    e->n = 1;
    e->winners[0] = 0;
    for (size_t j = 1; j < p->k; j++) {
        double at = crossing(p, price, e->winners[e->n - 1], j);
        while (e->n > 1 && at <= e->thresholds[e->n - 2]) {
            e->n--;
            at = crossing(p, price, e->winners[e->n - 1], j);
        }
        e->thresholds[e->n - 1] = at;
        e->winners[e->n++] = (uint32_t)j;
    }
}

size_t nqi_envelope_find(const nqi_envelope *e, double w)
{
    size_t low = 0, high = e->n - 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (w > e->thresholds[middle])
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- Rule ---------------------------------------------------------------------------------- */

void nqi_rule_set(nqi_rule *rule, const nqi_priced_levels *priced, double lambda, double h_min,
                  double h_max)
{
    assert(priced->k >= 1 && priced->k <= rule->capacity);
    rule->priced = *priced;
    rule->lambda = lambda;
    rule->is_single = h_min == h_max;
    set_envelope(&rule->dear, priced, lambda / h_max);
    if (!rule->is_single)
        set_envelope(&rule->cheap, priced, lambda / h_min);
}

/* The first level that is not below a value. */
static size_t first_level_from(const nqi_priced_levels *p, double value)
{
    size_t low = 0, high = p->k;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (p->levels[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/*
 * As lambda / h rises, the winner's length falls and its distance grows (each winner beats the
 * other at its own price). So a winner in between has a length in between, and is no farther away
 * than the one at the largest price; over weights low..high that leaves an interval of levels.
 */
size_t nqi_rule_candidates(uint32_t *candidates, const nqi_rule *rule, double low, double high,
                           uint32_t dear, uint32_t cheap)
{
    const nqi_priced_levels *p = &rule->priced;
    const double level = p->levels[cheap];
    const double reach = NQI_MAX(level > low ? level - low : low - level,
                                 level > high ? level - high : high - level);
    const double slack = 1e-9 * reach; /* for rounding */
    const double most = p->lengths[dear] * (1 + 1e-12), least = p->lengths[cheap] * (1 - 1e-12);
    const double begin = low - reach - slack, end = high + reach + slack;
    size_t n = 0;
    for (size_t j = first_level_from(p, begin); j < p->k && p->levels[j] <= end; j++)
        if (j == dear || j == cheap || (p->lengths[j] >= least && p->lengths[j] <= most))
            candidates[n++] = (uint32_t)j;
    return n;
}

uint32_t nqi_rule_compare(const nqi_rule *rule, const uint32_t *candidates, size_t n, double w,
                          double h)
{
    const nqi_priced_levels *p = &rule->priced;
    uint32_t best = candidates[0];
    double least = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t j = candidates[i];
        const double away = w - p->levels[j];
        const double cost = h * (away * away) + rule->lambda * p->lengths[j];
        if (i == 0 || cost < least) {
            least = cost;
            best = j;
        }
    }
    return best;
}

/* nqi_rule_compare over the levels that nqi_rule_candidates would list for one weight. */
static uint32_t compare_around(const nqi_rule *rule, double w, double h, uint32_t dear,
                               uint32_t cheap)
{
    const nqi_priced_levels *p = &rule->priced;
    const double reach = p->levels[cheap] > w ? p->levels[cheap] - w : w - p->levels[cheap];
    const double most = p->lengths[dear] * (1 + 1e-12),
                 least_length = p->lengths[cheap] * (1 - 1e-12);
    const double end = w + reach * (1 + 1e-9);
    uint32_t best = cheap;
    double least = -1;
    for (size_t j = first_level_from(p, w - reach * (1 + 1e-9)); j < p->k && p->levels[j] <= end;
         j++) {
        if (j != dear && j != cheap && (p->lengths[j] < least_length || p->lengths[j] > most))
            continue;
        const double away = w - p->levels[j];
        const double cost = h * (away * away) + rule->lambda * p->lengths[j];
        if (least < 0 || cost < least) {
            least = cost;
            best = (uint32_t)j;
        }
    }
    return best;
}

uint32_t nqi_rule_apply(const nqi_rule *rule, double w, double h)
{
    const uint32_t dear = rule->dear.winners[nqi_envelope_find(&rule->dear, w)];
    if (rule->is_single)
        return dear;
    const uint32_t cheap = rule->cheap.winners[nqi_envelope_find(&rule->cheap, w)];
    return dear == cheap ? dear : compare_around(rule, w, h, dear, cheap);
}

uint32_t nqi_shortest_level(const nqi_priced_levels *priced)
{
    uint32_t shortest = 0;
    for (size_t j = 1; j < priced->k; j++)
        if (priced->lengths[j] < priced->lengths[shortest])
            shortest = (uint32_t)j;
    return shortest;
}
