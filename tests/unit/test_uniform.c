/*
 * The uniform quantizer against its definition: the cell of every weight, means in long double, and
 * what happens at the limits.
 */
#include "unit.h"

#include <math.h>

#include "base/half.h"
#include "cpu/cpu.h"
#include "ecsq/uniform.h"
#include "nq/plan.h"

#define MOST_PARTS 4

/* A job on copies of what a test gives, and what it should come to. */
typedef struct fixture {
    nqi_env env;
    nqi_weights parts[MOST_PARTS];
    nqi_shaping shaping;
    nqi_uniform_job job;
    nqi_uniform u;
    double smallest;
    nqi_progress_state progress;
    uint32_t n_told;
    uint64_t counts[MOST_PARTS][1 << 17];
} fixture;

static fixture f;

static nq_status note_counts(void *user, size_t part, uint32_t first, const uint64_t *counts,
                             uint32_t n_slots)
{
    fixture *fix = user;
    assert_int_equal(part, fix->n_told);
    fix->n_told++;
    for (uint32_t i = 0; i < n_slots; i++)
        fix->counts[part][first + i] = counts[i];
    return NQ_OK;
}

static void start(double step, uint32_t max_levels, uint32_t rule)
{
    memset(f.counts, 0, sizeof f.counts);
    f.env = nqi_env_default();
    f.n_told = 0;
    f.shaping = nqi_shaping_none();
    f.job = (nqi_uniform_job){.env = &f.env,
                              .progress = &f.progress,
                              .parts = f.parts,
                              .step = step,
                              .max_levels = max_levels,
                              .level_rule = rule,
                              .counts = note_counts,
                              .user = &f};
    for (uint32_t i = 0; i < NQI_N_WEIGHT_TYPES; i++)
        f.job.extents[i] = nqi_extent_none();
}

static void add_part(const void *w, uint32_t dtype, size_t n, const double *h)
{
    const nqi_view view = nqi_view_make(w, dtype, n);
    nqi_importance importance = nqi_importance_ones(n);
    if (h) {
        nq_tensor shape, values;
        nq_tensor_init(&shape);
        shape.rank = 1;
        shape.dims[0] = n;
        values = shape;
        values.dtype = NQ_F64;
        values.data = h;
        assert_int_equal(nqi_importance_make(&importance, &shape, &values), NQ_OK);
        f.job.has_importance = true;
    }
    for (size_t i = 0; i < n; i++) {
        float value;
        nqi_view_f32(&value, &view, i, 1);
        assert_true(nqi_extent_add(&f.job.extents[dtype], &value, 1));
    }
    f.parts[f.job.n_parts++] = nqi_weights_all(&view, &importance, &f.shaping);
}

static uint64_t total_elements(void)
{
    uint64_t n = 0;
    for (size_t i = 0; i < f.job.n_parts; i++)
        n += f.parts[i].w.n;
    return n;
}

static nq_status run(void)
{
    const uint64_t total = nqi_uniform_passes(f.job.step) * total_elements();
    f.progress = nqi_progress_start(&f.env, NQ_STAGE_DESIGN, total);
    return nqi_uniform_design(&f.u, &f.smallest, &f.job);
}

/* The definition, in its own words. */
static int64_t cell_of(float w, double step)
{
    const double magnitude = floor(fabs((double)w) / step + 0.5);
    return w < 0 ? -(int64_t)magnitude : (int64_t)magnitude;
}

typedef struct oracle_cell {
    int64_t cell;
    uint64_t count;
    long double h;
    long double sum;
    long double plain;
} oracle_cell;

