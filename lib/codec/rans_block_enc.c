/*
 * Writing rANS blocks. A block is worked out from front to back first: tables chosen, classes of
 * all symbols found, low bits and escapes written down. Then the states swallow the classes from
 * back to front, and the parts move to their places.
 *
 * All that is needed on the way lies in the output's own memory, which the bound asks for.
 */
#include "codec/rans_enc.h"

#include <limits.h>
#include <string.h>

#include "base/cursor.h"

/* One table: see nqi_rans_phase. */
#define ONE_SUB_LOG2 ((unsigned)(sizeof(size_t) * 8 - 1))

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

/* Bytes behind the last escape that are written and do not count. */
#define SINK_SLACK 8u

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
    l.gap_escapes = l.value_escapes + (n * e->value_escape_bits + 7) / 8 + SINK_SLACK;
    l.value_classes = l.gap_escapes + (n_gaps * e->gap_escape_bits + 7) / 8 + SINK_SLACK;
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

/* ---- Writing down -------------------------------------------------------------------------- */

typedef struct bit_sink {
    uint8_t *begin;
    uint8_t *at;
    uint64_t bits;
    unsigned n_bits; /* below 8 */
} bit_sink;

static_assert(NQI_RANS_ESCAPE_MAX_LENGTH <= NQI_RANS_WORD_BITS, "a word holds any escape");

uint32_t nqi_rans_escape_word(const nqi_rans_escape_code *code, uint32_t upper)
{
    const uint32_t kept = upper & ((1u << code->width) - 1);
    uint32_t ones, bits = ((1u << NQI_RANS_ESCAPE_ONES) - 1) | kept << NQI_RANS_ESCAPE_ONES;
    unsigned length = NQI_RANS_ESCAPE_ONES + code->width;
    if (nqi_rans_is_ranked(&ones, code, upper)) {
        const uint32_t rest =
            (nqi_rans_rank(code, upper) - code->offset) & ((1u << code->rice_bits) - 1);
        bits = ((1u << ones) - 1) | rest << (ones + 1);
        length = ones + 1 + code->rice_bits;
    }
    return bits | (uint32_t)length << NQI_RANS_WORD_BITS;
}

/* Writes SINK_SLACK bytes, whatever counts of them. */
static void sink_word(bit_sink *sink, uint32_t word)
{
    const uint32_t bits = word & ((UINT32_C(1) << NQI_RANS_WORD_BITS) - 1);
    sink->bits |= (uint64_t)bits << sink->n_bits;
    sink->n_bits += word >> NQI_RANS_WORD_BITS;
    nqi_store_le64(sink->at, sink->bits);
    sink->at += sink->n_bits / 8;
    sink->bits >>= sink->n_bits / 8 * 8;
    sink->n_bits %= 8;
}

static void sink_escapes(bit_sink *sink, const uint32_t words[256],
                         const nqi_rans_escape_code *code, const uint16_t *uppers, size_t n)
{
    bit_sink s = *sink;
    for (size_t i = 0; i < n; i++)
        sink_word(&s, code->width <= 8 ? words[uppers[i] & 255]
                                       : nqi_rans_escape_word(code, uppers[i]));
    *sink = s;
}

static void sink_end(bit_sink *sink)
{
    if (sink->n_bits > 0)
        *sink->at++ = (uint8_t)sink->bits;
}

/*
 * How many rounds at a phase's end are idle, and for which lanes: those whose state, starting from
 * nearly nothing, has room for all that the rounds tell. A lane saves up to eight bits that way;
 * one that has no room costs the byte that says so.
 */
typedef struct idling {
    unsigned n_rounds;
    unsigned n_busy; /* lanes that are not idle */
    bool is_busy[NQI_RANS_MAX_LANES];
} idling;

/* What is written down of the symbols of one kind. */
typedef struct channel {
    uint8_t *classes;
    bit_sink escapes;
    const uint32_t *words; /* of escapes that are bytes */
    uint32_t n_levels;
} channel;

static channel make_channel(uint8_t *classes, uint8_t *escapes, const uint32_t *words,
                            uint32_t n_levels)
{
    return (channel){.classes = classes,
                     .escapes = {.begin = escapes, .at = escapes},
                     .words = words,
                     .n_levels = n_levels};
}

