/*
 * Deciding on a Huffman code: see huffman_design.h. Every combination of two numbers that may be
 * the best is tried out: how many low bits of an index stay uncoded, and up to which count a symbol
 * shares the escape.
 *
 * Low bits: neighbouring levels of a fine quantizer are about equally frequent, so that coding
 * their difference gains nothing, and costs time and table.
 */
#include "codec/huffman_design.h"

#include <string.h>

#include "base/checked.h"
#include "codec/bits_fmt.h"
#include "codec/huffman_lengths.h"

/* Where low bits cost at most 1/2048 of the size, speed decides for them: they do not take much
 * more time for being several, while a bit of a codeword does. It begins to pay where codewords
 * have six bits on average, and ends where five are left. */
#define FREE_SHARE   2048u
#define FREE_FROM    6u
#define FREE_DOWN_TO 5u

/* Once low bits cost 1/32 more than the best, more of them are not tried. */
#define HOPELESS_SHARE 32u

#define MOST_RARE 64u

typedef struct workshop {
    const nqi_encoder_spec *spec;
    unsigned shift; /* of counts, so that their sum stays in bounds */
    uint32_t first; /* level that occurs, and last */
    uint32_t last;
    uint64_t *counts;    /* of the symbols, for the low bits that are being tried */
    uint64_t *weights;   /* of those with a codeword, the escape's behind them */
    uint8_t *compact;    /* their lengths */
    uint8_t *lengths;    /* of all symbols */
    void *lengths_space; /* for nqi_huffman_lengths */
    void *memory;
    uint64_t n_bytes;
} workshop;

/* One combination. */
typedef struct trial {
    unsigned low_bits;
    uint32_t n_symbols;
    uint32_t begin; /* symbols before this, and from `end` on, do not occur: nobody counts them */
    uint32_t end;
    uint64_t rare; /* symbols with at most this count share the escape */
    bool has_escape;
    unsigned escape_length;
    uint64_t n;     /* indices */
    uint64_t coded; /* bits of their codewords */
    uint64_t bits;  /* of table, codewords and low bits */
} trial;

/* ---- Workshop ------------------------------------------------------------------------------ */

static nq_status open_workshop(workshop *w, const nqi_allocator *a, const nqi_encoder_spec *spec)
{
    const uint32_t n = spec->n_levels + 1; /* and the escape */
    const uint64_t space = nqi_huffman_lengths_bytes(n);
    uint64_t sum = 0;
    *w = (workshop){.spec = spec, .n_bytes = space + (uint64_t)n * (2 * sizeof(uint64_t) + 2)};
    NQI_TRY(nqi_alloc(&w->memory, a, w->n_bytes, 1));
    w->lengths_space = w->memory;
    w->counts = (uint64_t *)(void *)((uint8_t *)w->memory + space);
    w->weights = w->counts + n;
    w->compact = (uint8_t *)(w->weights + n);
    w->lengths = w->compact + n;
    for (uint32_t i = 0; i < spec->n_levels; i++) {
        if (spec->counts[i] > 0 && sum == 0)
            w->first = i;
        if (spec->counts[i] > 0)
            w->last = i;
        sum += spec->counts[i];
    }
    /* A count that rounds to 0 is taken as 1: half the maximum leaves room for that. */
    while (sum >> w->shift > NQI_HUFFMAN_MAX_WEIGHT / 2)
        w->shift++;
    return NQ_OK;
}

static uint64_t scaled(uint64_t count, unsigned shift)
{
    return count == 0 ? 0 : NQI_MAX(count >> shift, 1);
}

/* A trial with these low bits, and counts of the symbols that indices without them are. */
static trial begin_trial(workshop *w, unsigned low_bits)
{
    const trial t = {.low_bits = low_bits,
                     .n_symbols = ((w->spec->n_levels - 1) >> low_bits) + 1,
                     .begin = w->first >> low_bits,
                     .end = (w->last >> low_bits) + 1};
    memset(w->counts + t.begin, 0, (t.end - t.begin) * sizeof *w->counts);
    for (uint32_t i = w->first; i <= w->last; i++)
        w->counts[i >> low_bits] += scaled(w->spec->counts[i], w->shift);
    return t;
}

/* ---- One combination ----------------------------------------------------------------------- */

static bool is_rare(const trial *t, uint64_t count)
{
    return count <= t->rare;
}

/* Whether a symbol that has no codeword may have to be coded. */
static bool needs_escape(const workshop *w, const trial *t)
{
    const bool is_exact = (w->spec->flags & NQI_ENCODER_EXACT) != 0;
    bool has_codeword = false;
    if (!is_exact && (t->begin > 0 || t->end < t->n_symbols))
        return true;
    for (uint32_t i = t->begin; i < t->end; i++) {
        const bool may_come = w->counts[i] > 0 || !is_exact;
        if (is_rare(t, w->counts[i]) && may_come)
            return true;
        has_codeword |= !is_rare(t, w->counts[i]);
    }
    return !has_codeword; /* a code has one codeword at least */
}

static unsigned limit_for(const nqi_encoder_spec *spec, uint32_t n_codewords)
{
    return spec->max_code_length ? NQI_MAX(spec->max_code_length, nqi_bits_for(n_codewords)) : 0;
}

