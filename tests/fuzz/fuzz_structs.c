/*
 * Versioned structs of any size and contents, in memory of just that size, given to every function
 * that takes one: nothing is touched behind them, sizes that cannot be are NQ_E_ABI, and so is a
 * tail that this library does not know.
 *
 * Input: which function, size of the struct (2 bytes), what is in it.
 */
#include "fuzz.h"
#include "nq_hooks.h"
#include "valid_file.h"

typedef struct struct_input {
    uint8_t *given; /* struct_size bytes */
    uint32_t size;
    uint64_t seed;
} struct_input;

/* A file that can be asked. */
static nq_reader *any_reader(valid_file *v, uint64_t seed)
{
    nq_reader *r;
    do {
        *v = valid_file_make(&seed);
        if (v->n_tensors > 0)
            break;
        valid_file_free(v);
    } while (true);
    assert_int_equal(nq_reader_open(&r, NULL, v->file.at, v->file.n, NULL), NQ_OK);
    return r;
}

/* ---- Options ------------------------------------------------------------------------------- */

/* Hooks and pointers among the contents would be called: they are cleared. */
static void clear(const struct_input *in, size_t offset, size_t n)
{
    for (size_t i = offset; i < offset + n && i < in->size; i++)
        in->given[i] = 0;
}

static nq_status give_ctx(const struct_input *in)
{
    nq_ctx *ctx;
    clear(in, offsetof(nq_ctx_options, max_workers), 8); /* no pools of a thousand threads */
    clear(in, offsetof(nq_ctx_options, alloc),
          sizeof(nq_ctx_options) - offsetof(nq_ctx_options, alloc));
    const nq_status status = nq_ctx_create(&ctx, (const nq_ctx_options *)(void *)in->given);
    nq_ctx_destroy(ctx);
    return status;
}

static nq_status give_encoder(const struct_input *in)
{
    static uint64_t counts[NQ_MAX_LEVELS];
    nq_encoder *e;
    const nq_status status =
        nq_encoder_create(&e, NULL, (const nq_encoder_options *)(void *)in->given, counts);
    nq_encoder_destroy(e);
    return status;
}

static nq_status give_plan(const struct_input *in)
{
    nq_plan *plan;
    const nq_status status =
        nq_plan_create(&plan, NULL, (const nq_plan_options *)(void *)in->given);
    nq_plan_destroy(plan);
    return status;
}

static nq_status give_plan_tensor(const struct_input *in)
{
    static const float weights[8];
    nq_plan *plan;
    nq_tensor t;
    nq_tensor_init(&t);
    t.rank = 1;
    t.dims[0] = 8;
    t.data = weights;
    assert_int_equal(nq_plan_create(&plan, NULL, NULL), NQ_OK);
    const nq_status status =
        nq_plan_add(plan, &t, NULL, (const nq_plan_tensor_options *)(void *)in->given);
    nq_plan_destroy(plan);
    return status;
}

/* Only shapes of no elements can have data that are not there. */
static nq_status give_tensor(const struct_input *in)
{
    nq_plan *plan;
    clear(in, offsetof(nq_tensor, name_bytes), 4);
    clear(in, offsetof(nq_tensor, name), sizeof(nq_tensor) - offsetof(nq_tensor, name));
    assert_int_equal(nq_plan_create(&plan, NULL, NULL), NQ_OK);
    const nq_status status = nq_plan_add(plan, (const nq_tensor *)(void *)in->given, NULL, NULL);
    nq_plan_destroy(plan);
    return status;
}

static nq_status give_source(const struct_input *in)
{
    nq_reader *r;
    clear(in, offsetof(nq_source, bytes), sizeof(nq_source) - offsetof(nq_source, bytes));
    const nq_status status =
        nq_reader_open_source(&r, NULL, (const nq_source *)(void *)in->given, NULL);
    assert_true(r == NULL);
    return status;
}

static nq_status give_sink(const struct_input *in)
{
    nq_plan *plan;
    clear(in, offsetof(nq_sink, write), sizeof(nq_sink) - offsetof(nq_sink, write));
    nq_plan_options options;
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_STEP;
    options.target_value = 1;
    assert_int_equal(nq_plan_create(&plan, NULL, &options), NQ_OK);
    const nq_status status = nq_plan_write(plan, (const nq_sink *)(void *)in->given);
    nq_plan_destroy(plan);
    return status;
}

static nq_status give_kmeans(const struct_input *in)
{
    static const float weights[] = {1, 2, 3, 5, 8};
    nq_codebook *book;
    nq_tensor t;
    nq_tensor_init(&t);
    t.rank = 1;
    t.dims[0] = 5;
    t.data = weights;
    const nq_tensor *const tensors[] = {&t};
    clear(in, offsetof(nq_kmeans_options, levels),
          sizeof(nq_kmeans_options) - offsetof(nq_kmeans_options, levels));
    const nq_status status = nq_kmeans(&book, NULL, NULL, tensors, NULL, 1,
                                       (const nq_kmeans_options *)(void *)in->given, NULL);
    nq_codebook_destroy(book);
    return status;
}

