/*
 * Structs that grow: programs older and newer than the library, and sizes that cannot be.
 */
#include "base/versioned.h"
#include "unit.h"

#include "base/diag.h"

/* The same struct in three releases; the library that is tested knows the second. */
typedef struct first {
    uint32_t struct_size;
    uint32_t a;
} first;

typedef struct second {
    uint32_t struct_size;
    uint32_t a;
    double b;
} second;

typedef struct third {
    uint32_t struct_size;
    uint32_t a;
    double b;
    uint64_t c;
} third;

static nq_status read_into(second *full, const void *given)
{
    *full = (second){.struct_size = sizeof(second), .a = 10, .b = 20.0};
    return nqi_versioned_read(full, sizeof *full, given, sizeof(first));
}

static void test_older_program(void **state)
{
    (void)state;
    second full;
    const first given = {.struct_size = sizeof given, .a = 1};
    assert_int_equal(read_into(&full, &given), NQ_OK);
    assert_int_equal(full.struct_size, sizeof full);
    assert_int_equal(full.a, 1);
    assert_true(full.b == 20.0);
}

static void test_newer_program(void **state)
{
    (void)state;
    second full;
    third given = {.struct_size = sizeof given, .a = 1, .b = 2.0, .c = 0};
    assert_int_equal(read_into(&full, &given), NQ_OK);
    assert_true(full.a == 1 && full.b == 2.0);
    for (unsigned bit = 0; bit < 64; bit++) {
        given.c = UINT64_C(1) << bit; /* a wish that this library cannot fulfil */
        assert_int_equal(read_into(&full, &given), NQ_E_ABI);
    }
}

static void test_impossible_sizes(void **state)
{
    (void)state;
    second full;
    union {
        first as_first;
        uint8_t bytes[NQI_STRUCT_MAX + 8]; /* compilers follow the sizes that are not refused */
    } room = {.as_first = {.a = 1}};
    first *const given = &room.as_first;
    const uint32_t sizes[] = {0, 1, sizeof(first) - 1, NQI_STRUCT_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < NQI_COUNT(sizes); i++) {
        given->struct_size = sizes[i];
        assert_int_equal(read_into(&full, given), NQ_E_ABI);
        assert_int_equal(full.a, 10);
        assert_int_equal(nqi_versioned_write(given, &full, sizeof full, sizeof(first)), NQ_E_ABI);
        assert_int_equal(given->a, 1);
    }
}

static void test_reports(void **state)
{
    (void)state;
    const second full = {.struct_size = sizeof full, .a = 10, .b = 20.0};
    second older = {.struct_size = sizeof(first), .b = 99.0}; /* b: what follows the caller's */
    assert_int_equal(nqi_versioned_write(&older, &full, sizeof full, sizeof(first)), NQ_OK);
    assert_int_equal(older.a, 10);
    assert_int_equal(older.struct_size, sizeof(first));
    assert_true(older.b == 99.0);
    third newer = {.struct_size = sizeof newer, .c = 99};
    assert_int_equal(nqi_versioned_write(&newer, &full, sizeof full, sizeof(first)), NQ_OK);
    assert_true(newer.a == 10 && newer.b == 20.0 && newer.c == 0);
    assert_int_equal(newer.struct_size, sizeof newer);
}

static void test_diag_record(void **state)
{
    (void)state;
    nq_diag diag;
    memset(&diag, 0xee, sizeof diag);
    nq_diag_init(&diag);
    assert_int_equal(diag.struct_size, sizeof diag);
    assert_true(diag.tensor == NQ_NONE && diag.element == NQ_NONE && diag.byte_offset == NQ_NONE);
    assert_int_equal(diag.what[0], 0);
    char phrase[300];
    memset(phrase, 'x', sizeof phrase);
    phrase[sizeof phrase - 1] = '\0';
    assert_int_equal(nqi_diag_at(&diag, NQ_E_CORRUPT, phrase, 1, 2, 3), NQ_E_CORRUPT);
    assert_int_equal(strlen(diag.what), sizeof diag.what - 1);
    assert_true(diag.tensor == 1 && diag.element == 2 && diag.byte_offset == 3);
    assert_int_equal(nqi_diag_set(NULL, NQ_E_LIMIT, "nobody listens"), NQ_E_LIMIT);
    nq_diag given;
    nq_diag_init(&given);
    assert_int_equal(nqi_diag_export(&given, &diag), NQ_E_CORRUPT);
    assert_memory_equal(&given, &diag, sizeof diag);
    given.struct_size = 3;
    assert_int_equal(nqi_diag_export(&given, &diag), NQ_E_ABI);
    assert_int_equal(nqi_diag_export(NULL, &diag), NQ_E_CORRUPT);
    nq_diag_init_sized(NULL, sizeof diag);
    nq_diag_init_sized(&given, 2);
    assert_int_equal(given.struct_size, 3); /* left alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_older_program),    cmocka_unit_test(test_newer_program),
        cmocka_unit_test(test_impossible_sizes), cmocka_unit_test(test_reports),
        cmocka_unit_test(test_diag_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
