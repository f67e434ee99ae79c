/*
 * Decoding a tensor of an open file in every way that there is: what one way accepts, all accept,
 * and all give the same.
 */
#ifndef NQI_TESTS_DECODE_WAYS_H
#define NQI_TESTS_DECODE_WAYS_H

#include "nq/nq.h"
#include "unit.h"

/* Tensors of more elements are read in part. */
enum { WAYS_MAX_ELEMENTS = 1 << 17 };

typedef struct ways_input {
    const nq_reader *span;
    const nq_reader *behind; /* the same file behind a callback */
    uint64_t tensor;
    nq_tensor_info info;
    uint64_t n; /* elements that are read */
} ways_input;

static inline nq_decoder *ways_decoder(const nq_reader *r, uint64_t tensor, uint64_t kind,
                                       nq_status *status)
{
    static const uint64_t masks[] = {0, NQ_CPU_ALL, NQ_CPU_AVX512VBMI2,
                                     NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2,
                                     NQ_CPU_AVX2 | NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2};
    nq_decoder_options options;
    nq_decoder *d;
    nq_diag diag;
    nq_decoder_options_init(&options);
    nq_diag_init(&diag);
    options.cpu_disabled = masks[kind % 5];
    options.flags = (kind / 5 % 2 ? NQ_DECODER_SMALL_TABLES : 0) |
                    (kind / 10 % 2 ? NQ_DECODER_SKIP_CHECKSUMS : 0);
    *status = nq_decoder_create(&d, NULL, r, tensor, &options, &diag);
    assert_true((*status == NQ_OK) == (d != NULL) && diag.status == *status);
    return d;
}

static inline bool ways_refused(nq_status status)
{
    return status == NQ_E_CORRUPT || status == NQ_E_TRUNCATED || status == NQ_E_CHECKSUM;
}

static inline size_t ways_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Indices in one call; they are below the number of levels. */
static inline nq_status ways_indices(uint16_t *out, nq_decoder *d, const ways_input *in)
{
    const nq_status status = nq_decoder_read_indices(d, 0, in->n, out);
    for (size_t i = 0; status == NQ_OK && i < in->n; i++)
        assert_true(out[i] < in->info.n_levels);
    assert_true(status == NQ_OK || ways_refused(status));
    return status;
}

/* Ranges one behind the other and anywhere; if the whole was fine, they are, and are the same. */
static inline void ways_ranges(nq_decoder *d, const ways_input *in, const uint16_t *whole,
                               nq_status expected, uint64_t *seed)
{
    const bool is_random = unit_random(seed) % 2;
    uint64_t at = 0;
    for (unsigned i = 0; i < 40 && at < in->n; i++) {
        const size_t most = (size_t)1 << unit_random(seed) % 14;
        if (is_random)
            at = unit_random(seed) % in->n;
        const size_t count = 1 + (size_t)(unit_random(seed) % ways_min(most, in->n - at));
        uint16_t *out = malloc(count * sizeof *out);
        const nq_status status = nq_decoder_read_indices(d, at, count, out);
        assert_true(status == NQ_OK || (ways_refused(status) && expected != NQ_OK));
        for (size_t k = 0; status == NQ_OK && k < count; k++)
            assert_true(out[k] < in->info.n_levels);
        if (expected == NQ_OK)
            assert_memory_equal(out, whole + at, count * sizeof *out);
        free(out);
        at += count;
    }
}

/* The channel of an element; 0 of tensors without channels. */
static inline uint64_t ways_channel(const ways_input *in, size_t element)
{
    uint64_t inner = 1;
    if (in->info.n_channels == 0)
        return 0;
    for (uint32_t axis = in->info.channel_axis + 1; axis < in->info.rank; axis++)
        inner *= in->info.dims[axis];
    return element / inner % in->info.n_channels;
}

/* Values are the levels of the indices. */
static inline void ways_values(nq_decoder *d, const ways_input *in, const uint16_t *indices,
                               nq_status expected)
{
    const size_t n = (size_t)in->n;
    const float *levels;
    size_t n_levels;
    float *out = malloc((n + 1) * sizeof *out);
    assert_int_equal(nq_decoder_codebook(d, &levels, &n_levels), NQ_OK);
    assert_true(n_levels == in->info.n_stored_levels);
    const nq_status status = nq_decoder_read(d, NQ_F32, 0, n, out);
    assert_int_equal(status == NQ_OK, expected == NQ_OK);
    for (size_t i = 0; status == NQ_OK && i < n; i++) {
        if (in->info.n_channels > 0)
            assert_int_equal(
                nq_decoder_channel_codebook(d, ways_channel(in, i), &levels, &n_levels, NULL),
                NQ_OK);
        assert_true(indices[i] < n_levels);
        assert_memory_equal(&out[i], &levels[indices[i]], sizeof *out);
    }
    uint16_t *halves = (uint16_t *)(void *)out;
    assert_int_equal(nq_decoder_read(d, n % 2 ? NQ_F16 : NQ_BF16, 0, n, halves) == NQ_OK,
                     expected == NQ_OK);
    free(out);
}

