/*
 * Targets: what is tried on a sample against plain sums, equal slopes against a look at every
 * fineness, and what a search ends in against all that could have been had.
 */
#include "unit.h"

#include <math.h>

#include "api/plan.h"
#include "model/sample.h"
#include "nq/nq.h"

enum { N = 3000 };

static double normal(uint64_t *seed)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += unit_random_real(seed);
    return sum / 2;
}

static float *make_weights(size_t n, double sigma, uint64_t seed)
{
    float *w = malloc(n * sizeof *w);
    for (size_t i = 0; i < n; i++)
        w[i] = (float)(sigma * normal(&seed));
    return w;
}

static nq_plan_options options_of(uint32_t method, uint32_t target, double value)
{
    nq_plan_options o;
    nq_plan_options_init(&o);
    o.method = method;
    o.target = target;
    o.target_value = value;
    o.scope = NQ_SCOPE_TENSOR;
    return o;
}

static nq_plan *make_plan(const nq_plan_options *o)
{
    nq_plan *plan;
    assert_int_equal(nq_plan_create(&plan, NULL, o), NQ_OK);
    return plan;
}

static void add(nq_plan *plan, const char *name, const float *w, const float *h, size_t n)
{
    nq_tensor t, importance;
    nq_tensor_init(&t);
    t.dtype = NQ_F32;
    t.rank = 1;
    t.dims[0] = n;
    t.name = name;
    t.name_bytes = (uint32_t)strlen(name);
    t.data = w;
    importance = t;
    importance.data = h;
    assert_int_equal(nq_plan_add(plan, &t, h ? &importance : NULL, NULL), NQ_OK);
}

/* A plan that is ready to be searched, and its sample. */
static nqi_sample *make_sample(nq_plan *plan, bool is_size)
{
    nqi_model *m = &plan->model;
    nqi_progress_state progress = nqi_progress_start(&m->env, NQ_STAGE_SCAN, 0);
    const nqi_aim aim = {.is_size = is_size};
    nqi_sample *s;
    nq_diag diag;
    nq_diag_init(&diag);
    assert_int_equal(nqi_groups_form(m, &diag), NQ_OK);
    for (uint64_t i = 0; i < m->n_groups; i++)
        assert_int_equal(nqi_group_scan(m, &m->groups[i], &progress, &diag), NQ_OK);
    assert_int_equal(nqi_sample_create(&s, m, &aim), NQ_OK);
    return s;
}

/* ---- Oracle -------------------------------------------------------------------------------- */

/* What uniform cells of a step come to, with means for levels. */
typedef struct outcome {
    double squared;
    double weighted;
    double entropy_bits; /* of all indices */
    uint32_t n_levels;
} outcome;

enum { MOST_CELLS = 2001 };

static outcome quantize(const float *w, const float *h, size_t n, double step)
{
    static double sums[MOST_CELLS], weights[MOST_CELLS], counts[MOST_CELLS];
    outcome o = {0};
    memset(sums, 0, sizeof sums);
    memset(weights, 0, sizeof weights);
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < n; i++) {
        const int cell = (int)round((double)w[i] / step) + MOST_CELLS / 2;
        assert_in_range(cell, 0, MOST_CELLS - 1);
        const double weight = h ? (double)h[i] : 1;
        sums[cell] += weight * (double)w[i];
        weights[cell] += weight;
        counts[cell]++;
    }
    for (size_t i = 0; i < n; i++) {
        const int cell = (int)round((double)w[i] / step) + MOST_CELLS / 2;
        const double e = (double)w[i] - (double)(float)(sums[cell] / weights[cell]);
        o.squared += e * e;
        o.weighted += (h ? (double)h[i] : 1) * e * e;
    }
    for (int i = 0; i < MOST_CELLS; i++)
        if (counts[i] > 0) {
            o.n_levels++;
            o.entropy_bits -= counts[i] * log2(counts[i] / (double)n);
        }
    return o;
}

