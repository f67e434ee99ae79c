/*
 * rANS codes of several tables, trained on indices: any machine finds the same, the oracle reads
 * them and their blocks, all kernels of the encoder write the same, they are smaller than codes of
 * one table where distributions change, and what they promise is about what they take.
 */
#include "base/alloc.h"
#include "codec/code_enc.h"
#include "codec/rans_push.h"
#include "codec/rans_train.h"
#include "cpu/cpu.h"
#include "nq/types.h"
#include "test_rans_oracle.h"

enum { MOST = 1 << 17, N_STRETCHES = 7 };

static uint16_t indices[MOST];
static nqi_rans_stretch stretches[N_STRETCHES];

/* Indices around places and of spreads that change every so often; many zeros in some kinds. */
static void fill(size_t n, uint32_t n_levels, size_t turn, unsigned zeros_of_16, uint64_t *seed)
{
    unsigned spread = 1;
    uint32_t place = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % turn == 0) {
            spread = 1u << unit_random(seed) % 6;
            place = (uint32_t)(unit_random(seed) % (1 + n_levels / 4));
        }
        const uint64_t r = unit_random(seed);
        const uint32_t near = (uint32_t)(r % spread + (r >> 20) % spread + (r >> 40) % spread);
        indices[i] = (uint16_t)((n_levels / 2 + place + near) % n_levels);
        if (r >> 60 < zeros_of_16)
            indices[i] = (uint16_t)(n_levels / 2);
        if (r >> 48 % 1000 == 5)
            indices[i] = (uint16_t)((r >> 8) % n_levels);
    }
}

/* Of quite different lengths, some of them empty. */
static void cut(size_t n)
{
    static const unsigned shares[N_STRETCHES] = {0, 1, 200, 0, 7, 550, 241};
    size_t at = 0;
    for (unsigned s = 0; s < N_STRETCHES; s++) {
        const size_t length = s + 1 == N_STRETCHES ? n - at : n * shares[s] / 1000;
        stretches[s] = (nqi_rans_stretch){indices + at, length};
        at += length;
    }
}

static nqi_encoder *train(const nqi_allocator *a, size_t n, uint32_t n_levels, bool sparse,
                          uint64_t cpu)
{
    const nqi_rans_training training = {.a = a,
                                        .cpu = cpu,
                                        .n_levels = n_levels,
                                        .stretches = stretches,
                                        .n_stretches = N_STRETCHES,
                                        .all = n,
                                        .is_sparse = sparse};
    nqi_encoder *encoder;
    assert_int_equal(nqi_rans_train(&encoder, &training), NQ_OK);
    return encoder;
}

static uint8_t *encode(const nqi_encoder *e, size_t *n_bytes, const uint16_t *from, size_t n)
{
    const uint64_t bound = nqi_encoder_bound(e, n);
    uint8_t *out = malloc((size_t)bound + 1);
    assert_non_null(out);
    assert_int_equal(nqi_encoder_encode(e, out, (size_t)bound, n_bytes, from, n), NQ_OK);
    return out;
}

/* Encodes a stretch on two kinds of machine, and reads it by the oracle; returns its bytes. */
static size_t check_block(const o_code *code, const nqi_encoder *e, const nqi_encoder *plain,
                          const nqi_rans_stretch *s)
{
    static uint32_t decoded[MOST];
    size_t n_bytes, plain_bytes;
    uint64_t n_bits;
    uint8_t *out = encode(e, &n_bytes, s->indices, s->n);
    uint8_t *again = encode(plain, &plain_bytes, s->indices, s->n);
    assert_int_equal(n_bytes, plain_bytes);
    assert_memory_equal(out, again, n_bytes);
    assert_true(o_decode_block(decoded, code, out, n_bytes, s->n));
    for (size_t i = 0; i < s->n; i++)
        assert_int_equal(decoded[i], s->indices[i]);
    assert_int_equal(nqi_rans_measure(&n_bits, e, s, 1), NQ_OK);
    assert_true((double)n_bits / 8 <= (double)n_bytes * 1.01 + 8);
    assert_true((double)n_bits / 8 * 1.03 + 40 >= (double)n_bytes);
    free(out);
    free(again);
    return n_bytes;
}

