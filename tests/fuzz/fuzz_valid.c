/*
 * Legal files at random: they must be accepted and decode to what they were made from. Then some of
 * their bytes are changed and the checksums made right: nearly legal files, which get further than
 * random bytes do.
 *
 * Input: 8 bytes of seed, then changes: 3 bytes of place, one to be exclusive-or'ed.
 */
#include "decode_ways.h"
#include "fuzz_decode.h"
#include "repair.h"
#include "valid_file.h"

static void check_elements(const nq_reader *r, uint64_t i, const valid_tensor *t)
{
    uint8_t *out = malloc(t->raw.n + 1);
    assert_int_equal(nq_reader_decode(r, NULL, i, t->s.dtype, 0, t->n, out, NULL), NQ_OK);
    /* As they lie in the file: the machine's own order is for the unit tests. */
    const uint16_t one = 1;
    if (*(const uint8_t *)&one == 1 && t->raw.n > 0)
        assert_memory_equal(out, t->raw.at, t->raw.n);
    free(out);
}

/* Codes tell numbers; indices are places among the channel's levels. */
static void check_indices(const uint16_t *out, const valid_tensor *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const uint32_t first = t->channels ? t->channels[valid_channel_of(t, i)].first : 0;
        assert_true(out[i] + first == t->indices[i]);
    }
}

static void check_quantized(const nq_reader *r, uint64_t i, const valid_tensor *t)
{
    nq_decoder *d;
    const float *levels;
    size_t n_levels;
    uint16_t *out = malloc((t->n + 1) * sizeof *out);
    assert_int_equal(nq_decoder_create(&d, NULL, r, i, NULL, NULL), NQ_OK);
    assert_int_equal(nq_decoder_codebook(d, &levels, &n_levels), NQ_OK);
    assert_true(n_levels == t->n_stored);
    assert_memory_equal(levels, t->levels, n_levels * sizeof *levels);
    for (uint64_t k = 0; t->channels && k < t->s.dims[t->axis]; k++) {
        const float *own;
        assert_int_equal(nq_decoder_channel_codebook(d, k, &own, &n_levels, NULL), NQ_OK);
        assert_true(own == levels && n_levels == t->channels[k].count);
        levels += n_levels;
    }
    assert_int_equal(nq_decoder_read_indices(d, 0, t->n, out), NQ_OK);
    check_indices(out, t);
    nq_decoder_destroy(d);
    free(out);
}

static void check_file(const valid_file *v)
{
    nq_reader *r;
    nq_reader_info info;
    assert_int_equal(nq_reader_open(&r, NULL, v->file.at, v->file.n, NULL), NQ_OK);
    nq_reader_info_init(&info);
    assert_int_equal(nq_reader_get_info(r, &info), NQ_OK);
    assert_true(info.n_tensors == v->n_tensors && info.n_metadata == v->n_metadata);
    for (uint32_t i = 0; i < v->n_tensors; i++) {
        if (v->t[i].levels)
            check_quantized(r, i, &v->t[i]);
        else
            check_elements(r, i, &v->t[i]);
    }
    nq_reader_destroy(r);
}

static void run(const uint8_t *data, size_t n_bytes)
{
    draw d = {data, n_bytes};
    const uint64_t first = draw_u(&d, 8);
    uint64_t seed = first;
    valid_file v = valid_file_make(&seed);
    check_file(&v);
    assert_int_equal(fuzz_decode_file(v.file.at, v.file.n, first), NQ_OK);
    const bool is_changed = d.left > 0;
    while (d.left > 0) {
        const uint64_t place = draw_u(&d, 3);
        v.file.at[place % v.file.n] ^= (uint8_t)draw_u(&d, 1);
    }
    uint8_t *file = exact_copy(v.file.at, v.file.n);
    repair(file, v.file.n);
    if (is_changed)
        (void)fuzz_decode_file(file, v.file.n, first);
    free(file);
    valid_file_free(&v);
}

static bytes make_seed(uint64_t number)
{
    bytes b = {0};
    uint64_t seed = number;
    put_u(&b, number, 8);
    for (uint64_t n = unit_random(&seed) % 6; n > 0; n--)
        put_u(&b, unit_random(&seed), 4);
    return b;
}

const fuzz_target fuzz_valid = {"valid", run, make_seed};
