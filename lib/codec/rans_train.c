/*
 * Training rANS codes of several tables, as k-means finds clusters: sub-blocks go to the table that
 * is cheapest for them, tables are fitted to what went to them, in turns. The first clusters are
 * sub-blocks of about the same cost under one table for all, so that nothing is drawn at random.
 *
 * All costs are integers, so every machine finds the same tables.
 */
#include "codec/rans_train.h"

#include <string.h>

#include "base/checked.h"
#include "codec/rans_enc.h"

/* The smallest sub-blocks: what costs and choices are kept for. */
#define CELL_LOG2 NQI_RANS_MIN_SUB_LOG2
#define CELL      ((size_t)1 << CELL_LOG2)

/* Clusters are made of sub-blocks of so many symbols, or fewer where there are few of them. */
#define TRAINING_SUB_LOG2 10u
#define MIN_TRAINING_SUBS 1024u

#define ROUNDS  8u
#define SETTLED 3u

/* Above so many symbols the most tables are the best number. */
#define MANY_SYMBOLS (UINT64_C(1) << 21)

#define ONE_BIT (1u << NQI_RANS_COST_LOG2)

typedef struct trainer {
    const nqi_rans_training *t;
    uint16_t *values; /* all stretches' behind each other */
    uint16_t *gaps;   /* of a sparse code */
    size_t *ends;     /* of each stretch, in symbols */
    size_t n;         /* symbols */
    size_t n_cells;   /* every stretch begins a new one */
    uint32_t zero;
    uint32_t n_gaps; /* they are all below */
    uint64_t n_indices;
    uint64_t n_zeros;

    uint32_t n_tables;
    unsigned sub_log2;
    uint32_t (*costs)[NQI_RANS_MAX_TABLES]; /* by cell, in 1/256 bit */
    uint8_t *table_of;                      /* by cell */
    uint8_t *from;                          /* MAX_TABLES for each sub-block of a stretch */
    uint8_t *choices;                       /* for each sub-block of a stretch */
    uint8_t *steps;
    uint64_t *value_counts; /* MAX_TABLES times n_levels */
    uint64_t *gap_counts;   /* MAX_TABLES times n_gaps */
    uint64_t *escapes;      /* GAPS */
    uint64_t *scratch;      /* for fitting */
    void *encoder;          /* memory for one of MAX_TABLES */
    nqi_rans_model *value_models;
    nqi_rans_model *gap_models;
    uint64_t sizes[NQI_RANS_MAX_TABLES]; /* symbols of each table */
    uint64_t step_counts[NQI_RANS_MAX_TABLES];
    nqi_rans_plan best; /* with copies of the models, behind those that are worked on */
    uint64_t best_bytes;
} trainer;

/* ---- Memory -------------------------------------------------------------------------------- */

static void *carve(uint8_t *memory, uint64_t *at, uint64_t n, size_t size)
{
    uint8_t *part = memory ? memory + *at : NULL;
    *at += (n * size + 63) & ~UINT64_C(63);
    return part;
}

static uint64_t encoder_bytes(const nqi_rans_training *t)
{
    const nqi_rans_plan largest = {
        .n_levels = t->n_levels, .n_tables = NQI_RANS_MAX_TABLES, .is_sparse = t->is_sparse};
    return nqi_rans_encoder_bytes(&largest);
}

/* Gives the trainer its parts of `memory`, or, given NULL, only adds up what they take. What
 * fitting needs is left out if it only measures. */
