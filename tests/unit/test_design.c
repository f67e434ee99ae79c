/*
 * Statistics and codebooks through the public headers alone: the same as plain sums over the
 * weights say, the same from tensors apart and merged, stored and loaded; options and tensors that
 * are refused.
 */
#include "unit.h"

#include <math.h>

#include "nq/nq.h"
#include "nq_hooks.h"

/* ---- Tensors ------------------------------------------------------------------------------- */

static nq_tensor make_tensor(const void *data, uint32_t dtype, uint64_t n)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = dtype;
    t.rank = 1;
    t.dims[0] = n;
    t.data = data;
    return t;
}

enum { N = 30000, N_FIRST = 11000 };

typedef struct data {
    float w[N];
    float h[N];
    nq_tensor all;
    nq_tensor all_h;
    nq_tensor parts[2];
    nq_tensor parts_h[2];
    const nq_tensor *tensors[2];
    const nq_tensor *importance[2];
} data;

static data *make_data(void)
{
    data *d = malloc(sizeof *d);
    uint64_t seed = 7;
    assert_non_null(d);
    for (size_t i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < 6; j++)
            sum += unit_random_real(&seed);
        d->w[i] = (float)(0.1 * sum);
        d->h[i] = (float)exp(2 * unit_random_real(&seed));
    }
    d->all = make_tensor(d->w, NQ_F32, N);
    d->all_h = make_tensor(d->h, NQ_F32, N);
    d->parts[0] = make_tensor(d->w, NQ_F32, N_FIRST);
    d->parts[1] = make_tensor(d->w + N_FIRST, NQ_F32, N - N_FIRST);
    d->parts_h[0] = make_tensor(d->h, NQ_F32, N_FIRST);
    d->parts_h[1] = make_tensor(d->h + N_FIRST, NQ_F32, N - N_FIRST);
    for (size_t i = 0; i < 2; i++) {
        d->tensors[i] = &d->parts[i];
        d->importance[i] = &d->parts_h[i];
    }
    return d;
}

/* ---- Statistics ---------------------------------------------------------------------------- */

static nq_stats_info info_of(const nq_stats *stats)
{
    nq_stats_info info = {.struct_size = sizeof info};
    assert_int_equal(nq_stats_get_info(stats, &info), NQ_OK);
    return info;
}

static void *stored(const nq_stats *stats, size_t *n_bytes)
{
    *n_bytes = nq_stats_size(stats);
    void *memory = malloc(*n_bytes);
    assert_non_null(memory);
    assert_int_equal(nq_stats_store(memory, *n_bytes - 1, stats), NQ_E_SPACE);
    assert_int_equal(nq_stats_store(memory, *n_bytes, stats), NQ_OK);
    return memory;
}

static void statistics_of_weights(void **state)
{
    (void)state;
    data *d = make_data();
    nq_stats *stats;
    double sum = 0, low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < N; i++) {
        sum += (double)d->h[i];
        low = fmin(low, (double)d->w[i]);
        high = fmax(high, (double)d->w[i]);
    }
    assert_int_equal(nq_stats_create(&stats, NULL), NQ_OK);
    nq_stats_info info = info_of(stats);
    assert_true(info.n_weights == 0 && info.n_bins == 0 && info.low == 0 && info.high == 0);
    assert_int_equal(nq_stats_add(stats, &d->all, &d->all_h, NULL), NQ_OK);
    info = info_of(stats);
    assert_true(info.has_importance == 1 && info.is_exact == 1 && info.n_weights == N);
    assert_true(info.n_bins > 10000 && info.low == low && info.high == high);
    assert_true(fabs(info.importance - sum) <= 1e-12 * sum);
    nq_stats_destroy(stats);
    free(d);
}