/* The levels that an element's index chooses from; `all` are those of the whole tensor. */
static inline const float *ways_levels(const nq_decoder *d, const ways_input *in, size_t element,
                                       const float *all)
{
    const float *levels = all;
    size_t n_levels;
    if (in->info.n_channels > 0)
        assert_int_equal(nq_decoder_channel_codebook(d, ways_channel(in, element), &levels,
                                                     &n_levels, NULL),
                         NQ_OK);
    return levels;
}

/* Whole multiples of a step, where levels are that; and numbers of the caller's for each level. */
static inline void ways_integers(nq_decoder *d, const ways_input *in, const uint16_t *indices,
                                 nq_status expected)
{
    const size_t n = (size_t)in->n;
    const float *all;
    size_t n_all;
    int16_t *out = malloc((n + 1) * sizeof *out);
    assert_int_equal(nq_decoder_codebook(d, &all, &n_all), NQ_OK);
    const bool fits = nq_decoder_read(d, NQ_I16, 0, 0, out) == NQ_OK;
    nq_status status = nq_decoder_read(d, NQ_I16, 0, n, out);
    assert_int_equal(status == NQ_OK, fits && expected == NQ_OK);
    for (size_t i = 0; status == NQ_OK && i < n; i++) {
        double step;
        const float level = ways_levels(d, in, i, all)[indices[i]];
        assert_int_equal(nq_decoder_step(d, ways_channel(in, i), &step), NQ_OK);
        assert_true((float)(step * (double)out[i]) == level);
    }
    status = nq_decoder_read(d, NQ_I8, 0, n, out);
    assert_true(status != NQ_OK || (fits && expected == NQ_OK));
    uint16_t *numbers = malloc(n_all * sizeof *numbers);
    for (size_t i = 0; i < n_all; i++)
        numbers[i] = (uint16_t)(i * 40503u);
    status = nq_decoder_read_mapped(d, numbers, 2, 0, n, out);
    assert_int_equal(status == NQ_OK, expected == NQ_OK);
    for (size_t i = 0; status == NQ_OK && i < n; i++)
        assert_true((uint16_t)out[i] == numbers[ways_levels(d, in, i, all) - all + indices[i]]);
    status = nq_decoder_read_mapped(d, numbers, 1, 0, n, out);
    assert_int_equal(status == NQ_OK, expected == NQ_OK);
    free(numbers);
    free(out);
}

/* Products do not go wrong; that they are right is for the unit tests. */
static inline void ways_product(nq_decoder *d, const ways_input *in, nq_status expected)
{
    const uint64_t n_rows = in->info.rank > 1 ? in->info.dims[0] : 1;
    const uint64_t n_columns = in->info.n_elements / (n_rows ? n_rows : 1);
    if (in->info.n_elements != in->n || in->n == 0 || n_rows == 0)
        return;
    float *x = calloc((size_t)n_columns, sizeof *x), *y = calloc((size_t)n_rows, sizeof *y);
    const nq_status status = nq_decoder_matvec(d, 0, n_rows, x, y);
    assert_int_equal(status == NQ_OK, expected == NQ_OK);
    free(x);
    free(y);
}

static inline nq_status ways_decode_quantized(const ways_input *in, uint64_t seed)
{
    const size_t room = ((size_t)in->n + 1) * sizeof(uint16_t);
    uint16_t *first = malloc(room), *out = malloc(room);
    nq_status made, expected = NQ_OK;
    nq_decoder *d = ways_decoder(in->span, in->tensor, 0, &made);
    if (d)
        expected = ways_indices(first, d, in);
    nq_decoder_destroy(d);
    for (unsigned i = 0; i < 4; i++) {
        nq_status status;
        const nq_reader *r = unit_random(&seed) % 2 ? in->span : in->behind;
        /* Without checksums more is accepted, unless everything was. */
        const uint64_t kind = unit_random(&seed) % (made == NQ_OK && expected != NQ_OK ? 10 : 20);
        d = ways_decoder(r, in->tensor, kind, &status);
        if (!d || made != NQ_OK) {
            /* A directory is looked at sooner behind a callback. */
            assert_true(made != NQ_OK ? !d : r == in->behind && expected != NQ_OK);
            nq_decoder_destroy(d);
            continue;
        }
        status = ways_indices(out, d, in);
        assert_int_equal(status == NQ_OK, expected == NQ_OK);
        if (status == NQ_OK)
            assert_memory_equal(out, first, (size_t)in->n * sizeof *out);
        ways_ranges(d, in, first, expected, &seed);
        ways_values(d, in, first, expected);
        ways_integers(d, in, first, expected);
        ways_product(d, in, expected);
        nq_decoder_destroy(d);
    }
    free(first);
    free(out);
    return made == NQ_OK ? expected : made;
}

