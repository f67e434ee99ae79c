/*
 * Memory through the hook: sizes given back as they were asked, limits, failures, growth.
 */
#include "base/alloc.h"
#include "unit.h"

/* A hook that keeps its own books, and fails once `left` blocks were given. */
typedef struct books {
    uint64_t n_blocks;
    uint64_t n_bytes;
    uint64_t left;
} books;

typedef struct block_header {
    size_t n_bytes;
    size_t alignment;
    void *raw;
} block_header;

static void *booked_alloc(void *user, size_t n_bytes, size_t alignment)
{
    books *b = user;
    assert_true(n_bytes > 0);
    assert_true(alignment > 0 && alignment <= 64 && (alignment & (alignment - 1)) == 0);
    if (b->left == 0)
        return NULL;
    b->left--;
    uint8_t *raw = malloc(n_bytes + alignment + sizeof(block_header));
    assert_non_null(raw);
    const uintptr_t first = (uintptr_t)raw + sizeof(block_header);
    const size_t skip = (alignment - first % alignment) % alignment;
    uint8_t *block = raw + sizeof(block_header) + skip;
    const block_header header = {n_bytes, alignment, raw};
    memcpy(block - sizeof header, &header, sizeof header);
    memset(block, 0xa5, n_bytes);
    b->n_blocks++;
    b->n_bytes += n_bytes;
    return block;
}

static void booked_free(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    books *b = user;
    block_header header;
    memcpy(&header, (uint8_t *)memory - sizeof header, sizeof header);
    assert_int_equal(header.n_bytes, n_bytes);
    assert_int_equal(header.alignment, alignment);
    b->n_blocks--;
    b->n_bytes -= n_bytes;
    free(header.raw);
}

static nqi_allocator booked(books *b)
{
    return (nqi_allocator){booked_alloc, booked_free, b, UINT64_C(1) << 20};
}

static void test_default_hook(void **state)
{
    (void)state;
    const nqi_allocator a = nqi_allocator_default();
    for (uint64_t n = 1; n < 5000; n = n * 3 / 2 + 1) {
        void *memory;
        assert_int_equal(nqi_alloc_zero(&memory, &a, n, 3), NQ_OK);
        assert_int_equal((uintptr_t)memory % 64, 0);
        for (uint64_t i = 0; i < 3 * n; i++)
            assert_int_equal(((uint8_t *)memory)[i], 0);
        memset(memory, 0xff, 3 * n);
        nqi_free(&a, memory, n, 3);
    }
    void *memory = &memory;
    assert_int_equal(nqi_alloc(&memory, &a, 0, 8), NQ_OK);
    assert_null(memory);
    nqi_free(&a, NULL, 7, 7);
    assert_int_equal(nqi_alloc(&memory, &a, UINT64_C(1) << 40, 2), NQ_E_LIMIT);
    assert_int_equal(nqi_alloc(&memory, &a, UINT64_MAX, 2), NQ_E_LIMIT);
}

static void test_limits_and_failures(void **state)
{
    (void)state;
    books b = {.left = 1};
    const nqi_allocator a = booked(&b);
    void *memory = &b;
    assert_int_equal(nqi_alloc(&memory, &a, (UINT64_C(1) << 20) + 1, 1), NQ_E_LIMIT);
    assert_null(memory);
    assert_int_equal(nqi_alloc(&memory, &a, UINT64_C(1) << 61, 16), NQ_E_LIMIT);
    assert_int_equal(nqi_alloc(&memory, &a, UINT64_C(1) << 20, 1), NQ_OK);
    void *second = &b;
    assert_int_equal(nqi_alloc(&second, &a, 1, 1), NQ_E_NOMEM);
    assert_null(second);
    second = &b;
    assert_int_equal(nqi_alloc_zero(&second, &a, 1, 1), NQ_E_NOMEM);
    assert_null(second);
    nqi_free(&a, memory, UINT64_C(1) << 20, 1);
    assert_int_equal(b.n_blocks, 0);
    assert_int_equal(b.n_bytes, 0);
}

static void test_growth(void **state)
{
    (void)state;
    books b = {.left = 1000};
    const nqi_allocator a = booked(&b);
    void *memory = NULL;
    uint64_t capacity = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(nqi_grow(&memory, &capacity, &a, i + 1, sizeof i), NQ_OK);
        assert_true(capacity > i);
        memcpy((uint8_t *)memory + i * sizeof i, &i, sizeof i);
    }
    assert_true(1000 - b.left < 25); /* geometric, not a copy for each item */
    for (uint32_t i = 0; i < 10000; i++)
        assert_memory_equal((uint8_t *)memory + i * sizeof i, &i, sizeof i);
    void *const before = memory;
    const uint64_t capacity_before = capacity;
    assert_int_equal(nqi_grow(&memory, &capacity, &a, UINT64_C(1) << 60, sizeof(uint32_t)),
                     NQ_E_LIMIT);
    b.left = 0;
    assert_int_equal(nqi_grow(&memory, &capacity, &a, capacity + 1, sizeof(uint32_t)), NQ_E_NOMEM);
    assert_ptr_equal(memory, before);
    assert_int_equal(capacity, capacity_before);
    nqi_free(&a, memory, capacity, sizeof(uint32_t));
    assert_int_equal(b.n_blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_hook),
        cmocka_unit_test(test_limits_and_failures),
        cmocka_unit_test(test_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
