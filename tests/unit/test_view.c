/*
 * Views: every type against a plain conversion, at odd addresses, and importance of every shape
 * that broadcasts against numpy's rule, index by index.
 */
#include "unit.h"

#include <math.h>

#include "base/half.h"
#include "base/log2.h"
#include "distortion/view.h"

static nq_tensor shape_of(uint32_t rank, const uint64_t *dims, uint32_t dtype, const void *data)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = dtype;
    t.rank = rank;
    for (uint32_t i = 0; i < rank; i++)
        t.dims[i] = dims[i];
    t.data = data;
    return t;
}

/* Equal, or both NaN. */
static bool same_f64(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}

static bool same_f32(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}

static void every_half_is_read(void **state)
{
    (void)state;
    enum { N = 1 << 16 };
    static uint8_t bytes[2 * N + 1];
    static float f32[N];
    static double f64[N];
    for (uint32_t i = 0; i < N; i++)
        nqi_store_u16(bytes + 1 + 2 * i, (uint16_t)i);
    for (uint32_t dtype = NQ_F16; dtype <= NQ_BF16; dtype++) {
        const nqi_view view = nqi_view_make(bytes + 1, dtype, N);
        nqi_view_f32(f32, &view, 0, N);
        nqi_view_f64(f64, &view, 0, N);
        for (uint32_t i = 0; i < N; i++) {
            const float want =
                dtype == NQ_F16 ? nqi_f16_to_f32((uint16_t)i) : nqi_bf16_to_f32((uint16_t)i);
            assert_true(same_f32(f32[i], want));
            assert_true(same_f64(f64[i], (double)want));
        }
    }
}

static void floats_are_read_at_any_address(void **state)
{
    (void)state;
    enum { N = 300 };
    uint8_t bytes[8 * N + 8];
    float f32[N];
    double f64[N], values[N];
    uint64_t seed = 1;
    for (size_t i = 0; i < N; i++)
        values[i] = unit_random_real(&seed) * exp2((double)(int)(unit_random(&seed) % 100) - 50);
    values[0] = -0.0;
    values[1] = 1e-310;
    values[2] = 1e300;
    for (size_t shift = 0; shift < 8; shift++) {
        memcpy(bytes + shift, values, sizeof values);
        const nqi_view view = nqi_view_make(bytes + shift, NQ_F64, N);
        for (size_t first = 0; first < N; first += 37) {
            nqi_view_f64(f64, &view, first, N - first);
            nqi_view_f32(f32, &view, first, N - first);
            for (size_t i = first; i < N; i++) {
                assert_true(same_f64(f64[i - first], values[i]));
                assert_true(same_f32(f32[i - first], (float)values[i]));
            }
        }
        for (size_t i = 0; i < N; i++)
            nqi_store_f32(bytes + shift + 4 * i, (float)values[i]);
        const nqi_view single = nqi_view_make(bytes + shift, NQ_F32, N);
        nqi_view_f64(f64, &single, 0, N);
        nqi_view_f32(f32, &single, 0, N);
        for (size_t i = 0; i < N; i++) {
            assert_true(same_f64(f64[i], (double)(float)values[i]));
            assert_true(same_f32(f32[i], (float)values[i]));
        }
    }
    nqi_view empty = nqi_view_make(NULL, NQ_F32, 0);
    nqi_view_f32(f32, &empty, 0, 0);
    nqi_view_f64(f64, &empty, 0, 0);
}

/* numpy's rule, element by element. */
static uint64_t stored_index(const nq_tensor *t, const nq_tensor *h, uint64_t element)
{
    uint64_t index = 0, stride = 1;
    for (uint32_t back = 1; back <= t->rank; back++) {
        const uint64_t at = element % t->dims[t->rank - back];
        element /= t->dims[t->rank - back];
        if (back > h->rank)
            continue;
        const uint64_t dim = h->dims[h->rank - back];
        index += (dim == 1 ? 0 : at) * stride;
        stride *= dim;
    }
    return index;
}

