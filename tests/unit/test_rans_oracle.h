/*
 * rANS as docs/format/rans.md tells it, in the plainest way: tables are counted out place by place,
 * ranks by counting slots, blocks are arrays of symbols. It writes what the library never writes
 * too: any number of lanes, any choice of tables, busy lanes at will, long forms of escapes.
 */
#ifndef TEST_RANS_ORACLE_H
#define TEST_RANS_ORACLE_H

#include "unit.h"

#include "nq/status.h"

enum { O_ESCAPE = -1, O_MAX_BYTES = 1 << 20 };

typedef struct o_table {
    unsigned k;
    uint32_t last, first, span;
    unsigned frequency[256]; /* of the window */
    unsigned n_classes;
    long upper[33]; /* by class; O_ESCAPE */
    unsigned f[33];
    unsigned class_of[256], rank_of[256], slot_of[33][256];
} o_table;

typedef struct o_channel {
    uint32_t n;
    unsigned n_tables;
    o_table t[16];
    bool has_escape, has_low;
    uint32_t last, center, offset;
    unsigned w, m;
} o_channel;

typedef struct o_code {
    uint32_t n_levels, zero;
    unsigned n_tables, s;
    bool sparse;
    o_table steps;
    o_channel gaps, values;
} o_code;

/* ---- Arithmetic ---------------------------------------------------------------------------- */

/* The least number of bits that tells n things apart. */
static inline unsigned o_log2(uint64_t n)
{
    unsigned bits = 0;
    while (((uint64_t)1 << bits) < n)
        bits++;
    return bits;
}

/* Gives slots to classes whose frequencies are set. */
static inline void o_lay_out(o_table *t)
{
    unsigned place = 0, owner[256];
    for (unsigned c = 0; c < t->n_classes; c++)
        for (unsigned i = 0; i < t->f[c]; i++)
            owner[place++] = c;
    assert_int_equal(place, 256);
    for (place = 0; place < 256; place++)
        t->class_of[place % 16 * 16 + place / 16] = owner[place];
    for (unsigned slot = 0; slot < 256; slot++) {
        unsigned rank = 0;
        for (unsigned below = 0; below < slot; below++)
            rank += t->class_of[below] == t->class_of[slot];
        t->rank_of[slot] = rank;
        t->slot_of[t->class_of[slot]][rank] = slot;
    }
}

/* Makes classes of a window's frequencies; whether that is a legal table. */
static inline bool o_make_classes(o_table *t)
{
    unsigned sum = 0, n = 0;
    for (uint32_t i = 0; i < t->span; i++)
        sum += t->frequency[i];
    if (t->frequency[0] == 0 || t->frequency[t->span - 1] == 0 || sum > 256)
        return false;
    for (uint32_t i = 0; i < t->span; i++)
        if (t->frequency[i] > 0) {
            if (n == 32)
                return false;
            t->f[n] = t->frequency[i];
            t->upper[n++] = (long)(t->first + i);
        }
    if (sum < 256) {
        if (n == 32)
            return false;
        t->f[n] = 256 - sum;
        t->upper[n++] = O_ESCAPE;
    }
    t->n_classes = n;
    if (t->last == 0 && n > 1)
        return false;
    o_lay_out(t);
    return true;
}

static inline void o_summarize(o_channel *c)
{
    c->has_escape = c->has_low = false;
    c->last = 0;
    for (unsigned t = 0; t < c->n_tables; t++) {
        c->has_escape |= c->t[t].upper[c->t[t].n_classes - 1] == O_ESCAPE;
        c->has_low |= c->t[t].k > 0;
        c->last = c->t[t].last > c->last ? c->t[t].last : c->last;
    }
    c->w = o_log2((uint64_t)c->last + 1);
}

/* Counts outwards from the centre until `upper`; or for `count` ranks, if upper is O_ESCAPE. */
static inline uint32_t o_walk(const o_channel *c, long upper, uint32_t count)
{
    uint32_t rank = 0;
    if (upper == (long)c->center || (upper == O_ESCAPE && count == 0))
        return upper == O_ESCAPE ? c->center : 0;
    for (long d = 1;; d++)
        for (int side = 0; side < 2; side++) {
            const long at = side == 0 ? (long)c->center + d : (long)c->center - d;
            if (at < 0 || at > (long)c->last)
                continue;
            rank++;
            if (upper == O_ESCAPE ? rank == count : at == upper)
                return upper == O_ESCAPE ? (uint32_t)at : rank;
        }
}

/* ---- Bits ---------------------------------------------------------------------------------- */

