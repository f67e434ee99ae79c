/*
 * k-means against searches that cannot miss: all partitions of a few points, and dynamic
 * programming over all cells in long double; Lloyd's method against a plain one over unsorted
 * weights; the same result whoever works; levels against long double; every rule for odd input.
 */
#include "test_stats_data.h"

#include <float.h>

#include "cluster/kmeans.h"
#include "cluster/lloyd.h"
#include "cluster/path.h"
#include "nq/types.h"

/* ---- Oracles ------------------------------------------------------------------------------- */

typedef struct item {
    float w;
    float h;
} item;

static int compare_items(const void *a, const void *b)
{
    const float x = ((const item *)a)->w, y = ((const item *)b)->w;
    return (x > y) - (x < y);
}

/* Different values with their importance, in order; those without importance are left out. */
static size_t sort_items(item *items, const float *w, const float *h, size_t n)
{
    size_t n_items = 0;
    for (size_t i = 0; i < n; i++)
        if (!h || h[i] > 0)
            items[n_items++] = (item){w[i] + 0.0f, h ? h[i] : 1};
    qsort(items, n_items, sizeof *items, compare_items);
    return n_items;
}

/* Distortion of cells [j, i) of sorted items: the sum over pairs of h_a h_b (w_a - w_b)^2 over the
 * sum of h, in which nothing cancels. */
static long double *cell_costs(const item *items, size_t n)
{
    long double *cost = calloc((n + 1) * (n + 1), sizeof *cost);
    assert_non_null(cost);
    for (size_t j = 0; j < n; j++) {
        long double h = 0, sum = 0;
        for (size_t i = j; i < n; i++) {
            for (size_t a = j; a < i; a++) {
                const long double away = (long double)items[i].w - items[a].w;
                sum += (long double)items[a].h * items[i].h * away * away;
            }
            h += items[i].h;
            cost[j * (n + 1) + i + 1] = sum / h;
        }
    }
    return cost;
}

/* The least distortion of k cells or fewer, for each k up to k_max. */
static void best_distortions(long double *best, size_t k_max, const item *items, size_t n)
{
    long double *cost = cell_costs(items, n);
    long double *now = malloc((n + 1) * sizeof *now), *next = malloc((n + 1) * sizeof *next);
    assert_non_null(now);
    assert_non_null(next);
    for (size_t i = 0; i <= n; i++)
        now[i] = cost[i];
    best[1] = now[n];
    for (size_t k = 2; k <= k_max; k++) {
        for (size_t i = 0; i <= n; i++) {
            next[i] = now[i];
            for (size_t j = 0; j < i; j++)
                if (now[j] + cost[j * (n + 1) + i] < next[i])
                    next[i] = now[j] + cost[j * (n + 1) + i];
        }
        memcpy(now, next, (n + 1) * sizeof *now);
        best[k] = now[n];
    }
    free(cost);
    free(now);
    free(next);
}

/* Distortion of levels that need not be floats. */
static long double distortion_of(const double *levels, size_t k, const item *items, size_t n)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++) {
        long double least = INFINITY;
        for (size_t j = 0; j < k; j++) {
            const long double away = (long double)items[i].w - levels[j];
            least = away * away < least ? away * away : least;
        }
        sum += least * items[i].h;
    }
    return sum;
}

/* ---- Running ------------------------------------------------------------------------------- */

static nqi_kmeans_result run_with(const nqi_env *env, const nqi_weights *view,
                                  const nqi_kmeans_options *options)
{
    nqi_summary s = data_summarise(env, view);
    nqi_kmeans_result r;
    assert_int_equal(nqi_kmeans(&r, env, &s, view, 1, options), NQ_OK);
    nqi_summary_free(&s);
    for (size_t i = 1; i < r.n_levels; i++)
        assert_true(r.levels[i] > r.levels[i - 1]);
    for (size_t i = 1; i < r.codebook.n; i++)
        assert_true(r.codebook.levels[i] > r.codebook.levels[i - 1]);
    return r;
}

static nqi_kmeans_result run(const float *w, const float *h, size_t n, size_t k,
                             nqi_kmeans_method method)
{
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, h, n);
    const nqi_kmeans_options options = {.k = k, .method = method, .is_measured = true};
    return run_with(&env, &view, &options);
}

/* ---- Optimal ------------------------------------------------------------------------------- */

/* All ways to cut n items into k cells, by the places of the cuts. */
static long double least_of_all(const long double *cost, size_t n, size_t k, size_t from)
{
    if (k == 1)
        return cost[from * (n + 1) + n];
    long double least = INFINITY;
    for (size_t end = from + 1; end + (k - 1) <= n; end++) {
        const long double sum = cost[from * (n + 1) + end] + least_of_all(cost, n, k - 1, end);
        least = sum < least ? sum : least;
    }
    return least;
}

static void no_partition_is_better(void **state)
{
    (void)state;
    enum { N = 9 };
    for (uint64_t seed = 0; seed < 200; seed++) {
        uint64_t random = seed;
        float w[N], h[N];
        item items[N];
        for (size_t i = 0; i < N; i++) {
            w[i] =
                (float)(seed % 2 ? unit_random_real(&random) : (double)(unit_random(&random) % 12));
            h[i] = (float)exp(4 * data_normal(&random));
        }
        for (int weighted = 0; weighted < 2; weighted++) {
            const size_t n = sort_items(items, w, weighted ? h : NULL, N);
            long double *cost = cell_costs(items, n);
            for (size_t k = 1; k <= N; k++) {
                nqi_kmeans_result r = run(w, weighted ? h : NULL, N, k, NQI_KMEANS_OPTIMAL);
                const long double best = least_of_all(cost, n, k, 0);
                const long double got = distortion_of(r.levels, r.n_levels, items, n);
                assert_true(got <= best * (1 + 1e-12L) + 1e-25L);
                assert_true(r.n_levels <= k && r.is_optimal);
                nqi_kmeans_free(&r);
            }
            free(cost);
        }
    }
}