static bool is_near(double a, double b, double part)
{
    return fabs(a - b) <= part * fabs(b);
}

/* ---- Samples ------------------------------------------------------------------------------- */

/* A small model is its own sample: errors are exact, sizes what entropies and tables say. */
static void test_small_models_are_their_sample(void **state)
{
    (void)state;
    float *w = make_weights(N, 0.1, 1), *h = make_weights(N, 1, 2);
    double energy = 0;
    for (size_t i = 0; i < N; i++) {
        h[i] = (float)(0.1 + fabs((double)h[i]));
        energy += (double)w[i] * (double)w[i];
    }
    for (unsigned k = 0; k < 6; k++) {
        nq_plan_options o = options_of(NQ_METHOD_UNIFORM, NQ_TARGET_FILE_BYTES, 1000);
        o.codec = k % 3 == 0 ? NQ_CODEC_FIXED : NQ_CODEC_AUTO;
        o.importance_floor = 0;
        nq_plan *plan = make_plan(&o);
        add(plan, "w", w, k % 2 ? h : NULL, N);
        nqi_sample *s = make_sample(plan, true);
        const double step = 0.2 / (1 + k);
        const outcome expected = quantize(w, k % 2 ? h : NULL, N, step);
        const nqi_goal goal = {NQ_TARGET_STEP, step};
        nqi_tally tally = {.bytes = 0};
        assert_int_equal(nqi_sample_measure(&tally, s, 0, &goal, true), NQ_OK);
        assert_true(is_near(tally.squared, expected.squared, 1e-9));
        assert_true(is_near(tally.energy, energy, 1e-9));
        if (k % 2)
            assert_true(is_near(tally.weighted, expected.weighted, 1e-9));
        const double bits = k % 3 == 0 ? N * ceil(log2(expected.n_levels))
                                       : expected.entropy_bits + 5.0 * expected.n_levels;
        assert_true(is_near(tally.bytes, 4.0 * expected.n_levels + bits / 8, 1e-9));
        assert_true(nqi_sample_elements(s) == N);
        nqi_sample_destroy(s);
        nq_plan_destroy(plan);
    }
    free(w);
    free(h);
}

/* Of a large one the sample tells within some parts in a hundred. */
static void test_large_models_are_sampled(void **state)
{
    (void)state;
    const size_t n = (size_t)5 << 20;
    float *w = make_weights(n, 0.1, 3);
    nq_plan_options o = options_of(NQ_METHOD_UNIFORM, NQ_TARGET_FILE_BYTES, 1000);
    nq_plan *plan = make_plan(&o);
    add(plan, "w", w, NULL, n);
    nqi_sample *s = make_sample(plan, true);
    assert_in_range(nqi_weights_count(&s->groups[0].parts[0]), n / 10, n / 4);
    const outcome expected = quantize(w, NULL, n, 0.05);
    const nqi_goal goal = {NQ_TARGET_STEP, 0.05};
    nqi_tally tally = {.bytes = 0};
    assert_int_equal(nqi_sample_measure(&tally, s, 0, &goal, false), NQ_OK);
    assert_true(is_near(tally.squared, expected.squared, 0.01));
    assert_true(is_near(tally.bytes, expected.entropy_bits / 8, 0.01));
    nqi_sample_destroy(s);
    nq_plan_destroy(plan);
    free(w);
}