typedef struct o_bits {
    uint8_t *bytes;
    size_t n_bytes; /* when reading: that there are */
    size_t at;
    bool failed;
} o_bits;

static inline void o_put(o_bits *b, uint32_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++, b->at++) {
        if (b->at % 8 == 0)
            b->bytes[b->at / 8] = 0;
        b->bytes[b->at / 8] |= (uint8_t)((value >> i & 1) << (b->at % 8));
    }
}

static inline uint32_t o_take(o_bits *b, unsigned width)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < width; i++, b->at++) {
        if (b->at >= 8 * b->n_bytes) {
            b->failed = true;
            return 0;
        }
        value |= (uint32_t)(b->bytes[b->at / 8] >> (b->at % 8) & 1) << i;
    }
    return value;
}

/* Whether only padding is left. */
static inline bool o_at_end(o_bits *b)
{
    return 8 * b->n_bytes - b->at < 8 && o_take(b, (unsigned)(8 * b->n_bytes - b->at)) == 0;
}

/* ---- Tables -------------------------------------------------------------------------------- */

static inline void o_put_frequency(o_bits *b, unsigned f, unsigned *width)
{
    unsigned wanted = 0;
    while (f >> wanted)
        wanted++;
    const int d = (int)wanted - (int)*width;
    o_put(b, 0, d > 0 ? 2 * (unsigned)d - 1 : 2 * (unsigned)-d);
    o_put(b, 1, 1);
    o_put(b, f, wanted > 0 ? wanted - 1 : 0);
    *width = wanted;
}

static inline void o_put_channel(o_bits *b, const o_channel *c)
{
    for (unsigned i = 0; i < c->n_tables; i++) {
        const o_table *t = &c->t[i];
        const unsigned w = o_log2((uint64_t)t->last + 1);
        unsigned width = 1;
        o_put(b, t->k, 4);
        o_put(b, t->first, w);
        o_put(b, t->span - 1, w < 8 ? w : 8);
        for (uint32_t j = 0; j < t->span; j++)
            o_put_frequency(b, t->frequency[j], &width);
    }
    if (c->has_escape) {
        o_put(b, c->center, c->w);
        o_put(b, c->offset, c->w);
        o_put(b, c->m, 4);
    }
}

static inline size_t o_write_table(uint8_t *bytes, const o_code *code)
{
    o_bits b = {.bytes = bytes};
    o_put(&b, code->n_tables - 1, 4);
    o_put(&b, code->sparse, 1);
    o_put(&b, code->s, 3);
    if (code->sparse)
        o_put(&b, code->zero, o_log2(code->n_levels));
    unsigned width = 1;
    for (unsigned i = 0; i + 1 < code->n_tables; i++)
        o_put_frequency(&b, code->steps.f[i], &width);
    if (code->sparse)
        o_put_channel(&b, &code->gaps);
    o_put_channel(&b, &code->values);
    return (b.at + 7) / 8;
}

static inline bool o_take_frequency(unsigned *f, o_bits *b, unsigned *width)
{
    static const int differences[] = {0,  1, -1, 2, -2, 3, -3, 4, -4, 5,
                                      -5, 6, -6, 7, -7, 8, -8, 9, -9};
    unsigned zeros = 0;
    while (!b->failed && zeros < 19 && o_take(b, 1) == 0)
        zeros++;
    if (b->failed || zeros == 19)
        return false;
    const int wanted = (int)*width + differences[zeros];
    if (wanted < 0 || wanted > 9)
        return false;
    *width = (unsigned)wanted;
    *f = wanted == 0 ? 0 : (1u << (wanted - 1)) + o_take(b, (unsigned)wanted - 1);
    return !b->failed;
}

static inline bool o_take_channel(o_channel *c, o_bits *b, unsigned n_tables, uint32_t n)
{
    *c = (o_channel){.n = n, .n_tables = n_tables};
    for (unsigned i = 0; i < n_tables; i++) {
        o_table *t = &c->t[i];
        unsigned width = 1;
        t->k = o_take(b, 4);
        if (b->failed || t->k > o_log2(n))
            return false;
        t->last = (uint32_t)((n - 1) / (1u << t->k));
        const unsigned w = o_log2((uint64_t)t->last + 1);
        t->first = o_take(b, w);
        t->span = o_take(b, w < 8 ? w : 8) + 1;
        if (b->failed || t->span > 255 || t->first + t->span - 1 > t->last)
            return false;
        for (uint32_t j = 0; j < t->span; j++)
            if (!o_take_frequency(&t->frequency[j], b, &width))
                return false;
        if (!o_make_classes(t))
            return false;
    }
    o_summarize(c);
    if (!c->has_escape)
        return true;
    c->center = o_take(b, c->w);
    c->offset = o_take(b, c->w);
    c->m = o_take(b, 4);
    return !b->failed && c->center <= c->last && c->offset <= c->last;
}

