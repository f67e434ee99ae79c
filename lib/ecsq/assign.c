/*
 * Assigning rows: see assign.h. In each row the thresholds of both envelopes cut the weights into
 * intervals; where the envelopes agree, the interval is one difference of sums, and elsewhere, a
 * few in a hundred, its weights are looked at. A row with fewer weights than thresholds is gone
 * through weight by weight. Rows are tasks, and their shares are added up in the order of the rows.
 */
#include "ecsq/assign.h"

#include <string.h>

/* Points of some rows from which on they are shared among workers. */
#define PARALLEL_POINTS (UINT32_C(1) << 18)

#define MAX_IN_FLIGHT 16u

/* What a row is worked on with. */
typedef struct place {
    nqi_rule rule;
    nqi_share *shares;
    uint32_t *candidates;
} place;

struct nqi_assigner {
    const nqi_env *env;
    const nqi_rows *rows;
    size_t max_k;
    size_t n_places;
    place places[MAX_IN_FLIGHT];

    /* Of the assignment that runs. */
    const nqi_priced_levels *priced;
    double lambda;
    size_t first_row;
};

/* ---- Weight by weight ---------------------------------------------------------------------- */

static void add_point(nqi_share *share, const nqi_rows *rows, const nqi_row *row, size_t i)
{
    const double x = nqi_row_value(row, i) - rows->centre;
    const double count = row->counts ? row->counts[i] : 1;
    const double h = row->h ? (double)row->h[i] : count;
    share->count += (uint64_t)count;
    share->h += h;
    share->h_x += h * x;
    share->h_x2 += h * x * x;
}

static void assign_points(place *p, const nqi_rows *rows, const nqi_row *row)
{
    for (size_t i = 0; i < row->n; i++) {
        const double h = row->h ? (double)row->h[i] : 1;
        const uint32_t j = nqi_rule_apply(&p->rule, nqi_row_value(row, i), h);
        add_point(&p->shares[j], rows, row, i);
    }
}

/* ---- Intervals ----------------------------------------------------------------------------- */

