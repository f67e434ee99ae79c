/*
 * Rate-distortion optimal assignment of weights as they lie: see rdo.h. Without importance the rule
 * is a list of thresholds. With importance, weights go to cells first that are not wider than the
 * levels are apart; for each cell and each row of importance a table tells which levels can win,
 * one or a few neighbours, and these are compared. Rows share a table where there are so many
 * levels that tables would take too much memory.
 */
#include "ecsq/rdo.h"

#include <string.h>

#include "base/checked.h"
#include "ecsq/rdo_impl.h"

/* What all tables together may take. */
#define MAX_TABLE_BYTES (UINT64_C(16) << 20)

/* Of so few levels, cells are cut into parts, so that mostly one level can win. */
#define FEW_LEVELS 1024u
#define PARTS      4u

static nqi_priced_levels priced_levels(const nqi_rdo *r)
{
    return (nqi_priced_levels){r->used_levels, r->used_lengths, r->n_used};
}

/* ---- Without importance -------------------------------------------------------------------- */

/* The search puts a weight that equals a threshold up, this rule puts it down: the next double
 * after the threshold makes one of the other. */
static double next_after(double t)
{
    const uint64_t bits = nqi_f64_bits(t);
    if (t == 0)
        return nqi_f64_from_bits(1);
    return nqi_f64_from_bits(t > 0 ? bits + 1 : bits - 1);
}

static nq_status make_winners(nqi_rdo *r, const nqi_env *env, double h)
{
    nqi_rule rule;
    void *memory;
    const nqi_priced_levels priced = priced_levels(r);
    NQI_TRY(nqi_alloc(&memory, &r->allocator, r->k, sizeof *r->winners));
    r->winners = memory;
    NQI_TRY(nqi_rule_create(&rule, &r->allocator, r->n_used));
    nqi_rule_set(&rule, &priced, r->lambda, h, h);
    r->n_cells = rule.dear.n;
    for (size_t i = 0; i < rule.dear.n; i++) {
        r->winners[i] = (uint16_t)r->numbers[rule.dear.winners[i]];
        if (i + 1 < rule.dear.n)
            rule.dear.thresholds[i] = next_after(rule.dear.thresholds[i]);
    }
    const nq_status status =
        nqi_search_create(&r->search, &r->allocator, rule.dear.thresholds, rule.dear.n, env->cpu);
    nqi_rule_free(&rule, &r->allocator);
    return status;
}

/* ---- With importance ----------------------------------------------------------------------- */

/* The place in an envelope of the winner for w, from the place for a smaller one on. */
static size_t advance(const nqi_envelope *e, size_t at, double w)
{
    while (at + 1 < e->n && w > e->thresholds[at])
        at++;
    return at;
}

/*
 * At any price of a bit, the winner's number does not fall as weights rise. So the winners of a
 * cell are between those that can win at its lower end, at any price of the row, and those that can
 * at its upper one.
 */
static void fill_table(nqi_span *spans, const nqi_rule *rule, const double *ends, size_t n_cells,
                       uint32_t *candidates)
{
    const nqi_envelope *at_least = &rule->dear;
    const nqi_envelope *at_most = rule->is_single ? at_least : &rule->cheap;
    size_t i = 0, j = 0;
    uint32_t first = 0;
    for (size_t cell = 0; cell < n_cells; cell++) {
        uint32_t last = (uint32_t)rule->priced.k - 1, next = 0;
        if (cell + 1 < n_cells) {
            const double w = ends[cell];
            i = advance(at_least, i, w);
            j = advance(at_most, j, w);
            const uint32_t dear = at_least->winners[i], cheap = at_most->winners[j];
            candidates[0] = dear;
            const size_t n =
                dear == cheap ? 1 : nqi_rule_candidates(candidates, rule, w, w, dear, cheap);
            next = candidates[0];
            last = candidates[n - 1];
        }
        spans[cell] = (nqi_span){(uint16_t)first, (uint16_t)(last - first)};
        first = next;
    }
}

/* Rows that share a table. */
static size_t rows_a_table(size_t n_rows, size_t n_cells)
{
    const uint64_t affordable = NQI_MAX(MAX_TABLE_BYTES / (n_cells * sizeof(nqi_span)), 1);
    return (size_t)nqi_div_up_u64(n_rows, affordable);
}

/* Cells end halfway between levels, and, as long as there are few, between that and the levels. */
static size_t make_ends(double *ends, const nqi_rdo *r)
{
    const size_t parts = r->n_used <= FEW_LEVELS ? PARTS : 1;
    size_t n = 0;
    for (size_t j = 0; j + 1 < r->n_used; j++)
        for (size_t i = 0; i < parts; i++) {
            const double part = ((double)i + 0.5) / (double)parts;
            ends[n++] = r->used_levels[j] + part * (r->used_levels[j + 1] - r->used_levels[j]);
        }
    return n;
}