static inline bool o_take_steps(o_code *code, o_bits *b)
{
    unsigned width = 1, sum = 0;
    code->steps = (o_table){.n_classes = code->n_tables, .last = code->n_tables - 1};
    for (unsigned i = 0; i + 1 < code->n_tables; i++) {
        if (!o_take_frequency(&code->steps.f[i], b, &width) || code->steps.f[i] == 0)
            return false;
        code->steps.upper[i] = (long)i;
        sum += code->steps.f[i];
        if (sum > 255)
            return false;
    }
    code->steps.upper[code->n_tables - 1] = (long)code->n_tables - 1;
    code->steps.f[code->n_tables - 1] = 256 - sum;
    o_lay_out(&code->steps);
    return true;
}

static inline bool o_read_table(o_code *code, const uint8_t *bytes, size_t n_bytes,
                                uint32_t n_levels)
{
    o_bits b = {.bytes = (uint8_t *)(uintptr_t)bytes, .n_bytes = n_bytes};
    *code = (o_code){.n_levels = n_levels};
    code->n_tables = o_take(&b, 4) + 1;
    code->sparse = o_take(&b, 1) != 0;
    code->s = o_take(&b, 3);
    if (code->sparse)
        code->zero = o_take(&b, o_log2(n_levels));
    if (b.failed || code->zero >= n_levels || (code->n_tables == 1 && code->s > 0))
        return false;
    if (code->n_tables > 1 && !o_take_steps(code, &b))
        return false;
    if (code->sparse && !o_take_channel(&code->gaps, &b, code->n_tables, 65536))
        return false;
    return o_take_channel(&code->values, &b, code->n_tables, n_levels) && o_at_end(&b);
}

/* ---- Phases -------------------------------------------------------------------------------- */

/* A symbol on its way: of which table, and of which class. */
typedef struct o_symbol {
    const o_table *table;
    unsigned c;
} o_symbol;

typedef struct o_phase {
    size_t n;
    bool is_last;
    o_symbol *symbols;
} o_phase;

/* First symbol and number of symbols of group i, of which there are n_groups. */
static inline size_t o_n_groups(size_t n, size_t unit)
{
    return n < unit ? 1 : n / unit;
}

static inline size_t o_group_size(size_t n, size_t unit, size_t i)
{
    return i + 1 < o_n_groups(n, unit) ? unit : n - i * unit;
}

/* ---- Decoding ------------------------------------------------------------------------------ */

typedef struct o_block {
    const o_code *code;
    const uint8_t *bytes;
    size_t n_bytes, at, n;
    unsigned lanes, idle;
    bool busy[256];
    size_t n_pairs;
    o_bits low, escapes, gap_escapes;
    uint32_t states[256];
} o_block;

static inline bool o_varint(size_t *value, o_block *b, bool has_part)
{
    *value = 0;
    if (!has_part)
        return true;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        if (b->at == b->n_bytes)
            return false;
        const uint8_t byte = b->bytes[b->at++];
        *value |= (size_t)(byte & 127) << shift;
        if (byte < 128)
            return byte != 0 || shift == 0;
    }
    return false;
}

static inline bool o_part(o_bits *part, o_block *b, size_t n)
{
    if (n > b->n_bytes - b->at)
        return false;
    *part = (o_bits){.bytes = (uint8_t *)(uintptr_t)(b->bytes + b->at), .n_bytes = n};
    b->at += n;
    return true;
}

static inline bool o_begin(o_block *b)
{
    const o_code *code = b->code;
    size_t low, escapes, gap_escapes;
    o_bits states;
    if (b->n_bytes == 0)
        return false;
    const uint8_t head = b->bytes[b->at++];
    if ((head & 15) > 8)
        return false;
    b->lanes = 1u << (head & 15);
    b->idle = head >> 4;
    if (b->idle > 0) {
        if (b->at == b->n_bytes)
            return false;
        const unsigned n_busy = b->bytes[b->at++];
        for (unsigned i = 0, least = 0; i < n_busy; i++) {
            if (b->at == b->n_bytes)
                return false;
            const unsigned lane = b->bytes[b->at++];
            if (lane < least || lane >= b->lanes)
                return false;
            b->busy[lane] = true;
            least = lane + 1;
        }
    }
    if (!o_varint(&b->n_pairs, b, code->sparse) || b->n_pairs > b->n ||
        !o_varint(&low, b, code->values.has_low || (code->sparse && code->gaps.has_low)) ||
        !o_varint(&escapes, b, code->values.has_escape) ||
        !o_varint(&gap_escapes, b, code->sparse && code->gaps.has_escape) ||
        !o_part(&b->low, b, low) || !o_part(&b->escapes, b, escapes) ||
        !o_part(&b->gap_escapes, b, gap_escapes) || !o_part(&states, b, 2 * b->lanes))
        return false;
    for (unsigned i = 0; i < b->lanes; i++) {
        b->states[i] = o_take(&states, 16);
        if (b->states[i] < 256)
            return false;
    }
    return true;
}

