/*
 * Which Huffman code is chosen: lengths against exhaustive search, against Huffman's own algorithm
 * and against package-merge as it is told in one line; the rule for the default limit; the size and
 * the bytes of tables.
 */
#include "base/alloc.h"
#include "codec/code_enc.h"
#include "codec/huffman_lengths.h"
#include "codec/huffman_table_enc.h"
#include "unit.h"

enum { MAX_N = 300 };

static void run_lengths(uint8_t *lengths, const uint64_t *weights, uint32_t n, unsigned limit)
{
    void *space = malloc((size_t)nqi_huffman_lengths_bytes(n));
    assert_non_null(space);
    nqi_huffman_lengths(lengths, weights, n, limit, space);
    free(space);
}

/* Cost of the lengths; they must make a complete code within the limit. */
static uint64_t cost_of(const uint8_t *lengths, const uint64_t *weights, uint32_t n, unsigned limit)
{
    uint64_t kraft = 0, cost = 0;
    for (uint32_t i = 0; i < n; i++) {
        assert_true(lengths[i] <= limit);
        kraft += UINT64_C(1) << (40 - lengths[i]);
        cost += weights[i] * lengths[i];
    }
    assert_true(kraft == UINT64_C(1) << 40);
    return cost;
}

static uint64_t cost_under(const uint64_t *weights, uint32_t n, unsigned limit)
{
    uint8_t lengths[MAX_N];
    run_lengths(lengths, weights, n, limit);
    return cost_of(lengths, weights, n, limit);
}

/* ---- Oracles ------------------------------------------------------------------------------- */

/* The least cost over all lengths from i on that fill the rest of Kraft's sum, in 2^-limit. */
static uint64_t search(const uint64_t *weights, uint32_t i, uint32_t n, unsigned limit,
                       uint32_t room)
{
    uint64_t least = UINT64_MAX;
    if (i == n)
        return room == 0 ? 0 : UINT64_MAX;
    for (unsigned length = 0; length <= limit; length++) {
        const uint32_t takes = 1u << (limit - length);
        if (takes > room)
            continue;
        const uint64_t rest = search(weights, i + 1, n, limit, room - takes);
        if (rest != UINT64_MAX && rest + weights[i] * length < least)
            least = rest + weights[i] * length;
    }
    return least;
}

static int compare_u64(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Huffman 1952: the two lightest nodes become one; the cost is the sum of all these sums. */
static uint64_t huffman_cost(const uint64_t *weights, uint32_t n)
{
    uint64_t nodes[MAX_N];
    uint64_t cost = 0;
    memcpy(nodes, weights, n * sizeof *nodes);
    for (; n > 1; n--) {
        qsort(nodes, n, sizeof *nodes, compare_u64);
        nodes[0] += nodes[1];
        cost += nodes[0];
        memmove(nodes + 1, nodes + 2, (n - 2) * sizeof *nodes);
    }
    return cost;
}

/* limit times: pair up what there is, put the weights beside, sort. The sum of the first 2 n - 2.
 */
static uint64_t package_merge_cost(const uint64_t *weights, uint32_t n, unsigned limit)
{
    uint64_t items[3 * MAX_N];
    size_t n_items = 0;
    for (unsigned level = 0; level < limit; level++) {
        const size_t n_pairs = n_items / 2;
        for (size_t i = 0; i < n_pairs; i++)
            items[i] = items[2 * i] + items[2 * i + 1];
        memcpy(items + n_pairs, weights, n * sizeof *items);
        n_items = n_pairs + n;
        qsort(items, n_items, sizeof *items, compare_u64);
    }
    uint64_t cost = 0;
    for (size_t i = 0; i < 2 * (size_t)n - 2; i++)
        cost += items[i];
    return cost;
}

/* ---- Lengths ------------------------------------------------------------------------------- */

static void random_weights(uint64_t *weights, uint32_t n, uint64_t *seed)
{
    const unsigned shape = (unsigned)(unit_random(seed) % 4);
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t word = unit_random(seed);
        weights[i] = shape == 0   ? word % 4            /* many equal ones, and zeros */
                     : shape == 1 ? word >> (word % 60) /* all magnitudes */
                     : shape == 2 ? 1 + word % 1000
                                  : UINT64_C(1) << (i % 40);
        weights[i] %= UINT64_C(1) << 45;
    }
}

