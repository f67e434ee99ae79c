/*
 * The JSON reader: any text, walked through as a tree of values and skipped; both agree on whether
 * it is JSON.
 */
#include "common/json.h"
#include "fuzz.h"

static bool walk(json *j, char **out)
{
    size_t n_bytes;
    uint64_t number;
    const char first = json_peek(j);
    if (first == '"')
        return json_string(j, out, &n_bytes) != NULL;
    if (first == '7')
        return json_u64(j, &number);
    if (first != '{' && first != '[')
        return json_skip(j);
    if (!json_enter(j, first))
        return false;
    while (json_more(j))
        if ((first == '{' && !json_key(j, out, &n_bytes)) || !walk(j, out))
            return false;
    return !j->error;
}

static void run(const uint8_t *data, size_t n_bytes)
{
    json walked, skipped;
    char *text = (char *)exact_copy(data, n_bytes), *strings = malloc(n_bytes + 1), *out = strings;
    json_init(&walked, text, n_bytes);
    json_init(&skipped, text, n_bytes);
    const bool by_walk = walk(&walked, &out) && json_end(&walked);
    const bool by_skip = json_skip(&skipped) && json_end(&skipped);
    assert_true(out <= strings + n_bytes);
    assert_true(by_walk ? by_skip : walked.error != NULL || walked.at <= n_bytes);
    assert_true(by_skip == (skipped.error == NULL) && skipped.at <= n_bytes);
    free(text);
    free(strings);
}

static bytes make_seed(uint64_t number)
{
    static const char *const texts[] = {
        "{\"weight_map\": {\"a\": \"model-1.safetensors\"}, \"metadata\": {\"total\": 7000}}",
        "[1, -2.5e3, true, false, null, \"\\u00e9\\ud83d\\ude00\\n\", [], {}]",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
        "[[[[[[[[7]]]]]]]]",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    };
    bytes b = {0};
    const char *text = texts[number % 5];
    bytes_put(&b, text, strlen(text));
    return b;
}

const fuzz_target fuzz_json = {"json", run, make_seed};
