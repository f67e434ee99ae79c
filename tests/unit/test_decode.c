/*
 * Decoding tensors of .nq files: any range into any type, one after another, at random, in parallel
 * and in memory of the caller's. Expected values come from the indices that went in and from slow
 * conversions of numbers.
 */
#include <math.h>

#include "nq_model.h"

/* ---- Oracles ------------------------------------------------------------------------------- */

/* A number rounded to so many bits of mantissa, to nearest even, with a smallest exponent, by
 * arithmetic. */
static double round_to(double value, int mantissa_bits, int min_exponent)
{
    int exponent;
    frexp(value, &exponent);
    const int ulp = (exponent > min_exponent ? exponent : min_exponent) - mantissa_bits;
    return ldexp(nearbyint(ldexp(value, -ulp)), ulp);
}

/* bfloat16 is the upper half of the float that the rounded value is. */
static uint16_t slow_bf16(float value)
{
    const uint32_t bits = float_bits(value);
    if (isnan(value))
        return (uint16_t)(bits >> 16 | 0x40);
    if (isinf(value) || value == 0)
        return (uint16_t)(bits >> 16);
    return (uint16_t)(float_bits((float)round_to((double)value, 8, -125)) >> 16);
}

static uint16_t slow_f16(float value)
{
    const unsigned sign = float_bits(value) >> 31 << 15;
    if (isnan(value))
        return (uint16_t)(sign | 0x7e00 | (float_bits(value) >> 13 & 0x3ff));
    const double rounded = fabs(isinf(value) ? (double)value : round_to((double)value, 11, -13));
    if (rounded >= 65536)
        return (uint16_t)(sign | 0x7c00);
    int exponent;
    const double fraction = frexp(rounded, &exponent);
    if (rounded == 0 || exponent < -13)
        return (uint16_t)(sign | (unsigned)ldexp(rounded, 24));
    return (uint16_t)(sign | (unsigned)(exponent + 14) << 10 |
                      ((unsigned)ldexp(fraction, 11) - 1024));
}

static float slow_from_f16(uint16_t half)
{
    const unsigned exponent = half >> 10 & 31, mantissa = half & 1023;
    const uint32_t sign = (uint32_t)(half >> 15) << 31;
    if (exponent == 31)
        return bits_float(sign | 0x7f800000 | mantissa << 13);
    const double magnitude =
        exponent ? ldexp(1024 + mantissa, (int)exponent - 25) : ldexp(mantissa, -24);
    return half >> 15 ? -(float)magnitude : (float)magnitude;
}

static void test_oracles(void **state)
{
    (void)state;
    assert_int_equal(slow_f16(1), 0x3c00);
    assert_int_equal(slow_f16(-2), 0xc000);
    assert_int_equal(slow_f16(65504), 0x7bff);
    assert_int_equal(slow_f16(65519.99f), 0x7bff);
    assert_int_equal(slow_f16(65520), 0x7c00);
    assert_int_equal(slow_f16(0x1p-24f), 1);
    assert_int_equal(slow_f16(0x1p-25f), 0);
    assert_int_equal(slow_f16(0x1.8p-25f), 1);
    assert_int_equal(slow_f16(0x1.ff8p-15f), 0x03ff);
    assert_int_equal(slow_f16(0x1p-14f), 0x0400);
    assert_int_equal(slow_f16(-0.0f), 0x8000);
    assert_int_equal(slow_bf16(1), 0x3f80);
    assert_int_equal(slow_bf16(0x1.01p0f), 0x3f80);
    assert_int_equal(slow_bf16(0x1.03p0f), 0x3f82);
    assert_int_equal(slow_bf16(0x1.fffffep127f), 0x7f80);
    assert_int_equal(slow_bf16(0x1p-149f), 0);
    assert_int_equal(slow_bf16(0x1p-133f), 1);
    for (unsigned i = 0; i < 65536; i++)
        if ((i & 0x7fff) <= 0x7c00)
            assert_int_equal(slow_f16(slow_from_f16((uint16_t)i)), i);
}

/* ---- Ranges -------------------------------------------------------------------------------- */

/* A number of 1, 2, 4 or 8 bytes in host order. */
static uint64_t host_number(const uint8_t *at, unsigned width)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    if (width == 1)
        return *at;
    if (width == 2)
        return memcpy(&u16, at, 2), u16;
    if (width == 4)
        return memcpy(&u32, at, 4), u32;
    return memcpy(&u64, at, 8), u64;
}

/* A value in a short floating type. */
static uint64_t short_bits(float value, uint32_t dtype)
{
    return dtype == NQ_F32   ? float_bits(value)
           : dtype == NQ_F16 ? slow_f16(value)
                             : slow_bf16(value);
}

/* That `out` holds these elements of the tensor. */
static void check_values(const coded *t, uint32_t dtype, size_t first, size_t count,
                         const uint8_t *out)
{
    const unsigned width = dtype == NQ_F32 ? 4 : 2;
    for (size_t i = 0; i < count; i++)
        assert_true(host_number(out + i * width, width) ==
                    short_bits(t->levels[t->indices[first + i]], dtype));
}