/* Kinds of weights and importance that designs find hard. */
enum { N_KINDS = 8, KIND_N = 150 };

static void make_kind(float *w, float *h, size_t kind, uint64_t seed)
{
    for (size_t i = 0; i < KIND_N; i++) {
        w[i] = (float)data_normal(&seed);
        h[i] = (float)exp(data_normal(&seed));
        switch (kind) {
        case 1: /* twelve orders of magnitude */
            h[i] = (float)exp(unit_random_real(&seed) * 13.8);
            break;
        case 2: /* equally spaced: ties everywhere */
            w[i] = (float)i;
            h[i] = 1;
            break;
        case 3: /* few values */
            w[i] = (float)(unit_random(&seed) % 20);
            break;
        case 4: /* outliers */
            w[i] = i < 2 ? (float)(i ? -1e30 : 3e25) : w[i];
            break;
        case 5: /* far from zero */
            w[i] = (float)(1000 + 0.01 * (double)w[i]);
            break;
        case 6: /* clusters within clusters */
            w[i] = (float)ldexp((double)w[i], -(int)(i % 60));
            break;
        case 7: /* heavy and light side by side */
            h[i] = i % 2 ? 1e-12f : 1;
            break;
        default:
            break;
        }
    }
}

static void as_good_as_dynamic_programming(void **state)
{
    (void)state;
    float w[KIND_N], h[KIND_N];
    item items[KIND_N];
    long double best[KIND_N + 1];
    for (size_t kind = 0; kind < N_KINDS; kind++)
        for (uint64_t seed = 0; seed < 6; seed++)
            for (int weighted = 0; weighted < 2; weighted++) {
                make_kind(w, h, kind, seed + 100 * kind);
                const size_t n = sort_items(items, w, weighted ? h : NULL, KIND_N);
                best_distortions(best, KIND_N, items, n);
                for (size_t k = 1; k <= KIND_N; k += k < 20 ? 1 : 13) {
                    nqi_kmeans_result r =
                        run(w, weighted ? h : NULL, KIND_N, k, NQI_KMEANS_OPTIMAL);
                    const long double got = distortion_of(r.levels, r.n_levels, items, n);
                    if (!(got <= best[k] * (1 + 1e-9L) + 1e-28L))
                        print_message("kind %zu seed %d weighted %d k %zu: %Lg, not %Lg (%Lg)\n",
                                      kind, (int)seed, weighted, k, got, best[k],
                                      got / best[k] - 1);
                    assert_true(got <= best[k] * (1 + 1e-9L) + 1e-28L);
                    nqi_kmeans_free(&r);
                }
            }
}

/* Optimal over all weights, by sorting them, for more than a summary keeps apart. */
static void splitting_bins_comes_close(void **state)
{
    (void)state;
    enum { N = 150000 };
    const size_t ks[] = {2, 16, 256, 3000};
    const double shifts[] = {0, 1};
    for (size_t i = 0; i < NQI_COUNT(shifts); i++) {
        float *w = data_weights(N, i ? 1e-2 : 0.5, shifts[i], 1), *h = data_importance(N, 2, 2);
        for (int weighted = 0; weighted < 2; weighted++)
            for (size_t j = 0; j < NQI_COUNT(ks); j++) {
                const float *importance = weighted ? h : NULL;
                nqi_kmeans_result best = run(w, importance, N, ks[j], NQI_KMEANS_EXACT);
                nqi_kmeans_result near = run(w, importance, N, ks[j], NQI_KMEANS_OPTIMAL);
                assert_true(best.is_optimal && !near.is_optimal);
                assert_int_equal(best.n_levels, ks[j]);
                assert_int_equal(near.n_levels, ks[j]);
                /* rounded levels: an optimum before rounding need not be one after it */
                assert_true(near.distortion >= best.distortion * (1 - 1e-7));
                assert_true(near.distortion <=
                            best.distortion * (1 + (ks[j] > 1000 ? 1e-3 : 1e-5)));
                nqi_kmeans_free(&best);
                nqi_kmeans_free(&near);
            }
        free(w);
        free(h);
    }
}

/* Fewer bins than levels: all bins are split. */
static void more_levels_than_bins(void **state)
{
    (void)state;
    enum { N = 300000 };
    float *w = malloc(N * sizeof *w);
    assert_non_null(w);
    uint64_t seed = 1;
    for (size_t i = 0; i < N; i++) /* a few prefixes of very many different values */
        w[i] = 1.0f + (float)(unit_random(&seed) % 150000) * 0x1p-23f;
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, NULL, N);
    nqi_summary s = data_summarise(&env, &view);
    assert_false(nqi_summary_is_exact(&s));
    const size_t k = s.n_bins / 4 + 100; /* so many that all bins are split */
    nqi_summary_free(&s);
    nqi_kmeans_result r = run(w, NULL, N, k, NQI_KMEANS_OPTIMAL);
    assert_int_equal(r.n_levels, k);
    nqi_kmeans_free(&r);
    free(w);
}

