/*
 * Reading a codebook's levels: see codebook.h.
 */
#include "container/codebook.h"

#include "base/half.h"

static void read_f32(float *levels, uint32_t n_levels, const uint8_t *data)
{
    for (uint32_t i = 0; i < n_levels; i++)
        levels[i] = nqi_f32_from_bits(nqi_load_le32(data + 4 * (size_t)i));
}

static void read_f16(float *levels, uint32_t n_levels, const uint8_t *data)
{
    for (uint32_t i = 0; i < n_levels; i++)
        levels[i] = nqi_f16_to_f32(nqi_load_le16(data + 2 * (size_t)i));
}

/* Zigzag: 0, -1, 1, -2, ... as 0, 1, 2, 3, ... */
static int64_t unzigzag(uint64_t value)
{
    const int64_t half = (int64_t)(value >> 1);
    return value & 1 ? -half - 1 : half;
}

/* A further run of neighbouring cells: the unused cells between it and the run before, and its length,
 * both less the one that they cannot go below. */
static bool read_run(int64_t *cell, uint32_t *n_cells, nqi_cursor *c, uint32_t n_left)
{
    uint64_t raw_gap, raw_length;
    if (!nqi_cursor_varint(c, &raw_gap) || !nqi_cursor_varint(c, &raw_length))
        return false;
    if (raw_gap >= 2 * (uint64_t)NQI_MAX_CELL || raw_length >= n_left)
        return false;
    *cell += (int64_t)raw_gap + 2;
    *n_cells = (uint32_t)raw_length + 1;
    return *cell <= NQI_MAX_CELL - (int64_t)raw_length;
}

/* The first run tells where it begins, the others how far from the one before. */
static nq_status read_grid(float *levels, const nqi_table_record *record, const uint8_t *data)
{
    nqi_cursor c = nqi_cursor_make(data, (size_t)record->n_bytes);
    uint64_t raw_first, raw_length;
    if (!nqi_cursor_varint(&c, &raw_first) || !nqi_cursor_varint(&c, &raw_length))
        return NQ_E_CORRUPT;
    int64_t cell = unzigzag(raw_first);
    if (cell < -NQI_MAX_CELL || cell > NQI_MAX_CELL || raw_length >= record->n_levels ||
        cell > NQI_MAX_CELL - (int64_t)raw_length)
        return NQ_E_CORRUPT;
    uint32_t n_cells = (uint32_t)raw_length + 1;
    uint32_t i = 0;
    for (;;) {
        if (!nqi_grid_holds(record->step, cell) ||
            !nqi_grid_holds(record->step, cell + (int64_t)n_cells - 1))
            return NQ_E_CORRUPT;
        for (uint32_t k = 0; k < n_cells; k++)
            levels[i++] = nqi_grid_level(record->step, cell++);
        if (i == record->n_levels)
            break;
        cell--;
        if (!read_run(&cell, &n_cells, &c, record->n_levels - i))
            return NQ_E_CORRUPT;
    }
    return nqi_cursor_left(&c) == 0 && !c.failed ? NQ_OK : NQ_E_CORRUPT;
}

nq_status nqi_codebook_read(float *levels, const nqi_table_record *record, const uint8_t *data)
{
    if (record->kind == NQ_LEVELS_GRID)
        return read_grid(levels, record, data);
    if (record->kind == NQ_LEVELS_F16)
        read_f16(levels, record->n_levels, data);
    else
        read_f32(levels, record->n_levels, data);
    return NQ_OK;
}