/* Decodes symbol i of n of a phase. */
static inline bool o_decode_symbol(unsigned *c, o_block *b, const o_table *t, size_t i, size_t n,
                                   bool is_last)
{
    const size_t rounds = (n + b->lanes - 1) / b->lanes, lane = i % b->lanes;
    uint32_t x = b->states[lane];
    *c = t->class_of[x % 256];
    if (t->n_classes == 1)
        return true;
    x = t->f[*c] * (x / 256) + t->rank_of[x % 256];
    const bool is_idle = is_last && i / b->lanes + b->idle >= rounds && !b->busy[lane];
    if (x < 256 && !is_idle) {
        if (b->at == b->n_bytes)
            return false;
        x = 256 * x + b->bytes[b->at++];
    }
    b->states[lane] = x;
    return true;
}

static inline bool o_decode_escape(uint32_t *upper, const o_channel *c, o_bits *b)
{
    unsigned ones = 0;
    while (ones < 8 && o_take(b, 1))
        ones++;
    if (ones == 8) {
        *upper = o_take(b, c->w);
        return !b->failed && *upper <= c->last;
    }
    const uint32_t rank = c->offset + (ones << c->m) + o_take(b, c->m);
    if (b->failed || rank > c->last)
        return false;
    *upper = o_walk(c, O_ESCAPE, rank);
    return true;
}

/* A phase of n numbers. */
static inline bool o_decode_numbers(uint32_t *out, o_block *b, const o_channel *channel,
                                    o_bits *escapes, const unsigned *choices, size_t sub, size_t n,
                                    bool is_last)
{
    for (size_t i = 0; i < n; i++) {
        const o_table *t = &channel->t[choices[i / sub]];
        unsigned c;
        if (!o_decode_symbol(&c, b, t, i, n, is_last))
            return false;
        out[i] = (uint32_t)t->upper[c];
        if (t->upper[c] == O_ESCAPE &&
            (!o_decode_escape(&out[i], channel, escapes) || out[i] > t->last))
            return false;
    }
    for (size_t i = 0; i < n; i++) {
        const unsigned k = channel->t[choices[i / sub]].k;
        out[i] = (out[i] << k) + o_take(&b->low, k);
        if (b->low.failed || out[i] >= channel->n)
            return false;
        if ((i + 1) % sub == 0 || i + 1 == n)
            while (b->low.at % 8 != 0)
                if (o_take(&b->low, 1) != 0)
                    return false;
    }
    return true;
}

static inline bool o_decode_choices(unsigned *choices, o_block *b, size_t n, unsigned *before)
{
    for (size_t i = 0; i < n; i++) {
        unsigned step;
        if (!o_decode_symbol(&step, b, &b->code->steps, i, n, false))
            return false;
        choices[i] = *before = (*before + step) % b->code->n_tables;
    }
    return true;
}

static inline bool o_decode_parts(uint32_t *out, o_block *b)
{
    static unsigned choices[1 << 12];
    static uint32_t gaps[1 << 13], values[1 << 13];
    const o_code *code = b->code;
    const bool chooses = code->n_tables > 1;
    const size_t sub = chooses ? (size_t)64 << code->s : (size_t)1 << 30;
    const size_t n = code->sparse ? b->n_pairs : b->n;
    const size_t unit = code->sparse ? 2048 : chooses ? 512 * sub : n;
    const size_t n_groups = n == 0 ? 0 : o_n_groups(n, unit);
    const size_t last = n == 0 ? 0 : o_group_size(n, unit, n_groups - 1);
    unsigned before = 0;
    size_t done = 0;
    choices[0] = 0;
    if (b->idle > (last + b->lanes - 1) / b->lanes)
        return false;
    for (size_t g = 0; g < n_groups; g++) {
        const size_t size = o_group_size(n, unit, g);
        const bool is_last = g + 1 == n_groups;
        if (chooses && !o_decode_choices(choices, b, (size + sub - 1) / sub, &before))
            return false;
        if (!code->sparse) {
            if (!o_decode_numbers(out + g * unit, b, &code->values, &b->escapes, choices, sub, size,
                                  is_last))
                return false;
            continue;
        }
        if (!o_decode_numbers(gaps, b, &code->gaps, &b->gap_escapes, choices, sub, size, false) ||
            !o_decode_numbers(values, b, &code->values, &b->escapes, choices, sub, size, is_last))
            return false;
        for (size_t i = 0; i < size; i++) {
            if (gaps[i] >= b->n - done)
                return false;
            for (uint32_t zero = 0; zero < gaps[i]; zero++)
                out[done++] = code->zero;
            out[done++] = values[i];
        }
    }
    while (code->sparse && done < b->n)
        out[done++] = code->zero;
    return true;
}