static uint64_t lay_out(trainer *r, uint8_t *memory, bool fits)
{
    const nqi_rans_training *t = r->t;
    const uint64_t n = r->n_indices, n_cells = n / CELL + t->n_stretches + 1;
    const uint64_t n_gaps = t->is_sparse ? NQI_RANS_GAPS : 0;
    uint64_t end = 0;
    r->values = carve(memory, &end, n, sizeof *r->values);
    r->gaps = carve(memory, &end, t->is_sparse ? n : 0, sizeof *r->gaps);
    r->ends = carve(memory, &end, t->n_stretches, sizeof *r->ends);
    r->costs = carve(memory, &end, n_cells, sizeof *r->costs);
    r->table_of = carve(memory, &end, n_cells, 1);
    r->from = carve(memory, &end, n_cells, NQI_RANS_MAX_TABLES);
    r->choices = carve(memory, &end, n_cells, 1);
    r->steps = carve(memory, &end, n_cells, 1);
    if (!fits)
        return end;
    r->value_counts =
        carve(memory, &end, (uint64_t)NQI_RANS_MAX_TABLES * t->n_levels, sizeof(uint64_t));
    r->gap_counts = carve(memory, &end, NQI_RANS_MAX_TABLES * n_gaps, sizeof(uint64_t));
    r->escapes = carve(memory, &end, NQI_RANS_GAPS, sizeof(uint64_t));
    r->value_models = carve(memory, &end, 2 * NQI_RANS_MAX_TABLES, sizeof(nqi_rans_model));
    r->gap_models = carve(memory, &end, 2 * NQI_RANS_MAX_TABLES, sizeof(nqi_rans_model));
    r->scratch = carve(memory, &end, nqi_rans_fit_scratch(NQI_RANS_GAPS), sizeof(uint64_t));
    r->encoder = carve(memory, &end, encoder_bytes(t), 1);
    return end;
}

/* ---- Symbols ------------------------------------------------------------------------------- */

static uint32_t most_frequent(const nqi_rans_training *t, uint64_t *counts)
{
    uint32_t best = 0;
    memset(counts, 0, t->n_levels * sizeof *counts);
    for (size_t s = 0; s < t->n_stretches; s++)
        for (size_t i = 0; i < t->stretches[s].n; i++)
            counts[t->stretches[s].indices[i]]++;
    for (uint32_t i = 1; i < t->n_levels; i++)
        if (counts[i] > counts[best])
            best = i;
    return best;
}

/* Copies the indices, or makes pairs of them. */
static void collect(trainer *r, const nqi_rans_push_kernels *kernels)
{
    const nqi_rans_training *t = r->t;
    for (size_t s = 0; s < t->n_stretches; s++) {
        const nqi_rans_stretch *stretch = &t->stretches[s];
        size_t n = stretch->n;
        if (t->is_sparse) {
            nqi_rans_pairs pairs = {.gaps = r->gaps + r->n,
                                    .values = r->values + r->n,
                                    .most = n,
                                    .zero = (uint16_t)r->zero};
            (void)kernels->find_pairs(&pairs, stretch->indices, n);
            n = pairs.n;
        } else if (n > 0) {
            memcpy(r->values + r->n, stretch->indices, n * sizeof *r->values);
        }
        for (size_t i = r->n; t->is_sparse && i < r->n + n; i++)
            r->n_gaps = NQI_MAX(r->n_gaps, r->gaps[i] + 1u);
        r->n += n;
        r->ends[s] = r->n;
        r->n_cells += (n + CELL - 1) / CELL;
    }
}

/* ---- Walking ------------------------------------------------------------------------------- */

/* A cell after the other, through all stretches. */
typedef struct walk {
    size_t stretch;
    size_t cell;
    size_t first; /* symbol */
    size_t n;
} walk;

/* The next cell, from a walk that was zeroed at first; false after the last one. */
static bool next_cell(walk *w, const trainer *r)
{
    const size_t at = w->first + w->n;
    w->cell += w->n > 0 ? 1 : 0;
    while (w->stretch < r->t->n_stretches && at == r->ends[w->stretch])
        w->stretch++;
    if (w->stretch == r->t->n_stretches)
        return false;
    w->first = at;
    w->n = NQI_MIN(CELL, r->ends[w->stretch] - at);
    return true;
}

/* ---- Fitting ------------------------------------------------------------------------------- */