static void test_small_alphabets_exhaustively(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 3000; round++) {
        uint64_t weights[6];
        const uint32_t n = 2 + (uint32_t)(unit_random(&seed) % 5);
        random_weights(weights, n, &seed);
        for (unsigned limit = n <= 2 ? 1 : n <= 4 ? 2 : 3; limit <= 5; limit++)
            assert_true(cost_under(weights, n, limit) == search(weights, 0, n, limit, 1u << limit));
    }
}

static void test_against_package_merge(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int round = 0; round < 300; round++) {
        uint64_t weights[MAX_N];
        const uint32_t n = 2 + (uint32_t)(unit_random(&seed) % (MAX_N - 1));
        unsigned limit = 1;
        while ((1u << limit) < n)
            limit++;
        random_weights(weights, n, &seed);
        limit += (unsigned)(unit_random(&seed) % 6);
        assert_true(cost_under(weights, n, limit) == package_merge_cost(weights, n, limit));
    }
}

/* Where no codeword would be longer than the limit, the limit must not matter. */
static void test_against_huffman(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int round = 0; round < 300; round++) {
        uint64_t weights[MAX_N];
        const uint32_t n = 2 + (uint32_t)(unit_random(&seed) % (MAX_N - 1));
        for (uint32_t i = 0; i < n; i++)
            weights[i] = 1 + unit_random(&seed) % 5000; /* depth below 24: Fibonacci(26) > 5000 n */
        assert_true(cost_under(weights, n, 24) == huffman_cost(weights, n));
    }
}

static void test_degenerate_alphabets(void **state)
{
    (void)state;
    static const uint64_t zeros[MAX_N];
    const uint64_t one[2] = {7, 0};
    uint8_t lengths[MAX_N];
    run_lengths(lengths, one, 1, 0);
    assert_int_equal(lengths[0], 0);
    run_lengths(lengths, one, 2, 0);
    assert_int_equal(lengths[0], 1);
    assert_int_equal(lengths[1], 1);
    run_lengths(lengths, zeros, MAX_N, 9);
    assert_int_equal(cost_of(lengths, zeros, MAX_N, 9), 0);
}

/* The whole range of weights and of alphabets. */
static void test_largest_alphabet(void **state)
{
    (void)state;
    enum { N = 65537 };
    uint64_t *weights = calloc(N, sizeof *weights);
    uint8_t *lengths = malloc(N);
    assert_true(weights && lengths);
    run_lengths(lengths, weights, N, 17);
    assert_int_equal(cost_of(lengths, weights, N, 17), 0);
    for (size_t i = 0; i < N; i++)
        weights[i] = i == 0 ? NQI_HUFFMAN_MAX_WEIGHT - 2 * N : 1 + i % 2;
    run_lengths(lengths, weights, N, 0);
    assert_int_equal(lengths[0], 1);
    free(lengths);
    free(weights);
}

static void test_default_limit(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (int round = 0; round < 200; round++) {
        uint64_t weights[MAX_N];
        uint8_t lengths[MAX_N];
        unsigned limit = NQI_HUFFMAN_DEFAULT_LENGTH;
        const uint32_t n = 2 + (uint32_t)(unit_random(&seed) % (MAX_N - 1));
        random_weights(weights, n, &seed);
        const uint64_t least = package_merge_cost(weights, n, 24);
        while (package_merge_cost(weights, n, limit) > least + least / 1024)
            limit++;
        run_lengths(lengths, weights, n, 0);
        assert_true(cost_of(lengths, weights, n, limit) == package_merge_cost(weights, n, limit));
    }
}

