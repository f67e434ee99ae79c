/*
 * What a kernel of the rANS encoder works on, and its contract with rans_enc.c that drives it.
 */
#ifndef NQI_RANS_PUSH_H
#define NQI_RANS_PUSH_H

#include <stdalign.h>

#include "codec/rans_fit.h"

/* A table, unfolded for encoding. Upper parts less `first` are below 256, or the escape's. */
typedef struct nqi_rans_coder {
    alignas(64) uint8_t slot_of[NQI_RANS_SLOTS]; /* by the class's begin plus the rank */
    alignas(64) uint8_t frequency[64];           /* by class */
    alignas(64) uint8_t begin[64];
    alignas(64) uint8_t reciprocal_low[64]; /* 65536 / frequency, rounded down, 65535 at most */
    alignas(64) uint8_t reciprocal_high[64];
    alignas(64) uint8_t class_of[256];      /* by upper part less `first` */
    uint32_t inverse[NQI_RANS_MAX_CLASSES]; /* 2^24 / frequency, rounded up */
    uint32_t cost[NQI_RANS_MAX_CLASSES];    /* low bits included, but not what is escaped */
    uint8_t growth[NQI_RANS_MAX_CLASSES];   /* of a state, in 1/16 bit, rounded up */
    nqi_rans_escape_code escapes;
    uint32_t first; /* 0 where all upper parts are below 256 */
    unsigned low_bits;
    uint8_t n_classes;
    uint8_t escape; /* its class; NQI_RANS_UNCODED without one */
    bool is_constant;
} nqi_rans_coder;

/* A class that no table has: of symbols that have no code. */
#define NQI_RANS_UNCODED 255u

typedef struct nqi_rans_push {
    uint16_t *states;
    const nqi_rans_coder *coders;
    const uint8_t *choices; /* see nqi_rans_run */
    uint8_t *at;            /* the stream grows down from here */
    unsigned lanes_log2;
    unsigned sub_log2;
} nqi_rans_push;

/*
 * Encodes symbols first+n-1 down to `first` of a phase, given their classes: classes[i] is that of
 * symbol first+i. A kernel is called with whole rounds only, the reference with anything. Each
 * symbol takes a byte of the stream at most; what is in the PUSH_SLACK bytes in front of them is
 * lost.
 */
#define NQI_RANS_PUSH_SLACK 8u
typedef void (*nqi_rans_push_fn)(nqi_rans_push *push, const uint8_t *classes, size_t first,
                                 size_t n);

/*
 * The classes of n indices, and their largest if it is larger than *largest. Upper parts of those
 * that have no class of their own are stored behind each other in `escaped`, which holds n and a
 * vector's slack; returns their number.
 */
typedef size_t (*nqi_rans_classify_fn)(uint8_t *classes, uint16_t *escaped, uint16_t *largest,
                                       const uint16_t *indices, size_t n,
                                       const nqi_rans_coder *coder);

#define NQI_RANS_ESCAPED_SLACK 32u

/* Adds up rows of MAX_TABLES costs: those of n symbols that are below n_rows. Returns how many are
 * not. */
typedef size_t (*nqi_rans_add_rows_fn)(uint32_t *costs, const uint16_t *rows, uint32_t n_rows,
                                       const uint16_t *symbols, size_t n);

/* The cheapest ways to end with each table, up to some sub-block; found by dynamic programming. */
typedef struct nqi_rans_ways {
    uint32_t costs[NQI_RANS_MAX_TABLES]; /* more than what the cheapest way costs */
    uint32_t n_tables;
    uint32_t step_costs[2 * NQI_RANS_MAX_TABLES]; /* twice behind each other, in 1/256 bit */
} nqi_rans_ways;

/* Goes on with a sub-block that costs `costs`, below 2^30: stores which of MAX_TABLES tables comes
 * before it in the cheapest way to each, the first of equals, and returns by how much the cheapest
 * one grew. What is stored for tables that do not exist means nothing. */
typedef uint32_t (*nqi_rans_step_ways_fn)(nqi_rans_ways *ways, uint8_t *from,
                                          const uint32_t *costs);