static void count_symbols(trainer *r)
{
    const uint32_t n_levels = r->t->n_levels;
    memset(r->value_counts, 0, (size_t)r->n_tables * n_levels * sizeof *r->value_counts);
    if (r->gaps)
        memset(r->gap_counts, 0, (size_t)r->n_tables * r->n_gaps * sizeof *r->gap_counts);
    memset(r->sizes, 0, sizeof r->sizes);
    for (walk w = {0}; next_cell(&w, r);) {
        const unsigned table = r->table_of[w.cell];
        uint64_t *values = r->value_counts + (size_t)table * n_levels;
        for (size_t i = w.first; i < w.first + w.n; i++)
            values[r->values[i]]++;
        r->sizes[table] += w.n;
        if (!r->gaps)
            continue;
        uint64_t *gaps = r->gap_counts + (size_t)table * r->n_gaps;
        for (size_t i = w.first; i < w.first + w.n; i++)
            gaps[r->gaps[i]]++;
    }
}

/* Takes out the tables that nothing went to. */
static void drop_empty(trainer *r)
{
    uint8_t number[NQI_RANS_MAX_TABLES] = {0};
    uint32_t n = 0;
    for (uint32_t t = 0; t < r->n_tables; t++) {
        number[t] = (uint8_t)n;
        n += r->sizes[t] > 0 ? 1 : 0;
    }
    if (n == r->n_tables)
        return;
    for (size_t i = 0; i < r->n_cells; i++)
        r->table_of[i] = number[r->table_of[i]];
    r->n_tables = NQI_MAX(n, 1);
    count_symbols(r);
}

static bool has_class(const nqi_rans_model *model, uint32_t upper)
{
    const uint32_t at = upper - model->first;
    return at < model->span && model->frequency[at] > 0;
}

/* One code for the escapes of all tables. */
static void fit_escapes(const trainer *r, nqi_rans_model *models, const uint64_t *counts,
                        uint32_t n_counts, uint32_t n_symbols)
{
    nqi_rans_escape_code code;
    uint32_t last = 0;
    memset(r->escapes, 0, NQI_RANS_GAPS * sizeof *r->escapes);
    for (uint32_t t = 0; t < r->n_tables; t++) {
        const nqi_rans_model *m = &models[t];
        last = NQI_MAX(last, nqi_rans_last_upper(n_symbols, m->low_bits));
        const uint64_t *here = counts + (size_t)t * n_counts;
        for (uint32_t i = 0; i < n_counts; i++)
            if (here[i] > 0 && !has_class(m, i >> m->low_bits))
                r->escapes[i >> m->low_bits] += here[i];
    }
    nqi_rans_fit_escapes(&code, r->scratch, r->escapes, last, models[0].escapes.center);
    for (uint32_t t = 0; t < r->n_tables; t++)
        models[t].escapes = code;
}

/* Counts are told of symbols below n_counts; others do not occur. */
static void fit_channel(const trainer *r, nqi_rans_model *models, const uint64_t *counts,
                        uint32_t n_counts, uint32_t n_symbols)
{
    for (uint32_t t = 0; t < r->n_tables; t++)
        nqi_rans_fit_in(&models[t], r->scratch, counts + (size_t)t * n_counts, n_counts, n_symbols,
                        false);
    fit_escapes(r, models, counts, n_counts, n_symbols);
}

static void fit_tables(trainer *r)
{
    count_symbols(r);
    drop_empty(r);
    fit_channel(r, r->value_models, r->value_counts, r->t->n_levels, r->t->n_levels);
    if (r->gaps)
        fit_channel(r, r->gap_models, r->gap_counts, r->n_gaps, NQI_RANS_GAPS);
}

/* ---- Encoders ------------------------------------------------------------------------------ */

/* What a state grows by when it takes a symbol of one channel in, times the number of symbols. */
static uint64_t growth_of(const trainer *r, const nqi_rans_model *models, const uint64_t *counts,
                          uint32_t n_counts)
{
    uint64_t growth = 0;
    for (uint32_t t = 0; t < r->n_tables; t++) {
        const uint64_t cost =
            nqi_rans_counts_cost(&models[t], counts + (size_t)t * n_counts, n_counts);
        const uint64_t low = r->sizes[t] * models[t].low_bits * ONE_BIT;
        growth += cost - NQI_MIN(cost, low);
    }
    return growth;
}

