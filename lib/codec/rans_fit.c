/*
 * Fitting rANS tables to counts: see rans_fit.h. A table is told by how many low bits are left to
 * the block, which upper parts have classes, and how the places are shared out. The first two are
 * tried, the third follows from them.
 */
#include "codec/rans_fit.h"

#include <string.h>

#include "base/log2.h"

/* ---- Costs --------------------------------------------------------------------------------- */

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

/* ---- Places -------------------------------------------------------------------------------- */

/* What a place more saves class i, what one less costs it; weights are below 2^32. */
static uint64_t gain_of_more(uint64_t weight, unsigned frequency)
{
    return weight * (class_costs[frequency] - class_costs[frequency + 1]);
}

static uint64_t price_of_less(uint64_t weight, unsigned frequency)
{
    return weight * (class_costs[frequency - 1] - class_costs[frequency]);
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

/* Weights' sum is 1..2^32. Starts from rounded shares, and moves places while that saves anything:
 * as costs are convex in the frequencies, no other sharing is better then. */
static void share_places(uint16_t *frequency, const uint64_t *weights, unsigned n)
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

/* The shift that leaves a sum below 2^32. */
static unsigned shift_for(uint64_t sum)
{
    unsigned shift = 0;
    while (sum >> shift >> 32)
        shift++;
    return shift;
}

void nqi_rans_share_places(uint16_t *frequency, const uint64_t *weights, unsigned n)
{
    uint64_t scaled[NQI_RANS_SLOTS];
    uint64_t sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += weights[i];
    const unsigned shift = shift_for(sum);
    for (unsigned i = 0; i < n; i++)
        scaled[i] = sum > 0 ? weights[i] >> shift : 1;
    share_places(frequency, scaled, n);
}

/* ---- Upper parts --------------------------------------------------------------------------- */

/* A class of every table costs its description; an escape, the decoder's time. */
#define CLASS_BITS  6u
#define ESCAPE_BITS 3u

#define NOT_RANKED UINT8_MAX

/*
 * Upper parts and how often they occur, for one number of low bits. Counts are scaled: at least 1
 * where a symbol occurs, their sum at most 2^33.
 */
typedef struct uppers {
    uint64_t *counts;    /* n_used */
    uint64_t *cumulated; /* n_ranks + 1: of all ranks below */
    uint8_t *order;      /* by rank: which place the class has in the ranking, or NOT_RANKED */
    uint32_t n;
    uint32_t n_used;  /* those from here on do not occur */
    uint32_t n_ranks; /* neither do ranks from here on */
    uint64_t total;
    unsigned low_bits;
    bool is_exact;
    nqi_rans_escape_code escapes; /* the centre, and what follows from n */
} uppers;

/* The classes of a window, the most frequent first. */
typedef struct ranking {
    uint32_t upper[NQI_RANS_MAX_CLASSES];
    uint64_t count[NQI_RANS_MAX_CLASSES];
    unsigned n;
} ranking;

/* The first upper part of the window in which most symbols lie. */
static uint32_t find_window(const uppers *u)
{
    uint64_t sum = 0, most;
    uint32_t best = 0;
    if (u->n_used <= NQI_RANS_MAX_SPAN)
        return 0;
    for (uint32_t i = 0; i < NQI_RANS_MAX_SPAN; i++)
        sum += u->counts[i];
    most = sum;
    for (uint32_t i = NQI_RANS_MAX_SPAN; i < u->n_used; i++) {
        sum += u->counts[i] - u->counts[i - NQI_RANS_MAX_SPAN];
        if (sum > most) {
            most = sum;
            best = i - NQI_RANS_MAX_SPAN + 1;
        }
    }
    return best;
}

static void rank_classes(ranking *r, const uppers *u)
{
    const uint32_t begin = find_window(u);
    const uint32_t end = NQI_MIN(u->n_used, begin + NQI_RANS_MAX_SPAN);
    r->n = 0;
    for (uint32_t i = begin; i < end; i++) {
        const uint64_t count = u->counts[i];
        if (count == 0 || (r->n == NQI_RANS_MAX_CLASSES && count <= r->count[r->n - 1]))
            continue;
        unsigned at = r->n < NQI_RANS_MAX_CLASSES ? r->n++ : r->n - 1;
        for (; at > 0 && r->count[at - 1] < count; at--) {
            r->count[at] = r->count[at - 1];
            r->upper[at] = r->upper[at - 1];
        }
        r->count[at] = count;
        r->upper[at] = i;
    }
}

static uint32_t most_frequent(const uppers *u)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < u->n_used; i++)
        if (u->counts[i] > u->counts[best])
            best = i;
    return best;
}