/* One range in one type, into memory that ends where the range does, at an odd address. */
static void check_range(nq_decoder *d, const coded *t, uint32_t dtype, size_t first, size_t count)
{
    const size_t n_bytes = count * (dtype == NQ_F32 ? 4 : 2);
    uint8_t *memory = malloc(n_bytes + 5);
    uint8_t *out = memory + 1;
    memset(out + n_bytes, 0xa5, 4);
    assert_int_equal(nq_decoder_read(d, dtype, first, count, out), NQ_OK);
    check_values(t, dtype, first, count, out);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(out[n_bytes + i], 0xa5);
    free(memory);
}

static void check_indices(nq_decoder *d, const coded *t, size_t first, size_t count)
{
    uint16_t *indices = malloc((count + 1) * sizeof *indices);
    indices[count] = 0xa5a5;
    assert_int_equal(nq_decoder_read_indices(d, first, count, indices), NQ_OK);
    assert_memory_equal(indices, t->indices + first, count * sizeof *indices);
    assert_int_equal(indices[count], 0xa5a5);
    free(indices);
}

static void check_any_range(nq_decoder *d, const coded *t, size_t first, size_t count,
                            unsigned kind)
{
    if (kind % 4 == 3)
        check_indices(d, t, first, count);
    else
        check_range(d, t, kind % 4, first, count);
}

static void check_ranges(const nq_reader *r, uint64_t tensor, const coded *t, uint32_t flags)
{
    nq_decoder *d = make_decoder(r, tensor, flags);
    uint64_t seed = 99 + tensor;
    for (unsigned kind = 0; kind < 4; kind++) {
        check_any_range(d, t, 0, t->n, kind);
        check_any_range(d, t, t->n, 0, kind);
        check_any_range(d, t, 0, 0, kind);
    }
    for (unsigned i = 0; i < 60 && t->n > 0; i++) {
        const size_t first = (size_t)(unit_random(&seed) % t->n);
        const size_t most = unit_random(&seed) % 3 ? 100 : t->n;
        const size_t left = t->n - first;
        check_any_range(d, t, first,
                        (size_t)(unit_random(&seed) % ((left < most ? left : most) + 1)), i);
    }
    nq_decoder_destroy(d);
}

static void test_ranges(void **state)
{
    (void)state;
    model m = make_model();
    behind b = {.file = &m.file};
    nq_reader *span = open_span(&m.file), *callback = open_behind(&b, NULL);
    for (unsigned i = 0; i < N_CODED; i++) {
        check_ranges(span, i, &m.t[i], 0);
        check_ranges(callback, i, &m.t[i], 0);
        check_ranges(span, i, &m.t[i], NQ_DECODER_SMALL_TABLES);
        check_ranges(callback, i, &m.t[i], NQ_DECODER_SMALL_TABLES | NQ_DECODER_SKIP_CHECKSUMS);
    }
    nq_reader_destroy(span);
    nq_reader_destroy(callback);
    free_model(&m);
}

/* In steps that divide neither pieces nor blocks; every block is fetched once, however short the
 * steps are. */
static void test_reading_on(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 7, 4095, 4096, 4097, 16384, 40000};
    model m = make_model();
    behind b = {.file = &m.file};
    nq_reader *r = open_behind(&b, NULL);
    const coded *t = &m.t[1];
    nq_tensor_info info;
    nq_tensor_info_init(&info);
    assert_int_equal(nq_reader_tensor(r, 1, &info), NQ_OK);
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        nq_decoder *d = make_decoder(r, 1, 0);
        b.n_bytes_read = 0;
        for (size_t first = 0; first < t->n; first += steps[k]) {
            const size_t left = t->n - first;
            check_any_range(d, t, first, left < steps[k] ? left : steps[k],
                            steps[k] == 1 ? 3 : (unsigned)first);
        }
        /* Three blocks; offsets are read twice but for the first and last. */
        assert_true(b.n_bytes_read == info.payload_bytes + 2 * 4);
        nq_decoder_destroy(d);
    }
    nq_reader_destroy(r);
    free_model(&m);
}

static void test_codebooks(void **state)
{
    (void)state;
    model m = make_model();
    nq_reader *r = open_span(&m.file);
    for (unsigned i = 0; i < N_CODED; i++) {
        const float *levels;
        size_t n;
        nq_decoder *d = make_decoder(r, i, 0);
        assert_int_equal(nq_decoder_codebook(d, &levels, &n), NQ_OK);
        assert_int_equal(n, m.t[i].n_levels);
        assert_memory_equal(levels, m.t[i].levels, n * sizeof *levels);
        nq_decoder_destroy(d);
    }
    nq_reader_destroy(r);
    free_model(&m);
}