static size_t single_table_bytes(size_t n, uint32_t n_levels)
{
    static uint64_t counts[65536];
    const nqi_allocator a = nqi_allocator_default();
    nqi_encoder *e;
    size_t sum, n_bytes;
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < n; i++)
        counts[indices[i]]++;
    assert_int_equal(nqi_encoder_create(&e, &a, NQ_CODEC_RANS, n_levels, 0, counts, 0, 0), NQ_OK);
    (void)nqi_encoder_table(e, &sum);
    for (unsigned s = 0; s < N_STRETCHES; s++) {
        free(encode(e, &n_bytes, stretches[s].indices, stretches[s].n));
        sum += n_bytes;
    }
    nqi_encoder_destroy(e);
    return sum;
}

static void check(size_t n, uint32_t n_levels, size_t turn, unsigned zeros, bool sparse,
                  uint64_t *seed)
{
    static o_code code;
    const nqi_allocator a = nqi_allocator_default();
    size_t sum, again;
    fill(n, n_levels, turn, zeros, seed);
    cut(n);
    nqi_encoder *e = train(&a, n, n_levels, sparse, nqi_cpu_features());
    nqi_encoder *plain = train(&a, n, n_levels, sparse, 0);
    if (!e) {
        assert_null(plain);
        assert_true(turn == MOST || n < 50000 || n_levels <= 3);
        return;
    }
    const uint8_t *table = nqi_encoder_table(e, &sum);
    const uint8_t *plain_table = nqi_encoder_table(plain, &again);
    assert_int_equal(sum, again);
    assert_memory_equal(table, plain_table, sum);
    assert_true(o_read_table(&code, table, sum, n_levels));
    assert_true(code.n_tables > 1 && code.sparse == sparse);
    for (unsigned s = 0; s < N_STRETCHES; s++)
        sum += check_block(&code, e, plain, &stretches[s]);
    if (n > 50000 && turn > 500 && turn < 10000 && n_levels < 1000 && !sparse)
        assert_true((double)sum < 0.9 * (double)single_table_bytes(n, n_levels));
    /* Indices that training never saw. */
    for (size_t i = 0; i < n; i++)
        indices[i] = (uint16_t)(unit_random(seed) % n_levels);
    const nqi_rans_stretch any = {indices, n < 5000 ? n : 5000};
    (void)check_block(&code, e, plain, &any);
    nqi_encoder_destroy(e);
    nqi_encoder_destroy(plain);
}

static void test_training(void **state)
{
    (void)state;
    static const uint32_t alphabets[] = {1, 2, 16, 40, 256, 300, 5000, 65536};
    static const size_t sizes[] = {100, 1500, 7000, 60000};
    static const size_t turns[] = {64, 1000, 5000, MOST};
    uint64_t seed = 61;
    for (size_t l = 0; l < NQI_COUNT(alphabets); l++)
        for (size_t s = 0; s < NQI_COUNT(sizes); s++)
            for (unsigned kind = 0; kind < 4; kind++) {
                if (alphabets[l] >= 5000 && kind != s)
                    continue;
                check(sizes[s], alphabets[l], turns[(s + kind) % 4], kind % 2 ? 12 : 0, kind >= 2,
                      &seed);
            }
}

static void test_changing_sources(void **state)
{
    (void)state;
    uint64_t seed = 62;
    check(MOST, 60, 1000, 0, false, &seed);
    check(MOST, 200, 3000, 0, false, &seed);
    check(MOST, 200, 3000, 14, true, &seed);
}

/* Nothing to train on, or nothing but zeros, which makes no pairs. */
static void test_nothing(void **state)
{
    (void)state;
    const nqi_allocator a = nqi_allocator_default();
    cut(0);
    assert_null(train(&a, 0, 10, false, 0));
    assert_null(train(&a, 0, 10, true, 0));
    memset(indices, 0, sizeof indices);
    cut(9000);
    assert_null(train(&a, 9000, 10, false, 0));
    assert_null(train(&a, 9000, 10, true, 0));
}

