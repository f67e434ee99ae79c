/*
 * Summaries: every weight in its bin and every moment right, against sums of the weights
 * themselves; exact where they have to be; the same bytes whoever works, merged or not.
 */
#include "test_stats_data.h"

#include "base/half.h"

/* ---- Oracle -------------------------------------------------------------------------------- */

/* What the weights of one bin add up to. */
typedef struct sums {
    uint64_t count;
    uint64_t low;
    long double h;
    long double h_low;
} sums;

static size_t find_bin(const nqi_summary *s, uint32_t key)
{
    size_t low = 0, high = s->n_bins;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (s->bins[middle].key <= key)
            low = middle;
        else
            high = middle;
    }
    assert_true(high > low && s->bins[low].key <= key);
    assert_true(key - s->bins[low].key < UINT32_C(1) << s->bins[low].shift);
    return low;
}

static void check_rules(const nqi_summary *s)
{
    for (size_t i = 0; i < s->n_bins; i++) {
        const nqi_bin *b = &s->bins[i];
        assert_true(b->shift <= NQI_PREFIX_SHIFT && b->count > 0);
        assert_int_equal(b->key & ((1u << b->shift) - 1), 0);
        if (i == 0)
            continue;
        assert_true(b->key > b[-1].key);
        if (b->key >> NQI_PREFIX_SHIFT == b[-1].key >> NQI_PREFIX_SHIFT) {
            assert_int_equal(b->shift, b[-1].shift);
            assert_false(s->is_coarse);
        }
    }
}

static bool is_close(double got, long double want, double tolerance)
{
    return fabsl((long double)got - want) <= tolerance * fabsl(want);
}

/* The summary of n weights w with importance h, or none. */
static void check_moments(const nqi_summary *s, const float *w, const float *h, size_t n)
{
    sums *all = calloc(s->n_bins + 1, sizeof *all);
    assert_non_null(all);
    check_rules(s);
    assert_int_equal(s->n, n);
    assert_int_equal(s->is_weighted, h != NULL);
    for (size_t i = 0; i < n; i++) {
        const uint32_t key = nqi_key(w[i]);
        const size_t bin = find_bin(s, key);
        const uint32_t low = key - s->bins[bin].key;
        const long double importance = h ? (long double)h[i] : 1;
        all[bin].count++;
        all[bin].low += low;
        all[bin].h += importance;
        all[bin].h_low += importance * low;
    }
    for (size_t i = 0; i < s->n_bins; i++) {
        const nqi_bin *b = &s->bins[i];
        assert_int_equal(b->count, all[i].count);
        assert_int_equal(b->low, all[i].low);
        assert_true(is_close(b->h, all[i].h, h ? 1e-13 : 0));
        assert_true(is_close(b->h_low, all[i].h_low, h ? 1e-13 : 0));
    }
    free(all);
}

static nqi_summary summarise_floats(const float *w, const float *h, size_t n)
{
    const uint32_t one = 1;
    const nqi_env env = data_env(&one, NQ_CPU_ALL);
    const nqi_weights weights = data_view(w, NQ_F32, h, n);
    return data_summarise(&env, &weights);
}

/* ---- Contents ------------------------------------------------------------------------------ */

static void moments_are_right(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 2, 1000, NQI_MAX_DISTINCT, NQI_MAX_DISTINCT + 1, 300000, 1500000};
    const double shifts[] = {0, 1, 100};
    for (size_t i = 0; i < NQI_COUNT(sizes); i++)
        for (size_t j = 0; j < NQI_COUNT(shifts); j++) {
            const size_t n = sizes[i];
            if (n > 1000000 && j != 1) /* several chunks: one of them will do */
                continue;
            float *w = data_weights(n, 0.02, shifts[j], i), *h = data_importance(n, 4, j);
            nqi_summary plain = summarise_floats(w, NULL, n);
            nqi_summary weighted = summarise_floats(w, h, n);
            check_moments(&plain, w, NULL, n);
            check_moments(&weighted, w, h, n);
            nqi_summary_free(&plain);
            nqi_summary_free(&weighted);
            free(w);
            free(h);
        }
}

static void nothing_is_summarised(void **state)
{
    (void)state;
    nqi_summary s = summarise_floats(NULL, NULL, 0);
    assert_int_equal(s.n, 0);
    assert_int_equal(s.n_bins, 0);
    assert_true(nqi_summary_is_exact(&s));
    assert_true(nqi_summary_importance(&s) == 0);
    nqi_summary_free(&s);
}

