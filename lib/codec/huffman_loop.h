/*
 * The inner loop of Huffman decoding, to be compiled for each kernel: several streams at once, five
 * lookups a refill, up to six symbols a lookup, and no branch but the loop's. Looking at an entry
 * of 0 again and again does nothing, so the loop needs to ask for it only once a round.
 *
 * Part of the decoder.
 */
#ifndef NQI_HUFFMAN_LOOP_H
#define NQI_HUFFMAN_LOOP_H

#include "codec/huffman_dec.h"

NQI_INLINE void nqi_huffman_refill(nqi_huffman_lane *lane)
{
    const unsigned used = NQI_CLZ64(lane->bits);
    lane->at += used / 8;
    lane->bits = (nqi_load_le64(lane->at) | NQI_HUFFMAN_MARK) >> (used % 8);
}

/* Returns the entry. */
NQI_INLINE uint64_t nqi_huffman_look_up(nqi_huffman_lane *lane, const uint64_t *entries)
{
    const uint64_t entry = entries[lane->bits & ((1u << NQI_HUFFMAN_TABLE_BITS) - 1)];
    lane->bits >>= entry & 63;
    nqi_store_word(lane->out, entry >> 8);
    lane->out += entry >> 61;
    return entry;
}

/* On a copy, so that the lane itself may stay in registers. */
NQI_INLINE bool nqi_huffman_help(nqi_huffman_lane *lane, const nqi_huffman_code *code)
{
    nqi_huffman_lane copy = *lane;
    const bool is_legal = nqi_huffman_pass_slow(&copy, code);
    *lane = copy;
    return is_legal;
}

NQI_INLINE bool nqi_huffman_run4_loop(nqi_huffman_lane *lanes, const nqi_huffman_code *code,
                                      size_t n)
{
    const uint64_t *entries = code->entries;
    nqi_huffman_lane a = lanes[0], b = lanes[1], c = lanes[2], d = lanes[3];
    for (; n > 0; n--) {
        uint64_t ea = 0, eb = 0, ec = 0, ed = 0;
        nqi_huffman_refill(&a);
        nqi_huffman_refill(&b);
        nqi_huffman_refill(&c);
        nqi_huffman_refill(&d);
        for (unsigned i = 0; i < NQI_HUFFMAN_LOOKUPS; i++) {
            ea = nqi_huffman_look_up(&a, entries);
            eb = nqi_huffman_look_up(&b, entries);
            ec = nqi_huffman_look_up(&c, entries);
            ed = nqi_huffman_look_up(&d, entries);
        }
        if (NQI_UNLIKELY((ea == 0 && !nqi_huffman_help(&a, code)) ||
                         (eb == 0 && !nqi_huffman_help(&b, code)) ||
                         (ec == 0 && !nqi_huffman_help(&c, code)) ||
                         (ed == 0 && !nqi_huffman_help(&d, code))))
            return false;
    }
    lanes[0] = a;
    lanes[1] = b;
    lanes[2] = c;
    lanes[3] = d;
    return true;
}

NQI_INLINE bool nqi_huffman_run1_loop(nqi_huffman_lane *lanes, const nqi_huffman_code *code,
                                      size_t n)
{
    nqi_huffman_lane a = lanes[0];
    for (; n > 0; n--) {
        uint64_t ea = 0;
        nqi_huffman_refill(&a);
        for (unsigned i = 0; i < NQI_HUFFMAN_LOOKUPS; i++)
            ea = nqi_huffman_look_up(&a, code->entries);
        if (NQI_UNLIKELY(ea == 0 && !nqi_huffman_help(&a, code)))
            return false;
    }
    lanes[0] = a;
    return true;
}

#endif