static void apart_and_merged_stored_and_loaded(void **state)
{
    (void)state;
    data *d = make_data();
    nq_stats *all, *apart[2], *loaded;
    size_t n_all, n_merged;
    assert_int_equal(nq_stats_create(&all, NULL), NQ_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(nq_stats_create(&apart[i], NULL), NQ_OK);
        assert_int_equal(nq_stats_add(apart[i], d->tensors[i], d->importance[i], NULL), NQ_OK);
        assert_int_equal(nq_stats_add(all, d->tensors[i], d->importance[i], NULL), NQ_OK);
    }
    assert_int_equal(nq_stats_merge(apart[0], apart[1]), NQ_OK);
    uint8_t *memory = stored(all, &n_all), *merged = stored(apart[0], &n_merged);
    assert_int_equal(n_all, n_merged);
    assert_memory_equal(memory, merged, n_all);
    assert_int_equal(nq_stats_load(&loaded, NULL, memory, n_all), NQ_OK);
    nq_stats_info a = info_of(all), b = info_of(loaded);
    assert_memory_equal(&a, &b, sizeof a);
    nq_stats_destroy(loaded);
    for (size_t i = 0; i < n_all; i += 1 + n_all / 50) {
        memory[i] ^= 0x40;
        assert_int_not_equal(nq_stats_load(&loaded, NULL, memory, n_all), NQ_OK);
        assert_null(loaded);
        memory[i] ^= 0x40;
        assert_int_not_equal(nq_stats_load(&loaded, NULL, memory, i), NQ_OK);
    }
    free(memory);
    free(merged);
    nq_stats_destroy(all);
    nq_stats_destroy(apart[0]);
    nq_stats_destroy(apart[1]);
    free(d);
}

static void statistics_refuse(void **state)
{
    (void)state;
    data *d = make_data();
    nq_stats *stats;
    nq_diag diag;
    nq_diag_init(&diag);
    assert_int_equal(nq_stats_create(&stats, NULL), NQ_OK);
    nq_tensor memory = make_tensor(d->w, NQ_U8, 8), few = make_tensor(d->h, NQ_F32, 7);
    assert_int_equal(nq_stats_add(stats, &memory, NULL, &diag), NQ_E_ARG);
    assert_int_equal(diag.status, NQ_E_ARG);
    assert_int_equal(nq_stats_add(stats, &d->all, &few, &diag), NQ_E_ARG);
    d->h[123] = -1;
    assert_int_equal(nq_stats_add(stats, &d->all, &d->all_h, &diag), NQ_E_NUMERIC);
    assert_true(diag.element == 123 && diag.value == -1);
    assert_int_equal(nq_stats_add(stats, &d->all, NULL, &diag), NQ_OK);
    assert_int_equal(diag.status, NQ_OK);
    d->h[123] = 1;
    assert_int_equal(nq_stats_add(stats, &d->all, &d->all_h, &diag), NQ_E_ARG);
    assert_int_equal(nq_stats_add(stats, NULL, NULL, NULL), NQ_E_ARG);
    assert_int_equal(nq_stats_add(NULL, &d->all, NULL, NULL), NQ_E_ARG);
    assert_int_equal(info_of(stats).n_weights, N);
    nq_stats_info info = {.struct_size = 3};
    assert_int_equal(nq_stats_get_info(stats, &info), NQ_E_ABI);
    nq_stats_destroy(stats);
    nq_stats_destroy(NULL);
    free(d);
}

/* ---- Codebooks ----------------------------------------------------------------------------- */

static nq_codebook_report report_of(const nq_codebook *c)
{
    nq_codebook_report report = {.struct_size = sizeof report};
    assert_int_equal(nq_codebook_get_report(c, &report), NQ_OK);
    return report;
}