static void test_wrong_ranges(void **state)
{
    (void)state;
    model m = make_model();
    nq_reader *r = open_span(&m.file);
    nq_decoder *d = make_decoder(r, 0, 0);
    nq_diag diag;
    float out[4];
    uint16_t indices[4];
    size_t n;
    nq_diag_init(&diag);
    assert_int_equal(nq_decoder_read(d, NQ_F32, 1001, 0, out), NQ_E_ARG);
    assert_int_equal(nq_decoder_read(d, NQ_F32, 999, 2, out), NQ_E_ARG);
    assert_int_equal(nq_decoder_read(d, NQ_F32, 1, UINT64_MAX, out), NQ_E_ARG);
    assert_int_equal(nq_decoder_read(d, NQ_F32, UINT64_MAX, 2, out), NQ_E_ARG);
    assert_int_equal(nq_decoder_diag(d, &diag), NQ_OK);
    assert_true(diag.status == NQ_E_ARG && diag.tensor == 0 && diag.element == UINT64_MAX);
    assert_int_equal(nq_decoder_read(d, NQ_F64, 0, 1, out), NQ_E_ARG);
    assert_int_equal(nq_decoder_read(d, NQ_DTYPE_COUNT, 0, 1, out), NQ_E_ARG);
    assert_int_equal(nq_decoder_read(d, UINT32_MAX, 0, 1, out), NQ_E_ARG);
    assert_int_equal(nq_decoder_read(d, NQ_F32, 0, 1, NULL), NQ_E_ARG);
    assert_int_equal(nq_decoder_read(d, NQ_F32, 0, 0, NULL), NQ_OK);
    assert_int_equal(nq_decoder_read(NULL, NQ_F32, 0, 0, out), NQ_E_ARG);
    assert_int_equal(nq_decoder_read_indices(d, 999, 2, indices), NQ_E_ARG);
    assert_int_equal(nq_decoder_read_indices(d, 0, 1, NULL), NQ_E_ARG);
    assert_int_equal(nq_decoder_read_indices(NULL, 0, 0, indices), NQ_E_ARG);
    assert_int_equal(nq_decoder_codebook(d, NULL, &n), NQ_E_ARG);
    assert_int_equal(nq_decoder_diag(d, NULL), NQ_E_ARG);
    diag.struct_size--;
    assert_int_equal(nq_decoder_diag(d, &diag), NQ_E_ABI);
    assert_int_equal(nq_decoder_read(d, NQ_F32, 0, 4, out), NQ_OK);
    nq_decoder_destroy(d);
    nq_decoder_destroy(NULL);
    nq_reader_destroy(r);
    free_model(&m);
}

static void test_wrong_decoders(void **state)
{
    (void)state;
    model m = make_model();
    nq_reader *r = open_span(&m.file);
    nq_decoder_options options;
    nq_decoder *d;
    size_t n;
    nq_decoder_options_init(&options);
    assert_int_equal(nq_decoder_create(&d, NULL, r, N_CODED, NULL, NULL), NQ_E_ARG);
    assert_null(d);
    assert_int_equal(nq_decoder_create(&d, NULL, r, UINT64_C(1) << 32, NULL, NULL), NQ_E_ARG);
    assert_int_equal(nq_decoder_create(&d, NULL, NULL, 0, NULL, NULL), NQ_E_ARG);
    assert_int_equal(nq_decoder_create(NULL, NULL, r, 0, NULL, NULL), NQ_E_ARG);
    assert_int_equal(nq_decoder_size(NULL, r, 0, NULL, NULL), NQ_E_ARG);
    assert_int_equal(nq_decoder_init(&d, NULL, SIZE_MAX, r, 0, NULL, NULL), NQ_E_SPACE);
    options.flags = 4;
    assert_int_equal(nq_decoder_create(&d, NULL, r, 0, &options, NULL), NQ_E_ARG);
    options.struct_size--;
    assert_int_equal(nq_decoder_create(&d, NULL, r, 0, &options, NULL), NQ_E_ABI);
    assert_int_equal(nq_decoder_size(&n, r, 0, &options, NULL), NQ_E_ABI);
    nq_reader_destroy(r);
    free_model(&m);
}

/* ---- Stored tensors ------------------------------------------------------------------------ */

static const unsigned dtype_bits[] = {32, 16, 16, 64, 8, 8, 8, 16, 16, 32,
                                      32, 64, 64, 8,  8, 8, 6, 6,  4,  64};

/* Element i of little-endian bytes, of a short floating type, as f32. */
static float stored_float(const uint8_t *data, uint32_t dtype, size_t i)
{
    const uint32_t raw = (uint32_t)peek(data + i * dtype_bits[dtype] / 8, dtype_bits[dtype] / 8);
    return dtype == NQ_F32   ? bits_float(raw)
           : dtype == NQ_F16 ? slow_from_f16((uint16_t)raw)
                             : bits_float(raw << 16);
}

static void check_converted(const uint8_t *data, uint32_t from, uint32_t to, size_t first,
                            size_t count, const uint8_t *out)
{
    const unsigned width = to == NQ_F32 ? 4 : 2;
    for (size_t i = 0; i < count; i++)
        assert_true(host_number(out + i * width, width) ==
                    short_bits(stored_float(data, from, first + i), to));
}