/* Whether a block is legal; then its indices are in `out`. */
static inline bool o_decode_block(uint32_t *out, const o_code *code, const uint8_t *bytes,
                                  size_t n_bytes, size_t n)
{
    static o_block b;
    b = (o_block){.code = code, .bytes = bytes, .n_bytes = n_bytes, .n = n};
    if (n == 0)
        return n_bytes == 0;
    if (!o_begin(&b) || !o_decode_parts(out, &b))
        return false;
    for (unsigned i = 0; i < b.lanes; i++)
        if (b.states[i] > 256)
            return false;
    return b.at == n_bytes && b.low.at == 8 * b.low.n_bytes && o_at_end(&b.escapes) &&
           o_at_end(&b.gap_escapes);
}

/* ---- Encoding ------------------------------------------------------------------------------ */

/* How a block is to be written. */
typedef struct o_style {
    unsigned lanes_log2;
    unsigned idle;      /* if the last phase has so many rounds */
    unsigned busy_in;   /* one lane in so many is busy although it need not be; 0: none */
    unsigned long_form; /* one escape in so many is written as it is; 0: none */
    bool wanders;       /* choices of tables are random */
    uint64_t seed;
} o_style;

typedef struct o_writing {
    const o_code *code;
    o_style style;
    o_bits low, escapes, gap_escapes;
    o_phase phases[256];
    size_t n_phases;
    uint32_t states[256];
    bool busy[256];
    unsigned idle;
    uint8_t stream[O_MAX_BYTES]; /* filled from its end */
    size_t begin;
} o_writing;

static inline unsigned o_class_of(const o_table *t, uint32_t number)
{
    for (unsigned c = 0; c < t->n_classes; c++)
        if (t->upper[c] == (long)(number >> t->k))
            return c;
    return t->upper[t->n_classes - 1] == O_ESCAPE ? t->n_classes - 1 : UINT32_MAX;
}

static inline void o_put_escape(o_writing *w, const o_channel *c, o_bits *b, uint32_t upper)
{
    const uint32_t rank = o_walk(c, (long)upper, 0);
    const bool is_long =
        w->style.long_form && unit_random(&w->style.seed) % w->style.long_form == 0;
    if (is_long || rank < c->offset || (rank - c->offset) >> c->m >= 8) {
        o_put(b, 255, 8);
        o_put(b, upper, c->w);
        return;
    }
    for (uint32_t i = 0; i < (rank - c->offset) >> c->m; i++)
        o_put(b, 1, 1);
    o_put(b, 0, 1);
    o_put(b, (rank - c->offset) & ((1u << c->m) - 1), c->m);
}

static inline o_phase *o_add_phase(o_writing *w, size_t n)
{
    o_phase *p = &w->phases[w->n_phases++];
    assert_true(w->n_phases <= 256);
    *p = (o_phase){.n = n, .symbols = malloc((n + 1) * sizeof(o_symbol))};
    assert_non_null(p->symbols);
    return p;
}

static inline void o_add_numbers(o_writing *w, const o_channel *channel, o_bits *escapes,
                                 const uint32_t *numbers, const unsigned *choices, size_t sub,
                                 size_t n)
{
    o_phase *p = o_add_phase(w, n);
    for (size_t i = 0; i < n; i++) {
        const o_table *t = &channel->t[choices[i / sub]];
        p->symbols[i] = (o_symbol){t, o_class_of(t, numbers[i])};
        assert_true(p->symbols[i].c != UINT32_MAX);
        if (t->upper[p->symbols[i].c] == O_ESCAPE)
            o_put_escape(w, channel, escapes, numbers[i] >> t->k);
        o_put(&w->low, numbers[i], t->k);
        if ((i + 1) % sub == 0 || i + 1 == n)
            while (w->low.at % 8 != 0)
                o_put(&w->low, 0, 1);
    }
}

