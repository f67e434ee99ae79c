/*
 * Importance, pruning and gradients of levels through the public header: against plain sums in long
 * double and against sorting; the same however it is split and whoever works; what is refused.
 */
#include "unit.h"

#include <float.h>
#include <math.h>

#include "nq/nq.h"
#include "nq_hooks.h"

/* ---- Tensors ------------------------------------------------------------------------------- */

static nq_tensor make_tensor(const void *data, uint32_t dtype, uint64_t rows, uint64_t columns)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = dtype;
    t.rank = 2;
    t.dims[0] = rows;
    t.dims[1] = columns;
    t.data = data;
    return t;
}

static float *draw(size_t n, uint64_t seed)
{
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(unit_random_real(&seed) * exp(3 * unit_random_real(&seed)));
    return x;
}

static nq_ctx *make_context(uint32_t *n_workers, counting *c)
{
    nq_ctx_options o;
    nq_ctx *ctx;
    nq_ctx_options_init(&o);
    o.parallel_for = run_backwards;
    o.parallel_user = n_workers;
    o.max_workers = *n_workers;
    if (c) {
        o.alloc = count_alloc;
        o.free = count_free;
        o.alloc_user = c;
    }
    assert_int_equal(nq_ctx_create(&ctx, &o), NQ_OK);
    return ctx;
}

/* ---- Accumulating -------------------------------------------------------------------------- */

enum { COLUMNS = 2500, SAMPLES = 37 };

static nq_importance *accumulate(const nq_ctx *ctx, const float *x, const float *z, size_t first,
                                 size_t n_samples)
{
    nq_importance *importance;
    assert_int_equal(nq_importance_create(&importance, ctx, COLUMNS), NQ_OK);
    const nq_tensor values = make_tensor(x + first * COLUMNS, NQ_F32, n_samples, COLUMNS);
    if (z) {
        const nq_tensor probes = make_tensor(z + first * COLUMNS, NQ_F32, n_samples, COLUMNS);
        assert_int_equal(nq_importance_add_probes(importance, &probes, &values, NULL), NQ_OK);
    } else {
        assert_int_equal(nq_importance_add_squares(importance, &values, NULL), NQ_OK);
    }
    return importance;
}

static void means_of_squares_and_products(void **state)
{
    (void)state;
    float *x = draw(SAMPLES * COLUMNS, 1), *z = draw(SAMPLES * COLUMNS, 2);
    for (int probes = 0; probes < 2; probes++) {
        float mean[COLUMNS];
        uint64_t n_negative, want_negative = 0;
        nq_importance *importance = accumulate(NULL, x, probes ? z : NULL, 0, SAMPLES);
        assert_int_equal(nq_importance_samples(importance), SAMPLES);
        assert_int_equal(nq_importance_mean(mean, &n_negative, importance), NQ_OK);
        for (size_t i = 0; i < COLUMNS; i++) {
            long double sum = 0;
            for (size_t s = 0; s < SAMPLES; s++)
                sum += (long double)x[s * COLUMNS + i] *
                       (long double)(probes ? z : x)[s * COLUMNS + i];
            want_negative += sum < 0;
            assert_true(fabsl((long double)nq_importance_sums(importance)[i] - sum) <=
                        1e-12L * fabsl(sum) + 1e-9L);
            sum = sum > 0 ? sum / SAMPLES : 0;
            assert_true(fabsl((long double)mean[i] - sum) <= 1e-6L * sum + 1e-9L);
        }
        assert_int_equal(n_negative, want_negative);
        assert_int_equal(want_negative > 0, probes);
        nq_importance_destroy(importance);
    }
    free(x);
    free(z);
}

