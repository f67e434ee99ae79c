/*
 * Stored statistics: any bytes, as they are and with their hash made right. What is accepted is
 * stored again as the same bytes, merges with itself, and can be designed for.
 */
#include <math.h>

#include "fuzz.h"

static void design(const nq_stats *stats)
{
    nq_kmeans_options options;
    nq_codebook *book;
    nq_kmeans_options_init(&options);
    options.n_levels = 5;
    const nq_status status = nq_kmeans(&book, NULL, stats, NULL, NULL, 0, &options, NULL);
    assert_true(status == NQ_OK || status == NQ_E_ARG || status == NQ_E_NUMERIC ||
                status == NQ_E_LIMIT);
    assert_true((status == NQ_OK) == (book != NULL));
    if (book) {
        nq_codebook_report report = {.struct_size = sizeof report};
        assert_int_equal(nq_codebook_get_report(book, &report), NQ_OK);
        assert_true(report.n_levels >= 1 && report.n_levels <= 5);
        for (uint32_t i = 0; i < report.n_levels; i++)
            assert_true(isfinite(nq_codebook_levels(book)[i]));
    }
    nq_codebook_destroy(book);
}

static void check_info(const nq_stats *stats)
{
    nq_stats_info info = {.struct_size = sizeof info};
    assert_int_equal(nq_stats_get_info(stats, &info), NQ_OK);
    assert_true(info.n_bins <= info.n_weights && (info.n_weights > 0) == (info.n_bins > 0));
    assert_true(isfinite(info.importance) && info.importance >= 0);
    assert_true(isfinite(info.low) && isfinite(info.high) && info.low <= info.high);
}

static void check_stats(nq_stats *stats, const uint8_t *data, size_t n_bytes)
{
    nq_stats *twice;
    const size_t n_again = nq_stats_size(stats);
    uint8_t *again = malloc(n_again);
    assert_int_equal(n_again, n_bytes);
    assert_int_equal(nq_stats_store(again, n_again, stats), NQ_OK);
    assert_memory_equal(again, data, n_bytes);
    assert_int_equal(nq_stats_store(again, n_again - 1, stats), NQ_E_SPACE);
    free(again);
    check_info(stats);
    design(stats);
    assert_int_equal(nq_stats_load(&twice, NULL, data, n_bytes), NQ_OK);
    const nq_status status = nq_stats_merge(twice, stats);
    assert_true(status == NQ_OK || status == NQ_E_NUMERIC || status == NQ_E_LIMIT);
    if (status == NQ_OK)
        check_info(twice);
    nq_stats_destroy(twice);
}

static void load(const uint8_t *data, size_t n_bytes)
{
    nq_stats *stats;
    const nq_status status = nq_stats_load(&stats, NULL, data, n_bytes);
    assert_true(status == NQ_OK || is_refusal(status));
    assert_true((status == NQ_OK) == (stats != NULL));
    if (stats)
        check_stats(stats, data, n_bytes);
    nq_stats_destroy(stats);
}

/* Fowler, Noll and Vo, of all but itself at the end. */
static void repair_hash(uint8_t *data, size_t n_bytes)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    if (n_bytes < 8)
        return;
    for (size_t i = 0; i < n_bytes - 8; i++)
        h = (h ^ data[i]) * UINT64_C(0x100000001b3);
    poke(data + n_bytes - 8, h, 8);
}

static void run(const uint8_t *data, size_t n_bytes)
{
    uint8_t *copy = exact_copy(data, n_bytes);
    load(copy, n_bytes);
    repair_hash(copy, n_bytes);
    load(copy, n_bytes);
    free(copy);
}

static bytes make_seed(uint64_t number)
{
    bytes b = {0};
    uint64_t seed = number;
    nq_stats *stats;
    nq_tensor t, h;
    static float weights[300], importance[300];
    assert_int_equal(nq_stats_create(&stats, NULL), NQ_OK);
    nq_tensor_init(&t);
    t.rank = 1;
    t.dims[0] = unit_random(&seed) % 300;
    h = t;
    t.data = weights;
    h.data = importance;
    for (size_t i = 0; i < 300; i++) {
        weights[i] = ldexpf((float)unit_random_real(&seed), (int)(unit_random(&seed) % 40) - 20);
        importance[i] = fabsf((float)unit_random_real(&seed));
    }
    assert_int_equal(nq_stats_add(stats, &t, number % 2 ? &h : NULL, NULL), NQ_OK);
    b.n = b.capacity = nq_stats_size(stats);
    b.at = malloc(b.n);
    assert_int_equal(nq_stats_store(b.at, b.n, stats), NQ_OK);
    nq_stats_destroy(stats);
    return b;
}

const fuzz_target fuzz_stats = {"stats", run, make_seed};