/* Without weights at hand the summary alone is used. */
static void summaries_alone(void **state)
{
    (void)state;
    enum { N = 100000, K = 16 };
    float *w = data_weights(N, 1, 0, 3);
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, NULL, N);
    nqi_summary s = data_summarise(&env, &view);
    const nqi_kmeans_method methods[] = {NQI_KMEANS_OPTIMAL, NQI_KMEANS_EXACT, NQI_KMEANS_LLOYD};
    nqi_kmeans_result best = run(w, NULL, N, K, NQI_KMEANS_EXACT);
    for (size_t i = 0; i < NQI_COUNT(methods); i++) {
        const nqi_kmeans_options options = {.k = K, .method = methods[i], .is_measured = true};
        nqi_kmeans_result r;
        nqi_fit fit;
        assert_int_equal(nqi_kmeans(&r, &env, &s, NULL, 0, &options), NQ_OK);
        assert_true(r.distortion < 0 && !r.is_optimal);
        assert_int_equal(nqi_codebook_measure(&fit, &env, &r.codebook, &view, 1), NQ_OK);
        if (methods[i] != NQI_KMEANS_LLOYD)
            assert_true(fit.squared <= best.distortion * (1 + 1e-5));
        nqi_kmeans_free(&r);
    }
    nqi_kmeans_free(&best);
    nqi_summary_free(&s);
    free(w);
}

/* ---- Precision ----------------------------------------------------------------------------- */

/* Levels against the means of the weights that are nearest to them, in long double. */
static void check_levels(const nqi_kmeans_result *r, const float *w, const float *h, size_t n)
{
    const size_t k = r->n_levels;
    long double *sums = calloc(2 * k, sizeof *sums);
    assert_non_null(sums);
    for (size_t i = 0; i < n; i++) {
        size_t low = 0, high = k - 1;
        while (low < high) {
            const size_t middle = (low + high) / 2;
            if ((double)w[i] < 0.5 * (r->levels[middle] + r->levels[middle + 1]))
                high = middle;
            else
                low = middle + 1;
        }
        sums[2 * low] += h ? (long double)h[i] : 1;
        sums[2 * low + 1] += (h ? (long double)h[i] : 1) * (long double)w[i];
    }
    for (size_t j = 1; j + 1 < k; j++) {
        const double width = 0.5 * (r->levels[j + 1] - r->levels[j - 1]);
        const long double mean = sums[2 * j + 1] / sums[2 * j];
        assert_true(fabsl(r->levels[j] - mean) <= 1e-12L * width);
    }
    free(sums);
}

static void levels_are_means_to_twelve_digits(void **state)
{
    (void)state;
    enum { N = 150000 };
    const double sigmas[] = {0, 2, 4}; /* the last spans more than twelve orders of magnitude */
    const size_t ks[] = {16, 256};
    float *w = data_weights(N, 0.02, 0, 4);
    for (size_t i = 0; i < NQI_COUNT(sigmas); i++) {
        float *h = data_importance(N, sigmas[i], 5);
        for (size_t j = 0; j < NQI_COUNT(ks); j++) {
            nqi_kmeans_result r = run(w, h, N, ks[j], NQI_KMEANS_EXACT);
            check_levels(&r, w, h, N);
            nqi_kmeans_free(&r);
            r = run(w, sigmas[i] > 0 ? h : NULL, N, ks[j], NQI_KMEANS_LLOYD);
            check_levels(&r, w, sigmas[i] > 0 ? h : NULL, N);
            nqi_kmeans_free(&r);
        }
        free(h);
    }
    free(w);
}

/* ---- Borders ------------------------------------------------------------------------------- */

/* The best cells of all weights, and the lambda. */
static nqi_cells solve_all(nqi_line *line, double *lambda, const nqi_weights *view, size_t k)
{
    const nqi_env env = nqi_env_default();
    nqi_path *path;
    nqi_cells cells;
    uint32_t n_solved = 0;
    *lambda = 0;
    assert_int_equal(nqi_line_from_weights(line, &env, view, 1), NQ_OK);
    assert_int_equal(nqi_path_create(&path, &env, line), NQ_OK);
    assert_int_equal(nqi_cells_create(&cells, &env.allocator, k), NQ_OK);
    assert_int_equal(nqi_path_find(path, &cells, k, lambda, &n_solved), NQ_OK);
    nqi_path_destroy(path);
    *lambda /= line->scale;
    return cells;
}

/* No bin has a border within it that was said to have none. Returns the share of bins that were
 * said to have one. */
static double check_borders(const nqi_weights *view, const nqi_cells *cells, double lambda)
{
    const nqi_env env = nqi_env_default();
    nqi_summary s = data_summarise(&env, view);
    nqi_line bins;
    bool known;
    assert_int_equal(nqi_line_from_summary(&bins, &s), NQ_OK);
    assert_int_equal(bins.n, s.n_bins); /* all have importance */
    double *above = malloc(bins.n * sizeof *above);
    bool *is_border = malloc(bins.n * sizeof *is_border);
    assert_non_null(above);
    assert_non_null(is_border);
    nqi_line_above(above, &s);
    assert_int_equal(
        nqi_path_find_borders(is_border, &known, &env, &bins, above, lambda * bins.scale), NQ_OK);
    assert_true(known);
    size_t n_borders = 0;
    for (size_t i = 0; i < bins.n; i++)
        n_borders += is_border[i] ? 1 : 0;
    for (size_t j = 0; j + 1 < cells->k; j++) {
        const uint32_t key = nqi_key((float)(0.5 * (cells->means[j] + cells->means[j + 1])));
        for (size_t i = 0; i < bins.n; i++)
            if (key - s.bins[i].key < UINT32_C(1) << s.bins[i].shift && s.bins[i].shift > 0)
                assert_true(is_border[i]);
    }
    const double share = (double)n_borders / (double)bins.n;
    free(above);
    free(is_border);
    nqi_line_free(&bins);
    nqi_summary_free(&s);
    return share;
}