/* ---- Tables -------------------------------------------------------------------------------- */

/* docs/format/codecs.md, section "Codewords". */
static void test_the_specification_s_example(void **state)
{
    (void)state;
    static const uint8_t lengths[5] = {3, 2, 1, 4, 4};
    static const uint8_t expected[4] = {0x60, 0x68, 0x9f, 0x00};
    const nqi_huffman_lengths_view view = {.lengths = lengths, .n_symbols = 5};
    uint8_t table[4];
    assert_int_equal(nqi_huffman_table_bits(&view), 27);
    nqi_huffman_table_put(table, &view);
    assert_memory_equal(table, expected, 4);
}

static size_t table_bytes(const uint64_t *counts, uint32_t n_levels, uint32_t flags)
{
    const nqi_allocator a = nqi_allocator_default();
    nqi_encoder *encoder;
    size_t n_bytes;
    assert_int_equal(
        nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, n_levels, 0, counts, flags, 0), NQ_OK);
    assert_non_null(nqi_encoder_table(encoder, &n_bytes));
    nqi_encoder_destroy(encoder);
    return n_bytes;
}

/* Sums of random numbers: a bell, the outermost levels without any. */
static void bell(uint64_t *counts, uint32_t n_levels, uint64_t n, uint64_t *seed)
{
    memset(counts, 0, n_levels * sizeof *counts);
    for (uint64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < 6; k++)
            sum += unit_random_real(seed);
        counts[(uint32_t)((sum / 12 + 0.5) * n_levels)]++;
    }
}

static void test_tables_are_small(void **state)
{
    (void)state;
    static uint64_t counts[65536];
    uint64_t seed = 5;
    const uint64_t one[3] = {0, 9, 0};
    assert_true(table_bytes(one, 3, NQI_ENCODER_EXACT) <= 3);
    counts[0] = 5;
    assert_true(table_bytes(counts, 1, 0) <= 2);
    bell(counts, 17, 100000, &seed);
    assert_true(table_bytes(counts, 17, NQI_ENCODER_EXACT) <= 10);
    assert_true(table_bytes(counts, 17, 0) <= 12);
    bell(counts, 256, 1000000, &seed);
    assert_true(table_bytes(counts, 256, 0) <= 100);
    bell(counts, 65536, 4000000, &seed);
    assert_true(table_bytes(counts, 65536, 0) <= 4096);
    for (uint32_t i = 0; i < 65536; i++)
        counts[i] = unit_random(&seed) % 1000;
    assert_true(table_bytes(counts, 65536, 0) <= 65536 / 2);
}

/* ---- Design -------------------------------------------------------------------------------- */

/* An independent Huffman code of the used levels, in bits, without its table. */
static uint64_t independent_bits(const uint64_t *counts, uint32_t n_levels, uint32_t *n_used)
{
    uint64_t used[MAX_N];
    *n_used = 0;
    for (uint32_t i = 0; i < n_levels; i++)
        if (counts[i] > 0)
            used[(*n_used)++] = counts[i];
    return huffman_cost(used, *n_used);
}

/* What the promise is: 1 % over an independent coder, and something for the table. */
static void check_total(const uint64_t *counts, uint32_t n_levels)
{
    const nqi_allocator a = nqi_allocator_default();
    uint32_t n_used;
    size_t n_bytes;
    nqi_encoder *encoder;
    const uint64_t bits = independent_bits(counts, n_levels, &n_used);
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, n_levels, 0, counts,
                                        NQI_ENCODER_EXACT, 0),
                     NQ_OK);
    (void)nqi_encoder_table(encoder, &n_bytes);
    const uint64_t total = nqi_encoder_payload_bits(encoder, counts) / 8 + n_bytes;
    assert_true(total <= bits / 8 + bits / 8 / 500 + 4 + n_used);
    nqi_encoder_destroy(encoder);
}

