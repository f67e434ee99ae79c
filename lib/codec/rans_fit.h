/*
 * Finding the rANS table that costs least for given counts, and writing descriptions of tables. All
 * arithmetic is in integers, so that every machine finds the same table.
 */
#ifndef NQI_RANS_FIT_H
#define NQI_RANS_FIT_H

#include "base/alloc.h"
#include "codec/rans_fmt.h"

/* Costs are in units of 2^-COST_LOG2 bit. */
#define NQI_RANS_COST_LOG2 12u
#define NQI_RANS_NO_COST   UINT32_MAX

/* A table as its description tells it. */
typedef struct nqi_rans_model {
    uint32_t n_symbols;
    uint32_t first; /* upper part; its frequency and that of the window's last are not 0 */
    uint32_t span;
    unsigned low_bits;
    unsigned rest;                /* the escape's frequency; 0: there is none */
    nqi_rans_escape_code escapes; /* the same in tables that are used in turn */
    uint16_t frequency[NQI_RANS_MAX_SPAN];
} nqi_rans_model;

/* Cost of a class with `frequency` places, 1..256. */
uint32_t nqi_rans_class_cost(unsigned frequency);

/* Cost of a symbol, low bits and escaped number included; NO_COST if it has no code. */
uint32_t nqi_rans_symbol_cost(const nqi_rans_model *model, uint32_t symbol);

/* Cost of symbols that occur counts[i] times, n_counts of them at most n_symbols, at most
 * UINT64_MAX; those without a code are left out. */
uint64_t nqi_rans_counts_cost(const nqi_rans_model *model, const uint64_t *counts,
                              uint32_t n_counts);

/* Scratch that fitting n_symbols needs, in uint64_t. */
static inline uint64_t nqi_rans_fit_scratch(uint32_t n_symbols)
{
    return 3 * (uint64_t)n_symbols + 1;
}

/* nqi_rans_fit in scratch. Symbols from n_counts on, at least 1, do not occur. */
void nqi_rans_fit_in(nqi_rans_model *model, uint64_t *scratch, const uint64_t *counts,
                     uint32_t n_counts, uint32_t n_symbols, bool is_exact);

/*
 * The model for counts of n_symbols symbols, whose sum does not overflow. With is_exact, symbols
 * that do not occur need not get a code. NQ_E_NOMEM; scratch is allocated for the call.
 */
nq_status nqi_rans_fit(nqi_rans_model *model, const nqi_allocator *a, const uint64_t *counts,
                       uint32_t n_symbols, bool is_exact);

/* The shortest code for escapes of upper parts that occur counts[i] times, 0 <= i <= last, with the
 * distance from `center`, at most `last`; scratch for last + 1 symbols. */
void nqi_rans_fit_escapes(nqi_rans_escape_code *code, uint64_t *scratch, const uint64_t *counts,
                          uint32_t last, uint32_t center);

/* Cost of something that happens `part` times of `whole`, 0 < part <= whole. */
uint32_t nqi_rans_share_cost(uint64_t part, uint64_t whole);

/* Shares 256 places out: weights[i] of which each gets one at least, n of them, 2..256; the cost of
 * what occurs in these proportions becomes the least possible. */
void nqi_rans_share_places(uint16_t *frequency, const uint64_t *weights, unsigned n);

/* The same for weights whose sum is 1..2^33, taken as they are. */
void nqi_rans_share_few(uint16_t *frequency, const uint64_t *weights, unsigned n);

/* The shift that leaves a sum below 2^32. */
static inline unsigned nqi_rans_shift_for(uint64_t sum)
{
    unsigned shift = 0;
    while (sum >> shift >> 32)
        shift++;
    return shift;
}

/* ---- Descriptions -------------------------------------------------------------------------- */

typedef struct nqi_rans_bits {
    uint8_t *bytes; /* zeroed */
    size_t n_bits;
    size_t capacity; /* in bytes; more is not written, but counted */
} nqi_rans_bits;

/* Bytes that n tables, a table of steps and the fields before them take at most. */
static inline size_t nqi_rans_description_bound(uint32_t n_tables)
{
    /* A frequency takes 2 * MAX_WIDTH + 1 bits for its width and 8 more; there are 255 of them and
     * 28 bits of other fields in a table, 24 in front of all, 36 behind each of two channels. */
    return (24 + 72 +
            (size_t)(n_tables + 1) * (NQI_RANS_MAX_SPAN * (2 * NQI_RANS_MAX_WIDTH + 9) + 28)) /
               8 +
           1;
}

void nqi_rans_put(nqi_rans_bits *bits, uint32_t value, unsigned width);
void nqi_rans_put_steps(nqi_rans_bits *bits, const uint16_t *frequency, uint32_t n_tables);

/* Models that are used in turn, and their code of escapes. */
void nqi_rans_put_models(nqi_rans_bits *bits, const nqi_rans_model *models, uint32_t n_tables);

#endif
