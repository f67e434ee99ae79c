/*
 * Pruning: see prune.h. The bits of a score that is not negative rise with it, so the least score
 * that is kept is found sixteen bits at a time, each by counting in one pass over all weights.
 */
#include "distortion/prune.h"

#include <float.h>
#include <string.h>

#include "base/bytes.h"
#include "base/diag.h"
#include "distortion/pass.h"

#define DIGIT_BITS 16u
#define N_DIGITS   (1u << DIGIT_BITS)
#define N_ROUNDS   (64u / DIGIT_BITS)

/* What a chunk comes to; counts follow where there are any. */
typedef struct slot {
    uint64_t bad; /* NQ_NONE, or the first element */
    double saliency;
    uint64_t counts[];
} slot;

typedef struct job {
    const nqi_env *env;
    const nqi_prune_part *parts;
    bool by_saliency;
    unsigned round;
    uint64_t prefix; /* upper bits of the least score that is kept, as far as they are known */
    uint64_t counts[N_DIGITS];
    uint64_t n_keep; /* of the scores that begin with the prefix */
    double saliency;
    nq_diag *diag;
} job;

/* ---- Scores -------------------------------------------------------------------------------- */

/* Weights and importance of a slice; the first that cannot be used, or n. */
static size_t load(double *w, double *h, const nqi_prune_part *p, uint64_t first, size_t n)
{
    nqi_view_f64(w, &p->w, first, n);
    nqi_importance_load(h, &p->h, first, n);
    for (size_t i = 0; i < n; i++)
        if (NQI_UNLIKELY(w[i] - w[i] != 0 || !(h[i] >= 0 && h[i] <= DBL_MAX)))
            return i;
    return n;
}

static double saliency_of(double w, double h)
{
    return 0.5 * h * (w * w) + 0.0; /* which -0 becomes 0 by */
}

static uint64_t score_of(const job *j, double w, double h)
{
    return nqi_f64_bits(j->by_saliency ? saliency_of(w, h) : w < 0 ? -w : w + 0.0);
}

/* ---- Finding the threshold ----------------------------------------------------------------- */

static void count_chunk(void *arg, const nqi_chunk *chunk)
{
    const job *j = arg;
    slot *s = chunk->slot;
    double w[NQI_SLICE_ELEMS], h[NQI_SLICE_ELEMS];
    const unsigned shift = 64 - DIGIT_BITS * (j->round + 1);
    s->bad = NQ_NONE;
    memset(s->counts, 0, N_DIGITS * sizeof *s->counts);
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        const size_t n_good = load(w, h, &j->parts[chunk->part], chunk->first + done, n);
        if (n_good < n) {
            s->bad = chunk->first + done + n_good;
            return;
        }
        for (size_t i = 0; i < n; i++) {
            const uint64_t upper = score_of(j, w[i], h[i]) >> shift;
            s->counts[upper % N_DIGITS] += upper >> DIGIT_BITS == j->prefix;
        }
    }
}

static nq_status fold_counts(void *arg, const nqi_chunk *chunk)
{
    job *j = arg;
    const slot *s = chunk->slot;
    if (s->bad != NQ_NONE)
        return nqi_diag_at(j->diag, NQ_E_NUMERIC,
                           "a weight is not finite, or importance is no number from zero on",
                           chunk->part, s->bad, NQ_NONE);
    for (size_t i = 0; i < N_DIGITS; i++)
        j->counts[i] += s->counts[i];
    return NQ_OK;
}

/* The digit of the least score that is kept, and how many are kept of those that have it. */
static void choose_digit(job *j)
{
    uint32_t digit = N_DIGITS - 1;
    for (; digit > 0 && j->counts[digit] < j->n_keep; digit--)
        j->n_keep -= j->counts[digit];
    j->prefix = j->prefix << DIGIT_BITS | digit;
}

/* ---- Masks --------------------------------------------------------------------------------- */

enum { MASK_TIE = 2 };

static void mask_chunk(void *arg, const nqi_chunk *chunk)
{
    const job *j = arg;
    const nqi_prune_part *p = &j->parts[chunk->part];
    double w[NQI_SLICE_ELEMS], h[NQI_SLICE_ELEMS];
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        uint8_t *mask = p->mask + chunk->first + done;
        load(w, h, p, chunk->first + done, n);
        for (size_t i = 0; i < n; i++) {
            const uint64_t score = score_of(j, w[i], h[i]);
            mask[i] = score > j->prefix ? 1 : score == j->prefix ? MASK_TIE : 0;
        }
    }
}