/* -0 is 0; the smallest and the largest floats have bins like all others. */
static void extreme_weights(void **state)
{
    (void)state;
    enum { N = 100000 };
    float *w = malloc(N * sizeof *w);
    assert_non_null(w);
    const float values[] = {0.0f,      -0.0f,           0x1p-149f,       -0x1p-149f,
                            0x1p-126f, 3.402823466e38f, -3.402823466e38f};
    uint64_t seed = 5;
    for (size_t n = NQI_COUNT(values); n <= N; n = n == N ? N + 1 : N) {
        for (size_t i = 0; i < n; i++)
            w[i] = i < NQI_COUNT(values) ? values[i] : (float)unit_random_real(&seed);
        nqi_summary s = summarise_floats(w, NULL, n);
        check_moments(&s, w, NULL, n);
        assert_int_equal(s.bins[0].key >> NQI_PREFIX_SHIFT, NQI_KEY_MIN >> NQI_PREFIX_SHIFT);
        nqi_summary_free(&s);
    }
    free(w);
}

/* What a bin says of its place agrees with the weights in it. */
static void means_are_means(void **state)
{
    (void)state;
    enum { N = 200000 };
    float *w = data_weights(N, 1, 0, 9), *h = data_importance(N, 1, 10);
    nqi_summary s = summarise_floats(w, h, N);
    long double *sum = calloc(3 * s.n_bins, sizeof *sum);
    assert_non_null(sum);
    for (size_t i = 0; i < N; i++) {
        const size_t bin = find_bin(&s, nqi_key(w[i]));
        sum[3 * bin] += w[i];
        sum[3 * bin + 1] += (long double)h[i] * w[i];
        sum[3 * bin + 2] += h[i];
    }
    for (size_t i = 0; i < s.n_bins; i++) {
        const nqi_bin *b = &s.bins[i];
        assert_true(is_close(nqi_bin_plain_mean(b), sum[3 * i] / b->count, 1e-14));
        assert_true(is_close(nqi_bin_mean(b), sum[3 * i + 1] / sum[3 * i + 2], 1e-14));
    }
    free(sum);
    nqi_summary_free(&s);
    free(w);
    free(h);
}

/* ---- Exactness ----------------------------------------------------------------------------- */

static void weights_of_16_bits_are_exact(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    uint16_t *halves = malloc(N * sizeof *halves);
    float *w = malloc(N * sizeof *w);
    assert_non_null(halves);
    assert_non_null(w);
    for (uint32_t dtype = NQ_F16; dtype <= NQ_BF16; dtype++) {
        uint64_t seed = dtype;
        for (size_t i = 0; i < N; i++) {
            uint32_t key;
            do {
                halves[i] = (uint16_t)unit_random(&seed);
                w[i] = dtype == NQ_F16 ? nqi_f16_to_f32(halves[i]) : nqi_bf16_to_f32(halves[i]);
                key = nqi_key(w[i]);
            } while (!nqi_key_is_finite(key));
        }
        const uint32_t one = 1;
        const nqi_env env = data_env(&one, NQ_CPU_ALL);
        const nqi_weights view = data_view(halves, dtype, NULL, N);
        nqi_summary s = data_summarise(&env, &view);
        assert_true(nqi_summary_is_exact(&s));
        assert_true(s.n_bins <= NQI_MAX_DISTINCT);
        assert_int_equal(s.n_between, 0);
        check_moments(&s, w, NULL, N);
        nqi_summary_free(&s);
    }
    free(halves);
    free(w);
}

/* Values that share prefixes, many times each: only sorting tells them apart. */
static void few_different_values_are_exact(void **state)
{
    (void)state;
    enum { N = 600000 };
    const uint32_t n_values[] = {1, 7, 1000, NQI_MAX_DISTINCT};
    float *w = malloc(N * sizeof *w), *h = data_importance(N, 2, 1);
    assert_non_null(w);
    for (size_t k = 0; k < NQI_COUNT(n_values); k++) {
        uint64_t seed = k;
        for (size_t i = 0; i < N; i++)
            w[i] = nqi_key_weight(nqi_key(1.0f) + (uint32_t)(unit_random(&seed) % n_values[k]));
        for (int weighted = 0; weighted < 2; weighted++) {
            nqi_summary s = summarise_floats(w, weighted ? h : NULL, N);
            assert_true(nqi_summary_is_exact(&s));
            check_moments(&s, w, weighted ? h : NULL, N);
            nqi_summary_free(&s);
        }
    }
    free(w);
    free(h);
}