/* Some channels stand for all: shares add up to the channels, and so do the elements. */
static void test_channels_are_sampled(void **state)
{
    (void)state;
    const size_t n = (size_t)4 << 20;
    float *w = make_weights(n, 0.1, 3);
    nq_tensor t;
    nq_plan_options o = options_of(NQ_METHOD_UNIFORM, NQ_TARGET_FILE_BYTES, 1000);
    o.scope = NQ_SCOPE_CHANNEL;
    nq_tensor_init(&t);
    t.rank = 2;
    t.dims[0] = 100;
    t.dims[1] = n / 100;
    t.name = "w";
    t.name_bytes = 1;
    t.data = w;
    nq_plan *plan = make_plan(&o);
    assert_int_equal(nq_plan_add(plan, &t, NULL, NULL), NQ_OK);
    nqi_sample *s = make_sample(plan, true);
    double shares = 0;
    unsigned n_sampled = 0;
    for (uint64_t i = 0; i < 100; i++) {
        const nqi_group_sample *g = &s->groups[i];
        shares += g->share;
        n_sampled += g->share > 0;
        assert_true(g->stand_in <= i && s->groups[g->stand_in].share > 0);
        assert_true(g->share == 0 || g->stand_in == i);
    }
    assert_true(shares == 100);
    assert_in_range(n_sampled, 8, 50);
    nqi_trial trial;
    assert_int_equal(nqi_sample_try(&trial, s, -4), NQ_OK);
    const outcome expected = quantize(w, NULL, n / 100 * 100, 0x1p-4);
    assert_true(is_near(exp2(trial.value), expected.entropy_bits / 8, 0.05));
    nqi_sample_destroy(s);
    nq_plan_destroy(plan);
    free(w);
}

/* At the coarsest, one cell holds all weights; at the finest none holds two. */
static void test_range(void **state)
{
    (void)state;
    float *w = make_weights(N, 3, 4);
    nq_plan_options o = options_of(NQ_METHOD_UNIFORM, NQ_TARGET_FILE_BYTES, 1000);
    nq_plan *plan = make_plan(&o);
    double finest, coarsest;
    float largest = 0;
    add(plan, "w", w, NULL, N);
    nqi_sample *s = make_sample(plan, true);
    nqi_sample_range(&finest, &coarsest, s);
    for (size_t i = 0; i < N; i++)
        largest = fabsf(w[i]) > largest ? fabsf(w[i]) : largest;
    assert_true(exp2(coarsest) >= 2 * (double)largest &&
                exp2(coarsest) <= 4.001 * (double)largest);
    assert_true(coarsest - finest == 60);
    assert_int_equal(quantize(w, NULL, N, exp2(coarsest)).n_levels, 1);
    nqi_sample_destroy(s);
    nq_plan_destroy(plan);
    free(w);
}

/* ---- Goals --------------------------------------------------------------------------------- */

static void test_goals(void **state)
{
    (void)state;
    float *w = make_weights(N, 0.1, 5), *h = make_weights(N, 1, 6);
    double mean = 0;
    for (size_t i = 0; i < N; i++) {
        h[i] = h[i] * h[i];
        mean += (double)h[i] / N;
    }
    for (uint32_t method = NQ_METHOD_UNIFORM; method <= NQ_METHOD_ECSQ; method++) {
        nq_plan_options o = options_of(method, NQ_TARGET_FILE_BYTES, 1000);
        o.importance_floor = 0;
        nq_plan *plan = make_plan(&o);
        nqi_goal goal, finer;
        add(plan, "w", w, h, N);
        nqi_sample *s = make_sample(plan, true);
        assert_int_equal(nqi_sample_goal(&goal, s, 0, -4.25), NQ_OK);
        assert_int_equal(nqi_sample_goal(&finer, s, 0, -6.25), NQ_OK);
        if (method == NQ_METHOD_UNIFORM) {
            assert_int_equal(goal.kind, NQ_TARGET_STEP);
            assert_true(is_near(goal.value, exp2(-4.25), 1e-12));
            assert_true(is_near(finer.value, exp2(-6.25), 1e-12));
        } else if (method == NQ_METHOD_KMEANS) {
            assert_int_equal(goal.kind, NQ_TARGET_LEVELS);
            assert_true(is_near(goal.value, 5.71 * 0.1 / exp2(-4.25), 0.1));
            assert_true(is_near(finer.value, 4 * goal.value, 0.1));
        } else {
            /* 2 ln 2 times h s^2 / 12. */
            assert_int_equal(goal.kind, NQ_TARGET_LAMBDA);
            assert_true(is_near(goal.value, log(2) / 6 * mean * exp2(-8.5), 1e-6));
            assert_true(is_near(finer.value, goal.value / 16, 1e-9));
        }
        /* k-means alone leaves gaps: levels are whole numbers. */
        assert_true(nqi_sample_is_gap(s, -4.25 - 1e-6, -4.25) == (method == NQ_METHOD_KMEANS));
        assert_false(nqi_sample_is_gap(s, -6.25, -4.25));
        nqi_sample_destroy(s);
        nq_plan_destroy(plan);
    }
    free(w);
    free(h);
}

