/*
 * Twins among names, against comparing each with each.
 */
#include "container/names.h"
#include "unit.h"

#include "nq/status.h"

/* The lowest tensor whose name an earlier one has. */
static uint64_t slow_twin(const nqi_name *names, size_t n)
{
    for (size_t b = 0; b < n; b++)
        for (size_t a = 0; a < b; a++)
            if (names[a].n_bytes == names[b].n_bytes &&
                memcmp(names[a].bytes, names[b].bytes, names[b].n_bytes) == 0)
                return names[b].tensor;
    return NQ_NONE;
}

static void check_names(const char *const *texts, size_t n, uint64_t expected)
{
    nqi_name names[16];
    for (size_t i = 0; i < n; i++)
        names[i] = (nqi_name){texts[i], (uint32_t)strlen(texts[i]), (uint32_t)i};
    assert_true(nqi_names_find_twin(names, n) == expected);
}

static void test_small_lists(void **state)
{
    (void)state;
    check_names(NULL, 0, NQ_NONE);
    check_names((const char *[]){"a"}, 1, NQ_NONE);
    check_names((const char *[]){"a", "b"}, 2, NQ_NONE);
    check_names((const char *[]){"a", "a"}, 2, 1);
    check_names((const char *[]){"a", "aa", "aaa"}, 3, NQ_NONE);
    check_names((const char *[]){"", "a", ""}, 3, 2);
    check_names((const char *[]){"b", "a", "b", "a"}, 4, 2); /* not the first in order of names */
    check_names((const char *[]){"x", "x", "x", "x", "x"}, 5, 1);
    nqi_name empty[2] = {{NULL, 0, 0}, {NULL, 0, 1}};
    assert_true(nqi_names_find_twin(empty, 2) == 1);
}

/* Zero bytes are bytes like others. */
static void test_names_are_not_strings(void **state)
{
    (void)state;
    nqi_name names[] = {{"a\0b", 3, 0}, {"a\0c", 3, 1}, {"a\0b", 3, 2}};
    assert_true(nqi_names_find_twin(names, 2) == NQ_NONE);
    assert_true(nqi_names_find_twin(names, 3) == 2);
}

/* Names of few letters, so that there are twins in about half of the lists. */
static void test_random_lists(void **state)
{
    (void)state;
    uint64_t seed = 7;
    unsigned n_with = 0;
    for (int round = 0; round < 3000; round++) {
        enum { MAX = 40 };
        char text[MAX][3];
        nqi_name names[MAX], copy[MAX];
        const size_t n = (size_t)(unit_random(&seed) % (MAX + 1));
        for (size_t i = 0; i < n; i++) {
            for (size_t k = 0; k < 3; k++)
                text[i][k] = (char)('a' + unit_random(&seed) % 8);
            names[i] =
                (nqi_name){text[i], (uint32_t)(unit_random(&seed) % 16 ? 3 : 2), (uint32_t)i};
        }
        memcpy(copy, names, n * sizeof *names);
        const uint64_t expected = slow_twin(copy, n);
        n_with += expected != NQ_NONE;
        assert_true(nqi_names_find_twin(names, n) == expected);
    }
    assert_true(n_with > 500 && n_with < 2500);
}

/* Orders that are the worst for some ways to sort: there is one twin, and time for n log n alone.
 */
static void test_long_lists(void **state)
{
    (void)state;
    enum { N = 200000, WIDTH = 8 };
    char *text = malloc((size_t)N * WIDTH + 1);
    nqi_name *names = malloc(N * sizeof *names);
    for (int order = 0; order < 3; order++) {
        for (uint32_t i = 0; i < N; i++) {
            const uint32_t number = order == 0 ? i : order == 1 ? N - i : (i % 2 ? i : N + i);
            snprintf(text + (size_t)i * WIDTH, WIDTH + 1, "%0*u", WIDTH, number);
            names[i] = (nqi_name){text + (size_t)i * WIDTH, WIDTH, i};
        }
        memcpy(text + (size_t)(N - 7) * WIDTH, text + (size_t)N / 2 * WIDTH, WIDTH);
        assert_true(nqi_names_find_twin(names, N) == N - 7);
    }
    free(names);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_lists),
        cmocka_unit_test(test_names_are_not_strings),
        cmocka_unit_test(test_random_lists),
        cmocka_unit_test(test_long_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
