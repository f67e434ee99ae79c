/*
 * Indices of fixed length against a packer and an unpacker that take one bit at a time: every
 * width, sizes around every border, exact buffers, and blocks that a decoder must refuse.
 */
#include "base/alloc.h"
#include "codec/bitpack_dec.h"
#include "codec/bitpack_enc.h"
#include "codec/bits_fmt.h"
#include "codec/code_dec.h"
#include "codec/code_enc.h"
#include "unit.h"

/* ---- Oracle -------------------------------------------------------------------------------- */

static void put_bits(uint8_t *bytes, size_t *at, uint32_t value, unsigned width)
{
    for (unsigned bit = 0; bit < width; bit++, ++*at)
        if ((value >> bit) & 1)
            bytes[*at / 8] |= (uint8_t)(1u << *at % 8);
}

static size_t pack_slowly(uint8_t *bytes, const uint16_t *numbers, size_t n, unsigned width)
{
    size_t at = 0;
    const size_t n_bytes = (n * width + 7) / 8;
    memset(bytes, 0, n_bytes);
    for (size_t i = 0; i < n; i++)
        put_bits(bytes, &at, numbers[i], width);
    return n_bytes;
}

/* ---- Decoding through the interface -------------------------------------------------------- */

typedef struct decoding {
    void *code_memory;
    void *block_memory;
    nqi_code *code;
} decoding;

static decoding make_decoding(uint32_t n_levels)
{
    decoding d;
    size_t code_bytes, block_bytes;
    assert_int_equal(nqi_code_size(&code_bytes, &block_bytes, NQ_CODEC_FIXED, n_levels, NULL, 0, 0),
                     NQ_OK);
    d.code_memory = aligned_alloc(64, (code_bytes + 63) / 64 * 64);
    d.block_memory = aligned_alloc(64, (block_bytes + 63) / 64 * 64);
    assert_non_null(d.code_memory);
    assert_non_null(d.block_memory);
    assert_int_equal(nqi_code_init(&d.code, d.code_memory, NQ_CODEC_FIXED, n_levels, NULL, 0, 0, 0),
                     NQ_OK);
    return d;
}

static void free_decoding(decoding *d)
{
    free(d->code_memory);
    free(d->block_memory);
}

static nq_status decode_u16(const decoding *d, uint16_t *out, size_t n, const uint8_t *bytes,
                            size_t n_bytes)
{
    nqi_block *block;
    nq_status status = nqi_block_begin(&block, d->block_memory, d->code, bytes, n_bytes, n);
    const size_t whole = n / NQI_PIECE * NQI_PIECE;
    if (status == NQ_OK)
        status = nqi_block_next_u16(block, out, whole);
    if (status == NQ_OK)
        status = nqi_block_next_u16(block, out + whole, n - whole);
    return status == NQ_OK ? nqi_block_end(block) : status;
}

static nq_status decode_u8(const decoding *d, uint8_t *out, size_t n, const uint8_t *bytes,
                           size_t n_bytes)
{
    nqi_block *block;
    nq_status status = nqi_block_begin(&block, d->block_memory, d->code, bytes, n_bytes, n);
    for (size_t done = 0; status == NQ_OK && done < n; done += NQI_PIECE)
        status = nqi_block_next_u8(block, out + done, n - done < NQI_PIECE ? n - done : NQI_PIECE);
    return status == NQ_OK ? nqi_block_end(block) : status;
}

/* A copy in an allocation of its own, so that sanitizers see a step too far. */
static void *exact(const void *bytes, size_t n_bytes)
{
    void *copy = malloc(n_bytes ? n_bytes : 1);
    assert_non_null(copy);
    if (n_bytes)
        memcpy(copy, bytes, n_bytes);
    return copy;
}

/* ---- Packing ------------------------------------------------------------------------------- */

static void check_packing(unsigned width, size_t n, uint64_t *seed)
{
    uint16_t *numbers = malloc((n + 1) * sizeof *numbers);
    uint16_t *got = malloc(n * sizeof *got + 1);
    uint8_t *narrow = malloc(n + 1);
    uint8_t *expected = calloc(2 * n + 1, 1);
    assert_true(numbers && got && narrow && expected);
    for (size_t i = 0; i < n; i++)
        numbers[i] = (uint16_t)(unit_random(seed) & ((1u << width) - 1));
    const size_t n_bytes = pack_slowly(expected, numbers, n, width);
    assert_int_equal(n_bytes, nqi_packed_bytes(n, width));
    uint8_t *packed = exact(expected, n_bytes);
    memset(packed, 0xee, n_bytes);
    nqi_pack_u16(packed, numbers, n, width);
    assert_memory_equal(packed, expected, n_bytes);
    nqi_unpack_u16(got, packed, n, width);
    assert_memory_equal(got, numbers, n * sizeof *got);
    if (width <= 8) {
        nqi_unpack_u8(narrow, packed, n, width);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(narrow[i], numbers[i]);
    }
    free(packed);
    free(expected);
    free(narrow);
    free(got);
    free(numbers);
}