/* A tensor that is a small part of its model must not be judged by a few of its weights. */
static void test_no_tensor_is_missed(void **state)
{
    (void)state;
    enum { MANY = 1 << 24, FEW = 5000, LEAST = 4096 };
    float *large = make_weights(1 << 16, 0.1, 21), *w = malloc(MANY * sizeof *w);
    for (size_t i = 0; i < MANY; i++)
        w[i] = large[i % (1 << 16)];
    nq_plan_options o = options_of(NQ_METHOD_UNIFORM, NQ_TARGET_FILE_BYTES, 1000);
    nq_plan *plan = make_plan(&o);
    add(plan, "many", w, NULL, MANY);
    add(plan, "few", w, NULL, FEW);
    nqi_sample *s = make_sample(plan, true);
    assert_true(nqi_weights_count(&s->groups[0].parts[0]) <= MANY / 8);
    assert_true(nqi_weights_count(&s->groups[1].parts[0]) >= LEAST);
    nqi_sample_destroy(s);
    nq_plan_destroy(plan);
    free(large);
    free(w);
}

/* ---- Equal slopes -------------------------------------------------------------------------- */

static double cost_of(nqi_sample *s, uint64_t group, double log2_step, double lambda)
{
    nqi_tally tally = {.bytes = 0};
    const nqi_goal goal = nqi_sample_goal_of_step(s, group, log2_step);
    assert_int_equal(nqi_sample_measure(&tally, s, group, &goal, true), NQ_OK);
    return tally.weighted + lambda * 8 * tally.bytes;
}

/* No other fineness costs less than what was found, for any lambda: all are looked at. */
static void test_least_cost(void **state)
{
    (void)state;
    float *w = make_weights(N, 0.1, 7), *h = make_weights(N, 1, 8);
    for (size_t i = 0; i < N; i++)
        h[i] = (float)(0.1 + fabs((double)h[i]));
    nq_plan_options o = options_of(NQ_METHOD_UNIFORM, NQ_TARGET_FILE_BYTES, 1000);
    o.allocate = NQ_ALLOCATE_SLOPE;
    nq_plan *plan = make_plan(&o);
    add(plan, "w", w, h, N);
    nqi_sample *s = make_sample(plan, true);
    for (double lambda = 1e-7; lambda < 1e-1; lambda *= 10) {
        nqi_goal goal;
        double least = HUGE_VAL;
        assert_int_equal(nqi_slope_goal(&goal, s, 0, lambda), NQ_OK);
        assert_int_equal(goal.kind, NQ_TARGET_STEP);
        for (double at = s->coarsest; at > s->coarsest - 14; at -= 0.125)
            least = fmin(least, cost_of(s, 0, at, lambda));
        assert_true(cost_of(s, 0, log2(goal.value), lambda) <= 1.02 * least);
    }
    nqi_sample_destroy(s);
    nq_plan_destroy(plan);
    free(w);
    free(h);
}

