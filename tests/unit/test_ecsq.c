/*
 * Iterative entropy-constrained quantization against plain iterations over unsorted weights in long
 * double, and dynamic programming over all cells; J that never rises; the same result whoever
 * works; every rule for odd input.
 */
#include "test_stats_data.h"

#include <float.h>

#include "ecsq/interval.h"
#include "ecsq/iterative.h"
#include "ecsq/rdo.h"
#include "nq/types.h"

/* ---- Oracle -------------------------------------------------------------------------------- */

typedef struct plain {
    long double levels[2000];
    long double lengths[2000];
    long double sorted[2000];
    size_t k;
    long double cost;
} plain;

static int compare_levels(const void *a, const void *b)
{
    const long double x = *(const long double *)a, y = *(const long double *)b;
    return (x > y) - (x < y);
}

/* One iteration as the paper tells it: the cheapest level for each weight, then means and code
 * lengths; levels that nobody uses are dropped. J is of the new ones. */
static void iterate(plain *p, const float *w, const float *h, size_t n, double lambda)
{
    static long double sums[2000][3];
    size_t *cells = malloc(n * sizeof *cells), numbers[2000], k = 0;
    assert_non_null(cells);
    memset(sums, 0, sizeof sums);
    for (size_t i = 0; i < n; i++) {
        long double least = INFINITY;
        for (size_t j = 0; j < p->k; j++) {
            const long double away = (long double)w[i] - p->levels[j];
            const long double cost =
                (h ? (long double)h[i] : 1) * away * away + (long double)lambda * p->lengths[j];
            if (cost < least) {
                least = cost;
                cells[i] = j;
            }
        }
        sums[cells[i]][0] += 1;
        sums[cells[i]][1] += h ? (long double)h[i] : 1;
        sums[cells[i]][2] += (h ? (long double)h[i] : 1) * (long double)w[i];
    }
    p->cost = 0;
    for (size_t j = 0; j < p->k; j++) {
        if (!(sums[j][0] > 0))
            continue;
        numbers[j] = k;
        p->levels[k] = sums[j][1] > 0 ? sums[j][2] / sums[j][1] : p->levels[j];
        p->lengths[k] = log2l((long double)n / sums[j][0]);
        p->cost += (long double)lambda * sums[j][0] * p->lengths[k++];
    }
    for (size_t i = 0; i < n; i++) {
        const long double away = (long double)w[i] - p->levels[numbers[cells[i]]];
        p->cost += (h ? (long double)h[i] : 1) * away * away;
    }
    p->k = k;
    memcpy(p->sorted, p->levels, k * sizeof *p->levels);
    free(cells);
}

static void plain_start(plain *p, const double *levels, size_t k)
{
    *p = (plain){.k = k};
    for (size_t j = 0; j < k; j++)
        p->levels[j] = levels[j];
}

/* ---- Running ------------------------------------------------------------------------------- */

static nqi_ecsq_result run_with(const nqi_env *env, const nqi_weights *view,
                                const nqi_ecsq_options *options)
{
    nqi_summary s = data_summarise(env, view);
    nqi_ecsq_result r;
    assert_int_equal(nqi_ecsq(&r, env, &s, NULL, view, 1, options), NQ_OK);
    nqi_summary_free(&s);
    uint64_t n = 0;
    for (size_t j = 0; j < r.k; j++) {
        assert_true(j == 0 || r.levels[j] > r.levels[j - 1]);
        assert_true(r.counts[j] > 0 && r.lengths[j] >= 0);
        n += r.counts[j];
    }
    assert_int_equal(n, nqi_weights_count(view));
    return r;
}

static nqi_ecsq_result run(const float *w, const float *h, size_t n, double lambda)
{
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, h, n);
    const nqi_ecsq_options o = nqi_ecsq_options_default(lambda);
    return run_with(&env, &view, &o);
}

/* ---- Descent ------------------------------------------------------------------------------- */

static nqi_rows make_rows(const nqi_weights *view)
{
    const nqi_env env = nqi_env_default();
    nqi_summary s = data_summarise(&env, view);
    nqi_rows rows;
    assert_int_equal(nqi_rows_from_weights(&rows, &env, &s, view, 1, NQI_ROWS_ALL), NQ_OK);
    nqi_summary_free(&s);
    return rows;
}

/* Of a cell between its neighbours' middles; of the first or last one twice what lies inside. */
static long double width_of(const plain *p, size_t j)
{
    if (p->k == 1)
        return 1;
    if (j == 0 || j + 1 == p->k)
        return j == 0 ? p->sorted[1] - p->sorted[0] : p->sorted[j] - p->sorted[j - 1];
    return (p->sorted[j + 1] - p->sorted[j - 1]) / 2;
}

