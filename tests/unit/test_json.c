/*
 * The example programs' JSON reader: what RFC 8259 allows, what it does not, and that nothing is
 * read past the text.
 */
#include "common/buffer.h"
#include "common/json.h"
#include "common/utf8.h"
#include "unit.h"

/* Whether the reader takes the text as one value. The text lies at the end of its own memory, so
 * that a sanitizer sees any step past it. */
static bool is_taken(const char *text, size_t n_bytes)
{
    char *copy = malloc(n_bytes + !n_bytes);
    assert_non_null(copy);
    memcpy(copy, text, n_bytes);
    json j;
    json_init(&j, copy, n_bytes);
    const bool good = json_skip(&j) && json_end(&j);
    assert_true(good == !j.error);
    assert_true(j.at <= n_bytes);
    free(copy);
    return good;
}

static void test_takes_json(void **state)
{
    (void)state;
    static const char *const texts[] = {"0",
                                        "-0",
                                        "10",
                                        "-1.5e+10",
                                        "1E-2",
                                        "0.0",
                                        "true",
                                        "false",
                                        "null",
                                        "\"\"",
                                        "[]",
                                        "{}",
                                        "[1]",
                                        "[1,2,[3,{}],\"x\"]",
                                        "{\"a\":1}",
                                        " { \"a\" : [ ] , \"b\" : { } } \r\n\t",
                                        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"",
                                        "\"\\ud834\\udd1e\"",
                                        "\"\\u0000\"",
                                        "\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\x7f\"",
                                        "[[[[[[[[]]]]]]]]",
                                        "[{\"a\":[{\"b\":1}]},2]"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (!is_taken(texts[i], strlen(texts[i])))
            fail_msg("refused: %s", texts[i]);
    }
}

static void test_refuses_what_is_not(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        " ",
                                        "01",
                                        "-",
                                        "+1",
                                        "1.",
                                        ".5",
                                        "1e",
                                        "1e+",
                                        "0x1",
                                        "tru",
                                        "True",
                                        "nul",
                                        "nan",
                                        "Infinity",
                                        "'a'",
                                        "\"",
                                        "\"a",
                                        "\"\\x\"",
                                        "\"\\u12\"",
                                        "\"\\u12g4\"",
                                        "\"\\\"",
                                        "\"\n\"",
                                        "\"\\ud834\"",
                                        "\"\\ud834x\"",
                                        "\"\\ud834\\n\"",
                                        "\"\\ud834\\u0041\"",
                                        "\"\\udd1e\"",
                                        "\"\xff\"",
                                        "\"\xc3\"",
                                        "\"\xc0\x80\"",
                                        "\"\xed\xa0\x80\"",
                                        "\"\xf4\x90\x80\x80\"",
                                        "\"\xe0\x80\x80\"",
                                        "[",
                                        "]",
                                        "[1",
                                        "[1,",
                                        "[1,]",
                                        "[,1]",
                                        "[1 2]",
                                        "[1}",
                                        "{",
                                        "}",
                                        "{]",
                                        "{\"a\"}",
                                        "{\"a\":}",
                                        "{\"a\":1,}",
                                        "{,}",
                                        "{a:1}",
                                        "{1:2}",
                                        "{\"a\":1 \"b\":2}",
                                        "{\"a\" 1}",
                                        "1 2",
                                        "[] []",
                                        "{}x",
                                        "// x\n1",
                                        "\xef\xbb\xbf{}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (is_taken(texts[i], strlen(texts[i])))
            fail_msg("taken: %s", texts[i]);
    assert_false(is_taken("1\0", 2));
    assert_false(is_taken("\"\0\"", 3));
    assert_false(is_taken("[\0]", 3));
}

/* Every text that ends early is refused, and so is nearly every text with a byte changed: at any
 * rate nothing bad happens. */
