/*
 * What the files share that write rANS blocks: a block that is being written, from front to back
 * first, then from back to front.
 */
#ifndef NQI_RANS_BLOCK_ENC_H
#define NQI_RANS_BLOCK_ENC_H

#include "codec/rans_enc.h"

/* One table: see nqi_rans_phase. */
#define NQI_RANS_ONE_SUB_LOG2 ((unsigned)(sizeof(size_t) * 8 - 1))

/* Bits of escapes. */
typedef struct nqi_rans_sink {
    uint8_t *begin;
    uint8_t *at;
    uint64_t bits;
    unsigned n_bits; /* below 8 */
} nqi_rans_sink;

/* Bytes behind the last escape that are written and do not count. */
#define NQI_RANS_SINK_SLACK 8u

/*
 * How many rounds at a phase's end are idle, and for which lanes: those whose state, starting from
 * nearly nothing, has room for all that the rounds tell. A lane saves up to eight bits that way;
 * one that has no room costs the byte that says so.
 */
typedef struct nqi_rans_idling {
    unsigned n_rounds;
    unsigned n_busy; /* lanes that are not idle */
    bool is_busy[NQI_RANS_MAX_LANES];
} nqi_rans_idling;

/* What is written down of the symbols of one kind. */
typedef struct nqi_rans_writing_channel {
    uint8_t *classes;
    nqi_rans_sink escapes;
    const uint32_t *words; /* of escapes that are bytes */
    uint32_t n_levels;
} nqi_rans_writing_channel;

typedef struct nqi_rans_writing {
    const nqi_rans_encoder *e;
    const uint16_t *indices;
    size_t n;
    size_t n_pairs; /* of a sparse block */
    uint8_t *low;   /* begin and end of what is written */
    uint8_t *low_at;
    nqi_rans_writing_channel values;
    nqi_rans_writing_channel gaps;
    uint8_t *choices;
    uint8_t *steps;
    uint8_t *ways;
    nqi_rans_push push;
    nqi_rans_idling idle;
} nqi_rans_writing;

/* The tables of a part. */
typedef struct nqi_rans_selection {
    const nqi_rans_coder *coders;
    const uint8_t *choices;
    unsigned sub_log2;
} nqi_rans_selection;

/* A phase of a block. */
typedef struct nqi_rans_pushing {
    nqi_rans_selection tables;
    const uint8_t *classes;
    size_t n;
} nqi_rans_pushing;

/* The choice where there is one table. */
extern const uint8_t nqi_rans_only_choice;

static inline size_t nqi_rans_subs_of(const nqi_rans_encoder *e, size_t n)
{
    return (n + ((size_t)1 << e->sub_log2) - 1) >> e->sub_log2;
}

/* Symbols that parts of a dense block have, but for the last one. */
static inline size_t nqi_rans_dense_unit(const nqi_rans_encoder *e)
{
    return (size_t)NQI_RANS_GROUP << e->sub_log2;
}

static inline size_t nqi_rans_pair_parts(const nqi_rans_writing *w)
{
    return w->n_pairs > 0 ? (size_t)nqi_rans_parts(w->n_pairs, NQI_RANS_PAIRS) : 0;
}

/* ---- Escapes ------------------------------------------------------------------------------- */

void nqi_rans_sink_escapes(nqi_rans_sink *sink, const uint32_t words[256],
                           const nqi_rans_escape_code *code, const uint16_t *uppers, size_t n);
void nqi_rans_sink_end(nqi_rans_sink *sink);

/* ---- Front to back ------------------------------------------------------------------------- */

/* Classes, low bits, escapes and choices of a block: of one table, of several, of pairs. NQ_E_ARG:
 * an index has no code. */
nq_status nqi_rans_write_single(nqi_rans_writing *w);
nq_status nqi_rans_write_dense(nqi_rans_writing *w);
nq_status nqi_rans_write_sparse(nqi_rans_writing *w);

/* ---- Back to front ------------------------------------------------------------------------- */

/* Binary logarithm of how many lanes are worth their states. */
unsigned nqi_rans_choose_lanes(const nqi_rans_encoder *e, uint64_t n_symbols);

static inline const nqi_rans_coder *nqi_rans_coder_of(const nqi_rans_pushing *p, size_t symbol)
{
    return &p->tables.coders[p->tables.choices[symbol >> p->tables.sub_log2]];
}

static inline size_t nqi_rans_rounds_of(const nqi_rans_pushing *p, unsigned lanes_log2)
{
    return (p->n + ((size_t)1 << lanes_log2) - 1) >> lanes_log2;
}

/* Starts the states with the idle rounds of a block's last phase. */
void nqi_rans_start_states(nqi_rans_writing *w, const nqi_rans_pushing *p);

void nqi_rans_push_single(nqi_rans_writing *w);
void nqi_rans_push_dense(nqi_rans_writing *w);
void nqi_rans_push_sparse(nqi_rans_writing *w);

#endif
