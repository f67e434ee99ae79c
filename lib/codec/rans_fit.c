/*
 * Fitting rANS tables to counts: see rans_fit.h. A table is told by how many low bits are left to
 * the block, which upper parts have classes, and how the places are shared out. The first two are
 * tried, the third follows from them.
 */
#include "codec/rans_fit.h"

#include <string.h>

#include "base/log2.h"

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
        nqi_rans_share_few(t->frequency, weights, n_classes);
    uint64_t bits = u->total * u->low_bits + n * CLASS_BITS + escaped * ESCAPE_BITS;
    if (t->has_escape)
        bits += fit_rice(&t->escapes, u, r, n, escaped > 0);
    t->cost = bits << NQI_RANS_COST_LOG2;
    for (unsigned i = 0; i < n_classes; i++)
        t->cost += weights[i] * nqi_rans_class_cost(t->frequency[i]);
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
    const unsigned shift = nqi_rans_shift_for(sum);
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
