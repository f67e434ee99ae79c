/*
 * What rANS tables cost, in fractions of a bit. In integers, so that it is the same on all
 * machines.
 */
#include "codec/rans_fit.h"

#include "base/checked.h"
#include "base/log2.h"

/* 2^COST_LOG2 * (8 - log2 f), rounded, for f = 1..256: tests/unit/test_rans.c computes them again.
 */
static const uint32_t class_costs[NQI_RANS_SLOTS + 1] = {
    0,     32768, 28672, 26276, 24576, 23257, 22180, 21269, 20480, 19784, 19161, 18598, 18084,
    17611, 17173, 16765, 16384, 16026, 15688, 15368, 15065, 14777, 14502, 14239, 13988, 13747,
    13515, 13292, 13077, 12870, 12669, 12476, 12288, 12106, 11930, 11758, 11592, 11430, 11272,
    11119, 10969, 10823, 10681, 10542, 10406, 10273, 10143, 10016, 9892,  9770,  9651,  9534,
    9419,  9306,  9196,  9088,  8981,  8876,  8774,  8673,  8573,  8476,  8380,  8285,  8192,
    8100,  8010,  7921,  7834,  7747,  7662,  7579,  7496,  7414,  7334,  7255,  7176,  7099,
    7023,  6948,  6873,  6800,  6727,  6656,  6585,  6515,  6446,  6378,  6310,  6243,  6177,
    6112,  6047,  5984,  5920,  5858,  5796,  5735,  5674,  5614,  5555,  5496,  5438,  5380,
    5323,  5266,  5210,  5155,  5100,  5046,  4992,  4938,  4885,  4833,  4780,  4729,  4678,
    4627,  4577,  4527,  4477,  4428,  4380,  4331,  4284,  4236,  4189,  4142,  4096,  4050,
    4004,  3959,  3914,  3870,  3825,  3781,  3738,  3694,  3651,  3609,  3566,  3524,  3483,
    3441,  3400,  3359,  3318,  3278,  3238,  3198,  3159,  3119,  3080,  3042,  3003,  2965,
    2927,  2889,  2852,  2814,  2777,  2741,  2704,  2668,  2631,  2596,  2560,  2524,  2489,
    2454,  2419,  2384,  2350,  2316,  2282,  2248,  2214,  2181,  2147,  2114,  2081,  2049,
    2016,  1984,  1951,  1919,  1888,  1856,  1824,  1793,  1762,  1731,  1700,  1669,  1639,
    1608,  1578,  1548,  1518,  1488,  1459,  1429,  1400,  1371,  1342,  1313,  1284,  1255,
    1227,  1199,  1170,  1142,  1114,  1087,  1059,  1031,  1004,  977,   950,   922,   896,
    869,   842,   816,   789,   763,   737,   710,   684,   659,   633,   607,   582,   556,
    531,   506,   481,   456,   431,   406,   381,   357,   332,   308,   284,   260,   235,
    211,   188,   164,   140,   117,   93,    70,    46,    23,    0,
};

uint32_t nqi_rans_class_cost(unsigned frequency)
{
    return class_costs[frequency];
}

uint32_t nqi_rans_share_cost(uint64_t part, uint64_t whole)
{
    const double bits = nqi_log2((double)whole) - nqi_log2((double)part);
    return (uint32_t)nqi_floor_i64(bits * (double)(1u << NQI_RANS_COST_LOG2) + 0.5);
}

uint32_t nqi_rans_symbol_cost(const nqi_rans_model *model, uint32_t symbol)
{
    const uint32_t upper = symbol >> model->low_bits;
    const uint32_t at = upper - model->first; /* large below the window */
    if (at < model->span && model->frequency[at] > 0)
        return nqi_rans_class_cost(model->frequency[at]) + (model->low_bits << NQI_RANS_COST_LOG2);
    if (model->rest == 0)
        return NQI_RANS_NO_COST;
    const unsigned length = nqi_rans_escape_length(&model->escapes, upper);
    return nqi_rans_class_cost(model->rest) + ((model->low_bits + length) << NQI_RANS_COST_LOG2);
}

static uint64_t add_product(uint64_t sum, uint64_t a, uint32_t b)
{
    if (b != 0 && a > (UINT64_MAX - sum) / b)
        return UINT64_MAX;
    return sum + a * b;
}

uint64_t nqi_rans_counts_cost(const nqi_rans_model *model, const uint64_t *counts,
                              uint32_t n_counts)
{
    uint64_t cost = 0;
    uint32_t known_upper = UINT32_MAX, known = 0;
    for (uint32_t i = 0; i < n_counts; i++) {
        if (counts[i] == 0)
            continue;
        if (i >> model->low_bits != known_upper) {
            known_upper = i >> model->low_bits;
            known = nqi_rans_symbol_cost(model, i);
        }
        if (known != NQI_RANS_NO_COST)
            cost = add_product(cost, counts[i], known);
    }
    return cost;
}
