/*
 * Rate-distortion optimal assignment against a look at every level in long double; what it comes to
 * against plain sums; lengths for given levels against plain iterations; the same whoever works.
 */
#include "test_stats_data.h"

#include <float.h>

#include "ecsq/rdo.h"

/* ---- Oracle -------------------------------------------------------------------------------- */

static long double cost_of(double w, double h, double level, double length, double lambda)
{
    const long double away = (long double)w - level;
    return h * away * away + (long double)lambda * length;
}

static bool is_used(double length)
{
    return length < NQI_RDO_UNUSED;
}

/* The first of the cheapest levels. */
static size_t cheapest(double w, double h, const float *levels, const double *lengths, size_t k,
                       double lambda)
{
    size_t best = k;
    long double least = INFINITY;
    for (size_t j = 0; j < k; j++) {
        if (!is_used(lengths[j]))
            continue;
        const long double cost = cost_of(w, h, (double)levels[j], lengths[j], lambda);
        if (cost < least) {
            least = cost;
            best = j;
        }
    }
    return best;
}

/* ---- Cases --------------------------------------------------------------------------------- */

typedef struct problem {
    size_t n;
    float *w;
    float *h; /* NULL: none */
    size_t k;
    float *levels;
    double *lengths;
    double lambda;
    nqi_weights view;
    nqi_summary summary;
    nqi_rows rows;
} problem;

static void sort_floats(float *x, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const float moved = x[i];
        size_t j = i;
        for (; j > 0 && x[j - 1] > moved; j--)
            x[j] = x[j - 1];
        x[j] = moved;
    }
}

/* k levels over the bulk of the weights, with lengths as if used like a bell, and some random. */
static void make_levels(problem *p, uint64_t seed)
{
    size_t k = 0;
    for (size_t j = 0; j < p->k; j++)
        p->levels[j] = (float)(2.5 * unit_random_real(&seed));
    sort_floats(p->levels, p->k);
    for (size_t j = 0; j < p->k; j++)
        if (k == 0 || p->levels[j] > p->levels[k - 1])
            p->levels[k++] = p->levels[j];
    p->k = k;
    for (size_t j = 0; j < k; j++) {
        const double x = (double)p->levels[j];
        p->lengths[j] = x * x + (unit_random(&seed) % 4 ? 1 : 5 * (unit_random_real(&seed) + 1));
        if (k > 2 && j > 0 && unit_random(&seed) % 16 == 0)
            p->lengths[j] = NQI_RDO_UNUSED;
    }
}

/* Sigma < 0: no importance; 0: all the same. */
static problem make_problem(const nqi_env *env, size_t n, size_t k, double sigma, double lambda,
                            uint64_t seed)
{
    problem p = {.n = n, .k = k, .lambda = lambda};
    p.w = data_weights(n, 1, 0, seed);
    p.h = sigma < 0 ? NULL : data_importance(n, sigma, seed + 1);
    p.levels = malloc(k * sizeof *p.levels);
    p.lengths = malloc(k * sizeof *p.lengths);
    assert_true(p.levels && p.lengths);
    make_levels(&p, seed + 2);
    p.view = data_view(p.w, NQ_F32, p.h, n);
    p.summary = data_summarise(env, &p.view);
    assert_int_equal(nqi_rows_from_weights(&p.rows, env, &p.summary, &p.view, 1, NQI_ROWS_ALL),
                     NQ_OK);
    return p;
}

static void free_problem(problem *p)
{
    nqi_rows_free(&p->rows);
    nqi_summary_free(&p->summary);
    free(p->w);
    free(p->h);
    free(p->levels);
    free(p->lengths);
}

static nqi_rdo *create(const nqi_env *env, const problem *p)
{
    nqi_rdo *rdo;
    assert_int_equal(
        nqi_rdo_create(&rdo, env, p->h ? &p->rows : NULL, p->levels, p->lengths, p->k, p->lambda),
        NQ_OK);
    return rdo;
}

static void assign(uint16_t *indices, const nqi_env *env, const problem *p)
{
    nqi_rdo *rdo = create(env, p);
    double *h = malloc(p->n * sizeof *h);
    assert_non_null(h);
    for (size_t i = 0; i < p->n; i++)
        h[i] = p->h ? (double)p->h[i] : NAN; /* is not looked at */
    nqi_rdo_assign(rdo, indices, p->w, h, p->n);
    free(h);
    nqi_rdo_destroy(rdo);
}

/* ---- Assignment ---------------------------------------------------------------------------- */