/* That numbers in host order are those in little-endian bytes. */
static void check_own(const uint8_t *data, uint32_t dtype, const uint8_t *out, size_t n_bytes)
{
    const unsigned bits = dtype_bits[dtype];
    const unsigned unit = dtype == NQ_C64 ? 4 : bits < 8 ? 1 : bits / 8;
    for (size_t i = 0; i < n_bytes; i += unit)
        assert_true(host_number(out + i, unit) == peek(data + i, unit));
}

static void check_stored_ranges(const nq_reader *r, uint32_t dtype, const uint8_t *data, size_t n)
{
    nq_decoder *d = make_decoder(r, dtype, 0);
    const unsigned bits = dtype_bits[dtype];
    const size_t whole = bits >= 8 ? 1 : bits == 4 ? 2 : 4; /* elements that end at a byte */
    uint64_t seed = dtype;
    for (unsigned i = 0; i < 200; i++) {
        const size_t first = i == 0 ? 0 : (size_t)(unit_random(&seed) % n);
        const size_t count = i == 0 ? n : (size_t)(unit_random(&seed) % (n - first + 1));
        uint8_t *out = malloc(n * 8);
        const bool fits = first % whole == 0 && count % whole == 0;
        assert_int_equal(nq_decoder_read(d, dtype, first, count, out), fits ? NQ_OK : NQ_E_ARG);
        if (fits)
            check_own(data + first * bits / 8, dtype, out, count * bits / 8);
        for (uint32_t to = 0; to < NQ_DTYPE_COUNT; to++) {
            if (to == dtype)
                continue;
            const bool converts = dtype < 3 && to < 3;
            assert_int_equal(nq_decoder_read(d, to, first, count, out),
                             converts ? NQ_OK : NQ_E_ARG);
            if (converts)
                check_converted(data, dtype, to, first, count, out);
        }
        free(out);
    }
    uint16_t index;
    static const float any;
    const float *levels = &any;
    size_t n_levels = 1;
    assert_int_equal(nq_decoder_read_indices(d, 0, 1, &index), NQ_E_ARG);
    assert_int_equal(nq_decoder_codebook(d, &levels, &n_levels), NQ_OK);
    assert_true(levels == NULL && n_levels == 0);
    nq_decoder_destroy(d);
}

static void test_stored(void **state)
{
    (void)state;
    enum { N = 400 };
    nq_file f = {.size_width = 3};
    uint64_t seed = 5;
    uint8_t data[NQ_DTYPE_COUNT][N * 8];
    char names[NQ_DTYPE_COUNT][2] = {{0}};
    for (uint32_t dtype = 0; dtype < NQ_DTYPE_COUNT; dtype++) {
        for (size_t i = 0; i < N * 8; i++)
            data[dtype][i] = (uint8_t)unit_random(&seed);
        names[dtype][0] = (char)('a' + dtype);
        file_stored(&f, &(shape){names[dtype], dtype, 1, {N}, 6 + dtype % 3}, data[dtype],
                    N * dtype_bits[dtype] / 8);
    }
    bytes file = file_build(&f);
    behind b = {.file = &file};
    nq_reader *span = open_span(&file), *callback = open_behind(&b, NULL);
    for (uint32_t dtype = 0; dtype < NQ_DTYPE_COUNT; dtype++) {
        check_stored_ranges(span, dtype, data[dtype], N);
        check_stored_ranges(callback, dtype, data[dtype], N);
    }
    nq_reader_destroy(span);
    nq_reader_destroy(callback);
    bytes_free(&file);
    file_free(&f);
}

/* All halves and all brains to each other's type, among them what overflows and what is denormal.
 */
static void test_stored_conversions(void **state)
{
    (void)state;
    nq_file f = {.size_width = 3};
    bytes data = {0};
    uint8_t *out = malloc(65536 * 4);
    for (unsigned i = 0; i < 65536; i++)
        put_u(&data, i, 2);
    file_stored(&f, &(shape){"half", NQ_F16, 1, {65536}, 10}, data.at, data.n);
    file_stored(&f, &(shape){"brain", NQ_BF16, 1, {65536}, 10}, data.at, data.n);
    bytes file = file_build(&f);
    nq_reader *r = open_span(&file);
    for (uint64_t tensor = 0; tensor < 2; tensor++) {
        const uint32_t from = tensor == 0 ? NQ_F16 : NQ_BF16;
        nq_decoder *d = make_decoder(r, tensor, 0);
        for (uint32_t to = 0; to < 3; to++) {
            assert_int_equal(nq_decoder_read(d, to, 0, 65536, out), NQ_OK);
            if (to == from)
                check_own(data.at, from, out, data.n);
            else
                check_converted(data.at, from, to, 0, 65536, out);
        }
        nq_decoder_destroy(d);
    }
    nq_reader_destroy(r);
    free(out);
    bytes_free(&data);
    bytes_free(&file);
    file_free(&f);
}

/* ---- In parallel --------------------------------------------------------------------------- */