static int compare_cells(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The used cells of all parts, in order. */
static oracle_cell *find_cells(size_t *n_cells)
{
    size_t n = 0, at = 0;
    for (size_t p = 0; p < f.job.n_parts; p++)
        n += f.parts[p].w.n;
    oracle_cell *cells = calloc(n, sizeof *cells);
    for (size_t p = 0; p < f.job.n_parts; p++)
        for (size_t i = 0; i < f.parts[p].w.n; i++) {
            float w;
            double h;
            nqi_view_f32(&w, &f.parts[p].w, i, 1);
            nqi_weights_load_importance(&h, &f.parts[p], i, 1);
            cells[at++] = (oracle_cell){.cell = cell_of(w, f.u.step),
                                        .count = 1,
                                        .h = h,
                                        .sum = (long double)h * w,
                                        .plain = w};
        }
    qsort(cells, n, sizeof *cells, compare_cells);
    *n_cells = 0;
    for (size_t i = 0; i < n; i++) {
        if (*n_cells > 0 && cells[*n_cells - 1].cell == cells[i].cell) {
            oracle_cell *c = &cells[*n_cells - 1];
            c->count++;
            c->h += cells[i].h;
            c->sum += cells[i].sum;
            c->plain += cells[i].plain;
        } else {
            cells[(*n_cells)++] = cells[i];
        }
    }
    return cells;
}

/* A float within 1e-12 steps of the exact level, once that is rounded. */
static void check_level(float got, long double exact, double step)
{
    const float low = (float)(exact - 1e-12L * step), high = (float)(exact + 1e-12L * step);
    assert_true(got >= low && got <= high);
}

static void check_parts(const oracle_cell *cells)
{
    for (size_t p = 0; p < f.job.n_parts; p++) {
        const nqi_view *view = &f.parts[p].w;
        uint64_t *counts = calloc(f.u.n_levels, sizeof *counts);
        for (size_t first = 0; first < view->n; first += 1000) {
            float w[1000];
            uint16_t indices[1000];
            const size_t n = NQI_MIN(view->n - first, 1000);
            nqi_view_f32(w, view, first, n);
            nqi_uniform_assign(indices, &f.u, w, n);
            for (size_t i = 0; i < n; i++) {
                assert_true(indices[i] < f.u.n_levels);
                assert_int_equal(cells[indices[i]].cell, cell_of(w[i], f.u.step));
                counts[indices[i]]++;
            }
        }
        for (uint32_t slot = 0; slot < f.u.map.n_slots; slot++)
            if (f.counts[p][slot]) {
                assert_int_equal(f.counts[p][slot], counts[f.u.level_of_slot[slot]]);
                counts[f.u.level_of_slot[slot]] = 0;
            }
        for (uint32_t i = 0; i < f.u.n_levels; i++)
            assert_int_equal(counts[i], 0);
        free(counts);
    }
}

/* Everything that was designed; ends the design. */
static void check(void)
{
    size_t n_cells;
    oracle_cell *cells = find_cells(&n_cells);
    const bool is_weighted = f.job.level_rule == NQ_LEVEL_WEIGHTED && f.job.has_importance;
    assert_int_equal(f.u.n_levels, n_cells);
    for (size_t i = 0; i < n_cells; i++) {
        assert_int_equal(f.u.cells[i], cells[i].cell);
        const long double mean = is_weighted && cells[i].h > 0
                                     ? cells[i].sum / cells[i].h
                                     : cells[i].plain / (long double)cells[i].count;
        if (f.job.level_rule == NQ_LEVEL_GRID)
            assert_true(f.u.levels[i] == (float)(f.u.step * (double)cells[i].cell));
        else
            check_level(f.u.levels[i], mean, f.u.step);
        assert_true(i == 0 || f.u.levels[i] >= f.u.levels[i - 1]);
    }
    assert_int_equal(f.u.is_grid, f.job.level_rule == NQ_LEVEL_GRID);
    assert_int_equal(f.progress.done, f.progress.total);
    assert_int_equal(f.n_told, f.job.n_parts);
    check_parts(cells);
    free(cells);
    nqi_uniform_free(&f.u);
}

static float gauss(uint64_t *seed)
{
    double sum = 0;
    for (int i = 0; i < 6; i++)
        sum += unit_random_real(seed);
    return (float)(sum / 1.4142);
}

static void every_rule_and_type(void **state)
{
    (void)state;
    enum { N = 20000 };
    static float w[N];
    static uint16_t half[N], brain[N];
    static double h[N];
    uint64_t seed = 1;
    for (size_t i = 0; i < N; i++) {
        w[i] = gauss(&seed);
        half[i] = nqi_f32_to_f16(gauss(&seed));
        brain[i] = nqi_f32_to_bf16(gauss(&seed));
        h[i] = exp(8 * (double)gauss(&seed));
    }
    w[3] = -0.0f;
    w[4] = 0x1p-149f;
    const double steps[] = {100, 3, 0.5, 0.01, 0.0005, 0.00003};
    for (size_t s = 0; s < NQI_COUNT(steps); s++)
        for (uint32_t rule = NQ_LEVEL_WEIGHTED; rule <= NQ_LEVEL_GRID; rule++)
            for (uint32_t weighted = 0; weighted < 2; weighted++) {
                start(steps[s], NQ_MAX_LEVELS, rule);
                add_part(w, NQ_F32, N, weighted ? h : NULL);
                add_part(half, NQ_F16, N, weighted ? h : NULL);
                add_part(brain, NQ_BF16, N, weighted ? h : NULL);
                assert_int_equal(run(), NQ_OK);
                assert_true(f.u.step == steps[s]);
                check();
            }
}

/* ---- Odd weights --------------------------------------------------------------------------- */

static void minus_zero_is_zero(void **state)
{
    (void)state;
    const float w[] = {0, -0.0f, 1, -0.0f};
    start(0.5, NQ_MAX_LEVELS, NQ_LEVEL_MEAN);
    add_part(w, NQ_F32, 4, NULL);
    assert_int_equal(run(), NQ_OK);
    assert_int_equal(f.u.n_levels, 2);
    assert_true(f.u.levels[0] == 0 && !signbit(f.u.levels[0]) && f.u.levels[1] == 1);
    nqi_uniform_free(&f.u);
}

static void denormal_weights(void **state)
{
    (void)state;
    const float w[] = {0x1p-149f, 0x3p-149f, -0x5p-149f, 0x5p-149f};
    start(0x1p-148, NQ_MAX_LEVELS, NQ_LEVEL_WEIGHTED);
    add_part(w, NQ_F32, 4, NULL);
    assert_int_equal(run(), NQ_OK);
    check();
}

static void largest_weights_and_importance(void **state)
{
    (void)state;
    const float w[] = {0x1.fffffep127f, 0x1.fffffep127f, -0x1.fffffep127f, 1};
    const double h[] = {0x1p127, 0x1p100, 0x1p127, 1};
    for (uint32_t rule = NQ_LEVEL_WEIGHTED; rule <= NQ_LEVEL_MEAN; rule++) {
        start(0x1p120, NQ_MAX_LEVELS, rule);
        add_part(w, NQ_F32, 4, h);
        assert_int_equal(run(), NQ_OK);
        assert_int_equal(f.u.n_levels, 3);
        assert_true(f.u.levels[0] == w[2] && f.u.levels[1] == 1 && f.u.levels[2] == w[0]);
        nqi_uniform_free(&f.u);
    }
}

static void one_weight_and_one_value(void **state)
{
    (void)state;
    const float w[] = {3, 3, 3, 3};
    for (size_t n = 1; n <= 4; n += 3) {
        start(0, 7, NQ_LEVEL_MEAN);
        add_part(w, NQ_F32, n, NULL);
        assert_int_equal(run(), NQ_OK);
        assert_true(f.u.n_levels == 1 && f.u.levels[0] == 3);
        nqi_uniform_free(&f.u);
    }
}

static void as_many_levels_as_asked_for(void **state)
{
    (void)state;
    enum { N = 5000 };
    static float w[N];
    uint64_t seed = 2;
    for (size_t i = 0; i < N; i++)
        w[i] = gauss(&seed);
    for (uint32_t k = 1; k <= N; k = 3 * k + 1)
        for (uint32_t rule = NQ_LEVEL_MEAN; rule <= NQ_LEVEL_GRID; rule++) {
            start(0, k, rule);
            add_part(w, NQ_F32, N / 2, NULL);
            add_part(w + N / 2, NQ_F32, N - N / 2, NULL);
            assert_int_equal(run(), NQ_OK);
            assert_true(f.u.n_levels <= k && f.u.n_levels + 3 + k / 10 >= k);
            check();
        }
}

/* Enough levels for every value: nothing is lost, whatever the rule. */
static void lossless(void **state)
{
    (void)state;
    const float w[] = {1e8f, -3, 1e-6f, 0.1f, 0.1f, -1e-6f, 0, 2e-6f, 1, 123456.789f};
    for (uint32_t rule = NQ_LEVEL_WEIGHTED; rule <= NQ_LEVEL_MEAN; rule++) {
        start(0, 9, rule);
        add_part(w, NQ_F32, NQI_COUNT(w), NULL);
        assert_int_equal(run(), NQ_OK);
        assert_int_equal(f.u.n_levels, 9);
        for (size_t i = 0; i < NQI_COUNT(w); i++) {
            uint16_t index;
            nqi_uniform_assign(&index, &f.u, &w[i], 1);
            assert_true(f.u.levels[index] == w[i]);
        }
        check();
    }
    const float plain[] = {0.75f, -0.1f, 0.3f, 1e-3f};
    start(0, 4, NQ_LEVEL_GRID);
    add_part(plain, NQ_F32, NQI_COUNT(plain), NULL);
    assert_int_equal(run(), NQ_OK);
    for (size_t i = 0; i < NQI_COUNT(plain); i++) {
        uint16_t index;
        nqi_uniform_assign(&index, &f.u, &plain[i], 1);
        assert_true(f.u.levels[index] == plain[i]);
    }
    check();
}

/* Cells too far apart to count those between them. */
static void far_cells(void **state)
{
    (void)state;
    const float w[] = {1e8f, -1e-6f, 1e-6f, 1.1e-6f, 3, -1e8f, 99999992.0f, 0};
    const double h[] = {1, 2, 3, 4, 5, 6, 7, 8};
    const double steps[] = {1e-7, 1e-8, 0.3, 1};
    for (size_t s = 0; s < NQI_COUNT(steps); s++)
        for (uint32_t rule = NQ_LEVEL_WEIGHTED; rule <= NQ_LEVEL_MEAN; rule++) {
            start(steps[s], NQ_MAX_LEVELS, rule);
            add_part(w, NQ_F32, NQI_COUNT(w), h);
            add_part(w + 2, NQ_F32, 3, h);
            assert_int_equal(run(), NQ_OK);
            check();
        }
    /* All far from zero, near each other. */
    const float near[] = {1.0f, 1.0000001f, 1.0000002f, 1.0000001f};
    start(1e-12, NQ_MAX_LEVELS, NQ_LEVEL_MEAN);
    add_part(near, NQ_F32, NQI_COUNT(near), NULL);
    assert_int_equal(run(), NQ_OK);
    assert_int_equal(f.u.n_levels, 3);
    check();
}

/* Outermost weights that are not there: pruned, or left out of a sample. Their cells are in no map
 * of far cells, where they were once looked for without end; in a dense map nobody uses them, and
 * the lowest level was clamped instead. */
static void outermost_weights_without_cells(void **state)
{
    (void)state;
    const float far[] = {3, 1e8f, 99999992.0f}, high[] = {-70000, 80000, 5};
    for (uint32_t dtype = 0; dtype < NQI_N_WEIGHT_TYPES; dtype++) {
        start(1e-7, NQ_MAX_LEVELS, NQ_LEVEL_MEAN);
        add_part(far, NQ_F32, NQI_COUNT(far), NULL);
        f.job.extents[dtype] = (nqi_extent){-2e8f, 3e8f};
        assert_int_equal(run(), NQ_OK);
        assert_int_equal(f.u.n_levels, 3);
        check();
        start(10, NQ_MAX_LEVELS, NQ_LEVEL_MEAN);
        add_part(high, NQ_F32, NQI_COUNT(high), NULL);
        f.job.extents[NQ_F16] = (nqi_extent){-1000, 2000};
        assert_int_equal(run(), NQ_OK);
        assert_true(f.u.levels[0] == -70000 && f.u.levels[2] == 80000);
        check();
    }
}

/* Equal weights make all roundings go one way: the sums must not drift. Many chunks, many orders of
 * magnitude of importance. */
static void sums_stay_exact(void **state)
{
    (void)state;
    const size_t n = (1u << 18) + 5000;
    float *w = malloc(n * sizeof *w);
    double *h = malloc(n * sizeof *h);
    uint64_t seed = 3;
    for (uint32_t kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < n; i++) {
            w[i] = kind == 0 ? 0.1f : kind == 1 ? (i % 3 ? 0.1f : 0.3333333f) : gauss(&seed);
            h[i] = kind < 3 ? 0.1 : exp(20 * (double)gauss(&seed));
        }
        for (uint32_t weighted = 0; weighted < 2; weighted++)
            for (double step = 1; step > 1e-4; step /= 90) {
                start(step, NQ_MAX_LEVELS, NQ_LEVEL_WEIGHTED);
                add_part(w, NQ_F32, n, weighted ? h : NULL);
                assert_int_equal(run(), NQ_OK);
                check();
            }
    }
    free(w);
    free(h);
}

