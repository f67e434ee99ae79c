/*
 * Round trips: a few tensors of any floats, with any options, through a plan into a file and back.
 * What comes back must be what the options promise, and the file the same with other workers and
 * kernels.
 *
 * Input: options (48 bytes, see draw_options), number of tensors, then for each: kind, length, own
 * options, and what its numbers are made of.
 */
#include <math.h>

#include "decode_ways.h"
#include "fuzz.h"

enum { MAX_TENSORS = 3, MAX_ELEMENTS = 3000 };

typedef struct plan_input {
    nq_plan_options options;
    uint32_t n_tensors;
    nq_tensor tensors[MAX_TENSORS];
    nq_tensor importance[MAX_TENSORS];
    bool has_importance[MAX_TENSORS];
    nq_plan_tensor_options own[MAX_TENSORS];
    bool has_nonsense; /* numbers that are not finite, or negative importance */
} plan_input;

/* ---- Drawing ------------------------------------------------------------------------------- */

static double draw_value(draw *d)
{
    static const double values[] = {0.05, 0.3, 1,   2,   3.2,  7.5,  16,
                                    40,   64,  100, 300, 1000, 1e-3, 0.5};
    const uint64_t kind = draw_u(d, 1);
    if (kind < 200)
        return values[kind % (sizeof values / sizeof *values)];
    double value;
    const uint64_t bits = draw_u(d, 8);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void draw_options(nq_plan_options *o, draw *d)
{
    static const uint32_t codecs[] = {NQ_CODEC_AUTO, NQ_CODEC_FIXED, NQ_CODEC_HUFFMAN,
                                      NQ_CODEC_RANS, NQ_CODEC_HUFFMAN_GAPS};
    nq_plan_options_init(o);
    o->method = (uint32_t)draw_below(d, 3);
    o->target = 1 + (uint32_t)draw_below(d, 7);
    o->scope = (uint32_t)draw_below(d, 3);
    o->channel_axis = (uint32_t)draw_below(d, 2);
    o->level_rule = (uint32_t)draw_below(d, 3);
    o->codec = codecs[draw_below(d, 5)];
    o->max_code_length = (uint32_t)(draw_u(d, 1) % 4 ? 0 : draw_below(d, 25));
    o->block_log2 = (uint32_t)(draw_u(d, 1) % 2 ? 0 : 10 + draw_below(d, 15));
    o->importance_mean = (uint32_t)draw_below(d, 3);
    o->min_elements = draw_below(d, 2) ? 0 : 100;
    o->target_value = draw_value(d);
    if (draw_u(d, 1) % 4 == 0)
        o->importance_power = draw_value(d);
    if (draw_u(d, 1) % 4 == 0)
        o->importance_floor = draw_value(d);
    o->rdo = (uint32_t)draw_below(d, 2);
    if (draw_u(d, 1) % 4 == 0)
        o->rdo_lambda = draw_value(d);
    o->allocate = (uint32_t)draw_below(d, 2);
    if (draw_u(d, 1) % 4 == 0)
        o->density = (1 + (double)draw_u(d, 1)) / 256;
}

static void draw_own_options(nq_plan_tensor_options *o, draw *d)
{
    nq_plan_tensor_options_init(o);
    const uint64_t kind = draw_u(d, 1);
    if (kind % 8 == 1)
        o->keep = 1 + (uint32_t)draw_below(d, 2);
    if (kind % 8 == 2)
        o->scope = (uint32_t)draw_below(d, 3);
    if (kind % 8 == 3) {
        o->target = 1 + (uint32_t)draw_below(d, 3);
        o->target_value = draw_value(d);
    }
    if (kind % 8 == 4)
        o->density = (1 + (double)draw_u(d, 1)) / 256;
    if (kind % 8 == 5)
        o->method = (uint32_t)draw_below(d, 3);
}

/* Floats of a few kinds: any bits, small whole numbers, something like a bell. */
static float draw_float(draw *d, uint64_t kind)
{
    uint32_t bits;
    float value;
    switch (kind % 4) {
    case 0:
        return (float)((int)draw_u(d, 1) - 128) / 16;
    case 1:
        return (float)((int)draw_u(d, 1) + (int)draw_u(d, 1) + (int)draw_u(d, 1) - 384) *
               (float)ldexp(1, (int)(kind / 4 % 32) - 16);
    case 2:
        bits = (uint32_t)draw_u(d, 4);
        break;
    default: /* finite */
        bits = (uint32_t)draw_u(d, 4) & 0xbfffffff;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool is_nonsense(const float *x, size_t n, bool is_importance)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]) || (is_importance && x[i] < 0))
            return true;
    return false;
}