/* What assignment gives is what the report says; indices are the caller's to free. */
static uint16_t *check_codebook(const nq_codebook *c, const data *d, bool is_weighted)
{
    const nq_codebook_report r = report_of(c);
    const float *levels = nq_codebook_levels(c);
    const uint64_t *counts = nq_codebook_counts(c);
    uint16_t *indices = malloc(N * sizeof *indices);
    uint64_t *seen = calloc(r.n_levels, sizeof *seen);
    assert_true(indices && seen && levels && counts);
    assert_true(r.is_measured == 1 && r.n_weights == N);
    assert_int_equal(nq_codebook_assign(indices, c, &d->all, is_weighted ? &d->all_h : NULL, NULL),
                     NQ_OK);
    double distortion = 0, bits = 0;
    for (size_t i = 0; i < N; i++) {
        assert_true(indices[i] < r.n_levels);
        const double away = (double)d->w[i] - (double)levels[indices[i]];
        distortion += (is_weighted ? (double)d->h[i] : 1) * away * away;
        seen[indices[i]]++;
    }
    for (size_t j = 0; j < r.n_levels; j++) {
        assert_true(j == 0 || levels[j] > levels[j - 1]);
        assert_int_equal(seen[j], counts[j]);
        if (seen[j] > 0)
            bits += (double)seen[j] * log2((double)N / (double)seen[j]);
    }
    assert_true(fabs(distortion - r.distortion) <= 1e-9 * distortion);
    assert_true(fabs(bits - r.bits) <= 1e-9 * bits);
    free(seen);
    return indices;
}

static void kmeans_of_tensors_together(void **state)
{
    (void)state;
    data *d = make_data();
    double distortion[3];
    for (int weighted = 0; weighted < 2; weighted++)
        for (uint32_t method = 0; method < 3; method++) {
            nq_kmeans_options o;
            nq_codebook *c;
            nq_kmeans_options_init(&o);
            assert_int_equal(o.n_levels, 16);
            o.method = method;
            assert_int_equal(
                nq_kmeans(&c, NULL, NULL, d->tensors, weighted ? d->importance : NULL, 2, &o, NULL),
                NQ_OK);
            const nq_codebook_report r = report_of(c);
            distortion[method] = r.distortion;
            assert_int_equal(r.n_levels, 16);
            assert_int_equal(r.is_optimal, method != NQ_KMEANS_LLOYD);
            assert_true(r.cost == r.distortion && r.ignores_importance == 0);
            assert_null(nq_codebook_lengths(c));
            uint16_t *indices = check_codebook(c, d, weighted);
            for (size_t i = 0; i < N; i++) { /* the nearest */
                const float *levels = nq_codebook_levels(c);
                const float away = fabsf(d->w[i] - levels[indices[i]]);
                for (size_t j = 0; j < 16; j++)
                    assert_true(fabsf(d->w[i] - levels[j]) >= away * (1 - 1e-5f));
            }
            free(indices);
            nq_codebook_destroy(c);
            if (method > 0)
                assert_true(distortion[0] <= distortion[method] * (1 + 1e-6));
        }
    free(d);
}

static void codebooks_from_statistics(void **state)
{
    (void)state;
    data *d = make_data();
    nq_stats *stats;
    nq_codebook *with, *alone;
    nq_ecsq_options o;
    nq_ecsq_options_init(&o);
    o.lambda = 1e-3;
    assert_int_equal(nq_stats_create(&stats, NULL), NQ_OK);
    assert_int_equal(nq_stats_add(stats, &d->all, NULL, NULL), NQ_OK);
    for (int is_ecsq = 0; is_ecsq < 2; is_ecsq++) {
        if (is_ecsq) {
            assert_int_equal(nq_ecsq(&with, NULL, stats, d->tensors, NULL, 2, &o, NULL), NQ_OK);
            assert_int_equal(nq_ecsq(&alone, NULL, stats, NULL, NULL, 0, &o, NULL), NQ_OK);
        } else {
            assert_int_equal(nq_kmeans(&with, NULL, stats, d->tensors, NULL, 2, NULL, NULL), NQ_OK);
            assert_int_equal(nq_kmeans(&alone, NULL, stats, NULL, NULL, 0, NULL, NULL), NQ_OK);
        }
        const nq_codebook_report a = report_of(with), b = report_of(alone);
        assert_int_equal(a.n_levels, b.n_levels);
        assert_memory_equal(nq_codebook_levels(with), nq_codebook_levels(alone),
                            a.n_levels * sizeof(float));
        assert_true(a.is_measured && !b.is_measured && !nq_codebook_counts(alone));
        free(check_codebook(with, d, false));
        nq_codebook_destroy(with);
        nq_codebook_destroy(alone);
    }
    nq_stats_destroy(stats);
    free(d);
}