/* What an encoder of the tables is made from. */
static nqi_rans_plan make_plan(const trainer *r)
{
    const uint32_t n_levels = r->t->n_levels;
    const uint64_t n_symbols = NQI_MAX(r->n, 1) * (r->gaps ? 2 : 1);
    uint64_t growth = growth_of(r, r->value_models, r->value_counts, n_levels);
    nqi_rans_plan plan = {.n_levels = n_levels,
                          .n_tables = r->n_tables,
                          .sub_log2 = r->n_tables > 1 ? r->sub_log2 : NQI_RANS_MIN_SUB_LOG2,
                          .is_sparse = r->gaps != NULL,
                          .zero = r->zero,
                          .values = r->value_models,
                          .gaps = r->gap_models};
    if (r->gaps) {
        growth += growth_of(r, r->gap_models, r->gap_counts, r->n_gaps);
        plan.zero_cost = nqi_rans_share_cost(r->n_zeros, r->n_indices);
        plan.nonzero_cost =
            nqi_rans_share_cost(NQI_MAX(r->n_indices - r->n_zeros, 1), r->n_indices);
    }
    plan.mean_growth = (uint32_t)(growth / n_symbols);
    memcpy(plan.weights, r->sizes, sizeof plan.weights);
    if (r->n_tables > 1)
        nqi_rans_share_places(plan.step_frequency, r->step_counts, r->n_tables);
    return plan;
}

static const nqi_rans_encoder *build_encoder(const trainer *r, const nqi_rans_plan *plan)
{
    nqi_rans_encoder_build(r->encoder, r->t->a, plan, r->t->cpu);
    return r->encoder;
}

/* ---- Choosing ------------------------------------------------------------------------------ */

static void price_cells(trainer *r, const nqi_rans_encoder *e)
{
    for (walk w = {0}; next_cell(&w, r);) {
        uint32_t *costs = r->costs[w.cell];
        memset(costs, 0, sizeof r->costs[w.cell]);
        nqi_rans_add_costs(costs, e, &e->value_rows, e->values, r->values + w.first, w.n);
        if (r->gaps)
            nqi_rans_add_costs(costs, e, &e->gap_rows, e->gaps, r->gaps + w.first, w.n);
    }
}

/* Chooses for the cells of a stretch, a sub-block of 2^sub_log2 symbols at a time; returns what
 * they cost, in 1/256 bit. */
static uint64_t choose_stretch(trainer *r, const nqi_rans_encoder *e, size_t first_cell,
                               size_t n_cells, unsigned sub_log2)
{
    const size_t per_sub = (size_t)1 << (sub_log2 - CELL_LOG2);
    const size_t n_subs = (n_cells + per_sub - 1) / per_sub;
    uint64_t total = 0;
    nqi_rans_ways ways;
    nqi_rans_ways_begin(&ways, e->steps, r->n_tables, 0);
    for (size_t i = 0; i < n_subs; i++) {
        uint32_t costs[NQI_RANS_MAX_TABLES] = {0};
        const size_t end = NQI_MIN(n_cells, (i + 1) * per_sub);
        for (size_t c = i * per_sub; c < end; c++)
            for (unsigned t = 0; t < NQI_RANS_MAX_TABLES; t++)
                costs[t] += r->costs[first_cell + c][t];
        total += e->kernels->step_ways(&ways, r->from + i * NQI_RANS_MAX_TABLES, costs);
    }
    nqi_rans_ways_end(&ways, r->choices, r->steps, r->from, n_subs);
    for (size_t i = 0; i < n_subs; i++)
        r->step_counts[r->steps[i]]++;
    for (size_t c = 0; c < n_cells; c++)
        r->table_of[first_cell + c] = r->choices[c / per_sub];
    return total;
}

/* Chooses for all cells, and counts the steps anew. */
static uint64_t choose_all(trainer *r, const nqi_rans_encoder *e, unsigned sub_log2)
{
    uint64_t total = 0;
    size_t cell = 0, begin = 0;
    memset(r->step_counts, 0, sizeof r->step_counts);
    for (size_t s = 0; s < r->t->n_stretches; s++) {
        const size_t n_cells = (r->ends[s] - begin + CELL - 1) / CELL;
        if (n_cells > 0)
            total += choose_stretch(r, e, cell, n_cells, sub_log2);
        cell += n_cells;
        begin = r->ends[s];
    }
    return total;
}