static nq_status give_ecsq(const struct_input *in)
{
    static const float weights[] = {1, 2, 3, 5, 8};
    nq_codebook *book;
    nq_tensor t;
    nq_tensor_init(&t);
    t.rank = 1;
    t.dims[0] = 5;
    t.data = weights;
    const nq_tensor *const tensors[] = {&t};
    clear(in, offsetof(nq_ecsq_options, lengths),
          sizeof(nq_ecsq_options) - offsetof(nq_ecsq_options, lengths));
    const nq_status status = nq_ecsq(&book, NULL, NULL, tensors, NULL, 1,
                                     (const nq_ecsq_options *)(void *)in->given, NULL);
    nq_codebook_destroy(book);
    return status;
}

static nq_status give_prune(const struct_input *in)
{
    static const float weights[] = {1, 2, 3, 5, 8};
    uint8_t mask[5], *masks[] = {mask};
    nq_tensor t;
    nq_tensor_init(&t);
    t.rank = 1;
    t.dims[0] = 5;
    t.data = weights;
    const nq_tensor *const tensors[] = {&t};
    return nq_prune(masks, NULL, NULL, tensors, NULL, 1,
                    (const nq_prune_options *)(void *)in->given, NULL);
}

static nq_status give_reader_options(const struct_input *in)
{
    valid_file v;
    nq_reader *r = any_reader(&v, in->seed);
    nq_source source;
    size_t n_bytes;
    nq_source_init(&source);
    source.bytes = v.file.at;
    source.n_bytes = v.file.n;
    const nq_status status =
        nq_reader_size(&n_bytes, &source, (const nq_reader_options *)(void *)in->given, NULL);
    nq_reader_destroy(r);
    valid_file_free(&v);
    return status;
}

static nq_status give_decoder_options(const struct_input *in)
{
    valid_file v;
    nq_reader *r = any_reader(&v, in->seed);
    nq_decoder *d;
    const nq_status status =
        nq_decoder_create(&d, NULL, r, 0, (const nq_decoder_options *)(void *)in->given, NULL);
    nq_decoder_destroy(d);
    nq_reader_destroy(r);
    valid_file_free(&v);
    return status;
}

/* ---- Reports ------------------------------------------------------------------------------- */

static nq_status ask_reader_info(const struct_input *in)
{
    valid_file v;
    nq_reader *r = any_reader(&v, in->seed);
    const nq_status status = nq_reader_get_info(r, (nq_reader_info *)(void *)in->given);
    nq_reader_destroy(r);
    valid_file_free(&v);
    return status;
}

static nq_status ask_tensor_info(const struct_input *in)
{
    valid_file v;
    nq_reader *r = any_reader(&v, in->seed);
    const nq_status status = nq_reader_tensor(r, 0, (nq_tensor_info *)(void *)in->given);
    nq_reader_destroy(r);
    valid_file_free(&v);
    return status;
}

static nq_status ask_stats(const struct_input *in)
{
    nq_stats *stats;
    assert_int_equal(nq_stats_create(&stats, NULL), NQ_OK);
    const nq_status status = nq_stats_get_info(stats, (nq_stats_info *)(void *)in->given);
    nq_stats_destroy(stats);
    return status;
}

static nq_status ask_codebook(const struct_input *in)
{
    static const float levels[] = {1, 2};
    nq_codebook *book;
    assert_int_equal(nq_codebook_create(&book, NULL, levels, 2), NQ_OK);
    const nq_status status = nq_codebook_get_report(book, (nq_codebook_report *)(void *)in->given);
    nq_codebook_destroy(book);
    return status;
}

static nq_status ask_diag(const struct_input *in)
{
    nq_reader *r;
    const nq_status status = nq_reader_open(&r, NULL, "nothing", 7, (nq_diag *)(void *)in->given);
    assert_true(status == NQ_E_CORRUPT || status == NQ_E_ABI);
    return status == NQ_E_ABI ? NQ_E_ABI : NQ_OK;
}

static nq_status ask_plan(const struct_input *in, bool of_tensor)
{
    static const float weights[] = {1, 2, 3, 5, 8};
    nq_plan *plan;
    nq_plan_options options;
    nq_tensor t;
    nq_tensor_init(&t);
    t.rank = 1;
    t.dims[0] = 5;
    t.data = weights;
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_STEP;
    options.target_value = 1;
    options.min_elements = 0;
    assert_int_equal(nq_plan_create(&plan, NULL, &options), NQ_OK);
    assert_int_equal(nq_plan_add(plan, &t, NULL, NULL), NQ_OK);
    assert_int_equal(nq_plan_write(plan, NULL), NQ_OK);
    const nq_status status =
        of_tensor ? nq_plan_get_tensor_report(plan, 0, (nq_plan_tensor_report *)(void *)in->given)
                  : nq_plan_get_report(plan, (nq_plan_report *)(void *)in->given);
    nq_plan_destroy(plan);
    return status;
}

