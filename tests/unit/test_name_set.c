/*
 * The names of a plan, against comparing each with each; and that searching is bounded by the name
 * itself. Names come from files of strangers: a hash table took a time that grew with the square of
 * their number when they were chosen to collide.
 */
#include "api/plan.h"
#include "unit.h"

static nq_plan *make_plan(void)
{
    nq_plan *plan;
    nq_plan_options options;
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_STEP;
    options.target_value = 1;
    assert_int_equal(nq_plan_create(&plan, NULL, &options), NQ_OK);
    return plan;
}

static nq_status add(nq_plan *plan, const char *name, size_t name_bytes)
{
    static const float one = 1;
    nq_tensor tensor;
    nq_tensor_init(&tensor);
    tensor.data = &one;
    tensor.name = name;
    tensor.name_bytes = (uint32_t)name_bytes;
    return nq_plan_add(plan, &tensor, NULL, NULL);
}

/* Nodes that a search passes. */
static size_t search_length(const nqi_model *m, const char *name, size_t name_bytes)
{
    const nqi_name_node *nodes = m->names.nodes;
    uint32_t node = 0, side = 0;
    size_t length = 0;
    while (!(nodes[node].tensors >> side & 1)) {
        node = nodes[node].below[side];
        const uint32_t at = nodes[node].at;
        const uint32_t symbol = at < name_bytes ? 0x100u | (uint8_t)name[at] : 0;
        side = (symbol & nodes[node].bit) != 0;
        length++;
    }
    return length;
}

/* Each name of up to 3 bytes of few kinds: zeros, beginnings of others, bytes over 127. */
static void test_short_names(void **state)
{
    (void)state;
    static const char letters[] = {'\0', 'a', 'b', '\x7f', '\xff'};
    for (uint64_t seed = 1; seed <= 30; seed++) {
        nq_plan *plan = make_plan();
        char names[400][3];
        size_t sizes[400], places[400], n = 0;
        uint64_t random = seed;
        for (size_t round = 0; round < 400; round++) {
            const size_t size = (size_t)(unit_random(&random) % 4);
            char *name = names[n];
            for (size_t i = 0; i < size; i++)
                name[i] = letters[unit_random(&random) % sizeof letters];
            size_t twin = 0;
            while (twin < n && (sizes[twin] != size || memcmp(names[twin], name, size) != 0))
                twin++;
            sizes[n] = size;
            places[n] = n;
            assert_int_equal(add(plan, name, size), twin < n ? NQ_E_ARG : NQ_OK);
            n += twin == n;
        }
        assert_int_equal(plan->model.n_tensors, n);
        for (size_t i = 0; i < n; i++) {
            assert_true(nqi_model_find(&plan->model, names[i], sizes[i]) == places[i]);
            assert_true(search_length(&plan->model, names[i], sizes[i]) <= 9 * (sizes[i] + 1));
        }
        assert_true(nqi_model_find(&plan->model, "abab", 4) == NQ_NONE);
        nq_plan_destroy(plan);
    }
}

/* Each name the beginning of the next is the longest way there is; short names stay quick. */
static void test_beginnings(void **state)
{
    (void)state;
    enum { LONGEST = 3000 };
    static char text[LONGEST];
    nq_plan *plan = make_plan();
    memset(text, 'x', sizeof text);
    for (size_t n = LONGEST; n-- > 0;)
        assert_int_equal(add(plan, text, n), NQ_OK);
    for (size_t n = 0; n < LONGEST; n += 7) {
        assert_true(nqi_model_find(&plan->model, text, n) == LONGEST - 1 - n);
        assert_int_equal(add(plan, text, n), NQ_E_ARG);
        assert_true(search_length(&plan->model, text, n) <= 9 * (n + 1));
    }
    nq_plan_destroy(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_names),
        cmocka_unit_test(test_beginnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