/* What the levels are made of, before it is rounded to f32: promised within 1e-12 of a step; the
 * bound here is what uniform_sums.c derives, so that a slip shows. */
static void means_are_exact_before_rounding(void **state)
{
    (void)state;
    const size_t n = 1u << 20;
    float *w = malloc(n * sizeof *w);
    double *h = malloc(n * sizeof *h);
    uint64_t seed = 6;
    for (uint32_t round = 0; round < 12; round++) {
        const double same = unit_random_real(&seed);
        for (size_t i = 0; i < n; i++) {
            w[i] = round < 8 ? (float)(0.45 * same) : 0.4f * gauss(&seed);
            h[i] = round % 2 ? exp(9 * (double)gauss(&seed)) : 0.3 + same * same;
        }
        const double step = round < 8 ? 1 : 1.0 / (1 << (3 * round - 24));
        start(step, NQ_MAX_LEVELS, NQ_LEVEL_WEIGHTED);
        add_part(w, NQ_F32, n, h);
        const nqi_cell_map map = nqi_cell_map_dense(step, -5000, 5000, 0);
        f.progress = nqi_progress_start(&f.env, NQ_STAGE_DESIGN, n);
        const nqi_sums_job job = {.env = &f.env,
                                  .progress = &f.progress,
                                  .parts = f.parts,
                                  .n_parts = 1,
                                  .map = &map,
                                  .what = NQI_SUMS_WEIGHTED};
        nqi_cell_sums sums;
        assert_int_equal(nqi_cell_sums_run(&sums, &job), NQ_OK);
        long double *moments = calloc(map.n_slots, sizeof *moments);
        long double *weights = calloc(map.n_slots, sizeof *weights);
        for (size_t i = 0; i < n; i++) {
            const int64_t cell = cell_of(w[i], step);
            moments[cell + 5000] += (long double)h[i] * (w[i] - (long double)step * cell);
            weights[cell + 5000] += h[i];
        }
        for (uint32_t slot = 0; slot < map.n_slots; slot++) {
            const nqi_sum m = sums.moments[slot], sum = sums.weights[slot];
            if (sums.counts[slot] > 0)
                assert_true(fabsl((m.high + m.low) / (sum.high + sum.low) -
                                  moments[slot] / weights[slot]) < 1.2e-13L * step);
        }
        free(moments);
        free(weights);
        nqi_cell_sums_free(&sums);
    }
    free(w);
    free(h);
}