static void ecsq_goes_by_cost(void **state)
{
    (void)state;
    data *d = make_data();
    for (int weighted = 0; weighted < 2; weighted++) {
        nq_ecsq_options o;
        nq_codebook *c, *again;
        nq_ecsq_options_init(&o);
        o.lambda = 1e-3;
        const nq_tensor *const *importance = weighted ? d->importance : NULL;
        assert_int_equal(nq_ecsq(&c, NULL, NULL, d->tensors, importance, 2, &o, NULL), NQ_OK);
        const nq_codebook_report r = report_of(c);
        uint16_t *indices = check_codebook(c, d, weighted);
        const float *levels = nq_codebook_levels(c);
        const double *lengths = nq_codebook_lengths(c);
        for (size_t i = 0; i < N; i++) {
            const double h = weighted ? (double)d->h[i] : 1;
            double away = (double)d->w[i] - (double)levels[indices[i]];
            const double cost = h * away * away + o.lambda * lengths[indices[i]];
            for (size_t j = 0; j < r.n_levels; j++) {
                away = (double)d->w[i] - (double)levels[j];
                assert_true(h * away * away + o.lambda * lengths[j] >= cost * (1 - 1e-9));
            }
        }
        assert_true(fabs(r.cost - (r.distortion + o.lambda * r.bits)) <= 1e-12 * r.cost);
        free(indices);
        /* with its own levels there is little to gain */
        assert_int_equal(
            nq_ecsq_reassign(&again, NULL, levels, r.n_levels, d->tensors, importance, 2, &o, NULL),
            NQ_OK);
        assert_true(report_of(again).cost <= r.cost * (1 + 1e-3));
        free(check_codebook(again, d, weighted));
        nq_codebook_destroy(again);
        nq_codebook_destroy(c);
    }
    free(d);
}

/* Levels of k-means, with weights that may go elsewhere: fewer bits for a little distortion. */
static void reassigned_levels_cost_less(void **state)
{
    (void)state;
    data *d = make_data();
    nq_codebook *nearest, *cheapest;
    nq_ecsq_options o;
    nq_ecsq_options_init(&o);
    o.lambda = 1e-2;
    assert_int_equal(nq_kmeans(&nearest, NULL, NULL, d->tensors, d->importance, 2, NULL, NULL),
                     NQ_OK);
    assert_int_equal(nq_ecsq_reassign(&cheapest, NULL, nq_codebook_levels(nearest), 16, d->tensors,
                                      d->importance, 2, &o, NULL),
                     NQ_OK);
    const nq_codebook_report a = report_of(nearest), b = report_of(cheapest);
    assert_memory_equal(nq_codebook_levels(nearest), nq_codebook_levels(cheapest),
                        16 * sizeof(float));
    assert_true(b.bits < 0.95 * a.bits && b.distortion > a.distortion);
    assert_true(b.cost < a.distortion + o.lambda * a.bits);
    free(check_codebook(cheapest, d, true));
    nq_codebook_destroy(nearest);
    nq_codebook_destroy(cheapest);
    free(d);
}

static void given_levels(void **state)
{
    (void)state;
    const float levels[] = {-1, 0.5f, 2}, w[] = {-9, -0.25f, 0.5f, 1.25f, 1, 100};
    const uint16_t want[] = {0, 1, 1, 2, 1, 2};
    uint16_t got[6];
    nq_codebook *c;
    const nq_tensor t = make_tensor(w, NQ_F32, 6);
    assert_int_equal(nq_codebook_create(&c, NULL, levels, 3), NQ_OK);
    assert_int_equal(nq_codebook_assign(got, c, &t, NULL, NULL), NQ_OK);
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(report_of(c).is_measured, 0);
    assert_null(nq_codebook_counts(c));
    const float bad[] = {1, NAN, 3};
    nq_tensor nan = make_tensor(bad, NQ_F32, 3);
    nq_diag diag;
    nq_diag_init(&diag);
    assert_int_equal(nq_codebook_assign(got, c, &nan, NULL, &diag), NQ_E_NUMERIC);
    assert_int_equal(diag.element, 1);
    nq_codebook_destroy(c);
    assert_int_equal(nq_codebook_create(&c, NULL, bad, 3), NQ_E_ARG);
    assert_int_equal(nq_codebook_create(&c, NULL, levels, 0), NQ_E_ARG);
    const float equal[] = {1, 1};
    assert_int_equal(nq_codebook_create(&c, NULL, equal, 2), NQ_E_ARG);
    assert_null(c);
    nq_codebook_destroy(NULL);
}

