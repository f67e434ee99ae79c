/*
 * Summaries of few different values: chunks are sorted and what they have is merged, until it is
 * all there or is more than it may be. See summary.h.
 */
#include "stats/sort.h"
#include "stats/summary.h"

/* The sample: runs of neighbours, spread evenly. */
#define SAMPLE_RUNS 64u
#define SAMPLE_RUN  256u
#define SAMPLE      (SAMPLE_RUNS * SAMPLE_RUN)

/* ---- Sample -------------------------------------------------------------------------------- */

static void load_sample(uint32_t *keys, const nqi_weights *w)
{
    float values[SAMPLE_RUN];
    const uint64_t n = nqi_weights_count(w);
    for (uint64_t run = 0; run < SAMPLE_RUNS; run++) {
        nqi_weights_load(values, w, (n - SAMPLE_RUN) / (SAMPLE_RUNS - 1) * run, SAMPLE_RUN);
        for (size_t i = 0; i < SAMPLE_RUN; i++)
            keys[run * SAMPLE_RUN + i] = nqi_key(values[i]);
    }
}

/*
 * Of m values drawn from d, about m^2 / 2d repeat one that was drawn. With d = 2^16 and m = 2^14
 * that are 2,000; of as many normally distributed f32, which have 2^26 values to choose from, two.
 * A quarter of the former is taken as a sign. Zero does not count: pruned weights have many. If all
 * are at the ends of prefixes, as f16 and bf16 stored as f32 are, counting finds them as well and
 * faster.
 */
static bool repeats_itself(const uint32_t *keys, size_t n)
{
    size_t m = 0, repeated = 0;
    bool any_between = false;
    for (size_t i = 0; i < n; i++) {
        any_between |= (keys[i] + 1) % (1u << NQI_PREFIX_SHIFT) > 1;
        if (keys[i] == NQI_KEY_ZERO)
            continue;
        m++;
        repeated += i > 0 && keys[i] == keys[i - 1];
    }
    return any_between && (double)repeated >= (double)m * (double)m / (8.0 * NQI_MAX_DISTINCT);
}

nq_status nqi_summary_looks_few(bool *few, const nqi_env *env, const nqi_weights *w)
{
    void *memory;
    *few = false;
    if (nqi_weights_count(w) < SAMPLE)
        return NQ_OK;
    NQI_TRY(nqi_alloc(&memory, &env->allocator, 2 * (uint64_t)SAMPLE, sizeof(uint32_t)));
    uint32_t *keys = memory;
    nqi_sorting sorting = {.n = SAMPLE, .keys = keys, .keys2 = keys + SAMPLE};
    load_sample(keys, w);
    const nq_status status = nqi_sort_by_key(&sorting, env);
    if (status == NQ_OK)
        *few = repeats_itself(sorting.keys, SAMPLE);
    nqi_free(&env->allocator, memory, 2 * (uint64_t)SAMPLE, sizeof(uint32_t));
    return status;
}

/* ---- Chunks -------------------------------------------------------------------------------- */

/* Arrays for the n weights of a chunk. */
typedef struct arrays {
    nqi_sorting sorting;
    void *memory;
    size_t n;
} arrays;

static size_t array_bytes(bool is_weighted)
{
    return 2 * (is_weighted ? sizeof(uint32_t) + sizeof(double) : sizeof(uint32_t));
}

static nq_status make_arrays(arrays *a, const nqi_env *env, size_t n, bool is_weighted)
{
    NQI_TRY(nqi_alloc(&a->memory, &env->allocator, n, array_bytes(is_weighted)));
    a->n = n;
    double *h = a->memory;
    uint32_t *keys = is_weighted ? (uint32_t *)(void *)(h + 2 * n) : a->memory;
    a->sorting = (nqi_sorting){.n = n,
                               .load_bytes = is_weighted ? sizeof *h : 0,
                               .keys = keys,
                               .keys2 = keys + n,
                               .load = is_weighted ? h : NULL,
                               .load2 = is_weighted ? h + n : NULL};
    return NQ_OK;
}

/* Keys and shaped importance from `begin` on; the number of good ones before the first bad. */
static size_t load_chunk(arrays *a, const nqi_weights *s, uint64_t begin)
{
    float w[NQI_SLICE_ELEMS];
    double *h = a->sorting.load;
    for (size_t at = 0; at < a->n; at += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(a->n - at, NQI_SLICE_ELEMS);
        nqi_weights_load(w, s, begin + at, n);
        if (h)
            nqi_weights_load_raw_importance(h + at, s, begin + at, n);
        const size_t good = nqi_weights_find_bad(w, h ? h + at : NULL, n);
        if (good < n)
            return at + good;
        if (h)
            nqi_shaping_apply(h + at, &s->shaping, n);
        for (size_t i = 0; i < n; i++)
            a->sorting.keys[at + i] = nqi_key(w[i]);
    }
    return a->n;
}

static size_t count_distinct(const nqi_sorting *s)
{
    size_t n = s->n > 0;
    for (size_t i = 1; i < s->n; i++)
        n += s->keys[i] != s->keys[i - 1];
    return n;
}

/* The sorted keys, each once. */
static nq_status take_values(nqi_summary *out, const nqi_sorting *s)
{
    const double *h = s->load;
    NQI_TRY(nqi_summary_reserve(out, count_distinct(s)));
    for (size_t i = 0; i < s->n; i++) {
        if (i == 0 || s->keys[i] != s->keys[i - 1])
            out->bins[out->n_bins++] = (nqi_bin){.key = s->keys[i]};
        nqi_bin *b = &out->bins[out->n_bins - 1];
        b->count++;
        b->h += h ? h[i] : 1;
    }
    out->n = s->n;
    out->is_weighted = h != NULL;
    return NQ_OK;
}

typedef struct job {
    const nqi_env *env;
    const nqi_weights *weights;
} job;

static nq_status list_chunk(nqi_chunk_summary *out, const job *j, uint64_t begin, size_t n)
{
    arrays a;
    nqi_env serial = *j->env; /* chunks are what runs in parallel */
    serial.runner = nqi_runner_serial();
    const bool is_weighted = nqi_weights_has_importance(j->weights);
    NQI_TRY(make_arrays(&a, j->env, n, is_weighted));
    nq_status status = NQ_OK;
    const size_t n_good = load_chunk(&a, j->weights, begin);
    if (n_good < n)
        out->bad = begin + n_good;
    else
        status = nqi_sort_by_key(&a.sorting, &serial);
    if (n_good == n && status == NQ_OK)
        status = take_values(&out->bins, &a.sorting);
    nqi_free(&j->env->allocator, a.memory, n, array_bytes(is_weighted));
    return status;
}

static void work(void *arg, nqi_chunk_summary *out, uint32_t place, uint64_t begin, size_t n)
{
    (void)place;
    out->status = list_chunk(out, arg, begin, n);
}

nq_status nqi_summary_list(nqi_summary *s, bool *fits, const nqi_env *env, const nqi_weights *w,
                           nq_diag *diag)
{
    job j = {.env = env, .weights = w};
    const nqi_chunk_pass pass = {.env = env,
                                 .weights = w,
                                 .chunk_elems = NQI_CHUNK_ELEMS,
                                 .n_in_flight = NQI_MAX_IN_FLIGHT,
                                 .max_bins = NQI_MAX_DISTINCT,
                                 .work = work,
                                 .arg = &j};
    const nq_status status = nqi_chunk_pass_run(s, &pass, diag);
    *fits = s->n_bins <= NQI_MAX_DISTINCT;
    if (status != NQ_OK || !*fits)
        nqi_summary_free(s);
    return status;
}