static void zero_importance_has_no_say(void **state)
{
    (void)state;
    const float w[] = {0.1f, 0.2f, 0.3f, 1.1f, 1.3f, -0.9f};
    const double h[] = {0, 1, 0, 0, 0, 3};
    start(1, NQ_MAX_LEVELS, NQ_LEVEL_WEIGHTED);
    add_part(w, NQ_F32, NQI_COUNT(w), h);
    assert_int_equal(run(), NQ_OK);
    assert_true(f.u.levels[1] == 0.2f);
    assert_true(f.u.levels[2] == (float)(((double)1.1f + (double)1.3f) / 2)); /* a plain mean */
    check();
}

static void shaping_is_applied(void **state)
{
    (void)state;
    const float w[] = {0.1f, 0.2f};
    const double h[] = {1, 9};
    start(1, NQ_MAX_LEVELS, NQ_LEVEL_WEIGHTED);
    add_part(w, NQ_F32, 2, h);
    f.parts[0].shaping = (nqi_shaping){.least = 4, .power = 0.5, .scale = 1};
    assert_int_equal(run(), NQ_OK);
    check_level(f.u.levels[0], ((long double)w[0] * 2 + (long double)w[1] * 3) / 5, 1);
    check();
}

/* ---- Limits -------------------------------------------------------------------------------- */

