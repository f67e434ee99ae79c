/*
 * Equal slopes: every group gets the fineness at which its D + lambda R is least, so that all trade
 * bits for weighted distortion at the same rate, and none could gain bits from another to the
 * advantage of both. D and R are measured on the sample at eight finenesses an octave, each once,
 * when it is asked for; the best is refined by a parabola through its neighbours.
 */
#include "base/log2.h"
#include "model/sample.h"

/* Points from the coarsest step on. */
#define PER_OCTAVE 8
#define N_POINTS   (40 * PER_OCTAVE)

/* The first look is at every STRIDE-th point. */
#define STRIDE 4

/* Beyond the step that suits lambda where steps are small, by so many points, nothing is gained. */
#define BEYOND (3 * PER_OCTAVE)

static double log2_step(const nqi_sample *s, double point)
{
    return s->coarsest - point / PER_OCTAVE;
}

static nq_status measure_point(nqi_slope_point *p, nqi_sample *s, uint64_t group, double at)
{
    nqi_tally tally = {.bytes = 0};
    const nqi_goal goal = nqi_sample_goal_of_step(s, group, log2_step(s, at));
    const nq_status status = nqi_sample_measure(&tally, s, group, &goal, true);
    *p = (nqi_slope_point){.is_known = true, .works = status == NQ_OK};
    if (status != NQ_OK)
        return status == NQ_E_LIMIT ? NQ_OK : status;
    p->bits = 8 * tally.bytes;
    p->weighted = tally.weighted / nqi_group_lambda_scale(&s->m->groups[group]);
    return NQ_OK;
}

/* D + lambda R at a point; *works is false if it is too fine. */
static nq_status cost_at(double *cost, bool *works, nqi_sample *s, uint64_t group, int at,
                         double lambda)
{
    nqi_slope_point *p = &s->groups[group].points[at];
    if (!p->is_known)
        NQI_TRY(measure_point(p, s, group, at));
    *works = p->works;
    *cost = p->weighted + lambda * p->bits;
    return NQ_OK;
}

typedef struct best {
    int at;
    double cost;
} best;

static nq_status look(best *b, nqi_sample *s, uint64_t group, double lambda, int first, int last,
                      int stride)
{
    for (int at = NQI_MAX(first, 0); at <= NQI_MIN(last, N_POINTS - 1); at += stride) {
        double cost;
        bool works;
        NQI_TRY(cost_at(&cost, &works, s, group, at, lambda));
        if (!works)
            break;
        if (b->at < 0 || cost < b->cost)
            *b = (best){at, cost};
    }
    return NQ_OK;
}

/* How far from the best point the least of a parabola through it and its neighbours lies. */
static nq_status refine(double *shift, nqi_sample *s, uint64_t group, double lambda, const best *b)
{
    double before, after;
    bool has_before, has_after;
    *shift = 0;
    if (b->at == 0 || b->at == N_POINTS - 1)
        return NQ_OK;
    NQI_TRY(cost_at(&before, &has_before, s, group, b->at - 1, lambda));
    NQI_TRY(cost_at(&after, &has_after, s, group, b->at + 1, lambda));
    const double bend = before - 2 * b->cost + after;
    if (has_before && has_after && bend > 0)
        *shift = NQI_MIN(NQI_MAX(0.5 * (before - after) / bend, -0.5), 0.5);
    return NQ_OK;
}

static nq_status make_points(nqi_sample *s, uint64_t group)
{
    void *memory;
    if (s->groups[group].points)
        return NQ_OK;
    NQI_TRY(nqi_alloc_zero(&memory, &s->m->env.allocator, N_POINTS, sizeof(nqi_slope_point)));
    s->groups[group].points = memory;
    return NQ_OK;
}

void nqi_slope_free(nqi_sample *s, uint64_t group)
{
    nqi_free(&s->m->env.allocator, s->groups[group].points, N_POINTS, sizeof(nqi_slope_point));
}

/* log2 of the step with which D + lambda R is least. */
static nq_status best_step(double *best_log2, nqi_sample *s, uint64_t group, double lambda)
{
    best b = {.at = -1};
    double shift, step = s->finest;
    if (lambda > 0 && s->groups[group].lambda > 0)
        step = 0.5 * nqi_log2(lambda / s->groups[group].lambda);
    const double farthest = (s->coarsest - step) * PER_OCTAVE + BEYOND;
    const int last = farthest < N_POINTS ? (int)NQI_MAX(farthest, 0) : N_POINTS - 1;
    NQI_TRY(make_points(s, group));
    NQI_TRY(look(&b, s, group, lambda, 0, last, STRIDE));
    if (b.at >= 0)
        NQI_TRY(look(&b, s, group, lambda, b.at - STRIDE + 1, b.at + STRIDE - 1, 1));
    if (b.at < 0)
        b.at = 0;
    NQI_TRY(refine(&shift, s, group, lambda, &b));
    *best_log2 = log2_step(s, b.at + shift);
    return NQ_OK;
}

/* Bits and distortion do not fall evenly, and what is best leaps from one dip to another as lambda
 * changes. The mean over an octave of lambdas on each side leads from the one to the other. */
#define AROUND 16

static nq_status smooth_step(double *mean_log2, nqi_sample *s, uint64_t group, double lambda)
{
    double sum = 0;
    for (int i = -AROUND; i <= AROUND; i++) {
        double step;
        NQI_TRY(best_step(&step, s, group, lambda * nqi_exp2((double)i / AROUND)));
        sum += step;
    }
    *mean_log2 = sum / (2 * AROUND + 1);
    return NQ_OK;
}

/* A channel for which another stands in is as far from what suits lambda where steps are small. */
nq_status nqi_slope_goal(nqi_goal *goal, nqi_sample *s, uint64_t group, double lambda)
{
    const uint64_t measured = s->groups[group].stand_in;
    const double own = s->groups[group].lambda, others = s->groups[measured].lambda;
    double step;
    const nq_status status = s->m->is_smooth ? smooth_step(&step, s, measured, lambda)
                                             : best_step(&step, s, measured, lambda);
    if (measured != group)
        nqi_sample_release(s, measured);
    NQI_TRY(status);
    if (own > 0 && others > 0)
        step += 0.5 * (nqi_log2(others) - nqi_log2(own));
    *goal = nqi_sample_goal_of_step(s, group, step);
    return NQ_OK;
}