/* The index is the oracle's but where two costs are as good as equal. */
static void check_indices(const problem *p, const uint16_t *indices)
{
    for (size_t i = 0; i < p->n; i++) {
        const double w = (double)p->w[i], h = p->h ? (double)p->h[i] : 1;
        const size_t got = indices[i];
        const size_t want = cheapest(w, h, p->levels, p->lengths, p->k, p->lambda);
        assert_true(got < p->k && is_used(p->lengths[got]));
        const long double more =
            cost_of(w, h, (double)p->levels[got], p->lengths[got], p->lambda) -
            cost_of(w, h, (double)p->levels[want], p->lengths[want], p->lambda);
        const long double scale =
            cost_of(w, h, (double)p->levels[want], p->lengths[want], p->lambda) + h * w * w;
        if (got != want && !(more <= 1e-14L * scale))
            print_message("weight %zu: %zu, not %zu: %Lg more of %Lg\n", i, got, want, more, scale);
        assert_true(got == want || more <= 1e-14L * scale);
    }
}

static void every_weight_goes_where_it_costs_least(void **state)
{
    (void)state;
    enum { N = 3000 };
    uint16_t indices[N];
    const size_t ks[] = {1, 2, 3, 16, 100, 700};
    const double sigmas[] = {-1, 0, 0.5, 2, 4};
    const double lambdas[] = {0, 1e-12, 1e-3, 0.1, 3, 1e9};
    const nqi_env env = nqi_env_default();
    for (size_t a = 0; a < NQI_COUNT(ks); a++)
        for (size_t b = 0; b < NQI_COUNT(sigmas); b++)
            for (size_t c = 0; c < NQI_COUNT(lambdas); c++) {
                problem p =
                    make_problem(&env, N, ks[a], sigmas[b], lambdas[c], a + 10 * b + 100 * c);
                assign(indices, &env, &p);
                check_indices(&p, indices);
                free_problem(&p);
            }
}

/* Outliers, values far from zero, importance from the least to the largest float. */
static void odd_weights_and_importance(void **state)
{
    (void)state;
    enum { N = 500 };
    uint16_t indices[N];
    const nqi_env env = nqi_env_default();
    for (uint64_t seed = 0; seed < 40; seed++) {
        problem p = make_problem(&env, N, 30, 3, 1e-2, seed);
        for (size_t i = 0; i < N; i += 7)
            p.w[i] *= seed % 2 ? 1e20f : 1e-20f;
        for (size_t i = 0; i < N && seed % 4 > 1; i += 5)
            p.h[i] = i % 2 ? FLT_MIN : 1e6f;
        nqi_rows_free(&p.rows);
        nqi_summary_free(&p.summary);
        p.summary = data_summarise(&env, &p.view);
        assert_int_equal(nqi_rows_from_weights(&p.rows, &env, &p.summary, &p.view, 1, NQI_ROWS_ALL),
                         NQ_OK);
        assign(indices, &env, &p);
        check_indices(&p, indices);
        free_problem(&p);
    }
}

/* Importance that is in no row. */
static void other_importance_than_in_the_rows(void **state)
{
    (void)state;
    enum { N = 3000 };
    uint16_t indices[N];
    const nqi_env env = nqi_env_default();
    problem p = make_problem(&env, N, 100, 0.3, 1e-2, 4);
    for (size_t i = 0; i < N; i++)
        p.h[i] *= p.h[i] * p.h[i] * p.h[i] * p.h[i] * p.h[i];
    assign(indices, &env, &p);
    check_indices(&p, indices);
    free_problem(&p);
}

/* So many levels and rows that rows share tables. */
static void many_levels(void **state)
{
    (void)state;
    enum { N = 300 };
    uint16_t indices[N];
    const nqi_env env = nqi_env_default();
    problem p = make_problem(&env, N, 40000, 6, 1e-4, 5);
    assert_true(p.rows.n_rows > 100);
    assign(indices, &env, &p);
    check_indices(&p, indices);
    free_problem(&p);
}