static void one_level_too_many(void **state)
{
    (void)state;
    const uint32_t n = NQ_MAX_LEVELS + 1;
    float *w = malloc(n * sizeof *w);
    for (uint32_t i = 0; i < n; i++)
        w[i] = (float)i;
    for (uint32_t rule = NQ_LEVEL_MEAN; rule <= NQ_LEVEL_GRID; rule++) {
        start(1, NQ_MAX_LEVELS, rule);
        add_part(w, NQ_F32, n - 1, NULL);
        assert_int_equal(run(), NQ_OK);
        assert_int_equal(f.u.n_levels, NQ_MAX_LEVELS);
        check();
        start(1, NQ_MAX_LEVELS, rule);
        add_part(w, NQ_F32, n, NULL);
        assert_int_equal(run(), NQ_E_LIMIT);
        const double works = f.smallest;
        assert_true(works > 1 && works < 1.001);
        start(works, NQ_MAX_LEVELS, rule);
        add_part(w, NQ_F32, n, NULL);
        assert_int_equal(run(), NQ_OK);
        check();
        start(nextafter(works, 0), NQ_MAX_LEVELS, rule);
        add_part(w, NQ_F32, n, NULL);
        assert_int_equal(run(), NQ_E_LIMIT);
        assert_true(f.smallest == works);
    }
    free(w);
}

