/*
 * Points on a line: all of them, in order, with the right sums.
 */
#include "test_stats_data.h"

#include <float.h>

#include "stats/line.h"

typedef struct item {
    float w;
    float h;
} item;

static int compare(const void *a, const void *b)
{
    const float x = ((const item *)a)->w, y = ((const item *)b)->w;
    return (x > y) - (x < y);
}

/* Sums of the line against those of sorted items, from any point to any other. */
static void check_sums(nqi_line *line, const item *items, bool is_weighted)
{
    assert_int_equal(nqi_line_make_sums(line), NQ_OK);
    for (size_t begin = 0; begin < line->n; begin += 1 + line->n / 37) {
        long double h = 0, h_x = 0, size = 0;
        size_t i = begin;
        const nqi_line_sums from = nqi_line_sums_at(line, begin);
        for (size_t end = begin + 1; end <= line->n; end += 1 + line->n / 29) {
            for (; i < end; i++) {
                const long double weight = is_weighted ? (long double)items[i].h : 1;
                h += weight;
                h_x += weight * items[i].w;
                size += weight * fabsl((long double)items[i].w);
            }
            const nqi_line_sums to = nqi_line_sums_at(line, end);
            const nqi_line_cell cell = nqi_line_cell_between(line, &from, &to);
            assert_true(fabsl(cell.h - h) <= 1e-15L * h);
            assert_true(fabsl(cell.mean - h_x / h) <= 1e-15L * (size / h));
        }
    }
}

static void check_line(const float *w, const float *h, size_t n, const nqi_env *env, size_t n_parts)
{
    nqi_weights parts[3];
    item *items = malloc((n + 1) * sizeof *items);
    assert_non_null(items);
    size_t first = 0, n_items = 0;
    for (size_t i = 0; i < n_parts; i++) {
        const size_t count = i + 1 == n_parts ? n - first : n / n_parts;
        parts[i] = data_view(w + first, NQ_F32, h ? h + first : NULL, count);
        first += count;
    }
    for (size_t i = 0; i < n; i++)
        if (!h || h[i] > 0)
            items[n_items++] = (item){w[i], h ? h[i] : 1};
    qsort(items, n_items, sizeof *items, compare);
    nqi_line line;
    assert_int_equal(nqi_line_from_weights(&line, env, parts, n_parts), NQ_OK);
    assert_int_equal(line.n, n_items);
    for (size_t i = 0; i < n_items; i++)
        assert_true(nqi_line_value(&line, i) == (double)items[i].w);
    for (size_t i = 0; i + 1 < n_items; i += 1 + n_items / 50) {
        const double t = 0.5 * ((double)items[i].w + (double)items[i + 1].w);
        size_t at = 0;
        while (at < n_items && (double)items[at].w < t)
            at++;
        assert_int_equal(nqi_line_find(&line, t), at);
        assert_int_equal(nqi_line_find(&line, (double)items[0].w), 0);
    }
    if (n_items <= 100000 && n_items > 0)
        check_sums(&line, items, h != NULL);
    nqi_line_free(&line);
    free(items);
}

static void all_weights_in_order(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 2, 1000, 50000, 2300000};
    for (size_t i = 0; i < NQI_COUNT(sizes); i++) {
        const size_t n = sizes[i];
        const nqi_env env = data_env(&data_workers[i % 4], NQ_CPU_ALL);
        float *w = data_weights(n, 1, i == 3 ? 100 : 0, i), *h = data_importance(n, 0.5, i);
        for (size_t j = 1; j < n; j += 7)
            h[j] = 0;
        check_line(w, NULL, n, &env, 1 + i % 3);
        check_line(w, h, n, &env, 1 + i % 3);
        free(w);
        free(h);
    }
}