/* n floats; they repeat when the input is at its end. */
static float *draw_floats(draw *d, size_t n, bool is_importance, bool *has_nonsense)
{
    const uint64_t kind = draw_u(d, 1);
    const draw all = *d;
    float *x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        if (d->left == 0)
            *d = all;
        x[i] = draw_float(d, kind);
        if (is_importance && kind % 4 != 2)
            x[i] = fabsf(x[i]);
    }
    *has_nonsense |= is_nonsense(x, n, is_importance);
    return x;
}

static void draw_tensor(plan_input *in, uint32_t i, draw *d)
{
    static const char *const names[] = {"a", "b", "c"};
    nq_tensor *t = &in->tensors[i];
    const uint64_t shape = draw_u(d, 1), n = draw_u(d, 2) % MAX_ELEMENTS;
    nq_tensor_init(t);
    t->dtype = (uint32_t)draw_below(d, 3);
    t->rank = 1 + (uint32_t)(shape % 2);
    t->dims[0] = t->rank == 2 ? 1 + shape / 2 % 9 : n;
    t->dims[1] = n / 9;
    t->name = names[i];
    t->name_bytes = 1;
    const size_t n_elements = (size_t)(t->rank == 2 ? t->dims[0] * t->dims[1] : n);
    in->has_importance[i] = draw_u(d, 1) % 3 == 0;
    draw_own_options(&in->own[i], d);
    bool weights_are_nonsense = false;
    float *x = draw_floats(d, n_elements, false, &weights_are_nonsense);
    /* Of the other types: upper halves of floats; not all of them are finite as F16. */
    for (size_t k = 0; t->dtype != NQ_F32 && k < n_elements; k++) {
        uint32_t bits;
        memcpy(&bits, &x[k], sizeof bits);
        const uint16_t half = (uint16_t)(bits >> 16);
        memcpy((uint8_t *)x + 2 * k, &half, sizeof half);
        weights_are_nonsense |= t->dtype == NQ_F16 && (half & 0x7c00) == 0x7c00;
    }
    in->has_nonsense |= weights_are_nonsense;
    t->data = x;
    in->importance[i] = *t;
    in->importance[i].dtype = NQ_F32;
    in->importance[i].data =
        in->has_importance[i] ? draw_floats(d, n_elements, true, &in->has_nonsense) : NULL;
}

/* ---- Running ------------------------------------------------------------------------------- */

static nq_status write_bytes(void *user, uint64_t offset, const void *data, size_t n_bytes)
{
    bytes *b = user;
    assert_true(offset + n_bytes < (uint64_t)1 << 26);
    while (b->n < offset + n_bytes)
        put_u(b, 0, 1);
    memcpy(b->at + offset, data, n_bytes);
    return NQ_OK;
}

static void run_backwards(void *user, uint64_t n_tasks, nq_task_fn task, void *arg)
{
    (void)user;
    for (uint64_t i = n_tasks; i-- > 0;)
        task(arg, i, (uint32_t)(i % 3));
}

static bool is_expected(const plan_input *in, nq_status status)
{
    switch (status) {
    case NQ_OK:
    case NQ_E_ARG:
    case NQ_E_TARGET:
    case NQ_E_LIMIT:
    case NQ_E_UNSUPPORTED:
    case NQ_E_NUMERIC: /* also what overflows on the way */
        return true;
    default:
        (void)in;
        return false;
    }
}

static nq_status make_file(bytes *file, nq_plan **plan, const nq_ctx *ctx, const plan_input *in)
{
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = write_bytes;
    sink.user = file;
    nq_status status = nq_plan_create(plan, ctx, &in->options);
    for (uint32_t i = 0; i < in->n_tensors && status == NQ_OK; i++)
        status = nq_plan_add(*plan, &in->tensors[i],
                             in->has_importance[i] ? &in->importance[i] : NULL, &in->own[i]);
    return status == NQ_OK ? nq_plan_write(*plan, &sink) : status;
}

static void check_again(const bytes *file, nq_status expected, const plan_input *in, uint64_t seed)
{
    static const uint64_t masks[] = {NQ_CPU_ALL, NQ_CPU_AVX512 | NQ_CPU_AVX512VBMI2, 0};
    nq_ctx_options options;
    nq_ctx *ctx;
    nq_plan *plan;
    bytes again = {0};
    nq_ctx_options_init(&options);
    options.cpu_disabled = masks[seed % 3];
    options.parallel_for = run_backwards;
    options.max_workers = 3;
    assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
    assert_int_equal(make_file(&again, &plan, ctx, in), expected);
    if (expected == NQ_OK) {
        assert_int_equal(again.n, file->n);
        assert_memory_equal(again.at, file->at, file->n);
    }
    nq_plan_destroy(plan);
    nq_ctx_destroy(ctx);
    bytes_free(&again);
}

