/*
 * As much of cmocka as the tests in tests/unit use, for machines that no cmocka was built for. Each
 * test prints a line; a failure leaves the test by longjmp, as cmocka's do.
 */
#ifndef NQI_TESTS_MACHINES_CMOCKA_H
#define NQI_TESTS_MACHINES_CMOCKA_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef void (*cmocka_test_fn)(void **state);
typedef int (*cmocka_fixture_fn)(void **state);

struct CMUnitTest {
    const char *name;
    cmocka_test_fn test;
    cmocka_fixture_fn setup, teardown;
};

#define cmocka_unit_test(f)                                                                        \
    {                                                                                              \
#f, f, NULL, NULL                                                                          \
    }
#define cmocka_unit_test_setup(f, setup)                                                           \
    {                                                                                              \
#f, f, setup, NULL                                                                         \
    }
#define cmocka_unit_test_setup_teardown(f, up, down)                                               \
    {                                                                                              \
#f, f, up, down                                                                            \
    }

enum { CMOCKA_FAILED = 1, CMOCKA_SKIPPED };

static jmp_buf cmocka_leave;

static inline void cmocka_check(int good, const char *what, const char *file, int line)
{
    if (good)
        return;
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    longjmp(cmocka_leave, CMOCKA_FAILED);
}

static inline void cmocka_compare(uintmax_t left, uintmax_t right, int equal, const char *what,
                                  const char *file, int line)
{
    if ((left == right) != equal)
        fprintf(stderr, "%#jx and %#jx\n", left, right);
    cmocka_check((left == right) == equal, what, file, line);
}

static inline int cmocka_inside(uintmax_t a, uintmax_t low, uintmax_t high)
{
    return low <= a && a <= high;
}

#define CMOCKA_CHECK(good, what) cmocka_check(good, what, __FILE__, __LINE__)
#define CMOCKA_COMPARE(a, b, equal)                                                                \
    cmocka_compare((uintmax_t)(a), (uintmax_t)(b), equal, #a " and " #b, __FILE__, __LINE__)
#define CMOCKA_POINTER(p) ((uintmax_t)(uintptr_t)(p))

#define assert_true(a)                CMOCKA_CHECK((a) ? 1 : 0, #a)
#define assert_false(a)               CMOCKA_CHECK((a) ? 0 : 1, "not " #a)
#define assert_int_equal(a, b)        CMOCKA_COMPARE(a, b, 1)
#define assert_int_not_equal(a, b)    CMOCKA_COMPARE(a, b, 0)
#define assert_ptr_equal(a, b)        CMOCKA_COMPARE(CMOCKA_POINTER(a), CMOCKA_POINTER(b), 1)
#define assert_null(a)                CMOCKA_COMPARE(CMOCKA_POINTER(a), 0, 1)
#define assert_non_null(a)            CMOCKA_COMPARE(CMOCKA_POINTER(a), 0, 0)
#define assert_string_equal(a, b)     CMOCKA_CHECK(strcmp(a, b) == 0, #a " is " #b)
#define assert_string_not_equal(a, b) CMOCKA_CHECK(strcmp(a, b) != 0, #a " is not " #b)
#define assert_memory_equal(a, b, n)  CMOCKA_CHECK(memcmp(a, b, n) == 0, #a " holds " #b)
#define assert_memory_not_equal(a, b, n) CMOCKA_CHECK(memcmp(a, b, n) != 0, #a " differs from " #b)
#define assert_in_range(a, low, high)                                                              \
    cmocka_check(cmocka_inside((uintmax_t)(a), (uintmax_t)(low), (uintmax_t)(high)),               \
                 #a " in " #low " to " #high, __FILE__, __LINE__)
#define fail()             CMOCKA_CHECK(0, "fail()")
#define fail_msg(...)      (fprintf(stderr, __VA_ARGS__), CMOCKA_CHECK(0, "fail_msg()"))
#define print_message(...) printf(__VA_ARGS__)
#define skip()             longjmp(cmocka_leave, CMOCKA_SKIPPED)

static inline int cmocka_run(const struct CMUnitTest *test)
{
    void *state = NULL;
    const int left = setjmp(cmocka_leave);
    if (left == 0) {
        if (test->setup && test->setup(&state) != 0)
            longjmp(cmocka_leave, CMOCKA_FAILED);
        test->test(&state);
        if (test->teardown && test->teardown(&state) != 0)
            longjmp(cmocka_leave, CMOCKA_FAILED);
    }
    printf("%s %s\n", left == 0 ? "ok" : left == CMOCKA_FAILED ? "FAILED" : "skipped", test->name);
    return left == CMOCKA_FAILED;
}

static inline int cmocka_run_all(const struct CMUnitTest *tests, size_t n_tests,
                                 cmocka_fixture_fn setup, cmocka_fixture_fn teardown)
{
    void *state = NULL;
    int n_failed = setup && setup(&state) != 0;
    for (size_t i = 0; i < n_tests && n_failed == 0; i++)
        n_failed = cmocka_run(&tests[i]);
    return n_failed + (teardown && teardown(&state) != 0);
}

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    cmocka_run_all(tests, sizeof(tests) / sizeof(tests)[0], setup, teardown)

#endif
