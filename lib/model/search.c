/*
 * Meeting a target. All quantizers depend on one number, the coarseness: log2 of a step, or of what
 * corresponds to it. Size and SQNR fall as it rises, but for small irregularities, so the place
 * where the target is met is enclosed and narrowed down:
 *
 * 1. on a sample, where a trial takes milliseconds, and sizes are estimated from entropies;
 * 2. with all weights and real codes: what the sample was wrong by is taken into account, and few
 *    trials are needed.
 *
 * The target is met from the safe side: never a larger file, never a lower SQNR. Everything here is
 * a function of the weights and the options alone.
 */
#include "model/search.h"

#include <float.h>

#include "base/diag.h"
#include "base/log2.h"

/* Trials on the sample for one search, and with all weights in all. */
#define MAX_SAMPLE_TRIALS 40u
#define MAX_ROUNDS        5u
#define MAX_WHOLE_TRIALS  14u

/* Of few weights, how many more places around the one that bisection ends at, and how far apart. */
#define FEW_ELEMS   65536.0
#define MAX_AROUND  32u
#define AROUND_STEP 0x1p-7

/* By how much the target is missed on purpose, so that it is met when the estimate is a little off;
 * and how close is close enough: of log2 of bytes, and of dB. */
#define SIZE_MARGIN 0.0025
#define SQNR_MARGIN 0.04
#define SIZE_REACH  0.007 /* less than 0.5 % */
#define SQNR_REACH  0.08

/* Trials nearer to each other than this differ too little to go on between them; and where what
 * differs more is a leap. */
#define LEAST_WIDTH 0x1p-12
#define LEAP_WIDTH  0x1p-8

/* Of log2 of bytes: sizes of the first trial that are farther from the target are not what will be
 * written, and need not be known so well. */
#define NEAR (4 * SIZE_MARGIN)

typedef struct search {
    nqi_model *m;
    nqi_sample *sample;
    nqi_aim aim;
    double finest;
    double coarsest;
    nqi_progress_state *progress;
    nq_diag *diag;
    nqi_trial fine;   /* the coarsest whole trial with a larger value than aimed at */
    nqi_trial coarse; /* the finest one with a smaller value */
    nqi_trial best;   /* the nearest one that keeps the promise */
    nqi_trial last;   /* what is designed now */
    uint32_t n_whole;
    bool is_smooth;
} search;

static double margin(const search *s)
{
    return s->aim.is_size ? SIZE_MARGIN : SQNR_MARGIN;
}

static double distance(const search *s, const nqi_trial *t)
{
    return t->value < s->aim.value ? s->aim.value - t->value : t->value - s->aim.value;
}

/* ---- On the sample ------------------------------------------------------------------------- */

/* Two trials around a value: fine->value >= value > coarse->value, where that can be. */
typedef struct bracket {
    nqi_trial fine;
    nqi_trial coarse;
    uint32_t n_trials;
} bracket;

/* Puts a trial on its side. */
static void narrow(bracket *b, const nqi_trial *t, double value)
{
    if (!t->works || t->value >= value)
        b->fine = *t;
    else
        b->coarse = *t;
}

static nq_status try_sample(bracket *b, const search *s, double coarseness, double value)
{
    nqi_trial t;
    NQI_TRY(nqi_sample_try(&t, s->sample, coarseness));
    b->n_trials++;
    narrow(b, &t, value);
    return NQ_OK;
}

/* Where a value is to be expected, from a trial nearby: a halved step costs a bit a weight, or wins
 * 6.02 dB. */
static double extrapolate(const search *s, const nqi_trial *t, double value)
{
    const double n_bytes = nqi_sample_elements(s->sample) / 8;
    if (!s->aim.is_size)
        return t->coarseness + (t->value - value) / 6.0206;
    return t->coarseness + (nqi_exp2(t->value) - nqi_exp2(value)) / n_bytes;
}

/* Looks ever farther away from a first guess until the value is enclosed. */
static nq_status enclose(bracket *b, const search *s, double guess, double width, double value)
{
    NQI_TRY(try_sample(b, s, guess, value));
    while (!b->fine.is_known && b->coarse.coarseness > s->finest) {
        const double next =
            NQI_MIN(b->coarse.coarseness, extrapolate(s, &b->coarse, value)) - width;
        NQI_TRY(try_sample(b, s, NQI_MAX(next, s->finest), value));
        width *= 2;
    }
    while (!b->coarse.is_known && b->fine.coarseness < s->coarsest) {
        double next = b->fine.coarseness;
        if (b->fine.works && b->fine.value < DBL_MAX)
            next = NQI_MAX(next, extrapolate(s, &b->fine, value));
        NQI_TRY(try_sample(b, s, NQI_MIN(next + width, s->coarsest), value));
        width *= 2;
    }
    return NQ_OK;
}

