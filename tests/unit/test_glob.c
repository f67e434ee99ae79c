/*
 * Globs over tensor names, against a slow matcher that tries everything, and by hand.
 */
#include "nq/glob.h"
#include "unit.h"

static bool match(const char *glob, const char *name)
{
    return glob_match(glob, strlen(glob), name, strlen(name));
}

static void test_by_hand(void **state)
{
    (void)state;
    assert_true(match("", ""));
    assert_false(match("", "a"));
    assert_true(match("*", ""));
    assert_true(match("*", "a.b/c"));
    assert_true(match("layers.*.weight", "layers.0.attn/q.weight"));
    assert_false(match("layers.*.weight", "layers.0.weight.x"));
    assert_false(match("weight", "fc.weight"));
    assert_true(match("*.weight", "fc.weight"));
    assert_true(match("a?c", "abc"));
    assert_false(match("a?c", "ac"));
    assert_true(match("a?c", "a\xc3\xa9"
                             "c")); /* one character, two bytes */
    assert_true(match("[abc]x", "bx"));
    assert_false(match("[abc]x", "dx"));
    assert_true(match("[a-c]", "b"));
    assert_true(match("[!a-c]", "d"));
    assert_true(match("[^a-c]", "d"));
    assert_false(match("[!a-c]", "b"));
    assert_true(match("[]]", "]"));
    assert_true(match("[a-]", "-"));
    assert_true(match("[\\]]", "]"));
    assert_true(match("[\xc3\xa0-\xc3\xbf]", "\xc3\xa9"));
    assert_true(match("[abc", "[abc")); /* no set without its end */
    assert_false(match("[abc", "a"));
    assert_true(match("a\\*", "a*"));
    assert_false(match("a\\*", "ab"));
    assert_true(match("a\\", "a\\"));
    assert_true(match("\\[x\\]", "[x]"));
    assert_true(match("**a**", "xxaxx"));
    assert_true(match("*a*b", "aab"));
    assert_false(match("*a*b", "aba"));
    assert_true(match("\xff*", "\xffz"));
}

static void test_names_with_nul(void **state)
{
    (void)state;
    assert_true(glob_match("a?b", 3, "a\0b", 3));
    assert_true(glob_match("a*", 2, "a\0b", 3));
    assert_false(glob_match("a", 1, "a\0b", 3));
    assert_true(glob_match("[!x]", 4, "\0", 1));
}

/* Stars and letters only. */
static bool slow(const char *glob, const char *name)
{
    if (*glob == '\0')
        return *name == '\0';
    if (*glob == '*')
        return slow(glob + 1, name) || (*name && slow(glob, name + 1));
    return *name && (*glob == '?' || *glob == *name) && slow(glob + 1, name + 1);
}

static void make_text(char out[12], uint64_t *seed, const char *letters)
{
    const size_t n = (size_t)(unit_random(seed) % 11);
    for (size_t i = 0; i < n; i++)
        out[i] = letters[unit_random(seed) % strlen(letters)];
    out[n] = '\0';
}

static void test_against_slow(void **state)
{
    (void)state;
    uint64_t seed = 3;
    unsigned n_matches = 0;
    for (int i = 0; i < 200000; i++) {
        char glob[12], name[12];
        make_text(glob, &seed, "ab**?");
        make_text(name, &seed, "ab");
        const bool expected = slow(glob, name);
        n_matches += expected;
        if (match(glob, name) != expected)
            fail_msg("glob \"%s\", name \"%s\"", glob, name);
    }
    assert_true(n_matches > 10000);
}

/* Time grows with the product of the lengths: this would not end if stars were tried in every way.
 */
static void test_many_stars(void **state)
{
    (void)state;
    char glob[201], name[2001];
    for (size_t i = 0; i < 200; i++)
        glob[i] = i % 2 ? 'a' : '*';
    memset(name, 'a', 2000);
    glob[200] = name[2000] = '\0';
    assert_true(match(glob, name));
    glob[199] = 'b';
    assert_false(match(glob, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_names_with_nul),
        cmocka_unit_test(test_against_slow),
        cmocka_unit_test(test_many_stars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