/* Exact designs look at few weights, and come to what comes of all. */
static void few_weights_are_enough(void **state)
{
    (void)state;
    enum { N = 100000 };
    const double shifts[] = {0, 0.05}, sigmas[] = {0, 2, 4};
    const size_t ks[] = {2, 16, 40};
    for (size_t i = 0; i < NQI_COUNT(shifts) * NQI_COUNT(sigmas) * NQI_COUNT(ks); i++) {
        const size_t k = ks[i % 3];
        float *w = data_weights(N, 0.02, shifts[i / 9], i),
              *h = data_importance(N, sigmas[i / 3 % 3], i);
        const nqi_weights view = data_view(w, NQ_F32, h, N);
        nqi_line line;
        double lambda;
        nqi_cells cells = solve_all(&line, &lambda, &view, k);
        const double share = check_borders(&view, &cells, lambda);
        assert_true(share < (k <= 16 ? 0.1 : 0.6));
        nqi_kmeans_result r = run(w, h, N, k, NQI_KMEANS_EXACT);
        assert_true(r.is_optimal);
        assert_int_equal(r.n_levels, k);
        for (size_t j = 0; j < k; j++)
            assert_true(fabs(r.levels[j] - cells.means[j]) <= 1e-12 * 0.02 / (double)k);
        nqi_kmeans_free(&r);
        nqi_cells_free(&cells, &line.allocator, k);
        nqi_line_free(&line);
        free(w);
        free(h);
    }
}

/* Half of the weights have no importance; or none has. */
static void few_weights_without_importance(void **state)
{
    (void)state;
    enum { N = 100000, K = 8 };
    float *w = data_weights(N, 1, 0, 3), *h = data_importance(N, 1, 4);
    for (unsigned share = 1; share <= 2; share++) {
        for (size_t i = 0; i < N; i++)
            h[i] = i % 2 < share ? 0 : h[i];
        const nqi_weights view = data_view(w, NQ_F32, h, N);
        nqi_line line;
        double lambda;
        nqi_cells cells = solve_all(&line, &lambda, &view, K);
        nqi_kmeans_result r = run(w, h, N, K, NQI_KMEANS_EXACT);
        assert_int_equal(r.ignores_importance, share == 2);
        assert_int_equal(r.n_levels, K);
        for (size_t j = 0; j < K; j++)
            assert_true(fabs(r.levels[j] - cells.means[j]) <= 1e-12 / K);
        nqi_kmeans_free(&r);
        nqi_cells_free(&cells, &line.allocator, K);
        nqi_line_free(&line);
    }
    free(w);
    free(h);
}

/* ---- Lloyd --------------------------------------------------------------------------------- */

/* The method as it is told, over weights as they lie. */
static size_t plain_lloyd(long double *levels, size_t k, const float *w, const float *h, size_t n,
                          uint32_t max_iterations)
{
    size_t *cells = malloc(n * sizeof *cells), n_iterations = 0;
    long double *sums = malloc(2 * k * sizeof *sums);
    assert_non_null(cells);
    assert_non_null(sums);
    for (bool changed = true, first = true;; first = false) {
        changed = first;
        memset(sums, 0, 2 * k * sizeof *sums);
        for (size_t i = 0; i < n; i++) {
            size_t cell = 0;
            while (cell + 1 < k &&
                   (double)w[i] >= 0.5 * ((double)levels[cell] + (double)levels[cell + 1]))
                cell++;
            changed |= !first && cells[i] != cell;
            cells[i] = cell;
            sums[2 * cell] += h ? (long double)h[i] : 1;
            sums[2 * cell + 1] += (h ? (long double)h[i] : 1) * (long double)w[i];
        }
        if (!changed || (max_iterations && n_iterations == max_iterations))
            break;
        n_iterations++;
        for (size_t j = 0; j < k; j++)
            if (sums[2 * j] > 0)
                levels[j] = (double)(sums[2 * j + 1] / sums[2 * j]);
    }
    size_t n_used = 0;
    for (size_t j = 0; j < k; j++)
        if (sums[2 * j] > 0)
            levels[n_used++] = levels[j];
    levels[n_used] = (long double)n_iterations; /* behind the last */
    free(cells);
    free(sums);
    return n_used;
}

static void lloyd_is_lloyd(void **state)
{
    (void)state;
    enum { N = 3000 };
    const size_t ks[] = {1, 2, 3, 16, 100};
    float *w = data_weights(N, 1, 0, 6), *h = data_importance(N, 1, 7);
    w[5] = 40; /* so that a linear start has empty cells */
    for (int weighted = 0; weighted < 2; weighted++)
        for (size_t i = 0; i < NQI_COUNT(ks); i++)
            for (uint32_t limit = 0; limit < 4; limit++) {
                const size_t k = ks[i];
                long double levels[102];
                double low = INFINITY, high = -INFINITY;
                for (size_t j = 0; j < N; j++) {
                    low = (double)w[j] < low ? (double)w[j] : low;
                    high = (double)w[j] > high ? (double)w[j] : high;
                }
                for (size_t j = 0; j < k; j++)
                    levels[j] = low + ((double)j + 0.5) * (high - low) / (double)k;
                const size_t n_used = plain_lloyd(levels, k, w, weighted ? h : NULL, N, limit);
                const nqi_env env = nqi_env_default();
                const nqi_weights view = data_view(w, NQ_F32, weighted ? h : NULL, N);
                const nqi_kmeans_options options = {
                    .k = k, .method = NQI_KMEANS_LLOYD, .max_iterations = limit};
                nqi_kmeans_result r = run_with(&env, &view, &options);
                assert_int_equal(r.n_levels, n_used);
                assert_int_equal(r.iterations, (size_t)levels[n_used]);
                for (size_t j = 0; j < n_used; j++)
                    assert_true(fabs(r.levels[j] - (double)levels[j]) <= 1e-13);
                nqi_kmeans_free(&r);
            }
    free(w);
    free(h);
}