static void check_parallel_range(const nq_reader *r, const nq_ctx *ctx, uint64_t tensor,
                                 const coded *t, size_t first, size_t count)
{
    for (uint32_t dtype = 0; dtype < 3; dtype++) {
        const size_t n_bytes = count * (dtype == NQ_F32 ? 4 : 2);
        uint8_t *memory = malloc(n_bytes + 1), *out = memory + 1;
        assert_int_equal(nq_reader_decode(r, ctx, tensor, dtype, first, count, out, NULL), NQ_OK);
        check_values(t, dtype, first, count, out);
        free(memory);
    }
}

static void check_parallel(const model *m, const nq_reader *r, const nq_ctx *ctx)
{
    for (unsigned i = 0; i < N_CODED; i++) {
        const size_t n = m->t[i].n;
        check_parallel_range(r, ctx, i, &m->t[i], 0, n);
        check_parallel_range(r, ctx, i, &m->t[i], n / 3, n / 2);
        check_parallel_range(r, ctx, i, &m->t[i], n, 0);
        check_parallel_range(r, ctx, i, &m->t[i], n / 2, n > 0);
    }
}

static void test_parallel(void **state)
{
    (void)state;
    static const uint32_t n_workers[] = {1, 2, 5};
    model m = make_model();
    behind b = {.file = &m.file};
    nq_reader *span = open_span(&m.file), *callback = open_behind(&b, NULL);
    for (unsigned k = 0; k < 6; k++) {
        nq_ctx *ctx = make_ctx(n_workers[k / 2], k % 2);
        check_parallel(&m, span, ctx);
        if (k % 2) /* the source behind the callback counts, so only one call at a time */
            check_parallel(&m, callback, ctx);
        assert_int_equal(nq_reader_verify(span, ctx, NQ_NONE, NULL, NULL, NULL), NQ_OK);
        nq_ctx_destroy(ctx);
    }
    check_parallel(&m, span, NULL);
    nq_reader_destroy(span);
    nq_reader_destroy(callback);
    free_model(&m);
}

static void test_wrong_parallel_ranges(void **state)
{
    (void)state;
    model m = make_model();
    nq_reader *r = open_span(&m.file);
    float out[4];
    nq_diag diag;
    nq_diag_init(&diag);
    assert_int_equal(nq_reader_decode(r, NULL, 0, NQ_F32, 999, 2, out, &diag), NQ_E_ARG);
    assert_true(diag.status == NQ_E_ARG && diag.tensor == 0 && diag.element == 999);
    assert_int_equal(nq_reader_decode(r, NULL, 0, NQ_F64, 0, 2, out, NULL), NQ_E_ARG);
    assert_int_equal(nq_reader_decode(r, NULL, 0, NQ_F32, 0, 2, NULL, NULL), NQ_E_ARG);
    assert_int_equal(nq_reader_decode(r, NULL, 0, NQ_F32, 0, 0, NULL, &diag), NQ_OK);
    assert_int_equal(diag.status, NQ_OK);
    assert_int_equal(nq_reader_decode(r, NULL, N_CODED, NQ_F32, 0, 0, out, NULL), NQ_E_ARG);
    assert_int_equal(nq_reader_decode(NULL, NULL, 0, NQ_F32, 0, 0, out, NULL), NQ_E_ARG);
    diag.struct_size = 5;
    assert_int_equal(nq_reader_decode(r, NULL, 0, NQ_F32, 0, 1, out, &diag), NQ_E_ABI);
    assert_int_equal(nq_reader_verify(r, NULL, N_CODED, NULL, NULL, NULL), NQ_E_ARG);
    assert_int_equal(nq_reader_verify(NULL, NULL, NQ_NONE, NULL, NULL, NULL), NQ_E_ARG);
    nq_reader_destroy(r);
    free_model(&m);
}

/* What the progress hook heard. */
typedef struct heard {
    unsigned n_calls;
    unsigned stops_at; /* call, counted from 1; 0: never */
    uint64_t last;
    uint64_t total;
} heard;

static int32_t hear(void *user, uint32_t stage, uint64_t done, uint64_t total)
{
    heard *h = user;
    assert_int_equal(stage, NQ_STAGE_DECODE);
    assert_true(done > h->last && done <= total && (h->n_calls == 0 || total == h->total));
    h->last = done;
    h->total = total;
    return ++h->n_calls == h->stops_at;
}

static nq_ctx *make_hearing_ctx(heard *h)
{
    nq_ctx_options options;
    nq_ctx *ctx;
    nq_ctx_options_init(&options);
    options.progress = hear;
    options.progress_user = h;
    assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
    return ctx;
}

