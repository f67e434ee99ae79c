/*
 * Iterative entropy-constrained quantization on real networks against an independent program: from
 * the same grid it goes the same way, and with all its starts it ends at or below it.
 */
#include "test_kmeans_models.h"

#include "ecsq/iterative.h"

static nqi_ecsq_result run(const nqi_weights *view, const nqi_ecsq_options *o)
{
    const nqi_env env = nqi_env_default();
    nqi_summary s = data_summarise(&env, view);
    nqi_ecsq_result r;
    assert_int_equal(nqi_ecsq(&r, &env, &s, NULL, view, 1, o), NQ_OK);
    nqi_summary_free(&s);
    return r;
}

static void check_item(const model *m, const char *name, const char *item, const char *end)
{
    const char *method = models_json_value(item, end, "method");
    if (strncmp(method, "\"ecsq\"", 6) != 0)
        return;
    const double lambda = models_json_number(item, end, "param");
    const double cost = models_json_number(item, end, "J");
    const nqi_weights view = models_view(m, true);
    nqi_ecsq_options o = nqi_ecsq_options_default(lambda);
    o.step = models_json_number(item, end, "step0");
    nqi_ecsq_result best = run(&view, &o);
    o.step = 0;
    nqi_ecsq_result other = run(&view, &o);
    if (other.cost < best.cost) {
        const nqi_ecsq_result worse = best;
        best = other;
        other = worse;
    }
    nqi_ecsq_free(&other);
    o.step = models_json_number(item, end, "step0");
    o.starts = NQI_ECSQ_FROM_GRID;
    o.max_iterations = 100;
    nqi_ecsq_result same = run(&view, &o);
    print_message("%s, lambda %g: J %.9g (%zu levels), of the same grid %.9g (%zu levels), of the "
                  "other program %.9g\n",
                  name, lambda, best.cost, best.k, same.cost, same.k, cost);
    assert_true(best.cost <= cost * (1 + 1e-5));
    assert_true(fabs(same.cost - cost) <= 1e-4 * cost);
    nqi_ecsq_free(&best);
    nqi_ecsq_free(&same);
}

static void at_or_below_an_independent_program(void **state)
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
            check_item(&m, models_names[i], at, end);
            at = end;
        }
        models_free(&m);
    }
    free(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(at_or_below_an_independent_program)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