/* Starts are drawn from the weights; a seed draws the same ones again, and another one others. */
static void plus_plus_draws_weights(void **state)
{
    (void)state;
    enum { N = 5000, K = 40 };
    float *w = data_weights(N, 1, 0, 8), *h = data_importance(N, 2, 9);
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, h, N);
    nqi_summary s = data_summarise(&env, &view);
    nqi_line line;
    assert_int_equal(nqi_line_from_summary(&line, &s), NQ_OK);
    double first[K] = {0}, levels[K];
    for (uint64_t seed = 0; seed < 20; seed++) {
        size_t n;
        assert_int_equal(nqi_lloyd_start_plus_plus(levels, &n, K, &env, &line, seed / 2), NQ_OK);
        assert_int_equal(n, K);
        for (size_t i = 0; i < K; i++) {
            assert_true(nqi_line_value(&line, nqi_line_find(&line, levels[i])) == levels[i]);
            assert_true(i == 0 || levels[i] > levels[i - 1]);
        }
        assert_int_equal(memcmp(first, levels, sizeof levels) == 0, seed % 2);
        memcpy(first, levels, sizeof levels);
    }
    nqi_line_free(&line);
    nqi_summary_free(&s);
    free(w);
    free(h);
}

/* It has no more levels than there are weights, and comes near the optimum where linear does not.
 */
static void plus_plus_starts_well(void **state)
{
    (void)state;
    enum { N = 20000 };
    float *w = data_weights(N, 1, 0, 10);
    w[0] = 1e4f;
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, NULL, N);
    nqi_kmeans_options options = {
        .k = 32, .method = NQI_KMEANS_LLOYD, .start = NQI_START_PLUS_PLUS, .is_measured = true};
    nqi_kmeans_result best = run(w, NULL, N, 32, NQI_KMEANS_OPTIMAL);
    nqi_kmeans_result linear = run(w, NULL, N, 32, NQI_KMEANS_LLOYD);
    assert_true(linear.distortion > 10 * best.distortion);
    for (options.seed = 0; options.seed < 5; options.seed++) {
        nqi_kmeans_result r = run_with(&env, &view, &options);
        assert_true(r.distortion < 1.1 * best.distortion &&
                    r.distortion >= best.distortion * (1 - 1e-7));
        nqi_kmeans_free(&r);
    }
    nqi_kmeans_free(&best);
    nqi_kmeans_free(&linear);
    free(w);
    const float few[] = {1, 1, 2, 3, 3};
    const nqi_weights few_view = data_view(few, NQ_F32, NULL, 5);
    nqi_kmeans_result r = run_with(&env, &few_view, &options);
    assert_int_equal(r.n_levels, 3);
    assert_true(r.distortion == 0);
    nqi_kmeans_free(&r);
}

static void given_levels(void **state)
{
    (void)state;
    const float w[] = {0, 1, 10, 11};
    const double levels[] = {0, 20};
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, NULL, 4);
    const nqi_kmeans_options options = {
        .k = 2, .method = NQI_KMEANS_LLOYD, .start = NQI_START_GIVEN, .levels = levels};
    nqi_kmeans_result r = run_with(&env, &view, &options);
    assert_true(r.levels[0] == 0.5 && r.levels[1] == 10.5);
    nqi_kmeans_free(&r);
}

/* A cell without weights, here the one of 9, keeps its level and has weights once its neighbour has
 * moved from 4 to 1.5. */
static void empty_cells_keep_their_level(void **state)
{
    (void)state;
    const float w[] = {0, 0, 0, 6, 20};
    const double levels[] = {4, 9, 10};
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, NULL, NQI_COUNT(w));
    const nqi_kmeans_options options = {
        .k = 3, .method = NQI_KMEANS_LLOYD, .start = NQI_START_GIVEN, .levels = levels};
    nqi_kmeans_result r = run_with(&env, &view, &options);
    assert_true(r.n_levels == 3 && r.levels[0] == 0 && r.levels[1] == 6 && r.levels[2] == 20);
    nqi_kmeans_free(&r);
}

/* ---- Rules for odd input ------------------------------------------------------------------- */

static const nqi_kmeans_method all_methods[] = {NQI_KMEANS_OPTIMAL, NQI_KMEANS_EXACT,
                                                NQI_KMEANS_LLOYD};

static void one_level_is_the_mean(void **state)
{
    (void)state;
    const float w[] = {1, 2, 6}, h[] = {1, 1, 2};
    for (size_t i = 0; i < NQI_COUNT(all_methods); i++) {
        nqi_kmeans_result r = run(w, NULL, 3, 1, all_methods[i]);
        assert_true(r.n_levels == 1 && r.levels[0] == 3);
        nqi_kmeans_free(&r);
        r = run(w, h, 3, 1, all_methods[i]);
        assert_true(r.n_levels == 1 && r.levels[0] == 3.75);
        nqi_kmeans_free(&r);
    }
}

static void one_weight(void **state)
{
    (void)state;
    const float w[] = {-7.25f};
    for (size_t i = 0; i < NQI_COUNT(all_methods); i++) {
        nqi_kmeans_result r = run(w, NULL, 1, 5, all_methods[i]);
        assert_true(r.codebook.n == 1 && r.codebook.levels[0] == -7.25f && r.distortion == 0);
        nqi_kmeans_free(&r);
    }
}