/* Where a straight line through both ends meets the value, kept off the ends; the middle where
 * there is no line, and every third time. */
static double between(const nqi_trial *fine, const nqi_trial *coarse, double value, bool halve)
{
    const double width = coarse->coarseness - fine->coarseness;
    double part = 0.5;
    if (!halve && fine->works && fine->value < DBL_MAX && fine->value > coarse->value)
        part = (fine->value - value) / (fine->value - coarse->value);
    part = NQI_MIN(NQI_MAX(part, 0.02), 0.98);
    return fine->coarseness + part * width;
}

static bool has_leaps(const nqi_model *m)
{
    bool found = m->options.rdo != 0 || m->options.allocate == NQ_ALLOCATE_SLOPE;
    for (uint64_t i = 0; i < m->n_groups; i++)
        found = found || m->groups[i].options.method == NQ_METHOD_ECSQ;
    return found;
}

/* Whether nothing more is to be found between two trials; between those that are not far apart
 * there may be a leap, which smooth designs are for. */
static bool is_narrow(const search *s, const nqi_trial *fine, const nqi_trial *coarse)
{
    const double least = has_leaps(s->m) && !s->is_smooth ? LEAP_WIDTH : LEAST_WIDTH;
    return coarse->coarseness - fine->coarseness < least ||
           nqi_sample_is_gap(s->sample, fine->coarseness, coarse->coarseness);
}

/* The end that is to be tried: the one that keeps the promise, unless the other is very near. */
static const nqi_trial *nearest_end(const search *s, const bracket *b, double value)
{
    const bool has_fine = b->fine.is_known && b->fine.works;
    if (!has_fine || !b->coarse.is_known)
        return has_fine ? &b->fine : &b->coarse;
    if (s->aim.is_size)
        return b->fine.value - value < margin(s) / 5 ? &b->fine : &b->coarse;
    return value - b->coarse.value < margin(s) / 5 ? &b->coarse : &b->fine;
}

/* The trial with which the sample comes to a value; only its coarseness, if there is none. */
static nq_status solve_sample(nqi_trial *found, const search *s, double guess, double width,
                              double value)
{
    bracket b = {.n_trials = 0};
    NQI_TRY(enclose(&b, s, guess, width, value));
    while (b.fine.is_known && b.coarse.is_known && b.n_trials < MAX_SAMPLE_TRIALS) {
        if (is_narrow(s, &b.fine, &b.coarse) ||
            (b.fine.works && b.fine.value - value < margin(s) / 5) ||
            value - b.coarse.value < margin(s) / 5)
            break;
        NQI_TRY(try_sample(&b, s, between(&b.fine, &b.coarse, value, b.n_trials % 3 == 0), value));
    }
    const nqi_trial *end = nearest_end(s, &b, value);
    *found = end->is_known ? *end : (nqi_trial){.coarseness = guess};
    return NQ_OK;
}

/* ---- With all weights ---------------------------------------------------------------------- */

static bool keeps_promise(const search *s, const nqi_trial *t)
{
    return t->works && (s->aim.is_size ? t->value <= s->aim.value : t->value >= s->aim.value);
}

/* A size that is farther from the aim than `near` is only guessed, and tells no more than what the
 * sample is wrong by. */
static nq_status try_about(search *s, double coarseness, double near)
{
    nqi_trial t;
    NQI_TRY(nqi_sample_try_whole(&t, s->sample, coarseness, near, s->progress, s->diag));
    t.is_smooth = s->is_smooth;
    s->n_whole++;
    s->last = t;
    if (t.is_guess)
        return NQ_OK;
    const bool is_kept = keeps_promise(s, &t);
    const bool is_fine = !t.works || is_kept != s->aim.is_size;
    if (is_fine && (!s->fine.is_known || t.coarseness > s->fine.coarseness))
        s->fine = t;
    if (!is_fine && (!s->coarse.is_known || t.coarseness < s->coarse.coarseness))
        s->coarse = t;
    if (is_kept && (!s->best.is_known || distance(s, &t) <= distance(s, &s->best)))
        s->best = t;
    return NQ_OK;
}

static nq_status try_whole(search *s, double coarseness)
{
    return try_about(s, coarseness, DBL_MAX);
}

/* Whether there is a trial that keeps the promise and is close enough. */
static bool is_met(const search *s)
{
    return s->best.is_known && distance(s, &s->best) <= (s->aim.is_size ? SIZE_REACH : SQNR_REACH);
}