/* Adds counts up outwards from the centre. */
static void rank_escapes(uppers *u, const ranking *r, uint32_t center)
{
    u->escapes = (nqi_rans_escape_code){
        .last = u->n - 1, .center = center, .width = nqi_rans_width(u->n - 1)};
    u->n_ranks =
        NQI_MAX(nqi_rans_rank(&u->escapes, 0), nqi_rans_rank(&u->escapes, u->n_used - 1)) + 1;
    u->cumulated[0] = 0;
    for (uint32_t rank = 0; rank < u->n_ranks; rank++) {
        const uint32_t upper = nqi_rans_unrank(&u->escapes, rank);
        u->cumulated[rank + 1] = u->cumulated[rank] + (upper < u->n_used ? u->counts[upper] : 0);
    }
    memset(u->order, NOT_RANKED, u->n_ranks);
    for (unsigned i = 0; i < r->n; i++)
        u->order[nqi_rans_rank(&u->escapes, r->upper[i])] = (uint8_t)i;
}

/* ---- Escapes ------------------------------------------------------------------------------- */

/* Of all ranks below. */
static uint64_t cumulated(const uppers *u, uint32_t rank)
{
    return u->cumulated[NQI_MIN(rank, u->n_ranks)];
}

/* Bits of all escapes if the first n_classes of the ranking are none. */
static uint64_t escape_bits(const uppers *u, const ranking *r, unsigned n_classes,
                            const nqi_rans_escape_code *code)
{
    uint64_t bits = 0;
    uint32_t begin = code->offset;
    for (unsigned ones = 0; ones < NQI_RANS_ESCAPE_ONES; ones++) {
        const uint32_t end = NQI_MIN(u->n, begin + (UINT32_C(1) << code->rice_bits));
        bits += (cumulated(u, end) - cumulated(u, begin)) * (ones + 1 + code->rice_bits);
        begin = end;
    }
    bits += (cumulated(u, u->n) - cumulated(u, begin)) * (NQI_RANS_ESCAPE_ONES + code->width);
    for (unsigned i = 0; i < n_classes; i++)
        if (nqi_rans_rank(code, r->upper[i]) >= code->offset)
            bits -= r->count[i] * nqi_rans_escape_length(code, r->upper[i]);
    return bits;
}

/* The first rank that is written: of the first upper part that occurs and has no class, or that has
 * no class if all that occur have one. */
static uint32_t first_rank(const uppers *u, unsigned n_classes, bool has_escapes)
{
    uint32_t rank = 0;
    while (rank < u->n_ranks && ((u->order[rank] != NOT_RANKED && u->order[rank] < n_classes) ||
                                 (has_escapes && u->cumulated[rank + 1] == u->cumulated[rank])))
        rank++;
    return NQI_MIN(rank, u->n - 1);
}

/* The best code for what the first n_classes of the ranking leave; returns its bits. */
static uint64_t fit_rice(nqi_rans_escape_code *code, const uppers *u, const ranking *r,
                         unsigned n_classes, bool has_escapes)
{
    uint64_t least = UINT64_MAX;
    nqi_rans_escape_code tried = u->escapes;
    tried.offset = first_rank(u, n_classes, has_escapes);
    for (; tried.rice_bits <= NQI_RANS_MAX_LOW_BITS; tried.rice_bits++) {
        const bool reaches_all =
            (u->n - 1 - tried.offset) >> tried.rice_bits < NQI_RANS_ESCAPE_ONES;
        const uint64_t bits = has_escapes ? escape_bits(u, r, n_classes, &tried) : 0;
        if (bits < least && (has_escapes || reaches_all)) {
            least = bits;
            *code = tried;
        }
        if (reaches_all)
            break;
    }
    return least;
}

/* ---- Classes ------------------------------------------------------------------------------- */

/* What the first `n` classes of a ranking, and an escape if there must be one, cost. */
typedef struct trial {
    uint64_t cost;
    unsigned n; /* classes, the escape not among them */
    bool has_escape;
    uint16_t frequency[NQI_RANS_MAX_CLASSES + 1]; /* in the ranking's order, the escape last */
    nqi_rans_escape_code escapes;
} trial;