/* Where the descent is after each iteration. */
static void check_descent(const float *w, const float *h, size_t n, size_t k, double lambda)
{
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, h, n);
    nqi_rows rows = make_rows(&view);
    nqi_assigner *a;
    nqi_descent d, before;
    double start[2000];
    static plain p;
    assert_int_equal(nqi_assigner_create(&a, &env, &rows, k), NQ_OK);
    assert_int_equal(nqi_descent_create(&d, &env.allocator, k), NQ_OK);
    assert_int_equal(nqi_descent_create(&before, &env.allocator, k), NQ_OK);
    for (size_t j = 0; j < k; j++)
        start[j] = rows.min + ((double)j + 0.5) * (rows.max - rows.min) / (double)k;
    plain_start(&p, start, k);
    iterate(&p, w, h, n, 0);
    nqi_descent_options o = {.lambda = lambda * rows.scale,
                             .tolerance = -1, /* goes on whatever happens */
                             .max_iterations = 1,
                             .lengths = nqi_ideal_lengths};
    nqi_descent_begin(&d, start, NULL, k);
    long double last = INFINITY;
    for (int i = 0; i < 25; i++) {
        assert_int_equal(nqi_descent_run(&d, &before, &env, a, &rows, &o, i == 0), NQ_OK);
        d.iterations = 0;
        iterate(&p, w, h, n, lambda);
        assert_int_equal(d.k, p.k);
        if (!(fabsl(d.cost / rows.scale - p.cost) <= 1e-11L * p.cost))
            print_message("iteration %d, k %zu: %.17g, not %.17Lg\n", i, d.k, d.cost / rows.scale,
                          p.cost);
        assert_true(fabsl(d.cost / rows.scale - p.cost) <= 1e-11L * p.cost);
        qsort(p.sorted, p.k, sizeof *p.sorted, compare_levels);
        for (size_t j = 0; j < d.k; j++)
            assert_true(fabsl(d.levels[j] - p.sorted[j]) <= 1e-12L * width_of(&p, j));
        assert_true(d.cost <= last);
        last = d.cost;
    }
    nqi_descent_free(&before, &env.allocator);
    nqi_descent_free(&d, &env.allocator);
    nqi_assigner_destroy(a);
    nqi_rows_free(&rows);
}

static void descends_as_plain_iterations_do(void **state)
{
    (void)state;
    enum { N = 6000 };
    const double sigmas[] = {-1, 0, 0.7, 2}, lambdas[] = {1e-4, 1e-2, 0.3};
    const size_t ks[] = {1, 2, 7, 64, 300};
    float *w = data_weights(N, 1, 0, 1);
    for (size_t a = 0; a < NQI_COUNT(sigmas); a++) {
        float *h = sigmas[a] < 0 ? NULL : data_importance(N, sigmas[a], 2);
        for (size_t b = 0; b < NQI_COUNT(lambdas); b++)
            for (size_t c = 0; c < NQI_COUNT(ks); c++)
                check_descent(w, h, N, ks[c], lambdas[b]);
        free(h);
    }
    free(w);
}

/* Rows of one weight and of thousands, importance over twelve orders of magnitude. */
static void precise_with_importance_far_apart(void **state)
{
    (void)state;
    enum { N = 20000 };
    float *w = data_weights(N, 0.02, 0.01, 3), *h = data_importance(N, 4, 4);
    check_descent(w, h, N, 32, 1e-6);
    check_descent(w, h, N, 256, 1e-9);
    w[N / 3] = 9; /* 450 deviations away */
    check_descent(w, h, N, 256, 1e-9);
    free(w);
    free(h);
}

static void cost_never_rises(void **state)
{
    (void)state;
    enum { N = 30000 };
    float *w = data_weights(N, 1, 0.3, 5), *h = data_importance(N, 2, 6);
    const nqi_env env = nqi_env_default();
    for (int weighted = 0; weighted < 2; weighted++) {
        const nqi_weights view = data_view(w, NQ_F32, weighted ? h : NULL, N);
        double last = INFINITY;
        for (uint32_t i = 1; i < 60; i += 1 + i / 4) {
            nqi_ecsq_options o = nqi_ecsq_options_default(1e-2);
            o.starts = NQI_ECSQ_FROM_GRID;
            o.step = 0.05;
            o.tolerance = 0;
            o.max_iterations = i;
            nqi_ecsq_result r = run_with(&env, &view, &o);
            assert_true(r.cost <= last * (1 + 1e-9)); /* levels are rounded */
            last = r.cost;
            nqi_ecsq_free(&r);
        }
    }
    free(w);
    free(h);
}

/* ---- Optimal intervals --------------------------------------------------------------------- */