static void importance_that_the_codebook_needs(void **state)
{
    (void)state;
    data *d = make_data();
    nq_codebook *c;
    nq_ecsq_options o;
    uint16_t *indices = malloc(N * sizeof *indices);
    assert_non_null(indices);
    nq_ecsq_options_init(&o);
    o.lambda = 1e-3;
    assert_int_equal(nq_ecsq(&c, NULL, NULL, d->tensors, d->importance, 2, &o, NULL), NQ_OK);
    assert_int_equal(nq_codebook_assign(indices, c, &d->all, NULL, NULL), NQ_E_ARG);
    nq_codebook_destroy(c);
    memset(d->h, 0, sizeof d->h); /* none at all */
    assert_int_equal(nq_ecsq(&c, NULL, NULL, d->tensors, d->importance, 2, &o, NULL), NQ_OK);
    assert_int_equal(report_of(c).ignores_importance, 1);
    assert_int_equal(nq_codebook_assign(indices, c, &d->all, NULL, NULL), NQ_OK);
    nq_codebook_destroy(c);
    free(indices);
    free(d);
}

static void designs_refuse(void **state)
{
    (void)state;
    data *d = make_data();
    nq_codebook *c;
    nq_diag diag;
    nq_kmeans_options k;
    nq_ecsq_options e;
    nq_diag_init(&diag);
    nq_kmeans_options_init(&k);
    nq_ecsq_options_init(&e);
    assert_int_equal(nq_ecsq(&c, NULL, NULL, d->tensors, NULL, 2, &e, &diag), NQ_E_ARG);
    assert_null(c);
    e.lambda = NAN;
    assert_int_equal(nq_ecsq(&c, NULL, NULL, d->tensors, NULL, 2, &e, &diag), NQ_E_ARG);
    k.n_levels = 0;
    assert_int_equal(nq_kmeans(&c, NULL, NULL, d->tensors, NULL, 2, &k, &diag), NQ_E_ARG);
    k.n_levels = 2;
    k.method = 9;
    assert_int_equal(nq_kmeans(&c, NULL, NULL, d->tensors, NULL, 2, &k, &diag), NQ_E_ARG);
    k.method = NQ_KMEANS_LLOYD;
    k.start = NQ_START_GIVEN;
    assert_int_equal(nq_kmeans(&c, NULL, NULL, d->tensors, NULL, 2, &k, &diag), NQ_E_ARG);
    assert_int_equal(nq_kmeans(&c, NULL, NULL, NULL, NULL, 0, NULL, &diag), NQ_E_ARG);
    const nq_tensor *const one_missing[] = {d->importance[0], NULL};
    assert_int_equal(nq_kmeans(&c, NULL, NULL, d->tensors, one_missing, 2, NULL, &diag), NQ_E_ARG);
    assert_int_equal(diag.tensor, 1);
    d->w[N_FIRST + 5] = INFINITY;
    assert_int_equal(nq_kmeans(&c, NULL, NULL, d->tensors, NULL, 2, NULL, &diag), NQ_E_NUMERIC);
    assert_true(diag.tensor == 1 && diag.element == 5);
    /* longer options of a later version, of which nothing is used */
    struct {
        nq_ecsq_options options;
        uint64_t more;
    } later;
    memset(&later, 0, sizeof later);
    nq_ecsq_options_init_sized(&later.options, sizeof later);
    later.options.lambda = 1;
    assert_int_equal(nq_ecsq(&c, NULL, NULL, d->tensors, NULL, 1, &later.options, NULL), NQ_OK);
    nq_codebook_destroy(c);
    later.more = 1;
    assert_int_equal(nq_ecsq(&c, NULL, NULL, d->tensors, NULL, 1, &later.options, NULL), NQ_E_ABI);
    free(d);
}