/* One call or several, any workers: the same to the bit. Merged: the same but for rounding. */
static void samples_in_parts(void **state)
{
    (void)state;
    float *x = draw(SAMPLES * COLUMNS, 3);
    nq_importance *whole = accumulate(NULL, x, NULL, 0, SAMPLES);
    const double *want = nq_importance_sums(whole);
    for (uint32_t n_workers = 1; n_workers < 8; n_workers += 2) {
        nq_ctx *ctx = make_context(&n_workers, NULL);
        nq_importance *parts = accumulate(ctx, x, NULL, 0, 5);
        nq_importance *rest = accumulate(ctx, x, NULL, 5, SAMPLES - 5);
        nq_importance *sent;
        const nq_tensor more = make_tensor(x + 5 * COLUMNS, NQ_F32, SAMPLES - 5, COLUMNS);
        assert_int_equal(nq_importance_create(&sent, ctx, COLUMNS), NQ_OK);
        assert_int_equal(nq_importance_add_sums(sent, nq_importance_sums(parts), 5), NQ_OK);
        assert_int_equal(nq_importance_merge(sent, rest), NQ_OK);
        assert_int_equal(nq_importance_add_squares(parts, &more, NULL), NQ_OK);
        assert_int_equal(nq_importance_samples(parts), SAMPLES);
        assert_int_equal(nq_importance_samples(sent), SAMPLES);
        assert_memory_equal(nq_importance_sums(parts), want, COLUMNS * sizeof *want);
        for (size_t i = 0; i < COLUMNS; i++)
            assert_true(fabs(nq_importance_sums(sent)[i] - want[i]) <= 1e-14 * want[i]);
        nq_importance_destroy(parts);
        nq_importance_destroy(rest);
        nq_importance_destroy(sent);
        nq_ctx_destroy(ctx);
    }
    nq_importance_destroy(whole);
    free(x);
}

static void accumulators_refuse(void **state)
{
    (void)state;
    float x[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, mean[4];
    nq_importance *importance, *other;
    nq_diag diag;
    nq_diag_init(&diag);
    assert_int_equal(nq_importance_create(&importance, NULL, 4), NQ_OK);
    assert_int_equal(nq_importance_create(&other, NULL, 5), NQ_OK);
    assert_int_equal(nq_importance_mean(mean, NULL, importance), NQ_E_STATE);
    const nq_tensor good = make_tensor(x, NQ_F32, 3, 4), odd = make_tensor(x, NQ_F32, 1, 11);
    const nq_tensor integers = make_tensor(x, NQ_I32, 3, 4), less = make_tensor(x, NQ_F32, 2, 4);
    assert_int_equal(nq_importance_add_squares(importance, &odd, &diag), NQ_E_ARG);
    assert_int_equal(nq_importance_add_squares(importance, &integers, &diag), NQ_E_ARG);
    assert_int_equal(nq_importance_add_squares(importance, NULL, NULL), NQ_E_ARG);
    assert_int_equal(nq_importance_add_probes(importance, &less, &good, NULL), NQ_E_ARG);
    assert_int_equal(nq_importance_add_probes(importance, NULL, &good, NULL), NQ_E_ARG);
    assert_int_equal(nq_importance_merge(importance, other), NQ_E_ARG);
    x[7] = NAN;
    assert_int_equal(nq_importance_add_squares(importance, &good, &diag), NQ_E_NUMERIC);
    assert_int_equal(diag.element, 7);
    assert_int_equal(nq_importance_samples(importance), 0);
    assert_true(nq_importance_sums(importance)[0] == 0);
    x[7] = FLT_MAX;
    assert_int_equal(nq_importance_add_squares(importance, &good, NULL), NQ_OK);
    assert_int_equal(nq_importance_mean(mean, NULL, importance), NQ_E_NUMERIC);
    const double sums[] = {0, 1, INFINITY, 3};
    assert_int_equal(nq_importance_add_sums(importance, sums, 1), NQ_E_NUMERIC);
    nq_importance_destroy(importance);
    nq_importance_destroy(other);
    nq_importance_destroy(NULL);
}

static void roots_of_second_moments(void **state)
{
    (void)state;
    float v[3000], out[3000];
    nq_diag diag;
    uint64_t seed = 4;
    nq_diag_init(&diag);
    for (size_t i = 0; i < 3000; i++)
        v[i] = (float)exp(20 * unit_random_real(&seed));
    v[1] = 0;
    const nq_tensor t = make_tensor(v, NQ_F32, 3, 1000);
    assert_int_equal(nq_importance_from_second_moment(out, &t, &diag), NQ_OK);
    for (size_t i = 0; i < 3000; i++)
        assert_true(out[i] == (float)sqrt((double)v[i]));
    v[2222] = -1;
    assert_int_equal(nq_importance_from_second_moment(out, &t, &diag), NQ_E_NUMERIC);
    assert_int_equal(diag.element, 2222);
    assert_int_equal(nq_importance_from_second_moment(NULL, &t, NULL), NQ_E_ARG);
}

/* ---- Pruning ------------------------------------------------------------------------------- */

enum { N_A = 300000, N_B = 777, N_ALL = N_A + N_B };

typedef struct scored {
    double score;
    size_t place;
} scored;

/* The largest first, and of equal ones those that come first. */
static int compare_scored(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->place > y->place) - (x->place < y->place);
}

