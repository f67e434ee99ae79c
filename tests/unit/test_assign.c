/*
 * Assignment: every kernel against counting thresholds one by one, ties included, and codebooks
 * against a search for the nearest level.
 */
#include "test_stats_data.h"

#include <float.h>

#include "cluster/codebook.h"
#include "nq/types.h"
#include "stats/search.h"

static const size_t cell_counts[] = {1,  2,  3,   5,   8,   15,  16,  17,  31,   32,   33,   63,
                                     64, 65, 127, 128, 129, 255, 256, 257, 1000, 4096, 65536};

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Random thresholds, some equal, some floats, some between floats. */
static double *make_thresholds(size_t n, uint64_t seed)
{
    double *t = malloc((n + 1) * sizeof *t);
    assert_non_null(t);
    for (size_t i = 0; i < n; i++) {
        t[i] = data_normal(&seed);
        if (i % 3 == 1)
            t[i] = (double)(float)t[i];
        if (i % 7 == 6)
            t[i] = t[i - 1];
    }
    qsort(t, n, sizeof *t, compare);
    return t;
}

/* Thresholds that are not above w, counted by bisection on doubles. */
static size_t count_thresholds(const double *t, size_t n, float w)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (t[middle] <= (double)w)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Weights: random ones, and the floats at and around thresholds. */
static float *make_weights(const double *t, size_t n_thresholds, size_t n, uint64_t seed)
{
    float *w = data_weights(n, 1.2, 0, seed);
    for (size_t i = 0; i < n; i++)
        if (i % 2 && n_thresholds > 0) {
            const float near = (float)t[unit_random(&seed) % n_thresholds];
            w[i] = nqi_key_weight(nqi_key(near) + (uint32_t)(unit_random(&seed) % 3) - 1);
        }
    const float extremes[] = {0.0f, -0.0f, FLT_MAX, -FLT_MAX, 0x1p-149f, -0x1p-149f};
    for (size_t i = 0; i < NQI_COUNT(extremes) && i < n; i++)
        w[i] = extremes[i];
    return w;
}

static void kernels_count_thresholds(void **state)
{
    (void)state;
    enum { N = 1003 };
    static uint16_t cells[N + 1];
    const nqi_allocator a = nqi_allocator_default();
    for (size_t c = 0; c < NQI_COUNT(cell_counts); c++) {
        const size_t n_thresholds = cell_counts[c] - 1;
        double *t = make_thresholds(n_thresholds, c);
        float *w = make_weights(t, n_thresholds, N, c);
        for (size_t m = 0; m < NQI_COUNT(data_masks); m++) {
            nqi_search s;
            const uint64_t cpu = nqi_cpu_features() & data_masks[m];
            assert_int_equal(nqi_search_create(&s, &a, t, cell_counts[c], cpu), NQ_OK);
            for (size_t n = 0; n <= N; n = n < 70 ? n + 1 : n + 311) {
                cells[n] = 0xabcd;
                nqi_search_run(&s, cells, w + (N - n), n);
                for (size_t i = 0; i < n; i++)
                    assert_int_equal(cells[i], count_thresholds(t, n_thresholds, w[N - n + i]));
                assert_int_equal(cells[n], 0xabcd);
            }
            nqi_search_free(&s, &a);
        }
        free(t);
        free(w);
    }
}

static void thresholds_beyond_all_floats(void **state)
{
    (void)state;
    const nqi_allocator a = nqi_allocator_default();
    const double t[] = {-1e300, -(double)FLT_MAX, (double)FLT_MAX, 1e39, 1e300};
    const float w[] = {-FLT_MAX, -1, 0, 1, FLT_MAX};
    const uint16_t want[] = {2, 2, 2, 2, 3};
    uint16_t cells[5];
    nqi_search s;
    assert_int_equal(nqi_search_create(&s, &a, t, 6, 0), NQ_OK);
    nqi_search_run(&s, cells, w, 5);
    assert_memory_equal(cells, want, sizeof want);
    nqi_search_free(&s, &a);
}

/* ---- Codebooks ----------------------------------------------------------------------------- */