/* The floats that a row may have, whether it has them or not. */
static double least_of_row(const nqi_row *row)
{
    const uint32_t number = nqi_row_number((float)row->h_min);
    return (double)nqi_f32_from_bits(number << NQI_ROW_SHIFT);
}

static double most_of_row(const nqi_row *row)
{
    const uint32_t number = nqi_row_number((float)row->h_max);
    return (double)nqi_f32_from_bits(((number + 1) << NQI_ROW_SHIFT) - 1);
}

static nq_status fill_tables(nqi_rdo *r, const nqi_rows *rows, const double *ends)
{
    nqi_rule rule;
    void *candidates;
    const nqi_priced_levels priced = priced_levels(r);
    const size_t shared = rows_a_table(rows->n_rows, r->n_cells);
    for (uint32_t row = 0; row < NQI_N_ROWS; row++)
        r->spans_of_row[row] = (uint32_t)((r->n_tables - 1) * r->n_cells);
    NQI_TRY(nqi_rule_create(&rule, &r->allocator, r->n_used));
    const nq_status status = nqi_alloc(&candidates, &r->allocator, r->n_used, sizeof(uint32_t));
    for (size_t first = 0, table = 0; first < rows->n_rows && status == NQ_OK;
         first += shared, table++) {
        const size_t last = NQI_MIN(first + shared, rows->n_rows) - 1;
        nqi_rule_set(&rule, &priced, r->lambda, least_of_row(&rows->rows[first]),
                     most_of_row(&rows->rows[last]));
        fill_table(r->spans + table * r->n_cells, &rule, ends, r->n_cells, candidates);
        for (size_t i = first; i <= last; i++)
            r->spans_of_row[nqi_row_number((float)rows->rows[i].h_min)] =
                (uint32_t)(table * r->n_cells);
    }
    nqi_free(&r->allocator, candidates, r->n_used, sizeof(uint32_t));
    nqi_rule_free(&rule, &r->allocator);
    return status;
}

/* The last two tables: weights of no importance have the shortest code in every cell, and those of
 * importance that is in no row are compared with every level. */
#define N_MORE_TABLES 2u

static void fill_more_tables(nqi_rdo *r)
{
    const size_t none = (r->n_tables - 2) * r->n_cells, other = none + r->n_cells;
    r->spans_of_row[NQI_N_ROWS] = (uint32_t)none;
    for (size_t cell = 0; cell < r->n_cells; cell++) {
        r->spans[none + cell] = (nqi_span){(uint16_t)r->shortest, 0};
        r->spans[other + cell] = (nqi_span){0, (uint16_t)(r->n_used - 1)};
    }
}

static nq_status make_tables(nqi_rdo *r, const nqi_env *env, const nqi_rows *rows)
{
    void *spans, *memory;
    const uint64_t max_ends = r->n_used * PARTS;
    NQI_TRY(nqi_alloc(&memory, &r->allocator, max_ends, sizeof(double)));
    double *ends = memory;
    r->n_cells = make_ends(ends, r) + 1;
    r->n_tables = N_MORE_TABLES +
                  (size_t)nqi_div_up_u64(rows->n_rows, rows_a_table(rows->n_rows, r->n_cells));
    nq_status status = nqi_alloc(&spans, &r->allocator, r->n_tables * r->n_cells, sizeof *r->spans);
    r->spans = spans;
    if (status == NQ_OK)
        status = nqi_search_create(&r->search, &r->allocator, ends, r->n_cells, env->cpu);
    if (status == NQ_OK)
        status = fill_tables(r, rows, ends);
    if (status == NQ_OK)
        fill_more_tables(r);
    nqi_free(&r->allocator, memory, max_ends, sizeof(double));
    return status;
}

/* ---- Life ---------------------------------------------------------------------------------- */

/* Of k doubles. */
#define N_ARRAYS 5u

static nq_status make_levels(nqi_rdo *r)
{
    void *memory, *numbers;
    NQI_TRY(nqi_alloc(&memory, &r->allocator, r->k, N_ARRAYS * sizeof(double)));
    r->levels = memory;
    r->lengths = r->levels + r->k;
    r->used_levels = r->levels + 2 * r->k;
    r->used_lengths = r->levels + 3 * r->k;
    r->prices = r->levels + 4 * r->k;
    NQI_TRY(nqi_alloc(&numbers, &r->allocator, r->k, sizeof *r->numbers));
    r->numbers = numbers;
    return NQ_OK;
}