static void check_shape(const nq_tensor *t, const nq_tensor *h)
{
    static double got[4096];
    nqi_importance view;
    assert_int_equal(nqi_importance_make(&view, t, h), NQ_OK);
    const double *stored = h->data;
    assert_true(view.n <= NQI_COUNT(got));
    for (uint32_t axis = 0; axis < view.rank; axis++)
        assert_true(view.dims[axis] != 1);
    const uint64_t pieces[] = {1, 5, 64, view.n};
    for (size_t p = 0; p < NQI_COUNT(pieces); p++) {
        for (uint64_t first = 0; first < view.n; first += pieces[p])
            nqi_importance_load(got + first, &view, first,
                                (size_t)NQI_MIN(pieces[p], view.n - first));
        for (uint64_t i = 0; i < view.n; i++)
            assert_true(got[i] == stored[stored_index(t, h, i)]);
    }
}

/* Each axis of 1, 2 or 3, each kept, made 1, or left out in front. */
static void importance_broadcasts_as_in_numpy(void **state)
{
    (void)state;
    double stored[4096];
    for (size_t i = 0; i < NQI_COUNT(stored); i++)
        stored[i] = (double)i;
    const uint64_t dims[] = {3, 2, 1, 4, 5};
    for (uint32_t rank = 0; rank <= 5; rank++) {
        const nq_tensor t = shape_of(rank, dims, NQ_F32, stored);
        for (uint32_t lacking = 0; lacking <= rank; lacking++) {
            for (uint32_t mask = 0; mask < 1u << (rank - lacking); mask++) {
                uint64_t h_dims[5];
                for (uint32_t i = 0; i < rank - lacking; i++)
                    h_dims[i] = mask >> i & 1 ? 1 : dims[lacking + i];
                const nq_tensor h = shape_of(rank - lacking, h_dims, NQ_F64, stored);
                check_shape(&t, &h);
            }
        }
    }
}

static void eight_axes_alternate(void **state)
{
    (void)state;
    double stored[256];
    for (size_t i = 0; i < NQI_COUNT(stored); i++)
        stored[i] = (double)i;
    const uint64_t dims[] = {2, 3, 2, 2, 3, 2, 2, 3}, h_dims[] = {2, 1, 2, 1, 3, 1, 2, 1};
    const nq_tensor t = shape_of(8, dims, NQ_F32, stored);
    const nq_tensor h = shape_of(8, h_dims, NQ_F64, stored);
    check_shape(&t, &h);
}

static void shapes_are_merged(void **state)
{
    (void)state;
    const double stored[60] = {0};
    const uint64_t dims[] = {3, 4, 5}, row[] = {5}, column[] = {3, 1, 1}, middle[] = {4, 1};
    const nq_tensor t = shape_of(3, dims, NQ_F32, stored);
    nq_tensor h = shape_of(3, dims, NQ_F64, stored);
    nqi_importance view;
    assert_int_equal(nqi_importance_make(&view, &t, &h), NQ_OK);
    assert_int_equal(view.rank, 1);
    h = shape_of(0, NULL, NQ_F64, stored);
    assert_int_equal(nqi_importance_make(&view, &t, &h), NQ_OK);
    assert_int_equal(view.rank, 1);
    assert_int_equal(view.strides[0], 0);
    h = shape_of(1, row, NQ_F64, stored);
    assert_int_equal(nqi_importance_make(&view, &t, &h), NQ_OK);
    assert_int_equal(view.rank, 2);
    h = shape_of(3, column, NQ_F64, stored);
    assert_int_equal(nqi_importance_make(&view, &t, &h), NQ_OK);
    assert_int_equal(view.rank, 2);
    h = shape_of(2, middle, NQ_F64, stored);
    assert_int_equal(nqi_importance_make(&view, &t, &h), NQ_OK);
    assert_int_equal(view.rank, 3);
}

static void shapes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    const double stored[60] = {0};
    const uint64_t dims[] = {3, 4}, more[] = {1, 3, 4}, other[] = {3, 2}, none[] = {3, 0};
    const uint64_t one[] = {3, 1};
    const nq_tensor t = shape_of(2, dims, NQ_F32, stored);
    nqi_importance view;
    nq_tensor h = shape_of(3, more, NQ_F64, stored);
    assert_int_equal(nqi_importance_make(&view, &t, &h), NQ_E_ARG);
    h = shape_of(2, other, NQ_F64, stored);
    assert_int_equal(nqi_importance_make(&view, &t, &h), NQ_E_ARG);
    h = shape_of(2, none, NQ_F64, stored);
    assert_int_equal(nqi_importance_make(&view, &t, &h), NQ_E_ARG);
    const nq_tensor narrow = shape_of(2, one, NQ_F32, stored);
    assert_int_equal(nqi_importance_make(&view, &narrow, &h), NQ_E_ARG);
    h = shape_of(2, dims, NQ_U8, stored);
    assert_int_equal(nqi_importance_make(&view, &t, &h), NQ_E_ARG);
    h = shape_of(2, dims, NQ_F32, NULL);
    assert_int_equal(nqi_importance_make(&view, &t, &h), NQ_E_ARG);
    const nq_tensor empty = shape_of(2, none, NQ_F32, NULL);
    h = shape_of(2, none, NQ_F32, NULL);
    assert_int_equal(nqi_importance_make(&view, &empty, &h), NQ_OK);
    assert_int_equal(view.n, 0);
    nqi_importance_load(NULL, &view, 0, 0);
}

