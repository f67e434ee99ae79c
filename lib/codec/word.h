/*
 * Eight bytes stored at once, first the low one, in a form that every compiler at every level of
 * optimization makes one instruction of. Part of the decoder.
 */
#ifndef NQI_WORD_H
#define NQI_WORD_H

#include "base/bytes.h"
#include "base/common.h"

NQI_INLINE void nqi_store_word(uint8_t *p, uint64_t word)
{
    const uint16_t probe = 1;
    uint8_t first;
    memcpy(&first, &probe, 1);
    if (first == 1) /* little-endian: known when compiled */
        memcpy(p, &word, sizeof word);
    else
        nqi_store_le64(p, word);
}

#endif
