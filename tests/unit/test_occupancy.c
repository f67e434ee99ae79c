/*
 * Occupancy maps: the bins against a plain list of all weights, in any order and in any parts; what
 * occupancy.h promises about steps below and above; and the smallest step against all steps at
 * which anything changes.
 */
#include "unit.h"

#include <math.h>

#include "base/bytes.h"
#include "ecsq/occupancy.h"
#include "ecsq/uniform_cell.h"
#include "ecsq/uniform_step.h"

#define MOST 4096

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* Cells in use, by the definition. The weights are sorted. */
static size_t count_used(const float *sorted, size_t n, double step)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        used += i == 0 || nqi_uniform_cell((double)sorted[i], step) !=
                              nqi_uniform_cell((double)sorted[i - 1], step);
    return used;
}

static float largest(const float *w, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
    return most;
}

/* The width of bins that were never doubled. */
static double first_unit(const float *w, size_t n)
{
    return exp2(floor(log2((double)largest(w, n))) - 61);
}

static nqi_occupancy *map_of(const float *w, size_t n, uint32_t max_cells, float max_abs)
{
    const nqi_allocator a = nqi_allocator_default();
    nqi_occupancy *o;
    assert_int_equal(nqi_occupancy_create(&o, &a, max_cells, max_abs), NQ_OK);
    nqi_occupancy_add(o, w, n);
    return o;
}

/* Weights of several kinds: dense, with outliers, on a grid, over many orders of magnitude. */
static void make_weights(float *w, size_t n, uint32_t kind, uint64_t *seed)
{
    for (size_t i = 0; i < n; i++) {
        const double x = unit_random_real(seed), y = unit_random_real(seed);
        switch (kind) {
        case 0:
            w[i] = (float)x;
            break;
        case 1:
            w[i] = (float)(x * x * x * (y > 0.98 ? 1000 : 1));
            break;
        case 2:
            w[i] = (float)(round(x * 20) * 0.125);
            break;
        case 3:
            w[i] = (float)(x * exp2(30 * y));
            break;
        case 4:
            w[i] = (float)(5 + x * 1e-3);
            break;
        default:
            w[i] = (float)(tan(1.5 * x) * tan(1.5 * x) * tan(1.5 * x));
        }
    }
}

enum { N_KINDS = 6 };

static void the_map_does_not_depend_on_order_or_parts(void **state)
{
    (void)state;
    static float w[MOST];
    static nqi_stretch runs[MOST], other[MOST];
    uint64_t seed = 1;
    for (uint32_t kind = 0; kind < N_KINDS; kind++) {
        make_weights(w, MOST, kind, &seed);
        for (uint32_t k = 1; k < 300; k = 3 * k + 1) {
            const float most = largest(w, MOST);
            nqi_occupancy *whole = map_of(w, MOST, k, most);
            const double least = nqi_occupancy_least_step(whole);
            const size_t n = nqi_occupancy_runs(NULL, whole);
            assert_true(n <= 6 * k);
            nqi_occupancy_runs(runs, whole);
            nqi_occupancy_destroy(whole);
            for (size_t cut = 0; cut <= MOST; cut += 511) {
                nqi_occupancy *a = map_of(w, cut, k, most);
                nqi_occupancy *b = map_of(w + cut, MOST - cut, k, most);
                if (cut & 1)
                    nqi_occupancy_merge(a, b);
                else
                    nqi_occupancy_merge(b, a);
                nqi_occupancy *merged = cut & 1 ? a : b;
                assert_true(nqi_occupancy_least_step(merged) == least);
                assert_int_equal(nqi_occupancy_runs(NULL, merged), n);
                nqi_occupancy_runs(other, merged);
                assert_memory_equal(runs, other, n * sizeof *runs);
                nqi_occupancy_destroy(a);
                nqi_occupancy_destroy(b);
            }
        }
    }
}

static void bins_are_as_small_as_they_may_be(void **state)
{
    (void)state;
    static float w[MOST];
    uint64_t seed = 2;
    for (uint32_t kind = 0; kind < N_KINDS; kind++) {
        make_weights(w, MOST, kind, &seed);
        qsort(w, MOST, sizeof *w, compare_floats);
        for (uint32_t k = 1; k < 300; k = 2 * k + 3) {
            nqi_occupancy *o = map_of(w, MOST, k, largest(w, MOST));
            const double unit = nqi_occupancy_least_step(o) / 2;
            size_t bins = 0, finer = 0;
            for (size_t i = 0; i < MOST; i++) {
                bins += i == 0 || floor(w[i] / unit) != floor(w[i - 1] / unit);
                finer += i == 0 || floor(w[i] / (unit / 2)) != floor(w[i - 1] / (unit / 2));
            }
            assert_int_equal(nqi_occupancy_runs(NULL, o), bins);
            assert_true(bins <= 6 * k);
            assert_true(finer > 6 * k || unit == first_unit(w, MOST));
            nqi_occupancy_destroy(o);
        }
    }
}

