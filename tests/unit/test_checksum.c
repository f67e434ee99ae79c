/*
 * CRC-32C: the vectors of RFC 3720, a bit-by-bit oracle, and all kernels equal to the reference at
 * every length and alignment, in one call or many.
 */
#include "codec/checksum.h"
#include "codec/crc32c.h"
#include "cpu/cpu.h"
#include "unit.h"

/* The reference as it is built where size matters. */
#define NQI_CRC32C_SLICES 1
#define nqi_crc32c_ref    crc32c_small
uint32_t crc32c_small(uint32_t state, const uint8_t *bytes, size_t n_bytes);
#include "codec/crc32c_ref.c"
#undef nqi_crc32c_ref

enum { MAX_KERNELS = 5 };

static size_t list_kernels(nqi_crc32c_fn kernels[MAX_KERNELS])
{
    const uint64_t cpu = nqi_cpu_features();
    size_t n = 0;
    kernels[n++] = nqi_crc32c_ref;
    kernels[n++] = crc32c_small;
    if (nqi_crc32c_avx512(cpu))
        kernels[n++] = nqi_crc32c_avx512(cpu);
    if (nqi_crc32c_x86(cpu))
        kernels[n++] = nqi_crc32c_x86(cpu);
    if (nqi_crc32c_arm(cpu))
        kernels[n++] = nqi_crc32c_arm(cpu);
    return n;
}

/* The register, one bit at a time. */
static uint32_t oracle(uint32_t state, const uint8_t *bytes, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) {
        state ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            state = (state >> 1) ^ (state & 1 ? 0x82f63b78u : 0);
    }
    return state;
}

/* RFC 3720, B.4 (in its byte order on the wire), and the check value of the CRC catalogue. */
static void test_published_vectors(void **state)
{
    (void)state;
    static const uint8_t read_command[48] = {
        0x01, 0xc0, 0, 0, 0, 0, 0,    0, 0,    0, 0, 0,    0, 0, 0, 0,
        0x14, 0,    0, 0, 0, 0, 0x04, 0, 0,    0, 0, 0x14, 0, 0, 0, 0x18,
        0x28, 0,    0, 0, 0, 0, 0,    0, 0x02, 0, 0, 0,    0, 0, 0, 0};
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(nqi_crc32c(0, bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(nqi_crc32c(0, bytes, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(nqi_crc32c(0, bytes, 32), 0x46dd794eu);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(nqi_crc32c(0, bytes, 32), 0x113fdb5cu);
    assert_int_equal(nqi_crc32c(0, read_command, 48), 0xd9963a56u);
    assert_int_equal(nqi_crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(nqi_crc32c(0, NULL, 0), 0);
}

static uint8_t *random_bytes(size_t n_bytes, uint64_t seed)
{
    uint8_t *bytes = malloc(n_bytes ? n_bytes : 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (uint8_t)unit_random(&seed);
    return bytes;
}

/* In an allocation of its own, so that sanitizers see a step too far. */
static void check_kernels(size_t offset, size_t n_bytes)
{
    nqi_crc32c_fn kernels[MAX_KERNELS];
    const size_t n_kernels = list_kernels(kernels);
    uint8_t *bytes = random_bytes(offset + n_bytes, 7 * n_bytes + offset);
    const uint32_t start = (uint32_t)(n_bytes * 2654435761u);
    const uint32_t expected = oracle(start, bytes + offset, n_bytes);
    for (size_t k = 0; k < n_kernels; k++)
        if (kernels[k](start, bytes + offset, n_bytes) != expected)
            fail_msg("kernel %zu, %zu bytes at %zu", k, n_bytes, offset);
    free(bytes);
}

static void test_all_lengths_and_alignments(void **state)
{
    (void)state;
    for (size_t offset = 0; offset < 16; offset++)
        for (size_t n_bytes = 0; n_bytes <= 130; n_bytes++)
            check_kernels(offset, n_bytes);
    for (size_t lanes = 1; lanes <= 7; lanes++)
        for (size_t around = 0; around < 40; around++)
            check_kernels(around % 8, lanes * NQI_CRC32C_LANE - 20 + around);
}

/* Around the powers of two of what a vector kernel takes in a step, which it has constants for, and
 * as many steps as it takes at once. */
static void test_long_lengths(void **state)
{
    (void)state;
    enum { STEP = 352 };
    for (unsigned k = 0; k <= 12; k++)
        check_kernels(k, ((size_t)STEP << k) + 17 * k);
    check_kernels(1, (size_t)STEP * 4095);
}

static void test_continues(void **state)
{
    (void)state;
    enum { BYTES = 10000 };
    uint64_t seed = 5;
    uint8_t *bytes = random_bytes(BYTES, 3);
    const uint32_t whole = nqi_crc32c(0, bytes, BYTES);
    assert_int_equal(whole, ~oracle(UINT32_MAX, bytes, BYTES));
    for (int round = 0; round < 200; round++) {
        uint32_t crc = 0;
        size_t done = 0;
        while (done < BYTES) {
            size_t n = unit_random(&seed) % (round < 100 ? 50 : 7000);
            n = n < BYTES - done ? n : BYTES - done;
            crc = nqi_crc32c(crc, bytes + done, n);
            done += n;
        }
        assert_int_equal(crc, whole);
    }
    free(bytes);
}

static void test_skips_a_lane(void **state)
{
    (void)state;
    static const uint8_t zeros[NQI_CRC32C_LANE];
    uint64_t seed = 1;
    for (unsigned bit = 0; bit < 32; bit++)
        assert_int_equal(nqi_crc32c_skip_lane(1u << bit), oracle(1u << bit, zeros, sizeof zeros));
    for (int i = 0; i < 100; i++) {
        const uint32_t word = (uint32_t)unit_random(&seed);
        assert_int_equal(nqi_crc32c_skip_lane(word), oracle(word, zeros, sizeof zeros));
    }
}

static void test_sees_every_flip(void **state)
{
    (void)state;
    uint8_t *bytes = random_bytes(300, 9);
    const uint32_t crc = nqi_crc32c(0, bytes, 300);
    for (size_t bit = 0; bit < 2400; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(nqi_crc32c(0, bytes, 300), crc);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors), cmocka_unit_test(test_all_lengths_and_alignments),
        cmocka_unit_test(test_long_lengths),      cmocka_unit_test(test_continues),
        cmocka_unit_test(test_skips_a_lane),      cmocka_unit_test(test_sees_every_flip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