static void one_value(void **state)
{
    (void)state;
    float w[1000], h[1000];
    uint64_t seed = 1;
    for (size_t i = 0; i < 1000; i++) {
        w[i] = 0.1f;
        h[i] = (float)unit_random_real(&seed) + 1;
    }
    for (size_t i = 0; i < NQI_COUNT(all_methods); i++) {
        nqi_kmeans_result r = run(w, h, 1000, 16, all_methods[i]);
        assert_true(r.codebook.n == 1 && r.codebook.levels[0] == 0.1f && r.distortion == 0);
        nqi_kmeans_free(&r);
    }
}

/* Values and importance over so many orders of magnitude that distortions vanish beside others: no
 * lambda leaves as many cells as asked for, and two paths that do not enclose it were once crossed
 * all the same, beyond their ends. */
static void out_of_all_proportion(void **state)
{
    (void)state;
    const float w[] = {-22251340797313024.0f,    -44743.00390625f,         -7.9774545156396925e-05f,
                       -1.2694179041261577e-09f, -1.1894302997502127e-18f, -9.0462524398603664e-30f,
                       -5.5595992737394778e-32f, 4.76704468902701e-34f,    2.8159281424686916e-24f,
                       3.5387688841013043e-24f,  6.3187835854437081e-20f,  7.8609113940749201e-19f,
                       5.8274136384428576e-12f,  1.6006654335321002e-11f,  1.0279314665240236e-05f,
                       1084.7449951171875f,      18045.869140625f,         1749682.25f,
                       8.6735371284983201e+21f,  3.4267780602973041e+29f};
    const float h[] = {2.6359986193824625e-08f,
                       2.3683396568103823e-25f,
                       3.510446299070929e+32f,
                       4.236686834691028e-10f,
                       4.236686834691028e-10f,
                       1.8425553634709295e+28f,
                       1.4719575927059358e-13f,
                       2.6359986193824625e-08f,
                       2.3683396568103823e-25f,
                       3397593.5f,
                       3397593.5f,
                       4.236686834691028e-10f,
                       3.510446299070929e+32f,
                       1.8425553634709295e+28f,
                       2.3683396568103823e-25f,
                       1.4719575927059358e-13f,
                       2.6359986193824625e-08f,
                       3397593.5f,
                       1.4719575927059358e-13f,
                       3.510446299070929e+32f};
    for (size_t i = 0; i < NQI_COUNT(all_methods); i++)
        for (uint32_t k = 1; k <= NQI_COUNT(w); k++) {
            nqi_kmeans_result r = run(w, h, NQI_COUNT(w), k, all_methods[i]);
            assert_true(r.n_levels >= 1 && r.n_levels <= k);
            for (size_t j = 0; j < r.n_levels; j++)
                assert_true(r.levels[j] >= (double)w[0] && r.levels[j] <= (double)w[19] &&
                            (j == 0 || r.levels[j] >= r.levels[j - 1]));
            nqi_kmeans_free(&r);
        }
}

/* Importance that is nothing beside other importance, even as a double: levels are finite. */
static void importance_that_vanishes(void **state)
{
    (void)state;
    const float w[] = {-1, 2, 2.5f, 7};
    const double h[] = {2.1e-308, 1.2e111, 4.9e-324, 3e-300};
    const nqi_env env = nqi_env_default();
    nqi_weights view = data_view(w, NQ_F32, (const float *)(const void *)h, NQI_COUNT(w));
    view.h.dtype = NQ_F64;
    for (size_t i = 0; i < NQI_COUNT(all_methods); i++)
        for (uint32_t k = 1; k <= NQI_COUNT(w); k++) {
            const nqi_kmeans_options options = {
                .k = k, .method = all_methods[i], .is_measured = true};
            nqi_kmeans_result r = run_with(&env, &view, &options);
            assert_true(r.n_levels >= 1 && r.n_levels <= k);
            for (size_t j = 0; j < r.n_levels; j++)
                assert_true(r.levels[j] >= (double)w[0] && r.levels[j] <= (double)w[3] &&
                            (j == 0 || r.levels[j] >= r.levels[j - 1]));
            nqi_kmeans_free(&r);
        }
}

static void nothing_has_no_levels(void **state)
{
    (void)state;
    const nqi_env env = nqi_env_default();
    const nqi_summary s = nqi_summary_empty(&env.allocator);
    const nqi_kmeans_options options = {.k = 4};
    nqi_kmeans_result r;
    assert_int_equal(nqi_kmeans(&r, &env, &s, NULL, 0, &options), NQ_E_ARG);
    nqi_kmeans_free(&r);
}

static void levels_within_limits(void **state)
{
    (void)state;
    const float w[] = {1, 2};
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, NULL, 2);
    nqi_summary s = data_summarise(&env, &view);
    const size_t ks[] = {0, NQ_MAX_LEVELS + 1};
    for (size_t i = 0; i < NQI_COUNT(ks); i++) {
        const nqi_kmeans_options options = {.k = ks[i]};
        nqi_kmeans_result r;
        assert_int_equal(nqi_kmeans(&r, &env, &s, &view, 1, &options), NQ_E_ARG);
        nqi_kmeans_free(&r);
    }
    nqi_summary_free(&s);
}

/* As many levels as there are different values: those, and nothing is lost. */
static void no_more_levels_than_values(void **state)
{
    (void)state;
    const float w[] = {3, -1, 3, 0.25f, -1, 8}, h[] = {1, 1, 1, 1, 1, 0};
    const float want[] = {-1, 0.25f, 3, 8};
    for (size_t i = 0; i < NQI_COUNT(all_methods); i++)
        for (size_t k = 4; k < 300; k += 37) {
            nqi_kmeans_result r = run(w, NULL, 6, k, all_methods[i]);
            assert_int_equal(r.codebook.n, 4);
            assert_memory_equal(r.codebook.levels, want, sizeof want);
            assert_true(r.distortion == 0 && r.is_optimal);
            nqi_kmeans_free(&r);
            r = run(w, h, 6, k, all_methods[i]); /* what has no importance has no level */
            assert_int_equal(r.codebook.n, 3);
            assert_true(r.distortion == 0);
            nqi_kmeans_free(&r);
        }
}

