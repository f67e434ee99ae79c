/*
 * The bounded reader and writer: nothing leaves its span, failures stick, and varints have exactly
 * one form.
 */
#include "base/cursor.h"
#include "unit.h"

static void test_takes_what_is_there(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12, 9, 8, 7};
    nqi_cursor c = nqi_cursor_make(bytes, sizeof bytes);
    uint8_t u8 = 0;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    assert_true(nqi_cursor_u8(&c, &u8));
    assert_true(nqi_cursor_le(&c, &u64, 2));
    assert_true(nqi_cursor_u32(&c, &u32));
    assert_int_equal(u8, 1);
    assert_int_equal(u64, 0x1234);
    assert_int_equal(u32, 0x12345678);
    assert_int_equal(nqi_cursor_left(&c), 3);
    assert_ptr_equal(nqi_cursor_take(&c, 3), bytes + 7);
    assert_int_equal(nqi_cursor_left(&c), 0);
    assert_non_null(nqi_cursor_take(&c, 0));
    assert_false(c.failed);
}

static void test_failure_sticks(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 2, 3};
    nqi_cursor c = nqi_cursor_make(bytes, sizeof bytes);
    uint32_t u32 = 42;
    uint8_t u8 = 43;
    assert_false(nqi_cursor_u32(&c, &u32));
    assert_int_equal(u32, 42);
    assert_true(c.failed);
    assert_int_equal(nqi_cursor_left(&c), 0);
    assert_false(nqi_cursor_u8(&c, &u8));
    assert_int_equal(u8, 43);
    assert_null(nqi_cursor_take(&c, 1));
    assert_null(nqi_cursor_take(&c, SIZE_MAX));
}

static void test_empty_span(void **state)
{
    (void)state;
    nqi_cursor c = nqi_cursor_make(NULL, 0);
    uint64_t value = 42;
    assert_int_equal(nqi_cursor_left(&c), 0);
    assert_false(nqi_cursor_varint(&c, &value));
    assert_int_equal(value, 42);
    nqi_out o = nqi_out_make(NULL, 0);
    nqi_out_bytes(&o, NULL, 0);
    assert_false(o.failed);
    nqi_out_varint(&o, 0);
    assert_true(o.failed);
}

/* Writes, checks the length, reads back, and sees that every shorter span is refused. */
static void check_varint(uint64_t value)
{
    uint8_t bytes[16];
    nqi_out o = nqi_out_make(bytes, sizeof bytes);
    nqi_out_varint(&o, value);
    const size_t n = (size_t)(o.at - bytes);
    assert_false(o.failed);
    assert_int_equal(n, nqi_varint_bytes(value));
    for (size_t given = 0; given <= n; given++) {
        nqi_cursor c = nqi_cursor_make(bytes, given);
        uint64_t got = ~value;
        assert_int_equal(nqi_cursor_varint(&c, &got), given == n);
        assert_true(got == (given == n ? value : ~value));
    }
    nqi_out small = nqi_out_make(bytes, n - 1);
    nqi_out_varint(&small, value);
    assert_true(small.failed);
}

static void test_varint_round_trip(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (unsigned bit = 0; bit < 64; bit++)
        for (uint64_t around = 0; around < 3; around++)
            check_varint((UINT64_C(1) << bit) - 1 + around);
    check_varint(UINT64_MAX);
    for (int i = 0; i < 10000; i++) {
        const unsigned shift = unit_random(&seed) % 64;
        check_varint(unit_random(&seed) >> shift);
    }
}

static void check_refused(const uint8_t *bytes, size_t n_bytes)
{
    nqi_cursor c = nqi_cursor_make(bytes, n_bytes);
    uint64_t value = 42;
    assert_false(nqi_cursor_varint(&c, &value));
    assert_true(c.failed);
    assert_int_equal(value, 42);
}

static void test_varint_of_wrong_form(void **state)
{
    (void)state;
    const uint8_t zero_in_two[] = {0x80, 0x00};
    const uint8_t one_in_three[] = {0x81, 0x80, 0x00};
    const uint8_t bit_64[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    const uint8_t eleven[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x01};
    check_refused(zero_in_two, sizeof zero_in_two);
    check_refused(one_in_three, sizeof one_in_three);
    check_refused(bit_64, sizeof bit_64);
    check_refused(eleven, sizeof eleven);
}

/* All three-byte inputs: the reader accepts exactly what the writer writes. */
static void test_varint_is_a_bijection(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < (1u << 24); i += (i & 0x7f) == 0x7f ? 1 : 3) {
        const uint8_t bytes[3] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        nqi_cursor c = nqi_cursor_make(bytes, sizeof bytes);
        uint64_t value;
        if (!nqi_cursor_varint(&c, &value))
            continue;
        uint8_t again[3];
        nqi_out o = nqi_out_make(again, sizeof again);
        nqi_out_varint(&o, value);
        if (o.at - again != c.at - bytes || memcmp(again, bytes, (size_t)(c.at - bytes)) != 0)
            fail_msg("two forms of %llu", (unsigned long long)value);
    }
}

static void test_writer_stays_inside(void **state)
{
    (void)state;
    uint8_t bytes[8];
    memset(bytes, 0xee, sizeof bytes);
    nqi_out o = nqi_out_make(bytes, 6);
    nqi_out_le(&o, 0x0102030405, 5);
    nqi_out_le(&o, 0xffff, 2);
    assert_true(o.failed);
    nqi_out_le(&o, 1, 1); /* would fit, but the writer has failed for good */
    const uint8_t expected[8] = {5, 4, 3, 2, 1, 0xee, 0xee, 0xee};
    assert_memory_equal(bytes, expected, 8);
}

static void test_byte_order(void **state)
{
    (void)state;
    uint8_t bytes[9] = {0};
    for (unsigned width = 0; width <= 8; width++) {
        const uint64_t value = UINT64_C(0x8877665544332211) &
                               (width < 8 ? (UINT64_C(1) << 8 * width) - 1 : UINT64_MAX);
        memset(bytes, 0xee, sizeof bytes);
        nqi_store_le(bytes, value, width);
        for (unsigned i = 0; i < 9; i++)
            assert_int_equal(bytes[i], i < width ? 0x11 * (i + 1) : 0xee);
        assert_true(nqi_load_le(bytes, width) == value);
    }
    nqi_store_le64(bytes + 1, UINT64_C(0x8877665544332211));
    assert_true(nqi_load_le64(bytes + 1) == UINT64_C(0x8877665544332211));
    assert_int_equal(nqi_load_le16(bytes + 1), 0x2211);
    assert_int_equal(nqi_load_le24(bytes + 1), 0x332211);
    assert_int_equal(nqi_load_le32(bytes + 5), 0x88776655);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_what_is_there),  cmocka_unit_test(test_failure_sticks),
        cmocka_unit_test(test_empty_span),           cmocka_unit_test(test_varint_round_trip),
        cmocka_unit_test(test_varint_of_wrong_form), cmocka_unit_test(test_varint_is_a_bijection),
        cmocka_unit_test(test_writer_stays_inside),  cmocka_unit_test(test_byte_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
