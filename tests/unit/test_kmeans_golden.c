/*
 * k-means on real networks against an independent program: the optimum, and Lloyd's method from a
 * linear start, with and without importance.
 */
#include "test_kmeans_models.h"

#include "cluster/kmeans.h"

static bool close_to(double got, double want, double tolerance)
{
    return fabs(got - want) <= tolerance * fabs(want);
}

static nqi_kmeans_result run(const nqi_weights *view, nqi_kmeans_method method, size_t k)
{
    const nqi_env env = nqi_env_default();
    nqi_summary s = data_summarise(&env, view);
    const nqi_kmeans_options options = {.k = k, .method = method, .is_measured = true};
    nqi_kmeans_result r;
    assert_int_equal(nqi_kmeans(&r, &env, &s, view, 1, &options), NQ_OK);
    nqi_summary_free(&s);
    return r;
}

/* Levels where the item lists them, those of empty cells included; they are rounded here. */
static void check_codebook(const nqi_kmeans_result *r, const char *item, const char *end)
{
    const char *levels = models_json_value(item, end, "codebook");
    const char *counts = models_json_value(item, end, "counts");
    if (!levels || !counts)
        return;
    char *level = (char *)(uintptr_t)(levels + 1), *count = (char *)(uintptr_t)(counts + 1);
    for (size_t i = 0; i < r->codebook.n;) {
        const double want = strtod(level, &level);
        const bool is_empty = strtoull(count, &count, 10) == 0;
        level += strspn(level, ", \n");
        count += strspn(count, ", \n");
        if (!is_empty)
            assert_true(fabs((double)r->codebook.levels[i++] - want) <= 1e-7 * fabs(want));
    }
}

static void check_item(const model *m, const char *item, const char *end)
{
    const char *method = models_json_value(item, end, "method");
    const bool is_dp = strstr(method, "kmeans_dp") && strstr(method, "kmeans_dp") < method + 20;
    const bool is_lloyd = strstr(method, "kmeans_lloyd_linear") &&
                          strstr(method, "kmeans_lloyd_linear") < method + 20;
    if (!is_dp && !is_lloyd)
        return;
    const nqi_weights view = models_view(m, method[1] == 'h');
    const size_t param = (size_t)models_json_number(item, end, "param");
    const double objective = models_json_number(item, end, "objective");
    assert_int_equal(m->n, (size_t)models_json_number(item, end, "n"));
    nqi_kmeans_result r = run(&view, is_dp ? NQI_KMEANS_EXACT : NQI_KMEANS_LLOYD, param);
    assert_int_equal(r.codebook.n, (size_t)models_json_number(item, end, "k"));
    assert_true(close_to(r.distortion, objective, 1e-8));
    check_codebook(&r, item, end);
    if (is_lloyd)
        assert_int_equal(r.iterations, (size_t)models_json_number(item, end, "iterations"));
    nqi_kmeans_free(&r);
    if (is_dp) { /* the default comes as close as it says */
        r = run(&view, NQI_KMEANS_OPTIMAL, param);
        assert_true(close_to(r.distortion, objective, 1e-6));
        nqi_kmeans_free(&r);
    }
}

static void agrees_with_an_independent_program(void **state)
{
    size_t n_bytes;
    char *golden = models_read("golden.json", &n_bytes);
    (void)state;
    if (!golden) {
        print_message(MODELS_SKIP_TEXT);
        skip();
    }
    for (size_t i = 0; i < NQI_COUNT(models_names); i++) {
        model m = models_load(models_names[i]);
        const char *all = models_json_value(golden, golden + n_bytes, models_names[i]);
        if (!m.w || !all)
            continue;
        const char *items = models_json_value(all, golden + n_bytes, "items");
        for (const char *at = items + 1; *(at += strspn(at, ", \n")) == '{';) {
            const char *end = models_json_end(at);
            check_item(&m, at, end);
            at = end;
        }
        models_free(&m);
    }
    free(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_an_independent_program)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