/* The least J of all ways to cut sorted weights into intervals. */
static long double best_intervals(const float *w, const float *h, size_t n, double lambda)
{
    long double *best = malloc((n + 1) * sizeof *best);
    assert_non_null(best);
    best[0] = 0;
    for (size_t end = 1; end <= n; end++) {
        best[end] = INFINITY;
        for (size_t begin = 0; begin < end; begin++) {
            long double sum = 0, mean = 0, cost = 0;
            for (size_t i = begin; i < end; i++) {
                sum += h ? (long double)h[i] : 1;
                mean += (h ? (long double)h[i] : 1) * (long double)w[i];
            }
            mean = sum > 0 ? mean / sum : 0;
            for (size_t i = begin; i < end; i++)
                cost += (h ? (long double)h[i] : 1) * ((long double)w[i] - mean) *
                        ((long double)w[i] - mean);
            const long double count = (long double)(end - begin);
            cost += (long double)lambda * count * log2l((long double)n / count) + best[begin];
            best[end] = cost < best[end] ? cost : best[end];
        }
    }
    const long double least = best[n];
    free(best);
    return least;
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* J of levels with cells that end where neighbouring cells' own best ends may be. */
static void optimal_intervals_are_optimal(void **state)
{
    (void)state;
    enum { N = 90 };
    const double lambdas[] = {1e-4, 1e-2, 0.1, 1, 100};
    const nqi_env env = nqi_env_default();
    for (uint64_t seed = 0; seed < 12; seed++)
        for (size_t l = 0; l < NQI_COUNT(lambdas); l++) {
            float *w = data_weights(N, 1, 0, seed);
            qsort(w, N, sizeof *w, compare_floats);
            const nqi_weights view = data_view(w, NQ_F32, NULL, N);
            nqi_summary s = data_summarise(&env, &view);
            double levels[N], lengths[N];
            size_t k;
            assert_int_equal(
                nqi_interval_levels(levels, lengths, &k, N, &env, &s, false, lambdas[l]), NQ_OK);
            const long double best = best_intervals(w, NULL, N, lambdas[l]);
            /* without importance no assignment is better than intervals, so one iteration from
             * these levels stays there if cells are told by lengths of the optimum */
            nqi_ecsq_options o = nqi_ecsq_options_default(lambdas[l]);
            o.starts = NQI_ECSQ_FROM_OPTIMUM;
            nqi_ecsq_result r = run_with(&env, &view, &o);
            if (!(r.cost <= best * (1 + 1e-6L)))
                print_message("seed %d lambda %g k %zu: %.12g, not %.12Lg\n", (int)seed, lambdas[l],
                              k, r.cost, best);
            assert_true(r.cost <= best * (1 + 1e-6L));
            assert_true(r.cost >= best * (1 - 1e-6L)); /* rounded levels */
            nqi_ecsq_free(&r);
            nqi_summary_free(&s);
            free(w);
        }
}

/* ---- Result -------------------------------------------------------------------------------- */

static void check_result(const nqi_ecsq_result *r, const float *w, const float *h, size_t n,
                         double lambda)
{
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, h, n);
    nqi_rows rows = make_rows(&view);
    nqi_rdo *rdo;
    uint64_t *counts = calloc(r->k, sizeof *counts);
    uint16_t *indices = malloc(n * sizeof *indices);
    double *h_f64 = malloc(n * sizeof *h_f64);
    assert_true(counts && indices && h_f64);
    for (size_t i = 0; i < n; i++)
        h_f64[i] = h ? (double)h[i] : 1;
    assert_int_equal(
        nqi_rdo_create(&rdo, &env, h ? &rows : NULL, r->levels, r->lengths, r->k, lambda), NQ_OK);
    nqi_rdo_assign(rdo, indices, w, h_f64, n);
    nqi_rdo_destroy(rdo);
    long double distortion = 0, bits = 0;
    for (size_t i = 0; i < n; i++) {
        const long double away = (long double)w[i] - (long double)r->levels[indices[i]];
        distortion += (long double)h_f64[i] * away * away;
        counts[indices[i]]++;
    }
    for (size_t j = 0; j < r->k; j++)
        bits += (long double)r->counts[j] * log2l((long double)n / (long double)r->counts[j]);
    assert_memory_equal(counts, r->counts, r->k * sizeof *counts);
    assert_true(fabsl(r->distortion - distortion) <= 1e-12L * distortion);
    assert_true(fabsl(r->bits - bits) <= 1e-12L * bits);
    assert_true(fabsl(r->cost - (distortion + lambda * bits)) <= 1e-12L * r->cost);
    free(counts);
    free(indices);
    free(h_f64);
    nqi_rows_free(&rows);
}