static nq_status ask_plan_report(const struct_input *in)
{
    return ask_plan(in, false);
}

static nq_status ask_plan_tensor_report(const struct_input *in)
{
    return ask_plan(in, true);
}

static nq_status ask_distortion(const struct_input *in)
{
    static const float weights[] = {1, 2, 3, 5, 8};
    nq_tensor t;
    nq_tensor_init(&t);
    t.rank = 1;
    t.dims[0] = 5;
    t.data = weights;
    return nq_distortion_add((nq_distortion *)(void *)in->given, NULL, &t, &t, NULL);
}

/* ---- All of them --------------------------------------------------------------------------- */

typedef struct door {
    nq_status (*give)(const struct_input *in);
    size_t size;    /* that this library knows */
    bool is_report; /* a tail is zeroed, not refused */
} door;

static const door doors[] = {
    {give_ctx, sizeof(nq_ctx_options), false},
    {give_encoder, sizeof(nq_encoder_options), false},
    {give_plan, sizeof(nq_plan_options), false},
    {give_plan_tensor, sizeof(nq_plan_tensor_options), false},
    {give_tensor, sizeof(nq_tensor), false},
    {give_source, sizeof(nq_source), false},
    {give_sink, sizeof(nq_sink), false},
    {give_kmeans, sizeof(nq_kmeans_options), false},
    {give_ecsq, sizeof(nq_ecsq_options), false},
    {give_prune, sizeof(nq_prune_options), false},
    {give_reader_options, sizeof(nq_reader_options), false},
    {give_decoder_options, sizeof(nq_decoder_options), false},
    {ask_reader_info, sizeof(nq_reader_info), true},
    {ask_tensor_info, sizeof(nq_tensor_info), true},
    {ask_stats, sizeof(nq_stats_info), true},
    {ask_codebook, sizeof(nq_codebook_report), true},
    {ask_diag, sizeof(nq_diag), true},
    {ask_plan_report, sizeof(nq_plan_report), true},
    {ask_plan_tensor_report, sizeof(nq_plan_tensor_report), true},
    {ask_distortion, sizeof(nq_distortion), false},
};

enum { N_DOORS = sizeof doors / sizeof *doors };

static bool has_tail(const struct_input *in, size_t known)
{
    for (size_t i = known; i < in->size; i++)
        if (in->given[i] != 0)
            return true;
    return false;
}

static void run(const uint8_t *data, size_t n_bytes)
{
    draw d = {data, n_bytes};
    const door *way = &doors[draw_u(&d, 1) % N_DOORS];
    const uint64_t kind = draw_u(&d, 1);
    uint32_t size = (uint32_t)draw_u(&d, 2) % 5000;
    if (kind % 4 == 0)
        size = (uint32_t)way->size;
    if (kind % 4 == 1)
        size = (uint32_t)way->size + size % 64;
    if (kind % 4 == 2)
        size = size % (uint32_t)way->size;
    /* What is there is at least the number itself; a size that lies is the program's own fault. */
    size = size < 4 ? 4 : size;
    struct_input in = {.given = malloc(size), .size = size, .seed = kind / 8 % 8};
    memset(in.given, 0, size);
    size_t n = size - 4;
    const uint8_t *contents = draw_bytes(&d, &n);
    if (n > 0)
        memcpy(in.given + 4, contents, n);
    memcpy(in.given, &size, 4);
    /* A report of no valid fields may hold anything. */
    const bool tail = has_tail(&in, way->size);
    const nq_status status = way->give(&in);
    assert_true(status <= NQ_OK && status >= NQ_E_TARGET && status != NQ_E_INTERNAL);
    if (size > 4096 || (tail && !way->is_report))
        assert_int_equal(status, NQ_E_ABI);
    if (way->is_report && size >= way->size && size <= 4096) {
        assert_int_equal(status, NQ_OK);
        assert_true(!has_tail(&in, way->size));
    }
    uint32_t kept;
    memcpy(&kept, in.given, 4);
    assert_true(kept == size);
    free(in.given);
}

static bytes make_seed(uint64_t number)
{
    bytes b = {0};
    uint64_t seed = number;
    put_u(&b, number % N_DOORS, 1);
    put_u(&b, unit_random(&seed), 1);
    put_u(&b, unit_random(&seed) % 5000, 2);
    for (uint64_t n = unit_random(&seed) % 200; n > 0; n--)
        put_u(&b, unit_random(&seed) % 3 ? 0 : unit_random(&seed) % 4, 1);
    return b;
}

const fuzz_target fuzz_structs = {"structs", run, make_seed};