/* Decides on the lengths, which stay in w->lengths; of a trial, those without the default limit,
 * which costs next to nothing. */
static void design_lengths(workshop *w, trial *t, bool is_trial)
{
    uint32_t n = 0;
    uint64_t escaped = 0;
    for (uint32_t i = t->begin; i < t->end; i++) {
        if (is_rare(t, w->counts[i]))
            escaped += w->counts[i];
        else
            w->weights[n++] = w->counts[i];
    }
    t->has_escape = needs_escape(w, t);
    if (t->has_escape)
        w->weights[n++] = escaped;
    if (is_trial && w->spec->max_code_length == 0)
        nqi_huffman_free_lengths(w->compact, w->weights, n, w->lengths_space);
    else
        nqi_huffman_lengths(w->compact, w->weights, n, limit_for(w->spec, n), w->lengths_space);
    t->escape_length = t->has_escape ? w->compact[n - 1] : 0;
    const uint8_t *next = w->compact;
    memset(w->lengths, NQI_HUFFMAN_NO_CODE, t->n_symbols);
    for (uint32_t i = t->begin; i < t->end; i++)
        w->lengths[i] = is_rare(t, w->counts[i]) ? NQI_HUFFMAN_NO_CODE : *next++;
}

static nqi_huffman_lengths_view view_of(const workshop *w, const trial *t)
{
    return (nqi_huffman_lengths_view){.lengths = w->lengths,
                                      .n_symbols = t->n_symbols,
                                      .low_bits = t->low_bits,
                                      .has_escape = t->has_escape,
                                      .escape_length = t->escape_length};
}

/* No sum overflows: at most 2^57 indices of at most 55 bits. */
static void measure(const workshop *w, trial *t)
{
    const nqi_huffman_lengths_view view = view_of(w, t);
    const uint64_t escape_bits = t->escape_length + nqi_bits_for(t->n_symbols);
    for (uint32_t i = t->begin; i < t->end; i++) {
        const bool has_code = w->lengths[i] != NQI_HUFFMAN_NO_CODE;
        t->n += w->counts[i];
        t->coded += w->counts[i] * (has_code ? w->lengths[i] : escape_bits);
    }
    t->bits = (nqi_huffman_table_bits(&view) >> w->shift) + t->coded + t->n * t->low_bits;
}

/* ---- The best ------------------------------------------------------------------------------ */

/* Whether any symbol is rare by t that is not by count. */
static bool has_more_rare(const workshop *w, const trial *t, uint64_t count)
{
    for (uint32_t i = t->begin; i < t->end; i++)
        if (w->counts[i] > count && is_rare(t, w->counts[i]))
            return true;
    return false;
}

/* The best of the combinations with these low bits. Sharing more symbols is tried as long as it
 * gains. A symbol that comes so often as MOST_RARE has saved its place in the table. */
static trial best_escape(workshop *w, unsigned low_bits)
{
    const trial begin = begin_trial(w, low_bits);
    trial best = begin;
    design_lengths(w, &best, true);
    measure(w, &best);
    for (uint64_t rare = 1; rare <= MOST_RARE; rare *= 2) {
        trial t = begin;
        t.rare = rare;
        if (!has_more_rare(w, &t, rare / 2))
            continue;
        design_lengths(w, &t, true);
        measure(w, &t);
        if (t.bits >= best.bits)
            break;
        best = t;
    }
    return best;
}

static trial best_trial(workshop *w)
{
    trial trials[NQI_HUFFMAN_MAX_LOW_BITS + 1];
    unsigned n = 0, best = 0;
    do {
        trials[n] = best_escape(w, n);
        if (trials[n].bits < trials[best].bits)
            best = n;
        if (trials[n].bits - trials[best].bits > trials[best].bits / HOPELESS_SHARE) {
            n++;
            break;
        }
        n++;
    } while (n <= NQI_HUFFMAN_MAX_LOW_BITS && (UINT32_C(1) << n) < w->spec->n_levels);
    const uint64_t acceptable = trials[best].bits + trials[best].bits / FREE_SHARE;
    for (unsigned i = best + 1; i < n; i++)
        if (trials[i].bits <= acceptable && trials[0].coded > FREE_FROM * trials[0].n &&
            trials[i - 1].coded > FREE_DOWN_TO * trials[i - 1].n)
            best = i;
    return trials[best];
}

nq_status nqi_huffman_design_make(nqi_huffman_design *design, const nqi_allocator *a,
                                  const nqi_encoder_spec *spec)
{
    workshop w;
    if (spec->max_code_length > NQI_HUFFMAN_MAX_LENGTH)
        return NQ_E_ARG;
    NQI_TRY(open_workshop(&w, a, spec));
    trial t = best_trial(&w);
    (void)begin_trial(&w, t.low_bits);
    design_lengths(&w, &t, false);
    memcpy(design->lengths, w.lengths, t.n_symbols);
    design->n_symbols = t.n_symbols;
    design->low_bits = t.low_bits;
    design->has_escape = t.has_escape;
    design->escape_length = t.escape_length;
    nqi_free(a, w.memory, w.n_bytes, 1);
    return NQ_OK;
}