/* Values so near that all but the farthest lie in one cell of a linear start. */
static void near_values_stay_apart(void **state)
{
    (void)state;
    enum { N = 5000, K = 7 };
    static float w[N];
    float want[K] = {1, 1, 1, 1, 1, 1, 1000};
    for (size_t j = 1; j + 1 < K; j++)
        want[j] = nextafterf(want[j - 1], 2);
    for (size_t i = 0; i < N; i++)
        w[i] = want[i % K];
    for (size_t i = 0; i < NQI_COUNT(all_methods); i++)
        for (size_t k = K; k < K + 3; k++) {
            nqi_kmeans_result r = run(w, NULL, N, k, all_methods[i]);
            assert_int_equal(r.codebook.n, K);
            assert_memory_equal(r.codebook.levels, want, sizeof want);
            assert_true(r.distortion == 0 && r.is_optimal);
            nqi_kmeans_free(&r);
        }
}

static void zero_importance_has_no_say(void **state)
{
    (void)state;
    const float w[] = {1, 2, 9, 10, 500, -500}, h[] = {1, 1, 1, 1, 0, 0};
    for (size_t i = 0; i < NQI_COUNT(all_methods); i++) {
        uint16_t indices[6];
        const uint16_t want[] = {0, 0, 1, 1, 1, 0};
        nqi_kmeans_result r = run(w, h, 6, 2, all_methods[i]);
        assert_true(r.levels[0] == 1.5 && r.levels[1] == 9.5);
        assert_false(r.ignores_importance);
        nqi_codebook_assign(&r.codebook, indices, w, 6); /* they are coded all the same */
        assert_memory_equal(indices, want, sizeof want);
        nqi_kmeans_free(&r);
    }
}

static void importance_of_nothing_but_zeros_is_none(void **state)
{
    (void)state;
    float w[100], h[100] = {0};
    uint64_t seed = 4;
    for (size_t i = 0; i < 100; i++)
        w[i] = (float)unit_random_real(&seed);
    for (size_t i = 0; i < NQI_COUNT(all_methods); i++) {
        nqi_kmeans_result r = run(w, h, 100, 7, all_methods[i]);
        nqi_kmeans_result plain = run(w, NULL, 100, 7, all_methods[i]);
        assert_true(r.ignores_importance && !plain.ignores_importance);
        assert_int_equal(r.n_levels, plain.n_levels);
        assert_memory_equal(r.levels, plain.levels, r.n_levels * sizeof *r.levels);
        assert_true(r.distortion == plain.distortion);
        nqi_kmeans_free(&r);
        nqi_kmeans_free(&plain);
    }
}

static void minus_zero_is_zero(void **state)
{
    (void)state;
    const float w[] = {-0.0f, 0.0f, 1, 1}, zero = 0;
    for (size_t i = 0; i < 2; i++) {
        nqi_kmeans_result r = run(w, NULL, 4, 4, all_methods[i]);
        assert_int_equal(r.codebook.n, 2);
        assert_memory_equal(&r.codebook.levels[0], &zero, sizeof zero);
        nqi_kmeans_free(&r);
    }
}

static void denormal_weights(void **state)
{
    (void)state;
    float w[64];
    for (size_t i = 0; i < 64; i++)
        w[i] = (float)(i < 32 ? i : 1000 + i) * 0x1p-149f;
    for (size_t i = 0; i < 2; i++) {
        nqi_kmeans_result r = run(w, NULL, 64, 2, all_methods[i]);
        assert_true(r.levels[0] == 15.5 * 0x1p-149 && r.levels[1] == 1047.5 * 0x1p-149);
        nqi_kmeans_free(&r);
    }
}

/* The largest floats with the largest importance: no sum leaves the range of doubles. */
static void largest_weights_and_importance(void **state)
{
    (void)state;
    const float w[] = {FLT_MAX, -FLT_MAX, FLT_MAX / 2, 0, -FLT_MAX / 2},
                h[] = {FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX};
    for (size_t i = 0; i < NQI_COUNT(all_methods); i++) {
        nqi_kmeans_result r = run(w, h, 5, 2, all_methods[i]);
        assert_int_equal(r.n_levels, 2);
        assert_true(r.levels[0] < 0 && r.levels[1] > 0 && isfinite(r.distortion));
        nqi_kmeans_free(&r);
    }
}

/* An outlier costs one level, and the others are where they were without it. */
static void an_outlier_costs_one_level(void **state)
{
    (void)state;
    enum { N = 100000 };
    const float outliers[] = {1e10f, -1e30f, FLT_MAX};
    float *w = data_weights(N, 1, 0, 11);
    for (size_t i = 0; i < NQI_COUNT(outliers); i++)
        for (size_t method = 0; method < 2; method++) {
            nqi_kmeans_result without = run(w, NULL, N - 1, 15, all_methods[method]);
            const float kept = w[N - 1];
            w[N - 1] = outliers[i];
            nqi_kmeans_result with = run(w, NULL, N, 16, all_methods[method]);
            w[N - 1] = kept;
            assert_int_equal(with.n_levels, 16);
            const size_t first = outliers[i] < 0;
            assert_true(with.levels[first ? 0 : 15] == (double)outliers[i]);
            for (size_t j = 0; j < 15; j++)
                assert_true(fabs(with.levels[first + j] - without.levels[j]) < 1e-4);
            nqi_kmeans_free(&with);
            nqi_kmeans_free(&without);
        }
    free(w);
}

