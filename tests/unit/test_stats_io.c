/*
 * Summaries as bytes: back as they were; cut short or changed in any bit, refused.
 */
#include "test_stats_data.h"

static nqi_summary make(size_t n, bool is_weighted, bool is_coarse)
{
    float *w = data_weights(n, 0.5, 0, n), *h = data_importance(n, 4, n);
    const nqi_env env = nqi_env_default();
    const nqi_weights view = data_view(w, NQ_F32, is_weighted ? h : NULL, n);
    nqi_summary s = data_summarise(&env, &view);
    if (is_coarse) { /* by merging with one that had too much */
        nqi_summary none = nqi_summary_empty(&env.allocator);
        none.is_coarse = true;
        assert_int_equal(nqi_summary_merge(&s, &none), NQ_OK);
    }
    free(w);
    free(h);
    return s;
}

static uint8_t *store(const nqi_summary *s, size_t *n_bytes)
{
    *n_bytes = nqi_summary_bytes(s);
    uint8_t *bytes = malloc(*n_bytes);
    assert_non_null(bytes);
    nqi_summary_store(bytes, *n_bytes, s);
    return bytes;
}

static void what_is_stored_comes_back(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 2, 1000, 100000};
    const nqi_allocator a = nqi_allocator_default();
    for (size_t i = 0; i < NQI_COUNT(sizes); i++)
        for (int kind = 0; kind < 4; kind++) {
            size_t n_bytes;
            nqi_summary s = make(sizes[i], kind & 1, kind & 2), back;
            uint8_t *bytes = store(&s, &n_bytes);
            assert_int_equal(nqi_summary_load(&back, &a, bytes, n_bytes), NQ_OK);
            assert_int_equal(back.n, s.n);
            assert_int_equal(back.n_bins, s.n_bins);
            assert_int_equal(back.n_between, s.n_between);
            assert_int_equal(back.is_coarse, s.is_coarse);
            assert_int_equal(back.is_weighted, s.is_weighted);
            if (s.n_bins > 0)
                assert_memory_equal(back.bins, s.bins, s.n_bins * sizeof *s.bins);
            nqi_summary_free(&s);
            nqi_summary_free(&back);
            free(bytes);
        }
}

static void cut_short(void **state)
{
    (void)state;
    size_t n_bytes;
    const nqi_allocator a = nqi_allocator_default();
    nqi_summary s = make(50, true, false), back;
    uint8_t *bytes = store(&s, &n_bytes);
    for (size_t n = 0; n < n_bytes; n++) {
        uint8_t *copy = malloc(n + 1); /* of its own size, for sanitizers */
        assert_non_null(copy);
        memcpy(copy, bytes, n);
        assert_int_not_equal(nqi_summary_load(&back, &a, copy, n), NQ_OK);
        assert_null(back.bins);
        free(copy);
    }
    nqi_summary_free(&s);
    free(bytes);
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    size_t n_bytes;
    const nqi_allocator a = nqi_allocator_default();
    for (int kind = 0; kind < 4; kind++) {
        nqi_summary s = make(40, kind & 1, kind & 2), back;
        uint8_t *bytes = store(&s, &n_bytes);
        for (size_t bit = 0; bit < 8 * n_bytes; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_not_equal(nqi_summary_load(&back, &a, bytes, n_bytes), NQ_OK);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        nqi_summary_free(&s);
        free(bytes);
    }
}

static uint64_t fnv(const uint8_t *bytes, size_t n)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * UINT64_C(1099511628211);
    return h;
}

/* The rules of a summary, whatever comes out. */
static void check_rules(const nqi_summary *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n_bins; i++) {
        const nqi_bin *b = &s->bins[i];
        const uint64_t rest = (1u << b->shift) - 1;
        assert_true(b->shift <= NQI_PREFIX_SHIFT && b->count > 0 && (b->key & rest) == 0);
        assert_true(nqi_key_is_finite(b->key) && b->low <= b->count * rest);
        assert_true(b->h >= 0 && b->h_low >= 0 && isfinite(b->h) && isfinite(b->h_low));
        assert_true(i == 0 || b->key > b[-1].key);
        n += b->count;
    }
    assert_true(n == s->n);
}

/* Bytes that are wrong and have the right checksum: refused, or a summary that obeys the rules. */
static void wrong_with_the_right_checksum(void **state)
{
    (void)state;
    size_t n_bytes, n_refused = 0;
    uint64_t seed = 1;
    const nqi_allocator a = nqi_allocator_default();
    for (int kind = 0; kind < 4; kind++) {
        nqi_summary s = make(40, kind & 1, kind & 2), back;
        uint8_t *bytes = store(&s, &n_bytes), *copy = malloc(n_bytes);
        assert_non_null(copy);
        for (int times = 0; times < 20000; times++) {
            memcpy(copy, bytes, n_bytes);
            for (uint64_t i = unit_random(&seed) % 3 + 1; i > 0; i--)
                copy[unit_random(&seed) % (n_bytes - 8)] = (uint8_t)unit_random(&seed);
            nqi_store_le64(copy + n_bytes - 8, fnv(copy, n_bytes - 8));
            const nq_status status = nqi_summary_load(&back, &a, copy, n_bytes);
            n_refused += status != NQ_OK;
            if (status == NQ_OK)
                check_rules(&back);
            nqi_summary_free(&back);
        }
        free(copy);
        free(bytes);
        nqi_summary_free(&s);
    }
    assert_true(n_refused > 40000);
}

static void loading_without_memory(void **state)
{
    (void)state;
    size_t n_bytes;
    data_memory memory;
    const nqi_env env = data_env_failing(&memory, 0);
    nqi_summary s = make(40, false, false), back;
    uint8_t *bytes = store(&s, &n_bytes);
    assert_int_equal(nqi_summary_load(&back, &env.allocator, bytes, n_bytes), NQ_E_NOMEM);
    nqi_summary_free(&s);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stored_comes_back),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(wrong_with_the_right_checksum),
        cmocka_unit_test(loading_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
