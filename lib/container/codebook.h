/*
 * A codebook's data: levels as f32, as f16, or as a grid. A grid is a step and the cells in use,
 * whole numbers in rising order, as runs of neighbours: one without gaps takes a few bytes whatever
 * its number of levels. Codebooks by channel begin with how each channel's levels are numbered; all
 * levels follow. Reading is part of the decoder.
 */
#ifndef NQI_CONTAINER_CODEBOOK_H
#define NQI_CONTAINER_CODEBOOK_H

#include "base/common.h"
#include "container/index_dec.h"

/* Levels of one channel, and what codes call them. */
typedef struct nqi_channel {
    uint32_t at;    /* of the first, among all channels' levels */
    uint16_t first; /* its number in codes, and the last one's */
    uint16_t last;
    double step;    /* of a grid; 0: none */
} nqi_channel;

/* The record's n_stored levels, and its n_channels channels, from its n_bytes of data, whose checksum
 * is right. NQ_E_CORRUPT. */
nq_status nqi_codebook_read(float *levels, nqi_channel *channels, const nqi_table_record *record,
                            const uint8_t *data);

/* What a cell of a grid decodes to: the product in double, rounded once. */
static inline float nqi_grid_level(double step, int64_t cell)
{
    return (float)(step * (double)cell);
}

/* Whether that is finite: half a unit in the last place over the largest float rounds to infinity. */
static inline bool nqi_grid_holds(double step, int64_t cell)
{
    const double level = step * (double)cell;
    return level < 0x1.ffffffp127 && level > -0x1.ffffffp127;
}

#endif