/* Rounds of estimating what the sample is wrong by. */
static nq_status correct(search *s)
{
    const double towards = s->aim.is_size ? -margin(s) : margin(s);
    double offset = 0, guess = s->coarsest - 6, width = 0x1p-3;
    for (uint32_t round = 0; round < MAX_ROUNDS && !is_met(s); round++) {
        nqi_trial estimate;
        NQI_TRY(solve_sample(&estimate, s, guess, width, s->aim.value + towards - offset));
        if (round > 0 && !s->last.is_guess && estimate.coarseness == s->last.coarseness)
            break;
        NQI_TRY(try_about(s, estimate.coarseness, round == 0 ? NEAR : DBL_MAX));
        if (!s->last.works || !estimate.works)
            break;
        offset = s->last.value - estimate.value;
        guess = estimate.coarseness;
        width = 0x1p-7;
    }
    return NQ_OK;
}

/* Finds a trial on each side, then halves the distance. */
static nq_status bisect(search *s)
{
    double width = 0x1p-5;
    while (!s->fine.is_known && s->coarse.coarseness > s->finest && s->n_whole < MAX_WHOLE_TRIALS) {
        NQI_TRY(try_whole(s, NQI_MAX(s->coarse.coarseness - width, s->finest)));
        width *= 4;
    }
    while (!s->coarse.is_known && s->fine.coarseness < s->coarsest &&
           s->n_whole < 2 * MAX_WHOLE_TRIALS) {
        NQI_TRY(try_whole(s, NQI_MIN(s->fine.coarseness + width, s->coarsest)));
        width *= 4;
    }
    while (!is_met(s) && s->fine.is_known && s->coarse.is_known &&
           !is_narrow(s, &s->fine, &s->coarse) && s->n_whole < MAX_WHOLE_TRIALS)
        NQI_TRY(try_whole(s, between(&s->fine, &s->coarse, s->aim.value, s->n_whole % 2 == 0)));
    return NQ_OK;
}

/* Sizes of few weights, and their errors, go up and down on the way: what bisection ends at need
 * not be the nearest. */
static nq_status look_around(search *s)
{
    const double from = s->best.coarseness;
    if (!s->best.is_known || nqi_sample_elements(s->sample) > FEW_ELEMS ||
        nqi_sample_is_gap(s->sample, from - AROUND_STEP, from))
        return NQ_OK;
    for (uint32_t i = 1; i <= MAX_AROUND && !is_met(s); i++) {
        const double by = AROUND_STEP * ((i + 1) / 2);
        const double at = i % 2 ? from - by : from + by;
        if (at >= s->finest && at <= s->coarsest)
            NQI_TRY(try_whole(s, at));
    }
    return NQ_OK;
}

/* Nothing keeps the promise: tells the nearest that can be had. */
static nq_status refuse(const search *s)
{
    const nqi_trial *other = s->aim.is_size ? &s->fine : &s->coarse;
    nqi_diag_at(s->diag, NQ_E_TARGET, "the target cannot be met", NQ_NONE, NQ_NONE, NQ_NONE);
    s->diag->value = nqi_model_target_value(s->m, other->value);
    return NQ_E_TARGET;
}

static void be_smooth(search *s, bool is_smooth)
{
    s->is_smooth = is_smooth;
    nqi_sample_be_smooth(s->sample, is_smooth);
}

static nq_status enclose_whole(search *s)
{
    NQI_TRY(correct(s));
    if (!is_met(s))
        NQI_TRY(bisect(s));
    return is_met(s) ? NQ_OK : look_around(s);
}

/* Where iterations and equal slopes leap over the target, others lead there step by step. */
static nq_status find(search *s)
{
    be_smooth(s, false);
    NQI_TRY(enclose_whole(s));
    if (is_met(s) || !has_leaps(s->m))
        return NQ_OK;
    be_smooth(s, true);
    s->fine = s->coarse = (nqi_trial){.is_known = false};
    s->n_whole = 0;
    return enclose_whole(s);
}

static nq_status settle(search *s)
{
    if (!s->best.is_known)
        return refuse(s);
    if (s->last.coarseness == s->best.coarseness && s->last.is_smooth == s->best.is_smooth)
        return NQ_OK;
    be_smooth(s, s->best.is_smooth);
    return try_whole(s, s->best.coarseness);
}

nq_status nqi_model_search(nqi_model *m, nqi_progress_state *progress, nq_diag *diag)
{
    search s = {.m = m, .aim = nqi_model_aim(m), .progress = progress, .diag = diag};
    nq_status status = nqi_sample_create(&s.sample, m, &s.aim);
    if (status == NQ_OK) {
        nqi_sample_range(&s.finest, &s.coarsest, s.sample);
        status = find(&s);
    }
    if (status == NQ_OK)
        status = settle(&s);
    nqi_sample_destroy(s.sample);
    if (status == NQ_E_NOMEM || status == NQ_E_LIMIT)
        nqi_diag_set(diag, status, "out of memory for the search");
    return status;
}