/* Equal weights keep the order of the tensor, so that sums do not depend on who sorted. */
static void workers_do_not_matter(void **state)
{
    (void)state;
    enum { N = 1500000 };
    float *w = data_weights(N, 1, 0, 1), *h = data_importance(N, 4, 2);
    for (size_t i = 0; i < N; i++)
        w[i] = (float)(int)(w[i] * 1000);
    const nqi_weights part = data_view(w, NQ_F32, h, N);
    nqi_line first = {.n = 0}, line;
    for (size_t i = 0; i < NQI_COUNT(data_workers); i++) {
        const nqi_env env = data_env(&data_workers[i], NQ_CPU_ALL);
        assert_int_equal(nqi_line_from_weights(&line, &env, &part, 1), NQ_OK);
        if (i == 0) {
            first = line;
            continue;
        }
        assert_memory_equal(line.keys, first.keys, N * sizeof *line.keys);
        assert_memory_equal(line.h, first.h, N * sizeof *line.h);
        nqi_line_free(&line);
    }
    nqi_line_free(&first);
    free(w);
    free(h);
}

/* An outlier takes no precision from the sums of others. */
static void outliers_do_not_disturb(void **state)
{
    (void)state;
    enum { N = 10000 };
    float *w = data_weights(N, 1, 0, 3);
    w[17] = 1e30f;
    w[4711] = -3e33f;
    const nqi_env env = nqi_env_default();
    check_line(w, NULL, N, &env, 1);
    free(w);
}

static void importance_of_nothing_but_zeros(void **state)
{
    (void)state;
    enum { N = 1000 };
    float *w = data_weights(N, 1, 0, 4), *h = calloc(N, sizeof *h);
    assert_non_null(h);
    const nqi_env env = nqi_env_default();
    const nqi_weights part = data_view(w, NQ_F32, h, N);
    nqi_line line;
    assert_int_equal(nqi_line_from_weights(&line, &env, &part, 1), NQ_OK);
    assert_true(line.is_plain);
    assert_int_equal(line.n, N);
    assert_true(line.total_h == N);
    nqi_line_free(&line);
    nqi_summary s = data_summarise(&env, &part);
    assert_int_equal(nqi_line_from_summary(&line, &s), NQ_OK);
    assert_true(line.is_plain);
    assert_true(line.total_h == N);
    nqi_line_free(&line);
    nqi_summary_free(&s);
    free(w);
    free(h);
}

/* Importance far from 1 is brought near it, by a power of two. */
static void extreme_importance_is_scaled(void **state)
{
    (void)state;
    const float w[3] = {1, 2, 3}, one[3] = {1, 1, 1};
    const double scales[] = {1e-300, 1e-320, 1e200, 1};
    const nqi_env env = nqi_env_default();
    for (size_t i = 0; i < NQI_COUNT(scales); i++) {
        const double h[3] = {scales[i], 2 * scales[i], 5 * scales[i]};
        nqi_weights part = data_view(w, NQ_F32, one, 3);
        part.h.data = (const uint8_t *)h;
        part.h.dtype = NQ_F64;
        nqi_line line;
        assert_int_equal(nqi_line_from_weights(&line, &env, &part, 1), NQ_OK);
        assert_true(line.total_h > 0x1p-201 && line.total_h < 0x1p201);
        for (size_t j = 0; j < 3; j++)
            assert_true(line.h[j] == h[j] * line.scale);
        assert_true(scales[i] != 1 || line.scale == 1);
        nqi_line_free(&line);
    }
}

static void memory_that_runs_out(void **state)
{
    (void)state;
    enum { N = 5000 };
    float *w = data_weights(N, 1, 0, 5), *h = data_importance(N, 1, 6);
    const nqi_weights part = data_view(w, NQ_F32, h, N);
    for (uint64_t n = 0;; n++) {
        data_memory memory;
        nqi_env env = data_env_failing(&memory, n);
        nqi_line line;
        nq_status status = nqi_line_from_weights(&line, &env, &part, 1);
        if (status == NQ_OK)
            status = nqi_line_make_sums(&line);
        nqi_line_free(&line);
        assert_int_equal(memory.n_out, 0);
        if (!memory.has_failed) {
            assert_int_equal(status, NQ_OK);
            break;
        }
        assert_int_equal(status, NQ_E_NOMEM);
    }
    free(w);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_weights_in_order),
        cmocka_unit_test(workers_do_not_matter),
        cmocka_unit_test(outliers_do_not_disturb),
        cmocka_unit_test(importance_of_nothing_but_zeros),
        cmocka_unit_test(extreme_importance_is_scaled),
        cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