/* Levels that round to the same float are one. */
static void twins_after_rounding_are_dropped(void **state)
{
    (void)state;
    float w[12];
    for (size_t i = 0; i < 12; i++)
        w[i] = nqi_key_weight(nqi_key(1.0f) + (uint32_t)i);
    nqi_kmeans_result r = run(w, NULL, 12, 11, NQI_KMEANS_OPTIMAL);
    assert_int_equal(r.n_levels, 11);
    assert_true(r.codebook.n == 11 || r.codebook.n == 10);
    nqi_kmeans_free(&r);
}

/* ---- Same result, whoever works ------------------------------------------------------------ */

static void workers_and_masks_do_not_matter(void **state)
{
    (void)state;
    enum { N = 600000, A = N / 3 };
    float *w = data_weights(N, 0.1, 0, 12), *h = data_importance(N, 3, 13);
    const nqi_weights parts[2] = {data_view(w, NQ_F32, h, A),
                                  data_view(w + A, NQ_F32, h + A, N - A)};
    for (size_t method = 0; method < NQI_COUNT(all_methods); method++) {
        const nqi_kmeans_options options = {.k = 64,
                                            .method = all_methods[method],
                                            .start = NQI_START_PLUS_PLUS,
                                            .max_iterations = 50,
                                            .is_measured = true};
        nqi_kmeans_result first = {.n_levels = 0};
        for (size_t i = 0; i < NQI_COUNT(data_workers); i++) {
            const nqi_env env = data_env(&data_workers[i], data_masks[i == 3 ? 4 : i]);
            nqi_summary s = data_summarise(&env, &parts[0]);
            nqi_kmeans_result r;
            assert_int_equal(nqi_summary_add(&s, &env, &parts[1], NULL), NQ_OK);
            assert_int_equal(nqi_kmeans(&r, &env, &s, parts, 2, &options), NQ_OK);
            nqi_summary_free(&s);
            if (i == 0) {
                first = r;
                continue;
            }
            assert_int_equal(r.n_levels, first.n_levels);
            assert_memory_equal(r.levels, first.levels, r.n_levels * sizeof *r.levels);
            assert_memory_equal(&r.distortion, &first.distortion, sizeof r.distortion);
            nqi_kmeans_free(&r);
        }
        nqi_kmeans_free(&first);
    }
    free(w);
    free(h);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static void check_without_memory(const nqi_summary *s, const nqi_weights *view,
                                 const nqi_kmeans_options *options)
{
    for (uint64_t n = 0;; n++) {
        data_memory memory;
        nqi_env env = data_env_failing(&memory, n);
        nqi_kmeans_result r;
        const nq_status status = nqi_kmeans(&r, &env, s, view, 1, options);
        nqi_kmeans_free(&r);
        assert_int_equal(memory.n_out, 0);
        assert_int_equal(status, memory.has_failed ? NQ_E_NOMEM : NQ_OK);
        if (!memory.has_failed)
            return;
    }
}

static void memory_that_runs_out(void **state)
{
    (void)state;
    enum { N = 70000 };
    float *w = data_weights(N, 1, 0, 14), *h = data_importance(N, 3, 15);
    const nqi_env env = nqi_env_default();
    const size_t sizes[] = {500, N};
    for (size_t i = 0; i < NQI_COUNT(sizes); i++)
        for (size_t method = i; method < NQI_COUNT(all_methods) - i; method++) {
            const nqi_weights view = data_view(w, NQ_F32, h, sizes[i]);
            nqi_summary s = data_summarise(&env, &view);
            const nqi_kmeans_options options = {.k = 5,
                                                .method = all_methods[method],
                                                .start = NQI_START_PLUS_PLUS,
                                                .max_iterations = 3,
                                                .is_measured = true};
            check_without_memory(&s, &view, &options);
            nqi_summary_free(&s);
        }
    free(w);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_partition_is_better),
        cmocka_unit_test(as_good_as_dynamic_programming),
        cmocka_unit_test(splitting_bins_comes_close),
        cmocka_unit_test(more_levels_than_bins),
        cmocka_unit_test(summaries_alone),
        cmocka_unit_test(levels_are_means_to_twelve_digits),
        cmocka_unit_test(few_weights_are_enough),
        cmocka_unit_test(few_weights_without_importance),
        cmocka_unit_test(lloyd_is_lloyd),
        cmocka_unit_test(plus_plus_draws_weights),
        cmocka_unit_test(plus_plus_starts_well),
        cmocka_unit_test(given_levels),
        cmocka_unit_test(empty_cells_keep_their_level),
        cmocka_unit_test(one_level_is_the_mean),
        cmocka_unit_test(one_weight),
        cmocka_unit_test(one_value),
        cmocka_unit_test(out_of_all_proportion),
        cmocka_unit_test(importance_that_vanishes),
        cmocka_unit_test(nothing_has_no_levels),
        cmocka_unit_test(levels_within_limits),
        cmocka_unit_test(no_more_levels_than_values),
        cmocka_unit_test(near_values_stay_apart),
        cmocka_unit_test(zero_importance_has_no_say),
        cmocka_unit_test(importance_of_nothing_but_zeros_is_none),
        cmocka_unit_test(minus_zero_is_zero),
        cmocka_unit_test(denormal_weights),
        cmocka_unit_test(largest_weights_and_importance),
        cmocka_unit_test(an_outlier_costs_one_level),
        cmocka_unit_test(twins_after_rounding_are_dropped),
        cmocka_unit_test(workers_and_masks_do_not_matter),
        cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