typedef struct network {
    float *w;
    float *h;
    nq_tensor tensors[2];
    nq_tensor importance[2];
    const nq_tensor *tensor_list[2];
    const nq_tensor *importance_list[2];
    uint8_t *mask;
    uint8_t *masks[2];
} network;

static network make_network(void)
{
    network n = {.w = draw(N_ALL, 5), .h = draw(N_ALL, 6), .mask = malloc(N_ALL)};
    assert_non_null(n.mask);
    for (size_t i = 0; i < N_ALL; i++) {
        n.h[i] = fabsf(n.h[i]);
        if (i % 5 == 0)
            n.w[i] = i % 2 ? 0.25f : -0.25f; /* ties */
        if (i % 11 == 0)
            n.w[i] = i % 2 ? 0.0f : -0.0f;
        if (i % 10 == 0)
            n.h[i] = 2;
    }
    for (size_t i = 0; i < 2; i++) {
        const size_t first = i ? N_A : 0;
        n.tensors[i] = make_tensor(n.w + first, NQ_F32, 1, i ? N_B : N_A);
        n.importance[i] = make_tensor(n.h + first, NQ_F32, 1, i ? N_B : N_A);
        n.masks[i] = n.mask + first;
    }
    return n;
}

static void free_network(network *n)
{
    free(n->w);
    free(n->h);
    free(n->mask);
}

static nq_status prune(network *n, nq_prune_report *report, const nq_ctx *ctx, uint32_t rule,
                       bool has_importance, double density)
{
    nq_prune_options o;
    nq_prune_options_init(&o);
    o.rule = rule;
    o.density = density;
    for (size_t i = 0; i < 2; i++) {
        n->tensor_list[i] = &n->tensors[i];
        n->importance_list[i] = &n->importance[i];
    }
    *report = (nq_prune_report){.struct_size = sizeof *report};
    return nq_prune(n->masks, report, ctx, n->tensor_list,
                    has_importance ? n->importance_list : NULL, 2, &o, NULL);
}

static void keeps_the_largest(void **state)
{
    (void)state;
    const double densities[] = {0, 1e-9, 0.1, 0.37, 0.8, 0.95, 1};
    network n = make_network();
    scored *all = malloc(N_ALL * sizeof *all);
    assert_non_null(all);
    for (uint32_t kind = 0; kind < 3; kind++) {
        const uint32_t rule = kind == 2 ? NQ_PRUNE_SALIENCY : NQ_PRUNE_MAGNITUDE;
        for (size_t i = 0; i < N_ALL; i++) {
            const double w = (double)n.w[i];
            all[i] = (scored){rule ? 0.5 * (double)n.h[i] * (w * w) : fabs(w), i};
        }
        qsort(all, N_ALL, sizeof *all, compare_scored);
        for (size_t d = 0; d < sizeof densities / sizeof *densities; d++) {
            nq_prune_report r;
            assert_int_equal(prune(&n, &r, NULL, rule, kind > 0, densities[d]), NQ_OK);
            const size_t n_keep = (size_t)(densities[d] * N_ALL + 0.5);
            assert_true(r.n_weights == N_ALL && r.n_kept == n_keep);
            long double saliency = 0;
            for (size_t i = 0; i < N_ALL; i++) {
                const size_t at = all[i].place;
                assert_int_equal(n.mask[at], i < n_keep);
                if (i >= n_keep)
                    saliency += 0.5L * (kind > 0 ? (long double)n.h[at] : 1) *
                                (long double)n.w[at] * (long double)n.w[at];
            }
            assert_true(r.threshold == (n_keep ? all[n_keep - 1].score : 0));
            assert_true(fabsl(r.saliency - saliency) <= 1e-9L * saliency);
        }
    }
    free(all);
    free_network(&n);
}