static void many_different_values_are_not(void **state)
{
    (void)state;
    enum { N = 200000 };
    float *w = data_weights(N, 1, 0, 2);
    nqi_summary s = summarise_floats(w, NULL, N);
    assert_false(nqi_summary_is_exact(&s));
    nqi_summary_free(&s);
    free(w);
}

/* Scales of a normalisation lie near one, where a prefix is wide compared with their spread. */
static void crowded_prefixes_are_split(void **state)
{
    (void)state;
    enum { N = 400000 };
    float *w = data_weights(N, 1e-3, 1, 3);
    nqi_summary s = summarise_floats(w, NULL, N);
    check_moments(&s, w, NULL, N);
    uint64_t largest = 0;
    for (size_t i = 0; i < s.n_bins; i++)
        largest = NQI_MAX(largest, s.bins[i].count);
    assert_true(largest < N / 5000); /* a prefix has a tenth of them */
    nqi_summary_free(&s);
    free(w);
}

/* ---- Bad input ----------------------------------------------------------------------------- */

static void check_bad(float *w, float *h, size_t n, size_t at)
{
    for (size_t i = 0; i < NQI_COUNT(data_workers); i++) {
        const nqi_env env = data_env(&data_workers[i], NQ_CPU_ALL);
        const nqi_weights view = data_view(w, NQ_F32, h, n);
        nqi_summary s = nqi_summary_empty(&env.allocator);
        nq_diag diag;
        assert_int_equal(nqi_summary_add(&s, &env, &view, &diag), NQ_E_NUMERIC);
        assert_int_equal(diag.status, NQ_E_NUMERIC);
        assert_int_equal(diag.element, at);
        assert_int_equal(s.n_bins, 0);
        assert_int_equal(nqi_weights_check(&env, &view, &diag), NQ_E_NUMERIC);
        assert_int_equal(diag.element, at);
        assert_int_equal(nqi_summary_add(&s, &env, &view, NULL), NQ_E_NUMERIC);
    }
}

static void the_first_bad_element_is_named(void **state)
{
    (void)state;
    const size_t sizes[] = {10, 50000, 2200000};
    const float bad_weights[] = {NAN, INFINITY, -INFINITY};
    const float bad_importance[] = {NAN, INFINITY, -1e-30f};
    for (size_t i = 0; i < NQI_COUNT(sizes); i++) {
        const size_t n = sizes[i], at = n * 2 / 3;
        float *w = data_weights(n, 1, 0, 1), *h = data_importance(n, 1, 2);
        for (size_t j = 0; j < (n > 1000000 ? 1 : 3); j++) {
            const float kept = w[at];
            w[at] = w[n - 1] = bad_weights[j];
            check_bad(w, NULL, n, at);
            check_bad(w, h, n, at);
            w[at] = w[n - 1] = kept;
            h[at] = h[n - 1] = bad_importance[j];
            check_bad(w, h, n, at);
            h[at] = h[n - 1] = 1;
        }
        free(w);
        free(h);
    }
}

/* Negative importance is an error though the floor would lift it. */
static void bad_importance_is_seen_before_the_floor(void **state)
{
    (void)state;
    const float w[3] = {1, 2, 3}, h[3] = {1, -1, 1};
    const nqi_env env = nqi_env_default();
    nqi_weights view = data_view(w, NQ_F32, h, 3);
    view.shaping.least = 0.5;
    nqi_summary s = nqi_summary_empty(&env.allocator);
    nq_diag diag;
    assert_int_equal(nqi_summary_add(&s, &env, &view, &diag), NQ_E_NUMERIC);
    assert_int_equal(diag.element, 1);
}

static void sums_that_overflow_are_refused(void **state)
{
    (void)state;
    const float w[2] = {1, 2};
    const double h[2] = {1e300, 1e300};
    const nqi_env env = nqi_env_default();
    nqi_weights view = data_view(w, NQ_F32, w, 2);
    view.h.data = (const uint8_t *)h;
    view.h.dtype = NQ_F64;
    nqi_summary s = nqi_summary_empty(&env.allocator);
    assert_int_equal(nqi_summary_add(&s, &env, &view, NULL), NQ_E_NUMERIC);
    view.shaping.scale = 0x1p-1000;
    assert_int_equal(nqi_summary_add(&s, &env, &view, NULL), NQ_OK);
    nqi_summary_free(&s);
}