/* Pairs that are being found: gaps and values of those so far, and zeros behind the last one. */
typedef struct nqi_rans_pairs {
    uint16_t *gaps;   /* NULL, as are values: pairs are counted */
    uint16_t *values; /* most of each */
    size_t n;
    size_t most;
    uint32_t gap;
    uint16_t zero;
} nqi_rans_pairs;

static inline void nqi_rans_add_index(nqi_rans_pairs *p, uint16_t index)
{
    if (index == p->zero && p->gap < NQI_RANS_GAPS - 1) {
        p->gap++;
        return;
    }
    if (p->gaps) {
        p->gaps[p->n] = (uint16_t)p->gap;
        p->values[p->n] = index;
    }
    p->n++;
    p->gap = 0;
}

/* Adds indices until there are `most` pairs; returns how many indices that took. What is left after
 * the last pair of all is zeros. */
typedef size_t (*nqi_rans_find_pairs_fn)(nqi_rans_pairs *pairs, const uint16_t *indices, size_t n);

typedef struct nqi_rans_push_kernels {
    nqi_rans_push_fn push;
    unsigned min_lanes_log2; /* the reference encodes blocks with fewer */
    nqi_rans_classify_fn classify;
    nqi_rans_add_rows_fn add_rows;
    nqi_rans_step_ways_fn step_ways;
    nqi_rans_find_pairs_fn find_pairs;
} nqi_rans_push_kernels;

/* What the CPU, as described by its NQ_CPU_* features, has; NULL: nothing that plain C has not. */
const nqi_rans_push_kernels *nqi_rans_push_kernels_avx512(uint64_t cpu);
const nqi_rans_push_kernels *nqi_rans_push_kernels_avx2(uint64_t cpu);

extern const nqi_rans_push_kernels nqi_rans_push_kernels_ref;

/* The best that it has. */
static inline const nqi_rans_push_kernels *nqi_rans_push_kernels_for(uint64_t cpu)
{
    const nqi_rans_push_kernels *kernels = nqi_rans_push_kernels_avx512(cpu);
    if (!kernels)
        kernels = nqi_rans_push_kernels_avx2(cpu);
    return kernels ? kernels : &nqi_rans_push_kernels_ref;
}

/* ---- Coders -------------------------------------------------------------------------------- */

/* Unfolds the models of tables that are used in turn. */
void nqi_rans_make_coders(nqi_rans_coder *coders, const nqi_rans_model *models, uint32_t n_tables);

/* The same for a table of steps, whose frequencies add up to 256. */
void nqi_rans_make_steps(nqi_rans_coder *coder, const uint16_t *frequency, uint32_t n_tables);

/* Cost of a symbol; NQI_RANS_NO_COST if it has no code. */
static inline uint32_t nqi_rans_coder_cost(const nqi_rans_coder *coder, uint32_t symbol)
{
    const uint32_t upper = symbol >> coder->low_bits;
    const uint32_t at = upper - coder->first;
    const uint8_t c = at < 256 ? coder->class_of[at] : coder->escape;
    if (c == NQI_RANS_UNCODED)
        return NQI_RANS_NO_COST;
    if (c != coder->escape)
        return coder->cost[c];
    return coder->cost[c] + (nqi_rans_escape_length(&coder->escapes, upper) << NQI_RANS_COST_LOG2);
}

/* By the class's frequency: x < 2^16 and f < 2^8, so that the rounded inverse is too large by less
 * than 1/x. */
static inline uint32_t nqi_rans_quotient(const nqi_rans_coder *coder, unsigned c, uint32_t x)
{
    return (uint32_t)((uint64_t)x * coder->inverse[c] >> 24);
}

/* A state, below 2^16, after a symbol of class c, if no byte is given away: no less than before. */
static inline uint32_t nqi_rans_pushed(const nqi_rans_coder *coder, unsigned c, uint32_t state)
{
    if (coder->is_constant)
        return state;
    const uint32_t quotient = nqi_rans_quotient(coder, c, state);
    const uint32_t rank = state - quotient * coder->frequency[c];
    return quotient << 8 | coder->slot_of[coder->begin[c] + rank];
}

/* The least state that becomes `state` or more by pushing a symbol of class c. */
uint32_t nqi_rans_least_before(const nqi_rans_coder *coder, unsigned c, uint32_t state);

#endif