static void runs_count_cells_from_the_least_step_on(void **state)
{
    (void)state;
    static float w[MOST];
    static nqi_stretch runs[MOST];
    uint64_t seed = 3;
    for (uint32_t kind = 0; kind < N_KINDS; kind++) {
        make_weights(w, MOST, kind, &seed);
        qsort(w, MOST, sizeof *w, compare_floats);
        for (uint32_t k = 1; k < 300; k = 2 * k + 1) {
            nqi_occupancy *o = map_of(w, MOST, k, largest(w, MOST));
            const double least = nqi_occupancy_least_step(o);
            const size_t n = nqi_occupancy_runs(runs, o);
            for (double s = least; s < 1e6 * least; s *= 1.037)
                assert_int_equal(nqi_uniform_used_cells(NULL, 0, runs, n, s),
                                 count_used(w, MOST, s));
            for (double s = least;
                 s > least / 1000 && nqi_uniform_reaches((double)largest(w, MOST), s); s *= 0.93)
                assert_true(count_used(w, MOST, s) > k || least == 2 * first_unit(w, MOST));
            nqi_occupancy_destroy(o);
        }
    }
}

static void used_cells_are_listed(void **state)
{
    (void)state;
    const nqi_stretch runs[] = {{-3.2f, -3.1f}, {-0.1f, 2.2f}, {2.4f, 2.4f}, {7, 9}};
    int64_t cells[16];
    const int64_t want[] = {-3, 0, 1, 2, 7, 8, 9};
    assert_int_equal(nqi_uniform_used_cells(NULL, 0, runs, 4, 1.0), 7);
    assert_int_equal(nqi_uniform_used_cells(cells, 16, runs, 4, 1.0), 7);
    assert_memory_equal(cells, want, sizeof want);
    cells[3] = 99;
    assert_int_equal(nqi_uniform_used_cells(cells, 3, runs, 4, 1.0), 7);
    assert_int_equal(cells[3], 99);
    assert_int_equal(nqi_uniform_used_cells(cells, 3, runs, 0, 1.0), 0);
}

/* ---- The smallest step --------------------------------------------------------------------- */

/* The smallest step from `least` on, tried at every step at which a weight changes its cell. */
static double brute_force(const float *sorted, size_t n, double least, uint32_t k)
{
    double best = 4 * (double)largest(sorted, n);
    if (count_used(sorted, n, least) <= k)
        return least;
    for (size_t i = 0; i < n; i++) {
        const double m = fabs((double)sorted[i]);
        const int64_t most = nqi_uniform_cell(m, least);
        for (int64_t cell = most; cell >= 1; cell--) {
            double s = m / ((double)cell - 0.5);
            while (nqi_uniform_cell(m, s) >= cell)
                s = nextafter(s, (double)INFINITY);
            while (nqi_uniform_cell(m, nextafter(s, 0)) < cell)
                s = nextafter(s, 0);
            if (s >= least && s < best && count_used(sorted, n, s) <= k)
                best = s;
        }
    }
    return best;
}

static double search(const float *w, size_t n, double least, uint32_t k)
{
    static nqi_stretch runs[6 * MOST];
    static int64_t cells[MOST];
    const nqi_allocator a = nqi_allocator_default();
    nqi_occupancy *o = map_of(w, n, k, largest(w, n));
    double step, from = nqi_occupancy_least_step(o);
    bool is_exact;
    from = from < least ? least : from;
    size_t n_runs = nqi_occupancy_runs(runs, o);
    assert_int_equal(
        nqi_uniform_find_step(&step, &is_exact, &a, runs, &n_runs, from, k, NQI_UNIFORM_STEP_WORK),
        NQ_OK);
    assert_true(is_exact);
    /* The merged runs tell the cells of that step. */
    const uint64_t used = nqi_uniform_used_cells(cells, MOST, runs, n_runs, step);
    assert_int_equal(used, count_used(w, n, step));
    assert_true(used <= k || n == 0);
    for (size_t i = 0, at = 0; i < n; i++) {
        const int64_t cell = nqi_uniform_cell((double)w[i], step);
        while (at < used && cells[at] < cell)
            at++;
        assert_true(at < used && cells[at] == cell);
    }
    nqi_occupancy_destroy(o);
    return step;
}