/* A weight of zero importance is counted and has no say. */
static void zero_importance(void **state)
{
    (void)state;
    const float w[4] = {1, 2, 2, 3}, h[4] = {0, 0, 5, -0.0f};
    nqi_summary s = summarise_floats(w, h, 4);
    assert_int_equal(s.n_bins, 3);
    assert_true(s.bins[0].h == 0 && s.bins[1].h == 5 && s.bins[2].h == 0);
    assert_int_equal(s.bins[1].count, 2);
    assert_true(nqi_summary_importance(&s) == 5);
    assert_true(nqi_bin_mean(&s.bins[0]) == 1);
    nqi_summary_free(&s);
}

/* ---- Same bytes ---------------------------------------------------------------------------- */

static void workers_and_masks_do_not_matter(void **state)
{
    (void)state;
    enum { N = 2500000 };
    const double shifts[] = {0, 1};
    for (size_t i = 0; i < NQI_COUNT(shifts); i++) {
        float *w = data_weights(N, 0.01, shifts[i], 4), *h = data_importance(N, 4, 5);
        for (int weighted = (int)i; weighted < 2; weighted++) {
            const nqi_weights view = data_view(w, NQ_F32, weighted ? h : NULL, N);
            const nqi_env plain = data_env(&data_workers[0], 0);
            nqi_summary first = data_summarise(&plain, &view);
            for (size_t j = 0; j < NQI_COUNT(data_workers); j++)
                for (size_t k = 0; k < NQI_COUNT(data_masks); k++) {
                    if (j > 0 && k > 0 && j != k) /* each with the plain one, and some pairs */
                        continue;
                    const nqi_env env = data_env(&data_workers[j], data_masks[k]);
                    nqi_summary s = data_summarise(&env, &view);
                    data_assert_same(&s, &first);
                    nqi_summary_free(&s);
                }
            nqi_summary_free(&first);
        }
        free(w);
        free(h);
    }
}

/* Kinds of tensors: sorted, counted, split, of few values, of 16 bits by way of f32. */
enum { N_KINDS = 5 };

static nqi_summary summarise_kind(size_t kind, bool is_weighted)
{
    const size_t n = kind == 0 ? 5000 : 150000;
    float *w = data_weights(n, kind == 2 ? 1e-3 : 0.5, kind == 2 ? 1 : 0, 100 + kind);
    float *h = data_importance(n, 2, 200 + kind);
    for (size_t i = 0; i < n && kind == 3; i++)
        w[i] = 1.0f + (float)(i * i % 977) * 0x1p-23f;
    for (size_t i = 0; i < n && kind == 4; i++)
        w[i] = nqi_f16_to_f32(nqi_f32_to_f16(w[i]));
    nqi_summary s = summarise_floats(w, is_weighted ? h : NULL, n);
    free(w);
    free(h);
    return s;
}

static nqi_summary merge_in_order(const nqi_summary *kinds, const size_t *order)
{
    nqi_summary s = nqi_summary_empty(&kinds[0].allocator);
    for (size_t i = 0; i < N_KINDS; i++)
        assert_int_equal(nqi_summary_merge(&s, &kinds[order[i]]), NQ_OK);
    check_rules(&s);
    return s;
}

/* Also where tensors have too many values to keep apart: `n_between` makes the summary coarse. */
static void merging_in_any_order(void **state)
{
    (void)state;
    nqi_summary kinds[N_KINDS];
    const size_t rising[N_KINDS] = {0, 1, 2, 3, 4};
    uint64_t seed = 6;
    for (size_t i = 0; i < N_KINDS; i++)
        kinds[i] = summarise_kind(i, false);
    for (int coarse = 0; coarse < 2; coarse++) {
        kinds[2].n_between += coarse ? 1 << 19 : 0;
        nqi_summary first = merge_in_order(kinds, rising);
        assert_int_equal(first.is_coarse, coarse);
        for (int times = 0; times < 30; times++) {
            size_t order[N_KINDS] = {0, 1, 2, 3, 4};
            for (size_t i = N_KINDS - 1; i > 0; i--) {
                const size_t j = unit_random(&seed) % (i + 1), kept = order[i];
                order[i] = order[j];
                order[j] = kept;
            }
            nqi_summary s = merge_in_order(kinds, order);
            data_assert_same(&s, &first);
            nqi_summary_free(&s);
        }
        nqi_summary_free(&first);
    }
    for (size_t i = 0; i < N_KINDS; i++)
        nqi_summary_free(&kinds[i]);
}