/* Tables with which all of a sub-block can be coded: there must be one. */
static inline bool o_can_code(const o_channel *c, unsigned table, const uint32_t *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (o_class_of(&c->t[table], numbers[i]) == UINT32_MAX)
            return false;
    return true;
}

static inline void o_choose(o_writing *w, unsigned *choices, const uint32_t *gaps,
                            const uint32_t *values, size_t sub, size_t n, unsigned *before)
{
    const o_code *code = w->code;
    const size_t n_subs = (n + sub - 1) / sub;
    o_phase *p = o_add_phase(w, n_subs);
    for (size_t i = 0; i < n_subs; i++) {
        const size_t size = n - i * sub < sub ? n - i * sub : sub;
        unsigned t =
            w->style.wanders ? (unsigned)(unit_random(&w->style.seed) % code->n_tables) : 0;
        for (unsigned tried = 0; tried < code->n_tables; tried++, t = (t + 1) % code->n_tables)
            if (o_can_code(&code->values, t, values + i * sub, size) &&
                (!gaps || o_can_code(&code->gaps, t, gaps + i * sub, size)))
                break;
        choices[i] = t;
        p->symbols[i] = (o_symbol){&code->steps, (t + code->n_tables - *before) % code->n_tables};
        *before = t;
    }
}

static inline void o_add_parts(o_writing *w, const uint32_t *gaps, const uint32_t *values, size_t n)
{
    static unsigned choices[1 << 12];
    const o_code *code = w->code;
    const bool chooses = code->n_tables > 1;
    const size_t sub = chooses ? (size_t)64 << code->s : (size_t)1 << 30;
    const size_t unit = code->sparse ? 2048 : chooses ? 512 * sub : n;
    unsigned before = 0;
    choices[0] = 0;
    for (size_t g = 0; n > 0 && g < o_n_groups(n, unit); g++) {
        const size_t size = o_group_size(n, unit, g), first = g * unit;
        if (chooses)
            o_choose(w, choices, gaps ? gaps + first : NULL, values + first, sub, size, &before);
        if (gaps)
            o_add_numbers(w, &code->gaps, &w->gap_escapes, gaps + first, choices, sub, size);
        o_add_numbers(w, &code->values, &w->escapes, values + first, choices, sub, size);
    }
}

static inline uint32_t o_pushed(uint32_t x, const o_symbol *s)
{
    if (s->table->n_classes == 1)
        return x;
    const unsigned f = s->table->f[s->c];
    return x / f * 256 + s->table->slot_of[s->c][x % f];
}

static inline void o_push(o_writing *w, size_t lane, const o_symbol *s)
{
    uint32_t x = w->states[lane];
    if (s->table->n_classes > 1 && x >= 256 * s->table->f[s->c]) {
        w->stream[--w->begin] = (uint8_t)(x % 256);
        x /= 256;
    }
    w->states[lane] = o_pushed(x, s);
    assert_true(w->states[lane] >= 256 && w->states[lane] < 65536);
}

/* The least state from which the idle rounds lead to 256 or more; makes the lane busy if none fits
 * 16 bits then. */
static inline void o_start_lane(o_writing *w, const o_phase *p, size_t lane)
{
    const size_t lanes = (size_t)1 << w->style.lanes_log2;
    const size_t rounds = (p->n + lanes - 1) / lanes;
    w->states[lane] = 256;
    w->busy[lane] = w->style.busy_in && unit_random(&w->style.seed) % w->style.busy_in == 0;
    if (w->idle == 0 || w->busy[lane])
        return;
    for (uint32_t start = 0; start <= 256; start++) {
        uint64_t x = start;
        for (size_t r = rounds; r-- > rounds - w->idle && x < 65536;)
            if (r * lanes + lane < p->n)
                x = o_pushed((uint32_t)x, &p->symbols[r * lanes + lane]);
        if (x < 256)
            continue;
        w->busy[lane] = x >= 65536;
        w->states[lane] = w->busy[lane] ? 256 : (uint32_t)x;
        break;
    }
}

static inline void o_push_phase(o_writing *w, const o_phase *p, bool is_last)
{
    const size_t lanes = (size_t)1 << w->style.lanes_log2;
    const size_t rounds = (p->n + lanes - 1) / lanes;
    if (is_last) {
        w->idle = w->style.idle < rounds ? w->style.idle : (unsigned)rounds;
        for (size_t lane = 0; lane < lanes; lane++)
            o_start_lane(w, p, lane);
    }
    for (size_t i = p->n; i-- > 0;)
        if (!is_last || i / lanes + w->idle < rounds || w->busy[i % lanes])
            o_push(w, i % lanes, &p->symbols[i]);
}

