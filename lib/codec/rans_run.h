/*
 * What a kernel of the rANS decoder works on: the tables in the form of lookups, the states and
 * streams of a block, and the contract between a kernel and rans_dec.c that drives it.
 *
 * Part of the decoder.
 */
#ifndef NQI_RANS_RUN_H
#define NQI_RANS_RUN_H

#include <stdalign.h>

#include "codec/rans_fmt.h"
#include "codec/rans_table_dec.h"

/* Places come in rows of sixteen. */
#define NQI_RANS_ROWS 16u

/* A table, unfolded. */
typedef struct nqi_rans_lookup {
    alignas(64) uint8_t class_of[NQI_RANS_SLOTS];
    alignas(64) uint8_t rank_of[NQI_RANS_SLOTS];
    alignas(64) uint8_t frequency[64]; /* by class; 0 from n_classes on */
    alignas(64) uint8_t symbol[64];    /* by class; the escape's is that of no other class */
    /* For kernels that compare and compute instead. A row's class is that of its first place, and
     * one more for each of row_step[k] that is less than a place's column, its lower four bits.
     * Rows with more steps than that are crowded: they have a class for each column. */
    alignas(16) uint8_t row_class[NQI_RANS_ROWS];
    alignas(16) uint8_t row_step[NQI_RANS_ROWS][NQI_RANS_ROWS]; /* 15: no further step */
    alignas(16) uint8_t crowded_class[NQI_RANS_ROWS][16];
    uint32_t crowded_row[NQI_RANS_ROWS]; /* in each of the four bytes */
    /* By class, what the rank of a slot in a row and a column is made of:
     * column * run + rest, with rest = max(column + 1 - begin_low, 0) + min(column, end_low) + row
     * - begin_high, which is 0 to 45. It is nqi_rans_slot_rank for vectors of bytes. */
    alignas(32) uint8_t begin_high[NQI_RANS_MAX_CLASSES]; /* begin / 16 + 1 */
    alignas(32) uint8_t begin_low[NQI_RANS_MAX_CLASSES];  /* begin mod 16 */
    alignas(32) uint8_t end_low[NQI_RANS_MAX_CLASSES];
    alignas(32) uint8_t run[NQI_RANS_MAX_CLASSES]; /* end / 16 - begin / 16 - 1: -1 is 255 */
    /* By slot: the frequency, and in the upper byte the rank; and the symbol. */
    alignas(64) uint16_t entry[NQI_RANS_SLOTS];
    alignas(64) uint8_t symbol_of[NQI_RANS_SLOTS];
    uint8_t n_classes;
    uint8_t n_row_steps; /* of a row that is not crowded, at most */
    uint8_t n_crowded;
    uint8_t escape; /* its class if kernels are to replace it, NQI_RANS_NO_CLASS otherwise */
    uint8_t low_bits;
    bool is_constant;    /* one class: its symbol[0] takes part in no state */
    bool is_consecutive; /* symbol[c] is symbol[0] + c, but for an escape's that is replaced */
    bool has_large;      /* a frequency above 127 */
} nqi_rans_lookup;

#define NQI_RANS_NO_CLASS 255u

/* Bytes that may be read from `at` on where a round begins: what 256 lanes take in, and a vector.
 */
#define NQI_RANS_SLACK (NQI_RANS_MAX_LANES + 64u)

/* Escapes that are at hand where a round begins, and a vector of them that may be read. */
#define NQI_RANS_ESCAPES_AHEAD NQI_RANS_MAX_LANES
#define NQI_RANS_ESCAPES_SLACK 64u

/*
 * Symbol i of a phase belongs to lane i mod lanes and to the table that choices[i >> sub_log2]
 * names. A round is the symbols of all lanes, lane 0 first.
 */
typedef struct nqi_rans_run {
    uint16_t *states;
    const nqi_rans_lookup *lookups; /* NULL where memory is short */
    const nqi_rans_table *tables;
    const uint8_t *choices;
    const uint8_t *at;           /* the next byte of the stream */
    const uint8_t *limit;        /* a round may begin while at <= limit */
    const uint8_t *escape;       /* the next escape, a byte each */
    const uint8_t *escape_limit; /* a round may begin while escape <= escape_limit */
    unsigned lanes_log2;
    unsigned sub_log2;
    const uint8_t *takes; /* by lane: 255, or 0 for a state that takes no byte in; NULL: all do */
} nqi_rans_run;

/*
 * Decodes symbols first..first+n-1 of a phase, or as many of them as the limits allow: returns
 * their number. A kernel is called with `first` at a round's begin, decodes whole rounds and
 * returns 0 if there is none; the reference takes any first and n, and returns 0 only where a limit
 * was passed. The bytes that states and symbols get are the same from all of them, whatever the
 * stream holds.
 */
typedef size_t (*nqi_rans_decode_fn)(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n);

/*
 * Puts indices together: symbols[i] << low_bits, plus base, plus n numbers of low_bits bits from
 * `low`, modulo what the type holds. Returns the largest. out may be symbols (u8).
 */
typedef uint32_t (*nqi_rans_join_u16_fn)(uint16_t *out, const uint8_t *symbols, const uint8_t *low,
                                         size_t n, unsigned low_bits, uint32_t base);
typedef uint32_t (*nqi_rans_join_u8_fn)(uint8_t *out, const uint8_t *symbols, const uint8_t *low,
                                        size_t n, unsigned low_bits);

typedef struct nqi_rans_kernels {
    nqi_rans_decode_fn decode;
    unsigned min_lanes_log2; /* the reference decodes blocks with fewer */
    nqi_rans_join_u16_fn join_u16;
    nqi_rans_join_u8_fn join_u8;
} nqi_rans_kernels;

/* What the CPU, as described by its NQ_CPU_* features, has; NULL: nothing that plain C has not. */
const nqi_rans_kernels *nqi_rans_kernels_avx512(uint64_t cpu);
const nqi_rans_kernels *nqi_rans_kernels_avx2(uint64_t cpu);
const nqi_rans_kernels *nqi_rans_kernels_neon(uint64_t cpu);

extern const nqi_rans_kernels nqi_rans_kernels_ref;

/* The reference without lookups. */
size_t nqi_rans_decode_small(nqi_rans_run *run, uint8_t *symbols, size_t first, size_t n);

#endif