static void codebooks_round_and_drop_twins(void **state)
{
    (void)state;
    const nqi_env env = nqi_env_default();
    const double levels[] = {-1, -1e-60, 1e-60, 0.1, 0.1 + 1e-12, 0.5, 0.5 + 0x1p-24, 2};
    const float want[] = {-1, 0, 0.1f, 0.5f, 0.5f + 0x1p-24f, 2};
    nqi_codebook c;
    assert_int_equal(nqi_codebook_create(&c, &env, levels, NQI_COUNT(levels)), NQ_OK);
    assert_int_equal(c.n, NQI_COUNT(want));
    assert_memory_equal(c.levels, want, sizeof want); /* 0 without a sign, too */
    nqi_codebook_free(&c);
    assert_int_equal(nqi_codebook_create(&c, &env, levels, 0), NQ_E_ARG);
    nqi_codebook_free(&c);
    assert_int_equal(nqi_codebook_create(&c, &env, levels, NQ_MAX_LEVELS + 1), NQ_E_ARG);
    nqi_codebook_free(&c);
}

/* Halfway between levels a weight goes up. */
static void ties_go_up(void **state)
{
    (void)state;
    const nqi_env env = nqi_env_default();
    const double levels[] = {-1, 0, 1, 3};
    const float w[] = {-0.5f, 0.5f, 2, -0.50000006f, 0.49999997f, 1.9999999f};
    const uint16_t want[] = {1, 2, 3, 0, 1, 2};
    uint16_t indices[6];
    nqi_codebook c;
    assert_int_equal(nqi_codebook_create(&c, &env, levels, 4), NQ_OK);
    nqi_codebook_assign(&c, indices, w, 6);
    assert_memory_equal(indices, want, sizeof want);
    nqi_codebook_free(&c);
}

static void measures_are_sums_of_squares(void **state)
{
    (void)state;
    enum { N = 600000, K = 37 };
    float *w = data_weights(N, 1, 0, 1), *h = data_importance(N, 2, 2);
    double levels[K];
    for (int i = 0; i < K; i++)
        levels[i] = -3 + 6.0 * i / K;
    nqi_fit first = {0, 0, 0};
    for (size_t i = 0; i < NQI_COUNT(data_workers); i++) {
        const nqi_env env = data_env(&data_workers[i], data_masks[i]);
        const nqi_weights parts[2] = {data_view(w, NQ_F32, h, N / 3),
                                      data_view(w + N / 3, NQ_F32, h + N / 3, N - N / 3)};
        nqi_codebook c;
        nqi_fit fit;
        assert_int_equal(nqi_codebook_create(&c, &env, levels, K), NQ_OK);
        assert_int_equal(nqi_codebook_measure(&fit, &env, &c, parts, 2), NQ_OK);
        if (i == 0) {
            long double squared = 0, weighted = 0;
            for (size_t j = 0; j < N; j++) {
                double best = INFINITY;
                for (size_t l = 0; l < c.n; l++)
                    best = fmin(best, fabs((double)w[j] - (double)c.levels[l]));
                squared += (long double)best * best;
                weighted += (long double)h[j] * best * best;
            }
            assert_true(fabsl(fit.squared - squared) <= 1e-12L * squared);
            assert_true(fabsl(fit.weighted - weighted) <= 1e-12L * weighted);
            first = fit;
        }
        assert_memory_equal(&fit, &first, sizeof fit);
        nqi_codebook_free(&c);
    }
    free(w);
    free(h);
}

static void memory_that_runs_out(void **state)
{
    (void)state;
    const double levels[] = {1, 2, 3};
    for (uint64_t n = 0;; n++) {
        data_memory memory;
        nqi_env env = data_env_failing(&memory, n);
        nqi_codebook c;
        const nq_status status = nqi_codebook_create(&c, &env, levels, 3);
        assert_int_equal(status, memory.has_failed ? NQ_E_NOMEM : NQ_OK);
        nqi_codebook_free(&c);
        assert_int_equal(memory.n_out, 0);
        if (!memory.has_failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_count_thresholds),
        cmocka_unit_test(thresholds_beyond_all_floats),
        cmocka_unit_test(codebooks_round_and_drop_twins),
        cmocka_unit_test(ties_go_up),
        cmocka_unit_test(measures_are_sums_of_squares),
        cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