static bool try_classes(trial *t, const ranking *r, const uppers *u, unsigned n)
{
    uint64_t weights[NQI_RANS_MAX_CLASSES + 1];
    uint64_t escaped = u->total;
    for (unsigned i = 0; i < n; i++) {
        weights[i] = r->count[i];
        escaped -= r->count[i];
    }
    weights[n] = escaped;
    *t = (trial){.n = n, .has_escape = escaped > 0 || (!u->is_exact && n < u->n)};
    const unsigned n_classes = n + (t->has_escape ? 1 : 0);
    if (n_classes > NQI_RANS_MAX_CLASSES)
        return false;
    t->frequency[0] = NQI_RANS_SLOTS;
    if (n_classes > 1)
        share_places(t->frequency, weights, n_classes);
    uint64_t bits = u->total * u->low_bits + n * CLASS_BITS + escaped * ESCAPE_BITS;
    if (t->has_escape)
        bits += fit_rice(&t->escapes, u, r, n, escaped > 0);
    t->cost = bits << NQI_RANS_COST_LOG2;
    for (unsigned i = 0; i < n_classes; i++)
        t->cost += weights[i] * class_costs[t->frequency[i]];
    return true;
}

/* The best number of classes. Costs fall, then rise, but for ripples of rounding. */
static void try_ranking(trial *best, const ranking *r, const uppers *u)
{
    enum { PATIENCE = 3 };
    unsigned n_worse = 0;
    *best = (trial){.cost = UINT64_MAX};
    for (unsigned n = r->n; n > 0 && n_worse < PATIENCE; n--) {
        trial t;
        if (!try_classes(&t, r, u, n))
            continue;
        n_worse = t.cost < best->cost ? 0 : n_worse + 1;
        if (t.cost < best->cost)
            *best = t;
    }
}

/* ---- Models -------------------------------------------------------------------------------- */

static void make_model(nqi_rans_model *model, const trial *t, const ranking *r, const uppers *u,
                       uint32_t n_symbols)
{
    uint32_t first = UINT32_MAX, last = 0;
    for (unsigned i = 0; i < t->n; i++) {
        first = NQI_MIN(first, r->upper[i]);
        last = NQI_MAX(last, r->upper[i]);
    }
    *model = (nqi_rans_model){.n_symbols = n_symbols,
                              .first = first,
                              .span = last - first + 1,
                              .low_bits = u->low_bits,
                              .rest = t->has_escape ? t->frequency[t->n] : 0,
                              .escapes = t->escapes};
    if (!t->has_escape)
        model->escapes = u->escapes;
    for (unsigned i = 0; i < t->n; i++)
        model->frequency[r->upper[i] - first] = t->frequency[i];
}

/* Copies counts, scaled so that their sum is at most 2^33; returns the sum. All equal if there are
 * none. */
static uint64_t scale_counts(uint64_t *scaled, const uint64_t *counts, uint32_t n, uint64_t sum)
{
    uint64_t scaled_sum = 0;
    const unsigned shift = shift_for(sum);
    for (uint32_t i = 0; i < n; i++) {
        scaled[i] = sum == 0 ? 1 : counts[i] == 0 ? 0 : NQI_MAX(counts[i] >> shift, 1);
        scaled_sum += scaled[i];
    }
    return scaled_sum;
}

/* Adds neighbours up: counts of upper parts with one low bit more. Returns their number. */
static uint32_t halve(uint64_t *counts, uint32_t n)
{
    const uint32_t half = (n + 1) / 2;
    for (uint32_t i = 0; i < half; i++)
        counts[i] = counts[2 * i] + (2 * i + 1 < n ? counts[2 * i + 1] : 0);
    return half;
}

static uppers make_uppers(uint64_t *scratch, const uint64_t *counts, uint32_t n_counts, uint32_t n)
{
    uppers u = {.counts = scratch, .n = n, .n_used = n_counts};
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n_counts; i++)
        sum += counts[i];
    if (sum == 0)
        u.n_used = n;
    while (sum > 0 && counts[u.n_used - 1] == 0)
        u.n_used--;
    u.cumulated = u.counts + n;
    u.order = (uint8_t *)(u.cumulated + n + 1);
    u.total = scale_counts(u.counts, counts, u.n_used, sum);
    return u;
}

