/*
 * Opening files for tests: a copy that ends where the file ends, so that reading on is seen by a
 * sanitizer, and what every opening has in common.
 */
#ifndef NQI_TESTS_NQ_OPEN_H
#define NQI_TESTS_NQ_OPEN_H

#include "nq/nq.h"
#include "nq_file.h"

typedef struct opened {
    uint8_t *copy;
    nq_reader *reader;
    nq_diag diag;
} opened;

static inline nq_status open_copy(opened *o, const uint8_t *at, size_t n, const nq_ctx *ctx)
{
    o->copy = malloc(n ? n : 1);
    assert_non_null(o->copy);
    if (n)
        memcpy(o->copy, at, n);
    nq_diag_init(&o->diag);
    const nq_status status = nq_reader_open(&o->reader, ctx, o->copy, n, &o->diag);
    assert_int_equal(status, o->diag.status);
    assert_int_equal(status == NQ_OK, o->reader != NULL);
    assert_int_equal(status == NQ_OK, o->diag.what[0] == '\0');
    return status;
}

static inline void close_copy(opened *o)
{
    nq_reader_destroy(o->reader);
    free(o->copy);
}

static inline void check_status(const uint8_t *at, size_t n, nq_status expected)
{
    opened o;
    assert_int_equal(open_copy(&o, at, n, NULL), expected);
    close_copy(&o);
}

/* Builds the file, ends it, and checks what opening says. */
static inline void check_file(nq_file *f, nq_status expected)
{
    bytes file = file_build(f);
    check_status(file.at, file.n, expected);
    bytes_free(&file);
    file_free(f);
}

static inline nq_tensor_info tensor_info(const nq_reader *r, uint64_t i)
{
    nq_tensor_info info;
    nq_tensor_info_init(&info);
    assert_int_equal(nq_reader_tensor(r, i, &info), NQ_OK);
    return info;
}

#endif