/* At or below a plain method that starts from a grid, and the report is true. */
static void as_low_as_plain_iterations(void **state)
{
    (void)state;
    enum { N = 5000 };
    const double sigmas[] = {-1, 0.7, 2}, lambdas[] = {1e-3, 1e-2, 0.1, 1};
    float *w = data_weights(N, 1, 0, 11);
    for (size_t a = 0; a < NQI_COUNT(sigmas); a++) {
        float *h = sigmas[a] < 0 ? NULL : data_importance(N, sigmas[a], 12);
        for (size_t b = 0; b < NQI_COUNT(lambdas); b++) {
            static plain p;
            double start[100];
            for (size_t j = 0; j < 100; j++)
                start[j] = 0.08 * ((double)j - 49.5);
            plain_start(&p, start, 100);
            iterate(&p, w, h, N, 0);
            for (int i = 0; i < 150; i++)
                iterate(&p, w, h, N, lambdas[b]);
            nqi_ecsq_result r = run(w, h, N, lambdas[b]);
            check_result(&r, w, h, N, lambdas[b]);
            if (!(r.cost <= p.cost * (1 + 1e-2L)))
                print_message("sigma %g lambda %g: %.9g, not %.9Lg\n", sigmas[a], lambdas[b],
                              r.cost, p.cost);
            assert_true(r.cost <= p.cost * (1 + 1e-2L));
            nqi_ecsq_free(&r);
        }
        free(h);
    }
    free(w);
}

/* Without importance a summary's bins stand for the weights; splitting those where cells end comes
 * close to all weights. */
static void splitting_bins_comes_close(void **state)
{
    (void)state;
    enum { N = 200000 };
    float *w = data_weights(N, 1, 1, 13), *ones = data_importance(N, 0, 1);
    for (double lambda = 1e-4; lambda < 1; lambda *= 10) {
        nqi_ecsq_result bins = run(w, NULL, N, lambda), all = run(w, ones, N, lambda);
        assert_true(bins.cost <= all.cost * (1 + 2e-5));
        assert_true(all.cost <= bins.cost * (1 + 2e-5));
        nqi_ecsq_free(&bins);
        nqi_ecsq_free(&all);
    }
    free(w);
    free(ones);
}

/* Half of each count: codes that are not ideal. */
static void dear_middle(void *user, double *lengths, const uint64_t *counts, size_t k)
{
    ++*(unsigned *)user;
    for (size_t j = 0; j < k; j++)
        assert_true(counts[j] > 0);
    for (size_t j = 0; j < k; j++)
        lengths[j] = j == k / 2 ? 12 : 2;
}

static void lengths_from_a_callback(void **state)
{
    (void)state;
    enum { N = 5000 };
    float *w = data_weights(N, 1, 0, 14);
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, NULL, N);
    unsigned n_calls = 0;
    nqi_ecsq_options o = nqi_ecsq_options_default(1e-3);
    o.lengths = dear_middle;
    o.user = &n_calls;
    nqi_ecsq_result r = run_with(&env, &view, &o);
    double bits = 0;
    for (size_t j = 0; j < r.k; j++)
        bits += (double)r.counts[j] * (j == r.k / 2 ? 12 : 2);
    assert_true(n_calls > 2 && r.bits == bits);
    nqi_ecsq_free(&r);
    free(w);
}

static void at_most_so_many_levels(void **state)
{
    (void)state;
    enum { N = 20000 };
    float *w = data_weights(N, 1, 0, 15), *h = data_importance(N, 1, 16);
    const nqi_env env = nqi_env_default();
    for (size_t most = 1; most < 600; most = 2 * most + 1)
        for (int weighted = 0; weighted < 2; weighted++) {
            const nqi_weights view = data_view(w, NQ_F32, weighted ? h : NULL, N);
            nqi_ecsq_options o = nqi_ecsq_options_default(1e-6);
            o.max_levels = most;
            o.max_iterations = 20;
            nqi_ecsq_result r = run_with(&env, &view, &o);
            assert_in_range(r.k, most / 4 + 1, most);
            nqi_ecsq_free(&r);
        }
    free(w);
    free(h);
}

/* A summary without its weights, and rows that are made once. */
static void from_a_summary_or_rows_alone(void **state)
{
    (void)state;
    enum { N = 100000 };
    float *w = data_weights(N, 1, 0, 17), *h = data_importance(N, 1, 18);
    const nqi_env env = nqi_env_default();
    const nqi_ecsq_options o = nqi_ecsq_options_default(1e-2);
    for (int weighted = 0; weighted < 2; weighted++) {
        const nqi_weights view = data_view(w, NQ_F32, weighted ? h : NULL, N);
        nqi_summary s = data_summarise(&env, &view);
        nqi_rows rows = make_rows(&view);
        nqi_ecsq_result alone, all;
        assert_int_equal(nqi_ecsq(&alone, &env, &s, weighted ? &rows : NULL, NULL, 0, &o), NQ_OK);
        assert_int_equal(nqi_ecsq(&all, &env, &s, &rows, &view, 1, &o), NQ_OK);
        assert_true(fabs(alone.cost - all.cost) <= (weighted ? 1e-9 : 1e-3) * all.cost);
        assert_true(!weighted || alone.k == all.k);
        nqi_ecsq_free(&alone);
        nqi_ecsq_free(&all);
        nqi_rows_free(&rows);
        nqi_summary_free(&s);
    }
    free(w);
    free(h);
}