static inline nq_status ways_decode_stored(const ways_input *in, uint64_t seed)
{
    const uint64_t bits = nq_dtype_bits(in->info.dtype), n = in->n;
    const size_t n_bytes = (size_t)(n * bits / 8);
    uint8_t *first = malloc(n_bytes + 1), *out = malloc(n_bytes + 1);
    nq_status made, expected = NQ_OK;
    nq_decoder *d = ways_decoder(in->span, in->tensor, 0, &made);
    assert_true(d != NULL);
    expected = nq_decoder_read(d, in->info.dtype, 0, n, first);
    assert_true(expected == NQ_OK || expected == NQ_E_CHECKSUM);
    nq_decoder_destroy(d);
    for (unsigned i = 0; i < 2; i++) {
        d = ways_decoder(i ? in->behind : in->span, in->tensor, unit_random(&seed) % 10, &made);
        assert_true(d != NULL);
        assert_int_equal(nq_decoder_read(d, in->info.dtype, 0, n, out), expected);
        if (expected == NQ_OK)
            assert_memory_equal(out, first, n_bytes);
        for (unsigned k = 0; k < 10 && n > 0; k++) {
            /* Eight of any type are whole bytes, as is the whole. */
            const uint64_t at = unit_random(&seed) % n / 8 * 8;
            const uint64_t count = ways_min(8 * (1 + unit_random(&seed) % 9), n - at);
            const nq_status status = nq_decoder_read(d, in->info.dtype, at, count, out);
            assert_true(status == NQ_OK || expected != NQ_OK);
            if (expected == NQ_OK)
                assert_memory_equal(out, first + at * bits / 8, (size_t)(count * bits / 8));
        }
        nq_decoder_destroy(d);
    }
    free(first);
    free(out);
    return expected;
}

/* Coded without loss: the elements as they were, in one call and in ranges; in other floating types
 * what goes well in its own does. */
static inline nq_status ways_decode_patterns(const ways_input *in, uint64_t seed)
{
    const size_t width = nq_dtype_bits(in->info.dtype) / 8, n = (size_t)in->n;
    uint8_t *first = malloc(n * width + 1), *out = malloc(n * sizeof(float) + 1);
    nq_status made, status, expected = NQ_OK;
    nq_decoder *d = ways_decoder(in->span, in->tensor, 0, &made);
    if (d)
        expected = nq_decoder_read(d, in->info.dtype, 0, n, first);
    assert_true(expected == NQ_OK || ways_refused(expected));
    nq_decoder_destroy(d);
    for (unsigned i = 0; i < 4 && made == NQ_OK; i++) {
        const nq_reader *r = unit_random(&seed) % 2 ? in->span : in->behind;
        d = ways_decoder(r, in->tensor, unit_random(&seed) % (expected != NQ_OK ? 10 : 20),
                         &status);
        assert_true(d || (r == in->behind && expected != NQ_OK));
        if (!d)
            continue;
        assert_int_equal(nq_decoder_read(d, in->info.dtype, 0, n, out) == NQ_OK, expected == NQ_OK);
        if (expected == NQ_OK)
            assert_memory_equal(out, first, n * width);
        for (unsigned k = 0; k < 10 && n > 0; k++) {
            const size_t at = (size_t)(unit_random(&seed) % n);
            const size_t count = ways_min(1 + unit_random(&seed) % 5000, n - at);
            status = nq_decoder_read(d, in->info.dtype, at, count, out);
            assert_true(status == NQ_OK || (ways_refused(status) && expected != NQ_OK));
            if (expected == NQ_OK)
                assert_memory_equal(out, first + at * width, count * width);
        }
        for (uint32_t dtype = NQ_F32; dtype <= NQ_BF16; dtype++) {
            status = nq_decoder_read(d, dtype, 0, n, out);
            assert_int_equal(status == NQ_OK, expected == NQ_OK && in->info.dtype <= NQ_BF16);
        }
        if (in->info.dtype <= NQ_BF16)
            ways_product(d, in, expected);
        nq_decoder_destroy(d);
    }
    free(first);
    free(out);
    return made == NQ_OK ? expected : made;
}

/* Decodes one tensor every way; NQ_OK, or what the first way met. */
static inline nq_status ways_decode(const nq_reader *span, const nq_reader *behind, uint64_t tensor,
                                    uint64_t seed)
{
    ways_input in = {.span = span, .behind = behind, .tensor = tensor};
    nq_tensor_info_init(&in.info);
    assert_int_equal(nq_reader_tensor(span, tensor, &in.info), NQ_OK);
    in.n = in.info.n_elements < WAYS_MAX_ELEMENTS ? in.info.n_elements : WAYS_MAX_ELEMENTS;
    if (in.info.codec == NQ_CODEC_STORED)
        return ways_decode_stored(&in, seed);
    return in.info.n_levels == 0 ? ways_decode_patterns(&in, seed)
                                 : ways_decode_quantized(&in, seed);
}

#endif