/* ---- Memory -------------------------------------------------------------------------------- */

typedef struct budget {
    unsigned left;
    size_t held;
} budget;

static void *take(void *user, size_t n_bytes, size_t alignment)
{
    budget *b = user;
    if (b->left == 0)
        return NULL;
    b->left--;
    b->held += n_bytes;
    return aligned_alloc(alignment, (n_bytes + alignment - 1) / alignment * alignment);
}

static void give_back(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    budget *b = user;
    (void)alignment;
    b->held -= n_bytes;
    free(memory);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    uint64_t seed = 63;
    fill(3000, 12, 300, 0, &seed);
    cut(3000);
    for (unsigned sparse = 0; sparse < 2; sparse++)
        for (unsigned left = 0;; left += 1 + left / 8) {
            budget b = {.left = left};
            const nqi_allocator a = {
                .alloc = take, .free = give_back, .user = &b, .max_bytes = UINT64_MAX};
            const nqi_rans_training training = {.a = &a,
                                                .n_levels = 12,
                                                .stretches = stretches,
                                                .n_stretches = N_STRETCHES,
                                                .all = 3000,
                                                .is_sparse = sparse != 0};
            nqi_encoder *encoder;
            const nq_status status = nqi_rans_train(&encoder, &training);
            if (status == NQ_OK) {
                nqi_encoder_destroy(encoder);
                assert_int_equal(b.held, 0);
                break;
            }
            assert_int_equal(status, NQ_E_NOMEM);
            assert_null(encoder);
            assert_int_equal(b.held, 0);
        }
}

/* ---- Kernels of the choice ----------------------------------------------------------------- */

enum { N_TABLES = NQI_RANS_MAX_TABLES };

static const nqi_rans_push_kernels *kernels_of(bool is_plain)
{
    const nqi_rans_push_kernels *fast = nqi_rans_push_kernels_avx512(nqi_cpu_features());
    return is_plain || !fast ? &nqi_rans_push_kernels_ref : fast;
}

static void test_sums_of_rows(void **state)
{
    static uint16_t rows[300][N_TABLES];
    (void)state;
    uint64_t seed = 71;
    for (unsigned i = 0; i < 300 * N_TABLES; i++)
        rows[i / N_TABLES][i % N_TABLES] = (uint16_t)unit_random(&seed);
    for (unsigned round = 0; round < 200; round++) {
        const uint32_t n_rows = 1 + (uint32_t)(unit_random(&seed) % 300);
        const size_t n = (size_t)(unit_random(&seed) % 400);
        size_t n_others = 0;
        uint32_t sums[N_TABLES] = {7, 1};
        for (size_t i = 0; i < n; i++) {
            indices[i] = (uint16_t)(unit_random(&seed) % (round % 2 ? n_rows : 301));
            n_others += indices[i] >= n_rows;
            for (unsigned t = 0; indices[i] < n_rows && t < N_TABLES; t++)
                sums[t] += rows[indices[i]][t];
        }
        for (unsigned plain = 0; plain < 2; plain++) {
            uint32_t costs[N_TABLES] = {7, 1};
            assert_int_equal(kernels_of(plain != 0)->add_rows(costs, rows[0], n_rows, indices, n),
                             n_others);
            assert_memory_equal(costs, sums, sizeof sums);
        }
    }
}

/* A step of dynamic programming as it is defined. */
static uint32_t step_slowly(uint64_t next[N_TABLES], uint8_t before[N_TABLES],
                            const nqi_rans_ways *ways, const uint32_t *costs)
{
    const uint32_t n = ways->n_tables;
    uint64_t least = UINT64_MAX;
    for (unsigned to = 0; to < n; to++) {
        next[to] = UINT64_MAX;
        for (unsigned t = 0; t < n; t++) {
            const uint64_t cost =
                (uint64_t)ways->costs[t] + ways->step_costs[(to + n - t) % n] + costs[to];
            if (cost < next[to])
                before[to] = (uint8_t)t;
            next[to] = NQI_MIN(next[to], cost);
        }
        least = NQI_MIN(least, next[to]);
    }
    for (unsigned to = 0; to < n; to++)
        next[to] -= least;
    return (uint32_t)least;
}