static void equal_costs_go_to_the_lower_level(void **state)
{
    (void)state;
    const float levels[] = {-1, 1, 3}, w[] = {0, 2, 1, 0.5f};
    const float h[] = {1, 1, 2, 1};
    const double lengths[] = {2, 2, 2};
    const uint16_t want[] = {0, 1, 1, 1};
    uint16_t got[4];
    const nqi_env env = nqi_env_default();
    for (int weighted = 0; weighted < 2; weighted++) {
        problem p = {.n = 4,
                     .w = (float *)(uintptr_t)w,
                     .h = weighted ? (float *)(uintptr_t)h : NULL,
                     .k = 3,
                     .levels = (float *)(uintptr_t)levels,
                     .lengths = (double *)(uintptr_t)lengths,
                     .lambda = 1};
        p.view = data_view(w, NQ_F32, p.h, 4);
        p.summary = data_summarise(&env, &p.view);
        assert_int_equal(nqi_rows_from_weights(&p.rows, &env, &p.summary, &p.view, 1, NQI_ROWS_ALL),
                         NQ_OK);
        assign(got, &env, &p);
        assert_memory_equal(got, want, sizeof want);
        nqi_rows_free(&p.rows);
        nqi_summary_free(&p.summary);
    }
}

static void weights_without_importance_take_the_shortest_code(void **state)
{
    (void)state;
    enum { N = 400 };
    uint16_t indices[N];
    const nqi_env env = nqi_env_default();
    problem p = make_problem(&env, N, 20, 1, 1e-2, 9);
    for (size_t i = 0; i < N; i += 3)
        p.h[i] = 0;
    nqi_rows_free(&p.rows);
    assert_int_equal(nqi_rows_from_weights(&p.rows, &env, &p.summary, &p.view, 1, NQI_ROWS_ALL),
                     NQ_OK);
    assert_int_equal(p.rows.n_weightless, (N + 2) / 3);
    assign(indices, &env, &p);
    check_indices(&p, indices);
    size_t shortest = 0;
    for (size_t j = 0; j < p.k; j++)
        shortest = p.lengths[j] < p.lengths[shortest] ? j : shortest;
    for (size_t i = 0; i < N; i += 3)
        assert_int_equal(indices[i], shortest);
    free_problem(&p);
}

static void unused_levels_stay_unused(void **state)
{
    (void)state;
    const float w[] = {1e6f, -1e6f, 0, 5}, h[] = {1, 2, 3, 4}, levels[] = {-1e6f, 0, 5, 1e6f};
    const double lengths[] = {NQI_RDO_UNUSED, 1, 1, NQI_RDO_UNUSED};
    const uint16_t want[] = {2, 1, 1, 2};
    uint16_t got[4];
    const nqi_env env = nqi_env_default();
    for (int weighted = 0; weighted < 2; weighted++) {
        problem p = {.n = 4,
                     .w = (float *)(uintptr_t)w,
                     .h = weighted ? (float *)(uintptr_t)h : NULL,
                     .k = 4,
                     .levels = (float *)(uintptr_t)levels,
                     .lengths = (double *)(uintptr_t)lengths};
        p.view = data_view(w, NQ_F32, p.h, 4);
        p.summary = data_summarise(&env, &p.view);
        assert_int_equal(nqi_rows_from_weights(&p.rows, &env, &p.summary, &p.view, 1, NQI_ROWS_ALL),
                         NQ_OK);
        assign(got, &env, &p);
        assert_memory_equal(got, want, sizeof want);
        nqi_rows_free(&p.rows);
        nqi_summary_free(&p.summary);
    }
}

static void the_same_for_every_cpu(void **state)
{
    (void)state;
    enum { N = 5003 };
    uint16_t first[N], other[N];
    const double sigmas[] = {-1, 2};
    for (size_t s = 0; s < NQI_COUNT(sigmas); s++)
        for (size_t i = 0; i < NQI_COUNT(data_masks); i++) {
            const nqi_env env = data_env(&data_workers[0], data_masks[i]);
            problem p = make_problem(&env, N, 200, sigmas[s], 1e-2, 21);
            assign(i ? other : first, &env, &p);
            if (i)
                assert_memory_equal(first, other, sizeof first);
            free_problem(&p);
        }
}

/* ---- Measuring ----------------------------------------------------------------------------- */

static void measures_what_it_assigns(void **state)
{
    (void)state;
    enum { N = 600001, K = 50 };
    const double sigmas[] = {-1, 2};
    uint16_t *indices = malloc(N * sizeof *indices);
    assert_non_null(indices);
    for (size_t s = 0; s < NQI_COUNT(sigmas); s++) {
        const nqi_env env = nqi_env_default();
        problem p = make_problem(&env, N, K, sigmas[s], 1e-2, 31);
        assign(indices, &env, &p);
        long double distortion = 0, bits = 0;
        uint64_t want[K] = {0}, counts[K];
        for (size_t i = 0; i < N; i++) {
            const double h = p.h ? (double)p.h[i] : 1;
            distortion += cost_of((double)p.w[i], h, (double)p.levels[indices[i]], 0, 0);
            bits += p.lengths[indices[i]];
            want[indices[i]]++;
        }
        nqi_rdo_fit first = {0, 0}, fit;
        for (size_t i = 0; i < NQI_COUNT(data_workers); i++) {
            const nqi_env worked = data_env(&data_workers[i], NQ_CPU_ALL);
            nqi_rdo *rdo = create(&worked, &p);
            assert_int_equal(nqi_rdo_measure(&fit, counts, rdo, &worked, &p.view, 1), NQ_OK);
            nqi_rdo_destroy(rdo);
            assert_memory_equal(counts, want, p.k * sizeof *counts);
            assert_true(fabsl(fit.distortion - distortion) <= 1e-12L * distortion);
            assert_true(fabsl(fit.bits - bits) <= 1e-12L * bits);
            if (i)
                assert_memory_equal(&fit, &first, sizeof fit);
            first = fit;
        }
        free_problem(&p);
    }
    free(indices);
}