/* Merged sums are those of all weights together. */
static void merging_adds_up(void **state)
{
    (void)state;
    enum { A = 100000, B = 70000, N = A + B };
    float *w = data_weights(N, 1, 0, 8), *h = data_importance(N, 3, 9);
    for (int weighted = 0; weighted < 2; weighted++) {
        nqi_summary s = summarise_floats(w, weighted ? h : NULL, A);
        nqi_summary b = summarise_floats(w + A, weighted ? h + A : NULL, B);
        nqi_summary none = summarise_floats(NULL, NULL, 0);
        assert_int_equal(nqi_summary_merge(&s, &none), NQ_OK);
        assert_int_equal(nqi_summary_merge(&s, &b), NQ_OK);
        check_moments(&s, w, weighted ? h : NULL, N);
        nqi_summary_free(&s);
        nqi_summary_free(&b);
    }
    nqi_summary plain = summarise_floats(w, NULL, A), weighted = summarise_floats(w, h, A);
    assert_int_equal(nqi_summary_merge(&plain, &weighted), NQ_E_ARG);
    nqi_summary_free(&plain);
    nqi_summary_free(&weighted);
    free(w);
    free(h);
}

/* Summarised apart and merged in order, or added to one summary in that order. */
static void tensors_apart_or_together(void **state)
{
    (void)state;
    enum { N = 100000, PARTS = 3 };
    float *w = data_weights(PARTS * N, 1, 0, 11), *h = data_importance(PARTS * N, 3, 12);
    const nqi_env env = nqi_env_default();
    nqi_summary together = nqi_summary_empty(&env.allocator);
    nqi_summary merged = nqi_summary_empty(&env.allocator);
    for (size_t i = 0; i < PARTS; i++) {
        const nqi_weights part = data_view(w + i * N, NQ_F32, h + i * N, N);
        assert_int_equal(nqi_summary_add(&together, &env, &part, NULL), NQ_OK);
        nqi_summary apart = data_summarise(&env, &part);
        assert_int_equal(nqi_summary_merge(&merged, &apart), NQ_OK);
        nqi_summary_free(&apart);
    }
    data_assert_same(&together, &merged);
    nqi_summary_free(&together);
    nqi_summary_free(&merged);
    free(w);
    free(h);
}

/* ---- Slices and splits --------------------------------------------------------------------- */

static void channels_of_any_axis(void **state)
{
    (void)state;
    enum { OUTER = 3, DIM = 5, INNER = 7, N = OUTER * DIM * INNER };
    float *w = data_weights(N, 1, 0, 13), *h = data_importance(N, 1, 14);
    const nqi_env env = nqi_env_default();
    const nqi_weights all = data_view(w, NQ_F32, h, N);
    for (uint64_t index = 0; index < DIM; index++) {
        float channel_w[OUTER * INNER], channel_h[OUTER * INNER];
        size_t n = 0;
        const nqi_weights channel =
            nqi_weights_channel(&all.w, &all.h, &all.shaping, DIM, INNER, index);
        assert_int_equal(nqi_weights_count(&channel), OUTER * INNER);
        for (size_t i = 0; i < N; i++)
            if (i / INNER % DIM == index) {
                assert_int_equal(nqi_weights_element(&channel, n), i);
                channel_w[n] = w[i];
                channel_h[n++] = h[i];
            }
        nqi_summary s = data_summarise(&env, &channel);
        check_moments(&s, channel_w, channel_h, n);
        nqi_summary_free(&s);
    }
    free(w);
    free(h);
}