static inline size_t o_append(uint8_t *out, size_t at, const void *bytes, size_t n)
{
    if (n > 0)
        memcpy(out + at, bytes, n);
    return at + n;
}

static inline size_t o_put_varint(uint8_t *out, size_t at, size_t value, bool has_part)
{
    if (!has_part)
        return at;
    for (; value >= 128; value >>= 7)
        out[at++] = (uint8_t)(value | 128);
    out[at++] = (uint8_t)value;
    return at;
}

static inline size_t o_finish(uint8_t *out, o_writing *w, size_t n_pairs)
{
    const o_code *code = w->code;
    const size_t lanes = (size_t)1 << w->style.lanes_log2;
    size_t at = 0, n_busy = 0;
    for (size_t lane = 0; lane < lanes; lane++)
        n_busy += w->busy[lane];
    if (w->idle > 0 && n_busy > 255) { /* cannot be told: so be it with one less */
        for (size_t lane = 0; lane < lanes; lane++)
            assert_true(w->busy[lane]);
        w->idle = 0;
    }
    out[at++] = (uint8_t)(w->style.lanes_log2 | w->idle << 4);
    if (w->idle > 0) {
        out[at++] = (uint8_t)n_busy;
        for (size_t lane = 0; lane < lanes; lane++)
            if (w->busy[lane])
                out[at++] = (uint8_t)lane;
    }
    const size_t low = w->low.at / 8, escapes = (w->escapes.at + 7) / 8;
    const size_t gap_escapes = (w->gap_escapes.at + 7) / 8;
    at = o_put_varint(out, at, n_pairs, code->sparse);
    at = o_put_varint(out, at, low, code->values.has_low || (code->sparse && code->gaps.has_low));
    at = o_put_varint(out, at, escapes, code->values.has_escape);
    at = o_put_varint(out, at, gap_escapes, code->sparse && code->gaps.has_escape);
    at = o_append(out, at, w->low.bytes, low);
    at = o_append(out, at, w->escapes.bytes, escapes);
    at = o_append(out, at, w->gap_escapes.bytes, gap_escapes);
    for (size_t lane = 0; lane < lanes; lane++) {
        out[at++] = (uint8_t)w->states[lane];
        out[at++] = (uint8_t)(w->states[lane] >> 8);
    }
    return o_append(out, at, w->stream + w->begin, O_MAX_BYTES - w->begin);
}

/* Writes a block; returns its length. `out` has room for O_MAX_BYTES. */
static inline size_t o_encode_block(uint8_t *out, const o_code *code, const uint32_t *indices,
                                    size_t n, const o_style *style)
{
    static uint8_t low[O_MAX_BYTES], escapes[O_MAX_BYTES], gap_escapes[O_MAX_BYTES];
    static uint32_t gaps[1 << 18], values[1 << 18];
    static o_writing w;
    size_t n_pairs = 0;
    uint32_t gap = 0;
    if (n == 0)
        return 0;
    memset(&w, 0, offsetof(o_writing, stream));
    w.code = code;
    w.style = *style;
    w.low.bytes = low;
    w.escapes.bytes = escapes;
    w.gap_escapes.bytes = gap_escapes;
    w.begin = O_MAX_BYTES;
    for (size_t i = 0; code->sparse && i < n; i++) {
        if (indices[i] == code->zero && gap < 65535) {
            gap++;
            continue;
        }
        gaps[n_pairs] = gap;
        values[n_pairs++] = indices[i];
        gap = 0;
    }
    if (code->sparse)
        o_add_parts(&w, gaps, values, n_pairs);
    else
        o_add_parts(&w, NULL, indices, n);
    if (w.n_phases == 0)
        for (unsigned lane = 0; lane < 256; lane++)
            w.states[lane] = 256;
    for (size_t i = w.n_phases; i-- > 0;) {
        o_push_phase(&w, &w.phases[i], i + 1 == w.n_phases);
        free(w.phases[i].symbols);
    }
    return o_finish(out, &w, n_pairs);
}

/* ---- Codes at random ----------------------------------------------------------------------- */

/* Shares `total` places out among n classes, each at least one. */
static inline void o_share(unsigned *f, unsigned n, unsigned total, uint64_t *seed)
{
    for (unsigned i = 0; i < n; i++)
        f[i] = 1;
    /* Mostly one class takes much: probabilities from nearly nothing to nearly one. */
    for (unsigned left = total - n; left > 0;) {
        const unsigned some = 1 + (unsigned)(unit_random(seed) % left);
        f[unit_random(seed) % n] += some;
        left -= some;
    }
}