/* ---- Lengths ------------------------------------------------------------------------------- */

/* Assigning and counting in turn, from lengths that are given; J where it rests. */
static long double iterate(double *lengths, const problem *p, double lambda)
{
    long double before = INFINITY, cost = INFINITY;
    for (int i = 0; i < 1000; i++) {
        uint64_t *counts = calloc(p->k, sizeof *counts);
        assert_non_null(counts);
        long double distortion = 0, bits = 0;
        for (size_t j = 0; j < p->n; j++) {
            const double w = (double)p->w[j], h = p->h ? (double)p->h[j] : 1;
            const size_t c = cheapest(w, h, p->levels, lengths, p->k, lambda);
            counts[c]++;
            distortion += cost_of(w, h, (double)p->levels[c], 0, 0);
        }
        for (size_t j = 0; j < p->k; j++) {
            lengths[j] = counts[j] ? (double)log2l((long double)p->n / (long double)counts[j])
                                   : NQI_RDO_UNUSED;
            bits += counts[j] ? (long double)counts[j] * lengths[j] : 0;
        }
        free(counts);
        before = cost;
        cost = distortion + lambda * bits;
        if (i > 0 && before - cost <= 1e-9L * before)
            break;
        if (lambda == 0)
            return cost;
    }
    return cost;
}

static long double plain_lengths(const problem *p, double factor)
{
    double *lengths = calloc(p->k, sizeof *lengths);
    assert_non_null(lengths);
    iterate(lengths, p, 0);
    if (factor > 1)
        iterate(lengths, p, factor * p->lambda);
    const long double cost = iterate(lengths, p, p->lambda);
    free(lengths);
    return cost;
}

static void lengths_as_good_as_plain_iterations(void **state)
{
    (void)state;
    enum { N = 4000 };
    const double sigmas[] = {-1, 0, 2}, lambdas[] = {1e-4, 1e-2, 0.2};
    const nqi_env env = nqi_env_default();
    for (size_t s = 0; s < NQI_COUNT(sigmas); s++)
        for (size_t l = 0; l < NQI_COUNT(lambdas); l++) {
            problem p = make_problem(&env, N, 60, sigmas[s], lambdas[l], 41);
            nqi_rdo_options o = nqi_rdo_options_default(lambdas[l]);
            uint64_t counts[60], measured[60], n = 0;
            double lengths[60], cost;
            o.tolerance = 1e-9;
            assert_int_equal(
                nqi_rdo_lengths(lengths, counts, &cost, &env, &p.rows, p.levels, p.k, &o), NQ_OK);
            const long double one = plain_lengths(&p, 1), other = plain_lengths(&p, 4);
            const long double want = one < other ? one : other;
            if (!(fabsl(cost - want) <= 1e-6L * want))
                print_message("sigma %g lambda %g: %.12g, not %.12Lg\n", sigmas[s], lambdas[l],
                              cost, want);
            assert_true(fabsl(cost - want) <= 1e-6L * want);
            memcpy(p.lengths, lengths, p.k * sizeof *lengths);
            nqi_rdo *rdo = create(&env, &p);
            nqi_rdo_fit fit;
            assert_int_equal(nqi_rdo_measure(&fit, measured, rdo, &env, &p.view, 1), NQ_OK);
            nqi_rdo_destroy(rdo);
            for (size_t j = 0; j < p.k; j++) {
                n += counts[j];
                assert_int_equal(counts[j] > 0, lengths[j] < NQI_RDO_UNUSED);
                assert_true(measured[j] == 0 || counts[j] > 0);
            }
            assert_int_equal(n, N);
            assert_true(fit.distortion + lambdas[l] * fit.bits <= cost * (1 + 1e-6));
            free_problem(&p);
        }
}

