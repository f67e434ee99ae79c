/*
 * The constants of the rANS format, and the arithmetic that both sides do with them:
 * docs/format/rans.md is their meaning. Part of the decoder.
 */
#ifndef NQI_RANS_FMT_H
#define NQI_RANS_FMT_H

#include <assert.h>

#include "base/common.h"
#include "codec/bits_fmt.h"

/* A state is a number of 16 bits; its low byte is a slot, and it is kept at STATE_MIN or above by
 * taking in a byte. */
#define NQI_RANS_SLOTS     256u
#define NQI_RANS_STATE_MIN 256u

/* States of a block: 2^lanes_log2. */
#define NQI_RANS_MAX_LANES_LOG2 8u
#define NQI_RANS_MAX_LANES      (1u << NQI_RANS_MAX_LANES_LOG2)

/* Rounds at a block's end in which no state takes a byte in. */
#define NQI_RANS_MAX_IDLE 15u

/* Tables of a code, the escape counted among a table's classes. */
#define NQI_RANS_MAX_TABLES  16u
#define NQI_RANS_MAX_CLASSES 32u

/* Upper parts of indices that a table can tell apart: a window of the alphabet. One fewer than a
 * byte holds, so that decoders can mark an escape in it. */
#define NQI_RANS_MAX_SPAN 255u

/* Low bits of an index that lie in the block as they are. */
#define NQI_RANS_MAX_LOW_BITS 15u

/* Ones in front of an escaped number that is written as it is. */
#define NQI_RANS_ESCAPE_ONES 8u

/* Bits that an escaped number takes at most, in either form. */
#define NQI_RANS_ESCAPE_MAX_LENGTH (NQI_RANS_ESCAPE_ONES + 16u)

/* A table holds for 2^(SUB_LOG2 + field) symbols. The fewest are a multiple of what any kernel
 * decodes at once. */
#define NQI_RANS_MIN_SUB_LOG2 6u
#define NQI_RANS_MAX_SUB_LOG2 13u

/* Sub-blocks whose choices of tables are coded together; the last ones of a block may be up to
 * twice as many, less one. */
#define NQI_RANS_GROUP 512u

/* The same for pairs of a sparse block. Their gaps are below GAPS. */
#define NQI_RANS_PAIRS 2048u
#define NQI_RANS_GAPS  65536u

/* Bits of the fields of a table. */
enum {
    NQI_RANS_TABLES_WIDTH = 4,
    NQI_RANS_SUB_WIDTH = 3,
    NQI_RANS_LOW_BITS_WIDTH = 4,
    NQI_RANS_RICE_WIDTH = 4,
    NQI_RANS_SPAN_WIDTH = 8 /* at most */
};

/* The widest frequency: 256, of a table that knows one class only. */
#define NQI_RANS_MAX_WIDTH 9u

static_assert((NQI_RANS_GROUP << NQI_RANS_MIN_SUB_LOG2) % NQI_RANS_MAX_LANES == 0,
              "every group of sub-blocks begins with lane 0");
static_assert(NQI_RANS_PAIRS % NQI_RANS_MAX_LANES == 0, "and every group of pairs");

/* Parts of `unit` things that n things come in; the last part has what is left. */
static inline uint64_t nqi_rans_parts(uint64_t n, uint64_t unit)
{
    return NQI_MAX(n / unit, 1);
}

static inline uint64_t nqi_rans_last_part(uint64_t n, uint64_t unit)
{
    return n - (nqi_rans_parts(n, unit) - 1) * unit;
}

/* Bits of v without leading zeros: 0 for 0. */
static inline unsigned nqi_rans_width(uint32_t v)
{
    unsigned width = 0;
    while (v >> width)
        width++;
    return width;
}

/* The largest upper part of an index below n. */
static inline uint32_t nqi_rans_last_upper(uint32_t n, unsigned low_bits)
{
    return (n - 1) >> low_bits;
}

/* Bits of the field that says how far a table's window reaches. */
static inline unsigned nqi_rans_span_width(uint32_t last_upper)
{
    return NQI_MIN(nqi_rans_width(last_upper), NQI_RANS_SPAN_WIDTH);
}