/* ---- Same everywhere ----------------------------------------------------------------------- */

static void assert_same(const nqi_ecsq_result *a, const nqi_ecsq_result *b)
{
    assert_int_equal(a->k, b->k);
    assert_memory_equal(a->levels, b->levels, a->k * sizeof *a->levels);
    assert_memory_equal(a->lengths, b->lengths, a->k * sizeof *a->lengths);
    assert_memory_equal(a->counts, b->counts, a->k * sizeof *a->counts);
    assert_memory_equal(&a->distortion, &b->distortion, sizeof a->distortion);
    assert_memory_equal(&a->cost, &b->cost, sizeof a->cost);
    assert_int_equal(a->iterations, b->iterations);
}

static nqi_ecsq_result run_parts(const nqi_env *env, const nqi_weights *parts, size_t n)
{
    nqi_summary s = nqi_summary_empty(&env->allocator);
    nqi_ecsq_result r;
    for (size_t i = 0; i < n; i++) {
        nqi_summary one = data_summarise(env, &parts[i]);
        assert_int_equal(nqi_summary_merge(&s, &one), NQ_OK);
        nqi_summary_free(&one);
    }
    const nqi_ecsq_options o = nqi_ecsq_options_default(1e-2);
    assert_int_equal(nqi_ecsq(&r, env, &s, NULL, parts, n, &o), NQ_OK);
    nqi_summary_free(&s);
    return r;
}

static void same_result_for_any_workers_and_cpu(void **state)
{
    (void)state;
    enum { N = 1300000, HALF = 600000 };
    float *w = data_weights(N, 1, 0.1, 19), *h = data_importance(N, 2, 20);
    for (int weighted = 0; weighted < 2; weighted++) {
        const nqi_weights parts[] = {
            data_view(w, NQ_F32, weighted ? h : NULL, HALF),
            data_view(w + HALF, NQ_F32, weighted ? h + HALF : NULL, N - HALF)};
        nqi_ecsq_result first = {.k = 0}, r;
        for (size_t i = 0; i < NQI_COUNT(data_workers) + NQI_COUNT(data_masks); i++) {
            const bool is_mask = i >= NQI_COUNT(data_workers);
            const nqi_env env =
                data_env(&data_workers[is_mask ? 0 : i],
                         is_mask ? data_masks[i - NQI_COUNT(data_workers)] : NQ_CPU_ALL);
            r = run_parts(&env, parts, 2);
            if (i == 0) {
                first = r;
                continue;
            }
            assert_same(&first, &r);
            nqi_ecsq_free(&r);
        }
        nqi_ecsq_free(&first);
    }
    free(w);
    free(h);
}

/* ---- Rules for odd input ------------------------------------------------------------------- */

static nq_status try(const float *w, const float *h, size_t n, const nqi_ecsq_options *o)
{
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, h, n);
    nqi_summary s = nqi_summary_empty(&env.allocator);
    nqi_ecsq_result r;
    nq_status status = nqi_summary_add(&s, &env, &view, NULL);
    if (status == NQ_OK)
        status = nqi_ecsq(&r, &env, &s, NULL, &view, 1, o);
    if (status == NQ_OK)
        nqi_ecsq_free(&r);
    nqi_summary_free(&s);
    return status;
}

/* ---- Rows of fewer points ------------------------------------------------------------------- */

static nqi_rows make_thin_rows(const nqi_env *env, const nqi_weights *view, uint64_t max_points)
{
    nqi_summary s = data_summarise(env, view);
    nqi_rows rows;
    assert_int_equal(nqi_rows_from_weights(&rows, env, &s, view, 1, max_points), NQ_OK);
    nqi_summary_free(&s);
    return rows;
}

static size_t count_above(const float *w, size_t n, float least)
{
    size_t above = 0;
    for (size_t i = 0; i < n; i++)
        above += fabsf(w[i]) > least ? 1 : 0;
    return above;
}

/* As many as were asked for, all of the largest among them, and together as many as weights. */
static void check_thin_rows(const nqi_rows *rows, const float *w, size_t n, uint64_t max_points)
{
    size_t points = 0, weights = 0, above = 0;
    float least = 0;
    while (count_above(w, n, least) > max_points / 5)
        least += 0.05f;
    for (size_t i = 0; i < rows->n_rows; i++) {
        const nqi_row *row = &rows->rows[i];
        points += row->n;
        weights += row->n << row->thinning;
        above += count_above(row->w, row->n, least);
    }
    assert_true(points <= max_points && points > max_points / 4);
    assert_true(weights >= n && weights <= n + n / 20);
    assert_int_equal(above, count_above(w, n, least));
}