static void test_totals(void **state)
{
    (void)state;
    uint64_t seed = 6;
    for (int round = 0; round < 150; round++) {
        uint64_t counts[MAX_N];
        const uint32_t n_levels = 1 + (uint32_t)(unit_random(&seed) % MAX_N);
        if (round % 2 == 0)
            bell(counts, n_levels, 1 + unit_random(&seed) % 100000, &seed);
        else
            random_weights(counts, n_levels, &seed);
        check_total(counts, n_levels);
    }
}

static void test_no_bits_for_one_symbol(void **state)
{
    (void)state;
    const nqi_allocator a = nqi_allocator_default();
    uint64_t counts[300] = {0};
    nqi_encoder *encoder;
    counts[217] = 1000000;
    assert_int_equal(
        nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, 300, 0, counts, NQI_ENCODER_EXACT, 0),
        NQ_OK);
    assert_int_equal(nqi_encoder_payload_bits(encoder, counts), 0);
    assert_int_equal(nqi_encoder_cost(encoder, 217), 0);
    assert_int_equal(nqi_encoder_cost(encoder, 0), NQI_COST_NONE);
    nqi_encoder_destroy(encoder);
}

static void test_refuses(void **state)
{
    (void)state;
    const nqi_allocator a = nqi_allocator_default();
    const uint64_t counts[3] = {1, 2, 3};
    const uint64_t too_many[3] = {UINT64_MAX, 0, 1};
    const uint64_t most[3] = {UINT64_MAX - 1, 0, 1};
    nqi_encoder *encoder;
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, 3, 25, counts, 0, 0),
                     NQ_E_ARG);
    assert_null(encoder);
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, 3, 0, NULL, 0, 0),
                     NQ_E_ARG);
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, 0, 0, counts, 0, 0),
                     NQ_E_ARG);
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, 65537, 0, counts, 0, 0),
                     NQ_E_ARG);
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_STORED, 3, 0, counts, 0, 0),
                     NQ_E_UNSUPPORTED);
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, 3, 0, too_many, 0, 0),
                     NQ_E_LIMIT);
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, 3, 0, most, 0, 0), NQ_OK);
    assert_int_equal(nqi_encoder_cost(encoder, 0), 256);
    assert_true(nqi_encoder_payload_bits(encoder, most) == UINT64_MAX);
    nqi_encoder_destroy(encoder);
}

/* A limit that leaves no room is raised to what the levels need. */
static void test_limit_is_kept_or_raised(void **state)
{
    (void)state;
    const nqi_allocator a = nqi_allocator_default();
    uint64_t counts[200];
    for (uint32_t i = 0; i < 200; i++)
        counts[i] = UINT64_C(1) << (i % 30);
    for (unsigned limit = 1; limit <= 24; limit++) {
        nqi_encoder *encoder;
        assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, 200, limit, counts,
                                            NQI_ENCODER_EXACT, 0),
                         NQ_OK);
        for (uint32_t i = 0; i < 200; i++) /* 8 more behind an escape */
            assert_true(nqi_encoder_cost(encoder, i) <= 256 * ((limit < 8 ? 8 : limit) + 8));
        nqi_encoder_destroy(encoder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_alphabets_exhaustively),
        cmocka_unit_test(test_against_package_merge),
        cmocka_unit_test(test_against_huffman),
        cmocka_unit_test(test_degenerate_alphabets),
        cmocka_unit_test(test_largest_alphabet),
        cmocka_unit_test(test_default_limit),
        cmocka_unit_test(test_the_specification_s_example),
        cmocka_unit_test(test_tables_are_small),
        cmocka_unit_test(test_totals),
        cmocka_unit_test(test_no_bits_for_one_symbol),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_limit_is_kept_or_raised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