static void test_packing_all_widths_and_sizes(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (unsigned width = 0; width <= 16; width++) {
        for (size_t n = 0; n < 100; n++)
            check_packing(width, n, &seed);
        check_packing(width, 4095, &seed);
        check_packing(width, 4096, &seed);
        check_packing(width, 10001, &seed);
    }
}

static void test_bits_for(void **state)
{
    (void)state;
    assert_int_equal(nqi_bits_for(1), 0);
    for (unsigned bits = 1; bits <= 16; bits++) {
        assert_int_equal(nqi_bits_for((1u << (bits - 1)) + 1), bits);
        assert_int_equal(nqi_bits_for(1u << bits), bits);
    }
}

/* ---- Blocks -------------------------------------------------------------------------------- */

static nqi_encoder *make_encoder(uint32_t n_levels)
{
    nqi_encoder *encoder;
    const nqi_allocator a = nqi_allocator_default();
    assert_int_equal(nqi_encoder_create(&encoder, &a, NQ_CODEC_FIXED, n_levels, 0, NULL, 0, 0),
                     NQ_OK);
    return encoder;
}

static void check_round_trip(uint32_t n_levels, size_t n, uint64_t *seed)
{
    const unsigned width = nqi_bits_for(n_levels);
    decoding d = make_decoding(n_levels);
    nqi_encoder *encoder = make_encoder(n_levels);
    uint16_t *indices = malloc(n * sizeof *indices + 1);
    uint16_t *decoded = malloc(n * sizeof *decoded + 1);
    uint8_t *decoded_u8 = malloc(n + 1);
    const size_t wanted = (n * width + 7) / 8;
    uint8_t *block = malloc(wanted + 1);
    size_t n_bytes = 0;
    assert_true(indices && decoded && decoded_u8 && block);
    for (size_t i = 0; i < n; i++)
        indices[i] = (uint16_t)(unit_random(seed) % n_levels);
    assert_int_equal(nqi_encoder_bound(encoder, n), wanted);
    if (wanted > 0)
        assert_int_equal(nqi_encoder_encode(encoder, block, wanted - 1, &n_bytes, indices, n),
                         NQ_E_SPACE);
    assert_int_equal(nqi_encoder_encode(encoder, block, wanted, &n_bytes, indices, n), NQ_OK);
    assert_int_equal(n_bytes, wanted);
    uint8_t *alone = exact(block, n_bytes);
    assert_int_equal(decode_u16(&d, decoded, n, alone, n_bytes), NQ_OK);
    assert_memory_equal(decoded, indices, n * sizeof *indices);
    if (n_levels <= 256) {
        assert_int_equal(decode_u8(&d, decoded_u8, n, alone, n_bytes), NQ_OK);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(decoded_u8[i], indices[i]);
    }
    if (n_bytes > 0)
        assert_int_equal(decode_u16(&d, decoded, n, alone, n_bytes - 1), NQ_E_TRUNCATED);
    assert_int_equal(decode_u16(&d, decoded, n, block, n_bytes + 1), NQ_E_CORRUPT);
    free(alone);
    free(block);
    free(decoded_u8);
    free(decoded);
    free(indices);
    nqi_encoder_destroy(encoder);
    free_decoding(&d);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const uint32_t levels[] = {1,    2,    3,    4,    5,     9,     16,    17,
                                      33,   65,   129,  255,  256,   257,   513,   1025,
                                      2049, 4096, 4097, 8193, 16385, 32769, 65535, 65536};
    static const size_t sizes[] = {0, 1, 2, 7, 8, 9, 63, 64, 4095, 4096, 4097, 8192, 50001};
    uint64_t seed = 1;
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            check_round_trip(levels[l], sizes[s], &seed);
    check_round_trip(17, 1u << 18, &seed);
}

