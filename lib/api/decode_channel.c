/*
 * Levels by channel: which elements have which levels, and what their indices stand for. Elements
 * lie in the tensor's order whatever the axis is, so ranges stay ranges; runs of one channel are
 * looked up as if it were a tensor of its own. Part of the decoder.
 */
#include "api/decode.h"

#include "base/bytes.h"

nqi_channel_walk nqi_channel_walk_at(const nq_decoder *d, uint64_t element)
{
    const uint64_t run = element / d->inner;
    return (nqi_channel_walk){.channel = d->channels + run % d->n_channels,
                              .left = d->inner - element % d->inner};
}

void nqi_channels_prepare(nq_decoder *d)
{
    d->inner = 1;
    for (uint32_t i = d->tensor.axis + 1; d->tensor.n_elements > 0 && i < d->tensor.rank; i++)
        d->inner *= d->tensor.dims[i];
    for (uint32_t i = 0; i < d->n_channels; i++) {
        const nqi_channel *c = &d->channels[i];
        d->renumbers = d->renumbers || c->first != 0 || (uint32_t)c->last + 1 != d->n_levels;
    }
}

/* ---- Indices ------------------------------------------------------------------------------- */

static uint32_t index_at(const nq_decoder *d, size_t place)
{
    return d->is_narrow ? ((const uint8_t *)d->piece)[place] : ((const uint16_t *)d->piece)[place];
}

/* For few elements, or where code is to be small. */
static bool renumber_each(nq_decoder *d, const nqi_channel *c, size_t place, size_t n)
{
    const uint32_t most = (uint32_t)c->last - c->first;
    bool is_good = true;
    for (size_t i = place; i < place + n; i++) {
        const uint32_t index = index_at(d, i) - c->first;
        is_good = is_good && index <= most;
        if (d->is_narrow)
            ((uint8_t *)d->piece)[i] = (uint8_t)index;
        else
            ((uint16_t *)d->piece)[i] = (uint16_t)index;
    }
    return is_good;
}

/* Without a branch, so that compilers make vector code of it. */
static bool renumber_bytes(uint8_t *indices, const nqi_channel *c, size_t n)
{
    const uint8_t first = (uint8_t)c->first, most = (uint8_t)(c->last - c->first);
    uint8_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t index = (uint8_t)(indices[i] - first);
        bad |= index > most;
        indices[i] = index;
    }
    return !bad;
}

nq_status nqi_channels_renumber(nq_decoder *d, uint64_t element, size_t n)
{
    nqi_channel_walk w = nqi_channel_walk_at(d, element);
    bool is_good = true;
    for (size_t done = 0, now; done < n; done += now) {
        now = (size_t)NQI_MIN(w.left, n - done);
        if (NQI_IS_SMALLEST || !d->is_narrow || now < NQI_CHANNEL_SHORT)
            is_good &= renumber_each(d, w.channel, done, now);
        else
            is_good &= renumber_bytes((uint8_t *)d->piece + done, w.channel, now);
        nqi_channel_walk_on(&w, d, now);
    }
    return is_good ? NQ_OK : NQ_E_CORRUPT;
}

/* ---- Values -------------------------------------------------------------------------------- */

static void emit_each(uint8_t *out, const nq_decoder *d, const nqi_values *values,
                      nqi_channel_walk w, size_t place, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const size_t level = w.channel->at + index_at(d, place + i);
        memcpy(out, (const uint8_t *)values->of + level * values->unit, values->unit);
        out += values->unit;
        nqi_channel_walk_on(&w, d, 1);
    }
}

void nqi_channels_emit(uint8_t *out, const nq_decoder *d, const nqi_values *values,
                       uint64_t element, size_t place, size_t n)
{
    nqi_channel_walk w = nqi_channel_walk_at(d, element);
    if (NQI_IS_SMALLEST || !d->is_narrow || d->inner < NQI_CHANNEL_SHORT) {
        emit_each(out, d, values, w, place, n);
        return;
    }
    for (size_t done = 0, now; done < n; done += now) {
        const nqi_channel *c = w.channel;
        const nqi_values here = {(const uint8_t *)values->of + (size_t)c->at * values->unit,
                                 values->unit};
        now = (size_t)NQI_MIN(w.left, n - done);
        nqi_decoder_emit_bytes(out + done * values->unit, d, &here,
                               (uint32_t)c->last - c->first + 1,
                               (const uint8_t *)d->piece + place + done, now);
        nqi_channel_walk_on(&w, d, now);
    }
}
