/*
 * Sharing the places of a rANS table out to classes, for the least cost. In integers, so that all
 * machines find the same shares.
 */
#include "codec/rans_fit.h"

/* What a place more saves class i, what one less costs it; weights are below 2^32. */
static uint64_t gain_of_more(uint64_t weight, unsigned frequency)
{
    return weight * (nqi_rans_class_cost(frequency) - nqi_rans_class_cost(frequency + 1));
}

static uint64_t price_of_less(uint64_t weight, unsigned frequency)
{
    return weight * (nqi_rans_class_cost(frequency - 1) - nqi_rans_class_cost(frequency));
}

/* The class to which one more place is worth most; the first of equals. */
static unsigned neediest(const uint16_t *frequency, const uint64_t *weights, unsigned n,
                         uint64_t *gain)
{
    unsigned best = 0;
    *gain = 0;
    for (unsigned i = 0; i < n; i++) {
        const uint64_t g =
            frequency[i] < NQI_RANS_SLOTS ? gain_of_more(weights[i], frequency[i]) : 0;
        if (i == 0 || g > *gain) {
            best = i;
            *gain = g;
        }
    }
    return best;
}

/* The class that misses one place least; n if none can give one. */
static unsigned richest(const uint16_t *frequency, const uint64_t *weights, unsigned n,
                        uint64_t *price)
{
    unsigned best = n;
    *price = UINT64_MAX;
    for (unsigned i = 0; i < n; i++) {
        if (frequency[i] < 2)
            continue;
        const uint64_t p = price_of_less(weights[i], frequency[i]);
        if (best == n || p < *price) {
            best = i;
            *price = p;
        }
    }
    return best;
}

/* Starts from rounded shares, and moves places while that saves anything: as costs are convex in
 * the frequencies, no other sharing is better then. */
void nqi_rans_share_few(uint16_t *frequency, const uint64_t *weights, unsigned n)
{
    uint64_t total = 0, gain, price;
    unsigned sum = 0;
    for (unsigned i = 0; i < n; i++)
        total += weights[i];
    for (unsigned i = 0; i < n; i++) {
        const uint64_t share = (weights[i] * NQI_RANS_SLOTS + total / 2) / total;
        frequency[i] = (uint16_t)NQI_MAX(share, 1);
        sum += frequency[i];
    }
    for (; sum > NQI_RANS_SLOTS; sum--)
        frequency[richest(frequency, weights, n, &price)]--;
    for (; sum < NQI_RANS_SLOTS; sum++)
        frequency[neediest(frequency, weights, n, &gain)]++;
    for (;;) {
        const unsigned to = neediest(frequency, weights, n, &gain);
        const unsigned from = richest(frequency, weights, n, &price);
        if (from == n || from == to || gain <= price)
            return;
        frequency[to]++;
        frequency[from]--;
    }
}

void nqi_rans_share_places(uint16_t *frequency, const uint64_t *weights, unsigned n)
{
    uint64_t scaled[NQI_RANS_SLOTS];
    uint64_t sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += weights[i];
    const unsigned shift = nqi_rans_shift_for(sum);
    for (unsigned i = 0; i < n; i++)
        scaled[i] = sum > 0 ? weights[i] >> shift : 1;
    nqi_rans_share_few(frequency, scaled, n);
}