static void the_smallest_step_of_few_weights(void **state)
{
    (void)state;
    static float w[200];
    uint64_t seed = 4;
    for (uint32_t round = 0; round < 600; round++) {
        const size_t n = 1 + unit_random(&seed) % (round < 300 ? 12 : 60);
        make_weights(w, n, round % N_KINDS, &seed);
        if (round % 5 == 0)
            w[n / 2] = 0;
        qsort(w, n, sizeof *w, compare_floats);
        const double least = (double)largest(w, n) / (double)(10 + unit_random(&seed) % 500);
        const uint32_t k = 1 + (uint32_t)(unit_random(&seed) % (n + 2));
        if (least == 0)
            continue;
        assert_true(search(w, n, least, k) == brute_force(w, n, least, k));
    }
}

static void the_smallest_step_of_many_weights(void **state)
{
    (void)state;
    static float w[700];
    uint64_t seed = 5;
    for (uint32_t kind = 0; kind < N_KINDS; kind++) {
        make_weights(w, NQI_COUNT(w), kind, &seed);
        qsort(w, NQI_COUNT(w), sizeof *w, compare_floats);
        for (uint32_t k = 1; k < 100; k = 2 * k + 1) {
            const double least = (double)largest(w, NQI_COUNT(w)) / 100;
            assert_true(search(w, NQI_COUNT(w), least, k) ==
                        brute_force(w, NQI_COUNT(w), least, k));
        }
    }
}

/* used() rises and falls: with 0.49 and 1.02, a step of 0.97 uses two cells, one of 1 uses one more
 * than one of 0.985... A search that takes it for monotone does not find the smallest. */
static void the_number_of_cells_is_not_monotone(void **state)
{
    (void)state;
    uint64_t seed = 6;
    float w[8];
    size_t n_fooled = 0;
    for (uint32_t round = 0; round < 200; round++) {
        make_weights(w, 8, 0, &seed);
        qsort(w, 8, sizeof *w, compare_floats);
        const double least = (double)largest(w, 8) / 40, found = search(w, 8, least, 5);
        double low = least, high = 4 * (double)largest(w, 8);
        for (uint32_t i = 0; i < 100; i++) {
            const double middle = (low + high) / 2;
            if (count_used(w, 8, middle) <= 5)
                high = middle;
            else
                low = middle;
        }
        assert_true(found <= high);
        n_fooled += found < high * 0.999;
    }
    assert_true(n_fooled > 20);
}

static void edges(void **state)
{
    (void)state;
    float w[MOST];
    /* All zero, both of them. */
    w[0] = 0;
    w[1] = -0.0f;
    assert_true(search(w, 2, 0, 1) == 0x1p-60);
    /* No weights at all. */
    assert_true(search(w, 0, 0, 1) == 0x1p-60);
    /* One value, at both ends of f32. */
    const float ends[] = {0x1p-149f, 0x1.fffffep127f, -0x1p-126f, 1};
    for (size_t i = 0; i < NQI_COUNT(ends); i++) {
        const double step = search(ends + i, 1, 0, 1);
        assert_true(nqi_uniform_reaches(fabs((double)ends[i]), step));
    }
    /* The whole range of f32: what is small falls into cell 0. */
    w[0] = -0x1p-149f;
    w[1] = 0x1p-149f;
    w[2] = 0x1.fffffep127f;
    assert_true(search(w, 3, 0, 2) == 0x1p67);
    /* One cell for everything: the step that takes the largest into cell 0. */
    w[0] = -1;
    w[1] = 0.25f;
    w[2] = 1;
    const double one = search(w, 3, 0, 1);
    assert_true(nqi_uniform_cell(1, one) == 0 && nqi_uniform_cell(1, nextafter(one, 0)) == 1);
    /* Enough levels for each value: all of them told apart. */
    uint64_t seed = 7;
    make_weights(w, MOST, 5, &seed);
    qsort(w, MOST, sizeof *w, compare_floats);
    size_t n_distinct = 0;
    for (size_t i = 0; i < MOST; i++)
        n_distinct += i == 0 || w[i] != w[i - 1];
    assert_int_equal(count_used(w, MOST, search(w, MOST, 0, (uint32_t)n_distinct)), n_distinct);
    assert_int_equal(count_used(w, MOST, search(w, MOST, 0, 65536)), n_distinct);
    /* 1e8 beside 1e-6. */
    const float wide[] = {-1e-6f, 1e-6f, 2e-6f, 1e8f};
    assert_int_equal(count_used(wide, 4, search(wide, 4, 0, 4)), 4);
    assert_int_equal(count_used(wide, 4, search(wide, 4, 0, 3)), 3);
}