/* Designs on a tenth of the weights cost all of them hardly more. */
static void fewer_points_stand_for_all(void **state)
{
    (void)state;
    enum { N = 400000, MOST = 40000 };
    float *w = data_weights(N, 1, 0.1, 51), *h = data_importance(N, 2, 52);
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, h, N);
    nqi_rows thin = make_thin_rows(&env, &view, MOST);
    check_thin_rows(&thin, w, N, MOST);
    nqi_summary s = data_summarise(&env, &view);
    const nqi_ecsq_options o = nqi_ecsq_options_default(0.01);
    nqi_ecsq_result all = run_with(&env, &view, &o), few;
    assert_int_equal(nqi_ecsq(&few, &env, &s, &thin, &view, 1, &o), NQ_OK);
    assert_true(few.cost <= 1.01 * all.cost);
    nqi_ecsq_free(&few);
    nqi_ecsq_free(&all);
    nqi_summary_free(&s);
    nqi_rows_free(&thin);
    free(w);
    free(h);
}

static void options_within_limits(void **state)
{
    (void)state;
    const float w[] = {1, 2};
    const nqi_ecsq_options good = nqi_ecsq_options_default(1);
    nqi_ecsq_options bad[8];
    for (size_t i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].lambda = -1;
    bad[1].lambda = NAN;
    bad[2].lambda = INFINITY;
    bad[3].lambda = 0; /* and no step */
    bad[4].step = -1;
    bad[5].step = INFINITY;
    bad[6].max_levels = 0;
    bad[7].max_levels = NQ_MAX_LEVELS + 1;
    assert_int_equal(try(w, NULL, 2, &good), NQ_OK);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(try(w, NULL, 2, &bad[i]), NQ_E_ARG);
    assert_int_equal(try(w, NULL, 0, &good), NQ_E_ARG); /* nothing has no levels */
}

static void importance_needs_weights_or_rows(void **state)
{
    (void)state;
    const float w[] = {1, 2, 3}, h[] = {1, 2, 1};
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, h, 3);
    const nqi_ecsq_options o = nqi_ecsq_options_default(1);
    nqi_summary s = data_summarise(&env, &view);
    nqi_ecsq_result r;
    assert_int_equal(nqi_ecsq(&r, &env, &s, NULL, NULL, 0, &o), NQ_E_ARG);
    nqi_summary_free(&s);
}

/* Rows refuse them too, if a summary of other weights lets them through. */
static void bad_weights_and_importance_are_refused(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    const nqi_env env = nqi_env_default();
    const nqi_ecsq_options o = nqi_ecsq_options_default(1);
    const float fine[] = {1, 2, 3};
    const nqi_weights fine_view = data_view(fine, NQ_F32, fine, 3);
    nqi_summary s = data_summarise(&env, &fine_view);
    for (size_t i = 0; i < 4; i++) {
        float w[] = {1, 2, 3}, h[] = {1, 2, 3};
        *(i < 3 ? &w[1] : &h[1]) = i < 3 ? bad[i] : -1;
        assert_int_equal(try(w, h, 3, &o), NQ_E_NUMERIC);
        const nqi_weights view = data_view(w, NQ_F32, h, 3);
        nqi_ecsq_result r;
        assert_int_equal(nqi_ecsq(&r, &env, &s, NULL, &view, 1, &o), NQ_E_NUMERIC);
    }
    nqi_summary_free(&s);
}

static void one_level_is_the_mean(void **state)
{
    (void)state;
    const float w[] = {1, 2, 6}, h[] = {1, 1, 2};
    const double lambdas[] = {1e3, 1e300, 1.7e308};
    for (size_t i = 0; i < NQI_COUNT(lambdas); i++) {
        nqi_ecsq_result r = run(w, NULL, 3, lambdas[i]);
        assert_true(r.k == 1 && r.levels[0] == 3 && r.lengths[0] == 0 && r.bits == 0);
        nqi_ecsq_free(&r);
        r = run(w, h, 3, lambdas[i]);
        assert_true(r.k == 1 && r.levels[0] == 3.75f && r.lengths[0] == 0);
        nqi_ecsq_free(&r);
    }
}

static void one_weight_or_one_value(void **state)
{
    (void)state;
    float w[1000], h[1000];
    uint64_t seed = 1;
    for (size_t i = 0; i < 1000; i++) {
        w[i] = -7.1f;
        h[i] = (float)unit_random_real(&seed) + 1;
    }
    for (size_t n = 1; n <= 1000; n += 999)
        for (int weighted = 0; weighted < 2; weighted++) {
            nqi_ecsq_result r = run(w, weighted ? h : NULL, n, 1e-3);
            assert_true(r.k == 1 && r.levels[0] == -7.1f && r.distortion == 0 && r.cost == 0);
            nqi_ecsq_free(&r);
        }
}