static void steps_out_of_reach(void **state)
{
    (void)state;
    const float w[] = {3e38f, 1e-40f, 1};
    const double steps[] = {5e-324, 1e-300, 1e-30, 1e10};
    for (size_t i = 0; i < NQI_COUNT(steps); i++) {
        start(steps[i], NQ_MAX_LEVELS, NQ_LEVEL_MEAN);
        add_part(w, NQ_F32, 3, NULL);
        assert_int_equal(run(), NQ_E_LIMIT);
        assert_true(f.smallest > steps[i]);
        start(f.smallest, NQ_MAX_LEVELS, NQ_LEVEL_MEAN);
        add_part(w, NQ_F32, 3, NULL);
        assert_int_equal(run(), NQ_OK);
        check();
    }
    /* Levels in the middles are stored by number, which must be exact in a double. */
    start(1e22, NQ_MAX_LEVELS, NQ_LEVEL_GRID);
    add_part(w, NQ_F32, 3, NULL);
    assert_int_equal(run(), NQ_E_LIMIT);
    start(f.smallest, NQ_MAX_LEVELS, NQ_LEVEL_GRID);
    add_part(w, NQ_F32, 3, NULL);
    assert_int_equal(run(), NQ_OK);
    assert_true(f.u.cells[f.u.n_levels - 1] <= INT64_C(1) << 53);
    check();
    /* A limit of the caller's. */
    start(0.1, 2, NQ_LEVEL_MEAN);
    add_part(w + 1, NQ_F32, 2, NULL);
    assert_int_equal(run(), NQ_OK);
    check();
    start(0.1, 1, NQ_LEVEL_MEAN);
    add_part(w + 1, NQ_F32, 2, NULL);
    assert_int_equal(run(), NQ_E_LIMIT);
    assert_true(f.smallest > 2 && f.smallest < 2.00001);
}

static float decoded(float level, uint32_t dtype)
{
    return dtype == NQ_F16    ? nqi_f16_to_f32(nqi_f32_to_f16(level))
           : dtype == NQ_BF16 ? nqi_bf16_to_f32(nqi_f32_to_bf16(level))
                              : level;
}

static void levels_do_not_overflow_their_types(void **state)
{
    (void)state;
    const float big[] = {0x1.fffffep127f, -0x1.fffffep127f, 1};
    const float wide[] = {66000, -66000};
    const uint16_t halves[] = {0x7bff, 0xfbff, 0}, brains[] = {0x7f7f, 0xff7f, 0};
    for (uint32_t rule = NQ_LEVEL_MEAN; rule <= NQ_LEVEL_GRID; rule++)
        for (uint32_t which = 0; which < 4; which++) {
            start(which == 0 || which == 2 ? 2.4e38 : 2000, NQ_MAX_LEVELS, rule);
            if (which == 0)
                add_part(big, NQ_F32, 3, NULL);
            if (which == 1 || which == 3)
                add_part(halves, NQ_F16, 3, NULL);
            if (which == 2)
                add_part(brains, NQ_BF16, 3, NULL);
            if (which == 3)
                add_part(wide, NQ_F32, 2, NULL); /* in the same cells as the halves */
            assert_int_equal(run(), NQ_OK);
            for (size_t p = 0; p < f.job.n_parts; p++)
                for (size_t i = 0; i < f.parts[p].w.n; i++) {
                    uint16_t index;
                    float w;
                    nqi_view_f32(&w, &f.parts[p].w, i, 1);
                    nqi_uniform_assign(&index, &f.u, &w, 1);
                    const float back = decoded(f.u.levels[index], f.parts[p].w.dtype);
                    assert_true(isfinite(back));
                    assert_true(fabs((double)back - (double)w) <= f.u.step);
                }
            nqi_uniform_free(&f.u);
        }
}