/* With little work allowed the answer may be a larger step, but it does what it must. */
static void a_bound_on_the_work_ends_the_search(void **state)
{
    (void)state;
    static float w[20000];
    static nqi_stretch runs[60000];
    const uint32_t k = 9000;
    const nqi_allocator a = nqi_allocator_default();
    uint64_t seed = 8;
    for (size_t i = 0; i < NQI_COUNT(w); i++)
        w[i] = (float)(tan(1.57 * unit_random_real(&seed)));
    double exact = 0;
    unsigned n_loose = 0;
    bool is_exact;
    qsort(w, NQI_COUNT(w), sizeof *w, compare_floats);
    for (uint64_t work = NQI_UNIFORM_STEP_WORK; work > 0; work /= 1 << 7) {
        nqi_occupancy *o = map_of(w, NQI_COUNT(w), k, largest(w, NQI_COUNT(w)));
        size_t n_runs = nqi_occupancy_runs(runs, o);
        double step;
        assert_int_equal(nqi_uniform_find_step(&step, &is_exact, &a, runs, &n_runs,
                                               nqi_occupancy_least_step(o), k, work),
                         NQ_OK);
        assert_true(is_exact || work < NQI_UNIFORM_STEP_WORK);
        n_loose += !is_exact;
        const size_t used = count_used(w, NQI_COUNT(w), step);
        assert_true(used <= k && used > k - k / 100);
        exact = exact == 0 ? step : exact;
        assert_true(step >= exact && step < 1.1 * exact);
        assert_true(!is_exact || step == exact);
        nqi_occupancy_destroy(o);
    }
    assert_true(n_loose >= 2);
}

/* A trained network's weights are nearly all different: with nearly as many cells this had met the
 * bound on the work after seconds, and a larger step was called the smallest. */
static void many_cells_for_hardly_more_weights(void **state)
{
    (void)state;
    enum { N = 40000, K = 25000 };
    static float w[N];
    static nqi_stretch runs[N];
    const nqi_allocator a = nqi_allocator_default();
    uint64_t seed = 9;
    for (size_t i = 0; i < N; i++)
        w[i] = (float)(unit_random_real(&seed) + unit_random_real(&seed) + unit_random_real(&seed));
    qsort(w, N, sizeof *w, compare_floats);
    nqi_occupancy *o = map_of(w, N, K, largest(w, N));
    const double least = nqi_occupancy_least_step(o);
    size_t n_runs = nqi_occupancy_runs(runs, o);
    double step;
    bool is_exact;
    assert_int_equal(
        nqi_uniform_find_step(&step, &is_exact, &a, runs, &n_runs, least, K, UINT64_C(1) << 26),
        NQ_OK);
    assert_true(is_exact);
    assert_true(count_used(w, N, step) <= K);
    /* Smaller ones do not do. */
    for (size_t i = 1; i < 200; i++)
        assert_true(count_used(w, N, step * (1 - 1e-9 * (double)(i * i * i))) > K);
    nqi_occupancy_destroy(o);
}

static void *no_memory(void *user, size_t n_bytes, size_t alignment)
{
    nqi_allocator *a = user;
    return a->max_bytes-- > 0 ? nqi_allocator_default().alloc(NULL, n_bytes, alignment) : NULL;
}

static void give_back(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    (void)user;
    nqi_allocator_default().free(NULL, memory, n_bytes, alignment);
}

static void memory_runs_out(void **state)
{
    (void)state;
    nqi_allocator left = {.max_bytes = 0};
    const nqi_allocator a = {no_memory, give_back, &left, UINT64_MAX};
    nqi_stretch runs[] = {{1, 1}, {2, 2}};
    size_t n_runs = 2;
    double step;
    bool is_exact;
    nqi_occupancy *o = (nqi_occupancy *)&left;
    for (uint64_t i = 0; i < 3; i++) {
        left.max_bytes = i;
        assert_int_equal(nqi_occupancy_create(&o, &a, 5, 1), NQ_E_NOMEM);
        assert_null(o);
    }
    for (uint64_t i = 0; i < 3; i++) {
        left.max_bytes = i;
        assert_int_equal(nqi_uniform_find_step(&step, &is_exact, &a, runs, &n_runs, 0.1, 1,
                                               NQI_UNIFORM_STEP_WORK),
                         NQ_E_NOMEM);
    }
    nqi_occupancy_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_map_does_not_depend_on_order_or_parts),
        cmocka_unit_test(bins_are_as_small_as_they_may_be),
        cmocka_unit_test(runs_count_cells_from_the_least_step_on),
        cmocka_unit_test(used_cells_are_listed),
        cmocka_unit_test(the_smallest_step_of_few_weights),
        cmocka_unit_test(the_smallest_step_of_many_weights),
        cmocka_unit_test(the_number_of_cells_is_not_monotone),
        cmocka_unit_test(edges),
        cmocka_unit_test(a_bound_on_the_work_ends_the_search),
        cmocka_unit_test(many_cells_for_hardly_more_weights),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