static void copy_levels(nqi_rdo *r, const float *levels, const double *lengths)
{
    for (size_t j = 0; j < r->k; j++) {
        r->levels[j] = (double)levels[j];
        r->lengths[j] = lengths[j];
        if (lengths[j] >= NQI_RDO_UNUSED)
            continue;
        r->used_levels[r->n_used] = (double)levels[j];
        r->used_lengths[r->n_used] = lengths[j];
        r->prices[r->n_used] = r->lambda * lengths[j];
        r->numbers[r->n_used++] = (uint32_t)j;
    }
    const nqi_priced_levels priced = priced_levels(r);
    r->shortest = nqi_shortest_level(&priced);
}

/* Whether all weights have the same importance, and which; 1 where there is none. */
static bool is_single(double *h, const nqi_rows *rows)
{
    *h = rows && rows->n_rows > 0 ? rows->rows[0].h_min : 1;
    bool same = !rows || rows->n_rows == 0 || rows->n_weightless == 0;
    for (size_t i = 0; rows && i < rows->n_rows; i++)
        same = same && rows->rows[i].h_min == *h && rows->rows[i].h_max == *h;
    return same;
}

nq_status nqi_rdo_create(nqi_rdo **out, const nqi_env *env, const nqi_rows *rows,
                         const float *levels, const double *lengths, size_t k, double lambda)
{
    void *memory;
    double h;
    *out = NULL;
    NQI_TRY(nqi_alloc_zero(&memory, &env->allocator, 1, sizeof(nqi_rdo)));
    nqi_rdo *r = memory;
    r->allocator = env->allocator;
    r->k = k;
    r->is_plain = !rows || rows->is_plain;
    r->scale = rows ? rows->scale : 1;
    r->lambda = nqi_scaled_lambda(lambda, r->scale);
    r->choose = nqi_rdo_choose_ref;
#if NQI_X86
    if (env->cpu & NQ_CPU_AVX512)
        r->choose = nqi_rdo_choose_avx512;
#endif
    nq_status status = make_levels(r);
    if (status == NQ_OK) {
        copy_levels(r, levels, lengths);
        status = is_single(&h, rows) ? make_winners(r, env, h) : make_tables(r, env, rows);
    }
    if (status != NQ_OK) {
        nqi_rdo_destroy(r);
        return status;
    }
    *out = r;
    return NQ_OK;
}

void nqi_rdo_destroy(nqi_rdo *r)
{
    if (!r)
        return;
    const nqi_allocator a = r->allocator;
    if (r->search.tree)
        nqi_search_free(&r->search, &a);
    nqi_free(&a, r->spans, r->n_tables * r->n_cells, sizeof *r->spans);
    nqi_free(&a, r->winners, r->k, sizeof *r->winners);
    nqi_free(&a, r->numbers, r->k, sizeof *r->numbers);
    nqi_free(&a, r->levels, r->k, N_ARRAYS * sizeof(double));
    nqi_free(&a, r, 1, sizeof *r);
}

/* ---- Assignment ---------------------------------------------------------------------------- */

/* The cheapest level of a span, the first of several. */
static uint32_t cheapest(const nqi_rdo *r, nqi_span span, double w, double h)
{
    uint32_t best = span.first;
    double away = w - r->used_levels[best];
    double least = h * (away * away) + r->prices[best];
    for (uint32_t j = best + 1; j <= (uint32_t)span.first + span.n_more; j++) {
        away = w - r->used_levels[j];
        const double cost = h * (away * away) + r->prices[j];
        best = cost < least ? j : best;
        least = NQI_MIN(cost, least);
    }
    return best;
}

void nqi_rdo_choose_ref(const nqi_rdo *r, uint16_t *cells, const float *w, const double *h,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float importance = nqi_row_importance(h[i], r->scale);
        const nqi_span span = r->spans[r->spans_of_row[nqi_row_number(importance)] + cells[i]];
        const uint32_t best =
            span.n_more > 0 ? cheapest(r, span, (double)w[i], (double)importance) : span.first;
        cells[i] = (uint16_t)r->numbers[best];
    }
}

void nqi_rdo_assign(const nqi_rdo *r, uint16_t *indices, const float *w, const double *h, size_t n)
{
    nqi_search_run(&r->search, indices, w, n);
    if (r->spans)
        r->choose(r, indices, w, h, n);
    else
        for (size_t i = 0; i < n; i++)
            indices[i] = r->winners[indices[i]];
}