static void test_cut_and_changed(void **state)
{
    (void)state;
    static const char text[] = "{\"a\\u00e9\":[1,-2.5e3,{\"b\":null}],\"\\ud834\\udd1e\":\"x\"}";
    char changed[sizeof text];
    for (size_t n = 0; n < sizeof text - 1; n++)
        assert_false(is_taken(text, n));
    assert_true(is_taken(text, sizeof text - 1));
    for (size_t i = 0; i < sizeof text - 1; i++)
        for (unsigned byte = 0; byte < 256; byte++) {
            memcpy(changed, text, sizeof text);
            changed[i] = (char)byte;
            is_taken(changed, sizeof text - 1);
        }
}

static void test_depth_is_limited(void **state)
{
    (void)state;
    static const char *const openings[] = {"[", "{\"a\":"};
    for (size_t kind = 0; kind < 2; kind++)
        for (size_t depth = 1; depth <= 2 * JSON_MAX_DEPTH; depth++) {
            buffer b = {0};
            for (size_t i = 0; i < depth; i++)
                buffer_text(&b, openings[kind]);
            buffer_text(&b, kind ? "1" : "");
            for (size_t i = 0; i < depth; i++)
                buffer_text(&b, kind ? "}" : "]");
            assert_int_equal(is_taken(b.bytes, b.n_bytes), depth <= JSON_MAX_DEPTH);
            buffer_free(&b);
        }
}

static void check_string(const char *text, const char *expected, size_t n_expected)
{
    char memory[256], *out = memory;
    size_t n_bytes;
    json j;
    json_init(&j, text, strlen(text));
    const char *got = json_string(&j, &out, &n_bytes);
    assert_ptr_equal(got, memory);
    assert_int_equal(n_bytes, n_expected);
    assert_memory_equal(got, expected, n_expected);
    assert_ptr_equal(out, memory + n_bytes);
    assert_true(json_end(&j));
    assert_true(n_bytes <= strlen(text));
}