static void test_refuses_indices_that_are_no_levels(void **state)
{
    (void)state;
    static const uint32_t levels[] = {1, 3, 5, 200, 300, 5000, 65535};
    enum { N = 4096 + 77 };
    static uint16_t indices[N], decoded[N];
    static uint8_t block[2 * N], decoded_u8[N];
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
        const unsigned width = nqi_bits_for(levels[l]);
        decoding d = make_decoding(levels[l]);
        nqi_encoder *encoder = make_encoder(levels[l]);
        for (size_t at = 0; at < N; at += 97) {
            size_t n_bytes = 0;
            memset(indices, 0, sizeof indices);
            indices[at] = (uint16_t)levels[l];
            assert_int_equal(nqi_encoder_encode(encoder, block, sizeof block, &n_bytes, indices, N),
                             NQ_E_ARG);
            if (width == 0)
                continue;
            n_bytes = pack_slowly(block, indices, N, width);
            assert_int_equal(decode_u16(&d, decoded, N, block, n_bytes), NQ_E_CORRUPT);
            if (levels[l] <= 256)
                assert_int_equal(decode_u8(&d, decoded_u8, N, block, n_bytes), NQ_E_CORRUPT);
        }
        nqi_encoder_destroy(encoder);
        free_decoding(&d);
    }
}

static void test_refuses_padding(void **state)
{
    (void)state;
    uint16_t decoded[64];
    const uint8_t zero[64] = {0};
    for (unsigned width = 1; width <= 16; width++) {
        decoding d = make_decoding(1u << width);
        for (size_t n = 1; n < 20; n++) {
            const size_t n_bytes = (n * width + 7) / 8;
            for (size_t bit = n * width; bit < 8 * n_bytes; bit++) {
                uint8_t *block = exact(zero, n_bytes);
                block[bit / 8] |= (uint8_t)(1u << bit % 8);
                assert_int_equal(decode_u16(&d, decoded, n, block, n_bytes), NQ_E_CORRUPT);
                free(block);
            }
        }
        free_decoding(&d);
    }
}

static void test_what_the_dispatcher_refuses(void **state)
{
    (void)state;
    size_t code_bytes, block_bytes;
    nqi_block *block;
    uint16_t decoded[NQI_PIECE];
    static const uint8_t bytes[4096] = {0};
    const uint8_t table[1] = {0};
    assert_int_equal(nqi_code_size(&code_bytes, &block_bytes, NQ_CODEC_STORED, 2, NULL, 0, 0),
                     NQ_E_UNSUPPORTED);
    assert_int_equal(nqi_code_size(&code_bytes, &block_bytes, 77, 2, NULL, 0, 0), NQ_E_UNSUPPORTED);
    assert_int_equal(nqi_code_size(&code_bytes, &block_bytes, NQ_CODEC_FIXED, 0, NULL, 0, 0),
                     NQ_E_ARG);
    assert_int_equal(nqi_code_size(&code_bytes, &block_bytes, NQ_CODEC_FIXED, 65537, NULL, 0, 0),
                     NQ_E_ARG);
    assert_int_equal(nqi_code_size(&code_bytes, &block_bytes, NQ_CODEC_FIXED, 2, table, 1, 0),
                     NQ_E_CORRUPT);
    decoding d = make_decoding(2);
    assert_int_equal(nqi_block_begin(&block, d.block_memory, d.code, bytes, 1024, 8192), NQ_OK);
    assert_int_equal(nqi_block_next_u16(block, decoded, 100), NQ_E_ARG);
    assert_int_equal(nqi_block_next_u16(block, decoded, 0), NQ_OK);
    assert_int_equal(nqi_block_next_u16(block, decoded, NQI_PIECE), NQ_OK);
    assert_int_equal(nqi_block_end(block), NQ_E_STATE);
    assert_int_equal(nqi_block_next_u16(block, decoded, NQI_PIECE), NQ_OK);
    assert_int_equal(nqi_block_next_u16(block, decoded, NQI_PIECE), NQ_E_ARG);
    assert_int_equal(nqi_block_end(block), NQ_OK);
    free_decoding(&d);
}

static void test_costs(void **state)
{
    (void)state;
    const uint64_t counts[5] = {1, 2, 3, 4, 5};
    const uint64_t many[5] = {UINT64_MAX / 2, 1, 0, 0, 0};
    size_t n_bytes = 1;
    nqi_encoder *encoder = make_encoder(5);
    assert_null(nqi_encoder_table(encoder, &n_bytes));
    assert_int_equal(n_bytes, 0);
    assert_int_equal(nqi_encoder_payload_bits(encoder, counts), 45);
    assert_true(nqi_encoder_payload_bits(encoder, many) == UINT64_MAX);
    assert_int_equal(nqi_encoder_cost(encoder, 4), 3 * 256);
    assert_int_equal(nqi_encoder_block_overhead(encoder), 1);
    nqi_encoder_destroy(encoder);
    nqi_encoder_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_for),
        cmocka_unit_test(test_packing_all_widths_and_sizes),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_refuses_indices_that_are_no_levels),
        cmocka_unit_test(test_refuses_padding),
        cmocka_unit_test(test_what_the_dispatcher_refuses),
        cmocka_unit_test(test_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
