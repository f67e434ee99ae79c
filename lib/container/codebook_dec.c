/*
 * Reading a codebook's levels: see codebook.h.
 */
#include "container/codebook.h"

#include "base/half.h"
#include "base/number.h"

/* Numbers of 4 or 2 bytes: as many as there are levels. */
static nq_status read_floats(float *levels, uint32_t n_levels, uint32_t kind, nqi_cursor *c)
{
    const size_t width = kind == NQ_LEVELS_F16 ? 2 : 4;
    if (nqi_cursor_left(c) != width * n_levels)
        return NQ_E_CORRUPT;
    const uint8_t *data = nqi_cursor_take(c, width * n_levels);
    for (size_t i = 0; i < n_levels; i++)
        levels[i] = kind == NQ_LEVELS_F16 ? nqi_f16_to_f32(nqi_load_le16(data + 2 * i))
                                          : nqi_f32_from_bits(nqi_load_le32(data + 4 * i));
    return NQ_OK;
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
static nq_status read_grid(float *levels, double step, uint32_t n_levels, nqi_cursor *c)
{
    uint64_t raw_first, raw_length;
    if (!nqi_cursor_varint(c, &raw_first) || !nqi_cursor_varint(c, &raw_length))
        return NQ_E_CORRUPT;
    int64_t cell = unzigzag(raw_first);
    if (cell < -NQI_MAX_CELL || cell > NQI_MAX_CELL || raw_length >= n_levels ||
        cell > NQI_MAX_CELL - (int64_t)raw_length)
        return NQ_E_CORRUPT;
    uint32_t n_cells = (uint32_t)raw_length + 1;
    uint32_t i = 0;
    for (;;) {
        if (!nqi_grid_holds(step, cell) || !nqi_grid_holds(step, cell + (int64_t)n_cells - 1))
            return NQ_E_CORRUPT;
        for (uint32_t k = 0; k < n_cells; k++)
            levels[i++] = nqi_grid_level(step, cell++);
        if (i == n_levels)
            return NQ_OK;
        cell--;
        if (!read_run(&cell, &n_cells, c, n_levels - i))
            return NQ_E_CORRUPT;
    }
}

/* ---- Channels ------------------------------------------------------------------------------ */

/* How levels are numbered: channels in a row that have as many, from the same number on. */
static nq_status read_channels(nqi_channel *channels, const nqi_table_record *record, nqi_cursor *c)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < record->n_channels;) {
        uint64_t raw_more, raw_first, raw_count;
        if (!nqi_cursor_varint(c, &raw_more) || !nqi_cursor_varint(c, &raw_first) ||
            !nqi_cursor_varint(c, &raw_count) || raw_more >= record->n_channels - i ||
            raw_first >= record->n_levels || raw_count >= record->n_levels - raw_first)
            return NQ_E_CORRUPT;
        const uint32_t end = i + (uint32_t)raw_more + 1, count = (uint32_t)raw_count + 1;
        for (; i < end; i++, at += count) {
            if (count > record->n_stored - at)
                return NQ_E_CORRUPT;
            channels[i] = (nqi_channel){.at = at,
                                        .first = (uint16_t)raw_first,
                                        .last = (uint16_t)(raw_first + raw_count),
                                        .step = record->step};
        }
    }
    return at == record->n_stored ? NQ_OK : NQ_E_CORRUPT;
}

/* Each channel's cells, behind its step if they differ. */
static nq_status read_grids(float *levels, nqi_channel *channels,
                            const nqi_table_record *record, nqi_cursor *c)
{
    for (uint32_t i = 0; i < record->n_channels; i++) {
        nqi_channel *channel = &channels[i];
        double step = record->step;
        if (step == 0) {
            uint64_t raw_step;
            if (!nqi_cursor_le(c, &raw_step, 8))
                return NQ_E_CORRUPT;
            step = nqi_f64_from_bits(raw_step);
            if (!nqi_is_finite(step) || step == 0)
                return NQ_E_CORRUPT;
        }
        channel->step = step;
        NQI_TRY(read_grid(levels + channel->at, step,
                          (uint32_t)channel->last - channel->first + 1, c));
    }
    return NQ_OK;
}

nq_status nqi_codebook_read(float *levels, nqi_channel *channels, const nqi_table_record *record,
                            const uint8_t *data)
{
    nqi_cursor c = nqi_cursor_make(data, (size_t)record->n_bytes);
    if (record->n_channels)
        NQI_TRY(read_channels(channels, record, &c));
    if (record->kind != NQ_LEVELS_GRID)
        return read_floats(levels, record->n_stored, record->kind, &c);
    if (record->n_channels)
        NQI_TRY(read_grids(levels, channels, record, &c));
    else
        NQI_TRY(read_grid(levels, record->step, record->n_levels, &c));
    return nqi_cursor_left(&c) == 0 && !c.failed ? NQ_OK : NQ_E_CORRUPT;
}