/* A table for numbers below n; without an escape only if it has a class for all of them. */
static inline void o_random_table(o_table *t, uint32_t n, unsigned least_k, bool may_be_partial,
                                  uint64_t *seed)
{
    do {
        const unsigned most = o_log2(n) < 15 ? o_log2(n) : 15;
        *t = (o_table){.k = least_k + (unsigned)(unit_random(seed) % (most - least_k + 1))};
        t->last = (n - 1) >> t->k;
        const uint32_t widest = t->last + 1 < 255 ? t->last + 1 : 255;
        t->span = 1 + (uint32_t)(unit_random(seed) % widest);
        t->first = (uint32_t)(unit_random(seed) % (t->last + 2 - t->span));
        const unsigned most_classes = t->span < 31 ? t->span : 31;
        const unsigned n_classes =
            t->span == 1 ? 1 : 2 + (unsigned)(unit_random(seed) % (most_classes - 1));
        unsigned f[33];
        const bool is_whole = n_classes == t->last + 1 && t->span == t->last + 1;
        const bool escapes = !is_whole && !(may_be_partial && unit_random(seed) % 4 == 0);
        o_share(f, n_classes + escapes, 256, seed);
        /* The classes' places in the window: both ends, the others anywhere between. */
        t->frequency[0] = f[0];
        t->frequency[t->span - 1] = n_classes > 1 ? f[1] : f[0];
        for (unsigned c = 2; c < n_classes; c++) {
            uint32_t at = (uint32_t)(unit_random(seed) % t->span);
            while (t->frequency[at] > 0)
                at = (at + 1) % t->span;
            t->frequency[at] = f[c];
        }
    } while (!o_make_classes(t));
}

static inline void o_random_channel(o_channel *c, unsigned n_tables, uint32_t n, uint64_t *seed)
{
    *c = (o_channel){.n = n, .n_tables = n_tables};
    const unsigned least_k = n > 256 && unit_random(seed) % 2 ? o_log2(n) - 8 : 0;
    for (unsigned t = 0; t < n_tables; t++)
        o_random_table(&c->t[t], n, least_k, t > 0, seed);
    o_summarize(c);
    c->center = (uint32_t)(unit_random(seed) % (c->last + 1));
    const uint64_t drawn = unit_random(seed) % (c->last + 1);
    c->offset = (uint32_t)(drawn % (1 + unit_random(seed) % 40));
    c->m = (unsigned)(unit_random(seed) % (c->w < 15 ? c->w + 1 : 16));
}

static inline void o_random_code(o_code *code, uint32_t n_levels, unsigned n_tables, bool sparse,
                                 uint64_t *seed)
{
    *code = (o_code){.n_levels = n_levels, .n_tables = n_tables, .sparse = sparse};
    code->s = n_tables > 1 ? (unsigned)(unit_random(seed) % 8) : 0;
    code->zero = sparse ? (uint32_t)(unit_random(seed) % n_levels) : 0;
    if (n_tables > 1) {
        code->steps = (o_table){.n_classes = n_tables, .last = n_tables - 1};
        o_share(code->steps.f, n_tables, 256, seed);
        for (unsigned i = 0; i < n_tables; i++)
            code->steps.upper[i] = (long)i;
        o_lay_out(&code->steps);
    }
    if (sparse)
        o_random_channel(&code->gaps, n_tables, 65536, seed);
    o_random_channel(&code->values, n_tables, n_levels, seed);
}

/* Indices as one of a code's tables expects them, now and then anything. */
static inline void o_random_indices(uint32_t *indices, size_t n, const o_code *code, uint64_t *seed)
{
    const o_table *t = &code->values.t[unit_random(seed) % code->n_tables];
    const unsigned density = 1 + (unsigned)(unit_random(seed) % 40);
    for (size_t i = 0; i < n; i++) {
        const uint64_t r = unit_random(seed);
        const long upper = t->upper[t->class_of[r % 256]];
        uint32_t index = (uint32_t)(r >> 32) % code->n_levels;
        if (upper != O_ESCAPE)
            index = ((uint32_t)upper << t->k) + (index & ((1u << t->k) - 1));
        indices[i] = index < code->n_levels ? index : code->n_levels - 1;
        if (code->sparse && r >> 16 & 63 && (r >> 22) % density)
            indices[i] = code->zero;
    }
}

#endif