/* In the order of the weights: the first of equal ones are kept, as many as there is room for. */
static nq_status settle_ties(void *arg, const nqi_chunk *chunk)
{
    job *j = arg;
    uint8_t *mask = j->parts[chunk->part].mask + chunk->first;
    for (size_t i = 0; i < chunk->n; i++) {
        if (mask[i] != MASK_TIE)
            continue;
        mask[i] = j->n_keep > 0;
        j->n_keep -= j->n_keep > 0;
    }
    return NQ_OK;
}

static void sum_chunk(void *arg, const nqi_chunk *chunk)
{
    const job *j = arg;
    const nqi_prune_part *p = &j->parts[chunk->part];
    slot *s = chunk->slot;
    double w[NQI_SLICE_ELEMS], h[NQI_SLICE_ELEMS];
    s->saliency = 0;
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        const uint8_t *mask = p->mask + chunk->first + done;
        load(w, h, p, chunk->first + done, n);
        for (size_t i = 0; i < n; i++)
            s->saliency += mask[i] ? 0 : saliency_of(w[i], h[i]);
    }
}

static nq_status fold_sums(void *arg, const nqi_chunk *chunk)
{
    job *j = arg;
    j->saliency += ((const slot *)chunk->slot)->saliency;
    return NQ_OK;
}

/* ---- All ----------------------------------------------------------------------------------- */

static uint64_t part_elems(const void *parts, size_t part)
{
    return ((const nqi_prune_part *)parts)[part].w.n;
}

static nq_status run_passes(job *j, nqi_pass *pass, uint64_t n_keep)
{
    pass->work = count_chunk;
    pass->fold = fold_counts;
    j->n_keep = NQI_MAX(n_keep, 1);
    for (j->round = 0; j->round < N_ROUNDS; j->round++) {
        memset(j->counts, 0, sizeof j->counts);
        NQI_TRY(nqi_pass_run(pass));
        choose_digit(j);
    }
    if (n_keep == 0) { /* more than any score */
        j->prefix = UINT64_MAX;
        j->n_keep = 0;
    }
    if (!j->parts[0].mask)
        return NQ_OK;
    pass->work = mask_chunk;
    pass->fold = settle_ties;
    NQI_TRY(nqi_pass_run(pass));
    pass->work = sum_chunk;
    pass->fold = fold_sums;
    return nqi_pass_run(pass);
}

static nq_status run(nqi_prune_result *out, job *j, size_t n_parts, uint64_t n_keep)
{
    void *slots;
    const nqi_allocator *a = &j->env->allocator;
    nqi_pass pass = {.env = j->env,
                     .list = {.n_elems = part_elems, .parts = j->parts, .n = n_parts},
                     .slot_bytes = sizeof(slot) + N_DIGITS * sizeof(uint64_t),
                     .arg = j};
    const uint64_t total = nqi_part_list_elems(&pass.list);
    if (total == 0)
        return NQ_OK;
    nqi_progress_state progress = nqi_progress_start(j->env, NQ_STAGE_SCAN, (N_ROUNDS + 2) * total);
    pass.progress = &progress;
    pass.n_slots = nqi_pass_slots(j->env, &pass.list, pass.slot_bytes);
    NQI_TRY(nqi_alloc(&slots, a, pass.n_slots, pass.slot_bytes));
    pass.slots = slots;
    const nq_status status = run_passes(j, &pass, n_keep);
    nqi_free(a, slots, pass.n_slots, pass.slot_bytes);
    out->threshold = n_keep > 0 ? nqi_f64_from_bits(j->prefix) : 0;
    out->saliency = j->saliency;
    return status;
}

nq_status nqi_prune(nqi_prune_result *out, const nqi_env *env, const nqi_prune_part *parts,
                    size_t n_parts, uint64_t n_keep, bool by_saliency, nq_diag *diag)
{
    void *memory;
    *out = (nqi_prune_result){0, 0};
    NQI_TRY(nqi_alloc_zero(&memory, &env->allocator, 1, sizeof(job)));
    job *j = memory;
    j->env = env;
    j->parts = parts;
    j->by_saliency = by_saliency;
    j->diag = diag;
    const nq_status status = run(out, j, n_parts, n_keep);
    nqi_free(&env->allocator, memory, 1, sizeof(job));
    return status;
}