/* ---- Hooks --------------------------------------------------------------------------------- */

static nq_ctx *make_context(counting *c, uint32_t *n_workers)
{
    nq_ctx_options o;
    nq_ctx *ctx;
    nq_ctx_options_init(&o);
    o.alloc = count_alloc;
    o.free = count_free;
    o.alloc_user = c;
    if (n_workers) {
        o.parallel_for = run_backwards;
        o.parallel_user = n_workers;
        o.max_workers = *n_workers;
    }
    assert_int_equal(nq_ctx_create(&ctx, &o), NQ_OK);
    return ctx;
}

/* One of three designs, and an assignment with it. */
static nq_status design(uint16_t *indices, const nq_ctx *ctx, const data *d, int which)
{
    static const float levels[] = {-0.2f, 0, 0.3f};
    nq_codebook *c;
    nq_ecsq_options o;
    nq_status status;
    nq_ecsq_options_init(&o);
    o.lambda = 1e-2;
    if (which == 0)
        status = nq_kmeans(&c, ctx, NULL, d->tensors, d->importance, 2, NULL, NULL);
    else if (which == 1)
        status = nq_ecsq(&c, ctx, NULL, d->tensors, d->importance, 2, &o, NULL);
    else
        status = nq_ecsq_reassign(&c, ctx, levels, 3, d->tensors, d->importance, 2, &o, NULL);
    if (status == NQ_OK)
        status = nq_codebook_assign(indices, c, &d->all, &d->all_h, NULL);
    else
        assert_null(c);
    nq_codebook_destroy(c);
    return status;
}

static void failing_memory(void **state)
{
    (void)state;
    data *d = make_data();
    uint16_t *indices = malloc(N * sizeof *indices);
    assert_non_null(indices);
    for (int which = 0; which < 3; which++) {
        nq_status status = NQ_E_NOMEM;
        for (unsigned call = 2; status != NQ_OK; call++) { /* the first is the context's own */
            counting c = {.failing_call = call};
            nq_ctx *ctx = make_context(&c, NULL);
            status = design(indices, ctx, d, which);
            assert_int_equal(status, c.n_calls >= call ? NQ_E_NOMEM : NQ_OK);
            nq_ctx_destroy(ctx);
            assert_int_equal(c.n_open, 0);
        }
    }
    free(indices);
    free(d);
}

static void any_workers(void **state)
{
    (void)state;
    data *d = make_data();
    uint16_t *first = malloc(N * sizeof *first), *indices = malloc(N * sizeof *indices);
    assert_true(first && indices);
    for (int which = 0; which < 3; which++)
        for (uint32_t n_workers = 1; n_workers < 8; n_workers += 2) {
            counting c = {.n_calls = 0};
            nq_ctx *ctx = make_context(&c, &n_workers);
            assert_int_equal(design(n_workers == 1 ? first : indices, ctx, d, which), NQ_OK);
            nq_ctx_destroy(ctx);
            if (n_workers > 1)
                assert_memory_equal(first, indices, N * sizeof *first);
        }
    free(first);
    free(indices);
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_of_weights),
        cmocka_unit_test(apart_and_merged_stored_and_loaded),
        cmocka_unit_test(statistics_refuse),
        cmocka_unit_test(kmeans_of_tensors_together),
        cmocka_unit_test(codebooks_from_statistics),
        cmocka_unit_test(ecsq_goes_by_cost),
        cmocka_unit_test(reassigned_levels_cost_less),
        cmocka_unit_test(given_levels),
        cmocka_unit_test(importance_that_the_codebook_needs),
        cmocka_unit_test(designs_refuse),
        cmocka_unit_test(failing_memory),
        cmocka_unit_test(any_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