static void the_same_masks_for_any_workers(void **state)
{
    (void)state;
    network n = make_network();
    uint8_t *first = malloc(N_ALL);
    assert_non_null(first);
    nq_prune_report want = {0}, r;
    for (uint32_t n_workers = 1; n_workers < 8; n_workers += 2) {
        nq_ctx *ctx = make_context(&n_workers, NULL);
        memset(n.mask, 77, N_ALL);
        assert_int_equal(prune(&n, &r, ctx, NQ_PRUNE_SALIENCY, true, 0.4), NQ_OK);
        nq_ctx_destroy(ctx);
        if (n_workers == 1) {
            memcpy(first, n.mask, N_ALL);
            want = r;
        }
        assert_memory_equal(n.mask, first, N_ALL);
        assert_memory_equal(&r, &want, sizeof r);
    }
    free(first);
    free_network(&n);
}

static void pruning_refuses(void **state)
{
    (void)state;
    network n = make_network();
    nq_prune_report r;
    nq_diag diag;
    nq_prune_options o;
    nq_diag_init(&diag);
    nq_prune_options_init(&o);
    assert_int_equal(prune(&n, &r, NULL, 0, false, -0.1), NQ_E_ARG);
    assert_int_equal(prune(&n, &r, NULL, 0, false, 1.1), NQ_E_ARG);
    assert_int_equal(prune(&n, &r, NULL, 0, false, NAN), NQ_E_ARG);
    assert_int_equal(prune(&n, &r, NULL, 2, false, 0.5), NQ_E_ARG);
    assert_int_equal(nq_prune(n.masks, NULL, NULL, n.tensor_list, NULL, 2, NULL, &diag), NQ_E_ARG);
    assert_int_equal(nq_prune(NULL, NULL, NULL, n.tensor_list, NULL, 2, &o, &diag), NQ_E_ARG);
    assert_int_equal(nq_prune(NULL, NULL, NULL, NULL, NULL, 0, &o, &diag), NQ_OK);
    n.w[N_A + 10] = NAN;
    assert_int_equal(nq_prune(n.masks, NULL, NULL, n.tensor_list, NULL, 2, &o, &diag),
                     NQ_E_NUMERIC);
    assert_true(diag.tensor == 1 && diag.element == 10);
    n.w[N_A + 10] = 1;
    n.h[3] = -1;
    assert_int_equal(nq_prune(n.masks, NULL, NULL, n.tensor_list, n.importance_list, 2, &o, &diag),
                     NQ_E_NUMERIC);
    assert_true(diag.tensor == 0 && diag.element == 3);
    free_network(&n);
}

/* ---- Gradients of levels ------------------------------------------------------------------- */

static void check_gradients(size_t k, uint32_t n_workers)
{
    enum { N = 600001 };
    float *g = draw(N, 7);
    uint16_t *indices = malloc(N * sizeof *indices);
    double *sums = calloc(k, sizeof *sums);
    long double *want = calloc(k, sizeof *want), *size = calloc(k, sizeof *size);
    uint64_t *counts = calloc(k, sizeof *counts), *want_counts = calloc(k, sizeof *want_counts);
    uint64_t seed = k;
    assert_true(indices && sums && want && size && counts && want_counts);
    for (size_t i = 0; i < N; i++) {
        indices[i] = (uint16_t)(unit_random(&seed) % (unit_random(&seed) % k + 1));
        want[indices[i]] += (long double)g[i];
        size[indices[i]] += fabsl((long double)g[i]);
        want_counts[indices[i]]++;
    }
    nq_ctx *ctx = make_context(&n_workers, NULL);
    const nq_tensor first = make_tensor(g, NQ_F32, 1, 1000);
    const nq_tensor second = make_tensor(g + 1000, NQ_F32, 1, N - 1000);
    assert_int_equal(nq_level_gradients(sums, counts, k, ctx, indices, &first), NQ_OK);
    assert_int_equal(nq_level_gradients(sums, counts, k, ctx, indices + 1000, &second), NQ_OK);
    for (size_t j = 0; j < k; j++)
        assert_true(fabsl(sums[j] - want[j]) <= 1e-12L * size[j]);
    assert_memory_equal(counts, want_counts, k * sizeof *counts);
    /* an index that no level has changes nothing */
    if (k < 65536) {
        indices[N - 1] = (uint16_t)k;
        assert_int_equal(nq_level_gradients(sums, counts, k, ctx, indices + 1000, &second),
                         NQ_E_ARG);
        assert_memory_equal(counts, want_counts, k * sizeof *counts);
    }
    nq_ctx_destroy(ctx);
    free(g);
    free(indices);
    free(sums);
    free(want);
    free(size);
    free(counts);
    free(want_counts);
}