/* Small steps: h s^2 is the same for all. */
static void test_slopes_are_equal(void **state)
{
    (void)state;
    float *w[2] = {make_weights(N, 0.1, 9), make_weights(N, 0.2, 10)}, *h[2];
    nq_plan_options o = options_of(NQ_METHOD_UNIFORM, NQ_TARGET_FILE_BYTES, 1000);
    o.allocate = NQ_ALLOCATE_SLOPE;
    nq_plan *plan = make_plan(&o);
    for (size_t k = 0; k < 2; k++) {
        h[k] = malloc(N * sizeof **h);
        for (size_t i = 0; i < N; i++)
            h[k][i] = k ? 1.0f : 16.0f;
        add(plan, k ? "b" : "a", w[k], h[k], N);
    }
    nqi_sample *s = make_sample(plan, true);
    nqi_goal a, b;
    assert_int_equal(nqi_sample_goal(&a, s, 0, -6), NQ_OK);
    assert_int_equal(nqi_sample_goal(&b, s, 1, -6), NQ_OK);
    assert_true(is_near(b.value / a.value, 4, 0.25));
    nqi_sample_destroy(s);
    nq_plan_destroy(plan);
    for (size_t k = 0; k < 2; k++) {
        free(w[k]);
        free(h[k]);
    }
}

/* ---- Aims ---------------------------------------------------------------------------------- */

static void test_aims(void **state)
{
    (void)state;
    static const struct {
        uint32_t target;
        double value, aim;
    } cases[] = {{NQ_TARGET_BITS_PER_WEIGHT, 2, N / 4.0},
                 {NQ_TARGET_RATIO, 8, N / 2.0},
                 {NQ_TARGET_FILE_BYTES, 777, 777},
                 {NQ_TARGET_SQNR_DB, 31.5, 31.5}};
    float *w = make_weights(N, 1, 1);
    for (size_t i = 0; i < 4; i++) {
        const nq_plan_options o = options_of(NQ_METHOD_UNIFORM, cases[i].target, cases[i].value);
        nq_plan *plan = make_plan(&o);
        add(plan, "w", w, NULL, N);
        const nqi_aim aim = nqi_model_aim(&plan->model);
        assert_true(aim.is_size == (cases[i].target != NQ_TARGET_SQNR_DB));
        assert_true(is_near(aim.value, aim.is_size ? log2(cases[i].aim) : cases[i].aim, 1e-12));
        assert_true(
            is_near(nqi_model_target_value(&plan->model, aim.value), cases[i].value, 1e-12));
        nq_plan_destroy(plan);
    }
    free(w);
}

/* ---- Searches ------------------------------------------------------------------------------ */

static nq_status outcome_of(nq_plan_report *report, const nq_plan_options *o, const float *w,
                            double *nearest)
{
    nq_plan *plan = make_plan(o);
    nq_diag diag;
    nq_diag_init(&diag);
    *report = (nq_plan_report){.struct_size = sizeof *report};
    add(plan, "w", w, NULL, N);
    const nq_status status = nq_plan_write(plan, NULL);
    if (status == NQ_OK)
        assert_int_equal(nq_plan_get_report(plan, report), NQ_OK);
    assert_int_equal(nq_plan_diag(plan, &diag), NQ_OK);
    *nearest = diag.value;
    nq_plan_destroy(plan);
    return status;
}

/* k-means has so many levels or one more: of all that there are, the best is found, or one that is
 * as near as was promised. */
