/*
 * Levels that are whole multiples of a step, as integers: what an engine with integer arithmetic
 * multiplies with. Part of the decoder.
 */
#include "api/decode.h"

/* Beyond the range of NQ_I16, where a level told as f32 still tells its multiple for sure. */
#define FAR 40000.0

/* The multiple of the step that a level is. */
static bool find_multiple(int32_t *multiple, double step, float level)
{
    const double quotient = step != 0 ? (double)level / step : FAR;
    if (!(quotient > -FAR && quotient < FAR))
        return false;
    *multiple = (int32_t)(quotient < 0 ? quotient - 0.5 : quotient + 0.5);
    return nqi_grid_level(step, *multiple) == level;
}

/* Levels from one on that have the same step. */
typedef struct stretch {
    uint32_t at;
    uint32_t n;
    double step;
} stretch;

static uint32_t stretch_count(const nq_decoder *d)
{
    return d->n_channels ? d->n_channels : 1;
}

static stretch stretch_at(const nq_decoder *d, uint32_t i)
{
    if (d->n_channels == 0)
        return (stretch){.n = d->n_stored, .step = d->step};
    const nqi_channel *c = &d->channels[i];
    return (stretch){.at = c->at, .n = (uint32_t)c->last - c->first + 1, .step = c->step};
}

static bool stretch_fits(const nq_decoder *d, const stretch *s, int32_t least, int32_t greatest)
{
    for (uint32_t i = 0; i < s->n; i++) {
        int32_t multiple;
        if (!find_multiple(&multiple, s->step, d->levels[s->at + i]) || multiple < least ||
            multiple > greatest)
            return false;
    }
    return true;
}

bool nqi_integers_fit(const nq_decoder *d, uint32_t dtype)
{
    if ((dtype != NQ_I8 && dtype != NQ_I16) || d->n_levels == 0)
        return false;
    for (uint32_t i = 0; i < stretch_count(d) && d->narrow_dtype != dtype; i++) {
        const stretch s = stretch_at(d, i);
        if (!stretch_fits(d, &s, dtype == NQ_I8 ? INT8_MIN : INT16_MIN,
                          dtype == NQ_I8 ? INT8_MAX : INT16_MAX))
            return false;
    }
    return true;
}

void nqi_integers_make(nq_decoder *d, uint32_t dtype)
{
    for (uint32_t i = 0; i < stretch_count(d); i++) {
        const stretch s = stretch_at(d, i);
        for (uint32_t k = s.at; k < s.at + s.n; k++) {
            int32_t multiple = 0;
            (void)find_multiple(&multiple, s.step, d->levels[k]); /* they fit */
            if (dtype == NQ_I8)
                ((uint8_t *)d->narrow)[k] = (uint8_t)multiple;
            else
                d->narrow[k] = (uint16_t)multiple;
        }
    }
}

nq_status nq_decoder_step(const nq_decoder *decoder, uint64_t channel, double *step)
{
    if (!decoder || !step || channel >= stretch_count(decoder))
        return NQ_E_ARG;
    const stretch s = stretch_at(decoder, (uint32_t)channel);
    if (decoder->n_levels == 0 || !stretch_fits(decoder, &s, -(int32_t)FAR, (int32_t)FAR))
        return NQ_E_ARG;
    *step = s.step;
    return NQ_OK;
}
