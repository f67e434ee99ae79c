/*
 * Writing rANS blocks. A block is worked out from front to back first: tables chosen, classes of
 * all symbols found, low bits and escapes written down. Then the states swallow the classes from
 * back to front, and the parts move to their places.
 *
 * All that is needed on the way lies in the output's own memory, which the bound asks for.
 */
#include "codec/rans_block_enc.h"

#include <string.h>

#include "base/cursor.h"

/* ---- Memory -------------------------------------------------------------------------------- */

/* Room in front of the parts for what comes before and between them: the first fields of a block,
 * lanes that are no idle ones, and states. */
#define FRONT (64u + 3 * NQI_RANS_MAX_LANES)

/* Offsets in the output. */
typedef struct layout {
    uint64_t low;
    uint64_t value_escapes;
    uint64_t gap_escapes;
    uint64_t value_classes;
    uint64_t gap_classes;
    uint64_t choices;
    uint64_t steps;
    uint64_t ways;
    uint64_t stream_end;
} layout;

/* Bytes that choosing the tables of a part takes: where the ways to each sub-block come from. */
#define WAYS_BYTES (2 * NQI_RANS_GROUP * NQI_RANS_MAX_TABLES)

/* For n up to 2^56. */
static layout plan_layout(const nqi_rans_encoder *e, uint64_t n)
{
    const bool chooses = e->n_tables > 1;
    const uint64_t n_gaps = e->is_sparse ? n : 0;
    /* Every 64 symbols, and the last one of a part, may end a sub-block. */
    const uint64_t n_subs = chooses ? (n >> NQI_RANS_MIN_SUB_LOG2) + n / NQI_RANS_PAIRS + 2 : 0;
    layout l = {.low = FRONT};
    l.value_escapes = l.low + nqi_packed_bytes(n, e->max_value_low_bits) +
                      nqi_packed_bytes(n_gaps, e->max_gap_low_bits) + 2;
    l.gap_escapes = l.value_escapes + (n * e->value_escape_bits + 7) / 8 + NQI_RANS_SINK_SLACK;
    l.value_classes = l.gap_escapes + (n_gaps * e->gap_escape_bits + 7) / 8 + NQI_RANS_SINK_SLACK;
    l.gap_classes = l.value_classes + n;
    l.choices = l.gap_classes + n_gaps;
    l.steps = l.choices + n_subs;
    l.ways = l.steps + n_subs;
    l.stream_end =
        l.ways + (chooses ? WAYS_BYTES : 0) + NQI_RANS_PUSH_SLACK + n + n_gaps + n_subs + 1;
    return l;
}

uint64_t nqi_rans_block_bound(const nqi_rans_encoder *encoder, uint64_t n_indices)
{
    if (n_indices == 0)
        return 0;
    return n_indices >> 56 ? UINT64_MAX : plan_layout(encoder, n_indices).stream_end;
}

static nqi_rans_writing_channel make_channel(uint8_t *classes, uint8_t *escapes,
                                             const uint32_t *words, uint32_t n_levels)
{
    return (nqi_rans_writing_channel){.classes = classes,
                                      .escapes = {.begin = escapes, .at = escapes},
                                      .words = words,
                                      .n_levels = n_levels};
}

static nqi_rans_writing make_writing(const nqi_rans_encoder *e, uint8_t *out,
                                     const uint16_t *indices, size_t n)
{
    const layout l = plan_layout(e, n);
    nqi_rans_writing w = {
        .e = e,
        .indices = indices,
        .n = n,
        .low = out + l.low,
        .low_at = out + l.low,
        .values = make_channel(out + l.value_classes, out + l.value_escapes, e->value_words,
                               e->head.n_levels),
        .gaps = make_channel(out + l.gap_classes, out + l.gap_escapes, e->gap_words, NQI_RANS_GAPS),
        .choices = out + l.choices,
        .steps = out + l.steps,
        .ways = out + l.ways,
        .push = {.at = out + l.stream_end}};
    return w;
}

/* ---- Together ------------------------------------------------------------------------------ */

/* Moves a part down to where the ones before it end. */
static void move_part(nqi_out *o, const uint8_t *begin, const uint8_t *end)
{
    uint8_t *to = nqi_out_take(o, (size_t)(end - begin));
    if (to && end > begin)
        memmove(to, begin, (size_t)(end - begin));
}

static size_t assemble(nqi_rans_writing *w, uint8_t *out, uint8_t *stream_end)
{
    const nqi_rans_encoder *e = w->e;
    const size_t lanes = (size_t)1 << w->push.lanes_log2;
    nqi_out o = nqi_out_make(out, (size_t)(stream_end - out));
    nqi_rans_sink_end(&w->values.escapes);
    nqi_rans_sink_end(&w->gaps.escapes);
    nqi_out_le(&o, w->push.lanes_log2 | w->idle.n_rounds << 4, 1);
    if (w->idle.n_rounds > 0)
        nqi_out_le(&o, w->idle.n_busy, 1);
    for (size_t lane = 0; lane < lanes; lane++)
        if (w->idle.is_busy[lane])
            nqi_out_le(&o, lane, 1);
    if (e->is_sparse)
        nqi_out_varint(&o, w->n_pairs);
    if (e->has_low_bits)
        nqi_out_varint(&o, (uint64_t)(w->low_at - w->low));
    if (e->value_escape_bits > 0)
        nqi_out_varint(&o, (uint64_t)(w->values.escapes.at - w->values.escapes.begin));
    if (e->gap_escape_bits > 0)
        nqi_out_varint(&o, (uint64_t)(w->gaps.escapes.at - w->gaps.escapes.begin));
    move_part(&o, w->low, w->low_at);
    move_part(&o, w->values.escapes.begin, w->values.escapes.at);
    move_part(&o, w->gaps.escapes.begin, w->gaps.escapes.at);
    for (size_t lane = 0; lane < lanes; lane++)
        nqi_out_le(&o, w->push.states[lane], 2);
    move_part(&o, w->push.at, stream_end);
    assert(!o.failed);
    return (size_t)(o.at - out);
}

nq_status nqi_rans_encode_block(const nqi_rans_encoder *encoder, uint8_t *out, size_t *n_bytes,
                                const uint16_t *indices, size_t n_indices)
{
    uint16_t states[NQI_RANS_MAX_LANES];
    nqi_rans_writing w = make_writing(encoder, out, indices, n_indices);
    uint8_t *stream_end = w.push.at;
    w.push.states = states;
    if (encoder->is_sparse) {
        NQI_TRY(nqi_rans_write_sparse(&w));
        w.push.lanes_log2 = nqi_rans_choose_lanes(encoder, 2 * (uint64_t)w.n_pairs);
        nqi_rans_push_sparse(&w);
    } else if (encoder->n_tables > 1) {
        NQI_TRY(nqi_rans_write_dense(&w));
        w.push.lanes_log2 = nqi_rans_choose_lanes(encoder, n_indices);
        nqi_rans_push_dense(&w);
    } else {
        NQI_TRY(nqi_rans_write_single(&w));
        w.push.lanes_log2 = nqi_rans_choose_lanes(encoder, n_indices);
        nqi_rans_push_single(&w);
    }
    *n_bytes = assemble(&w, out, stream_end);
    return NQ_OK;
}