static void test_best_number_of_levels(void **state)
{
    (void)state;
    enum { MOST = 40 };
    nq_plan_report all[MOST + 1], found;
    double nearest;
    float *w = make_weights(N, 1, 11);
    nq_plan_options o = options_of(NQ_METHOD_KMEANS, NQ_TARGET_LEVELS, 1);
    for (uint32_t k = 1; k <= MOST; k++) {
        o.target_value = k;
        assert_int_equal(outcome_of(&all[k], &o, w, &nearest), NQ_OK);
    }
    for (double size = 300; size < 1800; size += 211) {
        uint64_t best = 0;
        for (uint32_t k = 1; k <= MOST; k++)
            if ((double)all[k].compressed_bytes <= size && all[k].compressed_bytes > best)
                best = all[k].compressed_bytes;
        o.target = NQ_TARGET_FILE_BYTES;
        o.target_value = size;
        assert_int_equal(outcome_of(&found, &o, w, &nearest), NQ_OK);
        assert_true((double)found.compressed_bytes <= size);
        assert_true(found.compressed_bytes >= best ||
                    (double)found.compressed_bytes >= 0.995 * size);
    }
    for (double sqnr = 5; sqnr < 25; sqnr += 3.3) {
        double best = HUGE_VAL;
        for (uint32_t k = 1; k <= MOST; k++)
            if (all[k].sqnr_db >= sqnr)
                best = fmin(best, all[k].sqnr_db);
        o.target = NQ_TARGET_SQNR_DB;
        o.target_value = sqnr;
        assert_int_equal(outcome_of(&found, &o, w, &nearest), NQ_OK);
        assert_true(found.sqnr_db >= sqnr);
        assert_true(found.sqnr_db <= best + 1e-9 || found.sqnr_db <= sqnr + 0.08);
    }
    free(w);
}

/* Sizes of all steps from 2^-3 to 2^2 that are 2^(1/32) apart. */
enum { N_STEPS = 160 };

static void try_all_steps(uint64_t sizes[N_STEPS], nq_plan_options o, const float *w)
{
    nq_plan_report report;
    double nearest;
    o.target = NQ_TARGET_STEP;
    for (unsigned i = 0; i < N_STEPS; i++) {
        o.target_value = exp2(-3 + i / 32.0);
        assert_int_equal(outcome_of(&report, &o, w, &nearest), NQ_OK);
        sizes[i] = report.compressed_bytes;
    }
}

/* Within half a percent of the target or, where sizes leap over it, of the best step of many. */
static void test_steps_for_sizes(void **state)
{
    (void)state;
    float *w = make_weights(N, 1, 12);
    for (unsigned k = 0; k < 3; k++) {
        nq_plan_options o =
            options_of(k == 1 ? NQ_METHOD_ECSQ : NQ_METHOD_UNIFORM, NQ_TARGET_FILE_BYTES, 1);
        uint64_t sizes[N_STEPS];
        o.rdo = k == 2;
        try_all_steps(sizes, o, w);
        for (double size = 500; size < 1500; size += 237) {
            nq_plan_report found;
            double nearest, best = 0;
            for (unsigned i = 0; i < N_STEPS; i++)
                if ((double)sizes[i] <= size)
                    best = fmax(best, (double)sizes[i]);
            o.target_value = size;
            assert_int_equal(outcome_of(&found, &o, w, &nearest), NQ_OK);
            assert_true((double)found.compressed_bytes <= size);
            assert_true((double)found.compressed_bytes >= 0.995 * fmin(size, best) - 1);
        }
    }
    free(w);
}

/* What cannot be met is refused with the nearest that can, which then is met. */
static void test_out_of_reach(void **state)
{
    (void)state;
    float *w = make_weights(N, 1, 13);
    nq_plan_report found;
    double nearest, again;
    nq_plan_options o = options_of(NQ_METHOD_UNIFORM, NQ_TARGET_FILE_BYTES, 10);
    assert_int_equal(outcome_of(&found, &o, w, &nearest), NQ_E_TARGET);
    assert_true(nearest > 64 && nearest < 200);
    o.target_value = nearest;
    assert_int_equal(outcome_of(&found, &o, w, &again), NQ_OK);
    assert_true((double)found.compressed_bytes <= nearest);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_models_are_their_sample),
        cmocka_unit_test(test_large_models_are_sampled),
        cmocka_unit_test(test_channels_are_sampled),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_goals),
        cmocka_unit_test(test_least_cost),
        cmocka_unit_test(test_slopes_are_equal),
        cmocka_unit_test(test_no_tensor_is_missed),
        cmocka_unit_test(test_aims),
        cmocka_unit_test(test_best_number_of_levels),
        cmocka_unit_test(test_steps_for_sizes),
        cmocka_unit_test(test_out_of_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