static void check_promises(const nq_plan *plan, const plan_input *in, const bytes *file)
{
    const double value = in->options.target_value;
    nq_plan_report report = {.struct_size = sizeof report};
    assert_int_equal(nq_plan_get_report(plan, &report), NQ_OK);
    assert_true(report.compressed_bytes == file->n && report.n_tensors == in->n_tensors);
    switch (in->options.target) {
    case NQ_TARGET_BITS_PER_WEIGHT:
        assert_true(8 * (double)file->n <= value * (double)report.n_elements);
        break;
    case NQ_TARGET_RATIO:
        assert_true((double)file->n * value <= (double)report.original_bytes);
        break;
    case NQ_TARGET_FILE_BYTES:
        assert_true((double)file->n <= value);
        break;
    case NQ_TARGET_SQNR_DB:
        assert_true(report.sqnr_db >= value);
        break;
    default:
        break;
    }
}

static void check_tensor(const nq_reader *r, uint64_t i, const plan_input *in)
{
    nq_tensor_info info;
    const nq_tensor *t = &in->tensors[i];
    uint64_t n;
    nq_tensor_info_init(&info);
    assert_int_equal(nq_reader_tensor(r, i, &info), NQ_OK);
    assert_int_equal(nq_tensor_elements(&n, t), NQ_OK);
    assert_true(info.n_elements == n && info.dtype == t->dtype && info.rank == t->rank);
    assert_int_equal(ways_decode(r, r, i, in->options.target + i), NQ_OK);
    const size_t n_bytes = (size_t)n * nq_dtype_bits(t->dtype) / 8;
    uint8_t *out = malloc(n_bytes + 1);
    assert_int_equal(nq_reader_decode(r, NULL, i, t->dtype, 0, n, out, NULL), NQ_OK);
    if (info.codec == NQ_CODEC_STORED && n_bytes > 0)
        assert_memory_equal(out, t->data, n_bytes);
    free(out);
}

static void check_file(const bytes *file, const plan_input *in)
{
    nq_reader *r;
    assert_int_equal(nq_reader_open(&r, NULL, file->at, file->n, NULL), NQ_OK);
    assert_int_equal(nq_reader_verify(r, NULL, NQ_NONE, NULL, NULL, NULL), NQ_OK);
    for (uint32_t i = 0; i < in->n_tensors; i++)
        check_tensor(r, i, in);
    nq_reader_destroy(r);
}

static void run(const uint8_t *data, size_t n_bytes)
{
    draw d = {data, n_bytes};
    plan_input in = {.n_tensors = 0};
    bytes file = {0};
    nq_plan *plan;
    draw_options(&in.options, &d);
    const uint64_t seed = draw_u(&d, 1);
    in.n_tensors = 1 + (uint32_t)draw_below(&d, MAX_TENSORS);
    for (uint32_t i = 0; i < in.n_tensors; i++)
        draw_tensor(&in, i, &d);
    const nq_status status = make_file(&file, &plan, NULL, &in);
    assert_true(is_expected(&in, status));
    if (plan) {
        nq_diag diag;
        nq_diag_init(&diag);
        assert_int_equal(nq_plan_diag(plan, &diag), NQ_OK);
        assert_true(diag.status == status && (diag.what[0] != '\0') == (status != NQ_OK));
    }
    if (status == NQ_OK) {
        check_promises(plan, &in, &file);
        check_file(&file, &in);
    }
    nq_plan_destroy(plan);
    check_again(&file, status, &in, seed);
    bytes_free(&file);
    for (uint32_t i = 0; i < in.n_tensors; i++) {
        free((void *)(uintptr_t)in.tensors[i].data);
        free((void *)(uintptr_t)in.importance[i].data);
    }
}

static bytes make_seed(uint64_t number)
{
    bytes b = {0};
    uint64_t seed = number;
    for (unsigned i = 0; i < 40; i++)
        put_u(&b, unit_random(&seed) % 200, 1);
    for (uint64_t n = unit_random(&seed) % 400; n > 0; n--)
        put_u(&b, unit_random(&seed), 1);
    return b;
}

const fuzz_target fuzz_plan = {"plan", run, make_seed};