/* Bits for next to nothing: each value has its level, and nothing is lost. */
static void no_more_levels_than_values(void **state)
{
    (void)state;
    const float w[] = {3, -1, 3, 0.25f, -1, 8}, h[] = {1, 2, 3, 1, 1, 5};
    const float want[] = {-1, 0.25f, 3, 8};
    const double lambdas[] = {1e-9, 1e-300, 5e-324};
    for (int weighted = 0; weighted < 2; weighted++)
        for (size_t i = 0; i < NQI_COUNT(lambdas); i++) {
            nqi_ecsq_result r = run(w, weighted ? h : NULL, 6, lambdas[i]);
            assert_int_equal(r.k, 4);
            assert_memory_equal(r.levels, want, sizeof want);
            assert_true(r.distortion == 0);
            nqi_ecsq_free(&r);
        }
}

/* With a lambda of 0 it is Lloyd's method from the grid. */
static void bits_for_nothing(void **state)
{
    (void)state;
    const float w[] = {0.9f, 1.1f, 2.9f, 3.1f};
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, NULL, 4);
    nqi_ecsq_options o = nqi_ecsq_options_default(0);
    o.step = 1;
    nqi_ecsq_result r = run_with(&env, &view, &o);
    assert_true(r.k == 2 && r.levels[0] == 1.0f && r.levels[1] == 3.0f);
    nqi_ecsq_free(&r);
}

static void zero_importance_has_no_say_but_is_coded(void **state)
{
    (void)state;
    const float w[] = {1, 1, 1, 9, 500, -500}, h[] = {1, 1, 1, 1, 0, 0};
    nqi_ecsq_result r = run(w, h, 6, 1e-3);
    assert_true(r.k == 2 && r.levels[0] == 1 && r.levels[1] == 9);
    assert_true(r.counts[0] == 5 && r.counts[1] == 1); /* they take the shortest code */
    assert_true(r.distortion == 0 && !r.ignores_importance);
    nqi_ecsq_free(&r);
}

static void importance_of_nothing_but_zeros_is_none(void **state)
{
    (void)state;
    enum { N = 300 };
    float *w = data_weights(N, 1, 0, 21), h[N] = {0};
    nqi_ecsq_result r = run(w, h, N, 1e-2), plain_result = run(w, NULL, N, 1e-2);
    assert_true(r.ignores_importance && !plain_result.ignores_importance);
    assert_same(&r, &plain_result);
    nqi_ecsq_free(&r);
    nqi_ecsq_free(&plain_result);
    free(w);
}

static void minus_zero_is_zero(void **state)
{
    (void)state;
    const float w[] = {-0.0f, 0.0f, 1, -0.0f}, h[] = {1, 1, 1, 1}, zero = 0;
    for (int weighted = 0; weighted < 2; weighted++) {
        nqi_ecsq_result r = run(w, weighted ? h : NULL, 4, 1e-3);
        assert_int_equal(r.k, 2);
        assert_memory_equal(&r.levels[0], &zero, sizeof zero);
        assert_int_equal(r.counts[0], 3);
        nqi_ecsq_free(&r);
    }
}

static void denormal_weights(void **state)
{
    (void)state;
    float w[64], h[64];
    for (size_t i = 0; i < 64; i++) {
        w[i] = (float)(i < 32 ? i : 1000 + i) * 0x1p-149f;
        h[i] = 1;
    }
    for (int weighted = 0; weighted < 2; weighted++) {
        nqi_ecsq_result r = run(w, weighted ? h : NULL, 64, 1e4 * 0x1p-298);
        assert_int_equal(r.k, 2);
        assert_true(r.levels[0] == 16 * 0x1p-149f && r.levels[1] == 1048 * 0x1p-149f);
        nqi_ecsq_free(&r);
    }
}

static void largest_weights_and_importance(void **state)
{
    (void)state;
    const float w[] = {FLT_MAX, -FLT_MAX, FLT_MAX / 2, 0, -FLT_MAX / 2},
                h[] = {FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MIN};
    const double lambdas[] = {1e-300, 1, 1e100, 1e110, 1e300};
    for (size_t i = 0; i < NQI_COUNT(lambdas); i++) {
        nqi_ecsq_result r = run(w, h, 5, lambdas[i]);
        assert_true(r.k >= 1 && isfinite(r.distortion) && isfinite(r.levels[0]));
        nqi_ecsq_free(&r);
        r = run(w, NULL, 5, lambdas[i]);
        assert_true(r.k >= 1 && isfinite(r.distortion) && isfinite(r.levels[0]));
        nqi_ecsq_free(&r);
    }
}

static void an_outlier_costs_one_level(void **state)
{
    (void)state;
    enum { N = 100000 };
    const float outliers[] = {1e10f, -1e30f, FLT_MAX};
    float *w = data_weights(N, 1, 0, 22), *h = data_importance(N, 1, 23);
    for (size_t i = 0; i < NQI_COUNT(outliers); i++)
        for (int weighted = 0; weighted < 2; weighted++) {
            nqi_ecsq_result without = run(w, weighted ? h : NULL, N - 1, 1e-2);
            const float kept = w[N - 1];
            w[N - 1] = outliers[i];
            nqi_ecsq_result with = run(w, weighted ? h : NULL, N, 1e-2);
            w[N - 1] = kept;
            assert_true(with.levels[outliers[i] < 0 ? 0 : with.k - 1] == outliers[i]);
            assert_true(with.cost <= without.cost * (1 + 1e-3) + 1e-2 * 40);
            nqi_ecsq_free(&with);
            nqi_ecsq_free(&without);
        }
    free(w);
    free(h);
}

