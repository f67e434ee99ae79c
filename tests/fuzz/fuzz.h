/*
 * What fuzz targets share. A target runs the library on any bytes and aborts, through the
 * assertions of unit.h, when something is wrong that no sanitizer would see. The same targets are
 * driven by libFuzzer (libfuzzer.c) and by replay.c, which needs nothing but a C compiler.
 */
#ifndef NQI_TESTS_FUZZ_H
#define NQI_TESTS_FUZZ_H

#include "nq_file.h"
#include "nq/nq.h"

typedef struct fuzz_target {
    const char *name;
    void (*run)(const uint8_t *data, size_t n_bytes);
    /* A valid input, another one for each number; what mutations start from. */
    bytes (*seed)(uint64_t number);
} fuzz_target;

extern const fuzz_target fuzz_open, fuzz_decode, fuzz_valid, fuzz_block, fuzz_table, fuzz_encoder,
    fuzz_plan, fuzz_design, fuzz_structs, fuzz_stats, fuzz_safetensors, fuzz_npy, fuzz_json;

/* ---- Drawing choices from the input -------------------------------------------------------- */

/* Zeros follow behind the end. */
typedef struct draw {
    const uint8_t *at;
    size_t left;
} draw;

static inline uint64_t draw_u(draw *d, unsigned width)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width && d->left > 0; i++, d->left--)
        value |= (uint64_t)*d->at++ << (8 * i);
    return value;
}

static inline uint64_t draw_below(draw *d, uint64_t n)
{
    return draw_u(d, n <= 256 ? 1 : n <= 65536 ? 2 : 8) % n;
}

/* The next n bytes, or as many as there are. */
static inline const uint8_t *draw_bytes(draw *d, size_t *n)
{
    const uint8_t *at = d->at;
    *n = *n < d->left ? *n : d->left;
    d->at += *n;
    d->left -= *n;
    return at;
}

/* ---- Memory -------------------------------------------------------------------------------- */

/* A copy in an allocation of its own, so that sanitizers see a step too far. */
static inline uint8_t *exact_copy(const void *data, size_t n_bytes)
{
    uint8_t *copy = calloc(n_bytes ? n_bytes : 1, 1);
    assert_non_null(copy);
    if (n_bytes)
        memcpy(copy, data, n_bytes);
    return copy;
}

/* ---- Statuses ------------------------------------------------------------------------------ */

/* What a file may be refused with, whatever is in it. */
static inline bool is_refusal(nq_status status)
{
    return status == NQ_E_TRUNCATED || status == NQ_E_CORRUPT || status == NQ_E_CHECKSUM ||
           status == NQ_E_UNSUPPORTED || status == NQ_E_LIMIT;
}

/* What may be wrong with contents of a file that was opened. */
static inline bool is_damage(nq_status status)
{
    return status == NQ_E_TRUNCATED || status == NQ_E_CORRUPT || status == NQ_E_CHECKSUM;
}

#endif