/* ---- Beginning ----------------------------------------------------------------------------- */

/* The mean cost of a sub-block's symbols, up to 16 bits, as one of so many buckets. */
#define N_BUCKETS 4096u

static unsigned bucket_of(const trainer *r, size_t first_cell, size_t end_cell)
{
    uint64_t cost = 0;
    for (size_t c = first_cell; c < end_cell; c++)
        cost += r->costs[c][0];
    const uint64_t mean = cost / (end_cell - first_cell) / CELL;
    return (unsigned)NQI_MIN(mean, N_BUCKETS - 1);
}

/* Parts sub-blocks by their cost under one table, which r->costs has, into n_tables equal shares.
 */
static void begin_clusters(trainer *r, uint32_t n_tables)
{
    const size_t per_sub = (size_t)1 << (r->sub_log2 - CELL_LOG2);
    uint64_t *below = r->escapes, sum = 0;
    memset(below, 0, N_BUCKETS * sizeof *below);
    for (size_t c = 0; c < r->n_cells; c += per_sub) {
        const size_t end = NQI_MIN(r->n_cells, c + per_sub);
        below[bucket_of(r, c, end)] += end - c;
    }
    for (unsigned i = 0; i < N_BUCKETS; i++) {
        const uint64_t here = below[i];
        below[i] = sum + here / 2;
        sum += here;
    }
    for (size_t c = 0; c < r->n_cells; c += per_sub) {
        const size_t end = NQI_MIN(r->n_cells, c + per_sub);
        const uint64_t rank = below[bucket_of(r, c, end)];
        const uint8_t table = (uint8_t)NQI_MIN(rank * n_tables / NQI_MAX(sum, 1), n_tables - 1);
        memset(r->table_of + c, table, end - c);
    }
    r->n_tables = n_tables;
    memset(r->step_counts, 0, sizeof r->step_counts);
    for (uint32_t t = 0; t < n_tables; t++)
        r->step_counts[t] = t == 0 ? 3 * n_tables : 1;
}

static void price_single(trainer *r)
{
    r->n_tables = 1;
    memset(r->table_of, 0, r->n_cells);
    fit_tables(r);
    const nqi_rans_plan plan = make_plan(r);
    price_cells(r, build_encoder(r, &plan));
}

/* ---- Rounds -------------------------------------------------------------------------------- */

static unsigned best_sub_log2(trainer *r, const nqi_rans_encoder *e)
{
    unsigned best = NQI_RANS_MIN_SUB_LOG2;
    uint64_t least = UINT64_MAX;
    for (unsigned s = NQI_RANS_MIN_SUB_LOG2; s <= NQI_RANS_MAX_SUB_LOG2; s++) {
        const uint64_t total = choose_all(r, e, s);
        if (total < least) {
            least = total;
            best = s;
        }
    }
    return best;
}

/* Bytes of what will be coded in all, and of the table. */
static uint64_t bytes_of_all(const trainer *r, const nqi_rans_encoder *e, uint64_t total)
{
    const double share = (double)r->t->all / (double)NQI_MAX(r->n_indices, 1);
    return (uint64_t)((double)total / 2048.0 * share) + e->head.table_bytes;
}

static void keep_best(trainer *r, const nqi_rans_plan *plan, uint64_t n_bytes)
{
    enum { N = NQI_RANS_MAX_TABLES };
    memcpy(r->value_models + N, r->value_models, N * sizeof *r->value_models);
    memcpy(r->gap_models + N, r->gap_models, N * sizeof *r->gap_models);
    r->best = *plan;
    r->best.values = r->value_models + N;
    r->best.gaps = r->gap_models + N;
    r->best_bytes = n_bytes;
}