/* ---- The way it runs ----------------------------------------------------------------------- */

static void run_backwards(void *user, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    for (uint64_t i = n_tasks; i-- > 0;)
        task(arg, i, (uint32_t)(i % *(const uint32_t *)user));
}

static void workers_change_nothing(void **state)
{
    (void)state;
    const size_t n = (3u << 18) + 100;
    float *w = malloc(n * sizeof *w), *levels = NULL;
    double *h = malloc(n * sizeof *h);
    uint64_t seed = 4;
    for (size_t i = 0; i < n; i++) {
        w[i] = gauss(&seed);
        h[i] = exp(5 * (double)gauss(&seed));
    }
    for (uint32_t kind = 0; kind < 4; kind++) {
        double step = 0;
        uint32_t n_levels = 0;
        for (uint32_t workers = 1; workers < 8; workers++) {
            start(kind == 0 ? 0.05 : kind == 1 ? 1e-4 : 0, kind == 2 ? 7 : 1000, NQ_LEVEL_WEIGHTED);
            f.job.max_levels = kind < 2 ? NQ_MAX_LEVELS : f.job.max_levels;
            f.env.runner = (nqi_runner){run_backwards, &workers, workers};
            add_part(w, NQ_F32, n - 70000, h);
            add_part(w + n - 70000, NQ_F32, 70000, h + n - 70000);
            assert_int_equal(run(), NQ_OK);
            if (workers == 1) {
                step = f.u.step;
                n_levels = f.u.n_levels;
                levels = malloc(n_levels * sizeof *levels);
                memcpy(levels, f.u.levels, n_levels * sizeof *levels);
            }
            assert_true(f.u.step == step && f.u.n_levels == n_levels);
            assert_memory_equal(f.u.levels, levels, n_levels * sizeof *levels);
            nqi_uniform_free(&f.u);
        }
        free(levels);
    }
    free(w);
    free(h);
}

static void *limited_alloc(void *user, size_t n_bytes, size_t alignment)
{
    uint64_t *left = user;
    return (*left)-- > 0 ? nqi_allocator_default().alloc(NULL, n_bytes, alignment) : NULL;
}

static void plain_free(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    (void)user;
    nqi_allocator_default().free(NULL, memory, n_bytes, alignment);
}

static int32_t stop_after(void *user, uint32_t stage, uint64_t done, uint64_t total)
{
    uint64_t *left = user;
    (void)stage;
    (void)done;
    (void)total;
    return (*left)-- == 0;
}

/* Jobs that take all the ways there are. */
static void start_kind(uint32_t kind, const float *w, size_t n, const double *h)
{
    const double steps[] = {0.1, 0, 1e-12, 1e-300, 0.1};
    start(steps[kind], kind == 4 ? 2 : 50, NQ_LEVEL_WEIGHTED);
    if (kind == 2)
        f.job.max_levels = 100;
    add_part(w, NQ_F32, n, h);
}

static void memory_and_patience_run_out(void **state)
{
    (void)state;
    float w[60];
    double h[60];
    uint64_t seed = 5;
    for (size_t i = 0; i < NQI_COUNT(w); i++) {
        w[i] = gauss(&seed);
        h[i] = i % 2 ? 0 : 1;
    }
    const nq_status at_end[] = {NQ_OK, NQ_OK, NQ_OK, NQ_E_LIMIT, NQ_E_LIMIT};
    for (uint32_t kind = 0; kind < 5; kind++)
        for (uint32_t what = 0; what < 2; what++) {
            nq_status status = NQ_E_INTERNAL;
            for (uint64_t k = 0; status != at_end[kind]; k++) {
                uint64_t left = k;
                start_kind(kind, w, NQI_COUNT(w), h);
                if (what == 0) {
                    f.env.allocator.alloc = limited_alloc;
                    f.env.allocator.free = plain_free;
                    f.env.allocator.user = &left;
                } else {
                    f.env.progress = stop_after;
                    f.env.progress_user = &left;
                }
                status = run();
                if (status == NQ_OK)
                    nqi_uniform_free(&f.u);
                else if (status != NQ_E_LIMIT)
                    assert_int_equal(status, what == 0 ? NQ_E_NOMEM : NQ_E_CANCELLED);
                assert_true(k < 100);
            }
        }
}

