/*
 * A codebook's data: levels as f32, as f16, or as a grid. A grid is a step and the cells in use,
 * whole numbers in rising order, as runs of neighbours: one without gaps takes a few bytes whatever
 * its number of levels. Reading is part of the decoder.
 */
#ifndef NQI_CONTAINER_CODEBOOK_H
#define NQI_CONTAINER_CODEBOOK_H

#include "base/common.h"
#include "container/index_dec.h"

/* The record's n_levels levels from its n_bytes of data, whose checksum is right. NQ_E_CORRUPT. */
nq_status nqi_codebook_read(float *levels, const nqi_table_record *record, const uint8_t *data);

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