/* Means that round to the same float are one level. */
static void twins_after_rounding_are_one(void **state)
{
    (void)state;
    float w[12];
    uint64_t seed = 3;
    for (size_t i = 0; i < 12; i++)
        w[i] = nqi_f32_from_bits(0x3f800000u + (uint32_t)(unit_random(&seed) % 3));
    nqi_ecsq_result r = run(w, NULL, 12, 1e-15);
    assert_true(r.k >= 1 && r.k <= 3);
    nqi_ecsq_free(&r);
}

static void failing_memory(void **state)
{
    (void)state;
    enum { N = 70000 }; /* more than a summary keeps apart */
    float *w = data_weights(N, 1, 0, 24), *h = data_importance(N, 0.3, 25);
    const nqi_env env = nqi_env_default();
    for (int weighted = 0; weighted < 2; weighted++) {
        const nqi_weights view = data_view(w, NQ_F32, weighted ? h : NULL, N);
        nqi_summary s = data_summarise(&env, &view);
        nqi_ecsq_options o = nqi_ecsq_options_default(0.1);
        o.max_iterations = 3;
        nq_status status = NQ_E_NOMEM;
        for (uint64_t n_left = 0; status != NQ_OK; n_left++) {
            data_memory memory;
            const nqi_env failing = data_env_failing(&memory, n_left);
            nqi_ecsq_result r;
            s.allocator = failing.allocator; /* copies are made with it */
            status = nqi_ecsq(&r, &failing, &s, NULL, &view, 1, &o);
            assert_int_equal(status, memory.has_failed ? NQ_E_NOMEM : NQ_OK);
            nqi_ecsq_free(&r);
            assert_int_equal(memory.n_out, 0);
        }
        s.allocator = env.allocator;
        nqi_summary_free(&s);
    }
    free(w);
    free(h);
}

static int32_t stop(void *user, uint32_t stage, uint64_t done, uint64_t total)
{
    (void)stage;
    (void)done;
    (void)total;
    return (*(int *)user)-- == 0;
}

static void can_be_stopped(void **state)
{
    (void)state;
    enum { N = 3000 };
    float *w = data_weights(N, 1, 0, 26), *h = data_importance(N, 1, 27);
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, h, N);
    const nqi_ecsq_options o = nqi_ecsq_options_default(1e-2);
    nqi_summary s = data_summarise(&env, &view);
    for (int calls = 0; calls < 10; calls++) {
        int left = calls;
        nqi_env stopped = env;
        nqi_ecsq_result r;
        stopped.progress = stop;
        stopped.progress_user = &left;
        assert_int_equal(nqi_ecsq(&r, &stopped, &s, NULL, &view, 1, &o), NQ_E_CANCELLED);
    }
    nqi_summary_free(&s);
    free(w);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descends_as_plain_iterations_do),
        cmocka_unit_test(precise_with_importance_far_apart),
        cmocka_unit_test(cost_never_rises),
        cmocka_unit_test(optimal_intervals_are_optimal),
        cmocka_unit_test(as_low_as_plain_iterations),
        cmocka_unit_test(splitting_bins_comes_close),
        cmocka_unit_test(lengths_from_a_callback),
        cmocka_unit_test(at_most_so_many_levels),
        cmocka_unit_test(from_a_summary_or_rows_alone),
        cmocka_unit_test(same_result_for_any_workers_and_cpu),
        cmocka_unit_test(fewer_points_stand_for_all),
        cmocka_unit_test(options_within_limits),
        cmocka_unit_test(importance_needs_weights_or_rows),
        cmocka_unit_test(bad_weights_and_importance_are_refused),
        cmocka_unit_test(one_level_is_the_mean),
        cmocka_unit_test(one_weight_or_one_value),
        cmocka_unit_test(no_more_levels_than_values),
        cmocka_unit_test(bits_for_nothing),
        cmocka_unit_test(zero_importance_has_no_say_but_is_coded),
        cmocka_unit_test(importance_of_nothing_but_zeros_is_none),
        cmocka_unit_test(minus_zero_is_zero),
        cmocka_unit_test(denormal_weights),
        cmocka_unit_test(largest_weights_and_importance),
        cmocka_unit_test(an_outlier_costs_one_level),
        cmocka_unit_test(twins_after_rounding_are_one),
        cmocka_unit_test(failing_memory),
        cmocka_unit_test(can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