/* With so many tables at most; whether that is better than what was found before. */
static bool train(trainer *r, uint32_t n_tables)
{
    nqi_rans_plan plan;
    uint64_t n_bytes = 0;
    price_single(r);
    r->sub_log2 = TRAINING_SUB_LOG2;
    while (r->sub_log2 > CELL_LOG2 && r->n >> r->sub_log2 < MIN_TRAINING_SUBS)
        r->sub_log2--;
    begin_clusters(r, n_tables);
    for (unsigned round = 0; round < ROUNDS; round++) {
        fit_tables(r);
        if (r->n_tables < 2)
            return false;
        plan = make_plan(r);
        const nqi_rans_encoder *e = build_encoder(r, &plan);
        price_cells(r, e);
        if (round >= SETTLED)
            r->sub_log2 = best_sub_log2(r, e);
        n_bytes = bytes_of_all(r, e, choose_all(r, e, r->sub_log2));
    }
    if (n_bytes >= r->best_bytes)
        return false;
    plan.sub_log2 = r->sub_log2;
    nqi_rans_share_places(plan.step_frequency, r->step_counts, r->n_tables);
    keep_best(r, &plan, n_bytes);
    return true;
}

static nq_status train_all(nqi_encoder **out, trainer *r)
{
    r->best_bytes = UINT64_MAX;
    for (uint32_t n_tables = NQI_RANS_MAX_TABLES; n_tables > 1; n_tables /= 2)
        if (!train(r, n_tables) || r->t->all > MANY_SYMBOLS)
            break;
    return r->best_bytes < UINT64_MAX ? nqi_rans_encoder_make(out, r->t->a, &r->best, r->t->cpu)
                                      : NQ_OK;
}

static nq_status start(trainer *r, const nqi_rans_training *training, bool fits, void **memory,
                       uint64_t *n_bytes)
{
    *r = (trainer){.t = training};
    for (size_t s = 0; s < training->n_stretches; s++)
        if (!nqi_add_u64(&r->n_indices, r->n_indices, training->stretches[s].n))
            return NQ_E_LIMIT;
    if (r->n_indices >> 40)
        return NQ_E_LIMIT;
    *n_bytes = lay_out(r, NULL, fits);
    NQI_TRY(nqi_alloc(memory, training->a, *n_bytes, 1));
    (void)lay_out(r, *memory, fits);
    if (!training->is_sparse)
        r->gaps = NULL;
    return NQ_OK;
}

nq_status nqi_rans_train(nqi_encoder **out, const nqi_rans_training *training)
{
    trainer r;
    void *memory;
    uint64_t n_bytes;
    *out = NULL;
    NQI_TRY(start(&r, training, true, &memory, &n_bytes));
    if (r.gaps) {
        r.zero = most_frequent(training, r.value_counts);
        r.n_zeros = r.value_counts[r.zero];
    }
    collect(&r, nqi_rans_push_kernels_for(training->cpu));
    const nq_status status = r.n > 0 ? train_all(out, &r) : NQ_OK;
    nqi_free(training->a, memory, n_bytes, 1);
    return status;
}

/* ---- Measuring ----------------------------------------------------------------------------- */

nq_status nqi_rans_measure(uint64_t *n_bits, const nqi_encoder *encoder,
                           const nqi_rans_stretch *stretches, size_t n_stretches)
{
    const nqi_rans_encoder *e = (const nqi_rans_encoder *)(const void *)encoder;
    assert(e->n_tables > 1);
    const nqi_rans_training training = {.a = &encoder->a,
                                        .n_levels = encoder->n_levels,
                                        .stretches = stretches,
                                        .n_stretches = n_stretches,
                                        .is_sparse = e->is_sparse};
    trainer r;
    void *memory;
    uint64_t n_bytes;
    NQI_TRY(start(&r, &training, false, &memory, &n_bytes));
    r.zero = e->zero;
    r.n_tables = e->n_tables;
    collect(&r, e->kernels);
    price_cells(&r, e);
    *n_bits = choose_all(&r, e, e->sub_log2) >> 8;
    nqi_free(training.a, memory, n_bytes, 1);
    return NQ_OK;
}