/*
 * Where slots lie. Cumulated frequencies give each class a run of places; the slot of a place has
 * its upper and lower four bits exchanged, so that a class has its share in each sixteenth of the
 * slots. A class's slots in rising order have ranks 0, 1, ...
 */
static inline unsigned nqi_rans_slot_of_place(unsigned place)
{
    return (place & 15) << 4 | place >> 4;
}

static inline unsigned nqi_rans_place_of_slot(unsigned slot)
{
    return nqi_rans_slot_of_place(slot);
}

/* Places below `place` whose slots lie in sixteenth q. */
static inline unsigned nqi_rans_run_before(unsigned place, unsigned q)
{
    return (place >> 4) + (q < (place & 15));
}

/* The slots below `slot` of the class that has the places from `begin` to `end`, in the sixteenths
 * below the slot's own. */
static inline unsigned nqi_rans_slots_before(unsigned slot, unsigned begin, unsigned end)
{
    const unsigned q = slot >> 4;
    return q * ((end >> 4) - (begin >> 4)) + NQI_MIN(q, end & 15) - NQI_MIN(q, begin & 15);
}

/* The rank of a slot in its class. */
static inline unsigned nqi_rans_slot_rank(unsigned slot, unsigned begin, unsigned end)
{
    return nqi_rans_slots_before(slot, begin, end) + (slot & 15) -
           nqi_rans_run_before(begin, slot >> 4);
}

/* ---- Escapes ------------------------------------------------------------------------------- */

/* How upper parts are written that have no class: as ranks of their distance to a centre, in a Rice
 * code, or as they are if that would be long. */
typedef struct nqi_rans_escape_code {
    uint32_t last; /* upper part */
    uint32_t center;
    uint32_t offset; /* the least rank that is written as such */
    unsigned rice_bits;
    unsigned width; /* bits of `last` */
} nqi_rans_escape_code;

/* 0 for the centre, then the one above it, the one below it, and so on, alternating as long as
 * there are upper parts on both sides. */
static inline uint32_t nqi_rans_rank(const nqi_rans_escape_code *code, uint32_t upper)
{
    const uint32_t both = NQI_MIN(code->center, code->last - code->center);
    const uint32_t distance = upper > code->center ? upper - code->center : code->center - upper;
    if (distance > both)
        return both + distance;
    return upper > code->center ? 2 * distance - 1 : 2 * distance;
}

/* The upper part of a rank up to code->last. No branch depends on which side it is on. */
static inline uint32_t nqi_rans_unrank(const nqi_rans_escape_code *code, uint32_t rank)
{
    const uint32_t both = NQI_MIN(code->center, code->last - code->center);
    uint32_t distance = (rank + 1) / 2, below = (rank & 1) - 1; /* all ones if it is below */
    if (NQI_UNLIKELY(rank > 2 * both)) {
        distance = rank - both;
        below = code->center == both ? 0 : UINT32_MAX;
    }
    return code->center + ((distance ^ below) - below);
}

/* Whether an upper part is written as its rank; then *quotient is how many ones come first. */
static inline bool nqi_rans_is_ranked(uint32_t *quotient, const nqi_rans_escape_code *code,
                                      uint32_t upper)
{
    const uint32_t rank = nqi_rans_rank(code, upper);
    *quotient = (rank - code->offset) >> code->rice_bits;
    return rank >= code->offset && *quotient < NQI_RANS_ESCAPE_ONES;
}

static inline unsigned nqi_rans_escape_length(const nqi_rans_escape_code *code, uint32_t upper)
{
    uint32_t quotient;
    if (nqi_rans_is_ranked(&quotient, code, upper))
        return quotient + 1 + code->rice_bits;
    return NQI_RANS_ESCAPE_ONES + code->width;
}

/* Signed differences of widths as numbers 0, 1, 2, ...: 0, +1, -1, +2, -2. */
static inline unsigned nqi_rans_zigzag(int difference)
{
    return difference > 0 ? 2 * (unsigned)difference - 1 : 2 * (unsigned)-difference;
}

static inline int nqi_rans_unzigzag(unsigned zigzag)
{
    return zigzag % 2 ? (int)(zigzag / 2) + 1 : -(int)(zigzag / 2);
}

#endif