static void splitting_recounts(void **state)
{
    (void)state;
    enum { A = 100000, B = 150000, N = A + B };
    float *w = data_weights(N, 0.1, 0, 15), *h = data_importance(N, 3, 16);
    const nqi_env env = nqi_env_default();
    for (int weighted = 0; weighted < 2; weighted++) {
        const nqi_weights parts[2] = {data_view(w, NQ_F32, weighted ? h : NULL, A),
                                      data_view(w + A, NQ_F32, weighted ? h + A : NULL, B)};
        nqi_summary s = data_summarise(&env, &parts[0]);
        assert_int_equal(nqi_summary_add(&s, &env, &parts[1], NULL), NQ_OK);
        const size_t n_bins = s.n_bins;
        nqi_split splits[40];
        size_t n = 0;
        for (size_t i = 0; n < NQI_COUNT(splits); i += n_bins / NQI_COUNT(splits))
            splits[n] = (nqi_split){s.bins[i].key >> NQI_PREFIX_SHIFT, (uint32_t)n % 13}, n++;
        assert_int_equal(nqi_summary_split(&s, &env, parts, 2, splits, n), NQ_OK);
        check_moments(&s, w, weighted ? h : NULL, N);
        assert_true(s.n_bins > n_bins);
        for (size_t i = 0; i < n; i++) {
            size_t bin = 0;
            while (s.bins[bin].key >> NQI_PREFIX_SHIFT != splits[i].prefix)
                bin++;
            assert_int_equal(s.bins[bin].shift, splits[i].shift);
        }
        nqi_summary_free(&s);
    }
    free(w);
    free(h);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static void check_without_memory(const nqi_weights *view)
{
    for (uint64_t n = 0;; n++) {
        data_memory memory;
        nqi_env env = data_env_failing(&memory, n);
        nqi_summary s = nqi_summary_empty(&env.allocator);
        const nq_status status = nqi_summary_add(&s, &env, view, NULL);
        if (!memory.has_failed) {
            assert_int_equal(status, NQ_OK);
            nqi_summary_free(&s);
            assert_int_equal(memory.n_out, 0);
            assert_true(n > 0);
            return;
        }
        assert_int_equal(status, NQ_E_NOMEM);
        assert_int_equal(s.n_bins, 0);
        assert_int_equal(memory.n_out, 0);
    }
}

static void memory_that_runs_out(void **state)
{
    (void)state;
    enum { N = 1200000 };
    const size_t sizes[] = {100, 100000, N};
    float *w = data_weights(N, 1e-3, 1, 17), *h = data_importance(N, 3, 18);
    for (size_t i = 0; i < NQI_COUNT(sizes); i++)
        for (int weighted = sizes[i] == N; weighted < 2; weighted++) {
            const nqi_weights view = data_view(w, NQ_F32, weighted ? h : NULL, sizes[i]);
            check_without_memory(&view);
        }
    free(w);
    free(h);
}

static int32_t stop(void *user, uint32_t stage, uint64_t done, uint64_t total)
{
    (void)user;
    (void)stage;
    return done < total;
}

static void the_caller_may_stop(void **state)
{
    (void)state;
    enum { N = 1200000 };
    float *w = data_weights(N, 1, 0, 19);
    nqi_env env = nqi_env_default();
    env.progress = stop;
    const nqi_weights view = data_view(w, NQ_F32, NULL, N);
    nqi_summary s = nqi_summary_empty(&env.allocator);
    assert_int_equal(nqi_summary_add(&s, &env, &view, NULL), NQ_E_CANCELLED);
    assert_int_equal(s.n_bins, 0);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_right),
        cmocka_unit_test(nothing_is_summarised),
        cmocka_unit_test(extreme_weights),
        cmocka_unit_test(means_are_means),
        cmocka_unit_test(weights_of_16_bits_are_exact),
        cmocka_unit_test(few_different_values_are_exact),
        cmocka_unit_test(many_different_values_are_not),
        cmocka_unit_test(crowded_prefixes_are_split),
        cmocka_unit_test(the_first_bad_element_is_named),
        cmocka_unit_test(bad_importance_is_seen_before_the_floor),
        cmocka_unit_test(sums_that_overflow_are_refused),
        cmocka_unit_test(zero_importance),
        cmocka_unit_test(workers_and_masks_do_not_matter),
        cmocka_unit_test(merging_in_any_order),
        cmocka_unit_test(merging_adds_up),
        cmocka_unit_test(tensors_apart_or_together),
        cmocka_unit_test(channels_of_any_axis),
        cmocka_unit_test(splitting_recounts),
        cmocka_unit_test(memory_that_runs_out),
        cmocka_unit_test(the_caller_may_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