static void gradients_of_levels(void **state)
{
    (void)state;
    const size_t ks[] = {1, 2, 16, 256, 8191, 8192, 65536};
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
        for (uint32_t n_workers = 1; n_workers < 4; n_workers++)
            check_gradients(ks[i], n_workers);
}

static void gradients_refuse(void **state)
{
    (void)state;
    const float g[] = {1, 2};
    const uint16_t indices[] = {0, 1};
    double sums[2] = {0};
    uint64_t counts[2] = {0};
    const nq_tensor t = make_tensor(g, NQ_F32, 1, 2), bytes_tensor = make_tensor(g, NQ_U8, 1, 2);
    assert_int_equal(nq_level_gradients(NULL, counts, 2, NULL, indices, &t), NQ_E_ARG);
    assert_int_equal(nq_level_gradients(sums, NULL, 2, NULL, indices, &t), NQ_E_ARG);
    assert_int_equal(nq_level_gradients(sums, counts, 0, NULL, indices, &t), NQ_E_ARG);
    assert_int_equal(nq_level_gradients(sums, counts, 2, NULL, NULL, &t), NQ_E_ARG);
    assert_int_equal(nq_level_gradients(sums, counts, 2, NULL, indices, NULL), NQ_E_ARG);
    assert_int_equal(nq_level_gradients(sums, counts, 2, NULL, indices, &bytes_tensor), NQ_E_ARG);
    assert_int_equal(nq_level_gradients(sums, counts, 1, NULL, indices, &t), NQ_E_ARG);
    assert_true(sums[0] == 0 && counts[0] == 0);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static nq_status use_all(const nq_ctx *ctx, network *n)
{
    nq_importance *importance;
    nq_prune_report r;
    double sums[4] = {0};
    uint64_t counts[4] = {0};
    const uint16_t indices[] = {0, 1, 2, 3};
    const nq_tensor four = make_tensor(n->w, NQ_F32, 1, 4);
    nq_status status = nq_importance_create(&importance, ctx, 4);
    if (status == NQ_OK)
        status = nq_importance_add_squares(importance, &four, NULL);
    nq_importance_destroy(importance);
    if (status == NQ_OK)
        status = prune(n, &r, ctx, NQ_PRUNE_MAGNITUDE, false, 0.5);
    return status == NQ_OK ? nq_level_gradients(sums, counts, 4, ctx, indices, &four) : status;
}

static void failing_memory(void **state)
{
    (void)state;
    network n = make_network();
    uint32_t n_workers = 2;
    nq_status status = NQ_E_NOMEM;
    for (unsigned call = 2; status != NQ_OK; call++) { /* the first is the context's own */
        counting c = {.failing_call = call};
        nq_ctx *ctx = make_context(&n_workers, &c);
        status = use_all(ctx, &n);
        assert_int_equal(status, c.n_calls >= call ? NQ_E_NOMEM : NQ_OK);
        nq_ctx_destroy(ctx);
        assert_int_equal(c.n_open, 0);
    }
    free_network(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_of_squares_and_products),
        cmocka_unit_test(samples_in_parts),
        cmocka_unit_test(accumulators_refuse),
        cmocka_unit_test(roots_of_second_moments),
        cmocka_unit_test(keeps_the_largest),
        cmocka_unit_test(the_same_masks_for_any_workers),
        cmocka_unit_test(pruning_refuses),
        cmocka_unit_test(gradients_of_levels),
        cmocka_unit_test(gradients_refuse),
        cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