/* The first point from `at` on whose value is above t: steps, faster and faster, then bisection. */
static size_t find_above(const nqi_row *row, double t, size_t at)
{
    size_t low = at, high = row->n; /* points before low are not above */
    for (size_t step = 1; low < high; step *= 2) {
        const size_t probe = step < high - low ? low + step - 1 : high - 1;
        if (nqi_row_value(row, probe) > t) {
            high = probe;
            break;
        }
        low = probe + 1;
    }
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (nqi_row_value(row, middle) > t)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Two levels a < b: b wins where h (w - middle) is above what its longer code costs. */
static void share_out_two(place *p, const nqi_rows *rows, const nqi_row *row, size_t begin,
                          size_t end, const nqi_share *all)
{
    const nqi_priced_levels *levels = &p->rule.priced;
    const uint32_t a = p->candidates[0], b = p->candidates[1];
    const double distance = levels->levels[b] - levels->levels[a];
    const double middle = 0.5 * (levels->levels[a] + levels->levels[b]);
    const double price =
        p->rule.lambda * (levels->lengths[b] - levels->lengths[a]) / (2 * distance);
    const double shift = middle - rows->centre;
    double count = 0, h_sum = 0, h_x = 0, h_x2 = 0;
    for (size_t i = begin; i < end; i++) {
        const double h = (double)row->h[i], x = (double)row->w[i] - rows->centre;
        const double won = h * (x - shift) > price ? 1 : 0;
        const double weight = won * h;
        count += won;
        h_sum += weight;
        h_x += weight * x;
        h_x2 += weight * x * x;
    }
    const nqi_share upper = {.count = (uint64_t)count, .h = h_sum, .h_x = h_x, .h_x2 = h_x2};
    const nqi_share lower = {.count = all->count - upper.count,
                             .h = all->h - upper.h,
                             .h_x = all->h_x - upper.h_x,
                             .h_x2 = all->h_x2 - upper.h_x2};
    nqi_share_add(&p->shares[b], &upper);
    if (lower.count > 0)
        nqi_share_add(&p->shares[a], &lower);
}

/* The points begin..end - 1, of which `dear` wins at one end of the row's range and `cheap` at the
 * other. */
static void share_out(place *p, const nqi_rows *rows, const nqi_row *row, size_t begin, size_t end,
                      uint32_t dear, uint32_t cheap, const nqi_share *all)
{
    const double low = nqi_row_value(row, begin), high = nqi_row_value(row, end - 1);
    const size_t n = nqi_rule_candidates(p->candidates, &p->rule, low, high, dear, cheap);
    if (n == 2) {
        share_out_two(p, rows, row, begin, end, all);
        return;
    }
    for (size_t i = begin; i < end; i++) {
        const double h = (double)row->h[i];
        const uint32_t j = nqi_rule_compare(&p->rule, p->candidates, n, nqi_row_value(row, i), h);
        add_point(&p->shares[j], rows, row, i);
    }
}

static double threshold(const nqi_envelope *e, size_t i)
{
    return i + 1 < e->n ? e->thresholds[i] : 0x1p1000;
}

static void assign_intervals(place *p, const nqi_rows *rows, const nqi_row *row)
{
    const nqi_envelope *dear = &p->rule.dear;
    const nqi_envelope *cheap = p->rule.is_single ? dear : &p->rule.cheap;
    size_t i = 0, j = 0;
    for (size_t at = 0; at < row->n;) {
        const double end_i = threshold(dear, i), end_j = threshold(cheap, j);
        const double t = NQI_MIN(end_i, end_j);
        const size_t end = find_above(row, t, at);
        if (end > at) {
            const nqi_share all = nqi_row_between(rows, row, at, end);
            if (dear->winners[i] == cheap->winners[j])
                nqi_share_add(&p->shares[dear->winners[i]], &all);
            else
                share_out(p, rows, row, at, end, dear->winners[i], cheap->winners[j], &all);
            at = end;
        }
        i += end_i <= t;
        j += end_j <= t;
    }
}

/* ---- Rows ---------------------------------------------------------------------------------- */

static void run_row(void *arg, uint64_t index, uint32_t worker)
{
    nqi_assigner *a = arg;
    place *p = &a->places[index];
    const nqi_row *row = &a->rows->rows[a->first_row + index];
    (void)worker;
    memset(p->shares, 0, a->priced->k * sizeof *p->shares);
    nqi_rule_set(&p->rule, a->priced, a->lambda, row->h_min, row->h_max);
    if (row->n < p->rule.dear.n)
        assign_points(p, a->rows, row);
    else
        assign_intervals(p, a->rows, row);
}

/* Runs rows from the first one on, a place for each; few points are not worth waking workers for.
 */
static void run_rows(nqi_assigner *a, size_t first, size_t n)
{
    size_t n_points = 0;
    for (size_t i = 0; i < n; i++)
        n_points += a->rows->rows[first + i].n;
    a->first_row = first;
    if (n_points >= PARALLEL_POINTS) {
        nqi_run(&a->env->runner, n, run_row, a);
        return;
    }
    for (size_t i = 0; i < n; i++)
        run_row(a, i, 0);
}

static void add_row(nqi_share *shares, const place *p, const nqi_row *row, size_t k)
{
    for (size_t j = 0; j < k; j++) {
        if (p->shares[j].count == 0)
            continue;
        const nqi_share share = nqi_share_of_weights(&p->shares[j], row->thinning);
        nqi_share_add(&shares[j], &share);
    }
}

void nqi_assign(nqi_share *shares, nqi_assigner *a, const nqi_priced_levels *priced, double lambda)
{
    a->priced = priced;
    a->lambda = lambda;
    memset(shares, 0, priced->k * sizeof *shares);
    for (size_t row = 0, n; row < a->rows->n_rows; row += n) {
        n = NQI_MIN(a->rows->n_rows - row, a->n_places);
        run_rows(a, row, n);
        for (size_t i = 0; i < n; i++)
            add_row(shares, &a->places[i], &a->rows->rows[row + i], priced->k);
    }
    shares[nqi_shortest_level(priced)].count += a->rows->n_weightless;
}

/* ---- Life ---------------------------------------------------------------------------------- */

static nq_status make_place(place *p, const nqi_allocator *a, size_t max_k)
{
    void *memory;
    *p = (place){.shares = NULL};
    NQI_TRY(nqi_rule_create(&p->rule, a, max_k));
    NQI_TRY(nqi_alloc(&memory, a, max_k, sizeof *p->shares));
    p->shares = memory;
    NQI_TRY(nqi_alloc(&memory, a, max_k, sizeof *p->candidates));
    p->candidates = memory;
    return NQ_OK;
}

nq_status nqi_assigner_create(nqi_assigner **out, const nqi_env *env, const nqi_rows *rows,
                              size_t max_k)
{
    void *memory;
    *out = NULL;
    NQI_TRY(nqi_alloc_zero(&memory, &env->allocator, 1, sizeof(nqi_assigner)));
    nqi_assigner *a = memory;
    a->env = env;
    a->rows = rows;
    a->max_k = max_k;
    const uint64_t most = NQI_MIN(env->runner.max_workers, MAX_IN_FLIGHT);
    for (uint64_t i = 0; i < NQI_MIN(most, NQI_MAX(rows->n_rows, 1)); i++) {
        const nq_status status = make_place(&a->places[a->n_places++], &env->allocator, max_k);
        if (status != NQ_OK) {
            nqi_assigner_destroy(a);
            return status;
        }
    }
    *out = a;
    return NQ_OK;
}

void nqi_assigner_destroy(nqi_assigner *a)
{
    if (!a)
        return;
    const nqi_allocator *allocator = &a->env->allocator;
    for (size_t i = 0; i < a->n_places; i++) {
        place *p = &a->places[i];
        nqi_free(allocator, p->candidates, a->max_k, sizeof *p->candidates);
        nqi_free(allocator, p->shares, a->max_k, sizeof *p->shares);
        nqi_rule_free(&p->rule, allocator);
    }
    nqi_free(allocator, a, 1, sizeof *a);
}