/* Progress rises to the number of elements that were asked for, wherever they are. */
static void test_progress(void **state)
{
    (void)state;
    model m = make_model();
    nq_reader *r = open_span(&m.file);
    heard h = {0};
    nq_ctx *ctx = make_hearing_ctx(&h);
    float *out = malloc(N_LARGEST * sizeof *out);
    static const size_t ranges[][2] = {{0, 1000}, {64, 64}, {100, 200},
                                       {999, 1},  {63, 2},  {500, 500}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        h = (heard){0};
        assert_int_equal(nq_reader_decode(r, ctx, 0, NQ_F32, ranges[i][0], ranges[i][1], out, NULL),
                         NQ_OK);
        assert_true(h.n_calls > 0 && h.total == ranges[i][1] && h.last == ranges[i][1]);
    }
    h = (heard){0};
    assert_int_equal(nq_reader_verify(r, ctx, 0, NULL, NULL, NULL), NQ_OK);
    assert_true(h.total == 1000 && h.last == 1000);
    h = (heard){0};
    assert_int_equal(nq_reader_verify(r, ctx, NQ_NONE, NULL, NULL, NULL), NQ_OK);
    assert_true(h.last == h.total &&
                h.total == 1000 + 40000 + 777 + 12345 + 70000 + 1 + 20000 + 9000 + 5000);
    assert_true(h.n_calls < 500);
    const unsigned n_calls = h.n_calls;
    for (unsigned k = 1; k <= n_calls; k += 3) {
        nq_diag diag;
        nq_diag_init(&diag);
        h = (heard){.stops_at = k};
        assert_int_equal(nq_reader_verify(r, ctx, NQ_NONE, NULL, NULL, &diag), NQ_E_CANCELLED);
        assert_true(h.n_calls == k && diag.status == NQ_E_CANCELLED);
    }
    h = (heard){.stops_at = 1};
    assert_int_equal(nq_reader_decode(r, ctx, 0, NQ_F32, 0, 1000, out, NULL), NQ_E_CANCELLED);
    free(out);
    nq_ctx_destroy(ctx);
    nq_reader_destroy(r);
    free_model(&m);
}

/* The hook hears a few hundred calls at most, however many tensors there are. */
static void test_progress_of_many(void **state)
{
    (void)state;
    nq_file f = {.size_width = 1};
    const uint8_t data[4] = {0};
    char name[8];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "%u", i);
        file_stored(&f, &(shape){name, NQ_U8, 1, {4}, 6}, data, 4);
    }
    bytes file = file_build(&f);
    nq_reader *r = open_span(&file);
    heard h = {0};
    nq_ctx *ctx = make_hearing_ctx(&h);
    assert_int_equal(nq_reader_verify(r, ctx, NQ_NONE, NULL, NULL, NULL), NQ_OK);
    assert_true(h.last == 4000 && h.total == 4000 && h.n_calls > 100 && h.n_calls <= 201);
    nq_ctx_destroy(ctx);
    nq_reader_destroy(r);
    bytes_free(&file);
    file_free(&f);
}

/* ---- Memory -------------------------------------------------------------------------------- */

enum { GUARD = 64 };

/* A decoder in memory of exactly the size that was asked for, at an odd place. */
static void check_in_place(const nq_reader *r, uint64_t tensor, const coded *t, uint32_t flags,
                           unsigned shift)
{
    nq_decoder_options options;
    nq_decoder *d;
    size_t n;
    nq_diag diag;
    nq_diag_init(&diag);
    nq_decoder_options_init(&options);
    options.flags = flags;
    assert_int_equal(nq_decoder_size(&n, r, tensor, &options, NULL), NQ_OK);
    uint8_t *memory = malloc(n + 2 * GUARD + shift);
    uint8_t *given = memory + GUARD + shift;
    memset(memory, 0xa5, n + 2 * GUARD + shift);
    assert_int_equal(nq_decoder_init(&d, given, n - 1, r, tensor, &options, &diag), NQ_E_SPACE);
    assert_true(d == NULL && diag.wanted == n && diag.tensor == tensor);
    assert_int_equal(nq_decoder_init(&d, given, n, r, tensor, &options, &diag), NQ_OK);
    assert_true((uint8_t *)d >= given && (uintptr_t)d % 64 == 0);
    for (unsigned kind = 0; kind < 4; kind++)
        check_any_range(d, t, 0, t->n, kind);
    for (size_t i = 0; i < GUARD + shift; i++)
        assert_int_equal(memory[i], 0xa5);
    for (size_t i = 0; i < GUARD; i++)
        assert_int_equal(given[n + i], 0xa5);
    nq_decoder_destroy(d); /* frees nothing */
    free(memory);
}

static void test_in_callers_memory(void **state)
{
    (void)state;
    model m = make_model();
    behind b = {.file = &m.file};
    nq_reader *span = open_span(&m.file), *callback = open_behind(&b, NULL);
    for (unsigned i = 0; i < N_CODED; i++) {
        for (uint32_t flags = 0; flags < 4; flags++) {
            const unsigned shift = (i * 4 + flags) * 7 % 64;
            check_in_place(span, i, &m.t[i], flags, shift);
            check_in_place(callback, i, &m.t[i], flags, 63 - shift);
        }
    }
    nq_reader_destroy(span);
    nq_reader_destroy(callback);
    free_model(&m);
}