static void test_strings_are_decoded(void **state)
{
    (void)state;
    check_string("\"\"", "", 0);
    check_string("\"a\\u0000b\"", "a\0b", 3);
    check_string("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
                 "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 11);
    check_string("\"\\ud800\\udc00\\udbff\\udfff\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8);
    check_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
}

static void check_integer(const char *text, bool is_taken_too, uint64_t expected)
{
    uint64_t value = 0;
    json j;
    json_init(&j, text, strlen(text));
    assert_int_equal(json_u64(&j, &value) && json_end(&j), is_taken_too);
    if (is_taken_too)
        assert_true(value == expected);
}

static void test_integers_are_exact(void **state)
{
    (void)state;
    check_integer("0", true, 0);
    check_integer("9007199254740993", true, UINT64_C(9007199254740993));
    check_integer("18446744073709551615", true, UINT64_MAX);
    check_integer("18446744073709551616", false, 0);
    check_integer("99999999999999999999999", false, 0);
    check_integer("-1", false, 0);
    check_integer("1.0", false, 0);
    check_integer("1e3", false, 0);
    check_integer("01", false, 0);
    check_integer("\"1\"", false, 0);
    check_integer("", false, 0);
}

static void test_members_in_order(void **state)
{
    (void)state;
    static const char text[] = "{\"z\":1,\"a\":[2,3],\"m\":{\"x\":4}}";
    char memory[sizeof text], *out = memory;
    char keys[4] = "";
    size_t n_keys = 0;
    json j;
    json_init(&j, text, sizeof text - 1);
    assert_true(json_enter(&j, '{'));
    while (json_more(&j)) {
        size_t n_bytes;
        const char *key = json_key(&j, &out, &n_bytes);
        assert_non_null(key);
        assert_int_equal(n_bytes, 1);
        keys[n_keys++] = *key;
        assert_true(json_skip(&j));
    }
    assert_true(json_end(&j));
    assert_string_equal(keys, "zam");
}

static void test_errors_stick(void **state)
{
    (void)state;
    uint64_t value;
    json j;
    json_init(&j, "[1]", 3);
    assert_false(json_enter(&j, '{'));
    assert_non_null(j.error);
    assert_false(json_enter(&j, '['));
    assert_false(json_more(&j));
    assert_false(json_u64(&j, &value));
    assert_false(json_skip(&j));
    assert_false(json_end(&j));
    assert_int_equal(json_peek(&j), 0);
}

static void test_twins(void **state)
{
    (void)state;
    json_name names[] = {{"b", 1}, {"", 0}, {"a\0x", 3}, {"a\0y", 3}, {"ab", 2}};
    assert_null(json_find_twin(names, 5));
    assert_null(json_find_twin(names, 0));
    json_name twins[] = {{"b", 1}, {"a\0x", 3}, {"c", 1}, {"a\0x", 3}};
    const json_name *twin = json_find_twin(twins, 4);
    assert_non_null(twin);
    assert_int_equal(twin->n_bytes, 3);
}

/* What is written is read back, byte for byte. */
static void test_written_strings(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (int round = 0; round < 2000; round++) {
        char text[64], memory[512], *out = memory;
        size_t n = 0, n_back;
        while (n < 40) {
            const uint32_t c =
                (uint32_t)(unit_random(&seed) % (round % 2 ? UINT64_C(0x110000) : UINT64_C(0x80)));
            if (c < 0xd800 || c > 0xdfff)
                n += utf8_encode(text + n, c);
        }
        buffer b = {0};
        buffer_json_string(&b, text, n);
        json j;
        json_init(&j, b.bytes, b.n_bytes);
        const char *back = json_string(&j, &out, &n_back);
        assert_non_null(back);
        assert_true(json_end(&j));
        assert_int_equal(n_back, n);
        assert_memory_equal(back, text, n);
        buffer_free(&b);
    }
}

static void test_bytes_that_are_no_text(void **state)
{
    (void)state;
    buffer b = {0};
    buffer_json_string(&b, "a\xff\xc3z", 4);
    buffer_text(&b, "");
    assert_int_equal(b.n_bytes, 10);
    assert_memory_equal(b.bytes, "\"a\xef\xbf\xbd\xef\xbf\xbdz\"", 10);
    buffer_free(&b);
}

/* Numbers had 17 digits each, 0.1 was 0.10000000000000001. */
static void test_numbers(void **state)
{
    (void)state;
    static const char *const numbers[] = {"0",
                                          "-0",
                                          "1",
                                          "-0.5",
                                          "100",
                                          "0.1",
                                          "0.3333333333333333",
                                          "1e+300",
                                          "5e-324",
                                          "0.0625",
                                          "1e-310",
                                          "1.5e-07",
                                          "123456789012345",
                                          "0.30000000000000004",
                                          "2.2250738585072014e-308"};
    const double infinite = strtod("inf", NULL);
    buffer b = {0};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        buffer_json_double(&b, strtod(numbers[i], NULL));
        assert_int_equal(b.n_bytes, strlen(numbers[i]));
        assert_memory_equal(b.bytes, numbers[i], b.n_bytes);
        b.n_bytes = 0;
    }
    buffer_json_double(&b, infinite);
    buffer_json_double(&b, infinite - infinite);
    assert_int_equal(b.n_bytes, 8);
    assert_memory_equal(b.bytes, "nullnull", 8);
    buffer_free(&b);
}

/* Any number comes back. */
static void test_numbers_read_back(void **state)
{
    (void)state;
    uint64_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        double value;
        char text[32];
        bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const uint64_t exponent = i % 4 == 0 ? 0 : bits >> 32 & 0x7fe;
        const uint64_t chosen = bits >> 12 | exponent << 52;
        memcpy(&value, &chosen, sizeof value);
        assert_true(strtod(shortest_double(text, value), NULL) == value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_json),
        cmocka_unit_test(test_refuses_what_is_not),
        cmocka_unit_test(test_cut_and_changed),
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_strings_are_decoded),
        cmocka_unit_test(test_integers_are_exact),
        cmocka_unit_test(test_members_in_order),
        cmocka_unit_test(test_errors_stick),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_written_strings),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