typedef struct writing {
    const nqi_rans_encoder *e;
    const uint16_t *indices;
    size_t n;
    size_t n_pairs; /* of a sparse block */
    uint8_t *low;   /* begin and end of what is written */
    uint8_t *low_at;
    channel values;
    channel gaps;
    uint8_t *choices;
    uint8_t *steps;
    uint8_t *ways;
    nqi_rans_push push;
    idling idle;
} writing;

static writing make_writing(const nqi_rans_encoder *e, uint8_t *out, const uint16_t *indices,
                            size_t n)
{
    const layout l = plan_layout(e, n);
    writing w = {
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

/* ---- Front to back ------------------------------------------------------------------------- */

/* The tables of a part. */
typedef struct selection {
    const nqi_rans_coder *coders;
    const uint8_t *choices;
    unsigned sub_log2;
} selection;

/* Classes, low bits and escapes of n symbols of a part, which begins with the channel's symbol
 * `first`. */
static nq_status write_symbols(writing *w, channel *to, size_t first, const selection *tables,
                               const uint16_t *symbols, size_t n)
{
    enum { AT_ONCE = 4096 }; /* a multiple of eight */
    uint16_t escaped[AT_ONCE + NQI_RANS_ESCAPED_SLACK], largest = 0;
    uint8_t *const classes = to->classes + first;
    const size_t sub = (size_t)1 << tables->sub_log2;
    for (size_t done = 0, now; done < n; done += now) {
        const nqi_rans_coder *coder = &tables->coders[tables->choices[done >> tables->sub_log2]];
        now = NQI_MIN(NQI_MIN(n - done, AT_ONCE), sub - (done & (sub - 1)));
        const size_t n_escaped =
            w->e->kernels->classify(classes + done, escaped, &largest, symbols + done, now, coder);
        if (largest >= to->n_levels || (n_escaped > 0 && coder->escape == NQI_RANS_UNCODED))
            return NQ_E_ARG;
        sink_escapes(&to->escapes, to->words, &coder->escapes, escaped, n_escaped);
        if (coder->low_bits > 0) {
            (void)w->e->pack(w->low_at, symbols + done, now, coder->low_bits);
            w->low_at += nqi_packed_bytes(now, coder->low_bits);
        }
    }
    return NQ_OK;
}

static size_t n_subs_of(const nqi_rans_encoder *e, size_t n)
{
    return (n + ((size_t)1 << e->sub_log2) - 1) >> e->sub_log2;
}

/* What a part is made of: indices, or gaps and values. */
typedef struct part {
    const uint16_t *values;
    const uint16_t *gaps; /* NULL: there are none */
    size_t n;
} part;

/* Chooses tables for a part; those before it ended with *before. */
static void choose_tables(writing *w, uint8_t *choices, uint8_t *steps, const part *p,
                          uint8_t *before)
{
    const nqi_rans_encoder *e = w->e;
    const size_t sub = (size_t)1 << e->sub_log2;
    const size_t n_subs = n_subs_of(e, p->n);
    nqi_rans_ways ways;
    nqi_rans_ways_begin(&ways, e->steps, e->n_tables, *before);
    for (size_t i = 0; i < n_subs; i++) {
        uint32_t costs[NQI_RANS_MAX_TABLES] = {0};
        const size_t first = i << e->sub_log2, n = NQI_MIN(p->n - first, sub);
        nqi_rans_add_costs(costs, e, &e->value_rows, e->values, p->values + first, n);
        if (p->gaps)
            nqi_rans_add_costs(costs, e, &e->gap_rows, e->gaps, p->gaps + first, n);
        (void)e->kernels->step_ways(&ways, w->ways + i * NQI_RANS_MAX_TABLES, costs);
    }
    nqi_rans_ways_end(&ways, choices, steps, w->ways, n_subs);
    *before = choices[n_subs - 1];
}

/* Symbols that parts of a dense block have, but for the last one. */
static size_t dense_unit(const nqi_rans_encoder *e)
{
    return (size_t)NQI_RANS_GROUP << e->sub_log2;
}

static nq_status write_dense(writing *w)
{
    const nqi_rans_encoder *e = w->e;
    const size_t unit = dense_unit(e);
    const size_t n_parts = (size_t)nqi_rans_parts(w->n, unit);
    uint8_t before = 0;
    for (size_t i = 0; i < n_parts; i++) {
        const size_t first = i * unit;
        const part p = {.values = w->indices + first, .n = i + 1 < n_parts ? unit : w->n - first};
        uint8_t *choices = w->choices + i * NQI_RANS_GROUP;
        choose_tables(w, choices, w->steps + i * NQI_RANS_GROUP, &p, &before);
        const selection tables = {e->values, choices, e->sub_log2};
        NQI_TRY(write_symbols(w, &w->values, first, &tables, p.values, p.n));
    }
    return NQ_OK;
}

static const uint8_t only_choice = 0;

static nq_status write_single(writing *w)
{
    const selection tables = {w->e->values, &only_choice, ONE_SUB_LOG2};
    return write_symbols(w, &w->values, 0, &tables, w->indices, w->n);
}

/* ---- Pairs --------------------------------------------------------------------------------- */

static size_t count_pairs(const writing *w)
{
    nqi_rans_pairs p = {.most = SIZE_MAX, .zero = (uint16_t)w->e->zero};
    (void)w->e->kernels->find_pairs(&p, w->indices, w->n);
    return p.n;
}

static size_t n_pair_parts(const writing *w)
{
    return w->n_pairs > 0 ? (size_t)nqi_rans_parts(w->n_pairs, NQI_RANS_PAIRS) : 0;
}

static nq_status write_sparse(writing *w)
{
    uint16_t gaps[2 * NQI_RANS_PAIRS], values[2 * NQI_RANS_PAIRS];
    const nqi_rans_encoder *e = w->e;
    const size_t subs_per_part = n_subs_of(e, NQI_RANS_PAIRS);
    uint8_t before = 0;
    size_t at = 0;
    w->n_pairs = count_pairs(w);
    const size_t n_parts = n_pair_parts(w);
    for (size_t i = 0; i < n_parts; i++) {
        const size_t first = i * NQI_RANS_PAIRS;
        part p = {.values = values,
                  .gaps = gaps,
                  .n = i + 1 < n_parts ? NQI_RANS_PAIRS : w->n_pairs - first};
        nqi_rans_pairs pairs = {
            .gaps = gaps, .values = values, .most = p.n, .zero = (uint16_t)e->zero};
        at += e->kernels->find_pairs(&pairs, w->indices + at, w->n - at);
        selection tables = {e->gaps, &only_choice, ONE_SUB_LOG2};
        if (e->n_tables > 1) {
            uint8_t *choices = w->choices + i * subs_per_part;
            choose_tables(w, choices, w->steps + i * subs_per_part, &p, &before);
            tables.choices = choices;
            tables.sub_log2 = e->sub_log2;
        }
        NQI_TRY(write_symbols(w, &w->gaps, first, &tables, gaps, p.n));
        tables.coders = e->values;
        NQI_TRY(write_symbols(w, &w->values, first, &tables, values, p.n));
    }
    return NQ_OK;
}

/* ---- Lanes --------------------------------------------------------------------------------- */

/* A phase of a block for encoding, given back to front. */
typedef struct phase {
    selection tables;
    const uint8_t *classes;
    size_t n;
} phase;

/* A lane costs about five bits: as many as cost one part in LANES_SHARE, 256 at most. */
static unsigned choose_lanes(const nqi_rans_encoder *e, uint64_t n_symbols)
{
    enum { LANE_BITS = 5 };
    const uint64_t bits = n_symbols * (uint64_t)e->mean_growth >> NQI_RANS_COST_LOG2;
    unsigned lanes_log2 = 0;
    while (lanes_log2 < NQI_RANS_MAX_LANES_LOG2 &&
           (uint64_t)LANE_BITS * NQI_RANS_LANES_SHARE << (lanes_log2 + 1) <= bits)
        lanes_log2++;
    return lanes_log2;
}

static const nqi_rans_coder *coder_of(const phase *p, size_t symbol)
{
    return &p->tables.coders[p->tables.choices[symbol >> p->tables.sub_log2]];
}

/* In 1/16 bit. */
#define STATE_ROOM 252u
#define STATE_LOSS 128u

static size_t n_rounds_of(const phase *p, unsigned lanes_log2)
{
    return (p->n + ((size_t)1 << lanes_log2) - 1) >> lanes_log2;
}

/* Adds what a round tells to what lanes have swallowed. */
static void add_growth(unsigned *growth, const phase *p, size_t round, unsigned lanes_log2)
{
    const size_t begin = round << lanes_log2;
    const size_t end = NQI_MIN(p->n, begin + ((size_t)1 << lanes_log2));
    for (size_t i = begin; i < end; i++)
        growth[i - begin] += coder_of(p, i)->growth[p->classes[i]];
}

/* What the rounds that were added save: in *at_most, with any more of them. */
static int saving(const unsigned *growth, size_t lanes, int *at_most)
{
    int saved = 0, n_busy = 0;
    for (size_t i = 0; i < lanes; i++) {
        const bool is_busy = growth[i] > STATE_ROOM;
        saved += is_busy ? -(int)STATE_LOSS : (int)NQI_MIN(growth[i], STATE_LOSS);
        n_busy += is_busy;
    }
    *at_most = ((int)lanes - 2 * n_busy) * (int)STATE_LOSS;
    return saved;
}

static idling plan_idling(const phase *p, unsigned lanes_log2)
{
    unsigned growth[NQI_RANS_MAX_LANES] = {0};
    const size_t lanes = (size_t)1 << lanes_log2;
    const size_t n_rounds = n_rounds_of(p, lanes_log2);
    idling best = {.n_rounds = 0};
    int most = 0, at_most = INT_MAX;
    for (unsigned n = 1; n <= NQI_MIN(n_rounds, NQI_RANS_MAX_IDLE) && at_most > most; n++) {
        add_growth(growth, p, n_rounds - n, lanes_log2);
        const int saved = saving(growth, lanes, &at_most);
        if (saved <= most)
            continue;
        most = saved;
        best.n_rounds = n;
        for (size_t i = 0; i < lanes; i++)
            best.is_busy[i] = growth[i] > STATE_ROOM;
    }
    return best;
}

/*
 * The state of one lane in front of the symbols from `begin` on, which it swallows without giving a
 * byte away: started as low as possible for it to end up at STATE_MIN or above.
 */
static uint32_t first_state(const phase *p, size_t begin, size_t lane, size_t lanes)
{
    uint32_t state = NQI_RANS_STATE_MIN;
    size_t i = begin + lane;
    for (; i < p->n; i += lanes)
        state = nqi_rans_least_before(coder_of(p, i), p->classes[i], state);
    while (i >= begin + lane + lanes) {
        i -= lanes;
        state = nqi_rans_pushed(coder_of(p, i), p->classes[i], state);
    }
    return state;
}

/* Starts the states with the idle rounds of a block's last phase. */
static void start_states(writing *w, const phase *p)
{
    const unsigned lanes_log2 = w->push.lanes_log2;
    const size_t lanes = (size_t)1 << lanes_log2;
    idling *idle = &w->idle;
    *idle = plan_idling(p, lanes_log2);
    const size_t begin = (n_rounds_of(p, lanes_log2) - idle->n_rounds) << lanes_log2;
    for (size_t lane = 0; lane < lanes; lane++) {
        uint32_t state = idle->is_busy[lane] ? UINT32_MAX : first_state(p, begin, lane, lanes);
        if (state > UINT16_MAX) {
            idle->is_busy[lane] = true;
            state = NQI_RANS_STATE_MIN;
        }
        w->push.states[lane] = (uint16_t)state;
        idle->n_busy += idle->is_busy[lane] ? 1 : 0;
    }
}

/* ---- Back to front ------------------------------------------------------------------------- */

/* Symbols `begin` to `end` of a phase. */
static void push_symbols(writing *w, const phase *p, size_t begin, size_t end)
{
    nqi_rans_push *push = &w->push;
    const size_t lanes = (size_t)1 << push->lanes_log2;
    const bool fits = push->lanes_log2 >= w->e->kernels->min_lanes_log2;
    const size_t whole = fits && begin % lanes == 0 ? (end - begin) & ~(lanes - 1) : 0;
    push->coders = p->tables.coders;
    push->choices = p->tables.choices;
    push->sub_log2 = p->tables.sub_log2;
    if (begin + whole < end)
        nqi_rans_push_kernels_ref.push(push, p->classes + begin + whole, begin + whole,
                                       end - begin - whole);
    if (whole > 0)
        w->e->kernels->push(push, p->classes + begin, begin, whole);
}

static void push_steps(writing *w, const uint8_t *steps, size_t n_subs)
{
    const phase p = {
        .tables = {w->e->steps, &only_choice, ONE_SUB_LOG2}, .classes = steps, .n = n_subs};
    push_symbols(w, &p, 0, p.n);
}

/* A block's last phase. In the idle rounds only busy lanes are left to be pushed. */
static void push_last(writing *w, const phase *p)
{
    const unsigned lanes_log2 = w->push.lanes_log2;
    start_states(w, p);
    size_t round = n_rounds_of(p, lanes_log2);
    for (unsigned i = 0; i < w->idle.n_rounds; i++) {
        const size_t begin = --round << lanes_log2;
        for (size_t lane = (size_t)1 << lanes_log2; lane-- > 0;)
            if (w->idle.is_busy[lane] && begin + lane < p->n)
                push_symbols(w, p, begin + lane, begin + lane + 1);
    }
    push_symbols(w, p, 0, NQI_MIN(p->n, round << lanes_log2));
}

static void push_phase(writing *w, const phase *p, bool is_last)
{
    if (is_last)
        push_last(w, p);
    else
        push_symbols(w, p, 0, p->n);
}

static void push_single(writing *w)
{
    const phase p = {.tables = {w->e->values, &only_choice, ONE_SUB_LOG2},
                     .classes = w->values.classes,
                     .n = w->n};
    push_phase(w, &p, true);
}

static void push_dense(writing *w)
{
    const size_t unit = dense_unit(w->e);
    const size_t n_parts = (size_t)nqi_rans_parts(w->n, unit);
    for (size_t i = n_parts; i-- > 0;) {
        const size_t first = i * unit;
        const bool is_last = i + 1 == n_parts;
        const phase p = {.tables = {w->e->values, w->choices + i * NQI_RANS_GROUP, w->e->sub_log2},
                         .classes = w->values.classes + first,
                         .n = is_last ? w->n - first : unit};
        push_phase(w, &p, is_last);
        push_steps(w, w->steps + i * NQI_RANS_GROUP, n_subs_of(w->e, p.n));
    }
}

static void push_sparse(writing *w)
{
    const nqi_rans_encoder *e = w->e;
    const bool chooses = e->n_tables > 1;
    const size_t n_parts = n_pair_parts(w);
    const size_t subs_per_part = n_subs_of(e, NQI_RANS_PAIRS);
    if (n_parts == 0)
        start_states(w, &(phase){.n = 0});
    for (size_t i = n_parts; i-- > 0;) {
        const size_t first = i * NQI_RANS_PAIRS, sub = i * subs_per_part;
        const bool is_last = i + 1 == n_parts;
        phase p = {.tables = {e->values, chooses ? w->choices + sub : &only_choice,
                              chooses ? e->sub_log2 : ONE_SUB_LOG2},
                   .classes = w->values.classes + first,
                   .n = is_last ? w->n_pairs - first : NQI_RANS_PAIRS};
        push_phase(w, &p, is_last);
        p.tables.coders = e->gaps;
        p.classes = w->gaps.classes + first;
        push_phase(w, &p, false);
        if (chooses)
            push_steps(w, w->steps + sub, n_subs_of(e, p.n));
    }
}

/* ---- Together ------------------------------------------------------------------------------ */

/* Moves a part down to where the ones before it end. */
static void move_part(nqi_out *o, const uint8_t *begin, const uint8_t *end)
{
    uint8_t *to = nqi_out_take(o, (size_t)(end - begin));
    if (to && end > begin)
        memmove(to, begin, (size_t)(end - begin));
}

static size_t assemble(writing *w, uint8_t *out, uint8_t *stream_end)
{
    const nqi_rans_encoder *e = w->e;
    const size_t lanes = (size_t)1 << w->push.lanes_log2;
    nqi_out o = nqi_out_make(out, (size_t)(stream_end - out));
    sink_end(&w->values.escapes);
    sink_end(&w->gaps.escapes);
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
    writing w = make_writing(encoder, out, indices, n_indices);
    uint8_t *stream_end = w.push.at;
    w.push.states = states;
    if (encoder->is_sparse) {
        NQI_TRY(write_sparse(&w));
        w.push.lanes_log2 = choose_lanes(encoder, 2 * (uint64_t)w.n_pairs);
        push_sparse(&w);
    } else if (encoder->n_tables > 1) {
        NQI_TRY(write_dense(&w));
        w.push.lanes_log2 = choose_lanes(encoder, n_indices);
        push_dense(&w);
    } else {
        NQI_TRY(write_single(&w));
        w.push.lanes_log2 = choose_lanes(encoder, n_indices);
        push_single(&w);
    }
    *n_bytes = assemble(&w, out, stream_end);
    return NQ_OK;
}