static void no_importance_is_ones(void **state)
{
    (void)state;
    double got[10] = {0};
    const uint64_t dims[] = {10};
    const nq_tensor t = shape_of(1, dims, NQ_F32, got);
    const nqi_shaping shaping = {.least = 5, .power = 2, .scale = 4};
    nqi_importance view;
    assert_int_equal(nqi_importance_make(&view, &t, NULL), NQ_OK);
    nqi_importance_load_shaped(got, &view, &shaping, 3, 7);
    for (size_t i = 0; i < 7; i++)
        assert_true(got[i] == 1);
}

static void shaping_floors_scales_and_raises(void **state)
{
    (void)state;
    double h[] = {0, 0.25, 1, 9};
    nqi_shaping shaping = {.least = 0.5, .power = 0.5, .scale = 4};
    nqi_shaping_apply(h, &shaping, 4);
    const double want[] = {sqrt(2), sqrt(2), 2, 6};
    for (size_t i = 0; i < 4; i++)
        assert_true(fabs(h[i] - want[i]) < 1e-14);
    double same[] = {0, 0.1, 1e-300, 1e300};
    const nqi_shaping none = nqi_shaping_none();
    nqi_shaping_apply(same, &none, 4);
    assert_true(same[0] == 0 && same[1] == 0.1 && same[2] == 1e-300 && same[3] == 1e300);
    double zero[] = {0, 0.1};
    shaping = (nqi_shaping){.least = 0, .power = 0, .scale = 1};
    nqi_shaping_apply(zero, &shaping, 2);
    assert_true(zero[0] == 1 && zero[1] == 1);
}

static void extents_tell_the_ends(void **state)
{
    (void)state;
    uint64_t seed = 5;
    float w[100];
    for (uint32_t round = 0; round < 2000; round++) {
        const size_t n = unit_random(&seed) % 100;
        nqi_extent got = nqi_extent_none(), want = nqi_extent_none();
        for (size_t i = 0; i < n; i++) {
            const uint32_t bits = (uint32_t)unit_random(&seed);
            w[i] =
                nqi_f32_from_bits((bits & 0x7f800000u) == 0x7f800000u ? bits & 0x807fffffu : bits);
            const nqi_extent one = {w[i], w[i]};
            nqi_extent_join(&want, &one);
        }
        assert_true(nqi_extent_add(&got, w, n));
        assert_true(got.low == want.low && got.high == want.high);
        const float wrong[] = {NAN, -NAN, INFINITY, -INFINITY};
        if (n == 0)
            continue;
        w[unit_random(&seed) % n] = wrong[round % 4];
        assert_false(nqi_extent_add(&got, w, n));
        assert_true(got.low == want.low && got.high == want.high);
    }
    const float ends[] = {0x1.fffffep127f, -0x1.fffffep127f, 0x1p-149f};
    nqi_extent got = nqi_extent_none();
    const nqi_extent none = nqi_extent_none();
    assert_true(nqi_extent_add(&got, ends, 3) && got.low == ends[1] && got.high == ends[0]);
    nqi_extent_join(&got, &none);
    assert_true(got.low == ends[1] && got.high == ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_is_read),
        cmocka_unit_test(floats_are_read_at_any_address),
        cmocka_unit_test(extents_tell_the_ends),
        cmocka_unit_test(importance_broadcasts_as_in_numpy),
        cmocka_unit_test(eight_axes_alternate),
        cmocka_unit_test(shapes_are_merged),
        cmocka_unit_test(shapes_that_do_not_fit_are_refused),
        cmocka_unit_test(no_importance_is_ones),
        cmocka_unit_test(shaping_floors_scales_and_raises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
