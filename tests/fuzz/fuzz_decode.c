/*
 * Decoding all of a file, as it is and with all checksums made right: by any kernel, with large and
 * small tables, in a span and behind a callback, all at once, in ranges, and in parallel. What one
 * way accepts, all accept, and all give the same. The header's original_bytes, on which nothing
 * depends, choose among the ways.
 */
#include "fuzz_decode.h"

#include "decode_ways.h"
#include "nq_hooks.h"
#include "repair.h"
#include "valid_file.h"

enum { MAX_TENSORS = 50, MAX_VERIFIED = 1 << 22 };

/* In parallel, through a runner that goes backwards. */
static nq_status decode_in_parallel(const nq_reader *r, uint64_t i, uint64_t seed,
                                    nq_status expected)
{
    nq_tensor_info t;
    nq_ctx_options options;
    nq_ctx *ctx;
    uint32_t n_workers = 1 + (uint32_t)(seed % 5);
    nq_tensor_info_init(&t);
    assert_int_equal(nq_reader_tensor(r, i, &t), NQ_OK);
    const uint64_t n = t.n_elements < WAYS_MAX_ELEMENTS ? t.n_elements : WAYS_MAX_ELEMENTS;
    if (t.dtype > NQ_BF16)
        return expected;
    nq_ctx_options_init(&options);
    options.parallel_for = run_backwards;
    options.parallel_user = &n_workers;
    options.max_workers = n_workers;
    assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
    float *out = malloc(((size_t)n + 1) * sizeof *out);
    const nq_status status = nq_reader_decode(r, ctx, i, NQ_F32, 0, n, out, NULL);
    free(out);
    nq_ctx_destroy(ctx);
    return status;
}

static nq_status decode_tensors(const nq_reader *span, const nq_reader *behind, uint64_t seed)
{
    nq_reader_info info;
    nq_status first = NQ_OK;
    nq_reader_info_init(&info);
    assert_int_equal(nq_reader_get_info(span, &info), NQ_OK);
    for (uint64_t i = 0; i < info.n_tensors && i < MAX_TENSORS; i++) {
        const nq_status status = ways_decode(span, behind, i, seed + i);
        assert_true(status == NQ_OK || is_refusal(status));
        assert_int_equal(decode_in_parallel(span, i, seed, status) == NQ_OK, status == NQ_OK);
        first = first == NQ_OK ? status : first;
    }
    return first;
}

/* Whether verifying all of it is a matter of milliseconds: constant codes take no bytes at all. */
static bool is_small(const nq_reader *r)
{
    nq_reader_info info;
    uint64_t n = 0;
    nq_reader_info_init(&info);
    assert_int_equal(nq_reader_get_info(r, &info), NQ_OK);
    for (uint64_t i = 0; i < info.n_tensors; i++) {
        nq_tensor_info t;
        nq_tensor_info_init(&t);
        assert_int_equal(nq_reader_tensor(r, i, &t), NQ_OK);
        if (t.n_elements > MAX_VERIFIED)
            return false;
        n += t.n_elements;
    }
    return n <= MAX_VERIFIED;
}

nq_status fuzz_decode_file(const uint8_t *file, size_t n, uint64_t seed)
{
    bytes b = {.at = (uint8_t *)(uintptr_t)file, .n = n};
    behind hook = {.file = &b};
    const nq_source source = source_behind(&hook);
    nq_reader *span, *through;
    nq_status status = nq_reader_open(&span, NULL, file, n, NULL);
    if (status != NQ_OK)
        return status;
    assert_int_equal(nq_reader_open_source(&through, NULL, &source, NULL), NQ_OK);
    status = decode_tensors(span, through, seed);
    if (is_small(span)) {
        const nq_status verified = nq_reader_verify(span, NULL, NQ_NONE, NULL, NULL, NULL);
        assert_true(verified == NQ_OK || is_refusal(verified));
        assert_true(verified != NQ_OK || status == NQ_OK);
        assert_int_equal(nq_reader_verify(through, NULL, NQ_NONE, NULL, NULL, NULL) == NQ_OK,
                         verified == NQ_OK);
        status = verified;
    }
    nq_reader_destroy(span);
    nq_reader_destroy(through);
    return status;
}

static void run(const uint8_t *data, size_t n_bytes)
{
    const uint64_t seed = n_bytes >= 40 ? peek(data + 32, 8) : 0;
    uint8_t *file = exact_copy(data, n_bytes);
    (void)fuzz_decode_file(file, n_bytes, seed);
    repair(file, n_bytes);
    (void)fuzz_decode_file(file, n_bytes, seed);
    free(file);
}

static bytes make_seed(uint64_t number)
{
    valid_file v = valid_file_make(&number);
    bytes file = v.file;
    v.file = (bytes){0};
    valid_file_free(&v);
    return file;
}

const fuzz_target fuzz_decode = {"decode", run, make_seed};