static void test_steps_of_ways(void **state)
{
    (void)state;
    uint64_t seed = 72;
    for (unsigned round = 0; round < 2000; round++) {
        const uint32_t n = 2 + round % (N_TABLES - 1);
        const uint32_t most = 1u << unit_random(&seed) % 31; /* few: there are equals */
        nqi_rans_ways begin = {.n_tables = n};
        uint32_t costs[N_TABLES];
        uint64_t next[N_TABLES];
        uint8_t before[N_TABLES];
        for (unsigned t = 0; t < N_TABLES; t++) {
            begin.costs[t] = (uint32_t)(unit_random(&seed) % most);
            costs[t] = (uint32_t)(unit_random(&seed) % most);
        }
        for (unsigned t = 0; t < n; t++)
            begin.step_costs[t] = begin.step_costs[n + t] =
                (uint32_t)(unit_random(&seed) % NQI_MIN(most, 2049));
        const uint32_t least = step_slowly(next, before, &begin, costs);
        for (unsigned plain = 0; plain < 2; plain++) {
            nqi_rans_ways ways = begin;
            uint8_t from[N_TABLES];
            assert_int_equal(kernels_of(plain != 0)->step_ways(&ways, from, costs), least);
            assert_memory_equal(from, before, n);
            for (unsigned t = 0; t < n; t++)
                assert_int_equal(ways.costs[t], next[t]);
        }
    }
}

/* Pairs give back the indices that they were found in; gaps of every length. */
static void test_pairs(void **state)
{
    enum { N = 1 << 18 };
    static uint16_t from[N], gaps[2][N + 32], values[2][N + 32];
    (void)state;
    uint64_t seed = 73;
    for (unsigned round = 0; round < 40; round++) {
        const uint16_t zero = (uint16_t)(round * 1000);
        const size_t n = round < 35 ? (size_t)(unit_random(&seed) % 3000) : N;
        const uint64_t share = UINT64_C(1) << (round < 35 ? round % 11 : 10 + 2 * (round % 5));
        size_t most = round % 3 ? n : 1 + (size_t)(unit_random(&seed) % 500);
        for (size_t i = 0; i < n; i++)
            from[i] = unit_random(&seed) % share == 0 ? (uint16_t)unit_random(&seed) : zero;
        size_t taken[2];
        nqi_rans_pairs pairs[2];
        for (unsigned plain = 0; plain < 2; plain++) {
            pairs[plain] = (nqi_rans_pairs){
                .gaps = gaps[plain], .values = values[plain], .most = most, .zero = zero};
            taken[plain] = kernels_of(plain != 0)->find_pairs(&pairs[plain], from, n);
            nqi_rans_pairs counted = {.most = most, .zero = zero};
            assert_int_equal(kernels_of(plain != 0)->find_pairs(&counted, from, n), taken[plain]);
            assert_int_equal(counted.n, pairs[plain].n);
            size_t at = 0;
            for (size_t i = 0; i < pairs[plain].n; i++) {
                for (unsigned k = 0; k < gaps[plain][i]; k++)
                    assert_int_equal(from[at++], zero);
                if (gaps[plain][i] < NQI_RANS_GAPS - 1)
                    assert_int_not_equal(from[at], zero);
                assert_int_equal(from[at++], values[plain][i]);
            }
            for (unsigned k = 0; k < pairs[plain].gap; k++)
                assert_int_equal(from[at++], zero);
            assert_int_equal(at, taken[plain]);
            assert_true(taken[plain] == n || pairs[plain].n == most);
        }
        assert_int_equal(taken[0], taken[1]);
        assert_int_equal(pairs[0].n, pairs[1].n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training),     cmocka_unit_test(test_changing_sources),
        cmocka_unit_test(test_nothing),      cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_sums_of_rows), cmocka_unit_test(test_steps_of_ways),
        cmocka_unit_test(test_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
