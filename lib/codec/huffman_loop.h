/*
 * The inner loop of Huffman decoding, to be compiled for each kernel: several streams at once, five
 * lookups a refill, up to seven symbols a lookup, and no branch but the loop's. Looking at an entry
 * of 0 again and again does nothing, so the loop needs to ask for it only once a round.
 *
 * What a stream waits for is the number of bits that a lookup uses: that is read from a table of
 * bytes of its own, with the plainest of all addresses, and the symbols by the side.
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
NQI_INLINE uint64_t nqi_huffman_look_up(nqi_huffman_lane *lane, const nqi_huffman_large *large)
{
    const size_t i = lane->bits & NQI_HUFFMAN_INDEX;
    const uint64_t entry = large->entries[i];
    lane->bits >>= large->used[i] & 63;
    nqi_store_word(lane->out, entry);
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

/* The last lookup of a round, which asks for what the table does not have. */
NQI_INLINE bool nqi_huffman_look_up_last(nqi_huffman_lane *lane, const nqi_huffman_code *code,
                                         const nqi_huffman_large *large)
{
    return NQI_LIKELY(nqi_huffman_look_up(lane, large) != 0) || nqi_huffman_help(lane, code);
}

NQI_INLINE bool nqi_huffman_run4_loop(nqi_huffman_lane *lanes, const nqi_huffman_code *code,
                                      size_t n, uintptr_t place)
{
    const nqi_huffman_large *large = code->large;
    nqi_huffman_lane a = lanes[0], b = lanes[1], c = lanes[2], d = lanes[3];
    for (; n > 0; n--) {
        nqi_huffman_refill(&a);
        nqi_huffman_refill(&b);
        nqi_huffman_refill(&c);
        nqi_huffman_refill(&d);
        NQI_PREFETCH((const void *)place);
        NQI_PREFETCH((const void *)(place + NQI_HUFFMAN_FETCH / 2));
        place += NQI_HUFFMAN_FETCH;
        for (unsigned i = 0; i + 1 < NQI_HUFFMAN_LOOKUPS; i++) {
            (void)nqi_huffman_look_up(&a, large);
            (void)nqi_huffman_look_up(&b, large);
            (void)nqi_huffman_look_up(&c, large);
            (void)nqi_huffman_look_up(&d, large);
        }
        if (!nqi_huffman_look_up_last(&a, code, large) ||
            !nqi_huffman_look_up_last(&b, code, large) ||
            !nqi_huffman_look_up_last(&c, code, large) ||
            !nqi_huffman_look_up_last(&d, code, large))
            return false;
    }
    lanes[0] = a;
    lanes[1] = b;
    lanes[2] = c;
    lanes[3] = d;
    return true;
}

NQI_INLINE bool nqi_huffman_run1_loop(nqi_huffman_lane *lanes, const nqi_huffman_code *code,
                                      size_t n, uintptr_t place)
{
    const nqi_huffman_large *large = code->large;
    nqi_huffman_lane a = lanes[0];
    (void)place;
    for (; n > 0; n--) {
        nqi_huffman_refill(&a);
        for (unsigned i = 0; i + 1 < NQI_HUFFMAN_LOOKUPS; i++)
            (void)nqi_huffman_look_up(&a, large);
        if (!nqi_huffman_look_up_last(&a, code, large))
            return false;
    }
    lanes[0] = a;
    return true;
}

#endif