void nqi_rans_fit_in(nqi_rans_model *model, uint64_t *scratch, const uint64_t *counts,
                     uint32_t n_counts, uint32_t n_symbols, bool is_exact)
{
    uint64_t least = UINT64_MAX;
    uppers u = make_uppers(scratch, counts, n_counts, n_symbols);
    u.is_exact = is_exact;
    for (; u.low_bits <= NQI_RANS_MAX_LOW_BITS; u.low_bits++) {
        ranking r;
        trial best;
        if (u.total * ((uint64_t)u.low_bits << NQI_RANS_COST_LOG2) >= least)
            break;
        rank_classes(&r, &u);
        rank_escapes(&u, &r, most_frequent(&u));
        try_ranking(&best, &r, &u);
        if (best.cost < least) {
            least = best.cost;
            make_model(model, &best, &r, &u, n_symbols);
        }
        if (u.n == 1)
            break;
        u.n_used = halve(u.counts, u.n_used);
        u.n = (u.n + 1) / 2;
    }
}

nq_status nqi_rans_fit(nqi_rans_model *model, const nqi_allocator *a, const uint64_t *counts,
                       uint32_t n_symbols, bool is_exact)
{
    void *scratch;
    NQI_TRY(nqi_alloc(&scratch, a, nqi_rans_fit_scratch(n_symbols), sizeof(uint64_t)));
    nqi_rans_fit_in(model, scratch, counts, n_symbols, n_symbols, is_exact);
    nqi_free(a, scratch, nqi_rans_fit_scratch(n_symbols), sizeof(uint64_t));
    return NQ_OK;
}

void nqi_rans_fit_escapes(nqi_rans_escape_code *code, uint64_t *scratch, const uint64_t *counts,
                          uint32_t last, uint32_t center)
{
    const ranking none = {.n = 0};
    uppers u = make_uppers(scratch, counts, last + 1, last + 1);
    rank_escapes(&u, &none, NQI_MIN(center, last));
    (void)fit_rice(code, &u, &none, 0, true);
}

/* ---- Descriptions -------------------------------------------------------------------------- */

void nqi_rans_put(nqi_rans_bits *bits, uint32_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++, bits->n_bits++)
        if (bits->n_bits / 8 < bits->capacity)
            bits->bytes[bits->n_bits / 8] |= (uint8_t)((value >> i & 1) << (bits->n_bits % 8));
}

static void put_frequency(nqi_rans_bits *bits, unsigned frequency, unsigned *width)
{
    const unsigned wanted = nqi_rans_width(frequency);
    nqi_rans_put(bits, 0, nqi_rans_zigzag((int)wanted - (int)*width));
    nqi_rans_put(bits, 1, 1);
    if (wanted > 0)
        nqi_rans_put(bits, frequency & ((1u << (wanted - 1)) - 1), wanted - 1);
    *width = wanted;
}

void nqi_rans_put_steps(nqi_rans_bits *bits, const uint16_t *frequency, uint32_t n_tables)
{
    unsigned width = 1;
    for (uint32_t i = 0; i + 1 < n_tables; i++)
        put_frequency(bits, frequency[i], &width);
}

static void put_model(nqi_rans_bits *bits, const nqi_rans_model *model)
{
    const uint32_t last = nqi_rans_last_upper(model->n_symbols, model->low_bits);
    unsigned width = 1;
    nqi_rans_put(bits, model->low_bits, NQI_RANS_LOW_BITS_WIDTH);
    nqi_rans_put(bits, model->first, nqi_rans_width(last));
    nqi_rans_put(bits, model->span - 1, nqi_rans_span_width(last));
    for (uint32_t i = 0; i < model->span; i++)
        put_frequency(bits, model->frequency[i], &width);
}

void nqi_rans_put_models(nqi_rans_bits *bits, const nqi_rans_model *models, uint32_t n_tables)
{
    const nqi_rans_escape_code *code = &models[0].escapes;
    bool has_escape = false;
    for (uint32_t t = 0; t < n_tables; t++) {
        put_model(bits, &models[t]);
        has_escape |= models[t].rest > 0;
    }
    if (has_escape) {
        nqi_rans_put(bits, code->center, code->width);
        nqi_rans_put(bits, code->offset, code->width);
        nqi_rans_put(bits, code->rice_bits, NQI_RANS_RICE_WIDTH);
    }
}