/* Behind a callback a code table may be what takes the most room: here levels are a grid of a few
 * bytes, and the only block is short. */
static void test_large_code_table(void **state)
{
    (void)state;
    enum { N_LEVELS = 4096 };
    static const uint8_t grid[] = {0, 0xff, 0x1f};
    static const uint16_t indices[] = {4095, 0, 17, 2048};
    nq_file f = {.size_width = 1};
    const nqi_allocator a = nqi_allocator_default();
    uint64_t *counts = malloc(N_LEVELS * sizeof *counts);
    nqi_encoder *encoder;
    size_t n_table;
    for (unsigned i = 0; i < N_LEVELS; i++)
        counts[i] = 1 + i * 977 % 1000;
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_HUFFMAN, N_LEVELS, 0, counts, 0, 0),
                     NQ_OK);
    const uint8_t *table = nqi_encoder_table(encoder, &n_table);
    bytes block = encode_block(encoder, indices, 4);
    assert_true(n_table > 100 && n_table > 2 * block.n);
    const uint32_t book = file_codebook(&f, 3, grid, sizeof grid, N_LEVELS, 0.5);
    const uint32_t code = file_code_table(&f, 2, table, n_table);
    file_quantized(&f, &(shape){"t", NQ_F32, 1, {4}, 6}, 2, book, code, &block, 1);
    bytes file = file_build(&f);
    behind b = {.file = &file};
    nq_reader *r = open_behind(&b, NULL);
    nq_decoder *d = make_decoder(r, 0, 0);
    uint16_t out[4];
    assert_int_equal(nq_decoder_read_indices(d, 0, 4, out), NQ_OK);
    assert_memory_equal(out, indices, sizeof indices);
    nq_decoder_destroy(d);
    nq_reader_destroy(r);
    nqi_encoder_destroy(encoder);
    free(counts);
    bytes_free(&block);
    bytes_free(&file);
    file_free(&f);
}

/* Small tables are what they are called, where there is a difference to make. */
static void test_small_tables(void **state)
{
    (void)state;
    model m = make_model();
    nq_reader *r = open_span(&m.file);
    nq_decoder_options options;
    nq_decoder_options_init(&options);
    for (unsigned i = 0; i < N_CODED; i++) {
        size_t usual, small;
        options.flags = 0;
        assert_int_equal(nq_decoder_size(&usual, r, i, &options, NULL), NQ_OK);
        options.flags = NQ_DECODER_SMALL_TABLES;
        assert_int_equal(nq_decoder_size(&small, r, i, &options, NULL), NQ_OK);
        assert_true(small <= usual);
        if (i == 3)
            assert_true(small < usual);
    }
    nq_reader_destroy(r);
    free_model(&m);
}

/* A decoder goes on after a read that failed, and after one that did not follow the last. */
static void test_reading_after_failing(void **state)
{
    (void)state;
    model m = make_model();
    behind b = {.file = &m.file};
    nq_reader *r = open_behind(&b, NULL);
    const coded *t = &m.t[3];
    nq_decoder *d = make_decoder(r, 3, 0);
    float *out = malloc(N_LARGEST * sizeof *out);
    uint64_t seed = 3;
    for (unsigned i = 0; i < 200; i++) {
        const size_t first = (size_t)(unit_random(&seed) % t->n);
        const size_t count = (size_t)(unit_random(&seed) % (t->n - first + 1));
        b.n_calls = 0;
        b.failing_call = 1 + (unsigned)(unit_random(&seed) % 8);
        const nq_status status = nq_decoder_read(d, NQ_F32, first, count, out);
        assert_true(status == NQ_OK || status == HOOKS_OWN_STATUS);
        b.failing_call = 0;
        if (i % 2)
            check_range(d, t, i % 3, first, count);
        check_indices(d, t, count, (t->n - count) / 2);
    }
    free(out);
    nq_decoder_destroy(d);
    nq_reader_destroy(r);
    free_model(&m);
}

/* ---- Very large files ---------------------------------------------------------------------- */

/* A file whose payload is never there: a head, a directory in which one block has another checksum
 * than the rest, and bytes that follow a rule. */
typedef struct sparse {
    bytes head;         /* header, index, tables' data */
    uint64_t directory; /* bytes of the directory behind it */
    uint32_t special_crc;
    uint64_t block_bytes;
    uint64_t special; /* the only block whose checksum is right */
    uint64_t n_bytes;
} sparse;

/* Byte at `at` of the blocks. */
static uint8_t sparse_byte(uint64_t at)
{
    return (uint8_t)(at % 251);
}

static nq_status read_sparse(void *user, uint64_t offset, void *out, size_t n_bytes)
{
    const sparse *s = user;
    uint8_t *p = out;
    for (size_t i = 0; i < n_bytes; i++) {
        const uint64_t at = offset + i;
        if (at < s->head.n)
            p[i] = s->head.at[at];
        else if (at < s->head.n + s->directory) {
            const uint64_t entry = (at - s->head.n) / 4;
            p[i] =
                (uint8_t)((entry == s->special ? s->special_crc : 0) >> 8 * ((at - s->head.n) % 4));
        } else
            p[i] = sparse_byte(at - s->head.n - s->directory);
    }
    assert_true(offset + n_bytes <= s->n_bytes);
    return NQ_OK;
}