/* A table of lengths stays as it is, used or not. */
static void lengths_of_a_table(void **state)
{
    (void)state;
    enum { N = 4000, K = 40 };
    const nqi_env env = nqi_env_default();
    problem p = make_problem(&env, N, K, 2, 1e-2, 51);
    for (size_t j = 0; j < p.k; j++)
        p.lengths[j] = (double)(1 + j % 13);
    nqi_rdo_options o = nqi_rdo_options_default(p.lambda);
    o.table = p.lengths;
    uint64_t counts[K], measured[K];
    double lengths[K], cost;
    assert_int_equal(nqi_rdo_lengths(lengths, counts, &cost, &env, &p.rows, p.levels, p.k, &o),
                     NQ_OK);
    assert_memory_equal(lengths, p.lengths, p.k * sizeof *lengths);
    nqi_rdo *rdo = create(&env, &p);
    nqi_rdo_fit fit;
    assert_int_equal(nqi_rdo_measure(&fit, measured, rdo, &env, &p.view, 1), NQ_OK);
    nqi_rdo_destroy(rdo);
    assert_memory_equal(counts, measured, p.k * sizeof *counts);
    assert_true(fabs(fit.distortion + p.lambda * fit.bits - cost) <= 1e-9 * cost);
    free_problem(&p);
}

/* ---- Failures ------------------------------------------------------------------------------ */

static void failing_memory(void **state)
{
    (void)state;
    const nqi_env env = nqi_env_default();
    for (int weighted = 0; weighted < 2; weighted++) {
        problem p = make_problem(&env, 2000, 30, weighted ? 2 : -1, 1e-2, 61);
        const nqi_rdo_options o = nqi_rdo_options_default(p.lambda);
        nq_status status = NQ_E_NOMEM;
        for (uint64_t n_left = 0; status != NQ_OK; n_left++) {
            data_memory memory;
            const nqi_env failing = data_env_failing(&memory, n_left);
            uint64_t counts[30];
            double lengths[30], cost;
            nqi_rdo *rdo = NULL;
            nqi_rdo_fit fit;
            status = nqi_rdo_lengths(lengths, counts, &cost, &failing, &p.rows, p.levels, p.k, &o);
            if (status == NQ_OK)
                status =
                    nqi_rdo_create(&rdo, &failing, &p.rows, p.levels, p.lengths, p.k, p.lambda);
            if (status == NQ_OK)
                status = nqi_rdo_measure(&fit, counts, rdo, &failing, &p.view, 1);
            nqi_rdo_destroy(rdo);
            assert_int_equal(memory.n_out, 0);
            assert_int_equal(status, memory.has_failed ? NQ_E_NOMEM : NQ_OK);
        }
        free_problem(&p);
    }
}

static int32_t stop(void *user, uint32_t stage, uint64_t done, uint64_t total)
{
    (void)user;
    (void)stage;
    (void)done;
    (void)total;
    return 1;
}

static void can_be_stopped(void **state)
{
    (void)state;
    const nqi_env env = nqi_env_default();
    problem p = make_problem(&env, 2000, 30, 2, 1e-2, 71);
    const nqi_rdo_options o = nqi_rdo_options_default(p.lambda);
    nqi_env stopped = env;
    stopped.progress = stop;
    uint64_t counts[30];
    double lengths[30], cost;
    nqi_rdo_fit fit;
    nqi_rdo *rdo = create(&env, &p);
    assert_int_equal(nqi_rdo_lengths(lengths, counts, &cost, &stopped, &p.rows, p.levels, p.k, &o),
                     NQ_E_CANCELLED);
    assert_int_equal(nqi_rdo_measure(&fit, counts, rdo, &stopped, &p.view, 1), NQ_E_CANCELLED);
    nqi_rdo_destroy(rdo);
    free_problem(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_weight_goes_where_it_costs_least),
        cmocka_unit_test(odd_weights_and_importance),
        cmocka_unit_test(other_importance_than_in_the_rows),
        cmocka_unit_test(many_levels),
        cmocka_unit_test(equal_costs_go_to_the_lower_level),
        cmocka_unit_test(weights_without_importance_take_the_shortest_code),
        cmocka_unit_test(unused_levels_stay_unused),
        cmocka_unit_test(the_same_for_every_cpu),
        cmocka_unit_test(measures_what_it_assigns),
        cmocka_unit_test(lengths_as_good_as_plain_iterations),
        cmocka_unit_test(lengths_of_a_table),
        cmocka_unit_test(failing_memory),
        cmocka_unit_test(can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
