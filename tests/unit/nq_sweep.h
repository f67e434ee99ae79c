/*
 * Failing allocations, each in turn: an operation is run once for each allocation that it makes,
 * with that one failing alone, and again with all failing from there on. Every time it must say
 * NQ_E_NOMEM, leave no memory behind and nothing half done, and do the same as ever afterwards.
 */
#ifndef NQI_TESTS_NQ_SWEEP_H
#define NQI_TESTS_NQ_SWEEP_H

#include "nq/nq.h"
#include "unit.h"

typedef struct sweep {
    const nq_ctx *ctx; /* with the memory below */
    bool is_armed;     /* allocations count, and may fail */
    bool goes_on;      /* all fail from the chosen one on */
    uint64_t failing;  /* counted from 1; 0: none */
    uint64_t n_calls;
    uint64_t n_failed;
    uint64_t n_open; /* bytes not given back */
    uint64_t hash;   /* of what came out */
} sweep;

/* What an operation is: prepares, arms, calls the library, disarms, and looks at what there is. */
typedef nq_status (*sweep_fn)(sweep *s, uint32_t way);

static uint64_t sweep_n_points;
static bool sweep_is_whole; /* every allocation; otherwise the first and a sample of the others */

static inline void *sweep_alloc(void *user, size_t n_bytes, size_t alignment)
{
    sweep *s = user;
    assert_true(n_bytes > 0 && alignment <= 64 && (alignment & (alignment - 1)) == 0);
    if (s->is_armed) {
        s->n_calls++;
        if (s->failing && (s->n_calls == s->failing || (s->goes_on && s->n_calls > s->failing))) {
            s->n_failed++;
            return NULL;
        }
    }
    s->n_open += n_bytes;
    uint8_t *memory = aligned_alloc(64, (n_bytes + 63) / 64 * 64);
    assert_non_null(memory);
    memset(memory, 0xa5, n_bytes);
    return memory;
}

static inline void sweep_free(void *user, void *memory, size_t n_bytes, size_t alignment)
{
    sweep *s = user;
    assert_true(memory && alignment <= 64 && s->n_open >= n_bytes);
    s->n_open -= n_bytes;
    memset(memory, 0x5a, n_bytes);
    free(memory);
}

static inline void sweep_arm(sweep *s)
{
    s->is_armed = true;
}

/* From here on no allocation fails. */
static inline void sweep_disarm(sweep *s)
{
    s->is_armed = false;
}

/* FNV-1a over what came out. */
static inline void sweep_put(sweep *s, const void *data, size_t n_bytes)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < n_bytes; i++)
        s->hash = (s->hash ^ at[i]) * UINT64_C(0x100000001b3);
}

static inline nq_ctx_options sweep_ctx_options(sweep *s)
{
    nq_ctx_options o;
    nq_ctx_options_init(&o);
    o.alloc = sweep_alloc;
    o.free = sweep_free;
    o.alloc_user = s;
    return o;
}

static inline nq_status sweep_once(sweep *s, sweep_fn run, uint32_t way, uint64_t failing)
{
    const uint64_t before = s->n_open;
    s->failing = failing;
    s->n_calls = s->n_failed = 0;
    s->hash = UINT64_C(0xcbf29ce484222325);
    const nq_status status = run(s, way);
    s->is_armed = false;
    assert_int_equal(s->n_open, before);
    return status;
}

/* All ways from 0 on, until `run` says NQ_E_UNSUPPORTED. */
static inline void sweep_all(sweep_fn run, const nq_ctx_options *more)
{
    for (uint32_t way = 0;; way++) {
        sweep s = {.ctx = NULL};
        nq_ctx_options options = sweep_ctx_options(&s);
        nq_ctx *ctx;
        if (more) {
            options.parallel_for = more->parallel_for;
            options.parallel_user = more->parallel_user;
            options.max_workers = more->max_workers;
        }
        assert_int_equal(nq_ctx_create(&ctx, &options), NQ_OK);
        s.ctx = ctx;
        const nq_status whole = sweep_once(&s, run, way, 0);
        const uint64_t n_points = s.n_calls, hash = s.hash;
        assert_int_equal(whole, whole == NQ_E_UNSUPPORTED && way > 0 ? whole : NQ_OK);
        for (uint64_t k = 1; whole == NQ_OK && k <= n_points;
             k += sweep_is_whole || k < 20 ? 1 : 1 + n_points / 16)
            for (int goes_on = 0; goes_on < 2; goes_on++) {
                s.goes_on = goes_on;
                assert_int_equal(sweep_once(&s, run, way, k), NQ_E_NOMEM);
                assert_true(goes_on ? s.n_failed >= 1 : s.n_failed == 1);
                sweep_n_points++;
            }
        if (whole == NQ_OK) {
            assert_true(n_points > 0);
            assert_int_equal(sweep_once(&s, run, way, 0), NQ_OK);
            assert_true(s.hash == hash && s.n_calls == n_points);
        }
        nq_ctx_destroy(ctx);
        assert_int_equal(s.n_open, 0);
        if (whole != NQ_OK)
            return;
    }
}

static inline int sweep_main(const char *what, bool is_whole, int (*run)(void))
{
    sweep_is_whole = is_whole;
    const int n_failed = run();
    printf("%s: %llu failing allocations tried\n", what, (unsigned long long)sweep_n_points);
    return n_failed;
}

#endif