/* The rule's period is no divisor of a block's size, so that blocks differ. */
static uint32_t sparse_crc(const sparse *s, uint64_t block)
{
    uint8_t *data = malloc((size_t)s->block_bytes);
    for (uint64_t i = 0; i < s->block_bytes; i++)
        data[i] = sparse_byte(block * s->block_bytes + i);
    const uint32_t crc = slow_crc(data, (size_t)s->block_bytes);
    free(data);
    return crc;
}

static void test_beyond_four_gib(void **state)
{
    (void)state;
    nq_file f = {.size_width = 8};
    const uint64_t n = UINT64_C(5) << 30, n_blocks = n >> 20;
    sparse s = {.block_bytes = 1 << 20,
                .special = (UINT64_C(4) << 30 >> 20) + 3,
                .directory = 4 * n_blocks};
    bytes body =
        begin_tensor(&f, &(shape){"big", NQ_U8, 2, {5 << 10, 1 << 20}, 20}, s.directory + n, 0);
    end_tensor(&f, &body);
    s.special_crc = sparse_crc(&s, s.special);
    s.head = file_build_head(&f, s.directory + n);
    s.n_bytes = s.head.n + s.directory + n;
    const nq_source source = {
        .struct_size = sizeof source, .n_bytes = s.n_bytes, .read = read_sparse, .user = &s};
    nq_reader *r;
    uint8_t out[5000];
    assert_int_equal(nq_reader_open_source(&r, NULL, &source, NULL), NQ_OK);
    nq_decoder *d = make_decoder(r, 0, 0);
    const uint64_t first = s.special * s.block_bytes + 1234; /* beyond 2^32 */
    assert_int_equal(nq_decoder_read(d, NQ_U8, first, sizeof out, out), NQ_OK);
    for (size_t i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], sparse_byte(first + i));
    assert_int_equal(nq_decoder_read(d, NQ_U8, n - 1, 1, out),
                     NQ_E_CHECKSUM); /* not its checksum */
    nq_decoder_destroy(d);
    nq_reader_destroy(r);
    bytes_free(&s.head);
    file_free(&f);
}

/* Quantized tensors of up to 2^34 elements, whose blocks have no bytes because there is one level.
 * Offsets take eight bytes from 2^29 elements on. */
static void check_many_elements(uint64_t n_elements, unsigned offset_bytes)
{
    static const float level = 7;
    const uint64_t n_blocks = (n_elements + (1 << 24) - 1) >> 24;
    nq_file f = {.size_width = 8};
    for (uint64_t i = 0; i < n_blocks * 4 + (n_blocks - 1) * offset_bytes; i++)
        put_u(&f.payloads, 0, 1);
    file_codebook_f32(&f, &level, 1);
    bytes body = begin_tensor(&f, &(shape){"big", 0, 1, {n_elements}, 24}, f.payloads.n, 1);
    put_u(&body, 0, 3);
    end_tensor(&f, &body);
    bytes file = file_build(&f);
    behind b = {.file = &file};
    nq_reader *span = open_span(&file), *callback = open_behind(&b, NULL);
    for (unsigned i = 0; i < 2; i++) {
        float out[3] = {0};
        nq_decoder *d = make_decoder(i ? callback : span, 0, 0);
        assert_int_equal(nq_decoder_read(d, NQ_F32, n_elements - 3, 3, out), NQ_OK);
        assert_true(out[0] == 7 && out[1] == 7 && out[2] == 7);
        assert_int_equal(nq_decoder_read(d, NQ_F32, n_elements - 2, 3, out), NQ_E_ARG);
        nq_decoder_destroy(d);
    }
    nq_reader_destroy(span);
    nq_reader_destroy(callback);
    bytes_free(&file);
    file_free(&f);
}

static void test_many_elements(void **state)
{
    (void)state;
    check_many_elements((UINT64_C(1) << 29) - 1, 4);
    check_many_elements(UINT64_C(1) << 29, 8);
    check_many_elements((UINT64_C(1) << 32) + 5, 8);
    check_many_elements((UINT64_C(1) << 34) + 1, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oracles),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_reading_on),
        cmocka_unit_test(test_codebooks),
        cmocka_unit_test(test_wrong_ranges),
        cmocka_unit_test(test_wrong_decoders),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_stored_conversions),
        cmocka_unit_test(test_parallel),
        cmocka_unit_test(test_wrong_parallel_ranges),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_progress_of_many),
        cmocka_unit_test(test_in_callers_memory),
        cmocka_unit_test(test_large_code_table),
        cmocka_unit_test(test_small_tables),
        cmocka_unit_test(test_reading_after_failing),
        cmocka_unit_test(test_beyond_four_gib),
        cmocka_unit_test(test_many_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
