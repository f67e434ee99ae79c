/*
 * Lengths of the codes of levels that stay where they are: see rdo.h. What is found depends on
 * where the search begins, since a level that few use has a long code, which keeps it from being
 * used: it begins from the nearest levels, and from where a higher price of bits leads.
 */
#include <string.h>

#include "ecsq/rdo.h"

/* The higher price. */
#define DEARER 4.0

typedef struct design {
    const nqi_env *env;
    const nqi_rows *rows;
    const double *levels;
    size_t k;
    nqi_descent_options descent;
    nqi_assigner *assigner;
    nqi_descent now;
    nqi_descent before;
    nqi_descent best;
} design;

nqi_rdo_options nqi_rdo_options_default(double lambda)
{
    return (nqi_rdo_options){.lambda = lambda, .tolerance = 1e-6, .max_iterations = 1000};
}

static nq_status run(design *d, double factor, bool starts_nearest)
{
    nqi_descent_options o = d->descent;
    o.lambda = nqi_scaled_lambda(o.lambda, factor);
    return nqi_descent_run(&d->now, &d->before, d->env, d->assigner, d->rows, &o, starts_nearest);
}

static void swap_best(design *d)
{
    const nqi_descent old = d->best;
    d->best = d->now;
    d->now = old;
}

static nq_status run_table(design *d, const double *table)
{
    nqi_descent_begin(&d->now, d->levels, table, d->k);
    d->descent.keeps_lengths = true;
    d->descent.max_iterations = 1;
    NQI_TRY(run(d, 1, false));
    swap_best(d);
    return NQ_OK;
}

static nq_status run_starts(design *d)
{
    nqi_descent_begin(&d->now, d->levels, NULL, d->k);
    NQI_TRY(run(d, 1, true));
    swap_best(d);
    nqi_descent_begin(&d->now, d->levels, NULL, d->k);
    NQI_TRY(run(d, DEARER, true));
    d->now.iterations = 0;
    NQI_TRY(run(d, 1, false));
    if (d->now.cost < d->best.cost)
        swap_best(d);
    return NQ_OK;
}

static void take_best(double *lengths, uint64_t *counts, double *cost, const design *d)
{
    const nqi_descent *best = &d->best;
    for (size_t j = 0; j < d->k; j++) {
        lengths[j] = NQI_RDO_UNUSED;
        counts[j] = 0;
    }
    for (size_t j = 0; j < best->k; j++) {
        lengths[best->numbers[j]] = best->lengths[j];
        counts[best->numbers[j]] = best->shares[j].count;
    }
    *cost = best->cost / d->rows->scale;
}

static nq_status solve(double *lengths, uint64_t *counts, double *cost, design *d,
                       const double *table)
{
    const nqi_allocator *a = &d->env->allocator;
    NQI_TRY(nqi_assigner_create(&d->assigner, d->env, d->rows, d->k));
    NQI_TRY(nqi_descent_create(&d->now, a, d->k));
    NQI_TRY(nqi_descent_create(&d->before, a, d->k));
    NQI_TRY(nqi_descent_create(&d->best, a, d->k));
    NQI_TRY(table ? run_table(d, table) : run_starts(d));
    take_best(lengths, counts, cost, d);
    return NQ_OK;
}

nq_status nqi_rdo_lengths(double *lengths, uint64_t *counts, double *cost, const nqi_env *env,
                          const nqi_rows *rows, const float *levels, size_t k,
                          const nqi_rdo_options *o)
{
    void *memory;
    const nqi_allocator *a = &env->allocator;
    NQI_TRY(nqi_alloc(&memory, a, k, sizeof(double)));
    double *levels_f64 = memory;
    for (size_t j = 0; j < k; j++)
        levels_f64[j] = (double)levels[j];
    design d = {.env = env,
                .rows = rows,
                .levels = levels_f64,
                .k = k,
                .descent = {.lambda = nqi_scaled_lambda(o->lambda, rows->scale),
                            .tolerance = o->tolerance,
                            .max_iterations = o->max_iterations,
                            .keeps_levels = true,
                            .lengths = o->lengths ? o->lengths : nqi_ideal_lengths,
                            .user = o->user}};
    const nq_status status = solve(lengths, counts, cost, &d, o->table);
    nqi_descent_free(&d.best, a);
    nqi_descent_free(&d.before, a);
    nqi_descent_free(&d.now, a);
    nqi_assigner_destroy(d.assigner);
    nqi_free(a, memory, k, sizeof(double));
    return status;
}