static nq_status refuse_counts(void *user, size_t part, uint32_t first, const uint64_t *counts,
                               uint32_t n_slots)
{
    (void)user;
    (void)part;
    (void)first;
    (void)counts;
    (void)n_slots;
    return NQ_E_IO;
}

static void counts_may_fail(void **state)
{
    (void)state;
    const float w[] = {1, 2, 3};
    start(1, 10, NQ_LEVEL_MEAN);
    add_part(w, NQ_F32, 3, NULL);
    f.job.counts = refuse_counts;
    assert_int_equal(run(), NQ_E_IO);
}

/* Slots and offsets of every kernel, at the ends of cells as well, for any number of weights. */
static void cells_are_found_in_vectors(void **state)
{
    (void)state;
    enum { MOST = 70 };
    uint64_t seed = 31;
    for (uint32_t round = 0; round < 3000; round++) {
        const double step = round % 3 ? fabs(unit_random_real(&seed)) + 1e-3 : 0.25;
        const size_t n = round % MOST;
        const uint64_t cpu = round % 2 ? nqi_cpu_features() : 0;
        const nqi_cell_map map = nqi_cell_map_dense(step, -100000, 100000, cpu);
        float w[MOST] = {-0.0f, 0x1p-149f, -0x1p-149f};
        uint32_t slots[MOST + 1] = {0}, alone[MOST + 1] = {0};
        double offsets[MOST + 1] = {0};
        for (size_t i = 3; i < MOST; i++)
            w[i] = (float)(step * (i % 4 == 0 ? round + 0.5 : 1000 * unit_random_real(&seed))) *
                   (i % 8 < 4 ? 1.0f : -1.0f);
        nqi_cell_map_offsets(slots, offsets, &map, w, n);
        nqi_cell_map_slots(alone, &map, w, n);
        for (size_t i = 0; i < n; i++) {
            const int64_t cell = cell_of(w[i], step);
            assert_int_equal(slots[i], cell + 100000);
            assert_int_equal(alone[i], cell + 100000);
            assert_true(offsets[i] == (double)w[i] - step * (double)cell);
        }
        assert_int_equal(slots[n], 0);
        assert_int_equal(alone[n], 0);
        assert_true(offsets[n] == 0);
    }
}

/* Cells that are not in a list get a slot all the same, that of a neighbour. */
static void missing_cells_have_slots(void **state)
{
    (void)state;
    const nqi_env env = nqi_env_default();
    const int64_t cells[] = {-5000000000, -7, 0, 3, 40000000000};
    const float weights[] = {-6e9f, -5e9f, -100, -7, -1, 0, 1, 3, 4, 1e10f, 4e10f, 1e11f};
    const uint32_t expected[] = {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4};
    uint32_t slots[NQI_COUNT(weights)];
    nqi_cell_map map;
    assert_int_equal(nqi_cell_map_sparse(&map, &env.allocator, 1, cells, NQI_COUNT(cells)), NQ_OK);
    nqi_cell_map_slots(slots, &map, weights, NQI_COUNT(weights));
    for (size_t i = 0; i < NQI_COUNT(weights); i++)
        assert_int_equal(slots[i], expected[i]);
    nqi_cell_map_free(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_and_type),
        cmocka_unit_test(minus_zero_is_zero),
        cmocka_unit_test(denormal_weights),
        cmocka_unit_test(largest_weights_and_importance),
        cmocka_unit_test(one_weight_and_one_value),
        cmocka_unit_test(as_many_levels_as_asked_for),
        cmocka_unit_test(lossless),
        cmocka_unit_test(far_cells),
        cmocka_unit_test(outermost_weights_without_cells),
        cmocka_unit_test(sums_stay_exact),
        cmocka_unit_test(means_are_exact_before_rounding),
        cmocka_unit_test(zero_importance_has_no_say),
        cmocka_unit_test(shaping_is_applied),
        cmocka_unit_test(one_level_too_many),
        cmocka_unit_test(steps_out_of_reach),
        cmocka_unit_test(levels_do_not_overflow_their_types),
        cmocka_unit_test(workers_change_nothing),
        cmocka_unit_test(memory_and_patience_run_out),
        cmocka_unit_test(counts_may_fail),
        cmocka_unit_test(cells_are_found_in_vectors),
        cmocka_unit_test(missing_cells_have_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
